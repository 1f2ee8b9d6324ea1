"""What SORT compares: its keys as SQL over `p` (placement, or what was one) and `k` (sortkey); two messages by them.

SQLite sorts whole mailboxes; here a few messages are put where they stand in an order that is known. RFC 5256 3,
RFC 5957.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cmp_to_key
from typing import Any

import apsw

from ...query.order import Criterion, SortKey

SENT = "coalesce(k.sent, p.received)"

_EXPRESSIONS = {
    SortKey.ARRIVAL: "p.received",
    SortKey.CC: "k.cc",
    SortKey.DATE: SENT,
    SortKey.DISPLAYFROM: "k.display_from",
    SortKey.DISPLAYTO: "k.display_to",
    SortKey.FROM: "k.sender",
    SortKey.RELEVANCY: "-(s.value & 127)",  # the highest comes first (RFC 6203 6)
    SortKey.SIZE: "p.size",
    SortKey.SUBJECT: "k.subject",
    SortKey.TO: "k.recipient",
}

Compared = Callable[[Any], Any]
"""Makes of a message's values (one for each key, its UID last) what compares as the messages do."""


def ordering(keys: Sequence[Criterion]) -> list[tuple[str, bool]]:
    """(expression, whether it descends) of each key; one that comes again decides nothing any more."""
    orders: dict[str, bool] = {}
    for criterion in keys:
        orders.setdefault(_EXPRESSIONS[criterion.key], criterion.reverse)
    return list(orders.items())


def sortkey_join(expressions: str) -> str:
    """The join that expressions need beside placements."""
    return " CROSS JOIN sortkey k ON k.email = p.email" if "k." in expressions else ""


def values_sql(keys: Sequence[Criterion], table: str) -> str:
    """A message's values: one for each key, its UID last. Parameters: mailbox, UID. table: placement, or removed."""
    values = ", ".join([*(expression for expression, _ in ordering(keys)), "p.uid"])
    return f"SELECT {values} FROM {table} p{sortkey_join(values)} WHERE p.mailbox = ?1 AND p.uid = ?2"


def comparison(keys: Sequence[Criterion]) -> Compared:
    """How messages compare by these keys and then by UID. Texts by their UTF-8 octets, which is the order of code
    points, as SQLite's BINARY does."""
    directions = [-1 if descends else 1 for _, descends in ordering(keys)] + [1]

    def compare(one: Sequence[Any], other: Sequence[Any]) -> int:
        for a, b, direction in zip(one, other, directions, strict=True):
            if a != b:
                return -direction if a < b else direction
        return 0

    return cmp_to_key(compare)


class Values:
    """Values of messages of one mailbox, also of those that have been removed, read as they are asked for.

    compared: of a UID, what compares as the messages do. Raises KeyError where nothing is known of it any more.
    """

    def __init__(self, db: apsw.Connection, mailbox: int, keys: Sequence[Criterion]) -> None:
        self._db = db
        self._mailbox = mailbox
        self._sql = values_sql(keys, "placement"), values_sql(keys, "removed")
        self._comparison = comparison(keys)
        self._known: dict[int, Any] = {}

    def compared(self, uid: int) -> Any:
        known = self._known.get(uid)
        if known is None:
            known = self._known[uid] = self._comparison(self._read(uid))
        return known

    def _read(self, uid: int) -> Sequence[Any]:
        for sql in self._sql:
            row: Sequence[Any] | None = self._db.execute(sql, (self._mailbox, uid)).fetchone()
            if row is not None:
                return row
        raise KeyError(uid)
