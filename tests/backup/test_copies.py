"""An object that lies in several packs, one of which is damaged or gone: any whole copy of it counts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from restante.backup.prune import GRACE, prune
from restante.backup.retention import Keep
from restante.backup.verify import verify

from .support import World, message, play, put

NOW = 1_800_000_000
ONE = Keep(0, 0, 0, 1)


def largest_of(root: Path, without: Path | None = None) -> Path:
    packs = [path for path in (root / "mail").rglob("*") if path.is_file() and path != without]
    return max(packs, key=lambda path: path.stat().st_size)


async def doubled(folder: Path, number: int) -> tuple[World, Path]:
    """A world whose mail lies in a pack, and once more in another; the path of the first."""
    world = World(folder)
    await world.fill()
    await put(
        world.ann, "INBOX", *(message(n, random.Random(n).randbytes(20_000).hex()) for n in range(number, 8 + number))
    )
    await world.take()
    first = largest_of(folder / "backup")
    saved = folder / "aside"
    first.rename(saved)
    await world.take(full=True)
    saved.rename(first)
    return world, first


async def all_back(world: World, folder: Path) -> None:
    repository = world.repository()
    for snapshot in repository.snapshots():
        engine, done = await world.give(snapshot, folder / snapshot.id)
        await engine.close()
        assert done.lost == []


def harm(path: Path, how: str) -> None:
    if how == "gone":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 8
        path.write_bytes(data)


@pytest.mark.parametrize("how", ["gone", "flipped"])
@pytest.mark.parametrize("number", range(4))
def test_what_is_whole_in_another_pack_comes_back(tmp_path: Path, number: int, how: str) -> None:
    async def scene() -> None:
        world, first = await doubled(tmp_path, number)
        harm(first, how)
        await all_back(world, tmp_path / "new")
        found = verify(world.repository(), NOW, everything=True)
        assert [each.name for each in found.damages] == [first.relative_to(tmp_path / "backup").as_posix()]
        assert not found.touched, "another pack has all of it"
        await world.engine.close()

    play(scene())


@pytest.mark.parametrize("number", range(6))
def test_what_was_written_again_for_a_pack_that_is_gone_stays(tmp_path: Path, number: int) -> None:
    """As the operator's guide says of damage: take the pack out, `run --full`, `prune`."""

    async def scene() -> None:
        world, first = await doubled(tmp_path, number)
        prune(world.repository(), ONE, NOW)  # one of the two will go
        first.unlink()
        prune(world.repository(), ONE, NOW + GRACE)
        prune(world.repository(), ONE, NOW + 2 * GRACE)
        assert verify(world.repository(), NOW, everything=True).right
        await all_back(world, tmp_path / "new")
        await world.engine.close()

    play(scene())


@pytest.mark.parametrize("number", range(4))
def test_a_whole_pack_does_not_go_for_one_that_was_found_damaged(tmp_path: Path, number: int) -> None:
    async def scene() -> None:
        world, first = await doubled(tmp_path, number)
        prune(world.repository(), ONE, NOW)  # one of the two will go
        going = world.repository().condemned()
        stays = first if first.name not in going else largest_of(tmp_path / "backup", without=first)
        assert stays.name not in going
        harm(stays, "flipped")
        assert len(verify(world.repository(), NOW + 9, everything=True).damages) == 1
        prune(world.repository(), ONE, NOW + GRACE)
        prune(world.repository(), ONE, NOW + 2 * GRACE)
        found = verify(world.repository(), NOW + 2 * GRACE, everything=True)
        assert not found.touched
        await all_back(world, tmp_path / "new")
        await world.engine.close()

    play(scene())
