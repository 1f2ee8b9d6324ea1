"""SORT and THREAD from stored keys: which messages is `search`'s business, in which order stands here.

SORT is one statement that SQLite answers by one value, so that a large mailbox is sorted on a thread without taking
the interpreter's lock for each row. THREAD gets each of its facts as one value for a batch of messages. Neither makes
an object for a message. RFC 5256, RFC 5957.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import apsw
import msgspec

from ...query.language import All, Query
from ...query.order import Criterion, SortKey
from ...query.ordered_subject import OrderedSubject
from ...query.references import References
from ...query.threads import NO_THREADS, Algorithm, Threads
from ..errors import NoSuchMailbox
from ..interface import ComeTo
from ..model import UidRanges
from . import by_flags
from .flag_sets import messages, narrowed
from .sort_keys import SENT, ordering, sortkey_join
from .values import numbers, pack, ranges_of, spans

if TYPE_CHECKING:
    from .account import SqliteStore

    Ordered = tuple[array[int], int]
    """UIDs in order, and the highest of them; 0 where there are none."""

ON_LOOP = 2_000
"""Messages up to which a sort is done on the event loop: about 2 ms, 11 where all have the longest subjects that are
compared. Threading takes 4. More go to a thread."""

ON_LOOP_OCTETS = 1 << 16
"""Octets of one fact of these (References above all) up to which threading is done there, 10 ms: each id costs as much
as a message's other facts together, and a message may have a thousand."""

BATCH = 5_000
"""Messages whose keys are read at once for THREAD."""

LONGEST = 32 << 20
"""Octets that one fact of all these may come to: a message may have References of a megabyte. Fewer are read then; one
that has more than this by itself is read alone."""

RANGES = 1_000
"""Ranges that a statement is given at once."""

_decode_numbers = msgspec.json.Decoder(list[int]).decode

THREADING: dict[Algorithm, Callable[[], OrderedSubject | References]] = {
    Algorithm.ORDEREDSUBJECT: OrderedSubject,
    Algorithm.REFERENCES: References,
}


def sort_sql(keys: Sequence[Criterion]) -> str:
    """The UIDs in order, as a JSON array in one value, and the highest. Parameters: packed ranges (with RELEVANCY among
    the keys: UIDs shifted left by 7, with their scores), mailbox."""
    terms = [expression + " DESC" * descends for expression, descends in ordering(keys)]
    order = ", ".join([*terms, "p.uid"])
    source = _SCORED if "s.value" in order else spans("?1", "placement", "?2")
    ordered = f"SELECT p.uid FROM {source}{sortkey_join(order)} ORDER BY {order}"
    return f"SELECT '[' || group_concat(uid) || ']', max(uid) FROM ({ordered})"


_SCORED = "carray(?1) s CROSS JOIN placement p ON p.mailbox = ?2 AND p.uid = (s.value >> 7)"


def sort_uids(db: apsw.Connection, mailbox: int, named: apsw.CArrayBinding, keys: Sequence[Criterion]) -> Ordered:
    """UIDs of the placements named, ordered."""
    text, highest = db.execute(sort_sql(keys), (named, mailbox)).get
    return (numbers(text), highest) if text else (array("I"), 0)


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
    else:
        query, within = narrowed(query, within)
        if by_flags.answers(store, query, within):
            return await _sort_by_flags(store, mailbox, query, tuple(keys), within)
        if isinstance(query, All):
            count, named = min(store.look(messages_of, mailbox), messages(within)), pack(within)
        else:
            found = await store.search(mailbox, query, within, come_to=come_to)
            count, named = len(found), pack(tuple(ranges_of(found)))
    ordered, _ = await _ordered(store, mailbox, count, named, keys)
    return ordered


