"""Orders and answers that are kept follow their mailbox: after whatever has changed they are what is found anew.

RESTANTE_CHANGES makes the random runs longer, RESTANTE_SEED makes them others.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
from array import array
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from weakref import ref

import apsw
import pytest

from restante.clock import system_random
from restante.query.language import All, And, HasFlag, Larger, Not, Or, Query, Uids
from restante.query.order import Criterion, SortKey
from restante.query.threads import Algorithm, Threads
from restante.store.interface import Engine, Store
from restante.store.model import FlagMode, Flags, NewMessage
from restante.store.sqlite import by_flags, changes, matches, orders, sort, trees
from restante.store.sqlite.engine import SqliteEngine
from restante.store.sqlite.matches import Matches
from restante.store.sqlite.values import pack, ranges_of
from tests.engines.making import ACCOUNT, ALL, Installation, fill, inbox, new

CHANGES = int(os.environ.get("RESTANTE_CHANGES", "60"))
SEED = int(os.environ.get("RESTANTE_SEED", "1"))

KEYS: tuple[tuple[Criterion, ...], ...] = (
    (Criterion(SortKey.DATE),),
    (Criterion(SortKey.DATE, reverse=True),),
    (Criterion(SortKey.ARRIVAL),),
    (Criterion(SortKey.SUBJECT), Criterion(SortKey.DATE, reverse=True)),
    (Criterion(SortKey.DISPLAYFROM, reverse=True), Criterion(SortKey.SIZE), Criterion(SortKey.SIZE, reverse=True)),
    (Criterion(SortKey.TO), Criterion(SortKey.CC), Criterion(SortKey.FROM, reverse=True)),
)
QUERIES: tuple[Query, ...] = (
    All(),
    Not(HasFlag("\\Deleted")),
    Not(HasFlag("\\Seen")),
    And((Not(HasFlag("\\Seen")), Not(HasFlag("\\Deleted")))),
    Or((HasFlag("\\Flagged"), HasFlag("$junk"))),
    And((Uids(((3, 4_000),)), Not(HasFlag("\\Answered")))),
)
FLAGS = ("\\Seen", "\\Deleted", "\\Flagged", "\\Answered", "$Junk", "$Work")
TEXTS = ("", "a", "b", "ab", "é", "\uffee", "\U0001f600", "z" * 40)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mailboxes of a few messages are kept as large ones are."""
    monkeypatch.setattr(by_flags, "FEW_FLAGS", 1)
    monkeypatch.setattr(changes, "FEW_FLAGS", 1)
    monkeypatch.setattr(orders, "FEW_SORTED", 1)
    monkeypatch.setattr(trees, "FEW_THREADED", 1)


async def message(store: Store, chance: Random) -> NewMessage:
    """One whose keys are those of others as a rule."""
    made = await new(store, b"x" * chance.randrange(20, 24), received=chance.randrange(1_000, 1_010))
    ids = [f"<{number}@x>" for number in range(30)]
    threads: dict[str, Any] = {
        "message_id": chance.choice(ids), "references": tuple(chance.sample(ids, chance.randrange(4)))
    }  # fmt: skip
    text: dict[str, Any] = {
        name: chance.choice(TEXTS) for name in ("subject", "sender", "recipient", "cc", "display_from", "display_to")
    }
    sent = chance.choice([None, 1_000, 1_005, -7, chance.randrange(2_000)])
    return replace(
        made, analysis=replace(made.analysis, keys=replace(made.analysis.keys, sent=sent, **threads, **text))
    )


async def change(store: Store, box: int, uids: list[int], chance: Random) -> None:
    """Something happens to the mailbox."""
    some = sorted(chance.sample(uids, min(len(uids), chance.choice([1, 1, 2, 9])))) if uids else []
    ranges = tuple((uid, uid) for uid in some)
    match chance.randrange(6):
        case 0 | 1:
            await store.append(box, [await message(store, chance) for _ in range(chance.choice([1, 1, 1, 3, 90]))])
        case 2 if some:
            await store.expunge(box, ranges, deleted_only=False)
        case 3 if some:
            await store.move(box, ranges, box)
        case 4 if len(uids) > 100:
            await store.expunge(box, ((uids[0], uids[-70]),), deleted_only=False)
        case _ if some:
            mode = chance.choice([FlagMode.ADD, FlagMode.REMOVE, FlagMode.REPLACE])
            await store.store_flags(box, ranges, mode, Flags.of(chance.sample(FLAGS, chance.randrange(3))))


