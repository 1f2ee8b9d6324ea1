"""Hints between processes: sockets, lost datagrams, dead processes, long paths."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest

from restante.store.errors import NoSuchAccount
from restante.store.interface import Engine, Store
from restante.store.model import FlagMode
from restante.store.rights import parse_rights
from restante.store.sqlite import hints
from restante.store.sqlite.engine import SqliteEngine
from restante.store.sqlite.hints import Hints, socket_folder
from tests.engines.making import ACCOUNT, Installation, fill

PATIENCE = 30.0


def listen(engine: Engine) -> asyncio.Future[int]:
    """The first number heard."""
    heard: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def on_change(modseq: int) -> None:
        if not heard.done():
            heard.set_result(modseq)

    engine.watch(ACCOUNT, on_change)
    return heard


def test_a_lost_datagram_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process commits and says nothing: its change is found by the look at the file."""
    monkeypatch.setattr(hints, "POLL", 0.05)
    installation = Installation("sqlite", tmp_path / "data")

    async def scene() -> None:
        mine, other = installation.open(), installation.open()
        monkeypatch.setattr(Hints, "_send", lambda *_: None)
        await mine.create_account(ACCOUNT)
        heard = listen(mine)
        await fill(other.account(ACCOUNT), 1, 1)
        async with asyncio.timeout(PATIENCE):
            assert await heard == 2
        await other.close()
        await mine.close()

    asyncio.run(scene())


def test_the_first_look_finds_what_was_changed_since_the_watch_began_and_reads_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "SETTLED", 0)
    monkeypatch.setattr(hints, "COARSEST", 0)
    installation = Installation("sqlite", tmp_path / "data")

    async def scene() -> None:
        mine, other = installation.open(), installation.open()
        monkeypatch.setattr(Hints, "_send", lambda *_: None)
        await mine.create_account(ACCOUNT)
        await fill(other.account(ACCOUNT), 1, 1)
        path = installation.data / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db-wal"
        heard, read = list[int](), list[str]()
        watched = mine._hints  # type: ignore[attr-defined]  # the engine here is the embedded one
        number = watched._read

        def counted(account: str) -> int:
            read.append(account)
            return int(number(account))

        monkeypatch.setattr(watched, "_read", counted)
        for changed in (False, True, False):
            # Long ago: where time stamps move in ticks, what is written next may have the very one of what was before.
            os.utime(path, ns=(time.time_ns() - 10**10,) * 2)
            written = path.stat().st_mtime_ns
            monkeypatch.setattr(hints, "_now_ns", lambda at=written: at + 1)
            watch = mine.watch(ACCOUNT, heard.append, 2)
            if changed:
                await fill(other.account(ACCOUNT), 1, 1)
            monkeypatch.setattr(hints, "_now_ns", time.time_ns)
            watched._look_at([ACCOUNT])
            watched._look_at([ACCOUNT])
            await asyncio.sleep(0)
            assert (read, heard) == (([ACCOUNT], [3]) if changed else ([], []))
            watch.close()
            read.clear()
            heard.clear()
        await other.close()
        await mine.close()

    asyncio.run(scene())


def test_who_is_let_in_hears_it_in_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody else: an identifier has neither file nor counter, so that hints alone tell of it."""
    monkeypatch.setattr(hints, "POLL", 0.05)
    installation = Installation("sqlite", tmp_path / "data")

    async def scene() -> None:
        mine, other = installation.open(), installation.open()
        await mine.create_account(ACCOUNT)
        owner, rights = other.account(ACCOUNT), parse_rights("lr")
        for identifier, mode in (("annann", FlagMode.ADD), ("anyone", FlagMode.ADD), ("annann", FlagMode.REPLACE)):
            ann, carol = asyncio.Event(), asyncio.Event()
            watches = [mine.watch_shares("annann", ann.set), mine.watch_shares("carolcarol", carol.set)]
            await owner.set_acl(1, identifier, mode, rights)
            async with asyncio.timeout(PATIENCE):
                await ann.wait()
            assert carol.is_set() is (identifier == "anyone")
            for watch in watches:
                watch.close()
        assert mine._hints._watched == {}  # type: ignore[attr-defined]  # the engine here is the embedded one
        await other.close()
        await mine.close()

    asyncio.run(scene())


def test_the_socket_of_a_dead_process_is_cleared_away(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    folder = socket_folder(installation.data)
    hints.make_folder(folder)
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(folder / "999999-dead"))
    dead.close()

    async def scene() -> None:
        engine = installation.open()
        await engine.create_account(ACCOUNT)
        await fill(engine.account(ACCOUNT), 1, 1)
        await engine.close()

    asyncio.run(scene())
    assert list(folder.iterdir()) == []


def test_what_lies_where_a_link_leads_is_not_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that others may write to somebody may have put one in the place of ours."""
    elsewhere, folder = tmp_path / "letters", tmp_path / "hints"
    elsewhere.mkdir()
    (elsewhere / "letter").touch()
    folder.symlink_to(elsewhere)
    monkeypatch.setattr(hints, "socket_folder", lambda data: folder)

    async def scene(engine: Engine, store: Store) -> None:
        await fill(store, 1, 1)

    asyncio.run(Installation("sqlite", tmp_path / "data").play(scene))
    assert (elsewhere / "letter").exists()


