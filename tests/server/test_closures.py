"""Accounts that are closed: whose sessions are told, and that none slips through."""

from __future__ import annotations

import asyncio
import io
import poplib
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

from restante.clock import ManualClock
from restante.server import closures
from restante.server.channel import Channel
from restante.server.closures import REMEMBER, ClosureWatch
from restante.server.logs import make_logger
from restante.store.directory import Account, AccountSettings, Domain
from restante.store.sqlite import directory as directory_module
from restante.store.sqlite.engine import SqliteEngine
from restante.testing.server import RestanteServer

from .support import Client, eventually


class Line:
    """What the watch sees of a channel."""

    def __init__(self, account_id: str, task: asyncio.Task[None] | None = None) -> None:
        self.account_id = account_id
        self.task = task
        self.told = 0

        self.account_closed = False

    def end_account(self) -> None:
        self.told += 1
        self.account_closed = True


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.engine = SqliteEngine(folder, self.clock, lambda n: bytes(n))
        self.lines: list[Line] = []
        log = make_logger("info", "plain", self.clock, io.StringIO())
        self.watch = ClosureWatch(self.engine, lambda: cast(list[Channel], self.lines), self.clock, log)

    async def look(self) -> list[int]:
        await self.watch.look(self.engine)
        return [line.told for line in self.lines]


def run(folder: Path, scene: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World(folder)
        await world.engine.directory.add_domain(Domain("example.org"))
        for name in ("ann", "bob"):
            await world.engine.directory.add_account(
                Account(name, f"{name}@example.org", "example.org", True, None, AccountSettings(), False, 1, 1)
            )
        await world.look()
        await scene(world)
        await world.engine.close()

    asyncio.run(main())


def test_each_session_of_the_account_is_told_once(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        world.lines += [Line("ann"), Line("bob"), Line("ann"), Line("")]
        assert await world.look() == [0, 0, 0, 0]
        await world.engine.directory.update_account("ann", enabled=False)
        assert await world.look() == [1, 0, 1, 0]
        assert await world.look() == [1, 0, 1, 0]
        await world.engine.directory.remove_account("bob")
        assert await world.look() == [1, 1, 1, 0]

    run(tmp_path, scene)


def test_a_login_that_was_under_way_is_found_when_it_comes_up(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.engine.directory.update_account("ann", enabled=False)
        assert await world.look() == []
        world.clock.advance(REMEMBER - 1)
        world.lines.append(Line("ann"))
        assert await world.look() == [1]

    run(tmp_path, scene)


def test_an_account_that_is_open_again_keeps_its_sessions(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.engine.directory.update_account("ann", enabled=False)
        await world.engine.directory.update_account("ann", enabled=True)
        world.lines.append(Line("ann"))
        assert await world.look() == [0]

    run(tmp_path, scene)


def test_more_closures_than_are_kept_put_everybody_to_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_module, "CLOSURES_KEPT", 1)

    async def scene(world: World) -> None:
        world.lines += [Line("ann"), Line("bob")]
        await world.engine.directory.update_account("ann", enabled=False)
        for enabled in (False, True, False, True):
            await world.engine.directory.update_account("bob", enabled=enabled)
        assert await world.look() == [1, 0]

    run(tmp_path, scene)


def test_a_session_that_goes_on_all_the_same_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closures, "GRACE", 0.0)

    async def scene(world: World) -> None:
        busy = asyncio.get_running_loop().create_task(asyncio.sleep(3600))
        world.lines.append(Line("ann", busy))
        await world.engine.directory.remove_account("ann")
        assert await world.look() == [1]
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(10):
                await busy

    run(tmp_path, scene)


def test_a_client_that_takes_nothing_does_not_outlive_its_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of an answer that nobody reads there is no place for a last word: the connection ends."""
    monkeypatch.setattr(closures, "GRACE", 0.1)
    monkeypatch.setattr(closures, "PERIOD", 0.05)
    with RestanteServer(tmp_path / "data") as server:
        server.add_account("ann@example.org", "secret")
        server.put("ann@example.org", b"Subject: x\r\n\r\n" + b"y" * 70 * 1000 * 1000)
        client = Client(socket.create_connection((server.host, server.imap), 20))
        assert client.line()
        client.ask(b"a LOGIN ann@example.org secret")
        client.send(b"b SELECT INBOX\r\nc FETCH 1 BODY[]\r\n")
        while b"BODY[]" not in client.line():
            pass
        worker = server._server.worker
        assert len(worker._channels) == 1
        server.run(lambda: server.admin.disable("ann@example.org"))
        eventually(lambda: not worker._tasks, "the session ends")
        client.close()


def test_pop3_notes_what_was_retrieved_before_the_account_was_disabled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closures, "PERIOD", 0.05)
    with RestanteServer(tmp_path / "data") as server:
        server.add_account("ann@example.org", "secret")
        server.put("ann@example.org", b"Subject: x\r\n\r\ny\r\n")
        client = poplib.POP3(server.host, server.pop3, timeout=20)
        client.user("ann@example.org")
        client.pass_("secret")
        client.retr(1)
        client.dele(1)
        server.run(lambda: server.admin.disable("ann@example.org"))
        assert client.file.readline() == b"-ERR [AUTH] This account has been disabled or removed.\r\n"
        client.close()
        eventually(lambda: server.mail("ann@example.org")[0].flags == {"\\Seen"}, "noted, and not removed")
