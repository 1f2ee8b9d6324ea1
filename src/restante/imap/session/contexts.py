"""Searches with UPDATE: what the client holds of their results, and what changes in it.

A context keeps the UIDs that its client has been given. Whatever may have changed (a delta's messages, this session's
own changes, what time has moved over a border) is searched again, and nothing else; the difference goes out. So a
context costs what changes, and a session without one costs nothing. What is said in between comes from a store that
goes on changing: a message is judged by what it is when it is looked at, and judged again with the next delta, so the
client's results are right whenever everything has been told.

Pure. RFC 5267 4.3, Appendix B; RFC 5032 2 (time-dependent keys may be looked at now and then).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ...query.language import All, And, Or, Query, Recent, Sequence, Uids, Within
from ...query.order import Criterion
from ...store.model import UidList
from ..grammar.commands import FetchItem
from ..grammar.sets import STAR, resolve
from .criteria import nodes, resolved
from .ordered import Run, put_in, taken_out

EVERY = 60.0
"""Seconds after which a context whose query looks at the clock is looked at again."""

SLACK = 2
"""Seconds by which a window of time is wider than what has passed, since the engine reads the clock itself."""

_FEW = 64
"""Insertions into an array that cost less than making it anew."""


@dataclass(slots=True)
class Context:
    """One search that is kept up to date.

    tag: of the command. uid: results are UIDs, else message numbers. named: by ESEARCH, so that updates name the
    mailbox. query: message numbers and "$" replaced by what they meant then (RFC 5267 4.3); UID sets with "*" and
    Recent are as the client wrote them. results: UIDs as the client has them, in its order; keys: what that order is,
    empty for the mailbox's. looked_at: when, seconds UTC. top: the highest UID then. fetch: items wanted of messages
    that arrive.
    """

    tag: bytes
    uid: bool
    named: bool
    query: Query
    results: array[int]
    looked_at: float
    top: int
    fetch: tuple[FetchItem, ...] = ()
    keys: tuple[Criterion, ...] = ()
    matched: array[int] = field(init=False)
    """The results ascending; the same array where the order is the mailbox's. Never changed in place."""
    ages: tuple[int, ...] = field(init=False)
    """Seconds of the keys that look at the clock."""
    starred: bool = field(init=False)
    """A UID set with "*" stands in the query: a new highest UID changes what it names."""

    def __post_init__(self) -> None:
        self.matched = array("I", sorted(self.results)) if self.keys else self.results
        self.ages = tuple(sorted({node.seconds for node in nodes(self.query) if isinstance(node, Within)}))
        self.starred = any(isinstance(node, Sequence) for node in nodes(self.query))

    def held(self, uids: Iterable[int]) -> array[int]:
        """Those of `uids` that are among the results, in the order given."""
        return array("I", [uid for uid in uids if _holds(self.matched, uid)])

    def changed(self, looked: array[int], found: array[int]) -> tuple[array[int], array[int]]:
        """(results no more, results now) by a search of the UIDs `looked` that gave `found`; all ascending."""
        there = set(found)
        left = self.held(uid for uid in looked if uid not in there)
        return left, array("I", [uid for uid in found if not _holds(self.matched, uid)])

    def take_out(self, uids: array[int]) -> list[Run]:
        """Take out results (ascending UIDs); what REMOVEFROM says."""
        if not len(uids):
            return []
        self.matched = UidList(self.matched).without(uids).uids
        if not self.keys:
            self.results = self.matched
            return [(0, list(uids))]
        self.results, runs = taken_out(self.results, uids)
        return runs

    def put_in(self, uids: array[int], where: list[tuple[int, int]]) -> list[Run]:
        """Put in new results (ascending UIDs); what ADDTO says. where: their places (`ordered.places`) with keys."""
        if not len(uids):
            return []
        self.matched = _merged(self.matched, uids)
        if not self.keys:
            self.results = self.matched
            return [(0, list(uids))]
        self.results, runs = put_in(self.results, where)
        return runs

    def crossing(self, now: float) -> Query | None:
        """Messages whose age has passed a border of this query since it was last looked at; None without one.

        The engine must come to it within `SLACK`: else what has passed a border may have left the window as well. Where
        the clock has been set back, all messages.
        """
        if not self.ages or abs(now - self.looked_at) < EVERY:
            return None
        if now < self.looked_at:
            return All()
        passed = int(now - self.looked_at) + SLACK
        windows = [And((Within(age + passed, True), Within(age, False))) for age in self.ages]
        return Or(tuple(windows)) if len(windows) > 1 else windows[0]

    def due_in(self, now: float) -> float | None:
        """Seconds until time must be looked at, None where time changes nothing."""
        return max(0.0, EVERY - abs(now - self.looked_at)) if self.ages else None


def lasting(query: Query, sets: Callable[[Sequence], Query]) -> Query:
    """The query as a context keeps it. sets: what a set of message numbers or "$" means now."""

    def keep(sequence: Sequence) -> Query:
        if sequence.saved or not sequence.uid:
            return sets(sequence)
        if any(STAR in ends for ends in sequence.ranges):
            return sequence
        return Uids(tuple(resolve(sequence.ranges, 0)))

    return resolved(query, keep, Recent())


def _holds(uids: array[int], uid: int) -> bool:
    i = bisect_left(uids, uid)
    return i < len(uids) and uids[i] == uid


def _merged(uids: array[int], added: array[int]) -> array[int]:
    """Both in one ascending array; `uids` may be the caller's to change only where it is a copy."""
    if not len(added):
        return uids
    if not len(uids) or uids[-1] < added[0]:
        return uids + added
    if len(added) > _FEW:
        return array("I", sorted([*uids, *added]))
    made = uids[:]
    for uid in added:
        insort(made, uid)
    return made
