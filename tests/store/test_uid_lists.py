"""UID lists of large mailboxes: where and how often they are read."""

from __future__ import annotations

import asyncio
import threading
from array import array
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.query.language import All, HasFlag
from restante.query.order import Criterion, SortKey
from restante.store.errors import Busy, NoSuchMailbox
from restante.store.interface import Engine, Store
from restante.store.model import FlagMode, Flags, Mailbox, UidList
from restante.store.rights import parse_rights
from restante.store.sqlite import account, changes, rows
from restante.store.sqlite.engine import SqliteEngine
from tests.engines.making import ACCOUNT, ALL, Installation, fill, inbox


@given(st.sets(st.integers(1, 60)), st.lists(st.integers(1, 70)).map(sorted))
def test_numbers_of_many_uids_are_those_of_each(there: set[int], asked: list[int]) -> None:
    uids = UidList.of(sorted(there))
    assert uids.sequences(asked) == [uids.sequence(uid) for uid in asked]


@pytest.mark.parametrize("user", [None, "annann"])
def test_the_list_of_a_large_mailbox_is_read_on_a_thread_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str | None
) -> None:
    """Or the first SELECT of a million messages holds everybody up for a quarter of a second. What is filed meanwhile
    is in it."""
    monkeypatch.setattr(changes, "ON_LOOP", 5)
    monkeypatch.setattr(changes, "FEW_FLAGS", 2)
    apart: list[threading.Thread] = []
    here: list[int] = []
    read_apart, read_here = rows.uids_and_flags_apart, rows.uids_and_flags
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box, other = await inbox(store), (await store.create_mailbox("Few")).key
        await fill(store, box, 20, "\\Flagged")
        await fill(store, other, 5)
        await store.expunge(box, ((3, 4),), deleted_only=False)
        for key in (box, other):
            await store.set_acl(key, "annann", FlagMode.REPLACE, parse_rights("lrs"))
        loop = asyncio.get_running_loop()

        def noted_apart(db: apsw.Connection, mailbox: int) -> tuple[array[int], array[int]]:
            apart.append(threading.current_thread())
            found = read_apart(db, mailbox)
            asyncio.run_coroutine_threadsafe(fill(store, box, 1), loop).result(30)  # as soon as it has been read
            return found

        def noted_here(db: apsw.Connection, mailbox: int) -> tuple[array[int], array[int]]:
            here.append(mailbox)
            return read_here(db, mailbox)

        monkeypatch.setattr(rows, "uids_and_flags_apart", noted_apart)
        monkeypatch.setattr(rows, "uids_and_flags", noted_here)
        seen = engine.account(ACCOUNT, user)
        openings = await asyncio.gather(*(seen.opening(box) for _ in range(3)), seen.opening(other))
        uids = [1, 2, *range(5, 22)]
        assert [list(one.snapshot.uids.uids) for one in openings] == [uids, uids, uids, [1, 2, 3, 4, 5]]
        assert list((await seen.snapshot(box)).uids.uids) == uids
        assert len(apart) == 1
        assert apart[0] is not threading.main_thread()
        assert here == [other]
        if user is None:
            assert list(await store.search(box, HasFlag("\\Flagged"), ALL)) == uids[:-1]
        with pytest.raises(NoSuchMailbox):
            await seen.opening(99)

    asyncio.run(installation.play(scene))


