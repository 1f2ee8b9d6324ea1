"""Which snapshots stay: the newest of each of so many days, weeks and months that have one. Pure.

Counted by snapshots and not by today's date, so that a machine that was off for a year, or a clock that is wrong, lets
nothing go.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Keep:
    """How many days, weeks (from Monday, ISO 8601) and months keep a snapshot. last: the newest ones, whenever."""

    daily: int = 14
    weekly: int = 8
    monthly: int = 24
    last: int = 1


def kept(snapshots: Sequence[T], at: Callable[[T], int], keep: Keep, zone: tzinfo | None = UTC) -> list[T]:
    """Of snapshots, oldest first, those that stay, in the same order. at: seconds UTC of one. zone: whose days;
    None is the machine's."""
    stay: set[int] = set(range(max(0, len(snapshots) - keep.last), len(snapshots)))
    rules: tuple[tuple[int, Callable[[datetime], Hashable]], ...] = (
        (keep.daily, lambda when: (when.year, when.month, when.day)),
        (keep.weekly, lambda when: when.isocalendar()[:2]),
        (keep.monthly, lambda when: (when.year, when.month)),
    )
    for count, period in rules:
        seen: set[Hashable] = set()
        for number in range(len(snapshots) - 1, -1, -1):
            which = period(datetime.fromtimestamp(max(0, at(snapshots[number])), zone))
            if which not in seen and len(seen) < count:
                seen.add(which)
                stay.add(number)
    return [each for number, each in enumerate(snapshots) if number in stay]
