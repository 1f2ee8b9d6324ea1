"""Whole mailboxes in the order of a SORT, kept while their messages are the same.

Mail applications that sort at the server ask for the same order with every page they show. What an order depends on
(dates, sizes, subjects, addresses) never changes of a message, so it stays right as long as the mailbox's UID list,
which is one object a process, is the one that it was made of. For one thread.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Set as AbstractSet

from ...query.order import Criterion
from ..model import UidList

MOST_ORDERED = 2_000_000
"""UIDs held by the orders of one process, lists that nobody else may hold any more counted: 8 MB."""

FEW_SORTED = 500
"""Messages below which sorting takes no longer than it is worth: half a millisecond."""


class Orders:
    """The newest order of each mailbox by each list of keys, least recently used ones forgotten."""

    def __init__(self, most: int = MOST_ORDERED) -> None:
        self._most = most
        self._held = 0
        self._orders: OrderedDict[tuple[str, int, tuple[Criterion, ...]], tuple[UidList, array[int]]] = OrderedDict()

    def find(self, account: str, mailbox: int, keys: tuple[Criterion, ...], uids: UidList) -> array[int] | None:
        """The UIDs of `uids`, the mailbox's list, in the order of these keys, if it is known. The caller's own."""
        place = (account, mailbox, keys)
        held = self._orders.get(place)
        if held is None or held[0] is not uids:
            return None
        self._orders.move_to_end(place)
        return held[1][:]

    def keep(self, account: str, mailbox: int, keys: tuple[Criterion, ...], uids: UidList, ordered: array[int]) -> None:
        """Remember an order, unless it was read of another state of the mailbox than the list.

        No UID is given out twice, and new ones are above all before: where two states have as many messages and the
        same last one, none has come between them, and so none has gone. To sort them all for the sake of that would
        hold up the event loop for a third of a second a million messages.
        """
        if len(uids) < FEW_SORTED or len(ordered) != len(uids) or max(ordered) != uids.uids[-1]:
            return
        place = (account, mailbox, keys)
        self._drop(place)
        self._orders[place] = (uids, ordered[:])
        self._held += 2 * len(uids)
        while self._held > self._most and len(self._orders) > 1:
            self._drop(next(iter(self._orders)))

    def _drop(self, place: tuple[str, int, tuple[Criterion, ...]]) -> None:
        gone = self._orders.pop(place, None)
        if gone is not None:
            self._held -= 2 * len(gone[1])

    def forget(self, accounts: AbstractSet[str]) -> None:
        for place in [place for place in self._orders if place[0] in accounts]:
            self._drop(place)
