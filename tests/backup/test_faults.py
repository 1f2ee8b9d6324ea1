"""A location that fails: whichever write or read it is, nothing that counts is half there, and the next run goes on."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.backup.errors import LocationFailed, NoRoom
from restante.backup.folder import Folder
from restante.backup.location import Location
from restante.backup.prune import GRACE, prune
from restante.backup.retention import Keep
from restante.backup.run import Done
from restante.backup.verify import verify
from restante.clock import system_random

from .sealing import SealedWorld
from .support import ALL, ANN, World, message, play, put, state

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


class Disordered(Folder):
    """Writes packs beside each other, as to a bucket. The first one of mail fails when another one is there."""

    at_once = 2
    failing = True

    def __init__(self, root: Path) -> None:
        super().__init__(root, system_random)
        self._first: str | None = None
        self._another = threading.Event()

    def put(self, name: str, data: bytes) -> None:
        if self.failing and name.startswith("mail/"):
            if self._first is None:
                self._first = name
                assert self._another.wait(60)
                raise LocationFailed("The line is down.")
            super().put(name, data)
            self._another.set()
            return
        super().put(name, data)


@pytest.mark.parametrize("sealed", [False, True], ids=["open", "sealed"])
def test_a_message_whose_pieces_were_not_written_is_written_by_the_next_run(tmp_path: Path, sealed: bool) -> None:
    """The pack with the list of its pieces was, before the run was cut off."""

    async def scene() -> None:
        location = Disordered(tmp_path / "backup")
        world = SealedWorld(tmp_path, location) if sealed else World(tmp_path, location)
        await world.fill()
        large = [message(n, random.Random(n).randbytes(3 << 20).hex()) for n in range(8)]
        await put(world.ann, "INBOX", *large)

        async def night(*, full: bool = False) -> Done:
            repository = world.writer() if isinstance(world, SealedWorld) else None
            return await world.take(full=full, repository=repository)

        with pytest.raises(LocationFailed):
            await night()
        assert list((tmp_path / "backup" / "mail").glob("*/*"))
        location.failing = False
        await night()
        found = verify(world.repository(), NOW, everything=True)
        assert (found.damages, found.touched, found.right) == ([], [], True)
        await world.engine.close()

    play(scene())


@pytest.mark.parametrize("gone", [5, 6, 7])
def test_prune_lists_no_message_of_which_pieces_were_not_written(tmp_path: Path, gone: int) -> None:
    """It was removed before the next run, and comes back after the pack with its list was taken into an index."""

    async def scene() -> None:
        world = World(tmp_path, Disordered(tmp_path / "backup"))
        await world.fill()
        large = [message(n, random.Random(n).randbytes(3 << 20).hex()) for n in range(8)]
        await put(world.ann, "INBOX", *large)
        with pytest.raises(LocationFailed):
            await world.take()
        assert isinstance(world.location, Disordered)
        world.location.failing = False
        await world.ann.expunge(1, ((gone, gone),), deleted_only=False)
        await world.take()
        prune(world.repository(), Keep(last=9), NOW)
        prune(world.repository(), Keep(last=9), NOW + GRACE)
        assert verify(world.repository(), NOW, everything=True).right
        await put(world.ann, "INBOX", large[gone - 1])
        await world.take()
        assert verify(world.repository(), NOW, everything=True).right
        await world.engine.close()

    play(scene())


def test_a_full_run_writes_pieces_again_that_went_with_a_damaged_pack(tmp_path: Path) -> None:
    """Of a message whose list of pieces is in another pack, since it came later: the same attachment."""

    async def scene() -> None:
        world = World(tmp_path)
        await world.fill()
        attached = random.Random(1).randbytes(1 << 20).hex()
        await put(world.ann, "INBOX", message(1, attached))
        await world.take()
        (pack,) = (tmp_path / "backup" / "mail").glob("*/*")
        await put(world.bob, "INBOX", message(1, attached).replace(b"Subject", b"X-Subject"))
        await world.take()
        await world.ann.expunge(1, ALL, deleted_only=False)
        pack.unlink()
        done = await world.take(full=True)
        engine, restored = await world.give(done.snapshot, tmp_path / "new")
        assert restored.lost == []
        await engine.close()
        await world.engine.close()

    play(scene())
