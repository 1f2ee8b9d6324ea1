"""Octets to and from a server: a TCP connection by asyncio, with TLS from its start or from STLS on.

What above it speaks POP3 sees `Wire` alone, so that tests answer from memory.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from typing import Protocol

from ..tls import client_context
from .errors import SourceRefused, SourceUnavailable
from .settings import Pop3Settings, Security

HIGH = 1 << 20
"""Octets that came and were not asked for, from which on the server has to wait."""
GOODBYE = 2.0
"""Seconds for TLS to say goodbye; a server that does not answer is left."""


class Wire(Protocol):
    """One connection. `receive` is called by one task at a time."""

    secure: bool
    """TLS is on."""
    loopback: bool
    """The server is this machine: nobody else can listen."""

    def send(self, data: bytes) -> None:
        """Queue octets. They are short: commands."""
        ...

    async def receive(self) -> bytes:
        """What came, at least one octet. Raises SourceUnavailable when the server has gone or is silent too long."""
        ...

    async def start_tls(self) -> None:
        """Go on under TLS; what came before and was not received is thrown away. Raises SourceRefused for a
        certificate that proves nothing, SourceUnavailable."""
        ...

    async def close(self) -> None: ...


async def connect(settings: Pop3Settings) -> TcpWire:
    """A connection to the server, under TLS where that is from the start. Raises SourceUnavailable, SourceRefused."""
    wire = TcpWire(settings)
    context = client_context(settings.ca_file, SourceRefused) if settings.security is Security.TLS else None
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(settings.timeout):
            await loop.create_connection(
                lambda: wire.protocol,
                settings.host,
                settings.port,
                ssl=context,
                server_hostname=settings.host if context else None,
            )
    except OSError as error:  # a time-out is one, and so are TLS' errors
        raise _refusal(settings, error) from error
    wire.connected(secure=context is not None)
    return wire


class _Receiver(asyncio.Protocol):
    """Collects what comes; tells the server to wait while nobody takes it."""

    def __init__(self, most: int) -> None:
        """most: octets held from which on the server has to wait."""
        self.transport: asyncio.Transport | None = None
        self._most = most
        self.chunks: list[bytes] = []
        self.held = 0
        self.ended = False
        self.error: Exception | None = None
        self.waiter: asyncio.Future[None] | None = None
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.chunks.append(data)
        self.held += len(data)
        if self.held >= self._most and not self._paused and self.transport is not None:
            self.transport.pause_reading()
            self._paused = True
        self._wake()

    def eof_received(self) -> None:
        self.ended = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True
        self.error = error
        self._wake()

    def take(self) -> bytes:
        data = self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)
        self.chunks.clear()
        self.held = 0
        if self._paused and not self.ended and self.transport is not None:
            self.transport.resume_reading()
            self._paused = False
        return data

    def _wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class TcpWire:
    """A `Wire` over TCP, made by `connect`."""

    def __init__(self, settings: Pop3Settings) -> None:
        bucket = self._bucket = settings.bucket
        self.protocol = _Receiver(HIGH if bucket is None else min(HIGH, bucket.rate))
        self.secure = False
        self.loopback = False
        self._settings = settings

    def connected(self, *, secure: bool) -> None:
        self.secure = secure
        peer = self._transport.get_extra_info("peername")
        # The address that was reached decides, not its name: a name may lead anywhere.
        self.loopback = bool(peer) and ipaddress.ip_address(peer[0].partition("%")[0]).is_loopback

    @property
    def _transport(self) -> asyncio.Transport:
        assert self.protocol.transport is not None, "not connected"
        return self.protocol.transport

    def send(self, data: bytes) -> None:
        if self._bucket is not None:
            self._bucket.take(len(data))  # what comes next waits for it
        self._transport.write(data)

    async def receive(self) -> bytes:
        protocol = self.protocol
        while not protocol.held:
            if protocol.ended:
                raise SourceUnavailable(f"{self._settings.host} closed the connection.") from protocol.error
            protocol.waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(self._settings.timeout):
                    await protocol.waiter
            except TimeoutError as error:
                seconds = f"{self._settings.timeout:.0f}"
                raise SourceUnavailable(f"{self._settings.host} said nothing for {seconds} seconds.") from error
            finally:
                protocol.waiter = None
        data = protocol.take()
        if self._bucket is not None and (delay := self._bucket.take(len(data))):
            await asyncio.sleep(delay)
        return data

    async def start_tls(self) -> None:
        context = client_context(self._settings.ca_file, SourceRefused)
        loop = asyncio.get_running_loop()
        old = self._transport
        # What came in the clear behind the answer to STLS may be anybody's (RFC 2595 4). Nothing comes in between: the
        # first thing that start_tls does is to take the transport over.
        if self.protocol.held:
            self.protocol.take()
        try:
            async with asyncio.timeout(self._settings.timeout):
                new = await loop.start_tls(old, self.protocol, context, server_hostname=self._settings.host)
        except OSError as error:
            old.abort()
            raise _refusal(self._settings, error) from error
        if new is None:  # typeshed: a transport that was closing
            raise SourceUnavailable(f"{self._settings.host} closed the connection.")
        self.protocol.transport = new
        self.secure = True

    async def close(self) -> None:
        transport = self.protocol.transport
        if transport is None:
            return
        transport.close()
        try:
            async with asyncio.timeout(GOODBYE):
                while not self.protocol.ended:
                    self.protocol.waiter = asyncio.get_running_loop().create_future()
                    await self.protocol.waiter
        except TimeoutError:
            transport.abort()


def _refusal(settings: Pop3Settings, error: OSError) -> SourceUnavailable | SourceRefused:
    """What became of a connection that was not made."""
    from ..reach import unreachable, untrusted

    where = f"{settings.host}:{settings.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return SourceRefused(*untrusted(settings.host, error))
    if isinstance(error, ssl.SSLError):
        return SourceRefused(f"{where} speaks no TLS that we speak ({error.reason}).", "Is this the port for it?")
    if isinstance(error, TimeoutError):
        return SourceUnavailable(f"{where} did not answer within {settings.timeout:.0f} seconds.")
    return SourceUnavailable(*unreachable(where, error))
