"""When each account logged in last by POP3: what LOGIN-DELAY (RFC 2449 6.5) is measured against.

One object a process, shared by its sessions; bounded, the oldest login is forgotten first. Time comes in as
monotonic seconds, so that a clock put back locks nobody out.
"""

from __future__ import annotations

from collections import OrderedDict


class LoginTimes:
    """Remembers up to `most` accounts."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._times: OrderedDict[str, float] = OrderedDict()

    def too_soon(self, account: str, now: float, delay: float) -> bool:
        """Whether less than `delay` seconds have passed since the account's last login."""
        last = self._times.get(account)
        return last is not None and now - last < delay

    def note(self, account: str, now: float) -> None:
        self._times[account] = now
        self._times.move_to_end(account)
        if len(self._times) > self._most:
            self._times.popitem(last=False)
