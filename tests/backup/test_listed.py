"""Lists of the snapshots that there are: one that somebody removed is missed, one that `prune` forgot is not, and a
backup of earlier programs, which has none, goes on."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from restante.backup.errors import LocationFailed, Missing
from restante.backup.night import night
from restante.backup.prune import prune
from restante.backup.retention import Keep
from restante.backup.verify import verify
from restante.backup.written import join, read_written

from .sealing import SealedWorld
from .stepped import Memory, Stepped
from .support import World, message, play, put

NOW = 1_800_000_000
ALL = Keep(last=99)


async def nights(world: World, count: int) -> list[str]:
    """So many nights with mail in between; the snapshots' names."""
    taken = []
    for number in range(count):
        await put(world.ann, "INBOX", message(number))
        taken.append((await world.take()).snapshot.name)
    return taken


def damaged(world: World) -> list[str]:
    return [each.name for each in verify(world.repository(), NOW, everything=True).damages]


def lose(world: World, name: str) -> None:
    for each in (name, f"twin/{name}"):
        world.location.remove(each)


def test_a_removed_older_snapshot_is_missed_until_somebody_says_that_it_is_known(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        taken = await nights(world, 4)
        assert damaged(world) == []
        lose(world, taken[1])
        assert damaged(world) == [taken[1]]
        await nights(world, 1)
        done = prune(world.repository(), ALL, NOW)
        assert done.missing == (taken[1],)
        assert damaged(world) == [taken[1]], "neither a run nor a prune forgets it"
        found = verify(world.repository(), NOW, everything=True, mending=True)
        assert [each.name for each in found.damages] == [taken[1]]
        assert damaged(world) == []
        assert prune(world.repository(), ALL, NOW).missing == ()
        await world.engine.close()

    play(scene())


@pytest.mark.parametrize("twin", ["", "twin/"])
@pytest.mark.parametrize("sealed", [False, True])
def test_one_copy_of_two_is_missed_and_put_back(tmp_path: Path, twin: str, sealed: bool) -> None:
    async def scene() -> None:
        world = SealedWorld(tmp_path) if sealed else World(tmp_path)
        writer = world.writer if isinstance(world, SealedWorld) else world.repository
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        first = (await world.take(repository=writer())).snapshot.name
        await put(world.ann, "INBOX", message(2))
        await world.take(repository=writer())
        world.location.remove(twin + first)
        found = verify(writer(), NOW, everything=True)
        assert [(each.name, each.spare) for each in found.damages] == [(twin + first, True)]
        assert found.single == []
        assert verify(writer(), NOW, everything=True, mending=True).mended == [twin + first]
        assert verify(writer(), NOW, everything=True).right
        # A run puts it back too, and does not do so in silence.
        world.location.remove(twin + first)
        done = await night(world.engine, writer(), world.clock, "host", {}, Keep(0, 0, 0))
        assert [text for text in done.problems if twin + first in text]
        assert verify(writer(), NOW, everything=True).right
        assert (await world.take(repository=writer())).put_back == []
        await world.engine.close()

    play(scene())


def test_what_prune_forgot_is_not_missed(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        for turn in range(9):
            await nights(world, 2)
            assert prune(world.repository(), Keep(0, 0, 0, 1), NOW + turn).missing == ()
            assert damaged(world) == []
        assert len(list(world.location.names("written"))) <= 6, "they are joined"
        await world.engine.close()

    play(scene())


def test_a_prune_that_is_cut_off_anywhere_leaves_nothing_missed(tmp_path: Path) -> None:
    async def scene() -> None:
        await world.fill()
        await nights(world, 6)
        await world.engine.close()

    kept = Memory()
    world = World(tmp_path, kept)
    play(scene())
    step = 0
    while True:
        memory = Memory()
        memory.objects |= kept.objects
        world.location = stepped = Stepped(memory)
        stepped.at(step, stop)
        try:
            prune(world.repository(), Keep(0, 0, 0, 1), NOW)
        except LocationFailed:
            assert damaged(world) == [], f"cut off before {stepped.done[-1]}"
            assert prune(world.repository(), Keep(0, 0, 0, 1), NOW).missing == ()
            assert damaged(world) == []
            step += 1
            continue
        break
    assert step > 20


def stop() -> None:
    raise LocationFailed("It was cut off.")


def test_a_run_that_lists_what_a_prune_forgets_meanwhile_makes_no_false_alarm(tmp_path: Path) -> None:
    """At every step of the run: what it lists may have been let go, removed and joined away by then."""

    async def scene(folder: Path, step: int) -> bool:
        world = World(folder, Memory())
        await world.fill()
        await nights(world, 3)
        await put(world.bob, "INBOX", message(9))
        forgetting = world.repository()
        world.location = stepped = Stepped(world.location)
        repository = world.repository()

        def meanwhile() -> None:
            prune(forgetting, Keep(0, 0, 0, 1), NOW)
            join(forgetting, read_written(forgetting))

        stepped.at(step, meanwhile)
        await world.take(repository=repository)
        came = stepped.came
        assert damaged(world) == [], f"before {stepped.done[step]}"
        await world.engine.close()
        return came

    step = 0
    while play(scene(tmp_path / str(step), step)):
        step += 1
    assert step > 20


def test_a_backup_of_earlier_programs_is_listed_by_its_next_run(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        taken = await nights(world, 3)
        shutil.rmtree(tmp_path / "backup" / "written")
        assert damaged(world) == []
        assert prune(world.repository(), ALL, NOW).missing == ()
        basis = world.repository().basis()
        assert basis is not None
        assert basis.name == taken[-1]
        done = await world.take()
        assert done.unchanged == 2
        lose(world, taken[0])
        assert damaged(world) == [taken[0]]
        await world.engine.close()

    play(scene())


def test_lists_that_are_joined_while_they_are_read_are_read_again(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        await nights(world, 3)
        prune(world.repository(), Keep(0, 0, 0, 1), NOW)
        before = read_written(world.repository())
        plain = world.location
        done: list[str] = []

        class Joining(Stepped):
            def get(self, name: str, offset: int = 0, count: int | None = None) -> bytes:
                if name.startswith("written/") and not done:
                    done.append(name)
                    join(reader, before)
                return super().get(name, offset, count)

        reader = world.repository()
        world.location = Joining(plain)
        found = read_written(world.repository())
        assert done
        assert (found.files, found.gone) == (before.files, before.gone)
        with pytest.raises(Missing):
            plain.get(done[0])
        await world.engine.close()

    play(scene())


def test_two_runs_and_a_prune_at_once_miss_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        for turn in range(6):
            await put(world.ann, "INBOX", message(turn))
            await asyncio.gather(
                world.take(), world.take(), asyncio.to_thread(prune, world.repository(), Keep(0, 0, 0, 2), NOW)
            )
            assert damaged(world) == []
        names = set(world.repository().snapshot_names())
        assert names <= read_written(world.repository()).files | read_written(world.repository()).gone
        await world.engine.close()

    play(scene())
