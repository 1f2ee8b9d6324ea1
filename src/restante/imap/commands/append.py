"""APPEND: one message filed, durable before its OK. RFC 9051 6.3.12; RFC 3501 6.3.11; RFC 4315 3 (APPENDUID);
RFC 3516 4.4 (literal8); RFC 6855 4 (UTF8); RFC 2180 and RFC 5530 for its refusals."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...config.limits import mime_limits
from ...errors import Refusal
from ...mime.analyse import analyse
from ...mime.normalise import normalise_line_ends
from ...store.errors import NoSuchMailbox
from ...store.model import NewMessage
from ..grammar.commands import Append
from ..session.state import BadCommand, Reply
from .names import mailbox_name
from .store import flags_of

IN_THREAD = 256 * 1024
"""Octets above which analysis leaves the event loop to others."""

if TYPE_CHECKING:
    from ..session.session import ImapSession


class EightBitHeader(Refusal):
    """RFC 6855 4: who has not enabled UTF8=ACCEPT must not file 8-bit header fields."""

    code = "EIGHT-BIT-HEADER"


async def append(session: ImapSession, command: Append) -> Reply:
    """File the message. Raises NoSuchMailbox (told as TRYCREATE), OverQuota and what else the store refuses."""
    if command.utf8 and not session.dialect.utf8_accept:
        raise BadCommand("UTF8=ACCEPT has not been enabled.")
    if not command.data:
        raise BadCommand("There is no message in it.")
    if not command.binary and not command.utf8 and b"\0" in command.data:
        raise BadCommand("NUL needs a literal8.")  # RFC 9051 9, literal: CHAR8
    flags = flags_of(command.flags)
    store = session.store
    mailbox = await store.mailbox(mailbox_name(command.mailbox))
    if mailbox is None:
        raise NoSuchMailbox("There is no such mailbox.", "CREATE it first.")
    data = normalise_line_ends(command.data)
    now = session.clock.now() if command.date is None else command.date.timestamp()
    bounds = mime_limits(session.limits)
    if len(data) > IN_THREAD:
        analysis = await asyncio.to_thread(analyse, data, bounds)
    else:
        analysis = analyse(data, bounds)
    if not _may_hold_8bit(session, command) and not data[analysis.root.header : analysis.root.body].isascii():
        raise EightBitHeader("Its header fields hold 8-bit octets.", "ENABLE UTF8=ACCEPT first.")
    blob = await store.put(data)
    appended = await store.append(mailbox.key, [NewMessage(blob, analysis, flags, int(now))])
    code = b"APPENDUID %d %d" % (appended.mailbox.uidvalidity, appended.uids[0])
    return Reply(b"APPEND completed.", code)


def _may_hold_8bit(session: ImapSession, command: Append) -> bool:
    """Whether this client may file 8-bit header fields: after ENABLE, as IMAP4rev2 lets it (RFC 9051 6.3.12), or
    as configured, since old mail is full of them."""
    return command.utf8 or session.dialect.utf8 or session.config.append_8bit_headers
