"""Looks again whether a side holds what a proof says.

Each message is looked for under its UID and read. What is not there any more (or all of a mailbox whose UIDs began
anew) is then looked for by its octets among the messages that the proof does not name, in all mailboxes: people move
and sort mail, and that is no loss. Flags that have changed are told apart from damage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from pathlib import Path

from ..model import Changes, Flags, Spelling
from ..outline import digest
from ..side import MailboxUnavailable, Side
from .mailbox import BATCH_MESSAGES, OUTLINES
from .model import Depth, Observer
from .proof import NEW, MailboxLine, MessageLine, instant, mailboxes, read


class Of(Enum):
    """Which side of a proof is looked at."""

    SOURCE = "source"
    TARGET = "target"


class Kind(Enum):
    """What has become of a message. MISSING, CONTENT and DATE are damage; MOVED, RENUMBERED and FLAGS somebody's
    doing: it is in another mailbox, has another UID in the same one, is flagged otherwise."""

    MISSING = "missing"
    CONTENT = "content"
    DATE = "date"
    MOVED = "moved"
    RENUMBERED = "renumbered"
    FLAGS = "flags"


DAMAGE = frozenset({Kind.MISSING, Kind.CONTENT, Kind.DATE})


@dataclass(frozen=True, slots=True)
class Finding:
    """A message that is not as the proof says. mailbox, uid: on the side looked at, as in the proof (uid 0: the proof
    says that it is not there). source_uid: of the source. was, now: what the proof says, and what is."""

    kind: Kind
    mailbox: str
    uid: int
    source_uid: int
    was: str = ""
    now: str = ""


@dataclass(slots=True)
class Verification:
    """messages: that the proof names. same: of them, as it says. unlisted: mailboxes that the proof could not list."""

    messages: int = 0
    same: int = 0
    unlisted: int = 0
    findings: list[Finding] = field(default_factory=list)

    def count(self, kind: Kind) -> int:
        return sum(each.kind is kind for each in self.findings)

    @property
    def damaged(self) -> bool:
        return self.unlisted > 0 or any(each.kind in DAMAGE for each in self.findings)


@dataclass(frozen=True, slots=True)
class _Expected:
    """What a message of the side is to be. print: SHA-256, or mark (quick)."""

    mailbox: str
    uid: int
    source_uid: int
    print: str | None
    size: int | None
    date: str
    flags: tuple[str, ...]


async def verify(path: Path, side: Side, of: Of, observer: Observer) -> Verification:
    """Compare an open side with the proof at `path`. Raises ProofRefusal, SideUnavailable."""
    head, end = read(path)
    work = _Verify(side, of, Depth(head.depth), observer)
    observer.begin("Verifying", end.messages)
    names = {place.name for place in await side.places() if place.selectable}
    for mailbox, lines in mailboxes(path):
        work.result.unlisted += mailbox.reason is not None
        await work.mailbox(mailbox, lines, names)
    if work.lost:
        observer.begin("Looking for what is not in its place", len(work.lost))
        await work.seek(names)
    work.result.findings.sort(key=lambda each: (each.mailbox, each.uid, each.source_uid))
    return work.result


class _Verify:
    def __init__(self, side: Side, of: Of, depth: Depth, observer: Observer) -> None:
        self.result = Verification()
        self.lost: list[_Expected] = []
        self._side = side
        self._of = of
        self._full = depth is Depth.FULL
        self._observer = observer
        self._spelling = Spelling()
        self._named: dict[str, set[int]] = defaultdict(set)
        """UIDs by mailbox, of messages that were found in their place."""

    async def mailbox(self, mailbox: MailboxLine, lines: Iterator[MessageLine], names: set[str]) -> None:
        name = mailbox.target if self._of is Of.TARGET else mailbox.mailbox
        validity = mailbox.target_validity if self._of is Of.TARGET else mailbox.validity
        there = await self._changes(name) if name in names else Changes("", "", True)
        held: dict[int, Flags] = {}
        if there.validity == validity:
            held = dict(zip(there.uids, there.flags, strict=True))
        # What came to the source after the copying was never promised to the target.
        promised = (line for line in lines if self._of is Of.SOURCE or NEW not in line.wrong)
        expected = (self._expected(name, line) for line in promised)
        while part := list(islice(expected, BATCH_MESSAGES if self._full else OUTLINES)):
            self.result.messages += len(part)
            here = [each for each in part if each.uid in held]
            self.lost += [each for each in part if each.uid not in held]
            found = await self._look(name, [each.uid for each in here])
            octets = 0
            for each in here:
                print = found.get(each.uid)
                if print is None:
                    self.lost.append(each)  # went between the two looks
                    continue
                self._named[name].add(each.uid)
                octets += print[1] or 0
                self._compare(each, print, held[each.uid])
            self._observer.advance(len(part), octets if self._full else 0)

    async def _changes(self, name: str) -> Changes:
        try:
            return await self._side.changes(name, None)
        except MailboxUnavailable:
            return Changes("", "", True)

    def _expected(self, name: str, line: MessageLine) -> _Expected:
        if self._of is Of.SOURCE:
            uid, date, flags = line.uid, line.date, line.flags
            size, print = line.size, line.sha256 if self._full else line.mark
        else:
            uid = line.target_uid
            date = line.target_date if line.target_date is not None else line.date
            flags = line.target_flags if line.target_flags is not None else line.flags
            size = line.target_size if line.target_size is not None else line.size
            own, other = (line.sha256, line.target_sha256) if self._full else (line.mark, line.target_mark)
            print = own if other is None else other
        return _Expected(name, uid, line.uid, print, size, date, tuple(sorted(self._spelling.flags(flags))))

    async def _look(self, name: str, uids: list[int]) -> dict[int, tuple[str, int | None, str]]:
        """print, size and date by UID."""
        if not uids:
            return {}
        try:
            if self._full:
                return {
                    m.uid: (digest(m.data).hex(), len(m.data), instant(m.received))
                    async for m in self._side.fetch(name, sorted(uids))
                }
            outlines = await self._side.outlines(name, sorted(uids))
            return {each.uid: (each.mark.hex(), each.size, instant(each.received)) for each in outlines}
        except MailboxUnavailable:
            return {}

    def _compare(self, each: _Expected, found: tuple[str, int | None, str], flags: Flags) -> None:
        print, size, date = found
        wrong = False
        if each.print is not None and (print != each.print or (None not in (size, each.size) and size != each.size)):
            wrong = self._find(Kind.CONTENT, each, each.print, print)
        if each.date and date != each.date:
            wrong = self._find(Kind.DATE, each, each.date, date)
        names = tuple(sorted(self._spelling.flags(flags)))
        if names != each.flags:
            wrong = self._find(Kind.FLAGS, each, " ".join(each.flags), " ".join(names))
        self.result.same += not wrong

    def _find(self, kind: Kind, each: _Expected, was: str, now: str) -> bool:
        self.result.findings.append(Finding(kind, each.mailbox, each.uid, each.source_uid, was, now))
        return True

    # What is not in its place ----------------------------------------------------------------------

    async def seek(self, names: set[str]) -> None:
        """Look for what is lost among the messages that are in nobody's place, its own mailbox first."""
        wanted: dict[str, list[_Expected]] = defaultdict(list)
        for each in self.lost:
            if each.print is None:
                self._find(Kind.MISSING, each, "", "")
            else:
                wanted[each.print].append(each)
        sizes = {each.size for each in self.lost if each.print is not None}
        if wanted:
            own = {each.mailbox for each in self.lost}
            for name in sorted(names, key=lambda name: (name not in own, name)):
                await self._seek_in(name, wanted, sizes)
        for left in wanted.values():
            for each in left:
                self._find(Kind.MISSING, each, "", "")

    async def _seek_in(self, name: str, wanted: dict[str, list[_Expected]], sizes: set[int | None]) -> None:
        named = self._named[name]
        free = [uid for uid in (await self._changes(name)).uids if uid not in named]
        for start in range(0, len(free), OUTLINES):
            if not wanted:
                return
            try:
                outlines = await self._side.outlines(name, free[start : start + OUTLINES])
            except MailboxUnavailable:
                return
            near = [each.uid for each in outlines if each.size is None or each.size in sizes or None in sizes]
            for at in range(0, len(near), BATCH_MESSAGES):
                found = await self._look(name, near[at : at + BATCH_MESSAGES])
                for uid in sorted(found):
                    self._place(name, uid, found[uid][0], wanted)

    def _place(self, name: str, uid: int, print: str, wanted: dict[str, list[_Expected]]) -> None:
        candidates = wanted.get(print, [])
        if not candidates:
            return
        index = next((i for i, each in enumerate(candidates) if each.mailbox == name), 0)
        each = candidates.pop(index)
        if not candidates:
            del wanted[print]
        kind = Kind.RENUMBERED if each.mailbox == name else Kind.MOVED
        self._find(kind, each, "", f"{name} {uid}")
