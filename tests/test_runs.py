"""Runs and differences of ascending arrays say what a plain loop says, however the numbers lie."""

from __future__ import annotations

import tracemalloc
from array import array
from time import process_time

from hypothesis import given
from hypothesis import strategies as st

from restante import runs


@st.composite
def ascending(draw: st.DrawFn) -> array[int]:
    """Stretches of all lengths around the size of a block, with gaps between."""
    numbers, at = array("I"), 0
    for gap, length in draw(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 200)), max_size=6)):
        at += gap
        numbers.extend(range(at, at + length))
        at += length
    return numbers


@st.composite
def edited(draw: st.DrawFn) -> tuple[array[int], array[int]]:
    old = draw(ascending())
    less = draw(st.sets(st.sampled_from(old), max_size=5)) if len(old) else set()
    more = draw(st.sets(st.integers(1, 1_400), max_size=5))
    return old, array("I", sorted((set(old) - less) | more))


@given(st.sets(st.integers(1, 300) | st.integers(1, 2**32 - 1)).flatmap(lambda some: st.permutations(sorted(some))))
def test_numbers_in_order_however_far_apart(numbers: list[int]) -> None:
    assert list(runs.ascending(array("I", numbers))) == sorted(numbers)


def test_numbers_are_put_in_order_without_an_object_each() -> None:
    numbers = array("I", range(50_000, 0, -1))
    tracemalloc.start()
    try:
        assert runs.ascending(numbers) == array("I", range(1, 50_001))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@given(ascending() | st.sets(st.integers(1, 900)).map(lambda some: array("I", sorted(some))))
def test_runs_are_those_of_a_plain_loop(numbers: array[int]) -> None:
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    assert runs.runs(numbers) == found


@given(ascending(), st.lists(st.tuples(st.integers(0, 1_400), st.integers(0, 400)), max_size=4))
def test_within_and_without_ranges(numbers: array[int], wanted: list[tuple[int, int]]) -> None:
    ranges, last = [], 0
    for gap, length in wanted:
        ranges.append((last + 1 + gap, last + 1 + gap + length))
        last = ranges[-1][1]
    inside = [number for number in numbers if any(low <= number <= high for low, high in ranges)]
    assert list(runs.within(numbers, ranges)) == inside
    assert list(runs.without(numbers, ranges)) == sorted(set(numbers) - set(inside))


def test_what_lies_within_as_a_whole_is_not_copied() -> None:
    numbers = array("I", [3, 4, 9])
    assert runs.within(numbers, [(1, 9)]) is numbers
    assert runs.within(numbers, [(4, 9)]) == array("I", [4, 9])
    assert runs.changed(numbers, [1, 10], [4]) is numbers


@given(edited())
def test_differences_lead_from_one_to_the_other(both: tuple[array[int], array[int]]) -> None:
    old, new = both
    gone, come = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    count = len(gone) + len(come)
    assert runs.differences(old, new, count) == (gone, come)
    assert count == 0 or runs.differences(old, new, count - 1) is None
    assert runs.changed(old, gone, come) == new


def test_cost_grows_with_what_is_told() -> None:
    """A million in three runs are told much sooner than a million are passed over, and so is what has changed."""
    numbers = array("I", [*range(1, 400_000), *range(400_001, 700_000), *range(700_005, 1_000_000)])
    later = runs.changed(numbers, [5, 500_000], [1_000_001])

    def cost(work: object) -> float:
        times = []
        for _ in range(3):
            began = process_time()
            assert callable(work)
            work()
            times.append(process_time() - began)
        return min(times)

    passed_over = cost(lambda: [number for number in numbers.tolist() if number == 0])
    assert cost(lambda: runs.runs(numbers)) < passed_over / 20
    assert cost(lambda: runs.differences(numbers, later, 9)) < passed_over / 2
