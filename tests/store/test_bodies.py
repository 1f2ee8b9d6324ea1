"""The text of bodies is made behind delivery; a search never depends on whether it has been made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.mime.analyse import analyse
from restante.query.language import And, Contains, Field, Fuzzy, HasFlag, Not, Or, Query
from restante.store.errors import StoreFailed
from restante.store.interface import Engine, Store
from restante.store.model import Flags, NewMessage
from restante.store.sqlite import bodies
from restante.store.sqlite.account import SqliteStore
from tests.engines.making import ACCOUNT, ALL, Installation, inbox

WORDS = ("oxlip", "Straße", "ﬁne", "手紙", "needle")


def message(number: int) -> bytes:
    word = WORDS[number % len(WORDS)]
    return (
        f"Subject: letter {number}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>{word}<b>{number}</b>\r\n"
    ).encode()


async def file(store: Store, box: int, count: int) -> None:
    for number in range(count):
        data = message(number)
        await store.append(box, [NewMessage(await store.put(data), analyse(data), Flags(), 1_000_000)])


QUERIES: tuple[Query, ...] = (
    *(Contains(Field.BODY, word) for word in WORDS),
    Contains(Field.TEXT, "STRAßE"),
    Contains(Field.TEXT, "letter 7"),
    Contains(Field.BODY, "letter 7"),
    Contains(Field.BODY, "fine2"),
    Not(Contains(Field.BODY, "oxlip")),
    And((Contains(Field.SUBJECT, "letter 1"), Contains(Field.BODY, "1"))),
    Or((Contains(Field.BODY, "手紙"), HasFlag("\\Seen"))),
)


@pytest.mark.parametrize("filled", [0, 1, 2, 9])
def test_answers_are_the_same_however_much_is_filled(
    tmp_path: Path, filled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "STEP", 4)
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await file(store, box, 18)
        for _ in range(filled):
            await store.fill_search()
        for query in QUERIES:
            found = list(await store.search(box, query, ALL))
            assert found == [n + 1 for n in range(18) if matches(query, n)], query

    asyncio.run(installation.play(scene))


def matches(query: Query, number: int) -> bool:
    body = f"{WORDS[number % len(WORDS)]}{number}".upper().replace("ﬁ".upper(), "FI")
    match query:
        case Contains(field, text):
            wanted = text.upper().replace("ﬁ".upper(), "FI")
            where = {Field.BODY: body, Field.SUBJECT: f"LETTER {number}"}
            whole = f"SUBJECT: LETTER {number}\n"
            return wanted in where[field] if field in where else wanted in whole or wanted in body
        case And(operands):
            return all(matches(one, number) for one in operands)
        case Or(operands):
            return any(matches(one, number) for one in operands)
        case Not(operand):
            return not matches(operand, number)
        case _:
            return False


def test_filling_goes_on_where_it_stopped_and_ends(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await file(store, box, 3)
        assert await store.fill_search() == 3
        assert await store.fill_search() == 0
        before = (await store.snapshot(box)).mailbox.highest_modseq
        await file(store, box, 1)
        assert await store.fill_search() == 1
        assert (await store.snapshot(box)).mailbox.highest_modseq == before + 1  # filling is no change

    asyncio.run(installation.play(scene, index_from=None))


def test_a_message_that_went_meanwhile_is_passed_over(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(store, SqliteStore)
        box = await inbox(store)
        await file(store, box, 1)
        await store._write(bodies.fill, [(1, b"\0A"), (99, b"\0B")])
        assert await store.fill_search() == 0
        assert list(await store.search(box, Contains(Field.BODY, "a"), ALL)) == [1]

    asyncio.run(installation.play(scene, index_from=None))


SPOILT = {
    "a chunk is gone": "DELETE FROM chunk WHERE key >> 20 = 3",
    "a chunk is none": "UPDATE chunk SET codec = 1, data = x'00112233' WHERE key >> 20 = 3",
}


@pytest.mark.parametrize("index_from", [None, 1])
@pytest.mark.parametrize("damage", SPOILT)
def test_a_message_that_cannot_be_read_holds_up_no_other(tmp_path: Path, damage: str, index_from: int | None) -> None:
    """It has no text until it can be read again, and then has it, though its turn has been."""
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await file(store, box, 12)
        db = apsw.Connection(str(tmp_path / "data" / "accounts" / ACCOUNT[:2] / f"{ACCOUNT}.db"))
        kept = list(db.execute("SELECT key, codec, data FROM chunk WHERE key >> 20 = 3"))
        db.execute(SPOILT[damage])

        async def compare(without: set[int]) -> None:
            for query in (*QUERIES, Contains(Field.TEXT, "letter 2"), Fuzzy(Contains(Field.BODY, "ﬁne2"))):
                found = list(await store.search(box, query, ALL))
                plain = query.operand if isinstance(query, Fuzzy) else query
                wanted = [n + 1 for n in range(12) if matches(plain, n)]
                if isinstance(query, Fuzzy):
                    assert {*wanted} - without <= {*found}
                elif not any(isinstance(query, kind) for kind in (Not, Or)):
                    assert found == [n for n in wanted if n not in without or query == Contains(Field.TEXT, "letter 2")]

        await compare({3})
        while await store.fill_search():
            pass
        assert db.execute("SELECT count(*), max(email) FROM body_text").get == (12, 12)
        await compare({3})
        assert not len(await store.search(box, Contains(Field.BODY, "hin"), ((3, 3),)))
        db.executemany("INSERT OR REPLACE INTO chunk (key, codec, data) VALUES (?, ?, ?)", kept)
        await compare(set())
        assert [one.code async for one in store.doctor(True)] == ["body-text"]
        assert [one.code async for one in store.doctor(False)] == []
        await compare(set())
        while await store.fill_search():
            pass
        await compare(set())
        db.close()

    asyncio.run(installation.play(scene, index_from=index_from))


def test_a_message_on_a_sector_that_cannot_be_read_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = Installation("sqlite", tmp_path / "data")
    read = SqliteStore.read_contents

    async def failing(store: SqliteStore, contents: Sequence[int]) -> list[bytes]:
        if 3 in contents:
            raise StoreFailed("The mail store could not be read or written.")
        return await read(store, contents)

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await file(store, box, 12)
        monkeypatch.setattr(SqliteStore, "read_contents", failing)
        query = Contains(Field.BODY, "ﬁne")
        for _ in range(2):
            assert list(await store.search(box, query, ALL)) == [8]
            while await store.fill_search():
                pass
        monkeypatch.undo()
        assert list(await store.search(box, query, ALL)) == [3, 8]

    asyncio.run(installation.play(scene, index_from=1))


@given(st.lists(st.integers(0, 3 * bodies.STEP_OCTETS), min_size=1, max_size=200))
def test_what_is_made_at_once_is_bounded(sizes: list[int]) -> None:
    count = bodies.at_once(sizes)
    assert 1 <= count <= bodies.STEP
    assert count == 1 or sum(sizes[:count]) <= bodies.STEP_OCTETS