async def _sort_by_flags(
    store: SqliteStore, mailbox: int, query: Query, keys: tuple[Criterion, ...], within: UidRanges
) -> array[int]:
    """`sort` of all messages that have certain flags, or of all there are: their order may be known."""
    try:
        place, found, known = await by_flags.ordered(store, mailbox, query, keys, within)
    except NoSuchMailbox:
        return array("I")
    if known is not None:
        return known
    whole = isinstance(query, All)
    named = pack(within if whole else tuple(ranges_of(found)))
    ordered, highest = await _ordered(store, mailbox, len(found), named, keys)
    # No UID is given out twice, and new ones are above all before: where all are as many as they were and the highest
    # is the same, none has come meanwhile, and so none has gone.
    if len(ordered) == len(found) and (not whole or not len(found) or highest == found[-1]):
        by_flags.keep(store, place, found, ordered)
    return ordered


async def _ordered(
    store: SqliteStore, mailbox: int, count: int, named: apsw.CArrayBinding, keys: Sequence[Criterion]
) -> Ordered:
    """`sort_uids` of some `count` messages, where it is to be done."""
    if not count:
        return array("I"), 0
    if count <= ON_LOOP:
        return store.look(sort_uids, mailbox, named, keys)
    return await asyncio.to_thread(store.read_apart, sort_uids, mailbox, named, keys)


def messages_of(db: apsw.Connection, mailbox: int) -> int:
    """How many messages a mailbox holds; 0 where it is gone."""
    return int(db.execute("SELECT messages FROM mailbox WHERE key = ?", (mailbox,)).get or 0)


_BETWEEN = "\n"


def _joined(number: int, numeric: bool) -> str:
    """SQL for a column of facts as one value: a JSON array of numbers, or texts with `_BETWEEN` between them."""
    if numeric:
        return f"'[' || group_concat(f{number}) || ']'"
    return f"group_concat(f{number}, char({ord(_BETWEEN)}))"


_FACTS = {
    Algorithm.REFERENCES: ("p.uid", SENT, "k.subject", "k.is_reply", "k.message_id", "k.refs"),
    Algorithm.ORDEREDSUBJECT: ("p.uid", SENT, "k.subject"),
}

_THREADED = {
    algorithm: f"SELECT {', '.join(f'{fact} AS f{n}' for n, fact in enumerate(facts))}"
    f" FROM {spans('?1', 'placement', '?2')} CROSS JOIN sortkey k ON k.email = p.email LIMIT ?3"
    for algorithm, facts in _FACTS.items()
}

_NUMBERS = ("p.uid", SENT, "k.is_reply")
"""Facts that are numbers, never NULL."""

_COLUMNS = {
    algorithm: f"SELECT count(*), {', '.join(_joined(n, fact in _NUMBERS) for n, fact in enumerate(facts))}"
    f" FROM ({_THREADED[algorithm]})"
    for algorithm, facts in _FACTS.items()
}
"""A column a value: no row becomes a tuple, and SQLite works without the interpreter's lock."""


def thread_columns(
    db: apsw.Connection, mailbox: int, ranges: UidRanges, algorithm: Algorithm, limit: int
) -> Sequence[Any]:
    """Facts of at most `limit` placements in `ranges`, ascending by UID: a column each; none where no placement is."""
    named = (pack(ranges), mailbox, limit)
    count, *texts = db.execute(_COLUMNS[algorithm], named).get
    if not count:
        return ()
    facts = _FACTS[algorithm]
    columns = [
        _decode_numbers(text) if fact in _NUMBERS else text.split(_BETWEEN)
        for fact, text in zip(facts, texts, strict=True)
    ]
    if any(len(column) != count for column in columns):  # an id may hold what stands between two
        return [list(column) for column in zip(*db.execute(_THREADED[algorithm], named).fetchall(), strict=True)]
    return columns


def pieces(ranges: UidRanges) -> Iterator[UidRanges]:
    """Ranges in groups, so that what is asked for again and again stays short."""
    for start in range(0, len(ranges), RANGES):
        yield ranges[start : start + RANGES]


