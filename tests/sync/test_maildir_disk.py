"""A disk that is full or slow, files made durable, and waiting for changes."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from contextlib import ExitStack
from pathlib import Path

import pytest

from restante.clock import ManualClock
from restante.sync.engine import run as run_copy
from restante.sync.maildir import MaildirSide, durable, watch, write
from restante.sync.maildir.durable import Durable
from restante.sync.settings import CopySettings, Report
from restante.sync.side import MailboxUnavailable
from restante.sync.state import State

from .maildirs import SEEN, deliver, everything, files, maildir, message, opened, picture, reflag, run, subjects
from .memory import Disk, MemorySide


def test_a_full_disk_takes_what_fits_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, room, real = tmp_path / "Mail", 3, os.write

    def scarce(handle: int, data: bytes) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        if room == 1:
            room = 0
            return real(handle, bytes(data)[:10])  # and then it is full
        room -= 1
        return real(handle, data)

    async def act() -> None:
        async with opened(tmp_path) as one:
            monkeypatch.setattr(os, "write", scarce)
            answers = await one.add("INBOX", [message(n, SEEN) for n in range(6)])
            monkeypatch.undo()
            assert [bool(each.uid) for each in answers] == [True, True, False, False, False, False]
            assert all(each.temporary and each.refused for each in answers[2:])
            assert subjects(root) == [0, 1]
            assert len(files(root)) == 2
            assert [each.uid for each in answers[:2]] == list((await everything(one)).uids)
            await one.remove("INBOX", [answers[0].uid])
            assert subjects(root) == [1]

    asyncio.run(act())


def test_a_disk_that_is_full_only_when_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def files_(self: Durable, handles: list[int]) -> list[OSError | None]:
        return [OSError(errno.EDQUOT, "quota") if n == 1 else None for n, _ in enumerate(handles)]

    async def act() -> None:
        async with opened(tmp_path) as one:
            monkeypatch.setattr(Durable, "files", files_)
            answers = await one.add("INBOX", [message(n, SEEN) for n in range(3)])
            assert [bool(each.uid) for each in answers] == [True, False, True]
            assert len(files(tmp_path / "Mail")) == 2

    asyncio.run(act())


def test_an_error_of_the_disk_is_told_and_leaves_nothing_in_tmp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    async def act() -> None:
        async with opened(tmp_path) as one:
            monkeypatch.setattr(os, "fsync", broken)
            with pytest.raises(MailboxUnavailable):
                await one.add("INBOX", [message(1), message(2)])
            monkeypatch.undo()
            assert files(tmp_path / "Mail") == []
            assert (await one.add("INBOX", [message(1)]))[0].uid

    asyncio.run(act())


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
def test_a_file_that_cannot_be_read_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Another user's, which a program has delivered as root, or one on a bad sector."""
    disk, clock, real = Disk(), ManualClock(), os.open
    root = tmp_path / "Mail"

    def broken(path: object, *rest: object, **more: object) -> int:
        if isinstance(path, bytes) and b"M2P" in path:
            raise OSError(code, "It cannot be read")
        return real(path, *rest, **more)  # type: ignore[arg-type]  # passed on as they came

    def sync() -> Report:
        state = State.open(tmp_path / "state.db")
        try:
            near = MaildirSide(root, tmp_path / "index.db", clock=clock)
            return asyncio.run(run_copy(CopySettings(), MemorySide(disk), near, state, clock))
        finally:
            state.close()

    sync()
    paths = [deliver(root, number, "S") for number in (1, 2, 3)]
    disk.deliver("INBOX", message(4).data)
    monkeypatch.setattr(os, "open", broken)
    report = sync()
    assert (report.one.added, report.two.added, report.left_out) == (2, 1, ())
    (aside,) = report.aside
    assert f"its file cur/{paths[1].name} cannot be read" in aside.reason
    assert (sync().changed, subjects(root)) == (0, [1, 2, 3, 4])

    async def headers() -> list[tuple[int, bytes]]:
        near = MaildirSide(root, tmp_path / "index.db", clock=clock)
        await near.open()
        try:
            await near.places()
            return await near.headers("INBOX", [1, 2, 3, 4])
        finally:
            await near.close()

    assert len(asyncio.run(headers())) == 3
    monkeypatch.undo()
    clock.advance(700)
    report = sync()
    assert (report.one.added, report.aside) == (1, ())
    assert len(disk.boxes["INBOX"].messages) == 4


@pytest.mark.parametrize("held", [0, 300])
def test_many_messages_with_few_files_open(tmp_path: Path, held: int) -> None:
    """held: files that others have open, more than half of what the process may open in all."""

    async def act(most: int) -> None:
        async with opened(tmp_path) as one:
            await one.places()
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most + 64, hard))
            try:
                answers = await one.add("INBOX", [message(n) for n in range(200)])
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert all(each.uid for each in answers)

    with ExitStack() as others:
        for _ in range(held):
            others.enter_context(Path(os.devnull).open("rb"))
        asyncio.run(act(max(int(path.name) for path in Path("/proc/self/fd").iterdir())))


# Durable ----------------------------------------------------------------------------------------------


