"""COPY and MOVE: all or none, and told by COPYUID. RFC 9051 6.4.7, 6.4.8; RFC 4315 3; RFC 6851; RFC 2180 4.4;
RFC 9738 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import Refusal
from ...store.errors import NoSuchMailbox
from ...store.model import Copied, Mailbox
from ..grammar.commands import Copy, Move
from ..grammar.sets import compress, format_ranges
from ..session.state import Reply
from ..session.view import Spans
from . import limit
from .names import mailbox_name
from .writable import require_writable

if TYPE_CHECKING:
    from ..session.session import ImapSession


class SomeAreGone(Refusal):
    """Messages named by number were removed by somebody else (RFC 5530 EXPUNGEISSUED)."""

    code = "EXPUNGE-ISSUED"


async def copy(session: ImapSession, command: Copy) -> Reply:
    spans, target = await _what_and_where(session, command)
    if not spans:
        return Reply(b"COPY completed: there was nothing to copy.")
    view = session.view
    most = limit.of_saving(session.config)
    kept, limited = limit.cut(view, spans, most)
    if limited:
        return limit.too_many(most, view.uids.uids[kept[0][0]])
    copied = await session.store.copy(view.mailbox.key, view.ranges(spans), target.key)
    return Reply(b"COPY completed.", copy_uid(copied))


async def move(session: ImapSession, command: Move) -> Reply:
    """MOVE: COPYUID goes out untagged, before the removals that follow with the command's updates."""
    require_writable(session.view)
    spans, target = await _what_and_where(session, command)
    if not spans:
        return Reply(b"MOVE completed: there was nothing to move.")
    view = session.view
    spans, limited = limit.cut(view, spans, limit.of_commands(session.config))
    moved = await session.store.move(view.mailbox.key, view.ranges(spans), target.key)
    code = copy_uid(moved)
    if code:
        session.say(b"Moved.", code)
    if session.dialect.qresync and len(moved.source):
        await session.updates.tell(may_expunge=True, regardless=True)
        return limit.told(session, Reply(b"MOVE completed.", b"HIGHESTMODSEQ %d" % view.told_modseq), limited)
    return limit.told(session, Reply(b"MOVE completed."), limited)


async def _what_and_where(session: ImapSession, command: Copy | Move) -> tuple[Spans, Mailbox]:
    """Positions and target. Raises NoSuchMailbox (told as TRYCREATE), SomeAreGone."""
    view = session.view
    spans = view.spans(command.sequence)
    target = await session.store.mailbox(mailbox_name(command.mailbox))
    if target is None:
        raise NoSuchMailbox("There is no such mailbox.", "CREATE it first.")
    if not command.uid and view.holds_gone(spans):
        raise SomeAreGone("Some of the messages are no longer there.")
    return spans, target


def copy_uid(copied: Copied) -> bytes:
    """The COPYUID response code; b"" where nothing was copied."""
    if not len(copied.source):
        return b""
    source, target = format_ranges(compress(copied.source)), format_ranges(compress(copied.target))
    return b"COPYUID %d %b %b" % (copied.target_mailbox.uidvalidity, source, target)
