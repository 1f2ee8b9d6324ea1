"""FETCH's hot path: rows in, octets out.

A `Plan` is compiled once a command: which columns to ask the store for, one octet template for everything a
row answers by itself, and the body sections that need message contents. Rows come in batches; a batch becomes
octets by one formatting of the template as often as there are rows, without an object or a parse for each message.
Contents are the business of `fetch_body`.

Messages that were removed, but not yet told to this session, are answered too while the store keeps them
(RFC 2180 4.1). Must not know commands. RFC 9051 6.4.5, 7.5.2; RFC 8474 5.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, cast

from ...mime.headers import FieldSelector
from ...mime.model import Trait
from ...store.interface import Store
from ...store.model import Column, FlagTable, Row, UidRanges
from ..grammar.commands import Body, FetchItem, Item, SectionText
from ..grammar.response import format_internaldates, joined, literal, string
from ..session.view import Spans, View
from . import fetch_body

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

NARROW = frozenset({Column.FLAGS, Column.MODSEQ, Column.SIZE, Column.RECEIVED})

WIDE = frozenset({Column.ENVELOPE, Column.BODY, Column.BODYSTRUCTURE, Column.HEADERS, Column.PARTS})
"""What may be as large as a message's header, or larger."""

_FLAGS_ALONE = (Column.FLAGS,)

SIMPLIFIED = Trait.SIMPLIFIED.value

Mapper = Callable[[Iterable[object]], tuple[Iterable[object], ...]]


@dataclass(frozen=True, slots=True)
class Piece:
    """One item that a row answers: its place in the template, its column, and the columns that become of it there:
    itself without a mapper."""

    text: bytes
    column: Column | None
    mapper: Mapper | None = None


def _dates(values: Iterable[object]) -> tuple[Iterable[object], ...]:
    return (format_internaldates(cast("Iterable[int]", values)),)  # Column.RECEIVED and SAVED are int


def _strings(values: Iterable[object]) -> tuple[Iterable[object], ...]:
    """Strings of text: literals where they are not ASCII, which every dialect reads; NUL can stand in neither form."""
    texts = cast("Iterable[str]", values)  # Column.PREVIEW is str
    return ([string(text.replace("\0", "\ufffd").encode("utf-8")) for text in texts],)


_PREVIEW = Piece(b"PREVIEW %b", Column.PREVIEW, _strings)

