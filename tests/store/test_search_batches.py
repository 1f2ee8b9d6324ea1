"""A search of many messages comes in batches, and a later one costs what the first did."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw
import pytest

from restante.query.language import (
    And,
    Contains,
    Dated,
    Field,
    FieldMatches,
    Fuzzy,
    HasAttachment,
    HasFlag,
    HeaderContains,
    Instant,
    Larger,
    Match,
    ModSeq,
    Not,
    Or,
    Order,
    Query,
    Uids,
)
from restante.store.interface import Engine, Store
from restante.store.model import FlagMode, Flags, System, UidRanges
from restante.store.rights import parse_rights
from restante.store.sqlite import marks, search, texts
from restante.store.sqlite.account import SqliteStore
from restante.store.sqlite.compile import Row
from restante.store.sqlite.conditions import Sql
from tests.engines.making import ACCOUNT, Installation, fill, inbox, new

COUNT, BATCH = 300, 10
SENT = Dated(Instant.RECEIVED, Order.SINCE, date(1970, 1, 1))
ALL = ((1, COUNT),)


@pytest.mark.parametrize(
    ("query", "within"),
    [
        (SENT, ALL),
        (And((Uids(ALL), SENT)), ALL),
        (And((SENT, Uids(ALL))), ALL),
        (And((Uids(((1, 40), (50, COUNT))), SENT)), ALL),
        (SENT, ((1, 40), (50, COUNT))),
        (Not(Contains(Field.SUBJECT, "nowhere")), ALL),
    ],
    ids=["alone", "named first", "named last", "two named", "within two", "texts"],
)
def test_no_batch_passes_over_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: Query, within: UidRanges
) -> None:
    """Or a search of a million messages reads most of them again in each of its batches."""
    steps = counting(monkeypatch)

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(store, SqliteStore)
        box = await inbox(store)
        await fill(store, box, COUNT)
        expected = [uid for low, high in within for uid in range(low, high + 1)]
        for node in query.operands if isinstance(query, And) else ():
            if isinstance(node, Uids):
                expected = [uid for uid in expected if any(low <= uid <= high for low, high in node.ranges)]
        assert list(await store.search(box, query, within)) == expected

    asyncio.run(Installation("sqlite", tmp_path).play(scene))
    assert len(steps) > COUNT // BATCH - 3
    assert max(steps) < 2 * steps[0], steps


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (HasFlag("\\Seen"), range(1, COUNT + 1, 2)),
        (Not(HasFlag("\\Seen")), range(2, COUNT + 1, 2)),
        (And((Not(HasFlag("\\Seen")), HasFlag("\\Seen"))), ()),
        (ModSeq(2**62), ()),
    ],
    ids=["seen", "unseen", "neither", "no change"],
)
def test_a_readers_marks_are_not_read_anew_in_each_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: Query, found: Sequence[int]
) -> None:
    """And where nothing matches, no statement goes through the whole mailbox."""
    monkeypatch.setattr(marks, "FEW", 3 if not isinstance(query, ModSeq) else -1)
    steps = counting(monkeypatch)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, COUNT)
        await store.set_acl(box, "annann", FlagMode.REPLACE, parse_rights("lrs"))
        reader = engine.account(ACCOUNT, "annann")
        odd = tuple((uid, uid) for uid in range(1, COUNT + 1, 2))
        await reader.store_flags(box, odd, FlagMode.ADD, Flags(System.SEEN))
        assert list(await reader.search(box, query, ALL)) == list(found)

    asyncio.run(Installation("sqlite", tmp_path).play(scene))
    assert len(steps) > COUNT // BATCH - 3
    assert max(steps) < 60 * BATCH, steps


@pytest.mark.parametrize("by_candidates", [False, True])
@pytest.mark.parametrize("octets", [1, 700, 1 << 20])
def test_texts_within_rows_are_held_by_octets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, octets: int, by_candidates: bool
) -> None:
    """Not by how many rows there are: a structure may be 64 kB, an address field a megabyte. Also where one email is
    in the mailbox often."""
    monkeypatch.setattr(search, "_LONG_OCTETS", octets)
    monkeypatch.setattr(search, "_LONG_BATCH", BATCH)
    monkeypatch.setattr(search, "_LONG_CHECK", 1)
    held: list[int] = []
    fetch = search._fetch_octets

    def counted(db: apsw.Connection, sql: str, values: list[object], long: list[int]) -> tuple[list[Row], bool]:
        rows, cut = fetch(db, sql, values, long)
        held.append(sum(len(row[at]) for row in rows for at in long))
        return rows, cut

    monkeypatch.setattr(search, "_fetch_octets", counted)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        messages = [await new(store, b"Subject: x\r\n\r\n%d\r\n" % number) for number in range(40)]
        for number, one in enumerate(messages):
            kind = b'("application" "pdf" NIL NIL NIL "base64" 9)' if number % 3 else b'("text" "plain" NIL)'
            analysis = replace(one.analysis, bodystructure=kind + b" " * 300)
            messages[number] = replace(one, analysis=analysis)
        await store.append(box, messages)
        while await store.fill_search():
            pass
        for _ in range(3):
            await store.copy(box, ((2, 3),), box)
        found = [*(uid for uid in range(1, 41) if (uid - 1) % 3), *range(41, 47)]
        held.clear()
        query = And((HasAttachment(), Contains(Field.TEXT, "subject: x"))) if by_candidates else HasAttachment()
        assert list(await store.search(box, query, ALL)) == found
        least = 46 if octets == 1 else 46 * 345 // (700 + 345) if octets == 700 else 46 // BATCH
        assert len([one for one in held if one]) >= least
        assert max(held) < octets + 400

    asyncio.run(Installation("sqlite", tmp_path).play(scene, index_from=1))


@pytest.mark.parametrize(
    ("query", "octets", "turns_taken"),
    [
        (Contains(Field.TEXT, "nowhere"), 1, 24),
        (Contains(Field.TEXT, "nowhere"), 10_000, 7),
        (Contains(Field.TEXT, "nowhere"), 1 << 20, 1),
        (HeaderContains("X-Other", "nowhere"), 1, 24),
        (HeaderContains("X-Other", "nowhere"), 1 << 20, 1),
        (Or(tuple(Contains(Field.TEXT, f"nowhere-{n}") for n in range(20))), 200_000, 7),
        (Fuzzy(Contains(Field.TEXT, "nowhere else at all")), 160_000, 7),
        (FieldMatches(("X-Other",), Match.IS, ("nowhere",)), 1 << 20, 1),
        (FieldMatches(("Subject",), Match.IS, ("nowhere",)), 7_000, 3),
    ],
    ids=["each", "some", "all", "each header", "all headers", "many", "fuzzy", "raw headers", "raw headers beside"],
)
def test_texts_are_looked_at_by_what_they_unpack_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: Query, octets: int, turns_taken: int
) -> None:
    """Not by how many there are, nor by the room they take: a megabyte of the same is stored in a hundred octets. Some
    have none yet, one cannot be read, and one email is in the mailbox twice."""
    monkeypatch.setattr(texts, "AT_ONCE", octets)
    turns: list[int] = []
    show = texts.show

    def counted(*given: Any) -> Any:
        found = show(*given)
        turns.append(found[1])
        return found

    monkeypatch.setattr(search, "show", counted)

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(store, SqliteStore)
        box = await inbox(store)
        same = b"same again " * 400
        await store.append(box, [await new(store, b"Subject: x\r\n\r\n%d %b\r\n" % (n, same)) for n in range(20)])
        while await store.fill_search():
            pass
        db = apsw.Connection(str(store._path))
        db.execute("UPDATE body_text SET body = x'' WHERE email = 3")
        db.close()
        await fill(store, box, 4)
        await store.copy(box, ((5, 5),), box)
        assert list(await store.search(box, Not(query), ALL)) == list(range(1, 26))

    asyncio.run(Installation("sqlite", tmp_path).play(scene))
    assert sum(turns) == 24, "each email once"
    assert len(turns) == turns_taken, turns


@pytest.mark.parametrize(
    ("keys", "rows"),
    [
        ((HasAttachment(),) * 8, 80),
        ((HasAttachment(),) * 40, 16),
        ((HasAttachment(), *[Larger(size) for size in range(40)]), 16),
        ([Larger(size) for size in range(40)], 16),
        ([Larger(size) for size in range(8)], 80),
    ],
    ids=["few", "many", "many of SQL", "SQL alone", "few of SQL"],
)
def test_many_keys_are_asked_of_fewer_rows_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: Sequence[Query], rows: int
) -> None:
    """Statements run on the loop: 500 keys of 20,000 messages hold it for half a second."""
    for name in ("_PLAIN_BATCH", "_ROW_BATCH", "_LONG_BATCH"):
        monkeypatch.setattr(search, name, 80)
    seen: list[int] = []
    for name in ("_fetch", "_fetch_octets"):
        fetch = getattr(search, name)

        def counted(*given: Any, fetch: Any = fetch) -> Any:
            found = fetch(*given)
            seen.append(len(found[0] if isinstance(found, tuple) else found))
            return found

        monkeypatch.setattr(search, name, counted)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, COUNT)
        await store.search(box, Or(tuple(keys)), ALL)

    asyncio.run(Installation("sqlite", tmp_path).play(scene))
    assert max(seen) == rows


@pytest.mark.parametrize("stored", [True, False])
def test_a_text_that_many_keys_look_at_is_looked_at_on_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    """500 keys and a text of 8 million characters are seconds, which no turn between two messages makes shorter."""
    monkeypatch.setattr(texts, "APART", 100_000)
    threads: list[bool] = []
    holds = texts.Texts.in_body

    def noted(self: texts.Texts, raw: bytes) -> bool:
        threads.append(threading.current_thread() is not threading.main_thread())
        return holds(self, raw)

    monkeypatch.setattr(texts.Texts, "in_body", noted)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        bodies = [b"short", b"long " * 1_000 + b"found"]
        await store.append(box, [await new(store, b"Subject: x\r\n\r\n%b\r\n" % body) for body in bodies])
        while stored and await store.fill_search():
            pass
        keys = [Contains(Field.BODY, f"nowhere {n}") for n in range(39)]
        assert list(await store.search(box, Or((*keys, Contains(Field.BODY, "found"))), ALL)) == [2]

    asyncio.run(Installation("sqlite", tmp_path).play(scene))
    assert threads == [not stored] * 40 + [True] * 40


def test_many_keys_that_nothing_matches_pass_over_few_messages_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not found does not count against a batch's rows, and costs the same."""
    steps = counting(monkeypatch)
    monkeypatch.setattr(search, "_PLAIN_BATCH", 80)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, COUNT)
        assert not await store.search(box, Or(tuple(Larger(1 << 40 + size) for size in range(20))), ALL)

    asyncio.run(Installation("sqlite", tmp_path).play(scene))
    assert len(steps) >= COUNT // 80 * 20 // search._TESTS


