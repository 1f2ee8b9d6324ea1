"""Dates of commands: date (SEARCH) and date-time (APPEND). RFC 9051 9, RFC 3501 9."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

from .errors import BadSyntax

MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH = {name.upper(): number for number, name in enumerate(MONTHS, 1)}

DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    rb" ?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)


def parse_date(raw: bytes) -> date:
    """date-text = date-day "-" date-month "-" date-year; a day that is in no calendar is BadSyntax."""
    match = DATE.fullmatch(raw)
    if match is None:
        raise BadSyntax("Invalid date")
    try:
        return date(int(match[3]), _MONTH.get(match[2].upper(), 0), int(match[1]))
    except ValueError as error:
        raise BadSyntax("Invalid date") from error


def parse_date_time(raw: bytes) -> datetime:
    """date-time without its quotes = date-day-fixed "-" date-month "-" date-year SP time SP zone

    The day's padding may be missing. A leap second counts as the second before it. The instant lies within
    years 1 to 9999 of UTC.
    """
    match = _DATE_TIME.fullmatch(raw)
    if match is None:
        raise BadSyntax("Invalid date-time")
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
    if int(zone_minutes) > 59 or int(zone_hours) > 23:
        raise BadSyntax("Invalid time zone")
    offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    try:
        moment = datetime(
            int(year),
            _MONTH.get(month.upper(), 0),
            int(day),
            int(hour),
            int(minute),
            min(int(second), 59) if int(second) == 60 else int(second),
            tzinfo=timezone(-offset if sign == b"-" else offset),
        )
        moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadSyntax("Invalid date-time") from error
    return moment