async def thread(
    store: SqliteStore,
    mailbox: int,
    query: Query,
    algorithm: Algorithm,
    within: UidRanges,
    come_to: ComeTo | None = None,
) -> Threads:
    """See `Store.thread`. come_to: as for `sort`."""
    query, within = narrowed(query, within)
    if by_flags.answers(store, query, within):
        return await _thread_by_flags(store, mailbox, query, algorithm, within)
    if isinstance(query, All):
        ranges, count = within, min(store.look(messages_of, mailbox), messages(within))
    else:
        found = await store.search(mailbox, query, within, come_to=come_to)
        ranges, count = tuple(ranges_of(found)), len(found)
    return await _threaded(store, mailbox, ranges, count, algorithm)


async def _thread_by_flags(
    store: SqliteStore, mailbox: int, query: Query, algorithm: Algorithm, within: UidRanges
) -> Threads:
    """`thread` of all messages that have certain flags, or of all there are: their threads may be known."""
    try:
        place, found, known = await by_flags.threaded(store, mailbox, query, algorithm, within)
    except NoSuchMailbox:
        return NO_THREADS
    if known is not None:
        return known
    whole = isinstance(query, All)
    made = await _threaded(store, mailbox, within if whole else tuple(ranges_of(found)), len(found), algorithm)
    if len(made.uids) == len(found) and (not whole or await _highest(made) == (found[-1] if len(found) else 0)):
        by_flags.keep_threads(store, place, found, made)  # as of a sort
    return made


async def _highest(made: Threads) -> int:
    """The highest UID there, 0 where there is none: 10 ms of a million."""
    if len(made.uids) <= ON_LOOP:
        return max(made.uids, default=0)
    return await asyncio.to_thread(max, made.uids)


async def _threaded(store: SqliteStore, mailbox: int, ranges: UidRanges, count: int, algorithm: Algorithm) -> Threads:
    """`threads` of some `count` messages, where it is to be done."""
    if not count:
        return NO_THREADS
    if count <= ON_LOOP:
        made = store.look(threads_of_few, mailbox, ranges, algorithm)
        if made is not None:
            return made
    return await asyncio.to_thread(store.read_apart, threads, mailbox, ranges, algorithm)


def threads_of_few(db: apsw.Connection, mailbox: int, ranges: UidRanges, algorithm: Algorithm) -> Threads | None:
    """`threads`; None where a fact of a batch is longer than what is read on the event loop."""
    try:
        with _at_most(db, ON_LOOP_OCTETS):
            return threads(db, mailbox, ranges, algorithm)
    except apsw.TooBigError:
        return None


def threads(db: apsw.Connection, mailbox: int, ranges: UidRanges, algorithm: Algorithm) -> Threads:
    """Threads of the placements in `ranges`. Raises apsw.TooBigError where the connection reads less than LONGEST."""
    made, limit = THREADING[algorithm](), BATCH
    most = min(db.limit(apsw.SQLITE_LIMIT_LENGTH), LONGEST)
    for piece in pieces(ranges):
        left = piece
        while left:
            try:
                with _at_most(db, most):
                    columns = thread_columns(db, mailbox, left, algorithm, limit)
            except apsw.TooBigError:
                if most < LONGEST:
                    raise
                if limit > 1:
                    limit //= 2
                    continue
                columns = thread_columns(db, mailbox, left, algorithm, 1)
            if not columns:
                break
            made.add(*columns)
            left = after(left, columns[0][-1]) if len(columns[0]) == limit else ()
            limit = min(2 * limit, BATCH)
    return made.threads()


@contextmanager
def _at_most(db: apsw.Connection, octets: int) -> Iterator[None]:
    """No value is longer than this within the block (apsw.TooBigError)."""
    longest = db.limit(apsw.SQLITE_LIMIT_LENGTH, octets)
    try:
        yield
    finally:
        db.limit(apsw.SQLITE_LIMIT_LENGTH, longest)


def after(ranges: UidRanges, uid: int) -> UidRanges:
    """The part of the ranges above `uid`."""
    return tuple((max(low, uid + 1), high) for low, high in ranges if high > uid)


def upto(ranges: UidRanges, uid: int) -> UidRanges:
    """The part of the ranges up to and with `uid`."""
    return tuple((low, min(high, uid)) for low, high in ranges if low <= uid)
