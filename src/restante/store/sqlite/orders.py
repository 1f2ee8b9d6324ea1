"""Orders of whole mailboxes, or of all their messages with certain flags, as SORT gave them: kept, and led on.

Mail applications that sort at the server ask for the same order with every page they show, and again when a message has
come. What an order depends on (dates, sizes, subjects, addresses) never changes of a message, so it is right as long as
the messages are the same; where a few have gone or come, these are looked up in the order by their keys, some twenty
steps in a million. So the newest 50 cost what changed since they were asked for, not the mailbox. For one thread.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

import apsw

from ...query.order import Criterion
from ...runs import differences
from .sort_keys import Values

if TYPE_CHECKING:  # a process that does not search need not load it
    from ...query.language import Query

    Place = tuple[str, int, tuple[Criterion, ...], Query, str, int]
    """(account, mailbox, keys, what the messages have in common, the account's incarnation, `of_mailbox`): an older
    state that is put in service gives mailboxes' keys, and with them UIDs, to others than the lost one did, and what a
    message is sorted by is made anew where `doctor` finds it wrong."""

MOST_ORDERED = 2_000_000
"""UIDs held by the orders of one process: 8 MB. The messages beside them are arrays that others keep (`changes`,
`matches`), until those forget them."""

FEW_SORTED = 500
"""Messages below which sorting takes no longer than it is worth: half a millisecond."""

MOST_PLACED = 64
"""Messages that are looked up in an order: some 0.1 ms each. Where more have changed, all are sorted again."""


class Orders:
    """The newest order of each mailbox, query and list of keys, least recently used ones forgotten."""

    def __init__(self, most: int = MOST_ORDERED) -> None:
        self._most = most
        self._held = 0
        self._orders: OrderedDict[Place, tuple[array[int], array[int]]] = OrderedDict()

    def find(self, db: apsw.Connection, place: Place, uids: array[int]) -> array[int] | None:
        """These UIDs (ascending, never changed) in order, if it is known or can be told from an earlier one; never
        change it. To be called in the transaction that gave them."""
        held = self._orders.get(place)
        if held is None:
            return None
        before, ordered = held
        if before is uids:
            self._orders.move_to_end(place)
            return ordered
        differ = differences(before, uids, MOST_PLACED)
        if differ is None:
            return None
        try:
            ordered = ordered if differ == ([], []) else _led_on(Values(db, place[1], place[2]), ordered, *differ)
        except KeyError:  # removed so long ago that nothing is known of it any more
            return None
        self.keep(place, uids, ordered)
        return ordered

    def keep(self, place: Place, uids: array[int], ordered: array[int]) -> None:
        """Remember an order of these UIDs, ascending. Neither is ever changed."""
        self._drop(place)
        if len(ordered) < FEW_SORTED:
            return
        self._orders[place] = (uids, ordered)
        self._held += len(ordered)
        while self._held > self._most and len(self._orders) > 1:
            self._drop(next(iter(self._orders)))

    def _drop(self, place: Place) -> None:
        gone = self._orders.pop(place, None)
        if gone is not None:
            self._held -= len(gone[1])

    def forget(self, accounts: AbstractSet[str]) -> None:
        for place in [place for place in self._orders if place[0] in accounts]:
            self._drop(place)


def of_mailbox(db: apsw.Connection, mailbox: int) -> int:
    """The last number that changed the mailbox itself: its name, its role, or what a repair has made anew in it."""
    return int(db.execute("SELECT changed_modseq FROM mailbox WHERE key = ?", (mailbox,)).get)


def _led_on(values: Values, ordered: array[int], gone: list[int], come: list[int]) -> array[int]:
    """The order without messages that are gone, with those that have come. Raises KeyError, see `Values`."""
    compared = values.compared
    made, start = array("I"), 0
    for place in sorted(_found(ordered, uid, values) for uid in gone):
        made += ordered[start:place]
        start = place + 1
    made += ordered[start:]
    if not come:
        return made
    ordered, made, start = made, array("I"), 0
    for uid in sorted(come, key=compared):
        place = bisect_left(ordered, compared(uid), start, key=compared)
        made += ordered[start:place]
        made.append(uid)
        start = place
    made += ordered[start:]
    return made


def _found(ordered: array[int], uid: int, values: Values) -> int:
    """Where a message stands. Raises KeyError, see `Values`, also where it does not stand where it should."""
    place = bisect_left(ordered, values.compared(uid), key=values.compared)
    if place == len(ordered) or ordered[place] != uid:
        raise KeyError(uid)
    return place
