"""Makes the proof of what both sides hold now: listed anew, octets read back, pair by pair.

A message is read back once: what the target gave is kept in the ledger, so that a second run reads back only what came
since. That it is still there, its flags, and the mailbox's UIDs are looked at each time; `verify` reads all again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from ..model import Changes, Flags
from ..outline import digest, mark
from ..side import MailboxUnavailable, Side
from .ledger.book import Back, Row
from .mailbox import BATCH_MESSAGES, OUTLINES, Both
from .model import Course, Depth
from .proof import CONTENT, DATE, FLAGS, MISSING, NEW, MailboxLine, MessageLine, Writer, instant


@dataclass(frozen=True, slots=True)
class Stretch:
    """A course that was gone. key: in the ledger, 0 where it did not come so far. last: largest UID of the source that
    was looked at. reason: why not all of it could be copied."""

    course: Course
    key: int
    last: int
    reason: str | None = None


async def read_back(both: Both, stretch: Stretch, depth: Depth) -> None:
    """Read what the ledger does not have yet of the octets (or outlines) on either side."""
    course, book = stretch.course, both.book
    try:
        there = await both.target.changes(course.target, None)
    except MailboxUnavailable:
        return
    if there.validity != book.validities(stretch.key)[1]:
        return
    held = set(there.uids)
    full = depth is Depth.FULL
    sources, targets, rows = [], [], 0
    for row in book.all_rows(stretch.key):
        rows += 1
        if (row.digest if full else row.mark) is None:
            sources.append(row.source)
        if (row.back_digest if full else row.back_mark) is None and row.target in held:
            targets.append(row.target)
    both.observer.advance(rows - len(targets), 0)
    try:
        async for found in _looks(both.source, course.source, sources, full=full):
            book.read_source(stretch.key, found)
        async for found in _looks(both.target, course.target, sorted(targets), full=full):
            book.read_back(stretch.key, found)
            both.observer.advance(len(found), sum(each.size or 0 for each in found) if full else 0)
    except MailboxUnavailable:
        return  # what was not read is said to be so, message by message


async def prove(both: Both, stretch: Stretch, writer: Writer, depth: Depth) -> None:
    """Write the mailbox's lines, of what was read back. Raises SideUnavailable."""
    course, book, key = stretch.course, both.book, stretch.key
    try:
        there = await both.target.changes(course.target, None)
    except MailboxUnavailable:
        there = Changes("", "", True)  # then nothing is there
    try:
        seen = await both.source.changes(course.source, None)
    except MailboxUnavailable as refusal:
        writer.write(MailboxLine(course.source, course.target, "", there.validity, refusal.text))
        return
    writer.write(MailboxLine(course.source, course.target, seen.validity, there.validity))
    counted = (seen.validity, there.validity) == book.validities(key)
    rows = book.all_rows(key) if counted else iter(())
    lines = _Lines(both, course, depth, there, stretch)
    reasons = {each.uid: each.reason for each in book.aside(key)}
    elsewhere = book.elsewhere(key)
    row = next(rows, None)
    for uid, flags in zip(seen.uids, seen.flags, strict=True):
        while row is not None and row.source < uid:
            row = next(rows, None)
        if row is not None and row.source == uid:
            writer.write(lines.pair(row, flags))
        elif uid not in elsewhere:
            writer.write(lines.alone(uid, flags, reasons.get(uid, stretch.reason)))


async def _looks(side: Side, name: str, uids: Sequence[int], *, full: bool) -> AsyncIterator[list[Back]]:
    size = BATCH_MESSAGES if full else OUTLINES
    for start in range(0, len(uids), size):
        part = uids[start : start + size]
        if full:
            yield [
                Back(m.uid, len(m.data), m.received, mark(m.data), digest(m.data)) async for m in side.fetch(name, part)
            ]
        else:
            yield [Back(o.uid, o.size, o.received, o.mark, None) for o in await side.outlines(name, part)]


class _Lines:
    """Makes a mailbox's message lines."""

    def __init__(self, both: Both, course: Course, depth: Depth, there: Changes, stretch: Stretch) -> None:
        self._plain = both.plain
        self._course = course
        self._full = depth is Depth.FULL
        self._held = dict(zip(there.uids, there.flags, strict=True))
        self._stretch = stretch

    def alone(self, uid: int, flags: Flags, reason: str | None) -> MessageLine:
        """A message that has no partner."""
        wrong = NEW if self._stretch.reason is None and uid > self._stretch.last else MISSING
        return MessageLine(self._course.source, uid, flags=self._names(flags), wrong=(wrong,), reason=reason)

    def pair(self, row: Row, flags: Flags) -> MessageLine:
        held = self._held.get(row.target)
        back_known = (row.back_digest if self._full else row.back_mark) is not None
        if held is None or not back_known:
            wrong: tuple[str, ...] = (MISSING,)
            reason: str | None = (
                "it is not at the target any more" if held is None else "the target did not give it back"
            )
            return self._line(row, flags, wrong, reason)
        wrong, reason = (), None
        if (row.digest if self._full else row.mark) is None:
            wrong, reason = (CONTENT,), "the source did not give it to be compared"
        elif row.digest != row.back_digest if self._full else not _alike(row):
            wrong = (CONTENT,)
        if row.received != row.back_received:
            wrong += (DATE,)
        names, there = self._names(flags), self._names(held)
        if names != there:
            wrong += (FLAGS,)
        return self._line(row, flags, wrong, reason, there)

    def _line(
        self, row: Row, flags: Flags, wrong: tuple[str, ...], reason: str | None, there: tuple[str, ...] | None = None
    ) -> MessageLine:
        return MessageLine(
            self._course.source,
            row.source,
            0 if MISSING in wrong else row.target,
            instant(row.received) if row.received is not None else "",
            self._names(flags),
            row.size,
            _hex(row.digest) if self._full else None,
            None if self._full else _hex(row.mark),
            row.uidl,
            wrong,
            reason,
            instant(row.back_received) if DATE in wrong and row.back_received is not None else None,
            there if FLAGS in wrong else None,
            row.back_size if CONTENT in wrong else None,
            _hex(row.back_digest) if CONTENT in wrong and self._full else None,
            _hex(row.back_mark) if CONTENT in wrong and not self._full else None,
        )

    def _names(self, flags: Flags) -> tuple[str, ...]:
        return tuple(sorted(self._plain(flags)))


def _alike(row: Row) -> bool:
    sizes = (row.size, row.back_size)
    return row.mark == row.back_mark and (None in sizes or sizes[0] == sizes[1])


def _hex(octets: bytes | None) -> str | None:
    return octets.hex() if octets is not None else None
