"""Watching on a loop whose timers fire at once and in order: what makes a run, what is waited for, how it ends."""

from __future__ import annotations

import asyncio
import errno
import heapq
import os
import socket
import struct
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from restante.errors import Refusal
from restante.sync.network import messages, network_changed
from restante.sync.side import SideUnavailable
from restante.sync.watch import (
    FIRST_DELAY,
    GATHER,
    LONGEST_DELAY,
    REFUSED_DELAY,
    TICK,
    Backoff,
    Cause,
    Stop,
    watch,
    watch_all,
)


class JumpingLoop(asyncio.SelectorEventLoop):
    """Nothing here waits: where no task can go on, time jumps to the next timer. It is the monotonic clock, too."""

    def __init__(self) -> None:
        super().__init__()
        self.jumped = 0.0

    def time(self) -> float:
        return 1000.0 + self.jumped

    def _run_once(self) -> None:
        while self._scheduled and self._scheduled[0]._cancelled:  # type: ignore[attr-defined]  # asyncio's own
            heapq.heappop(self._scheduled)._scheduled = False  # type: ignore[attr-defined]  # asyncio's own
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]  # asyncio's own
            self.jumped = max(self.jumped, self._scheduled[0]._when - 1000.0)  # type: ignore[attr-defined]  # asyncio's own
        super()._run_once()  # type: ignore[misc]  # asyncio's own


@dataclass
class LoopClock:
    """Both clocks are the loop's, but for what the machine has slept."""

    slept: float = 0.0

    def now(self) -> float:
        return 1.8e9 + self.monotonic() + self.slept

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Lost(SideUnavailable):
    pass


class Wrong(Refusal):
    code = "LOGIN-REFUSED"


