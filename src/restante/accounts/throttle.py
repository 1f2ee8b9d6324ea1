"""Slowing who guesses: a delay for each (network, account) pair that grows with every failure.

Owns: how long an answer waits. Each failed answer is delayed: delay_first, doubling up to delay_most; a failure
is forgotten for every `DECAY` seconds without another. That slows one connection, not a hundred side by side.
So from the fourth failure on the checks of a pair queue as well: each takes the pair's next free instant, and
what would have to wait longer than delay_most is refused unchecked.

A place from which the account has logged in before does not queue: its owner passes at once, whoever guesses
beside him. Another account, or another network, is another pair and never slowed. An IPv6 peer counts by its
/64, since anyone has 2**64 addresses there.

What is counted lies in a table (`guesses`) that all workers of an installation share: a guesser spread over them
gets no more tries than at one. Must not know: passwords, sockets, where the table lies.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from ..clock import Clock, system_random
from .guesses import DECAY, Failures, GuessTable

FREE_FAILURES = 3
KNOWN_FOR = 30 * 86_400.0
NOTED_FOR = 3_600.0
"""Seconds after which a login from a known place is noted again."""

Pair = tuple[str, str]
"""(network, folded account name)."""


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """What a peer's address counts as: IPv4 itself, IPv6 its /64, anything else ("unix") its text."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((int(parsed), 64), strict=False))
    return str(parsed)


class Throttle:
    """delay_first, delay_most: seconds. table: shared with other processes; one of its own where none is given."""

    def __init__(self, clock: Clock, delay_first: float, delay_most: float, table: GuessTable | None = None) -> None:
        self._clock = clock
        self._first = delay_first
        self._most = delay_most
        self._table = table if table is not None else GuessTable(system_random)

    def close(self) -> None:
        self._table.close()

    def admit(self, pair: Pair) -> float | None:
        """Seconds to wait before this attempt is checked; None: refuse it unchecked, too many are waiting."""
        if self._table.knows_no_failure(*pair):
            return 0.0
        now = self._clock.monotonic()
        with self._table as table:
            there = self._current(table, pair, now)
            if there is None or there.count < FREE_FAILURES or self._is_known(table, pair, now):
                return 0.0
            wait = max(0.0, there.free - now)
            if wait > self._most:
                return None
            there.free = now + wait + self._delay(there.count)
            table.keep_failures(*pair, there, now)
            return wait

    def failed(self, pair: Pair, tried: bytes = b"", spent: float = 0.0) -> float:
        """Count a failure. Seconds by which its answer is to be delayed.

        spent: seconds that the check took. The delay counts from its beginning, and so covers that some names cost more
        than others: a hash of another server more than a name that nobody has.

        tried: a keyed digest of the password, at most 8 octets, b"" where there was none. The same wrong one again
        is no second guess: mail applications repeat what they have saved, several times a minute.
        """
        tried = tried.ljust(8, b"\0")
        now = self._clock.monotonic()
        with self._table as table:
            there = self._current(table, pair, now) or Failures(0, now, now)
            if there.count and any(tried) and tried == there.tried:
                return max(0.0, self._first - spent)
            there.tried = tried
            there.count += 1
            there.last = now
            delay = max(0.0, self._delay(there.count) - spent)
            there.free = max(there.free, now + delay)
            table.keep_failures(*pair, there, now)
            return delay

    def succeeded(self, pair: Pair) -> None:
        """Forget the pair's failures; the place is known from now on."""
        now = self._clock.monotonic()
        if self._table.knows_no_failure(*pair):
            since = self._table.known_since(*pair, now)
            if since is not None and now - since < NOTED_FOR:
                return
        with self._table as table:
            table.forget_failures(*pair)
            table.keep_place(*pair, now)

    def _current(self, table: GuessTable, pair: Pair, now: float) -> Failures | None:
        """The pair's failures after what time has forgiven."""
        there = table.failures(*pair, now)
        if there is None:
            return None
        forgiven = int((now - there.last) / DECAY)
        there.count -= forgiven
        there.last += forgiven * DECAY
        # Never further off than two of the longest delays, whatever life of the machine it was written in.
        there.free = min(there.free, now + 2 * self._most)
        return there if there.count > 0 else None

    def _is_known(self, table: GuessTable, pair: Pair, now: float) -> bool:
        since = table.known_since(*pair, now)
        return since is not None and now - since <= KNOWN_FOR

    def _delay(self, count: int) -> float:
        return min(self._most, self._first * 2.0 ** min(count - 1, 60))
