"""A message on its way in: what APPEND and REPLACE share.

Before its octets are taken, where the client waits for that (`admit`): no mailbox, no room and no quota are answered
then, instead of after the upload. With them (`new_message`): parts are put together, what may not be filed is
refused, everything kept beside the octets is made. The octets are not copied on the way.
RFC 9051 6.3.12; RFC 3502 (an empty message cancels); RFC 3516 4.4; RFC 6855 4; RFC 7889 4 (TOOBIG).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ...analysts.one import analysed, normalised
from ...config.limits import mime_limits
from ...errors import Refusal
from ...store.model import Column, Mailbox, NewMessage
from ...store.rights import Rights
from ..grammar.commands import AppendMessage, SequenceSet, Text
from ..grammar.reader import Upload
from ..session.places import Place
from ..session.state import BadCommand, State
from ..session.uidonly import NO_NUMBERS
from . import catenate
from .names import mailbox_name
from .store import flags_of
from .writable import require_writable

if TYPE_CHECKING:
    from ..session.session import ImapSession

ADMITTED = 64 * 1024
"""Octets up to which a message is taken without being asked about first: that would cost more than it saves."""


class EightBitHeader(Refusal):
    """RFC 6855 4: who has not enabled UTF8=ACCEPT must not file 8-bit header fields."""

    code = "EIGHT-BIT-HEADER"


class EmptyMessage(Refusal):
    """A message of no octets cancels the command (RFC 3502 6.3.11)."""

    code = "EMPTY-MESSAGE"


class NothingToReplace(Refusal):
    """No message has the UID that REPLACE names."""

    code = "NOTHING-TO-REPLACE"


class MessageTooLarge(Refusal):
    """More octets than APPENDLIMIT says (RFC 7889 4, RFC 4469 4.2)."""

    code = "MESSAGE-TOO-LARGE"

    def __init__(self) -> None:
        super().__init__("The message is larger than is taken here.")


async def admit(session: ImapSession, upload: Upload) -> None:
    """Whether a message's octets may come: nothing but the answer depends on it, all is asked again when it is filed.

    Raises NoSuchMailbox (told as TRYCREATE), OverQuota, DiskFull; for REPLACE what `replaced` raises.
    """
    if upload.replaces is not None:
        if session.state is not State.SELECTED:
            raise BadCommand("Select a mailbox first.")
        if session.dialect.uidonly and not upload.replaces.uid:
            raise BadCommand(*NO_NUMBERS)
    if upload.size <= ADMITTED:
        return
    more = upload.size
    if upload.replaces is not None:
        view, uid = session.view, replaced(session, upload.replaces)
        for row in await session.selected_store.rows(view.mailbox.key, ((uid, uid),), (Column.SIZE,), 1):
            more -= cast("int", row[1])  # Column.SIZE is int
    place, _ = await existing(session, upload.mailbox)
    await place.store.room_for(more)


def replaced(session: ImapSession, sequence: SequenceSet) -> int:
    """The UID of the one message that REPLACE is to remove. Raises ReadOnly, NothingToReplace, BadCommand."""
    require_writable(session.view)
    spans = session.view.spans(sequence)
    if not spans:
        raise NothingToReplace("There is no message of that UID.")
    return session.view.uids.uids[spans[0][0]]


async def existing(session: ImapSession, name: str) -> tuple[Place, Mailbox]:
    """The mailbox to file into. Raises NoSuchMailbox (told as TRYCREATE), NoPermission, BadMailboxName."""
    place = await session.places.find(mailbox_name(name))
    return place, await filing_into(place)


async def filing_into(place: Place) -> Mailbox:
    """The mailbox that a name leads to, if messages may be filed there. Raises NoSuchMailbox, NoPermission."""
    return await place.existing(Rights.INSERT, "CREATE it first.")


async def new_message(session: ImapSession, message: AppendMessage) -> NewMessage:
    """A message with all that is kept beside it, ready to be filed.

    Raises EmptyMessage, MessageTooLarge, EightBitHeader, what `catenate.joined` raises; BadCommand for what the
    client may not have sent so.
    """
    if any(isinstance(part, Text) and part.utf8 for part in message.parts) and not session.dialect.utf8_accept:
        raise BadCommand("UTF8=ACCEPT has not been enabled.")
    if any(isinstance(part, Text) and not (part.binary or part.utf8) and b"\0" in part.data for part in message.parts):
        raise BadCommand("NUL needs a literal8.")  # RFC 9051 9, literal: CHAR8
    flags = flags_of(message.flags)
    data = await normalised(await _octets(session, message))
    if not data:
        raise EmptyMessage("There is no message in it: nothing was appended.")
    if len(data) > session.limits.message:
        raise MessageTooLarge
    now = session.clock.now() if message.date is None else message.date.timestamp()
    analysis = await analysed(data, mime_limits(session.limits))
    if not _may_hold_8bit(session, message) and not data[analysis.root.header : analysis.root.body].isascii():
        raise EightBitHeader("Its header fields hold 8-bit octets.", "ENABLE UTF8=ACCEPT first.")
    return NewMessage(await session.own_store.put(data), analysis, flags, int(now))


async def _octets(session: ImapSession, message: AppendMessage) -> bytes:
    """The message's octets: the literal as it came, or the parts one after the other."""
    first = message.parts[0]
    if len(message.parts) == 1 and isinstance(first, Text):
        return first.data
    return await catenate.joined(session, message.parts, MessageTooLarge)


def _may_hold_8bit(session: ImapSession, message: AppendMessage) -> bool:
    """Whether this client may file 8-bit header fields: after ENABLE, as IMAP4rev2 lets it (RFC 9051 6.3.12), or
    as configured, since old mail is full of them."""
    utf8 = any(isinstance(part, Text) and part.utf8 for part in message.parts)
    return utf8 or session.dialect.utf8 or session.config.append_8bit_headers
