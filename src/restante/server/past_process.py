"""The process that reads the backup for the workers of one data folder, for as long as somebody looks.

    worker --Order--> python -m restante.server.past_process --"ready"--> worker
    workers --calls--> run/past.sock --answers--> workers

The first worker whose session looks at `Backups/` starts it; a second one that starts at the same time finds it there
and ends. It ends when no worker is connected any more: workers hang up when nobody looks, and when they stop. What it
has written goes with it; what a killed one left is removed by the next.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from ..backup.errors import NoRepository
from ..clock import SystemClock, system_random
from ..config.paths import run_folder
from ..errors import Refusal
from .logs import Logger, make_logger
from .past_order import READY, Order, cache_folder, socket_path
from .past_reader import Holder, PastReader
from .past_wire import NO_SNAPSHOT, Answer, Call, encode_result, frame, read_call

NICE = 5
"""Somebody waits, but mail that comes in goes before."""
FIRST = 20.0
"""Seconds in which a worker must connect at first."""
LINGER = 1.0
"""Seconds without any worker after which it ends."""
SWEEP = 30.0
AT_ONCE = 32
"""Calls of one worker that are worked on at once: further ones wait in its socket."""
BUFFER = 1 << 20


class Serving:
    """The process's one job."""

    def __init__(self, reader: PastReader, log: Logger) -> None:
        self._reader = reader
        self._log = log
        self._workers = 0
        self._ended = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    async def serve(self, listening: socket.socket) -> None:
        """Until no worker is left."""
        self._end_in(FIRST)
        async with await asyncio.start_unix_server(self._connected, sock=listening, limit=BUFFER):
            while not self._ended.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), SWEEP)
                try:
                    await self._reader.sweep()
                except Refusal as refusal:
                    self._log.error("files of a look at the backup stay", reason=str(refusal))

    def _end_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._ended.set)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._workers += 1
        if self._timer is not None:
            self._timer.cancel()
        holder, turns = Holder(), asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                while (call := await read_call(reader)) is not None:
                    await turns.acquire()
                    group.create_task(self._answer(call, holder, writer, turns))
        finally:
            await self._reader.let_go(holder)
            writer.close()
            self._workers -= 1
            if not self._workers:
                self._end_in(LINGER)

    async def _answer(self, call: Call, holder: Holder, writer: asyncio.StreamWriter, turns: asyncio.Semaphore) -> None:
        try:
            writer.write(frame(await self._answered(call, holder)))
            await writer.drain()
        except ConnectionError:
            pass  # the worker is gone: nobody waits
        finally:
            turns.release()

    async def _answered(self, call: Call, holder: Holder) -> Answer:
        try:
            return Answer(call.number, encode_result(await self._reader.answer(call.request, holder)))
        except NoRepository as refusal:
            return Answer(call.number, code=NO_SNAPSHOT, text=refusal.text)
        except Refusal as refusal:
            return Answer(call.number, code=refusal.code, text=str(refusal))
        except Exception as error:  # noqa: BLE001 - a call's outer edge: others go on
            self._log.error("looking at the backup failed", fault=error)
            return Answer(call.number, code="FAULT", text="The backup cannot be looked at now.")


def listen(data: Path) -> socket.socket | None:
    """The socket, bound; None where another process serves there.

    Starts at the same time follow one another, and one that ends is waited for: it removes its files last.
    """
    starting = _locked(run_folder(data) / "past.start")
    try:
        path = socket_path(data)
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                pass  # nobody listens
            else:
                return None
        _locked(run_folder(data) / "past.lock")  # held until the process ends
        path = socket_path(data)  # a server that ended meanwhile may have taken the folder away
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen(64)
        return listening
    finally:
        os.close(starting)


def _locked(path: Path) -> int:
    """A file whose lock is held, waited for if need be."""
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(number, fcntl.LOCK_EX)
    return number


async def work(order: Order, listening: socket.socket, log: Logger) -> None:
    data, clock = Path(order.data), SystemClock()
    reader = PastReader(order.config, cache_folder(data), clock, system_random, log)
    try:
        await Serving(reader, log).serve(listening)
    finally:
        await reader.close()


def main() -> int:
    line = sys.stdin.buffer.readline()
    if not line:
        return 1  # the worker was stopped before it could say anything
    order = msgspec.json.decode(line, type=Order)
    listening = listen(Path(order.data))
    if listening is not None:
        os.nice(NICE)
        log = make_logger(order.config.log.level, order.config.log.format, SystemClock())
    os.write(1, READY)
    os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), 1)  # the worker has been told, and reads no more
    if listening is not None:
        try:
            asyncio.run(work(order, listening, log))
        finally:
            socket_path(Path(order.data)).unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
