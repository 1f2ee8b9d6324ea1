"""One event loop's worth of server: accepts, runs sessions, keeps limits, reloads certificates, stops.

A session's exception ends its connection and is logged under the connection's id; nothing a peer does ends
the worker. Stopping: no new connections; sessions that wait for their peer learn it (ServerStopping) and say
goodbye; commands under way have `server.drain` seconds, logins none; then what is left is cancelled and the store
closed.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..clock import Clock, Random
from ..config.model import Config
from ..config.paths import run_folder
from ..connection import AccountClosed, ConnectionLost, ReadTimeout, ServerStopping
from ..store.interface import Engine
from .background import Notes
from .begun import Begun
from .channel import Channel
from .closures import ClosureWatch
from .deflate import Compressors, DeflateLayer
from .housekeeping import Housekeeper
from .limits import Limits, SharedCounts, TooManyConnections
from .listeners import Acceptor, Bound, close_all
from .logs import Logger
from .services import STOPPING, TOO_MANY, Factories, Service, Wire
from .silence import Silence
from .sockets import INHERITED, set_options
from .status import ConnectionStatus, StatusSocket, WorkerStatus
from .tls import Certificate, CertificateKeeper, TlsRefusal

CURRENT: ContextVar[Channel | None] = ContextVar("restante_channel", default=None)
"""The channel whose session runs: so that rooms which know no connection (authentication) log under its id."""

CERTIFICATE_CHECK = 2.0
EXPIRES_SOON = 7 * 86_400.0
"""Seconds before a certificate's end from when on the log says so, once a day: it should have been renewed by then."""
_CANCEL_GRACE = 2.0
_IDS = 32
"""Ids of connections drawn at once."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """What the rooms make together: a factory for each protocol, and the engine beneath (None in tests
    without a store). finish: ends what waits for other processes, once no session is left."""

    factories: Factories
    engine: Engine | None = None
    close: Callable[[], None] | None = None
    finish: Callable[[], Awaitable[None]] | None = None


Build = Callable[[Config, Path, Clock, Random, Logger], Assembly]
"""Puts the rooms together; called inside the worker's running loop."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a worker is given: settings, folders, time, chance, and what all workers share."""

    config: Config
    data: Path
    run: Path
    clock: Clock
    random: Random
    log: Logger
    keeper: CertificateKeeper | None
    shared: SharedCounts | None = None
    number: int = 0
    background: socket.socket | None = None
    config_file: Path | None = None
    housekeeping_in: float = 0.0


