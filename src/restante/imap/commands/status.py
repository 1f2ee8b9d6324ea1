"""STATUS: counters of a mailbox, as the store keeps them. RFC 9051 6.3.11; RFC 3501 6.3.10 (RECENT);
RFC 7162 3.1.7; RFC 7889 3 (APPENDLIMIT); RFC 8438 (SIZE); RFC 8474 4.3 (MAILBOXID)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...store.errors import NoSuchMailbox
from ...store.model import Mailbox
from ..grammar.commands import Status, StatusItem
from ..grammar.response import status_response
from ..session.state import Reply
from .names import mailbox_name

if TYPE_CHECKING:
    from ..session.session import ImapSession


async def status(session: ImapSession, command: Status) -> Reply:
    mailbox = await session.store.mailbox(mailbox_name(command.mailbox))
    if mailbox is None:
        raise NoSuchMailbox("There is no such mailbox.")
    session.write(await line_of(session, mailbox, command.items))
    return Reply(b"STATUS completed.")


async def line_of(session: ImapSession, mailbox: Mailbox, items: tuple[StatusItem, ...]) -> bytes:
    """The STATUS response of a mailbox."""
    if StatusItem.HIGHESTMODSEQ in items:
        session.enable_condstore()
    recent = await _recent(session, mailbox) if StatusItem.RECENT in items else 0
    values: dict[StatusItem, int | str] = {
        StatusItem.MESSAGES: mailbox.messages,
        StatusItem.RECENT: recent,
        StatusItem.UIDNEXT: mailbox.uidnext,
        StatusItem.UIDVALIDITY: mailbox.uidvalidity,
        StatusItem.UNSEEN: mailbox.unseen,
        StatusItem.DELETED: mailbox.deleted,
        StatusItem.SIZE: mailbox.size,
        StatusItem.HIGHESTMODSEQ: mailbox.highest_modseq,
        StatusItem.MAILBOXID: mailbox.id,
        StatusItem.APPENDLIMIT: session.limits.message,
    }
    return status_response(mailbox.name, ((item, values[item]) for item in items), session.dialect.utf8)


async def _recent(session: ImapSession, mailbox: Mailbox) -> int:
    """Messages that have been recent in no session yet."""
    if mailbox.recent_uid + 1 >= mailbox.uidnext:
        return 0
    snapshot = await session.store.snapshot(mailbox.key)
    start, stop = snapshot.uids.span(mailbox.recent_uid + 1, mailbox.uidnext)
    return stop - start
