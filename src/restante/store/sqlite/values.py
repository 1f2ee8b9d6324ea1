"""Values as SQL takes and gives them: sets of UIDs, rows, text.

A set of UID ranges travels as one array of packed ranges, so that ten thousand scattered UIDs are one statement and
not ten thousand.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import apsw
import msgspec

from ...runs import runs
from .coding import clean as clean

if TYPE_CHECKING:
    from ..model import UidRanges


def pack(ranges: UidRanges) -> apsw.CArrayBinding:
    """UID ranges as one bound value for `spans`: low and high in the halves of a 64-bit integer each."""
    packed = array("Q", [low << 32 | min(high, 0xFFFFFFFF) for low, high in ranges if low <= 0xFFFFFFFF])
    if not packed:
        packed.append(1 << 32)  # from 1 to 0: no UID; APSW takes no empty array
    return apsw.carray(array("q", packed.tobytes()))


def spans(ranges: str, table: str, mailbox: str) -> str:
    """FROM clause over the rows `p` of a table with (mailbox, uid) that lie in packed ranges, ascending by UID.

    ranges, mailbox: names of parameters ("?1").
    """
    return (
        f"carray({ranges}) s CROSS JOIN {table} p ON p.mailbox = {mailbox}"
        " AND p.uid BETWEEN ((s.value >> 32) & 4294967295) AND (s.value & 4294967295)"
    )


def ranges_of(uids: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending UIDs as inclusive ranges. An array is taken as it is; others are copied once."""
    return runs(uids if isinstance(uids, array) else array("I", uids))


def numbers(text: str) -> array[int]:
    """The numbers of a JSON array as `group_concat` makes it, 32 bits each.

    For a thread: a piece at a time, since nobody else has the interpreter while one is read. A million take 40 ms.
    """
    if len(text) <= _PIECE:
        return array("I", _decode_numbers(text))
    found = array("I")
    start, end = 1, len(text) - 1
    while start < end:
        stop = text.find(",", min(start + _PIECE, end), end)
        stop = end if stop < 0 else stop
        found.fromlist(_decode_numbers(f"[{text[start:stop]}]"))
        start = stop + 1
    return found


_PIECE = 100_000
"""Characters of numbers that are read at once: half a millisecond."""

_decode_numbers = msgspec.json.Decoder(list[int]).decode


def typed(cursor: apsw.Cursor) -> Any:
    """All rows. The types are those of STRICT columns, which the checker cannot see: the caller names them."""
    return cursor.fetchall()
