"""Columns made of messages' answers, kept for the next who asks: ENVELOPEs as they were read, header fields as chosen.

Applications that keep no copy ask for the same listing each time a mailbox is opened; reading and choosing is most of
what it costs. What is kept stands for certain UIDs in their order. A UID never names another email and an email never
changes, so it is right until an older state is put in service or a repair makes answers anew, both of which `Of` tells.
It is kept as lists, not as the octets that were sent: numbers and flags, which do change, stand between.
Applications that do keep a copy ask once, and memory that is touched for the first time costs a quarter of a listing's
time: so the first time is only noted, and what is asked for a second time is kept. Of one place in a mailbox the last
listing alone is known: where messages come and go, others are soon of no use. Listings that begin elsewhere in the same
mailbox may be of no use any more, too: what nobody has found for `UNUSED` goes with the next that is kept, so that a
mailbox that is never at rest does not fill the bound with them. Bounded in octets, least recently used ones forgotten.
For one thread.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple, cast

import apsw

Columns = tuple[Sequence[object], ...]
Place = tuple[str, int, int]
"""(account, mailbox, where in it the first message stands)."""
Of = tuple[str, int, bytes]
"""What columns stand for: (`state_of` account and mailbox, UIDs as octets)."""

MOST_OCTETS = 16 << 20
"""Octets held by one process: the ENVELOPEs, or the usual header fields, of some 30,000 messages."""

MESSAGE_COSTS = 60
"""What a message's element of a column costs beside its octets."""

NOTE_COSTS = 200
"""Octets of a note that columns were made, beside its UIDs."""

UNUSED = 600.0
"""Seconds after which what nobody has asked for is forgotten: applications look every few minutes."""


class _Held(NamedTuple):
    of: Of
    cost: int
    columns: Columns | None
    """None: noted that they were made."""
    used: float
    """Monotonic seconds."""


class Made:
    """The columns that one process keeps."""

    def __init__(self, monotonic: Callable[[], float], most: int = MOST_OCTETS) -> None:
        """monotonic: seconds, which never go back."""
        self._monotonic = monotonic
        self._most = most
        self._held = 0
        self._columns: OrderedDict[tuple[Place, bytes], _Held] = OrderedDict()
        """The one used longest ago first."""

    def find(self, place: Place, of: Of, name: bytes) -> Columns | None:
        """What is kept under this name; never change it."""
        held = self._columns.get((place, name))
        if held is None or held.of != of:
            return None
        self._columns[place, name] = held._replace(used=self._monotonic())
        self._columns.move_to_end((place, name))
        return held.columns

    def keep(self, place: Place, of: Of, name: bytes, columns: Columns, octets: int) -> None:
        """Keep columns that were made before, or note that they were. octets: what their elements have together."""
        held = self._columns.get((place, name))
        again = held is not None and held.of == of
        self._drop((place, name))
        now = self._monotonic()
        self._drop_unused(now - UNUSED)
        cost = octets + MESSAGE_COSTS * sum(map(len, columns)) if again else NOTE_COSTS + len(of[2])
        cost += len(name)  # of header fields it is what the client wrote, up to a whole line
        if cost > self._most:
            return
        while self._held + cost > self._most:
            oldest = next(iter(self._columns))
            if oldest[0][:2] == place[:2]:
                return  # of a mailbox that does not fit a part is kept: all of it would push itself out, part by part
            self._drop(oldest)
        self._columns[place, name] = _Held(of, cost, columns if again else None, now)
        self._held += cost

    def _drop_unused(self, since: float) -> None:
        while self._columns:
            oldest = next(iter(self._columns))
            if self._columns[oldest].used >= since:
                return
            self._drop(oldest)

    def _drop(self, key: tuple[Place, bytes]) -> None:
        gone = self._columns.pop(key, None)
        if gone is not None:
            self._held -= gone.cost

    def forget(self, accounts: AbstractSet[str]) -> None:
        for key in [key for key in self._columns if key[0][0] in accounts]:
            self._drop(key)


def state_of(db: apsw.Connection, mailbox: int) -> tuple[str, int] | None:
    """The account's incarnation and the last number that changed the mailbox itself, as a repair does that has made
    answers anew; None where the mailbox is gone."""
    return cast("tuple[str, int] | None", db.execute(_STATE, (mailbox,)).get)


_STATE = "SELECT account.incarnation, mailbox.changed_modseq FROM account, mailbox WHERE mailbox.key = ?"


class Shelf:
    """Implements `store.interface.Shelf`: what is kept of certain UIDs at one place of a mailbox."""

    __slots__ = ("_made", "_of", "_place")

    def __init__(self, made: Made, place: Place, state: tuple[str, int], uids: array[int]) -> None:
        """state: `state_of` its account and mailbox."""
        self._made = made
        self._place = place
        self._of: Of = (*state, uids.tobytes())

    def find(self, name: bytes) -> Columns | None:
        return self._made.find(self._place, self._of, name)

    def keep(self, name: bytes, columns: Columns, octets: int) -> None:
        self._made.keep(self._place, self._of, name, columns, octets)
