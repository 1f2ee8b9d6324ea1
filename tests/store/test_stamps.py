"""What changed since a number is found by stamps as by a look at every placement, whatever was written before."""

from __future__ import annotations

import asyncio
import random
from array import array
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.store.interface import Engine, Store
from restante.store.model import Column, FlagMode, Flags, System, UidRanges
from restante.store.sqlite import changes, flags, recover, stamps, transaction
from restante.store.sqlite.account import SqliteStore
from restante.store.sqlite.engine import SqliteEngine
from restante.store.sqlite.schema import TABLES
from tests.engines.making import ACCOUNT, ALL, Installation, fill, inbox

BOX = 1
MOST = 400

Scene = tuple[UidRanges, FlagMode, Flags, int | None]
"""A STORE; how many numbers ago the messages must not have changed since, if that is asked."""

stretch = st.tuples(st.integers(1, MOST), st.integers(0, MOST), st.sampled_from([1, 1, 2, 3, stamps.GAP, 40])).map(
    lambda one: [(uid, uid) for uid in range(one[0], min(MOST, one[0] + one[1]) + 1, one[2])]
)
"""UIDs at the same distance: most of what lies between keeps its number."""
stretches = st.lists(stretch, min_size=1, max_size=3).map(lambda some: sorted({one for each in some for one in each}))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("change"), stretches),
        st.tuples(st.just("remove"), stretches),
        st.tuples(st.just("prune"), stretches),
    ),
    max_size=12,
)


def file_of(count: int) -> apsw.Connection:
    """A mailbox whose messages came one by one."""
    db = apsw.Connection(":memory:")
    db.execute(TABLES)
    insert = "INSERT INTO placement (mailbox, uid, email, flagset, modseq, size, received, saved) VALUES"
    for uid in range(1, count + 1):
        db.execute(f"{insert} (1, ?1, ?1, 1, ?1, 1, 1, 1)", (uid,))
        stamps.write(db, BOX, uid, [(uid, uid)])
    return db


def found(db: apsw.Connection, since: int) -> list[int]:
    return [uid for (uid,) in db.execute(f"SELECT p.uid {stamps.since('?1', '?2')}", (BOX, since))]


def by_looking(db: apsw.Connection, since: int) -> list[int]:
    return [uid for (uid,) in db.execute("SELECT uid FROM placement WHERE modseq > ? ORDER BY uid", (since,))]


@settings(max_examples=150, deadline=None)
@given(count=st.integers(0, MOST), done=steps)
def test_each_change_is_found_once(count: int, done: list[tuple[str, list[tuple[int, int]]]]) -> None:
    db, modseq = file_of(count), MOST
    for what, ranges in done:
        modseq += 1
        for low, high in ranges:
            if what == "change":
                db.execute("UPDATE placement SET modseq = ? WHERE uid BETWEEN ? AND ?", (modseq, low, high))
            elif what == "remove":
                db.execute("DELETE FROM placement WHERE uid BETWEEN ? AND ?", (low, high))
        if what == "change":
            stamps.write(db, BOX, modseq, ranges)
        elif what == "prune":
            assert stamps.prune(db, BOX, 0) == 0
        assert list(db.execute(stamps.UNSTAMPED.replace("p.mailbox IN (SELECT key FROM mailbox) AND", ""))) == []
        sizes = db.execute(f"SELECT sum(high - low + 1) FROM stamp WHERE high - low >= {stamps.LONG}").get
        assert (sizes or 0) <= MOST * stamps.GAP, "no UID is in many long ones"
    for since in (0, count // 2, MOST, MOST + len(done) // 2, modseq):
        uids = found(db, since)
        assert sorted(uids) == by_looking(db, since)
        low = db.execute("SELECT min(low) FROM stamp WHERE mailbox = ? AND modseq > ?", (BOX, since)).get
        assert not uids or low <= min(uids)


def test_a_stretch_costs_a_row_and_not_one_for_each_message() -> None:
    db = file_of(0)
    stamps.write(db, BOX, 7, [(n, n) for n in range(1, 200, 2)])
    stamps.write(db, BOX, 8, [(1000, 1000), (1000 + stamps.GAP, 1000 + stamps.GAP), (2000, 2000)])
    assert list(db.execute("SELECT modseq, low, high FROM stamp")) == [
        (7, 1, 199), (8, 1000, 1000 + stamps.GAP), (8, 2000, 2000)
    ]  # fmt: skip


def test_pruning_goes_in_steps_and_keeps_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "STEP", 10)
    monkeypatch.setattr(stamps, "SPARE", 5)
    db = file_of(100)
    db.execute(
        "INSERT INTO mailbox (key, id, name, uidvalidity, uidnext, highest_modseq, messages, created_modseq,"
        " changed_modseq) VALUES (1, 'b', 'INBOX', 1, 101, 100, 100, 1, 1)"
    )
    assert stamps.swollen(db) == []
    for modseq in range(101, 161):
        db.execute("UPDATE placement SET modseq = ? WHERE uid = 50", (modseq,))
        stamps.write(db, BOX, modseq, [(50, 50)])
    assert stamps.swollen(db) == [BOX]
    after, taken = 0, 0
    while after := stamps.prune(db, BOX, after):
        taken += 1
    assert taken > 10
    assert stamps.swollen(db) == []
    assert db.execute("SELECT count(*) FROM stamp").get == 100
    assert sorted(found(db, 0)) == list(range(1, 101))
    assert found(db, 159) == [50]


