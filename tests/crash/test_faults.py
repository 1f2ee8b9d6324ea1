"""The nth read, write or sync fails, for every n: the command is refused whole, the next try works.

Each operation runs on one prepared account, put back each time, through an engine just opened, so that opening the
file is part of what fails. After the fault the account is as before (or as after, where the commit had been made),
the same operation then succeeds, and doctor finds nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest

from restante.clock import ManualClock, system_random
from restante.mime.analyse import analyse
from restante.query.language import All, Contains, Field
from restante.store.errors import DiskFull, NoSuchAccount, StoreRefusal
from restante.store.interface import Engine, Store
from restante.store.model import Column, FlagMode, Flags, NewMessage, Pop3Delete
from restante.store.sqlite.engine import LOOK_AT_DISK, SqliteEngine

from .vfs import Call, FaultyDisk, Shelf, faulty_disk

ACCOUNT = "a1b2c3"
ALL = ((1, 0xFFFFFFFF),)
FAULTS = [
    pytest.param(Call.READ, apsw.IOError, id="read"),
    pytest.param(Call.WRITE, apsw.IOError, id="write"),
    pytest.param(Call.WRITE, apsw.FullError, id="full"),
    pytest.param(Call.SYNC, apsw.IOError, id="sync"),
]

State = list[object]
Act = Callable[[Store], Awaitable[object]]


def message(n: int, size: int = 200) -> bytes:
    head = f"From: a@fault.example\r\nSubject: {n}\r\nMessage-ID: <{n}@fault.example>\r\n\r\n"
    return (head + f"line {n}\r\n" * (size // 8)).encode()


async def new(store: Store, n: int, size: int = 200, *flags: str) -> NewMessage:
    data = message(n, size)
    return NewMessage(await store.put(data), analyse(data), Flags.of(flags), 1_000_000)


async def key(store: Store, name: str) -> int:
    box = await store.mailbox(name)
    assert box is not None
    return box.key


async def append(store: Store) -> object:
    return await store.append(await key(store, "INBOX"), [await new(store, 50, 60_000, "$Other")])


async def flags(store: Store) -> object:
    return await store.store_flags(await key(store, "INBOX"), ALL, FlagMode.ADD, Flags.of(["\\Flagged", "$New"]))


async def copy(store: Store) -> object:
    return await store.copy(await key(store, "INBOX"), ((1, 4),), await key(store, "Other"))


async def move(store: Store) -> object:
    return await store.move(await key(store, "INBOX"), ((1, 2),), await key(store, "Other"))


async def append_several(store: Store) -> object:
    """Several at once, one of them of many chunks."""
    new_ones = [await new(store, 60), await new(store, 61, 700_000, "$Third"), await new(store, 62)]
    return await store.append(await key(store, "Other"), new_ones)


async def replace(store: Store) -> object:
    return await store.replace(
        await key(store, "INBOX"), 2, await key(store, "Other"), await new(store, 70, 300_000, "$New")
    )


async def expunge(store: Store) -> object:
    return await store.expunge(await key(store, "INBOX"), ((3, 4),), deleted_only=False)


async def quit_pop3(store: Store) -> None:
    await store.finish_maildrop(((2, 3),), Pop3Delete.TRASH, ((1, 4),), mark_seen=True)


async def create(store: Store) -> object:
    return await store.create_mailbox("New/Child")


async def rename(store: Store) -> None:
    await store.rename_mailbox(await key(store, "Other"), "Renamed")


async def rename_inbox(store: Store) -> None:
    await store.rename_mailbox(await key(store, "INBOX"), "Old mail")


async def delete(store: Store) -> None:
    await store.delete_mailbox(await key(store, "Other"))


ACTS: dict[str, Act] = {
    "append": append,
    "append-several": append_several,
    "replace": replace,
    "store-flags": flags,
    "copy": copy,
    "move": move,
    "expunge": expunge,
    "pop3-quit": quit_pop3,
    "create": create,
    "rename": rename,
    "rename-inbox": rename_inbox,
    "delete": delete,
}


async def state(store: Store) -> State:
    """All that a client can see. Ids that are drawn at random are left out."""
    found: State = []
    table = await store.flag_table()
    for box in await store.mailboxes():
        rows = await store.rows(box.key, ALL, (Column.FLAGS, Column.MODSEQ, Column.EMAIL_ID, Column.CONTENT), 1000)
        shown = [(uid, table.wires[int(str(flag))], modseq) for uid, flag, modseq, *_ in rows]
        contents = await store.read_contents([int(str(row[-1])) for row in rows])
        found.append((box.name, box.uidnext, box.highest_modseq, box.messages, box.unseen, box.size, shown, contents))
    found.append([drop.uid for drop in await store.maildrop()])
    found.append(await store.subscriptions())
    found.append((await store.stats()).modseq)
    return found


async def findings(store: Store) -> list[str]:
    return [finding.text async for finding in store.doctor(False)]


def engine_on(data: Path, reserve: int = 0) -> SqliteEngine:
    return SqliteEngine(data, ManualClock(), system_random, reserve=reserve)


@asynccontextmanager
async def opened(data: Path) -> AsyncIterator[tuple[Engine, Store]]:
    engine = engine_on(data)
    try:
        yield engine, engine.account(ACCOUNT)
    finally:
        await engine.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data of an account with six messages in the INBOX and one in Other."""
    data = tmp_path / "data"

    async def make() -> None:
        async with opened(data) as (engine, store):
            await engine.directory.domains()
            await engine.create_account(ACCOUNT)
            await store.create_mailbox("Other")
            await store.create_mailbox("Trash", "\\Trash")
            inbox = await key(store, "INBOX")
            await store.append(inbox, [await new(store, n) for n in range(6)])
            await store.append(await key(store, "Other"), [await new(store, 9, 200_000)])

    asyncio.run(make())
    return data


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    with faulty_disk() as found:
        yield found


