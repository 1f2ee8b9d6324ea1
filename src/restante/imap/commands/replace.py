"""REPLACE and UID REPLACE: a message filed and one of the selected mailbox removed, as one change. RFC 8508.

APPENDUID goes out untagged, before the removal and the arrival that follow with the command's updates (4.3). Nothing
is told before all of it is durable (3.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...store.errors import CannotChangeMailbox
from ..grammar.commands import Replace
from ..session.state import Reply
from .append import append_uid
from .list import tell_name
from .upload import existing, new_message, replaced

if TYPE_CHECKING:
    from ..session.session import ImapSession


async def replace(session: ImapSession, command: Replace) -> Reply:
    """Raises NoSuchMailbox (told as TRYCREATE), NoSuchMessage, NothingToReplace, ReadOnly, and as APPEND."""
    view = session.view
    uid = replaced(session, command.sequence)
    place, target = await existing(session, command.mailbox)
    if place.store.account != session.selected_store.account:
        raise CannotChangeMailbox(
            "A message and its replacement are in one account.", "APPEND it, then remove the old."
        )
    new = await new_message(session, command.message)
    appended = await session.selected_store.replace(view.mailbox.key, uid, target.key, new)
    session.note_filed(place, target.key, appended.uids)
    session.say(b"The replacement is filed.", append_uid(appended, target))
    tell_name(session, place, target.name, command.mailbox)  # as APPEND does (RFC 8508 3.4)
    if session.dialect.qresync:
        await session.updates.tell_done(Reply(b"REPLACE completed."))
        return Reply(b"REPLACE completed.", b"HIGHESTMODSEQ %d" % view.told_modseq)
    return Reply(b"REPLACE completed.")
