"""A night's verification goes through what is new, and finds what one that goes through everything finds."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from restante.backup import walk
from restante.backup.folder import Folder
from restante.backup.night import RECLAIMED, night
from restante.backup.objects import Kind
from restante.backup.repository import Repository
from restante.backup.retention import Keep
from restante.backup.verify import Verified, verify
from restante.backup.walked import Walks
from restante.clock import system_random

from .support import ANN, KEY, World, message, play, put

ALL = Keep(0, 0, 0)


@contextmanager
def went_through() -> Iterator[list[Kind]]:
    """Of what kind each object is that a verification's walk reads."""
    seen: list[Kind] = []

    class Walk(walk.Walk):
        def object(self, id: bytes, kind: Kind, called: str) -> bytes | None:
            data = super().object(id, kind, called)
            if data is not None:
                seen.append(kind)
            return data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("restante.backup.verify.Walk", Walk)
        yield seen


async def filled(folder: Path) -> World:
    world = World(folder)
    await world.fill()
    for box in ("INBOX", "Work", "Old"):
        await put(world.ann, box, *(message(number) for number in range(3)))
    await put(world.bob, "INBOX", message(9))
    return world


def walks(world: World) -> Walks:
    return Walks(world.folder / "notes", world.repository().id)


async def tonight(world: World, keep: Keep = ALL, seconds: float = 86400.0) -> list[Kind]:
    """What a good night's walk reads."""
    world.clock.advance(seconds)
    with went_through() as seen:
        done = await night(world.engine, world.repository(), world.clock, "host", {}, keep, walks=walks(world))
    assert done.problems == ()
    return seen


def test_a_night_goes_through_what_is_new(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        assert (await tonight(world)).count(Kind.SEGMENT) == 4
        assert await tonight(world) == [], "nothing is new"
        await put(world.ann, "Work", message(10))
        read = await tonight(world)
        assert (read.count(Kind.SEGMENT), read.count(Kind.ACCOUNT)) == (1, 1)
        assert await tonight(world) == []
        await world.engine.close()

    play(scene())


def test_once_in_seven_nights_it_goes_through_everything(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        nights = [len(await tonight(world)) for _ in range(15)]
        assert [number for number, read in enumerate(nights) if read] == [0, 7, 14]
        assert await tonight(world) == []
        world.clock.set(world.clock.now() - 90 * 86400.0)
        assert await tonight(world), "what is noted is of a clock that was wrong"
        await world.engine.close()

    play(scene())


def test_after_a_prune_it_goes_through_everything(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        await put(world.ann, "Old", message(77, "x" * 100_000))
        for _ in range(RECLAIMED - 3):
            await tonight(world, Keep(1, 0, 0))
        box = await world.ann.mailbox("Old")
        assert box is not None
        await world.ann.expunge(box.key, ((1, 4),), deleted_only=False)
        read = [bool(await tonight(world, Keep(1, 0, 0))) for _ in range(4)]
        assert read == [True, False, True, False], "new lists, none, packs are condemned, none"
        await world.engine.close()

    play(scene())


def found(done: Verified) -> tuple[object, ...]:
    """What somebody is told. Of damages of the same file one way of saying it is as good as another."""
    return (
        sorted(each.name for each in done.damages),
        sorted(each.id for each in done.broken),
        sorted((each.address, each.mailbox, each.uid) for each in done.touched),
        done.right,
    )


@pytest.mark.parametrize("how", ["removed", "cut", "twins"])
def test_whatever_goes_is_told_as_if_all_had_been_gone_through(tmp_path: Path, how: str) -> None:
    """Each file of the location in turn: as it lies there after some nights, of which the last went through little."""

    async def scene() -> World:
        world = await filled(tmp_path)
        for number in range(3):
            await tonight(world)
            await put(world.ann, "Work", message(20 + number))
        await tonight(world)
        await world.engine.close()
        return world

    world = play(scene())
    root = tmp_path / "backup"
    now = int(world.clock.now()) + 86400
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    packs = [name for name in names if name.startswith(("mail", "meta", "index", "twin/meta"))]
    told = 0
    for name in packs:
        results = []
        for with_walks in (True, False):
            place = tmp_path / "copy"
            shutil.copytree(root, place)
            notes = tmp_path / "notes copy"
            shutil.copytree(tmp_path / "notes", notes)
            path = place / name
            if how == "cut":
                path.write_bytes(path.read_bytes()[:-1])
            else:
                path.unlink()
                if how == "twins" and (place / "twin" / name).exists():
                    (place / "twin" / name).unlink()
            repository = Repository.open(Folder(place, system_random), KEY, system_random)
            noted = Walks(notes, repository.id) if with_walks else None
            with went_through() as seen:
                results.append(found(verify(repository, now, everything=False, walks=noted)))
            told += bool(seen) and with_walks
            shutil.rmtree(place)
            shutil.rmtree(notes)
        assert results[0] == results[1], name
    assert told == len(packs), "each of them is a reason"


def test_what_is_found_damaged_is_looked_for_in_lists_of_long_ago(tmp_path: Path) -> None:
    """A block that went wrong touches messages of lists that were passed over the night before."""

    async def scene() -> World:
        world = await filled(tmp_path)
        await tonight(world)
        assert await tonight(world) == []
        await world.engine.close()
        return world

    world = play(scene())
    (pack, *_) = [path for path in (tmp_path / "backup" / "mail").rglob("*") if path.is_file()]
    data = bytearray(pack.read_bytes())
    data[100] ^= 1
    pack.write_bytes(data)
    done = verify(world.repository(), int(world.clock.now()) + 1, everything=True, walks=walks(world))
    assert len(done.touched) == 10
    done = verify(world.repository(), int(world.clock.now()) + 2, everything=False, walks=walks(world))
    assert len(done.touched) == 10, "and again, until it is mended"


def test_messages_that_a_snapshot_lacks_are_counted_each_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        taken = await world.take()
        from restante.backup.objects import AccountData
        from restante.backup.run import lines_of

        root = world.repository().read(lines_of(world.repository(), taken.snapshot)[ANN].root, AccountData)
        assert root.missing == ()
        read = walk.Walk.read

        def lacking(self: walk.Walk, id: bytes, what: type[object], called: str) -> object:
            made = read(self, id, what, called)  # type: ignore[type-var]  # whatever it is
            return made if not isinstance(made, AccountData) else _lacking(made)

        monkeypatch.setattr(walk.Walk, "read", lacking)
        await tonight(world)
        assert await tonight(world), "what lacks something is never passed over"
        await world.engine.close()

    play(scene())


def _lacking(root: object) -> object:
    import msgspec

    assert isinstance(root, msgspec.Struct)
    return msgspec.structs.replace(root, missing=(bytes(32),))


def test_a_note_that_cannot_be_used_or_kept_costs_a_walk_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        await tonight(world)
        (file,) = (tmp_path / "notes").iterdir()
        assert file.stat().st_mode & 0o077 == 0
        whole = file.read_bytes()
        for wrong in (b"", whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), bytes(32) + b"\x90"):
            file.write_bytes(wrong)
            assert await tonight(world, seconds=60.0), "everything"
            assert await tonight(world, seconds=60.0) == [], "and it is noted again"
        shutil.rmtree(tmp_path / "notes")
        (tmp_path / "notes").write_text("a file")
        with caplog.at_level(logging.WARNING):
            assert await tonight(world)
        assert "cannot be noted" in caplog.text
        await world.engine.close()

    play(scene())
