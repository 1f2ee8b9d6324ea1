"""Open files are few, bounded, and closed when idle."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import pytest

from restante.clock import system_random
from restante.store.errors import Damaged, NoSuchAccount, StoreRefusal
from restante.store.sqlite.engine import SqliteEngine
from restante.store.sqlite.glance import glance_mark
from restante.store.sqlite.handles import IDLE, PRAGMAS, READER_WAIT, connect
from restante.store.sqlite.kept import LARGE_IDLE, SMALL
from tests.engines.making import ACCOUNT, Installation, fill, inbox
from tests.server.support import eventually


def engine_of(installation: Installation, handles: int) -> SqliteEngine:
    return SqliteEngine(installation.data, installation.clock, system_random, reserve=0, handles=handles)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation("sqlite", tmp_path / "data")


NAMED = {"FULL": 2, "ON": 1, "OFF": 0, "MEMORY": 2}
"""What SQLite calls the values that `PRAGMAS` names by words."""


def test_a_connection_has_every_pragma(installation: Installation) -> None:
    async def scene() -> None:
        engine = engine_of(installation, 3)
        await engine.create_account(ACCOUNT)
        path = engine.path(ACCOUNT)
        await engine.close()
        db = connect(path, wait=READER_WAIT)
        wanted = dict(pragma.split(" = ") for pragma in PRAGMAS)
        got = {name: db.pragma(name) for name in wanted}
        db.close(True)
        assert got == {name: NAMED[value] if value in NAMED else int(value) for name, value in wanted.items()}

    asyncio.run(scene())


def test_a_file_without_the_row_of_its_account_is_told_to_be_damaged(installation: Installation) -> None:
    async def scene() -> None:
        engine = engine_of(installation, 3)
        await engine.create_account(ACCOUNT)
        store, path = engine.account(ACCOUNT), engine.path(ACCOUNT)
        await fill(store, await inbox(store), 1)
        with apsw.Connection(str(path)) as db:
            db.execute("DELETE FROM account")
        db.close()
        assert engine.handles.sweep(everything=True) == 0
        with pytest.raises(Damaged, match="row is missing"):
            await store.mailboxes()
        assert glance_mark(str(installation.data), ACCOUNT) is None
        with pytest.raises(Damaged, match="row is missing"):
            assert [finding.text async for finding in store.doctor(False)]
        await engine.close()

    asyncio.run(scene())


def test_handles_are_bounded_whatever_the_number_of_accounts(installation: Installation) -> None:
    async def scene() -> None:
        engine = engine_of(installation, 3)
        names = [f"acc{i}" for i in range(20)]
        for name in names:
            await engine.create_account(name)
            await engine.account(name).create_mailbox("A")
        assert len(engine.handles) <= 3
        counts = await asyncio.gather(*(fill(engine.account(name), 1, 5) for name in names))
        assert counts == [(1, 2, 3, 4, 5)] * 20
        for name in names:
            assert len((await engine.account(name).snapshot(1)).uids) == 5
        assert len(engine.handles) <= 3
        await engine.close()

    asyncio.run(scene())


def test_idle_handles_close_and_write_the_log_back(installation: Installation) -> None:
    async def scene() -> None:
        engine = engine_of(installation, 10)
        await engine.create_account(ACCOUNT)
        store = engine.account(ACCOUNT)
        await fill(store, await inbox(store), 50)
        log = engine.path(ACCOUNT).with_name(f"{ACCOUNT}.db-wal")
        assert log.stat().st_size > 0
        installation.clock.advance(IDLE / 2)
        assert engine.handles.sweep() == 1
        installation.clock.advance(IDLE)
        assert engine.handles.sweep() == 0
        assert not log.exists() or log.stat().st_size == 0
        assert len((await store.snapshot(1)).uids) == 50
        await engine.close()

    asyncio.run(scene())


def test_a_handle_in_use_is_never_closed(installation: Installation) -> None:
    async def scene() -> None:
        engine = engine_of(installation, 1)
        for name in ("one1", "two2"):
            await engine.create_account(name)
        with engine.handles.hold("one1", engine.path("one1")) as handle:
            reader = handle.reader
            await engine.account("two2").mailboxes()
            installation.clock.advance(2 * IDLE)
            engine.handles.sweep(everything=True)
            assert reader.execute("SELECT count(*) FROM mailbox").fetchall() == [(1,)]
        await engine.close()

    asyncio.run(scene())


def test_an_account_that_is_left_closes_at_once_unless_somebody_uses_it(installation: Installation) -> None:
    async def scene() -> None:
        engine = engine_of(installation, 10)
        await engine.create_account(ACCOUNT)
        store = engine.account(ACCOUNT)
        await fill(store, await inbox(store), 1)
        with engine.handles.hold(ACCOUNT, engine.path(ACCOUNT)):
            await engine.leave(ACCOUNT)
            assert len(engine.handles) == 1
        await engine.leave(ACCOUNT)
        await engine.leave("nobody")
        assert len(engine.handles) == 0
        log = engine.path(ACCOUNT).with_name(f"{ACCOUNT}.db-wal")
        assert not log.exists() or log.stat().st_size == 0
        assert len((await store.snapshot(1)).uids) == 1
        await engine.close()

    asyncio.run(scene())


def test_sizes_of_many_accounts_are_read_with_none_of_them_left_open(installation: Installation) -> None:
    async def scene() -> None:
        engine = engine_of(installation, 10)
        for name in ("one1", "two2"):
            await engine.create_account(name)
            store = engine.account(name)
            uids = await fill(store, await inbox(store), 3, "\\Deleted")
            await store.expunge(await inbox(store), ((uids[0], uids[0]),))
            await engine.leave(name)
            known = await store.stats()
            await engine.leave(name)
            assert await engine.sizes(name) == known
            assert (known.messages, known.recoverable) == (2, 1)
            assert len(engine.handles) == 0
        with engine.handles.hold("one1", engine.path("one1")) as handle:
            await engine.sizes("one1")
            assert handle.reader.execute("SELECT count(*) FROM mailbox").get == 1
        with pytest.raises(NoSuchAccount):
            await engine.sizes("nobody")
        engine.handles.sweep(everything=True)
        db = apsw.Connection(str(engine.path("one1")))
        db.pragma("user_version", 99)
        db.close()
        with pytest.raises(StoreRefusal, match="version 99"):
            await engine.sizes("one1")
        assert (await engine.sizes("two2")).messages == 2
        await engine.close()

    asyncio.run(scene())


def rests(engine: SqliteEngine) -> bool:
    return engine.resting


async def comes_to_rest(engine: SqliteEngine) -> None:
    """The thread that wrote has answered before it has put its work away."""
    await asyncio.to_thread(eventually, lambda: engine.resting, "the engine rests")


def test_an_engine_rests_when_nothing_is_open_and_nothing_under_way(installation: Installation) -> None:
    async def scene() -> None:
        engine = engine_of(installation, 10)
        await engine.create_account(ACCOUNT)
        await comes_to_rest(engine)
        store = engine.account(ACCOUNT)
        await fill(store, await inbox(store), 1)
        assert not rests(engine)
        await engine.leave(ACCOUNT)
        await comes_to_rest(engine)
        done = asyncio.Event()
        task = asyncio.create_task(engine.finish(done.wait()))
        await asyncio.sleep(0)
        assert not rests(engine)
        done.set()
        await task
        assert rests(engine)
        engine.kept.sleep({ACCOUNT}, 0.0)
        assert rests(engine)  # what is small goes with the file
        box = await inbox(store)
        await fill(store, box, SMALL + 1)
        await store.snapshot(box)
        await engine.leave(ACCOUNT)
        engine.kept.sleep({ACCOUNT}, 0.0)
        assert not rests(engine)  # a long list was read lately
        engine.kept.sleep(set(), LARGE_IDLE)
        await comes_to_rest(engine)
        await engine.close()

    asyncio.run(scene())
