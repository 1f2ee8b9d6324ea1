"""The ledger's file: tables, version, and how it is opened.

One process at a time writes it (an exclusive lock held while it is open), each commit with an fsync: a message that the
target has taken is never forgotten, and one that may have been taken is known to be in doubt (`flight`).
"""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from ....errors import Refusal

VERSION = 2
APPLICATION = 0x52_4D_49_47  # "RMIG"

MADE = """
-- Mailboxes of the target that a run has made.
CREATE TABLE made(target TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""

MIGRATIONS = (
    "ALTER TABLE flight ADD COLUMN size INTEGER; ALTER TABLE flight ADD COLUMN received INTEGER;"
    "ALTER TABLE flight ADD COLUMN mark BLOB; ALTER TABLE flight ADD COLUMN digest BLOB;"
    "ALTER TABLE flight ADD COLUMN old_mailbox INTEGER; ALTER TABLE flight ADD COLUMN old_target INTEGER;" + MADE,
)
"""Step n (from 0) leads from version n + 1 to n + 2."""

TABLES = (
    """
CREATE TABLE about(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
-- One of the source's mailboxes and where it goes. sifted: source UIDs up to it were compared with what the target
-- held.
CREATE TABLE mailbox(
    key INTEGER PRIMARY KEY,
    source TEXT NOT NULL UNIQUE,
    target TEXT NOT NULL,
    source_validity TEXT NOT NULL,
    target_validity TEXT NOT NULL,
    sifted INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE flagset(key INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE) STRICT;
-- A message on both sides. flags: of the source when last looked at. size, received, mark, digest: of the source.
-- back_*: what the target gave back. uidl: POP3 UIDL that went along.
CREATE TABLE pair(
    mailbox INTEGER NOT NULL REFERENCES mailbox(key) ON DELETE CASCADE,
    source INTEGER NOT NULL,
    target INTEGER NOT NULL,
    flags INTEGER NOT NULL REFERENCES flagset(key),
    size INTEGER,
    received INTEGER,
    mark BLOB,
    digest BLOB,
    uidl TEXT,
    back_size INTEGER,
    back_received INTEGER,
    back_mark BLOB,
    back_digest BLOB,
    PRIMARY KEY(mailbox, source)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX pair_target ON pair(mailbox, target);
CREATE INDEX pair_mark ON pair(mark, size);
-- Handed to the target, which has not been heard to have them; and what they are, to be known whatever becomes of them
-- at the source. old_*: mailbox and target UID of the pair that they are at the target already, to be moved there.
CREATE TABLE flight(
    mailbox INTEGER NOT NULL REFERENCES mailbox(key) ON DELETE CASCADE,
    source INTEGER NOT NULL,
    size INTEGER,
    received INTEGER,
    mark BLOB,
    digest BLOB,
    old_mailbox INTEGER,
    old_target INTEGER,
    PRIMARY KEY(mailbox, source)
) STRICT, WITHOUT ROWID;
-- What the target held that is none of ours, so that its outlines are read once.
CREATE TABLE other(
    target TEXT NOT NULL,
    uid INTEGER NOT NULL,
    size INTEGER,
    received INTEGER NOT NULL,
    mark BLOB NOT NULL,
    digest BLOB,
    PRIMARY KEY(target, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX other_mark ON other(target, mark);
-- Of a mailbox that shows all mail: messages that another mailbox brought.
CREATE TABLE elsewhere(
    mailbox INTEGER NOT NULL REFERENCES mailbox(key) ON DELETE CASCADE,
    source INTEGER NOT NULL,
    PRIMARY KEY(mailbox, source)
) STRICT, WITHOUT ROWID;
CREATE TABLE aside(
    mailbox INTEGER NOT NULL REFERENCES mailbox(key) ON DELETE CASCADE,
    source INTEGER NOT NULL,
    reason TEXT NOT NULL,
    temporary INTEGER NOT NULL,
    PRIMARY KEY(mailbox, source)
) STRICT, WITHOUT ROWID;
"""
    + MADE
)

TEMPORARY = """
CREATE TEMP TABLE wanted(
    sift INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    size INTEGER,
    received INTEGER NOT NULL,
    mark BLOB NOT NULL,
    digest BLOB,
    PRIMARY KEY(sift, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX temp.wanted_mark ON wanted(sift, mark);
"""


class LedgerRefusal(Refusal):
    """The ledger cannot be used: another run has it, it is of another migration, or it is no ledger."""

    code = "MIGRATE-STATE"


def connect(path: Path | None, *, keep: bool) -> apsw.Connection:
    """The ledger at `path`, made if it is missing; without `keep` a copy in memory that leaves the file alone.

    Raises LedgerRefusal.
    """
    try:
        if keep:
            assert path is not None
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
            db = apsw.Connection(str(path))
        else:
            db = apsw.Connection(":memory:")
            if path is not None and path.exists():
                _copy(path, db)
        try:
            _prepare(db)
        except BaseException:
            db.close()
            raise
        return db
    except apsw.BusyError as cause:
        raise LedgerRefusal(
            f"Another run is using {path}.", "Wait for its end, or name another file with --state."
        ) from cause
    except apsw.Error as cause:
        raise LedgerRefusal(f"{path} is no state of a migration ({cause}).", "Name another with --state.") from cause
    except OSError as cause:
        raise LedgerRefusal(
            f"{path} cannot be written ({cause.strerror}).", "Name another file with --state."
        ) from cause


def _copy(path: Path, db: apsw.Connection) -> None:
    source = apsw.Connection(f"file:{path.absolute()}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        with db.backup("main", source, "main") as backup:
            while not backup.done:
                backup.step(1000)
    finally:
        source.close()


def _prepare(db: apsw.Connection) -> None:
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("BEGIN EXCLUSIVE")
    try:
        version = db.pragma("user_version")
        if version == 0 and not db.execute("SELECT count(*) FROM sqlite_master").get:
            db.execute(TABLES)
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {VERSION}")
        elif db.pragma("application_id") != APPLICATION:
            raise LedgerRefusal("The state file is none of a migration.", "Name another with --state.")
        elif 0 < version < VERSION:
            for step in MIGRATIONS[version - 1 :]:
                db.execute(step)
            db.execute(f"PRAGMA user_version = {VERSION}")
        elif version != VERSION:
            raise LedgerRefusal(
                f"The state file has version {version}; this Restante knows {VERSION}.",
                "Go on with the Restante that made it, or name a new file: what is copied already is found again.",
            )
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
    db.execute("PRAGMA temp_store = FILE")
    db.execute(TEMPORARY)