@pytest.mark.parametrize(("count", "more", "cut"), [(20, 3, True), (2, 6, False)], ids=["log cut", "much has come"])
def test_a_list_that_is_kept_but_does_not_help_is_read_on_a_thread_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, more: int, cut: bool
) -> None:
    """One that the log of removals leads on no more, or that was read before a restore filled the mailbox."""
    monkeypatch.setattr(changes, "ON_LOOP", 5)
    apart: list[threading.Thread] = []
    followed: list[int] = []
    read_apart, follow = rows.uids_and_flags_apart, changes._followed
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, count)
        await store.snapshot(box)
        await fill(store, box, more)
        if cut:
            assert isinstance(engine, SqliteEngine)
            db = apsw.Connection(str(engine.path(ACCOUNT)))
            db.execute("UPDATE account SET log_floor = modseq")
            db.close()

        def noted_apart(db: apsw.Connection, mailbox: int) -> tuple[array[int], array[int]]:
            apart.append(threading.current_thread())
            return read_apart(db, mailbox)

        def not_here(db: apsw.Connection, mailbox: int) -> tuple[array[int], array[int]]:
            raise AssertionError("read on the event loop")

        def noted_follow(
            db: apsw.Connection, mailbox: Mailbox, state: tuple[int, int, int], uids: UidList
        ) -> UidList | None:
            followed.append(mailbox.key)
            return follow(db, mailbox, state, uids)

        monkeypatch.setattr(rows, "uids_and_flags_apart", noted_apart)
        monkeypatch.setattr(rows, "uids_and_flags", not_here)
        monkeypatch.setattr(changes, "_followed", noted_follow)
        openings = await asyncio.gather(*(store.opening(box) for _ in range(3)))
        assert all(list(one.snapshot.uids.uids) == [*range(1, count + more + 1)] for one in openings)
        assert len(apart) == 1
        assert apart[0] is not threading.main_thread()
        assert bool(followed) is cut

    asyncio.run(installation.play(scene))


def test_a_reading_that_nobody_waits_for_any_more_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes next waits for it, instead of reading a second time beside it; and it is kept."""
    monkeypatch.setattr(changes, "ON_LOOP", 5)
    began, go_on = threading.Event(), threading.Event()
    read: list[int] = []
    read_apart = rows.uids_and_flags_apart
    installation = Installation("sqlite", tmp_path / "data")

    def held_up(db: apsw.Connection, mailbox: int) -> tuple[array[int], array[int]]:
        read.append(mailbox)
        began.set()
        assert go_on.wait(30)
        return read_apart(db, mailbox)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 20)
        monkeypatch.setattr(rows, "uids_and_flags_apart", held_up)
        first = asyncio.create_task(store.snapshot(box))
        await asyncio.to_thread(began.wait, 30)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        second = asyncio.create_task(store.snapshot(box))
        third = asyncio.create_task(store.search(box, HasFlag("x"), ((1, 5_000),)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not second.done()
        go_on.set()
        assert len((await second).uids) == 20
        assert not len(await third)
        assert read == [box]

    asyncio.run(installation.play(scene))


def test_a_reading_that_fails_is_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "ON_LOOP", 5)
    installation = Installation("sqlite", tmp_path / "data")

    def fails(db: apsw.Connection, mailbox: int) -> tuple[array[int], array[int]]:
        raise apsw.BusyError("locked")

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 20)
        with monkeypatch.context() as failing:
            failing.setattr(rows, "uids_and_flags_apart", fails)
            with pytest.raises(Busy):
                await store.snapshot(box)
        assert len((await store.snapshot(box)).uids) == 20

    asyncio.run(installation.play(scene))


def test_flags_of_a_large_mailbox_are_read_on_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where its list is known, and they have made room for others'; and for SORT, which wants the list alone."""
    monkeypatch.setattr(changes, "ON_LOOP", 5)
    monkeypatch.setattr(changes, "FEW_FLAGS", 2)
    apart: list[threading.Thread] = []
    read_apart = rows.uids_and_flags_apart
    installation = Installation("sqlite", tmp_path / "data")

    def noted(db: apsw.Connection, mailbox: int) -> tuple[array[int], array[int]]:
        apart.append(threading.current_thread())
        return read_apart(db, mailbox)

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await inbox(store)
        await fill(store, box, 20, "\\Flagged")
        await fill(store, box, 2)
        monkeypatch.setattr(rows, "uids_and_flags_apart", noted)
        monkeypatch.setattr(rows, "uids_and_flags", None)
        monkeypatch.setattr(changes, "_ALL_FLAGS", "SELECT 'read on the event loop'")
        order = await store.sort(box, All(), (Criterion(SortKey.SIZE),), ALL)
        assert (sorted(order), len(apart)) == ([*range(1, 23)], 1)
        uids = (await store.snapshot(box)).uids
        for asked in (store.search(box, HasFlag("\\Flagged"), ALL), store.flag_columns(box, ALL, 5_000)):
            engine.kept.flags.forget({ACCOUNT})
            engine.kept.matches.forget({ACCOUNT})
            found = await asked
            assert [*(found[0] if isinstance(found, tuple) else found or ())][:20] == [*range(1, 21)]
        assert len(apart) == 3
        assert apart[0] is not threading.main_thread()
        assert (await store.snapshot(box)).uids is uids, "the list that sessions share stays the one it was"

    asyncio.run(installation.play(scene))


