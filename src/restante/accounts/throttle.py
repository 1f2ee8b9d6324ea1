"""Slowing who guesses: a delay for each (network, account) pair that grows with every failure.

Owns: how long an answer waits. Each failed answer is delayed: delay_first, doubling up to delay_most; a failure
is forgotten for every `DECAY` seconds without another. That slows one connection, not a hundred side by side.
So from the fourth failure on the checks of a pair queue as well: each takes the pair's next free instant, and
what would have to wait longer than delay_most is refused unchecked.

A place from which the account has logged in before does not queue: its owner passes at once, whoever guesses
beside him. Another account, or another network, is another pair and never slowed. An IPv6 peer counts by its
/64, since anyone has 2**64 addresses there. Tables are bounded; the pairs that failed longest ago go first.

Must not know: passwords, sockets. State is one process's: guessers spread over n workers get n times the tries.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from ..clock import Clock

MOST_PAIRS = 20_000
FREE_FAILURES = 3
DECAY = 120.0
KNOWN_FOR = 30 * 86_400.0

Pair = tuple[str, str]
"""(network, folded account name)."""


@dataclass(slots=True)
class _Failures:
    """count: not forgotten yet. last: when the latest was. free: when the pair's next check may be made.

    tried: a keyed digest of the latest wrong password.
    """

    count: int
    last: float
    free: float
    tried: bytes = b""


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
    """The failures and known places of one process. delay_first, delay_most: seconds."""

    def __init__(self, clock: Clock, delay_first: float, delay_most: float, most_pairs: int = MOST_PAIRS) -> None:
        self._clock = clock
        self._first = delay_first
        self._most = delay_most
        self._most_pairs = most_pairs
        self._failures: OrderedDict[Pair, _Failures] = OrderedDict()
        self._known: OrderedDict[Pair, float] = OrderedDict()

    def admit(self, pair: Pair) -> float | None:
        """Seconds to wait before this attempt is checked; None: refuse it unchecked, too many are waiting."""
        there = self._current(pair)
        if there is None or there.count < FREE_FAILURES or self._is_known(pair):
            return 0.0
        now = self._clock.monotonic()
        wait = max(0.0, there.free - now)
        if wait > self._most:
            return None
        there.free = now + wait + self._delay(there.count)
        return wait

    def failed(self, pair: Pair, tried: bytes = b"") -> float:
        """Count a failure. Seconds by which its answer is to be delayed.

        tried: a keyed digest of the password, b"" where there was none. The same wrong one again is no second
        guess: mail applications repeat what they have saved, several times a minute.
        """
        now = self._clock.monotonic()
        there = self._current(pair) or _Failures(0, now, now)
        if there.count and tried and tried == there.tried:
            return self._first
        there.tried = tried
        there.count += 1
        there.last = now
        delay = self._delay(there.count)
        there.free = max(there.free, now + delay)
        self._failures[pair] = there
        self._failures.move_to_end(pair)
        if len(self._failures) > self._most_pairs:
            self._failures.popitem(last=False)
        return delay

    def succeeded(self, pair: Pair) -> None:
        """Forget the pair's failures; the place is known from now on."""
        self._failures.pop(pair, None)
        self._known[pair] = self._clock.monotonic()
        self._known.move_to_end(pair)
        if len(self._known) > self._most_pairs:
            self._known.popitem(last=False)

    def _current(self, pair: Pair) -> _Failures | None:
        """The pair's failures after what time has forgiven."""
        there = self._failures.get(pair)
        if there is None:
            return None
        forgiven = int((self._clock.monotonic() - there.last) / DECAY)
        if forgiven:
            there.count -= forgiven
            there.last += forgiven * DECAY
        if there.count <= 0:
            del self._failures[pair]
            return None
        return there

    def _is_known(self, pair: Pair) -> bool:
        since = self._known.get(pair)
        return since is not None and self._clock.monotonic() - since <= KNOWN_FOR

    def _delay(self, count: int) -> float:
        return min(self._most, self._first * 2.0 ** min(count - 1, 60))
