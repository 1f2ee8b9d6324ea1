"""Asks an old server's POP3 which UIDL each message of its INBOX has: UIDL, LIST, and TOP for header fields.

POP3 clients know by the UIDL what they have downloaded; a new server that tells the same ones is no new server to them.
RFC 1939 7.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from ...clock import Random, system_random
from ...errors import Refusal
from ...exchange.dovecot import is_uidl
from ...pop3.grammar.answers import BadAnswer, parse_sizes, parse_uidls
from ...pop3.grammar.requests import request
from ..config import LoginTable, parse_server
from ..model import Place
from ..outline import mark
from ..pop3.connection import Ask, Pop3Connection
from ..pop3.errors import SourceUnavailable
from ..pop3.listing import ask
from ..pop3.login import log_in
from ..pop3.settings import Auth, Pop3Settings, Security
from ..pop3.wire import connect
from ..secrets import Kind, Secret
from ..side import Side
from .mailbox import OUTLINES
from .run import Uidls
from .uidls import Listed, match

HEADER = 1 << 20
"""Octets of a header at most."""


class NoUidls(Refusal):
    """The old server's UIDLs cannot be learnt."""

    code = "NO-UIDLS"


def asker(connect: Callable[[], Awaitable[Pop3Connection]], say: Callable[[str], None]) -> Uidls:
    """What a migration asks. connect: gives a connection that is logged in. say: tells people how many were found."""

    async def uidls(source: Side, inbox: Place) -> Mapping[int, str]:
        connection = await connect()
        try:
            listed = await read(connection)
            await connection.ask(b"QUIT\r\n")
        finally:
            await connection.close()
        seen = await source.changes(inbox.name, None)
        outlines = []
        for start in range(0, len(seen.uids), OUTLINES):
            outlines += await source.outlines(inbox.name, seen.uids[start : start + OUTLINES])
        found, lost = match(outlines, listed)
        unlisted = len(outlines) - len(found)
        say(
            f"POP3 lists {len(listed)} messages; {len(found)} of INBOX keep their UIDL"
            + (f", {lost} of the list are not in INBOX" if lost else "")
            + (f", {unlisted} of INBOX are not in the list" if unlisted else "")
            + "."
        )
        return found

    return uidls


def connector(
    place: str, tls: str, login: LoginTable, secret: Secret, random: Random = system_random
) -> Callable[[], Awaitable[Pop3Connection]]:
    """Connects to the old server's POP3 and logs in as its IMAP is logged in to. place: HOST[:PORT]. Raises NoUidls."""
    try:
        server = parse_server("pop3", place, tls)
    except ValueError as error:
        raise NoUidls(f"{error}.") from error

    async def give(renew: bool) -> str:
        return await secret.get(fresh=renew)

    settings = Pop3Settings(
        server.host,
        server.port,
        login.user,
        give,
        {"implicit": Security.TLS, "starttls": Security.STLS, "none": Security.NONE}[tls],
        Auth.TOKEN if secret.kind is Kind.TOKEN else Auth.AUTO,
        Path(login.certificate).expanduser() if login.certificate else None,
    )

    async def dial() -> Pop3Connection:
        wire = await connect(settings)
        try:
            return await log_in(wire, settings, random)
        except BaseException:
            await wire.close()
            raise

    return dial


async def read(connection: Pop3Connection) -> list[Listed]:
    """The whole list. Raises NoUidls, SourceUnavailable."""
    raw = await ask(connection)
    if raw.uidls is None:
        raise NoUidls("The old server's POP3 knows no UIDL.", "Leave --pop3 out: its clients compare messages anyway.")
    try:
        sizes, uidls = parse_sizes(raw.sizes), parse_uidls(raw.uidls)
    except BadAnswer as error:
        raise SourceUnavailable(f"The server's answer is no POP3: {error}.") from error
    names = {number: octets.decode("ascii", "replace") for number, octets in uidls.items() if number in sizes}
    if len(set(names.values())) != len(names):
        raise NoUidls("The old server's POP3 gives one UIDL to several messages.", "Leave --pop3 out.")
    wanted = sorted(number for number, name in names.items() if is_uidl(name))
    asks = [Ask(request(b"TOP", b"%d" % number, b"0"), number, HEADER, 4096) for number in wanted]
    listed = []
    async for one, status, header in connection.pipeline(asks):
        if status.ok:
            listed.append(Listed(one.key, names[one.key], sizes[one.key], mark(header)))
    if wanted and not listed:
        raise NoUidls("The old server's POP3 knows no TOP, without which its list cannot be laid beside INBOX.")
    return listed
