"""A folder that nobody but us has changed is not read again; whatever another program does is seen all the same."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from restante.sync.maildir import MaildirSide, alone, scan
from restante.sync.maildir.look import state_of
from restante.sync.model import Changes, FlagChange, Flags
from restante.sync.side import Side

from .maildirs import NONE, SEEN, deliver, everything, maildir, message, opened, reflag, side

pytestmark = [
    pytest.mark.in_memory,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells on Linux alone"),
]

FLAGGED: Flags = frozenset({"\\Flagged"})


class Readings:
    """How often the names of a directory with messages were read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        listed = scan._listed

        def counting(folder: int, sub: str) -> set[str]:
            self.count += 1
            return listed(folder, sub)

        monkeypatch.setattr(scan, "_listed", counting)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    return Readings(monkeypatch)


def later(root: Path) -> None:
    """Until the file system's clock has gone on since the folder was changed: else its time proves nothing."""
    times = [(root / sub).stat().st_mtime_ns for sub in ("cur", "new")]
    probe = root / "probe"
    probe.touch()
    while probe.stat().st_mtime_ns <= max(times):
        os.utime(probe)
    probe.unlink()


async def look(one: Side, since: Changes) -> Changes:
    await one.places()
    return await one.changes("INBOX", since.cursor)


async def begun(one: MaildirSide, root: Path) -> Changes:
    """All that is there, and the index knows it to be so."""
    later(root)
    await one.places()
    return await everything(one)


def test_our_own_changes_are_known_without_reading(tmp_path: Path, readings: Readings) -> None:
    root = maildir(tmp_path / "Mail")
    for number in range(6):
        deliver(root, number, "" if number % 2 else None)

    async def act() -> None:
        async with opened(tmp_path) as one:
            known = await begun(one, root)
            before = readings.count
            uids = list(known.uids)
            await one.set_flags("INBOX", [FlagChange(uids[:3], FLAGGED, NONE), FlagChange(uids[1:2], SEEN, FLAGGED)])
            later(root)
            known = await look(one, known)
            assert list(known.flags) == [FLAGGED, SEEN, FLAGGED]
            await one.remove("INBOX", uids[4:])
            await one.add("INBOX", [message(10), message(11, SEEN)])
            await one.set_flags("INBOX", [FlagChange(uids[:1], NONE, FLAGGED)])
            later(root)
            known = await look(one, known)
            assert list(known.vanished) == uids[4:]
            assert list(known.flags) == [NONE, NONE, SEEN]
            assert readings.count == before
        async with opened(tmp_path) as one:  # the index is the picture of what is there
            await one.places()
            assert readings.count == before
            await one.changes("INBOX", known.cursor)
            (root / "cur" / "x").touch()
            (root / "cur" / "x").unlink()
            later(root)
            assert not len((await look(one, known)).uids)
            assert readings.count > before

    asyncio.run(act())


def rename(root: Path) -> None:
    reflag(next(path for path in sorted((root / "cur").iterdir()) if "M5P1" in path.name), "R")


OTHERS: dict[str, tuple[Callable[[Path], object], tuple[int, int]]] = {
    "a message": (lambda root: deliver(root, 50), (1, 0)),
    "a message with flags": (lambda root: deliver(root, 50, "S"), (1, 0)),
    "a flag": (rename, (1, 0)),
    "a removal": (lambda root: next(path for path in (root / "cur").iterdir() if "M5P1" in path.name).unlink(), (0, 1)),
    "keywords": (lambda root: (root / "dovecot-keywords").write_text("0 Work\n"), (0, 0)),
}


@pytest.mark.parametrize("at", ["before", "renaming", "renamed", "syncing directories", "done", "looked"])
@pytest.mark.parametrize("other", OTHERS)
def test_what_others_do_meanwhile_is_seen(tmp_path: Path, readings: Readings, other: str, at: str) -> None:
    """Before, between and behind our renames, and between two looks."""
    root = maildir(tmp_path / "Mail")
    for number in range(6):
        deliver(root, number, "")
    meddle, (new, gone) = OTHERS[other]
    armed = False

    def step(label: str) -> None:
        if armed and label == at:
            meddle(root)

    async def act() -> None:
        nonlocal armed
        async with opened(tmp_path, step=step) as one:
            known = await begun(one, root)
            before = readings.count
            if at == "before":
                meddle(root)
            armed = True
            await one.set_flags("INBOX", [FlagChange(list(known.uids)[:3], FLAGGED, NONE)])
            armed = False
            if at == "done":
                meddle(root)
            later(root)
            after = await look(one, known)
            if at == "looked":
                assert readings.count == before
                assert (len(after.uids), len(after.vanished)) == (3, 0)
                meddle(root)
                later(root)
                after = await look(one, known)
            assert readings.count > before
            assert (len(after.uids), len(after.vanished)) == (3 + new, gone)
        async with opened(tmp_path) as again:
            assert len((await everything(again)).uids) == len([*(root / "cur").iterdir(), *(root / "new").iterdir()])

    asyncio.run(act())


