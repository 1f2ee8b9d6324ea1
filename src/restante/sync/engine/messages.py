"""Doing what the plan says about messages, in the order in which a run may be cut off anywhere.

1. One commit: rows forgotten, found, held; rows that will be added are noted as lacking there.
2. Flags, 3. moves, 4. copies of what is there (`copies`) and additions (`carry`), 5. removals, 6. mailboxes that are
empty and gone on the other side.
7. One commit: cursors and states of all that is settled.

Each is noted after it was done. Flags, moves and removals done and not noted are seen by the next run as done on both
sides; additions are journalled (`carry`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from ...values import replace
from ..base import CUT, FRESH, GONE, MOVING, SENT, Known, Row
from ..model import FlagChange, Flags
from ..plan.messages import FlagStep, MessagePlan
from ..settings import BOTH, End
from ..side import MailboxUnavailable, coming, delete_empty
from .carry import Carrier
from .context import Context
from .look import Look
from .mailboxes import create, note_lists
from .standing import note_standing, take_away

TOGETHER = 1000
"""Messages moved or removed in one call, noted in one commit."""


async def act(context: Context, looked: list[Look], plan: MessagePlan) -> None:
    """Do it all."""
    context.unsettled |= plan.unsettled
    _record(context, looked, plan)
    await _flags(context, plan)
    for (end, source, target), rows in plan.moves.items():
        await _move(context, end, source, target, rows)
    later = []
    if any(len(one.new) for look in looked for one in look.differences.values()):
        from .copies import copy_known, copy_later

        later = await copy_known(context, looked, plan)
    await _add(context, plan)
    while later:
        further, later = await copy_later(context, later)
        await _add(context, further)
    await context.each(
        [(key, rows) for key, rows in plan.removes.items()],
        lambda item: _remove(context, *item[0], item[1]),
        lambda item: item[0],
    )
    places = [(look.key, end) for look in looked for end in BOTH]
    await context.each(places, lambda place: remove_doomed(context, *place), lambda place: place)
    for look in looked:
        await _delete(context, look)
    _settle(context, looked)


# What is noted before anything is done -------------------------------------------------------------


def _record(context: Context, looked: list[Look], plan: MessagePlan) -> None:
    state = context.state
    messages = state.messages
    lacking = []
    for (_, end), additions in plan.adds.items():
        for row in additions.rows:
            row.at(end).uid, row.at(end).gone, row.hold = None, False, None
            lacking.append(row)
    held = [row for rows in plan.holds.values() for row in rows]
    for rows in plan.removes.values():
        held += [row for row in rows if row.at(End.ONE).found is not None or row.at(End.TWO).found is not None]
    finished = [row for row, _, _ in context.finished]
    for row, _, end in context.finished:
        if row.at(end.other).gone:
            row.at(end.other).uid = None  # the brake has seen it: it was not lost with all UIDs
    changed = {id(row): row for row in [*plan.record, *lacking, *held, *finished] if row.key}
    listed = any(len(one.listed) or one.emails for look in looked for one in look.differences.values())
    new = [(look, end) for look in looked for end in look.changes if _unknown(look, end)]
    concerned = _concerned(plan) | {row.pair for row in changed.values()} | {pair for _, pair, _ in context.finished}
    listings = [
        (pair, end)
        for pair in concerned
        for end in BOTH
        if (known := context.joints[pair].known(end)) is not None and known.listing is not None
    ]
    left = {end: some for end, some in context.leftovers.items() if some}
    if not (listings or plan.drops or plan.found or changed or plan.holds or listed or new or context.lost or left):
        return
    with state.transaction():
        for look, end in new:
            place, validity = look.joint.at(end), look.changes[end].validity
            known = look.joint.known(end) or Known("" if place is None else place.name, place.id if place else None)
            if end in look.void:
                messages.renumbered(look.key, end)
            state.pairs.put(look.key, end, replace(known, validity=validity, cursor=None, state=None, listing=None))
        for pair, end in listings:  # an equal one is not to hide that what is noted now was undone
            state.pairs.forget_listing(pair, end)
        drops = {row.key: row.pair for row in plan.drops if row.key}
        if drops and (waiting := state.beside.undoom(list(drops))):  # gone before it came in place of its placeholder
            context.unsettled |= {drops.pop(key) for key in waiting} | {*waiting.values()}
            context.again = True
        messages.drop(list(drops))
        messages.insert(plan.found)
        for row in changed.values():
            _put(row)
        messages.relocate(list(changed.values()))
        for end, some in left.items():
            state.beside.leave(end, some)
            some.clear()
        for row, _, end in context.finished:
            messages.move_ended(end, [row.key])
        context.finished.clear()
        for look in looked:
            for end, difference in look.differences.items():
                if len(difference.listed):
                    messages.listed(end, difference.listed)
                if difference.emails:
                    messages.set_email(end, difference.emails)
        for (pair, end, reason), rows in plan.holds.items():
            state.holds.hold(pair, end, reason, context.clock.now(), [row.key for row in rows])
            _count_removed(context, end, rows)
        if context.lost:
            again = "The side took it twice, and does not show it."
            state.asides.put(
                [(key, end, again, 0, 0.0, False) for key, end in _lost(context, looked)], context.settings.largest
            )
        state.holds.sweep()


def _unknown(look: Look, end: End) -> bool:
    """Whether UIDs there are of another validity than the base knows: it has to know before it gets any of them."""
    known = look.joint.known(end)
    return known is None or known.validity != look.changes[end].validity


def _concerned(plan: MessagePlan) -> set[int]:
    """Pairs of which the base will get, lose or change a row."""
    found = {pair for (pair, _), additions in plan.adds.items() if len(additions)}
    found |= {pair for pair, _ in plan.removes} | {pair for _, *pairs in plan.moves for pair in pairs}
    found |= {row.pair for row in (*plan.drops, *plan.found)}
    for steps in plan.flags.values():
        for step in steps:
            found |= {place[0] for end in BOTH if (place := step.row.place(end)) is not None}
    return found


def _lost(context: Context, looked: list[Look]) -> list[tuple[int, End]]:
    rows = [row for look in looked for row in look.rows.values() if row.key in context.lost]
    return [(row.key, End.ONE if not row.one.present else End.TWO) for row in rows]


def _put(row: Row) -> None:
    """Make the row say where its message is now, as the state will."""
    places = {end: row.place(end) for end in BOTH}
    there = [place[0] for place in places.values() if place is not None]
    moved = bool(there) and row.pair not in there
    if moved:
        row.pair = there[0]
    for end in BOTH:
        half, place = row.at(end), places[end]
        if place is not None and place[0] == row.pair:
            half.uid, half.found, half.gone = place[1], None, False
        elif place is None and (moved or not half.gone):
            half.uid = None
        if half.gone or (place is not None and half.uid is None):  # until it is noted where it is now
            row.odd |= GONE[end]
        else:
            row.odd &= ~GONE[end]
    if row.one.present and row.two.present:
        row.odd &= ~(SENT | CUT)
        if len(there) == len(BOTH) and there[0] == there[1]:
            row.odd &= ~(MOVING[End.ONE] | MOVING[End.TWO])
        row.hold = None


# Flags ---------------------------------------------------------------------------------------------


async def _flags(context: Context, plan: MessagePlan) -> None:
    """Both sides and all mailboxes at once; noted together where all of a message's was done."""
    steps = [step for steps in plan.flags.values() for step in steps]
    if not steps:
        return
    wanted: dict[tuple[int, End], dict[tuple[Flags, Flags], list[int]]] = defaultdict(lambda: defaultdict(list))
    for step in steps:
        for end in BOTH:
            place = step.row.where(end)
            if place is not None and (step.add[end] or step.remove[end]):
                wanted[place[0], end][step.add[end], step.remove[end]].append(place[1])
    failed = set(wanted)

    async def set_flags(item: tuple[int, End]) -> None:
        pair, end = item
        changes = [FlagChange(sorted(uids), add, remove) for (add, remove), uids in wanted[item].items()]
        await context.sides[end].set_flags(context.name(pair, end), changes)
        failed.discard(item)
        context.touch(pair, end)
        context.did(end, "flagged", sum(len(change.uids) for change in changes))

    await context.each(list(wanted), set_flags, lambda item: item)
    rows, standing = [], []
    for step in steps:
        row, ends = step.row, [end for end in BOTH if step.add[end] or step.remove[end]]
        if any((place := row.where(end)) is not None and (place[0], end) in failed for end in ends):
            context.unsettled |= {row.pair, *(place[0] for end in BOTH if (place := row.where(end)) is not None)}
            continue
        _flagged(step, ends)
        rows.append((row.key, row.one.flags, row.two.flags, row.odd & 3))
        if row.stands is not None:
            standing.append(row)
    with context.state.transaction(durable=False):
        context.state.messages.set_flags(rows)
        if standing:
            note_standing(context, standing)
        for pair, end in wanted.keys() - failed:
            context.note_kept(pair, end, [add for add, _ in wanted[pair, end]])