def test_wide_stamps_that_nobody_needs_are_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "SPARE", 0)
    db = file_of(60)
    db.execute(
        "INSERT INTO mailbox (key, id, name, uidvalidity, uidnext, highest_modseq, messages, created_modseq,"
        " changed_modseq) VALUES (1, 'b', 'INBOX', 1, 101, 100, 60, 1, 1)"
    )
    assert stamps.prune(db, BOX, 0) == 0
    for modseq in range(101, 120):
        db.execute("UPDATE placement SET modseq = ?", (modseq,))
        stamps.write(db, BOX, modseq, [(1, 60)])
    assert stamps.swollen(db) == [BOX]
    assert stamps.prune(db, BOX, 0) == 0
    assert list(db.execute("SELECT modseq, low, high FROM stamp")) == [(119, 1, 60)]
    assert stamps.swollen(db) == []


@pytest.mark.parametrize("most", [("MOST_STAMPS", 2), ("MOST_UIDS", 5)], ids=["stamps", "uids"])
def test_what_is_much_to_pass_over_is_read_on_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: tuple[str, int]
) -> None:
    monkeypatch.setattr(stamps, *most)
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 9)
        await store.flag_columns(box, ALL, 10)
        number = await store.last_change()
        for uid in (2, 4, 8):
            await store.store_flags(box, ((uid, uid),), FlagMode.ADD, Flags(System.FLAGGED))
        for since, changed in ((number, [2, 4, 8]), (0, list(range(1, 10)))):
            delta = await store.delta(box, since)
            assert [uid for uid, *_ in delta.changed] == changed
        db = connection(installation)
        assert stamps.are_many(db, box, 0)
        assert not stamps.are_many(db, box, await store.last_change() - 1)
        db.close()

    asyncio.run(installation.play(scene))


def test_housekeeping_prunes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "SPARE", 2)
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 3)
        for mode in (FlagMode.ADD, FlagMode.REMOVE) * 5:
            await store.store_flags(box, ((2, 2),), mode, Flags(System.FLAGGED))
        number = await store.last_change()
        db = connection(installation)
        assert db.execute("SELECT count(*) FROM stamp").get == 11
        assert await store.reclaim(100) == 0
        assert db.execute("SELECT count(*) FROM stamp").get == 2
        assert await store.last_change() == number
        assert [uid for uid, *_ in (await store.delta(box, number - 1)).changed] == [2]
        assert [uid for uid, *_ in (await store.delta(box, 0)).changed] == [1, 2, 3]
        db.close()

    asyncio.run(installation.play(scene))


