"""Analysis of many messages: in a thread of this process while they are few, in processes beside it when they are many.

An analysis costs some 130 microseconds of pure Python, much of what filing a message costs; threads share one
interpreter, so only processes help. One takes 100 ms to start, hence the wait until the work has proved large, or
somebody says that it will be. Each is given its next group while it is at one, so that it never waits for this process.
An analyst that dies (killed for memory, say) is not replaced: its messages, and all others, are analysed here.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import pickle
import struct
import subprocess
import sys
import threading
from array import array
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from .. import machine

if TYPE_CHECKING:
    from ..mime.model import Analysis, Limits

MANY = 1_000
MANY_OCTETS = 16 << 20
"""Messages or octets after which analysts are started, where nobody has said how many will come."""

EXPECTED = 400
"""Messages for which analysts are started at once, where it is said before that so many will come."""

MOST = 3
"""Analysts of one pool: filing what they make keeps one core busy."""

AT_ONCE = 2
"""Groups that one analyst has: the one that it is at, and the next."""

PIPE = 1 << 20
"""Octets that a pipe to or from an analyst holds, where the system allows it: a group of most mail."""

TOGETHER = 8 << 20
"""Octets of a group up to which it is put together to be sent by one call."""

GARBAGE = 100_000
"""Objects made, and not freed by counting references, after which an analyst looks for garbage."""

COUNT = struct.Struct("<I")
SIZE = struct.Struct("<Q")

_log = logging.getLogger(__name__)


class Analysts:
    """limits: bounds of analysis. cores: how many there are (None: ask). To be closed."""

    def __init__(self, limits: Limits, cores: int | None = None) -> None:
        self._limits = limits
        self._most = min((machine.cores() if cores is None else cores) - 1, MOST)
        self._messages = 0
        self._octets = 0
        self._idle: asyncio.Queue[_Analyst] | None = None
        self._all: list[_Analyst] = []
        self._lost = False
        self._one = asyncio.Lock()

    def expect(self, messages: int) -> None:
        """About so many will have to be analysed soon: where they are worth it, analysts start meanwhile."""
        if messages >= EXPECTED:
            self._begin()

    def _begin(self) -> None:
        if self._idle is None and self._most > 0:
            self._idle = self._begun()

    async def analyse(self, messages: Sequence[bytes]) -> list[Analysis]:
        """What is to be stored beside each of these. Several calls at once are answered in any order."""
        self._messages += len(messages)
        self._octets += sum(map(len, messages))
        if self._messages > MANY or self._octets > MANY_OCTETS:
            self._begin()
        if self._idle is not None and not self._lost:
            analyst = await self._idle.get()
            try:
                return await asyncio.to_thread(analyst.ask, messages)
            except (OSError, EOFError, ValueError) as cause:
                if not self._lost:
                    self._lost = True  # its fate may be another's: go on with what is certain
                    _log.warning("A process that analyses messages has ended (%s); going on without.", cause)
            finally:
                self._idle.put_nowait(analyst)
        async with self._one:  # two at once would only share the interpreter
            return await asyncio.to_thread(_here, messages, self._limits)

    def _begun(self) -> asyncio.Queue[_Analyst]:
        """Start the analysts; as many as the system lets be."""
        try:
            for _ in range(self._most):
                self._all.append(_Analyst(self._limits))
        except OSError as cause:
            self._lost = not self._all
            _log.warning("A process that analyses messages cannot be started (%s); going on without.", cause)
        idle: asyncio.Queue[_Analyst] = asyncio.Queue()
        for analyst in self._all * AT_ONCE:
            idle.put_nowait(analyst)
        return idle

    def close(self) -> None:
        for analyst in self._all:
            analyst.close()


def _here(messages: Sequence[bytes], limits: Limits) -> list[Analysis]:
    from ..mime.analyse import analyse

    return [analyse(data, limits) for data in messages]


class _Analyst:
    """One process (`python -m restante.analysts.process`); several threads may ask, each is answered in its turn."""

    def __init__(self, limits: Limits) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "restante.analysts.process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._limits: Limits | None = limits
        self._sending = threading.Lock()
        self._last = threading.Event()
        """Set when whoever asked last has its answer, or will have none."""
        self._last.set()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to: IO[bytes] = self._process.stdin
        self._back: IO[bytes] = self._process.stdout
        for pipe in (self._to, self._back):
            _widen(pipe.fileno())

    def ask(self, messages: Sequence[bytes]) -> list[Analysis]:
        """Blocks. Raises OSError, EOFError, ValueError where the process has ended."""
        mine = threading.Event()
        try:
            with self._sending:
                before, self._last = self._last, mine
                self._send(messages)
            before.wait()
            return self._hear()
        finally:
            mine.set()

    def _send(self, messages: Sequence[bytes]) -> None:
        to = self._to
        if self._limits is not None:
            octets, self._limits = pickle.dumps(self._limits), None
            to.write(SIZE.pack(len(octets)) + octets)
        sizes = array("Q", map(len, messages))
        head = COUNT.pack(len(messages)) + sizes.tobytes()
        if sum(sizes) <= TOGETHER:
            to.write(b"".join((head, *messages)))
        else:
            to.write(head)
            for data in messages:
                to.write(data)
        to.flush()

    def _hear(self) -> list[Analysis]:
        head = self._back.read(SIZE.size)
        if len(head) < SIZE.size:
            raise EOFError("no answer")
        octets = self._back.read(SIZE.unpack(head)[0])
        if len(octets) < SIZE.unpack(head)[0]:
            raise EOFError("half an answer")
        found: list[Analysis] = pickle.loads(octets)  # from a process of our own that we have started
        return found

    def close(self) -> None:
        """End the process at once: what it does is kept nowhere. Who asks it then is told so."""
        self._process.kill()
        with self._sending:
            self._last.wait()
            for pipe in (self._to, self._back):
                try:
                    pipe.close()
                except OSError:
                    pass  # what was still in its buffer has no reader any more
            self._process.wait()


def _widen(pipe: int) -> None:
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        try:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)
        except OSError:
            pass  # this user has no room for wider ones: more turns are taken
