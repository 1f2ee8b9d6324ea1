"""kill -9 in a run, a prune, a restore: the repository is valid, what it had it has, and the next one goes on."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.backup.access import location_of
from restante.backup.location import Location
from restante.backup.prune import prune
from restante.backup.retention import Keep
from restante.backup.verify import verify
from restante.clock import system_random

from ..crash.forks import Forks
from .sealing import SealedWorld, needed, noted
from .support import ANN, World, findings, message, put, state
from .weed import Weed

CYCLES = int(os.environ.get("RESTANTE_BACKUP_KILLS", "3"))

CHILD = """
import asyncio, os
from pathlib import Path
from restante.backup import folder, s3
from restante.backup.access import location_of
from restante.clock import system_random
from restante.backup.prune import GRACE, prune
from restante.backup.restore import restore_all
from restante.backup.retention import Keep
from restante.mime.model import DEFAULT_LIMITS
from restante.store.sqlite import rebuild
from tests.backup.sealing import SealedWorld
from tests.backup.support import World

def told(owner, name):
    real = getattr(owner, name)
    def telling(*args, **kwargs):
        os.write(1, b"x\\n")
        return real(*args, **kwargs)
    setattr(owner, name, telling)

for owner, name in ((folder, "write_all"), (folder, "sync_folder"), (folder.Folder, "remove"), (rebuild, "_placements"),
                    (rebuild, "put_in_place"), (rebuild, "_file"), (s3.Bucket, "_put"), (s3.Bucket, "remove")):
    told(owner, name)

async def act(what, place, now, bucket):
    world = World.__new__(World)
    world.reopen(Path(place), float(now))
    if bucket:
        world.location = location_of(bucket, system_random)
    match what:
        case "run":
            await world.take()
        case "sealed run":
            world = SealedWorld.__new__(SealedWorld)
            world.reopen(Path(place), float(now))
            await world.tonight()
        case "prune":
            prune(world.repository(), Keep(0, 0, 0, 2), int(world.clock.now()))
        case "restore":
            data = world.folder / "new"
            repository = world.repository()
            engine = world.open(data)
            await restore_all(engine, repository, repository.latest(), data, DEFAULT_LIMITS, lambda octets: None)
            await engine.close()
    os.write(1, b"done\\n")

def main(what, place, now, bucket):
    if what != "run aside":
        asyncio.run(act(what, place, now, bucket))
        return
    world = World.__new__(World)
    world.reopen(Path(place), float(now))
    if bucket:
        world.location = location_of(bucket, system_random)
    world.take_aside()
    os.write(1, b"done\\n")
"""


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks(CHILD) as found:
        yield found


def killed(forks: Forks, what: str, folder: Path, now: float, lines: int, bucket: str = "") -> bool:
    """Run this in a child that is killed after it has come to so many file operations; whether it ended before."""
    child = forks.start(what, str(folder), str(now), bucket)
    line = ""
    for _ in range(lines):
        line = child.out.readline()
        if not line or line == "done\n":
            break
    child.kill()
    rest, errors = child.out.read(), child.errors.read()
    child.wait()
    assert "Traceback" not in errors, errors
    return line == "done\n" or "done" in rest


@pytest.mark.crash
@pytest.mark.parametrize("where", ["folder", "s3"])
@pytest.mark.parametrize("cycle", range(CYCLES))
def test_a_repository_outlives_kills(
    tmp_path: Path,
    forks: Forks,
    cycle: int,
    where: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance, bucket = random.Random(cycle), ""
    location: Location | None = None
    if where == "s3":
        server: Weed = request.getfixturevalue("s3")
        bucket = f"s3://open/kill/{system_random(8).hex()}"
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        location = location_of(bucket, system_random)

    async def change(world: World, number: int) -> None:
        store = world.ann
        await put(store, "INBOX", *(message(number * 100 + n, "k" * chance.randrange(9_000)) for n in range(20)))
        box = await store.mailbox("INBOX")
        assert box is not None
        await store.expunge(box.key, ((box.uidnext // 2, box.uidnext // 2 + 3),), deleted_only=False)

    async def scene() -> None:
        world = World(tmp_path, location)
        await world.fill()
        taken = []
        for number in range(4):
            await change(world, number)
            now = world.clock.now()
            await world.engine.leave(ANN)
            killed(forks, chance.choice(["run", "run aside"]), tmp_path, now, chance.randrange(1, 24), bucket)
            left = verify(world.repository(), int(now), everything=True)
            assert (left.touched, left.broken, [each for each in left.damages if not each.spare]) == ([], [], [])
            done = await world.take()
            assert verify(world.repository(), int(now), everything=True).right, "the next run makes all whole"
            taken.append((done.snapshot, await state(world.ann)))
            world.clock.advance(4 * 86_400)
            killed(forks, "prune", tmp_path, world.clock.now(), chance.randrange(1, 24), bucket)
            found = verify(world.repository(), int(now), everything=True)
            # A snapshot or list may be there once, its twin not written or removed already.
            assert (found.touched, found.broken, [each for each in found.damages if not each.spare]) == ([], [], [])
        kept = world.repository().snapshots()
        assert kept[-1].name == taken[-1][0].name
        while not killed(forks, "restore", tmp_path, world.clock.now(), chance.randrange(1, 14), bucket):
            pass
        engine = world.open(tmp_path / "new")
        assert await state(engine.account(ANN)) == taken[-1][1]
        assert await findings(engine.account(ANN)) == []
        assert await engine.strays() == []
        assert len(await engine.directory.aliases()) == 1
        await engine.close()
        await world.engine.close()

    asyncio.run(scene())


@pytest.mark.crash
@pytest.mark.parametrize("cycle", range(CYCLES))
def test_a_sealed_repository_and_its_notes_outlive_kills(tmp_path: Path, forks: Forks, cycle: int) -> None:
    """Whatever was written of a snapshot and of what is remembered of it: nothing is taken to be there that is not."""
    chance = random.Random(cycle)

    async def scene() -> None:
        world = SealedWorld(tmp_path)
        await world.fill()
        for number in range(5):
            store = world.ann
            await put(store, "INBOX", *(message(number * 100 + n, "k" * chance.randrange(90_000)) for n in range(20)))
            box = await store.mailbox("INBOX")
            assert box is not None
            await store.expunge(box.key, ((box.uidnext // 2, box.uidnext // 2 + 3),), deleted_only=False)
            await world.engine.leave(ANN)
            now = world.clock.now()
            killed(forks, "sealed run", tmp_path, now, chance.randrange(1, 70))
            left = verify(world.writer(), int(now), everything=True)
            assert left.right, left
            if number % 2:
                prune(world.repository(), Keep(0, 0, 0, 2), int(now))
            done = await world.tonight()
            reader = world.repository()
            assert noted(world.writer())[0] == needed(reader, done.snapshot)
            assert verify(reader, int(now), everything=True).right
            world.clock.advance(4 * 86_400)
        assert not list((world.notes / "journal").iterdir())
        engine, restored = await world.give(done.snapshot, tmp_path / "new")
        assert restored.lost == []
        assert await state(engine.account(ANN)) == await state(world.ann)
        await engine.close()
        await world.engine.close()

    asyncio.run(scene())
