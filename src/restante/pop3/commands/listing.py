"""STAT, LIST, UIDL: what is there, marked messages left out (RFC 1939 5 and 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..grammar.commands import Command
from ..grammar.responses import END, err, ok

if TYPE_CHECKING:  # the session imports the handlers
    from ..session import Pop3Session

LINES_AT_ONCE = 20_000
"""Lines joined for one write: a listing of any length goes out in pieces of well under 1 MB each."""

NO_SUCH_MESSAGE = err(b"No such message.")


async def stat(session: Pop3Session, command: Command) -> None:
    """STAT: the drop listing, "+OK count octets" and nothing else on the line."""
    session.reply(b"+OK %d %d\r\n" % session.maildrop.totals())


async def list_(session: Pop3Session, command: Command) -> None:
    """LIST: number and octets, as RETR sends them before dot-stuffing."""
    drop = session.maildrop
    if command.number:
        message = drop.get(command.number)
        if message is None:
            session.reply(NO_SUCH_MESSAGE)
        else:
            session.reply(b"+OK %d %d\r\n" % (command.number, drop.size(message)))
        return
    count, octets = drop.totals()
    await _send(session, ok(b"%d messages (%d octets)." % (count, octets)), drop.list_lines())


async def uidl(session: Pop3Session, command: Command) -> None:
    """UIDL: number and permanent identity."""
    drop = session.maildrop
    if command.number:
        message = drop.get(command.number)
        if message is None:
            session.reply(NO_SUCH_MESSAGE)
        else:
            session.reply(b"+OK %d %b\r\n" % (command.number, message.uidl.encode("ascii")))
        return
    await _send(session, ok(b"Unique-id listing follows."), drop.uidl_lines())


async def _send(session: Pop3Session, first: bytes, lines: list[bytes]) -> None:
    session.reply(first)
    for start in range(0, len(lines), LINES_AT_ONCE):
        session.reply(b"".join(lines[start : start + LINES_AT_ONCE]))
        if len(lines) > LINES_AT_ONCE:
            await session.flush()
    session.reply(END)
