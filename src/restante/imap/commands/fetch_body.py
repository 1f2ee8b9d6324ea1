"""Body sections of FETCH: octets of messages, read in batches, streamed where they are large.

A section is compiled once a command (`compile_section`); for each message it then says which octets it wants
(offsets come from the stored `Part` tree) and how they are shown. Small messages are read many at once within
a budget of octets; of a larger one only the octets wanted are read; one wanted whole and larger than the
budget is streamed chunk by chunk behind its literal header.

Must not know how rows were found. RFC 9051 6.4.5, 6.4.5.1, 7.5.2; RFC 3516 4 (BINARY).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ...errors import Refusal
from ...mime.headers import FieldSelector
from ...mime.model import Part, Trait
from ...mime.pieces import Measuring, NotInPieces, Undoing, is_lines, with_line_ends
from ...mime.scan import IDENTITY
from ...mime.sections import decode_body, find, locate
from ...store import parts as stored_parts
from ...store.errors import UNREADABLE, StoreFault, cause_of
from ...store.model import Column, Row
from ..grammar.commands import Binary, Body, FetchItem, Item, SectionText
from ..grammar.response import literal
from ..session.refusals import code_of
from ..session.state import SelectedLost

if TYPE_CHECKING:
    from ..session.session import ImapSession
    from .fetch_plan import Plan

SELECTED_AT_ONCE = 16 * 1024
"""Octets of a header from which fields are chosen on the event loop: 4 ms at worst, where each line has three."""

BUDGET = 1 << 20
"""Octets of contents held at once for one session."""

SMALL = 1 << 16
"""A message up to this size is read whole, even where less of it is wanted: one read for many messages."""

SECTIONS = 8_000
"""Sections written at once, beside those of one message, of which a command may ask for thousands: some 10 ms."""

CHUNK = 1 << 18
"""Octets read at once from a large message."""

NUL = Trait.NUL.value
BARE_LINE_END = Trait.BARE_LINE_END.value

ENCODED = frozenset({"base64", "quoted-printable"})
"""Transfer encodings that change octets, and can be undone (RFC 2045 6)."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Section:
    """One body item, compiled.

    columns: what a row must carry for it. whole: it wants every octet, as it is. own: it is a stretch of the
    message itself (all of it, its header, its text), not of a part, so that three offsets answer it.
    """

    item: Body | Binary
    label: bytes
    columns: tuple[Column, ...]
    whole: bool
    own: bool
    selector: FieldSelector | None


def compile_section(item: FetchItem) -> Section:
    """Prepare one BODY or BINARY item."""
    if isinstance(item, Item):
        raise TypeError("a section is a Body or a Binary")
    columns: tuple[Column, ...] = (Column.CONTENT, Column.SIZE, Column.TRAITS)
    selector = None
    if isinstance(item, Body):
        whole = not item.path and item.text is SectionText.WHOLE
        if item.text in (SectionText.FIELDS, SectionText.FIELDS_NOT):
            selector = FieldSelector(frozenset(item.fields), negate=item.text is SectionText.FIELDS_NOT)
    else:
        whole = not item.path and not item.size
    if not whole and not (isinstance(item, Binary) and not item.path):
        columns += (Column.PARTS,)
    return Section(item, item.label, columns, whole, isinstance(item, Body) and not item.path, selector)


@dataclass(slots=True)
class Message:
    """One message being answered. data: all its octets where they were read, None where it is too large.

    nul: it holds NUL. bare: a CR or LF that is not part of CRLF.
    parts: its encoded part tree, decoded when first asked for (`root`); None where no section needs it.
    """

    uid: int
    content: int
    size: int
    nul: bool
    bare: bool
    parts: bytes | None
    data: bytes | None = None
    _root: Part | None = None

    @property
    def root(self) -> Part:
        if self._root is None:
            self._root = stored_parts.decode(self._parts())
        return self._root

    @property
    def offsets(self) -> stored_parts.Offsets:
        """Where its header and its text lie: cheap, whatever it holds."""
        return stored_parts.offsets(self._parts())

    @property
    def header_octets(self) -> int:
        """How long its header is."""
        offsets = self.offsets
        return offsets.body - offsets.header

    def _parts(self) -> bytes:
        if self.parts is None:
            raise RuntimeError("the plan asked for no part tree")
        return self.parts


