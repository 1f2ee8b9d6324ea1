"""The table of an account's flag sets says of each what the set itself says, and stays small."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from restante.store.interface import Engine, Store
from restante.store.model import MOST_ASKED, SYSTEM_NAMES, FlagMode, Flags, FlagTable, System
from restante.store.sqlite.account import SqliteStore
from restante.store.sqlite.rows import SEEN_BIT
from restante.store.sqlite.sessions import ReaderFlags
from tests.engines.making import Installation, fill, inbox

WORDS = ("$Junk", "$junk2", "Junk", "NonJunk", "seen", "SEENTOO", "a", "aa")
flags = st.builds(
    Flags,
    st.integers(0, 31).map(System),
    st.frozensets(st.sampled_from(WORDS)),
)
names = st.sampled_from(
    (*WORDS, *SYSTEM_NAMES, "\\SEEN", "\\Recent", "\\", "", " ", "$Junk Junk", "junk\u00e9", "\udc80", "A")
)


def words(some: Flags) -> str:
    return " ".join(sorted(some.keywords))


@given(sets=st.lists(flags, max_size=12), name=names)
@settings(max_examples=500, deadline=None)
def test_a_table_says_what_the_sets_say(sets: list[Flags], name: str) -> None:
    table = FlagTable()
    for number, some in enumerate(sets, 5):
        table.add(number, some.system, words(some))
    assert dict(table) == dict(enumerate(sets, 5))
    assert table.wires == {number: some.wire for number, some in enumerate(sets, 5)}
    assert table.having(name) == {number for number, some in enumerate(sets, 5) if name in some}


@given(sets=st.lists(flags, max_size=6))
@settings(max_examples=200, deadline=None)
def test_readers_see_their_own_seen(sets: list[Flags]) -> None:
    table = ReaderFlags()
    for number, some in enumerate(sets):
        table.add_both(number, some.system, words(some))
    for number, some in enumerate(sets):
        assert table[number] == Flags(some.system & ~System.SEEN, some.keywords)
        assert table[number | SEEN_BIT] == Flags(some.system | System.SEEN, some.keywords)


def test_a_set_takes_the_place_of_another() -> None:
    """A restored account gives numbers anew."""
    table = FlagTable()
    table.add(1, System.SEEN, "$Junk")
    assert table[1] == Flags.of(("\\Seen", "$Junk"))
    table.add(1, System.NONE, "a b")
    assert (table[1], table.wires[1], table.having("\\Seen")) == (Flags.of(("a", "b")), b"a b", set())


def test_values_of_few_sets_are_held() -> None:
    """An application that counts in keywords makes a set of every number: two kilobytes each, if all were held."""
    table = FlagTable()
    for number in range(4 * MOST_ASKED):
        table.add(number, 0, f"a{number:05} {' '.join(f'b{bit}' for bit in range(12))}")
    assert all(len(table[number].keywords) == 13 for number in table)
    held = sum(map(sys.getsizeof, table.wires.values())) + sum(sys.getsizeof(each.keywords) for each in kept(table))
    assert held < 4 * MOST_ASKED * 120 + MOST_ASKED * 900


def kept(table: FlagTable) -> list[Flags]:
    return list(table._asked.values())


def test_what_a_writer_knows_of_sets_is_bounded(tmp_path: Path) -> None:
    installation = Installation("sqlite", tmp_path / "data")

    async def scene(engine: Engine, store: Store) -> None:
        assert isinstance(store, SqliteStore)
        box = await inbox(store)
        await fill(store, box, 1)
        for number in range(1, 1_100):
            words = tuple(f"b{bit}" for bit in range(11) if number >> bit & 1)
            await store.store_flags(box, ((1, 1),), FlagMode.REPLACE, Flags.of(words))
        handles = store._engine.handles
        with handles.hold(store.account, store._path, surely=True) as handle:
            known = handle.interned
            assert 0 < len(known.flags) <= 1_000
            assert 0 < len(known.numbers) <= 1_000
        table = await store.flag_table()
        assert len(table) == 1_100
        assert len(table.having("B10")) == 1_100 - 1_024

    asyncio.run(installation.play(scene))
