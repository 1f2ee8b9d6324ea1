"""A worker's way to the backup, for sessions that look at what their account was: `store.past.Past` over a socket.

Until somebody looks there is no socket, no process and nothing of the backup's code; then `past_process` is there for
all workers, and this hangs up when nobody has looked for a while. A process that dies is started again by the next
question; mailboxes that were open then say so and have to be selected again.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from ..clock import Clock, Random
from ..config.model import Config
from ..store.errors import NoSuchMailbox, PastUnavailable
from ..store.model import UidRanges
from ..store.past import Lent, PastBox, PastState, Pop3Past
from ..store.sqlite.engine import SqliteEngine
from ..store.sqlite.past import SqlitePastStore
from .engine import open_past_engine
from .logs import Logger
from .past_order import READY, Order, cache_folder, socket_path
from .past_wire import (
    NO_SNAPSHOT,
    Answer,
    Call,
    Fill,
    GiveBack,
    Leave,
    Lend,
    Load,
    Open,
    Read,
    ReadPart,
    Request,
    States,
    frame,
    read_answer,
)

T = TypeVar("T")

IDLE = 60.0
"""Seconds after the last question, nobody having a mailbox open, after which this hangs up."""
LOOK = 15.0
"""Seconds between looks whether it is time for that."""
START = 60.0
"""Seconds in which the process must be ready: Python, and one before it that is ending."""
ENDED = 5.0
"""Seconds in which the process has ended that nobody is connected to."""
ANSWER = 600.0
"""Seconds in which any answer must come: the largest mailboxes take a minute."""
BUFFER = 1 << 20

_GONE = "The backup cannot be looked at now."


class _Connection:
    """One connection, and who waits for answers on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.waiting: dict[int, asyncio.Future[Answer]] = {}
        self.open = True
        self._number = 0
        self._task = asyncio.get_running_loop().create_task(self._listen(reader))

    async def ask(self, request: Request) -> Answer:
        """Raises ConnectionError, TimeoutError where no answer came."""
        if not self.open:
            raise ConnectionResetError
        self._number += 1
        number = self._number
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting[number] = future
        try:
            async with asyncio.timeout(ANSWER):
                self.writer.write(frame(Call(number, request)))
                await self.writer.drain()
                return await future
        finally:
            self.waiting.pop(number, None)

    def say(self, request: Request) -> None:
        """Ask for what needs no answer."""
        if self.open:
            self._number += 1
            self.writer.write(frame(Call(self._number, request)))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while (answer := await read_answer(reader)) is not None:
                future = self.waiting.get(answer.number)
                if future is not None and not future.done():
                    future.set_result(answer)
        finally:
            self.open = False
            self.writer.close()
            for future in self.waiting.values():
                if not future.done():
                    future.set_exception(ConnectionResetError())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


