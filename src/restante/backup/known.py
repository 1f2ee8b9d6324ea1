"""Sorted columns of short ids, in which a few are looked up, put in and taken out each night. Pure.

A column is octets: records of a fixed width, ascending, the same one as often as something has it (a message in three
mailboxes three times), so that taking one of them away leaves the others. No object per record.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHORT = 16
"""Octets kept of an id, a HMAC: two of a trillion messages agree in them with a chance of 10^-15."""
NONE = bytes(SHORT)
"""In place of an id that counts for nothing."""


class Disagree(Exception):
    """Something to be taken out is not there: the column is not of what it is thought to be of."""


def position(records: bytes, key: bytes, width: int, low: int = 0) -> int:
    """The number of the first record that is not below `key` (its first octets), from number `low` on. About 2
    microseconds."""
    high, size = len(records) // width, len(key)
    while low < high:
        middle = (low + high) // 2
        start = middle * width
        if records[start : start + size] < key:
            low = middle + 1
        else:
            high = middle
    return low


def has(records: bytes, key: bytes, width: int) -> bool:
    start = position(records, key, width) * width
    return records[start : start + len(key)] == key


def cut(blob: bytes, width: int) -> list[bytes]:
    """Its records."""
    return [blob[at : at + width] for at in range(0, len(blob), width)]


def ordered(blobs: Iterable[bytes], width: int) -> bytes:
    """All records of some octets, sorted."""
    return b"".join(sorted(record for blob in blobs for record in cut(blob, width)))


def changed(records: bytes, added: Sequence[bytes], removed: Sequence[bytes], width: int) -> bytes:
    """A column with some records more and some less, each once for each time that it is named.

    Cost: a search for each of them, and a copy of the column. Raises Disagree.
    """
    net = Counter(added)
    net.subtract(removed)
    pieces: list[bytes] = []
    at = 0
    for record, more in sorted(net.items()):
        before, at = at, position(records, record, width, at)
        pieces.append(records[before * width : at * width])
        if more >= 0:
            pieces.append(record * more)
        else:
            if records[at * width : (at - more) * width] != record * -more:
                raise Disagree
            at -= more
    pieces.append(records[at * width :])
    return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class Column:
    """The messages of a mailbox: UIDs, ascending, and as many short ids."""

    uids: array[int]
    ids: bytes

    def without(self, ranges: Sequence[tuple[int, int]]) -> tuple[Column, bytes]:
        """The column without some ranges of UIDs, and the ids that were in them. Cost: of a copy."""
        uids, kept, gone = array("I"), [], []
        at = 0
        for low, high in sorted(ranges):
            first = bisect_left(self.uids, low, at)
            last = bisect_right(self.uids, high, first)
            uids += self.uids[at:first]
            kept.append(self.ids[at * SHORT : first * SHORT])
            gone.append(self.ids[first * SHORT : last * SHORT])
            at = last
        uids += self.uids[at:]
        kept.append(self.ids[at * SHORT :])
        return Column(uids, b"".join(kept)), b"".join(gone)

    def plus(self, more: Column) -> Column:
        """With what came. Raises Disagree where that does not lie behind what is there."""
        if self.uids and more.uids and more.uids[0] <= self.uids[-1]:
            raise Disagree
        return Column(self.uids + more.uids, self.ids + more.ids)


EMPTY = Column(array("I"), b"")
