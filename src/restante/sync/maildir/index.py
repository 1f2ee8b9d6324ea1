"""Numbers for names: one SQLite file a tree, beside the copy's state. All SQL of this room.

A message of a Maildir has a name that stays; planner and engine want numbers that stay. So each folder (known by its
marker) has rows name -> UID, and a number that grows with every change, which each changed row carries: "what changed
since N" is answered from here, whatever was asked before and however a run ended. What another program changes is found
by putting all names of a folder beside these rows: set work, in SQLite, no object a message.

The file may be lost: markers keep the folders' identities, UIDs begin anew with another validity, and the planner finds
messages by content. A UID is durable before it is told (synchronous=FULL), so that none is ever given twice.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from ...values import Value

VERSION = 2
BUSY = 60_000
"""Milliseconds that another program's use of the file is waited for."""
CHUNK = 5000
"""Rows or UIDs handled at once, so that memory stays flat."""

_PRAGMAS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8000"

_SCHEMA = """
CREATE TABLE tree (one INTEGER PRIMARY KEY CHECK (one = 1), root TEXT NOT NULL) STRICT;
CREATE TABLE folder (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  path TEXT NOT NULL,
  validity TEXT NOT NULL,
  uidnext INTEGER NOT NULL DEFAULT 1,
  number INTEGER NOT NULL DEFAULT 1,
  floor INTEGER NOT NULL DEFAULT 0,
  messages INTEGER NOT NULL DEFAULT 0,
  scanned TEXT NOT NULL DEFAULT '',
  letters TEXT NOT NULL DEFAULT '',
  name TEXT NOT NULL DEFAULT '',
  role TEXT,
  missing INTEGER
) STRICT;
CREATE TABLE message (
  folder INTEGER NOT NULL,
  name BLOB NOT NULL,
  uid INTEGER NOT NULL,
  new INTEGER NOT NULL,
  info BLOB NOT NULL,
  changed INTEGER NOT NULL,
  size INTEGER,
  PRIMARY KEY (folder, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX message_uid ON message (folder, uid);
CREATE INDEX message_changed ON message (folder, changed);
CREATE TABLE gone (
  folder INTEGER NOT NULL, uid INTEGER NOT NULL, changed INTEGER NOT NULL, PRIMARY KEY (folder, uid)
) STRICT, WITHOUT ROWID;
"""

_MIGRATIONS = ("CREATE INDEX message_changed ON message (folder, changed)",)
"""Step n (from 0) leads from version n + 1 to n + 2. Never changed once released, only added to."""

_TEMPORARY = """
CREATE TEMP TABLE odd (name BLOB NOT NULL, new INTEGER NOT NULL, info BLOB NOT NULL, uid INTEGER);
CREATE TEMP TABLE missing (name BLOB PRIMARY KEY) WITHOUT ROWID;
"""

File = tuple[bytes, int, bytes]
"""A message's file: unique name, whether it lies in new/, info."""


class FolderRow(Value, frozen=True):
    """A folder as the index knows it.

    number: grows with each change of a message. floor: removals up to it are forgotten. scanned: `Look.state` of which
    the rows are the picture ("" none). letters: what keyword letters meant then. name, role: as last listed, for when
    the folder cannot be read. missing: since when, seconds.
    """

    key: int
    id: str
    path: str
    validity: str
    number: int
    floor: int
    messages: int
    scanned: str
    letters: str
    name: str
    role: str | None
    missing: int | None


_FOLDER = (
    "SELECT key, CAST(id AS BLOB), CAST(path AS BLOB), validity, number, floor, messages, scanned, letters, name, role,"
    " missing FROM folder"
)
"""id and path as octets: a folder's name may be no UTF-8 (`_octets`)."""


class Row(Value, frozen=True):
    """One message's row, for work on single messages. size: with CRLF, None where not known."""

    uid: int
    name: bytes
    new: bool
    info: bytes
    size: int | None


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _octets(path: str) -> bytes:
    """A path, or what is made of one, as the disk has it. SQLite takes any octets as text where they are cast to it."""
    return path.encode("utf-8", "surrogateescape")


