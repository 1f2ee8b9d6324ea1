"""A few IMAP commands over a blocking socket: log in as the last time, ask the same, say goodbye.

No event loop and no grammar: whatever is not the plain course of things is `Unusual`, and a whole run sees to it. The
password is said no earlier than there: after the certificate was checked, and only where the server offers the very
ways to log in that it offered when this one was chosen. Where all went its way and the answers are others, the whole
run goes on with the connection (`hand_over`). RFC 9051, RFC 4978, RFC 4959.
"""

from __future__ import annotations

import _socket

TYPE_CHECKING = False  # see `cli.entry`
if TYPE_CHECKING:
    import zlib
    from collections.abc import Callable, Sequence

    from ..exchange import Exchange
    from ..handed import Handed
    from .secured import Secured

CONNECT = 5.0
"""Seconds until a connection stands: a whole run waits longer."""

SILENCE = 10.0
"""Seconds without an octet."""

MOST = 16 << 20
"""Octets taken in all."""

SYNC_FLUSH = 2
"""zlib's, which is loaded where it is needed."""

GREETING, CAPABILITY, ENABLED = b"", b"CAPABILITY", b"ENABLED"

COUNTED = (b"LIST", b"LSUB", b"STATUS", b"NAMESPACE")
"""Answers that a look at the mailboxes goes by (`remote.look`)."""


class Unusual(Exception):
    """Something that only a whole run can make sense of."""


