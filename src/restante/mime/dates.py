"""Date fields of thirty years -> seconds UTC.

One expression for the RFC 5322 form with all it has been found to lack, one for ctime's, one for ISO 8601.
RFC 5322 3.3 and 4.3 (obsolete zones, short years); RFC 5256 2.2 (an invalid zone is UTC, an invalid time 0:00).
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from .comments import without_comments

_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
_ZONES = {
    b"EST": -5, b"EDT": -4, b"CST": -6, b"CDT": -5, b"MST": -7, b"MDT": -6, b"PST": -8, b"PDT": -7,
    b"CET": 1, b"MET": 1, b"CEST": 2, b"MEST": 2, b"BST": 1, b"EET": 2, b"EEST": 3, b"MSK": 3, b"JST": 9, b"IST": 5.5,
}  # fmt: skip
_EPOCH = date(1970, 1, 1).toordinal()

_TIME = (
    rb"(?:[T ,\t]+([0-9]{1,2})[ \t]*+[:.][ \t]*+([0-9]{1,2})(?:[ \t]*+[:.][ \t]*+([0-9]{1,2}))?(?:[.,][0-9]{1,9})?)?"
)
_ZONE = rb"[ \t]*+(?:([ap]m)\b)?[ \t]*+([+-][0-9]{2}:?[0-9]{2}|[A-Za-z]{1,5})?"
_COMMON = re.compile(
    rb"[ \t]*+(?:[A-Za-z]{2,9}\.?[ \t]*+,?[ \t]*+)?([0-9]{1,2})[ \t-]+"
    rb"([A-Za-z]{3})[A-Za-z]{0,6}\.?,?[ \t-]+([0-9]{2,4})" + _TIME + _ZONE,
    re.IGNORECASE,
).match
_CTIME = re.compile(
    rb"[ \t]*+(?:[A-Za-z]{3,9},?[ \t]+)?([A-Za-z]{3})[A-Za-z]{0,6}\.?[ \t]+([0-9]{1,2}),?[ \t]+"
    rb"(?:([0-9]{4})[ \t,]+)?([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?[ \t]*+([+-][0-9]{4}|[A-Za-z]{1,5}(?=[ \t]))?"
    rb"[ \t]*+(?:([0-9]{4})(?:[ \t]++([+-][0-9]{4}))?)?",
).match
_ISO = re.compile(
    rb"[ \t]*+([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})" + _TIME + rb"[ \t]*+([+-][0-9]{2}:?[0-9]{2}|[A-Za-z]{1,5})?"
).match

MAX_DATE = 200
"""Octets of a Date field that are looked at."""


class Sent(NamedTuple):
    """instant: seconds since 1970 UTC. day: the calendar day as written, zone disregarded, days since 1970."""

    instant: int
    day: int


def parse_date(field: bytes) -> Sent | None:
    """What a Date field says, None where no date can be read. field: unfolded."""
    field = field[:MAX_DATE]
    if b"(" in field:
        field = without_comments(field)
    match = _COMMON(field)
    if match is not None:
        day, name, year, hour, minute, second, half, zone = match.groups()
        return _seconds(_year(year), _MONTHS.get(name.lower()), int(day), (hour, minute, second), zone, half)
    match = _CTIME(field)
    if match is not None:
        name, day, early, hour, minute, second, zone, late, last = match.groups()
        if early or late:
            clock = hour, minute, second
            return _seconds(int(early or late), _MONTHS.get(name.lower()), int(day), clock, zone or last)
        return None
    match = _ISO(field)
    if match is not None:
        year, month, day, hour, minute, second, zone = match.groups()
        return _seconds(int(year), int(month), int(day), (hour, minute, second), zone)
    return None


def _year(digits: bytes) -> int:
    """RFC 5322 4.3: two digits up to 49 are of this century, other short years of the last."""
    year = int(digits)
    if len(digits) == 2:
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(digits) == 3 else year


def _seconds(
    year: int,
    month: int | None,
    day: int,
    clock: tuple[bytes | None, bytes | None, bytes | None],
    zone: bytes | None,
    half: bytes | None = None,
) -> Sent | None:
    if month is None:
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    hour, minute, second = int(clock[0] or 0), int(clock[1] or 0), int(clock[2] or 0)
    if half is not None and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half.lower() == b"pm" else 0)
    if hour > 23 or minute > 59 or second > 60:
        return Sent(days * 86400, days)
    return Sent(days * 86400 + hour * 3600 + minute * 60 + second - _offset(zone), days)


@lru_cache(maxsize=64)
def _offset(zone: bytes | None) -> int:
    """Seconds east of UTC; 0 for what is no zone (RFC 5322 4.3: also for military letters)."""
    if not zone:
        return 0
    if zone[0] in b"+-":
        digits = zone[1:].replace(b":", b"")
        if digits[2:] > b"59":  # up to 99 hours are a zone (RFC 5322 3.3)
            return 0
        minutes = int(digits[:2]) * 60 + int(digits[2:])
        return -60 * minutes if zone[0] == 45 else 60 * minutes
    return int(_ZONES.get(zone.upper(), 0) * 3600)