def counted(shelf: Shelf) -> Iterator[int]:
    """n from 1, the prepared data put back each time."""
    for n in range(1, 400):
        shelf.put_back()
        yield n
    raise AssertionError("the operation never ended without a fault")


@pytest.fixture
def shelf(data: Path, tmp_path: Path) -> Shelf:
    return Shelf(data, tmp_path / "kept")


@pytest.mark.parametrize(("call", "error"), FAULTS)
@pytest.mark.parametrize("name", list(ACTS))
def test_a_fault_refuses_the_change_whole_and_the_next_try_works(
    data: Path, shelf: Shelf, disk: FaultyDisk, name: str, call: Call, error: type[apsw.Error]
) -> None:
    act = ACTS[name]

    async def clean() -> tuple[State, State]:
        async with opened(data) as (_, store):
            before = await state(store)
            await act(store)
            return before, await state(store)

    async def attempt(n: int, before: State, after: State) -> bool:
        async with opened(data) as (_, store):
            disk.arm(call, n, error)
            try:
                await act(store)
                refused = False
                temporary = True
            except StoreRefusal as refusal:
                refused, temporary = True, refusal.temporary
            disk.heal()
            assert temporary, "a fault of the disk passes"
            now = await state(store)
            assert now in (before, after), f"half done at {call.value} {n}"
            if refused and now == before:
                await act(store)  # the next try works
            assert await state(store) == after
            assert await findings(store) == []
        async with opened(data) as (_, store):  # and what was acknowledged outlives the handles
            assert await state(store) == after
        return disk.hit

    before, after = asyncio.run(clean())
    assert before != after
    for n in counted(shelf):
        if not asyncio.run(attempt(n, before, after)):
            break
    assert n > 1, "nothing was made to fail"


LOOKS: dict[str, Act] = {
    "mailboxes": lambda store: store.mailboxes(),
    "snapshot": lambda store: store.snapshot(1),
    "rows": lambda store: store.rows(1, ALL, tuple(Column), 100),
    "delta": lambda store: store.delta(1, 0),
    "search": lambda store: store.search(1, Contains(Field.BODY, "line 3"), ALL),
    "search-all": lambda store: store.search(1, All(), ALL),
    "contents": lambda store: store.read_contents([1, 2, 3]),
    "content": lambda store: store.read_content(7),
    "maildrop": lambda store: store.maildrop(),
    "recoverable": lambda store: store.recoverable(),
    "stats": lambda store: store.stats(),
}


