"""A location that fails: whichever write or read it is, nothing that counts is half there, and the next run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.backup.errors import LocationFailed, NoRoom
from restante.backup.folder import Folder
from restante.backup.location import Location
from restante.backup.prune import GRACE, prune
from restante.backup.retention import Keep
from restante.backup.verify import verify
from restante.clock import system_random

from .support import ANN, World, message, play, put, state

NOW = 1_800_000_000


class Failing(Location):
    """A location whose n-th call of one kind fails. kinds: names of methods."""

    def __init__(self, beneath: Location) -> None:
        self.beneath = beneath
        self.at_once = beneath.at_once
        self.kind = ""
        self.left = -1
        self.error: LocationFailed = NoRoom("full")

    def arm(self, kind: str, number: int, error: LocationFailed) -> None:
        self.kind, self.left, self.error = kind, number, error

    def _count(self, kind: str) -> None:
        if kind == self.kind:
            if self.left == 0:
                raise self.error
            self.left -= 1

    def put(self, name: str, data: bytes) -> None:
        self._count("put")
        self.beneath.put(name, data)

    def get(self, name: str, offset: int = 0, count: int | None = None) -> bytes:
        self._count("get")
        return self.beneath.get(name, offset, count)

    def size(self, name: str) -> int:
        return self.beneath.size(name)

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        self._count("names")
        return self.beneath.names(folder)

    def remove(self, name: str) -> None:
        self._count("remove")
        self.beneath.remove(name)

    def tidy(self, age: float) -> int:
        return self.beneath.tidy(age)


@pytest.mark.parametrize("kind", ["put", "get", "names"])
def test_a_run_that_fails_anywhere_leaves_a_valid_repository(tmp_path: Path, kind: str) -> None:
    async def scene() -> None:
        failing = Failing(Folder(tmp_path / "backup", system_random))
        world = World(tmp_path, failing)
        await world.fill()
        for number in range(40):
            await put(world.ann, "INBOX", *(message(number * 10 + n, "f" * 4_000) for n in range(3)))
            before = len(world.repository().snapshot_names())
            failing.arm(kind, number % 20, NoRoom("full") if number % 2 else LocationFailed("gone"))
            try:
                await world.take()
                failed = False
            except LocationFailed:
                failed = True
            failing.arm("", 0, failing.error)
            left = verify(world.repository(), NOW, everything=True)
            assert (left.touched, left.broken, [each for each in left.damages if not each.spare]) == ([], [], [])
            # One that failed at the last write of all may count: the snapshot is whole, and verified as the others.
            assert len(world.repository().snapshot_names()) - before in ((0, 1) if failed else (1,))
        done = await world.take()
        assert verify(world.repository(), NOW, everything=True).right
        engine, restored = await world.give(done.snapshot, tmp_path / "new")
        assert restored.lost == []
        assert await state(engine.account(ANN)) == await state(world.ann)
        await engine.close()
        await world.engine.close()

    play(scene())


@pytest.mark.parametrize("kind", ["put", "get", "remove"])
def test_a_prune_that_fails_anywhere_loses_nothing(tmp_path: Path, kind: str) -> None:
    async def scene() -> None:
        failing = Failing(Folder(tmp_path / "backup", system_random))
        world = World(tmp_path, failing)
        await world.fill()
        for night in range(18):
            await put(world.ann, "INBOX", message(night, "p" * 2_000))
            await world.take()
        last = await state(world.ann)
        for number in range(30):
            failing.arm(kind, number, NoRoom("full"))
            try:
                prune(world.repository(), Keep(0, 0, 0, 2), NOW + number * GRACE)
            except LocationFailed:
                pass
            failing.arm("", 0, failing.error)
            left = verify(world.repository(), NOW, everything=True)
            assert (left.touched, left.broken, [each for each in left.damages if not each.spare]) == ([], [], [])
        prune(world.repository(), Keep(0, 0, 0, 2), NOW + 99 * GRACE)
        assert verify(world.repository(), NOW, everything=True).right
        snapshot = world.repository().latest()
        assert snapshot is not None
        engine, _ = await world.give(snapshot, tmp_path / "new")
        assert await state(engine.account(ANN)) == last
        await engine.close()
        await world.engine.close()

    play(scene())
