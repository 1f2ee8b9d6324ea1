"""The search index of an account: a file of its own beside the account's, made from it, thrown away at will.

```
accounts/ab/ID.db       the account          accounts/ab/ID.index     words   trigrams -> emails (FTS5)
                                                                      pairs   pairs of CJK characters -> emails
                                                                      doc     which emails, and of which text
                                                                      state   of which account, up to which email
```

An index gives candidates, never answers: every email up to `upto` that holds a needle is among those it names, and
the caller compares their texts. Emails never change and their keys are never used again, so what has been indexed
stays right; what lies above `upto` is scanned. That the index belongs to this very account is checked at each search:
the incarnation (a file copied back draws another one) and that the account has given out the key `upto`.

Why a second file: filling holds no lock of the account's file, so no delivery waits for it; nothing of it is fsynced
or goes into a backup; and damage in it costs a scan: its pages have checksums, so that none hides an email. It is
discarded, under a lock, by removing it; whoever has it open notices at the next search by its inode.

A word of three characters or more in 100,000 messages: under 2 ms.
Size: 0.3 times the text of much mail, 1.4 of a little.
"""

from __future__ import annotations

import fcntl
import os
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from zlib import crc32

import apsw

from ...query import grams
from ..model import Finding
from . import page_checksums
from .content import LARGEST_TEXT, decode
from .shown import differently_shown

APPLICATION_ID = 0x52535449  # "RSTI"
VERSION = 2  # another one is discarded, not migrated

_NONE = 1 << 63  # above every key

_UNREAD = "\U0010fffd\U0010fffc\U0010fffd"
"""Stands in the text of an email whose message could not be read (`bodies.UNREADABLE`), and in hardly any other; and in
place of a text of too many pieces (`grams.MOST_DISTINCT`), which each search looks at itself."""

STEP = 50
"""Emails whose texts are read at once, or that are taken out in one transaction."""

FILL = 200
"""Emails indexed in one transaction: about 30 ms of a thread's time. FTS5 writes a tree a transaction and merges them
later: with 50 emails in each, filling takes a fifth longer."""

FILL_TEXT = 4 << 20
"""Characters after which a transaction ends all the same: a second of a thread's time, and up to ten for noise."""

_LEAF = 4_042
"""Octets of one of FTS5's blocks, which with its row fills a page of 4,096 but for the checksum: eight more, as FTS5
has them by itself, would begin a second page each (a sixth more of room)."""

_TABLES = f"""
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    incarnation TEXT NOT NULL,          -- the account's, when this was begun
    upto INTEGER NOT NULL               -- emails up to this key have been indexed
) STRICT;
CREATE TABLE doc (
    email INTEGER PRIMARY KEY,
    checksum INTEGER NOT NULL           -- CRC-32 of the texts as stored
) STRICT;
CREATE VIRTUAL TABLE words USING fts5(text, tokenize='trigram case_sensitive 1', detail=none, content='',
    contentless_delete=1);
CREATE VIRTUAL TABLE pairs USING fts5(text, tokenize='ascii', detail=none, content='', contentless_delete=1);
INSERT INTO words (words, rank) VALUES ('pgsz', {_LEAF});
INSERT INTO pairs (pairs, rank) VALUES ('pgsz', {_LEAF});
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""

_DAMAGE = (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, apsw.FormatError, apsw.MismatchError)
"""What tells that the file is none of ours, or no longer."""


Question = tuple[str, str]
"""(table, FTS5 expression)."""


def asking(needle: str) -> Question | None:
    """The question for emails that may hold a folded needle, in a header field as it is written or shown, or in a body;
    None where it is too short to tell."""
    if grams.is_pair(needle):
        return "pairs", _quoted([needle], "AND")
    pieces = grams.trigrams(needle)
    return ("words", _quoted(pieces, "AND")) if pieces else None


def asking_any(pieces: list[str]) -> Question:
    """The question for emails that hold one of these trigrams."""
    return "words", _quoted(pieces, "OR")


def _quoted(pieces: list[str], operator: str) -> str:
    return f" {operator} ".join('"' + piece.replace('"', '""') + '"' for piece in pieces)


_MARKED = _quoted([_UNREAD], "OR")


class NoIndex(Exception):
    """There is no index that can be used now."""


class AccountUnread(Exception):
    """A page of the account's own file could not be read: no fault of the index, which stays. Its cause says why."""

    def __init__(self, error: apsw.Error) -> None:
        super().__init__(str(error))
        self.error = error


