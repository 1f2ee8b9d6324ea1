"""Octets to and from one peer over a transport of the event loop: back-pressure both ways, TLS, time-outs, the end.

One object a connection and no more (`channel.Channel` adds whom it serves): no stream reader, no queue, no task of its
own; the session's task waits in `read` or `drain`. Idle, a connection holds this object, its transport and one timer.

    data_received -> (TLS) -> _incoming, bounded: past READ_HIGH the transport stops reading -> (inflate) -> read()
    write() -> _outgoing, joined -> (deflate) -> (TLS) -> transport, past WRITE_HIGH drain() waits

What has come, and how long it is waited for, is `inbound`'s. STARTTLS throws away what was received and not read; from
then on every octet must be TLS (NO STARTTLS; RFC 9051 11.1). The end of TLS is the end of the connection, in every
state. Closing lingers: after our last octets the sending side is shut and what still comes is thrown away for a moment,
because closing a socket with unread octets makes the kernel reset it and the peer lose our last words.

RFC 5929 4.1 for the channel binding.
"""

from __future__ import annotations

import asyncio
from typing import cast

from ..connection import ConnectionLost, ServerStopping
from .browser import is_http_request, may_become_one
from .deflate import DeflateFailed, DeflateLayer, Inflater
from .inbound import Inbound, StreamHost
from .secure import TlsFailed, TlsLayer
from .services import ALPN, Service
from .tls import Certificate

INFLATE_MAX = 65_536
"""Octets that one read gives of what came compressed."""
WRITE_HIGH = 131_072
WRITE_LOW = 32_768
FLUSH_AT = 65_536
LINGER = 2.0
LINGER_MAX = 16 << 20


