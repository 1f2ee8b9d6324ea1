"""One side of a TLS connection as a sans-IO machine: cipher octets in, plain octets out, and back.

The channel owns the socket; this owns the TLS state, over memory BIOs. Once TLS has ended (close_notify, an
error, a truncated stream) no octet that follows is handed out: what comes after the end of TLS is not ours
to read. A client that offers ALPN must offer our protocol (RFC 7301 3.2), so that a connection meant for
another protocol's server is not answered here; OpenSSL's Python face would let such a client pass, so the
ClientHello is looked at first.
"""

from __future__ import annotations

import ssl
from enum import Enum

_READ = 65_536
_MAX_HELLO = 16_384 + 5
_NO_APPLICATION_PROTOCOL = b"\x15\x03\x03\x00\x02\x02\x78"  # fatal alert 120, RFC 7301 3.2


class Hello(Enum):
    """What is known of a ClientHello's ALPN."""

    INCOMPLETE = "incomplete"
    ACCEPTABLE = "acceptable"
    FOREIGN = "foreign"


def check_hello(data: bytes, ours: bytes | None) -> Hello:
    """Whether the first record holds a ClientHello that offers ALPN without `ours`.

    Anything that is no complete, single-record ClientHello is ACCEPTABLE: OpenSSL judges it. A hello spread
    over several records passes unseen; no known client does that. Linear in its at most 16 KiB.
    RFC 8446 4.1.2, RFC 7301 3.1.
    """
    if len(data) < 5:
        return Hello.INCOMPLETE if data[:1] in (b"", b"\x16") else Hello.ACCEPTABLE
    length = int.from_bytes(data[3:5], "big")
    if data[0] != 0x16 or length + 5 > _MAX_HELLO:
        return Hello.ACCEPTABLE
    if len(data) < length + 5:
        return Hello.INCOMPLETE
    names = _offered(data[5 : 5 + length])
    return Hello.FOREIGN if names and ours not in names else Hello.ACCEPTABLE


def _offered(hello: bytes) -> list[bytes]:
    """ALPN names in a ClientHello handshake message; none if it has no such extension or is malformed."""
    if hello[:1] != b"\x01":
        return []
    at = 4 + 2 + 32
    at += 1 + int.from_bytes(hello[at : at + 1], "big")  # session id
    at += 2 + int.from_bytes(hello[at : at + 2], "big")  # cipher suites
    at += 1 + int.from_bytes(hello[at : at + 1], "big")  # compression methods
    end = at + 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 2
    while at + 4 <= min(end, len(hello)):
        kind = int.from_bytes(hello[at : at + 2], "big")
        size = int.from_bytes(hello[at + 2 : at + 4], "big")
        if kind == 16:
            return _names(hello[at + 6 : at + 4 + size])
        at += 4 + size
    return []


def _names(raw: bytes) -> list[bytes]:
    names, at = [], 0
    while at < len(raw):
        names.append(raw[at + 1 : at + 1 + raw[at]])
        at += 1 + raw[at]
    return names


class TlsFailed(Exception):
    """The handshake or a record was refused; the connection cannot go on."""


class TlsLayer:
    """The server's side. `outgoing()` gives what must be sent after every call."""

    __slots__ = ("_alpn", "_hello", "_in", "_object", "_out", "ended", "established")

    def __init__(self, context: ssl.SSLContext, alpn: bytes | None) -> None:
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._in, self._out, server_side=True)
        self._alpn = alpn
        self._hello: bytes | None = b""
        self.established = False
        self.ended = False

    @property
    def version(self) -> str:
        return self._object.version() or ""

    def receive(self, data: bytes) -> bytes:
        """Plain octets that came with these cipher octets. Raises TlsFailed; sets `established`, `ended`."""
        if self.ended:
            return b""
        if self._hello is not None:
            self._hello += data
            verdict = check_hello(self._hello, self._alpn)
            if verdict is Hello.INCOMPLETE:
                return b""
            data, self._hello = self._hello, None
            if verdict is Hello.FOREIGN:
                self.ended = True
                self._out.write(_NO_APPLICATION_PROTOCOL)
                raise TlsFailed("the client offered other protocols only (ALPN)")
        self._in.write(data)
        try:
            if not self.established:
                self._object.do_handshake()
                self.established = True
            return self._read()
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            self.ended = True
            raise TlsFailed(error.reason or "broken record") from error

    def _read(self) -> bytes:
        parts = []
        try:
            while True:
                part = self._object.read(_READ)
                if not part:
                    self.ended = True
                    break
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self.ended = True
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def encrypt(self, data: bytes) -> None:
        """Turn plain octets into records, to be fetched with `outgoing`. Raises TlsFailed after the end."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._object.write(view) :]
        except ssl.SSLError as error:
            self.ended = True
            raise TlsFailed(error.reason or "cannot write") from error

    def finish(self) -> None:
        """Say close_notify, if the handshake was done and nothing is broken."""
        if not self.established:
            return
        try:
            self._object.unwrap()
        except ssl.SSLError:
            pass  # the peer's own close_notify need not be awaited (RFC 8446 6.1)

    def outgoing(self) -> bytes:
        return self._out.read() if self._out.pending else b""
