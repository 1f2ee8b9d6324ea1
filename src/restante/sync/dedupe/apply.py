"""Does what a plan says: flags to the one that stays, the others to the trash; each step journalled before it is begun.

Just before a step what changed since the survey is read, and nothing is decided on an older state: a message that
stays must still be there, and not have been marked for removal; what is gone is not moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ..model import NO_FLAGS, FlagChange, Flags, Place
from ..side import MailboxUnavailable, Side
from .decide import Group, Plan, merged
from .journal import Entry, Journal, Moved
from .table import Table
from .undo import settle

GROUPS = 1_000
"""Groups of one step: what a line of the journal holds."""

TRASH = "Trash"
TRASH_NAMES = frozenset({"trash", "deleted messages", "deleted items", "bin"})
"""What other programs call it, where no mailbox has the role."""


@dataclass(slots=True)
class Outcome:
    """What was done. left: messages that were to move and did not, with the reason."""

    moved: int = 0
    flagged: int = 0
    left: list[tuple[int, str]] = field(default_factory=list)


def find_trash(places: Iterable[Place], name: str | None) -> str | None:
    """The mailbox that duplicates go to: the one named, else by its role, else by its name."""
    if name is not None:
        return name
    there = [place for place in places if place.selectable]
    by_role = next((place.name for place in there if place.role == "\\Trash"), None)
    return by_role or next((place.name for place in there if place.name.lower() in TRASH_NAMES), None)


async def apply(
    side: Side,
    table: Table,
    plan: Plan,
    journal: Journal,
    trash: str | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """Do it. trash: from `find_trash`; made where it is missing. The table's flags are brought up to now."""
    await settle(side, journal)
    place = next((each for each in await side.places() if each.name == (trash or TRASH)), None)
    if place is None:
        place = await side.create(trash or TRASH, "\\Trash")
    worker = _Worker(side, table, journal, place)
    for start in range(0, len(plan.groups), GROUPS):
        await worker.step(plan.groups[start : start + GROUPS])
        progress(worker.outcome.moved, plan.moves)
    journal.finish()
    return worker.outcome


class _Worker:
    def __init__(self, side: Side, table: Table, journal: Journal, trash: Place) -> None:
        self.outcome = Outcome()
        self._side = side
        self._table = table
        self._journal = journal
        self._trash = trash
        self._cursor = [box.cursor for box in table.boxes]
        self._lost: dict[int, str] = {}
        """Mailboxes that cannot be worked on any more, and why."""
        self._vanished: dict[int, set[int]] = {}
        """UIDs that went since the survey, by mailbox."""

    async def step(self, groups: Sequence[Group]) -> None:
        current = await self._current(groups)
        if not current:
            return
        number = self._journal.intend(self._trash.name, self._trash.validity, [self._entry(group) for group in current])
        await self._flag(current)
        uids = await self._move(current)
        self._journal.done(number, uids)

    async def _current(self, groups: Sequence[Group]) -> list[Group]:
        """The groups as they are now."""
        table = self._table
        wanted: dict[int, dict[int, int]] = {}
        for group in groups:
            for at in (group.keep, *group.move):
                wanted.setdefault(table.box[at], {})[table.uid[at]] = at
        gone: set[int] = set()
        for box, by_uid in wanted.items():
            gone |= await self._gone(box, by_uid)
        current = []
        for group in groups:
            move = tuple(at for at in group.move if at not in gone)
            self.outcome.left += [
                (at, self._lost[table.box[at]]) for at in group.move if at in gone and table.box[at] in self._lost
            ]
            reason = None
            if group.keep in gone:
                reason = self._lost.get(table.box[group.keep], "the one that was to stay is gone")
            elif "\\Deleted" in table.flags[group.keep] and not all("\\Deleted" in table.flags[at] for at in move):
                reason = "the one that was to stay has been marked for removal"
            if reason is not None:
                self.outcome.left += [(at, reason) for at in move]
            elif move:
                add = merged(table, group.keep, move)
                current.append(Group(group.kind, group.keep, group.filed, move, add))
        return current

    async def _gone(self, box: int, by_uid: dict[int, int]) -> set[int]:
        """Which of these are gone; the flags of the others as they are now. by_uid: positions in the table."""
        if box in self._lost:
            return set(by_uid.values())
        try:
            changes = await self._side.changes(self._table.boxes[box].name, self._cursor[box])
        except MailboxUnavailable as refusal:
            return self._lose(box, refusal.text, by_uid)
        if changes.validity != self._table.boxes[box].validity:
            return self._lose(box, "its mailbox is another one now", by_uid)
        self._cursor[box] = changes.cursor
        for uid, flags in zip(changes.uids, changes.flags, strict=True):
            if (at := by_uid.get(uid)) is not None:
                self._table.flags[at] = flags
        if changes.full:
            return {by_uid[uid] for uid in by_uid.keys() - set(changes.uids)}
        vanished = self._vanished.setdefault(box, set())
        vanished.update(changes.vanished)
        return {by_uid[uid] for uid in by_uid.keys() & vanished}

    def _lose(self, box: int, reason: str, by_uid: dict[int, int]) -> set[int]:
        self._lost[box] = reason
        return set(by_uid.values())

    def _entry(self, group: Group) -> Entry:
        move = tuple(self._as_it_was(at) for at in group.move)
        return Entry(self._as_it_was(group.keep), tuple(sorted(group.add)), move)

    def _as_it_was(self, at: int) -> Moved:
        table = self._table
        box, digest = table.boxes[table.box[at]], table.digest[at]
        assert digest is not None  # or it would be in no group
        return Moved(
            box.name, box.validity, table.uid[at], tuple(sorted(table.flags[at])), table.received[at], table.size[at],
            table.mark[at], digest,
        )  # fmt: skip

    async def _flag(self, groups: Sequence[Group]) -> None:
        """Merge flags. Where a mailbox refuses them its groups are left out: else what they say would be lost."""
        by_box: dict[int, dict[Flags, list[int]]] = {}
        for group in groups:
            if group.add:
                adding = by_box.setdefault(self._table.box[group.keep], {})
                adding.setdefault(group.add, []).append(self._table.uid[group.keep])
        for box, adding in by_box.items():
            changes = [FlagChange(sorted(uids), add, NO_FLAGS) for add, uids in adding.items()]
            try:
                await self._side.set_flags(self._table.boxes[box].name, changes)
            except MailboxUnavailable as refusal:
                self._lost[box] = refusal.text
            else:
                self.outcome.flagged += sum(map(len, adding.values()))

    async def _move(self, groups: Sequence[Group]) -> list[int | None]:
        """Move what is to move; its UIDs in the trash in the groups' order, None where it stayed."""
        table = self._table
        by_box: dict[int, list[int]] = {}
        for group in groups:
            if (reason := self._lost.get(table.box[group.keep])) is not None:
                self.outcome.left += [(at, reason) for at in group.move]
                continue
            for at in group.move:
                by_box.setdefault(table.box[at], []).append(at)
        there: dict[int, int] = {}
        for box, positions in by_box.items():
            uids = [table.uid[at] for at in positions]
            try:
                new = await self._side.move(table.boxes[box].name, uids, self._trash.name)
            except MailboxUnavailable as refusal:
                self.outcome.left += [(at, refusal.text) for at in positions]
                continue
            there.update(zip(positions, new, strict=True))
            self.outcome.moved += len(positions)
        return [there.get(at) for group in groups for at in group.move]