class Stream(Inbound):
    """One peer's octets: what of `restante.connection.Connection` knows nobody's name."""

    __slots__ = (
        "_certificate",
        "_deflate",
        "_discard",
        "_flushing",
        "_handshake",
        "_heard",
        "_inflate",
        "_outgoing",
        "_outgoing_size",
        "_paused",
        "_tls",
        "_writable",
        "secure",
        "service",
        "tls_available",
    )

    def __init__(self, host: StreamHost, service: Service) -> None:
        super().__init__(host)
        self.service = service
        self.secure = False
        self.tls_available = not service.implicit_tls and host.certificate() is not None
        self._outgoing: list[bytes] = []
        self._outgoing_size = 0
        self._flushing = False
        self._paused = False
        self._writable: asyncio.Future[None] | None = None
        self._tls: TlsLayer | None = None
        self._deflate: DeflateLayer | None = None
        self._inflate: Inflater | None = None
        self._certificate: Certificate | None = None
        self._handshake: asyncio.Future[None] | None = None
        self._discard: int | None = None
        self._heard = False
        """What has come from the peer, in the clear or through TLS, shows whether it is a browser."""

    def log(self, event: str, **fields: object) -> None:
        """Log one event line of this connection."""
        raise NotImplementedError

    # What the transport calls ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods but not the base class.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        if self.service.implicit_tls:
            self._begin_tls()  # before the first octet comes, which may be before the session's task runs

    def data_received(self, data: bytes) -> None:
        if self._discard is not None:
            self._discard += len(data)
            if self._discard > LINGER_MAX:
                self.abort()
            return
        if self._tls is not None:
            data = self._decrypt(self._tls, data)
        if data and not self._heard:
            self._heard = not may_become_one(data)
            if is_http_request(data):
                self.log("http refused")
                self._eof = True
                self._wake(None)
                self.close()  # nothing of what follows is read
                return
        if data:
            self._arrived(data)

    def eof_received(self) -> bool:
        self._eof = True
        if self._discard is not None:
            return False
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(ConnectionLost())
        self._wake(None)
        return True  # the peer may still be reading: the session ends by itself

    def connection_lost(self, exc: BaseException | None) -> None:
        self._lost = self._eof = True
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for future in (self._handshake, self._writable):
            if future is not None and not future.done():
                future.set_exception(ConnectionLost())
        self._end_compression()
        self._wake(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # Connection: reading ---------------------------------------------------------------------------

    async def read(self, timeout: float) -> bytes:
        """See `Connection.read`. Octets that came before the end or the stopping are given out first."""
        if self._inflate is not None:
            return await self._inflated(self._inflate, timeout)
        return await self._read(timeout)

    async def _inflated(self, incoming: Inflater, timeout: float) -> bytes:
        """`read` where the peer compresses. Whoever is cancelled here loses nothing: octets are taken last."""
        if incoming.stopped:
            return await self._behind(incoming, timeout)
        if incoming.waiting:
            self._flush()
            await asyncio.sleep(0)  # few octets may stand for many: between two pieces others have their turn
        while True:
            if self.account_closed is not None:
                raise self.account_closed
            try:
                data = incoming.take(INFLATE_MAX)
            except DeflateFailed as error:
                self.log("compression failed", reason=str(error))
                raise ConnectionLost from error
            if data or incoming.ended:
                return data  # the end of compression is the end of the connection, as that of TLS is
            raw = await self._read(timeout)
            if not raw:
                return b""
            incoming.feed(raw)

    async def _behind(self, incoming: Inflater, timeout: float) -> bytes:
        """`read` once the peer has stopped compressing, until nothing of that is left."""
        while True:
            data = incoming.behind()
            if incoming.settled:
                self._inflate = None
            if data:
                return data
            raw = await self._read(timeout)
            if not raw or self._inflate is None:
                return raw
            incoming.feed(raw)

    # Connection: writing ---------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """See `Connection.write`. Small writes are joined until `drain`, `read` or the loop's next turn."""
        if not data or self._lost or self._discard is not None:
            return
        self._outgoing.append(data)
        self._outgoing_size += len(data)
        if self._outgoing_size >= FLUSH_AT:
            self._flush()
        elif not self._flushing:
            self._flushing = True
            self._host.loop.call_soon(self._flush)

    def say_last(self, data: bytes) -> None:
        """Write a whole response from outside the session, which is about to be cancelled. Nothing in a handshake."""
        if self._tls is None or self._tls.established:
            self.write(data)

    def send(self, data: bytes) -> bool:
        """See `Connection.send`. Costs no turn of the loop, which a `write` asks for in case nothing follows it."""
        if self._lost or self._discard is not None:
            return False
        if self._outgoing:
            self.write(data)
            self._flush()
        elif self._deflate is None:
            self._send(data)
        else:
            self._send(self._deflate.compress(data))
        return not (self._paused or self._lost or self._deflate is not None)

    async def drain(self) -> None:
        """See `Connection.drain`. Lets other connections run whenever the socket has not taken all."""
        self._flush()
        if self._deflate is not None:
            await asyncio.sleep(0)  # compressing takes milliseconds a batch, however fast the peer reads
        while self._paused and not self._lost:
            assert self._transport is not None
            before = self._transport.get_write_buffer_size()
            self._writable = self._host.loop.create_future()
            try:
                async with asyncio.timeout(self._host.write_timeout):
                    await self._writable
            except TimeoutError:
                if self._transport is not None and self._transport.get_write_buffer_size() >= before:
                    self.log("peer takes nothing", seconds=self._host.write_timeout)
                    self.abort()
                    raise ConnectionLost from None
            finally:
                self._writable = None
        if self._lost:
            raise ConnectionLost

    def _flush(self) -> None:
        self._flushing = False
        if not self._outgoing:
            return
        parts = self._outgoing
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._outgoing_size = 0
        if self._transport is None or self._transport.is_closing():
            return
        self._send(data if self._deflate is None else self._deflate.compress(data))

    def _send(self, data: bytes) -> None:
        """Give octets to TLS or the transport."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._tls is None:
            self._transport.write(data)
            return
        try:
            self._tls.encrypt(data)
        except TlsFailed:
            self.abort()
        else:
            self._send_records(self._tls)

    # Compression -----------------------------------------------------------------------------------

    @property
    def compressed(self) -> bool:
        return self._deflate is not None

    def start_compression(self, said: bytes) -> None:
        """See `Connection.start_compression`."""
        if self._deflate is not None or self._lost:
            raise ConnectionLost
        layer = self._host.compression()
        self.write(said)
        self._flush()
        self._incoming.clear()
        self._incoming_size = 0
        self._resume_reading()
        self._deflate = layer
        self._inflate = layer.incoming

    def stop_compression(self, said: bytes) -> None:
        """See `Connection.stop_compression`."""
        layer = self._deflate
        if layer is None or self._lost:
            raise ConnectionLost
        self._flush()
        self._send(layer.finish(said))
        layer.incoming.stop()
        self._end_compression()

    def _end_compression(self) -> None:
        if self._deflate is not None:
            self._deflate.close()
            self._deflate = None

    # TLS -------------------------------------------------------------------------------------------

    async def start_tls(self) -> None:
        """See `Connection.start_tls`. Call it right after writing the OK: the order here is what makes
        pipelined plain octets harmless - thrown away first, then the OK goes out, then all is TLS."""
        if self._tls is not None or self._deflate is not None or self._lost:
            raise ConnectionLost
        self._incoming.clear()
        self._incoming_size = 0
        self._inflate = None  # what it may still hold came in the clear
        self._flush()
        self._begin_tls()
        await self.handshake()

    def _begin_tls(self) -> None:
        """From here on every octet from the peer must be TLS."""
        certificate = self._host.certificate()
        if certificate is None:
            self.abort()
            return
        self.tls_available = False
        wire = self.service.wire
        self._certificate = certificate
        self._tls = TlsLayer(certificate.context(wire), ALPN.get(wire))
        self._resume_reading()

    async def handshake(self) -> None:
        """Wait until the TLS begun above stands, within the configured time. Raises ConnectionLost."""
        tls = self._tls
        if tls is None or self._eof:
            raise ConnectionLost
        if not tls.established:
            self._handshake = self._host.loop.create_future()
            try:
                async with asyncio.timeout(self._host.handshake_timeout):
                    await self._handshake
            except TimeoutError:
                self.log("tls failed", reason="time-out")
                self.abort()
                raise ConnectionLost from None
            finally:
                self._handshake = None
        self.secure = True

    def _decrypt(self, tls: TlsLayer, data: bytes) -> bytes:
        try:
            plain = tls.receive(data)
        except TlsFailed as error:
            self._send_records(tls)
            self.log("tls failed", reason=str(error))
            self._eof = True
            if self._handshake is not None and not self._handshake.done():
                self._handshake.set_exception(ConnectionLost())
            self._wake(None)
            return b""
        self._send_records(tls)
        if tls.established and self._handshake is not None and not self._handshake.done():
            self._handshake.set_result(None)
        if tls.ended:
            self._eof = True
            self._wake(None)
        return plain

    def _send_records(self, tls: TlsLayer) -> None:
        records = tls.outgoing()
        if records and self._transport is not None and not self._transport.is_closing():
            self._transport.write(records)

    def channel_binding(self) -> bytes | None:
        return self._certificate.binding if self.secure and self._certificate is not None else None

    # The end ---------------------------------------------------------------------------------------

    def stop(self) -> None:
        """The server is going down: a session that waits for its peer is told by ServerStopping."""
        self._stopping = True
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(ConnectionLost())
        self._wake(ServerStopping())

    def close(self) -> None:
        """Send what was written, say goodbye in TLS, shut the sending side, linger, close."""
        if self._transport is None or self._discard is not None:
            return
        self._flush()
        self._discard = 0
        self._incoming.clear()
        if self._tls is not None:
            self._tls.finish()
            self._send_records(self._tls)
        if self._eof or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
            if not self._reading:
                self._transport.resume_reading()
                self._reading = True
        pending = self._transport.get_write_buffer_size() > 0
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._host.loop.call_later(self._host.write_timeout if pending else LINGER, self.abort)

    @property
    def unsent(self) -> int:
        """Octets that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def abort(self) -> None:
        """Let go at once, whatever is still to be sent."""
        if self._transport is not None:
            self._transport.abort()
