"""UIDVALIDITY changed, or UIDs were given out again: the same messages under other UIDs, most likely. The base gets
the new ones, in columns.

Messages are known again by EMAILID, else by mark, size and date; bodies are read only where these leave a doubt. What
is not found again counts as removed, with the brake before it. All is noted in one commit, before anything else is
done: a run that is cut off begins again either with the old UIDs or with the new ones.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from ...values import replace
from ..base import PLACEHOLDER, Pair
from ..outline import digest
from ..plan.match import Candidates, match, match_emails
from ..settings import End
from .context import Context
from .look import Look
from .recognise import OUTLINES


async def renumber(context: Context, look: Look, end: End) -> None:
    """Give the base's rows their new UIDs on that side. Raises MailboxUnavailable, with no UID changed."""
    state, changes = context.state, look.changes[end]
    if end is End.TWO:
        _stand(context, look.key)
    keys, left = _left(context, look.key, end)
    found: dict[int, int] = {}
    rest: Sequence[int] = range(len(changes.uids))
    if changes.emails is not None:
        right = Candidates()
        for email in changes.emails:
            right.add(look.key, None, 0, b"", () if email is None else (email,))
        found = {keys[i]: changes.uids[j] for i, j in match_emails(left, right).pairs}
        taken = set(found.values())
        rest = [j for j, uid in enumerate(changes.uids) if uid not in taken]
        if found and rest:
            keys, left = _left(context, look.key, end, found)
    if len(left) > len(found) and rest:
        found |= await _by_content(context, look, end, keys, left, array("Q", [changes.uids[j] for j in rest]))
    known = look.joint.known(end)
    assert known is not None
    known = replace(known, validity=changes.validity, cursor=None, state=None, listing=None)
    with state.transaction():
        state.messages.renumbered(look.key, end)
        state.messages.found(end, found.items())
        state.pairs.put(look.key, end, known)
    pair = look.joint.pair
    assert pair is not None
    one, two = (known, pair.two) if end is End.ONE else (pair.one, known)
    look.joint.pair = Pair(pair.key, one, two)
    look.reused.discard(end)


def _stand(context: Context, pair: int) -> None:
    """Placeholders whose messages are on their way stand for them again, or nobody would know them by their new UIDs.
    Those stay unknown whose message has begun to be added: by then nothing says any more what they are known by."""
    beside = context.state.beside
    waiting = beside.unbegun([one.key for one in beside.standing(pair).values() if one.message is None])
    if waiting:
        with context.state.transaction():
            beside.stand([*waiting])


def _left(
    context: Context, pair: int, end: End, without: dict[int, int] | None = None
) -> tuple[array[int], Candidates]:
    """Keys and columns of the pair's rows that were there."""
    keys, columns = array("q"), Candidates()
    for key, odd, size, received, mark, read, own, other, near_size, near_read in context.state.messages.known(
        pair, end
    ):
        if without and key in without:
            continue
        keys.append(key)
        if odd & PLACEHOLDER and end is End.TWO:
            columns.add(pair, near_size, received, mark, () if own is None else (own,), near_read)
        else:
            emails = (own,) if own is not None else () if other is None else (other,)
            columns.add(pair, size, received, mark, emails, read)
    return keys, columns


async def _by_content(
    context: Context, look: Look, end: End, keys: array[int], left: Candidates, uids: array[int]
) -> dict[int, int]:
    side, name = context.sides[end], context.name(look.key, end)
    right, there = Candidates(), array("Q")
    for start in range(0, len(uids), OUTLINES):
        for outline in await side.outlines(name, uids[start : start + OUTLINES]):
            right.add(look.key, outline.size, outline.received, outline.mark)
            there.append(outline.uid)
    left.emails = [()] * len(left)
    matches = match(left, right)
    if matches.left or matches.right:
        at = {there[j]: j for j in matches.right}
        async for message in side.fetch(name, sorted(at)):
            right.digests[at[message.uid]] = digest(message.data)
            right.sizes[at[message.uid]] = len(message.data)
        matches = match(left, right, final=True)
    return {keys[i]: there[j] for i, j in matches.pairs}
