"""What has come from a peer and waits to be read: bounded, with a time-out that costs a busy session no timer.

    arrived -> _incoming, past READ_HIGH the transport stops reading -> _read()

The time-out is one timer that is moved lazily: it is left alone while it fires before the deadline, and then looks
again. The base of `stream.Stream`, which fills it, in the same object: a connection has no second one.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from ..connection import AccountClosed, ConnectionLost, ReadTimeout, ServerStopping
from .deflate import DeflateLayer
from .tls import Certificate

READ_MAX = 262_144
READ_HIGH = 131_072


class StreamHost(Protocol):
    """What a stream needs of the worker around it."""

    loop: asyncio.AbstractEventLoop
    write_timeout: float
    handshake_timeout: float

    def certificate(self) -> Certificate | None: ...
    def compression(self) -> DeflateLayer: ...


class Inbound(asyncio.Protocol):
    """Octets of one peer, in the clear, on their way to the session's task, which waits in `_read`."""

    __slots__ = (
        "_deadline",
        "_eof",
        "_host",
        "_incoming",
        "_incoming_size",
        "_lost",
        "_reader",
        "_reading",
        "_stopping",
        "_timer",
        "_timer_at",
        "_transport",
        "account_closed",
    )

    def __init__(self, host: StreamHost) -> None:
        self._host = host
        self._transport: asyncio.Transport | None = None
        self._incoming: list[bytes] = []
        self._incoming_size = 0
        self._reading = True
        self._reader: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._deadline = 0.0
        self._eof = False
        self._lost = False
        self._stopping = False
        self.account_closed: type[AccountClosed] | None = None
        """Why the session is told, when it waits for its peer, to end; what has come is not read any more."""

    @property
    def waits(self) -> bool:
        """The session waits for its peer."""
        return self._reader is not None

    def _flush(self) -> None:
        """Send what was written: who waits for the peer has said what he had to say."""
        raise NotImplementedError

    def _arrived(self, data: bytes) -> None:
        """Keep what has come."""
        self._incoming.append(data)
        self._incoming_size += len(data)
        if self._incoming_size > READ_HIGH and self._reading and self._transport is not None:
            self._transport.pause_reading()
            self._reading = False
        self._wake(None)

    async def _read(self, timeout: float) -> bytes:
        """The next octets from the peer, compressed or not."""
        self._flush()
        if self.account_closed is not None:
            raise self.account_closed
        while not self._incoming:
            if self._stopping and not self._lost:
                raise ServerStopping
            if self._lost:
                raise ConnectionLost
            if self._eof:
                return b""
            self._set_deadline(timeout)
            self._reader = self._host.loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._take()

    def _take(self) -> bytes:
        parts = self._incoming
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        if len(data) > READ_MAX:
            parts.append(data[READ_MAX:])
            data = data[:READ_MAX]
        self._incoming_size -= len(data)
        self._resume_reading()
        return data

    def _resume_reading(self) -> None:
        if not self._reading and self._incoming_size <= READ_HIGH and self._transport is not None:
            self._transport.resume_reading()
            self._reading = True

    def _wake(self, error: Exception | None) -> None:
        if self._reader is None or self._reader.done():
            return
        if error is None:
            self._reader.set_result(None)
        else:
            self._reader.set_exception(error)

    def _set_deadline(self, timeout: float) -> None:
        """The timer is left alone while it fires before the new deadline; it then looks again."""
        loop = self._host.loop
        self._deadline = loop.time() + timeout
        if self._timer is not None:
            if self._timer_at <= self._deadline:
                return
            self._timer.cancel()
        self._timer_at = self._deadline
        self._timer = loop.call_later(timeout, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._reader is None or self._reader.done():
            return
        left = self._deadline - self._host.loop.time()
        if left <= 0.001:
            self._wake(ReadTimeout())
        else:
            self._timer_at = self._deadline
            self._timer = self._host.loop.call_later(left, self._tick)
