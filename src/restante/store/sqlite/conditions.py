"""SQL conditions of a search, and how they are joined. RFC 9051 6.4.4."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from ...query.language import Instant, Order
from ..model import UidRanges

SqlValue = int | str | bytes
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
    """`p.uid` lies in these ranges. Many ranges are bound as one value; cost grows with the UIDs that exist."""
    if not ranges:
        return FALSE
    if len(ranges) <= _MANY_RANGES:
        parts = [Sql("p.uid BETWEEN ? AND ?", [low, high]) for low, high in ranges]
        return balanced(parts, "OR", TRUE)
    return Sql(
        "p.uid IN (SELECT q.uid FROM json_each(?) AS j CROSS JOIN placement AS q"
        " WHERE q.mailbox = ? AND q.uid BETWEEN j.value ->> 0 AND j.value ->> 1)",
        [json.dumps(ranges), mailbox],
    )


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
