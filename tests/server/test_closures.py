"""Accounts that are closed: whose sessions are told, and that none slips through."""

from __future__ import annotations

import asyncio
import io
import poplib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from restante.clock import ManualClock
from restante.connection import AccountClosed, Connection, OpenerClosed
from restante.server import closures
from restante.server.channel import Channel
from restante.server.closures import REMEMBER, ClosureWatch
from restante.server.logs import make_logger
from restante.server.services import Wire
from restante.server.worker import Assembly
from restante.store.directory import Account, AccountSettings, Credential, Directory, Domain, Login, Opener
from restante.store.sqlite import directory_closures
from restante.store.sqlite.engine import SqliteEngine
from restante.testing.server import RestanteServer

from .support import Client, EchoRoom, eventually, running


class Line:
    """What the watch sees of a channel."""

    def __init__(
        self, account_id: str, task: asyncio.Task[None] | None = None, *, opener: Opener | None = None
    ) -> None:
        self.account_id = account_id
        self.account_checked = 0
        self.opener = opener
        self.task = task
        self.told = 0
        self.account_closed: type[AccountClosed] | None = None

    def end_account(self, why: type[AccountClosed]) -> None:
        self.told += 1
        self.account_closed = why


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

    async def put(self, credential: Credential, account: str = "ann", if_version: int | None = None) -> Line:
        """A line that the credential has opened as soon as it was there."""
        number = await self.engine.directory.put_credential(account, credential, if_version=if_version)
        login = await self.engine.directory.login(f"{account}@example.org")
        assert login is not None
        line = Line(account, opener=next(each.opener for each in login.credentials if each.number == number))
        self.lines.append(line)
        return line


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


def test_a_session_ends_with_the_credential_that_opened_it(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        old = await world.put(Credential(0, "password", "", "h", created=5))
        phone = await world.put(Credential(0, "app", "phone", "h2", created=5))
        tablet = await world.put(Credential(0, "app", "tablet", "h3", created=5))
        assert await world.look() == [0, 0, 0]
        assert phone.opener is not None
        await world.engine.directory.remove_credential("ann", phone.opener.number)
        assert await world.look() == [0, 1, 0]
        new = await world.put(Credential(0, "password", "", "h4", created=5))
        assert await world.look() == [1, 1, 0, 0], "the same second, another secret"
        assert await world.look() == [1, 1, 0, 0]
        assert (old.account_closed, phone.account_closed) == (OpenerClosed, OpenerClosed)
        await world.engine.directory.update_account("ann", enabled=False)
        assert await world.look() == [1, 1, 1, 1]
        assert (tablet.account_closed, new.account_closed) == (AccountClosed, AccountClosed)

    run(tmp_path, scene)


def test_a_secret_that_is_kept_in_another_way_ends_no_session(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.put(Credential(0, "password", "", "imported", created=5))
        before = await world.engine.directory.closures(None)
        login = await world.engine.directory.login("ann@example.org")
        assert login is not None
        kept = replace(login.credentials[0], hash="hashed anew")
        await world.put(kept, if_version=login.account.credential_version)
        assert await world.look() == [0, 0]
        assert await world.engine.directory.closures(None) == before

    run(tmp_path, scene)


def test_a_login_that_was_under_way_does_not_outlive_its_credential(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        line = await world.put(Credential(0, "app", "phone", "h", created=5))
        world.lines.clear()
        assert line.opener is not None
        await world.engine.directory.remove_credential("ann", line.opener.number)
        assert await world.look() == []
        world.clock.advance(REMEMBER - 1)
        world.lines.append(line)
        assert await world.look() == [1]

    run(tmp_path, scene)


def test_who_may_go_on_is_asked_once_for_a_closure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(world: World) -> None:
        await world.put(Credential(0, "password", "", "h", created=5))
        await world.put(Credential(0, "password", "", "h2", created=6))
        asked: list[str] = []
        real = closures._login

        async def noted(directory: Directory, id: str) -> Login | None:
            asked.append(id)
            return await real(directory, id)

        monkeypatch.setattr(closures, "_login", noted)
        assert await world.look() == [1, 0]
        assert await world.look() == [1, 0]
        assert asked == ["ann"]

    run(tmp_path, scene)


def test_a_session_ends_when_its_credential_expires(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        now = int(world.clock.now())
        soon = await world.put(Credential(0, "app", "guest", "h", created=5, expires=now + 60))
        late = await world.put(Credential(0, "app", "guest", "h", created=5, expires=now + 90))
        gone = await world.put(Credential(0, "app", "guest", "h", created=5, expires=now + 60))
        for line in (late, soon, gone):
            world.watch.enter(cast(Channel, line))
        world.watch.leave(cast(Channel, gone))
        for wait, told in ((59.5, [0, 0, 0]), (0.5, [1, 0, 0]), (29.0, [1, 0, 0]), (1.0, [1, 1, 0]), (99.0, [1, 1, 0])):
            world.clock.advance(wait)
            world.watch.expire()
            assert await world.look() == told
        assert (soon.account_closed, late.account_closed) == (OpenerClosed, OpenerClosed)

    run(tmp_path, scene)


def test_more_closures_than_are_kept_put_everybody_to_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_closures, "KEPT", 1)

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


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_an_app_password_that_expires_takes_its_sessions_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.setattr(closures, "PERIOD", 0.05)
    with RestanteServer(tmp_path / "data") as server:
        server.add_account("ann@example.org", "secret")
        expires = int(server.clock.now()) + 60
        _, text = server.run(lambda: server.admin.add_app_password("ann@example.org", "guest", expires=expires))
        port = server.pop3 if protocol == "pop3" else server.imap
        client = Client(socket.create_connection((server.host, port), 20))
        assert client.line()
        login = b"USER ann@example.org\r\nPASS %b" if protocol == "pop3" else b"a LOGIN ann@example.org %b"
        client.send(login % text.encode() + b"\r\n")
        eventually(lambda: server.connections and server._server.worker._closures._expiring, "logged in")
        assert client.line()[:4] in (b"+OK ", b"a OK")
        server.clock.advance(61)
        while (said := client.line()).startswith(b"+OK"):
            pass
        assert b"The password of this session opens nothing any more." in said
        assert client.ended()
        eventually(lambda: not server._server.worker._closures._expiring, "nothing is kept of it")


class LateRoom(EchoRoom):
    """Sessions that log in once they are released, whatever has become of their peer by then."""

    def build(self, *given: object) -> Assembly:
        self.release = release = asyncio.Event()

        class Late:
            def __init__(self, connection: Connection) -> None:
                self.connection = connection

            async def run(self) -> None:
                await release.wait()
                self.connection.set_account("ann@example.org", "ann", Opener(1, 1, expires=1 << 40))

        return Assembly(dict.fromkeys(Wire, Late))


def test_a_login_that_ends_after_its_peer_had_gone_leaves_nothing_behind(tmp_path: Path) -> None:
    """The connection was let go of before there was anything to be kept of it."""
    room = LateRoom()
    with running(tmp_path / "data", room=room) as server:
        worker, release = server.server.worker, room.release
        assert release is not None
        client = server.connect("pop3")
        eventually(lambda: worker.describe().connections, "the connection is there")
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()  # by a reset
        eventually(lambda: not worker.describe().connections, "the connection is lost")
        assert worker._tasks
        server.server.call(lambda: released(release))
        eventually(lambda: worker.resting, "the session has ended")
        assert worker.counters["logins"] == 1
        assert not worker._closures._expiring
        assert not worker._silence._watched


async def released(event: asyncio.Event) -> None:
    event.set()