class Line:
    """One connection. Every method raises Unusual or OSError."""

    def __init__(self, host: str, port: int, *, tls: bool, trusted: str | None) -> None:
        self._socket = _connected(host, port)
        self._tls: Secured | None = None
        try:
            self._socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            if tls:
                from .secured import Secured

                self._tls = Secured(self._socket, host, trusted)
            self._socket.settimeout(SILENCE)
        except BaseException:
            self._socket.close()
            raise
        self._told: dict[bytes, bytes] = {}
        """Lines that say what the server is and can do, the last of each kind."""
        self._leaving = False
        self._buffer = b""
        self._at = 0
        self._taken = 0
        self._out: zlib._Compress | None = None
        self._in: zlib._Decompress | None = None
        self._number = 0

    def close(self) -> None:
        self._socket.close()

    def leave(self) -> None:
        """Say goodbye, and wait for no answer: all that was asked has been answered."""
        self._begin([b"LOGOUT"])
        self._socket.close()

    def hand_over(self) -> Handed | None:
        """The connection, of which this lets go, for somebody who goes on with it; None where that cannot be."""
        if self._leaving or self._at < len(self._buffer):
            return None
        if self._in is not None and (self._in.eof or self._in.unconsumed_tail):
            return None
        from ..handed import Handed

        lines = b"".join(line + b"\r\n" for line in self._told.values())
        return Handed(self._socket.detach(), self._tls, self._out, self._in, lines)

    def greeting(self) -> list[str]:
        """Hear it; what the server offers, sorted, asked for where it does not say."""
        line = self._line()
        if line[:5].upper() != b"* OK ":
            raise Unusual
        self._told[GREETING] = line
        offers = _offers(line)
        if offers is None:
            offers = self._capability()
        return offers

    def _capability(self) -> list[str]:
        lines, _ = self.ask([b"CAPABILITY"])
        for line in lines:
            if line[:13].upper() == b"* CAPABILITY ":
                return _sorted(line[13:])
        raise Unusual

    def login(self, user: str, password: str) -> None:
        """LOGIN, with both as quoted strings."""
        quoted = []
        for text in (user, password):
            if not (text.isascii() and text.isprintable()):
                raise Unusual
            quoted.append('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
        self._told.pop(CAPABILITY, None)  # what is offered from now on it has to say anew
        self._accepted(self._begin([f"LOGIN {quoted[0]} {quoted[1]}".encode("ascii")]))

    def authenticate(self, mechanism: str, exchange: Exchange, *, at_once: bool) -> None:
        """AUTHENTICATE. at_once: what is said first goes in the command (SASL-IR)."""
        from binascii import a2b_base64, b2a_base64

        self._told.pop(CAPABILITY, None)
        first = b2a_base64(next(exchange), newline=False)
        command = f"AUTHENTICATE {mechanism}".encode("ascii")
        tags = self._begin([command + b" " + (first or b"=") if at_once else command])

        def reply(challenge: bytes) -> bytes:
            nonlocal first, at_once
            if not at_once:
                at_once = True
                return first
            try:
                return b2a_base64(exchange.send(a2b_base64(challenge)), newline=False)
            except _faults() as error:
                raise Unusual from error

        self._accepted(tags, reply)
        if mechanism.startswith("SCRAM"):
            _proved(exchange)

    def compress(self) -> None:
        """Ask for COMPRESS=DEFLATE, and begin it."""
        self._accepted(self._begin([b"COMPRESS DEFLATE"]))
        import zlib

        self._out = zlib.compressobj(6, zlib.DEFLATED, -15)
        self._in = zlib.decompressobj(-15)
        rest, self._buffer, self._at = self._buffer[self._at :], b"", 0
        self._take(rest)

    def ask(self, commands: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Send commands at once; all untagged lines, and the word that ends each command."""
        return self._answers(self._begin(commands))

    def _accepted(self, tags: list[bytes], reply: Callable[[bytes], bytes] | None = None) -> None:
        if self._answers(tags, reply)[1] != [b"OK"]:
            raise Unusual

    # Octets --------------------------------------------------------------------------------------------

    def _begin(self, commands: Sequence[bytes]) -> list[bytes]:
        tags = []
        lines = []
        for command in commands:
            self._number += 1
            tags.append(b"q%d" % self._number)
            lines.append(tags[-1] + b" " + command + b"\r\n")
        self._send(b"".join(lines))
        return tags

    def _send(self, data: bytes) -> None:
        if self._out is not None:
            data = self._out.compress(data) + self._out.flush(SYNC_FLUSH)
        (self._tls or self._socket).sendall(data)

    def _answers(
        self, tags: list[bytes], reply: Callable[[bytes], bytes] | None = None
    ) -> tuple[list[bytes], list[bytes]]:
        untagged: list[bytes] = []
        words: list[bytes] = []
        while len(words) < len(tags):
            line = self._line()
            if line.startswith(b"* "):
                self._note(line)
                untagged.append(line)
            elif line.startswith(b"+") and reply is not None:
                self._send(reply(line[1:].strip()) + b"\r\n")
            else:
                tag, _, rest = line.partition(b" ")
                if tag != tags[len(words)]:
                    raise Unusual
                words.append(rest.partition(b" ")[0].upper())
                self._note_code(rest)
        if self._leaving and words[-1:] != [b"OK"]:
            raise Unusual
        return untagged, words

    def _note(self, line: bytes) -> None:
        word = line[2:].partition(b" ")[0].upper()
        if word == b"BYE":
            self._leaving = True
        elif word in (CAPABILITY, ENABLED):
            self._told[word] = line
        elif word == b"OK":
            self._note_code(line[2:])

    def _note_code(self, text: bytes) -> None:
        """What a status says in brackets, where that is what the server can do."""
        offers = _bracketed(text.partition(b" ")[2])
        if offers is not None:
            self._told[CAPABILITY] = b"* CAPABILITY " + offers

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            data = (self._tls or self._socket).recv(65_536)
            if not data:
                raise Unusual
            self._take(data)
        line, self._at = self._buffer[self._at : end].rstrip(b"\r"), end + 1
        if line.endswith(b"}"):
            raise Unusual  # a literal follows
        return line

    def _take(self, data: bytes) -> None:
        if self._in is not None:
            import zlib

            try:
                data = self._in.decompress(data, MOST)
            except zlib.error as error:
                raise Unusual from error
        self._taken += len(data)
        if self._taken >= MOST:
            raise Unusual
        self._buffer, self._at = self._buffer[self._at :] + data, 0


def _faults() -> tuple[type[Exception], ...]:
    """What an exchange may raise: asked when it has raised, so that what goes well does not load it."""
    from ...sasl.errors import SaslFault

    return StopIteration, ValueError, SaslFault


def _proved(exchange: Exchange) -> None:
    """A SCRAM server that says OK without having shown that it knows the password is another one."""
    try:
        exchange.send(b"")
    except StopIteration:
        return
    except _faults() as error:
        raise Unusual from error
    raise Unusual


def _connected(host: str, port: int) -> _socket.socket:
    """To the first of its addresses that answers."""
    failed: OSError | None = None
    name = host.encode("ascii") if host.isascii() else host  # octets are not looked at as an international name
    for family, kind, protocol, _, address in _socket.getaddrinfo(name, port, type=_socket.SOCK_STREAM):
        found = _socket.socket(family, kind | _socket.SOCK_CLOEXEC, protocol)
        try:
            found.settimeout(CONNECT)
            found.connect(address)
            return found
        except OSError as error:
            found.close()
            failed = error
    raise failed or Unusual


def _offers(greeting: bytes) -> list[str] | None:
    words = _bracketed(greeting[5:])
    return None if words is None else _sorted(words)


def _bracketed(text: bytes) -> bytes | None:
    """The words of a CAPABILITY code that a status begins with."""
    head, bracket, _ = text.partition(b"]")
    return head[12:] if bracket and head[:12].upper() == b"[CAPABILITY " else None


def _sorted(words: bytes) -> list[str]:
    return sorted({word.decode("latin-1").upper() for word in words.split()})


def counted(lines: Sequence[bytes]) -> list[str]:
    """The answers that count, in an order of their own; the server's may be any."""
    found = []
    for line in lines:
        word, _, text = line[2:].partition(b" ")
        if word.upper() in COUNTED:
            found.append(f"{word.upper().decode('latin-1')} {text.decode('latin-1')}")
    return sorted(found)
