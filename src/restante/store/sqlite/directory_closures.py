"""Whose sessions may have to end, in directory.db: a log of accounts that every process reads behind."""

from __future__ import annotations

import apsw

from ..directory import Closures
from .directory_rows import Read

KEPT = 10_000
"""Closures that are kept: who has not asked for longer looks at all accounts."""


def since(read: Read, after: int | None) -> Closures:
    """See `store.directory.Directory.closures`."""
    oldest, newest = read("SELECT coalesce(min(number), 0), coalesce(max(number), 0) FROM closure")[0]
    if after is None or after >= newest:
        return Closures(newest, ())
    if after < oldest - 1:
        return Closures(newest, None)
    rows = read("SELECT DISTINCT account FROM closure WHERE number > ? AND number <= ?", after, newest)
    return Closures(newest, tuple(account for (account,) in rows))


def note(db: apsw.Connection, account: str) -> None:
    """So that every process looks which of the account's sessions have to end. Within a transaction."""
    db.execute("INSERT INTO closure (account) VALUES (?)", (account,))
    db.execute("DELETE FROM closure WHERE number <= ?", (db.last_insert_rowid() - KEPT,))
