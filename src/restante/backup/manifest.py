"""What a snapshot says of a mailbox, read a second time: for the drill, which compares a restored account with it.

The columns of segments are taken as docs/backup-format.md describes them, by code of its own: a fault in `segments`,
through which everything comes back, would otherwise agree with itself. No object is made for a message that nobody
asks for. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .crypto import VERIFY
from .errors import Corrupt
from .objects import SegmentData

_SHA = 32


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a mailbox, as the snapshot has it. digest: SHA-256 of its octets. keywords: joined by a space."""

    uid: int
    order: int
    email_id: str
    thread_id: str
    digest: bytes
    size: int
    received: int
    saved: int
    arrival: bytes | None
    uidl: str | None
    system: int
    keywords: str


class Listing:
    """A mailbox of a snapshot. Made from its segments in their order. Raises Corrupt."""

    def __init__(self, segments: Sequence[SegmentData]) -> None:
        try:
            self._columns = [_Columns(data) for data in segments]
            self._where: dict[int, tuple[int, int]] = {}
            self._flags: dict[int, tuple[int, str]] = {}
            for number, columns in enumerate(self._columns):
                self._apply(number, columns)
        except (struct.error, IndexError, ValueError) as error:
            raise Corrupt("A list of messages of the backup cannot be read.", VERIFY) from error
        self.uids = sorted(self._where)

    def _apply(self, number: int, columns: _Columns) -> None:
        for low, high in columns.gone:
            width = high - low + 1
            for uid in range(low, high + 1) if width < len(self._where) else list(self._where):
                if low <= uid <= high:
                    self._where.pop(uid, None)
                    self._flags.pop(uid, None)
        for uid, flags in columns.flagged:
            if uid in self._where:
                self._flags[uid] = flags
        for row, uid in enumerate(columns.uids):
            self._where[uid] = (number, row)
            self._flags.pop(uid, None)

    def email_id(self, uid: int) -> str:
        number, row = self._where[uid]
        return self._columns[number].emails[row]

    def of(self, email_ids: frozenset[str]) -> list[int]:
        """UIDs of messages with these EMAILIDs, ascending."""
        return [uid for uid in self.uids if self.email_id(uid) in email_ids]

    def entries(self, uids: Sequence[int]) -> Iterator[Entry]:
        """The messages of these UIDs. Raises Corrupt."""
        for uid in uids:
            number, row = self._where[uid]
            try:
                yield self._columns[number].entry(row, self._flags.get(uid))
            except (IndexError, ValueError) as error:
                raise Corrupt("A list of messages of the backup cannot be read.", VERIFY) from error


class _Columns:
    """A segment's columns."""

    __slots__ = (
        "_arrivals", "_digests", "_flags", "_orders", "_received", "_saved", "_sets", "_sizes", "_threads", "_uidls",
        "emails", "flagged", "gone", "uids",
    )  # fmt: skip

    def __init__(self, data: SegmentData) -> None:
        self.uids = _unsigned(data.uids)
        self.emails = data.email_ids.decode("ascii").split("\n")
        self._threads = data.thread_ids.decode("ascii").split("\n")
        self._orders = _signed(data.orders)
        self._digests = data.digests
        self._sizes = _unsigned(data.sizes)
        self._received, self._saved = _signed(data.received), _signed(data.saved)
        self._sets, self._flags = data.flag_sets, _unsigned(data.flags)
        arrivals = [data.arrivals[at : at + _SHA] for at in range(0, len(data.arrivals), _SHA)]
        self._arrivals = dict(zip(_unsigned(data.arrival_rows), arrivals, strict=True))
        uidls = data.uidls.decode("ascii").split("\n") if data.uidls else []
        self._uidls = dict(zip(_unsigned(data.uidl_rows), uidls, strict=True))
        gone = _unsigned(data.gone)
        self.gone = list(zip(gone[::2], gone[1::2], strict=True))
        numbers = _unsigned(data.flagged_sets)
        self.flagged = [(uid, self._sets[n]) for uid, n in zip(_unsigned(data.flagged), numbers, strict=True)]

    def entry(self, row: int, flags: tuple[int, str] | None) -> Entry:
        system, keywords = flags or self._sets[self._flags[row]]
        digest = self._digests[row * _SHA : (row + 1) * _SHA]
        if len(digest) != _SHA:
            raise ValueError("a column is cut short")
        return Entry(
            self.uids[row], self._orders[row], self.emails[row], self._threads[row], digest, self._sizes[row],
            self._received[row], self._saved[row], self._arrivals.get(row), self._uidls.get(row), system, keywords,
        )  # fmt: skip


def _unsigned(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data) // 4}I", data)


def _signed(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data) // 8}q", data)
