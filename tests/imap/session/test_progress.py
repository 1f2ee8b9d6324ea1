"""INPROGRESS while a command runs, on a clock that the tests move. RFC 9585 4."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from restante.imap.session.capabilities import AFTER
from restante.imap.session.progress import INTERVAL, SLOW
from restante.store.sqlite import search as engine_search
from restante.store.sqlite.account import SqliteStore
from restante.store.sqlite.texts import show

from .support import ACCOUNT, SIMPLE, Client, World


class MovedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock is the machine's and what a test has added to it; while it is stopped, the latter alone."""

    ahead = 0.0
    stopped: float | None = None

    def time(self) -> float:
        return (super().time() if self.stopped is None else self.stopped) + self.ahead


@contextmanager
def stopped_clock() -> Iterator[None]:
    """However long the machine takes for what is done here, no time passes but what `later` adds. No time-out ends
    anything that is waited for here."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovedLoop)
    loop.stopped = loop.time() - loop.ahead
    try:
        yield
    finally:
        loop.stopped = None


async def later(seconds: float) -> None:
    """Let `seconds` pass at once: timers that are due by then fire before this returns."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovedLoop)
    loop.ahead += seconds
    for _ in range(3):
        await asyncio.sleep(0)


def play(scenario: Callable[[World], Awaitable[None]]) -> None:
    """As `support.run`, on a MovedLoop."""

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            world = World(Path(folder))
            await world.engine.create_account(ACCOUNT.id)
            try:
                await scenario(world)
                for client in world.clients:
                    client.connection.feed_eof()
                await asyncio.gather(*(client.task for client in world.clients))
            finally:  # a session that a failed test holds back would wait for ever
                for client in world.clients:
                    client.task.cancel()
                await asyncio.gather(*(client.task for client in world.clients), return_exceptions=True)
                await world.engine.close()

    with asyncio.Runner(loop_factory=MovedLoop) as runner:
        runner.run(main())


class Held:
    """A method of the store that does not go on before it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.entered, self.go = asyncio.Event(), asyncio.Event()
        real = getattr(SqliteStore, name)

        async def held(store: SqliteStore, *args: Any, **kwargs: Any) -> Any:
            self.entered.set()
            await self.go.wait()
            return await real(store, *args, **kwargs)

        monkeypatch.setattr(SqliteStore, name, held)


async def answer(client: Client, command: bytes) -> bytes:
    """What a command (tag T) gives, while the clock runs ahead under it by minutes."""
    client.connection.feed(b"T " + command + b"\r\n")
    async with asyncio.timeout(300):
        while b"\r\nT " not in b"\r\n" + client.connection.written:
            client.connection.changed.clear()
            await client.connection.changed.wait()
    return client.connection.take()


def written(client: Client) -> bytes:
    return client.connection.take()


COMMANDS = {
    "copy": ("copy", b"COPY 1:2 INBOX"),
    "uid-copy": ("copy", b"UID COPY 1:* INBOX"),
    "move": ("move", b"MOVE 1 Other"),
    "store": ("store_flags", b"STORE 1:* +FLAGS (\\Seen)"),
    "expunge": ("expunge", b"EXPUNGE"),
    "close": ("expunge", b"CLOSE"),
    "search": ("search", b"SEARCH TEXT x"),
    "esearch": ("search", b"ESEARCH TEXT x"),
    "sort": ("sort", b"SORT (ARRIVAL) UTF-8 ALL"),
    "thread": ("thread", b"THREAD REFERENCES UTF-8 ALL"),
    "append": ("append_by_name", b"APPEND INBOX {5+}\r\nhello"),
    "replace": ("replace", b"REPLACE 1 INBOX {5+}\r\nhello"),
    "delete": ("delete_mailbox", b"DELETE Other"),
    "rename": ("rename_mailbox", b"RENAME Other Another"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_rfc9585_4_a_command_that_takes_long_is_told_to_be_alive(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without numbers where the RFC's COPY counts messages: here it is one step of the store, done wholly or not."""
    method, command = COMMANDS[name]

    async def scenario(world: World) -> None:
        await world.add(b"a", b"b", flags=("\\Deleted",))
        client = await world.client(b"CREATE Other", b"SELECT INBOX")
        held = Held(monkeypatch, method)
        with stopped_clock():
            client.connection.feed(b"x " + command + b"\r\n")
            await held.entered.wait()
            before = written(client)
            assert b"INPROGRESS" not in before
            await later(INTERVAL - 1)
            assert written(client) == b""
            await later(1.5)
            assert written(client) == b'* OK [INPROGRESS ("x" NIL NIL)] Still working on it.\r\n'
            await later(INTERVAL + 0.5)
            assert written(client).count(b"INPROGRESS") == 1
        held.go.set()
        got = await client.raw(b"", b"x")
        assert b"x OK " in got
        assert b"INPROGRESS" not in got
        await later(5 * INTERVAL)
        assert written(client) == b""

    play(scenario)


def test_rfc9585_4_a_tag_that_would_end_the_code_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        client = await world.client(b"SELECT INBOX")
        held = Held(monkeypatch, "expunge")
        client.connection.feed(b"a]b EXPUNGE\r\n")
        await held.entered.wait()
        written(client)
        await later(INTERVAL + 0.5)
        assert written(client) == b"* OK [INPROGRESS (NIL NIL NIL)] Still working on it.\r\n"
        held.go.set()
        assert b"a]b OK" in await client.raw(b"", b"a]b")

    play(scenario)


