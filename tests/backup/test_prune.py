"""Forgetting: which snapshots stay, what is removed when, and that runs which go on meanwhile lose nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from restante.backup import verify as verifying
from restante.backup.account import take as real_take
from restante.backup.errors import Corrupt, Overtaken, TookTooLong
from restante.backup.prune import GRACE, prune
from restante.backup.repository import Repository
from restante.backup.retention import Keep, kept
from restante.backup.run import LONGEST
from restante.backup.verify import verify
from restante.backup.walk import Walk

from .sealing import SealedWorld
from .support import ANN, World, message, play, put, state

NOW = 1_800_000_000
ONE = Keep(0, 0, 0, 1)


def packs(world: World) -> set[str]:
    return {name for folder in ("mail", "meta") for name, _ in world.location.names(folder)}


async def whole(world: World, folder: Path) -> None:
    """The newest snapshot restores, and every octet is right."""
    assert verify(world.repository(), NOW, everything=True).right
    snapshot = world.repository().latest()
    assert snapshot is not None
    engine, done = await world.give(snapshot, folder)
    assert done.lost == []
    await engine.close()


# Which stay --------------------------------------------------------------------------------------------


def stamps(*days: str) -> list[int]:
    return [int(datetime.fromisoformat(f"{day}T02:30:00+00:00").timestamp()) for day in days]


def test_the_newest_of_each_day_week_and_month_stays() -> None:
    start = datetime(2026, 1, 1, 2, 30, tzinfo=UTC)
    nights = [int((start + timedelta(days=n)).timestamp()) for n in range(365)]
    stay = [datetime.fromtimestamp(at, UTC).date().isoformat() for at in kept(nights, int, Keep(3, 2, 4))]
    assert stay == ["2026-09-30", "2026-10-31", "2026-11-30", "2026-12-27", "2026-12-29", "2026-12-30", "2026-12-31"]


def test_several_of_a_day_leave_the_newest_and_the_last_ones_stay() -> None:
    three = [NOW, NOW + 60, NOW + 120]
    assert kept(three, int, Keep(5, 5, 5)) == three[2:]
    assert kept(three, int, Keep(1, 0, 0, last=2)) == three[1:]
    assert kept([], int, Keep()) == []


def test_a_machine_that_was_off_or_a_wrong_clock_lets_nothing_go() -> None:
    far = stamps("2001-01-01", "2026-11-01", "2026-11-02", "2046-11-03")
    assert kept(far, int, Keep(14, 8, 24)) == far
    assert kept([NOW + 10**9, NOW], int, Keep(1, 0, 0)) == [NOW], "ordered by serial, not by their clocks"


def test_days_are_those_of_the_zone() -> None:
    late = [int(datetime(2026, 11, 1, hour, tzinfo=UTC).timestamp()) for hour in (22, 23)]
    assert len(kept(late, int, Keep(9, 0, 0))) == 1
    assert len(kept(late, int, Keep(9, 0, 0), timezone(timedelta(hours=1)))) == 2


# What is removed ---------------------------------------------------------------------------------------


def test_what_nobody_needs_goes_three_days_after_it_was_condemned(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1, "x" * 40_000))
        await world.take()
        old = packs(world)
        await world.ann.expunge(1, None, deleted_only=False)
        world.clock.advance(200 * 86400)
        while await world.ann.reclaim(100):
            pass
        await put(world.ann, "INBOX", message(2))
        second = await world.take(full=True)
        done = prune(world.repository(), ONE, NOW)
        assert [each.name for each in done.kept] == [second.snapshot.name]
        assert len(done.forgotten) == 1
        assert (done.condemned, done.removed) == (len(old), 0)
        assert old <= packs(world)
        assert prune(world.repository(), ONE, NOW + GRACE - 1).removed == 0
        assert prune(world.repository(), ONE, NOW + GRACE).removed == len(old)
        assert not old & packs(world)
        await whole(world, tmp_path / "new")
        assert prune(world.repository(), ONE, NOW + 9 * GRACE).removed == 0
        await world.engine.close()

    play(scene())


def test_dry_run_changes_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await world.take()
        await world.take()
        before = dict(world.location.names(""))
        assert len(prune(world.repository(), ONE, NOW, dry_run=True).forgotten) == 1
        assert dict(world.location.names("")) == before
        await world.engine.close()

    play(scene())


def test_a_run_that_began_before_keeps_what_it_relies_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has found a message in a pack that is condemned while it goes on: its snapshot brings the pack back."""

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        text = message(1, "x" * 40_000)
        await put(world.ann, "INBOX", text)
        first = await world.take()
        await world.ann.expunge(1, None, deleted_only=False)
        await world.take()
        await put(world.bob, "INBOX", text)
        pruned: list[int] = []

        async def meanwhile(*args: object) -> object:
            taken = await real_take(*args)  # type: ignore[arg-type]  # passed on as they came
            if not pruned:
                # Forgets both snapshots but the newest, which does not have the message.
                pruned.append(prune(world.repository(), ONE, NOW).condemned)
            return taken

        monkeypatch.setattr("restante.backup.account.take", meanwhile)
        await world.take()
        assert pruned[0] > 0
        prune(world.repository(), ONE, NOW + GRACE)
        await whole(world, tmp_path / "new")
        assert first.snapshot.name not in world.repository().snapshot_names()
        await world.engine.close()

    play(scene())


