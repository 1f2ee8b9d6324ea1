"""When the nightly backup is due: pure, on seconds UTC and a zone's wall clock.

    occurrence(day)           the instant at which the clock on the wall shows the time of that day
    next run                  the first occurrence after the last one that was attended to, a jitter later
    after a passing failure   again the same night, with growing pauses (`Retries`)

A night is named by its day, so that a clock put forward or back neither skips nor doubles it: a time that a day does
not have is met as long after midnight as on other days (02:30 becomes 03:30), one that it has twice counts the first
time. Nights that passed while the machine was off are one run, at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from ..clock import Random

DAY = 86400
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")


@dataclass(frozen=True, slots=True)
class Schedule:
    """at: time of day on the wall. zone: whose wall; None is the machine's. jitter: seconds, the most that a run may
    begin later, so that many servers do not fall upon one location together."""

    at: time
    zone: tzinfo | None = None
    jitter: float = 0.0

    def occurrence(self, day: date) -> float:
        """Seconds UTC of the night of this day. Grows with the day; a day that a zone leaves out shares its
        neighbour's."""
        return datetime.combine(day, self.at, self.zone).timestamp()

    def after(self, instant: float) -> float:
        """The first occurrence later than `instant`."""
        day = self._day(instant) - timedelta(days=2)  # no zone's clock jumps further than a day
        while (found := self.occurrence(day)) <= instant:
            day += timedelta(days=1)
        return found

    def before(self, instant: float) -> float:
        """The last occurrence at `instant` or earlier."""
        day = self._day(instant) + timedelta(days=2)
        while (found := self.occurrence(day)) > instant:
            day -= timedelta(days=1)
        return found

    def due(self, attended: float, now: float, random: Random) -> float:
        """When to run, in seconds UTC: in the past where a night was missed. attended: the last night's occurrence
        that was attended to.

        One that lies more than a day ahead is of a clock that was wrong, and counts as the last one before now.
        """
        if attended > now + DAY:
            attended = self.before(now)
        return self.after(attended) + self.jitter * int.from_bytes(random(4), "big") / 2**32

    def _day(self, instant: float) -> date:
        return datetime.fromtimestamp(instant, self.zone).date()


@dataclass(frozen=True, slots=True)
class Retries:
    """A night that failed for a passing reason is tried again: after `first` seconds, and after twice the pause before,
    never more than `longest`, as long as that begins no later than `window` seconds after the night did.

    In seconds that pass, not by the wall: a clock that changes meanwhile makes the window no longer and no shorter.
    """

    window: float
    first: float = 300.0
    longest: float = 3600.0

    def again(self, begun: float, ended: float, tried: int, until: float) -> float | None:
        """When to try again, None where the night is lost. begun: its first attempt; ended: the last one, of `tried`.
        until: the next night's occurrence, whose turn it is then."""
        at = ended + min(self.first * 2.0 ** min(tried - 1, 30), self.longest)
        return at if at <= begun + self.window and at < until else None


def drill_due(every: str, last: float | None, now: float, zone: tzinfo | None = None) -> bool:
    """Whether a night at `now` tries a restore: the first of each month (or week, from Monday) does. every: as
    `backup.drill`. last: the last good drill, None for none; a bad one is done again the next night. zone: whose days;
    None is the machine's.

    A last one more than a day ahead is of a clock that was wrong, and counts as none.
    """
    if every == "off":
        return False
    if last is None or last > now + DAY:
        return True
    then, today = datetime.fromtimestamp(last, zone), datetime.fromtimestamp(now, zone)
    if every == "weekly":
        return then.isocalendar()[:2] != today.isocalendar()[:2]
    return (then.year, then.month) != (today.year, today.month)


def parse_time(text: str) -> time | None:
    """The time of day in "HH:MM", None where the text is "off". Raises ValueError for anything else."""
    if text == "off":
        return None
    found = _TIME.match(text)
    if found is None:
        raise ValueError(f'"{text}" is no time of day')
    return time(int(found[1]), int(found[2]))
