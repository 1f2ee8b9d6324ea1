"""RETR and TOP: messages on their way out.

Small messages are answered by one read for as many RETR as stand in the buffer; large ones are streamed. What
goes out is what is stored, CRLF added at the end where it is missing; only a client without UTF8 gets the
RFC 6858 surrogate of a message whose headers hold 8-bit octets. NUL passes as stored. Contents stay readable
for an hour after another session's expunge, so no answer depends on what IMAP does meanwhile.
RFC 1939 5 and 7, RFC 6856 2.1.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

from ...connection import ConnectionLost
from ...errors import Refusal
from ...mime.model import Limits, Trait
from ...mime.scan import scan
from ...mime.surrogate import surrogate
from ...store.errors import cause_of
from ...store.model import DropMessage
from ..grammar.commands import Command
from ..grammar.responses import END, ok
from ..grammar.stuffing import Stuffer, stuffed
from ..grammar.top import TopCutter
from .handler import refused
from .listing import NO_SUCH_MESSAGE

if TYPE_CHECKING:  # the session imports the handlers
    from ..session import Pop3Session

BATCH_MESSAGES = 64
BATCH_OCTETS = 1 << 20
"""Bounds of one batch of RETR: what is held in memory at once."""

STREAM_FROM = 1 << 20
"""Messages from this size on are streamed instead of held."""

TOP_WINDOW = 64 * 1024
"""Octets that TOP reads at once: nearly every answer ends within; a longer one is streamed from its start."""


SURROGATE_AT_ONCE = 8 * 1024
"""Octets of a message whose surrogate is made on the event loop: 6 ms at worst."""


async def retr(session: Pop3Session, command: Command) -> None:
    """RETR, with those that stand behind it in the buffer."""
    numbers = [command.number, *session.reader.more_retr(BATCH_MESSAGES - 1)]
    batch: list[tuple[int, DropMessage]] = []
    octets = 0
    for number in numbers:
        message = session.maildrop.get(number)
        if message is None or message.size_utf8 >= STREAM_FROM:
            await _send_batch(session, batch)
            batch, octets = [], 0
            if message is None:
                session.reply(NO_SUCH_MESSAGE)
            else:
                await _send_large(session, number, message)
            continue
        if batch and octets + message.size_utf8 > BATCH_OCTETS:
            await _send_batch(session, batch)
            batch, octets = [], 0
        batch.append((number, message))
        octets += message.size_utf8
    await _send_batch(session, batch)


async def _send_batch(session: Pop3Session, batch: list[tuple[int, DropMessage]]) -> None:
    """Answer these RETR by one read and one write; where the read fails, each alone, so that one damaged
    message costs its own answer only."""
    if not batch:
        return
    try:
        contents = await session.store.read_contents([message.content for _, message in batch])
    except Refusal as refusal:
        if len(batch) == 1:
            _log_failure(session, batch[0][1], refusal)
            session.reply(refused(refusal))
            return
        for one in batch:
            await _send_batch(session, [one])
        return
    drop = session.maildrop
    for (_, message), data in zip(batch, contents, strict=True):
        form = await _surrogate(session, data) if _needs_surrogate(session, message) else data
        session.reply(b"+OK %d octets\r\n%b.\r\n" % (drop.size(message), stuffed(form)))
    await session.flush()
    drop.retrieved.update(number for number, _ in batch)


async def _send_large(session: Pop3Session, number: int, message: DropMessage) -> None:
    """RETR of one large message."""
    if _needs_surrogate(session, message):
        await _send_batch(session, [(number, message)])  # a surrogate is made from the whole message
        return
    first = ok(b"%d octets" % session.maildrop.size(message))
    if await _stream(session, message, first, lambda chunk: chunk, lambda: False):
        session.maildrop.retrieved.add(number)


async def top(session: Pop3Session, command: Command) -> None:
    """TOP: the header, its empty line, and so many lines of the body. Marks nothing as retrieved."""
    message = session.maildrop.get(command.number)
    if message is None:
        session.reply(NO_SUCH_MESSAGE)
        return
    try:
        if await _top_at_once(session, message, command.lines):
            return
    except Refusal as refusal:
        _log_failure(session, message, refusal)
        session.reply(refused(refusal))
        return
    cutter = TopCutter(command.lines)
    await _stream(session, message, ok(), cutter.feed, lambda: cutter.done)


async def _top_at_once(session: Pop3Session, message: DropMessage, lines: int) -> bool:
    """Answer TOP by one read; False where the answer is longer than that."""
    cutter = TopCutter(lines)
    if _needs_surrogate(session, message):
        data = cutter.feed(await _surrogate(session, await session.store.read_content(message.content)))
    else:
        window = await session.store.read_content(message.content, 0, TOP_WINDOW)
        data = cutter.feed(window)
        if len(window) == TOP_WINDOW and not cutter.done:
            return False
    session.reply(b"+OK\r\n" + stuffed(data) + END)
    return True


async def _stream(
    session: Pop3Session,
    message: DropMessage,
    first: bytes,
    keep: Callable[[bytes], bytes],
    done: Callable[[], bool],
) -> bool:
    """Answer by chunks, of each what `keep` gives, until `done`; whether the answer was sent whole.

    An error before the first octet is answered; after it only the connection's end can tell the client that
    the message is not whole.
    """
    stuffer = Stuffer()
    begun = False
    chunks = session.store.stream_content(message.content)
    try:
        async for chunk in chunks:
            if not begun:
                session.reply(first)
                begun = True
            session.reply(stuffer.feed(keep(chunk)))
            await session.flush()
            if done():
                break
    except Refusal as refusal:
        _log_failure(session, message, refusal)
        if begun:
            raise ConnectionLost("a message could not be read to its end") from refusal
        session.reply(refused(refusal))
        return False
    finally:
        if isinstance(chunks, AsyncGenerator):  # left early: let it give back what it holds now
            await chunks.aclose()
    session.reply(stuffer.finish() + END)
    await session.flush()
    return True


async def _surrogate(session: Pop3Session, data: bytes) -> bytes:
    """The RFC 6858 form. The one place where a door reads a message's structure again: the maildrop's rows do
    not carry it, and few messages need it. A megabyte of such fields takes more than half a second."""
    if len(data) > SURROGATE_AT_ONCE:
        return await asyncio.to_thread(_form, data, session.mime_limits)
    await asyncio.sleep(0)  # others' turn: there may be many in a batch
    return _form(data, session.mime_limits)


def _form(data: bytes, limits: Limits) -> bytes:
    return surrogate(data, scan(data, limits).root.part)


def _needs_surrogate(session: Pop3Session, message: DropMessage) -> bool:
    return not session.utf8 and bool(message.traits & Trait.EIGHT_BIT_HEADER)


def _log_failure(session: Pop3Session, message: DropMessage, refusal: Refusal) -> None:
    session.connection.log("message not read", uid=message.uid, reason=refusal.code, cause=cause_of(refusal))
