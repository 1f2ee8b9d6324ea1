"""What a listener serves: its protocol, its TLS, what it says when it must turn a peer away.

A session is anything with `run()`; a factory makes one for a connection. The server knows no more of protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Protocol

from ..connection import Connection


class Wire(Enum):
    """The protocol spoken, whatever the listener."""

    IMAP = "imap"
    POP3 = "pop3"
    LMTP = "lmtp"


class Service(Enum):
    """A kind of listener. The value is its name on the command line and in the configuration."""

    IMAP = "imap"
    IMAPS = "imaps"
    POP3 = "pop3"
    POP3S = "pop3s"
    LMTP = "lmtp"

    @property
    def wire(self) -> Wire:
        return _WIRE[self]

    @property
    def implicit_tls(self) -> bool:
        """TLS from the first octet (RFC 8314 3)."""
        return self in (Service.IMAPS, Service.POP3S)

    @property
    def security(self) -> str:
        """What a person sets in a mail application."""
        if self.implicit_tls:
            return "SSL/TLS"
        return "STARTTLS"


_WIRE = {
    Service.IMAP: Wire.IMAP,
    Service.IMAPS: Wire.IMAP,
    Service.POP3: Wire.POP3,
    Service.POP3S: Wire.POP3,
    Service.LMTP: Wire.LMTP,
}

ALPN: Mapping[Wire, bytes] = {Wire.IMAP: b"imap", Wire.POP3: b"pop3"}
"""IANA's ALPN identifiers (RFC 7301). LMTP has none."""

TOO_MANY: Mapping[Wire, bytes] = {
    Wire.IMAP: b"* BYE [UNAVAILABLE] Too many connections, try again later.\r\n",
    Wire.POP3: b"-ERR [SYS/TEMP] Too many connections, try again later.\r\n",
    Wire.LMTP: b"421 4.3.2 Too many connections, try again later.\r\n",
}
"""Instead of a greeting (RFC 9051 7.1.5, RFC 3206 4, RFC 5321 3.8)."""


STOPPING: Mapping[Wire, bytes] = {
    Wire.IMAP: b"* BYE [UNAVAILABLE] The server is stopping.\r\n",
    Wire.POP3: b"-ERR [SYS/TEMP] The server is stopping.\r\n",
}
"""To somebody whose login is not waited for. LMTP has none."""


class Session(Protocol):
    """One connection's conversation. An exception that leaves `run` ends the connection and is logged."""

    async def run(self) -> None: ...


Factory = Callable[[Connection], Session]
Factories = Mapping[Wire, Factory]