@pytest.mark.parametrize("gone", [3, 16])
def test_a_list_of_which_much_has_gone_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: int) -> None:
    """Removals lie in no order: a million, read one by one, would hold everybody up for a second."""
    read: list[int] = []
    read_here = rows.uids_and_flags
    installation = Installation("sqlite", tmp_path / "data")

    def noted(db: apsw.Connection, mailbox: int) -> tuple[array[int], array[int]]:
        read.append(mailbox)
        return read_here(db, mailbox)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 2_000)
        await store.snapshot(box)
        monkeypatch.setattr(rows, "uids_and_flags", noted)
        await store.expunge(box, ((5, 4 + gone * 100),), deleted_only=False)
        left = [*range(1, 5), *range(5 + gone * 100, 2_001)]
        assert list((await store.snapshot(box)).uids.uids) == left
        assert len(read) == (1 if gone == 16 else 0)
        delta = await store.delta(box, 1)
        assert list(delta.vanished) == [*range(5, 5 + gone * 100)], "what is told is all of it"

    asyncio.run(installation.play(scene))


def test_what_changed_in_a_large_mailbox_is_read_on_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or all that were marked as read at once hold up everybody, once for each session that is told."""
    monkeypatch.setattr(changes, "MOST_CHANGED", 5)
    apart: list[bool] = []
    read = changes.changed_since
    installation = Installation("sqlite", tmp_path / "data")

    def noted(*given: Any) -> Any:
        apart.append(threading.current_thread() is not threading.main_thread())
        return read(*given)

    monkeypatch.setattr(changes, "changed_since", noted)
    monkeypatch.setattr(account, "changed_since", noted)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 20)
        since = (await store.snapshot(box)).mailbox.highest_modseq
        await store.store_flags(box, ((15, 17),), FlagMode.ADD, Flags.of(["\\Flagged"]))
        await store.store_flags(box, ((3, 4),), FlagMode.ADD, Flags.of(["\\Seen"]))
        few = await store.delta(box, since)
        assert [uid for uid, *_ in few.changed] == [3, 4, 15, 16, 17]
        assert apart == [False]
        await store.store_flags(box, ((1, 1),), FlagMode.ADD, Flags.of(["$New"]))
        many = await asyncio.gather(store.delta(box, since), store.delta(box, since))
        table = engine.kept.shared(ACCOUNT).flags  # type: ignore[attr-defined]  # as it has been learned by then
        assert [[uid for uid, *_ in one.changed] for one in many] == [[1, 3, 4, 15, 16, 17]] * 2
        assert table[many[0].changed[0][1]].keywords == {"$New"}
        await store.expunge(box, ((1, 7),), deleted_only=False)
        gone = await store.delta(box, many[0].mailbox.highest_modseq)
        assert list(gone.vanished) == [1, 2, 3, 4, 5, 6, 7]
        assert gone.complete
        assert sorted(apart) == [False] * 4 + [True] * 3, "tried here, read there"

    asyncio.run(installation.play(scene))
