"""The index against a plain model: what is found one by one, many at once, and after files were joined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.backup import index
from restante.backup.index import Index, Pack, Part
from restante.backup.needed import Needed
from restante.backup.pack import Block, Entry, Table

PACKS = [f"{n:064x}" for n in range(6)]
ID = st.integers(0, 40).map(lambda n: bytes([n // 3 * 19, n]) + b"x" * 30)
FILES = st.lists(
    st.dictionaries(st.sampled_from(PACKS), st.sets(ID, max_size=6), min_size=1, max_size=2), min_size=1, max_size=3
)
SOME = st.sets(st.sampled_from(PACKS), max_size=2)


def part_of(file: dict[str, set[bytes]]) -> Part:
    tables: list[tuple[Pack, Table]] = []
    for name, ids in file.items():
        entries = tuple(Entry(id, 0, at, 3, b"m") for at, id in enumerate(sorted(ids)))
        tables.append((Pack(name, True, 65_536, bytes(8)), Table((Block(1, 100),), entries)))
    return Part.of(tables)


def made(files: list[dict[str, set[bytes]]], condemned: set[str]) -> Index:
    found = Index()
    found.condemn(condemned)
    for file in files:
        found.add(part_of(file))
    return found


def packs_of(files: list[dict[str, set[bytes]]], id: bytes) -> set[str]:
    return {name for file in files for name, ids in file.items() if id in ids}


@pytest.fixture(params=[0, 4_096], ids=["searched", "dictionary"], autouse=True)
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "SMALL", request.param)


@given(FILES, SOME, st.lists(ID, max_size=8), st.sampled_from([0, 1 << 20]))
def test_an_object_is_found_in_a_pack_that_stays_if_it_is_in_one(
    files: list[dict[str, set[bytes]]], condemned: set[str], asked: list[bytes], many: int
) -> None:
    before = index.MANY
    index.MANY = many  # one by one, or by a pass over all
    try:
        here = made(files, condemned)
        for id, spot in zip(asked, here.find_all(asked), strict=True):
            packs = packs_of(files, id)
            assert (spot is None) == (not packs)
            if spot is not None:
                assert spot.pack.name in (packs - condemned or packs)
                assert here.find(id) is not None
            assert here.has(id) == bool(packs - condemned)
            assert {each.pack.name for each in here.spots(id)} == packs
    finally:
        index.MANY = before


@given(FILES, SOME, SOME, st.integers(1, 12))
def test_joined_files_say_the_same_of_packs_that_stay(
    files: list[dict[str, set[bytes]]], gone: set[str], condemned: set[str], most: int
) -> None:
    parts = list(made(files, set()).merged(gone, condemned, most))
    assert parts
    ids = [id for part in parts for id in part.ids()]
    assert ids == sorted(ids), "one behind the other"
    assert sum(len(set(part.ids())) for part in parts) == len(set(ids)), "an id is in one of them"
    assert all(len(part) >= most for part in parts[:-1])
    joined = Index()
    for part in parts:
        joined.add(Part.decode(part.encode()))
    assert joined.torn == set()
    for lost in parts:
        rest = Index()
        for part in parts:
            if part is not lost:
                rest.add(Part.decode(part.encode()))
        assert rest.torn == set(rest.packs), "what one of them tells, the others do not"
        for pack in rest.packs:
            rest.add(Part([rest.packs[pack]], b""))
        assert rest.torn == set(), "read from the packs"
    for id in {id for file in files for each in file.values() for id in each}:
        packs = packs_of(files, id) - gone
        assert {spot.pack.name for spot in joined.spots(id)} == packs
        found = joined.find(id)
        assert (found is None) == (not packs)
        if found is not None and packs - condemned:
            assert found.pack.name not in condemned, "condemned ones come last"


@given(FILES, st.sets(ID, max_size=8))
def test_what_is_needed_is_marked_once(files: list[dict[str, set[bytes]]], asked: set[bytes]) -> None:
    here = made(files, set())
    needed = Needed()
    places = [place for place in here.place_all(sorted(asked)) if place is not None]
    assert [needed.add(place) for place in places] == [True] * len(places)
    assert [needed.add(place) for place in places] == [False] * len(places)
    found = sorted(needed.places(), key=lambda one: one[0])
    assert [id for id, _ in found] == sorted(id for id in asked if packs_of(files, id))
    assert [place for _, place in found] == places
    names = [file.spot(at).pack.name for _, (file, at) in found]
    assert needed.used() == {name: 3 * names.count(name) for name in names}
    for name in set(names):
        assert [id for id, _ in sorted(needed.places({name}))] == [
            id for (id, _), each in zip(found, names, strict=True) if each == name
        ]
    for place in places:
        needed.take(place)
    assert list(needed.places()) == []
    assert needed.used() == {}
