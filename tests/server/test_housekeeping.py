"""Housekeeping, alone: every account in turn, by one process of all."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from restante.clock import ManualClock
from restante.config.model import Config, Pop3Table
from restante.server.housekeeping import Housekeeper
from restante.server.logs import make_logger
from restante.store.directory import Account, AccountSettings
from restante.store.errors import Damaged
from restante.store.interface import Engine

from .support import PATIENCE


class FakeStore:
    """Counts what is asked of one account's store."""

    def __init__(self, broken: bool) -> None:
        self.broken = broken
        self.left = 120
        self.unindexed = 120
        self.expired: list[int] = []

    async def reclaim(self, budget: int) -> int:
        if self.broken:
            raise Damaged("This store is damaged.")
        done = min(budget, self.left)
        self.left -= done
        return done

    async def expire_retrieved(self, before: int) -> int:
        self.expired.append(before)
        return 1

    async def fill_search(self) -> int:
        done = min(64, self.unindexed)
        self.unindexed -= done
        return done


def test_housekeeping_visits_every_account_and_outlives_a_broken_one(tmp_path: Path) -> None:
    def account(name: str, days: int | None) -> Account:
        return Account(name, f"{name}@x", "x", True, None, AccountSettings(pop3_leave_days=days), False, 0, 1)

    accounts = [account("a", None), account("b", 0), account("c", -1), account("d", 7)]
    stores = {one.id: FakeStore(one.id == "a") for one in accounts}

    async def page(after: str, limit: int) -> list[Account]:
        return [one for one in accounts if one.address > after][:2]

    forgotten: list[int] = []

    async def expire(before: int) -> int:
        forgotten.append(before)
        return 3

    directory = SimpleNamespace(accounts=page, deliveries=SimpleNamespace(expire=expire))
    left: list[str] = []

    async def leave(id: str) -> None:
        left.append(id)

    fake = SimpleNamespace(directory=directory, account=lambda id, session="": stores[id], leave=leave)
    out = io.StringIO()
    clock = ManualClock(10_000_000.0)
    config = Config(pop3=Pop3Table(leave_days=2))
    # The engine's stand-in has the methods that a round calls.
    engine = cast(Engine, fake)
    keeper = Housekeeper(engine, config, tmp_path, clock, make_logger("info", "plain", clock, out))
    asyncio.run(keeper.round(engine))
    day = 86400
    assert [store.expired for store in stores.values()] == [
        [10_000_000 - 2 * day],
        [10_000_000],
        [],
        [10_000_000 - 7 * day],
    ]
    assert [store.left for store in stores.values()] == [120, 0, 0, 0]
    assert [store.unindexed for store in stores.values()] == [120, 0, 0, 0]
    assert left == ["a", "b", "c", "d"], "a round through thousands must not have them all open"
    assert "housekeeping refused account=a@x" in out.getvalue()
    assert forgotten == [10_000_000 - 14 * day]
    assert "half-done deliveries were never tried again deliveries=3" in out.getvalue()


def test_a_housekeeper_that_cannot_begin_says_so_and_begins_once_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restante.server.housekeeping.ELECTION", 0.001)
    out, begun = io.StringIO(), asyncio.Event()

    class Counted(Housekeeper):
        async def round(self, engine: Engine) -> None:
            begun.set()

    async def run() -> None:
        clock = ManualClock()
        log = make_logger("error", "plain", clock, out)
        (tmp_path / "housekeeping.lock").mkdir()
        keeper = Counted(cast(Engine, SimpleNamespace()), Config(), tmp_path, clock, log)
        keeper.start()
        for _ in range(5):
            await asyncio.sleep(0.002)  # it tries again meanwhile, and says nothing more
        (tmp_path / "housekeeping.lock").rmdir()
        await asyncio.wait_for(begun.wait(), PATIENCE)
        await keeper.stop()

    asyncio.run(run())
    assert out.getvalue().count("housekeeping cannot begin") == 1
    assert os.strerror(errno.EISDIR) in out.getvalue()


def test_one_housekeeper_of_two_works(tmp_path: Path) -> None:
    rounds: list[str] = []
    begun = asyncio.Event()

    class Counted(Housekeeper):
        async def round(self, engine: Engine) -> None:
            rounds.append("round")
            begun.set()

    async def run() -> None:
        clock = ManualClock()
        log = make_logger("error", "plain", clock, io.StringIO())
        engine = cast(Engine, SimpleNamespace())  # never asked: `round` is counted only
        first = Counted(engine, Config(), tmp_path, clock, log)
        second = Counted(engine, Config(), tmp_path, clock, log)
        first.start()
        await begun.wait()
        second.start()
        await asyncio.sleep(0)
        await first.stop()
        await second.stop()

    asyncio.run(run())
    assert rounds == ["round"]