PIECES: dict[Item, Piece] = {
    Item.UID: Piece(b"UID %d", None),
    Item.FLAGS: Piece(b"FLAGS (%b)", Column.FLAGS),
    Item.INTERNALDATE: Piece(b'INTERNALDATE "%b"', Column.RECEIVED, _dates),
    Item.RFC822_SIZE: Piece(b"RFC822.SIZE %d", Column.SIZE),
    Item.ENVELOPE: Piece(b"ENVELOPE %b", Column.ENVELOPE),
    Item.BODY: Piece(b"BODY %b", Column.BODY),
    Item.BODYSTRUCTURE: Piece(b"BODYSTRUCTURE %b", Column.BODYSTRUCTURE),
    Item.MODSEQ: Piece(b"MODSEQ (%d)", Column.MODSEQ),
    Item.EMAILID: Piece(b"EMAILID (%b)", Column.EMAIL_ID),
    Item.THREADID: Piece(b"THREADID (%b)", Column.THREAD_ID),
    Item.SAVEDATE: Piece(b'SAVEDATE "%b"', Column.SAVED, _dates),
    Item.PREVIEW: _PREVIEW,
    Item.PREVIEW_LAZY: _PREVIEW,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled list of items. columns: what rows must carry, without the UID that stands first in each.

    template: "* n FETCH (" and the pieces, without the closing parenthesis; uid_template: the same with "* uid UIDFETCH
    (" (RFC 9586 3.3). bodies: what needs contents.
    whole: the same items without the help of stored header fields, for a message of which not all are stored;
    None where nothing relies on them.
    """

    columns: tuple[Column, ...]
    pieces: tuple[Piece, ...]
    template: bytes
    uid_template: bytes
    bodies: tuple[fetch_body.Section, ...]
    whole: Plan | None = None

    def index(self, column: Column) -> int:
        """Where a column stands in a row."""
        return self.columns.index(column) + 1


def compile_plan(items: Iterable[FetchItem], *, stored_fields: bool = True) -> Plan:
    """The plan for these items; an item asked for twice is answered once.

    stored_fields: HEADER.FIELDS may be answered from the fields kept beside the message.
    """
    items = tuple(dict.fromkeys(items))
    pieces: list[Piece] = []
    bodies: list[fetch_body.Section] = []
    for item in items:
        if isinstance(item, Item):
            pieces.append(PIECES[item])
        elif stored_fields and isinstance(item, Body) and (piece := _cached_fields(item)) is not None:
            pieces.append(piece)
        else:
            bodies.append(fetch_body.compile_section(item))
    pieces = list(dict.fromkeys(pieces))
    columns = [piece.column for piece in pieces if piece.column is not None]
    for section in bodies:
        columns += section.columns
    whole = None
    if Column.HEADERS in columns:
        columns.append(Column.TRAITS)
        whole = compile_plan(items, stored_fields=False)
    shown = b" ".join(piece.text for piece in pieces)
    templates = b"* %d FETCH (" + shown, b"* %d UIDFETCH (" + shown
    return Plan(tuple(dict.fromkeys(columns)), tuple(pieces), *templates, tuple(bodies), whole)


def with_uid(session: ImapSession, *items: FetchItem) -> tuple[FetchItem, ...]:
    """Items with UID before them, which a UIDFETCH response has in its head."""
    return items if session.dialect.uidonly else (Item.UID, *items)


def _cached_fields(item: Body) -> Piece | None:
    """BODY[HEADER.FIELDS (...)] of the message itself, where the stored fields can answer it."""
    if item.text is not SectionText.FIELDS or item.path:
        return None
    selector = FieldSelector(frozenset(item.fields), negate=False)
    if not selector.cached:
        return None
    label, partial = item.label.replace(b"%", b"%%"), item.partial

    def whole(values: Iterable[object]) -> tuple[Iterable[object], ...]:
        blocks = selector.fields_cached(cast("Iterable[bytes]", values))  # Column.HEADERS is bytes
        return [len(block) + 2 for block in blocks], blocks  # the empty line stands in the template

    def part(values: Iterable[object]) -> tuple[Iterable[object], ...]:
        assert partial is not None
        offset, count = partial
        blocks = selector.fields_cached(cast("Iterable[bytes]", values))
        return ([literal((block + b"\r\n")[offset : offset + count]) for block in blocks],)

    if partial is None:
        return Piece(label + b" {%d}\r\n%b\r\n", Column.HEADERS, whole)
    return Piece(label + b" %b", Column.HEADERS, part)


async def send(session: ImapSession, view: View, spans: Spans, plan: Plan, *, descending: bool = False) -> bool:
    """Write the responses for the messages of `spans`, a batch at a time, each batch drained.

    descending: from the highest UID to the lowest, as a limited command must (RFC 9738 3.1). Gives False where a
    section could not be decoded and was left out (UNKNOWN-CTE).
    """
    complete = True
    most = BATCH if WIDE.isdisjoint(plan.columns) and not NARROW.issuperset(plan.columns) else NARROW_BATCH
    for some in _ordered(batches(spans, most), descending):
        parts = (some,) if WIDE.isdisjoint(plan.columns) else _ordered(await _weighed(session, view, some), descending)
        for batch in parts:
            complete = await _send_batch(session, view, batch, plan, descending) and complete
    return complete


def _ordered(parts: Iterator[Spans], descending: bool) -> Iterable[Spans]:
    return reversed(list(parts)) if descending else parts


async def _weighed(session: ImapSession, view: View, spans: Spans) -> Iterator[Spans]:
    """Spans cut so that each group is at most `BATCH` messages, and `OCTETS` octets beyond the first of them.

    Cost: 0.2 us a message.
    """
    expected = sum(stop - start for start, stop in spans)
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


async def _send_batch(session: ImapSession, view: View, batch: Spans, plan: Plan, descending: bool) -> bool:
    table = await session.flags()
    if plan.columns == _FLAGS_ALONE and not plan.bodies and (both := await _flag_columns(session, view, batch)):
        await _send_columns(session, view, table, plan, _numbers(batch), list(both), descending)
        return True
    numbers, rows = await read_rows(session, view, batch, plan.columns)
    if not rows:
        return True
    columns: list[Sequence[object]] = list(zip(*rows, strict=True))
    if plan.whole is not None:
        traits = cast("tuple[int, ...]", columns[plan.index(Column.TRAITS)])  # Column.TRAITS is int
        if any(each & SIMPLIFIED for each in set(traits)):
            return await _send_batch(session, view, batch, plan.whole, descending)
    if not plan.bodies:
        await _send_columns(session, view, table, plan, numbers, columns, descending)
        return True
    arguments = _arguments(session, view, table, plan, numbers, columns)
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
    columns: list[Sequence[object]],
    descending: bool,
) -> None:
    """Write the responses of a plan without body sections."""
    arguments = _arguments(session, view, table, plan, numbers, columns)
    if descending:
        arguments = _reversed(arguments)
    template = plan.uid_template if session.dialect.uidonly else plan.template
    session.write(joined(template + b")\r\n", arguments, len(columns[0])))
    await session.flush_if_full()


def _reversed(arguments: list[Iterable[object]]) -> list[Iterable[object]]:
    return [list(reversed(list(column))) for column in arguments]


async def _flag_columns(session: ImapSession, view: View, batch: Spans) -> tuple[array[int], array[int]] | None:
    """UIDs and flag set numbers of all messages of `batch`; None where rows must be asked for, as where some of them
    are removed."""
    expected = sum(stop - start for start, stop in batch)
    both = await session.selected_store.flag_columns(view.mailbox.key, view.ranges(batch), expected)
    return both if both is not None and len(both[0]) == expected else None


def _numbers(batch: Spans) -> Iterable[int]:
    """Sequence numbers of the messages of `batch`."""
    return chain.from_iterable(range(start + 1, stop + 1) for start, stop in batch)


def _arguments(
    session: ImapSession,
    view: View,
    table: FlagTable,
    plan: Plan,
    numbers: Iterable[int],
    columns: list[Sequence[object]],
) -> list[Iterable[object]]:
    """What goes into the plan's template, by column."""
    uids = cast("Sequence[int]", columns[0])  # a row's first element is its UID
    arguments: list[Iterable[object]] = [uids if session.dialect.uidonly else numbers]
    for piece in plan.pieces:
        if piece.column is None:
            arguments.append(uids)
            continue
        values = columns[plan.index(piece.column)]
        if piece.column is Column.FLAGS:
            arguments.append(session.updates.flag_octets(view, uids, cast("Sequence[int]", values), table))
        elif piece.mapper is not None:
            arguments += piece.mapper(values)
        else:
            arguments.append(values)
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
    expected = sum(stop - start for start, stop in batch)
    if not columns:
        uids = view.uids.uids
        rows: list[Row] = [(uid,) for start, stop in batch for uid in uids[start:stop]]
        return _numbers(batch), rows
    rows = await store.rows(key, view.ranges(batch), columns, expected)
    if len(rows) < expected:
        missing = _missing(view, batch, rows)
        kept = await store.rows(key, missing, columns, expected, removed=True)
        rows = sorted([*rows, *kept], key=_uid)
        if len(rows) < expected:
            return [view.uids.sequence(_uid(row)) for row in rows], rows
    return _numbers(batch), rows


def _uid(row: Row) -> int:
    return cast("int", row[0])  # a row's first element is its UID


def _missing(view: View, batch: Spans, rows: list[Row]) -> UidRanges:
    """The UIDs of `batch` that have no row."""
    there = set(map(_uid, rows))
    uids = view.uids.uids
    gone = [uid for start, stop in batch for uid in uids[start:stop] if uid not in there]
    return tuple((uid, uid) for uid in gone)
