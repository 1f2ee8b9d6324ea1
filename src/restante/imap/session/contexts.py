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
from collections.abc import Callable
from dataclasses import dataclass, field

from ...query.language import All, And, Or, Query, Recent, Sequence, Uids, Within
from ...store.model import UidList
from ..grammar.commands import FetchItem
from ..grammar.sets import STAR, resolve
from .criteria import nodes, resolved

EVERY = 60.0
"""Seconds after which a context whose query looks at the clock is looked at again."""

_FEW = 64
"""Insertions into an array that cost less than making it anew."""


@dataclass(slots=True)
class Context:
    """One search that is kept up to date.

    tag: of the command. uid: results are UIDs, else message numbers. named: by ESEARCH, so that updates name the
    mailbox. query: message numbers and "$" replaced by what they meant then (RFC 5267 4.3); UID sets with "*" and
    Recent are as the client wrote them. matched: UIDs of the results as the client has them, ascending, never changed
    in place. fetch: items wanted of messages that arrive. looked_at: when, seconds UTC. top: the highest UID then.
    """

    tag: bytes
    uid: bool
    named: bool
    query: Query
    matched: array[int]
    looked_at: float
    top: int
    fetch: tuple[FetchItem, ...] = ()
    ages: tuple[int, ...] = field(init=False)
    """Seconds of the keys that look at the clock."""
    starred: bool = field(init=False)
    """A UID set with "*" stands in the query: a new highest UID changes what it names."""

    def __post_init__(self) -> None:
        self.ages = tuple(sorted({node.seconds for node in nodes(self.query) if isinstance(node, Within)}))
        self.starred = any(isinstance(node, Sequence) for node in nodes(self.query))

    def drop(self, gone: array[int]) -> array[int]:
        """Take removed messages (ascending UIDs) out of the results; those that were in them."""
        dropped = array("I", [uid for uid in gone if _holds(self.matched, uid)])
        self.matched = UidList(self.matched).without(dropped).uids
        return dropped

    def settle(self, looked: array[int], found: array[int]) -> tuple[array[int], array[int]]:
        """Take in a search of the UIDs `looked` that gave `found` (both ascending); (removed, added)."""
        there = set(found)
        removed = array("I", [uid for uid in looked if uid not in there and _holds(self.matched, uid)])
        added = array("I", [uid for uid in found if not _holds(self.matched, uid)])
        if len(removed) or len(added):
            self.matched = _merged(UidList(self.matched).without(removed).uids, added)
        return removed, added

    def crossing(self, now: float) -> Query | None:
        """Messages whose age has passed a border of this query since it was last looked at; None without one.

        The window is two seconds wider, since the engine reads the clock itself. Where the clock has been set back,
        all messages.
        """
        if not self.ages or abs(now - self.looked_at) < EVERY:
            return None
        if now < self.looked_at:
            return All()
        passed = int(now - self.looked_at) + 2
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
