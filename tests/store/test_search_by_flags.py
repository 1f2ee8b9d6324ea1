"""A search for flags alone says the same from the array of flag sets as from the rows, whoever changed them."""

from __future__ import annotations

import asyncio
import threading
from array import array
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.clock import system_random
from restante.query.language import All, And, HasFlag, Larger, Not, Or, Query
from restante.query.order import Criterion, SortKey
from restante.store.interface import Engine, Store
from restante.store.model import FlagMode, Flags, FlagTable, System, UidRanges
from restante.store.sqlite import matches
from restante.store.sqlite.changes import FEW_FLAGS
from restante.store.sqlite.engine import SqliteEngine
from restante.store.sqlite.flag_sets import flag_sets
from tests.engines.making import ACCOUNT, Installation, fill, inbox

MANY = 10 * FEW_FLAGS
NAMES = ("\\Seen", "\\Flagged", "$Junk", "$JUNK", "never")

queries: st.SearchStrategy[Query] = st.recursive(
    st.sampled_from(NAMES).map(HasFlag) | st.just(All()),
    lambda inner: (
        inner.map(Not)
        | st.lists(inner, min_size=1, max_size=3).map(lambda some: And(tuple(some)))
        | st.lists(inner, min_size=1, max_size=3).map(lambda some: Or(tuple(some)))
    ),
    max_leaves=6,
)


def table_of(sets: list[Flags]) -> FlagTable:
    """These sets under their places in the list."""
    table = FlagTable()
    for number, flags in enumerate(sets):
        table.add(number, flags.system, " ".join(sorted(flags.keywords)))
    return table


SETS = [Flags(System(0)), Flags(System.SEEN), Flags(System.SEEN | System.FLAGGED), Flags.of(("\\Seen", "$Junk"))]


@given(query=queries)
@settings(max_examples=200, deadline=None)
def test_sets_match_as_messages_do(query: Query) -> None:
    assert flag_sets(query, table_of(SETS)) == {number for number, flags in enumerate(SETS) if holds(query, flags)}


def test_other_queries_are_left_to_sql() -> None:
    assert flag_sets(And((HasFlag("\\Seen"), Larger(5))), FlagTable()) is None
    assert flag_sets(Not(Or((Larger(5), All()))), FlagTable()) is None


def holds(query: Query, flags: Flags) -> bool:
    match query:
        case HasFlag(name):
            return name in flags
        case Not(operand):
            return not holds(operand, flags)
        case And(operands):
            return all(holds(operand, flags) for operand in operands)
        case Or(operands):
            return any(holds(operand, flags) for operand in operands)
        case _:
            return True


def test_the_array_answers_as_the_rows_do(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 3)
        await fill(store, box, 3, "\\Seen")
        await fill(store, box, 3, "\\Seen", "$Junk")
        other = SqliteEngine(installation.data, installation.clock, system_random, reserve=0)
        elsewhere = other.account(ACCOUNT)
        try:
            assert await unseen(store, box) == [1, 2, 3]
            await store.store_flags(box, ((2, 5),), FlagMode.ADD, Flags(System.FLAGGED))
            assert await unseen(store, box) == [1, 2, 3]
            # A set that this process has never seen, of which NOT must know.
            await elsewhere.store_flags(box, ((1, 1), (9, 9)), FlagMode.REPLACE, Flags.of(("$New",)))
            assert await unseen(store, box) == [1, 2, 3, 9]
            await elsewhere.expunge(box, ((2, 2),), deleted_only=False)
            await fill(elsewhere, box, 1)
            assert await unseen(store, box) == [1, 3, 9, 10]
            assert await unseen(store, box, ((1, 1), (3, 8), (10, MANY))) == [1, 3, 10]
        finally:
            await other.close()

    asyncio.run(installation.play(scene))


def test_flags_of_a_large_mailbox_are_passed_over_on_a_thread_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the first search of a million messages holds everybody up. What changes meanwhile is answered for."""
    monkeypatch.setattr(matches, "PASSED_ON_LOOP", 5)
    monkeypatch.setattr(matches, "PASSED_AT_ONCE", 4)
    installation = Installation("sqlite", tmp_path / "data")
    apart: list[threading.Thread] = []
    pass_over = matches.passed_over

    async def scene(engine: Engine, store: Store) -> None:
        box = await inbox(store)
        await fill(store, box, 13, "\\Seen")
        await fill(store, box, 9)
        loop = asyncio.get_running_loop()

        def noted(*given: Any) -> array[int]:
            apart.append(threading.current_thread())
            found = pass_over(*given)
            change = store.store_flags(box, ((14, 15),), FlagMode.ADD, Flags(System.SEEN))
            asyncio.run_coroutine_threadsafe(change, loop).result(30)
            return found

        monkeypatch.setattr(matches, "passed_over", noted)
        within = ((1, MANY),)
        unseen, by_date = Not(HasFlag("\\Seen")), (Criterion(SortKey.DATE),)
        for long in (False, True):
            query: Query = And(tuple([unseen] * 9)) if long else unseen
            left = list(range(16, 23))
            asked = [store.search(box, query, within) for _ in range(3)]
            found = await asyncio.gather(*asked, store.sort(box, query, by_date, within))
            assert [sorted(one) for one in found] == [left] * 4
            assert len(apart) == (4 if long else 1), "what is not kept is looked for by each"
            assert threading.main_thread() not in apart
            apart.clear()

    asyncio.run(installation.play(scene))


async def unseen(store: Store, box: int, within: UidRanges = ((1, MANY),)) -> list[int]:
    """The answer from the array, which that from the rows must equal."""
    query = Not(HasFlag("\\Seen"))
    found = (await store.search(box, query, within)).tolist()
    by_rows = await store.search(box, And((query, Larger(0))), within)
    assert by_rows.tolist() == found
    return found
