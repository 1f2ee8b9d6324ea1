"""A repair from elsewhere is noticed by a process that keeps what it has made of the rows that were wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import pytest

from restante.clock import system_random
from restante.mime.analyse import analyse
from restante.query.language import All, HasFlag
from restante.query.order import Criterion, SortKey
from restante.store.interface import Engine, Store
from restante.store.model import Column, FlagMode, Flags, NewMessage, System
from restante.store.sqlite import orders
from restante.store.sqlite.engine import SqliteEngine
from tests.engines.making import ACCOUNT, ALL, Installation, inbox

Asked = Callable[[Store, int], Awaitable[object]]


def sorted_by(key: SortKey) -> Asked:
    async def ask(store: Store, box: int) -> object:
        return list(await store.sort(box, All(), (Criterion(key),), ALL))

    return ask


async def flagged(store: Store, box: int) -> object:
    return list(await store.search(box, HasFlag("\\Flagged"), ALL))


async def flag_sets(store: Store, box: int) -> object:
    found = await store.flag_columns(box, ALL, 10_000)
    assert found is not None
    return [list(column) for column in found]


async def for_pop3(store: Store, box: int) -> object:
    return [message.size for message in await store.maildrop()]


async def opened(store: Store, box: int) -> object:
    opening = await store.opening(box, await store.mailbox("INBOX"))
    return len(opening.snapshot.uids), opening.snapshot.mailbox.unseen, opening.first_unseen


async def listed(store: Store, box: int) -> object:
    """As a listing is answered: what is kept, or what is read and kept then."""
    shelf = store.shelf(box, 0, (await store.snapshot(box)).uids.uids)
    assert shelf is not None
    found = shelf.find(b"ENVELOPE")
    if found is None:
        found = (tuple(row[1] for row in await store.rows(box, ALL, (Column.ENVELOPE,), 100)),)
        shelf.keep(b"ENVELOPE", found, 1_000)
    return found


DAMAGE: dict[str, tuple[Asked, str]] = {
    "sizes": (sorted_by(SortKey.SIZE), "UPDATE placement SET size = 1000 - uid"),
    "dates": (sorted_by(SortKey.ARRIVAL), "UPDATE placement SET received = 1000 - uid"),
    "subjects": (sorted_by(SortKey.SUBJECT), "UPDATE sortkey SET subject = 'A' WHERE email = 3"),
    "for-pop3": (for_pop3, "UPDATE content SET pop3_size = 7, pop3_size_utf8 = 8 WHERE key = 2"),
    "answers": (listed, "UPDATE answer SET envelope = x'2829' WHERE email = 2"),
    "counters": (opened, "UPDATE mailbox SET messages = 3, unseen = 0 WHERE name = 'INBOX'"),
    "flag-sets": (flagged, "UPDATE placement SET flagset = 99 WHERE uid = 2"),
}


async def filled(store: Store) -> int:
    box = await inbox(store)
    data = [b"Subject: plan %d\r\n\r\n%b\r\n" % (n, b"x" * n) for n in range(1, 5)]
    new = [NewMessage(await store.put(d), analyse(d), Flags(), 1_000 + n, None) for n, d in enumerate(data)]
    await store.append(box, new)
    await store.store_flags(box, ((2, 3),), FlagMode.ADD, Flags(System.FLAGGED))
    return box


async def repaired(installation: Installation) -> None:
    """As `restante doctor --repair` does it: another process's engine."""
    doctor = SqliteEngine(installation.data, installation.clock, system_random, reserve=0)
    try:
        found = [finding async for finding in doctor.account(ACCOUNT).doctor(True)]
        assert found
        assert all(finding.repaired for finding in found), found
        assert [finding async for finding in doctor.account(ACCOUNT).doctor(False)] == []
    finally:
        await doctor.close()


async def anew(installation: Installation, ask: Asked, box: int) -> object:
    """The answer of a process that keeps nothing."""
    engine = SqliteEngine(installation.data, installation.clock, system_random, reserve=0)
    try:
        return await ask(engine.account(ACCOUNT), box)
    finally:
        await engine.close()


@pytest.fixture(autouse=True)
def few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "FEW_SORTED", 1)