async def send(session: ImapSession, plan: Plan, heads: Sequence[bytes], rows: Sequence[Row]) -> bool:
    """Write responses that hold body sections; `heads` are their beginnings, without closing parentheses.

    Gives False where some section could not be decoded and was left out. Raises one of UNREADABLE, once those have been
    written that can be read.
    """
    session.progress.end()  # which would speak within a literal that is half written
    messages = _messages(plan, rows)
    own = all(section.own for section in plan.bodies)
    selects = any(section.selector is not None for section in plan.bodies)
    start, complete, sections = 0, True, len(plan.bodies)
    damaged: StoreFault | None = None
    while start < len(messages):
        stop, octets = start, 0
        while stop < len(messages) and (
            stop == start or (octets + messages[stop].size <= BUDGET and (stop - start + 1) * sections <= SECTIONS)
        ):
            octets += messages[stop].size
            stop += 1
        group, told = messages[start:stop], heads[start:stop]
        try:
            await _read_group(session, plan, group)
        except UNREADABLE as found:
            damaged = found
            group, told = await _readable(session, plan, group, told)
        long = own and selects and any(message.header_octets > SELECTED_AT_ONCE for message in group)
        if own and not long and all(message.data is not None for message in group):
            session.write(_answers(plan, told, group))
        else:
            for head, message in zip(told, group, strict=True):
                await _check(session, message)
                mark = session.mark()
                session.write(head)
                try:
                    complete = await _send_sections(session, plan, message) and complete
                except Refusal as refusal:
                    if session.take_back(mark):
                        if not isinstance(refusal, UNREADABLE):
                            raise
                        damaged = refusal
                        continue
                    # There is no way to say so within a response.
                    session.connection.log("message not read", reason=refusal.code, cause=cause_of(refusal))
                    raise SelectedLost(b"A message could not be read to its end.", code_of(refusal)) from refusal
                session.write(b")\r\n")
                message.data = None
        del group
        for i in range(start, stop):
            messages[i].data = None
        await session.flush_if_full()
        if sections > 1 and sections * (stop - start + 1) > SECTIONS:
            await asyncio.sleep(0)  # others' turn: a client that reads fast never lets us wait
        start = stop
    if damaged is not None:
        raise damaged
    return complete


def _messages(plan: Plan, rows: Sequence[Row]) -> list[Message]:
    content, size, traits = (plan.index(c) for c in (Column.CONTENT, Column.SIZE, Column.TRAITS))
    parts = plan.index(Column.PARTS) if Column.PARTS in plan.columns else 0
    return [
        Message(
            cast("int", row[0]),
            cast("int", row[content]),
            cast("int", row[size]),
            bool(cast("int", row[traits]) & NUL),
            bool(cast("int", row[traits]) & BARE_LINE_END),
            cast("bytes", row[parts]) if parts else None,
        )
        for row in rows
    ]


async def _read_group(session: ImapSession, plan: Plan, group: list[Message]) -> None:
    """Read whole messages where that is what is wanted, or cheaper; `group` is within the budget."""
    all_of_it = any(section.whole for section in plan.bodies)
    wanted = [m for m in group if m.size <= SMALL or (all_of_it and m.size <= BUDGET)]
    if wanted:
        contents = await session.selected_store.read_contents([m.content for m in wanted])
        for message, data in zip(wanted, contents, strict=True):
            message.data = data


async def _readable(
    session: ImapSession, plan: Plan, group: list[Message], heads: Sequence[bytes]
) -> tuple[list[Message], list[bytes]]:
    """Of a group that cannot be read together, the messages that can be, each by itself, and their heads."""
    kept: list[Message] = []
    told: list[bytes] = []
    for head, message in zip(heads, group, strict=True):
        with suppress(*UNREADABLE):
            await _read_group(session, plan, [message])
            kept.append(message)
            told.append(head)
    return kept, told


async def _check(session: ImapSession, message: Message) -> None:
    """Of a snapshot: see that the message can be read before its response begins. All of it is near then."""
    if message.data is None and message.size and session.place is not None and session.place.past is not None:
        await session.place.past.read_content(message.content, 0, 1)


