"""Open account files: few, bounded, closed when idle.

One handle an account: a reader, used on the event loop's thread, and a writer, used by the thread that commits for
the account. Least recently used handles go when there are too many, idle ones after `IDLE` seconds. Closing under
pressure checkpoints nothing (design: opening and closing each file for one delivery is 8 times slower); an idle
close writes the log back, so that ten thousand sleeping accounts keep no logs.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from ... import memory
from ...clock import Clock, Random
from ..backup import Served
from ..errors import Damaged, NoSuchAccount
from . import incarnation, inode, migrate, served
from .transaction import Interned

IDLE = 20.0
"""Seconds without use after which a handle is closed."""

SURE = 1.0
"""Seconds for which a handle is believed to be of the file that bears the account's name now. A restore puts another
one there, and the word that the first is gone may be lost. Who writes asks each time: a look costs a microsecond."""

GIVE_BACK = 16
"""Handles closed for being idle, after which their memory is given back to the system; earlier when none is left."""

WRITER_WAIT = 15_000
"""Milliseconds a writer waits for another process's transaction before it says Busy."""

READER_WAIT = 1_000
"""Milliseconds a reader waits; readers meet a lock only while another process recovers a log after a crash."""

PRAGMAS = (
    "synchronous = FULL",  # a commit is on disk when it returns
    "foreign_keys = ON",  # no chunk without its content, no answer without its email
    "trusted_schema = OFF",  # a file put here by someone else must not run functions from its schema
    "cache_size = -1024",  # 1 MiB a connection: bounded by `handles`; the system caches files anyway
    # A log that grew under a burst shrinks again. Twice what `LOG` lets it come to: cut off there, it grew again with
    # the last commits of each round, and a file that grows is slower to sync.
    "journal_size_limit = 4194304",
    "mmap_size = 0",  # a mapped file that shrinks or fails to be read kills the process instead of raising
    "temp_store = MEMORY",  # small sorts only; nothing of a message lands in a temporary file
)

_PRAGMAS = "".join([f"PRAGMA {pragma};" for pragma in PRAGMAS])

LOG = 512
"""Pages of a log (2 MiB) from which they go home to the file: a log that is written over syncs faster."""

FILLED_LOG = 4096
FILLED_CACHE_KIB = 8192
"""The same, and a writer's cache, where many messages are filed into few accounts. Hashes and identities fall anywhere
in their trees: kept at hand, and written home once for many commits, they cost a third less of filing's time."""

_FILLING = f"PRAGMA cache_size = -{FILLED_CACHE_KIB}; PRAGMA journal_size_limit = {2 * FILLED_LOG * 4096};"


def connect(path: Path, *, wait: int) -> apsw.Connection:
    """The one way a connection to an account's file is made. Raises NoSuchAccount where no file is."""
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    except apsw.CantOpenError as error:
        if path.exists():
            raise
        raise NoSuchAccount("There is no such account.") from error
    try:
        db.set_busy_timeout(wait)
        db.setlk_timeout(wait, 0)  # asks for a lock every millisecond: the busy handler waits up to 100 between
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # closing is not the time for two fsyncs
        db.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)  # "x" is a column, never a string
        # Once a connection: not worth its room in the cache. To the end: APSW stops where a statement gives a row, and
        # what stands behind that one would never be run.
        db.execute(_PRAGMAS, can_cache=False).fetchall()
        db.wal_autocheckpoint(LOG)
        migrate.check(db)
    except BaseException:
        db.close(True)
        raise
    return db