async def compared(engine: SqliteEngine, store: Store, box: int) -> list[int]:
    """Whatever is asked is what SQLite finds and sorts anew; the UIDs there."""
    path = engine.path(ACCOUNT)
    db = apsw.Connection(str(path))
    try:
        for query in QUERIES:
            rows = await store.search(box, And((query, Larger(0))), ALL)
            assert await store.search(box, query, ALL) == rows, query
            named = pack(tuple(ranges_of(rows)))
            for keys in KEYS:
                expected, highest = sort.sort_uids(db, box, named, keys)
                assert highest == max(rows, default=0)
                assert await store.sort(box, query, keys, ALL) == expected, (query, keys)
                newest = expected[-1] if len(expected) else 1
                within = ((2, max(2, newest)),)
                cut = array("I", [uid for uid in expected if 2 <= uid <= within[0][1]])
                assert await store.sort(box, query, keys, within) == cut, (query, keys, within)
            for algorithm in Algorithm:
                anew = sort.threads(db, box, tuple(ranges_of(rows)), algorithm)
                assert await store.thread(box, query, algorithm, ALL) == anew, (query, algorithm)
                assert await store.thread(box, query, algorithm, ALL) == anew, (query, algorithm)
        return [row[0] for row in db.execute("SELECT uid FROM placement WHERE mailbox = ? ORDER BY uid", (box,))]
    finally:
        db.close()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("turn", range(2))
