"""Arrays of ascending numbers (UIDs, message numbers): in order, their runs, and what two of them have not in common.

Long stretches are compared as a whole, so that cost grows with runs and differences: a million UIDs in a few runs take
microseconds, and two lists of a million that differ by three take two passes of C. Pure.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import compress

_BLOCK = 64
"""Numbers that a plain loop passes over as fast as a look at whether they are one run is worth."""

_SPREAD = 8
"""Numbers between the smallest and the largest, for each that there is, up to which they are put in order by marks."""


def ascending(numbers: array[int]) -> array[int]:
    """The same distinct numbers in ascending order.

    Those that lie near each other, as removals of a mailbox do, are marked in a row of octets: as fast as to sort them
    as objects, which take 40 octets each (50,000: 2.1 MB at the peak, 0.5 so).
    """
    if len(numbers) < 2:
        return numbers
    low, high = min(numbers), max(numbers)
    if high - low >= _SPREAD * len(numbers):
        return array(numbers.typecode, sorted(numbers))
    marks = bytearray(high - low + 1)
    for number in numbers:
        marks[number - low] = 1
    return array(numbers.typecode, compress(range(low, high + 1), marks))


def runs(numbers: array[int]) -> list[tuple[int, int]]:
    """Inclusive ranges of strictly ascending numbers.

    Cost: some 4 us for a gap among many that follow each other; one pass (3 to 8 ms for 100,000) where gaps are
    everywhere: there the plain loop beat every chain of itertools that was tried.
    """
    size = len(numbers)
    if not size:
        return []
    if numbers[-1] - numbers[0] == size - 1:
        return [(numbers[0], numbers[-1])]
    found: list[tuple[int, int]] = []
    add = found.append
    low = last = numbers[0]
    at, step, end = 0, _BLOCK, size - 1
    while at < end:
        to = min(at + step, end)
        if numbers[to] - last == to - at:  # ascending by at least one each: so by one each
            last, at, step = numbers[to], to, 2 * step
        elif step > _BLOCK:
            step //= 2
        else:
            for number in numbers[at + 1 : to + 1].tolist():
                if number - last > 1:
                    add((low, last))
                    low = number
                last = number
            at = to
    add((low, last))
    return found


def within(numbers: array[int], ranges: Sequence[tuple[int, int]]) -> array[int]:
    """Those of strictly ascending numbers that lie in ascending, disjoint, inclusive ranges; the same array where all
    do."""
    size = len(numbers)
    if len(ranges) == 1 and (not size or (ranges[0][0] <= numbers[0] and numbers[-1] <= ranges[0][1])):
        return numbers
    found = array(numbers.typecode)
    for low, high in ranges:
        found += numbers[bisect_left(numbers, low) : bisect_right(numbers, high)]
    return found


def without(numbers: array[int], ranges: Sequence[tuple[int, int]]) -> array[int]:
    """Those of strictly ascending numbers that lie in none of ascending, disjoint, inclusive ranges."""
    found, start = array(numbers.typecode), 0
    for low, high in ranges:
        at = bisect_left(numbers, low, start)
        found += numbers[start:at]
        start = bisect_right(numbers, high, at)
    found += numbers[start:]
    return found


def changed(numbers: array[int], less: Iterable[int], more: Iterable[int]) -> array[int]:
    """Strictly ascending numbers without `less`, with `more`, both ascending; the same array where that changes
    nothing. Cost: one copy, and a search for each."""
    edits: list[tuple[int, int, bool]] = []
    for some, comes in ((less, False), (more, True)):
        for number in some:
            place = bisect_left(numbers, number)
            if (place < len(numbers) and numbers[place] == number) is not comes:
                edits.append((place, number, comes))
    if not edits:
        return numbers
    edits.sort()
    made, start = array(numbers.typecode), 0
    for place, number, comes in edits:
        made += numbers[start:place]
        start = place if comes else place + 1
        if comes:
            made.append(number)
    made += numbers[start:]
    return made


def differences(old: array[int], new: array[int], most: int) -> tuple[list[int], list[int]] | None:
    """What only `old` and what only `new` has, of two strictly ascending arrays; None where that is more than `most`.

    Cost: comparisons of both in C, and a few microseconds for each difference.
    """
    gone: list[int] = []
    come: list[int] = []
    i = j = 0
    while i < len(old) and j < len(new):
        same = _common(old, i, new, j)
        i, j = i + same, j + same
        if i == len(old) or j == len(new):
            break
        if old[i] < new[j]:
            gone.append(old[i])
            i += 1
        else:
            come.append(new[j])
            j += 1
        if len(gone) + len(come) > most:
            return None
    if len(gone) + len(come) + len(old) - i + len(new) - j > most:
        return None
    return gone + old[i:].tolist(), come + new[j:].tolist()


def _common(old: array[int], i: int, new: array[int], j: int) -> int:
    """How many numbers are the same from old[i] and new[j] on."""
    most = min(len(old) - i, len(new) - j)
    same, step = 0, _BLOCK
    while same < most:
        size = min(step, most - same)
        if old[i + same : i + same + size] == new[j + same : j + same + size]:
            same += size
            step *= 2
        elif size == 1:
            break
        else:
            step = size // 2
    return same
