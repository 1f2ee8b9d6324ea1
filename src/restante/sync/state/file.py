"""The file of a copy's state: opened, made, brought to the newest version, locked for a run.

Every commit is on disk when it returns (WAL, synchronous FULL): the journal is worth nothing otherwise. A batch of
messages costs one. A run holds a lock on a file beside it, so that a second run on the same copy is refused, while
others may look at the state and decide about held removals.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import apsw

from ...errors import Refusal
from ..alone import alone
from .schema import ACCOUNT, APPLICATION_ID, MOVING, REMOVAL, STANDING, TABLES, VERSION

WAIT = 5_000
"""Milliseconds to wait for another program's transaction (a decision about held removals takes one)."""

PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    "trusted_schema = OFF",
    "cache_size = -8192",
    "temp_store = MEMORY",
    "journal_size_limit = 2097152",
)


class StateFailed(Refusal):
    """The copy's state cannot be read or written."""

    code = "STATE-FAILED"


class CopyBusy(Refusal):
    """Another run works on this copy."""

    code = "COPY-BUSY"
    temporary = True


def open_file(path: Path) -> apsw.Connection:
    """A connection to the state at `path`, made with its folder where it is missing. Raises StateFailed."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # mail's marks are nobody else's
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    except (apsw.Error, OSError) as error:
        raise StateFailed("The copy's state cannot be opened.", f"Look at {path}.") from error
    try:
        db.set_busy_timeout(WAIT)
        db.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
        for pragma in PRAGMAS:
            db.execute(f"PRAGMA {pragma}")
        if int(db.pragma("user_version")) != VERSION or int(db.pragma("application_id")) != APPLICATION_ID:
            _bring_up(db, path)
    except apsw.Error as error:
        db.close(True)
        raise StateFailed(f"The copy's state cannot be read ({reason(error)}).", f"Look at {path}.") from error
    except BaseException:
        db.close(True)
        raise
    return db


def reason(error: apsw.Error) -> str:
    """In SQLite's words, such as "database or disk is full"."""
    return str(error).partition(": ")[2] or str(error) or type(error).__name__


def last_written(path: Path) -> float | None:
    """When the file, or its log, was last written; None where it is not there."""
    times = []
    for name in (path, path.with_name(path.name + "-wal")):
        try:
            times.append(name.stat().st_mtime)
        except OSError:  # not there; what else there is, opening it will say
            continue
    return max(times, default=None)


Migration = Callable[[apsw.Connection], object]
MIGRATIONS: Sequence[Migration] = (
    lambda db: db.execute(REMOVAL),
    lambda db: db.execute(ACCOUNT),
    lambda db: db.execute(STANDING),
    lambda db: db.execute(MOVING),
)
"""Step n (from 0) leads from version n + 1 to n + 2. Never changed once released, only added to."""


def _bring_up(db: apsw.Connection, path: Path) -> None:
    """Make the tables in an empty file, or run the migrations that are missing; a second opener finds it done."""
    db.execute("BEGIN IMMEDIATE")
    try:
        version, application = int(db.pragma("user_version")), int(db.pragma("application_id"))
        if version == 0 and application == 0 and db.execute("SELECT 1 FROM sqlite_schema").fetchone() is None:
            db.execute(TABLES)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        elif application != APPLICATION_ID:
            raise StateFailed(f"{path} is not the state of a copy.", "Name another file.")
        elif version > VERSION:
            raise StateFailed(f"{path} was written by a newer Restante.", "Install the newer Restante again.")
        else:
            for step in MIGRATIONS[version - 1 :]:
                step(db)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def locked(path: Path) -> AbstractContextManager[None]:
    """Held by a run of the copy whose state is at `path`. Raises CopyBusy when it is entered."""
    busy = CopyBusy("Another run works on this copy.", "Wait for it, or end it.")
    return alone(path.with_name(path.name + ".lock"), busy)
