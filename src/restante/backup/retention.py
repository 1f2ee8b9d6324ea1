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


def kept(
    snapshots: Sequence[T],
    at: Callable[[T], float],
    keep: Keep,
    zone: tzinfo | None = UTC,
    *,
    first: bool = False,
) -> list[T]:
    """Of snapshots, oldest first, those that stay, in the same order. at: seconds UTC of one. zone: whose days;
    None is the machine's. first: of each day, week and month the first one stays instead of the newest: whoever adds
    any number of them today then pushes out none of the days before, and none that came earlier today."""
    stay: set[int] = set(range(max(0, len(snapshots) - keep.last), len(snapshots)))
    rules: tuple[tuple[int, Callable[[datetime], Hashable]], ...] = (
        (keep.daily, lambda when: (when.year, when.month, when.day)),
        (keep.weekly, lambda when: when.isocalendar()[:2]),
        (keep.monthly, lambda when: (when.year, when.month)),
    )
    order = range(len(snapshots) - 1, -1, -1)
    newest = sorted(order, key=lambda number: at(snapshots[number]), reverse=True) if first else order
    for count, period in rules:
        chosen: dict[Hashable, int] = {}
        for number in newest:
            which = period(datetime.fromtimestamp(max(0, at(snapshots[number])), zone))
            if which in chosen:
                if first:
                    chosen[which] = number
            elif len(chosen) < count:
                chosen[which] = number
        stay.update(chosen.values())
    return [each for number, each in enumerate(snapshots) if number in stay]
