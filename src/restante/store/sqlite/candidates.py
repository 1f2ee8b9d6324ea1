"""What an index says of needles: leaves of a query's tree, for one search.

Whatever is wrong with an index, a search is answered without it; the fault is kept for whoever tends the index.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

import apsw

from ...query.grams import CLOSE, closeness
from .index import Index

_UNTOLD = frozenset("\n\0\ufffd\ufffe\uffff")
"""Characters that index and texts may not have alike: line ends join fields, the others stand for what is not text."""

_MOST_FUZZY = 128  # pieces of a fuzzy needle that are looked up


class Leaf:
    """What an index says of one needle: the emails up to `upto` that may hold it. unread: those among them that could
    not be read, of which it says nothing."""

    __slots__ = ("_set", "emails", "unread", "upto", "whole")

    def __init__(self, emails: array[int], upto: int, *, whole: bool, unread: frozenset[int] = frozenset()) -> None:
        self.emails = emails
        self.upto = upto
        self.whole = whole
        """Candidates that were read hold the needle for certain, in header or body: it is a single piece."""
        self.unread = unread
        self._set: frozenset[int] | None = None

    def may_hold(self, email: int) -> bool:
        if email > self.upto:
            return True
        if self._set is None:
            self._set = frozenset(self.emails)
        return email in self._set


Lookup = Callable[[str], Leaf | None]
"""A folded needle -> what the index says, None where it cannot tell."""


class Candidates:
    """An index for the time of one search. upto: emails up to this key are in it; 0 where there is no index."""

    __slots__ = ("_index", "_known", "_unread", "asked", "fault", "upto")

    def __init__(self, index: Index | None, upto: int) -> None:
        self._index = index
        self.upto = upto
        self.asked = False
        """Whether any needle was looked up."""
        self.fault: apsw.Error | None = None
        self._known: dict[tuple[bool, str], Leaf | None] = {}
        self._unread: frozenset[int] | None = None

    def needle(self, needle: str) -> Leaf | None:
        """Emails that may hold this needle."""
        return self._looked_up(False, needle)

    def fuzzy(self, needle: str) -> Leaf | None:
        """Emails that may hold a text close to this needle."""
        return self._looked_up(True, needle)

    def _looked_up(self, fuzzy: bool, needle: str) -> Leaf | None:
        self.asked = True
        if self._index is None or self.fault is not None or not _UNTOLD.isdisjoint(needle):
            return None
        key = (fuzzy, needle)
        if key not in self._known:
            try:
                emails = _close(self._index, needle) if fuzzy else self._index.candidates(needle)
                if self._unread is None:
                    self._unread = frozenset(self._index.unread())
            except apsw.Error as error:
                self.fault = error
                return None
            whole = not fuzzy and len(needle) == 3
            if emails is not None and self._unread:
                emails = array("q", sorted(self._unread.union(emails)))
            self._known[key] = None if emails is None else Leaf(emails, self.upto, whole=whole, unread=self._unread)
        return self._known[key]


def _close(index: Index, needle: str) -> array[int] | None:
    """Emails that hold at least one of so many pieces that a close text cannot lack them all."""
    words = closeness(needle).words
    long = [word for word in words if len(word[0]) == 3]
    if not long or (len(words) - len(long)) / len(words) >= CLOSE:
        return None  # a text may be close by its short words alone, which no index knows
    pieces = [piece for word in long for piece in word]
    if len(words) == 1:
        pieces = pieces[: len(pieces) - _least(len(pieces)) + 1]
    return index.any_of(pieces) if len(pieces) <= _MOST_FUZZY else None


def _least(count: int) -> int:
    """How many of `count` pieces a close text has at least."""
    return next(n for n in range(1, count + 1) if n / count >= CLOSE)