def _answers(plan: Plan, heads: Sequence[bytes], group: Sequence[Message]) -> bytes:
    """Responses whose sections are the messages' own and whose messages are all in memory.

    The way that a download takes: nothing is awaited and no octet is copied before they are all joined.
    """
    before = b" " if plan.pieces else b""
    columns: list[Iterable[bytes]] = [heads]
    for section in plan.bodies:
        blocks = [_own_section(section, message) for message in group]
        begin = before + section.label.replace(b"%", b"%%") + b" {%d}\r\n"
        columns += [map(begin.__mod__, map(len, blocks)), blocks]
        before = b" "
    width = len(columns) + 1
    pieces = [b")\r\n"] * (width * len(group))
    for i, column in enumerate(columns):
        pieces[i::width] = column
    return b"".join(pieces)


def _own_section(section: Section, message: Message) -> bytes:
    """The octets of a section of the message itself, which is in memory."""
    data = message.data
    item = section.item
    if data is None or not isinstance(item, Body):
        raise RuntimeError("this section is not answered from memory")
    if not section.whole:
        start, stop = _own_span(item, message)
        data = data[start:stop]
        if section.selector is not None:
            return _cut(section.selector.select(data), item.partial)
    data = _cut(data, item.partial)
    return data.replace(b"\0", b"\x80") if message.nul else data


async def _send_sections(session: ImapSession, plan: Plan, message: Message) -> bool:
    """Write a message's sections; whether all could be given (False: UNKNOWN-CTE, the section is left out)."""
    before, complete = b" " if plan.pieces else b"", True
    for section in plan.bodies:
        label = before + section.label + b" "
        if not isinstance(section.item, Binary):
            session.write(label)
            await _send_body(session, section, section.item, message)
        elif not section.item.path:
            session.write(label)
            await _send_binary_whole(session, section.item, message)
        else:
            if not await _send_binary_part(session, label, section.item, message):
                complete = False
                continue
        before = b" "
        await session.flush_if_full()  # a command may ask for many sections of one message
    if not before:  # a FETCH response must hold something
        session.write(b"UID %d" % message.uid)
    return complete


async def _send_body(session: ImapSession, section: Section, item: Body, message: Message) -> None:
    where: Span | None = (0, message.size)
    if not section.whole:
        where = _own_span(item, message) if section.own else locate(message.root, item.path, item.text.value)
    if where is None:
        session.write(b"NIL")
        return
    if section.selector is not None:
        header = await _octets(session, message, where)
        if len(header) <= SELECTED_AT_ONCE:
            block = section.selector.select(header)
        else:
            block = await asyncio.to_thread(section.selector.select, header)
        session.write(literal(_cut(block, item.partial)))
        return
    await _send_span(session, message, _partial(where, item.partial), mask_nul=message.nul)


def _own_span(item: Body, message: Message) -> Span:
    """Where the message's own header or text lies."""
    offsets = message.offsets
    return (offsets.body, offsets.end) if item.text is SectionText.TEXT else (offsets.header, offsets.body)


def _partial(where: Span, partial: tuple[int, int] | None) -> Span:
    """The stretch of a section that <offset.count> names; empty past its end."""
    if partial is None:
        return where
    start = min(where[0] + partial[0], where[1])
    return start, min(start + partial[1], where[1])


async def _send_span(session: ImapSession, message: Message, span: Span, *, mask_nul: bool) -> None:
    """Write octets of a message as a literal: from memory, or as they come from the store.

    mask_nul: NUL goes out as 0x80, which BODY[] may not carry (RFC 9051 4.3.1); the size stays.
    """
    start, stop = span
    if message.data is None and stop - start > BUDGET:
        session.write(b"{%d}\r\n" % (stop - start))
        async for chunk in _stream(session, message, span):
            session.write(chunk.replace(b"\0", b"\x80") if mask_nul else chunk)
            await session.flush_if_full()
        return
    data = await _octets(session, message, span)
    session.write(literal(data.replace(b"\0", b"\x80") if mask_nul else data))


async def _stream(session: ImapSession, message: Message, span: Span) -> AsyncIterator[bytes]:
    """Octets of a large message, chunk by chunk: all of it as the store streams it, a stretch by partial reads."""
    start, stop = span
    if span == (0, message.size):
        async for chunk in session.selected_store.stream_content(message.content):
            yield chunk
        return
    while start < stop:
        chunk = await session.selected_store.read_content(message.content, start, min(CHUNK, stop - start))
        yield chunk
        start += len(chunk)


