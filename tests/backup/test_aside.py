"""A run without an engine takes to the octet the snapshot that one with an engine takes, or none."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from restante.backup.apart import apart, finish
from restante.backup.folder import Folder
from restante.backup.objects import AccountData, PageData
from restante.backup.repository import Repository, Snapshot
from restante.backup.verify import verify
from restante.clock import system_random
from restante.store.directory import Alias
from restante.store.model import FlagMode, Flags, Pop3Delete
from restante.store.rights import parse_rights
from restante.store.sqlite.aside import Aside, NeedsEngine

from .support import ALL, ANN, BOB, KEY, World, add_account, message, play, put

Change = Callable[[World], Awaitable[object]]


async def _key(world: World, name: str = "INBOX") -> int:
    box = await world.ann.mailbox(name)
    assert box is not None
    return box.key


async def _flags(world: World) -> None:
    await world.ann.store_flags(await _key(world), ((2, 3),), FlagMode.ADD, Flags.of(["\\Flagged", "$Label"]))


async def _expunge(world: World) -> None:
    await world.ann.expunge(await _key(world), ((1, 2),), deleted_only=False)


async def _delete(world: World) -> None:
    await world.ann.delete_mailbox(await _key(world, "Old"))


async def _rename(world: World) -> None:
    await world.ann.rename_mailbox(await _key(world, "Old"), "Older")


async def _copy(world: World) -> None:
    await world.ann.copy(await _key(world), ALL, await _key(world, "Old"))


async def _beside(world: World) -> None:
    key = await _key(world)
    await world.ann.subscribe("INBOX", True)
    await world.ann.annotate(key, {"/private/comment": b"x"})
    await world.ann.set_acl(key, BOB, FlagMode.REPLACE, parse_rights("lrs"))
    await world.engine.account(ANN, BOB).store_flags(key, ALL, FlagMode.ADD, Flags.of(["\\Seen"]))


async def _pop3(world: World) -> None:
    await world.ann.finish_maildrop((), Pop3Delete.KEEP, ALL, mark_seen=False)


async def _more_accounts(world: World) -> None:
    await add_account(world.engine, "carl1", "carl@example.com")
    await put(world.engine.account("carl1"), "INBOX", message(77))
    await world.engine.directory.remove_account(BOB)


CHANGES: dict[str, Change] = {
    "nothing": lambda world: asyncio.sleep(0),
    "flags": _flags,
    "a message": lambda world: put(world.ann, "INBOX", message(20)),
    "large messages": lambda world: put(world.ann, "New", message(21, "x" * 200_000), message(22, "y" * 3_000_000)),
    "removed": _expunge,
    "a mailbox is deleted": _delete,
    "a mailbox is renamed": _rename,
    "copies": _copy,
    "what lies beside": _beside,
    "pop3": _pop3,
    "accounts": _more_accounts,
    "an alias": lambda world: world.engine.directory.put_alias(Alias("new@example.com", ("bob@example.com",), 9)),
    "a credential is used": lambda world: world.engine.directory.touch_credential(ANN, 1, 1_900_000_000),
}


async def _filled(folder: Path) -> World:
    world = World(folder)
    await world.fill()
    await put(world.ann, "INBOX", *(message(number) for number in range(6)))
    await put(world.ann, "Old", message(9))
    await put(world.bob, "INBOX", message(9, to="bob@example.com"))
    await world.take()
    world.clock.advance(86400.0)
    return world


def _opened(folder: Path) -> Repository:
    return Repository.open(Folder(folder, system_random), KEY, system_random)


def _all_of(repository: Repository, snapshot: Snapshot) -> list[object]:
    lines = [line for page in snapshot.data.pages for line in repository.read(page, PageData).accounts]
    return [snapshot.data, *lines, *(repository.read(line.root, AccountData) for line in lines)]


@pytest.mark.parametrize("change", CHANGES)
def test_the_snapshot_is_the_same(tmp_path: Path, change: str) -> None:
    async def before() -> World:
        world = await _filled(tmp_path)
        await CHANGES[change](world)
        await world.engine.close()
        shutil.copytree(tmp_path / "backup", tmp_path / "other")
        return world

    async def by_an_engine(world: World) -> Snapshot:
        world.engine = world.open(tmp_path / "data")
        done = await world.take(repository=other)
        await world.engine.close()
        return done.snapshot

    world = play(before())
    other = _opened(tmp_path / "other")
    threads = set(threading.enumerate())
    done = world.take_aside()
    assert set(threading.enumerate()) <= threads, "others' may have ended meanwhile"
    assert (done.failed, done.unreadable) == ([], [])
    whole = play(by_an_engine(world))
    here = world.repository()
    assert _all_of(here, done.snapshot) == _all_of(other, whole)
    assert [each.data for each in here.snapshots()] == [each.data for each in other.snapshots()]
    assert verify(here, int(world.clock.now()), everything=True).right


def test_what_a_server_does_meanwhile_is_no_hindrance(tmp_path: Path) -> None:
    """An engine has the files open, with a log that is not written back; nobody waits for the instant."""

    async def scene() -> None:
        world = await _filled(tmp_path)
        await _flags(world)
        key = await _key(world)
        source = Aside(str(tmp_path / "data"))
        reading = source.account(ANN)
        async with reading.instant() as instant:
            head = await instant.head()
            await asyncio.wait_for(put(world.ann, "INBOX", message(30)), 10.0)
            assert (await instant.head()).mark == head.mark
            assert len(await instant.flagged(key, 0, 100)) == 6
            assert (await instant.flagged(key, head.mark.modseq - 1, 100))[0][0] == 2
        assert (await reading.mark()).modseq == head.mark.modseq + 1
        await source.leave(ANN)
        source.close()
        await world.engine.close()

    play(scene())


def _sql(file: str, sql: str) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        (path,) = data.glob(file)
        db = sqlite3.connect(path)
        db.execute(sql)
        db.commit()
        db.close()

    return change


def _copied_back(data: Path) -> None:
    path = data / "accounts" / "an" / f"{ANN}.db"
    shutil.copyfile(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").rename(path)


def _garbage(data: Path) -> None:
    (data / "accounts" / "an" / f"{ANN}.db").write_bytes(b"no database" * 1000)


UNUSUAL: dict[str, Callable[[Path], None]] = {
    "an older account": _sql(f"accounts/an/{ANN}.db", "PRAGMA user_version = 1"),
    "an older directory": _sql("directory.db", "PRAGMA user_version = 1"),
    "another directory": _sql("directory.db", "PRAGMA application_id = 7"),
    "a copy": _copied_back,
    "damage": _garbage,
    "a missing row": _sql(f"accounts/an/{ANN}.db", "DELETE FROM account"),
    "a missing file": lambda data: (data / "accounts" / "an" / f"{ANN}.db").unlink(),
    "no directory": lambda data: (data / "directory.db").unlink(),
    "octets that are gone": _sql(f"accounts/an/{ANN}.db", "DELETE FROM chunk"),
    "a move that was cut off": _sql(f"accounts/an/{ANN}.db", "INSERT INTO transfer_out VALUES ('t', 'bob1', 1, x'90')"),
}


@pytest.mark.parametrize("what", UNUSUAL)
def test_what_is_not_ordinary_is_for_an_engine(tmp_path: Path, what: str) -> None:
    async def before() -> World:
        world = await _filled(tmp_path)
        await put(world.ann, "INBOX", message(20))
        await world.engine.close()
        return world

    world = play(before())
    UNUSUAL[what](tmp_path / "data")
    names = world.repository().snapshot_names()
    with pytest.raises(NeedsEngine):
        world.take_aside()
    assert world.repository().snapshot_names() == names


def test_work_is_done_in_a_thread_beside_a_loop_and_in_place_without_one() -> None:
    here = threading.get_ident()

    async def where() -> int:
        return await apart(threading.get_ident)

    assert finish(where()) == here
    assert asyncio.run(where()) != here


def test_what_waits_for_a_loop_is_not_finished() -> None:
    async def waits() -> None:
        await asyncio.sleep(1)

    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(RuntimeError):
        finish(waits())
    with pytest.raises(KeyError):
        finish(fails())


def test_without_a_library_of_loops_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "asyncio")

    async def here() -> int:
        return await apart(threading.get_ident)

    assert finish(here()) == threading.get_ident()
