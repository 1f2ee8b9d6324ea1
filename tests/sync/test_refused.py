"""A login that was refused is not tried again until its time has come, or something about it is another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from restante.clock import ManualClock, system_random
from restante.sync.assemble import refusals_of
from restante.sync.places import CopyPlaces
from restante.sync.refused import FIRST, LONGEST, LoginWaits, Refusals
from restante.sync.remote import RemoteSide, Settings
from restante.sync.remote.errors import LoginRefused
from restante.sync.secrets import Kind

from .remote_script import Bare, Script, Session

ABOUT = "imap.example.com as anna"


class World:
    """The file of one login, each run with a new object over it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "copy" / "login.json"
        self.clock = ManualClock()
        self.noted = 0

    def run(self, about: str = ABOUT, *, token: bool = False, at_once: bool = False) -> Refusals:
        def noting() -> None:
            self.noted += 1

        return Refusals(self.file, about, self.clock, system_random, token=token, at_once=at_once, noting=noting)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_same_password_waits_longer_each_time_and_at_most_a_day(world: World) -> None:
    delays = [FIRST, 3 * FIRST, 9 * FIRST, 27 * FIRST, 81 * FIRST, 243 * FIRST, LONGEST, LONGEST]
    for delay in delays:
        world.run().before("wrong")  # its time has come
        world.run().refused("wrong", "NO such luck")
        world.clock.advance(delay - 1)
        with pytest.raises(LoginWaits, match=r"imap\.example\.com as anna: this password was refused"):
            world.run().before("wrong")
        world.clock.advance(1)
    world.run().before("wrong")
    assert world.noted == 8


def test_what_is_another_is_tried_at_once(world: World) -> None:
    world.run().refused("wrong", "NO")
    world.run().before("right")
    world.run("imap.example.com as bob").before("wrong")
    world.run(at_once=True).before("wrong")
    world.run().refused("wrong too", "NO")
    with pytest.raises(LoginWaits, match="refused once"):
        world.run().before("wrong too")


def test_of_tokens_time_alone_counts(world: World) -> None:
    world.run(token=True).refused("one", "NO")
    with pytest.raises(LoginWaits, match="this login was refused once"):
        world.run(token=True).before("another")
    world.run(token=True).refused("another", "NO")
    with pytest.raises(LoginWaits, match="2 times"):
        world.run(token=True).before("a third")
    world.clock.advance(3 * FIRST)
    world.run(token=True).before("a fourth")


def test_a_success_ends_it(world: World) -> None:
    world.run().refused("wrong", "NO")
    again = world.run()
    assert again.noted
    again.accepted()
    assert not world.file.exists()
    world.run().before("wrong")
    assert not world.run().noted
    world.run().accepted()


def test_nothing_of_the_password_is_written(world: World) -> None:
    world.run().refused("correct horse battery staple", "NO")
    assert b"horse" not in world.file.read_bytes()
    assert world.file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"about": "imap.example.com as anna", "until": "x"}'])
def test_a_file_that_nobody_understands_is_none(world: World, text: bytes) -> None:
    world.file.parent.mkdir()
    world.file.write_bytes(text)
    world.run().before("any")
    world.run().refused("any", "NO")
    with pytest.raises(LoginWaits):
        world.run().before("any")


def test_a_clock_that_was_set_back_keeps_nobody_out(world: World) -> None:
    world.run().refused("wrong", "NO")
    world.clock.set(world.clock.now() - 10 * 86_400.0)
    world.run().before("wrong")


def test_the_next_run_looks_here_before_it_logs_in(tmp_path: Path) -> None:
    """What the last run found unchanged is asked for by a login of its own: there is none while a login waits."""
    places = CopyPlaces(tmp_path, "work")
    places.folder.mkdir(parents=True)
    record = places.folder / "unchanged.json"
    record.write_text("{}")
    refusals_of(places, ABOUT, Kind.PASSWORD, ManualClock(), system_random).refused("wrong", "NO")
    assert not record.exists()
    assert places.login().exists()


# On the wire ------------------------------------------------------------------------------------------------


class Strict(Bare):
    """Takes one password; may end after the first login, or refuse all but the first connection."""

    right = b"right"
    most = 100

    def do_login(self, session: Session, rest: bytes) -> bytes:
        if self.right not in rest or session.script.sessions.index(session) >= self.most:
            return b"NO wrong name or password"
        return b""


def logins(script: Script) -> int:
    return sum(command.startswith(b"LOGIN") for command in script.log)


def serve(bare: Bare, act: Callable[[Script], object]) -> None:
    async def go() -> None:
        async with asyncio.timeout(60), Script(bare).running() as script:
            await act(script)  # type: ignore[misc]  # a coroutine

    asyncio.run(go())


async def attempt(script: Script, world: World, password: str, at_once: bool = False) -> None:
    side = RemoteSide(
        script.address(),
        lambda *, refused=False: password,
        Settings(connections=3),
        refusals=world.run(at_once=at_once),
    )
    try:
        await side.open()
        await side.places()
    finally:
        await side.close()


def test_a_refused_password_goes_out_once_and_the_server_is_not_even_connected_to(world: World) -> None:
    bare = Strict()

    async def act(script: Script) -> None:
        with pytest.raises(LoginRefused, match="wrong name or password"):
            await attempt(script, world, "wrong")
        assert logins(script) == 1
        for _ in range(3):
            with pytest.raises(LoginWaits, match="wrong name or password") as told:
                await attempt(script, world, "wrong")
            assert told.value.code == "LOGIN-REFUSED"
            assert "--login" in told.value.remedy
        assert (logins(script), len(script.sessions)) == (1, 1)
        with pytest.raises(LoginRefused):
            await attempt(script, world, "wrong", at_once=True)
        assert logins(script) == 2
        await attempt(script, world, "right")
        assert not world.file.exists()

    serve(bare, act)


def test_what_could_not_be_said_is_no_refusal(world: World) -> None:
    class NoWay(Strict):
        offers = b" LOGINDISABLED"

    async def act(script: Script) -> None:
        for _ in range(2):
            with pytest.raises(LoginRefused, match="lets nobody log in without TLS"):
                await attempt(script, world, "right")
        assert not world.file.exists()

    serve(NoWay(), act)


def test_a_server_that_is_busy_has_refused_nothing(world: World) -> None:
    class Busy(Strict):
        def do_login(self, session: Session, rest: bytes) -> bytes:
            return b"NO [UNAVAILABLE] not now"

    async def act(script: Script) -> None:
        with pytest.raises(Exception, match="busy"):
            await attempt(script, world, "right")
        assert not world.file.exists()

    serve(Busy(), act)


def test_a_further_connection_that_is_refused_says_nothing_of_the_password(world: World) -> None:
    bare = Strict()
    bare.most = 1

    async def act(script: Script) -> None:
        side = RemoteSide(
            script.address(), lambda *, refused=False: "right", Settings(connections=3), refusals=world.run()
        )
        await side.open()
        try:
            for number in range(80):
                bare.put(b"INBOX", b"Subject: %d\r\n\r\nx\r\n" % number)
            await side.places()
            assert len([one async for one in side.fetch("INBOX", range(1, 81))]) == 80
        finally:
            await side.close()
        assert logins(script) > 1
        assert not world.file.exists()

    serve(bare, act)