@pytest.mark.parametrize("text", [None, "nowhere"], ids=["facts", "candidates"])
@pytest.mark.parametrize("junction", [And, Or])
def test_lists_of_uids_are_gathered_for_the_messages_of_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, junction: Any, text: str | None
) -> None:
    """Each would be of the whole mailbox, in each batch: 500 of them are ten million."""
    fetch = search._fetch
    edges: list[int] = []

    def noted(db: apsw.Connection, sql: str, values: Sequence[object]) -> Any:
        found = fetch(db, sql, values)
        made = [(values[at + 2], values[at + 3]) for at, value in enumerate(values) if str(value).startswith("[[")]
        edges.extend(high - low + 1 for low, high in made if isinstance(low, int) and isinstance(high, int))
        return found

    monkeypatch.setattr(search, "_fetch", noted)
    monkeypatch.setattr(search, "_PLAIN_BATCH", 80)
    monkeypatch.setattr(search, "_ROW_BATCH", 80)
    lists = [tuple((low, low + 1 + n % 3) for low in range(1 + n, COUNT, 9)) for n in range(16)]

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, COUNT)
        while await store.fill_search():
            pass
        keys: list[Query] = [Uids(ranges) if n % 2 else Not(Uids(ranges)) for n, ranges in enumerate(lists)]
        if junction is And:
            keys = [Or((one, other)) for one, other in pairwise(keys)]
        if text is not None:
            keys.append(Contains(Field.TEXT, text))
        every = any if junction is Or else all
        held = [{uid for low, high in ranges for uid in range(low, high + 1)} for ranges in lists]

        def matches(uid: int) -> bool:
            told = [(uid in held[n]) == bool(n % 2) for n in range(16)]
            if junction is And:
                told = [one or other for one, other in pairwise(told)]
            return every([*told, *([] if text is None else [False])] if junction is Or else told)

        if text is not None and junction is And:
            keys[-1] = Not(keys[-1])  # no message has it
        assert list(await store.search(box, junction(tuple(keys)), ALL)) == [
            u for u in range(1, COUNT + 1) if matches(u)
        ]

    asyncio.run(Installation("sqlite", tmp_path).play(scene))
    assert edges
    assert max(edges) <= 80


