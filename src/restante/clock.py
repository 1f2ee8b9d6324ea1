"""Time and chance as arguments, so that tests can move the one and seed the other.

Every room that needs an instant, a delay or a random identity takes these two; nothing else in the package
calls `time.time`, `datetime.now` or `secrets` (a peer's time-outs, which asyncio keeps, excepted). The machine's own
stand in `machine`, which imports nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .machine import SystemClock, system_random

__all__ = ["Clock", "ManualClock", "Random", "SystemClock", "system_random"]

Random = Callable[[int], bytes]
"""random(n) -> n octets, unpredictable outside tests (os.urandom)."""


class Clock(Protocol):
    """Where instants come from."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC. May jump when an operator sets the machine's clock."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary point; never goes back."""
        ...


class ManualClock:
    """A clock that stands still until `advance` or `set` moves it. For tests and for the pytest plugin."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both readings forward by `seconds` (0 or more)."""
        if seconds < 0:
            raise ValueError("advance takes no negative time; use set() to put the wall clock back")
        self._now += seconds
        self._monotonic += seconds

    def set(self, now: float) -> None:
        """Put the wall clock at `now`, forward or back; the monotonic reading stays."""
        self._now = now
