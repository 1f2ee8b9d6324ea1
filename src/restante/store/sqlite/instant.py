"""An account at one moment, for backup: one read transaction on a connection of its own, in a thread.

It takes no lock that a writer waits for; the log cannot be written back over it meanwhile, so it is held for index
rows alone.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import apsw

from ..backup import CatalogueRow, Head, PlacedRow, Pop3Row, SeenRow
from . import account_backup as rows
from .faults import translated
from .handles import WRITER_WAIT, connect

P = ParamSpec("P")
T = TypeVar("T")


@asynccontextmanager
async def instant(path: Path) -> AsyncIterator[SqliteInstant]:
    """The account as it is now, until the block ends."""
    opened = SqliteInstant()
    with translated():
        try:
            await asyncio.to_thread(opened.open, path)
            yield opened
        finally:
            await asyncio.to_thread(opened.close)


class SqliteInstant:
    """Implements `store.backup.Instant`."""

    def __init__(self) -> None:
        self._db: apsw.Connection | None = None

    def open(self, path: Path) -> None:
        self._db = connect(path, wait=WRITER_WAIT)
        self._db.execute("BEGIN")
        self._db.execute("SELECT modseq FROM account").fetchone()  # the transaction begins with its first read

    def close(self) -> None:
        db, self._db = self._db, None
        if db is None:
            return
        try:
            # The log could not be written back meanwhile. Else who delivers next would do it, and wait for it: 50 ms
            # for the log of four busy seconds. Nobody waits for this one.
            if db.in_transaction:
                db.execute("ROLLBACK")
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error:
            pass  # somebody else is at it, or the disk fails: the log stays, and with it everything in it
        finally:
            db.close(True)

    async def _run(self, fn: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        db = self._db
        if db is None:
            raise RuntimeError("the instant is over")
        with translated():
            return await asyncio.to_thread(fn, db, *args, **kwargs)

    async def head(self) -> Head:
        return await self._run(rows.head)

    async def placed(self, mailbox: int, after: int, limit: int) -> list[PlacedRow]:
        return await self._run(rows.placed, mailbox, after, limit)

    async def catalogue(self, mailbox: int, low: int, high: int) -> list[CatalogueRow]:
        return await self._run(rows.catalogue, mailbox, low, high)

    async def flagged(self, mailbox: int, since: int, below: int) -> list[tuple[int, int]]:
        return await self._run(rows.flagged, mailbox, since, below)

    async def gone(self, mailbox: int, since: int) -> array[int]:
        return await self._run(rows.gone, mailbox, since)

    async def pop3(self) -> list[Pop3Row]:
        return await self._run(rows.pop3)

    async def hidden(self) -> list[int]:
        return await self._run(rows.hidden)

    async def seen(self) -> list[SeenRow]:
        return await self._run(rows.seen)
