"""Keeping a copy in step for as long as the process lives: run, wait until something changed, run again.

    CONNECT --opened--> RUN --done--> WAIT --something changed, or the interval--> RUN
       ^                 |             |
       +----- lost, refused for now: BACKOFF (longer each time, never past a bound) ----+

What ends a wait: either side's own `wait`, a word that something was put into the outbox, the interval, a network that
has become another, and the machine having slept. Sleep is seen by two clocks that part: the wall clock goes on while
the monotonic one (on Linux) and with it every timer stands still. A connection that was open before either of these is
not trusted, and made anew at once. Changes are let gather for a moment, since programs seldom make one alone.

What trying again at once does not mend (a refused login) is tried again rarely: a password is changed, a keyring
opened, while nobody thinks of this process.

Ends between two actions: `Stop.set` lets what is under way end; a second one cancels it, which the journal bears.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from enum import Enum
from typing import Protocol

from ..clock import Clock, Random
from ..errors import Refusal
from ..values import Record
from .network import network_changed

GATHER = 0.2
"""Seconds that changes may still come before a run begins: a run within a second of the first."""

TICK = 15.0
"""Seconds between two looks whether the machine has slept."""

SLEPT = 20.0
"""Seconds by which the two clocks may part in a tick without that meaning sleep: NTP and operators move clocks too, and
a connection made anew for nothing is soon made."""

FIRST_DELAY = 1.0
LONGEST_DELAY = 300.0
REFUSED_DELAY = 900.0
"""After a refusal that is not temporary: rare enough that no server takes it for guessing."""

TRUST = 30.0
"""Seconds after connecting in which a new address of this machine is no reason to connect again: they come in rows."""


class Cause(Enum):
    """Why a run is made."""

    BEGIN = "begin"
    REMOTE = "the server"
    LOCAL = "this side"
    OUTBOX = "the outbox"
    INTERVAL = "the interval"


class Watched(Protocol):
    """A copy, as this sees it."""

    name: str

    async def open(self) -> None: ...

    async def run(self, cause: Cause) -> None:
        """Bring both sides in step, and tell about it."""
        ...

    async def remote_changed(self) -> None: ...

    async def local_changed(self) -> None: ...

    async def outbox_changed(self) -> None: ...

    async def close(self) -> None:
        """Also of what is half open or lost."""
        ...


Tell = Callable[[str, Refusal | None, float], None]
"""tell(copy, what is wrong, seconds until the next try): None once all is well again."""


Network = Callable[[], Coroutine[object, object, None]]


class Stop:
    """The wish to end, from a signal. `wait` may be waited for by many."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    @property
    def wanted(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()


class Backoff(Record):
    """Delays after failures in a row: doubled each time up to a bound, with jitter of half, so that not all clients
    come at once to a server that is back."""

    random: Random
    first: float = FIRST_DELAY
    longest: float = LONGEST_DELAY
    failures: int = 0

    def next(self) -> float:
        """Seconds to wait now."""
        whole = min(self.longest, self.first * float(1 << min(self.failures, 30)))
        self.failures += 1
        share = int.from_bytes(self.random(4), "big") / 2**32
        return whole * (0.5 + share / 2)

    def reset(self) -> None:
        self.failures = 0


class Fault(Refusal):
    """Something that nobody has thought of. Its cause has the place."""

    code = "FAULT"


class Distrusted(Exception):
    """The machine slept, or its network is another: what was connected is not trusted any more."""


async def watch(
    copy: Watched,
    stop: Stop,
    clock: Clock,
    random: Random,
    interval: float,
    tell: Tell,
    network: Network = network_changed,
) -> None:
    """Keep a copy in step until `stop`.

    interval: seconds after which a run is made whatever was announced. network: waits until it has become another.
    """
    backoff = Backoff(random)
    while not stop.wanted:
        try:
            try:
                await _connected(copy, stop, clock, interval, backoff, tell, network)
            finally:
                await copy.close()
        except Distrusted:
            backoff.reset()
        except Refusal as refusal:
            delay = backoff.next() if refusal.temporary else REFUSED_DELAY
            tell(copy.name, refusal, delay)
            await _pause(delay, stop, clock, network)
        except Exception as error:  # noqa: BLE001 (it must not end the other copies; `tell` shows where it is)
            fault = Fault(f"{type(error).__name__}: {error}")
            fault.__cause__ = error
            tell(copy.name, fault, REFUSED_DELAY)
            await _pause(REFUSED_DELAY, stop, clock, network)


async def _connected(
    copy: Watched, stop: Stop, clock: Clock, interval: float, backoff: Backoff, tell: Tell, network: Network
) -> None:
    """From opening to a loss or the end."""
    await copy.open()
    opened = clock.monotonic()
    cause = Cause.BEGIN
    while not stop.wanted:
        await copy.run(cause)
        if backoff.failures:
            backoff.reset()
            tell(copy.name, None, 0.0)
        if not stop.wanted:
            cause = await _change(copy, stop, clock, interval, opened, network)


async def _change(
    copy: Watched,
    stop: Stop,
    clock: Clock,
    interval: float,
    opened: float,
    network: Network,
) -> Cause:
    """Wait for a reason to run, and for what comes with it. On `stop` any. Raises what a side raises, Distrusted."""

    async def other_network() -> None:
        while True:
            await network()
            if clock.monotonic() - opened > TRUST:
                raise Distrusted

    waits: dict[asyncio.Task[None], Cause] = {
        _task(copy.remote_changed()): Cause.REMOTE,
        _task(copy.local_changed()): Cause.LOCAL,
        _task(copy.outbox_changed()): Cause.OUTBOX,
        _task(asyncio.sleep(interval)): Cause.INTERVAL,
        _task(stop.wait()): Cause.INTERVAL,
        _task(sleep_of_machine(clock)): Cause.INTERVAL,
        _task(other_network()): Cause.INTERVAL,
    }
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # a loss is raised here
        cause = min((waits[task] for task in done), key=list(Cause).index)
        if cause is not Cause.INTERVAL:
            await asyncio.sleep(GATHER)
        return cause
    finally:
        await _end(waits)


async def _pause(delay: float, stop: Stop, clock: Clock, network: Network) -> None:
    """Wait out a delay; less where the network is another, the machine slept, or the end is wished."""
    waits = [_task(asyncio.sleep(delay)), _task(stop.wait()), _task(sleep_of_machine(clock)), _task(network())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(waits)


async def sleep_of_machine(clock: Clock) -> None:
    """Raises Distrusted once the machine has slept."""
    apart = clock.now() - clock.monotonic()
    while True:
        await asyncio.sleep(TICK)
        now = clock.now() - clock.monotonic()
        if abs(now - apart) > SLEPT:
            raise Distrusted
        apart = now  # slow drift is none


def _task(work: Coroutine[object, object, None]) -> asyncio.Task[None]:
    return asyncio.ensure_future(work)


async def _end(tasks: dict[asyncio.Task[None], Cause] | list[asyncio.Task[None]]) -> None:
    """Cancel what still waits, and see its end: no task outlives the wait it belongs to."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def watch_all(
    copies: Sequence[tuple[Watched, float]], stop: Stop, clock: Clock, random: Random, tell: Tell
) -> None:
    """Watch several at once, each for itself, with its interval."""
    async with asyncio.TaskGroup() as group:
        for copy, interval in copies:
            group.create_task(watch(copy, stop, clock, random, interval, tell))
