"""From an address to a connection that is ready to log in: TCP or a command, TLS, the greeting.

No name and no password is sent before TLS stands. What comes behind STARTTLS's OK in the clear is thrown away, and what
the server said before TLS is forgotten. RFC 9051 7.1.4 and 11.1, RFC 8314, RFC 9325.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from ...imap.grammar.answers import Status
from ..bucket import Bucket
from ..side import SideUnavailable
from .address import RemoteAddress, Settings
from .connection import Connection
from .errors import CertificateRefused, Lost, check, said

if TYPE_CHECKING:
    import ssl


async def dial(address: RemoteAddress, settings: Settings, bucket: Bucket | None = None) -> tuple[Connection, bool]:
    """A connection whose greeting has been heard, and whether it is logged in already (PREAUTH).

    Raises SideUnavailable (CertificateRefused, Lost).
    """
    connection = Connection(settings, bucket)
    try:
        async with asyncio.timeout(settings.connect):
            await _connect(connection, address)
            logged_in = await _greeted(connection)
            if address.security == "starttls":
                if logged_in:  # STARTTLS is not allowed any more: somebody may have put himself between
                    raise SideUnavailable("The server logs in before TLS has begun.", "Use TLS from the first octet.")
                await _start_tls(connection, address)
            if not logged_in and not connection.capabilities:
                await connection.run((b"CAPABILITY",))
    except TimeoutError as error:
        connection.abort()
        raise SideUnavailable(
            f"{address.host} does not answer.", "Is the address right? Is there a network?"
        ) from error
    except BaseException:
        connection.abort()
        raise
    return connection, logged_in


def is_loopback(host: str) -> bool:
    """The host is this machine, by name or by address."""
    if host == "127.0.0.1":  # mostly; else the library for addresses is imported
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


async def _connect(connection: Connection, address: RemoteAddress) -> None:
    loop = asyncio.get_running_loop()
    if address.tunnel:
        await loop.create_connection(lambda: connection, sock=_tunnel(address.tunnel))
        return
    if address.security == "none" and not address.clear_text and not is_loopback(address.host):
        raise SideUnavailable(
            "Name, password and mail would go over the network in the clear.", "Use TLS, or say that this is wanted."
        )
    context = tls_context(address) if address.security == "tls" else None
    try:
        await loop.create_connection(
            lambda: connection,
            address.host,
            address.port,
            ssl=context,
            server_hostname=address.host if context is not None else None,
            happy_eyeballs_delay=0.25,
        )
    except OSError as error:
        raise _unreachable(address, error) from error


def _tunnel(command: tuple[str, ...]) -> socket.socket:
    """Our end of a command's standard input and output. It ends when that is closed."""
    import subprocess
    import threading

    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno())
    except OSError as error:
        ours.close()
        raise SideUnavailable(f"{command[0]} cannot be run ({error.strerror}).") from error
    finally:
        theirs.close()
    threading.Thread(target=process.wait, name="tunnel", daemon=True).start()  # leaves no zombie
    return ours


def tls_context(address: RemoteAddress) -> ssl.SSLContext:
    """What the connection is made with."""
    from ..tls import client_context

    context = client_context(address.trusted, CertificateRefused)
    context.set_alpn_protocols(["imap"])
    return context


def _unreachable(address: RemoteAddress, error: OSError) -> SideUnavailable:
    import ssl

    from ..reach import unreachable, untrusted

    if isinstance(error, ssl.SSLCertVerificationError):
        return CertificateRefused(*untrusted(address.host, error))
    if isinstance(error, ssl.SSLError):
        return SideUnavailable(f"TLS with {address.host} fails ({error.reason}).", "Are port and security right?")
    return SideUnavailable(*unreachable(f"{address.host}:{address.port}", error))


async def _greeted(connection: Connection) -> bool:
    """Hear the greeting; True for PREAUTH."""
    greeting = await connection.answer()
    if not isinstance(greeting, Status) or greeting.tag != b"*" or greeting.word not in (b"OK", b"PREAUTH"):
        raise Lost("The server's greeting is none of IMAP.", "Are host and port right?")
    connection.greeting = greeting.text
    return greeting.word == b"PREAUTH"


async def _start_tls(connection: Connection, address: RemoteAddress) -> None:
    if connection.capabilities and "STARTTLS" not in connection.capabilities:
        raise SideUnavailable("The server offers no STARTTLS.", "Use TLS from the first octet (port 993).")
    (status,) = await connection.run((b"STARTTLS",))
    if not status.ok:
        raise SideUnavailable(f"The server refuses STARTTLS: {said(status)}", "Use TLS from the first octet.")
    connection.forget()
    try:
        transport = await asyncio.get_running_loop().start_tls(
            connection.transport, connection, tls_context(address), server_hostname=address.host
        )
    except OSError as error:
        raise _unreachable(address, error) from error
    assert transport is not None
    connection.upgraded(transport)
    connection.capabilities = frozenset()
    (status,) = await connection.run((b"CAPABILITY",))
    check(status)
