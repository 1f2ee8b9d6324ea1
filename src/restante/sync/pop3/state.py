"""What is remembered between runs: one SQLite file a source and target, all SQL of fetching by POP3, version 1.

    message   a message that the target has, or that was passed over (body NULL): its identity, since when we have it
    uidl      a name on the server -> message. listed: the size that LIST told with it; another size, another message.
              proved: its octets were read under this very name and are the message's. Only such a one is deleted.
    refused   names whose message the target will never take, with the reason
    place     a mailbox of the target: up to where we know it
    held      what the target holds: mark and size by mailbox and UID; message: the one that it is, where that is known
    meta      source, target, what the last run left settled, at which messages connections were lost

Names that a server does not give are made of the message's header, its size and a number among equals; they hold a NUL,
which a real one cannot.

A message is *free* when no message on the server is known to be it: no name of it is listed now. Whoever comes with an
unknown name is compared with what is free, and takes it; so two equal messages on the server stay two, and one message
whose name changed stays one. `listing` is a temporary table of what the server lists in this run.

A file is used by one run at a time (a lock on FILE.lock). Each method that changes something is one transaction, on
disk when it returns. A million messages take some 250 MB.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import apsw

from ..model import Outline
from .errors import StateInUse, StateUnusable
from .identity import Head, Identity

VERSION = 1
APPLICATION = 0x52504F50  # "RPOP", for file(1) and for who opens the wrong file

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE message (
  id INTEGER PRIMARY KEY,
  mark BLOB NOT NULL,
  head BLOB NOT NULL,
  core BLOB NOT NULL,
  body BLOB,
  size INTEGER NOT NULL,  -- octets, in the target where that told it
  had INTEGER NOT NULL,   -- seconds UTC: the clock of delete_after
  found INTEGER NOT NULL  -- 1: the target had it, under fields of its own perhaps
) STRICT;
CREATE INDEX message_head ON message (head);
CREATE INDEX message_core ON message (core);
CREATE INDEX message_mark ON message (mark);
CREATE TABLE uidl (
  uidl BLOB PRIMARY KEY,
  message INTEGER NOT NULL REFERENCES message,
  listed INTEGER NOT NULL,
  proved INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX uidl_message ON uidl (message);
CREATE INDEX uidl_listed ON uidl (listed);
CREATE TABLE refused (uidl BLOB PRIMARY KEY, listed INTEGER NOT NULL, reason TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE place (
  key INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  validity TEXT NOT NULL,
  state TEXT,
  cursor TEXT NOT NULL
) STRICT;
CREATE TABLE held (
  place INTEGER NOT NULL REFERENCES place,
  uid INTEGER NOT NULL,
  mark BLOB NOT NULL,
  size INTEGER,
  message INTEGER REFERENCES message,
  PRIMARY KEY (place, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX held_free ON held (mark) WHERE message IS NULL;
CREATE INDEX held_size ON held (size) WHERE message IS NULL;
CREATE INDEX held_message ON held (message) WHERE message IS NOT NULL;
"""

LISTING = """
CREATE TEMP TABLE listing (
  number INTEGER PRIMARY KEY,
  uidl BLOB NOT NULL UNIQUE,
  size INTEGER NOT NULL,
  named INTEGER NOT NULL
) STRICT;
"""

MOVED = b"\0moved:"
"""Begins the name that a message had on another server."""

# Whether message m has a name that is listed now with the size that it had.
CLAIMED = "EXISTS (SELECT 1 FROM uidl u JOIN listing l ON l.uidl = u.uidl AND l.size = u.listed WHERE u.message = m.id)"


@dataclass(frozen=True, slots=True)
class Listed:
    """One message that the server lists. uidl: its name, or one that was made for it."""

    number: int
    uidl: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Known:
    """A message in the state. listed: the size that LIST last told. body: None where it was passed over."""

    id: int
    head: bytes
    core: bytes
    body: bytes | None
    found: bool
    listed: int | None

    def has(self, head: Head) -> bool:
        """Whether a header is the message's, as far as its fields tell: those of its way may be another delivery's."""
        return self.head == head.head or self.core == head.core


@dataclass(frozen=True, slots=True)
class Held:
    """A message in the target that no message of the state is."""

    place: int
    mailbox: str
    uid: int
    mark: bytes
    size: int | None


