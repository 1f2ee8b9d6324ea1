"""Sequence sets: written form, ranges of numbers, and back.

Nothing here makes an object for each message covered: cost grows with the ranges written.
RFC 9051 9 (sequence-set), 6.4.9 for "n:*".
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable

from ...runs import runs
from .errors import BadSyntax

Range = tuple[int, int]

STAR = 0
"""How "*" stands in a range as written."""

MAX_NUMBER = 0xFFFFFFFF

_ITEM = re.compile(rb"(?:([1-9][0-9]{0,9})|\*)(?::(?:([1-9][0-9]{0,9})|(\*)))?")


def parse_seq_set(raw: bytes, max_items: int = 10_000) -> tuple[Range, ...]:
    """Ranges named by a sequence set, in the order written.

    raw: the set alone, e.g. b"7:5,9:*". "*" becomes STAR and stands second where the other end is a number:
    (5, 7), (9, 0); "*" alone is (0, 0). Not merged, not sorted.

    Raises BadSyntax, with the offset, for zero, a stray comma, a number over 2**32 - 1, more than `max_items`.

        sequence-set = (seq-number / seq-range) ["," sequence-set]
        seq-range    = seq-number ":" seq-number
        seq-number   = nz-number / "*"
    """
    if raw.count(b",") >= max_items:
        raise BadSyntax("Too many items in a sequence set")
    ranges: list[Range] = []
    pos = 0
    for item in raw.split(b","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise BadSyntax("Invalid sequence set", pos)
        first, second, star = match.groups()
        low = int(first) if first else STAR
        high = int(second) if second else (STAR if star else low)
        if low > MAX_NUMBER or high > MAX_NUMBER:
            raise BadSyntax("Number over 4294967295 in a sequence set", pos)
        ranges.append((high, low) if high and (high < low or not low) else (low, high))
        pos += len(item) + 1
    return tuple(ranges)


def resolve(ranges: Iterable[Range], largest: int) -> list[Range]:
    """Ascending, disjoint, inclusive ranges that `ranges` (as written) stand for; neighbours are merged.

    largest: the value of "*" (top UID or message count). With 0, an empty mailbox, ranges with "*" name
    nothing. A UID range "n:*" holds `largest` even where n is above it (RFC 9051 6.4.9).
    """
    plain: list[Range] = []
    for low, high in ranges:
        if not low or not high:
            if not largest:
                continue
            low, high = low or largest, high or largest
        plain.append((low, high) if low <= high else (high, low))
    return merge(plain)


def merge(ranges: Iterable[Range]) -> list[Range]:
    """Ranges sorted, overlapping and adjacent ones joined."""
    merged: list[Range] = []
    last_low, last_high = 0, -1
    for low, high in sorted(ranges):
        if low <= last_high + 1 and last_high >= 0:
            if high > last_high:
                last_high = high
                merged[-1] = (last_low, high)
        else:
            last_low, last_high = low, high
            merged.append((low, high))
    return merged


def format_ranges(ranges: Iterable[Range]) -> bytes:
    """The set as written, e.g. b"1:3,7,9:*" (STAR gives "*"); b"" for no range."""
    pieces = [b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in ranges]
    text = b",".join(pieces)
    if b",0" in text or b":0" in text or text.startswith(b"0"):  # a bare 0 is STAR; no number starts with 0
        text = re.sub(rb"(?<![0-9])0", b"*", text)
    return text


def compress(numbers: Iterable[int]) -> list[Range]:
    """Inclusive ranges of strictly ascending numbers. An array('I') is taken as it is; others are copied once.

    Cost: see `runs`; of a range of Python's, none.
    """
    if isinstance(numbers, range):
        return [(numbers[0], numbers[-1])] if len(numbers) else []
    return runs(numbers if isinstance(numbers, array) else array("I", numbers))


def compress_ordered(numbers: Iterable[int]) -> list[Range]:
    """Inclusive ranges of distinct numbers in an order of their own, which the ranges keep (RFC 5267 3.2).

    Only what stands in ascending order without gaps becomes a range: 5 6 7 3 2 is 5:7,3,2.
    """
    ranges: list[Range] = []
    low, last = 1, 0
    for number in numbers:
        if number != last + 1 or not ranges:
            ranges.append((number, number))
            low = number
        else:
            ranges[-1] = (low, number)
        last = number
    return ranges
