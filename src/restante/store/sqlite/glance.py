"""A glance at an account from outside: what its mailboxes are and how far each has come, or how much there is, without
an engine.

A local copy that has nothing to do asks just this, and starting an engine takes ten times as long as the answer; who
asks for the sizes of thousands of accounts has none of them open longer than the answer takes.
Imports SQLite and next to nothing else. Whatever is not quite ordinary (an older schema, a file put back from a backup,
a move to be finished, a lock, no such account) makes the glance give up: an engine then says what it is, or mends it.
"""

from __future__ import annotations

import apsw

from ..errors import NoSuchAccount
from ..fold import fold_address
from .inode import is_copy
from .names import DIRECTORY, account_name
from .schema import APPLICATION_ID, VERSION

TYPE_CHECKING = False  # see `cli.entry`
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from ..model import AccountStats

Row = tuple[str, str, str | None, int, int, int, int, int]
"""(name, MAILBOXID, role, UIDVALIDITY, UIDNEXT, highest_modseq, messages, whether the owner subscribed it)."""

Glance = tuple[str, int, list[Row]]
"""(account id, change counter, its mailboxes: INBOX first, then by name), all of one instant."""

WAIT = 1_000
"""Milliseconds to wait for a lock: readers meet one only while another process recovers a log after a crash."""


def glance(data: Path | str, account: str) -> Glance | None:
    """What is there, None where an engine has to be asked. account: an id, or an address (with "@").

    Cost: two files opened, two milliseconds; grows with mailboxes, not with messages. Writes nothing.
    """
    try:
        id = account if "@" not in account else _id_of(f"{data}/{DIRECTORY}", account)
        if id is None:
            return None
        path = f"{data}/{account_name(id)}"
        db = open_to_look(path)
        try:
            db.execute("BEGIN")
            if db.pragma("application_id") != APPLICATION_ID or db.pragma("user_version") != VERSION:
                return None
            if is_copy(db, path) or db.execute(UNFINISHED).get:
                return None
            found: Any = db.execute(_MAILBOXES).fetchall()  # of STRICT columns, which the checker cannot see
            rows: list[Row] = found
            return id, int(db.execute("SELECT modseq FROM account").get), rows
        finally:
            db.close(True)
    except (apsw.Error, OSError, NoSuchAccount):
        return None  # an engine says why


Stamps = dict[str, list[int] | None]
"""Files of the directory and of an account as they were: [inode, octets, times of content and of inode], by path."""


def stamped_glance(data: str, account: str, stamp: Callable[[str], list[int] | None]) -> tuple[Glance | None, Stamps]:
    """A glance, and the stamps of what it looked into, taken before it did: while they stay, another glance would see
    the same. A log without octets counts as none: a glance makes one. Cost: six stat calls more than a glance."""

    def stamps(path: str) -> Stamps:
        log = f"{path}-wal"
        written = stamp(log)
        return {path: stamp(path), log: written if written is not None and written[1] else None}

    try:
        found = stamps(f"{data}/{DIRECTORY}") if "@" in account else {}
        id = _id_of(f"{data}/{DIRECTORY}", account) if "@" in account else account
        if id is None:
            return None, {}
        found |= stamps(f"{data}/{account_name(id)}")
    except (apsw.Error, OSError, NoSuchAccount):
        return None, {}  # an engine says why
    return glance(data, id), found


def glance_stats(data: Path, id: str) -> AccountStats | None:
    """How much is in the account, None where an engine has to be asked, which may say why.

    Cost: a file opened and closed, a third of a millisecond, and a pass over what can be recovered. Writes nothing.
    """
    from .paths import account_file
    from .rows import stats

    try:
        path = account_file(data, id)
        db = open_to_look(path)
        try:
            if db.pragma("application_id") != APPLICATION_ID or db.pragma("user_version") != VERSION:
                return None
            return stats(db, path)
        finally:
            db.close(True)
    except (apsw.Error, OSError, LookupError, NoSuchAccount):
        return None


