"""One account's file as its store goes to it: reads on the loop or apart, queued writes, locks beside it.

Reads are short indexed queries and run on the event loop, each in one transaction; writes go to the group commit.
What sessions of one process share (flag table, quota) hangs on `sessions.Shared`, which lives while a store of the
account does.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import apsw

from ..errors import InUse
from .faults import refusal, translated
from .handles import WRITER_WAIT, connect
from .sessions import Shared
from .transaction import Write

if TYPE_CHECKING:
    from ..model import Mailbox
    from .engine import SqliteEngine
    from .kept import Kept

NOT_FOUND: tuple[Mailbox | None, int] = (None, 0)

P = ParamSpec("P")
T = TypeVar("T")


class AccountFile:
    """What every part of a store does its work by. session: who changes things, for the removal log."""

    def __init__(
        self, engine: SqliteEngine, account: str, actor: str | None, shared: Shared, session: str = ""
    ) -> None:
        self.account = account
        self.session = session
        self.own: set[int] | None = None
        self._engine = engine
        self._path = engine.path(account)
        self._user = "" if actor is None or actor == account else actor
        self._shared = shared
        self._found = NOT_FOUND
        """The mailbox last found by name, and how many keywords there were then: for `opening`, right behind it."""

    @property
    def kept(self) -> Kept:
        """What this process keeps of accounts' mail."""
        return self._engine.kept

    @property
    def reader(self) -> str:
        """Somebody who is not the owner, whose \\Seen and mod-sequences count; "" for the owner's."""
        return self._user

    def _read(self, fn: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `fn(db, *args)` in one read transaction, here and now. fn must be short."""
        pool = self._engine.handles
        handle = pool.acquire(self.account, self._path)
        try:
            db = handle.reader
            db.execute("BEGIN")
            try:
                return fn(db, *args, **kwargs)
            finally:
                if db.in_transaction:
                    db.execute("COMMIT")
        except (apsw.Error, OSError) as error:
            raise refusal(error) from error
        finally:
            pool.release(handle)
            self._engine.keep_tidy()

    def read_apart(self, fn: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `fn(db, ...)` in one read transaction on a connection of its own: for a thread, where it may be long."""
        with translated():
            db = connect(self._path, wait=WRITER_WAIT)
            try:
                db.execute("BEGIN")
                return fn(db, *args, **kwargs)
            finally:
                db.close(True)

    def _put_in_service(self) -> None:
        """Before the file is read apart: a copy of an older one that has its name now is made safe."""
        pool = self._engine.handles
        with translated(), pool.hold(self.account, self._path, surely=True) as handle:
            handle.reader  # noqa: B018 - opens the file
        self._engine.keep_tidy()

    def look(self, fn: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `_read`, without a transaction around it: for what one statement answers, or statements in any order."""
        pool = self._engine.handles
        handle = pool.acquire(self.account, self._path)
        try:
            return fn(handle.reader, *args, **kwargs)
        except (apsw.Error, OSError) as error:
            raise refusal(error) from error
        finally:
            pool.release(handle)
            self._engine.keep_tidy()

    async def _write(self, fn: Callable[Concatenate[Write, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(tx, *args)` as one command of a group commit; returns when it is durable. No keyword arguments."""
        return await self._engine.submit(self.account, self._path, fn, args, self.session, self._user, own=self.own)

    async def _write_relaxed(self, fn: Callable[Concatenate[Write, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same without an fsync: a power cut may undo it. For what takes no change number."""
        return await self._engine.submit(self.account, self._path, fn, args, self.session, self._user, relaxed=True)

    @asynccontextmanager
    async def _lock(self, purpose: str, held: str) -> AsyncIterator[None]:
        with translated():
            path = self._engine.lock_path(self.account, purpose)
            number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InUse(held, "Try again when it has ended.") from error
            yield
        finally:
            os.close(number)
