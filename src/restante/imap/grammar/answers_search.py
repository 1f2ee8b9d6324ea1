"""Numbers of many messages: SEARCH, ESEARCH and VANISHED answers, APPENDUID and COPYUID codes.

Sets stay ranges until somebody who knows a bound has them expanded: `1:4294967295` costs a server twelve octets.
RFC 9051 7.3.3, 7.3.4 and 7.1, RFC 4731, RFC 7162 3.2.10, RFC 4315, RFC 9394 3.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable

from ...values import Value
from .answers import BadAnswer, Data, Status
from .errors import BadSyntax
from .sets import Range, merge, parse_seq_set

MOST_RANGES = 5_000_000
"""Ranges of one set: what fits into a line anyway."""

_CORRELATOR = re.compile(
    rb"\(TAG (?:\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)\"|([^\x00-\x20()\"]++)|\r)[^()]*\) *", re.IGNORECASE
)
_ESEARCH_ITEM = re.compile(rb"([A-Za-z][A-Za-z0-9.\-]*+) +(?:([0-9:,*]++)|\(([^()]*)\)|(NIL))(?: +|\Z)", re.IGNORECASE)
_EARLIER = re.compile(rb"\(EARLIER\) +", re.IGNORECASE)
_THREE = re.compile(rb"([0-9]{1,10}) +([0-9:,]++)(?: +([0-9:,]++))?\Z")


def parse_ranges(raw: bytes) -> list[Range]:
    """Ranges of a set without "*", in the order written; each low <= high. Raises BadAnswer."""
    try:
        ranges = parse_seq_set(raw, MOST_RANGES)
    except BadSyntax as error:
        raise BadAnswer("A set of message numbers cannot be read.") from error
    if any(not low or not high for low, high in ranges):
        raise BadAnswer("A set of message numbers cannot be read.")
    return list(ranges)


def count(ranges: Iterable[Range]) -> int:
    """Numbers covered by disjoint ranges."""
    return sum(high - low + 1 for low, high in ranges)


def clip(ranges: Iterable[Range], low: int, high: int) -> list[Range]:
    """Ascending, disjoint: what of the ranges lies in low..high, which is empty where low is above high."""
    if low > high:
        return []
    return merge([(max(first, low), min(last, high)) for first, last in ranges if first <= high and last >= low])


def gaps(ranges: Iterable[Range], low: int, high: int) -> list[Range]:
    """Ascending: what of low..high none of the ranges has."""
    missing: list[Range] = []
    for first, last in clip(ranges, low, high):
        if first > low:
            missing.append((low, first - 1))
        low = last + 1
    if low <= high:
        missing.append((low, high))
    return missing


def expand(ranges: Iterable[Range], most: int) -> array[int] | None:
    """The numbers themselves, in the order of the ranges; None where they are more than `most`."""
    ranges = list(ranges)
    if count(ranges) > most:
        return None
    numbers = array("Q")
    for low, high in ranges:
        numbers.extend(range(low, high + 1))
    return numbers


def parse_search(data: Data) -> array[int]:
    """Numbers of a SEARCH answer, as they came. Raises BadAnswer. RFC 3501 7.2.5, RFC 7162 3.1.5 (MODSEQ)."""
    numbers = data.text.partition(b"(")[0].split()
    try:
        return array("Q", map(int, numbers))
    except (ValueError, OverflowError) as error:
        raise BadAnswer("A SEARCH answer cannot be read.") from error


class Found(Value, frozen=True):
    """An ESEARCH answer. tag: whose it is, b"" where it does not say. ranges: ALL's, or PARTIAL's; None without."""

    tag: bytes
    uid: bool
    ranges: list[Range] | None
    count: int | None


def parse_esearch(data: Data) -> Found:
    """Raises BadAnswer. RFC 9051 7.3.4."""
    pos, text, tag, uid = 0, data.text, b"", False
    if (correlator := _CORRELATOR.match(text)) is not None:
        tag = correlator[1] or correlator[2] or (data.literals[0] if data.literals else b"")
        pos = correlator.end()
    if text[pos : pos + 3].upper() == b"UID" and text[pos + 3 : pos + 4] in (b"", b" "):
        uid = True
        pos += 4
    ranges, number = None, None
    while pos < len(text) and (found := _ESEARCH_ITEM.match(text, pos)) is not None:
        name = found[1].upper()
        if name == b"ALL" and found[2]:
            ranges = parse_ranges(found[2])
        elif name == b"PARTIAL" and found[3]:
            results = found[3].partition(b" ")[2].strip()
            ranges = [] if results.upper() in (b"NIL", b"") else parse_ranges(results)
        elif name == b"COUNT" and found[2] and found[2].isdigit():
            number = int(found[2])
        pos = found.end()
    if text[pos:].strip(b" "):
        raise BadAnswer("An ESEARCH answer cannot be read.")
    return Found(tag, uid, ranges, number)


def parse_vanished(data: Data) -> tuple[bool, list[Range]]:
    """Whether it is about the past (EARLIER), and the UIDs. Raises BadAnswer. RFC 7162 3.2.10."""
    earlier = _EARLIER.match(data.text)
    return earlier is not None, parse_ranges(data.text[earlier.end() if earlier else 0 :].strip(b" "))


def parse_appenduid(status: Status, most: int) -> tuple[int, array[int]] | None:
    """UIDVALIDITY and the UIDs of APPENDUID, in the order of the messages; None where it is not there or cannot be.

    most: messages appended. RFC 4315 3, RFC 3502 (several messages).
    """
    found = _THREE.match(status.data) if status.code == b"APPENDUID" else None
    if found is None or found[3] is not None:
        return None
    try:
        uids = expand(parse_ranges(found[2]), most)
    except BadAnswer:
        return None
    return (int(found[1]), uids) if uids is not None and len(uids) == most else None


def parse_copyuid(status: Status, most: int) -> tuple[int, dict[int, int]] | None:
    """The target's UIDVALIDITY and source UID -> target UID of COPYUID; None where it is not there or cannot be.

    most: messages that were asked for. RFC 4315 3.
    """
    found = _THREE.match(status.data) if status.code == b"COPYUID" else None
    if found is None or found[3] is None:
        return None
    try:
        source, target = expand(parse_ranges(found[2]), most), expand(parse_ranges(found[3]), most)
    except BadAnswer:
        return None
    if source is None or target is None or len(source) != len(target):
        return None
    return int(found[1]), dict(zip(source, target, strict=True))