MARK = """
SELECT incarnation, modseq, (SELECT count(retrieved) FROM pop3), (SELECT count(*) FROM pop3_hidden),
    (SELECT sum(recent_uid) FROM mailbox)
FROM account
"""
"""The columns of a `store.backup.Mark`, one behind the other."""


def glance_mark(data: str, id: str) -> list[object] | None:
    """The account's mark: equal to an earlier one where nothing of it has changed since. None where an engine has to be
    asked. Cost: a file opened and closed, half a millisecond."""
    try:
        path = f"{data}/{account_name(id)}"
        db = open_to_look(path)
        try:
            db.execute("BEGIN")
            if db.pragma("application_id") != APPLICATION_ID or db.pragma("user_version") != VERSION:
                return None
            if is_copy(db, path):
                return None
            row = db.execute(MARK).fetchone()
            return None if row is None else list(row)
        finally:
            db.close(True)
    except (apsw.Error, OSError, NoSuchAccount):
        return None


class DirectoryGlance:
    """What backups keep of the directory, as a digest. Raises apsw.Error or OSError where there is none to look at."""

    def __init__(self, data: str) -> None:
        self._db = open_to_look(f"{data}/{DIRECTORY}")
        try:
            self._db.execute("BEGIN")
            self.digest = self._digest()
            """SHA-256, hexadecimal: of every row of every table that a backup keeps."""
            self._db.execute("COMMIT")
            self._version = self._db.pragma("data_version")
        except BaseException:
            self._db.close(True)
            raise

    def _digest(self) -> str:
        from hashlib import sha256

        db, found = self._db, sha256()
        found.update(repr((db.pragma("application_id"), db.pragma("user_version"))).encode())
        for table, key in _KEPT:
            found.update(table.encode())
            for row in db.execute(f"SELECT * FROM {table} ORDER BY {key}"):
                found.update(repr(row).encode("utf-8", "surrogatepass"))
        return found.hexdigest()

    def rows(self, sql: str, *values: str | int | bytes) -> list[tuple[Any, ...]]:
        """What a query of the directory gives: of the state of this moment, which is the digest's while it `stands`."""
        return list(self._db.execute(sql, values))

    def is_version(self, application_id: int, version: int) -> bool:
        """Whether it is a directory of this version."""
        found = self._db.pragma("application_id"), self._db.pragma("user_version")
        return found == (application_id, version)

    def stands(self) -> bool:
        """Whether nobody has written to the directory since."""
        return bool(self._db.pragma("data_version") == self._version)

    def close(self) -> None:
        self._db.close(True)


def glance_directory(data: str) -> DirectoryGlance | None:
    """The directory, to be closed; None where an engine has to be asked. Cost: grows with accounts, a microsecond or
    two each."""
    try:
        return DirectoryGlance(data)
    except (apsw.Error, OSError):
        return None


_KEPT = (
    ("domain", "name"), ("account", "id"), ("credential", "account, number"), ("alias", "key"), ("secret", "name"),
    ("adopted", "id"),
)  # fmt: skip
"""Tables of the directory that `directory_backup` reads, and their primary keys."""


def _id_of(path: str, address: str) -> str | None:
    db = open_to_look(path)
    try:
        found = db.execute("SELECT id FROM account WHERE key = ?", (fold_address(address),)).fetchone()
        return None if found is None else str(found[0])
    finally:
        db.close(True)


def open_to_look(path: Path | str) -> apsw.Connection:
    """A connection for a few reads. Not read-only: a log left by a crash must be recovered to be read."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    db.set_busy_timeout(WAIT)
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # closing is not the time for two fsyncs
    db.execute("PRAGMA trusted_schema = OFF")
    return db


UNFINISHED = "SELECT EXISTS (SELECT 1 FROM transfer_out)"
"""Whether moves into other accounts were cut off by a crash, which an engine finishes."""
_MAILBOXES = """
SELECT m.name, m.id, m.role, m.uidvalidity, m.uidnext, m.highest_modseq, m.messages,
    EXISTS (SELECT 1 FROM subscription s WHERE s.user = '' AND s.name = m.name)
FROM mailbox m ORDER BY m.name <> 'INBOX', m.name
"""
