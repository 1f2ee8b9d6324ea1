"""Slow work that nobody waits for: space of removed mail, POP3's "leave on server for N days", search indexes,
deliveries to several accounts that nobody came back for.

One process of all does it, whoever holds the lock file; the lock dies with its process. Work goes in small
steps with pauses between accounts, so that sessions do not notice, and ends at once when the server stops.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

from ..clock import Clock
from ..config.model import Config
from ..errors import Refusal
from ..store.directory import Account
from ..store.errors import cause_of
from ..store.interface import Engine
from .logs import Logger

PERIOD = 3600.0
"""Seconds from the end of one round to the next."""

ELECTION = 30.0
STEP = 50
"""Messages reclaimed in one transaction."""

PAUSE = 0.02
_DAY = 86400

DELIVERIES_KEPT = 14 * _DAY
"""Seconds after which nobody tries again to deliver a message: RFC 5321 4.5.4.1 speaks of four to five days."""


class Housekeeper:
    """The job of one process. Does nothing without an engine."""

    def __init__(self, engine: Engine | None, config: Config, run: Path, clock: Clock, log: Logger) -> None:
        self._engine = engine
        self._config = config
        self._lock = run / "housekeeping.lock"
        self._clock = clock
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self._working = False
        self._next = 0.0

    @property
    def working(self) -> bool:
        """Whether a round is under way."""
        return self._working

    @property
    def next_in(self) -> float:
        """Seconds until the next round: 0 where there was none yet."""
        return max(0.0, self._next - self._clock.monotonic())

    def start(self, first_in: float = 0.0) -> None:
        """first_in: seconds until the first round, where this process takes over from another."""
        self._next = self._clock.monotonic() + first_in
        if self._engine is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(self._engine))

    async def stop(self) -> None:
        """Cancel the job and wait until it has let go."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self, engine: Engine) -> None:
        handle = await self._lock_file()
        try:
            # A lock that another process holds wakes nobody: it is tried again now and then.
            while not _locked(handle):  # noqa: ASYNC110 - above
                await asyncio.sleep(ELECTION)
            while True:
                await asyncio.sleep(self.next_in)
                self._working = True
                try:
                    await self.round(engine)
                except Exception as error:  # noqa: BLE001 - the job's outer edge: the next round may succeed
                    self._log.error("housekeeping failed", fault=error)
                self._working = False
                self._next = self._clock.monotonic() + PERIOD
        finally:
            os.close(handle)

    async def _lock_file(self) -> int:
        """The lock file, opened. Where that cannot be done (a full disk, rights) it is tried again: it is space that
        would never be given free otherwise."""
        told = False
        while True:
            try:
                return os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                if not told:
                    self._log.error("housekeeping cannot begin", reason=error.strerror, file=str(self._lock))
                told = True
            await asyncio.sleep(ELECTION)

    async def round(self, engine: Engine) -> None:
        """Go through all accounts once. A refusal of one account's store is logged and does not stop the rest."""
        await self._deliveries(engine)
        after = ""
        while accounts := await engine.directory.accounts(after, 200):
            for account in accounts:
                try:
                    await self._account(engine, account)
                except Refusal as refusal:
                    self._log.warning(
                        "housekeeping refused", account=account.address, reason=str(refusal), cause=cause_of(refusal)
                    )
                await engine.leave(account.id)
                await asyncio.sleep(PAUSE)
            after = accounts[-1].address

    async def _deliveries(self, engine: Engine) -> None:
        """Forget deliveries to several accounts that were cut off and that nobody tried again."""
        try:
            forgotten = await engine.directory.deliveries.expire(int(self._clock.now()) - DELIVERIES_KEPT)
        except Refusal as refusal:
            self._log.warning("housekeeping refused", reason=str(refusal), cause=cause_of(refusal))
        else:
            if forgotten:
                self._log.warning("half-done deliveries were never tried again", deliveries=forgotten)

    async def _account(self, engine: Engine, account: Account) -> None:
        store = engine.account(account.id, session="housekeeping")
        days = account.settings.pop3_leave_days
        if days is None:
            days = self._config.pop3.leave_days
        if days >= 0:
            moved = await store.expire_retrieved(int(self._clock.now()) - days * _DAY)
            if moved:
                self._log.info("retrieved mail moved to Trash", account=account.address, messages=moved)
        while await store.reclaim(STEP):  # noqa: ASYNC110 - the sleep is the pace, not a wait for something
            await asyncio.sleep(PAUSE)
        # What a process that has ended left undone; as a rule the one that filed mail does this soon after.
        while await store.fill_search():  # noqa: ASYNC110 - as above
            await asyncio.sleep(PAUSE)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
