"""What went from one mailbox to another at the source between two runs goes the same way at the target.

People go on using the old account until the day of the move: they file what was copied already, and rename mailboxes.
Copied anew, each such message would be at the target twice. So what an earlier run copied, and is gone from its place
at the source, is looked for among what is new: by header fields and size, then by its octets (in a mailbox that was
renamed and kept its UIDVALIDITY, the UID is proof enough). At the target it is moved, where it lies as it was put.

What moved is not paired here: the copying that follows finds it as it finds what a target has already, so that a kill
at any instant costs nothing but a look. What it is was noted before (`Book.depart`), in case it goes on at the source
meanwhile. A server without MOVE copies and then removes: what was cut off between the two lies in both places, and is
only removed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..model import Outline, Place
from ..outline import digest
from ..side import MailboxUnavailable, delete_empty
from .ledger.book import Filed, Flight, Moving
from .mailbox import BATCH_MESSAGES, OUTLINES, Both
from .model import Course

Ready = Callable[[int], Awaitable[Course]]
"""The course of that number, with its mailbox made at the target."""


@dataclass(slots=True)
class Moves:
    """number: of messages that were moved at the target, or would be. new: UIDs that they have at the source, by its
    mailboxes."""

    number: int = 0
    new: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))


async def follow(both: Both, courses: Sequence[Course], places: Mapping[str, Place], ready: Ready) -> Moves:
    """Move at the target what was moved at the source. places: of the source.

    Cost: nothing in a first run; else a listing of the source, and outlines of what is new where something is gone. A
    mailbox that cannot be used is left out. Raises SideUnavailable.
    """
    moves = Moves()
    going = [number for number, course in enumerate(courses) if not course.rest]
    flights = both.book.flights()
    if not flights and not both.book.pairs():
        return moves
    new: dict[int, list[int]] = {}
    there: dict[str, set[int]] = {}
    for number in going:
        name = courses[number].source
        try:
            seen = await both.source.changes(name, None)
        except MailboxUnavailable:
            continue  # the copying tells it
        there[name] = set(seen.uids)
        known = both.book.sources(name, seen.validity)
        if known is not None:
            new[number] = [uid for uid in seen.uids if uid not in known]
    landed = await _land(both, there, places) if flights else []
    lost = both.book.lost(there, places)
    if not lost or not (landed or any(new.values())):
        return moves
    lost = await _at_hand(both, lost)
    await _finish(both, landed, lost)
    for number, uids in new.items():
        place = places[courses[number].source]
        matched = await _matches(both, courses[number], place, uids, lost)
        if matched:
            await _move(both, number, place, matched, ready, moves)
    return moves


async def _at_hand(both: Both, lost: Mapping[bytes, Sequence[Moving]]) -> dict[bytes, list[Moving]]:
    """Those that lie at the target as they were put: not what somebody took away there, nor what a run that was cut off
    had moved already."""
    held: dict[int, set[int]] = {}
    for each in (one for some in lost.values() for one in some):
        if each.key not in held:
            try:
                there = await both.target.changes(each.target_mailbox, None)
            except MailboxUnavailable:
                held[each.key] = set()
            else:
                held[each.key] = set(there.uids) if there.validity == both.book.validities(each.key)[1] else set()
    return {mark: [one for one in some if one.target in held[one.key]] for mark, some in lost.items()}


async def _finish(both: Both, landed: Sequence[Flight], lost: Mapping[bytes, list[Moving]]) -> None:
    """Remove at the target what a server without MOVE had copied and not yet removed when a run was cut off."""
    for flight in landed if not both.dry_run else ():
        for one in list(lost.get(flight.mark, ())):
            if (one.key, one.target) != (flight.old_key, flight.old_target):
                continue
            try:
                await both.target.remove(one.target_mailbox, [one.target])
            except MailboxUnavailable:
                continue  # it is there twice
            both.book.forget(one.key, [one.source])
            lost[flight.mark].remove(one)


async def _land(both: Both, there: Mapping[str, set[int]], places: Mapping[str, Place]) -> list[Flight]:
    """Find at the target what was on its way when a run was cut off, and is gone from its place at the source since.

    It becomes a pair as if its arrival had been noted: whoever moved it, or its mailbox, is followed then. It is known
    by octets and INTERNALDATE, among what has no partner: what the target had before is paired off with its equals
    before anything is sent. What was found comes back.
    """
    landed: list[Flight] = []
    flights: dict[int, list[Flight]] = defaultdict(list)
    for flight in both.book.astray(there, places):
        flights[flight.key].append(flight)
    for key, some in flights.items():
        target = some[0].target_mailbox
        try:
            held = await both.target.changes(target, None)
            if held.validity != both.book.validities(key)[1]:
                continue
            free = sorted(set(held.uids) - both.book.claimed(target))
            filed = await _landed(both, target, free, some)
        except MailboxUnavailable:
            continue  # the copying tells it
        both.book.arrived(key, filed)
        both.book.never_landed(key, [each.source for each in some])
        found = {each.source for each in filed}
        landed += [each for each in some if each.source in found]
    return landed


async def _landed(both: Both, target: str, free: Sequence[int], flights: Sequence[Flight]) -> list[Filed]:
    waiting: dict[tuple[bytes, int], list[Flight]] = defaultdict(list)
    for flight in flights:
        waiting[flight.digest, flight.received].append(flight)
    marks = {flight.mark for flight in flights}
    uids = []
    for start in range(0, len(free), OUTLINES):
        uids += [
            one.uid for one in await both.target.outlines(target, free[start : start + OUTLINES]) if one.mark in marks
        ]
    nothing = both.book.number(frozenset())  # flags come together when its new place is copied
    filed = []
    for start in range(0, len(uids), BATCH_MESSAGES):
        async for message in both.target.fetch(target, uids[start : start + BATCH_MESSAGES]):
            if same := waiting.get((digest(message.data), message.received)):
                one = same.pop()
                filed.append(
                    Filed(one.source, message.uid, nothing, one.size, one.received, one.mark, one.digest, None)
                )
    return filed


async def clear_out(both: Both, places: Mapping[str, Place]) -> int:
    """Delete at the target the mailboxes that a run has made, that are empty, and that the source has no more: renamed
    there, most often, with their mail moved. How many."""
    deserted = both.book.deserted(places)
    if both.dry_run or not deserted:
        return 0
    there = {place.name: place for place in await both.target.places()}
    gone = 0
    for key, name in deserted:
        place = there.get(name)
        try:
            if place is not None:
                if not place.selectable or place.role is not None or any(one.startswith(name + "/") for one in there):
                    continue
                if place.subscribed:
                    await both.target.subscribe(name, False)
                if not await delete_empty(both.target, name):
                    continue
                del there[name]
                gone += 1
            both.book.desert(key, name)
        except MailboxUnavailable:
            continue  # it stays, empty
    return gone


async def _matches(
    both: Both, course: Course, place: Place, uids: Sequence[int], lost: dict[bytes, list[Moving]]
) -> list[tuple[int, Moving]]:
    """What of the lost is found among these, by UID at the source; it is lost no more."""
    matched: list[tuple[int, Moving]] = []
    try:
        for start in range(0, len(uids), OUTLINES):
            doubtful: list[Outline] = []
            for one in await both.source.outlines(course.source, uids[start : start + OUTLINES]):
                same = [e for e in lost.get(one.mark, ()) if None in (e.size, one.size) or e.size == one.size]
                renamed = [e for e in same if e.left and e.validity == place.validity and e.source == one.uid]
                if renamed and renamed[0].size is not None and one.size is not None:
                    matched.append((one.uid, _take(lost, one.mark, renamed[0])))
                elif same:
                    doubtful.append(one)
            matched += await _by_octets(both, course, doubtful, lost)
    except MailboxUnavailable:
        pass  # the copying tells it
    return matched


async def _by_octets(
    both: Both, course: Course, doubtful: Iterable[Outline], lost: dict[bytes, list[Moving]]
) -> list[tuple[int, Moving]]:
    marks = {one.uid: one.mark for one in doubtful}
    matched = []
    uids = sorted(marks)
    for start in range(0, len(uids), BATCH_MESSAGES):
        async for message in both.source.fetch(course.source, uids[start : start + BATCH_MESSAGES]):
            mark, print = marks[message.uid], digest(message.data)
            for each in lost.get(mark, ()):
                if each.digest == print:
                    matched.append((message.uid, _take(lost, mark, each)))
                    break
    return matched


def _take(lost: dict[bytes, list[Moving]], mark: bytes, one: Moving) -> Moving:
    lost[mark].remove(one)
    return one


async def _move(
    both: Both, number: int, place: Place, matched: Sequence[tuple[int, Moving]], ready: Ready, moves: Moves
) -> None:
    by_mailbox: dict[int, list[tuple[int, Moving]]] = defaultdict(list)
    for uid, each in matched:
        by_mailbox[each.key].append((uid, each))
    for key, pairs in by_mailbox.items():
        old = pairs[0][1].target_mailbox
        try:
            if not both.dry_run:
                course = await ready(number)
                if course.target != old:
                    await _depart(both, course, place.validity, pairs)
                    await _move_there(both, old, [each.target for _, each in pairs], course.target)
                elif not pairs[0][1].left:  # within its own mailbox: it is the same pair, whatever happens to this run
                    both.book.renumber(key, [(each.source, uid) for uid, each in pairs])
                both.book.forget(key, [each.source for _, each in pairs])
        except MailboxUnavailable:
            continue  # what could not be moved is copied
        moves.number += len(pairs)
        moves.new[place.name].update(uid for uid, _ in pairs)


async def _depart(both: Both, course: Course, validity: str, pairs: Sequence[tuple[int, Moving]]) -> None:
    """Note what is about to be moved into the course's mailbox. What was never read on either side has to be found by
    the next run as what it is now. Raises MailboxUnavailable."""
    there = await both.target.changes(course.target, None)
    key = both.book.mailbox(course.source, course.target, validity, there.validity)
    noted, old = [], []
    for uid, each in pairs:
        if each.digest is not None and each.received is not None:
            noted.append((uid, each.size, each.received, each.mark, each.digest))
            old.append((each.key, each.target))
    both.book.depart(key, noted, old)


async def _move_there(both: Both, old: str, uids: Sequence[int], target: str) -> None:
    """Move these at the target. Raises MailboxUnavailable."""
    copied = await _copied(both, old, uids, target)
    if copied:
        await both.target.remove(old, sorted(copied))
    rest = sorted(set(uids) - copied)
    if rest:
        await both.target.move(old, rest, target)


async def _copied(both: Both, old: str, uids: Sequence[int], target: str) -> set[int]:
    """Which of these lie in `target` too, octet for octet, each as one that has no partner at the source."""
    held = await both.target.changes(target, None)
    free = sorted(set(held.uids) - both.book.claimed(target))
    if not free:
        return set()
    new, marks = await _by_mark(both, target, free), await _by_mark(both, old, sorted(uids))
    same = new.keys() & marks.keys()
    there = Counter((await _prints(both, target, sorted(uid for mark in same for uid in new[mark]))).values())
    found = set()
    for uid, print in (await _prints(both, old, sorted(uid for mark in same for uid in marks[mark]))).items():
        if there[print]:
            there[print] -= 1
            found.add(uid)
    return found


async def _by_mark(both: Both, name: str, uids: Sequence[int]) -> dict[bytes, list[int]]:
    """UIDs in a mailbox of the target by what their headers are known by."""
    found: dict[bytes, list[int]] = defaultdict(list)
    for start in range(0, len(uids), OUTLINES):
        for one in await both.target.outlines(name, uids[start : start + OUTLINES]):
            found[one.mark].append(one.uid)
    return found


async def _prints(both: Both, name: str, uids: Sequence[int]) -> dict[int, bytes]:
    """Digests of messages of the target."""
    found = {}
    for start in range(0, len(uids), BATCH_MESSAGES):
        async for message in both.target.fetch(name, uids[start : start + BATCH_MESSAGES]):
            found[message.uid] = digest(message.data)
    return found
