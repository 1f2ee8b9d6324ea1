"""Placeholders whose message is on its way: what people do to their flags meanwhile is done to the message.

That way may take days, where downloads are cut off or the side has no room, and all that time the placeholder is what
people see. As long as its message lacks, its flags are merged with the message's on side one as those of any two
(`attach`, then `plan.messages`). Once the message is there, what was changed since is done to it, and the placeholder
goes (`take_away`). The flags that are carried already are in the state, beside the placeholder's UID (`state.beside`).

Each step is noted after it was done: cut off between, it is done again, and changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from ..base import AGAIN, PLACEHOLDER, SENT, WHOLE, Half, Row
from ..model import Changes, FlagChange, Flags
from ..settings import End
from ..side import MailboxUnavailable
from ..state.beside import Standing
from .context import Context
from .look import Look

ROUNDS = 3
"""Removals of what is to go: a side leaves what others flagged since it was asked last."""


def attach(context: Context, looks: Sequence[Look], *, dry_run: bool) -> None:
    """Put placeholders that wait beside the rows that they stand for, with their flags as listed now.

    One that somebody moved or removed before anything of its message was added is one again, whose message follows it.
    """
    rows: dict[int, Row] = {}
    gone: list[Row] = []
    for look in looks:
        standing = context.state.beside.standing(look.key)
        if not standing or look.joint.at(End.TWO) is None:
            continue
        rows = rows or {key: row for each in looks for key, row in each.rows.items()}
        changes = look.changes.get(End.TWO)
        listed = {} if changes is None else _listed(changes, standing)
        for uid, one in standing.items():
            if (row := rows.get(one.key)) is not None:
                row.stands = _half(context, look.key, uid, one, listed.get(uid))
                if changes is not None and uid not in listed and (changes.full or uid in changes.vanished):
                    gone.append(row)
            elif one.message is None and uid in listed:  # its row is in a mailbox that could not be looked at
                context.unsettled.add(look.key)
    if gone:
        _let_go(context, gone, dry_run=dry_run)


def _let_go(context: Context, rows: Sequence[Row], *, dry_run: bool) -> None:
    """Placeholders that are where they were no more. Of a message that was added already, maybe, it is to be found out
    first whether it is there: it comes all the same."""
    unbegun = context.state.beside.unbegun([row.key for row in rows])
    again = []
    for row in rows:
        stands, row.stands = row.stands, None
        if stands is not None and stands.found == (row.pair, stands.uid) and row.key in unbegun:
            row.two = Half(stands.uid, stands.flags, gone=True)
            row.odd = (row.odd & ~WHOLE) | PLACEHOLDER
            again.append(row.key)
    if again and not dry_run:
        with context.state.transaction():
            context.state.beside.stand(again)


def on_their_way(looks: Sequence[Look]) -> set[int]:
    """Keys of messages whose placeholders wait for them. With `headers_first` they come behind all else, one by one:
    those whose download was cut off, too. What the side has said that it took is not among them, nor what was moved on
    side one: nobody fetches it in place of a placeholder that is elsewhere, so that a run brings it."""
    return {
        row.key
        for look in looks
        for row in look.rows.values()
        if row.stands is not None and not row.two.present and not row.odd & (SENT | AGAIN) and not _parted(row)
    }


def _parted(row: Row) -> bool:
    """Whether the message is in another mailbox than its placeholder."""
    here, there = row.place(End.ONE), row.where(End.TWO)
    return here is not None and there is not None and here[0] != there[0]


def note_standing(context: Context, rows: Iterable[Row]) -> None:
    """What these rows' placeholders have of flags is carried. Within a transaction."""
    key = context.state.flagsets.key
    context.state.beside.stood(
        [(*row.stands.found, key(row.stands.flags)) for row in rows if row.stands is not None and row.stands.found]
    )


async def take_away(context: Context, pair: int, uids: Collection[int]) -> None:
    """Remove these from side two, where their messages have come, after doing to those what was done to their flags.

    Raises MailboxUnavailable where UIDs began anew since the last run: they are other messages' now.
    """
    side, name, state = context.sides[End.TWO], context.name(pair, End.TWO), context.state
    known = context.joints[pair].known(End.TWO)
    validity, since = (None, None) if known is None else (known.validity, known.cursor)
    standing = {uid: one for uid, one in state.beside.standing(pair).items() if uid in uids}
    left = set(uids)
    for number in range(ROUNDS + 1):
        changes = await side.changes(name, since)  # no newer cursor: a side may forget what was before it
        if validity not in (None, changes.validity):
            raise numbered_anew(context, name, End.TWO)
        listed = _listed(changes, left)
        if number:
            left &= listed.keys()  # changed before it could be removed, and kept for that
        if not left or number == ROUNDS:
            break
        await _hand_on(context, pair, {uid: standing[uid] for uid in left if uid in standing}, listed)
        await side.remove(name, sorted(left))
        context.touch(pair, End.TWO)
    with state.transaction():
        state.beside.saved(pair, End.TWO, set(uids) - left)
    if left:
        context.unsettled.add(pair)
        context.again = True


async def _hand_on(context: Context, pair: int, standing: Mapping[int, Standing], listed: Mapping[int, Flags]) -> None:
    """Do to messages on side two what was done to their placeholders: from there a run carries it as any change.

    What side one is not known to keep came from there in no message: it is handed on whenever it was done.
    """
    wanted: dict[int, dict[tuple[Flags, Flags], list[int]]] = defaultdict(lambda: defaultdict(list))
    carried: list[tuple[int, int, int]] = []
    for uid, one in standing.items():
        if one.message is None:
            continue
        if not context.has(one.message[0], End.TWO):
            raise MailboxUnavailable("A message that came in place of its placeholder is in another mailbox by now.")
        half = _half(context, pair, uid, one, listed.get(uid))
        add = half.added | {flag for flag in half.now if not context.keeps(one.message[0], End.ONE, flag)}
        if add or half.removed:
            wanted[one.message[0]][add, half.removed].append(one.message[1])
            carried.append((pair, uid, context.state.flagsets.key(half.now)))
    for target, changes in wanted.items():
        some = [FlagChange(sorted(uids), add, remove) for (add, remove), uids in changes.items()]
        await context.sides[End.TWO].set_flags(context.name(target, End.TWO), some)
        context.touch(target, End.TWO)
        context.did(End.TWO, "flagged", sum(len(change.uids) for change in some))
    if carried:
        with context.state.transaction(durable=False):
            context.state.beside.stood(carried)


def _half(context: Context, pair: int, uid: int, one: Standing, listed: Flags | None) -> Half:
    """A placeholder as a half of its row. listed: its flags, None where they are not known to be others. A keyword that
    lacks and is not known to be kept there was not taken away."""
    flags, seen = context.state.flagsets[one.flags], None
    if listed is not None:
        now = context.state.flagsets.same(listed)
        flags = flags - {flag for flag in flags - now if not context.keeps(pair, End.TWO, flag)}
        seen = None if now == flags else now
    return Half(uid, flags, seen, found=(pair, uid))


def _listed(changes: Changes, wanted: Collection[int]) -> dict[int, Flags]:
    return {uid: flags for uid, flags in zip(changes.uids, changes.flags, strict=True) if uid in wanted}


def numbered_anew(context: Context, name: str, end: End) -> MailboxUnavailable:
    """What to say where UIDs mean other messages than at the last run."""
    return MailboxUnavailable(
        f"UIDs of {name} on {context.sides[end].title} have begun anew.",
        "Bring both sides in step first: restante sync",
    )
