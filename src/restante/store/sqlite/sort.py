"""SORT and THREAD from stored keys: which messages is `search`'s business, in which order stands here.

SORT is one statement that SQLite answers by one value, so that a large mailbox is sorted on a thread without taking
the interpreter's lock for each row. THREAD reads its facts in pieces on the event loop (strings must become
Python's anyhow) and threads them apart. Neither makes an object for a message. RFC 5256, RFC 5957.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import apsw

from ...query.language import All, Query
from ...query.order import Criterion, SortKey
from ...query.threads import NO_THREADS, Algorithm, Letters, Threads, ordered_subject, references
from ..interface import ComeTo
from ..model import UidRanges
from .transaction import pack, ranges_of, spans, typed

if TYPE_CHECKING:
    from .account import SqliteStore

ON_LOOP = 4_000
"""Messages up to which a sort is done on the event loop: about 4 ms. More go to a thread."""

BATCH = 1_000
"""Messages whose keys are read at once for THREAD: about 2 ms of the loop's time."""

_SENT = "coalesce(k.sent, p.received)"
_EXPRESSIONS = {
    SortKey.ARRIVAL: "p.received",
    SortKey.CC: "k.cc",
    SortKey.DATE: _SENT,
    SortKey.DISPLAYFROM: "k.display_from",
    SortKey.DISPLAYTO: "k.display_to",
    SortKey.FROM: "k.sender",
    SortKey.RELEVANCY: "-(s.value & 127)",  # the highest comes first (RFC 6203 6)
    SortKey.SIZE: "p.size",
    SortKey.SUBJECT: "k.subject",
    SortKey.TO: "k.recipient",
}


def sort_sql(keys: Sequence[Criterion]) -> str:
    """One value: the UIDs in order, joined by commas. Parameters: packed ranges (with RELEVANCY among the keys: UIDs
    shifted left by 7, with their scores), mailbox."""
    orders: dict[str, str] = {}  # a key that comes again decides nothing any more
    for criterion in keys:
        orders.setdefault(_EXPRESSIONS[criterion.key], " DESC" if criterion.reverse else "")
    order = ", ".join([expression + direction for expression, direction in orders.items()] + ["p.uid"])
    join = " CROSS JOIN sortkey k ON k.email = p.email" if "k." in order else ""
    source = _SCORED if "s.value" in order else spans("?1", "placement", "?2")
    return f"SELECT group_concat(uid) FROM (SELECT p.uid FROM {source}{join} ORDER BY {order})"


_SCORED = "carray(?1) s CROSS JOIN placement p ON p.mailbox = ?2 AND p.uid = (s.value >> 7)"


def sort_uids(db: apsw.Connection, mailbox: int, named: apsw.CArrayBinding, keys: Sequence[Criterion]) -> array[int]:
    """UIDs of the placements named, ordered."""
    text: str | None = db.execute(sort_sql(keys), (named, mailbox)).get
    return array("I", map(int, text.split(","))) if text else array("I")


async def sort(
    store: SqliteStore,
    mailbox: int,
    query: Query,
    keys: Sequence[Criterion],
    within: UidRanges,
    come_to: ComeTo | None = None,
) -> array[int]:
    """See `Store.sort`. come_to: of the search before it; sorting takes no time beside a scan."""
    if any(criterion.key is SortKey.RELEVANCY for criterion in keys):
        scored = await store.scored(mailbox, query, within, come_to=come_to)
        packed = [uid << 7 | score for uid, score in zip(scored.uids, scored.scores, strict=True)]
        count, named = len(packed), apsw.carray(array("q", packed or [0]))
    elif isinstance(query, All):
        return await _sort_all(store, mailbox, tuple(keys), within)
    else:
        found = await store.search(mailbox, query, within, come_to=come_to)
        count, named = len(found), pack(tuple(ranges_of(found)))
    return await _ordered(store, mailbox, count, named, keys)