def _flagged(step: FlagStep, ends: Collection[End]) -> None:
    row = step.row
    for end in BOTH:
        half = row.shown(end)
        half.flags, half.seen = step.after[end], None
        if end in ends and half is row.at(end):
            row.odd |= FRESH[end]


# Moves, additions, removals ------------------------------------------------------------------------


async def _move(context: Context, end: End, source: int, target: int, rows: list[Row]) -> None:
    side = context.sides[end]
    try:
        await _made(context, target, end)
        names = context.name(source, end), context.name(target, end)
        for start in range(0, len(rows), TOGETHER):
            some = {place[1]: row for row in rows[start : start + TOGETHER] if (place := row.place(end)) is not None}
            keys = [row.key for row in some.values()]
            with context.state.transaction():
                context.state.messages.move_begun(end, keys, target)
            answers = await side.move(names[0], sorted(some), names[1])
            context.touch(source, end)
            context.touch(target, end)
            tells = any(answers)
            moved = []
            for uid, answer in zip(sorted(some), answers, strict=True):
                row = some[uid]
                if answer or not tells:
                    row.at(end).found = (target, answer) if answer else None
                    row.at(end).uid, row.at(end).gone = None, False
                    _put(row)
                    if not answer:
                        row.odd |= SENT | FRESH[end]
                    moved.append(row)
                else:  # somebody moved it since we looked: what is new in the target may be the same message
                    context.unsettled |= {source, target}
                    context.later.add(target)
                    context.again = True
            with context.state.transaction():
                context.state.messages.relocate(moved)
                context.state.messages.move_ended(end, keys)
            context.did(end, "moved", len(moved))
    except MailboxUnavailable as error:
        context.unsettled |= {source, target}
        context.leave_out(context.joints[source].goal, end, error)