def test_a_path_too_long_for_a_socket_gets_a_short_one(tmp_path: Path) -> None:
    data = tmp_path / ("long" * 20) / ("longer" * 10) / "data"
    assert len(str(socket_folder(data) / "1234567-12345678")) < 108
    assert socket_folder(data) == socket_folder(data)
    assert socket_folder(data) != socket_folder(data.parent)
    installation = Installation("sqlite", data)

    async def scene() -> None:
        mine, other = installation.open(), installation.open()
        await mine.create_account(ACCOUNT)
        heard = listen(mine)
        await fill(other.account(ACCOUNT), 1, 1)
        async with asyncio.timeout(PATIENCE):
            await heard
        await other.close()
        await mine.close()
        socket_folder(data).rmdir()

    asyncio.run(scene())


def test_what_is_no_hint_is_passed_over(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene() -> None:
        engine = installation.open()
        await engine.create_account(ACCOUNT)
        heard = listen(engine)
        (peer,) = socket_folder(installation.data).iterdir()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            for octets in (
                b"",
                b"\xff",
                b"\xff" * 8,
                b"\x00" * 8 + b"\xff\xfe",
                b"\x00" * 7 + b"\x01" + ACCOUNT.encode(),
            ):
                sender.sendto(octets, str(peer))
        await fill(engine.account(ACCOUNT), 1, 1)
        async with asyncio.timeout(PATIENCE):
            assert await heard == 2
        await engine.close()

    asyncio.run(scene())


def test_an_account_removed_elsewhere_is_let_go_here(tmp_path: Path) -> None:
    """Nobody reads on in a file that has lost its name, through a connection that was open before."""
    installation = Installation("sqlite", tmp_path / "data")

    async def scene() -> None:
        mine, other = installation.open(), installation.open()
        await mine.create_account(ACCOUNT)
        store = mine.account(ACCOUNT)
        await fill(store, 1, 1)
        heard = listen(mine)
        await other.delete_account(ACCOUNT)
        async with asyncio.timeout(PATIENCE):
            assert await heard == hints.GONE
        with pytest.raises(NoSuchAccount):
            await store.mailboxes()
        await other.close()
        await mine.close()

    asyncio.run(scene())


def test_a_look_at_many_accounts_leaves_the_loop_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "READS", 2)
    read: list[str] = []

    def counter(account: str) -> int:
        read.append(account)
        return 1

    async def scene() -> None:
        here = Hints(tmp_path, counter)
        for number in range(5):
            here.watch(f"acc{number}", tmp_path / f"acc{number}.db", lambda modseq: None)  # no log: read each time
        read.clear()
        here._poll()
        counts = [len(read)]
        for _ in range(2):
            await asyncio.sleep(0)
            counts.append(len(read))
        assert counts == [2, 4, 5]
        here.close()

    asyncio.run(scene())


def _no_descriptor(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.mark.parametrize(
    "what", ["the folder cannot be read", "there is no socket", "a dead one cannot be cleared away"]
)
def test_who_commits_is_answered_though_no_hint_can_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene() -> None:
        mine, other = installation.open(), installation.open()
        await mine.create_account(ACCOUNT)
        other.watch(ACCOUNT, lambda _: None)
        with monkeypatch.context() as patch:
            if what == "the folder cannot be read":
                patch.setattr(Path, "iterdir", _no_descriptor)
            elif what == "there is no socket":
                patch.setattr(socket, "socket", _no_descriptor)
            else:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
                    dead.bind(str(socket_folder(installation.data) / "999999-dead"))
                patch.setattr(Path, "unlink", _no_descriptor)
            async with asyncio.timeout(PATIENCE):
                await fill(mine.account(ACCOUNT), 1, 1)
        async with asyncio.timeout(PATIENCE):
            await fill(mine.account(ACCOUNT), 1, 1)  # nor is anything left that would hold up the next
        await other.close()
        await mine.close()

    asyncio.run(scene())


def test_who_can_have_no_socket_hears_all_the_same_and_has_one_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "POLL", 0.05)
    installation = Installation("sqlite", tmp_path / "data")

    async def scene() -> None:
        mine, other = installation.open(), installation.open()
        await mine.create_account(ACCOUNT)
        with monkeypatch.context() as patch:
            patch.setattr(hints, "make_folder", _no_descriptor)
            heard = listen(mine)
            await fill(other.account(ACCOUNT), 1, 1)
            async with asyncio.timeout(PATIENCE):
                assert await heard == 2
        async with asyncio.timeout(PATIENCE):
            while not list(socket_folder(installation.data).glob("*")):  # noqa: ASYNC110 - another loop's timer makes it
                await asyncio.sleep(0.01)
        await other.close()
        await mine.close()

    asyncio.run(scene())


def test_a_file_that_is_refused_keeps_no_other_account_from_being_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "POLL", 0.05)
    monkeypatch.setattr(hints, "SETTLED", 0)
    installation = Installation("sqlite", tmp_path / "data")

    async def scene() -> None:
        mine, other = installation.open(), installation.open()
        assert isinstance(mine, SqliteEngine)
        monkeypatch.setattr(Hints, "_send", lambda *_: None)
        newer = "b" * len(ACCOUNT)
        for account in (ACCOUNT, newer):
            await mine.create_account(account)
        heard = listen(mine)
        mine.watch(newer, lambda _: None, 1)
        with closing(sqlite3.connect(mine.path(newer))) as db:
            db.execute("PRAGMA user_version = 1000")
        mine.handles.forget(newer)
        await fill(other.account(ACCOUNT), 1, 1)
        async with asyncio.timeout(PATIENCE):
            assert await heard == 2
        await other.close()
        await mine.close()

    asyncio.run(scene())