class _Log:
    """How long a writer's log was after its last commit. An object of its own: a handle that its connection knew would
    not close with its last user."""

    __slots__ = ("pages",)

    def __init__(self) -> None:
        self.pages = 0

    def committed(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self.pages = pages
        return apsw.SQLITE_OK


class Handle:
    """One account's two connections, made when first asked for. users: how many hold it now."""

    __slots__ = (
        "_clock", "_file", "_filling", "_in_service", "_log", "_put", "_random", "_reader", "_writer", "interned",
        "path", "sure_at", "used_at", "users",
    )  # fmt: skip

    def __init__(self, path: Path, clock: Clock, random: Random, filling: bool = False) -> None:
        self.path = path
        self._filling = filling
        self._clock = clock
        self._random = random
        self._in_service = self._put = False
        self.users = 0
        self.used_at = self.sure_at = 0.0
        self._file: tuple[int, int] | None = None
        self.interned = Interned()
        self._reader: apsw.Connection | None = None
        self._writer: apsw.Connection | None = None
        self._log = _Log()

    @property
    def reader(self) -> apsw.Connection:
        if self._reader is None:
            self._reader = self._connect(READER_WAIT)
        return self._reader

    @property
    def writer(self) -> apsw.Connection:
        if self._writer is None:
            self._writer = self._connect(WRITER_WAIT)
            self._writer.set_wal_hook(self._log.committed)  # in place of SQLite's own: see `write_back`
            if self._filling:
                self._writer.execute(_FILLING, can_cache=False).fetchall()
        return self._writer

    @property
    def log_has_grown(self) -> bool:
        """Whether the log had `LOG` pages or more after the last commit (`FILLED_LOG` where accounts are filled)."""
        return self._log.pages >= (FILLED_LOG if self._filling else LOG)

    def write_back(self) -> None:
        """Move the log's pages home. SQLite would do it within the commit that makes them as many, some milliseconds
        and two fsyncs for which its caller waits; this is called behind the answer. For the thread that writes."""
        self._log.pages = 0
        if self._writer is None:
            return
        try:
            self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error:
            pass  # another process does it, or the disk fails: the log stays, is whole, and the next commit asks again

    def _connect(self, wait: int) -> apsw.Connection:
        """A connection to a file that is in service: a copy of an older state is made safe first."""
        if self._file is None:
            self._file = _file_at(self.path)
        db = connect(self.path, wait=wait)
        try:
            if not self._in_service:
                self._see_to_service(db, wait)
        except BaseException:
            db.close(True)
            raise
        self._in_service = True
        return db

    @property
    def stale(self) -> bool:
        """Whether the file that is open here has lost its name, to another one or to none."""
        return self._file is not None and _file_at(self.path) != self._file

    def _see_to_service(self, db: apsw.Connection, wait: int) -> None:
        """What a file needs before its first use here: a copy is made safe, and moves into other accounts that a crash
        cut off are finished. There are none as a rule: one look tells it, and nothing is loaded."""
        row = db.execute(_SERVICE, can_cache=False).fetchone()
        if row is None:
            raise Damaged("The account's row is missing.", "Run 'restante doctor' on it.")
        file, modseq, moves = row
        if inode.tells_a_copy(file, modseq, self.path):
            db.set_busy_timeout(WRITER_WAIT)
            incarnation.put_in_service(db, self.path, self._clock, self._random)
            db.set_busy_timeout(wait)
            self._put = True
        if moves:
            from .transfer import finish_all

            finish_all(db, self.path, self._clock, self._random)

    def note(self, numbers: Served) -> None:
        """Keep numbers beside the file; durable when this returns. See `served`."""
        served.note(self.path, numbers)

    def close(self, *, checkpoint: bool = False) -> None:
        wrote = self._writer if self._writer is not None or not self._put else self._reader
        try:
            if wrote is not None:
                wrote.set_busy_timeout(0)
                wrote.setlk_timeout(0, 0)
                modseq = wrote.execute("SELECT modseq FROM account").get or 0
                if modseq > 1 and not self.stale:
                    inode.note_closed(self.path, modseq)
                if checkpoint:
                    wrote.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except (apsw.Error, OSError):
            pass  # somebody reads, or the disk fails: the log stays, and with it everything in it; the note may lag
        finally:
            for db in (self._reader, self._writer):
                if db is not None:
                    db.close(True)
            self._reader = self._writer = None


_SERVICE = "SELECT file, modseq, EXISTS (SELECT 1 FROM transfer_out) FROM account"


def _file_at(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file of this name; None where there is none. By name: see `inode.file_identity`."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Handles:
    """The pool. Any thread may ask; a handle that is held is never closed. filling: see `SqliteEngine`."""

    def __init__(self, most: int, clock: Clock, random: Random, filling: bool = False) -> None:
        self._filling = filling
        self._most = max(1, most)
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Handle] = OrderedDict()
        self._swept = 0
        self._closed: set[str] = set()

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def hold(self, account: str, path: Path, *, surely: bool = False) -> Iterator[Handle]:
        """The account's handle, kept open for the time of the block. surely: see `acquire`."""
        handle = self.acquire(account, path, surely=surely)
        try:
            yield handle
        finally:
            self.release(handle)

    def acquire(self, account: str, path: Path, *, surely: bool = False) -> Handle:
        """The account's handle, to be released. surely: of the file that has the account's name at this moment; else
        of one that had it `SURE` seconds ago."""
        surplus: list[Handle] = []
        now = self._clock.monotonic()
        with self._lock:
            handle = self._open.get(account)
            if handle is not None and (surely or now - handle.sure_at >= SURE):
                handle.sure_at = now
                if handle.stale:
                    del self._open[account]
                    if not handle.users:  # else it closes with its last user
                        surplus.append(handle)
                    handle = None
            if handle is None:
                handle = self._open[account] = Handle(path, self._clock, self._random, self._filling)
                handle.sure_at = now
                surplus += self._surplus(handle)
            else:
                self._open.move_to_end(account)
            handle.users += 1
            handle.used_at = now
        for old in surplus:
            old.close()
        return handle

    def release(self, handle: Handle) -> None:
        with self._lock:
            handle.users -= 1

    def _surplus(self, new: Handle) -> list[Handle]:
        surplus = []
        if len(self._open) > self._most:
            for account, handle in list(self._open.items()):
                if len(self._open) <= self._most:
                    break
                if handle.users == 0 and handle is not new:
                    surplus.append(self._open.pop(account))
                    self._closed.add(account)
        return surplus

    def closed(self) -> set[str]:
        """Accounts whose handles were closed since the last call and have not been opened again."""
        with self._lock:
            closed, self._closed = self._closed - self._open.keys(), set()
        return closed

    def sweep(self, *, everything: bool = False) -> int:
        """Close handles that have been idle (or all that nobody holds); how many stay open. Blocks on the disk."""
        before = self._clock.monotonic() - IDLE
        with self._lock:
            idle = [
                account
                for account, handle in self._open.items()
                if handle.users == 0 and (everything or handle.used_at <= before)
            ]
            closing = [self._open.pop(account) for account in idle]
            self._closed.update(idle)
        for handle in closing:
            handle.close(checkpoint=True)
        self._swept += len(closing)
        if self._swept >= GIVE_BACK or (self._swept and not self._open):
            self._swept = 0
            memory.give_back()
        return len(self._open)

    def leave(self, account: str) -> None:
        """Close the account's handle now instead of after `IDLE`, unless somebody holds it. Blocks on the disk."""
        with self._lock:
            handle = self._open.get(account)
            if handle is None or handle.users:
                return
            del self._open[account]
            self._closed.add(account)
        handle.close(checkpoint=True)

    def forget(self, account: str) -> None:
        """Let go of the account's handle. One that is in use closes with its last user."""
        with self._lock:
            handle = self._open.pop(account, None)
            if handle is None or handle.users:
                return
        handle.close()
