"""Keeping a copy in step for as long as the process lives: run, wait until something changed, run again.

    CONNECT --opened--> RUN --done--> WAIT --something changed, or the interval--> RUN
       ^                 |             |
       +----- lost, refused for now: BACKOFF (longer each time, never past a bound) ----+

What ends a wait: either side's own `wait`, a word that something was put into the outbox, the interval, and the machine
having slept. Sleep is seen by two clocks that part: the wall clock goes on while the monotonic one (on Linux) and with
it every timer stands still; a connection that was open before is then not trusted, and made anew at once. Changes are
let gather for a moment, since programs seldom make one alone.

Ends between two actions: `Stop.set` lets what is under way end; a second one cancels it, which the journal bears.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from ..clock import Clock, Random
from ..errors import Refusal

GATHER = 0.2
"""Seconds that changes may still come before a run begins: a run within a second of the first."""

TICK = 15.0
"""Seconds between two looks whether the machine has slept."""

SLEPT = 20.0
"""Seconds by which the two clocks may part in a tick without that meaning sleep: NTP and operators move clocks too, and
a connection made anew for nothing is soon made."""

FIRST_DELAY = 1.0
LONGEST_DELAY = 300.0


class Cause(Enum):
    """Why a run is made."""

    BEGIN = "begin"
    REMOTE = "the server"
    LOCAL = "this side"
    OUTBOX = "the outbox"
    INTERVAL = "the interval"


class Watched(Protocol):
    """A copy, as this sees it. Refusals that are `temporary` are waited for; others end the watching of this copy."""

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
"""tell(copy, what is wrong, seconds until the next try): None once all is well again; 0 seconds: there is none."""


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


@dataclass(slots=True)
class Backoff:
    """Delays after failures in a row: doubled each time up to a bound, with jitter of half, so that not all clients of a
    server that comes back come at once."""

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


class Slept(Exception):
    """The machine slept: what was connected is not trusted any more."""


async def watch(copy: Watched, stop: Stop, clock: Clock, random: Random, interval: float, tell: Tell) -> None:
    """Keep a copy in step until `stop`. Returns then, or once a refusal says that trying again does not help.

    interval: seconds after which a run is made whatever was announced.
    """
    backoff = Backoff(random)
    while not stop.wanted:
        try:
            try:
                await _connected(copy, stop, clock, interval, backoff, tell)
            finally:
                await copy.close()
        except Slept:
            backoff.reset()
        except Refusal as refusal:
            if not refusal.temporary:
                tell(copy.name, refusal, 0.0)
                return
            delay = backoff.next()
            tell(copy.name, refusal, delay)
            await _pause(delay, stop, clock)


async def _connected(copy: Watched, stop: Stop, clock: Clock, interval: float, backoff: Backoff, tell: Tell) -> None:
    """From opening to a loss or the end."""
    await copy.open()
    cause = Cause.BEGIN
    while not stop.wanted:
        await copy.run(cause)
        if backoff.failures:
            backoff.reset()
            tell(copy.name, None, 0.0)
        if not stop.wanted:
            cause = await _change(copy, stop, clock, interval)


async def _change(copy: Watched, stop: Stop, clock: Clock, interval: float) -> Cause:
    """Wait for a reason to run, and for what comes with it. On `stop` any. Raises what a side raises, Slept."""
    waits: dict[asyncio.Task[None], Cause] = {
        _task(copy.remote_changed()): Cause.REMOTE,
        _task(copy.local_changed()): Cause.LOCAL,
        _task(copy.outbox_changed()): Cause.OUTBOX,
        _task(asyncio.sleep(interval)): Cause.INTERVAL,
        _task(stop.wait()): Cause.INTERVAL,
        _task(sleep_of_machine(clock)): Cause.INTERVAL,
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


async def _pause(delay: float, stop: Stop, clock: Clock) -> None:
    """Wait out a delay; less where the machine slept (the network may be another) or the end is wished."""
    waits = [_task(asyncio.sleep(delay)), _task(stop.wait()), _task(sleep_of_machine(clock))]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(waits)


async def sleep_of_machine(clock: Clock) -> None:
    """Raises Slept once the machine has slept."""
    apart = clock.now() - clock.monotonic()
    while True:
        await asyncio.sleep(TICK)
        now = clock.now() - clock.monotonic()
        if abs(now - apart) > SLEPT:
            raise Slept
        apart = now  # slow drift is none


def _task(work: Coroutine[object, object, None]) -> asyncio.Task[None]:
    return asyncio.ensure_future(work)


async def _end(tasks: dict[asyncio.Task[None], Cause] | list[asyncio.Task[None]]) -> None:
    """Cancel what still waits, and see its end: no task outlives the wait it belongs to."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def watch_all(copies: list[tuple[Watched, float]], stop: Stop, clock: Clock, random: Random, tell: Tell) -> None:
    """Watch several at once, each for itself, with its interval."""
    async with asyncio.TaskGroup() as group:
        for copy, interval in copies:
            group.create_task(watch(copy, stop, clock, random, interval, tell))
