"""EXPUNGE and UID EXPUNGE; the removals are told by the command's updates. RFC 9051 6.4.3, 6.4.9; RFC 4315 2.1;
RFC 7162 3.2.7, 3.2.9; RFC 9738 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...query.language import HasFlag
from ...store.model import UidRanges
from ...store.rights import Rights
from ..grammar.commands import Expunge, SequenceSet
from ..session.state import Reply
from ..session.view import View, count
from . import limit
from .store import view_spans
from .writable import require_rights, require_writable

if TYPE_CHECKING:
    from ..session.session import ImapSession


async def expunge(session: ImapSession, command: Expunge) -> Reply:
    view = session.view
    require_writable(view)
    require_rights(view, Rights.EXPUNGE)
    ranges, limited = None, b""
    if command.uids is not None:
        ranges, limited = await _named(session, view, command.uids)
        if not ranges:
            return Reply(b"EXPUNGE completed.")
    removed = await session.selected_store.expunge(view.mailbox.key, ranges)
    await session.updates.tell_done(Reply(b"EXPUNGE completed."))
    if session.dialect.qresync and len(removed.uids):
        code = b"HIGHESTMODSEQ %d" % session.view.told_modseq
        return limit.told(session, Reply(b"EXPUNGE completed.", code), limited)
    return limit.told(session, Reply(b"EXPUNGE completed."), limited)


async def _named(session: ImapSession, view: View, uids: SequenceSet) -> tuple[UidRanges, bytes]:
    """The messages that UID EXPUNGE looks at: where more of them are \\Deleted than one command may remove, those
    from the lowest that it may on (RFC 9738 3.1)."""
    spans = view.spans(uids)
    most = limit.of_commands(session.config)
    if count(spans) <= most:
        return view.ranges(spans), b""
    deleted = await session.selected_store.search(view.mailbox.key, HasFlag("\\Deleted"), view.ranges(spans))
    spans, limited = limit.cut(view, view_spans(view, deleted), most)
    return view.ranges(spans), limited
