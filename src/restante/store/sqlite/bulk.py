"""Many rows into a table, by few statements.

`executemany` steps once a row, and each step lets go of the interpreter and waits to have it again: beside threads that
read and unpack, that wait is longer than the step. Here a step is for many rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import apsw

AT_ONCE = 64
"""Rows of a statement. The longest text of one stays below the 16,384 characters that APSW keeps compiled."""


def insert(db: apsw.Connection, into: str, rows: Sequence[Sequence[apsw.SQLiteValue]]) -> None:
    """Insert rows, in order. into: a statement up to "VALUES"."""
    if not rows:
        return
    one = f"({', '.join('?' * len(rows[0]))})"
    whole = len(rows) - len(rows) % AT_ONCE
    if whole:
        many = f"{into} {', '.join([one] * AT_ONCE)}"
        for at in range(0, whole, AT_ONCE):
            db.execute(many, tuple(chain.from_iterable(rows[at : at + AT_ONCE])))
    if whole < len(rows):
        db.executemany(f"{into} {one}", rows[whole:])
