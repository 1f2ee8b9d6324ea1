"""Results in an order of their own: where results stand, and where new ones go.

A context of SORT tells its client positions (RFC 5267 4.3.3, 4.3.4). The order of messages is the store's to say; it is
asked for a few of them at a time, since the rest stand in order already: a new result goes between two of some dozens
that are spread over the list, then between two of some dozens between these, until its neighbours are known. So a new
message in a list of a million costs four small sorts, not one of a million. Sort keys of a message never change.

Pure. Positions count from 1, indices from 0.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

PIVOTS = 64
"""Results that the store orders together with new ones, for each stretch that new ones go to."""

Run = tuple[int, list[int]]
"""(position, results that stand there side by side, in order)."""

Order = Callable[[list[int]], Awaitable[Sequence[int]]]
"""Puts messages in order; those that are gone are left out."""


def taken_out(results: array[int], gone: Sequence[int]) -> tuple[array[int], list[Run]]:
    """The results without `gone`, and the runs that go, from the last to the first: so each position is still right
    when its turn comes."""
    if not len(gone):
        return results, []
    leaving = set(gone)
    kept = array("I")
    runs: list[Run] = []
    start = 0
    for index, result in enumerate(results):
        if result not in leaving:
            continue
        if runs and runs[-1][0] + len(runs[-1][1]) == index + 1:
            runs[-1][1].append(result)
        else:
            runs.append((index + 1, [result]))
        kept += results[start:index]
        start = index + 1
    kept += results[start:]
    runs.reverse()
    return kept, runs


def put_in(results: array[int], places: Sequence[tuple[int, int]]) -> tuple[array[int], list[Run]]:
    """The results with new ones, and the runs that come, from the first to the last: each position is where its first
    result stands in the end.

    places: (index of the result before which it goes, new result), in the order of the whole.
    """
    made = array("I")
    runs: list[Run] = []
    start = 0
    for index, result in places:
        made += results[start:index]
        start = index
        made.append(result)
        if runs and runs[-1][0] + len(runs[-1][1]) == len(made):
            runs[-1][1].append(result)
        else:
            runs.append((len(made), [result]))
    made += results[start:]
    return made, runs


@dataclass(slots=True)
class _Stretch:
    """Indices [low, high] at which some new results may go: the border before each, so that high is one past the last
    result of the stretch. whole: all results between are to be asked for."""

    low: int
    high: int
    new: list[int]
    whole: bool = False

    def pivots(self) -> range:
        size = self.high - self.low
        if self.whole or size <= PIVOTS:
            return range(self.low, self.high)
        step = size // PIVOTS
        return range(self.low + step // 2, self.high, step)


async def places(order: Order, results: array[int], new: Sequence[int]) -> list[tuple[int, int]]:
    """Where new results go, as `put_in` takes it; those that are gone meanwhile are left out.

    results: in order, though some may be gone: a new one then stands where those that are there say.
    """
    sorted_new = list(await order(list(new)))
    if not len(results):
        return [(0, result) for result in sorted_new]
    found: dict[int, int] = {}
    open_: list[_Stretch] = [_Stretch(0, len(results), sorted_new)] if sorted_new else []
    while open_:
        index_of = {results[index]: index for stretch in open_ for index in stretch.pivots()}
        asked = await order([*index_of, *(result for stretch in open_ for result in stretch.new)])
        open_ = [narrower for stretch in open_ for narrower in _narrowed(stretch, asked, index_of, found)]
    return [(found[result], result) for result in sorted_new if result in found]


def _narrowed(
    stretch: _Stretch, asked: Sequence[int], index_of: dict[int, int], found: dict[int, int]
) -> list[_Stretch]:
    """What the store's order says of one stretch: places that are known go into `found`, the rest is asked on."""
    mine = set(stretch.new)
    last = stretch.whole or stretch.high - stretch.low <= PIVOTS
    groups: list[_Stretch] = []
    low = stretch.low
    waiting: list[int] = []

    def close(high: int) -> None:
        if not waiting:
            return
        if last:
            found.update(dict.fromkeys(waiting, low))
        else:
            shrunk = high - low < stretch.high - stretch.low
            groups.append(_Stretch(low, high, list(waiting), not shrunk))
        waiting.clear()

    for result in asked:
        if result in mine:
            waiting.append(result)
            continue
        index = index_of.get(result, -1)
        if stretch.low <= index < stretch.high:
            close(index)
            low = index + 1
    close(stretch.high)
    return groups
