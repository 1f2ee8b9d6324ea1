"""Taking one account: what changed since its last root is written, the rest referred to.

```
one look: the mark is the one of last time            -> the same root
else, at one instant:  mailbox untouched              -> the same segments
                       changed, and the log reaches   -> one segment more: gone, flagged, placed
                       else                           -> its segments are written anew
after it:              contents that the repository lacks, then the root
```
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING

from ..store.errors import UNREADABLE
from ..values import Record, field
from .apart import apart
from .errors import Corrupt, NeedsPrivateKey
from .objects import AccountData, AccountLine, HiddenData, MailboxData, MarkData, Pop3Data, SeenData, Struct
from .segments import Changes, make_catalogue, make_segment

if TYPE_CHECKING:
    from ..clock import Clock
    from ..store.backup import AnswerRow, Head, Instant, MailboxRow, Mark
    from .source import Read
    from .writer import Writer

ROWS = 20_000
"""Messages of a segment that is written whole, and rows read at once."""
GROUP_OCTETS = 8 << 20
SIDE_BITS = 13
"""Sides are cut at multiples of 2^13 UIDs, so that one that changed is one small object."""
MOST_SEGMENTS = 40
"""Segments of a mailbox beside those of a whole writing, past which it is written anew: a restore reads all of them."""
LEAST_WEIGHT = 1_000
NEVER = MarkData("", 0, ())
"""The mark of no account: one of which something is missing is looked at by every run, so that it is told of each time,
and taken as soon as it can be read."""


class Taken(Record):
    """What a run did. octets: of messages that were read."""

    messages: int = 0
    octets: int = 0
    unreadable: list[bytes] = field(default_factory=list)
    """SHA-256 of messages whose octets the store could not give."""


class Wanted(Record):
    """Contents to be read after the instant: columns, 44 octets a message; and of each segment that was written, the
    UIDs and orders of what came, whose answers are read: 12 octets a message."""

    contents: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    digests: bytearray = field(default_factory=bytearray)
    segments: dict[bytes, tuple[array[int], array[int]]] = field(default_factory=dict)

    def groups(self) -> Iterator[tuple[list[int], list[bytes]]]:
        """(contents, digests) of a bounded number of octets each; a larger message alone."""
        keys: list[int] = []
        digests: list[bytes] = []
        octets = 0
        for number, (key, size) in enumerate(zip(self.contents, self.sizes, strict=True)):
            if keys and octets + size > GROUP_OCTETS:
                yield keys, digests
                keys, digests, octets = [], [], 0
            keys.append(key)
            digests.append(bytes(self.digests[number * 32 : number * 32 + 32]))
            octets += size
        if keys:
            yield keys, digests


def same(mark: Mark, data: MarkData) -> bool:
    """Whether an account is as it was when this mark was taken."""
    return (mark.incarnation, mark.modseq, mark.beside) == (data.incarnation, data.modseq, data.beside)


async def take(
    store: Read, address: str, line: AccountLine | None, writer: Writer, clock: Clock, taken: Taken
) -> AccountLine:
    """The account's line for a new snapshot. line: its last one. Raises StoreRefusal, BackupRefusal."""
    if line is not None and same(await store.mark(), line.mark):
        return line if line.address == address else _renamed(line, address)
    last = await _last(writer, line) if line is not None else None
    wanted = Wanted()
    async with store.instant() as instant:
        at = int(clock.now())
        head = await instant.head()
        boxes = [await _mailbox(instant, head, box, last, writer, wanted) for box in head.mailboxes]
        sides = await _sides(instant, writer)
    taken.messages += len(wanted.contents)
    before = len(taken.unreadable)
    await _contents(store, wanted, writer, taken)
    answers = (dict(last.answers) if last is not None else {}) | await _answers(store, wanted, writer)
    segments = sorted({segment for box in boxes for segment in box.segments})
    root = AccountData(
        1,
        store.account,
        at,
        MarkData(*head.mark),
        head.uidvalidity,
        head.created,
        tuple(boxes),
        tuple(map(tuple, head.tombstones)),  # type: ignore[arg-type]  # named tuples become plain ones
        head.keywords,
        head.subscriptions,
        head.acl,
        head.annotations,
        *sides,
        tuple(sorted(set(taken.unreadable[before:]))),
        tuple((segment, answers[segment]) for segment in segments if segment in answers),
    )
    messages, octets = sum(box.messages for box in boxes), sum(box.octets for box in boxes)
    id = await apart(writer.put_data, root)
    return AccountLine(store.account, address, at, NEVER if root.missing else root.mark, id, messages, octets)


