"""FETCH's hot path: rows in, octets out.

A plan (`fetch_plan`) says which columns to ask the store for, one octet template for everything a row answers by
itself, and the body sections that need message contents. Rows come in batches; a batch becomes octets by one formatting
of the template as often as there are rows, without an object or a parse for each message. What became of the columns of
a large one is kept for whoever asks for the same listing again (`store.interface.Shelf`). Contents are the business of
`fetch_body`.

Messages that were removed, but not yet told to this session, are answered too while the store keeps them
(RFC 2180 4.1). Must not know commands. RFC 9051 6.4.5, 7.5.2; RFC 8474 5.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, chain, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, cast

from ...mime.model import Trait
from ...store.errors import UNREADABLE, StoreFault, cause_of
from ...store.interface import Shelf, Store
from ...store.model import Column, FlagTable, Row, UidRanges
from ..grammar.commands import FetchItem
from ..grammar.response import joined
from ..session.view import Spans, View, count
from . import fetch_body
from .fetch_plan import NARROW, WIDE, Arguments, Piece, Plan, unsolicited

if TYPE_CHECKING:
    from ..session.session import ImapSession

BATCH = 500
"""Messages asked of the store at once: some hundred kilobytes of answers, as a rule."""

OCTETS = 32 << 20
"""Octets that the messages of a batch have together, beyond its first one: an ENVELOPE may be as large as a header, so
a stranger could make each of 500 a megabyte."""

UNWEIGHED = 16
"""Messages asked for at once where that is not known of each."""

NARROW_BATCH = 5_000
"""The same where rows are narrow: UIDs, flags, numbers."""

Columns = dict[Column | None, Sequence[object]]
"""By what stands in them, None for UIDs."""

_FLAGS_ALONE = (Column.FLAGS,)

_SIMPLIFIED = Trait.SIMPLIFIED.value

KEPT_FROM = 100
"""Messages of a batch from which on what is made of their answers is kept: fewer are read in a fraction of a
millisecond, and are other ones with each message that comes."""


async def send(session: ImapSession, view: View, spans: Spans, plan: Plan, *, descending: bool = False) -> bool:
    """Write the responses for the messages of `spans`, a batch at a time, each batch drained.

    descending: from the highest UID to the lowest, as a limited command must (RFC 9738 3.1). Gives False where a
    section could not be decoded and was left out (UNKNOWN-CTE). Raises one of UNREADABLE, once all that can be read has
    been written: one page of the file that is broken keeps nobody from the other mail.
    """
    complete = True
    damaged: list[StoreFault] = []
    most = BATCH if WIDE.isdisjoint(plan.columns) and not NARROW.issuperset(plan.columns) else NARROW_BATCH
    for some in _ordered(batches(spans, most), descending):
        for batch in _ordered(await _parts(session, view, some, plan), descending):
            try:
                complete = await _send_batch(session, view, batch, plan, descending, damaged) and complete
            except UNREADABLE as found:
                damaged.append(found)
    if damaged:
        raise damaged[-1]
    return complete


async def send_unasked(session: ImapSession, view: View, spans: Spans, items: Iterable[FetchItem]) -> None:
    """Write these items of messages that came, as NOTIFY or a search with UPDATE has asked for them beforehand.

    What cannot be read is left out: no command's answer could tell that, and a FETCH of the message will.
    """
    try:
        await send(session, view, spans, unsolicited(session, items))
    except UNREADABLE as found:
        session.connection.log("new message not sent", reason=found.code, cause=cause_of(found))


def _ordered(parts: Iterator[Spans], descending: bool) -> Iterable[Spans]:
    return reversed(list(parts)) if descending else parts


async def _parts(session: ImapSession, view: View, spans: Spans, plan: Plan) -> Iterator[Spans]:
    """Spans cut so that each group may be asked for at once. What is kept was once: it need not be weighed again."""
    if WIDE.isdisjoint(plan.columns):
        return iter((spans,))
    if all(_is_kept(_shelf(session, view, batch, plan), plan) for batch in batches(spans)):
        return batches(spans)
    return await _weighed(session, view, spans)


def _is_kept(shelf: Shelf | None, plan: Plan) -> bool:
    """Whether all that is kept of a plan is there."""
    return shelf is not None and all(shelf.find(piece.text) is not None for piece in plan.pieces if piece.kept)


async def _weighed(session: ImapSession, view: View, spans: Spans) -> Iterator[Spans]:
    """Spans cut so that each group is at most `BATCH` messages, and `OCTETS` octets beyond the first of them.

    Cost: 0.2 us a message.
    """
    expected = count(spans)
    if expected == 1:
        return iter((spans,))
    rows = await session.selected_store.rows(view.mailbox.key, view.ranges(spans), (Column.SIZE,), expected)
    totals = list(accumulate(map(itemgetter(1), rows)))
    if len(rows) < expected:  # some are removed
        return batches(spans, UNWEIGHED)
    return batches(spans) if totals[-1] <= OCTETS else cut(spans, _counts(totals))


def _counts(totals: list[int]) -> Iterator[int]:
    """How many messages go together. totals: octets of all up to each."""
    start = before = 0
    while start < len(totals):
        stop = min(start + BATCH, max(start + 1, bisect_right(totals, before + OCTETS)))
        yield stop - start
        start, before = stop, totals[stop - 1]


async def _send_batch(
    session: ImapSession, view: View, batch: Spans, plan: Plan, descending: bool, damaged: list[StoreFault]
) -> bool:
    """damaged: is told of messages that are left out, since their rows cannot be read."""
    table = await session.flags()
    shelf = _shelf(session, view, batch, plan)
    known = None
    with suppress(*UNREADABLE):  # what can be read is found by its rows
        known = await _known(session, view, batch, plan, shelf)
    if known is not None:
        await _send_columns(session, view, table, plan, _numbers(batch), *known, descending)
        return True
    numbers, rows = await _readable_rows(session, view, batch, plan.columns, damaged)
    if not rows:
        return True
    columns: Columns = dict(zip((None, *plan.columns), zip(*rows, strict=True), strict=True))
    if plan.whole is not None:
        traits = cast("tuple[int, ...]", columns[Column.TRAITS])  # Column.TRAITS is int
        if any(each & _SIMPLIFIED for each in set(traits)):
            return await _send_batch(session, view, batch, plan.whole, descending, damaged)
    if not plan.bodies:
        made = {} if shelf is None or len(rows) < count(batch) else _keep(shelf, plan, columns)
        await _send_columns(session, view, table, plan, numbers, columns, made, descending)
        return True
    arguments = _arguments(session, view, table, plan, numbers, columns, {})
    if descending:
        arguments = _reversed(arguments)
        rows.reverse()
    template = plan.uid_template if session.dialect.uidonly else plan.template
    return await fetch_body.send(session, plan, list(map(template.__mod__, zip(*arguments, strict=True))), rows)


async def _send_columns(
    session: ImapSession,
    view: View,
    table: FlagTable,
    plan: Plan,
    numbers: Iterable[int],
    columns: Columns,
    made: dict[Piece, Arguments],
    descending: bool,
) -> None:
    """Write the responses of a plan without body sections. made: what has become of some of its pieces' columns."""
    arguments = _arguments(session, view, table, plan, numbers, columns, made)
    if descending:
        arguments = _reversed(arguments)
    template = plan.uid_template if session.dialect.uidonly else plan.template
    session.write(joined(template + b")\r\n", arguments, len(columns[None])))
    await session.flush_if_full()