@pytest.mark.parametrize("what", DAMAGE)
def test_what_was_made_of_rows_that_were_wrong_is_made_anew(tmp_path: Path, what: str) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    ask, damage = DAMAGE[what]

    async def scene(engine: Engine, store: Store) -> None:
        box = await filled(store)
        right = await anew(installation, ask, box)
        db = apsw.Connection(str(installation.data / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"))
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute(damage)
        floor = db.execute("SELECT log_floor FROM account").get
        before = (await store.snapshot(box)).mailbox.highest_modseq
        wrong = await ask(store, box)
        if what != "flag-sets":
            assert wrong != right
            assert await ask(store, box) == wrong
        await repaired(installation)
        now = await ask(store, box)
        assert now == await anew(installation, ask, box)
        assert now == right or what == "flag-sets"  # flags that nobody can say are taken away
        # Nobody is told of a change that there was none of, and what may be taken back is what it was.
        delta = await store.delta(box, before)
        assert delta.complete
        assert [uid for uid, *_ in delta.changed] == ([2] if what == "flag-sets" else [])
        assert not len(delta.vanished)
        assert db.execute("SELECT log_floor FROM account").get == floor
        db.close()

    asyncio.run(installation.play(scene))


def execute(installation: Installation, sql: str, *values: apsw.SQLiteValue) -> list[tuple[apsw.SQLiteValue, ...]]:
    db = apsw.Connection(str(installation.data / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"))
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("PRAGMA writable_schema = ON")  # a connection keeps the schema that it read first
    found = list(db.execute(sql, values))
    db.close()
    return found


def unseen_by(index: str, installation: Installation, sql: str) -> None:
    """Do what this index of SQLite does not show."""
    named = "FROM sqlite_schema WHERE name = ?"
    (kept,) = execute(installation, f"SELECT type, name, tbl_name, rootpage, sql {named}", index)
    execute(installation, f"DELETE {named}", index)
    execute(installation, sql)
    again = "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, ?, ?)"
    execute(installation, again, *kept)


@pytest.mark.parametrize("ask", [flagged, flag_sets], ids=["matches", "flags"])
def test_flags_that_no_stamp_showed_are_seen_after_the_repair(tmp_path: Path, ask: Asked) -> None:
    """And told: nobody who went by the stamps has heard of them."""
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await filled(store)
        before = await ask(store, box)
        execute(
            installation,
            "UPDATE placement SET flagset = (SELECT max(flagset) FROM placement), modseq = 50 WHERE uid = 4",
        )
        execute(installation, "UPDATE mailbox SET highest_modseq = 50 WHERE key = ?", box)
        execute(installation, "UPDATE account SET modseq = 50")
        assert await ask(store, box) == before, "else a stamp shows it"
        await repaired(installation)
        now = await ask(store, box)
        assert now != before
        assert now == await anew(installation, ask, box)
        assert [uid for uid, *_ in (await store.delta(box, 50)).changed] == [4]

    asyncio.run(installation.play(scene))


def test_a_removal_that_an_index_of_sqlite_did_not_show_is_told_after_the_repair(tmp_path: Path) -> None:
    """To those as well who have asked since, and know a higher number than it has."""
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await filled(store)
        before = (await store.snapshot(box)).mailbox.highest_modseq
        unseen_by(
            "removed_modseq",
            installation,
            "INSERT INTO removed (mailbox, uid, email, flagset, placed_modseq, modseq, size, received, saved,"
            " removed_at, session) SELECT mailbox, uid, email, flagset, modseq, 50, size, received, saved, 0, ''"
            " FROM placement WHERE uid = 2; DELETE FROM placement WHERE uid = 2;"
            " UPDATE mailbox SET highest_modseq = 50, messages = 3; UPDATE account SET modseq = 50",
        )
        assert not len((await store.delta(box, before)).vanished), "else the index shows it"
        await repaired(installation)
        for since in (before, 50):
            delta = await store.delta(box, since)
            assert not delta.complete, "who asks compares lists"
            assert [uid for uid, *_ in delta.changed] == [1, 3, 4]
        assert list((await store.snapshot(box)).uids.uids) == [1, 3, 4]
        assert (await store.delta(box, (await store.snapshot(box)).mailbox.highest_modseq)).complete

    asyncio.run(installation.play(scene))


@pytest.mark.parametrize("damage", ["index", "flag-set", "both"])
def test_a_rewind_to_before_a_repair_knows_what_was_there(tmp_path: Path, damage: str) -> None:
    """A placement that has a new number, and none of whose flags changed, would be one that came since: a message that
    was expunged elsewhere would be moved back from its copy."""
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await filled(store)
        archive = (await store.create_mailbox("Archive")).key
        await store.copy(box, ((1, 1),), archive)
        installation.clock.advance(60)
        at = int(installation.clock.now())
        installation.clock.advance(60)
        await store.expunge(box, ((1, 1),), deleted_only=False)
        await store.store_flags(box, ((3, 4),), FlagMode.REPLACE, Flags.of(["junk"]))
        installation.clock.advance(60)
        if damage != "flag-set":
            unseen_by("removed_at", installation, "UPDATE removed SET removed_at = removed_at + 1")
        if damage != "index":
            execute(installation, "UPDATE placement SET flagset = 99 WHERE uid = 2")
        await repaired(installation)
        installation.clock.advance(60)
        done = await store.rewind(at, apply=True)
        assert [(one.mailbox, one.brought, one.moved, one.flagged, one.removed) for one in done.changes] == [
            ("INBOX", 1, 0, 2, 0)
        ]
        assert (done.came, done.copies, done.lost) == (0, 0, [])
        assert list((await store.snapshot(archive)).uids.uids) == [1]
        table = await store.flag_table()
        found = await store.rows(box, ALL, (Column.FLAGS,), 10)
        wires = [table[int(number)].wire for _, number in found]  # type: ignore[call-overload]  # columns
        second = b"\\Flagged" if damage == "index" else b""  # what nobody can say stays away
        assert wires == [second, b"\\Flagged", b"", b""]

    asyncio.run(installation.play(scene))
