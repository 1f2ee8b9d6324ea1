"""Positions of results in an order of their own, against lists. RFC 5267 4.3.3, 4.3.4."""

from __future__ import annotations

import asyncio
from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from restante.imap.session import ordered

Drawn = tuple[list[int], set[int], set[int]]


@st.composite
def orders(draw: st.DrawFn) -> Drawn:
    """A list in some order, and two parts of it."""
    chance = draw(st.randoms(use_true_random=False))
    results = list(range(1, draw(st.integers(0, 150)) + 1))
    chance.shuffle(results)
    odds = st.sampled_from([0.0, 0.1, 0.5, 1.0])
    first, second = ({one for one in results if chance.random() < share} for share in (draw(odds), draw(odds)))
    return results, first, second


@settings(deadline=None)
@given(orders())
def test_runs_taken_out_one_after_the_other_leave_the_rest(drawn: Drawn) -> None:
    results, gone, _ = drawn
    kept, runs = ordered.taken_out(array("I", results), array("I", sorted(gone)))
    client = list(results)
    for position, run in runs:
        assert client[position - 1 : position - 1 + len(run)] == run
        del client[position - 1 : position - 1 + len(run)]
    assert client == list(kept) == [result for result in results if result not in gone]


@settings(deadline=None)
@given(orders(), st.integers(1, 9))
def test_new_results_go_where_the_order_says(drawn: Drawn, pivots: int) -> None:
    """The whole order is `all_of_them`; `new` of it are not among the results yet, `gone` are no longer there."""
    all_of_them, new, gone = drawn
    results = array("I", [result for result in all_of_them if result not in new])
    rank = {result: at for at, result in enumerate(all_of_them)}
    asked: list[int] = []

    async def order(some: list[int]) -> list[int]:
        asked.append(len(some))
        return sorted((result for result in some if result not in gone), key=rank.__getitem__)

    async def scenario() -> list[tuple[int, int]]:
        return await ordered.places(order, results, sorted(new))

    usual, ordered.PIVOTS = ordered.PIVOTS, pivots
    try:
        where = asyncio.run(scenario())
    finally:
        ordered.PIVOTS = usual
    made, runs = ordered.put_in(results, where)
    client = list(results)
    for position, run in runs:
        client[position - 1 : position - 1] = run
    assert client == list(made)
    there = [result for result in client if result not in gone]
    assert there == [result for result in all_of_them if result not in gone]
    assert [result for result in client if result not in new] == list(results)


def test_a_new_result_costs_a_few_small_sorts() -> None:
    results = array("I", range(2, 1_000_002, 2))
    sizes: list[int] = []

    async def order(some: list[int]) -> list[int]:
        sizes.append(len(some))
        return sorted(some)

    assert asyncio.run(ordered.places(order, results, [777_777])) == [(388_888, 777_777)]
    assert len(sizes) <= 5
    assert max(sizes) <= 2 * ordered.PIVOTS + 1
