"""The process beside the workers that does what nobody waits for: what search keeps of new mail, housekeeping,
and the nightly backup.

    worker: mail filed -> Notes.note(account) --datagram--> background: Engine.tend_search(account)

Reading, decoding and indexing a message costs as much processor time as filing it. In a worker it would hold up every
session there (one interpreter runs one thread at a time), however low its priority; a process of its own at a low
priority takes what the machine has left. A datagram names an account and may be lost: an account is named again with
its next message, and the housekeeping goes through all of them. Stopped or killed, it leaves nothing half done.

Must not know: connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import OrderedDict

from ..clock import Clock
from ..store.interface import Engine
from .housekeeping import Housekeeper
from .nightly import Nightly

NICENESS = 10
"""About a tenth of a processor that others want too. Not less, and no SCHED_IDLE: while it writes an account's texts,
a delivery to that very account waits for it, and where all cores were wanted by many it stood still for 0.4 seconds at
a time, with 19 for 0.9, as SCHED_IDLE for 1.5 (`bench/visit_beside.py`)."""

AGAIN = 0.2
"""Seconds within which an account is not named twice: less than it waits for more (`engine.INDEX_AFTER`)."""

DATAGRAM = 256
"""Octets of the longest account id."""


def channel() -> tuple[socket.socket, socket.socket]:
    """(for the workers, for the background): made before the processes are."""
    send, receive = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    send.setblocking(False)
    receive.setblocking(False)
    return send, receive


class Notes:
    """A worker's end: says which accounts have new mail. For one thread."""

    def __init__(self, send: socket.socket, clock: Clock) -> None:
        self._send = send
        self._clock = clock
        self._said: OrderedDict[str, float] = OrderedDict()

    def note(self, account: str) -> None:
        """The account has mail that search keeps nothing of yet."""
        now = self._clock.monotonic()
        while self._said and now - next(iter(self._said.values())) >= AGAIN:
            self._said.popitem(last=False)
        if account in self._said:
            return
        self._said[account] = now
        with contextlib.suppress(OSError):  # it is behind, or gone: see the module
            self._send.send(account.encode("ascii"))


class Background:
    """The process's work, from `start` to `stop`."""

    def __init__(self, engine: Engine, receive: socket.socket, housekeeper: Housekeeper, nightly: Nightly) -> None:
        self._engine = engine
        self._receive = receive
        self._housekeeper = housekeeper
        self._nightly = nightly
        self._loop = asyncio.get_running_loop()

    @property
    def resting(self) -> bool:
        """Nothing is under way. The nightly backup is due whenever it is: a successor waits for it as well."""
        return not self._housekeeper.working and not self._nightly.working and self._engine.resting

    def start(self, housekeeping_in: float = 0.0) -> None:
        """Lower this process's priority, listen, keep house, and back up when it is due. housekeeping_in: seconds
        until the first round."""
        os.nice(NICENESS)
        self._loop.add_reader(self._receive, self._heard)
        self._housekeeper.start(housekeeping_in)
        self._nightly.start()

    def _heard(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._engine.tend_search(self._receive.recv(DATAGRAM).decode("ascii"))

    async def retire(self) -> None:
        """Hear no more, and finish what has been named: a successor does the rest, and waits for the next night."""
        self._loop.remove_reader(self._receive)
        await self._nightly.stop()
        await self._housekeeper.stop()
        while not self._engine.resting:  # noqa: ASYNC110 - many things end there, most of them on timers; none is urgent
            await asyncio.sleep(AGAIN)

    async def stop(self) -> None:
        """Let go of the store, after the step that is under way."""
        self._loop.remove_reader(self._receive)
        await self._nightly.stop()
        await self._housekeeper.stop()
        await self._engine.close()
