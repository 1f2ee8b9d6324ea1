"""Processes beside this one that are asked through pipes: what is pure Python costs time of other cores.

Threads share one interpreter, so only processes help. One that dies (killed for memory, say) is not replaced: what it
was asked is done here, and all else too. See `asked` for their side.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, TypeVar

from .asked import write_sized

T = TypeVar("T")

PIPE = 1 << 20
"""Octets that a pipe to or from a process holds, where the system allows it: a group of most mail."""

_log = logging.getLogger(__name__)


class Process:
    """`python -m MODULE`, told once what it is for. Several threads may ask, each is answered in its turn."""

    def __init__(self, module: str, told: bytes) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
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
        with suppress(OSError):  # where it has ended already, who asks it is told so
            write_sized(self._to, told)  # now, so that it loads what it needs before there are messages
            self._to.flush()

    def ask(self, send: Callable[[IO[bytes]], None], hear: Callable[[IO[bytes]], T]) -> T:
        """`send` the question, `hear` its answer. Blocks. Raises OSError, EOFError, ValueError where the process has
        ended."""
        mine = threading.Event()
        try:
            with self._sending:
                before, self._last = self._last, mine
                send(self._to)
                self._to.flush()
            before.wait()
            return hear(self._back)
        finally:
            mine.set()

    def close(self) -> None:
        """End the process at once: what it does is kept nowhere. Who asks it then is told so."""
        self._process.kill()
        with self._sending:
            self._last.wait()
            for pipe in (self._to, self._back):
                with suppress(OSError):  # what was still in its buffer has no reader any more
                    pipe.close()
            self._process.wait()


class Processes:
    """Some of one kind. module: theirs. what: they do, for the log. To be closed."""

    def __init__(self, module: str, what: str) -> None:
        self._module = module
        self._what = what
        self._all: list[Process] = []
        self._idle: asyncio.Queue[Process] = asyncio.Queue()
        self._lost = False
        self._one = asyncio.Lock()

    def __len__(self) -> int:
        """How many have been started."""
        return len(self._all)

    def start(self, number: int, told: bytes, at_once: int = 1) -> None:
        """Start so many, or as many as the system lets be. told: what they are for. at_once: questions that one has,
        the one that it is at included."""
        try:
            for _ in range(number):
                self._all.append(Process(self._module, told))
        except OSError as cause:  # no memory, or no more processes for this user
            _log.warning("A process that %s cannot be started (%s); going on without.", self._what, cause)
        for process in self._all * at_once:  # each has one question before any has two
            self._idle.put_nowait(process)

    async def ask(self, there: Callable[[Process], T], here: Callable[[], T]) -> T:
        """What comes of asking one of them by `there`, or of `here` where there is none. Both are called in a thread.
        Several calls at once are answered in any order."""
        if self._all and not self._lost:
            process = await self._idle.get()
            try:
                return await asyncio.to_thread(there, process)
            except (OSError, EOFError, ValueError) as cause:
                if not self._lost:
                    self._lost = True  # its fate may be another's: go on with what is certain
                    _log.warning("A process that %s has ended (%s); going on without.", self._what, cause)
            finally:
                self._idle.put_nowait(process)
        async with self._one:  # two at once would only share the interpreter
            return await asyncio.to_thread(here)

    def close(self) -> None:
        """See `Process.close`."""
        for process in self._all:
            process.close()


def _widen(pipe: int) -> None:
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):  # this user has no room for wider ones: more turns are taken
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)
