"""Looking at mailboxes: which of them, what their sides tell, and how that differs from the base."""

from __future__ import annotations

import hashlib
from array import array

from ...values import Record, field
from ..base import Row
from ..model import Changes
from ..plan.difference import Difference, Listing, difference
from ..plan.mailboxes import Joint
from ..settings import BOTH, End
from ..side import MailboxUnavailable, emails_of
from .context import Context

MOST_ASKED = 5_000
"""Messages that we added to a mailbox whose EMAILIDs are asked for."""
SAMPLE = 100
"""Messages looked at to tell whether UIDs are other messages' now: of a mailbox the newest."""
FEW = 3
"""The same where nothing is known but that new mail has come: the newest that is still there is looked at."""


class Look(Record):
    """One mailbox in this pass. ends: sides that have to be asked. changes: what they told. rows: messages of the base
    that something happened to. differences: by side. listings: digests of full listings. reused: sides that have given
    UIDs that the base knows to other messages."""

    joint: Joint
    ends: list[End]
    changes: dict[End, Changes] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    differences: dict[End, Difference] = field(default_factory=dict)
    listings: dict[End, bytes] = field(default_factory=dict)
    void: set[End] = field(default_factory=set)
    reused: set[End] = field(default_factory=set)

    @property
    def key(self) -> int:
        return self.joint.key


async def gather(context: Context, found: list[Look], *, dry_run: bool) -> list[Look]:
    """Ask the sides; those that could be asked. Several mailboxes and both sides at once.

    Where UIDs begin anew, the base gets the new ones (`renumber`), but for a dry run.
    """

    async def ask(item: tuple[Look, End]) -> None:
        look, end = item
        known = look.joint.known(end)
        since = None if known is None else known.cursor
        look.changes[end] = await context.sides[end].changes(context.name(look.key, end), since)

    asked = [(look, end) for look in found for end in look.ends]
    await context.each(asked, ask, lambda item: (item[0].key, item[1]))
    complete = [look for look in found if len(look.changes) == len(look.ends)]
    doubtful = [
        (look, end)
        for look in complete
        for end, changes in look.changes.items()
        if look.joint.known(end) is not None and (changes.receded or changes.grown)
    ]
    if doubtful:
        failed = {(look.key, end) for look, end in doubtful}

        async def see(item: tuple[Look, End]) -> None:
            await _see_whose(context, *item)
            failed.discard((item[0].key, item[1]))

        await context.each(doubtful, see, lambda item: (item[0].key, item[1]))
        complete = [look for look in complete if not any((look.key, end) in failed for end in look.changes)]
    void = [(look, end) for look in complete for end in look.changes if _is_void(look, end)]
    if void and not dry_run:
        from .renumber import renumber

        await context.each(void, lambda item: renumber(context, *item), lambda item: (item[0].key, item[1]))
        complete = [look for look in complete if not any(_is_void(look, end) for end in look.changes)]
    for look in complete:
        for row in context.state.messages.pending(look.key):
            look.rows[row.key] = row
        for end in BOTH:
            _compare(context, look, end)
    if not dry_run and len(context.joints) > 1:  # in one mailbox alone nothing is copied from
        await _learn_emails(context, complete)
    return complete


async def _learn_emails(context: Context, looks: list[Look]) -> None:
    """EMAILIDs of what we have added to a side that does not list them: by these it is known what somebody copies."""
    for look in looks:
        for end, found in look.differences.items():
            changes = look.changes.get(end)
            if not len(found.listed) or changes is None or changes.emails is not None or not changes.lasting:
                continue
            unknown = context.state.messages.without_email(end, found.listed)
            if not 0 < len(unknown) <= MOST_ASKED:
                continue
            try:
                emails = await emails_of(context.sides[end], context.name(look.key, end), sorted(unknown))
            except MailboxUnavailable:
                continue  # a copy of one of them will be carried
            found.emails += [(key, emails[uid]) for uid, key in unknown.items() if uid in emails]


async def _see_whose(context: Context, look: Look, end: End) -> None:
    """Whether UIDs that the base knows are other messages' now, by what the newest are known by: a server that was
    restored from an older state gives out again what it gave out since. Others only have lost what they knew of
    changes, or reckon UIDNEXT by what is there. One that alters headers leaves date or size. Where nothing speaks
    for it but that UIDs have been given out, the newest that is there decides, and another size is not enough: there
    are servers that write headers anew. Raises MailboxUnavailable."""
    changes, messages = look.changes[end], context.state.messages
    if changes.restored:
        look.reused.add(end)
        return
    newest = changes.uids[-SAMPLE:] if changes.receded else messages.newest(look.key, end, FEW)
    keys = {uid: key for uid, key, *_ in messages.lines(look.key, end, newest)}
    contents = messages.contents(list(keys.values()))
    outlines = await context.sides[end].outlines(context.name(look.key, end), sorted(keys))
    for outline in outlines if changes.receded else outlines[-1:]:
        was = contents.get(keys[outline.uid])
        if was is None or outline.mark == was.mark:
            continue
        sizes = {outline.size, was.size} - {None}
        if outline.received != was.received or (changes.receded and len(sizes) > 1):
            look.reused.add(end)
    if end in look.reused and not changes.full:
        look.changes[end] = await context.sides[end].changes(context.name(look.key, end), None)


def _is_void(look: Look, end: End) -> bool:
    known = look.joint.known(end)
    if known is not None and end in look.reused:
        return True
    return known is not None and known.validity not in (None, look.changes[end].validity)


def _compare(context: Context, look: Look, end: End) -> None:
    """Put this side's difference from the base into the look."""
    state, known = context.state, look.joint.known(end)
    doomed = state.beside.doomed(look.key, end)
    if look.joint.at(end) is None:
        listing = Listing(full=True)
    elif end in look.changes:
        changes = look.changes[end]
        flags = _numbers(context, end, changes)
        void = _is_void(look, end)
        listing = Listing(changes.uids, flags, changes.emails, changes.full or void, void)
        if void:
            look.void.add(end)
        elif changes.full:
            look.listings[end] = _digest(changes.uids, flags)
            if known is not None and known.listing == look.listings[end]:
                return
    else:
        return
    uids = None if listing.full else _concerned(look.changes[end])
    if uids is not None and not uids:
        return
    look.differences[end] = difference(
        end,
        look.key,
        listing,
        state.messages.lines(look.key, end, uids),
        look.rows,
        state.flagsets.__getitem__,
        lambda flag: context.keeps(look.key, end, flag),
        doomed,
    )


def _numbers(context: Context, end: End, changes: Changes) -> array[int]:
    """The listed flag sets as numbers; the side is seen to keep what is in them."""
    flagsets = context.state.flagsets
    numbers = {flags: flagsets.key(flags) for flags in set(changes.flags)}
    flagsets.saw(end, set(numbers.values()))
    return array("Q", map(numbers.__getitem__, changes.flags))


def _concerned(changes: Changes) -> array[int]:
    return array("q", sorted({*changes.uids, *changes.vanished}))


def _digest(uids: array[int], flags: array[int]) -> bytes:
    state = hashlib.blake2b(uids.tobytes(), digest_size=16)
    state.update(flags.tobytes())
    return state.digest()