def test_a_readers_marks_are_read_once_for_all_keys_of_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    named = marks.Marks._named

    def counted(self: marks.Marks, sql: str, values: tuple[str | int, ...]) -> Sql | None:
        reads.append(sql)
        return named(self, sql, values)

    monkeypatch.setattr(marks.Marks, "_named", counted)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 10)
        await store.set_acl(box, "annann", FlagMode.REPLACE, parse_rights("lrs"))
        reader = engine.account(ACCOUNT, "annann")
        await reader.store_flags(box, ((1, 4),), FlagMode.ADD, Flags(System.SEEN))
        for few in (1_000, 1):
            monkeypatch.setattr(marks, "FEW", few)
            reads.clear()
            seen, since = HasFlag("\\Seen"), ModSeq(2)
            assert list(await reader.search(box, And((seen, Or((seen, Not(seen))), since, since)), ALL)) == [1, 2, 3, 4]
            assert reads == [marks.FEW_SEEN, marks.FEW_TOUCHED]

    asyncio.run(Installation("sqlite", tmp_path).play(scene))


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Small batches; the steps of SQLite's machine that each takes."""
    monkeypatch.setattr(search, "_PLAIN_BATCH", BATCH)
    monkeypatch.setattr(search, "_ROW_BATCH", BATCH)
    steps: list[int] = []
    fetch = search._fetch

    def counted(db: apsw.Connection, sql: str, values: list[object]) -> list[Row]:
        steps.append(0)

        def step() -> bool:
            steps[-1] += 1
            return False

        db.set_progress_handler(step, 1)
        try:
            return fetch(db, sql, values)
        finally:
            db.set_progress_handler(None)

    monkeypatch.setattr(search, "_fetch", counted)
    return steps


def test_flags_that_are_set_while_the_index_is_asked_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is flagged before and after is found, though what it has together then is a set of its own."""
    looked_up = search._looked_up

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await store.append(box, [await new(store, b"Subject: x\r\n\r\n1\r\n", "\\Flagged")])

        async def changed(*args: Any) -> object:
            found = await looked_up(*args)
            await engine.account(ACCOUNT).store_flags(box, ALL, FlagMode.ADD, Flags.of(["$new"]))
            return found

        monkeypatch.setattr(search, "_looked_up", changed)
        assert list(await store.search(box, And((HasFlag("\\Flagged"), Contains(Field.TEXT, "subject: x"))), ALL)) == [
            1
        ]

    asyncio.run(Installation("sqlite", tmp_path).play(scene))
