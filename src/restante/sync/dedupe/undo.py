"""Puts back what a run moved to the trash, with the flags it had, and takes merged flags off what stayed.

What lies in the trash is known by UID and content, or by content alone where the UID was not told or is another now.
What is no longer there cannot be put back, and is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..model import NO_FLAGS, FlagChange, Flags, Outline
from ..outline import digest
from ..side import Side
from .journal import Journal, Moved, Step

Wanted = tuple[Moved, int | None]
"""A message that moved, and its UID in the trash: 0 where that is not known, None where it did not move."""


@dataclass(slots=True)
class Undone:
    """What was put back. missing: messages that are not in the trash any more. unflagged: messages that stayed and
    could not be given back the flags they had, since they are gone or somewhere else."""

    back: int = 0
    missing: list[Moved] = field(default_factory=list)
    unflagged: list[Moved] = field(default_factory=list)


async def undo(side: Side, journal: Journal) -> Undone:
    """Put all back. Cut off, it can be asked for again. Raises MailboxUnavailable where a mailbox can be neither used
    nor made again."""
    worker = _Worker(side, journal)
    await worker.settle()
    for step in journal.steps():
        await worker.step(step)
    return worker.undone


async def settle(side: Side, journal: Journal) -> None:
    """Find out what became of a step that was cut off, and note it: before more is done, which would blur that."""
    if not journal.settled:
        await _Worker(side, journal).settle()


class _Trash:
    """What lies in one trash mailbox."""

    def __init__(self, side: Side, name: str) -> None:
        self._side = side
        self.name = name
        self.validity = ""
        self.flags: dict[int, Flags] = {}
        self._outlines: dict[int, Outline] | None = None
        self._digests: dict[int, bytes] = {}
        self.reserved: set[int] = set()
        """UIDs that the journal knows to belong to some message: no other is looked for there."""

    async def read(self) -> None:
        if self.name not in {place.name for place in await self._side.places()}:
            return  # gone, with all that was in it: each message is told as missing
        changes = await self._side.changes(self.name, None)
        self.validity = changes.validity
        self.flags = dict(zip(changes.uids, changes.flags, strict=True))

    async def find(self, wanted: list[Wanted], validity: str, *, by_content: bool) -> dict[int, int]:
        """Where these are: position in `wanted` -> UID. validity: under which the UIDs were given.

        by_content: whether one whose UID is known, and is not there any more, may be found under another.
        """
        same = validity == self.validity
        known = {uid: at for at, (_, uid) in enumerate(wanted) if uid and same and uid in self.flags}
        found: dict[int, int] = {}
        for outline in await self._side.outlines(self.name, sorted(known)) if known else ():
            at = known[outline.uid]
            if _alike(outline, wanted[at][0]):
                found[at] = outline.uid
        rest = [at for at in range(len(wanted)) if at not in found and (by_content or not wanted[at][1])]
        if rest and self.flags:
            found.update(await self._by_content({at: wanted[at][0] for at in rest}, set(found.values())))
        return found

    async def _by_content(self, wanted: dict[int, Moved], taken: set[int]) -> dict[int, int]:
        if self._outlines is None:
            self._outlines = {one.uid: one for one in await self._side.outlines(self.name, sorted(self.flags))}
        marks, taken = {message.mark for message in wanted.values()}, taken | self.reserved
        alike = [
            one for uid, one in self._outlines.items() if one.mark in marks and uid in self.flags and uid not in taken
        ]
        await self._know(alike)
        by_digest: dict[bytes, list[Outline]] = {}
        for one in alike:
            by_digest.setdefault(self._digests[one.uid], []).append(one)
        found = {}
        for at, message in wanted.items():
            same = by_digest.get(message.digest)
            if same:
                # The person may have thrown away one like it before: what has the flags and date, and came last, is it.
                before = frozenset(message.flags)
                best = min(
                    same, key=lambda one: (self.flags[one.uid] != before, one.received != message.received, -one.uid)
                )
                same.remove(best)
                found[at] = best.uid
        return found

    async def _know(self, outlines: Iterable[Outline]) -> None:
        """What these messages are, to the octet."""
        for one in outlines:
            if one.digest is not None:
                self._digests[one.uid] = one.digest
        unknown = sorted(one.uid for one in outlines if one.uid not in self._digests)
        if unknown:
            async for message in self._side.fetch(self.name, unknown):
                self._digests[message.uid] = digest(message.data)
            for uid in unknown:
                self._digests.setdefault(uid, b"")  # gone meanwhile

    def left(self, uids: Iterable[int]) -> None:
        """These have been moved out."""
        for uid in uids:
            del self.flags[uid]


class _Worker:
    def __init__(self, side: Side, journal: Journal) -> None:
        self.undone = Undone()
        self._side = side
        self._journal = journal
        self._trash: dict[str, _Trash] = {}
        self._there: dict[str, str] | None = None
        """Mailboxes there are, with their validity."""

    async def settle(self) -> None:
        """See the function of this name."""
        for step in self._journal.steps():
            trash = await self._of(step)
            if step.uids is not None and step.validity == trash.validity:
                trash.reserved.update(uid for uid in step.uids if uid)
        for step in self._journal.steps():
            if step.uids is None:
                moved = [message for entry in step.entries for message in entry.move]
                unmoved = await self._still_there(moved)
                await self._unmark(unmoved)
                wanted: list[Wanted] = [(message, 0) for message in moved if message not in unmoved]
                trash = await self._of(step)
                found = await trash.find(wanted, trash.validity, by_content=True)
                uids = iter([found.get(at, 0) for at in range(len(wanted))])
                self._journal.done(step.number, [None if one in unmoved else next(uids) for one in moved])

    async def _of(self, step: Step) -> _Trash:
        """The trash that the step's messages went to."""
        trash = self._trash.get(step.trash)
        if trash is None:
            trash = self._trash[step.trash] = _Trash(self._side, step.trash)
            await trash.read()
        return trash

    async def step(self, step: Step) -> None:
        trash = await self._of(step)
        moved = [message for entry in step.entries for message in entry.move]
        assert step.uids is not None  # or it has been settled
        wanted = [one for one in zip(moved, step.uids, strict=True) if one[1] is not None]
        found = await trash.find(wanted, step.validity, by_content=not step.begun)
        if not step.begun:  # else some have been put back already, and are rightly missing
            self._journal.undoing(step.number)
            self.undone.missing += [message for at, (message, _) in enumerate(wanted) if at not in found]
        await self._reflag(trash, [(wanted[at][0], uid) for at, uid in found.items()])
        back: dict[str, list[int]] = {}
        for at, uid in found.items():
            back.setdefault(wanted[at][0].box, []).append(uid)
        for box, uids in back.items():
            await self._make(box)
            await self._side.move(trash.name, sorted(uids), box)
            trash.left(uids)
            self.undone.back += len(uids)
        await self._unmerge(step)
        self._journal.undid(step.number)

    async def _still_there(self, messages: Iterable[Moved]) -> set[Moved]:
        """Which of these are where they were."""
        by_box: dict[tuple[str, str], dict[int, Moved]] = {}
        for message in messages:
            by_box.setdefault((message.box, message.validity), {})[message.uid] = message
        there = set()
        for (box, validity), by_uid in by_box.items():
            if (await self._places()).get(box) == validity:
                for outline in await self._side.outlines(box, sorted(by_uid)):
                    if _alike(outline, by_uid[outline.uid]):
                        there.add(by_uid[outline.uid])
        return there

    async def _unmark(self, unmoved: Iterable[Moved]) -> None:
        """Take off \\Deleted, which a server without MOVE may have been given when the run was cut off."""
        by_box: dict[str, list[int]] = {}
        for message in unmoved:
            if "\\Deleted" not in message.flags:
                by_box.setdefault(message.box, []).append(message.uid)
        for box, uids in by_box.items():
            await self._side.set_flags(box, [FlagChange(sorted(uids), NO_FLAGS, frozenset({"\\Deleted"}))])

    async def _reflag(self, trash: _Trash, messages: list[tuple[Moved, int]]) -> None:
        """Give messages in the trash the flags they had before, which they take along."""
        changes: dict[tuple[Flags, Flags], list[int]] = {}
        for message, uid in messages:
            now, before = trash.flags[uid], frozenset(message.flags)
            add, remove = _without(before, now), _without(now, before)
            if add or remove:
                changes.setdefault((add, remove), []).append(uid)
        if changes:
            await self._side.set_flags(
                trash.name, [FlagChange(sorted(uids), add, remove) for (add, remove), uids in changes.items()]
            )

    async def _unmerge(self, step: Step) -> None:
        """Take off what stayed the flags that were merged into it."""
        merged = [entry for entry in step.entries if entry.add]
        there = await self._still_there(entry.keep for entry in merged)
        changes: dict[str, dict[Flags, list[int]]] = {}
        for entry in merged:
            if entry.keep in there:
                changes.setdefault(entry.keep.box, {}).setdefault(frozenset(entry.add), []).append(entry.keep.uid)
            else:
                self.undone.unflagged.append(entry.keep)
        for box, by_flags in changes.items():
            await self._side.set_flags(
                box, [FlagChange(sorted(uids), NO_FLAGS, remove) for remove, uids in by_flags.items()]
            )

    async def _make(self, box: str) -> None:
        """The mailbox it came from, made again where it is gone."""
        places = await self._places()
        if box not in places:
            places[box] = (await self._side.create(box, None)).validity

    async def _places(self) -> dict[str, str]:
        if self._there is None:
            self._there = {place.name: place.validity for place in await self._side.places() if place.selectable}
        return self._there


def _without(flags: Flags, others: Flags) -> Flags:
    """Those that are not among the others, whatever their letters' case."""
    lower = {flag.lower() for flag in others}
    return frozenset(flag for flag in flags if flag.lower() not in lower)


def _alike(outline: Outline, message: Moved) -> bool:
    return outline.mark == message.mark and (outline.size is None or message.size in (-1, outline.size))
