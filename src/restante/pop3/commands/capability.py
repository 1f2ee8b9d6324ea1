"""CAPA, UTF8, LANG: what the server can, and in which form it speaks.

RFC 2449 5 and 6, RFC 2595 4, RFC 3206, RFC 5034 6, RFC 6856 2 and 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..grammar.commands import Command
from ..grammar.responses import err, listing, ok
from ..policy import expire_argument
from .handler import State

if TYPE_CHECKING:  # the session imports the handlers
    from ..session import Pop3Session

LANGUAGE = b"en"
"""The one language of our texts; LANG lists it, selects it and refuses others (RFC 6856 3.2)."""


async def capa(session: Pop3Session, command: Command) -> None:
    """CAPA: what is announced before login is announced after it as well (RFC 2449 5)."""
    peer = session.peer
    lines = [b"TOP", b"UIDL", b"PIPELINING", b"RESP-CODES", b"AUTH-RESP-CODE"]
    if session.authenticator.plain_allowed(peer):
        lines.append(b"USER")
    mechanisms = session.authenticator.mechanisms(peer)
    if mechanisms:
        lines.append(b"SASL " + " ".join(mechanisms).encode("ascii"))
    if session.connection.tls_available and not session.connection.secure:
        lines.append(b"STLS")
    if session.config.login_delay > 0:
        lines.append(b"LOGIN-DELAY %d" % session.config.login_delay)
    lines += [await _expire(session), b"UTF8 USER", b"LANG", b"IMPLEMENTATION Restante"]
    session.reply(listing(b"Capability list follows.", lines))


async def _expire(session: Pop3Session) -> bytes:
    """EXPIRE: the account's own after login; before, the smallest of all with USER, which tells the client
    to ask again (RFC 2449 6.7). Looked up once a connection: anybody may ask before login."""
    if session.state is State.TRANSACTION and session.policy is not None:
        return b"EXPIRE " + expire_argument(session.policy.leave_days)
    if session.expire_before_login is None:
        default = session.config.leave_days
        session.expire_before_login = await session.engine.directory.smallest_leave_days(default)
    return b"EXPIRE " + expire_argument(session.expire_before_login) + b" USER"


async def utf8(session: Pop3Session, command: Command) -> None:
    """UTF8: from now on messages go out as they are stored, without a surrogate (RFC 6856 2.1)."""
    session.utf8 = True
    session.reply(ok(b"UTF-8 it is."))


async def lang(session: Pop3Session, command: Command) -> None:
    """LANG: list the languages, or select one by a basic language range (RFC 4647 3.3.1, RFC 6856 3.2)."""
    if not command.argument:
        session.reply(listing(b"Language listing follows:", [LANGUAGE + b" English"]))
    elif command.argument == b"*" or command.argument.lower() == LANGUAGE:
        session.reply(ok(LANGUAGE + b" English it is."))
    else:
        session.reply(err(b"No such language here."))