async def _made(context: Context, pair: int, end: End) -> None:
    """Make a mailbox that vanished on that side, now that something belongs into it."""
    joint = context.joints[pair]
    if joint.at(end) is None and joint.vanished(end):
        await create(context, joint, end, None)


async def _add(context: Context, plan: MessagePlan) -> None:
    """Both directions of a mailbox one after the other, the near side first; several mailboxes at once."""
    wanted: dict[int, list[End]] = defaultdict(list)
    for end in (End.TWO, End.ONE):
        for pair, there in plan.adds:
            if there is end and len(plan.adds[pair, end]):
                if (pair, end) in context.stopped or pair in context.later:
                    context.unsettled.add(pair)
                else:
                    wanted[pair].append(end)

    async def carry(item: tuple[int, End]) -> None:
        pair, end = item
        await _made(context, pair, end)
        await Carrier(context, pair, end, plan.adds[pair, end]).run()

    for end in (End.TWO, End.ONE):
        items = [(pair, end) for pair, ends in wanted.items() if end in ends]
        if items:
            coming(context.sides[end], sum(len(plan.adds[item]) for item in items))
        await context.each(items, carry, lambda item: item)


async def _remove(context: Context, pair: int, end: End, rows: list[Row]) -> None:
    trash = context.settings.trash
    for start in range(0, len(rows), TOGETHER):
        some = rows[start : start + TOGETHER]
        uids = sorted(place[1] for row in some if (place := row.place(end)) is not None)
        if trash.days:
            from .trash import keep

            spared = await keep(context, trash, pair, end, uids)
            if spared:
                context.unsettled.add(pair)
                why = (
                    f"{context.sides[end].title} does not give {len(spared)} of the messages that the trash is to keep."
                )
                context.leave_out(context.joints[pair].goal, end, MailboxUnavailable(why))
                uids = [uid for uid in uids if uid not in spared]
                some = [row for row in some if (place := row.place(end)) is None or place[1] not in spared]
        await _remove_beside(context, some)
        await context.sides[end].remove(context.name(pair, end), uids)
        context.touch(pair, end)
        with context.state.transaction():
            _count_removed(context, end.other, [row for row in some if row.hold is None])
            context.state.messages.drop([row.key for row in some])
            context.state.holds.sweep()
        context.did(end, "removed", len(some))