@pytest.mark.parametrize("sealed", [False, True])
def test_a_run_that_is_overtaken_is_no_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sealed: bool) -> None:
    """By a prune whose clock is three days ahead, or since the machine slept so long in the middle of the run."""

    async def scene() -> None:
        world = SealedWorld(tmp_path) if sealed else World(tmp_path)
        writer = world.writer if isinstance(world, SealedWorld) else world.repository
        await world.fill()
        text = message(1, "x" * 40_000)
        await put(world.ann, "INBOX", text)
        await world.take(repository=writer())
        await world.ann.expunge(1, None, deleted_only=False)
        if not sealed:
            await world.take()
        await put(world.bob, "INBOX", text)
        removed: list[int] = []

        async def meanwhile(*args: object) -> object:
            if not removed:
                removed.append(0)
                if sealed:  # another run, of which this one's notes know nothing
                    await world.bob.expunge(1, None, deleted_only=False)
                    await world.take()
                    await put(world.bob, "INBOX", text)
                prune(world.repository(), ONE, NOW)
                removed.append(prune(world.repository(), ONE, NOW + GRACE).removed)
            return await real_take(*args)  # type: ignore[arg-type]  # passed on as they came

        monkeypatch.setattr("restante.backup.account.take", meanwhile)
        before = world.repository().snapshot_names()
        with pytest.raises(Overtaken):
            await world.take(repository=writer())
        assert removed[-1] > 0
        assert len(world.repository().snapshot_names()) == len(before) - (not sealed)
        await world.take(repository=writer())
        await whole(world, tmp_path / "new")
        await world.engine.close()

    play(scene())