def test_a_deleted_mailbox_leaves_no_stamps(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = (await store.create_mailbox("Work")).key
        await fill(store, box, 3)
        db = connection(installation)
        assert db.execute("SELECT count(*) FROM stamp WHERE mailbox = ?", (box,)).get == 1
        await store.delete_mailbox(box)
        assert db.execute("SELECT count(*) FROM stamp").get == 0
        db.close()

    asyncio.run(installation.play(scene))


def connection(installation: Installation) -> apsw.Connection:
    return apsw.Connection(str(installation.data / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"))


@pytest.mark.parametrize("most", [changes.MOST_HELD, 6], ids=["held", "held at times"])
@pytest.mark.parametrize("seed", range(5))
def test_flags_are_stored_by_what_is_held_as_by_the_file(
    tmp_path: Path, seed: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process that holds the flags of the mailbox, and knows what it stored, one that never does."""
    monkeypatch.setattr(changes, "MOST_HELD", most)
    monkeypatch.setattr(flags, "FEW", 2)
    monkeypatch.setattr(flags, "SPARSE", 3)
    draw = random.Random(seed)
    names = (System.SEEN, System.FLAGGED, System.ANSWERED, System.DELETED)

    def play(data: Path, *, holds: bool, scenes: list[Scene]) -> object:
        installation = Installation("sqlite", data)
        told: list[object] = []

        async def scene(engine: Engine, store: Store) -> None:
            assert isinstance(engine, SqliteEngine)
            box = await inbox(store)
            await fill(store, box, 30)
            await store.expunge(box, ((7, 7), (20, 22)), deleted_only=False)
            for ranges, mode, some, back in scenes:
                if holds:
                    await store.flag_columns(box, ALL, 1_000)
                    assert (engine.kept.flags.held(ACCOUNT, box, ranges) is not None) or most == 6
                else:
                    engine.kept.flags.drop((ACCOUNT, box))
                unchanged_since = None if back is None else await store.last_change() - back
                flagged = await store.store_flags(box, ranges, mode, some, unchanged_since)
                told.append((flagged.modseq, list(flagged.changed), list(flagged.refused)))
                if holds:
                    both = await store.flag_columns(box, ALL, 1_000) or ((), ())
                    rows = await store.rows(box, ALL, [Column.FLAGS, Column.MODSEQ], 1_000)
                    assert list(zip(*both, strict=True)) == [row[:2] for row in rows]
            table = await store.flag_table()
            told.append([(uid, table[n], modseq) for uid, n, modseq in (await store.delta(box, 0)).changed])
            told.append((await store.snapshot(box)).mailbox.unseen)
            assert [one async for one in store.doctor(False) if one.code != "answers"] == []

        asyncio.run(installation.play(scene))
        return told

    scenes: list[Scene] = []
    for _ in range(25):
        low = draw.randint(1, 30)
        ranges = ((low, draw.randint(low, 40)),) if draw.random() < 0.5 else tuple(
            (n, n) for n in sorted(draw.sample(range(1, 34), draw.randint(1, 20)))
        )  # fmt: skip
        back = draw.choice([None, None, None, 1, 4])
        scenes.append((ranges, draw.choice(list(FlagMode)), Flags(draw.choice(names) | draw.choice(names)), back))
    assert play(tmp_path / "a", holds=True, scenes=scenes) == play(tmp_path / "b", holds=False, scenes=scenes)


async def held_wrongly(engine: Engine, store: Store, wrong: int, right: int) -> int:
    """An INBOX of six messages, the fourth with \\Seen, of which one (from 0) is held to have another one's flags."""
    assert isinstance(engine, SqliteEngine)
    box = await inbox(store)
    await fill(store, box, 6)
    await store.store_flags(box, ((4, 4),), FlagMode.ADD, Flags(System.SEEN))
    await store.flag_columns(box, ALL, 1_000)
    held = engine.kept.flags._arrays[ACCOUNT, box][2]
    held[wrong] = held[right]
    return box


@pytest.mark.parametrize("named", [ALL, tuple((n, n) for n in range(1, 30))], ids=["range", "many"])
def test_what_is_held_wrongly_is_found_out_and_nothing_is_stored_by_it(
    tmp_path: Path, named: tuple[tuple[int, int], ...]
) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await held_wrongly(engine, store, 3, 0)
        modseq = await store.last_change()
        flagged = await store.store_flags(box, named, FlagMode.ADD, Flags(System.SEEN))
        assert list(flagged.changed) == [1, 2, 3, 5, 6]
        assert flagged.modseq == modseq + 1
        assert engine.kept.flags.held(ACCOUNT, box, named) is None
        _, numbers = await store.flag_columns(box, ALL, 1_000) or ((), ())
        assert len(set(numbers)) == 1
        assert (await store.snapshot(box)).mailbox.unseen == 0
        assert [one async for one in store.doctor(False) if one.code != "answers"] == []

    asyncio.run(installation.play(scene))


def test_a_message_that_is_held_to_have_the_flag_and_does_not_gets_it(tmp_path: Path) -> None:
    """What a STORE passes over by what is held shows in how many of the others' set there are."""
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await held_wrongly(engine, store, 1, 3)
        flagged = await store.store_flags(box, ((1, 6),), FlagMode.ADD, Flags(System.SEEN))
        assert list(flagged.changed) == [1, 2, 3, 5, 6]
        assert (await store.snapshot(box)).mailbox.unseen == 0

    asyncio.run(installation.play(scene))


def test_messages_that_are_held_and_that_the_file_has_lost_are_passed_over(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await held_wrongly(engine, store, 0, 0)
        db = connection(installation)
        db.execute("DELETE FROM placement WHERE uid <> 4")
        db.close()
        flagged = await store.store_flags(box, ALL, FlagMode.ADD, Flags(System.DELETED))
        assert list(flagged.changed) == [4]

    asyncio.run(installation.play(scene))


def test_what_is_held_is_taken_apart_by_flag_set() -> None:
    held = flags.Held(1, array("I", [3, 5, 7]), array("I", [9, 8, 9]))
    assert held.by_set() == [(8, array("I", [5])), (9, array("I", [3, 7]))]


def test_a_stamp_that_is_lost_is_found_by_the_doctor_and_what_changed_is_told(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 4)
        number = await store.last_change()
        await store.store_flags(box, ((2, 2),), FlagMode.ADD, Flags(System.SEEN))
        known = await store.last_change()
        db = connection(installation)
        db.execute("DELETE FROM stamp WHERE modseq = ?", (known,))
        db.close()
        assert {one.code async for one in store.doctor(False)} - {"answers"} == {"stamp"}
        assert {one.code async for one in store.doctor(True) if one.repaired} >= {"stamp"}
        assert {one.code async for one in store.doctor(False)} - {"answers"} == set()
        for since in (number, known):  # those too who have asked meanwhile
            delta = await store.delta(box, since)
            assert delta.complete
            assert [uid for uid, *_ in delta.changed] == [2]

    asyncio.run(installation.play(scene))


def test_pruning_takes_no_number(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await inbox(store)
        await fill(store, box, 2)
        number = await store.last_change()
        assert isinstance(store, SqliteStore)
        assert await store._write(recover.prune_stamps, box, 0) == 0
        assert await store.last_change() == number

    asyncio.run(installation.play(scene))


def test_a_command_may_change_the_flags_of_what_it_has_placed(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    def both(tx: transaction.Write, box: int) -> None:
        tx.place_from(box, box, ((1, 1),))
        flags.change_flags(tx, box, ((3, 3),), lambda old: Flags(old.system | System.FLAGGED), None)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 2)
        number = await store.last_change()
        assert isinstance(store, SqliteStore)
        await store._write(both, box)
        assert [uid for uid, *_ in (await store.delta(box, number)).changed] == [3]
        assert [one async for one in store.doctor(False) if one.code != "answers"] == []

    asyncio.run(installation.play(scene))