@dataclass(frozen=True, slots=True)
class PlaceState:
    key: int
    name: str
    validity: str
    state: str | None
    cursor: str


@dataclass(frozen=True, slots=True)
class Got:
    """A message that was decided. known: the message that it is; None: a new one. held: what it is in the target.
    found: the target had it before. proved: by its octets."""

    listed: Listed
    identity: Identity | None
    known: int | None = None
    held: tuple[int, int] | None = None
    found: bool = False
    proved: bool = True


class Pop3State:
    """One state file. `with Pop3State(path, source) as state:` holds it against other runs.

    path: made if missing, readable for its owner alone. source: which maildrop it is about (`Pop3Settings.source`);
    where that is another one than it was, names are forgotten and messages are recognised by content. Raises
    StateInUse, StateUnusable.
    """

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self._lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._db: apsw.Connection | None = None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._open(source)
        except BlockingIOError as error:
            self.close()
            raise StateInUse(f"Another run uses {path}.", "Wait for its end.") from error
        except apsw.Error as error:
            self.close()
            raise StateUnusable(
                f"{path} cannot be used: {error}.", "Move it away: nothing is stored twice for the lack of it."
            ) from error
        except BaseException:
            self.close()
            raise

    def _open(self, source: str) -> None:
        db = self._db = apsw.Connection(str(self.path))
        db.set_busy_timeout(1000)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        version = db.execute("PRAGMA user_version").get
        if version == 0:
            with self._change():
                # One transaction: a kill in here leaves an empty file, which the next run fills.
                db.execute(SCHEMA)
                db.execute(f"PRAGMA application_id={APPLICATION}")
                db.execute(f"PRAGMA user_version={VERSION}")
                db.execute("INSERT INTO meta (key, value) VALUES ('source', ?)", (source,))
        elif db.execute("PRAGMA application_id").get != APPLICATION:
            raise StateUnusable(f"{self.path} is no state of fetching by POP3.", "Name another file.")
        elif version != VERSION:
            raise StateUnusable(f"{self.path} is of version {version}; this program knows {VERSION}.", "Update it.")
        elif self._meta("source") != source:
            self._move(source)
        db.execute(LISTING)

    def _move(self, source: str) -> None:
        """The mail moved to another server: names mean nothing there, contents do. Of what was passed over the size is
        needed too, which stands with the name: that becomes one that no server gives."""
        with self._change() as db:
            db.execute("DELETE FROM uidl WHERE message IN (SELECT id FROM message WHERE body IS NOT NULL)")
            db.execute("UPDATE uidl SET uidl = unhex(hex(?) || hex(uidl))", (MOVED,))
            db.execute("DELETE FROM refused")
            db.execute("DELETE FROM meta WHERE key IN ('settled', 'due')")
            db.execute("UPDATE meta SET value = ? WHERE key = 'source'", (source,))

    def bind(self, target: str) -> None:
        """The target that this is about. Another one than it was holds who knows what: all is forgotten but what was
        passed over, and what is there is recognised by content."""
        before = self._meta("target")
        if before == target:
            return
        with self._change() as db:
            if before is not None:
                db.execute("DELETE FROM uidl WHERE message IN (SELECT id FROM message WHERE body IS NOT NULL)")
                for table in ("held", "place", "refused", "message WHERE body IS NOT NULL"):
                    db.execute(f"DELETE FROM {table}")
                db.execute("DELETE FROM meta WHERE key IN ('settled', 'due')")
            db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('target', ?)", (target,))

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def db(self) -> apsw.Connection:
        assert self._db is not None, "closed"
        return self._db

    @contextmanager
    def _change(self) -> Iterator[apsw.Connection]:
        """One transaction, on disk at its end. Raises StateUnusable for a full or failing disk: nothing happened."""
        try:
            self.db.execute("BEGIN IMMEDIATE")
            yield self.db
            self.db.execute("COMMIT")
        except BaseException as error:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            if isinstance(error, apsw.Error):
                raise StateUnusable(f"{self.path} cannot be written: {error}.", "Is the disk full?") from error
            raise

    # The run as a whole ------------------------------------------------------------------------------

    def _meta(self, key: str) -> Any:
        return self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).get

    @property
    def fresh(self) -> bool:
        """No run has come to its end yet. One that another server or target was met in counts: what came since then is
        new wherever it lies, and `only_new` would pass it over for ever."""
        return self._meta("met") is None

    def settled(self, fingerprint: bytes, now: int) -> bool:
        """Whether the server lists what it listed when a run left nothing to do, and nothing has come due since.

        fingerprint: of the server's listing and of the settings. Cost: one look, whatever the number of messages.
        """
        if self._meta("settled") != fingerprint:
            return False
        due = self._meta("due")
        return due is None or now < int(due)

    def settle(self, fingerprint: bytes | None, delete_after: int | None) -> None:
        """A run has come to its end. fingerprint: None where it left something to do.

        delete_after: seconds after which what is listed is to be deleted.
        """
        due = None
        if fingerprint is not None and delete_after is not None:
            had = self.db.execute(
                "SELECT min(m.had) FROM listing l JOIN uidl u ON u.uidl = l.uidl JOIN message m ON m.id = u.message"
                " WHERE m.body IS NOT NULL"
            ).get
            due = None if had is None else had + delete_after
        with self._change() as db:
            db.executemany(
                "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)",
                (("met", 1), ("settled", fingerprint), ("due", due)),
            )

    def losses(self) -> dict[bytes, int]:
        """How often the connection was lost while a message of this name was read."""
        noted = self._meta("lost")
        return {} if noted is None else {bytes.fromhex(name): number for name, number in json.loads(noted).items()}

    def note_losses(self, losses: Mapping[bytes, int]) -> None:
        """Instead of what was noted before."""
        noted = json.dumps({name.hex(): number for name, number in losses.items()})
        with self._change() as db:
            db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('lost', ?)", (noted,))

    # What the server lists ---------------------------------------------------------------------------

    def put_listing(self, rows: Iterable[tuple[int, bytes, int, bool]]) -> None:
        """Number, name, size of every message; whether the server gave that name. Names differ."""
        with self._change() as db:
            db.execute("DELETE FROM listing")
            db.executemany("INSERT INTO listing (number, uidl, size, named) VALUES (?, ?, ?, ?)", rows)

    def rename(self, number: int, prefix: bytes) -> bytes:
        """Give a listed message a name made of what it is: the first of prefix/0, prefix/1, .. that is not listed."""
        n = 0
        while self.db.execute("SELECT 1 FROM listing WHERE uidl = ?", (b"%b/%d" % (prefix, n),)).get:
            n += 1
        name = b"%b/%d" % (prefix, n)
        self.db.execute("UPDATE listing SET uidl = ? WHERE number = ?", (name, number))
        return name

    def unknown(self) -> list[Listed]:
        """What is listed under names that we do not know and that no target refused for good, in the server's order."""
        return self._listed(
            "SELECT l.number, l.uidl, l.size FROM listing l"
            " LEFT JOIN uidl u ON u.uidl = l.uidl AND u.listed = l.size"
            " LEFT JOIN refused r ON r.uidl = l.uidl AND r.listed = l.size"
            " WHERE u.uidl IS NULL AND r.uidl IS NULL ORDER BY l.number"
        )

    def refused(self) -> list[tuple[Listed, str]]:
        """What is listed and was refused for good by the target."""
        rows = self.db.execute(
            "SELECT l.number, l.uidl, l.size, r.reason FROM listing l"
            " JOIN refused r ON r.uidl = l.uidl AND r.listed = l.size ORDER BY l.number"
        )
        return [(Listed(number, uidl, size), reason) for number, uidl, size, reason in rows]

    def refuse(self, listed: Listed, reason: str) -> None:
        with self._change() as db:
            db.execute(
                "INSERT OR REPLACE INTO refused (uidl, listed, reason) VALUES (?, ?, ?)",
                (listed.uidl, listed.size, reason),
            )

    def retry_refused(self) -> None:
        """Let the next run try them again."""
        with self._change() as db:
            db.execute("DELETE FROM refused")

    def resized(self) -> list[Listed]:
        """What is listed under a name that we know with another size."""
        return self._listed(
            "SELECT l.number, l.uidl, l.size FROM listing l JOIN uidl u ON u.uidl = l.uidl AND u.listed <> l.size"
            " ORDER BY l.number"
        )

    def known(self) -> list[Listed]:
        """What is listed under a name and with a size that we know."""
        return self._listed(
            "SELECT l.number, l.uidl, l.size FROM listing l JOIN uidl u ON u.uidl = l.uidl AND u.listed = l.size"
            " WHERE l.named ORDER BY l.number"
        )

    def last_known(self) -> list[Listed]:
        """Of `known` the one with the highest number, and the last before it that has another header: at most two."""
        return self._listed(
            "WITH known AS (SELECT l.number, l.uidl, l.size, m.head FROM listing l"
            " JOIN uidl u ON u.uidl = l.uidl AND u.listed = l.size JOIN message m ON m.id = u.message WHERE l.named),"
            " last AS (SELECT number, head FROM known ORDER BY number DESC LIMIT 1)"
            " SELECT number, uidl, size FROM known WHERE number IN ((SELECT number FROM last),"
            " (SELECT max(number) FROM known WHERE head IS NOT (SELECT head FROM last)))"
        )

    def due(self, before: int) -> tuple[list[Listed], list[Listed]]:
        """What is listed and whose copy we have since before that time: proved to be that copy, and not yet."""
        sql = (
            "SELECT l.number, l.uidl, l.size FROM listing l JOIN uidl u ON u.uidl = l.uidl AND u.listed = l.size"
            " JOIN message m ON m.id = u.message"
            " WHERE m.had <= ? AND m.body IS NOT NULL AND u.proved = ? ORDER BY l.number"
        )
        return self._listed(sql, (before, 1)), self._listed(sql, (before, 0))

    def _listed(self, sql: str, bindings: tuple[int, ...] = ()) -> list[Listed]:
        return [Listed(*row) for row in self.db.execute(sql, bindings)]

    # Who is who --------------------------------------------------------------------------------------

    def by_name(self, uidls: Iterable[bytes]) -> dict[bytes, Known]:
        """The messages that these names stand for, whatever size is listed now."""
        sql = (
            "SELECT u.uidl, m.id, m.head, m.core, m.body, m.found, u.listed FROM json_each(?) j"
            " JOIN uidl u ON u.uidl = unhex(j.value) JOIN message m ON m.id = u.message"
        )
        return dict(self._known(sql, uidls))

    def forget(self, uidls: Iterable[bytes]) -> None:
        """These names stand for other messages than they did."""
        with self._change() as db:
            db.execute("DELETE FROM uidl WHERE uidl IN (SELECT unhex(value) FROM json_each(?))", (_json(uidls),))

    def relist(self, listed: Iterable[Listed]) -> None:
        """These names stand for what they did, though with another size; that wants to be proved again."""
        with self._change() as db:
            db.executemany(
                "UPDATE uidl SET listed = ?, proved = 0 WHERE uidl = ?", ((one.size, one.uidl) for one in listed)
            )

    def free_sizes(self, sizes: Iterable[int]) -> set[int]:
        """Which of these sizes, as LIST tells them, something free has or may have."""
        if self.db.execute("SELECT EXISTS (SELECT 1 FROM held WHERE message IS NULL AND size IS NULL)").get:
            return set(sizes)
        rows = self.db.execute(
            "SELECT j.value FROM json_each(?1) j"
            " WHERE EXISTS (SELECT 1 FROM held h WHERE h.size = j.value AND h.message IS NULL)"
            " UNION SELECT u.listed FROM json_each(?1) j JOIN uidl u ON u.listed = j.value"
            f" JOIN message m ON m.id = u.message WHERE NOT {CLAIMED}",
            ("[" + ",".join(map(str, set(sizes))) + "]",),
        )
        return {size for (size,) in rows}

    def holds_free(self) -> bool:
        """Whether the target holds anything that no message of the state is."""
        return bool(self.db.execute("SELECT EXISTS (SELECT 1 FROM held WHERE message IS NULL)").get)

    def free_known(self, heads: Iterable[bytes], cores: Iterable[bytes]) -> list[Known]:
        """Free messages of the state with one of these heads, or that the target had and with one of these cores."""
        found: dict[int, Known] = {}
        for column, values in (("head", heads), ("core", cores)):
            sql = (
                "SELECT x'', m.id, m.head, m.core, m.body, m.found,"
                " (SELECT u.listed FROM uidl u WHERE u.message = m.id ORDER BY u.uidl LIMIT 1) FROM json_each(?) j"
                f" JOIN message m ON m.{column} = unhex(j.value)"
                f" WHERE NOT {CLAIMED} {'AND m.found' if column == 'core' else ''} ORDER BY m.id"
            )
            found.update((known.id, known) for _, known in self._known(sql, values))
        return list(found.values())

    def free_held(self, marks: Iterable[bytes]) -> list[Held]:
        """Messages of the target with one of these marks that no message of the state is."""
        rows = self.db.execute(
            "SELECT h.place, p.name, h.uid, h.mark, h.size FROM json_each(?) j"
            " JOIN held h ON h.mark = unhex(j.value) AND h.message IS NULL JOIN place p ON p.key = h.place"
            " ORDER BY h.place, h.uid",
            (_json(marks),),
        )
        return [Held(*row) for row in rows]

    def _known(self, sql: str, values: Iterable[bytes]) -> list[tuple[bytes, Known]]:
        return [
            (uidl, Known(id, head, core, body, bool(found), listed))
            for uidl, id, head, core, body, found, listed in self.db.execute(sql, (_json(values),))
        ]

    def record(self, got: Sequence[Got], now: int) -> None:
        """What was decided, at once. The names that a message had before and that are listed no more are forgotten:
        should one come back beside the new one, it stands for another message."""
        with self._change() as db:
            for one in got:
                message = one.known
                if message is None:
                    assert one.identity is not None
                    i = one.identity
                    message = db.execute(
                        "INSERT INTO message (mark, head, core, body, size, had, found) VALUES (?, ?, ?, ?,"
                        " coalesce((SELECT size FROM held WHERE place = ? AND uid = ?), ?), ?, ?) RETURNING id",
                        (i.mark, i.head, i.core, i.body or None, *(one.held or (0, 0)), i.size, now, one.found),
                    ).get
                else:
                    db.execute(
                        "DELETE FROM uidl WHERE message = ? AND uidl NOT IN (SELECT uidl FROM listing)", (message,)
                    )
                if one.held is not None:
                    db.execute("UPDATE held SET message = ? WHERE place = ? AND uid = ?", (message, *one.held))
                db.execute(
                    "INSERT OR REPLACE INTO uidl (uidl, message, listed, proved) VALUES (?, ?, ?, ?)",
                    (one.listed.uidl, message, one.listed.size, one.proved),
                )

    def record_new(self, got: Sequence[tuple[Listed, Identity, int]], mailbox: str, now: int) -> None:
        """Messages that the target has taken; the last value: their UIDs there, 0 where it does not tell.

        Two statements a batch, not a message: this is the way that all new mail goes.
        """
        with self._change() as db:
            first = db.execute("SELECT coalesce(max(id), 0) + 1 FROM message").get
            place = db.execute("SELECT key FROM place WHERE name = ?", (mailbox,)).get
            db.executemany(
                "INSERT INTO message (id, mark, head, core, body, size, had, found) VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                (
                    (id, i.mark, i.head, i.core, i.body, i.size, now)
                    for id, (_, i, _) in enumerate(got, first)
                ),
            )  # fmt: skip
            db.executemany(
                "INSERT OR REPLACE INTO uidl (uidl, message, listed, proved) VALUES (?, ?, ?, 1)",
                ((listed.uidl, id, listed.size) for id, (listed, _, _) in enumerate(got, first)),
            )
            if place is not None:
                db.executemany(
                    "INSERT OR REPLACE INTO held (place, uid, mark, size, message) VALUES (?, ?, ?, ?, ?)",
                    ((place, uid, i.mark, i.size, id) for id, (_, i, uid) in enumerate(got, first) if uid),
                )

    # What the target holds ---------------------------------------------------------------------------

    def places(self) -> dict[str, PlaceState]:
        rows = self.db.execute("SELECT key, name, validity, state, cursor FROM place")
        return {row[1]: PlaceState(*row) for row in rows}

    def new_uids(self, place: int, uids: Sequence[int]) -> list[int]:
        """Those of a mailbox's UIDs that we do not hold yet, ascending."""
        rows = self.db.execute(
            "SELECT value FROM json_each(?) WHERE NOT EXISTS"
            " (SELECT 1 FROM held WHERE place = ? AND uid = value) ORDER BY value",
            ("[" + ",".join(map(str, uids)) + "]", place),
        )
        return [uid for (uid,) in rows]

    def begin_place(self, name: str, validity: str) -> int:
        """A mailbox's key; what was held of an earlier validity is let go of. Its cursor starts at nothing."""
        with self._change() as db:
            row = db.execute("SELECT key, validity FROM place WHERE name = ?", (name,)).fetchone()
            if row is not None and row[1] == validity:
                return int(row[0])
            if row is not None:
                db.execute("DELETE FROM held WHERE place = ?", (row[0],))
                db.execute("UPDATE place SET validity = ?, state = NULL, cursor = '' WHERE key = ?", (validity, row[0]))
                return int(row[0])
            return int(
                db.execute(
                    "INSERT INTO place (name, validity, state, cursor) VALUES (?, ?, NULL, '') RETURNING key",
                    (name, validity),
                ).get
            )

    def hold(self, place: int, outlines: Iterable[Outline]) -> None:
        """These messages are in the mailbox."""
        with self._change() as db:
            db.executemany(
                "INSERT OR IGNORE INTO held (place, uid, mark, size) VALUES (?, ?, ?, ?)",
                ((place, one.uid, one.mark, one.size) for one in outlines),
            )

    def end_place(
        self, place: int, *, state: str | None, cursor: str, gone: Sequence[int] = (), only: Sequence[int] | None = None
    ) -> None:
        """The mailbox is known up to here. gone: UIDs that vanished. only: all UIDs that there are."""
        with self._change() as db:
            if only is not None:
                db.execute(
                    "DELETE FROM held WHERE place = ? AND uid NOT IN (SELECT value FROM json_each(?))",
                    (place, "[" + ",".join(map(str, only)) + "]"),
                )
            else:
                db.executemany("DELETE FROM held WHERE place = ? AND uid = ?", ((place, uid) for uid in gone))
            db.execute("UPDATE place SET state = ?, cursor = ? WHERE key = ?", (state, cursor, place))

    def keep_places(self, names: Iterable[str]) -> None:
        """Mailboxes other than these are gone."""
        there = set(names)
        gone = [(row.key,) for name, row in self.places().items() if name not in there]
        if gone:
            with self._change() as db:
                db.executemany("DELETE FROM held WHERE place = ?", gone)
                db.executemany("DELETE FROM place WHERE key = ?", gone)

    def adopt(self) -> None:
        """What newly lies in the target is what we put there and no longer know where: a message that was moved
        there, or whose UIDs began anew, or whose UID the target did not tell. Equal mark and size decide (the mark,
        where the target tells no sizes), one by one: otherwise the same message would wait there to be taken for
        another one that is equal to it."""
        with self._change() as db:
            for column, sized in (("mark, size", "size IS NOT NULL"), ("mark", "size IS NULL")):
                db.execute(
                    "UPDATE held SET message = pair.id FROM ("
                    " SELECT h.place, h.uid, m.id FROM"
                    f" (SELECT place, uid, mark, size, row_number() OVER (PARTITION BY {column} ORDER BY place, uid) n"
                    f"  FROM held WHERE message IS NULL AND {sized}) h"
                    f" JOIN (SELECT id, mark, size, row_number() OVER (PARTITION BY {column} ORDER BY id) n"
                    "  FROM message o WHERE body IS NOT NULL"
                    "  AND NOT EXISTS (SELECT 1 FROM held x WHERE x.message = o.id)) m"
                    " ON m.mark = h.mark AND m.size = coalesce(h.size, m.size) AND m.n = h.n) AS pair"
                    " WHERE held.place = pair.place AND held.uid = pair.uid"
                )


def fingerprint(*parts: bytes) -> bytes:
    """Of a listing and settings, for `settled`."""
    state = hashlib.sha256()
    for part in parts:
        state.update(b"%d:" % len(part) + part)
    return state.digest()


def _json(values: Iterable[bytes]) -> str:
    return "[" + ",".join(f'"{value.hex()}"' for value in set(values)) + "]"
