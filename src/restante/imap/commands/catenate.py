"""CATENATE: a message made of what a client sends and of what is here already. RFC 4469.

URLs name messages and parts of mailboxes that the user may read, others' by the names he knows: an absolute path, or a
whole URL of this server and this user (more than RFC 4469 3 asks for). Octets are copied as they are stored, without
setting \\Seen; they come from the store piece by piece, so that the new message is the only thing held. What all parts
read is bounded by the largest message, so a command cannot make the server read a large message a thousand times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import TYPE_CHECKING, cast

from ...errors import Refusal
from ...mime.headers import FieldSelector
from ...mime.sections import locate
from ...store import parts as stored_parts
from ...store.errors import BadMailboxName, NoPermission, NoSuchMailbox
from ...store.interface import Store
from ...store.model import Column
from ...store.rights import Rights
from ..grammar.commands import Body, SectionText, Text, Url
from ..grammar.errors import BadSyntax
from ..grammar.urls import MessageUrl, parse_url, shown_url
from ..session.state import CodedRefusal
from .names import mailbox_name

if TYPE_CHECKING:
    from ..session.session import ImapSession

CHUNK = 1 << 18
"""Octets read at once from a message."""


class BadUrl(CodedRefusal):
    """A URL names nothing that this session may read (RFC 4469 4.1)."""

    code = "BAD-URL"

    def __init__(self, url: bytes, text: str) -> None:
        super().__init__(text, b"BADURL " + shown_url(url))


async def joined(session: ImapSession, parts: Iterable[Text | Url], too_large: Callable[[], Refusal]) -> bytes:
    """The octets of the parts, one after the other. Raises BadUrl for the first that names nothing, `too_large`."""
    made, left = BytesIO(), session.limits.message
    for part in parts:
        if isinstance(part, Text):
            left -= len(part.data)
            if left < 0:
                raise too_large()
            made.write(part.data)
        else:
            left -= await _copy(session, part.url, made, left, too_large)
    return made.getvalue()


async def _copy(session: ImapSession, url: bytes, made: BytesIO, most: int, too_large: Callable[[], Refusal]) -> int:
    """Write what a URL names; octets that were read for it."""
    named = _parsed(session, url)
    store, content, size, encoded = await _row(session, url, named)
    start, stop = _span(named.section, size, encoded, url)
    if named.section.text not in (SectionText.FIELDS, SectionText.FIELDS_NOT):
        start, stop = _partial(named, start, stop)
        if stop - start > most:
            raise too_large()
        for low in range(start, stop, CHUNK):
            made.write(await store.read_content(content, low, min(CHUNK, stop - low)))
            await asyncio.sleep(0)  # others' turn: sixty megabytes, or a thousand parts, are many of these
        return stop - start
    if stop - start > most:
        raise too_large()
    negate = named.section.text is SectionText.FIELDS_NOT
    header = await store.read_content(content, start, stop - start)
    block = FieldSelector(frozenset(named.section.fields), negate=negate).select(header)
    low, high = _partial(named, 0, len(block))
    made.write(memoryview(block)[low:high])
    await asyncio.sleep(0)
    return stop - start


def _parsed(session: ImapSession, url: bytes) -> MessageUrl:
    """The URL as a value, if it is one of this account's."""
    try:
        named = parse_url(url, session.reader.limits)
    except BadSyntax as error:
        raise BadUrl(url, error.text) from error
    account = session.account
    if named.host is not None and (
        account is None
        or named.host != session.hostname.lower()
        or named.user is None
        or named.user.lower() != account.address.lower()
    ):
        raise BadUrl(url, "The URL is not one of this account on this server.")
    return named


async def _row(session: ImapSession, url: bytes, named: MessageUrl) -> tuple[Store, int, int, bytes]:
    """(its account, content, size, encoded parts) of the message that a URL names, in a mailbox that may be read."""
    try:
        place = await session.places.find(mailbox_name(named.mailbox))
        mailbox = await place.existing(Rights.READ)
    except (BadMailboxName, NoSuchMailbox, NoPermission):
        raise BadUrl(url, "The URL names no mailbox that is here.") from None
    if named.uidvalidity is not None and named.uidvalidity != mailbox.uidvalidity:
        raise BadUrl(url, "The URL names no mailbox that is here.")
    columns = (Column.CONTENT, Column.SIZE, Column.PARTS)
    rows = await place.store.rows(mailbox.key, ((named.uid, named.uid),), columns, 1)
    if not rows:
        raise BadUrl(url, "The URL names no message that is here.")
    content, size, encoded = cast("tuple[int, int, bytes]", rows[0][1:])  # the types of these columns
    return place.store, content, size, encoded


def _span(section: Body, size: int, encoded: bytes, url: bytes) -> tuple[int, int]:
    """Where a section lies in its message."""
    if not section.path and section.text is SectionText.WHOLE:
        return 0, size
    where = locate(stored_parts.decode(encoded), section.path, section.text.value)
    if where is None:
        raise BadUrl(url, "The URL names no part of its message.")
    return where


def _partial(named: MessageUrl, start: int, stop: int) -> tuple[int, int]:
    """The stretch that PARTIAL names; empty past the end, as with FETCH."""
    if named.partial is None:
        return start, stop
    offset, count = named.partial
    low = min(start + offset, stop)
    return low, stop if count is None else min(low + count, stop)
