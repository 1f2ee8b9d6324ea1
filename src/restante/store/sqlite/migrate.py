"""How an account's file comes to be, and how an older one becomes the newest.

A file is made under another name and linked into place when it is whole, so that no process ever sees half of
one. Migrations are numbered steps forward; all that are missing run in one IMMEDIATE transaction, so a process
that comes second finds the work done, and a crash leaves the old version. A newer file is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from ...clock import Random
from ...files import sync_folder
from ..errors import Damaged, NewerSchema
from ..model import INBOX
from .identity import new_id
from .inode import file_identity
from .schema import APPLICATION_ID, BODIES_APART, PRAGMAS_BEFORE_TABLES, SHARING, STAMPS, TABLES, TOLD, VERSION

Migration = Callable[[apsw.Connection], None]


def _to_2(db: apsw.Connection) -> None:
    db.execute(BODIES_APART)
    db.execute(SHARING)


def _to_3(db: apsw.Connection) -> None:
    db.execute(STAMPS)


def _to_4(db: apsw.Connection) -> None:
    db.execute(TOLD)


MIGRATIONS: Sequence[Migration] = (_to_2, _to_3, _to_4)
"""Step n (from 0) leads from version n + 1 to n + 2. Never changed once released, only added to."""


def create(path: Path, account: str, now: int, random: Random) -> None:
    """Make the account's file with an INBOX at `path`, durably. Does nothing where a file is."""
    if path.exists():
        return
    making = new_file(path, random)
    try:
        os.close(os.open(making, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        db = apsw.Connection(str(making))
        try:
            db.execute(PRAGMAS_BEFORE_TABLES)
            db.execute("PRAGMA synchronous = FULL")
            with db:
                db.execute(TABLES)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {VERSION}")
                _first_rows(db, account, now, random, file_identity(making))
        finally:
            db.close()  # writes the log back and removes it: the file alone is whole
        put_in_place(making, path)  # where another process was first, its file stays
    finally:
        for beside in (making, *(making.with_name(making.name + end) for end in ("-wal", "-shm"))):
            beside.unlink(missing_ok=True)


def new_file(path: Path, random: Random) -> Path:
    """The name under which the file that is to be `path` is made, in the same folder, which is there afterwards."""
    path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # a parent made on the way would be open to all
    path.parent.mkdir(mode=0o700, exist_ok=True)
    return path.with_name(f".{path.name}.{random(8).hex()}.new")


def put_in_place(making: Path, path: Path) -> bool:
    """Give a file that is whole, and durable, its name; False where a file has that already."""
    try:
        os.link(making, path)
    except FileExistsError:
        return False
    sync_folder(path.parent)
    return True


def _first_rows(db: apsw.Connection, account: str, now: int, random: Random, file: str) -> None:
    db.execute(
        "INSERT INTO account (one, id, incarnation, modseq, email_delivery, uidvalidity, log_floor, used, file,"
        " created) VALUES (1, ?, ?, 1, 0, ?, 0, 0, ?, ?)",
        (account, new_id("i", random), max(now, 1), file, now),
    )
    db.execute(
        "INSERT INTO mailbox (id, name, uidvalidity, uidnext, highest_modseq, created_modseq, changed_modseq)"
        " VALUES (?, ?, ?, 1, 1, 1, 1)",
        (new_id("b", random), INBOX, max(now, 1)),
    )
    db.execute("INSERT INTO subscription (user, name) VALUES ('', ?)", (INBOX,))
    db.execute("INSERT INTO clock (modseq, at) VALUES (1, ?)", (now,))
    # While it is there, nothing of the history has been forgotten.
    db.execute("INSERT INTO history (modseq, part, at, kind) VALUES (1, 0, ?, 'begin')", (now,))


def check(db: apsw.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring an opened file to the newest version. Raises NewerSchema, Damaged (not one of ours)."""
    newest = len(migrations) + 1
    if _version(db, newest) == newest:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in migrations[_version(db, newest) - 1 :]:
            step(db)
        db.execute(f"PRAGMA user_version = {newest}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _version(db: apsw.Connection, newest: int) -> int:
    version = int(db.pragma("user_version"))
    if int(db.pragma("application_id")) != APPLICATION_ID or version < 1:
        raise Damaged("This file is not an account of Restante's.", "Put the account's file back from a backup.")
    if version > newest:
        raise NewerSchema(
            f"The account's file has version {version}; this Restante knows versions up to {newest}.",
            "Install the newer Restante again.",
        )
    return version