async def _octets(session: ImapSession, message: Message, span: Span) -> bytes:
    """Octets [start, stop) of a message."""
    start, stop = span
    if message.data is not None:
        return message.data if span == (0, len(message.data)) else message.data[start:stop]
    return await session.selected_store.read_content(message.content, start, stop - start)


async def _send_binary_whole(session: ImapSession, item: Binary, message: Message) -> None:
    """BINARY[] and BINARY.SIZE[]: the message's true octets, NUL included (RFC 9051 4.3.1: literal8)."""
    if item.size:
        session.write(b"%d" % message.size)
        return
    if message.nul:
        session.write(b"~")
    await _send_span(session, message, _partial((0, message.size), item.partial), mask_nul=False)


async def _send_binary_part(session: ImapSession, label: bytes, item: Binary, message: Message) -> bool:
    """BINARY[1.2] and its SIZE: the part with its transfer encoding undone; False, with nothing written, where that
    cannot be.

    A multipart and a nested message have no encoding to undo (RFC 2045 6.4): their octets are what they are. A text
    gets CRLF (`is_lines`).
    """
    part = find(message.root, item.path)
    if part is None:
        session.write(label + (b"0" if item.size else b"NIL"))
        return True
    lines = is_lines(part)
    if part.encoding in IDENTITY and not (lines and message.bare):
        await _send_plain(session, label, item, message, (part.body, part.end))
    elif part.encoding not in ENCODED and part.encoding not in IDENTITY:
        return False
    elif part.end - part.body <= BUDGET or not await _send_undone(session, label, item, message, part):
        raw = await _octets(session, message, (part.body, part.end))
        # On a thread: base64 of a megabyte may be joined of 500,000 pieces, each decoded by itself.
        data = _undone(raw, part) if len(raw) <= SMALL else await asyncio.to_thread(_undone, raw, part)
        del raw
        if item.size:
            session.write(label + b"%d" % len(data))
        else:
            data = _cut(data, item.partial)
            session.write(label + (b"~{%d}\r\n" if b"\0" in data else b"{%d}\r\n") % len(data))
            session.write(data)
    return True


def _undone(raw: bytes, part: Part) -> bytes:
    """A part's octets without their transfer encoding; a text of lines with CRLF."""
    data = decode_body(raw, part.encoding)
    if data is None:
        raise RuntimeError("an encoding that is known was not undone")
    return with_line_ends(data) if is_lines(part) else data


async def _send_plain(session: ImapSession, label: bytes, item: Binary, message: Message, span: Span) -> None:
    """The same of octets that are sent as they are."""
    if item.size:
        session.write(label + b"%d" % (span[1] - span[0]))
        return
    session.write(label + b"~" if message.nul else label)
    await _send_span(session, message, _partial(span, item.partial), mask_nul=False)


async def _send_undone(session: ImapSession, label: bytes, item: Binary, message: Message, part: Part) -> bool:
    """The same of a large part, piece by piece: its length first, then its content. False where only the whole can be
    decoded; nothing is written then.

    As a literal8, since its octets are not known when it begins. On a thread: quoted-printable is decoded by the line,
    and all of it may be one.
    """
    span = (part.body, part.end)
    measuring = Measuring(part.encoding, lines=is_lines(part))
    async for piece in _stream(session, message, span):
        await asyncio.to_thread(measuring.feed, piece)
    try:
        measure = await asyncio.to_thread(measuring.measure)
    except NotInPieces:
        return False
    if item.size:
        session.write(label + b"%d" % measure.octets)
        return True
    skip, end = _partial((0, measure.octets), item.partial)
    session.write(label + b"~{%d}\r\n" % (end - skip))
    if skip == end:
        return True
    undoing, at = Undoing(part.encoding, measure), 0
    async for piece in _stream(session, message, span):
        at = _write_between(session, await asyncio.to_thread(undoing.feed, piece), at, skip, end)
        await session.flush_if_full()
        if at >= end:
            break
    _write_between(session, await asyncio.to_thread(undoing.rest), at, skip, end)
    return True


def _write_between(session: ImapSession, data: bytes, at: int, start: int, stop: int) -> int:
    """Write what of `data`, which begins at `at`, lies in [start, stop); where it ends."""
    after = at + len(data)
    if at < stop and after > start:
        session.write(data[max(start - at, 0) : max(stop - at, 0)])
    return after


def _cut(data: bytes, partial: tuple[int, int] | None) -> bytes:
    return data if partial is None else data[partial[0] : partial[0] + partial[1]]
