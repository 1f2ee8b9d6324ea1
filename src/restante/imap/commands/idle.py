"""IDLE: the client listens; changes are told as they happen.

The session waits in the connection's read, which the account's watch ends when something has changed: no task,
no timer and no database handle for a client that only listens. RFC 9051 6.3.13; RFC 2177.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...connection import ReadTimeout
from ..grammar.commands import Idle
from ..session.state import BadCommand, Reply, State

if TYPE_CHECKING:
    from ..session.session import ImapSession


APART = 0.2
"""Seconds between the continuation and the first change told, where the connection is compressed. Thunderbird (153)
leaves what comes in one piece with the continuation in its inflater, until something else comes: mail that arrived in
the moment before IDLE would not be shown."""


async def idle(session: ImapSession, _command: Idle) -> Reply:
    """Wait for DONE, for as long as the autologout timer allows (RFC 9051 5.4)."""
    session.write(b"+ %b\r\n" % session.text(b"Listening."))
    wakes = session.state is State.SELECTED or session.notifications is not None
    deadline = session.clock.monotonic() + session.idle_timeout
    line = await session.line(session.idle_timeout, wake_in=APART) if session.connection.compressed else None
    while line is None:
        await _tell(session)
        left = deadline - session.clock.monotonic()
        if left <= 0:
            raise ReadTimeout
        line = await session.line(left, wake=wakes, wake_in=session.updates.due_in())
    if line.upper() != b"DONE":
        raise BadCommand("IDLE ends with DONE.")
    return Reply(b"IDLE completed.")


async def _tell(session: ImapSession) -> None:
    """What NOTIFY has asked for is told in IDLE alike (RFC 5465 4)."""
    if session.state is State.SELECTED:
        await session.updates.tell(may_expunge=True)
    if session.notifications is not None:
        await session.notifications.tell()
