"""Commands of every state: CAPABILITY, NOOP, LOGOUT, ID. RFC 9051 6.1; RFC 2971; RFC 3501 6.4.1 (CHECK)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..grammar.commands import Capability, Check, Id, Logout, Noop
from ..grammar.response import id_response
from ..session.refusals import line_text
from ..session.state import Reply, State

if TYPE_CHECKING:
    from ..session.session import ImapSession

LOGGED_ID_FIELDS = (b"name", b"version", b"os")
"""What is logged of a client's ID: enough to know which program has a problem (RFC 2971 4 on privacy)."""

NOTHING_DONE = Reply(b"NOOP completed.")
CHECKED = Reply(b"CHECK completed.")


async def capability(session: ImapSession, _command: Capability) -> Reply:
    session.write(b"* CAPABILITY %b\r\n" % session.capability_list())
    return Reply(b"CAPABILITY completed.")


async def noop(_session: ImapSession, command: Noop | Check) -> Reply:
    """NOOP and CHECK: what they are for, updates, comes with every command's end."""
    return CHECKED if isinstance(command, Check) else NOTHING_DONE


async def logout(session: ImapSession, _command: Logout) -> Reply:
    session.say(b"Logging out.", word=b"BYE")
    session.state = State.LOGOUT
    return Reply(b"LOGOUT completed.")


async def identify(session: ImapSession, command: Id) -> Reply:
    """ID: says who we are, notes who they are."""
    told = {name.lower(): value for name, value in command.parameters or () if value is not None}
    fields = {
        f"client_{name.decode()}": line_text(told[name][:100].decode("ascii", "replace")).decode()
        for name in LOGGED_ID_FIELDS
        if name in told
    }
    if fields:
        session.connection.log("client-id", **fields)
    ours = [("name", "Restante")]
    if session.version:
        ours.append(("version", session.version))
    session.write(id_response(ours))
    return Reply(b"ID completed.")
