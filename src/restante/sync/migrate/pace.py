"""How fast the work goes and how long it will take: rates over the last half minute, since servers have their moods."""

from __future__ import annotations

from collections import deque

from ...clock import Clock

WINDOW = 30.0
"""Seconds that a rate is taken over."""
STEP = 0.5
"""Seconds between two marks, at least."""


class Pace:
    """One stretch of work over `total` messages."""

    def __init__(self, clock: Clock, total: int) -> None:
        self.total = total
        self.done = 0
        self.octets = 0
        self._clock = clock
        self._marks: deque[tuple[float, int, int]] = deque([(clock.monotonic(), 0, 0)])

    def advance(self, messages: int, octets: int) -> None:
        self.done += messages
        self.octets += octets
        now = self._clock.monotonic()
        if now - self._marks[-1][0] >= STEP:
            self._marks.append((now, self.done, self.octets))
            while len(self._marks) > 2 and now - self._marks[1][0] >= WINDOW:
                self._marks.popleft()

    @property
    def rates(self) -> tuple[float, float]:
        """Messages and octets a second; 0 while nothing can be said."""
        began, done, octets = self._marks[0]
        seconds = self._clock.monotonic() - began
        if seconds < STEP:
            return 0.0, 0.0
        return (self.done - done) / seconds, (self.octets - octets) / seconds

    @property
    def remaining(self) -> float | None:
        """Seconds until the end at this rate, None while that cannot be said."""
        rate = self.rates[0]
        return max(self.total - self.done, 0) / rate if rate > 0 else None
