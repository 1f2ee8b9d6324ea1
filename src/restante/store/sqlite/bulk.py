"""Many rows into a table, by few statements.

`executemany` steps once a row, and each step lets go of the interpreter and waits to have it again: beside threads that
read and unpack, that wait is longer than the step. Here a step is for many rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain

import apsw

AT_ONCE = 64
"""Rows of a statement. The longest text of one stays below the 16,384 characters that APSW keeps compiled."""
FEW = 8
"""Rows of a statement for what is left of them."""


def insert(db: apsw.Connection, into: str, rows: Sequence[Sequence[apsw.SQLiteValue]]) -> None:
    """Insert rows, in order. into: a statement up to "VALUES"."""
    if not rows:
        return
    left, at, columns = len(rows), 0, len(rows[0])
    for width in (AT_ONCE, FEW):
        while left >= width:
            db.execute(_statement(into, columns, width), tuple(chain.from_iterable(rows[at : at + width])))
            at += width
            left -= width
    if left == 1:
        db.execute(_statement(into, columns, 1), rows[at])
    elif left:
        db.executemany(_statement(into, columns, 1), rows[at:])


@cache
def _statement(into: str, columns: int, rows: int) -> str:
    one = f"({', '.join('?' * columns)})"
    return f"{into} {', '.join([one] * rows)}"


def last_key(db: apsw.Connection, table: str) -> int:
    """The largest key that a table with AUTOINCREMENT has, or has ever given out: those of new rows follow it."""
    return int(db.execute(_LAST[table]).get)


_LAST = {
    table: f"SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), 0),"
    f" coalesce((SELECT max(key) FROM {table}), 0))"
    for table in ("content", "email")
}