@dataclass
class FakeCopy:
    """runs: (seconds since the beginning, cause). fail: what the next opens or runs raise, in order."""

    name: str = "work"
    runs: list[tuple[float, Cause]] = field(default_factory=list)
    opened: list[float] = field(default_factory=list)
    closed: int = 0
    fail_open: list[Refusal] = field(default_factory=list)
    fail_run: list[Refusal] = field(default_factory=list)
    on_run: Callable[[int], None] = lambda number: None
    events: dict[str, asyncio.Event] = field(default_factory=dict)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    open_now: bool = False
    long: float = 0.0

    def event(self, name: str) -> asyncio.Event:
        return self.events.setdefault(name, asyncio.Event())

    async def open(self) -> None:
        assert not self.open_now, "opened twice"
        self.opened.append(now())
        if self.fail_open:
            raise self.fail_open.pop(0)
        self.open_now = True
        self.lost.clear()

    async def run(self, cause: Cause) -> None:
        assert self.open_now
        self.runs.append((round(now(), 3), cause))
        self.on_run(len(self.runs))
        for event in self.events.values():
            event.clear()
        if self.long:
            await asyncio.sleep(self.long)
        if self.fail_run:
            raise self.fail_run.pop(0)

    async def remote_changed(self) -> None:
        waits = [asyncio.ensure_future(self.event("remote").wait()), asyncio.ensure_future(self.lost.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        if self.lost.is_set():
            raise Lost("gone")

    async def local_changed(self) -> None:
        await self.event("local").wait()

    async def outbox_changed(self) -> None:
        await self.event("outbox").wait()

    async def close(self) -> None:
        self.closed += 1
        self.open_now = False


Told = list[tuple[float, str | None, float]]


class World:
    def __init__(self) -> None:
        self.copy = FakeCopy()
        self.stop = Stop()
        self.clock = LoopClock()
        self.told: Told = []
        self.network = asyncio.Event()

    async def other_network(self) -> None:
        await self.network.wait()
        self.network.clear()

    def tell(self, name: str, refusal: Refusal | None, delay: float) -> None:
        self.told.append((round(now(), 3), None if refusal is None else refusal.text, delay))

    async def play(self, script: Callable[[], Coroutine[Any, Any, None]], interval: float = 300.0) -> None:
        """Watch while a script goes on; at its end the stop."""
        task = asyncio.ensure_future(
            watch(self.copy, self.stop, self.clock, lambda n: b"\xff" * n, interval, self.tell, self.other_network)
        )
        await script()
        self.stop.set()
        await task


async def until(condition: Callable[[], bool]) -> None:
    """Let virtual time pass, a second a look."""
    while not condition():  # noqa: ASYNC110 (the loop's own time, which nobody waits for)
        await asyncio.sleep(1)


def now() -> float:
    return asyncio.get_running_loop().time() - 1000.0


def on_the_loop(scenario: Callable[[World], Coroutine[Any, Any, None]]) -> World:
    async def main() -> World:
        world = World()
        await scenario(world)
        assert len(asyncio.all_tasks()) == 1, "a task outlived the watch"
        return world

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main())


@pytest.mark.parametrize(
    ("name", "cause"), [("remote", Cause.REMOTE), ("local", Cause.LOCAL), ("outbox", Cause.OUTBOX)]
)
def test_a_change_makes_a_run_within_a_second(name: str, cause: Cause) -> None:
    async def scenario(world: World) -> None:
        async def script() -> None:
            await asyncio.sleep(10)
            world.copy.event(name).set()
            await asyncio.sleep(10)

        await world.play(script)

    world = on_the_loop(scenario)
    assert world.copy.runs == [(0.0, Cause.BEGIN), (10 + GATHER, cause)]
    assert len(world.copy.opened) == 1
    assert world.copy.closed == 1


def test_changes_that_come_together_make_one_run() -> None:
    async def scenario(world: World) -> None:
        async def script() -> None:
            await asyncio.sleep(10)
            world.copy.event("local").set()
            await asyncio.sleep(GATHER / 2)
            world.copy.event("remote").set()
            await asyncio.sleep(5)

        await world.play(script)

    assert len(on_the_loop(scenario).copy.runs) == 2


def test_what_changes_during_a_run_makes_another() -> None:
    async def scenario(world: World) -> None:
        world.copy.long = 5.0

        async def script() -> None:
            await asyncio.sleep(2)
            world.copy.event("remote").set()
            await asyncio.sleep(20)

        await world.play(script)

    assert on_the_loop(scenario).copy.runs == [(0.0, Cause.BEGIN), (5 + GATHER, Cause.REMOTE)]


def test_a_full_look_is_made_each_interval() -> None:
    async def scenario(world: World) -> None:
        async def script() -> None:
            await asyncio.sleep(200)

        await world.play(script, interval=60)

    runs = on_the_loop(scenario).copy.runs
    assert [cause for _, cause in runs] == [Cause.BEGIN, *[Cause.INTERVAL] * 3]
    assert [at for at, _ in runs] == [0, 60, 120, 180]


def test_a_lost_connection_is_made_anew_with_growing_bounded_delays() -> None:
    async def scenario(world: World) -> None:
        world.copy.fail_open = [Lost(f"try {number}") for number in range(14)]

        async def script() -> None:
            await until(lambda: bool(world.copy.runs))

        await world.play(script)

    world = on_the_loop(scenario)
    delays = [delay for _, text, delay in world.told if text is not None]
    assert len(delays) == 14
    assert delays[0] <= FIRST_DELAY
    assert all(later >= earlier for earlier, later in pairwise(delays))
    assert max(delays) <= LONGEST_DELAY
    assert delays[-1] > LONGEST_DELAY / 2
    assert world.told[-1][1] is None, "all is well again"
    # Each wait is what was told.
    gaps = [b - a for a, b in pairwise(world.copy.opened)]
    assert gaps == pytest.approx(delays)
    assert world.copy.closed == 15


def test_a_loss_while_waiting_is_noticed() -> None:
    async def scenario(world: World) -> None:
        async def script() -> None:
            await asyncio.sleep(10)
            world.copy.lost.set()
            await asyncio.sleep(10)

        await world.play(script)

    world = on_the_loop(scenario)
    assert [cause for _, cause in world.copy.runs] == [Cause.BEGIN, Cause.BEGIN]
    assert 10 < world.copy.opened[1] <= 11


def test_delays_begin_anew_after_success() -> None:
    async def scenario(world: World) -> None:
        world.copy.fail_run = [Lost("a"), Lost("b"), Lost("c")]

        async def script() -> None:
            await until(lambda: len(world.copy.runs) >= 4)
            world.copy.lost.set()
            await asyncio.sleep(2)

        await world.play(script)

    delays = [delay for _, text, delay in on_the_loop(scenario).told if text is not None]
    assert delays[3] == delays[0] < delays[1] < delays[2]


def test_a_refused_login_is_tried_again_rarely() -> None:
    async def scenario(world: World) -> None:
        world.copy.fail_open = [Wrong("wrong password"), Wrong("wrong password")]

        async def script() -> None:
            await until(lambda: bool(world.copy.runs))

        await world.play(script)

    world = on_the_loop(scenario)
    assert world.copy.opened == [0.0, REFUSED_DELAY, 2 * REFUSED_DELAY]
    assert world.told == [(0.0, "wrong password", REFUSED_DELAY), (REFUSED_DELAY, "wrong password", REFUSED_DELAY)]


def test_a_fault_of_one_copy_is_told_and_ends_nothing() -> None:
    async def scenario(world: World) -> None:
        def broken(number: int) -> None:
            if number == 1:
                raise ZeroDivisionError("a fault")

        world.copy.on_run = broken

        async def script() -> None:
            await until(lambda: len(world.copy.runs) == 2)

        await world.play(script)

    assert on_the_loop(scenario).told == [(0.0, "ZeroDivisionError: a fault", REFUSED_DELAY)]


def test_another_network_connects_anew_but_not_in_rows() -> None:
    async def scenario(world: World) -> None:
        async def script() -> None:
            await asyncio.sleep(100)
            for _ in range(5):  # an interface comes up: several addresses
                world.network.set()
                await asyncio.sleep(1)
            await asyncio.sleep(100)

        await world.play(script, interval=3600)

    world = on_the_loop(scenario)
    assert world.copy.opened == [0.0, 100.0]
    assert world.told == []


def test_another_network_ends_a_backoff() -> None:
    async def scenario(world: World) -> None:
        world.copy.fail_open = [Lost("no network") for _ in range(10)]

        async def script() -> None:
            await until(lambda: not world.copy.fail_open)
            before = now()
            world.network.set()
            await until(lambda: bool(world.copy.runs))
            assert now() - before <= 1

        await world.play(script)

    on_the_loop(scenario)


def test_what_rtnetlink_tells() -> None:
    def told(kind: int, scope: int) -> bytes:
        return struct.pack("=IHHII", 26, kind, 0, 0, 0) + struct.pack("=BBBBI", 2, 24, 0, scope, 3) + b"xx\0\0"

    assert list(messages(told(20, 0) + told(21, 253))) == [(20, 0), (21, 253)]
    assert list(messages(b"")) == list(messages(b"\0" * 40)) == list(messages(told(20, 0)[:20])) == []


@pytest.mark.skipif(sys.platform != "linux", reason="rtnetlink is Linux's")
def test_this_machines_network_is_listened_to() -> None:
    nothing_is_told()


def nothing_is_told() -> None:
    async def main() -> None:
        waiting = asyncio.ensure_future(network_changed())
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done, waiting
        waiting.cancel()
        await asyncio.wait([waiting])

    asyncio.run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="rtnetlink is Linux's")
