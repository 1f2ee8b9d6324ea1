"""A cap on octets a second: a token bucket. Pure but for the clock it is given."""

from __future__ import annotations

from ..clock import Clock


class Bucket:
    """rate: octets a second. Up to `burst` seconds' worth may go at once after a pause."""

    def __init__(self, rate: int, clock: Clock, burst: float = 0.5) -> None:
        self.rate = rate
        self._clock = clock
        self._most = rate * burst
        self._level = self._most
        self._at = clock.monotonic()

    def take(self, octets: int) -> float:
        """These have gone or come; how many seconds nothing more should (0.0: go on)."""
        now = self._clock.monotonic()
        self._level = min(self._most, self._level + (now - self._at) * self.rate) - octets
        self._at = now
        return max(0.0, -self._level / self.rate)
