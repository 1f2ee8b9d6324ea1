"""What was given out for an account is known beside its file: every state of it that is put in service goes above."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from restante.clock import system_random
from restante.store.backup import Served
from restante.store.errors import Damaged, StoreRefusal
from restante.store.interface import Engine, Store
from restante.store.model import Adoption, Column, FlagMode, Flags, Identity, Mailbox
from restante.store.sqlite import inode, served
from restante.store.sqlite.engine import SqliteEngine
from restante.store.sqlite.served import UID_BITS
from tests.engines.making import ACCOUNT, ALL, Installation, fill, inbox, new

Act = Callable[[Store], Awaitable[object]]


class Account:
    """An installation with one account, whose file is copied aside and back while nothing runs."""

    def __init__(self, folder: Path) -> None:
        self.installation = Installation("sqlite", folder / "data")
        self.path = folder / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"
        self.record = folder / "data" / "served" / ACCOUNT[:2] / ACCOUNT
        self.kept = folder / "kept.db"

    def do(self, act: Act) -> None:
        async def scene(_engine: Engine, store: Store) -> None:
            await act(store)

        asyncio.run(self.installation.play(scene))

    def box(self) -> tuple[Mailbox, int]:
        """INBOX, and the account's counter."""
        found: list[tuple[Mailbox, int]] = []

        async def look(store: Store) -> None:
            found.append(((await store.snapshot(await inbox(store))).mailbox, await store.last_change()))

        self.do(look)
        return found[0]

    def aside(self) -> None:
        shutil.copy(self.path, self.kept)

    def back(self) -> None:
        """As another file: see `test_a_copy_over_the_very_file_is_seen` for the same one."""
        for beside in self.path.parent.glob(f"{ACCOUNT}.db*"):
            beside.unlink()
        shutil.copy(self.kept, self.path)


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


async def three(store: Store) -> object:
    return await fill(store, await inbox(store), 3)


@pytest.mark.parametrize("births", [True, False], ids=["born", "no births"])
def test_a_copy_over_the_very_file_is_seen(account: Account, monkeypatch: pytest.MonkeyPatch, births: bool) -> None:
    """`cp kept.db ID.db`: inode and birth stay those of the lost state."""
    if not births:
        monkeypatch.setattr(inode, "_statx", None)
    account.do(three)
    account.aside()
    number = account.path.stat().st_ino
    account.do(three)
    before, counter = account.box()
    shutil.copyfile(account.kept, account.path)
    assert account.path.stat().st_ino == number
    after, now = account.box()
    assert after.messages == 3
    assert after.uidnext > before.uidnext
    assert now > counter
    again, still = account.box()
    assert (again.uidnext, still) == (after.uidnext, now), "it is done once"


def test_a_copy_over_a_file_that_was_closed_for_want_of_room_is_seen(account: Account) -> None:
    """Among more accounts than may be open at once: such a closing writes no log back."""

    async def scene(engine: Engine, store: Store) -> None:
        await three(store)
        await engine.leave(ACCOUNT)
        account.aside()
        await three(store)
        await engine.create_account("other")
        await three(engine.account("other"))
        assert inode.last_closed(account.path) == await store.last_change()

    asyncio.run(account.installation.play(scene, handles=1))


def test_a_file_that_was_not_replaced_is_never_taken_for_a_copy(account: Account) -> None:
    """Also where the record is behind, as after a kill, or has lost its octets to a power failure."""
    account.do(three)
    before, counter = account.box()
    assert inode.last_closed(account.path) == counter
    for content in (b"", b"\0" * 21, b"%020d\n" % 1, b"%020d\n" % (counter - 1)):
        account.record.write_bytes(content)
        assert account.box() == (before, counter)
    account.record.unlink()
    assert account.box() == (before, counter)
    account.do(three)
    after, now = account.box()
    assert (after.uidnext, now) == (before.uidnext + 3, counter + 1)


def test_a_rush_of_mail_is_noted_by_stretches(account: Account) -> None:
    """More than is left free when a state is put in service, in a state that was put in service before."""
    account.do(three)
    account.aside()
    account.back()

    async def rush(store: Store) -> None:
        box = await inbox(store)
        for _ in range(3):
            await store.reserve_uids(box, (await store.snapshot(box)).mailbox.uidnext + 1_000_000)
            await fill(store, box, 1)

    account.do(rush)
    before, counter = account.box()
    account.back()
    after, now = account.box()
    assert after.uidnext > before.uidnext
    assert now > counter


@pytest.mark.parametrize("way", ["append", "copy", "reserve", "wished"])
def test_every_way_into_another_stretch_is_noted_before_it_is_committed(account: Account, way: str) -> None:
    edge = 1 << UID_BITS

    async def over(store: Store) -> None:
        box = await inbox(store)
        other = (await store.create_mailbox("Other")).key
        uidvalidity = (await store.snapshot(box)).mailbox.uidvalidity
        await fill(store, other, 5)
        await store.reserve_uids(box, edge - 3)
        await fill(store, box, 2)
        assert served.read(account.path) is None
        if way == "append":
            await fill(store, box, 4)
        elif way == "copy":
            await store.copy(other, ALL, box)
        elif way == "reserve":
            await store.reserve_uids(box, edge + 1)
        else:
            await store.append(box, [await new(store, identity=Identity(uid=edge + 5))])
        noted = served.read(account.path)
        assert noted is not None
        here = (await store.snapshot(box)).mailbox
        assert here.uidnext > edge
        assert dict(noted.uidnexts) == {(here.id, uidvalidity): here.uidnext}

    account.do(over)


