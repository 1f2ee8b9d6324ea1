"""A `Connection` in memory: tests feed octets and look at what was written. No socket, no clock."""

from __future__ import annotations

import asyncio

from ..connection import AccountClosed, ConnectionLost, ReadTimeout
from ..store.directory import Opener


class MemoryConnection:
    """Implements `restante.connection.Connection`. `feed(data)` is the peer writing, `feed_eof()` its leaving;
    `written` is all the session sent, `take()` empties it; `started_tls` counts upgrades. Compression is noted only."""

    def __init__(self, *, loopback: bool = True, secure: bool = False, tls_available: bool = True) -> None:
        self.id = "test1"
        self.peer = "127.0.0.1" if loopback else "192.0.2.1"
        self.loopback = loopback
        self.secure = secure
        self.compressed = False
        self.tls_available = tls_available and not secure
        self.written = bytearray()
        self.events: list[tuple[str, dict[str, object]]] = []
        self.account: str | None = None
        self.started_tls = 0
        self.changed = asyncio.Event()
        self._incoming: list[bytes] = []
        self._arrived = asyncio.Event()
        self._eof = False
        self._closed: type[AccountClosed] | None = None

    def feed(self, data: bytes) -> None:
        self._incoming.append(data)
        self._arrived.set()

    def feed_eof(self) -> None:
        self._eof = True
        self._arrived.set()

    def end_account(self, why: type[AccountClosed] = AccountClosed) -> None:
        """As the server does once the account, or the credential that was used, has been closed."""
        self._closed = why
        self._arrived.set()

    def take(self) -> bytes:
        data = bytes(self.written)
        self.written.clear()
        return data

    async def read(self, timeout: float) -> bytes:
        while self._closed is not None or not self._incoming:
            if self._closed is not None:
                raise self._closed
            if self._eof:
                return b""
            self._arrived.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._arrived.wait()
            except TimeoutError:
                raise ReadTimeout from None
        data = b"".join(self._incoming)
        self._incoming.clear()
        return data

    def write(self, data: bytes) -> None:
        self.written += data
        self.changed.set()

    def send(self, data: bytes) -> bool:
        self.write(data)
        return False

    async def drain(self) -> None:
        await asyncio.sleep(0)  # lets the test's task look at what was written

    async def start_tls(self) -> None:
        if self._eof:
            raise ConnectionLost
        self._incoming.clear()
        self.secure, self.tls_available = True, False
        self.started_tls += 1

    def start_compression(self, said: bytes) -> None:
        self.write(said)
        self._incoming.clear()
        self.compressed = True

    def stop_compression(self, said: bytes) -> None:
        self.write(said)
        self.compressed = False

    def channel_binding(self) -> bytes | None:
        return b"\x01" * 32 if self.secure else None

    def log(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))

    def set_account(self, account: str, id: str = "", opener: Opener | None = None) -> None:
        self.account = account

    def clear_account(self) -> None:
        self.account = None
