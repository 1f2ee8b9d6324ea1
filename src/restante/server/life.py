"""What a forked process does from its birth to its exit status: a worker's life, and that of the background process.

    born -> says `ready` (or why it cannot) -> serves -> stops (SIGTERM, or its supervisor is gone)
                                               | grown, and resting: says so, again and again
                                               SIGUSR1: somebody else serves now -> its last connections end -> stops

It speaks to the supervisor through a pipe, a `Report` a line, and hears it by signals.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec
import uvloop

from ..config.paths import run_folder
from ..errors import Refusal
from .background import Background
from .growth import Growth
from .housekeeping import Housekeeper
from .listeners import Bound
from .nightly import Nightly
from .worker import Build, Surroundings, Worker

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
"""Held back while a process is being born, until it can hear them."""

RETIRE = signal.SIGUSR1
"""Tells a process that its successor serves."""

EXIT_FAILED = 1


class Report(msgspec.Struct, frozen=True):
    """What a process says: once, whether it serves or cannot, and then that it has grown. accounts: whether there are
    any. grown: octets more than at its start; a successor is wanted. housekeeping_in: seconds until that is due."""

    ready: bool
    accounts: bool = True
    code: str = ""
    text: str = ""
    remedy: str = ""
    grown: int = 0
    housekeeping_in: float = 0.0


class Pipe:
    """A process's way to its supervisor."""

    def __init__(self, write: int) -> None:
        self._write = write
        os.set_blocking(write, False)

    def say(self, report: Report) -> None:
        """Send a report. What cannot be sent is dropped: the supervisor is gone, which the process hears in another
        way, or is held up, and what a process has to say after its first report it says again."""
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            os.write(self._write, msgspec.json.encode(report) + b"\n")


def run(life: Coroutine[Any, Any, int]) -> int:
    """A process of ours, from its birth to its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(life)


class _Ends:
    """When a process has to stop, and when it has to make way."""

    def __init__(self, life: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._life = life
        self.stopping = asyncio.Event()
        self.retiring = asyncio.Event()
        self._loop.add_signal_handler(signal.SIGTERM, self.stopping.set)
        self._loop.add_signal_handler(RETIRE, self.retiring.set)
        self._loop.add_reader(life, self.stopping.set)

    async def wait(self, retire: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Return when it is time to stop. retire: what is done first where it is to make way."""
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(self._make_way(retire))
            await self.stopping.wait()
            leaving.cancel()
        self._loop.remove_reader(self._life)

    async def _make_way(self, retire: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        await self.retiring.wait()
        if retire is not None:
            await retire()
        self.stopping.set()


async def serve(around: Surroundings, bound: Sequence[Bound], build: Build, life: int, report: int) -> int:
    """A worker's life. life: readable when the supervisor is gone. report: where it speaks to the supervisor."""
    pipe, ends = Pipe(report), _Ends(life)
    try:
        worker = Worker(around, build)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, worker.reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        await worker.start(bound)
        said = Report(ready=True, accounts=await _has_accounts(worker))
    except Refusal as refusal:
        return _cannot_start(refusal, pipe)
    growth = Growth(
        around.config.server.growth, lambda: worker.resting, lambda octets: pipe.say(Report(True, grown=octets))
    )
    growth.start()
    pipe.say(said)
    await ends.wait(worker.retire)
    growth.stop()
    await worker.stop()
    return 0


async def keep_house(around: Surroundings, build: Build, notes: socket.socket, life: int, report: int) -> int:
    """The life of the background process. notes: where workers name accounts. The others: see `serve`."""
    pipe, ends = Pipe(report), _Ends(life)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)  # the workers' matter
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    try:
        assembly = build(around.config, around.data, around.clock, around.random, around.log)
    except Refusal as refusal:
        return _cannot_start(refusal, pipe)
    if assembly.close is not None:
        assembly.close()  # nobody logs in here
    work = growth = None
    if assembly.engine is not None:
        house = Housekeeper(assembly.engine, around.config, run_folder(around.data), around.clock, around.log)
        nightly = Nightly(
            assembly.engine, around.config, around.data, around.config_file, around.clock, around.random, around.log
        )
        background = work = Background(assembly.engine, notes, house, nightly)
        growth = Growth(
            around.config.server.growth,
            lambda: background.resting,
            lambda octets: pipe.say(Report(True, grown=octets, housekeeping_in=house.next_in)),
        )
        work.start(around.housekeeping_in)
        growth.start()
    pipe.say(Report(ready=True))
    await ends.wait(work.retire if work is not None else None)
    if growth is not None:
        growth.stop()
    if work is not None:
        await work.stop()
    return 0


def _cannot_start(refusal: Refusal, pipe: Pipe) -> int:
    """Say why; the exit status."""
    pipe.say(Report(False, False, refusal.code, refusal.text, refusal.remedy))
    return EXIT_FAILED


async def _has_accounts(worker: Worker) -> bool:
    engine = worker.assembly.engine
    return engine is None or bool(await engine.directory.accounts("", 1))