def test_what_the_kernel_does_not_tell_of_is_not_believed(tmp_path: Path) -> None:
    """A file system that tells of nothing, whatever its kind."""
    root = maildir(tmp_path / "Mail")
    folder = os.open(root, os.O_RDONLY)
    one = alone.Alone()
    assert one.begin(1, folder, state_of(folder))
    assert one.still(1, folder, state_of(folder))
    one.did(1, [(0, alone.MOVED_TO, b"1700000000.x:2,S")])
    assert not one.still(1, folder, state_of(folder))
    one.close()
    os.close(folder)


def test_a_change_that_failed_half_way_is_looked_at(tmp_path: Path, readings: Readings) -> None:
    """The index took back what it said; the files have their new names."""
    root = maildir(tmp_path / "Mail")
    for number in range(4):
        deliver(root, number, "")
    armed = False

    class Stop(Exception):
        pass

    def step(label: str) -> None:
        if armed and label == "syncing directories":
            raise Stop

    async def act() -> None:
        nonlocal armed
        async with opened(tmp_path, step=step) as one:
            known = await begun(one, root)
            armed = True
            with pytest.raises(Stop):
                await one.set_flags("INBOX", [FlagChange(list(known.uids), FLAGGED, NONE)])
            armed = False
            later(root)
            assert list((await look(one, known)).flags) == [FLAGGED] * 4

    asyncio.run(act())


def overrun(file: Path) -> None:
    """More than the kernel keeps to be told."""
    for _ in range(int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()) // 2 + 2):
        file.touch()
        file.unlink()


@pytest.mark.parametrize("why", ["file system", "no watches", "a queue that ran over"])
def test_where_the_kernel_does_not_tell_the_folder_is_read(
    tmp_path: Path, readings: Readings, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    root = maildir(tmp_path / "Mail")
    deliver(root, 1, "")
    if why == "file system":
        monkeypatch.setattr(alone, "LOCAL", frozenset())
    elif why == "no watches":
        monkeypatch.setattr(alone.Alone, "_ready", lambda self: False)

    async def act() -> None:
        async with opened(tmp_path) as one:
            known = await begun(one, root)
            before = readings.count
            await one.set_flags("INBOX", [FlagChange(list(known.uids), FLAGGED, NONE)])
            if why == "a queue that ran over":
                overrun(root / "cur" / "x")
            later(root)
            assert list((await look(one, known)).flags) == [FLAGGED]
            assert readings.count > before

    asyncio.run(act())


def test_a_directory_that_somebody_removed(tmp_path: Path) -> None:
    """No mailbox less for it: new is where nothing is new."""
    root = maildir(tmp_path / "Mail")
    deliver(root, 1, "")

    async def act() -> None:
        async with opened(tmp_path) as one:
            known = await begun(one, root)
            await one.set_flags("INBOX", [FlagChange(list(known.uids), FLAGGED, NONE)])
            later(root)
            (root / "new").rmdir()
            assert (await one.places())[0].messages == 1
            assert list((await one.changes("INBOX", known.cursor)).flags) == [FLAGGED]

    asyncio.run(act())


def test_two_sides_of_one_tree_see_each_other(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    for number in range(4):
        deliver(root, number, "")

    async def act() -> None:
        async with opened(tmp_path) as one:
            known = await begun(one, root)
            other = side(tmp_path)
            await other.open()
            try:
                await other.places()
                uids = list(known.uids)
                await one.set_flags("INBOX", [FlagChange(uids[:2], FLAGGED, NONE)])
                await other.set_flags("INBOX", [FlagChange(uids[1:], SEEN, NONE)])
                await one.set_flags("INBOX", [FlagChange(uids[3:], FLAGGED, NONE)])
                later(root)
                for each in (one, other):
                    after = await look(each, known)
                    assert list(after.flags) == [FLAGGED, FLAGGED | SEEN, SEEN, FLAGGED | SEEN]
            finally:
                await other.close()

    asyncio.run(act())
