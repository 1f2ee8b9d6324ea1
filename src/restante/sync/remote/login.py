"""Logging in: the best way that the server offers and the connection allows. One attempt a call.

A password goes by SCRAM-SHA-256(-PLUS), which does not show it, else by PLAIN or LOGIN over TLS. Where SCRAM is offered
and fails, PLAIN is tried with the same password over TLS: servers offer SCRAM for accounts they keep no verifier for.
RFC 9051 6.2, RFC 4616, RFC 4959, RFC 7677, RFC 7628, RFC 5929.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error
from typing import TYPE_CHECKING

from ...clock import Random
from ...imap.grammar.answers import Continue, Status
from ..exchange import plain, scram, single
from .address import RemoteAddress
from .command import Literal, Part, astring
from .connection import Connection
from .errors import CredentialsRefused, LoginRefused, busy, is_busy, said

if TYPE_CHECKING:
    from ..exchange import Exchange


async def login(connection: Connection, address: RemoteAddress, secret: str, random: Random) -> None:
    """Log in with this secret. Raises LoginRefused, CredentialsRefused, Busy, Lost."""
    before = connection.capabilities
    status: Status | None = None
    for mechanism in mechanisms(connection, address):
        if mechanism == "LOGIN":
            status = await _login_command(connection, address.user, secret)
        else:
            status = await _authenticate(connection, mechanism, address, secret, random)
        if status.ok:
            connection.entered = (mechanism, before)
            if connection.capabilities is before:  # the server did not volunteer what it offers now
                await connection.run((b"CAPABILITY",))
            return
        if is_busy(status):
            raise busy(status)
    if status is None:
        raise LoginRefused(*_no_way(connection, address))
    raise CredentialsRefused(
        f"The server refuses to log in {address.user}: {said(status)}", "Check the user name and the password."
    )


def mechanisms(connection: Connection, address: RemoteAddress) -> list[str]:
    """Ways to try, best first."""
    offers = connection.capabilities
    offered = {word[5:] for word in offers if word.startswith("AUTH=")}
    safe = connection.secure or address.security == "none"
    wanted = address.mechanism.upper()
    if wanted == "TOKEN":
        best: list[str] = ["OAUTHBEARER", "XOAUTH2"]
        return [name for name in best if name in offered][:1]
    if wanted == "LOGIN":
        return ["LOGIN"] if "LOGINDISABLED" not in offers else []
    if wanted != "PASSWORD":
        return [wanted] if wanted in offered else []
    ways = []
    if "SCRAM-SHA-256-PLUS" in offered and connection.secure and _end_point(connection) is not None:
        ways.append("SCRAM-SHA-256-PLUS")
    elif "SCRAM-SHA-256" in offered:
        ways.append("SCRAM-SHA-256")
    if safe and "PLAIN" in offered:
        ways.append("PLAIN")
    elif safe and "LOGINDISABLED" not in offers:
        ways.append("LOGIN")
    return ways


def _no_way(connection: Connection, address: RemoteAddress) -> tuple[str, str]:
    if "LOGINDISABLED" in connection.capabilities and not connection.secure:
        return "The server lets nobody log in without TLS.", "Use TLS."
    return "The server offers no way to log in that can be used here.", "Set another mechanism."


async def _login_command(connection: Connection, user: str, secret: str) -> Status:
    """LOGIN. Strings that no atom or quoted string may hold go as literals (RFC 9051 6.2.3)."""
    parts: list[Part] = [b"LOGIN"]
    for text in (user, secret):
        raw = text.encode("utf-8")
        parts += [b" ", astring(raw) if raw.isascii() else Literal(raw)]
    (status,) = await connection.run(parts)
    return status


async def _authenticate(
    connection: Connection, mechanism: str, address: RemoteAddress, secret: str, random: Random
) -> Status:
    """AUTHENTICATE, with what the client says first in the command where the server takes it there (SASL-IR)."""
    from ...sasl.errors import Fault, SaslFault

    false: SaslFault | None = None
    try:
        exchange = _exchange(connection, mechanism, address, secret, random)
        said_first: bytes | None = next(exchange)
    except (SaslFault, ValueError) as fault:
        raise LoginRefused(
            f"{mechanism} cannot carry this name, password or token.", "Set another mechanism."
        ) from fault
    assert said_first is not None
    command = b"AUTHENTICATE " + mechanism.encode("ascii", "replace")
    if "SASL-IR" in connection.capabilities:
        command += b" " + (b64encode(said_first) or b"=")
        said_first = None
    (tag,) = connection.begin((command,))
    while True:
        answer = await connection.answer()
        if isinstance(answer, Status) and answer.tag == tag:
            if false is not None:
                raise LoginRefused("The server did not prove that it knows the password.") from false
            if answer.ok and mechanism.startswith("SCRAM"):
                _proved(exchange)
            return answer
        if not isinstance(answer, Continue):
            continue
        if said_first is not None:
            connection.write_line(b64encode(said_first))
            said_first = None
            continue
        try:
            connection.write_line(b64encode(exchange.send(b64decode(answer.data))))
        except (Error, ValueError, SaslFault, StopIteration) as error:
            if isinstance(error, SaslFault) and error.fault is not Fault.SERVER_REFUSED:
                false = error
            connection.write_line(b"*")  # give up; the server answers BAD (RFC 9051 6.2.2)


def _proved(exchange: Exchange) -> None:
    """A SCRAM server that says OK without having shown that it knows the password is another one."""
    try:
        exchange.send(b"")
    except StopIteration:
        return
    except Exception as error:
        raise LoginRefused("The server did not prove that it knows the password.") from error
    raise LoginRefused("The server did not prove that it knows the password.")


def _exchange(connection: Connection, mechanism: str, address: RemoteAddress, secret: str, random: Random) -> Exchange:
    if mechanism == "PLAIN":
        return plain(address.user, secret)
    from ...sasl import bearer

    if mechanism == "XOAUTH2":
        return single(bearer.xoauth2_message(address.user, secret), b"")
    if mechanism == "OAUTHBEARER":
        message = bearer.oauthbearer_message(address.user, secret, address.host, address.port)
        return single(message, bearer.GIVE_UP)
    if mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"):
        end_point = _end_point(connection) if mechanism.endswith("-PLUS") else None
        if end_point is None and mechanism.endswith("-PLUS"):
            raise LoginRefused(
                "The server's certificate allows no channel binding.", "Set the mechanism SCRAM-SHA-256."
            )
        return scram(address.user, secret, b64encode(random(18)).decode("ascii"), end_point)
    raise LoginRefused(f"The mechanism {mechanism} is not known here.", "Set another mechanism.")


def _end_point(connection: Connection) -> bytes | None:
    """tls-server-end-point of this connection; None where its certificate's signature has no hash (RFC 5929 4.1)."""
    from ...sasl.end_point import end_point_binding

    tls = connection.transport.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True)
    return end_point_binding(der) if der else None
