"""A few connections to one account: opened when there is work for them, as many as the server lets be.

The first has to succeed; where another one is refused the pool stays as large as it is. Whoever borrows one has it
alone. What comes back in the middle of a command is thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from ...clock import Clock, Random
from ..bucket import Bucket
from ..side import SideUnavailable
from .address import RemoteAddress, Secret, Settings
from .connection import Connection
from .dial import dial, is_loopback
from .errors import CredentialsRefused, LoginRefused, Lost
from .login import login
from .offers import Offers
from .signal import Signal

if TYPE_CHECKING:
    from ..handed import Handed
    from ..refused import Refusals

_STALE = 120.0
"""Seconds unused after which a connection is asked whether it still stands."""


class Pool:
    """offers: what the server can do, known once the first connection is open. refusals: keeps account of logins that
    the server refused, so that the same is not tried at once. handed: the first connection, open already."""

    def __init__(
        self,
        address: RemoteAddress,
        secret: Secret,
        settings: Settings,
        clock: Clock,
        random: Random,
        refusals: Refusals | None = None,
        handed: Handed | None = None,
    ) -> None:
        self.address = address
        self._handed = handed
        self.settings = settings
        self.offers = Offers(frozenset())
        self.greeting = b""
        self._secret = secret
        self._clock = clock
        self._random = random
        self._bucket = None if settings.rate is None else Bucket(settings.rate, clock)
        self._free: list[Connection] = []
        self._all: list[Connection] = []
        self._apart: list[Connection] = []
        self._most = settings.connections
        self._opening = 0
        self._given: str | None = None
        self._refusals = refusals
        self.moved = Signal()
        """Fires when a connection comes back or is wanted."""
        self._line: deque[object] = deque()
        self._sent = self._received = self._trips = 0

    async def open(self) -> None:
        """Open the first connection. Raises SideUnavailable."""
        if not self._all:
            connection = await self._new(self._all)
            self._free.append(connection)

    async def close(self) -> None:
        """Say goodbye on all connections."""
        if self._handed is not None:  # nobody came to use it
            self._handed.close()
            self._handed = None
        everything, self._free = [*self._apart, *self._all], []
        await asyncio.gather(*[connection.logout() for connection in everything])
        for connection in everything:
            self._forget(connection)

    @property
    def traffic(self) -> tuple[int, int, int]:
        """Octets sent, octets received, round trips waited for, over all connections so far."""
        return (
            self._sent + sum(one.sent for one in (*self._all, *self._apart)),
            self._received + sum(one.received for one in (*self._all, *self._apart)),
            self._trips + sum(one.trips for one in (*self._all, *self._apart)),
        )

    @contextlib.asynccontextmanager
    async def borrow(self, prefer: bytes | None = None, bulk: bool = False) -> AsyncIterator[Connection]:
        """A connection of one's own. prefer: one that has this mailbox open, if there is one. bulk: a download, which
        lets others go first and gives its connection back when they wait.

        Waits where as many as may be are lent. Raises SideUnavailable.
        """
        connection = await self._take(prefer, bulk)
        try:
            yield connection
        finally:
            connection.used = self._clock.monotonic()
            if connection.usable:
                self._free.append(connection)
            else:
                connection.abort()
                self._forget(connection)
            self.moved.fire()

    async def separate(self) -> Connection:
        """One more connection for as long as the caller likes, who closes it (`release`). Raises SideUnavailable."""
        return await self._new(self._apart, extra=True)

    async def release(self, connection: Connection) -> None:
        """The end of a connection that `separate` gave."""
        await connection.logout()
        self._forget(connection)

    @property
    def wanted(self) -> bool:
        """Somebody waits for a connection. Downloads give one back then; their further workers do not count."""
        return bool(self._line)

    async def _take(self, prefer: bytes | None, bulk: bool) -> Connection:
        """One after the other: who comes waits behind those who wait already."""
        ticket: object | None = None
        try:
            while True:
                if not self._line or self._line[0] is ticket:
                    connection = self._pick(prefer)
                    if connection is not None:
                        if await self._stands(connection):
                            return connection
                        continue
                    if len(self._all) + self._opening < self._most:
                        try:
                            return await self._new(self._all, extra=bool(self._all))
                        except SideUnavailable:
                            if not self._all:
                                raise
                            self._most = len(self._all)  # the server has its limits
                            continue
                if ticket is None and not bulk:
                    ticket = object()
                    self._line.append(ticket)
                    self.moved.fire()
                await self.moved.wait()
        finally:
            if ticket is not None:
                self._line.remove(ticket)
                self.moved.fire()

    def left(self, raw: bytes) -> None:
        """A mailbox was deleted or renamed: no connection has it open any more."""
        for connection in self._all:
            if connection.selected is not None and connection.selected.name == raw:
                connection.selected = None

    def _pick(self, prefer: bytes | None) -> Connection | None:
        if not self._free:
            return None
        for connection in self._free:
            if prefer is not None and connection.selected is not None and connection.selected.name == prefer:
                self._free.remove(connection)
                return connection
        return self._free.pop()

    async def _stands(self, connection: Connection) -> bool:
        """The connection has not died since it was used last."""
        try:
            connection.next()  # a BYE, or the end, may have come meanwhile
            if connection.usable and self._clock.monotonic() - connection.used > _STALE:
                while connection.next() is not None:
                    pass
                await self._noop(connection)
        except Lost:
            pass
        if connection.usable:
            return True
        connection.abort()
        self._forget(connection)
        return False

    async def _noop(self, connection: Connection) -> None:
        (tag,) = connection.begin((b"NOOP",))
        while getattr(await connection.answer(10.0), "tag", None) != tag:
            pass

    def _forget(self, connection: Connection) -> None:
        for kept in (self._all, self._apart):
            if connection not in kept:
                continue
            kept.remove(connection)
            self._sent += connection.sent
            self._received += connection.received
            self._trips += connection.trips

    # Opening -------------------------------------------------------------------------------------------

    async def _new(self, among: list[Connection], extra: bool = False) -> Connection:
        """Connect and log in. among: where the connection is kept from then on. extra: there is one already, so that a
        refusal is no reason to ask for a secret."""
        self._opening += 1
        try:
            connection = await self._logged_in(extra)
        finally:
            self._opening -= 1
            self.moved.fire()
        among.append(connection)
        try:
            await self._settle(connection)
        except BaseException:
            connection.abort()
            self._forget(connection)
            raise
        connection.used = self._clock.monotonic()
        return connection

    async def _logged_in(self, extra: bool) -> Connection:
        handed, self._handed = self._handed, None
        if handed is not None:
            from .adopted import adopt

            try:
                return await adopt(handed, self.settings, self._bucket)
            except Lost:
                pass  # it has ended meanwhile, and another one has to be made
        given = self._given
        refusals = self._refusals if not extra else None  # what is refused beside another one is so by its number
        if given is None and refusals is not None and refusals.noted:
            given = await self._ask(refused=False)
            refusals.before(given)
        for again in (False, True):
            connection, ready = await dial(self.address, self.settings, self._bucket)
            if ready:
                return connection
            try:
                if given is None:
                    given = await self._ask(refused=False)
                await login(connection, self.address, given, self._random)
            except LoginRefused as error:
                connection.abort()
                if again or (extra and self.address.mechanism.upper() not in ("TOKEN", "XOAUTH2", "OAUTHBEARER")):
                    _note(refusals, given, error)
                    raise
                self._given = None
                other = await self._ask(refused=True)
                if other == given:
                    _note(refusals, given, error)
                    raise
                given = other
            except BaseException:
                connection.abort()
                raise
            else:
                self._given = given
                if refusals is not None:
                    refusals.accepted()
                return connection
        raise AssertionError("the second attempt returns or raises")

    async def _ask(self, refused: bool) -> str:
        answer = self._secret(refused=refused)
        return await answer if inspect.isawaitable(answer) else answer

    async def _settle(self, connection: Connection) -> None:
        """Compression; what to enable goes out in front of the first command."""
        self.offers = Offers.of(connection.capabilities, self.settings.without)
        self.greeting = connection.greeting or self.greeting
        wanted = self.settings.compress
        if wanted is None:
            wanted = not self.address.tunnel and not is_loopback(self.address.host)
        if wanted and not connection.compressed and "COMPRESS=DEFLATE" in self.offers:
            (status,) = await connection.run((b"COMPRESS DEFLATE",))
            if status.ok:
                connection.start_compression()
        if not connection.enabled.issuperset(self.offers.enable):
            connection.preface.append((b"ENABLE " + " ".join(self.offers.enable).encode("ascii"),))


def _note(refusals: Refusals | None, given: str | None, error: LoginRefused) -> None:
    """What the server refused, not what could not be said to it."""
    if refusals is not None and given is not None and isinstance(error, CredentialsRefused):
        refusals.refused(given, error.text)
