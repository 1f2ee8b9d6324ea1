"""Open files are few, bounded, and closed when idle."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from restante.clock import system_random
from restante.store.sqlite.engine import SqliteEngine
from restante.store.sqlite.handles import IDLE
from tests.engines.making import ACCOUNT, Installation, fill, inbox


def engine_of(installation: Installation, handles: int) -> SqliteEngine:
    return SqliteEngine(installation.data, installation.clock, system_random, reserve=0, handles=handles)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation("sqlite", tmp_path / "data")


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
