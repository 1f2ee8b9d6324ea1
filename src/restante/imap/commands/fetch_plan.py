"""FETCH's items, compiled once a command: columns to ask the store for, one octet template for all that rows answer.

Pure but for `with_uid` and `unsolicited`, which ask a session's dialect. RFC 9051 6.4.5, 7.5.2; RFC 8474 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ...mime.headers import FieldSelector
from ...store.model import Column
from ..grammar.commands import Body, FetchItem, Item, SectionText
from ..grammar.response import format_internaldates, literal, string
from . import fetch_body

if TYPE_CHECKING:
    from ..session.session import ImapSession

NARROW = frozenset({Column.FLAGS, Column.MODSEQ, Column.SIZE, Column.RECEIVED})

WIDE = frozenset({Column.ENVELOPE, Column.BODY, Column.BODYSTRUCTURE, Column.HEADERS, Column.PARTS})
"""What may be as large as a message's header, or larger."""

Arguments = tuple[Sequence[object], ...]
Mapper = Callable[[Iterable[object]], Arguments]


@dataclass(frozen=True, slots=True)
class Piece:
    """One item that a row answers: its place in the template, its column, and the columns that become of it there:
    itself without a mapper. kept: these never change of a message, and may be kept under the piece's text."""

    text: bytes
    column: Column | None
    mapper: Mapper | None = None
    kept: bool = False

    def made(self, values: Sequence[object]) -> Arguments:
        """The columns that become of a column."""
        return (values,) if self.mapper is None else self.mapper(values)


def _dates(values: Iterable[object]) -> Arguments:
    return (format_internaldates(cast("Iterable[int]", values)),)  # Column.RECEIVED and SAVED are int


def _strings(values: Iterable[object]) -> Arguments:
    """Strings of text: literals where they are not ASCII, which every dialect reads; NUL can stand in neither form."""
    texts = cast("Iterable[str]", values)  # Column.PREVIEW is str
    return ([string(text.replace("\0", "\ufffd").encode("utf-8")) for text in texts],)


_PREVIEW = Piece(b"PREVIEW %b", Column.PREVIEW, _strings, kept=True)

PIECES: dict[Item, Piece] = {
    Item.UID: Piece(b"UID %d", None),
    Item.FLAGS: Piece(b"FLAGS (%b)", Column.FLAGS),
    Item.INTERNALDATE: Piece(b'INTERNALDATE "%b"', Column.RECEIVED, _dates, kept=True),
    Item.RFC822_SIZE: Piece(b"RFC822.SIZE %d", Column.SIZE, kept=True),
    Item.ENVELOPE: Piece(b"ENVELOPE %b", Column.ENVELOPE, kept=True),
    Item.BODY: Piece(b"BODY %b", Column.BODY, kept=True),
    Item.BODYSTRUCTURE: Piece(b"BODYSTRUCTURE %b", Column.BODYSTRUCTURE, kept=True),
    Item.MODSEQ: Piece(b"MODSEQ (%d)", Column.MODSEQ),
    Item.EMAILID: Piece(b"EMAILID (%b)", Column.EMAIL_ID, kept=True),
    Item.THREADID: Piece(b"THREADID (%b)", Column.THREAD_ID, kept=True),
    Item.SAVEDATE: Piece(b'SAVEDATE "%b"', Column.SAVED, _dates, kept=True),
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


def unsolicited(session: ImapSession, items: Iterable[FetchItem]) -> Plan:
    """The plan of responses that no FETCH has asked for: with the UID (RFC 9051 7.5.2, RFC 9586 3.3), and with the
    mod-sequence once CONDSTORE is enabled (RFC 7162 3.2.4), whatever the client wants to hear besides."""
    return compile_plan((*with_uid(session, *items), *((Item.MODSEQ,) if session.dialect.condstore else ())))


def _cached_fields(item: Body) -> Piece | None:
    """BODY[HEADER.FIELDS (...)] of the message itself, where the stored fields can answer it."""
    if item.text is not SectionText.FIELDS or item.path:
        return None
    selector = FieldSelector(frozenset(item.fields), negate=False)
    if not selector.cached:
        return None
    label, partial = item.label.replace(b"%", b"%%"), item.partial

    def whole(values: Iterable[object]) -> Arguments:
        blocks = selector.fields_cached(cast("Iterable[bytes]", values))  # Column.HEADERS is bytes
        return [len(block) + 2 for block in blocks], blocks  # the empty line stands in the template

    def part(values: Iterable[object]) -> Arguments:
        assert partial is not None
        offset, count = partial
        blocks = selector.fields_cached(cast("Iterable[bytes]", values))
        return ([literal((block + b"\r\n")[offset : offset + count]) for block in blocks],)

    if partial is None:
        return Piece(label + b" {%d}\r\n%b\r\n", Column.HEADERS, whole, kept=True)
    return Piece(label + b" %b", Column.HEADERS, part)
