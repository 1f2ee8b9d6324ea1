"""UID lists of large mailboxes: where and how often they are read."""

from __future__ import annotations

import asyncio
import threading
from array import array
from pathlib import Path

import apsw
import pytest

from restante.query.language import HasFlag
from restante.store.errors import NoSuchMailbox
from restante.store.interface import Engine, Store
from restante.store.model import FlagMode, Mailbox, UidList
from restante.store.rights import parse_rights
from restante.store.sqlite import changes, rows
from restante.store.sqlite.engine import SqliteEngine
from tests.engines.making import ACCOUNT, ALL, Installation, fill, inbox


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
