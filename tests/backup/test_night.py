"""A night's work: a snapshot, the retention, a share read back; and what makes a night a bad one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from restante.backup import names
from restante.backup.errors import LocationFailed, NoRoom
from restante.backup.folder import Folder
from restante.backup.night import RECLAIMED, night
from restante.backup.outcome import Night
from restante.backup.retention import Keep
from restante.backup.verify import verify
from restante.backup.walked import Walks
from restante.clock import system_random

from .support import ANN, World, message, play, put

KEEP = Keep(3, 2, 1)


async def tonight(world: World, keep: Keep = KEEP) -> Night:
    world.clock.advance(86400.0)
    repository = world.repository()
    walks = Walks(world.folder / "notes", repository.id)
    return await night(world.engine, repository, world.clock, "host", {}, keep, walks=walks)


def snapshots(world: World) -> int:
    return len(world.repository().snapshot_names())


async def filled(folder: Path) -> World:
    world = World(folder)
    await world.fill()
    await put(world.ann, "INBOX", *(message(number) for number in range(5)))
    await put(world.bob, "INBOX", message(9))
    return world


def test_nights_are_taken_forgotten_and_read_back(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        first = await tonight(world)
        assert (first.problems, first.messages, first.forgotten) == ((), 6, 0)
        assert first.written > 0
        assert first.read_back > 0
        nights = [await tonight(world) for _ in range(12)]
        assert [each.problems for each in nights] == [()] * 12
        assert sum(each.messages for each in nights) == 0, "nothing changed"
        assert sum(each.forgotten for each in nights) == 13 - snapshots(world) > 0
        assert snapshots(world) <= 3 + 2 + 1
        await world.engine.close()

    play(scene())


def test_room_is_reclaimed_in_one_night_of_seven(tmp_path: Path) -> None:
    """Snapshots are forgotten each night; lists are gone through for what nobody needs any more in few."""

    async def scene() -> None:
        world = await filled(tmp_path)
        await put(world.ann, "INBOX", message(77, "x" * 100_000))
        await tonight(world, Keep(1, 0, 0))
        box = await world.ann.mailbox("INBOX")
        assert box is not None
        await world.ann.expunge(box.key, ((6, 6),), deleted_only=False)
        packs, condemned = [], []
        for _ in range(20):
            assert (await tonight(world, Keep(1, 0, 0))).problems == ()
            assert snapshots(world) == 1
            repository = world.repository()
            packs.append(sum(size for _, size in repository.location.names("mail")))
            condemned.append(repository.condemned_lists()[0])  # written anew each time
        walked = [night for night in range(2, 22) if night % RECLAIMED == 0]
        assert [night for night in range(3, 22) if condemned[night - 2] != condemned[night - 3]] == walked
        smaller = [night for night in range(3, 22) if packs[night - 2] < packs[night - 3]]
        assert smaller == [14], "condemned with the seventh snapshot, gone with the fourteenth"
        assert verify(world.repository(), int(world.clock.now()), everything=True).right
        await world.engine.close()

    play(scene())


def lists(world: World) -> list[str]:
    """Of condemned packs: written anew each time that what nobody needs is looked for."""
    return world.repository().condemned_lists()[0]


def test_room_is_reclaimed_though_no_nights_own_number_is_a_seventh(tmp_path: Path) -> None:
    """Six other snapshots a day: each night's number is as far from a seventh as the last one's."""

    async def scene() -> None:
        world = await filled(tmp_path)
        await put(world.ann, "INBOX", message(77, "x" * 100_000))
        await night(world.engine, world.repository(), world.clock, "host", {}, Keep(1, 0, 0))
        box = await world.ann.mailbox("INBOX")
        assert box is not None
        await world.ann.expunge(box.key, ((6, 6),), deleted_only=False)
        seen = []
        for _ in range(3):
            for _ in range(6):
                world.clock.advance(3 * 3600.0)
                await world.take()
            world.clock.advance(6 * 3600.0)
            assert (await night(world.engine, world.repository(), world.clock, "host", {}, KEEP)).problems == ()
            seen.append(lists(world))
        assert names.snapshot_serial(world.repository().snapshot_names()[-1]) % RECLAIMED == 1
        assert seen[0]
        assert seen[0] != seen[1] != seen[2]
        await world.engine.close()

    play(scene())


def test_the_attempt_after_one_that_failed_reclaims(tmp_path: Path) -> None:
    async def scene() -> None:
        world = World(tmp_path, location := Full(tmp_path / "backup", system_random))
        await world.fill()
        for _ in range(RECLAIMED - 1):
            await put(world.ann, "INBOX", message(snapshots(world)))
            assert (await tonight(world, Keep(1, 0, 0))).problems == ()
        location.full, location.what = True, ("twin/condemned/",)
        failed = await tonight(world, Keep(1, 0, 0))
        assert failed.passing
        assert "Old snapshots were not forgotten" in failed.problems[0]
        location.full = False
        assert lists(world) == []
        world.clock.advance(300.0)
        again = await night(world.engine, world.repository(), world.clock, "host", {}, Keep(1, 0, 0))
        assert again.problems == ()
        assert lists(world)
        assert (await tonight(world, Keep(1, 0, 0))).problems == ()
        kept = lists(world)
        assert (await tonight(world, Keep(1, 0, 0))).problems == ()
        assert lists(world) == kept, "not each night from now on"
        await world.engine.close()

    play(scene())


def test_a_night_says_how_much_has_been_read_back_and_when_longest_ago(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        for number in range(40):  # more than one share's octets each
            await put(world.ann, "INBOX", message(1000 + number, "x" * 3000))
            world.clock.advance(1.0)
            await world.take()
        nights = []
        for _ in range(35):
            nights.append((await tonight(world, Keep(0, 0, 0)), world.clock.now()))
        assert all(night.checked is not None for night, _ in nights)
        told = [(night.checked.fresh, now - (night.checked.oldest or 0)) for night, now in nights if night.checked]
        assert 0 < told[0][0] < 0.5, "a share"
        assert told[0][0] < told[9][0] < told[19][0] < told[29][0]
        assert min(fresh for fresh, _ in told[29:]) > 0.9, "all but what came last"
        assert max(age for _, age in told) <= 30 * 86400.0
        await world.engine.close()

    play(scene())


def test_where_all_is_kept_nothing_is_removed(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        for _ in range(5):
            assert (await tonight(world, Keep(0, 0, 0))).problems == ()
        assert snapshots(world) == 5
        await world.engine.close()

    play(scene())


def test_a_flipped_bit_makes_a_bad_night_within_thirty_and_each_one_after(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        for _ in range(3):
            await put(world.ann, "INBOX", message(100 + snapshots(world)))
            assert (await tonight(world)).problems == ()
        packs = sorted((tmp_path / "backup" / "mail").rglob("*"))
        pack = next(path for path in packs if path.is_file())
        data = bytearray(pack.read_bytes())
        data[-1] ^= 1
        pack.chmod(0o600)
        pack.write_bytes(data)
        nights = [await tonight(world) for _ in range(30)]
        bad = [bool(each.problems) for each in nights]
        assert True in bad
        assert bad[bad.index(True) :] == [True] * (30 - bad.index(True)), "told every night until it is mended"
        assert "backup verify --all" in " ".join(nights[-1].problems)
        assert not any(each.passing for each in nights)
        await world.engine.close()

    play(scene())


def test_an_account_that_is_left_out_makes_a_bad_night_with_a_snapshot(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        await tonight(world)
        await world.engine.leave(ANN)
        path = world.engine.path(ANN)
        path.write_bytes(bytes(path.stat().st_size))
        bad = await tonight(world)
        assert bad.snapshot
        assert "ann@example.com was left out" in " ".join(bad.problems)
        assert not bad.passing, "damage stays"
        await world.engine.close()

    play(scene())


def test_a_location_that_is_gone_makes_a_bad_night_that_forgets_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        for _ in range(4):
            await tonight(world, Keep(0, 0, 0))
        repository = world.repository()
        shutil.move(tmp_path / "backup", tmp_path / "elsewhere")
        (tmp_path / "backup").write_text("a file, where the disk was mounted")
        await put(world.ann, "INBOX", message(77))
        world.clock.advance(86400.0)
        bad = await night(world.engine, repository, world.clock, "host", {}, Keep(1, 0, 0))
        assert (bad.snapshot, bad.forgotten, len(bad.problems)) == ("", 0, 1)
        assert bad.passing, "the disk may come back"
        (tmp_path / "backup").unlink()
        shutil.move(tmp_path / "elsewhere", tmp_path / "backup")
        assert snapshots(world) == 4
        assert (await tonight(world, Keep(0, 0, 0))).problems == ()
        await world.engine.close()

    play(scene())


class Vanishing(Folder):
    """A disk that somebody unmounts while a run goes on, before the file of this name is written."""

    before = ""

    def put(self, name: str, data: bytes) -> None:
        if self.before and name.startswith(self.before):
            self.before = ""
            self.root.rename(self.root.with_name("elsewhere"))
            self.root.mkdir()
        super().put(name, data)


@pytest.mark.parametrize("before", ["mail/", "index/", "twin/snapshots/", "written/"])
def test_a_disk_that_is_unmounted_in_the_middle_is_no_empty_backup(tmp_path: Path, before: str) -> None:
    async def scene() -> None:
        location = Vanishing(tmp_path / "backup", system_random)
        world = World(tmp_path, location)
        await world.fill()
        await put(world.ann, "INBOX", message(1))
        await tonight(world, Keep(0, 0, 0))
        await put(world.ann, "INBOX", message(2))
        world.location = location = Vanishing(tmp_path / "backup", system_random)  # of another process
        location.before = before
        bad = await tonight(world, Keep(0, 0, 0))
        assert (bad.snapshot, len(bad.problems), bad.passing) == ("", 1, True)
        assert "There is no backup at" in bad.problems[0]
        assert list((tmp_path / "backup").iterdir()) == [], "nothing is begun there"
        (tmp_path / "backup").rmdir()
        (tmp_path / "elsewhere").rename(tmp_path / "backup")
        assert (await tonight(world, Keep(0, 0, 0))).problems == ()
        await world.engine.close()

    play(scene())


@pytest.mark.parametrize("folder", ["condemned", "written"])
def test_a_list_that_is_listed_and_not_there_holds_no_night_up(tmp_path: Path, folder: str) -> None:
    """A link that leads nowhere, or a bucket that lists what it does not give: it was asked for without end."""

    async def scene() -> None:
        world = await filled(tmp_path)
        await tonight(world)
        (tmp_path / "backup" / folder).mkdir(exist_ok=True)
        (link := tmp_path / "backup" / folder / ("0" * 64)).symlink_to(tmp_path / "nowhere")
        bad = await tonight(world)
        assert bool(bad.problems) == (folder == "condemned"), "which packs will go must be known"
        link.unlink()
        assert (await tonight(world)).problems == ()
        await world.engine.close()

    play(scene())


class Full(Folder):
    """A location without room: what is there can be read."""

    full = False
    what: tuple[str, ...] = ("read/",)

    def put(self, name: str, data: bytes) -> None:
        if self.full and name.startswith(self.what):
            raise NoRoom("There is no room at the backup's location.")
        super().put(name, data)


def test_what_is_read_back_is_told_where_nothing_can_be_written(tmp_path: Path) -> None:
    async def scene() -> None:
        location = Full(tmp_path / "backup", system_random)
        world = World(tmp_path, location)
        await world.fill()
        await put(world.ann, "INBOX", *(message(number) for number in range(5)))
        await tonight(world)
        location.full = True
        found = verify(world.repository(), int(world.clock.now()), everything=True)
        assert (found.right, found.unnoted is None) == (True, False)
        bad = await tonight(world)
        assert len(bad.problems) == 1
        assert "cannot be noted" in bad.problems[0]
        assert (bad.passing, bad.checked is None) == (True, False)
        (pack,) = (tmp_path / "backup" / "mail").rglob("?" * 64)
        data = bytearray(pack.read_bytes())
        data[100] ^= 1
        pack.write_bytes(data)
        assert len(verify(world.repository(), int(world.clock.now()), everything=True).touched) == 5
        await world.engine.close()

    play(scene())


def test_a_disk_that_is_unmounted_before_it_is_read_back_is_no_damage(tmp_path: Path) -> None:
    async def scene() -> None:
        world = await filled(tmp_path)
        await tonight(world)
        repository = world.repository()
        (tmp_path / "backup").rename(tmp_path / "elsewhere")
        (tmp_path / "backup").mkdir()
        with pytest.raises(LocationFailed, match="any more"):
            verify(repository, int(world.clock.now()), everything=False)
        await world.engine.close()

    play(scene())
