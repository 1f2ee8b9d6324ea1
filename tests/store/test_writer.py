"""When the disk fails or fills: nothing half done, other work unhurt, removals still possible. What waits for what."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from restante.clock import system_random
from restante.store.errors import DiskFull, StoreFailed, StoreRefusal
from restante.store.model import FlagMode, Flags
from restante.store.sqlite.account import SqliteStore
from restante.store.sqlite.engine import SqliteEngine
from restante.store.sqlite.handles import FILLED_LOG, LOG, Handle, connect
from restante.store.sqlite.hints import Hints
from restante.store.sqlite.schema import PAGE_SIZE
from restante.store.sqlite.transaction import Write
from restante.store.sqlite.writer import GROUP, Writers
from tests.engines.making import ACCOUNT, ALL, Installation, fill, inbox, new


class FaultyFile(apsw.VFSFile):
    """A file whose nth write or sync, counted over all files, fails."""

    def __init__(self, vfs: FaultyDisk, name: Any, flags: list[int]) -> None:
        self._disk = vfs
        super().__init__("unix", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - the base class names it
        self._disk.tick()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - the base class names it
        self._disk.tick()
        super().xSync(flags)


class FaultyDisk(apsw.VFS):
    """The system's files, one operation of which fails. left: operations until then, -1: none fails."""

    def __init__(self) -> None:
        self.left = -1
        self.failed = False
        super().__init__("faulty", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - the base class names it
        return FaultyFile(self, name, flags)

    def tick(self) -> None:
        if self.left > 0:
            self.left -= 1
        elif self.left == 0:
            self.left = -1
            self.failed = True
            raise apsw.IOError("told to fail")


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    found = FaultyDisk()
    yield found
    found.unregister()


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation("sqlite", tmp_path / "data")


def engine_of(installation: Installation, reserve: int = 0) -> SqliteEngine:
    return SqliteEngine(installation.data, installation.clock, system_random, reserve=reserve)


Act = Callable[[SqliteStore, int], Any]

ACTS: dict[str, Act] = {
    "append": lambda store, box: _append(store, box),
    "flags": lambda store, box: store.store_flags(box, ALL, FlagMode.ADD, Flags.of(["\\Flagged", "$New"])),
    "move": lambda store, box: store.move(box, ((1, 2),), box + 1),
    "expunge": lambda store, box: store.expunge(box, ((3, 3),), deleted_only=False),
    "create": lambda store, box: store.create_mailbox("X/Y"),
}


async def _append(store: SqliteStore, box: int) -> object:
    return await store.append(box, [await new(store, b"octets " * 40_000, "$Other")])


async def state(store: SqliteStore) -> list[object]:
    found: list[object] = [await store.mailboxes(), (await store.stats()).modseq]
    for box in await store.mailboxes():
        found.append(list((await store.snapshot(box.key)).uids.uids))
        found.append((await store.delta(box.key, 0)).changed)
    return found


@pytest.mark.parametrize("name", list(ACTS))
def test_a_write_that_fails_leaves_nothing_and_the_next_one_works(
    installation: Installation, disk: FaultyDisk, name: str
) -> None:
    """Fail the nth write or sync, for every n the command has."""

    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        box = await inbox(store)
        await store.create_mailbox("Other")
        await fill(store, box, 4)
        before = await state(store)
        for n in range(100):
            disk.left, disk.failed = n, False
            try:
                await ACTS[name](store, box)
            except StoreRefusal:
                assert disk.failed
                disk.left = -1
                assert await state(store) == before, f"after failing operation {n}"
            else:
                break
        assert not disk.failed
        assert n > 0
        disk.left = -1
        assert await state(store) != before
        await engine.close()
        again = engine_of(installation)
        assert [finding async for finding in again.account(ACCOUNT).doctor(False) if finding.code == "file"] == []
        await again.close()

    asyncio.run(scene())


class ReadOnlyDisk(apsw.VFS):
    """The system's files, which may be opened for reading alone while `closed` says so: as SQLite does by itself where
    the system refuses more (EROFS, EACCES)."""

    def __init__(self) -> None:
        self.closed = False
        super().__init__("readonly", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - the base class names it
        if self.closed and flags[0] & apsw.SQLITE_OPEN_READWRITE:
            flags[0] = flags[0] & ~(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) | apsw.SQLITE_OPEN_READONLY
        return apsw.VFSFile("unix", name, flags)


def test_a_disk_that_could_not_be_written_to_for_a_moment_is_written_to_again(installation: Installation) -> None:
    """The file stayed open for reading as long as somebody used the account."""

    mount = ReadOnlyDisk()

    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        box = await inbox(store)
        await _append(store, box)
        engine.handles.forget(ACCOUNT)
        mount.closed = True
        with pytest.raises(StoreFailed):
            await _append(store, box)
        before = await state(store)  # a reader has it open, too
        mount.closed = False
        assert await _append(store, box)
        assert await state(store) != before
        await engine.close()

    try:
        asyncio.run(scene())
    finally:
        mount.unregister()


def test_a_full_disk_refuses_mail_and_still_removes(installation: Installation) -> None:
    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        box = await inbox(store)
        await fill(store, box, 20)
        with engine.handles.hold(ACCOUNT, engine.path(ACCOUNT)) as handle:
            writer = handle.writer
            writer.execute(f"PRAGMA max_page_count = {writer.pragma('page_count') + 8}")
            before = await state(store)
            with pytest.raises(DiskFull):
                await store.append(box, [await new(store, system_random(500_000))])
            assert await state(store) == before
            assert len((await store.expunge(box, ((1, 5),), deleted_only=False)).uids) == 5
        await engine.close()

    asyncio.run(scene())


def test_the_reserve_stops_filing_before_removing(installation: Installation) -> None:
    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        await fill(engine.own(ACCOUNT), 1, 3)
        await engine.close()
        tight = engine_of(installation, reserve=1 << 60)
        store = tight.account(ACCOUNT)
        with pytest.raises(DiskFull):
            await store.append(1, [await new(store)])
        with pytest.raises(DiskFull):
            await store.copy(1, ALL, 1)
        assert (await store.store_flags(1, ALL, FlagMode.ADD, Flags.of(["\\Deleted"]))).modseq
        assert len((await store.expunge(1, None)).uids) == 3
        await tight.close()

    asyncio.run(scene())


def test_what_comes_at_once_is_one_group(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit does not begin between two messages that are still being made ready."""
    run_group, groups = Writers._run_group, list[int]()

    def noted(writers: Writers, account: str, queue: Any, jobs: list[Any]) -> None:
        groups.append(len(jobs))
        run_group(writers, account, queue, jobs)

    monkeypatch.setattr(Writers, "_run_group", noted)

    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        messages = [await new(store, system_random(100)) for _ in range(9)]
        engine._writers._several = True  # as after a group of two
        filed = await asyncio.gather(*(store.append(1, [message]) for message in messages))
        assert groups == [9]
        assert [one.uids for one in filed] == [(uid,) for uid in range(1, 10)]
        assert len({one.modseq for one in filed}) == 9
        await engine.close()

    asyncio.run(scene())


def test_who_comes_alone_does_not_wait_for_others(installation: Installation) -> None:
    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        for name in ("one", "two"):
            filed = asyncio.ensure_future(store.create_mailbox(name))
            await asyncio.sleep(0)
            assert not engine._writers._gathered
            await filed
        both = await asyncio.gather(*(store.create_mailbox(name) for name in ("a", "b")))
        assert len(both) == 2
        await engine.close()

    asyncio.run(scene())


def test_who_comes_with_many_does_not_hold_up_the_first_group(installation: Installation) -> None:
    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        engine._writers._several = True
        filed = [asyncio.ensure_future(store.create_mailbox(f"n{number}")) for number in range(GROUP + 1)]
        await asyncio.sleep(0)  # all are submitted; the loop has not come to hand anything over
        assert [len(gathered) for gathered in engine._writers._gathered.values()] == [1]
        assert len(await asyncio.gather(*filed)) == GROUP + 1
        await engine.close()

    asyncio.run(scene())


def test_what_was_given_to_a_writer_that_closes_is_done(installation: Installation) -> None:
    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        message = await new(store)
        engine._writers._several = True
        filed = asyncio.ensure_future(store.append(1, [message]))
        await asyncio.sleep(0)  # submitted, and not handed over to a thread yet
        assert engine._writers._gathered
        engine._writers.close()
        assert (await filed).uids == (1,)
        assert not engine._writers.working
        with pytest.raises(StoreRefusal):
            await store.append(1, [message])
        await engine.close()

    asyncio.run(scene())


LONG = LOG * PAGE_SIZE
"""Octets that no compression shortens: filed, they make the log long enough to be written back."""


def test_where_no_thread_can_be_started_those_that_run_do_all(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With none at all it is refused, and not done behind the refusal."""
    start, most = threading.Thread.start, 0

    async def scene() -> None:
        nonlocal most
        engine = engine_of(installation)

        def started(thread: threading.Thread) -> None:
            if thread.name.startswith("store-") and len(engine._writers._threads) >= most:
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", started)
        stores = []
        for name in ("one1", "two2", "six6"):
            await engine.create_account(name)
            stores.append(engine.own(name))
        assert not engine._writers._threads
        with pytest.raises(StoreRefusal):
            await stores[0].append(1, [await new(stores[0])])
        assert not engine._writers.working
        most = 1
        engine._writers._several = True  # handed over together: none of them may be lost
        work = [store.append(1, [await new(store)]) for store in stores]
        done = await asyncio.wait_for(asyncio.gather(*work), 10)
        assert [one.uids for one in done] == [(1,), (1,), (1,)]
        assert len(engine._writers._threads) == 1
        await engine.close()

    asyncio.run(scene())


def test_who_is_answered_does_not_wait_until_the_log_is_written_back(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    write_back = Handle.write_back

    def slowly(handle: Handle) -> None:
        begun.set()
        assert go_on.wait(10)
        write_back(handle)

    monkeypatch.setattr(Handle, "write_back", slowly)

    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        filed = await store.append(1, [await new(store, system_random(LONG))])
        assert await asyncio.to_thread(begun.wait, 10)
        assert list((await store.snapshot(1)).uids.uids) == list(filed.uids)
        later = asyncio.ensure_future(store.append(1, [await new(store)]))
        await asyncio.sleep(0)
        assert not later.done()  # one thread at a time works on an account
        go_on.set()
        assert (await later).uids == (filed.uids[0] + 1,)
        await engine.close()

    asyncio.run(scene())


def test_a_log_is_written_over_and_does_not_grow_with_the_mail(installation: Installation) -> None:
    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        log = engine.path(ACCOUNT).with_name(f"{ACCOUNT}.db-wal")
        for _ in range(8):
            await store.append(1, [await new(store, system_random(LONG))])
        assert log.stat().st_size < 2 * LONG
        await engine.close()

    asyncio.run(scene())


def test_a_log_that_is_written_over_keeps_its_length(installation: Installation) -> None:
    """Cut off at each round, it would grow again at the end of each: a file that grows syncs slower."""

    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        log = engine.path(ACCOUNT).with_name(f"{ACCOUNT}.db-wal")
        await store.append(1, [await new(store, system_random(LONG))])
        length = log.stat().st_size
        await store.append(1, [await new(store)])  # behind the writing back: from the log's beginning
        with log.open("rb") as stream:
            stream.seek(12)
            assert int.from_bytes(stream.read(4), "big") == 1  # the checkpoint's number: it has begun anew
        assert log.stat().st_size == length
        await engine.close()

    asyncio.run(scene())


def test_where_accounts_are_filled_the_log_is_written_back_once_for_many_commits(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_back, lengths = Handle.write_back, list[int]()

    def noted(handle: Handle) -> None:
        lengths.append(handle._log.pages)
        write_back(handle)

    monkeypatch.setattr(Handle, "write_back", noted)

    async def scene() -> None:
        engine = SqliteEngine(installation.data, installation.clock, system_random, reserve=0, filling=True)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        path = engine.path(ACCOUNT)
        log = path.with_name(f"{ACCOUNT}.db-wal")
        for _ in range(20):
            await store.append(1, [await new(store, system_random(LONG))])
        assert log.stat().st_size < 2 * FILLED_LOG * PAGE_SIZE
        await engine.close()
        assert lengths
        assert all(FILLED_LOG <= length < 2 * FILLED_LOG for length in lengths)
        assert not log.exists() or not log.stat().st_size
        assert path.stat().st_size > 20 * LONG

    asyncio.run(scene())


def test_a_log_that_cannot_be_written_back_is_tried_again_and_nobody_loses_by_it(
    installation: Installation, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_back, failed = Handle.write_back, []

    def failing(handle: Handle) -> None:
        disk.left, disk.failed = 1, False
        write_back(handle)
        failed.append(disk.failed)
        disk.left = -1

    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        with monkeypatch.context() as patch:
            patch.setattr(Handle, "write_back", failing)
            for _ in range(3):
                await store.append(1, [await new(store, system_random(LONG))])
            await store.append(1, [await new(store)])  # behind the third attempt
        assert failed[:3] == [True] * 3
        await store.append(1, [await new(store, system_random(LONG))])
        await store.append(1, [await new(store)])
        await engine.close()
        again = engine_of(installation)
        assert len((await again.own(ACCOUNT).snapshot(1)).uids) == 6
        assert [finding async for finding in again.account(ACCOUNT).doctor(False) if finding.code == "file"] == []
        await again.close()

    asyncio.run(scene())


def test_accounts_whose_commands_come_at_once_do_not_wait_for_each_other(installation: Installation) -> None:
    """The second one was left to the thread that had just been woken for the first."""
    met = threading.Barrier(2)

    def meet(_tx: Write) -> int:
        return met.wait(10)

    async def scene() -> None:
        engine = engine_of(installation)
        for name in ("one1", "two2"):
            await engine.create_account(name)
            await engine.account(name).create_mailbox("A")  # there is a thread now, and it waits
        work = [engine.submit(name, engine.path(name), meet, (), "", "") for name in ("one1", "two2")]
        assert sorted(await asyncio.gather(*work)) == [0, 1]
        await engine.close()

    asyncio.run(scene())


def test_what_queues_while_another_process_writes_shares_one_commit(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    commit = Writers._commit
    announced: list[int] = []

    def told(*given: Any) -> int:
        begun.set()
        return commit(*given)

    monkeypatch.setattr(Writers, "_commit", told)
    monkeypatch.setattr(Hints, "announce", lambda _hints, _account, modseq: announced.append(modseq))

    async def scene() -> None:
        engine = engine_of(installation)
        await engine.create_account(ACCOUNT)
        store = engine.own(ACCOUNT)
        messages = [await new(store, b"%d\r\n" % number) for number in range(4)]
        other = connect(engine.path(ACCOUNT), wait=1_000)
        other.execute("BEGIN IMMEDIATE")
        first = asyncio.ensure_future(store.append(1, messages[:1]))
        assert await asyncio.to_thread(begun.wait, 10)  # its thread has taken it, and waits for the lock
        later = [asyncio.ensure_future(store.append(1, [message])) for message in messages[1:]]
        refused = asyncio.ensure_future(store.append(99, messages[:1]))
        await asyncio.sleep(0)
        other.execute("ROLLBACK")
        done = [await one for one in (first, *later)]
        with pytest.raises(StoreRefusal):
            await refused
        assert [one.uids for one in done] == [(1,), (2,), (3,), (4,)]
        assert [one.modseq for one in done] == [2, 3, 4, 5]
        assert announced == [5]
        other.close()
        await engine.close()

    asyncio.run(scene())