def test_where_no_kernel_may_tell_of_the_network_nothing_is_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service with RestrictAddressFamilies= of INET and UNIX: each wait failed at once, so did the pause after it,
    and run came after run."""

    class Restricted(socket.socket):
        def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
            if family == socket.AF_NETLINK:
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            super().__init__(family, type, proto, fileno)

    monkeypatch.setattr(socket, "socket", Restricted)
    nothing_is_told()


def test_a_machine_that_slept_connects_anew_at_once() -> None:
    async def scenario(world: World) -> None:
        async def script() -> None:
            await asyncio.sleep(10)
            world.clock.slept += 3600
            await asyncio.sleep(30)

        await world.play(script, interval=3600)

    world = on_the_loop(scenario)
    assert world.copy.opened == [0.0, TICK]
    assert [cause for _, cause in world.copy.runs] == [Cause.BEGIN, Cause.BEGIN]
    assert world.told == []


def test_sleep_ends_a_backoff() -> None:
    async def scenario(world: World) -> None:
        world.copy.fail_open = [Lost("no network") for _ in range(10)]

        async def script() -> None:
            await until(lambda: not world.copy.fail_open)
            before = now()
            world.clock.slept += 3600
            await until(lambda: bool(world.copy.runs))
            assert now() - before <= TICK + 1

        await world.play(script)

    on_the_loop(scenario)


def test_a_clock_that_drifts_is_no_sleep() -> None:
    async def scenario(world: World) -> None:
        async def script() -> None:
            for _ in range(20):
                await asyncio.sleep(10)
                world.clock.slept += 1

        await world.play(script, interval=3600)

    assert len(on_the_loop(scenario).copy.opened) == 1


def test_stop_lets_the_run_under_way_end() -> None:
    async def scenario(world: World) -> None:
        world.copy.long = 30.0

        async def script() -> None:
            await asyncio.sleep(10)

        await world.play(script)
        assert round(now(), 3) == 30.0

    world = on_the_loop(scenario)
    assert len(world.copy.runs) == 1
    assert world.copy.closed == 1


def test_stop_ends_a_wait_and_a_backoff_at_once() -> None:
    async def waiting(world: World) -> None:
        async def script() -> None:
            await asyncio.sleep(10)

        await world.play(script)
        assert round(now(), 3) == 10.0

    on_the_loop(waiting)

    async def backing_off(world: World) -> None:
        world.copy.fail_open = [Lost("no") for _ in range(50)]

        async def script() -> None:
            await asyncio.sleep(1000)

        await world.play(script)
        assert round(now(), 3) == 1000.0

    on_the_loop(backing_off)


def test_one_copy_that_fails_does_not_end_another() -> None:
    async def scenario(world: World) -> None:
        bad = FakeCopy("bad", fail_open=[Wrong("no"), Wrong("no")])
        task = asyncio.ensure_future(
            watch_all([(bad, 60), (world.copy, 60)], world.stop, world.clock, lambda n: bytes(n), world.tell)
        )
        await asyncio.sleep(130)
        world.stop.set()
        await task
        assert len(world.copy.runs) == 3

    on_the_loop(scenario)


def test_jitter_spreads_by_half() -> None:
    least, most = Backoff(lambda n: b"\x00" * n), Backoff(lambda n: b"\xff" * n)
    for _ in range(5):
        assert least.next() == pytest.approx(most.next() / 2, rel=1e-6)
