"""Queries that ask for nothing but flags, and for which UIDs: which of an account's flag sets they mean. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ...query.language import All, And, Fuzzy, HasFlag, Not, Or, Query, Uids
from ..model import FlagTable, UidRanges

LARGEST_QUERY = 8
"""Keys of the longest query that is worth keeping something for."""

LONGEST_NAME = 64
"""Characters of the longest flag in it."""


def flag_sets(query: Query, table: FlagTable) -> set[int] | None:
    """The numbers of those flag sets that match a query which asks for flags alone; None for any other query."""
    match query:
        case All():
            return set(table)
        case HasFlag(name):
            return table.having(name)
        case Not(operand):
            found = flag_sets(operand, table)
            return None if found is None else set(table) - found
        case And(operands) | Or(operands):
            every = [flag_sets(operand, table) for operand in operands]
            some = [found for found in every if found is not None]
            if len(some) < len(every):
                return None
            return set(table).intersection(*some) if isinstance(query, And) else set[int]().union(*some)
        case _:
            return None


def is_short(query: Query) -> bool:
    """Whether a query (see `flag_sets`) is short enough for something to be kept under its name."""
    waiting: list[Query] = [query]
    for _ in range(LARGEST_QUERY):
        match waiting.pop():
            case And(operands) | Or(operands):
                waiting += operands[:LARGEST_QUERY]
            case Not(operand):
                waiting.append(operand)
            case HasFlag(name) if len(name) > LONGEST_NAME:
                return False
        if not waiting:
            return True
    return False


def narrowed(query: Query, within: UidRanges) -> tuple[Query, UidRanges]:
    """The same search with what its outermost keys say of UIDs taken into `within`."""
    match query:
        case Uids(ranges):
            return All(), _common(ranges, within)
        case And(operands) if any(isinstance(operand, Uids) for operand in operands):
            left = tuple(operand for operand in operands if not isinstance(operand, Uids))
            for operand in operands:
                if isinstance(operand, Uids):
                    within = _common(operand.ranges, within)
            return left[0] if len(left) == 1 else And(left) if left else All(), within
        case _:
            return query, within


def _common(one: UidRanges, other: UidRanges) -> UidRanges:
    """What two sets of ranges have in common."""
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(one) and j < len(other):
        low, high = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if low <= high:
            found.append((low, high))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def messages(ranges: UidRanges) -> int:
    """How many messages these ranges hold at most."""
    return sum(high - low + 1 for low, high in ranges)


def leaves(query: Query) -> Iterator[Query]:
    """The keys of a query that have none within them."""
    waiting: list[Query] = [query]
    while waiting:
        match waiting.pop():
            case And(operands) | Or(operands):
                waiting += operands
            case Not(operand) | Fuzzy(operand):
                waiting.append(operand)
            case leaf:
                yield leaf