class Calls:
    """What was asked of the kernel."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, whole: int = 0, seconds: float = 0.0) -> None:
        self.clock = ManualClock()
        self.each: list[int] = []
        self.whole: list[int] = []
        monkeypatch.setattr(durable, "_fsync", self.fsync)
        monkeypatch.setattr(durable, "_find_syncfs", lambda root: self.syncfs)
        self.answer, self.seconds = whole, seconds

    def fsync(self, handle: int) -> OSError | None:
        self.each.append(handle)
        return OSError(errno.EIO, "bad") if handle == 13 else None

    def syncfs(self, handle: int) -> int:
        self.whole.append(handle)
        self.clock.advance(self.seconds)
        return self.answer


def test_many_files_are_synced_at_once_and_few_each(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)
    one = Durable(calls.clock, 0)
    assert one.files(range(100, 200)) == [None] * 100
    assert one.files([1, 2]) == [None] * 2
    assert (calls.whole, calls.each) == ([100], [1, 2])
    one.close()


def test_where_syncing_at_once_fails_each_file_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch, whole=-1)
    one = Durable(calls.clock, 0)
    errors = one.files(range(20))
    assert [n for n, error in enumerate(errors) if error is not None] == [13]
    assert sorted(calls.each) == list(range(20))
    one.close()


def test_where_others_write_much_files_are_synced_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch, seconds=2.0)
    one = Durable(calls.clock, 0)
    one.files(range(20, 40))
    assert calls.each == []
    one.files(range(20, 40))
    assert calls.whole == [20]
    assert sorted(calls.each) == list(range(20, 40))
    one.close()


@pytest.mark.parametrize(
    ("release", "version"), [("6.1.0-13-amd64", (6, 1)), ("5.8", (5, 8)), ("5.10rc", (0, 0)), ("x", (0, 0))]
)
def test_kernels_are_told_apart(release: str, version: tuple[int, int]) -> None:
    assert durable._version(release) == version


# Waiting ----------------------------------------------------------------------------------------------


@pytest.fixture(params=["notes", "looks"])
def telling(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Told by the kernel (never by a look later than the first), or by looks."""
    if request.param == "notes":
        if watch.Notes is None or os.uname().sysname != "Linux":
            pytest.skip("inotify")
        monkeypatch.setattr(watch, "CHECK", 3600.0)
    else:
        monkeypatch.setattr(watch.Notes, "open", lambda paths: None)
        monkeypatch.setattr(watch, "POLL", 0.01)
    return str(request.param)


def test_what_others_do_is_told(tmp_path: Path, telling: str) -> None:
    root = tmp_path / "Mail"

    async def act(one: MaildirSide) -> None:
        names = ["INBOX", "Work"]
        await one.create("Work", None)

        async def told(*what: str) -> None:
            async with asyncio.timeout(30):
                assert await waiting == set(what)
            await one.places()

        await one.places()
        waiting = asyncio.create_task(one.wait(names))
        path = deliver(root / ".Work", 1)
        await told("Work")
        waiting = asyncio.create_task(one.wait(names))
        path = reflag(path, "F")
        await told("Work")
        waiting = asyncio.create_task(one.wait(names))
        path = path.rename(root / "cur" / path.name)
        async with asyncio.timeout(30):
            found = await waiting
        assert found in ({"INBOX", "Work"}, {"INBOX"}, {"Work"})  # a rename is seen from both ends, perhaps in turn
        await one.places()
        waiting = asyncio.create_task(one.wait(names))
        maildir(tmp_path / "made").rename(root / ".New")
        await told("")
        waiting = asyncio.create_task(one.wait([*names, "New"]))
        deliver(root / ".New", 2)
        await told("New")
        waiting = asyncio.create_task(one.wait([*names, "New"]))
        (root / ".New").rename(tmp_path / "gone")
        await told("", "New")

    run(tmp_path, act)


def test_what_happened_before_waiting_is_told_at_once(tmp_path: Path, telling: str) -> None:
    root = maildir(tmp_path / "Mail")

    async def act(one: MaildirSide) -> None:
        for number in range(20):
            await one.places()
            deliver(root, number)
            async with asyncio.timeout(30):
                assert await one.wait(["INBOX"]) == {"INBOX"}

    run(tmp_path, act)


def test_our_own_changes_and_readers_that_only_open_wake_nobody(tmp_path: Path, telling: str) -> None:
    root = tmp_path / "Mail"

    async def act(one: MaildirSide) -> None:
        await one.create("Work", None)
        await one.places()
        await one.add("INBOX", [message(1), message(2, SEEN)])
        uids = (await everything(one)).uids
        await one.move("INBOX", uids[:1], "Work")
        await one.remove("INBOX", uids[1:])
        reflag(next((root / ".Work" / "new").iterdir()), "")
        waiting = asyncio.create_task(one.wait(["INBOX", "Work"]))
        deliver(root, 9)
        async with asyncio.timeout(30):
            assert await waiting == {"INBOX"}

    run(tmp_path, act)


def test_what_a_cancelled_wait_found_is_told_by_the_next(tmp_path: Path, telling: str) -> None:
    root = maildir(tmp_path / "Mail")

    async def act(one: MaildirSide) -> None:
        await one.places()
        deliver(root, 1)
        for _ in range(5):
            waiting = asyncio.create_task(one.wait(["INBOX"]))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        async with asyncio.timeout(30):
            assert await one.wait(["INBOX"]) == {"INBOX"}
        assert len(await picture(one)) == 1

    run(tmp_path, act)


def test_batches_are_bounded() -> None:
    assert write.BATCH <= 1024 // 4
