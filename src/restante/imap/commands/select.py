"""Opening and leaving a mailbox: SELECT, EXAMINE, CLOSE, UNSELECT.

SELECT of another mailbox leaves the first in any case, and says so (CLOSED), also where it then fails. With
QRESYNC it goes on to say what changed since the client was last here. RFC 9051 6.3.2, 6.3.3, 6.4.1, 6.4.2;
RFC 3501 6.3.1; RFC 7162 3.1.8, 3.2.5, 3.2.11; RFC 8474 4.3.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ...store.errors import NoPermission, NoSuchMailbox
from ...store.model import Opening
from ...store.rights import Rights
from ..grammar.commands import Close, Select, Unselect
from ..session.permanent import may_change, tell_flags
from ..session.places import Place
from ..session.state import BadCommand, Reply, State
from ..session.view import View
from . import list as list_family
from . import resync
from .names import mailbox_name

if TYPE_CHECKING:
    from ..session.session import ImapSession


async def select(session: ImapSession, command: Select) -> Reply:
    if command.qresync is not None and not session.dialect.qresync:
        raise BadCommand("QRESYNC has not been enabled.")
    if session.state is State.SELECTED:
        session.unselected(listening=True)
        session.say(b"The mailbox is closed.", b"CLOSED")
    if command.condstore or command.qresync is not None:
        session.dialect.condstore = True
    try:
        place = await session.places.find(mailbox_name(command.mailbox))
        session.dirty = False
        if place.own:  # before the mailbox is read: a change after that is told
            session.listen(place, 0)
        mailbox = await place.existing(Rights.READ)
        heard = mailbox if session.listens_to(place) else None
        session.listen(place, mailbox.highest_modseq)  # of somebody else's account only who may read it
        opening = await place.store.opening(mailbox.key, heard)
        view = View(opening.snapshot, read_only=command.read_only or place.past is not None)
        session.selected(view, place)
        await _describe(session, view, place, opening, command.mailbox)
        if command.qresync is not None:
            await resync.resynchronise(session, view, command.qresync)
    except BaseException:
        session.unselected()  # a failed SELECT selects nothing (RFC 9051 6.3.2)
        raise
    word = b"EXAMINE" if command.read_only else b"SELECT"
    changes = not view.read_only and may_change(view.mailbox.rights)
    return Reply(word + b" completed.", b"READ-WRITE" if changes else b"READ-ONLY")


async def _describe(session: ImapSession, view: View, place: Place, opening: Opening, asked: str) -> None:
    """The untagged responses that every SELECT must give, those of the dialect among them. asked: the name as sent."""
    mailbox = view.mailbox
    tell_flags(session, opening.keywords, mailbox.rights, read_only=view.read_only)
    session.write(b"* %d EXISTS\r\n" % len(view.uids))
    if session.dialect.rev2:
        session.write(await list_family.line_of(session, place, mailbox, asked))
    else:
        await _describe_rev1(session, view, opening.first_unseen)
    session.write(
        b"* OK [UIDVALIDITY %d] %b\r\n* OK [UIDNEXT %d] %b\r\n"
        b"* OK [HIGHESTMODSEQ %d] %b\r\n* OK [MAILBOXID (%b)] %b\r\n"
        % (
            mailbox.uidvalidity, session.text(b"UIDs are valid."),
            mailbox.uidnext, session.text(b"Predicted next UID."),
            mailbox.highest_modseq, session.text(b"Highest mod-sequence."),
            mailbox.id.encode("ascii"), session.text(b"Permanent identity."),
        )
    )  # fmt: skip


async def _describe_rev1(session: ImapSession, view: View, first_unseen: int) -> None:
    """RECENT and UNSEEN, which IMAP4rev2 has done away with. first_unseen: a UID, or 0."""
    await session.updates.claim_recent(view, [])
    session.write(b"* %d RECENT\r\n" % view.recent_count())
    if first_unseen and not session.dialect.uidonly:  # it is a message number (RFC 9586 3)
        session.say(b"First unseen message.", b"UNSEEN %d" % view.uids.sequence(first_unseen))


async def close(session: ImapSession, _command: Close) -> Reply:
    """CLOSE: remove what is marked \\Deleted, without saying which, and leave (no HIGHESTMODSEQ, RFC 7162 3.2.8).

    A mailbox that somebody has deleted meanwhile is left all the same: CLOSE knows no NO (RFC 9051 6.4.1)."""
    view = session.view
    if not view.read_only and view.mailbox.rights & Rights.EXPUNGE:
        # The right may just have been taken (RFC 4314 4: CLOSE then leaves the messages and succeeds), or the mailbox.
        with suppress(NoPermission, NoSuchMailbox):
            removed = await session.selected_store.expunge(view.mailbox.key, None)
            if removed.before > view.mailbox.highest_modseq:
                view.held_back = True  # somebody may just have marked some, or removed them: NOTIFY tells what is left
    session.unselected()
    return Reply(b"CLOSE completed.")


async def unselect(session: ImapSession, _command: Unselect) -> Reply:
    """UNSELECT: leave, removing nothing."""
    session.unselected()
    return Reply(b"UNSELECT completed.")
