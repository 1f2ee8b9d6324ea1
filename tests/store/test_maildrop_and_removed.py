"""What of maildrop and reclaiming no engine-neutral test can see: threads, holds, and rows that are left."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import apsw
import pytest

from restante.store.interface import Engine, Store
from restante.store.model import DropList, DropMessage, FlagMode, Flags, Pop3Delete
from restante.store.sqlite import maildrop
from restante.store.sqlite.engine import SqliteEngine
from restante.store.sqlite.maildrop import Maildrops
from restante.store.sqlite.schema import PAGE_SIZE
from tests.engines.making import ACCOUNT, Installation, fill, inbox, new

RETENTION = 10_000.0


def account_file(engine: Engine) -> apsw.Connection:
    assert isinstance(engine, SqliteEngine)
    return apsw.Connection(str(engine.path(ACCOUNT)))


def test_a_large_maildrop_is_listed_beside_the_loop_and_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 20)
        await store.copy(box, ((1, 5),), box)
        here = await store.maildrop()
        assert len(here) == 25
        monkeypatch.setattr(maildrop, "ON_LOOP", 24)
        assert isinstance(engine, SqliteEngine)
        engine.kept.forget_mail({ACCOUNT})
        again = await store.maildrop()
        assert again == here
        assert again is not here

    asyncio.run(Installation("sqlite", tmp_path).play(scene))


def test_a_hold_keeps_contents_past_the_retention_and_no_longer(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 2)
        (first, _) = await store.maildrop()
        await store.expunge(box, None, deleted_only=False)
        until = int(installation.clock.now() + 3 * RETENTION)
        db = account_file(engine)
        db.execute("INSERT INTO hold (email, reason, until) VALUES (1, 'court', ?)", (until,))
        db.close()
        installation.clock.advance(2 * RETENTION)
        assert await store.reclaim(10) == 1
        assert await store.read_content(first.content) == b"Subject: 0\r\n\r\n0\r\n"
        installation.clock.advance(2 * RETENTION)
        assert await store.reclaim(10) == 1, "the log was old, and the email is found all the same"

    asyncio.run(installation.play(scene, retention=RETENTION, log_retention=RETENTION))


def test_reclaiming_leaves_no_rows_and_gives_pages_back(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 200)
        await store.expunge(box, None, deleted_only=False)
        installation.clock.advance(RETENTION + 1)
        while await store.reclaim(50):
            pass
        db = account_file(engine)
        for table in ("email", "answer", "sortkey", "search_text", "content", "chunk", "pop3_hidden", "hold"):
            assert db.execute(f"SELECT count(*) FROM {table}").get == 0, table
        assert db.execute("SELECT count(*) FROM removed").get == 200
        pages, free = db.execute("PRAGMA page_count").get, db.execute("PRAGMA freelist_count").get
        db.close()
        assert free < pages // 2, "freed pages leave the file"

    asyncio.run(installation.play(scene, retention=RETENTION))


def test_the_space_of_large_messages_is_given_back_in_bounded_steps(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        for n in range(4):
            await store.append(box, [await new(store, os.urandom(5 << 20) + b"%d\r\n" % n)])
        await store.expunge(box, None, deleted_only=False)
        installation.clock.advance(RETENTION + 1)
        assert await store.reclaim(50) == 2
        assert await store.reclaim(50) == 2
        db = account_file(engine)
        assert db.execute("PRAGMA page_count").get * PAGE_SIZE < 2 << 20
        db.close()

    asyncio.run(installation.play(scene, retention=RETENTION))


def test_a_maildrop_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    """One list serves the sessions of a process until anything in it is another, whoever changed it."""
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 3)
        first = await store.maildrop()
        assert await engine.account(ACCOUNT).maildrop() is first
        other = installation.open()
        theirs = other.account(ACCOUNT)
        await theirs.store_flags(box, ((2, 2),), FlagMode.ADD, Flags.of(("\\Seen",)))
        assert [message.seen for message in await store.maildrop()] == [False, True, False]
        await theirs.finish_maildrop(((3, 3),), Pop3Delete.KEEP, (), mark_seen=False)  # takes no change number
        assert [message.uid for message in await store.maildrop()] == [1, 2]
        await fill(theirs, box, 1)
        assert [message.uid for message in await store.maildrop()] == [1, 2, 4]
        await theirs.expunge(box, ((1, 1),), deleted_only=False)
        now = await store.maildrop()
        assert [message.uid for message in now] == [2, 4]
        assert now.octets == sum(message.size for message in now)
        assert len(first) == 3
        await other.close()

    asyncio.run(installation.play(scene))


def test_maildrops_that_are_kept_are_bounded() -> None:
    kept = Maildrops(most=10)
    message = DropMessage(1, "u", 2, 2, 1, 0, False)
    for name in ("a", "b", "c"):
        kept.keep(name, (1, 1, 1, ""), DropList([message] * 4))
    assert list(kept._drops) == ["b", "c"]
    kept.keep("d", (1, 1, 1, ""), DropList([message] * 99))
    assert list(kept._drops) == ["d"]
    kept.forget({"d"})
    assert kept._held == 0
