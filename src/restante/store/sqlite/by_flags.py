"""Searches and orders of what asks for flags alone, from what a process keeps of its mailboxes.

Each is one read transaction in which what is kept is brought to now; of a large mailbox of which nothing is kept, list
and flags are read on a thread first, and passed over there. UIDs that the outermost keys name have been taken out of
the query (`narrowed`).
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import apsw

from ... import runs
from ...query.language import HasFlag, Query
from ...query.order import Criterion
from ...query.threads import Algorithm, Threads
from ..model import FlagTable, UidRanges
from .changes import FEW_FLAGS
from .conditions import is_seen
from .flag_sets import flag_sets, is_short, leaves, messages
from .matches import NotPassed
from .orders import of_mailbox

if TYPE_CHECKING:
    from .account import SqliteStore
    from .matches import Answer
    from .orders import Place
    from .trees import TreePlace

T = TypeVar("T")


def answers(store: SqliteStore, query: Query, within: UidRanges) -> bool:
    """Whether it is such a query, by the owner's flags, and looks at so many messages that it is worth it."""
    if messages(within) < FEW_FLAGS or flag_sets(query, FlagTable()) is None:
        return False
    return not (store.reader and asks_seen(query))


def asks_seen(query: Query) -> bool:
    """Whether \\Seen is asked for, which readers have each for themselves."""
    return any(isinstance(leaf, HasFlag) and is_seen(leaf.name) for leaf in leaves(query))


async def search(store: SqliteStore, mailbox: int, query: Query, within: UidRanges) -> array[int]:
    """UIDs of `within` that match, ascending. Never change the array. Raises NoSuchMailbox."""
    return await _passing(store, partial(_search, store, query, within), mailbox)


async def _passing(store: SqliteStore, fn: Callable[[Answer | None, apsw.Connection, int, bool], T], mailbox: int) -> T:
    """`store.with_list(fn, mailbox)`, where fn may have flags passed over on a thread: once for all who come
    meanwhile, if what they ask is worth keeping."""
    try:
        return await store.with_list(partial(fn, None), mailbox)
    except NotPassed:
        pass
    async with store._shared.passing:
        try:
            return await store.with_list(partial(fn, None), mailbox)  # who was before us may have had them passed over
        except NotPassed as many:
            passed = await asyncio.to_thread(many.answer)
        return await store.with_list(partial(fn, passed), mailbox)


def _search(
    store: SqliteStore,
    query: Query,
    within: UidRanges,
    passed: Answer | None,
    db: apsw.Connection,
    mailbox: int,
    apart: bool,
) -> array[int]:
    shared, kept, account = store._shared, store.kept, store.account
    shared.learn(db)  # in this transaction: a set that is not known would match no NOT
    numbers = flag_sets(query, shared.flags) or set()
    if len(numbers) == len(shared.flags):
        found = kept.lists.snapshot(db, account, mailbox, "", apart=apart).uids.uids
    else:
        named = query if is_short(query) else None
        found = kept.matches.find(db, account, mailbox, named, numbers, apart=apart, passed=passed)
    return runs.within(found, within)


async def ordered(
    store: SqliteStore, mailbox: int, query: Query, keys: tuple[Criterion, ...], within: UidRanges
) -> tuple[Place, array[int], array[int] | None]:
    """`search`, with its place among orders (for `keep`), and the same UIDs in the order of these keys where it is
    known. Never change either array."""
    return await _passing(store, partial(_ordered, store, query, keys, within), mailbox)


def _ordered(
    store: SqliteStore,
    query: Query,
    keys: tuple[Criterion, ...],
    within: UidRanges,
    passed: Answer | None,
    db: apsw.Connection,
    mailbox: int,
    apart: bool,
) -> tuple[Place, array[int], array[int] | None]:
    # First, for it learns the incarnation, in this transaction.
    found = _search(store, query, within, passed, db, mailbox, apart)
    place = (store.account, mailbox, keys, query, store._shared.incarnation, of_mailbox(db, mailbox))
    return place, found, store.kept.orders.find(db, place, found)


async def threaded(
    store: SqliteStore, mailbox: int, query: Query, algorithm: Algorithm, within: UidRanges
) -> tuple[TreePlace, array[int], Threads | None]:
    """`search`, with its place among trees, and the threads of the UIDs where they are known. Never change any."""
    return await _passing(store, partial(_threaded, store, query, algorithm, within), mailbox)


def _threaded(
    store: SqliteStore,
    query: Query,
    algorithm: Algorithm,
    within: UidRanges,
    passed: Answer | None,
    db: apsw.Connection,
    mailbox: int,
    apart: bool,
) -> tuple[TreePlace, array[int], Threads | None]:
    found = _search(store, query, within, passed, db, mailbox, apart)
    place = (store.account, mailbox, algorithm, query, store._shared.incarnation, of_mailbox(db, mailbox))
    return place, found, store.kept.trees.find(place, found)


def keep(store: SqliteStore, place: Place, found: array[int], in_order: array[int]) -> None:
    """Remember the order of what `ordered` gave with this place. Neither array is ever changed."""
    if is_short(place[3]):
        store.kept.orders.keep(place, found, in_order)


def keep_threads(store: SqliteStore, place: TreePlace, found: array[int], made: Threads) -> None:
    """Remember the threads of what `threaded` gave with this place. Neither is ever changed."""
    if is_short(place[3]):
        store.kept.trees.keep(place, found, made)
