"""Processes that write to one account take turns: who came first is first, and nobody is kept out by a stopped one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from restante.clock import system_random
from restante.store.sqlite import turns
from restante.store.sqlite.engine import SqliteEngine
from restante.store.sqlite.handles import connect
from restante.store.sqlite.turns import Turns
from restante.store.sqlite.writer import Writers
from tests.engines.making import ACCOUNT, Installation, new

FILE_ONE = f"""
import asyncio, sys
from pathlib import Path
from restante.clock import system_random
from restante.store.sqlite.engine import SqliteEngine
from tests.engines.making import Installation, new

async def file():
    installation = Installation("sqlite", Path(sys.argv[1]))
    engine = SqliteEngine(installation.data, installation.clock, system_random, reserve=0)
    store = engine.own({ACCOUNT!r})
    print((await store.append(1, [await new(store, b"theirs\\r\\n")])).modseq)
    await engine.close()

asyncio.run(file())
"""
"""Another process that files a message and says its number."""

HOLD = """
import sys
from pathlib import Path
from restante.store.sqlite.turns import Turns

assert Turns(Path(sys.argv[1])).take(sys.argv[2]) is not None
print("held", flush=True)
sys.stdin.read()
"""
"""Another process that takes a place and keeps it."""


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation("sqlite", tmp_path / "data")


def engine_of(installation: Installation) -> SqliteEngine:
    return SqliteEngine(installation.data, installation.clock, system_random, reserve=0)


@contextmanager
def holding(path: Path, account: str) -> Iterator[subprocess.Popen[str]]:
    held = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), account], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert held.stdout is not None
        assert held.stdout.readline() == "held\n"
        yield held
    finally:
        held.kill()
        held.communicate()


def test_who_waits_for_the_lock_is_before_who_comes_behind(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    commit = Writers._commit

    def told(*given: Any) -> int:
        begun.set()
        return commit(*given)

    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        message = await new(store, b"ours\r\n")
        lock = connect(engine.path(ACCOUNT), wait=1_000)
        place = Turns(engine.locks / "turns")
        monkeypatch.setattr(Writers, "_commit", told)
        for _ in range(4):
            begun.clear()
            lock.execute("BEGIN IMMEDIATE")
            other = await asyncio.create_subprocess_exec(
                sys.executable, "-c", FILE_ONE, str(installation.data), stdout=subprocess.PIPE
            )
            monkeypatch.setattr(turns, "WAIT", 0.0)
            async with asyncio.timeout(60):
                while (free := place.take(ACCOUNT)) is not None:
                    place.leave(free)
                    await asyncio.sleep(0.005)  # no process says that it waits
            monkeypatch.undo()
            monkeypatch.setattr(Writers, "_commit", told)
            ours = asyncio.ensure_future(store.append(1, [message]))
            assert await asyncio.to_thread(begun.wait, 10)
            lock.execute("ROLLBACK")
            done = await ours
            theirs, _ = await other.communicate()
            assert int(theirs) < done.modseq
        place.close()
        lock.close()
        await engine.close()

    asyncio.run(scene())


def test_a_stopped_process_keeps_nobody_out_for_ever(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "WAIT", 0.05)

    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        with holding(engine.locks / "turns", ACCOUNT) as held:
            held.send_signal(signal.SIGSTOP)
            assert (await store.append(1, [await new(store)])).uids == (1,)
        await engine.close()

    asyncio.run(scene())


def test_a_stopped_process_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT", 0.05)
    mine, pauses = Turns(tmp_path / "turns"), list[float]()
    monkeypatch.setattr("restante.store.sqlite.turns.time.sleep", pauses.append)
    with holding(tmp_path / "turns", "anna"):
        assert mine.take("anna") is None
        assert pauses
        pauses.clear()
        assert mine.take("anna") is None
        assert not pauses
    place = mine.take("anna")
    assert place is not None
    mine.leave(place)
    with holding(tmp_path / "turns", "anna"):
        assert mine.take("anna") is None
        assert pauses
    mine.close()


def test_a_place_goes_with_its_process(tmp_path: Path) -> None:
    mine = Turns(tmp_path / "turns")
    with holding(tmp_path / "turns", "anna") as held:
        held.kill()
        held.wait()
        assert mine.take("anna") is not None
    mine.close()


def test_accounts_do_not_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT", 0.0)
    mine = Turns(tmp_path / "turns")
    with holding(tmp_path / "turns", "anna"):
        assert mine.take("anna") is None
        assert mine.take("bert") is not None
    mine.close()


def test_threads_that_come_at_once_open_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, together, opens = list[int](), threading.Barrier(2), os.open

    def together_if_both_may(*given: Any) -> int:
        with suppress(threading.BrokenBarrierError):
            together.wait(0.2)
        opened.append(opens(*given))
        return opened[-1]

    mine = Turns(tmp_path / "turns")
    monkeypatch.setattr("restante.store.sqlite.turns.os.open", together_if_both_may)
    threads = [threading.Thread(target=mine.take, args=(account,)) for account in ("anna", "bert")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1
    mine.close()
