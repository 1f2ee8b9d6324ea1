"""TLS over a blocking socket. Between octets and socket stand two buffers, not the library's own socket: so an event
loop can go on with the connection (`remote.adopted`), which it could not with a socket that TLS was made of."""

from __future__ import annotations

import ssl

from ...errors import Refusal
from ..tls import client_context
from .line import Unusual

TYPE_CHECKING = False  # see `cli.entry`
if TYPE_CHECKING:
    import _socket

PIECE = 65_536


class Secured:
    """One connection: `sendall` and `recv` as a socket has them. object: TLS itself. into: octets as they come. out: as
    they go. Raises Unusual, OSError (also for a certificate that is not trusted)."""

    def __init__(self, plain: _socket.socket, host: str, trusted: str | None) -> None:
        try:
            context = client_context(trusted, Refusal)
        except Refusal as refusal:
            raise Unusual from refusal
        context.set_alpn_protocols(["imap"])
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.into, self.out, server_hostname=host)
        self._plain = plain
        while True:
            try:
                self.object.do_handshake()
            except ssl.SSLWantReadError:
                if not self._more():
                    raise Unusual from None
            else:
                break
        self._flush()

    def sendall(self, data: bytes) -> None:
        self.object.write(data)  # all of it: the buffer has no end
        self._flush()

    def recv(self, size: int) -> bytes:
        """Some octets; none at the end."""
        while True:
            try:
                return self.object.read(size)
            except ssl.SSLWantReadError:
                if not self._more():
                    return b""
            except ssl.SSLZeroReturnError:
                return b""

    def _flush(self) -> None:
        if self.out.pending:
            self._plain.sendall(self.out.read())

    def _more(self) -> bool:
        """Send what has to be sent, and wait for what comes; False at the end."""
        self._flush()
        data = self._plain.recv(PIECE)
        self.into.write(data)
        return bool(data)