def _shelf(session: ImapSession, view: View, batch: Spans, plan: Plan) -> Shelf | None:
    """Where columns of a large batch are kept, if the plan has wide ones and all of these are: what is narrow is read
    as fast as it is found."""
    wide = [piece.kept for piece in plan.pieces if piece.column in WIDE]
    if plan.bodies or count(batch) < KEPT_FROM or not wide or not all(wide):
        return None
    return session.selected_store.shelf(view.mailbox.key, batch[0][0], _uids(view, batch))


async def _known(
    session: ImapSession, view: View, batch: Spans, plan: Plan, shelf: Shelf | None
) -> tuple[Columns, dict[Piece, Arguments]] | None:
    """What answers a plan of flags alone, or one of which all that is kept is there, the rest being read; None where it
    is not, or messages have been removed."""
    if plan.columns == _FLAGS_ALONE and not plan.bodies and (both := await _flag_columns(session, view, batch)):
        return {None: both[0], Column.FLAGS: both[1]}, {}
    if shelf is None:
        return None
    made: dict[Piece, Arguments] = {}
    for piece in plan.pieces:
        if piece.kept:
            found = shelf.find(piece.text)
            if found is None:
                return None
            made[piece] = found
    rest = tuple(dict.fromkeys(p.column for p in plan.pieces if p.column is not None and not p.kept))
    if not rest:
        return {None: _uids(view, batch)}, made
    if rest == _FLAGS_ALONE and (both := await _flag_columns(session, view, batch)):
        return {None: both[0], Column.FLAGS: both[1]}, made
    rows = await _present(session.selected_store, view, batch, rest)
    if len(rows) < count(batch):
        return None
    return dict(zip((None, *rest), zip(*rows, strict=True), strict=True)), made


def _keep(shelf: Shelf, plan: Plan, columns: Columns) -> dict[Piece, Arguments]:
    """Keep what becomes of the columns of those pieces that are kept."""
    made = {piece: piece.made(columns[piece.column]) for piece in plan.pieces if piece.kept}
    for piece, found in made.items():
        octets = 0 if piece.column is Column.SIZE else sum(map(len, cast("Sequence[bytes]", found[-1])))
        shelf.keep(piece.text, found, octets)
    return made


def _uids(view: View, batch: Spans) -> array[int]:
    """UIDs of the messages of `batch`."""
    uids = array("I")
    for start, stop in batch:
        uids += view.uids.uids[start:stop]
    return uids


