"""Work on many messages: in a thread of this process while they are few, in processes beside it when they are many.

An analysis costs some 100 microseconds of pure Python, much of what filing a message costs. A process (`asking`)
takes 100 ms to start, hence the wait until the work has proved large, or somebody says that it will be. Each is given
its next group while it is at one, so that it never waits for this process. What is to be done is a `Work`: `Analysing`,
or what an engine needs of messages before it files them.
"""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Sequence
from typing import IO, Generic, TypeVar

from .. import machine
from .asked import read_sized
from .asking import Process, Processes
from .work import COUNT, TOGETHER, Work

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


class Analysts(Generic[T]):
    """work: what they do. cores: how many there are (None: ask). To be closed."""

    def __init__(self, work: Work[T], cores: int | None = None) -> None:
        self._work = work
        self._cores = machine.cores() if cores is None else cores
        self._messages = 0
        self._octets = 0
        self._begun = False
        self._processes = Processes("restante.analysts.process", "analyses messages")

    def expect(self, messages: int) -> None:
        """About so many will have to be analysed soon: where they are worth it, analysts start meanwhile."""
        if messages >= EXPECTED:
            self._begin(self._cores if messages >= FULL else self._cores - 1)

    def _begin(self, number: int) -> None:
        if not self._begun and self._cores > 1:
            self._begun = True
            self._processes.start(min(number, MOST), pickle.dumps(self._work), AT_ONCE)

    async def analyse(self, messages: Sequence[bytes]) -> list[T]:
        """What comes of each of these. Several calls at once are answered in any order."""
        self._messages += len(messages)
        self._octets += sum(map(len, messages))
        if self._messages > MANY or self._octets > MANY_OCTETS:
            self._begin(self._cores - 1)
        work = self._work
        return await self._processes.ask(lambda one: _asked(one, work, messages), lambda: _here(messages, work))

    def close(self) -> None:
        self._processes.close()


def _here(messages: Sequence[bytes], work: Work[T]) -> list[T]:
    return work.here(messages)


def _asked(process: Process, work: Work[T], messages: Sequence[bytes]) -> list[T]:
    return work.read(process.ask(lambda to: _send(to, messages), read_sized), messages)


def _send(to: IO[bytes], messages: Sequence[bytes]) -> None:
    sizes = array("Q", map(len, messages))
    head = COUNT.pack(len(messages)) + sizes.tobytes()
    if sum(sizes) <= TOGETHER:
        to.write(b"".join((head, *messages)))
    else:
        to.write(head)
        for data in messages:
            to.write(data)