async def _sort_all(store: SqliteStore, mailbox: int, keys: tuple[Criterion, ...], within: UidRanges) -> array[int]:
    """`sort` of all messages of the ranges, which is the whole mailbox as a rule: its order may be known."""
    count = store.look(messages_of, mailbox)
    uids = store.whole(mailbox, within) if count else None
    known = None if uids is None else store.orders.find(store.account, mailbox, keys, uids)
    if known is not None:
        return known
    found = await _ordered(store, mailbox, count, pack(within), keys)
    if uids is not None:
        store.orders.keep(store.account, mailbox, keys, uids, found)
    return found


async def _ordered(
    store: SqliteStore, mailbox: int, count: int, named: apsw.CArrayBinding, keys: Sequence[Criterion]
) -> array[int]:
    """`sort_uids` of some `count` messages, where it is to be done."""
    if not count:
        return array("I")
    if count <= ON_LOOP:
        return store.look(sort_uids, mailbox, named, keys)
    return await asyncio.to_thread(store.read_apart, sort_uids, mailbox, named, keys)


def messages_of(db: apsw.Connection, mailbox: int) -> int:
    """How many messages a mailbox holds; 0 where it is gone."""
    return int(db.execute("SELECT messages FROM mailbox WHERE key = ?", (mailbox,)).get or 0)


_FACTS = {
    Algorithm.REFERENCES: ("p.uid", _SENT, "k.subject", "k.is_reply", "k.message_id", "k.refs"),
    Algorithm.ORDEREDSUBJECT: ("p.uid", _SENT, "k.subject"),
}

_THREADED = {
    algorithm: f"SELECT {', '.join(facts)} FROM {spans('?1', 'placement', '?2')}"
    f" CROSS JOIN sortkey k ON k.email = p.email LIMIT {BATCH}"
    for algorithm, facts in _FACTS.items()
}


def thread_rows(db: apsw.Connection, mailbox: int, ranges: UidRanges, algorithm: Algorithm) -> list[tuple[object, ...]]:
    """Facts of at most BATCH placements in `ranges`, ascending by UID."""
    rows: list[tuple[object, ...]] = typed(db.execute(_THREADED[algorithm], (pack(ranges), mailbox)))
    return rows


def pieces(ranges: UidRanges) -> Iterator[UidRanges]:
    """Ranges in groups of BATCH, so that what is asked for again and again stays short."""
    for start in range(0, len(ranges), BATCH):
        yield ranges[start : start + BATCH]


async def thread(
    store: SqliteStore,
    mailbox: int,
    query: Query,
    algorithm: Algorithm,
    within: UidRanges,
    come_to: ComeTo | None = None,
) -> Threads:
    """See `Store.thread`. come_to: as for `sort`."""
    ranges = within
    if not isinstance(query, All):
        ranges = tuple(ranges_of(await store.search(mailbox, query, within, come_to=come_to)))
    columns: list[list[object]] = [[] for _ in _FACTS[algorithm]]
    for piece in pieces(ranges):
        left = piece
        while left:
            rows = store.look(thread_rows, mailbox, left, algorithm)
            # Columns at once, so that rows do not live on: 100,000 tuples keep the collector busy for longer than
            # the threading takes.
            for column, values in zip(columns, zip(*rows, strict=True), strict=False):
                column.extend(values)
            if len(rows) < BATCH:
                break
            left = after(left, int(str(rows[-1][0])))
            await asyncio.sleep(0)  # others' turn
    count = len(columns[0])
    if not count:
        return NO_THREADS
    if count <= ON_LOOP:
        return _threads(algorithm, columns)
    return await asyncio.to_thread(_threads, algorithm, columns)


def after(ranges: UidRanges, uid: int) -> UidRanges:
    """The part of the ranges above `uid`."""
    return tuple((max(low, uid + 1), high) for low, high in ranges if high > uid)


def upto(ranges: UidRanges, uid: int) -> UidRanges:
    """The part of the ranges up to and with `uid`."""
    return tuple((low, min(high, uid)) for low, high in ranges if low <= uid)


def _threads(algorithm: Algorithm, columns: Sequence[Sequence[object]]) -> Threads:
    facts: Sequence[Sequence[object]] = columns
    if algorithm is Algorithm.REFERENCES:
        return references(Letters(*facts))  # type: ignore[arg-type]  # the columns' types are those of STRICT columns
    return ordered_subject(*facts)  # type: ignore[arg-type]  # as above
