"""The tables of directory.db, how a connection to it is prepared, and its numbered migrations.

Owns: what the file looks like. `prepare` gives a connection to a file of the newest version, made or migrated
on the way. A migration is a step forward from one `user_version` to the next and runs, all steps that are
missing together, in one IMMEDIATE transaction: a process that comes second finds the work done. Must not
know: what a row means to the accounts room.

Addresses and aliases carry a folded key beside the text as given (`store.directory.fold_address`).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from ..errors import Busy, Damaged, DiskFull, NewerSchema, StoreFailed
from .faults import caused, is_full

APPLICATION_ID = 0x52535444
"""PRAGMA application_id of directory.db ("RSTD")."""

VERSION_1 = """
CREATE TABLE domain (
    name TEXT PRIMARY KEY NOT NULL,
    catch_all TEXT,
    scram INTEGER NOT NULL DEFAULT 0 CHECK (scram IN (0, 1)),
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    id TEXT PRIMARY KEY NOT NULL,
    address TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE,
    domain TEXT NOT NULL REFERENCES domain (name),
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    quota INTEGER CHECK (quota >= 0),
    pop3_delete TEXT CHECK (pop3_delete IN ('remove', 'trash', 'keep')),
    pop3_leave_days INTEGER,
    pop3_seen INTEGER CHECK (pop3_seen IN (0, 1)),
    scram INTEGER CHECK (scram IN (0, 1)),
    demo INTEGER NOT NULL CHECK (demo IN (0, 1)),
    created INTEGER NOT NULL,
    credential_version INTEGER NOT NULL,
    next_credential INTEGER NOT NULL DEFAULT 1,
    salt BLOB NOT NULL DEFAULT x'',
    iterations INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX account_domain ON account (domain);
CREATE INDEX account_leave ON account (pop3_leave_days) WHERE enabled = 1;

CREATE TABLE credential (
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('password', 'app')),
    label TEXT NOT NULL,
    hash TEXT NOT NULL,
    protocols TEXT NOT NULL,
    stored_key BLOB,
    server_key BLOB,
    created INTEGER NOT NULL,
    last_used INTEGER,
    PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX credential_password ON credential (account) WHERE kind = 'password';
CREATE INDEX credential_scram ON credential (account) WHERE stored_key NOT NULL;

CREATE TABLE alias (
    key TEXT PRIMARY KEY NOT NULL,
    address TEXT NOT NULL,
    domain TEXT NOT NULL REFERENCES domain (name),
    targets TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_domain ON alias (domain);

CREATE TABLE secret (
    name TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL CHECK (length(value) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE duplicate (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    digest BLOB NOT NULL,
    at INTEGER NOT NULL,
    email_id TEXT NOT NULL
) STRICT;
"""
"""credential.protocols: names in order, joined by a space, "" for all. alias.targets: a JSON array of addresses."""

DELIVERIES = """
CREATE TABLE delivery (
    recipient TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    token BLOB NOT NULL CHECK (length(token) = 16),
    done TEXT NOT NULL,
    begun INTEGER NOT NULL,
    PRIMARY KEY (recipient, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_begun ON delivery (begun);
"""
"""A delivery to several accounts that has begun and not ended (`store.journal`). done: names of copies that are known
to be filed, joined by a space."""

ADOPTED = """
CREATE TABLE adopted (
    id TEXT PRIMARY KEY NOT NULL,
    account TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX adopted_account ON adopted (account);
"""
"""MAILBOXIDs that accounts brought along from exports, so that no second account here takes the same."""

CLOSED = """
ALTER TABLE credential ADD COLUMN expires INTEGER;

CREATE TABLE closure (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL
) STRICT;
"""
"""credential.expires: seconds UTC. closure: accounts in the order in which they were disabled or removed, or lost a
credential: those whose sessions may have to end."""

QUOTAS = """
ALTER TABLE account ADD COLUMN quota_messages INTEGER CHECK (quota_messages >= 0);
ALTER TABLE account ADD COLUMN quota_mailboxes INTEGER CHECK (quota_mailboxes >= 0);
"""
SHARES = """
CREATE TABLE share (
    identifier TEXT NOT NULL,
    account TEXT NOT NULL,
    PRIMARY KEY (identifier, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX share_account ON share (account);
"""
"""Which accounts grant something to an identifier: an index of the lists in the accounts' files. It may hold a pair
too many (a crash between the two files), never one too few: see `Directory.note_shares`."""

VERSION_2 = DELIVERIES + ADOPTED + CLOSED + QUOTAS + SHARES

MIGRATIONS: Sequence[str] = (VERSION_1, VERSION_2)
"""Step n (from 0) leads from user_version n to n + 1. Never changed once released, only added to."""


PREPARING = 10.0
"""Seconds for which a file that others are making is tried again."""

AGAIN = 0.002
"""Seconds between two tries."""

NO_ROOM = "There is no room on the disk.", "Free some space and try again."


@contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLite reports into refusals of `store.errors`; the cause stays chained for the log."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise caused(Busy("The directory is busy.", "Try again in a moment."), error) from error
    except apsw.FullError as error:
        raise caused(DiskFull(*NO_ROOM), error) from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        damaged = Damaged("The directory database is damaged.", "Put directory.db back from a backup.")
        raise caused(damaged, error) from error
    except (apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as error:
        if is_full(error):
            raise caused(DiskFull(*NO_ROOM), error) from error
        failed = StoreFailed(
            "The directory database cannot be read or written.", "Check the disk and the data folder's rights."
        )
        raise caused(failed, error) from error


def make_file(path: Path) -> None:
    """Make an empty file for this user alone, in a folder for this user alone, where they are missing.

    SQLite gives the files beside it (-wal, -shm) the same mode.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # only where there is none: closing a file drops the locks that SQLite holds on it in this process
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        if path.stat().st_mode & 0o077 and path.stat().st_uid == os.geteuid():
            path.chmod(0o600)
    except OSError as error:
        if is_full(error):
            raise caused(DiskFull(*NO_ROOM), error) from error
        failed = StoreFailed(
            "The directory database cannot be opened.", "Check that the data folder exists and may be written."
        )
        raise caused(failed, error) from error


def connect(path: Path, busy_timeout: int) -> apsw.Connection:
    """A connection with our settings. busy_timeout: milliseconds to wait for another process.

    synchronous=FULL: a commit is on disk when it returns. trusted_schema off, since a file may be a stranger's.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(busy_timeout)
    for pragma in ("synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF", "cache_size = -2048"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def prepare(connection: apsw.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Bring the file to the newest version. Raises NewerSchema, Damaged (a stranger's file), Busy.

    All processes of a server do so at its first start. Of two that make it a file with a log at the same instant each
    would wait for the other: SQLite refuses one at once, whatever its timeout is.
    """
    begun = time.monotonic()
    while _checked_version(connection, len(migrations)) < len(migrations):
        try:
            _migrate(connection, migrations)
        except apsw.BusyError:
            if time.monotonic() - begun > PREPARING:
                raise
            time.sleep(AGAIN)  # nobody tells when the other has done


def _migrate(connection: apsw.Connection, migrations: Sequence[str]) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _checked_version(connection, len(migrations))  # another process may have been first
        for step in migrations[version:]:
            connection.execute(step)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _checked_version(connection: apsw.Connection, newest: int) -> int:
    """The file's version, once it is known to be ours and not newer than this program."""
    application, version, tables = connection.execute(_WHAT_IT_IS).get
    if application != APPLICATION_ID and (application or version or tables):
        raise Damaged("directory.db is not a directory of Restante's.", "Choose another data folder with --data.")
    if version > newest:
        raise NewerSchema(
            f"directory.db has version {version}; this Restante knows versions up to {newest}.",
            "Install the newer Restante again, or put back the data folder as it was before the upgrade.",
        )
    return int(version)


_WHAT_IT_IS = """
SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),
    EXISTS (SELECT 1 FROM sqlite_schema)
"""
"""One statement sees one state: a file that another process makes meanwhile is empty, or ours."""
