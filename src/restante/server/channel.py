"""One connection and whom it serves: its name in logs, limits and `restante status`; the account, and when it ends.

How octets come and go is `stream`'s.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Protocol, cast

from ..connection import AccountClosed
from ..store.directory import Opener
from .inbound import StreamHost
from .logs import Logger
from .services import Service
from .sockets import is_loopback
from .stream import Stream

OURS = frozenset({"at", "event", "id", "protocol", "rip"})
"""Fields of a line that no caller gives."""


class ChannelHost(StreamHost, Protocol):
    """What a channel needs of the worker around it."""

    log: Logger

    def now(self) -> float: ...
    def opened(self, channel: Channel) -> None: ...
    def closed(self, channel: Channel) -> None: ...
    def login(self, channel: Channel, account: str) -> None: ...
    def logout(self, channel: Channel) -> None: ...
    def expires(self, channel: Channel) -> None: ...


class Channel(Stream):
    """One peer. Implements `restante.connection.Connection`; made by the worker for an accepted socket."""

    __slots__ = (
        "_unlogged", "account", "account_checked", "account_id", "id", "loopback", "opener", "peer", "since", "task"
    )  # fmt: skip

    _host: ChannelHost

    def __init__(self, host: ChannelHost, service: Service, id: str, peer: str, since: float) -> None:
        """peer: address without port, "unix" for a Unix socket. since: instant, for `restante status`."""
        super().__init__(host, service)
        self.id = id
        self.peer = peer
        self.loopback = peer == "unix" or is_loopback(peer)
        self.since = since
        self.account: str | None = None
        self.account_id = ""
        self.account_checked = 0
        self.opener: Opener | None = None
        self.task: asyncio.Task[None] | None = None
        self._unlogged: tuple[str, dict[str, object]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._host.opened(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._host.closed(self)

    def log(self, event: str, **fields: object) -> None:
        if self._unlogged is not None:
            self._log_now()
        self._host.log.info(event, **self._line(fields))

    def log_behind(self, event: str, **fields: object) -> None:
        """As `log`, with the present instant, once the session waits for its peer: whom it answers need not wait for
        the line. It comes before any other of this connection."""
        if self._unlogged is not None:
            self._log_now()
        self._unlogged = event, {"at": self._host.now(), **self._line(fields)}
        self._host.loop.call_soon(self._log_now)

    def _log_now(self) -> None:
        """Write the line that waits, if it still does."""
        if self._unlogged is not None:
            (event, line), self._unlogged = self._unlogged, None
            self._host.log.info(event, **line)

    def _line(self, fields: Mapping[str, object]) -> dict[str, object]:
        """What a line of this connection has."""
        line: dict[str, object] = {"rip": self.peer, "id": self.id, "protocol": self.service.value}
        for name, value in fields.items():
            if name not in OURS:
                line[name] = value
        line.setdefault("account", self.account)
        return line

    def fault(self, error: BaseException) -> None:
        """Log an exception of ours with its traceback, under the id that the peer was told."""
        self._log_now()
        self._host.log.error(
            "internal error",
            rip=self.peer,
            id=self.id,
            protocol=self.service.value,
            account=self.account,
            fault=error,
        )

    def set_account(self, account: str, id: str = "", opener: Opener | None = None) -> None:
        self._host.login(self, account)
        self.account = account
        self.account_id = id
        self.account_checked = 0
        self.opener = opener
        if opener is not None and opener.expires is not None:
            self._host.expires(self)

    def clear_account(self) -> None:
        self._host.logout(self)
        self.account = None
        self.account_id = ""
        self.account_closed = None
        self.opener = None

    def end_account(self, why: type[AccountClosed]) -> None:
        """The account was closed, or what opened the session: it is told as soon as it waits for its peer."""
        self.account_closed = why
        self._wake(why())

    def tcp_info(self, octets: int) -> bytes:
        """The beginning of the kernel's struct tcp_info; zeros where the connection is lost."""
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        return (
            bytes(octets) if sock is None else cast(bytes, sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, octets))
        )

    def fall_silent(self, seconds: float) -> None:
        """The peer is gone without a word: let go of the connection, its session and what it holds."""
        self.log("peer silent", seconds=round(seconds, 1))
        self.abort()