def _reversed(arguments: list[Iterable[object]]) -> list[Iterable[object]]:
    return [list(reversed(list(column))) for column in arguments]


async def _flag_columns(session: ImapSession, view: View, batch: Spans) -> tuple[array[int], array[int]] | None:
    """UIDs and flag set numbers of all messages of `batch`; None where rows must be asked for, as where some of them
    are removed."""
    both = await session.selected_store.flag_columns(view.mailbox.key, view.ranges(batch), count(batch))
    return both if both is not None and both[0] == _uids(view, batch) else None


def _numbers(batch: Spans) -> Iterable[int]:
    """Sequence numbers of the messages of `batch`."""
    return chain.from_iterable(range(start + 1, stop + 1) for start, stop in batch)


def _arguments(
    session: ImapSession,
    view: View,
    table: FlagTable,
    plan: Plan,
    numbers: Iterable[int],
    columns: Columns,
    made: dict[Piece, Arguments],
) -> list[Iterable[object]]:
    """What goes into the plan's template, by column."""
    uids = cast("Sequence[int]", columns[None])
    arguments: list[Iterable[object]] = [uids if session.dialect.uidonly else numbers]
    for piece in plan.pieces:
        if piece.column is None:
            arguments.append(uids)
        elif piece.column is Column.FLAGS:
            flags = cast("Sequence[int]", columns[Column.FLAGS])
            arguments.append(session.updates.flag_octets(view, uids, flags, table))
        else:
            arguments += made[piece] if piece in made else piece.made(columns[piece.column])
    return arguments


def batches(spans: Spans, most: int = BATCH) -> Iterator[Spans]:
    """Spans cut and grouped so that each group covers at most `most` messages."""
    return cut(spans, repeat(most))


def cut(spans: Spans, counts: Iterator[int]) -> Iterator[Spans]:
    """Spans cut and grouped so that the groups cover as many messages as `counts` says; a last one, those left."""
    group: Spans = []
    room = next(counts, sys.maxsize)
    for start, stop in spans:
        while start < stop:
            end = min(stop, start + room)
            group.append((start, end))
            room -= end - start
            start = end
            if not room:
                yield group
                group, room = [], next(counts, sys.maxsize)
    if group:
        yield group


async def read_rows(
    session: ImapSession, view: View, batch: Spans, columns: tuple[Column, ...], store: Store | None = None
) -> tuple[Iterable[int], list[Row]]:
    """(sequence numbers, rows) of the messages of `batch`, removed ones included while they are kept.

    A message whose contents are past the retention has no row and is passed over. store: see `results.highest_modseq`.
    """
    store, key = store or session.selected_store, view.mailbox.key
    expected = count(batch)
    if not columns:
        rows: list[Row] = [(uid,) for uid in _uids(view, batch)]
        return _numbers(batch), rows
    rows = await _present(store, view, batch, columns)
    if len(rows) < expected:
        missing = _missing(view, batch, rows)
        kept = await store.rows(key, missing, columns, expected, removed=True)
        rows = sorted([*rows, *kept], key=_uid)
        if len(rows) < expected:
            return [view.uids.sequence(_uid(row)) for row in rows], rows
    return _numbers(batch), rows


async def _readable_rows(
    session: ImapSession, view: View, batch: Spans, columns: tuple[Column, ...], damaged: list[StoreFault]
) -> tuple[Iterable[int], list[Row]]:
    """`read_rows`; where a page of the file is broken, of those that do not lie there. damaged: is told of it."""
    try:
        return await read_rows(session, view, batch, columns)
    except UNREADABLE as found:
        expected = count(batch)
        if expected == 1:
            damaged.append(found)
            return [], []
    numbers: list[int] = []
    rows: list[Row] = []
    for half in cut(batch, repeat((expected + 1) // 2)):
        some, there = await _readable_rows(session, view, half, columns, damaged)
        numbers += some
        rows += there
    return numbers, rows


async def _present(store: Store, view: View, batch: Spans, columns: tuple[Column, ...]) -> list[Row]:
    """Rows of those messages of `batch` that are in the mailbox.

    An older state that was put in service may have others between them, which this session was told are removed.
    """
    uids = _uids(view, batch)
    rows = await store.rows(view.mailbox.key, view.ranges(batch), columns, len(uids))
    found = array("I", map(itemgetter(0), rows))
    if found == uids or set(uids).issuperset(found):
        return rows
    return await store.rows(view.mailbox.key, _each(uids), columns, len(uids))


def _uid(row: Row) -> int:
    return cast("int", row[0])  # a row's first element is its UID


def _missing(view: View, batch: Spans, rows: list[Row]) -> UidRanges:
    """The UIDs of `batch` that have no row."""
    there = set(map(_uid, rows))
    return _each(uid for uid in _uids(view, batch) if uid not in there)


def _each(uids: Iterable[int]) -> UidRanges:
    return tuple((uid, uid) for uid in uids)
