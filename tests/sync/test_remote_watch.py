"""Waiting: with NOTIFY, with IDLE, with neither; renewals, sleep, lost peers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from restante.clock import ManualClock
from restante.sync.model import FlagChange, Message
from restante.sync.remote import RemoteSide, Settings
from restante.sync.side import SideUnavailable
from restante.testing.server import RestanteServer

from .remote_script import Bare, Script, Session
from .remote_support import PASSWORD, restante, secret

MESSAGE = Message(0, b"Subject: x\r\n\r\n", frozenset(), 1)
WITHOUT = {
    "notify": frozenset[str](),
    "idle": frozenset({"NOTIFY"}),
    "poll": frozenset({"NOTIFY", "IDLE"}),
}


@pytest.mark.parametrize("way", WITHOUT)
def test_what_others_change_is_told(restante_server: RestanteServer, way: str) -> None:
    restante_server.add_account("ann@example.org", PASSWORD)
    address = restante(restante_server, "ann@example.org")

    async def run() -> None:
        side = RemoteSide(address, secret, Settings(without=WITHOUT[way], poll=0.05, watchers=2))
        other = RemoteSide(address, secret)
        async with asyncio.timeout(30):
            await side.open()
            await other.open()
            names = [place.name for place in await side.places()]
            (added,) = await other.add("INBOX", [MESSAGE])
            assert await side.wait(names) == {"INBOX"}  # before anybody waited
            for change in (
                lambda: other.add("Trash", [MESSAGE]),
                lambda: other.set_flags("INBOX", [FlagChange([added.uid], frozenset({"\\Seen"}), frozenset())]),
                lambda: other.remove("INBOX", [added.uid]),
            ):
                await side.places()
                waiting = asyncio.create_task(side.wait(names))
                await asyncio.sleep(0)
                await change()
                assert (await waiting) <= {"INBOX", "Trash"}
            await side.places()
            waiting = asyncio.create_task(side.wait(names))
            await other.create("New", None)
            while "" not in await waiting:  # an earlier change may still be on its way
                waiting = asyncio.create_task(side.wait(names))
            await side.close()
            await other.close()

    asyncio.run(run())


def test_a_look_at_all_mailboxes_takes_the_news_away(restante_server: RestanteServer) -> None:
    restante_server.add_account("ann@example.org", PASSWORD)
    address = restante(restante_server, "ann@example.org")

    async def run() -> None:
        side, other = RemoteSide(address, secret), RemoteSide(address, secret)
        async with asyncio.timeout(30):
            await side.open()
            await other.open()
            await side.places()
            await other.add("INBOX", [MESSAGE])
            assert await side.wait(["INBOX"]) == {"INBOX"}
            await other.add("INBOX", [MESSAGE])
            await side.places()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await side.wait(["INBOX"])
            await side.close()
            await other.close()

    asyncio.run(run())


class Idling(Bare):
    """IDLE by hand."""

    offers = b" IDLE"

    def __init__(self) -> None:
        super().__init__()
        self.idling = asyncio.Event()
        self.begun = 0
        self.tag = b""
        self.done = b""

    def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
        if command == b"IDLE":
            self.tag, self.session = tag, session
            self.begun += 1
            self.idling.set()
            return b"+ idling\r\n"
        if tag == b"DONE":
            return self.done + self.tag + b" OK done\r\n"
        return super().__call__(session, tag, command)


def idle(act: Callable[[RemoteSide, Idling, ManualClock], Awaitable[None]], settings: Settings) -> None:
    async def run() -> None:
        bare, clock = Idling(), ManualClock()
        async with asyncio.timeout(30), Script(bare).running() as script:
            side = RemoteSide(script.address(), secret, settings, clock=clock)
            await side.open()
            await side.places()
            try:
                await act(side, bare, clock)
            finally:
                await side.close()

    asyncio.run(run())


async def until_idling(bare: Idling, waiting: asyncio.Task[set[str]]) -> None:
    await bare.idling.wait()
    bare.idling.clear()
    assert not waiting.done()


async def until_begun_anew(bare: Idling, pass_time: Callable[[], None]) -> None:
    """Time passes until IDLE is begun once more: what wakes a listener makes it look at the clock."""
    begun = bare.begun
    while bare.begun == begun:
        pass_time()
        bare.session.push(b"* OK still here\r\n")
        await asyncio.sleep(0.01)


def test_idle_is_begun_anew_in_time() -> None:
    async def act(side: RemoteSide, bare: Idling, clock: ManualClock) -> None:
        waiting = asyncio.create_task(side.wait(["INBOX"]))
        await until_idling(bare, waiting)
        for _ in range(2):
            await until_begun_anew(bare, lambda: clock.advance(1_800.0))
        bare.session.push(b"* 3 EXISTS\r\n")
        assert await waiting == {"INBOX"}

    idle(act, Settings(connections=1, poll=1_000.0))


def test_the_time_of_idle_is_none_in_which_the_server_owes_an_answer() -> None:
    """What it says before its answer to DONE is not the end of half an hour of talk."""

    async def act(side: RemoteSide, bare: Idling, clock: ManualClock) -> None:
        waiting = asyncio.create_task(side.wait(["INBOX"]))
        await until_idling(bare, waiting)
        bare.done = b"* OK Still here\r\n"
        await asyncio.sleep(0.3)
        await until_begun_anew(bare, lambda: clock.advance(1_800.0))
        bare.session.push(b"* 3 EXISTS\r\n")
        assert await waiting == {"INBOX"}

    idle(act, Settings(connections=1, poll=1_000.0, stalled=0.2))


def test_idle_is_not_begun_anew_before_time() -> None:
    async def act(side: RemoteSide, bare: Idling, clock: ManualClock) -> None:
        waiting = asyncio.create_task(side.wait(["INBOX"]))
        await until_idling(bare, waiting)
        for _ in range(20):
            clock.advance(60.0)
            bare.session.push(b"* OK still here\r\n")
            await asyncio.sleep(0.01)
        bare.session.push(b"* 3 EXISTS\r\n")
        assert await waiting == {"INBOX"}
        assert bare.begun == 1

    idle(act, Settings(connections=1, poll=1_000.0))


def test_a_listener_that_is_lost_is_told() -> None:
    async def act(side: RemoteSide, bare: Idling, clock: ManualClock) -> None:
        waiting = asyncio.create_task(side.wait(["INBOX"]))
        await until_idling(bare, waiting)
        bare.session.push(b"* BYE Autologout\r\n")
        with pytest.raises(SideUnavailable, match="Autologout"):
            await waiting

    idle(act, Settings(connections=1, poll=1_000.0))


def test_a_machine_that_slept_asks_whether_the_server_is_there() -> None:
    async def act(side: RemoteSide, bare: Idling, clock: ManualClock) -> None:
        waiting = asyncio.create_task(side.wait(["INBOX"]))
        await until_idling(bare, waiting)
        await until_begun_anew(bare, lambda: clock.set(clock.now() + 3_600.0))  # the wall clock alone goes on
        bare.session.push(b"* 3 EXISTS\r\n")
        assert await waiting == {"INBOX"}

    idle(act, Settings(connections=1, poll=1_000.0))


def test_without_a_connection_to_spare_all_are_looked_at() -> None:
    class One(Idling):
        def do_login(self, session: Session, rest: bytes) -> bytes:
            return b"" if session is session.script.sessions[0] else b"NO [LIMIT] one is enough"

    async def run() -> None:
        bare = One()
        async with asyncio.timeout(30), Script(bare).running() as script:
            side = RemoteSide(script.address(), secret, Settings(connections=1, poll=0.05))
            await side.open()
            await side.places()
            waiting = asyncio.create_task(side.wait(["INBOX"]))
            await asyncio.sleep(0)
            bare.put(b"INBOX", b"Subject: x\r\n\r\n")
            assert await waiting == {"INBOX"}
            assert bare.begun == 0
            await side.close()

    asyncio.run(run())