class PastOverSocket:
    """Implements `store.past.Past` for the sessions of one worker."""

    def __init__(self, config: Config, data: Path, clock: Clock, random: Random, log: Logger) -> None:
        self._config = config
        self._data = data.absolute()
        self._clock = clock
        self._random = random
        self._log = log
        self._engine: SqliteEngine | None = None
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stores: weakref.WeakSet[SqlitePastStore] = weakref.WeakSet()
        self._asked_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def states(self, account: str) -> list[PastState]:
        found = await self.ask(States(account), list[tuple[str, str]])
        return [PastState(name, id) for name, id in found]

    async def store(self, account: str, state: PastState) -> SqlitePastStore:
        file, fields = await self.ask(
            Open(account, state.id), tuple[str, list[tuple[str, str, int, int, int, int, int]]]
        )
        connection = self._connection
        if connection is None:
            raise PastUnavailable(_GONE)
        if self._engine is None:
            self._engine = open_past_engine(self._config, cache_folder(self._data), self._clock, self._random)
        store = SqlitePastStore(self._engine, file, [PastBox(*each) for each in fields], _Bringer(self, file, state.id))
        self._stores.add(store)
        loop = asyncio.get_running_loop()
        weakref.finalize(store, _leave, loop, weakref.ref(connection), file).atexit = False
        return store

    async def ask(self, request: Request, what: type[T]) -> T:
        """The answer. Raises PastUnavailable, NoSuchMailbox where the snapshot is not there."""
        self._asked_at = self._clock.monotonic()
        try:
            answer = await self._answer(request)
        except (ConnectionError, TimeoutError) as error:
            raise PastUnavailable(_GONE, "Try again in a moment.") from error
        if answer.code == NO_SNAPSHOT:
            raise NoSuchMailbox("There is no such mailbox.")
        if answer.code:
            raise PastUnavailable(answer.text or _GONE)
        return msgspec.msgpack.decode(answer.result, type=what)

    async def _answer(self, request: Request) -> Answer:
        connection = await self._connected()
        try:
            return await connection.ask(request)
        except ConnectionError:
            if not isinstance(request, States | Open):
                raise  # what it is about has gone with the process
        return await (await self._connected()).ask(request)

    def say(self, request: Request) -> None:
        """Ask for what needs no answer, where there is anybody to be asked."""
        if self._connection is not None:
            self._connection.say(request)

    # The process -------------------------------------------------------------------------------------

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._connection is not None and self._connection.open:
                return self._connection
            for _ in range(2):  # one that was just ending when it was found is not there the second time
                try:
                    reader, writer = await asyncio.open_unix_connection(str(socket_path(self._data)), limit=BUFFER)
                except OSError:
                    await self._start()
                    continue
                return self._keep(reader, writer)
            try:
                return self._keep(*await asyncio.open_unix_connection(str(socket_path(self._data)), limit=BUFFER))
            except OSError as error:
                self._log.error("the process that reads the backup cannot be reached", reason=error.strerror)
                raise PastUnavailable(_GONE) from error

    def _keep(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Connection:
        self._connection = _Connection(reader, writer)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK, self._look)
        return self._connection

    async def _start(self) -> None:
        """Start the process, or find that another worker has. Raises PastUnavailable."""
        order = msgspec.json.encode(Order(self._config, str(self._data))) + b"\n"
        try:
            async with asyncio.timeout(START):
                self._process, said = await asyncio.to_thread(_start, order, self._process)
        except (OSError, TimeoutError) as error:
            self._log.error("the process that reads the backup cannot be started", reason=str(error))
            raise PastUnavailable(_GONE) from error
        if said != READY:
            self._log.error("the process that reads the backup cannot be started", reason="it ended at once")
            raise PastUnavailable(_GONE)

    def _look(self) -> None:
        """Hang up where nobody looks any more."""
        loop = asyncio.get_running_loop()
        self._timer = None
        connection = self._connection
        if connection is None:
            return
        idle = self._clock.monotonic() - self._asked_at >= IDLE
        if not connection.open or (idle and not self._stores and not connection.waiting):
            self._closing = loop.create_task(self.close())
            return
        self._timer = loop.call_later(LOOK, self._look)

    async def close(self) -> None:
        """Let go of everything, until somebody looks again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        connection, self._connection = self._connection, None
        engine, self._engine = self._engine, None
        if connection is not None:
            await connection.close()
        if engine is not None:
            await engine.close()
        if self._process is not None:
            self._process.poll()  # takes its exit status; soon, where it is just ending
            asyncio.get_running_loop().call_later(ENDED, self._process.poll)


def _start(order: bytes, before: subprocess.Popen[bytes] | None) -> tuple[subprocess.Popen[bytes], bytes]:
    """The process, and the line that it says when it can be connected to. Blocks until then."""
    if before is not None:
        before.poll()
    process = subprocess.Popen(
        [sys.executable, "-m", "restante.server.past_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # a terminal's Ctrl-C is for the server, whose end it sees
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(order)
        process.stdin.close()
        return process, process.stdout.readline()
    except BrokenPipeError:
        return process, b""
    finally:
        process.stdout.close()


def _leave(loop: asyncio.AbstractEventLoop, connection: weakref.ref[_Connection], file: str) -> None:
    """Somebody's store is gone: its file need not stay. Any thread may find that out."""
    there = connection()
    if there is not None and not loop.is_closed():
        loop.call_soon_threadsafe(there.say, Leave(file))


class _Bringer:
    """Implements `store.past.Bringer` for one store."""

    def __init__(self, past: PastOverSocket, file: str, state: str) -> None:
        self._past = past
        self._file = file
        self._state = state

    async def load(self, box: int) -> int:
        return await self._past.ask(Load(self._file, self._state, box), int)

    async def fill(self, mailbox: int, ranges: UidRanges, *, bodies: bool) -> int:
        return await self._past.ask(Fill(self._file, mailbox, ranges, bodies), int)

    async def lend(self, box: int, mailbox: int, ranges: UidRanges) -> Lent:
        request = Lend(self._file, self._state, box, mailbox, ranges)
        token, known = await self._past.ask(request, tuple[int, list[tuple[int, bool, int, int | None]]])
        pop3 = {uid: Pop3Past(hidden, suffix, retrieved) for uid, hidden, suffix, retrieved in known}
        return Lent(token, pop3)

    async def give_back(self, lent: Lent) -> None:
        self._past.say(GiveBack(lent.token))  # a loan ends with the connection too

    async def read(self, digests: Sequence[bytes]) -> list[bytes]:
        return await self._past.ask(Read(list(digests)), list[bytes])

    async def read_part(self, digest: bytes, offset: int, count: int) -> bytes:
        (data,) = await self._past.ask(ReadPart(digest, offset, count), tuple[bytes])
        return data