@pytest.mark.parametrize("name", list(LOOKS))
def test_a_fault_refuses_the_look_and_the_next_one_sees_all(
    data: Path, shelf: Shelf, disk: FaultyDisk, name: str
) -> None:
    look = LOOKS[name]

    async def attempt(n: int) -> bool:
        async with opened(data) as (_, store):
            disk.arm(Call.READ, n)
            try:
                seen = await look(store)
            except StoreRefusal:
                assert disk.hit
            else:
                assert not disk.hit or seen == expected
            disk.heal()
            if name != "snapshot":
                assert await look(store) == expected
            assert await state(store) == whole
        return disk.hit

    async def clean() -> tuple[object, State]:
        async with opened(data) as (_, store):
            return await look(store), await state(store)

    expected, whole = asyncio.run(clean())
    for n in counted(shelf):
        if not asyncio.run(attempt(n)):
            break
    assert n > 1, "nothing was made to fail"


# Closing the half-made file fails too; APSW tells that of a second error on its way out.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("call", "error"), FAULTS)
def test_an_account_is_made_whole_or_not_at_all(
    tmp_path: Path, disk: FaultyDisk, call: Call, error: type[apsw.Error]
) -> None:
    async def attempt(n: int) -> bool:
        data = tmp_path / str(n)
        async with opened(data) as (engine, store):
            disk.arm(call, n, error)
            try:
                await engine.create_account(ACCOUNT)
                made = True
            except StoreRefusal:
                made = False
            disk.heal()
            if not made:
                with pytest.raises(NoSuchAccount):
                    await store.mailboxes()
                assert not list((data / "accounts").rglob("*.new*")), "the half-made file is left"
                await engine.create_account(ACCOUNT)
            assert [box.name for box in await store.mailboxes()] == ["INBOX"]
            assert await findings(store) == []
        return disk.hit

    for n in range(1, 400):
        if not asyncio.run(attempt(n)):
            break
    assert n < 399


def test_a_full_disk_refuses_and_lets_read_and_forgets_nothing(data: Path, disk: FaultyDisk) -> None:
    """Every write fails from some moment on, until there is room again."""

    async def scene() -> None:
        async with opened(data) as (_, store):
            before = await state(store)
            disk.arm(Call.WRITE, 1, apsw.FullError, for_good=True)
            for act in ACTS.values():
                with pytest.raises(DiskFull):
                    await act(store)
                assert await state(store) == before
            disk.heal()
            await expunge(store)
            await append(store)
            assert await findings(store) == []

    asyncio.run(scene())


def test_the_reserve_is_not_touched_by_what_comes_within_a_second(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figure of free space is believed for so long: each message found as much room as the one before."""
    real = os.statvfs(data)

    def with_room(_path: object) -> os.statvfs_result:
        fields = list(real)
        fields[4] = (74 << 20) // real.f_frsize
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "statvfs", with_room)

    async def scene() -> None:
        engine = engine_on(data, reserve=64 << 20)
        store = engine.account(ACCOUNT)
        clock, box = engine.clock, await key(store, "INBOX")
        messages = [await new(store, n, 2_800_000) for n in range(90, 94)]  # 3.15 MB each
        for each in messages[:3]:
            await store.room_for(each.blob.size)  # asking takes none
            await store.append(box, [each])
        with pytest.raises(DiskFull):
            await store.append(box, messages[3:])
        assert isinstance(clock, ManualClock)
        clock.advance(LOOK_AT_DISK)
        await append(store)
        await engine.close()

    asyncio.run(scene())


def test_the_reserve_refuses_mail_and_lets_remove(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte is left where 64 are kept for removals."""
    real = os.statvfs(data)

    def nearly_full(_path: object) -> os.statvfs_result:
        fields = list(real)
        fields[4] = (1 << 20) // real.f_frsize
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "statvfs", nearly_full)

    async def scene() -> None:
        engine = engine_on(data, reserve=64 << 20)
        store = engine.account(ACCOUNT)
        before = await state(store)
        for filing in (append, append_several, copy, replace):
            with pytest.raises(DiskFull):
                await filing(store)
        assert await state(store) == before
        for removing in (flags, move, expunge, quit_pop3, delete):
            await removing(store)
        assert await findings(store) == []
        await engine.close()

    asyncio.run(scene())
