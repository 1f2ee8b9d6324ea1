"""APPEND: messages filed, all or none, durable before the OK. RFC 9051 6.3.12; RFC 3501 6.3.11; RFC 3502
(MULTIAPPEND); RFC 4315 3 (APPENDUID); RFC 2180 and RFC 5530 for its refusals; RFC 9738 3.1."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...errors import Refusal
from ...store.model import Appended, Mailbox, NewMessage
from ...store.rights import Rights
from ..grammar.commands import Append
from ..grammar.sets import compress, format_ranges
from ..session.state import CodedRefusal, Reply
from . import limit
from .list import tell_name
from .names import mailbox_name
from .upload import filing_into, new_message

if TYPE_CHECKING:
    from ..session.session import ImapSession


async def append(session: ImapSession, command: Append) -> Reply:
    """File the messages. Raises NoSuchMailbox (told as TRYCREATE), OverQuota and what else the store refuses;
    CodedRefusal (LIMIT) where URLs make more of them than one command may send."""
    place = await session.places.find(mailbox_name(command.mailbox))
    # One message into an own mailbox is by far the most: whether that is there, the filing itself finds out.
    by_name = place.own and place.past is None and len(command.messages) == 1
    mailbox = None if by_name else await filing_into(place)
    most = limit.of_saving(session.config)
    if len(command.messages) > most:
        return limit.too_many(most)
    new: list[NewMessage] = []
    octets, room = 0, max(session.limits.append, session.limits.message)
    for message in command.messages:
        if new:
            session.progress.report(len(new), len(command.messages))
            await asyncio.sleep(0)  # a thousand messages are many milliseconds of analysis
        try:
            made = await new_message(session, message)
        except Refusal:
            if mailbox is None:
                await filing_into(place)  # a mailbox that is not there is told before all else (RFC 3502)
            raise
        octets += made.blob.size
        if octets > room:  # the reader counts what is sent; what URLs name is known only now
            raise CodedRefusal("Messages too large for one command", b"LIMIT")
        new.append(made)
    if mailbox is None:
        appended = await place.store.append_by_name(place.name, new)
    else:
        appended = await place.store.append(mailbox.key, new)
    session.note_filed(place, appended.mailbox.key, appended.uids)
    tell_name(session, place, appended.mailbox.name, command.mailbox)
    return Reply(b"APPEND completed.", append_uid(appended, mailbox))


def append_uid(appended: Appended, target: Mailbox | None) -> bytes:
    """The APPENDUID response code: UIDs ascend in the order given, so a set says which is which (RFC 3502, 4315). b""
    of a mailbox that may not be opened, which must stay as it is (RFC 9051 6.3.12).

    target: as the user saw it before; None for one of his own."""
    if target is not None and Rights.READ not in target.rights:
        return b""
    return b"APPENDUID %d %b" % (appended.mailbox.uidvalidity, format_ranges(compress(appended.uids)))
