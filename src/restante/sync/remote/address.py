"""Where a server is, how to get in, and the bounds that one copy keeps to. Values only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from ...values import Value


class RemoteAddress(Value, frozen=True):
    """An account on an IMAP server.

    security: "tls" from the first octet (993), "starttls" (143; nothing is said before it), "none": in the clear, which
    is for loopback, or for somebody who says `clear_text`. mechanism: "password" (the best that the server offers:
    SCRAM, PLAIN, LOGIN), "token" (OAUTHBEARER or XOAUTH2), or the name of one ("PLAIN", "LOGIN", "XOAUTH2" ...).
    trusted: a PEM file whose certificates are believed instead of the system's. tunnel: a command and its arguments
    that speaks IMAP on its standard input and output (`ssh host imap`), in place of a connection.
    """

    host: str
    port: int
    security: Literal["tls", "starttls", "none"]
    user: str
    mechanism: str = "password"
    clear_text: bool = False
    trusted: str | None = None
    tunnel: tuple[str, ...] = ()

    @property
    def sign(self) -> str:
        """Whose account it is (`side.Signed`)."""
        return f"{self.host.lower().rstrip('.')} as {self.user}"


class Secret(Protocol):
    """Gives the password or token, as late as it is needed. Asked once more with `refused` after a failure: what was
    given is wrong or has expired; to give the same again is to give up."""

    def __call__(self, *, refused: bool = False) -> str | Awaitable[str]: ...


class Settings(Value, frozen=True):
    """Bounds. Seconds and octets."""

    connections: int = 3
    """Used side by side for downloads; fewer where the server refuses."""
    watchers: int = 3
    """Mailboxes that get a connection of their own while waiting, on a server without NOTIFY."""
    connect: float = 30.0
    """Until a connection stands, TLS included."""
    silence: float = 60.0
    """Without an octet from a server that owes an answer (and without it taking any from us)."""
    stalled: float = 1_800.0
    """In which a server that owes an answer says only what is none of it ("* OK Still here")."""
    useless: int = 100_000
    """Lines of that kind one after the other."""
    told: int = 4 << 30
    """Octets between the ends of two commands: no command here asks for as many."""
    patience: float = 60.0
    """In all, for a server that says it is busy."""
    poll: float = 60.0
    """Between looks at mailboxes that have no connection of their own while waiting."""
    renew: float = 1_680.0
    """IDLE is begun anew so often: a server may log out who is silent for 30 minutes (RFC 2177 3)."""
    rate: int | None = None
    """Octets a second, both directions and all connections together; None: no cap."""
    compress: bool | None = None
    """COMPRESS=DEFLATE where it is offered; None: but not on loopback, where octets cost nothing."""
    largest: int = 512 << 20
    """A message larger than this is left where it is."""
    piece: int = 1 << 20
    """Messages larger than this come in pieces, one message at a time."""
    in_flight: int = 16 << 20
    """Octets of messages that were read and not yet taken by the caller, of all connections together."""
    without: frozenset[str] = frozenset()
    """Capabilities not to be used though they are offered: for servers whose form of one is broken, and for tests."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """How to wait for a busy server."""