class Index:
    """One connection to an account's index, for one thread at a time."""

    def __init__(self, path: Path, locks: Path, *, create: bool = False) -> None:
        """Open it. create: make it where it is missing. Raises NoIndex, apsw.Error."""
        self.path = path
        self._locks = locks
        if not create and not path.exists():
            raise NoIndex
        with _lock(locks, path):
            if create:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            try:
                self._db = _connect(path, create)
            except apsw.CantOpenError as error:
                raise NoIndex from error
            self._inode = path.stat().st_ino
        self.incarnation = ""
        """Of the account that it was made from, as `upto` read it last."""
        self._unread: tuple[tuple[str, int], frozenset[int]] = (("", 0), frozenset())

    def close(self) -> None:
        self._db.close(True)

    @property
    def current(self) -> bool:
        """Whether the file is still the one that has this name."""
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    # Searching -------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """From here to `end` everything is read from one state."""
        self._db.execute("BEGIN")

    def end(self) -> None:
        if self._db.in_transaction:
            self._db.execute("COMMIT")

    def upto(self, account: apsw.Connection) -> int:
        """The key up to which it is complete. Raises NoIndex where it is another account's, or ahead of this one."""
        row = self._db.execute("SELECT incarnation, upto FROM state").fetchone()
        if row is None:
            return 0
        incarnation, upto = row
        self.incarnation = incarnation
        if (incarnation, True) != account.execute(_BELONGS, (upto,)).fetchone():
            raise NoIndex
        return int(upto)

    def emails(self, question: Question, after: int, upto: int, most: int) -> array[int]:
        """The first emails, `most` at most, that answer a question, of those above `after` and not above `upto`;
        ascending. Cost: some 0.3 us each."""
        table, match = question
        found = self._db.execute(
            f"SELECT rowid FROM {table} WHERE {table} MATCH ? AND rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?",
            (match, after, upto, most),
        )
        return array("q", list(chain.from_iterable(found)))

    def unread(self, upto: int) -> frozenset[int]:
        """Emails up to `upto` that may hold anything, since their messages could not be read."""
        state = self.incarnation, upto
        if self._unread[0] != state:
            found = self._db.execute("SELECT rowid FROM words WHERE words MATCH ? AND rowid <= ?", (_MARKED, upto))
            self._unread = state, frozenset(chain.from_iterable(found))
        return self._unread[1]

    # Filling ---------------------------------------------------------------------------------------------

    def fill(self, account: apsw.Connection, most: int = FILL) -> int:
        """Index the next emails of the account that have their texts, at most `most`, in one transaction; how many.

        Raises apsw.BusyError where another process fills it, NoIndex where it has become another account's,
        AccountUnread, other apsw.Error.
        """
        done = 0
        left = FILL_TEXT
        with self._writing():
            upto = self.upto(account)
            while done < most and left > 0:
                some, length = self._add(account, upto, min(STEP, most - done), left)
                if not some:
                    break
                done, upto, left = done + len(some), some[-1], left - length
            if done:
                self._db.execute(
                    "INSERT INTO state (one, incarnation, upto) VALUES (1, ?1, ?2)"
                    " ON CONFLICT DO UPDATE SET incarnation = ?1, upto = ?2",
                    (account.execute("SELECT incarnation FROM account").get, upto),
                )
        return done

    def _add(self, account: apsw.Connection, upto: int, most: int, left: int) -> tuple[list[int], int]:
        """Add at most `most` emails above `upto`, until their texts come to `left` characters: (those, how long their
        texts are)."""
        rows: Iterable[tuple[int, bytes | None, bytes | None]] = _read(account, _NEXT, (upto, most))
        added: list[int] = []
        length = 0
        for email, header, body in rows:
            if body is None or length >= left:
                break  # where its text is not made yet: an index has no holes
            head = _text(header)
            text = grams.without_nul(f"{head}\n{_text(body) if body else _UNREAD}\n{differently_shown(head)}")
            length += len(text)
            if grams.is_varied(text):
                text = _UNREAD
            self._db.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (email, text))
            found = grams.pairs(text)
            if found:
                self._db.execute("INSERT INTO pairs (rowid, text) VALUES (?, ?)", (email, " ".join(found)))
            self._db.execute("INSERT INTO doc (email, checksum) VALUES (?, ?)", (email, _checksum(header, body)))
            added.append(email)
        return added, length

    def ready(self, account: apsw.Connection) -> int:
        """`upto`, begun anew where the index is another account's."""
        try:
            return self.upto(account)
        except NoIndex:
            with self._writing():
                self._empty()
            return 0

    def flush(self) -> None:
        """Write the log back and empty it, so that the next opening need not read it. Not done while one reads."""
        try:
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            pass  # the next one does it

    def prune(self, account: apsw.Connection) -> int:
        """Take out emails that the account no longer keeps; how many. Cost: counting; a pass over
        both lists of keys where there are such. Raises AccountUnread, apsw.Error."""
        indexed = self._db.execute("SELECT count(*) FROM doc").get
        if not indexed or (indexed,) == next(_read(account, _KEPT, (self._last(),))):
            return 0
        # First what is indexed, then what is kept: the other way round a newcomer would be taken for gone.
        docs = array("q", list(chain.from_iterable(self._db.execute("SELECT email FROM doc ORDER BY email"))))
        gone: list[tuple[int]] = []
        kept = _read(account, "SELECT key FROM email ORDER BY key", ())
        key = -1
        for email in docs:
            while key < email:
                (key,) = next(kept, (_NONE,))
            if key != email:
                gone.append((email,))
        for start in range(0, len(gone), STEP):
            some = gone[start : start + STEP]
            with self._writing():
                self._db.executemany("DELETE FROM words WHERE rowid = ?", some)
                self._db.executemany("DELETE FROM pairs WHERE rowid = ?", some)
                self._db.executemany("DELETE FROM doc WHERE email = ?", some)
        return len(gone)

    def _last(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(email), 0) FROM doc").get)

    def _empty(self) -> None:
        for table in ("words", "pairs"):
            self._db.execute(f"INSERT INTO {table} ({table}) VALUES ('delete-all')")
        self._db.execute("DELETE FROM doc")
        self._db.execute("DELETE FROM state")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    # Checking --------------------------------------------------------------------------------------------

    def check(self, account: apsw.Connection) -> Iterator[Finding]:
        """What is wrong with it: every one is mended by discarding the file. Cost: a read of all texts as stored."""
        self._db.set_busy_timeout(10_000)  # the checks of FTS5 are writes to SQLite: a filler may be at it
        for (text,) in self._db.execute("PRAGMA quick_check(5)"):
            if text != "ok":
                yield Finding("search-index", f"SQLite finds: {text}", repairable=True)
        docs = self._db.cursor()
        self.begin()
        try:
            upto = self.upto(account)
            last = self._last()
            if last > upto:
                yield Finding("search-index", f"email {last} is indexed, above {upto}", repairable=True)
            docs.execute("SELECT email, checksum FROM doc ORDER BY email")
            key, checksum = -1, 0
            for email, header, body in account.execute(_TEXTS, (upto,)):
                while key < email:
                    key, checksum = next(docs, (_NONE, 0))
                if key != email or checksum != _checksum(header, body):
                    yield Finding("search-index", f"email {email} is not indexed as its text is", repairable=True)
        except NoIndex:
            yield Finding("search-index", "it was made from another state of the account", repairable=True)
            return
        finally:
            docs.close()  # not read to its end: it would hold this state, from which nobody may go on to write
            self.end()
        # They read first and write then: without the lock from their beginning, a filler that commits in between would
        # make them fail at once, however long they may wait.
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for table in ("words", "pairs"):
                try:
                    self._db.execute(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")
                except apsw.Error as error:
                    yield Finding("search-index", f"table {table}: {error}", repairable=True)
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")


def discard(path: Path, locks: Path) -> None:
    """Remove an index. Whoever holds it open goes on with the old one until the next search."""
    with _lock(locks, path):
        for name in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            name.unlink(missing_ok=True)


def is_damage(error: apsw.Error) -> bool:
    """Whether the file itself is at fault, rather than the disk or another process."""
    return isinstance(error, _DAMAGE) or page_checksums.is_mismatch(error)


def _connect(path: Path, create: bool) -> apsw.Connection:
    db = page_checksums.connect(path)
    try:
        db.set_busy_timeout(2_000 if create else 200)  # a filler that meets a long one leaves the work to it
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # closing would remove a newer file's log by name
        if create and not path.stat().st_size:
            page_checksums.reserve(db)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # a lost step is indexed again; a commit costs no fsync
        db.execute("PRAGMA cache_size = -2048")
        db.execute("PRAGMA mmap_size = 0")
        known = int(db.pragma("application_id")) == APPLICATION_ID and int(db.pragma("user_version")) == VERSION
        if not known or not page_checksums.as_written(db):
            if not create or db.execute("SELECT count(*) FROM sqlite_schema").get:
                raise apsw.FormatError("not an index of this version")
            with db:
                db.execute(_TABLES)
    except BaseException:
        db.close(True)
        raise
    return db


@contextmanager
def _lock(locks: Path, path: Path) -> Iterator[None]:
    """Only one process opens or removes an account's index at a time; held for milliseconds."""
    locks.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = os.open(locks / f"{path.stem}.index", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _read(account: apsw.Connection, statement: str, bindings: tuple[int, ...]) -> Iterator[Any]:
    """Rows of the account's file. Raises AccountUnread."""
    try:
        yield from account.execute(statement, bindings)
    except apsw.Error as error:
        raise AccountUnread(error) from error


def _text(stored: bytes | None) -> str:
    return decode(stored[0], stored[1:], LARGEST_TEXT).decode("utf-8", "replace") if stored else ""


def _checksum(header: bytes | None, body: bytes | None) -> int:
    return crc32(body or b"", crc32(header or b""))


_BELONGS = """
SELECT a.incarnation, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'email'), 0) >= ? FROM account a
"""

_KEPT = "SELECT count(*) FROM email WHERE key <= ?"

_NEXT = """
SELECT e.key, s.header, b.body FROM email e LEFT JOIN search_text s ON s.email = e.key
LEFT JOIN body_text b ON b.email = e.key WHERE e.key > ? ORDER BY e.key LIMIT ?
"""

_TEXTS = """
SELECT e.key, s.header, b.body FROM email e LEFT JOIN search_text s ON s.email = e.key
LEFT JOIN body_text b ON b.email = e.key WHERE e.key <= ? ORDER BY e.key
"""
