"""When credentials were last used: kept in memory and written together at most once a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeVar

import apsw

from ...clock import Clock
from ..errors import StoreRefusal

T = TypeVar("T")

INTERVAL = 60.0
"""Seconds between two writings."""


class Write(Protocol):
    """Runs a change as one durable transaction."""

    async def __call__(self, change: Callable[[apsw.Connection], T]) -> T: ...


class Touches:
    """Last uses that are still to be written. write: see `Write`."""

    def __init__(self, write: Write, clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._touched: dict[tuple[str, int], int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._due = clock.monotonic()

    def note(self, account: str, number: int, when: int) -> None:
        """A credential was used. when: seconds UTC."""
        key = (account, number)
        self._touched[key] = max(when, self._touched.get(key, when))
        self._schedule()

    async def close(self) -> None:
        """Write what is left, if it can be written. Nothing may be noted afterwards."""
        if self._task is not None:
            await self._task
        if self._timer is not None:
            self._timer.cancel()
        with suppress(StoreRefusal):  # of a full disk: a last use is no reason to fail what ends
            await self.flush()

    async def flush(self) -> None:
        """Write now. What cannot be written is kept. Raises Busy."""
        self._due = self._clock.monotonic() + INTERVAL
        touched, self._touched = self._touched, {}
        if not touched:
            return
        rows = [(when, account, number) for (account, number), when in touched.items()]

        def change(db: apsw.Connection) -> None:
            db.executemany(
                "UPDATE credential SET last_used = max(?1, coalesce(last_used, 0)) WHERE account = ?2 AND number = ?3",
                rows,
            )

        try:
            await self._write(change)
        except BaseException:
            self._touched = touched | self._touched
            raise

    def _schedule(self) -> None:
        if self._touched and self._timer is None and self._task is None:
            wait = max(0.0, self._due - self._clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._start)

    def _start(self) -> None:
        self._timer = None
        self._task = asyncio.get_running_loop().create_task(self._flush_behind())  # close() waits for it

    async def _flush_behind(self) -> None:
        try:
            await self.flush()
        except StoreRefusal:
            pass  # a last use is no reason to stop: kept in memory and tried again a minute later
        finally:
            self._task = None
            self._schedule()
