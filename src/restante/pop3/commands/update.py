"""DELE, RSET, NOOP, QUIT: marks, and the one moment when they take effect (RFC 1939 5 and 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import Refusal
from ...store.errors import cause_of
from ..grammar.commands import Command
from ..grammar.responses import Code, err, ok
from .handler import State
from .listing import NO_SUCH_MESSAGE

if TYPE_CHECKING:  # the session imports the handlers
    from ..session import Pop3Session


async def dele(session: Pop3Session, command: Command) -> None:
    """DELE: mark; the message's number is used no more in this session, and by no other message."""
    if session.maildrop.get(command.number) is None:
        session.reply(NO_SUCH_MESSAGE)
        return
    session.maildrop.deleted.add(command.number)
    session.reply(ok(b"Message %d marked." % command.number))


async def rset(session: Pop3Session, command: Command) -> None:
    """RSET: take all marks back. What was retrieved stays retrieved."""
    session.maildrop.deleted.clear()
    count, octets = session.maildrop.totals()
    session.reply(ok(b"%d messages (%d octets)." % (count, octets)))


async def noop(session: Pop3Session, command: Command) -> None:
    """NOOP."""
    session.reply(ok())


async def quit_(session: Pop3Session, command: Command) -> None:
    """QUIT: before login just the end; after it one commit of all that the session did, answered by +OK once
    it is durable and by -ERR where it failed (then nothing was removed)."""
    marked = session.state is State.TRANSACTION and bool(session.maildrop.deleted)
    session.state = State.ENDED
    # Messages still on their way go out first: so nothing is removed that could not be sent.
    await session.flush()
    try:
        await session.commit(with_deletions=True)
    except Refusal as refusal:
        session.connection.log("maildrop not updated", reason=refusal.code, cause=cause_of(refusal))
        text = b"Nothing was removed." if marked else b"The session's work could not be noted."
        session.reply(err(text, Code.SYS_TEMP if refusal.temporary else Code.SYS_PERM))
        return
    session.reply(ok(b"Bye."))
