"""What an index says of needles: leaves of a query's tree, for one search.

Whatever is wrong with an index, a search is answered without it; the fault is kept for whoever tends the index. A word
that most messages have names as many: nothing here goes through all of them without others' turns between.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import apsw

from ...query.grams import CLOSE, all_trigrams, closeness
from .index import Index, Question, asking, asking_any

T = TypeVar("T")

_UNTOLD = frozenset("\n\0\ufffd\ufffe\uffff")
"""Characters that index and texts may not have alike: line ends join fields, the others stand for what is not text."""

_PIECE = 10_000
"""Candidates of one needle that are gone through between two turns of the loop: 1 ms."""

_SPAN_BITS = 14
"""Emails of so many keys in a row are held as one set: no set is large, and none is made that is not asked for."""

_MOST_FUZZY = 128  # pieces of a fuzzy needle that are looked up


class Leaf:
    """What an index says of one needle: the emails up to `upto` that may hold it. unread: those among them that could
    not be read, of which it says nothing. emails: ascending."""

    __slots__ = ("_sets", "emails", "unread", "upto", "whole")

    def __init__(self, emails: array[int], upto: int, *, whole: bool, unread: frozenset[int] = frozenset()) -> None:
        self.emails = emails
        self.upto = upto
        self.whole = whole
        """Candidates that were read hold the needle for certain, in body or header, as written or shown: it is a single
        piece."""
        self.unread = unread
        self._sets: dict[int, frozenset[int]] = {}

    def may_hold(self, email: int) -> bool:
        if email > self.upto:
            return True
        span = email >> _SPAN_BITS
        held = self._sets.get(span)
        if held is None:
            low, high = span << _SPAN_BITS, (span + 1 << _SPAN_BITS) - 1
            some = self.emails[bisect_left(self.emails, low) : bisect_right(self.emails, high)]
            held = self._sets[span] = frozenset(some)
        return email in held


Lookup = Callable[[str, bool], Leaf | None]
"""A folded needle, whether something close to it is meant -> what the index says, None where it cannot tell."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Emails that are in each of some sets (every), or in any of them. Those are ascending arrays, or joined again."""

    every: bool
    of: list[array[int] | Joined]


async def emails_of(candidates: array[int] | Joined) -> array[int]:
    """The emails, ascending; others have their turns between pieces. Cost: a pass over all sets."""
    if isinstance(candidates, array):
        return candidates
    sets = [await emails_of(one) for one in candidates.of]
    made, places = array("q"), [0] * len(sets)
    while True:
        left = [one[at : at + _PIECE] for one, at in zip(sets, places, strict=True)]
        if not (all(left) if candidates.every else any(left)):
            return made
        # Up to where each of them has been read, unless it ends there.
        ends = [some[-1] for some, one, at in zip(left, sets, places, strict=True) if at + _PIECE < len(one)]
        if ends:
            high = min(ends)
            left = [some[: bisect_right(some, high)] for some in left]
        if candidates.every:
            left.sort(key=len)
            made.extend(sorted(set(left[0]).intersection(*left[1:])))
        else:
            made.extend(sorted(set[int]().union(*left)))
        if not ends:
            return made
        places = [bisect_right(one, high, at, min(at + _PIECE, len(one))) for one, at in zip(sets, places, strict=True)]
        await asyncio.sleep(0)


class Candidates:
    """One state of an index, or of none. upto: emails up to this key are in it; 0 where there is no index."""

    __slots__ = ("_index", "asked", "fault", "incarnation", "upto")

    def __init__(self, index: Index | None, upto: int) -> None:
        self._index = index
        self.upto = upto
        self.incarnation = "" if index is None else index.incarnation
        self.asked = False
        """Whether any needle was looked up."""
        self.fault: apsw.Error | None = None

    def emails(self, question: Question, after: int, upto: int, most: int) -> array[int] | None:
        """See `Index.emails`; None where it cannot tell."""
        return self._told(lambda index: index.emails(question, after, upto, most))

    def unread(self, upto: int) -> frozenset[int] | None:
        """See `Index.unread`; None where it cannot tell."""
        return self._told(lambda index: index.unread(upto))

    def _told(self, ask: Callable[[Index], T]) -> T | None:
        self.asked = True
        if self._index is None or self.fault is not None:
            return None
        try:
            return ask(self._index)
        except apsw.Error as error:
            self.fault = error
            return None


