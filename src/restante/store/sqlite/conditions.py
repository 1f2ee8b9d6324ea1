"""SQL conditions of a search, and how they are joined. RFC 9051 6.4.4."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import Enum

from ...query.language import Instant, Order
from ..model import UidRanges


class Edge(Enum):
    """Stands among values for the lowest or the highest UID that a statement looks at (see `within_edges`)."""

    LOW = 0
    HIGH = 0xFFFFFFFF


SqlValue = int | str | bytes | Edge
_MANY_RANGES = 8  # more than this, and the ranges go in as one bound JSON value
_DAY = 86_400


@dataclass(slots=True)
class Sql:
    """An SQL expression over `p` (placement), `e` (email), `k` (sortkey), `s` (search_text), `a` (answer), and its
    values."""

    text: str
    values: list[SqlValue] = field(default_factory=list)


TRUE = Sql("1")
FALSE = Sql("0")


def balanced(parts: Sequence[Sql], operator: str, empty: Sql) -> Sql:
    """Join expressions as a balanced tree, since SQLite bounds the depth of an expression (1,000)."""
    if not parts:
        return empty
    while len(parts) > 1:
        joined = []
        for i in range(0, len(parts) - 1, 2):
            a, b = parts[i], parts[i + 1]
            joined.append(Sql(f"({a.text} {operator} {b.text})", a.values + b.values))
        if len(parts) % 2:
            joined.append(parts[-1])
        parts = joined
    return parts[0]


def is_seen(flag: str) -> bool:
    """Whether it is the flag that each reader of a mailbox has for himself."""
    return flag.lower() == "\\seen"


def uid_condition(ranges: UidRanges, mailbox: int) -> Sql:
    """`p.uid` lies in these ranges. Many ranges are bound as one value; cost grows with the ranges, and with the UIDs
    that exist between a statement's edges: hundreds of such conditions would each gather a whole mailbox."""
    if not ranges:
        return FALSE
    if len(ranges) <= _MANY_RANGES:
        parts = [Sql("p.uid BETWEEN ? AND ?", [low, high]) for low, high in ranges]
        return balanced(parts, "OR", TRUE)
    return Sql(
        "p.uid IN (SELECT q.uid FROM json_each(?) AS j CROSS JOIN placement AS q"
        " WHERE q.mailbox = ? AND q.uid BETWEEN max(j.value ->> 0, ?) AND min(j.value ->> 1, ?))",
        [json.dumps(ranges), mailbox, Edge.LOW, Edge.HIGH],
    )


def within_edges(values: Sequence[SqlValue], low: int = Edge.LOW.value, high: int = Edge.HIGH.value) -> list[SqlValue]:
    """Values as they are bound by a statement that looks at UIDs from `low` to `high`."""
    edges: dict[object, int] = {Edge.LOW: low, Edge.HIGH: high}
    return [edges[value] if isinstance(value, Edge) else value for value in values]


def lists_uids(test: Sql) -> bool:
    """Whether UIDs are gathered for it (see `uid_condition`)."""
    return Edge.LOW in test.values


def told(test: Sql, yes: int, no: int) -> Sql:
    """An expression's answer as a value; one that is NULL is no. SQLite stops at what decides an AND or an OR only
    where it branches: as an operand of COALESCE each costs all of it."""
    return Sql(f"CASE WHEN {test.text} THEN {yes} ELSE {no} END", test.values)


def dated(instant: Instant, order: Order, day: date) -> Sql:
    if instant is Instant.SENT:
        number = (day - date(1970, 1, 1)).days
        return Sql(f"k.sent_day {order.value} ?", [number])
    column = "p.received" if instant is Instant.RECEIVED else "p.saved"
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    match order:
        case Order.BEFORE:
            return Sql(f"{column} < ?", [start])
        case Order.SINCE:
            return Sql(f"{column} >= ?", [start])
        case Order.ON:
            return Sql(f"{column} BETWEEN ? AND ?", [start, start + _DAY - 1])
