"""Sorted columns against a plain multiset."""

from __future__ import annotations

from array import array
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.backup.known import EMPTY, SHORT, Column, Disagree, changed, cut, has, ordered, position

RECORDS = st.lists(st.integers(0, 9).map(lambda n: bytes([n]) * 4), max_size=12)


@given(RECORDS, RECORDS, RECORDS)
def test_a_column_is_a_sorted_multiset(before: list[bytes], added: list[bytes], removed: list[bytes]) -> None:
    records = ordered([b"".join(before)], 4)
    assert cut(records, 4) == sorted(before)
    wanted = Counter(before)
    wanted.update(added)
    wanted.subtract(removed)
    if min(wanted.values(), default=0) < 0:
        with pytest.raises(Disagree):
            changed(records, added, removed, 4)
        return
    assert cut(changed(records, added, removed, 4), 4) == sorted(wanted.elements())


@given(RECORDS, st.integers(0, 10))
def test_what_is_there_is_found(before: list[bytes], wanted: int) -> None:
    records, key = ordered([b"".join(before)], 4), bytes([wanted]) * 2
    assert has(records, key, 4) == any(record.startswith(key) for record in before)
    assert position(records, key, 4) == sum(record < key for record in before)


UIDS = st.lists(st.integers(1, 60), unique=True, max_size=20).map(sorted)
RANGES = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), max_size=4)


@given(UIDS, RANGES)
def test_ranges_are_taken_away_with_their_ids(uids: list[int], ranges: list[tuple[int, int]]) -> None:
    def id_of(uid: int) -> bytes:
        return bytes([uid]) * SHORT

    column = Column(array("I", uids), b"".join(map(id_of, uids)))
    left, gone = column.without([(low, low + more) for low, more in ranges])
    taken = [uid for uid in uids if any(low <= uid <= low + more for low, more in ranges)]
    assert list(left.uids) == [uid for uid in uids if uid not in taken]
    assert cut(left.ids, SHORT) == [id_of(uid) for uid in left.uids]
    assert cut(gone, SHORT) == [id_of(uid) for uid in taken]


def test_what_comes_lies_behind_what_is_there() -> None:
    one = Column(array("I", [5]), bytes(SHORT))
    assert EMPTY.plus(one) == one == one.plus(EMPTY)
    assert list(one.plus(Column(array("I", [6]), bytes(SHORT))).uids) == [5, 6]
    with pytest.raises(Disagree):
        one.plus(one)