@pytest.mark.parametrize("uidvalidity", [1000, 3_000_000_000])
def test_numbers_that_an_import_brought_ahead_of_the_clock_are_noted(account: Account, uidvalidity: int) -> None:
    account.do(three)
    account.aside()
    validities: list[int] = []

    async def adopted(store: Store) -> None:
        box = await store.create_mailbox("Old")
        await store.adopt(box.key, Adoption(uidvalidity, 1 << 61))
        validities.append((await store.create_mailbox("New")).uidvalidity)
        await store.delete_mailbox(box.key)

    async def anew(store: Store) -> None:
        validities.append((await store.create_mailbox("Old")).uidvalidity)

    account.do(adopted)
    _, counter = account.box()
    served.forget_closed(account.path)  # as if the server had been killed
    account.back()
    account.do(anew)
    assert validities[1] > validities[0] > uidvalidity
    assert account.box()[1] > counter


def test_a_counter_that_ran_ahead_of_a_clock_that_was_wrong_never_falls(account: Account) -> None:
    account.do(three)
    account.aside()
    clock = account.installation.clock
    account.back()
    now = clock.now()
    clock.advance(10 * 365 * 86400.0)
    _, ahead = account.box()
    account.installation.clock = type(clock)(now + 60)
    served.forget_closed(account.path)
    account.back()
    assert account.box()[1] > ahead


def test_a_mailbox_without_uids_left_goes_on_under_another_uidvalidity(account: Account) -> None:
    async def high(store: Store) -> None:
        box = await inbox(store)
        await store.reserve_uids(box, 3_000_000_000)
        await fill(store, box, 2)

    account.do(high)
    account.aside()
    before, _ = account.box()
    account.back()
    after, _ = account.box()
    assert after.uidvalidity > before.uidvalidity
    assert after.messages == 2
    account.do(three)
    account.back()
    assert account.box()[0].uidvalidity > after.uidvalidity


def test_a_mailbox_deleted_since_comes_back_above_what_it_had(account: Account) -> None:
    boxes: list[Mailbox] = []

    async def made(store: Store) -> None:
        await fill(store, (await store.create_mailbox("Old")).key, 1)

    async def rush_and_gone(store: Store) -> None:
        box = await store.mailbox("Old")
        assert box is not None
        await store.reserve_uids(box.key, box.uidnext + 2_000_000)
        boxes.append(await _named(store))
        await store.delete_mailbox(box.key)

    async def look(store: Store) -> None:
        boxes.append(await _named(store))

    account.do(made)
    account.aside()
    account.back()
    account.do(rush_and_gone)
    account.back()
    account.do(look)
    assert boxes[1].id == boxes[0].id
    assert boxes[1].uidnext > boxes[0].uidnext


async def _named(store: Store) -> Mailbox:
    found = await store.mailbox("Old")
    assert found is not None
    return found


