"""Sequence sets against a model of plain sets."""

from __future__ import annotations

from array import array
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.imap.grammar.errors import BadSyntax
from restante.imap.grammar.sets import compress, format_ranges, merge, parse_seq_set, resolve

RANGES = [
    (b"1", ((1, 1),)),
    (b"2,4:7,9,12:*", ((2, 2), (4, 7), (9, 9), (12, 0))),  # RFC 9051 9, sequence-set
    (b"*:4,5:7", ((4, 0), (5, 7))),
    (b"7:5", ((5, 7),)),
    (b"*", ((0, 0),)),
    (b"*:*", ((0, 0),)),
    (b"4294967295", ((4294967295, 4294967295),)),
]


@pytest.mark.parametrize(("raw", "ranges"), RANGES)
def test_sets_as_written(raw: bytes, ranges: tuple[tuple[int, int], ...]) -> None:
    assert parse_seq_set(raw) == ranges
    assert parse_seq_set(format_ranges(ranges)) == ranges


@pytest.mark.parametrize(
    ("raw", "offset"),
    [
        (b"", 0),
        (b"0", 0),
        (b"1,0", 2),
        (b"1,,2", 2),
        (b"1,", 2),
        (b"1:2:3", 0),
        (b"12,4294967296", 3),
        (b"1:", 0),
        (b"**", 0),
    ],
)
def test_wrong_sets_name_the_place(raw: bytes, offset: int) -> None:
    with pytest.raises(BadSyntax) as caught:
        parse_seq_set(raw)
    assert caught.value.offset == offset


def test_items_are_bounded() -> None:
    assert len(parse_seq_set(b"1,2,3", 3)) == 3
    with pytest.raises(BadSyntax):
        parse_seq_set(b"1,2,3,4", 3)


@pytest.mark.parametrize(
    ("raw", "largest", "ranges"),
    [
        (b"2,4:7,9,12:*", 15, [(2, 2), (4, 7), (9, 9), (12, 15)]),  # RFC 9051 9
        (b"*:4,5:7", 10, [(4, 10)]),  # RFC 9051 9
        (b"559:*", 100, [(100, 559)]),  # RFC 9051 6.4.9: the largest is always in "n:*"
        (b"*", 7, [(7, 7)]),
        (b"*", 0, []),
        (b"3:*,1", 0, [(1, 1)]),
        (b"5,3,4,1", 9, [(1, 1), (3, 5)]),
    ],
)
def test_resolving(raw: bytes, largest: int, ranges: list[tuple[int, int]]) -> None:
    assert resolve(parse_seq_set(raw), largest) == ranges


numbers = st.integers(0, 30)


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, numbers), max_size=8), st.integers(1, 40))
def test_resolving_agrees_with_plain_sets(written: list[tuple[int, int]], largest: int) -> None:
    model: set[int] = set()
    for low, high in written:
        ends = sorted((low or largest, high or largest))
        model.update(range(ends[0], ends[1] + 1))
    found = resolve(written, largest)
    assert [n for low, high in found for n in range(low, high + 1)] == sorted(model)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(found))


@settings(deadline=None)
@given(st.sets(st.integers(1, 60) | st.integers(1, 0xFFFFFFFF)))
def test_compressing_agrees_with_merging(members: set[int]) -> None:
    ordered = sorted(members)
    ranges = compress(array("I", ordered))
    assert ranges == merge((n, n) for n in ordered)
    assert compress(ordered) == ranges
    if members:
        assert [n for low, high in parse_seq_set(format_ranges(ranges), 100) for n in range(low, high + 1)] == ordered


def test_formatting() -> None:
    assert format_ranges([(1, 3), (7, 7), (10, 100)]) == b"1:3,7,10:100"
    assert format_ranges([(9, 0), (0, 0)]) == b"9:*,*"
    assert format_ranges([]) == b""
