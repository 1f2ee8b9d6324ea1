"""Work on many messages: in a thread of this process while they are few, in processes beside it when they are many.

An analysis costs some 100 microseconds of pure Python, much of what filing a message costs; threads share one
interpreter, so only processes help. One takes 100 ms to start, hence the wait until the work has proved large, or
somebody says that it will be. Each is given its next group while it is at one, so that it never waits for this process.
What is to be done is a `Work`: `Analysing`, or what an engine needs of messages before it files them. An analyst that
dies (killed for memory, say) is not replaced: its messages, and all others, are worked on here.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import pickle
import subprocess
import sys
import threading
from array import array
from collections.abc import Sequence
from typing import IO, Generic, TypeVar

from .. import machine
from .work import COUNT, SIZE, TOGETHER, Work

T = TypeVar("T")

MANY = 1_000
MANY_OCTETS = 16 << 20
"""Messages or octets after which analysts are started, where nobody has said how many will come."""

EXPECTED = 400
"""Messages for which analysts are started at once, where it is said before that so many will come."""

MOST = 3
"""Analysts of one pool: filing what they make keeps one core busy."""

FULL = 5_000
"""Messages for which as many analysts are started as there are cores, where so many are announced: with one less, one
core waits for the other whenever their shares are not equal."""

AT_ONCE = 2
"""Groups that one analyst has: the one that it is at, and the next."""

PIPE = 1 << 20
"""Octets that a pipe to or from an analyst holds, where the system allows it: a group of most mail."""

_log = logging.getLogger(__name__)


class Analysts(Generic[T]):
    """work: what they do. cores: how many there are (None: ask). To be closed."""

    def __init__(self, work: Work[T], cores: int | None = None) -> None:
        self._work = work
        self._cores = machine.cores() if cores is None else cores
        self._messages = 0
        self._octets = 0
        self._idle: asyncio.Queue[_Analyst[T]] | None = None
        self._all: list[_Analyst[T]] = []
        self._lost = False
        self._one = asyncio.Lock()

    def expect(self, messages: int) -> None:
        """About so many will have to be analysed soon: where they are worth it, analysts start meanwhile."""
        if messages >= EXPECTED:
            self._begin(self._cores if messages >= FULL else self._cores - 1)

    def _begin(self, number: int) -> None:
        if self._idle is None and self._cores > 1:
            self._idle = self._begun(min(number, MOST))

    async def analyse(self, messages: Sequence[bytes]) -> list[T]:
        """What comes of each of these. Several calls at once are answered in any order."""
        self._messages += len(messages)
        self._octets += sum(map(len, messages))
        if self._messages > MANY or self._octets > MANY_OCTETS:
            self._begin(self._cores - 1)
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
            return await asyncio.to_thread(_here, messages, self._work)

    def _begun(self, number: int) -> asyncio.Queue[_Analyst[T]]:
        """Start the analysts; as many as the system lets be."""
        try:
            for _ in range(number):
                self._all.append(_Analyst(self._work))
        except OSError as cause:
            self._lost = not self._all
            _log.warning("A process that analyses messages cannot be started (%s); going on without.", cause)
        idle: asyncio.Queue[_Analyst[T]] = asyncio.Queue()
        for analyst in self._all * AT_ONCE:  # each has one group before any has two
            idle.put_nowait(analyst)
        return idle

    def close(self) -> None:
        for analyst in self._all:
            analyst.close()


def _here(messages: Sequence[bytes], work: Work[T]) -> list[T]:
    return work.here(messages)


class _Analyst(Generic[T]):
    """One process (`python -m restante.analysts.process`); several threads may ask, each is answered in its turn."""

    def __init__(self, work: Work[T]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "restante.analysts.process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._work = work
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
        octets = pickle.dumps(work)
        try:  # now, so that it loads what it needs before there are messages
            self._to.write(SIZE.pack(len(octets)) + octets)
            self._to.flush()
        except OSError:
            pass  # it has ended already: who asks it is told so

    def ask(self, messages: Sequence[bytes]) -> list[T]:
        """Blocks. Raises OSError, EOFError, ValueError where the process has ended."""
        mine = threading.Event()
        try:
            with self._sending:
                before, self._last = self._last, mine
                self._send(messages)
            before.wait()
            made = self._hear()
        finally:
            mine.set()
        return self._work.read(made, messages)

    def _send(self, messages: Sequence[bytes]) -> None:
        to = self._to
        sizes = array("Q", map(len, messages))
        head = COUNT.pack(len(messages)) + sizes.tobytes()
        if sum(sizes) <= TOGETHER:
            to.write(b"".join((head, *messages)))
        else:
            to.write(head)
            for data in messages:
                to.write(data)
        to.flush()

    def _hear(self) -> bytes:
        head = self._back.read(SIZE.size)
        if len(head) < SIZE.size:
            raise EOFError("no answer")
        octets = self._back.read(SIZE.unpack(head)[0])
        if len(octets) < SIZE.unpack(head)[0]:
            raise EOFError("half an answer")
        return octets

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