@pytest.mark.parametrize("when", ["before", "behind"])
def test_a_crash_around_the_note_leaves_a_copy_that_rises_again(
    account: Account, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    account.do(three)
    account.aside()
    account.do(three)
    before, counter = account.box()
    account.back()
    real = served.note

    def cut_off(path: Path, more: Served) -> None:
        if when == "behind":
            real(path, more)
        raise OSError(5, "cut off")

    with monkeypatch.context() as patched:
        patched.setattr(served, "note", cut_off)
        with pytest.raises(StoreRefusal):
            account.box()
    noted = served.read(account.path)
    assert (noted is None) == (when == "before")
    after, now = account.box()
    assert after.uidnext > before.uidnext
    assert now > counter
    if noted is not None:
        assert after.uidnext > noted.uidnexts[after.id, after.uidvalidity]
    at_last = served.read(account.path)
    assert at_last is not None
    assert at_last.uidnexts[after.id, after.uidvalidity] == after.uidnext, "nothing is served that is not noted"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_note_is_whole_or_not_there(account: Account, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    account.do(three)
    first = Served(5, 6, {("b", 7): 8})
    served.note(account.path, first)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, _fails)
        with pytest.raises(OSError, match="no room"):
            served.note(account.path, Served(50, 3, {("b", 7): 80, ("c", 1): 2}))
    assert served.read(account.path) == first
    served.note(account.path, Served(3, 60, {("b", 7): 1, ("c", 1): 2}))
    assert served.read(account.path) == Served(5, 60, {("b", 7): 8, ("c", 1): 2})
    assert inode.last_closed(account.path) == account.box()[1], "the number it was closed with stays"


@pytest.mark.parametrize("data", [".", "down", "/"])
def test_the_record_lies_in_the_data_folder_however_that_is_named(data: str) -> None:
    path = Path(data) / "accounts" / "ab" / "abc.db"
    assert Path(inode.record_of(path)) == Path(inode.record_of(str(path))) == Path(data) / "served" / "ab" / "abc"


def test_data_may_lie_in_the_folder_where_one_is(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.do(three)
    monkeypatch.chdir(account.installation.data)

    async def scene() -> int:
        engine = SqliteEngine(Path(), account.installation.clock, system_random, reserve=0)
        store = engine.account(ACCOUNT)
        await three(store)
        modseq = await store.last_change()
        await engine.close()
        return modseq

    assert asyncio.run(scene()) == inode.last_closed(account.path)


def test_a_first_note_is_durable_in_folders_that_a_closing_made(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    inode.note_closed(account.path, 3)
    synced: set[tuple[int, int]] = set()
    fsync = os.fsync

    def noting(number: int) -> None:
        fsync(number)
        found = os.fstat(number)
        synced.add((found.st_dev, found.st_ino))

    monkeypatch.setattr(os, "fsync", noting)
    served.note(account.path, Served(5, 6, {}))
    record = account.record
    for one in (record, record.parent, record.parent.parent, record.parent.parent.parent):
        found = one.stat()
        assert (found.st_dev, found.st_ino) in synced, one
    synced.clear()
    served.note(account.path, Served(6, 6, {}))
    assert len(synced) == 2, "what is there already is not made durable again"


def _fails(*_: object, **__: object) -> None:
    raise OSError(28, "no room")


def test_a_note_that_cannot_be_read_is_told_and_may_be_removed(account: Account) -> None:
    account.do(three)
    account.aside()
    account.back()
    account.do(three)
    account.record.write_bytes(account.record.read_bytes()[:-9])
    account.do(three)  # nobody needs it
    account.back()
    with pytest.raises(Damaged) as told:
        account.box()
    assert str(account.record.relative_to(account.installation.data)) in str(told.value.remedy)
    assert str(account.installation.data) not in str(told.value), "a client may see it"
    account.record.unlink()
    assert account.box()[0].messages == 3


def test_an_account_that_is_removed_leaves_no_more_than_its_note(account: Account) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        await three(store)
        await engine.leave(ACCOUNT)
        assert account.record.exists()
        await engine.delete_account(ACCOUNT)
        assert not account.record.exists()
        await engine.create_account(ACCOUNT)
        assert (await store.snapshot(await inbox(store))).mailbox.uidnext == 1
        await store.reserve_uids(await inbox(store), 1 << 20)
        await engine.delete_account(ACCOUNT)
        assert served.read(account.path) is not None
        assert inode.last_closed(account.path) == 0

    asyncio.run(account.installation.play(scene))


def test_a_backup_right_behind_a_copy_reads_a_state_that_is_in_service(account: Account) -> None:
    """Within the second in which what is open is believed to be the account's file."""

    async def scene(engine: Engine, store: Store) -> None:
        await three(store)
        await engine.leave(ACCOUNT)
        account.aside()
        await three(store)
        before = (await store.snapshot(await inbox(store))).mailbox
        account.back()
        async with store.instant() as instant:
            head = await instant.head()
        assert head.mailboxes[0].uidnext > before.uidnext
        assert head.mark == await store.mark()

    asyncio.run(account.installation.play(scene))


def test_flag_sets_of_a_file_copied_back_under_running_workers_are_its_own(account: Account) -> None:
    """The same numbers name other sets in the lost state; two processes have used them, to read and to write."""

    async def scene(first: Engine, store: Store) -> None:
        second = account.installation.open()
        workers = [store, second.account(ACCOUNT)]
        box = await inbox(store)
        await fill(store, box, 1, "\\Seen")
        await first.leave(ACCOUNT)
        account.aside()
        for keyword in ("$Lost", "$LostToo"):
            for worker in workers:
                await fill(worker, box, 1, keyword)
                await worker.store_flags(box, ((1, 1),), FlagMode.ADD, Flags.of([f"{keyword}2"]))
                assert len(await _wires(worker, box)) > 1
        account.back()
        account.installation.clock.advance(2)
        for number, worker in enumerate(workers):
            await fill(worker, box, 1, f"$New{number}")
            await worker.store_flags(box, ((1, 1),), FlagMode.ADD, Flags.of(["\\Flagged", f"$Then{number}"]))
        wanted = ["\\Seen \\Flagged $Then0 $Then1", "$New0", "$New1"]
        for worker in workers:
            assert [sorted(wire.split()) for wire in await _wires(worker, box)] == [
                sorted(each.split()) for each in wanted
            ]
        assert [f.text async for f in store.doctor(repair=False) if f.code != "answers"] == []
        await second.close()

    asyncio.run(account.installation.play(scene))


async def _wires(store: Store, box: int) -> list[str]:
    table = await store.flag_table()
    found = await store.rows(box, ALL, [Column.FLAGS], 99)
    return [table.wires[int(str(number))].decode() for _, number in found]
