"""How many connections there may be: in all, from one address, of one account, without login.

Counts of one address and one account hold over all workers. Each worker counts exactly for itself and keeps a
row of small counters in memory shared by all; a total is the sum over rows. A counter stands for all names
with the same hash (65,536 counters, keyed hash), so two names may share one: the limit then is reached a
little early, never late. Nobody locks: a worker writes its own row alone; the supervisor clears the row of a
worker that died. A worker and its successor live side by side for a while, so there are two rows for each.

An IPv6 peer counts by its /64, as where passwords are guessed at: anyone has 2**64 addresses there.
"""

from __future__ import annotations

import hashlib
import mmap
import sys
from functools import lru_cache

from ..accounts.throttle import network_of
from ..config.model import LimitsTable
from ..errors import Refusal

SLOTS = 1 << 16
_KINDS = 2  # addresses, accounts
_HEAD = 8  # octets before the counters: connections of this worker, for balancing; in use; accepting; away; one spare
_IN_USE = 4
_ACCEPTING = 5
_AWAY = 6


class TooManyConnections(Refusal):
    """A bound on connections is reached."""

    code = "TOO-MANY-CONNECTIONS"
    temporary = True


class SharedCounts:
    """Counters of all workers in anonymous shared memory; made before the fork.

    rows: workers. key: random octets, so that nobody outside can choose names that share a counter.
    Cost: 256 KiB a worker, touched only where used.
    """

    def __init__(self, rows: int, key: bytes) -> None:
        self._row_size = _HEAD + _KINDS * SLOTS * 2
        self._rows = rows
        self._key = key
        # Shared by fork, zero-filled, no file behind it.
        self._memory = mmap.mmap(-1, rows * self._row_size)
        self._view = memoryview(self._memory)

    def slot(self, kind: int, name: str) -> int:
        return _slot(self._key, kind, name)

    def row(self, number: int) -> memoryview:
        """The row's 16-bit counters; index 0 and 1 hold the worker's connections."""
        start = number * self._row_size
        return self._view[start : start + self._row_size].cast("H")

    def total(self, slot: int) -> int:
        step = self._row_size
        where = slot * 2
        view = self._view
        return sum(
            int.from_bytes(view[n : n + 2], sys.byteorder)
            for n in range(where, self._rows * step, step)
            if view[n - where + _IN_USE]
        )

    def begin(self, number: int) -> None:
        """The row is a worker's from now on, which accepts connections."""
        start = number * self._row_size
        self._view[start + _IN_USE] = self._view[start + _ACCEPTING] = 1

    def retire(self, number: int) -> None:
        """The row's worker accepts no more, so nobody need leave it a connection. What it has still counts."""
        self._view[number * self._row_size + _ACCEPTING] = 0

    def set_away(self, number: int, away: bool) -> None:
        """Whether the row's worker leaves connections lying for a moment."""
        self._view[number * self._row_size + _AWAY] = away

    def clear(self, number: int) -> None:
        """Forget a worker that died."""
        start = number * self._row_size
        self._memory[start : start + self._row_size] = bytes(self._row_size)

    def set_connections(self, number: int, count: int) -> None:
        start = number * self._row_size
        self._view[start : start + 4] = count.to_bytes(4, sys.byteorder)

    def anybody_listens(self, but: int) -> bool:
        """Whether any other worker takes the next connection at once."""
        step = self._row_size
        view = self._view
        return any(view[n * step + _ACCEPTING] and not view[n * step + _AWAY] for n in range(self._rows) if n != but)

    def fewest_connections(self, but: int) -> int | None:
        """The smallest number of connections of any other worker that accepts some, None if there is no other.

        One that is away counts as if it had one more: it will not take the next one at once.
        """
        step = self._row_size
        view = self._view
        counts = [
            int.from_bytes(view[n * step : n * step + 4], sys.byteorder) + view[n * step + _AWAY]
            for n in range(self._rows)
            if n != but and view[n * step + _ACCEPTING]
        ]
        return min(counts, default=None)


@lru_cache(maxsize=1024)
def _slot(key: bytes, kind: int, name: str) -> int:
    """Where a name is counted, in a row: asked when somebody comes, and when he leaves."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=2, key=key).digest()
    return _HEAD // 2 + kind * SLOTS + int.from_bytes(digest, "little")


class Limits:
    """One worker's counts against the configured bounds."""

    def __init__(self, table: LimitsTable, shared: SharedCounts | None = None, row: int = 0) -> None:
        self._table = table
        self._shared = shared or SharedCounts(1, b"one process")
        self._number = row
        self._row = self._shared.row(row)
        self._shared.begin(row)
        self._away = 0
        self.connections = 0

    def retire(self) -> None:
        """No connection is to come here any more."""
        self._shared.retire(self._number)

    @property
    def full(self) -> bool:
        """This worker has as many connections as it may have."""
        return self.connections >= self._table.connections

    def enter(self, address: str, loopback: bool) -> None:
        """Count a connection. Raises TooManyConnections (then nothing is counted)."""
        if self.full:
            raise TooManyConnections("This server has too many connections.", "Try again later.")
        if not loopback:
            most = self._table.connections_address
            self._take(0, network_of(address), most, "There are too many connections from your address.")
        self.connections += 1
        self._shared.set_connections(self._number, self.connections)

    def leave(self, address: str, loopback: bool) -> None:
        """A counted connection ended."""
        if not loopback:
            self._give(0, network_of(address))
        self.connections -= 1
        self._shared.set_connections(self._number, self.connections)

    def enter_account(self, account: str) -> None:
        """Count a login. Raises TooManyConnections."""
        self._take(1, account, self._table.connections_account, "This account has too many connections.")

    def leave_account(self, account: str) -> None:
        self._give(1, account)

    def others_are_idler(self) -> bool:
        """Another worker has fewer connections and will be there sooner than `look_away` lasts: the next one is its.

        Who looks away is waited for only where it has fewer by two. So a client that comes again and again, while its
        last connection is still being let go of, is never left lying by all workers.
        """
        fewest = self._shared.fewest_connections(self._number)
        return fewest is not None and self.connections > fewest

    def others_listen(self) -> bool:
        """Another worker takes the next connection at once."""
        return self._shared.anybody_listens(self._number)

    def look_away(self) -> None:
        """One of this worker's listeners leaves connections lying for a moment; `look_back` ends it."""
        self._away += 1
        self._shared.set_away(self._number, True)

    def look_back(self) -> None:
        self._away -= 1
        self._shared.set_away(self._number, self._away > 0)

    def _take(self, kind: int, name: str, most: int, text: str) -> None:
        slot = self._shared.slot(kind, name)
        if self._shared.total(slot) >= most or self._row[slot] == 0xFFFF:
            raise TooManyConnections(text, "Close some, or try again later.")
        self._row[slot] += 1

    def _give(self, kind: int, name: str) -> None:
        self._row[self._shared.slot(kind, name)] -= 1