def test_what_is_kept_is_what_is_found_anew(tmp_path: Path, turn: int) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    chance = Random(SEED * 1_000 + turn)

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await inbox(store)
        other = SqliteEngine(installation.data, installation.clock, system_random, reserve=0)
        elsewhere = other.account(ACCOUNT)
        try:
            await store.append(box, [await message(store, chance) for _ in range(20)])
            for _ in range(CHANGES // 2):
                uids = await compared(engine, store, box)
                for _ in range(chance.choice([1, 1, 3])):
                    await change(chance.choice([store, elsewhere]), box, uids, chance)
        finally:
            await other.close()

    asyncio.run(installation.play(scene))


@pytest.mark.usefixtures("small")
def test_few_changes_sort_nothing_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that comes or goes, or is read: the order is led on, and the flags are not passed over."""
    sorted_: list[int] = []
    passed_over: list[int] = []
    sort_uids, pass_over = sort.sort_uids, matches.passed_over

    def noted_sort(db: apsw.Connection, mailbox: int, *rest: Any) -> tuple[array[int], int]:
        sorted_.append(mailbox)
        return sort_uids(db, mailbox, *rest)

    def noted_pass(*rest: Any) -> array[int]:
        passed_over.append(1)
        return pass_over(*rest)

    monkeypatch.setattr(sort, "sort_uids", noted_sort)
    monkeypatch.setattr(matches, "passed_over", noted_pass)
    installation = Installation("sqlite", tmp_path / "data")
    undeleted = Not(HasFlag("\\Deleted"))

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 200)
        await store.store_flags(box, ((5, 5),), FlagMode.ADD, Flags.of(["\\Deleted"]))
        for query in (All(), undeleted):
            await store.sort(box, query, KEYS[0], ALL)
        assert (len(sorted_), len(passed_over)) == (2, 1)
        await fill(store, box, 3)
        await store.expunge(box, ((7, 9), (201, 201)), deleted_only=False)
        await store.store_flags(box, ((20, 21),), FlagMode.ADD, Flags.of(["\\Deleted", "$New"]))
        everything = [uid for uid in range(1, 204) if uid not in (7, 8, 9, 201)]
        assert sorted(await store.sort(box, All(), KEYS[0], ALL)) == everything
        assert sorted(await store.sort(box, undeleted, KEYS[0], ALL)) == sorted({*everything} - {5, 20, 21})
        first = await store.search(box, undeleted, ALL)
        assert await store.search(box, undeleted, ALL) is first, "nothing has changed: the same array"
        assert (len(sorted_), len(passed_over)) == (2, 1)

    asyncio.run(installation.play(scene))


@pytest.mark.usefixtures("small")
def test_threads_are_kept_while_the_messages_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever becomes of flags that are not asked for; what repair may have made anew is threaded anew."""
    made: list[int] = []
    threads = sort.threads

    def noted(db: apsw.Connection, mailbox: int, *rest: Any) -> Any:
        made.append(mailbox)
        return threads(db, mailbox, *rest)

    monkeypatch.setattr(sort, "threads", noted)
    installation = Installation("sqlite", tmp_path / "data")
    undeleted = Not(HasFlag("\\Deleted"))

    async def scene(engine: Engine, store: Store) -> None:
        box = (await store.create_mailbox("Box")).key
        await fill(store, box, 20)

        async def asked() -> int:
            for query in (All(), undeleted):
                await store.thread(box, query, Algorithm.REFERENCES, ALL)
            return len(made)

        assert await asked() == 2
        await store.store_flags(box, ((3, 9),), FlagMode.ADD, Flags.of(["\\Seen"]))
        assert await asked() == 2
        await store.store_flags(box, ((3, 3),), FlagMode.ADD, Flags.of(["\\Deleted"]))
        assert await asked() == 3
        await fill(store, box, 1)
        assert await asked() == 5
        await store.rename_mailbox(box, "Other")
        assert await asked() == 7

    asyncio.run(installation.play(scene))


def test_threads_kept_are_bounded() -> None:
    kept = trees.Trees(most=20_000)
    uids = array("I", range(1, 1_001))
    for number in range(4):
        place = ("a", number, Algorithm.REFERENCES, All(), "i", 1)
        kept.keep(place, uids, Threads(b"(%d)" * 1_000, uids))
    assert [place[1] for place in kept._trees] == [2, 3]
    assert kept.find(("a", 3, Algorithm.REFERENCES, All(), "i", 1), array("I", uids)) is not None
    assert kept.find(("a", 3, Algorithm.REFERENCES, All(), "i", 1), uids[:-1]) is None
    kept.forget({"a"})
    assert kept._held == 0


def test_answers_are_bounded() -> None:
    lists = changes.Lists()
    kept = Matches(lists, changes.FlagArrays(lists), most=3_000)
    uids = array("I", range(1, 1_001))
    for number in range(4):
        kept._keep(("a", 1, HasFlag(str(number))), ((1, 1, 1), uids))
    assert [place[2] for place in kept._answers] == [HasFlag("2"), HasFlag("3")]
    kept.forget({"b"})
    assert len(kept._answers) == 2
    kept.forget({"a"})
    assert kept._held == 0


def test_long_queries_leave_nothing_behind(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await inbox(store)
        await fill(store, box, 3)
        await fill(store, box, 2, "\\Seen")
        long = And(tuple(Not(HasFlag(f"x{number}")) for number in range(8)))
        for query in (And((Not(HasFlag("\\Seen")), long)), And((Not(HasFlag("\\Seen")), Not(HasFlag("x" * 300))))):
            assert list(await store.search(box, query, ALL)) == [1, 2, 3]
            assert list(await store.sort(box, query, KEYS[0], ALL)) == [1, 2, 3]
        assert not engine.kept.matches._answers
        assert list(await store.search(box, Not(HasFlag("\\Seen")), ALL)) == [1, 2, 3]
        assert len(engine.kept.matches._answers) == 1

    asyncio.run(installation.play(scene))


@pytest.mark.usefixtures("small")
def test_what_the_log_tells_no_more_is_found_anew(tmp_path: Path) -> None:
    """Removals that are forgotten, and messages of which nothing is known any more: nothing of them is answered."""
    installation = Installation("sqlite", tmp_path / "data")
    unseen = Not(HasFlag("\\Seen"))

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await inbox(store)
        await fill(store, box, 30)
        await fill(store, box, 1, "\\Seen")
        for query in (All(), unseen):
            assert len(await store.sort(box, query, KEYS[0], ALL)) == 31 - isinstance(query, Not)
        await store.expunge(box, ((3, 5),), deleted_only=False)
        db = apsw.Connection(str(engine.path(ACCOUNT)))
        db.execute("UPDATE account SET log_floor = modseq; DELETE FROM removed")
        db.close()
        left = [uid for uid in range(1, 32) if uid not in (3, 4, 5)]
        assert list(await store.search(box, unseen, ALL)) == left[:-1]
        assert sorted(await store.sort(box, unseen, KEYS[0], ALL)) == left[:-1]
        assert sorted(await store.sort(box, All(), KEYS[0], ALL)) == left

    asyncio.run(installation.play(scene))


@pytest.mark.usefixtures("small")
def test_an_older_state_is_not_given_orders_of_the_lost_one(tmp_path: Path) -> None:
    """A mailbox made in it has the key, and its messages the UIDs, of one that was made in the state that is lost."""
    installation = Installation("sqlite", tmp_path / "data")
    chance = Random(SEED)

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        path, kept = engine.path(ACCOUNT), tmp_path / "kept.db"

        async def made(name: str) -> int:
            box = (await store.create_mailbox(name)).key
            await store.append(box, [await message(store, chance) for _ in range(40)])
            assert await compared(engine, store, box) == list(range(1, 41))
            await engine.leave(ACCOUNT)
            return box

        await inbox(store)
        await engine.leave(ACCOUNT)
        shutil.copy(path, kept)
        lost = await made("Lost")
        for beside in path.parent.glob(f"{path.name}*"):
            beside.unlink()
        shutil.copy(kept, path)
        assert await made("Found") == lost

    asyncio.run(installation.play(scene))


@pytest.mark.usefixtures("small")
def test_an_answer_holds_no_list_of_the_mailbox(tmp_path: Path) -> None:
    """Each of as many answers as fit would hold another one: in a large mailbox, gigabytes."""
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await inbox(store)
        await fill(store, box, 30, "\\Seen")
        await fill(store, box, 1)
        before = ref((await store.snapshot(box)).uids)
        assert list(await store.search(box, Not(HasFlag("\\Seen")), ALL)) == [31]
        await fill(store, box, 1, "\\Flagged")
        assert list(await store.search(box, HasFlag("\\Flagged"), ALL)) == [32]
        assert len(engine.kept.matches._answers) == 2
        gc.collect()
        assert before() is None

    asyncio.run(installation.play(scene))


def test_what_changed_holds_few_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST_BESIDE", 100)
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(engine, SqliteEngine)
        box = await inbox(store)
        await fill(store, box, 40)
        for _ in range(5):
            since = (await store.snapshot(box)).mailbox.highest_modseq
            await fill(store, box, 1)
            newest = await store.delta(box, since)
            assert newest.uids is not None
            assert await store.delta(box, since) is newest, "for a crowd, whatever its size"
        assert [len(delta.uids or ()) for delta in engine.kept.deltas._kept.values()] == [44, 45]

    asyncio.run(installation.play(scene))
