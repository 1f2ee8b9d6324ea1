"""STATUS: counters of a mailbox, as the store keeps them. RFC 9051 6.3.11; RFC 3501 6.3.10 (RECENT);
RFC 7162 3.1.7; RFC 7889 3 (APPENDLIMIT); RFC 8438 (SIZE); RFC 9208 4.1.4 (DELETED-STORAGE, in octets); RFC 8474 4.3
(MAILBOXID)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...store.model import Mailbox
from ...store.rights import Rights
from ..grammar.commands import Status, StatusItem
from ..grammar.response import status_response
from ..session.places import Place
from ..session.state import Reply
from .names import mailbox_name

if TYPE_CHECKING:
    from ..session.session import ImapSession


async def status(session: ImapSession, command: Status) -> Reply:
    place = await session.places.find(mailbox_name(command.mailbox))
    mailbox = await place.existing(Rights.READ)
    session.write(await line_of(session, place, mailbox, place.shown(mailbox.name), command.items))
    return Reply(b"STATUS completed.")


async def line_of(
    session: ImapSession, place: Place, mailbox: Mailbox, shown: str, items: tuple[StatusItem, ...]
) -> bytes:
    """The STATUS response of a mailbox that the user may read. shown: its name as the client knows it."""
    if StatusItem.HIGHESTMODSEQ in items:
        session.enable_condstore()
    recent = await _recent(place, mailbox) if StatusItem.RECENT in items else 0
    values: dict[StatusItem, int | str] = {
        StatusItem.MESSAGES: mailbox.messages,
        StatusItem.RECENT: recent,
        StatusItem.UIDNEXT: mailbox.uidnext,
        StatusItem.UIDVALIDITY: mailbox.uidvalidity,
        StatusItem.UNSEEN: mailbox.unseen,
        StatusItem.DELETED: mailbox.deleted,
        StatusItem.DELETED_STORAGE: mailbox.deleted_size,
        StatusItem.SIZE: mailbox.size,
        StatusItem.HIGHESTMODSEQ: mailbox.highest_modseq,
        StatusItem.MAILBOXID: mailbox.id,
        StatusItem.APPENDLIMIT: session.limits.message,
    }
    return status_response(shown, ((item, values[item]) for item in items), session.dialect.utf8)


async def _recent(place: Place, mailbox: Mailbox) -> int:
    """Messages that have been recent in no session yet."""
    if mailbox.recent_uid + 1 >= mailbox.uidnext:
        return 0
    snapshot = await place.store.snapshot(mailbox.key)
    start, stop = snapshot.uids.span(mailbox.recent_uid + 1, mailbox.uidnext)
    return stop - start
