"""What is in a mailbox, from stored columns in batches: no message is parsed, none held longer than its batch.

A message whose octets cannot be read (a broken page of the account's file, a bad sector) holds up no other: it is left
out, and `unreadable` says why.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

from ...mime.model import Trait
from ...store import parts
from ...store.errors import UNREADABLE, NoSuchMailbox
from ...store.model import Column, FlagTable
from ..model import Changes, Flags, Message, Outline, Spelling, Withheld
from ..outline import mark_and_ident

if TYPE_CHECKING:
    from ...store.interface import Store
    from ...store.model import Mailbox, UidRanges

ROWS = 5_000
"""Rows read at once. They are tuples, gone when their columns have been taken."""

MESSAGES = 500
OCTETS = 8 << 20
"""Messages, and octets of them, read at once (a single message whole)."""

LAST = (1 << 32) - 1

ODD = Trait.NUL | Trait.SIMPLIFIED | Trait.BARE_LINE_END
"""Messages whose cached header fields may differ from their octets, or be fewer."""

HEADER = 1 << 20
"""Octets read of an odd message for its header."""


class _Sets(dict[int, Flags]):
    """Flag sets by their number in the store, made when a number is first met."""

    def __init__(self, spelling: Spelling) -> None:
        super().__init__()
        self._spelling = spelling
        self.table: FlagTable = FlagTable()

    def __missing__(self, number: int) -> Flags:
        made = self[number] = self._spelling.flags(self.table.wires[number].decode("ascii").split())
        return made


class Reading:
    """Reads of one account. spelling: of the run. unreadable: see `side.Withholds`."""

    def __init__(self, store: Store, spelling: Spelling, unreadable: dict[tuple[str, int], Withheld]) -> None:
        self._store = store
        self._unreadable = unreadable
        self._sets = _Sets(spelling)

    async def changes(self, mailbox: Mailbox, since: str | None) -> Changes:
        """See `Side.changes`. A cursor is "UIDVALIDITY:change number"."""
        validity, _, number = (since or "").partition(":")
        if validity == str(mailbox.uidvalidity) and number.isdecimal() and int(number) <= mailbox.highest_modseq:
            delta = await self._store.delta(mailbox.key, int(number))
            if delta.complete:
                uids = array("Q", [uid for uid, _, _ in delta.changed])
                self._sets.table = await self._store.flag_table()
                return Changes(
                    validity,
                    f"{validity}:{delta.mailbox.highest_modseq}",
                    False,
                    uids,
                    [self._sets[flags] for _, flags, _ in delta.changed],
                    array("Q", delta.vanished),
                    await self._emails(mailbox, uids),
                )
        return await self._all(mailbox)

    async def _all(self, mailbox: Mailbox) -> Changes:
        """Every message. The cursor is of before the first row was read: what changes meanwhile is told again."""
        found = Changes(str(mailbox.uidvalidity), f"{mailbox.uidvalidity}:{mailbox.highest_modseq}", True, emails=[])
        assert found.emails is not None
        low = 1
        while True:
            rows = cast(
                "list[tuple[int, int, bytes]]",
                await self._store.rows(mailbox.key, ((low, LAST),), (Column.FLAGS, Column.EMAIL_ID), ROWS),
            )
            if not rows:
                break
            self._sets.table = await self._store.flag_table()
            uids, flags, emails = zip(*rows, strict=True)
            found.uids.extend(uids)
            found.flags.extend(map(self._sets.__getitem__, flags))
            found.emails.extend([email.decode("ascii") for email in emails])
            if len(rows) < ROWS:
                break
            low = uids[-1] + 1
        if not found.uids and await self._store.mailbox(mailbox.name) is None:
            raise NoSuchMailbox("It has been deleted.")  # an empty answer would read as all messages being gone
        return found

    async def _emails(self, mailbox: Mailbox, uids: array[int]) -> list[str | None]:
        """EMAILIDs beside these UIDs; None for one that has gone since."""
        emails: list[str | None] = [None] * len(uids)
        for start in range(0, len(uids), ROWS):
            some = uids[start : start + ROWS]
            ranges = tuple((uid, uid) for uid in some)
            rows = await self._store.rows(mailbox.key, ranges, (Column.EMAIL_ID,), ROWS)
            for uid, email in cast("list[tuple[int, bytes]]", rows):
                emails[start + bisect_left(some, uid)] = email.decode("ascii")
        return emails

    async def outlines(self, mailbox: Mailbox, ranges: UidRanges) -> list[Outline]:
        """See `Side.outlines`: from the cached header fields, which hold what a mark is made of.

        A message whose header they may not tell to the octet has its header read.
        """
        found: list[Outline] = []
        while ranges:
            rows = cast("list[_OutlineRow]", await self._store.rows(mailbox.key, ranges, _OUTLINE, ROWS))
            for uid, size, received, email, traits, digest, content, headers in rows:
                if traits & ODD:
                    read = await self._octets(mailbox, uid, content, HEADER)
                    if read is None:
                        continue
                    headers = read
                mark, ident = mark_and_ident(headers)
                found.append(Outline(uid, size, received, mark, email.decode("ascii"), ident, digest))
            if len(rows) < ROWS:
                break
            ranges = after(ranges, rows[-1][0])
        return found

    async def headers(self, mailbox: Mailbox, ranges: UidRanges) -> list[tuple[int, bytes]]:
        """See `Headers.headers`. Two reads a message: for a few."""
        found = []
        while ranges:
            rows = cast(
                "list[tuple[int, int, bytes]]",
                await self._store.rows(mailbox.key, ranges, (Column.CONTENT, Column.PARTS), ROWS),
            )
            for uid, content, encoded in rows:
                body = parts.offsets(encoded).body
                header = await self._octets(mailbox, uid, content, body) if body else b""
                if header is not None:
                    found.append((uid, header))
            if len(rows) < ROWS:
                break
            ranges = after(ranges, rows[-1][0])
        return found

    async def fetch(self, mailbox: Mailbox, ranges: UidRanges) -> AsyncIterator[Message]:
        """See `Side.fetch`."""
        while ranges:
            rows = cast("list[_MessageRow]", await self._store.rows(mailbox.key, ranges, _MESSAGE, MESSAGES))
            self._sets.table = await self._store.flag_table()
            start = 0
            while start < len(rows):
                stop, octets = start, 0
                while stop < len(rows) and (stop == start or octets + rows[stop][1] <= OCTETS):
                    octets += rows[stop][1]
                    stop += 1
                some = rows[start:stop]
                some, contents = await self._contents(mailbox, some)
                contents.reverse()
                for uid, _, received, email, thread, flags, _ in some:
                    yield Message(
                        uid,
                        contents.pop(),  # let go of as it is handed over
                        self._sets[flags],
                        received,
                        email.decode("ascii"),
                        thread.decode("ascii"),
                    )
                start = stop
            if len(rows) < MESSAGES:
                break
            ranges = after(ranges, rows[-1][0])

    async def _contents(self, mailbox: Mailbox, some: list[_MessageRow]) -> tuple[list[_MessageRow], list[bytes]]:
        """Those of these messages that can be read, and their octets; the others are noted."""
        try:
            contents = list(await self._store.read_contents([row[6] for row in some]))
        except UNREADABLE:
            there, contents = [], []
            for row in some:
                octets = await self._octets(mailbox, row[0], row[6], None)
                if octets is not None:
                    there.append(row)
                    contents.append(octets)
            return there, contents
        for row in some if self._unreadable else ():
            self._unreadable.pop((mailbox.name, row[0]), None)
        return some, contents

    async def _octets(self, mailbox: Mailbox, uid: int, content: int, count: int | None) -> bytes | None:
        """The first `count` octets of a message; None where they cannot be read, which is noted."""
        try:
            octets = await self._store.read_content(content, 0, count)
        except UNREADABLE as error:
            self._unreadable[mailbox.name, uid] = Withheld(f"its octets cannot be read ({error.text.rstrip('.')})")
            return None
        self._unreadable.pop((mailbox.name, uid), None)
        return octets


_OUTLINE = (
    Column.SIZE,
    Column.RECEIVED,
    Column.EMAIL_ID,
    Column.TRAITS,
    Column.DIGEST,
    Column.CONTENT,
    Column.HEADERS,
)
_OutlineRow = tuple[int, int, int, bytes, int, bytes, int, bytes]
_MESSAGE = (Column.SIZE, Column.RECEIVED, Column.EMAIL_ID, Column.THREAD_ID, Column.FLAGS, Column.CONTENT)
_MessageRow = tuple[int, int, int, bytes, bytes, int, int]


def after(ranges: UidRanges, uid: int) -> UidRanges:
    """The part of the ranges above `uid`."""
    return tuple((max(low, uid + 1), high) for low, high in ranges if high > uid)
