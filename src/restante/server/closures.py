"""Ends sessions whose account has been disabled or removed, by whatever process.

Each worker asks the directory once a second what was closed since it last asked; only then are its connections
looked at. A session that waits for its peer hears of it at once (AccountClosed) and says goodbye in its protocol; one
that is still busy after `GRACE` seconds is cancelled. A login that had read the directory just before the account was
closed may come up later: what was closed is therefore remembered for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from ..clock import Clock
from ..errors import Refusal
from ..store.interface import Engine
from .channel import Channel
from .logs import Logger

PERIOD = 1.0
GRACE = 10.0
REMEMBER = 600.0
"""Seconds that a login may take between its look at the directory and its session: delays and queues are shorter."""

BATCH = 100
"""Accounts looked up in a row before others have their turn."""


class ClosureWatch:
    """One worker's watch. channels: its connections, at any time. Does nothing without an engine."""

    def __init__(
        self, engine: Engine | None, channels: Callable[[], Iterable[Channel]], clock: Clock, log: Logger
    ) -> None:
        self._engine = engine
        self._channels = channels
        self._clock = clock
        self._log = log
        self._after: int | None = None
        self._closed: dict[str, float] = {}
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._engine is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(self._engine))

    async def stop(self) -> None:
        """Cancel the watch and wait until it has let go."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self, engine: Engine) -> None:
        while True:
            try:
                await self.look(engine)
                self._failing = False
            except Exception as error:  # noqa: BLE001 - the job's outer edge: the next look may succeed
                self._note(error)
            await asyncio.sleep(PERIOD)

    def _note(self, error: Exception) -> None:
        """Log the first failure of a row: there is one a second while the directory is out of reach."""
        if self._failing:
            return
        self._failing = True
        if isinstance(error, Refusal):
            self._log.warning("closed accounts not looked for", reason=error.code)
        else:
            self._log.error("looking for closed accounts failed", fault=error)

    async def look(self, engine: Engine) -> None:
        """End the sessions of what was closed since the last look."""
        found = await engine.directory.closures(self._after)
        if found.accounts is None:  # more than the directory remembers: all accounts that are logged in are suspect
            suspects = {channel.account_id for channel in self._channels() if channel.account_id}
        else:
            now = self._clock.monotonic()
            self._closed = {id: until for id, until in self._closed.items() if until > now}
            self._closed |= dict.fromkeys(found.accounts, now + REMEMBER)
            suspects = set()
            if self._closed:
                suspects = {channel.account_id for channel in self._channels() if channel.account_id in self._closed}
        for count, id in enumerate(suspects, 1):
            account = await engine.directory.account_by_id(id)
            if account is None or not account.enabled:
                self._end(id)
            if count % BATCH == 0:
                await asyncio.sleep(0)
        self._after = found.number  # only now: a look that failed is made again

    def _end(self, id: str) -> None:
        loop = asyncio.get_running_loop()
        for channel in [channel for channel in self._channels() if channel.account_id == id]:
            channel.account_id = ""  # told once
            channel.end_account()
            loop.call_later(GRACE, _cancel, channel)


def _cancel(channel: Channel) -> None:
    """Unless the session has ended, or let go of the account, by itself."""
    if channel.account_closed and channel.task is not None:
        channel.task.cancel()
