"""A server in this process, on a thread and loop of its own: for tests, the pytest plugin, and notebooks.

No fork, no lock on the data, no signals, no log unless asked for; everything else is the worker that also
runs in production.
"""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TextIO, TypeVar

import uvloop

from ..clock import Clock, Random, SystemClock, system_random
from ..config.listen import TcpAddress
from ..config.model import Config
from ..config.paths import leave_run_directory, make_data, run_directory
from ..store.interface import Engine
from .listeners import Bound, bind_all, close_all, unix_rights, wanted
from .logs import make_logger
from .tls import CertificateKeeper, files
from .worker import Build, Surroundings, Worker

T = TypeVar("T")

FREE_PORTS: Mapping[str, str] = dict.fromkeys(("imap", "imaps", "pop3", "pop3s", "lmtp"), "127.0.0.1:0")


class InProcessServer:
    """`start()` gives the addresses, `stop()` drains and ends; `call` runs a coroutine on the server's loop."""

    def __init__(
        self,
        data: Path,
        config: Config | None = None,
        *,
        clock: Clock | None = None,
        random: Random = system_random,
        build: Build | None = None,
        log: TextIO | None = None,
    ) -> None:
        """data: folder for the store, made if missing. build: how sessions are put together (`assemble.build`).
        log: where log lines go; nowhere when None."""
        self._data = make_data(data)
        self._config = config or Config()
        self._clock = clock or SystemClock()
        self._random = random
        self._build = build
        self._log = log or io.StringIO()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: Worker | None = None
        self._bound: list[Bound] = []
        self.certificate: Path | None = None

    def start(self, listeners: Mapping[str, str] = FREE_PORTS) -> dict[str, tuple[str, int]]:
        """Bind and serve; (host, port) by listener name. Those not named are off. Raises Refusal."""
        given: dict[str, str | list[str]] = dict.fromkeys(FREE_PORTS, "off")
        given.update(listeners)
        host = self._config.server.hostname
        # Clients hold the certificate against the machine's clock, wherever a test's own clock stands.
        certificate, key = files(self._config.tls, self._data, host, SystemClock())
        self.certificate = certificate
        log = make_logger(self._config.log.level, self._config.log.format, self._clock, self._log)
        around = Surroundings(
            config=self._config,
            data=self._data,
            run=run_directory(self._data),
            clock=self._clock,
            random=self._random,
            log=log,
            keeper=CertificateKeeper(certificate, key),
        )
        self._bound = bind_all(wanted(self._config.listen, given), unix_rights(self._config.listen))
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="restante", daemon=True)
        self._thread.start()
        try:
            self.call(lambda: self._begin(around))
        except BaseException:
            self.stop()
            raise
        return {
            one.service.value: (one.address.host, one.address.port)
            for one in self._bound
            if isinstance(one.address, TcpAddress)
        }

    async def _begin(self, around: Surroundings) -> None:
        self._worker = Worker(around, self._build or _all_rooms(self._config, self._random))
        await self._worker.start(self._bound)

    def call(self, work: Callable[[], Awaitable[T]], timeout: float = 60.0) -> T:
        """Run what `work()` gives on the server's loop and wait for its result (at most `timeout` seconds)."""
        assert self._loop is not None, "not started"

        async def run() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(timeout)

    @property
    def worker(self) -> Worker:
        assert self._worker is not None, "not started"
        return self._worker

    @property
    def engine(self) -> Engine:
        """The store beneath. Its methods are awaited through `call`."""
        engine = self.worker.assembly.engine
        assert engine is not None
        return engine

    def stop(self, drain: float | None = None) -> None:
        """Drain, close the store, end the thread. Does nothing the second time."""
        if self._loop is None or self._thread is None:
            return
        if self._worker is not None:
            worker = self._worker
            self.call(lambda: worker.stop(drain))
            self._worker = None
        close_all(self._bound)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self._loop = self._thread = None
        leave_run_directory(self._data)


def _all_rooms(config: Config, random: Random) -> Build:
    from .assemble import builder  # late: tests of the server alone need no other room

    return builder(config, random)