class Worker:
    """Implements `channel.ChannelHost`. `start` and `stop` are called on its loop."""

    def __init__(self, around: Surroundings, build: Build) -> None:
        self.loop = asyncio.get_running_loop()
        self.log = around.log
        self.write_timeout = around.config.server.write_timeout
        self.handshake_timeout = around.config.server.handshake_timeout
        self.counters = {"accepted": 0, "refused": 0, "logins": 0, "faults": 0}
        self._around = around
        self._limits = Limits(around.config.limits, around.shared, around.number)
        self._compressors = Compressors(around.config.limits.compressed, around.config.limits.dictionaries)
        self._silence = Silence(self.loop)
        self._channels: set[Channel] = set()
        self._before_login: dict[Channel, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._acceptors: list[Acceptor] = []
        self._bound: Sequence[Bound] = ()
        self._ids: list[str] = []
        self._watcher: asyncio.TimerHandle | None = None
        self._tell_expiry_at = 0.0
        self._started = around.clock.now()
        self._stopping = False
        self._stopped = asyncio.Event()
        self._empty = asyncio.Event()
        self.assembly = build(around.config, around.data, around.clock, around.random, around.log)
        if around.background is not None and self.assembly.engine is not None:
            self.assembly.engine.leave_search_to(Notes(around.background, around.clock).note)
        self._status = StatusSocket(around.run, self.describe)
        self._closures = ClosureWatch(self.assembly.engine, lambda: self._channels, around.clock, around.log)
        self._housekeeper = Housekeeper(
            self.assembly.engine, around.config, run_folder(around.data), around.clock, around.log
        )

    # Life ------------------------------------------------------------------------------------------

    async def start(self, bound: Sequence[Bound]) -> None:
        """Serve the listening sockets."""
        self._bound = bound
        await self._status.open()
        for one in bound if INHERITED else ():
            if one.sock.family != socket.AF_UNIX:
                set_options(one.sock, one.service.wire)
        self._acceptors = [Acceptor(one, self.loop, self._limits, self.log, self._accepted) for one in bound]
        if self._around.background is None:  # else a process of its own keeps house
            self._housekeeper.start()
        self._closures.start()
        if self._around.keeper is not None:
            self._watch_certificate()

    @property
    def resting(self) -> bool:
        """Nobody is connected, and nothing is open or under way beneath."""
        engine = self.assembly.engine
        return not self._tasks and not self._channels and (engine is None or engine.resting)

    async def retire(self) -> None:
        """Accept no more; return when the last connection has ended by itself. `stop` may come meanwhile or after."""
        self._stop_accepting()
        while self._tasks or self._channels:
            if self._tasks:
                await asyncio.wait(self._tasks)
            else:
                self._empty.clear()
                await self._empty.wait()

    def _stop_accepting(self) -> None:
        self._limits.retire()
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors = []
        close_all(self._bound, unlink=False)

    async def stop(self, drain: float | None = None) -> None:
        """Stop accepting, let commands finish within `drain` seconds (as configured when None), close the store."""
        if self._stopping:
            await self._stopped.wait()
            return
        self._stopping = True
        self._stop_accepting()
        if self._watcher is not None:
            self._watcher.cancel()
        await self._housekeeper.stop()
        await self._closures.stop()
        for channel in list(self._channels):
            channel.stop()
            if channel.account is None and channel.service.wire in STOPPING and not channel.waits:
                self._drop(channel, STOPPING)  # a login, and perhaps the delay of a wrong one: nothing is lost
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._around.config.server.drain if drain is None else drain)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CANCEL_GRACE)
        await self._let_linger()
        self._silence.stop()
        if self.assembly.close is not None:
            self.assembly.close()
        if self.assembly.finish is not None:
            await self.assembly.finish()
        if self.assembly.engine is not None:
            await self.assembly.engine.close()
        self._status.close()
        self._stopped.set()

    async def _let_linger(self) -> None:
        """Give goodbyes a moment to reach the kernel, then let go of what is left."""
        deadline = self.loop.time() + 1.0
        await asyncio.sleep(0)
        # A transport tells nobody when its last octet went out, so it is asked.
        while any(channel.unsent for channel in self._channels) and self.loop.time() < deadline:  # noqa: ASYNC110 - above
            await asyncio.sleep(0.01)
        for channel in list(self._channels):
            channel.abort()
        if self._channels:
            self._empty.clear()
            await self._empty.wait()

    # Connections -----------------------------------------------------------------------------------

    def _accepted(self, service: Service, sock: socket.socket, address: str) -> None:
        channel = Channel(self, service, self._next_id(), address, self._around.clock.now())
        try:
            self._limits.enter(address, channel.loopback)
        except TooManyConnections as refusal:
            self._turn_away(channel, sock, refusal)
            return
        self.counters["accepted"] += 1
        connecting = Begun(self.loop.connect_accepted_socket(lambda: channel, sock))
        task = self.loop.create_task(self._serve(channel, connecting))
        channel.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._count_before_login(channel)

    def _next_id(self) -> str:
        """Eight letters and digits for a connection."""
        if not self._ids:
            drawn = base64.b32encode(self._around.random(5 * _IDS)).decode("ascii").lower()
            self._ids = [drawn[at : at + 8] for at in range(0, 8 * _IDS, 8)]
        return self._ids.pop()

    def _count_before_login(self, channel: Channel) -> None:
        if not channel.loopback and channel.service.wire is not Wire.LMTP:
            self._before_login[channel] = None
            self._thin_out()

    def _turn_away(self, channel: Channel, sock: socket.socket, refusal: TooManyConnections) -> None:
        self.counters["refused"] += 1
        channel.log("connection refused", reason=refusal.text)
        try:
            if not channel.service.implicit_tls:
                sock.setblocking(False)
                sock.send(TOO_MANY[channel.service.wire])
        except OSError:
            pass  # it is being turned away in any case
        finally:
            sock.close()

    def _thin_out(self) -> None:
        """Past the bound on connections without login the oldest goes: a flood then ends itself, while a
        person who just came still gets in."""
        if len(self._before_login) > self._around.config.limits.connections_before_login:
            oldest = next(iter(self._before_login))
            del self._before_login[oldest]
            self.counters["refused"] += 1
            oldest.log("connection dropped", reason="too many without login")
            self._drop(oldest, TOO_MANY)

    def _drop(self, channel: Channel, words: Mapping[Wire, bytes]) -> None:
        """End a session without login, with the last words of its protocol."""
        channel.say_last(words[channel.service.wire])
        if channel.task is not None:
            # Not before its first step, which comes with this turn: it would never let go of what it counts for.
            self.loop.call_soon(channel.task.cancel)

    async def _serve(self, channel: Channel, connecting: Awaitable[object]) -> None:
        try:
            await connecting
            del connecting  # with the coroutine and what came of it: half a kilobyte, for as long as the session lasts
            if self._stopping:
                channel.stop()
            CURRENT.set(channel)
            if channel.service.implicit_tls:
                await channel.handshake()
            await self.assembly.factories[channel.service.wire](channel).run()
        except (AccountClosed, ConnectionLost, ReadTimeout, ServerStopping, OSError) as error:
            if isinstance(error, OSError):
                channel.log("connection failed", reason=error.strerror)
        except Exception as error:  # noqa: BLE001 - the connection's outer edge
            self.counters["faults"] += 1
            channel.fault(error)
        finally:
            self._before_login.pop(channel, None)
            self._limits.leave(channel.peer, channel.loopback)
            self._leave_account(channel)
            self._closures.leave(channel)  # again: a login may have ended when its peer had gone already
            self._silence.leave(channel)
            channel.close()
            channel.task = None  # whose context knows the channel: both go now, not when garbage is looked for

    # ChannelHost -----------------------------------------------------------------------------------

    def now(self) -> float:
        """The instant, seconds UTC."""
        return self._around.clock.now()

    def certificate(self) -> Certificate | None:
        return self._around.keeper.current if self._around.keeper is not None else None

    def opened(self, channel: Channel) -> None:
        self._channels.add(channel)

    def closed(self, channel: Channel) -> None:
        self._channels.discard(channel)
        self._closures.leave(channel)
        self._silence.leave(channel)
        if not self._channels:
            self._empty.set()

    def login(self, channel: Channel, account: str) -> None:
        """Count a login, and see that a POP3 session ends with its peer. Raises TooManyConnections.

        LMTP sessions have no account."""
        self._leave_account(channel)
        self._limits.enter_account(account)
        self._before_login.pop(channel, None)
        self.counters["logins"] += 1
        if channel.service.wire is Wire.POP3 and channel.peer != "unix":
            self._silence.watch(channel)

    def compression(self) -> DeflateLayer:
        """Compression for one more connection. Raises TooManyCompressed."""
        return self._compressors.open()

    def logout(self, channel: Channel) -> None:
        """The channel is one without login again, and the youngest of those."""
        self._leave_account(channel)
        self._closures.leave(channel)
        self._count_before_login(channel)

    def expires(self, channel: Channel) -> None:
        """What opened its session will expire: end it then."""
        self._closures.enter(channel)

    def _leave_account(self, channel: Channel) -> None:
        if channel.account is not None:
            self._limits.leave_account(channel.account)
            channel.account = None

    # Certificates, status --------------------------------------------------------------------------

    def reload(self, *, force: bool = True) -> None:
        """Read the certificate again (SIGHUP). A pair that cannot be used is logged; the old one stays."""
        if self._around.keeper is None:
            return
        try:
            if self._around.keeper.refresh(force=force):
                self.log.info("certificate loaded")
        except TlsRefusal as refusal:
            self.log.error("certificate refused, the old one stays", reason=refusal.text)

    def _watch_certificate(self) -> None:
        self.reload(force=False)
        self._tell_expiry()
        self._watcher = self.loop.call_later(CERTIFICATE_CHECK, self._watch_certificate)

    def _tell_expiry(self) -> None:
        """Say so where the certificate has expired, or will soon."""
        certificate, now = self.certificate(), self.loop.time()
        if certificate is None or now < self._tell_expiry_at:
            return
        left = certificate.expires - self._around.clock.now()
        if left < EXPIRES_SOON:
            self._tell_expiry_at = now + 86_400.0
            until = datetime.fromtimestamp(certificate.expires, UTC).isoformat()
            self.log.warning("certificate expires soon" if left > 0 else "certificate has expired", until=until)

    def describe(self) -> WorkerStatus:
        """This worker's status."""
        return WorkerStatus(
            pid=os.getpid(),
            started=self._started,
            listeners=[(one.service.value, str(one.address)) for one in self._bound],
            connections=[
                ConnectionStatus(
                    id=channel.id,
                    protocol=channel.service.value,
                    address=channel.peer,
                    account=channel.account,
                    secure=channel.secure,
                    since=channel.since,
                )
                for channel in self._channels
            ],
            counters=dict(self.counters),
        )
