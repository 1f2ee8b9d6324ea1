"""Analysis of many messages: in a thread of this process while they are few, in processes beside it when they are many.

An analysis costs some 250 microseconds of pure Python, most of what a message costs a first copy; threads share one
interpreter, so only processes help. One takes 100 ms to start, hence the wait until a run has proved to be large.
An analyst that dies (killed for memory, say) is not replaced: its messages, and all others, are analysed here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...mime.model import Analysis, Limits

MANY = 1_000
MANY_OCTETS = 16 << 20
"""Messages or octets of one run after which analysts are started."""

MOST = 3
"""Analysts of one run: appending what they make keeps one core busy."""

COUNT = struct.Struct("<I")
SIZE = struct.Struct("<Q")

_log = logging.getLogger(__name__)


class Analysts:
    """limits: bounds of analysis. cores: how many there are (None: ask). To be closed."""

    def __init__(self, limits: Limits, cores: int | None = None) -> None:
        self._limits = limits
        self._most = min((_cores() if cores is None else cores) - 1, MOST)
        self._messages = 0
        self._octets = 0
        self._idle: asyncio.Queue[_Analyst] | None = None
        self._all: list[_Analyst] = []
        self._lost = False
        self._one = asyncio.Lock()

    async def analyse(self, messages: Sequence[bytes]) -> list[Analysis]:
        """What is to be stored beside each of these."""
        self._messages += len(messages)
        self._octets += sum(map(len, messages))
        if self._idle is None and self._most > 0 and (self._messages > MANY or self._octets > MANY_OCTETS):
            self._idle = asyncio.Queue()
            self._all = [_Analyst(self._limits) for _ in range(self._most)]
            for analyst in self._all:
                self._idle.put_nowait(analyst)
        if self._idle is not None and not self._lost:
            analyst = await self._idle.get()
            try:
                return await asyncio.to_thread(analyst.ask, messages)
            except (OSError, EOFError, ValueError) as cause:
                self._lost = True  # its fate may be another's: go on with what is certain
                _log.warning("A process that analyses messages has ended (%s); going on without.", cause)
            finally:
                self._idle.put_nowait(analyst)
        async with self._one:  # two at once would only share the interpreter
            return await asyncio.to_thread(_here, messages, self._limits)

    def close(self) -> None:
        for analyst in self._all:
            analyst.close()


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _here(messages: Sequence[bytes], limits: Limits) -> list[Analysis]:
    from ...mime.analyse import analyse

    return [analyse(data, limits) for data in messages]


class _Analyst:
    """One process (`python -m restante.sync.local.analyst`); asked by one thread at a time."""

    def __init__(self, limits: Limits) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "restante.sync.local.analyst"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._limits: Limits | None = limits
        self._lock = threading.Lock()

    def ask(self, messages: Sequence[bytes]) -> list[Analysis]:
        """Blocks. Raises OSError, EOFError, ValueError where the process has ended."""
        with self._lock:
            to, back = self._process.stdin, self._process.stdout
            assert to is not None
            assert back is not None
            if self._limits is not None:
                octets, self._limits = pickle.dumps(self._limits), None
                to.write(SIZE.pack(len(octets)) + octets)
            to.write(COUNT.pack(len(messages)))
            for data in messages:
                to.write(SIZE.pack(len(data)))
                to.write(data)
            to.flush()
            head = back.read(SIZE.size)
            if len(head) < SIZE.size:
                raise EOFError("no answer")
            octets = back.read(SIZE.unpack(head)[0])
            if len(octets) < SIZE.unpack(head)[0]:
                raise EOFError("half an answer")
            found: list[Analysis] = pickle.loads(octets)  # from a process of our own that we have started
            return found

    def close(self) -> None:
        """End the process at once: what it does is kept nowhere. One that is being asked fails."""
        self._process.kill()
        with self._lock:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        pass  # what was still in its buffer has no reader any more
            self._process.wait()
