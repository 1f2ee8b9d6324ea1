"""STAT, LIST, UIDL: what is there, marked messages left out (RFC 1939 5 and 7)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..grammar.commands import Command
from ..grammar.responses import END, err, ok

if TYPE_CHECKING:  # the session imports the handlers
    from ..session import Pop3Session

OCTETS_AT_ONCE = 512 * 1024
"""Octets of one write: a listing of any length goes out in pieces."""

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
    await _send(session, ok(b"%d messages (%d octets)." % (count, octets)), drop.list_octets())


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
    await _send(session, ok(b"Unique-id listing follows."), drop.uidl_octets())


async def _send(session: Pop3Session, first: bytes, pieces: Iterable[bytes]) -> None:
    session.reply(first)
    waiting = 0
    for lines in pieces:
        for start in range(0, len(lines), OCTETS_AT_ONCE):
            some = lines[start : start + OCTETS_AT_ONCE]
            session.reply(some)
            waiting += len(some)
            if waiting >= OCTETS_AT_ONCE:
                await session.flush()
                waiting = 0
    session.reply(END)