async def _last(writer: Writer, line: AccountLine) -> AccountData | None:
    """The account's last root, where what it says can be gone on from: not where it is damaged, nor where messages
    were left out, which may be readable now."""
    try:
        last = await apart(writer.repository.read, line.root, AccountData)
    except Corrupt as error:
        writer.repository.complaints.append(error)
        return None
    except NeedsPrivateKey:
        return None  # of a sealed backup, and not remembered
    return None if last.missing else last


def _renamed(line: AccountLine, address: str) -> AccountLine:
    return AccountLine(line.id, address, line.at, line.mark, line.root, line.messages, line.octets)


async def _mailbox(
    instant: Instant, head: Head, box: MailboxRow, last: AccountData | None, writer: Writer, wanted: Wanted
) -> MailboxData:
    """The mailbox's line, with what has to be written of it written."""
    before = None
    if last is not None and last.mark.incarnation == head.mark.incarnation:
        before = next((each for each in last.mailboxes if each.key == box.key), None)
    if last is None or before is None or head.log_floor > last.mark.modseq:
        # Not the mailbox's own number: the floor rises over that of one that nobody has touched for half a year.
        return await _whole(instant, head, box, writer, wanted)
    if before.highest_modseq == box.highest_modseq and before.uidnext == box.uidnext:
        return _line(box, before.segments, before.weight)
    gone = [uid for uid in await instant.gone(box.key, before.highest_modseq) if uid < before.uidnext]
    flagged = await instant.flagged(box.key, before.highest_modseq, before.uidnext)
    came = box.messages - before.messages + len(gone)
    if not (gone or flagged or came):
        return _line(box, before.segments, before.weight)
    weight = before.weight + len(gone) + len(flagged) + came
    most = MOST_SEGMENTS + box.messages // ROWS
    if weight > max(LEAST_WEIGHT, box.messages // 2) or len(before.segments) + came // ROWS >= most:
        return await _whole(instant, head, box, writer, wanted)
    segments = list(before.segments)
    changes: Changes | None = Changes((), gone, flagged)
    after = before.uidnext - 1
    while (rows := await instant.placed(box.key, after, ROWS)) or changes is not None:
        changes = Changes(rows, changes.gone, changes.flagged) if changes is not None else Changes(rows)
        segments.append(await _put(instant, head, box, changes, writer, wanted))
        if not rows:
            break
        after, changes = rows[-1][0], None
    return _line(box, tuple(segments), weight)


async def _whole(instant: Instant, head: Head, box: MailboxRow, writer: Writer, wanted: Wanted) -> MailboxData:
    segments = []
    after = 0
    while rows := await instant.placed(box.key, after, ROWS):
        segments.append(await _put(instant, head, box, Changes(rows), writer, wanted))
        after = rows[-1][0]
    return _line(box, tuple(segments), 0)


def _line(box: MailboxRow, segments: tuple[bytes, ...], weight: int) -> MailboxData:
    return MailboxData(*box, segments, weight)


async def _put(
    instant: Instant, head: Head, box: MailboxRow, changes: Changes, writer: Writer, wanted: Wanted
) -> bytes:
    """The id of a segment with these changes."""
    catalogue = b""
    if changes.placed:
        rows = await instant.catalogue(box.key, changes.placed[0][0], changes.placed[-1][0])
        catalogue = await apart(writer.put_data, make_catalogue(rows))
        wanted.contents.extend([row[4] for row in changes.placed])
        wanted.sizes.extend([row[6] for row in changes.placed])
        wanted.digests += b"".join([row[5] for row in changes.placed])
    id = await apart(writer.put_data, make_segment(changes, head.flag_sets, catalogue))
    if changes.placed:
        uids, orders = [row[0] for row in changes.placed], [row[1] for row in changes.placed]
        wanted.segments[id] = (array("I", uids), array("q", orders))
    return id


async def _sides(instant: Instant, writer: Writer) -> tuple[tuple[bytes, ...], tuple[bytes, ...], tuple[bytes, ...]]:
    """What belongs to few messages, or changes without a number: read whole, cut where it stays the same."""
    pop3 = [Pop3Data(tuple(rows)) for _, rows in groupby(await instant.pop3(), _place)]
    hidden = [HiddenData(tuple(orders)) for _, orders in groupby(await instant.hidden(), lambda one: one >> SIDE_BITS)]
    seen = [SeenData(tuple(rows)) for _, rows in groupby(await instant.seen(), _place)]

    def put(sides: Sequence[Struct]) -> tuple[bytes, ...]:
        return tuple(writer.put_data(each) for each in sides)

    return await apart(lambda: (put(pop3), put(hidden), put(seen)))


def _place(row: tuple[int, int, *tuple[object, ...]]) -> tuple[int, int]:
    return row[0], row[1] >> SIDE_BITS


async def _contents(store: Read, wanted: Wanted, writer: Writer, taken: Taken) -> None:
    """Read and write what the repository lacks."""
    lacking = Wanted()
    seen: set[bytes] = set()
    for number, (key, size) in enumerate(zip(wanted.contents, wanted.sizes, strict=True)):
        digest = bytes(wanted.digests[number * 32 : number * 32 + 32])
        if digest not in seen and not writer.has_message(digest):
            seen.add(digest)
            lacking.contents.append(key)
            lacking.sizes.append(size)
            lacking.digests += digest
    for keys, digests in lacking.groups():
        await _group(store, keys, digests, writer, taken)


async def _answers(store: Read, wanted: Wanted, writer: Writer) -> dict[bytes, bytes]:
    """What is answered for messages of new segments, written: ids of objects, joined, by the segment's id."""
    found: dict[bytes, bytes] = {}
    if not wanted.segments:
        return found
    from .answers import answers_data, runs

    def put(rows: Sequence[AnswerRow | None]) -> bytes:
        return writer.put_data(answers_data(rows))

    for segment, (uids, orders) in wanted.segments.items():
        ids = []
        for low, high in runs(uids):
            try:
                rows = await store.answers(orders[low:high])
            except UNREADABLE:
                rows = [None] * (high - low)  # they can be made again: no reason to have less of the account
            ids.append(await apart(put, rows))
        found[segment] = b"".join(ids)
    return found


async def _group(store: Read, keys: Sequence[int], digests: Sequence[bytes], writer: Writer, taken: Taken) -> None:
    try:
        found = await store.read_contents(keys)
    except UNREADABLE:
        if len(keys) == 1:
            taken.unreadable.append(digests[0])
            return
        for key, digest in zip(keys, digests, strict=True):
            await _group(store, [key], [digest], writer, taken)
        return
    await apart(_write, found, digests, writer, taken)


def _write(found: Sequence[bytes], digests: Sequence[bytes], writer: Writer, taken: Taken) -> None:
    for data, digest in zip(found, digests, strict=True):
        if sha256(data).digest() != digest:
            taken.unreadable.append(digest)  # the store's disk has changed it: `doctor` says so too
        else:
            taken.octets += len(data)
            writer.put_message(digest, data)
