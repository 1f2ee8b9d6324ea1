"""An instant as people write it: "2026-11-22 02:30", "yesterday 14:00", "3h ago". Pure.

Few forms, each of one meaning. Without a zone the wall clock is meant; one that clocks put forward leave out is as long
after midnight as on other days, of one that comes twice the first is meant, as for the nightly backup.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, tzinfo

from ..errors import Refusal

_AGO = re.compile(r"(\d{1,6}) ?(s|m|h|d|w) ago\Z")
_DAY = re.compile(r"(today|yesterday) (\d\d:\d\d(?::\d\d)?)\Z")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
FORMS = '"2026-11-22 02:30", "yesterday 14:00" or "3h ago"'


class BadInstant(Refusal):
    """No instant is meant by this, or one that is to come."""

    code = "BAD-INSTANT"


def parse_when(text: str, now: float, zone: tzinfo | None = None) -> int:
    """Seconds UTC. zone: whose wall clock; None is the machine's. A day "ago" has 24 hours.

    A date needs a time of day: its beginning and its end are both meant by people. Raises BadInstant.
    """
    said = " ".join(text.split())
    found = _instant(said, now, zone)
    if found is None:
        raise BadInstant(f'"{text}" is no instant.', f"Write {FORMS}.")
    if found > now:
        raise BadInstant(f'"{text}" is still to come.', "Name an instant that has passed.")
    return found


def spelled_out(text: str, now: float, zone: tzinfo | None = None) -> str:
    """What "yesterday 14:00" and "3h ago" mean, as a date with a time of day; anything else as it is. For who takes
    other things beside instants, and has rules of his own for dates. Raises BadInstant."""
    said = " ".join(text.split())
    if day := _DAY.match(said):
        return f"{datetime.fromtimestamp(parse_when(said, now, zone), zone).date()} {day[2]}"
    if _AGO.match(said):
        at = max(parse_when(said, now, zone), 0)  # nothing was before that, and years have to be four digits
        return datetime.fromtimestamp(at, UTC).isoformat(" ")
    return text


def _instant(said: str, now: float, zone: tzinfo | None) -> int | None:
    if ago := _AGO.match(said):
        return int(now) - int(ago[1]) * _UNITS[ago[2]]
    try:
        if day := _DAY.match(said):
            date = datetime.fromtimestamp(now, zone).date() - timedelta(days=day[1] == "yesterday")
            return int(datetime.combine(date, time.fromisoformat(day[2]), zone).timestamp())
        if ":" not in said:
            return None
        moment = datetime.fromisoformat(said)
        return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp())
    except (ValueError, OverflowError):
        return None
