"""When each account logged in last by POP3: what LOGIN-DELAY (RFC 2449 6.5) is measured against.

A table of fixed size in whatever memory it is given, so that all processes of a server may share one: each account
has one slot by a hash of its id; an account of the same slot takes it over. So a login is now and then forgotten
early, but none is held against another account. Nobody locks: an entry is 8 octets, written at once, and two
sessions of one account meet at its maildrop. Time comes in as monotonic seconds, the same clock in all processes,
so that a clock put back locks nobody out.
"""

from __future__ import annotations

from hashlib import blake2b

SLOTS = 1 << 16
OCTETS = SLOTS * 8
"""Size of the table."""

_TIME_BITS = 40  # milliseconds: 34 years
_TIME = (1 << _TIME_BITS) - 1


class LoginTimes:
    """memory: `OCTETS` octets, zero at first; its own where none is given."""

    def __init__(self, memory: memoryview | None = None) -> None:
        self._entries = (memory if memory is not None else memoryview(bytearray(OCTETS))).cast("Q")

    def too_soon(self, account: str, now: float, delay: float) -> bool:
        """Whether less than `delay` seconds have passed since the account's last login."""
        slot, mark = _place(account)
        entry = self._entries[slot]
        passed = int(now * 1000) - (entry & _TIME)
        # A time to come is of another life of the machine, whose monotonic clock began anew.
        return entry >> _TIME_BITS == mark and 0 <= passed < delay * 1000

    def note(self, account: str, now: float) -> None:
        slot, mark = _place(account)
        self._entries[slot] = mark << _TIME_BITS | int(now * 1000) & _TIME


def _place(account: str) -> tuple[int, int]:
    """The account's slot, and a mark of 24 bits that tells it from others there, never 0."""
    digest = blake2b(account.encode("utf-8"), digest_size=5).digest()
    return int.from_bytes(digest[:2], "big"), int.from_bytes(digest[2:], "big") or 1
