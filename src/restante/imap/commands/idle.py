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


async def idle(session: ImapSession, _command: Idle) -> Reply:
    """Wait for DONE, for as long as the autologout timer allows (RFC 9051 5.4)."""
    session.write(b"+ %b\r\n" % session.text(b"Listening."))
    selected = session.state is State.SELECTED
    if selected:
        await session.updates.tell(may_expunge=True)
    deadline = session.clock.monotonic() + session.idle_timeout
    while True:
        left = deadline - session.clock.monotonic()
        if left <= 0:
            raise ReadTimeout
        line = await session.line(left, wake=selected, wake_in=session.updates.due_in())
        if line is None:
            await session.updates.tell(may_expunge=True)
        elif line.upper() == b"DONE":
            return Reply(b"IDLE completed.")
        else:
            raise BadCommand("IDLE ends with DONE.")
