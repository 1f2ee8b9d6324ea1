"""Ends sessions whose account has been disabled or removed, by whatever process, or that were opened by a credential
which opens nothing any more: its secret was changed, it was revoked, or it has expired.

Each worker asks the directory once a second what was closed since it last asked; only then are its connections
looked at, each once for a closure. Those whose credential expires stand in a list of their own, which is gone through
when the first of them is due. A session that waits for its peer hears of it at once (AccountClosed) and says goodbye in
its protocol; one that is still busy after `GRACE` seconds is cancelled. A login that had read the directory just before
the account was closed may come up later: what was closed is therefore remembered for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from ..clock import Clock
from ..connection import AccountClosed, OpenerClosed
from ..errors import Refusal
from ..store.directory import Directory, Login
from ..store.errors import cause_of
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
        self._closed: dict[str, tuple[int, float]] = {}
        """Accounts by id: the number of the closure, and until when it is remembered."""
        self._expiring: set[Channel] = set()
        self._due = float("inf")
        """No credential in `_expiring` expires before this instant."""
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

    def enter(self, channel: Channel) -> None:
        """A session has been opened by a credential that expires."""
        self._expiring.add(channel)
        self._due = min(self._due, _expiry(channel))

    def leave(self, channel: Channel) -> None:
        """That session has ended, if there was one."""
        self._expiring.discard(channel)

    async def _run(self, engine: Engine) -> None:
        while True:
            self.expire()
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
            self._log.warning("closed accounts not looked for", reason=error.code, cause=cause_of(error))
        else:
            self._log.error("looking for closed accounts failed", fault=error)

    def expire(self) -> None:
        """End the sessions whose credential has expired."""
        now = self._clock.now()
        if now < self._due:
            return
        for channel in [channel for channel in self._expiring if _expiry(channel) <= now]:
            self._expiring.remove(channel)
            self._end(channel, OpenerClosed)
        self._due = min(map(_expiry, self._expiring), default=float("inf"))

    async def look(self, engine: Engine) -> None:
        """End the sessions of what was closed since the last look."""
        found = await engine.directory.closures(self._after)
        if found.accounts is None:  # more than the directory remembers: all accounts that are logged in are suspect
            suspects = {channel.account_id for channel in self._channels() if channel.account_id}
        else:
            now = self._clock.monotonic()
            self._closed = {id: noted for id, noted in self._closed.items() if noted[1] > now}
            self._closed |= dict.fromkeys(found.accounts, (found.number, now + REMEMBER))
            suspects = set()
            if self._closed:
                suspects = {channel.account_id for channel in self._channels() if self._is_suspect(channel)}
        for count, id in enumerate(suspects, 1):
            self._judge(id, await _login(engine.directory, id), found.number)
            if count % BATCH == 0:
                await asyncio.sleep(0)
        self._after = found.number  # only now: a look that failed is made again

    def _is_suspect(self, channel: Channel) -> bool:
        noted = self._closed.get(channel.account_id)
        return noted is not None and channel.account_checked < noted[0]

    def _judge(self, id: str, login: Login | None, number: int) -> None:
        """End those of an account's sessions that may not go on. login: as it was read at closure `number` or after."""
        for channel in [channel for channel in self._channels() if channel.account_id == id]:
            channel.account_checked = number
            if login is None or not login.account.enabled:
                self._end(channel, AccountClosed)
            elif channel.opener is not None and not login.lets_go_on(channel.opener):
                self._end(channel, OpenerClosed)

    def _end(self, channel: Channel, why: type[AccountClosed]) -> None:
        channel.account_id = ""  # told once
        channel.end_account(why)
        asyncio.get_running_loop().call_later(GRACE, _cancel, channel)


async def _login(directory: Directory, id: str) -> Login | None:
    """What the directory has of an account now; None where it is removed."""
    account = await directory.account_by_id(id)
    login = None if account is None else await directory.login(account.address)
    return login if login is not None and login.account.id == id else None


def _expiry(channel: Channel) -> float:
    """Seconds UTC at which the credential of its session expires."""
    return float("inf") if channel.opener is None or channel.opener.expires is None else channel.opener.expires


def _cancel(channel: Channel) -> None:
    """Unless the session has ended, or let go of the account, by itself."""
    if channel.account_closed is not None and channel.task is not None:
        channel.task.cancel()
