"""COPY and MOVE: all or none, and told by COPYUID. RFC 9051 6.4.7, 6.4.8; RFC 4315 3; RFC 6851; RFC 2180 4.4;
RFC 9738 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import Refusal
from ...store.model import Copied, Mailbox
from ...store.rights import Rights
from ..grammar.commands import Copy, Move
from ..grammar.sets import compress, format_ranges
from ..session.places import Place
from ..session.state import Reply
from ..session.view import Spans, count
from . import limit
from .names import mailbox_name
from .writable import require_rights, require_writable

if TYPE_CHECKING:
    from ..session.session import ImapSession


class SomeAreGone(Refusal):
    """Messages named by number were removed by somebody else (RFC 5530 EXPUNGEISSUED)."""

    code = "EXPUNGE-ISSUED"


async def copy(session: ImapSession, command: Copy) -> Reply:
    spans, place, target = await _what_and_where(session, command)
    if not spans:
        return Reply(b"COPY completed: there was nothing to copy.")
    view, source = session.view, session.selected_store
    most = limit.of_saving(session.config)
    kept, limited = limit.cut(view, spans, most)
    if limited:
        return limit.too_many(most, view.uids.uids[kept[0][0]])
    key, ranges, all_of = view.mailbox.key, view.ranges(spans), _all_of(command, spans)
    if place.store.account == source.account:
        copied = await source.copy(key, ranges, target.key, messages=all_of)
    else:
        copied = await place.store.transfer(source, key, ranges, target.key, move=False, messages=all_of)
    session.note_filed(place, target.key, copied.target)
    return Reply(b"COPY completed.", copy_uid(copied, target))


async def move(session: ImapSession, command: Move) -> Reply:
    """MOVE: COPYUID goes out untagged, before the removals that follow with the command's updates."""
    require_writable(session.view)
    require_rights(session.view, Rights.DELETE_MESSAGES | Rights.EXPUNGE)
    spans, place, target = await _what_and_where(session, command)
    if not spans:
        return Reply(b"MOVE completed: there was nothing to move.")
    view, source = session.view, session.selected_store
    spans, limited = limit.cut(view, spans, limit.of_commands(session.config))
    key, ranges, all_of = view.mailbox.key, view.ranges(spans), _all_of(command, spans)
    if place.store.account == source.account:
        moved = await source.move(key, ranges, target.key, messages=all_of)
    else:
        moved = await place.store.transfer(source, key, ranges, target.key, move=True, messages=all_of)
    session.note_filed(place, target.key, moved.target)
    code = copy_uid(moved, target)
    if code:
        session.say(b"Moved.", code)
    if session.dialect.qresync and len(moved.source):
        await session.updates.tell_done(Reply(b"MOVE completed."))
        return limit.told(session, Reply(b"MOVE completed.", b"HIGHESTMODSEQ %d" % view.told_modseq), limited)
    return limit.told(session, Reply(b"MOVE completed."), limited)


async def _what_and_where(session: ImapSession, command: Copy | Move) -> tuple[Spans, Place, Mailbox]:
    """Positions, and where they go. Raises NoSuchMailbox (told as TRYCREATE), SomeAreGone."""
    view = session.view
    spans = view.spans(command.sequence)
    place = await session.places.find(mailbox_name(command.mailbox))
    target = await place.existing(Rights.INSERT, "CREATE it first.")
    if _all_of(command, spans) is not None and view.holds_gone(spans):
        raise SomeAreGone("Some of the messages are no longer there.")
    return spans, place, target


def _all_of(command: Copy | Move, spans: Spans) -> int | None:
    """How many messages must be there. Those named by number: one that somebody else has just removed, which this
    session does not know yet, would be missing from a command that is told OK (RFC 2180 4.4). UIDs that are gone are
    passed over (RFC 9051 6.4.9), and so is what was saved (6.4.4.1)."""
    return None if command.uid or command.sequence.saved else count(spans)


def copy_uid(copied: Copied, into: Mailbox) -> bytes:
    """The COPYUID response code; b"" where nothing was copied, or into a mailbox that may not be opened (RFC 9051
    6.4.7)."""
    if not len(copied.source) or Rights.READ not in into.rights:
        return b""
    source, target = format_ranges(compress(copied.source)), format_ranges(compress(copied.target))
    return b"COPYUID %d %b %b" % (copied.target_mailbox.uidvalidity, source, target)
