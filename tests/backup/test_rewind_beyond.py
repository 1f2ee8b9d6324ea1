"""Taking an account back further than its store remembers, cut off and run again, and under the eyes of a client."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from restante.backup.analysing import analysing
from restante.backup.choose import line_of
from restante.backup.rewind import FromSnapshot, rewind_to, snapshot_before
from restante.cli.main import restante
from restante.clock import SystemClock
from restante.mime.model import DEFAULT_LIMITS
from restante.store.errors import DiskFull
from restante.store.interface import Store
from restante.store.model import FlagMode, Flags
from restante.store.sqlite import mailboxes
from restante.testing.server import RestanteServer

from ..engines.making import Installation
from ..engines.test_rewind import Life, State, check, is_whole, same, state_of
from .support import World, message, play, put
from .test_drill import PASSWORD, USER, Imap

MONTH = 30 * 86400.0


async def back(world: World, at: int, *, apply: bool = True, store: Store | None = None) -> FromSnapshot:
    repository = world.repository()
    snapshot = snapshot_before(repository, at)
    line = line_of(repository, snapshot, "ann@example.com")
    with analysing(line.messages, DEFAULT_LIMITS) as pool:
        return await rewind_to(store or world.ann, repository, snapshot, line, pool, apply=apply)


async def forget(world: World) -> None:
    """A month passes: the store lets go of what was removed."""
    world.clock.advance(MONTH)
    while await world.ann.reclaim(1000):
        pass


async def filled(folder: Path) -> tuple[World, int, State]:
    """An account, the instant of its snapshot, and what it was then; since, half of it was removed and forgotten."""
    world = World(folder)
    await world.fill()
    await put(world.ann, "INBOX", *(message(number) for number in range(250)), flags=Flags.of(["\\Seen"]))
    await put(world.ann, "Work", *(message(1000 + number) for number in range(5)))
    then = await state_of(world.ann)
    at = int(world.clock.now())
    await world.take()
    world.clock.advance(60.0)
    inbox, work = await world.ann.mailbox("INBOX"), await world.ann.mailbox("Work")
    assert inbox is not None
    assert work is not None
    await world.ann.expunge(inbox.key, ((1, 220),), deleted_only=False)
    await world.ann.store_flags(inbox.key, ((230, 240),), FlagMode.ADD, Flags.of(["junk"]))
    await world.ann.delete_mailbox(work.key)
    await forget(world)
    await put(world.ann, "INBOX", message(5000))
    return world, at, then


def test_what_the_store_has_no_more_comes_out_of_the_repository(tmp_path: Path) -> None:
    async def scene() -> None:
        world, at, then = await filled(tmp_path)
        before = await state_of(world.ann)
        planned = await back(world, at, apply=False)
        assert (planned.brought, planned.told.created, planned.told.came) == (225, ["Work"], 1)
        same(await state_of(world.ann), before)
        done = await back(world, at)
        assert (done.brought, done.lost) == (225, [])
        check(then, before, await state_of(world.ann))
        assert await is_whole(world.ann)
        again = await back(world, at)
        assert (again.told.empty, again.told.id, again.brought) == (True, 0, 0), "nothing is doubled"
        await world.ann.undo_rewind(done.told.id, apply=True)
        same(await state_of(world.ann), before)
        await world.engine.close()

    play(scene())


def test_cut_off_anywhere_and_run_again_it_comes_to_the_same(tmp_path: Path) -> None:
    class Failing:
        """A store whose disk is full after so many appends."""

        def __init__(self, inner: Store, appends: int) -> None:
            self._inner, self._left = inner, appends

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        async def append(self, *args: Any) -> Any:
            if not self._left:
                raise DiskFull("The disk is full.")
            self._left -= 1
            return await self._inner.append(*args)

    async def scene() -> None:
        world, at, then = await filled(tmp_path)
        before = await state_of(world.ann)
        ids = []
        for appends in (0, 1, 2):
            failing: Any = Failing(world.ann, appends)
            with pytest.raises(DiskFull):
                await back(world, at, store=failing)
            ids.append((await world.ann.rewinds())[-1].id)
        last = await back(world, at)
        assert last.told.id not in ids
        check(then, before, await state_of(world.ann))
        for id in (last.told.id, *reversed(ids)):
            await world.ann.undo_rewind(id, apply=True)
        same(await state_of(world.ann), before)
        await world.engine.close()

    play(scene())


def test_a_command_that_fails_half_way_has_done_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1), message(2))
        at = int(world.clock.now())
        world.clock.advance(60.0)
        inbox = await world.ann.mailbox("INBOX")
        assert inbox is not None
        await world.ann.expunge(inbox.key, None, deleted_only=False)
        await world.ann.subscribe("Later", True)
        world.clock.advance(60.0)
        before, number = await state_of(world.ann), await world.ann.last_change()

        def fail(*args: object) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(mailboxes, "subscribe", fail)  # the last step
            with pytest.raises(Exception, match=r".+"):
                await world.ann.rewind(at, apply=True)
        same(await state_of(world.ann), before)
        assert await world.ann.last_change() == number
        assert await is_whole(world.ann)
        assert (await world.ann.rewind(at, apply=True)).changes[0].brought == 2
        await world.engine.close()

    play(scene())


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_any_snapshot_of_any_history_is_gone_back_to(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    chance = Random(seed)
    world = World(Path(tmp_path_factory.mktemp("beyond")))
    installation = Installation("sqlite", world.folder)
    installation.clock = world.clock

    async def scene() -> None:
        await world.fill()
        life = Life(installation, world.ann, chance)
        states: list[tuple[int, State]] = []
        for _ in range(chance.randint(1, 4)):
            for _ in range(chance.randint(1, 15)):
                world.clock.advance(chance.choice([1, 30, 70]))
                note(await life.step())
            world.clock.advance(1)
            states.append((int(world.clock.now()), await state_of(world.ann)))
            await world.take()
        if chance.random() < 0.8:
            await forget(world)
        for _ in range(chance.randint(0, 10)):
            world.clock.advance(chance.choice([1, 30, 70]))
            note(await life.step())
        world.clock.advance(100)
        at, then = chance.choice(states)
        before = await state_of(world.ann)
        done = await back(world, at)
        assert done.lost == []
        check(then, before, await state_of(world.ann))
        assert await is_whole(world.ann)
        if done.told.id:
            world.clock.advance(100)
            await world.ann.undo_rewind(done.told.id, apply=True)
            same(await state_of(world.ann), before)
            assert await is_whole(world.ann)
        await world.engine.close()

    play(scene())


def test_a_client_in_idle_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"

    def cli(*args: str, stdin: bytes = b"") -> str:
        done = CliRunner().invoke(restante, ("--data", str(data), *args), input=stdin)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    with RestanteServer(data=data) as server:
        monkeypatch.setattr(SystemClock, "now", lambda self: server.clock.now())
        cli("domain", "add", "example.com")
        cli("account", "add", USER, "--password-stdin", stdin=PASSWORD.encode() + b"\n")
        (tmp_path / "mail").mkdir()
        for number in range(3):
            (tmp_path / "mail" / f"{number}.eml").write_bytes(message(number))
        cli("import", str(tmp_path / "mail"), "--account", USER)
        server.clock.advance(600)
        client, other = Imap(server), Imap(server)
        other.do("SELECT INBOX")
        other.do("UID STORE 1:2 +FLAGS (\\Deleted)")
        other.do("EXPUNGE")
        server.clock.advance(60)
        assert b"* 1 EXISTS" in client.do("SELECT INBOX")
        client._socket.settimeout(30)
        client._socket.sendall(b"I IDLE\r\n")
        assert client._file.readline().startswith(b"+")
        cli("rewind", "--account", USER, "--to", "5m ago", "--apply")
        assert client._file.readline() == b"* 3 EXISTS\r\n"
        client._socket.sendall(b"DONE\r\n")
        while not client._file.readline().startswith(b"I OK"):
            pass
        assert len([line for line in client.do("UID FETCH 1:* (FLAGS)") if b"FETCH" in line]) == 3
        cli("rewind", "--account", USER, "--undo", "last", "--apply")
        gone = client.do("NOOP")
        assert [line for line in gone if b"VANISHED" in line] == [b"* VANISHED 4:5"]
        client.close()
        other.close()


@pytest.mark.crash
@pytest.mark.slow
def test_killed_at_any_instant_it_has_happened_or_not_and_run_again_it_has(tmp_path: Path) -> None:
    """The process is killed before it begins, and at instants spread over the time that one takes: what is there is one
    of two states."""
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from restante.clock import ManualClock, system_random\n"
        "from restante.store.sqlite.engine import SqliteEngine\n"
        "async def main():\n"
        "    engine = SqliteEngine(Path(sys.argv[1]), ManualClock(float(sys.argv[3])), system_random, reserve=0)\n"
        "    store = engine.account('ann1')\n"
        "    await store.mailboxes()\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    await store.rewind(int(sys.argv[2]), apply=True)\n"
        "    print('done', flush=True)\n"
        "asyncio.run(main())\n"
    )

    def start(at: int, now: float) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", program, str(tmp_path / "data"), str(at), str(now)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def go(process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        print("go", file=process.stdin, flush=True)

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *(message(number) for number in range(800)))
        inbox = await world.ann.mailbox("INBOX")
        assert inbox is not None
        then, at = await state_of(world.ann), int(world.clock.now())
        world.clock.advance(60.0)
        await world.ann.expunge(inbox.key, ((1, 700),), deleted_only=False)
        await world.ann.rename_mailbox(inbox.key, "Elsewhere")
        world.clock.advance(60.0)
        before = await state_of(world.ann)
        took, outcomes = 0.0, set[str]()
        for number in range(9):
            with start(at, world.clock.now()) as process:
                begun = time.monotonic()
                if number != 1:
                    go(process)
                if number > 1:  # the first one is let be: how long does it take?
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(took * (number - 1) / 8)
                if number:
                    process.kill()
                process.wait()
            took = took or time.monotonic() - begun
            after = await state_of(world.ann)
            assert await is_whole(world.ann)
            if after.boxes == before.boxes:
                outcomes.add("nothing")
                continue
            check(then, before, after)
            outcomes.add("all")
            world.clock.advance(60.0)
            await world.ann.undo_rewind((await world.ann.rewinds())[-1].id, apply=True)
            same(await state_of(world.ann), before)
            world.clock.advance(60.0)
        assert outcomes == {"nothing", "all"}
        with start(at, world.clock.now()) as process:
            go(process)
            assert process.wait() == 0
        check(then, before, await state_of(world.ann))
        await world.engine.close()

    play(scene())