def test_a_run_that_begins_afterwards_writes_again_what_will_go(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        text = message(1, "x" * 40_000)
        await put(world.ann, "INBOX", text)
        await world.take()
        await world.ann.expunge(1, None, deleted_only=False)
        await world.take()
        assert prune(world.repository(), ONE, NOW).condemned > 0
        await put(world.bob, "INBOX", text)
        done = await world.take()
        assert done.octets == len(text), "not found where it will go"
        assert prune(world.repository(), ONE, NOW + GRACE).removed > 0
        await whole(world, tmp_path / "new")
        await world.engine.close()

    play(scene())


def test_a_run_that_lasts_too_long_is_no_snapshot_and_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", *(message(n, "y" * 3_000) for n in range(50)))

        async def slow(*args: object) -> object:
            taken = await real_take(*args)  # type: ignore[arg-type]  # passed on as they came
            world.clock.advance(LONGEST + 1)
            return taken

        with monkeypatch.context() as patch:
            patch.setattr("restante.backup.account.take", slow)
            with pytest.raises(TookTooLong):
                await world.take()
        assert world.repository().latest() is None
        await world.take()
        await whole(world, tmp_path / "new")
        await world.engine.close()

    play(scene())


def test_many_small_packs_and_indexes_become_few(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        for night in range(20):
            await put(world.ann, "INBOX", message(night, "z" * 2_000))
            await world.take()
        assert len(packs(world)) == 40
        before = await state(world.ann)
        prune(world.repository(), Keep(), NOW)
        prune(world.repository(), Keep(), NOW + GRACE)
        assert len(packs(world)) <= 4
        assert len(list(world.location.names("index"))) <= 2
        await whole(world, tmp_path / "new")
        await put(world.ann, "INBOX", message(99))
        snapshot = (await world.take()).snapshot
        engine, _ = await world.give(snapshot, tmp_path / "newer")
        assert len(str(await state(engine.account(ANN)))) > len(str(before))
        await engine.close()
        await world.engine.close()

    play(scene())


def test_two_prunes_and_a_run_at_once(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        for night in range(20):
            await put(world.ann, "INBOX", message(night, "z" * 2_000))
            await world.take()
        for turn in range(3):
            await put(world.ann, "INBOX", message(100 + turn))
            now = NOW + turn * GRACE
            await asyncio.gather(
                asyncio.to_thread(prune, world.repository(), ONE, now),
                asyncio.to_thread(prune, world.repository(), ONE, now),
                world.take(),
            )
            prune(world.repository(), ONE, now)
        await whole(world, tmp_path / "new")
        await world.engine.close()

    play(scene())


def test_verify_beside_runs_and_a_prune_raises_no_false_alarm(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        stop = asyncio.Event()

        async def verifying() -> int:
            done = 0
            while not stop.is_set():
                found = await asyncio.to_thread(verify, world.repository(), NOW, everything=True)
                assert found.right, (found.damages, found.broken, found.touched)
                done += 1
            return done

        async def running() -> None:
            for turn in range(15):
                await put(world.ann, "INBOX", message(turn, "v" * 30_000))
                await world.take()
                await asyncio.to_thread(prune, world.repository(), Keep(0, 0, 0, 2), NOW + turn * GRACE)
            stop.set()

        counts = await asyncio.gather(verifying(), running())
        assert counts[0] is not None
        assert counts[0] > 2
        await world.engine.close()

    play(scene())


def test_a_run_that_ends_while_files_are_verified_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        await world.take()
        await put(world.ann, "INBOX", message(2))
        loop, real = asyncio.get_running_loop(), verifying._absent

        def meanwhile(*args: Any) -> None:
            real(*args)
            asyncio.run_coroutine_threadsafe(world.take(), loop).result()

        monkeypatch.setattr(verifying, "_absent", meanwhile)
        found = await asyncio.to_thread(verify, world.repository(), NOW, everything=True)
        assert found.right, (found.damages, found.broken, found.touched)
        await world.engine.close()

    play(scene())


def test_a_damaged_list_of_what_will_go_stops_runs_until_it_is_made_anew(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await put(world.ann, "INBOX", message(1, "x" * 40_000))
        await world.take()
        await world.ann.expunge(1, None, deleted_only=False)
        await world.take()
        prune(world.repository(), ONE, NOW)
        root = tmp_path / "backup"
        for path in [*(root / "condemned").iterdir(), *(root / "twin" / "condemned").iterdir()]:
            path.write_bytes(b"broken")
        await put(world.ann, "INBOX", message(3))
        with pytest.raises(Corrupt):
            await world.take()
        latest = world.repository().latest()
        assert latest is not None
        engine, _ = await world.give(latest, tmp_path / "new")  # a restore does not need it
        await engine.close()
        assert prune(world.repository(), ONE, NOW + 9 * GRACE).removed == 0
        await world.take()
        await whole(world, tmp_path / "newer")
        await world.engine.close()

    play(scene())


def test_nothing_that_a_kept_snapshot_names_is_missing(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        taken = []
        for night in range(12):
            uids, _ = await put(world.ann, "INBOX", *(message(night * 10 + n, "w" * 500) for n in range(5)))
            await world.ann.expunge(1, ((uids[0], uids[2]),), deleted_only=False)
            done = await world.take()
            taken.append((done.snapshot, await state(world.ann)))
            prune(world.repository(), Keep(0, 0, 0, 3), NOW + night * 2 * 86400)
            world.clock.advance(86400)
        repository: Repository = world.repository()
        assert repository.snapshot_names() == [each.name for each, _ in taken[-3:]]
        assert Walk(repository).lists(repository.snapshots()).broken == []
        for number, (snapshot, before) in enumerate(taken[-3:]):
            engine, _ = await world.give(snapshot, tmp_path / str(number))
            assert await state(engine.account(ANN)) == before
            await engine.close()
        await world.engine.close()

    play(scene())
