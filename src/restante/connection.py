"""The seam between protocol sessions and whatever carries their bytes.

A session (IMAP, POP3, LMTP) is written against `Connection` alone: it never sees a socket. The server's
channel implements it over uvloop; tests implement it in memory (`restante.testing.memory`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .store.directory import Opener


class ConnectionLost(Exception):
    """The peer went away, or was too slow to take what we wrote. Ends the session quietly."""


class ReadTimeout(Exception):
    """Nothing came within the time the session allowed."""


class ServerStopping(Exception):
    """The server is going down and no octets are waiting: say goodbye (BYE, 421) and end the session."""


class AccountClosed(Exception):
    """The account that is logged in was disabled or removed: say goodbye and end the session."""


class OpenerClosed(AccountClosed):
    """The account is open, but the password that opened the session was changed, revoked or has expired."""


class Connection(Protocol):
    """One peer's byte stream. Used by one task at a time."""

    id: str
    """Short id, shown in logs and told to the peer on an internal error."""
    peer: str
    """The peer's address without port ("127.0.0.1", "::1"; "unix" for a Unix socket)."""
    loopback: bool
    """The peer is this machine (127.0.0.0/8, ::1, a Unix socket)."""
    secure: bool
    """TLS is on."""
    tls_available: bool
    """STARTTLS/STLS can be offered: not secure yet and a certificate is loaded."""

    @property
    def compressed(self) -> bool:
        """Compression is on, both ways."""
        ...

    async def read(self, timeout: float) -> bytes:
        """The next octets as they arrive, at most 256 KiB; b"" once the peer closed its side.

        timeout: seconds. Raises ReadTimeout, ConnectionLost, ServerStopping (once what came before is read), and
        AccountClosed or OpenerClosed at once.
        """
        ...

    def write(self, data: bytes) -> None:
        """Queue octets for the peer. Never blocks; call `drain` after each batch of at most about 1 MB."""
        ...

    def send(self, data: bytes) -> bool:
        """As `write`, handed over at once. Whether the peer keeps up, so that `drain` need not be awaited now."""
        ...

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was written (back-pressure).

        Raises ConnectionLost when the peer is gone or has taken nothing for the configured time.
        """
        ...

    async def start_tls(self) -> None:
        """Upgrade to TLS. Octets already received and not yet read are thrown away before the handshake.

        The session must throw away what it has buffered itself. Raises ConnectionLost if the handshake fails.
        """
        ...

    def start_compression(self, said: bytes) -> None:
        """Write `said` as it is and compress all that follows, both ways (RFC 4978). Octets already received and
        not yet read are thrown away: nothing may be sent before `said` has been seen.

        Raises Refusal (TOO-MANY-COMPRESSED; nothing is written then), ConnectionLost.
        """
        ...

    def stop_compression(self, said: bytes) -> None:
        """Write `said` compressed and all that follows as it is. What the peer sent behind what was last read
        is taken for plain (RFC 8437 4.1). Raises ConnectionLost."""
        ...

    def channel_binding(self) -> bytes | None:
        """tls-server-end-point data of this connection (RFC 5929 4.1), None without TLS."""
        ...

    def log(self, event: str, **fields: object) -> None:
        """Log one event line with this connection's id, protocol, address (and account once known)."""
        ...

    def set_account(self, account: str, id: str = "", opener: Opener | None = None) -> None:
        """Tell logs, limits and `restante status` who this is. Raises Refusal (TOO-MANY-CONNECTIONS).

        account: its address. id: its id in the directory; should it be closed, `read` raises AccountClosed. opener:
        which of its credentials was used; should that open nothing any more, `read` raises OpenerClosed.
        """
        ...

    def clear_account(self) -> None:
        """Nobody is logged in any more."""
        ...
