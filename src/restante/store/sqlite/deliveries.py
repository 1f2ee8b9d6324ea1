"""The journal of deliveries to several accounts, in directory.db, and the lock on one of them.

The lock is a byte of run/locks/deliveries, at an offset drawn from its name (POSIX record locks): nothing is made or
left behind for a message, and the system lets go of it when the process dies. Record locks hold between processes
alone, so tasks of one process wait for each other first. Another process is asked again and again, as SQLite asks for
its lock: the system can wait for a record lock only by holding a thread that nothing ends but the lock itself.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

import apsw

from ...clock import Random
from ..errors import InUse
from ..journal import Begun
from .faults import translated

T = TypeVar("T")

TOKEN_OCTETS = 16

WAIT = 30.0
"""Seconds to wait for another process that files the same. Longer than a filing takes, far less than the ten minutes
that an MTA waits for its answer (RFC 5321 4.5.3.2.6)."""

FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.05
"""Seconds between two tries: about a commit at first, doubled each time."""


class DirectoryFile(Protocol):
    """What is asked of the directory's file: short reads where they are asked, changes as durable transactions."""

    def _rows(self, sql: str, *values: str | int | bytes) -> list[tuple[Any, ...]]: ...
    async def _write(self, change: Callable[[apsw.Connection], T]) -> T: ...


class SqliteDeliveries:
    """Implements `store.journal.DeliveryJournal`. locks: the file whose bytes are locked, made when first needed."""

    def __init__(self, directory: DirectoryFile, locks: Path, random: Random) -> None:
        self._directory = directory
        self._path = locks
        self._random = random
        self._handle: int | None = None
        self._waiting: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def lock(self, digest: bytes, recipient: str) -> AbstractAsyncContextManager[None]:
        return self._lock(_offset(digest, recipient))

    @asynccontextmanager
    async def _lock(self, offset: int) -> AsyncIterator[None]:
        mine = self._waiting.get(offset)
        if mine is None:
            mine = self._waiting[offset] = asyncio.Lock()
        async with mine:
            with translated():
                handle = self._opened()
                try:
                    async with asyncio.timeout(WAIT):
                        await _locked(handle, offset)
                except TimeoutError as error:
                    raise InUse("The same message is being filed by another process.", "Try again.") from error
            try:
                yield
            finally:
                fcntl.lockf(handle, fcntl.LOCK_UN, 1, offset)

    def _opened(self) -> int:
        """The lock file, opened once: closing any handle of it would let go of all that this process has locked."""
        if self._handle is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._handle

    async def find(self, digest: bytes, recipient: str) -> Begun | None:
        return _begun(self._directory._rows(_FIND, recipient, digest))

    async def any_to(self, recipient: str) -> bool:
        return bool(self._directory._rows("SELECT 1 FROM delivery WHERE recipient = ? LIMIT 1", recipient))

    async def begin(self, digest: bytes, recipient: str, when: int) -> Begun:
        token = self._random(TOKEN_OCTETS)

        def change(db: apsw.Connection) -> list[tuple[Any, ...]]:
            db.execute(
                "INSERT INTO delivery (recipient, digest, token, done, begun) VALUES (?, ?, ?, '', ?)"
                " ON CONFLICT DO NOTHING",
                (recipient, digest, token, when),
            )
            return db.execute(_FIND, (recipient, digest)).fetchall()

        begun = _begun(await self._directory._write(change))
        assert begun is not None
        return begun

    async def note(self, digest: bytes, recipient: str, done: frozenset[str]) -> None:
        def change(db: apsw.Connection) -> None:
            db.execute(
                "UPDATE delivery SET done = ? WHERE recipient = ? AND digest = ?",
                (" ".join(sorted(done)), recipient, digest),
            )

        await self._directory._write(change)

    async def end(self, digest: bytes, recipient: str) -> None:
        def change(db: apsw.Connection) -> None:
            db.execute("DELETE FROM delivery WHERE recipient = ? AND digest = ?", (recipient, digest))

        await self._directory._write(change)

    async def expire(self, before: int) -> int:
        if not self._directory._rows("SELECT 1 FROM delivery WHERE begun < ? LIMIT 1", before):
            return 0

        def change(db: apsw.Connection) -> int:
            db.execute("DELETE FROM delivery WHERE begun < ?", (before,))
            return db.changes()

        return await self._directory._write(change)


_FIND = "SELECT token, done FROM delivery WHERE recipient = ? AND digest = ?"


def _begun(rows: list[tuple[Any, ...]]) -> Begun | None:
    return Begun(rows[0][0], frozenset(rows[0][1].split())) if rows else None


async def _locked(handle: int, offset: int) -> None:
    """Lock the byte as soon as no other process has it."""
    pause = FIRST_PAUSE
    while True:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        except (BlockingIOError, PermissionError):  # POSIX lets a system choose between the two
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            return


def _offset(digest: bytes, recipient: str) -> int:
    """62 bits of the delivery's name: a place in a file of any size."""
    name = blake2b(digest + recipient.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(name, "big") >> 2