async def _remove_beside(context: Context, rows: Sequence[Row]) -> None:
    """What lies beside messages that are to be removed: nobody would know it once they are forgotten."""
    for pair, side, uid in context.state.beside.of([row.key for row in rows]):
        end = End(side)
        if not context.has(pair, end):
            raise MailboxUnavailable("What stands for a message is in a mailbox that is not looked at now.")
        await context.sides[end].remove(context.name(pair, end), [uid])
        context.touch(pair, end)


def _count_removed(context: Context, end: End, rows: Sequence[Row]) -> None:
    """Note for the brake that somebody removed these there. Within a transaction."""
    now, window = context.clock.now(), context.settings.brake.window
    for pair, number in Counter(row.pair for row in rows).items():
        context.state.holds.removed(pair, end, number, now, window)


async def remove_doomed(context: Context, pair: int, end: End) -> None:
    """What is still there beside the message: placeholders, and what moves that were cut off left."""
    uids = context.state.beside.to_remove(pair, end)
    if uids and end is End.TWO:
        await take_away(context, pair, uids)
    elif uids:
        await context.sides[end].remove(context.name(pair, end), sorted(uids))
        context.touch(pair, end)
        with context.state.transaction():
            context.state.beside.saved(pair, end, uids)


async def _delete(context: Context, look: Look) -> None:
    """A mailbox that is gone on one side and holds nothing on the other goes there too."""
    pair = look.key
    for end in BOTH:
        gone = look.joint.vanished(end) and look.joint.at(end) is None
        if not gone or pair in context.unsettled or context.state.messages.count_all(pair):
            continue
        there = end.other
        try:
            name = context.name(pair, there)
            if not await delete_empty(context.sides[there], name):
                context.unsettled.add(pair)  # something came meanwhile: the mailbox lives on
                context.touch(pair, there)
                continue
        except MailboxUnavailable as error:
            context.unsettled.add(pair)
            context.leave_out(look.joint.goal, there, error)
            continue
        context.did(there, "deleted")
        context.touch(pair, there)
        with context.state.transaction():
            context.state.pairs.drop(pair)
        del context.joints[pair]


# What is noted when all is done --------------------------------------------------------------------


def _settle(context: Context, looked: list[Look]) -> None:
    """Cursors and states of what was told and dealt with: the next look begins there."""
    state = context.state
    settled = [look for look in looked if look.key in context.joints and look.key not in context.unsettled]
    context.before -= {(look.key, end) for look in settled for end in look.changes}
    if settled:
        with state.transaction(durable=False):  # an older cursor tells more, and nothing wrong
            for look in settled:
                for end in BOTH:
                    known = _known(context, look, end)
                    if known is not None and known != look.joint.known(end):
                        state.pairs.put(look.key, end, known)
    note_lists(context, {look.key for look in settled})


def _known(context: Context, look: Look, end: End) -> Known | None:
    joint = look.joint
    place, before, changes = joint.at(end), joint.known(end), look.changes.get(end)
    touched = (look.key, end) in context.touched
    if (look.key, end) in context.made and place is not None:
        return Known(place.name, place.id, place.validity, role=place.role, subscribed=place.subscribed)
    if place is None:
        return None if before is None else replace(before, cursor=None, state=None, listing=None)
    if changes is None:
        if before is None:
            return None
        listing = None if touched else before.listing
        named = replace(before, name=_name(look, end), id=place.id, listing=listing)
        return replace(named, role=place.role, subscribed=place.subscribed)
    return Known(
        _name(look, end),
        place.id,
        changes.validity,
        changes.cursor,
        place.state,
        place.role,
        place.subscribed,
        None if touched else look.listings.get(end),
    )


def _name(look: Look, end: End) -> str:
    """Its name in the base: the new one once both sides have it, so that a rename that failed is tried again."""
    joint, place, known = look.joint, look.joint.at(end), look.joint.known(end)
    assert place is not None
    both = joint.one is not None and joint.two is not None and joint.one.name == joint.two.name
    return place.name if both or known is None else known.name
