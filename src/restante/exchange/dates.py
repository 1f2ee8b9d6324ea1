"""Instants from mail files: From_ lines, Received and Date fields.

Pure. An instant that cannot be read, or that lies outside 1970..2106, is None: the caller falls back.
"""

from __future__ import annotations

import calendar
import re
from email.utils import mktime_tz, parsedate_tz
from functools import lru_cache

LAST = 0xFFFF_FFFF
INSTANTS = range(-62_135_596_800, 253_402_300_800)
"""Years 1 to 9999: what IMAP can say (RFC 9051 9, date-time)."""

MONTHS = {name: number for number, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}

FROM_DATE = re.compile(
    rb"(?:mon|tue|wed|thu|fri|sat|sun),? +"
    rb"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec) +(\d{1,2}) +(\d{1,2}):(\d\d)(?::(\d\d))?"
    rb"(?: +[a-z]{1,5}| +[+-]\d{4}){0,2} +(\d{4}|\d{2})(?: +([+-]\d{4})| +[a-z]{2,5})?(?: +remote from [^ ]+)? *$",
    re.IGNORECASE,
)
"""asctime's form, with the zones that various writers put before or after the year."""

TZ_BEFORE_YEAR = re.compile(rb" ([+-]\d{4}) +\d{4}")


@lru_cache(maxsize=4)  # a reader asks once whether it is a From_ line, and once what it says
def from_line_date(line: bytes) -> int | None:
    """The instant at the end of a From_ line (without its line end), UTC where it names no offset."""
    found = FROM_DATE.search(line[:1000])
    if found is None:
        return None
    month, day, hour, minute, second, year, zone = found.groups()
    full_year = int(year) + (0 if len(year) == 4 else 1900 if int(year) >= 70 else 2000)
    if int(hour) > 23 or int(minute) > 59 or not 1 <= int(day) <= 31:
        return None
    value = calendar.timegm(
        (full_year, MONTHS[month.lower()], int(day), int(hour), int(minute), min(int(second or 0), 59), 0, 0, 0)
    )
    if zone is None and (before := TZ_BEFORE_YEAR.search(found.group())):
        zone = before.group(1)
    if zone is not None:
        offset = (int(zone[1:3]) * 60 + int(zone[3:5])) * 60
        value += offset if zone.startswith(b"-") else -offset
    return value if 0 <= value <= LAST else None


def field_date(value: bytes) -> int | None:
    """The instant of a Date field's value."""
    parsed = parsedate_tz(value[:200].decode("latin-1"))
    if parsed is None or not 1970 <= parsed[0] <= 2106:
        return None
    try:
        instant = mktime_tz(parsed)
    except (ValueError, OverflowError):
        return None
    return instant if 0 <= instant <= LAST else None


def header_date(data: bytes) -> int | None:
    """When a message arrived, by its own word: the first Received field's date, else the Date field's."""
    end = header_end(data)
    head = data[:end]
    for pattern, after in ((RECEIVED, b";"), (DATE, b"")):
        found = pattern.search(head)
        if found:
            value = found.group(1)
            instant = field_date(value.rpartition(after)[2] if after else value)
            if instant is not None:
                return instant
    return None


RECEIVED = re.compile(rb"^received[ \t]*:((?:[^\n]|\n[ \t])*)", re.IGNORECASE | re.MULTILINE)
DATE = re.compile(rb"^date[ \t]*:((?:[^\n]|\n[ \t])*)", re.IGNORECASE | re.MULTILINE)


def is_instant(seconds: int) -> bool:
    """Whether a store may hold it as a time, seconds since 1970 UTC."""
    return seconds in INSTANTS


USUAL_HEADER = 1 << 20
"""Octets in which an empty line is looked for first: a message with one kind of line end has none of the other kind, up
to its own end."""


def header_end(data: bytes) -> int:
    """Where the header ends: the offset of the empty line, that of the end where there is none."""
    if data.startswith((b"\n", b"\r\n")):
        return 0
    for stop in (USUAL_HEADER, len(data)):
        bare = data.find(b"\n\n", 0, stop)
        ended = data.find(b"\n\r\n", 0, stop if bare < 0 else bare + 2)
        first = bare if ended < 0 else ended
        if first >= 0:
            return first + 1
    return len(data)
