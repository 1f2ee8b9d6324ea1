"""Going on with a connection that somebody else has opened and logged in (`handed`).

TLS cannot be begun again on it, and asyncio knows no other way to have it: so it is carried here, between the loop's
transport, which sees what goes over the wire, and the connection, which sees the octets within.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

from ..bucket import Bucket
from ..handed import Handed
from ..unchanged.secured import Secured
from .address import Settings
from .connection import Connection
from .errors import Lost

PIECE = 262_144


async def adopt(handed: Handed, settings: Settings, bucket: Bucket | None) -> Connection:
    """The connection, ready for commands. Raises Lost where it is none any more."""
    connection = Connection(settings, bucket)
    plain = socket.socket(fileno=handed.handle)
    try:
        plain.setblocking(False)
        if not _is_silent(plain):
            raise Lost("The connection has ended.")
        connection.resume(handed)
        tls = handed.tls
        loop = asyncio.get_running_loop()
        if tls is None:
            await loop.create_connection(lambda: connection, sock=plain)
        else:
            await loop.create_connection(lambda: _Wire(connection, tls), sock=plain)
    except BaseException:
        plain.close()
        raise
    try:
        if not connection.capabilities:
            await connection.run((b"CAPABILITY",))
    except BaseException:
        connection.abort()
        raise
    return connection


def _is_silent(plain: socket.socket) -> bool:
    """Whether nothing has come since the last answer: a goodbye, or the end, would have."""
    try:
        plain.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


class _Wire(asyncio.Protocol):
    """What comes over the wire, on its way to the connection."""

    def __init__(self, connection: Connection, tls: Secured) -> None:
        self._connection = connection
        self._tls = tls
        self._within: _Within | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._within = _Within(transport, self._tls)
        self._connection.connection_made(self._within)

    def data_received(self, data: bytes) -> None:
        assert self._within is not None
        self._tls.into.write(data)
        try:
            while octets := self._tls.object.read(PIECE):
                self._connection.data_received(octets)
            self._within.close()  # the other end has said goodbye
        except ssl.SSLWantReadError:
            self._within.flush()  # the other end may want to be told of new keys
        except ssl.SSLZeroReturnError:
            self._within.close()
        except ssl.SSLError as error:
            self._connection.connection_lost(error)
            self._within.abort()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._connection.connection_lost(error)


class _Within(asyncio.Transport):
    """The connection's side of it."""

    def __init__(self, wire: asyncio.Transport, tls: Secured) -> None:
        super().__init__({"ssl_object": tls.object})
        self._wire = wire
        self._tls = tls

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return super().get_extra_info(name) or self._wire.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._wire.is_closing():
            return  # TLS takes no more; the connection is told of its end, as with any transport
        self._tls.object.write(bytes(data))
        self.flush()

    def flush(self) -> None:
        """Send what TLS has to send."""
        if self._tls.out.pending and not self._wire.is_closing():
            self._wire.write(self._tls.out.read())

    def close(self) -> None:
        if not self._wire.is_closing():
            try:
                self._tls.object.unwrap()
            except ssl.SSLError:
                pass  # it wants the other end's goodbye, which nobody waits for
            self.flush()
        self._wire.close()

    def abort(self) -> None:
        self._wire.abort()

    def is_closing(self) -> bool:
        return self._wire.is_closing()

    def pause_reading(self) -> None:
        self._wire.pause_reading()

    def resume_reading(self) -> None:
        self._wire.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._wire.get_write_buffer_size()
