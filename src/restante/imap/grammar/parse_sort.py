"""SORT and THREAD: what stands before the search keys. RFC 5256 5, RFC 5957 5, RFC 6203 7, RFC 5267 3 (RETURN)."""

from __future__ import annotations

from ...query.order import Criterion, SortKey
from ...query.threads import Algorithm
from . import commands as c
from .parse_return import return_options, skip_word
from .parse_search import charset, search_keys
from .tokens import Cursor

_KEYS = {key.name.encode("ascii"): key for key in SortKey}
_ALGORITHMS = {algorithm.value.encode("ascii"): algorithm for algorithm in Algorithm}
_MOST_KEYS = 2 * len(SortKey)
"""Criteria of one command: all that there are, and as many that decide nothing any more."""


def parse_sort(cursor: Cursor, tag: bytes, uid: bool = False) -> c.Command:
    """sort = ["UID" SP] "SORT" SP [search-return-opts SP] sort-criteria SP search-criteria

    search-criteria = charset 1*(SP search-key)
    """
    cursor.sp()
    returning = return_options(cursor)
    keys = _criteria(cursor)
    cursor.sp()
    query = search_keys(cursor, charset(cursor, returning), returning)
    if returning is None:
        return c.Sort(tag, keys, query, uid)
    return c.Sort(tag, keys, query, uid, frozenset(returning.names), returning.partial, returning.update)


def parse_thread(cursor: Cursor, tag: bytes, uid: bool = False) -> c.Command:
    """thread = ["UID" SP] "THREAD" SP thread-alg SP search-criteria"""
    cursor.sp()
    algorithm = _ALGORITHMS.get(cursor.keyword())
    if algorithm is None:
        raise cursor.bad("Unknown threading algorithm")
    cursor.sp()
    return c.Thread(tag, algorithm, search_keys(cursor, charset(cursor, None)), uid)


def _criteria(cursor: Cursor) -> tuple[Criterion, ...]:
    """sort-criteria = "(" sort-criterion *(SP sort-criterion) ")"

    sort-criterion = ["REVERSE" SP] sort-key
    """
    cursor.expect(b"(")
    keys: list[Criterion] = []
    while True:
        reverse = skip_word(cursor, b"REVERSE")
        key = _KEYS.get(cursor.keyword())
        if key is None:
            raise cursor.bad("Unknown sort key")
        keys.append(Criterion(key, reverse))
        if len(keys) > _MOST_KEYS:
            raise cursor.bad("Too many sort keys")
        if cursor.skip(b")"):
            return tuple(keys)
        cursor.sp()