def _folder_row(row: tuple[object, ...]) -> FolderRow:
    key, identity, path, *rest = row
    assert isinstance(identity, bytes)
    assert isinstance(path, bytes)
    texts = (each.decode("utf-8", "surrogateescape") for each in (identity, path))
    return FolderRow(key, *texts, *rest)  # type: ignore[arg-type]  # columns of a STRICT table, in this order


_JOINED = "group_concat(name || info, '/')"


def _names(joined: object) -> list[str]:
    """What `files` has joined by "/", which is in no name."""
    return joined.decode("utf-8", "surrogateescape").split("/") if isinstance(joined, bytes) else []


def _letters(table: str) -> str:
    """The letters of an info in SQL: substr of an empty BLOB is NULL, which differs from nothing."""
    return f"coalesce(substr({table}.info, 4), X'')"


class BadIndex(ValueError):
    """The file is no index of a version that is understood."""


class Forgotten(Exception):
    """The folder is known no more: another process has deleted it."""


class Index:
    """The open file. Methods block; one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open or make it. Raises BadIndex, apsw.Error."""
        self._db = db = apsw.Connection(str(path))
        db.set_busy_timeout(BUSY)
        try:
            db.execute(_PRAGMAS).fetchall()  # to the end: APSW stops at a statement that gives a row
            with self.writing():
                version = _int(db.execute("PRAGMA user_version").get)
                if version == 0:
                    db.execute(_SCHEMA)
                elif version > VERSION:
                    raise BadIndex(f"version {version}")
                for step in _MIGRATIONS[version - 1 :] if version else ():
                    db.execute(step)
                if version != VERSION:
                    db.execute(f"PRAGMA user_version = {VERSION}")
            db.execute(_TEMPORARY)
        except BaseException:
            db.close()
            raise

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction, durable behind it; within another it is part of that one."""
        db = self._db
        if db.in_transaction:
            yield
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    # The tree and its folders ------------------------------------------------------------------------

    def root(self) -> str | None:
        """The root's identity, None before the first contact."""
        found = self._db.execute("SELECT root FROM tree").get
        return None if found is None else str(found)

    def set_root(self, identity: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO tree (one, root) VALUES (1, ?)", (identity,))

    def folders(self) -> list[FolderRow]:
        return [_folder_row(row) for row in self._db.execute(_FOLDER)]

    def folder(self, key: int) -> FolderRow:
        """Raises Forgotten."""
        row = self._db.execute(f"{_FOLDER} WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise Forgotten
        return _folder_row(row)

    def add_folder(self, identity: str, path: str, validity: str) -> int:
        self._db.execute(
            "INSERT INTO folder (id, path, validity) VALUES (CAST(? AS TEXT), CAST(? AS TEXT), ?)",
            (_octets(identity), _octets(path), validity),
        )
        return self._db.last_insert_rowid()

    def set_path(self, key: int, path: str) -> None:
        self._db.execute("UPDATE folder SET path = CAST(? AS TEXT), missing = NULL WHERE key = ?", (_octets(path), key))

    def set_id(self, key: int, identity: str) -> None:
        self._db.execute("UPDATE folder SET id = ? WHERE key = ?", (identity, key))

    def set_listed(self, key: int, name: str, role: str | None) -> None:
        self._db.execute("UPDATE folder SET name = ?, role = ? WHERE key = ?", (name, role, key))

    def set_missing(self, key: int, since: int) -> None:
        self._db.execute("UPDATE folder SET missing = ?, scanned = '' WHERE key = ?", (since, key))

    def set_scanned(self, key: int, state: str) -> None:
        self._db.execute("UPDATE folder SET scanned = ? WHERE key = ?", (state, key))

    def confirm_scanned(self, key: int, state: str) -> None:
        """The same where the rows were the picture before: after a power cut the folder may be scanned once more."""
        self._db.execute("PRAGMA synchronous = NORMAL")
        try:
            self.set_scanned(key, state)
        finally:
            self._db.execute("PRAGMA synchronous = FULL")

    def set_letters(self, key: int, letters: str) -> None:
        self._db.execute("UPDATE folder SET letters = ? WHERE key = ?", (letters, key))

    def letters_changed(self, key: int, letters: str) -> None:
        """These letters mean something else now: every message that has one has changed."""
        number = self._next_number(key)
        self._db.execute(
            "UPDATE message SET changed = ? WHERE folder = ? AND CAST(info AS TEXT) GLOB ?",
            (number, key, f"*2,*[{letters}]*"),
        )

    def forget(self, key: int) -> None:
        """Drop a folder and all that is known of it."""
        for table in ("message", "gone"):
            self._db.execute(f"DELETE FROM {table} WHERE folder = ?", (key,))
        self._db.execute("DELETE FROM folder WHERE key = ?", (key,))

    # Beside the disk ---------------------------------------------------------------------------------

    def files(self, key: int) -> Iterator[tuple[list[str], list[str]]]:
        """Names of the files, as on disk, that the rows of cur and of new stand for, some thousand at a time."""
        after = b""
        while True:
            cur, new, last = self._db.execute(
                f"SELECT CAST({_JOINED} FILTER (WHERE new = 0) AS BLOB),"
                f" CAST({_JOINED} FILTER (WHERE new = 1) AS BLOB), max(name)"
                " FROM (SELECT name, info, new FROM message WHERE folder = ?1 AND name > ?2 ORDER BY name LIMIT ?3)",
                (key, after, CHUNK),
            ).fetchone() or (None, None, None)
            if last is None:
                return
            assert isinstance(last, bytes)
            yield _names(cur), _names(new)
            after = last

    def set_odd(self, key: int, files: Iterable[File]) -> None:
        """Put aside files that do not stand in the rows just so."""
        self._db.execute("DELETE FROM odd")
        self._db.executemany(
            "INSERT INTO odd VALUES (?2, ?3, ?4, (SELECT uid FROM message WHERE folder = ?1 AND name = ?2))",
            ((key, *file) for file in files),
        )

    def set_missing_names(self, names: Iterable[bytes]) -> None:
        """Put aside unique names of messages that are gone."""
        self._db.execute("DELETE FROM missing")
        self._db.executemany("INSERT INTO missing VALUES (?)", ((name,) for name in names))

    def contested(self, key: int, exists: Callable[[File], bool]) -> Iterator[tuple[File | None, list[File]]]:
        """Names that more than one file bears: the file known by that name if there is one, and all files.

        exists: whether a file is there; asked of known files for which another was seen (mostly they are not).
        """
        doubled: dict[bytes, list[File]] = {}
        for file in self._db.execute(
            "SELECT name, new, info FROM odd WHERE name IN (SELECT name FROM odd GROUP BY name HAVING count(*) > 1)"
        ):
            doubled.setdefault(file[0], []).append(file)
        known: dict[bytes, File] = {}
        for name, new, info, was_new, was_info in self._db.execute(
            "SELECT o.name, o.new, o.info, m.new, m.info FROM odd AS o JOIN message AS m"
            " ON m.folder = ? AND m.name = o.name WHERE o.uid IS NOT NULL",
            (key,),
        ):
            was = (name, was_new, was_info)
            if name in doubled or exists(was):
                known[name] = was
                files = doubled.setdefault(name, [(name, new, info)])
                if was not in files:
                    files.append(was)
        for name, files in doubled.items():
            yield known.get(name), files

    def drop_odd(self, file: File) -> None:
        self._db.execute("DELETE FROM odd WHERE name = ? AND new = ? AND info = ?", file)

    def add_odd(self, file: File) -> None:
        self._db.execute("INSERT INTO odd VALUES (?, ?, ?, NULL)", file)

    def take(self, key: int) -> list[int]:
        """Make rows agree with what was seen: newcomers get UIDs in the order of their names' times.

        Answers the UIDs of known messages that have other letters. The folder's number grows only where a message
        came, went or has other letters, not where a reader took one from new to cur. Call in a transaction.
        """
        altered = [
            _int(uid)
            for (uid,) in self._db.execute(
                "SELECT m.uid FROM odd AS o JOIN message AS m ON m.folder = ? AND m.name = o.name"
                f" WHERE o.uid IS NOT NULL AND {_letters('o')} <> {_letters('m')}",
                (key,),
            )
        ]
        fresh = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM odd WHERE uid IS NULL) OR EXISTS (SELECT 1 FROM missing)"
        ).get
        number = self._next_number(key) if altered or fresh else 0
        self._db.execute(
            "UPDATE message SET new = o.new, info = o.info,"
            f" changed = CASE WHEN {_letters('o')} <> {_letters('message')} THEN ? ELSE changed END"
            " FROM odd AS o WHERE message.folder = ? AND message.name = o.name AND o.uid IS NOT NULL",
            (number, key),
        )
        if fresh:
            self._db.execute(
                "INSERT INTO message (folder, name, uid, new, info, changed)"
                " SELECT ?1, name, row_number() OVER (ORDER BY CAST(CAST(name AS TEXT) AS INTEGER), name)"
                " + (SELECT uidnext FROM folder WHERE key = ?1) - 1, new, info, ?2 FROM odd WHERE uid IS NULL",
                (key, number),
            )
            self._db.execute(
                "INSERT INTO gone SELECT m.folder, m.uid, ?2 FROM missing JOIN message AS m"
                " ON m.folder = ?1 AND m.name = missing.name",
                (key, number),
            )
            self._db.execute("DELETE FROM message WHERE folder = ? AND name IN (SELECT name FROM missing)", (key,))
            self._settle(key)
        return altered

    def _next_number(self, key: int) -> int:
        number = self._db.execute("UPDATE folder SET number = number + 1 WHERE key = ? RETURNING number", (key,)).get
        if number is None:
            raise Forgotten
        return _int(number)

    def _settle(self, key: int) -> None:
        self._db.execute(
            "UPDATE folder SET"
            " uidnext = max(uidnext, 1 + (SELECT coalesce(max(uid), 0) FROM message WHERE folder = ?1)),"
            " messages = (SELECT count(*) FROM message WHERE folder = ?1) WHERE key = ?1",
            (key,),
        )

    # What is there -----------------------------------------------------------------------------------

    def rows_since(self, key: int, number: int) -> Iterator[tuple[int, bytes, bytes]]:
        """UID, info and name of messages that changed after that number (0: all), ascending.

        Cost: of few by them; else by all messages, in the order of names, for by an index each row is looked up.
        """
        some = f"SELECT 1 FROM message WHERE folder = ? AND changed > ? LIMIT {CHUNK}"
        few = int(self._db.execute(f"SELECT count(*) FROM ({some})", (key, number)).get) < CHUNK
        rows: Iterator[tuple[int, bytes, bytes]] = iter(
            self._db.execute(
                f"SELECT uid, info, name FROM message WHERE folder = ? AND {'' if few else '+'}changed > ?"
                " ORDER BY +uid",
                (key, number),
            )
        )
        return rows

    def gone_since(self, key: int, number: int) -> array[int]:
        rows = self._db.execute("SELECT uid FROM gone WHERE folder = ? AND changed > ? ORDER BY uid", (key, number))
        return array("Q", (uid for (uid,) in rows))

    def prune(self, key: int, number: int) -> None:
        """Forget removals up to that number: whoever asks from there knows them, durably."""
        bound = (key, number)
        if self._db.execute("SELECT 1 FROM gone WHERE folder = ? AND changed <= ? LIMIT 1", bound).get is None:
            return
        with self.writing():
            self._db.execute("DELETE FROM gone WHERE folder = ? AND changed <= ?", bound)
            self._db.execute("UPDATE folder SET floor = max(floor, ?2) WHERE key = ?1", bound)

    def rows(self, key: int, uids: Sequence[int]) -> list[Row]:
        """Rows of these messages, ascending; those that are gone are left out."""
        found = self._db.execute(
            "SELECT uid, name, new, info, size FROM message WHERE folder = ?"
            " AND uid IN (SELECT value FROM json_each(?)) ORDER BY uid",
            (key, "[" + ",".join(map(str, uids)) + "]"),
        )
        return [Row(uid, name, bool(new), info, size) for uid, name, new, info, size in found]

    def shared_names(self, key: int, other: int, uids: Sequence[int]) -> set[bytes]:
        """Names of these messages that the other folder has too."""
        rows = self._db.execute(
            "SELECT m.name FROM message AS m WHERE m.folder = ?1 AND m.uid IN (SELECT value FROM json_each(?3))"
            " AND EXISTS (SELECT 1 FROM message AS o WHERE o.folder = ?2 AND o.name = m.name)",
            (key, other, "[" + ",".join(map(str, uids)) + "]"),
        )
        return {name for (name,) in rows}

    def some_names(self, key: int, most: int) -> list[bytes]:
        """Names of up to so many messages that the folder should hold."""
        rows = self._db.execute("SELECT name FROM message WHERE folder = ? ORDER BY name LIMIT ?", (key, most))
        return [name for (name,) in rows]

    # Our own changes ---------------------------------------------------------------------------------

    def insert(self, key: int, files: Sequence[tuple[bytes, int, bytes, int | None]]) -> list[int]:
        """Rows for messages filed by us (name, new, info, size); their UIDs, in this order. In a transaction.

        A name that another process's scan has entered meanwhile keeps the UID that it got there.
        """
        number = self._next_number(key)
        first = _int(
            self._db.execute(
                "UPDATE folder SET uidnext = uidnext + ?1 WHERE key = ?2 RETURNING uidnext - ?1", (len(files), key)
            ).get
        )
        rows = self._db.executemany(
            "INSERT INTO message (folder, name, uid, new, info, changed, size) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (folder, name) DO UPDATE SET size = excluded.size RETURNING uid",
            ((key, name, first + n, new, info, number, size) for n, (name, new, info, size) in enumerate(files)),
        )
        uids = [_int(uid) for (uid,) in rows]
        entered = sum(uid == first + n for n, uid in enumerate(uids))
        self._db.execute("UPDATE folder SET messages = messages + ? WHERE key = ?", (entered, key))
        return uids

    def renamed(self, key: int, files: Sequence[tuple[int, bytes, int]]) -> None:
        """Messages whose flags we changed: info, new and UID. In a transaction."""
        number = self._next_number(key)
        self._db.executemany(
            "UPDATE message SET info = ?, new = ?, changed = ? WHERE folder = ? AND uid = ?",
            ((info, new, number, key, uid) for uid, info, new in files),
        )

    def set_name(self, key: int, uid: int, name: bytes) -> None:
        """A message that we gave another unique name. In a transaction."""
        self._db.execute("UPDATE message SET name = ? WHERE folder = ? AND uid = ?", (name, key, uid))

    def removed(self, key: int, uids: Sequence[int]) -> None:
        """Messages that we removed. In a transaction."""
        number = self._next_number(key)
        self._db.executemany(
            "INSERT INTO gone SELECT folder, uid, ? FROM message WHERE folder = ? AND uid = ?",
            ((number, key, uid) for uid in uids),
        )
        before = self._db.total_changes()
        self._db.executemany("DELETE FROM message WHERE folder = ? AND uid = ?", ((key, uid) for uid in uids))
        away = self._db.total_changes() - before
        self._db.execute("UPDATE folder SET messages = messages - ? WHERE key = ?", (away, key))

    def set_sizes(self, key: int, sizes: Sequence[tuple[int, int]]) -> None:
        """Sizes that were found out: UID and octets. No change of the message."""
        self._db.executemany(
            "UPDATE message SET size = ? WHERE folder = ? AND uid = ?", ((size, key, uid) for uid, size in sizes)
        )