class Lookups:
    """What an index says of one search's needles, read a part at a time: a word that most messages have names as many.

    Needles are first noted (`about` knows nothing of them), then read, over as many states of the index as it takes:
    emails never change, so what was read stays right, up to where the index was complete at first.
    """

    __slots__ = ("_leaves", "_state", "_unread", "candidates", "upto")

    def __init__(self) -> None:
        self.upto = 0
        self.candidates: array[int] | None = None
        """What the needles come to together, where whoever asked has worked it out: see `Compiler.candidates`."""
        self._state: str | None = None
        self._unread: frozenset[int] | None = None
        self._leaves: dict[tuple[str, bool], Leaf | array[int] | None] = {}
        """By needle: what is known, what has been read so far, or nothing yet."""

    def about(self, needle: str, fuzzy: bool) -> Leaf | None:
        """Emails that may hold this needle, or something close to it."""
        found = self._leaves.setdefault((needle, fuzzy), array("q"))
        return found if isinstance(found, Leaf) else None

    def read(self, index: Candidates, most: int) -> bool:
        """Read on, some `most` emails; whether there is more."""
        if self._state is None:
            self._state, self.upto = index.incarnation, index.upto
        if index.incarnation != self._state or index.upto < self.upto:
            return self._forget()  # another one: it has been thrown away, or the account is an older state
        if self._unread is None:
            self._unread = index.unread(self.upto)
            if self._unread is None:
                return self._forget()
        for (needle, fuzzy), found in self._leaves.items():
            if not isinstance(found, array):
                continue
            question = _question(needle, fuzzy)
            if question is None:
                self._leaves[needle, fuzzy] = None
                continue
            more = index.emails(question, found[-1] if found else 0, self.upto, most)
            if more is None:
                return self._forget()
            found.extend(more)
            most -= len(more)
            if most <= 0:
                return True
            whole = not fuzzy and len(needle) == 3
            if self._unread:
                found = array("q", sorted(self._unread.union(found)))
            self._leaves[needle, fuzzy] = Leaf(found, self.upto, whole=whole, unread=self._unread)
        return False

    def _forget(self) -> bool:
        """There is no index that can be used: all is looked at."""
        self._leaves = dict.fromkeys(self._leaves)
        self.upto = 0
        return False


def _question(needle: str, fuzzy: bool) -> Question | None:
    if not _UNTOLD.isdisjoint(needle):
        return None
    return _close(needle) if fuzzy else asking(needle)


def _close(needle: str) -> Question | None:
    """The question for emails that hold at least one of so many pieces that a close text cannot lack them all."""
    close = closeness(needle)
    words = close.words
    long = [word for word in words if len(word[0]) == 3]
    if not long or (len(words) - len(long)) / len(words) >= CLOSE:
        return None  # a text may be close by its short words alone, which no index knows
    pieces = [piece for word in long for piece in word]
    if len(words) == 1:
        pieces = pieces[: len(pieces) - _least(len(pieces)) + 1]
    for ways in close.swapped:
        for way in ways:
            own = all_trigrams(way)
            if not any(piece in pieces for piece in own):
                pieces.append(own[0])
    return asking_any(pieces) if len(pieces) <= _MOST_FUZZY else None


def _least(count: int) -> int:
    """How many of `count` pieces a close text has at least."""
    return next(n for n in range(1, count + 1) if n / count >= CLOSE)
