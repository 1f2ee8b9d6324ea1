"""Threads of whole mailboxes, or of all their messages with certain flags, as THREAD gave them: kept.

Mail applications that show threads ask for them each time a mailbox is opened, and after each change of it. What a tree
depends on (ids, References, subjects, dates) never changes of a message, so it is right as long as the messages are the
same, whatever becomes of their flags. For one thread.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from ...query.threads import Algorithm, Threads

if TYPE_CHECKING:  # a process that does not search need not load it
    from ...query.language import Query

    TreePlace = tuple[str, int, Algorithm, Query, str, int]
    """(account, mailbox, algorithm, what the messages have in common, the account's incarnation, `orders.of_mailbox`):
    as of `orders.Place`."""

MOST_OCTETS = 8 << 20
"""Octets held by the threads of one process. The UIDs beside them are arrays that others keep (`changes`, `matches`),
until those forget them."""

FEW_THREADED = 500
"""Messages below which threading takes no longer than it is worth: a millisecond."""


class Trees:
    """The newest threads of each mailbox, query and algorithm, least recently used ones forgotten."""

    def __init__(self, most: int = MOST_OCTETS) -> None:
        self._most = most
        self._held = 0
        self._trees: OrderedDict[TreePlace, tuple[array[int], Threads]] = OrderedDict()

    def find(self, place: TreePlace, uids: array[int]) -> Threads | None:
        """The threads of these UIDs (ascending, never changed), if they are known; never change them."""
        held = self._trees.get(place)
        if held is None:
            return None
        before, made = held
        if before is not uids:
            if before != uids:
                return None
            self._trees[place] = uids, made  # where another array says the same, the older one may go
        self._trees.move_to_end(place)
        return made

    def keep(self, place: TreePlace, uids: array[int], made: Threads) -> None:
        """Remember the threads of these UIDs, ascending. Neither is ever changed."""
        self._drop(place)
        if len(uids) < FEW_THREADED:
            return
        self._trees[place] = uids, made
        self._held += _octets(made)
        while self._held > self._most and len(self._trees) > 1:
            self._drop(next(iter(self._trees)))

    def _drop(self, place: TreePlace) -> None:
        gone = self._trees.pop(place, None)
        if gone is not None:
            self._held -= _octets(gone[1])

    def forget(self, accounts: AbstractSet[str]) -> None:
        for place in [place for place in self._trees if place[0] in accounts]:
            self._drop(place)


def _octets(made: Threads) -> int:
    return len(made.skeleton) + made.uids.itemsize * len(made.uids)