def test_rfc9585_4_a_scan_tells_how_far_it_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9585's own example: messages looked at, of all there are."""

    def slow(*args: Any, **kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MovedLoop)
        loop.ahead += INTERVAL * 0.7
        return show(*args, **kwargs)

    async def scenario(world: World) -> None:
        await world.add(*[b"body %d" % i for i in range(20)])
        client = await world.client(b"SELECT INBOX", b"STORE 3 +FLAGS (\\Deleted)", b"EXPUNGE")
        monkeypatch.setattr(engine_search, "_TEXT_BATCH", 2)
        monkeypatch.setattr(engine_search, "show", slow)
        got = await answer(client, b"SEARCH BODY body")
        told = [(int(done), int(goal)) for done, goal in re.findall(rb'INPROGRESS \("T" (\d+) (\d+)\)', got)]
        assert len(told) >= 4
        assert told == sorted(set(told))
        assert all(0 < done < goal == 19 for done, goal in told)
        lines = got.split(b"\r\n")
        assert all(line.startswith(b"* OK [INPROGRESS (") for line in lines[:-3])
        assert lines[-3].startswith(b"* SEARCH 1 2 3 ")

    play(scenario)


SEARCHES = {
    "sort": (b"SORT (ARRIVAL) UTF-8 BODY body", 19),
    "thread": (b"THREAD REFERENCES UTF-8 BODY body", 19),
    "relevancy": (b"SEARCH RETURN (RELEVANCY) FUZZY BODY body", 19),
    "esearch": (b"ESEARCH BODY body", 19),
    "esearch-in": (b"ESEARCH IN (personal) BODY body", 8),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_all_that_searches_tells_how_far_it_has_come(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages looked at; where several mailboxes are searched, how many of these are done."""
    command, goal = SEARCHES[name]

    def slow(*args: Any, **kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MovedLoop)
        loop.ahead += INTERVAL * 0.7
        return show(*args, **kwargs)

    async def scenario(world: World) -> None:
        await world.add(*[b"body %d" % i for i in range(20)])
        client = await world.client(b"SELECT INBOX", b"STORE 3 +FLAGS (\\Deleted)", b"EXPUNGE")
        for number in range(goal - 1 if b"IN" in command else 0):
            await client.ok(b"CREATE M%d" % number)
            await client.ok(b"COPY 1:4 M%d" % number)
        monkeypatch.setattr(engine_search, "_TEXT_BATCH", 2)
        monkeypatch.setattr(engine_search, "show", slow)
        got = await answer(client, command)
        told = [(int(done), int(of)) for done, of in re.findall(rb'INPROGRESS \("T" (\d+) (\d+)\)', got)]
        assert len(set(told)) >= 3
        assert told == sorted(told)
        assert all(0 <= done < goal == of for done, of in told), told
        lines = got.split(b"\r\n")[:-1]
        assert all(
            line.startswith((b"* OK [INPROGRESS (", b"* ESEARCH", b"* SORT", b"* THREAD")) for line in lines[:-1]
        )
        assert lines[-1].startswith(b"T OK")

    play(scenario)


def test_many_messages_tell_how_many_are_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    real = SqliteStore.put

    async def slow(store: SqliteStore, *args: Any) -> Any:
        await later(INTERVAL * 0.6)
        return await real(store, *args)

    async def scenario(world: World) -> None:
        client = await world.client()
        monkeypatch.setattr(SqliteStore, "put", slow)
        message = SIMPLE % (b"x", b"y")
        got = await answer(client, b"APPEND INBOX" + (b" {%d+}\r\n" % len(message) + message) * 6)
        told = [int(done) for done in re.findall(rb'INPROGRESS \("T" (\d+) 6\)', got)]
        assert told == sorted(set(told))
        assert told
        assert b"T OK [APPENDUID" in got

    play(scenario)


def test_quick_commands_say_nothing_and_leave_one_timer() -> None:
    async def scenario(world: World) -> None:
        await world.add(b"a", b"b")
        client = await world.client(b"SELECT INBOX")
        for _ in range(50):
            assert b"INPROGRESS" not in await client.ok(b"SEARCH ALL")
        await later(3 * INTERVAL)
        assert written(client) == b""
        assert client.session.progress._timer is None

    play(scenario)


def test_the_capability_is_told() -> None:
    assert b"INPROGRESS" in AFTER
    assert SLOW


def test_nothing_is_said_within_a_literal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What NOTIFY has asked for of new messages goes out with the command that is being answered."""

    async def scenario(world: World) -> None:
        notify = b"NOTIFY SET (selected-delayed (MessageNew (uid body.peek[text]) MessageExpunge))"
        client = await world.client(notify, b"SELECT INBOX")
        client.connection.feed(b"x UID SEA")
        await world.add(b"y" * (3 << 20))
        held = Held(monkeypatch, "read_content")
        client.connection.feed(b"RCH ALL\r\n")
        await held.entered.wait()
        await later(INTERVAL + 0.5)
        held.go.set()
        got = await client.raw(b"", b"x")
        assert b"* 1 FETCH (UID 1 BODY[TEXT] {" in got
        assert b"INPROGRESS" not in got

    play(scenario)
