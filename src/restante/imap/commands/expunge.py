"""EXPUNGE and UID EXPUNGE; the removals are told by the command's updates. RFC 9051 6.4.3, 6.4.9; RFC 4315 2.1;
RFC 7162 3.2.7, 3.2.9."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..grammar.commands import Expunge
from ..session.state import Reply
from .writable import require_writable

if TYPE_CHECKING:
    from ..session.session import ImapSession


async def expunge(session: ImapSession, command: Expunge) -> Reply:
    view = session.view
    require_writable(view)
    ranges = None if command.uids is None else view.ranges(view.spans(command.uids))
    if ranges is not None and not ranges:
        return Reply(b"EXPUNGE completed.")
    removed = await session.store.expunge(view.mailbox.key, ranges)
    await session.updates.tell(may_expunge=True)
    if session.dialect.qresync and len(removed.uids):
        return Reply(b"EXPUNGE completed.", b"HIGHESTMODSEQ %d" % session.view.told_modseq)
    return Reply(b"EXPUNGE completed.")
