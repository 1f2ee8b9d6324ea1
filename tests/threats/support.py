"""A peer that says what it likes: raw octets over TCP, TLS whose end it controls, and a server that keeps its log."""

from __future__ import annotations

import base64
import io
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from restante.config.model import Config
from restante.testing.server import RestanteServer

ANN, BOB = "ann@threat.example", "bob@threat.example"
SECRET = {ANN: "ann's secret", BOB: "bob's secret"}
PATIENCE = 60.0
"""Longest wait for anything, on however busy a machine; never slept through."""


def config(**tables: dict[str, Any]) -> Config:
    """Cheap passwords, no delays; tables: what to set besides."""
    auth = {"argon2_memory": 1 << 20, "argon2_time": 1, "delay_first": 0.0, "delay_most": 0.0}
    auth.update(tables.pop("auth", {}))
    return msgspec.convert({"auth": auth, **tables}, Config)


@contextmanager
def serving(data: Path, settings: Config | None = None) -> Iterator[tuple[RestanteServer, io.StringIO]]:
    """A server with two accounts, and its log."""
    log = io.StringIO()
    with RestanteServer(data, settings or config(), log=log) as server:
        for address, password in SECRET.items():
            server.add_account(address, password)
        yield server, log


class Peer:
    """One connection. `tls` begins TLS; `end_tls` says close_notify and goes on in the clear."""

    def __init__(self, port: int, *, tls: bool = False) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_in_tls = False
        self._buffer = b""
        self._tls: ssl.SSLObject | None = None
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        if tls:
            self.tls()
        self.greeting = self.line()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        if self._tls is not None:
            self._tls.write(data)
            data = self._out.read()
        self.sock.sendall(data)

    def end_writing(self) -> None:
        """Nothing more comes from here; the other side may have hung up already."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def tls(self) -> None:
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE  # the certificate is looked at elsewhere
        self._buffer = b""
        self._tls = trust.wrap_bio(self._in, self._out)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.sock.sendall(self._out.read())
                self._in.write(self._receive())
            else:
                self.sock.sendall(self._out.read())
                return

    def end_tls(self) -> None:
        """close_notify, without waiting for the answer; what is sent next is plain."""
        assert self._tls is not None
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # the other side's close_notify has not come: nothing to wait for
        self.sock.sendall(self._out.read())
        self._tls = None

    @property
    def certificate(self) -> bytes:
        assert self._tls is not None
        found = self._tls.getpeercert(binary_form=True)
        assert found is not None
        return found

    def _receive(self) -> bytes:
        data = self.sock.recv(1 << 18)
        if not data:
            raise EOFError
        return data

    def _more(self) -> None:
        if self._tls is None:
            self._buffer += self._receive()
            return
        while True:
            try:
                data = self._tls.read(1 << 18)
            except ssl.SSLWantReadError:
                self._in.write(self._receive())
            else:
                if not data:
                    raise EOFError
                self._buffer += data
                return

    def line(self) -> bytes:
        """The next line with its end. Raises EOFError."""
        while (end := self._buffer.find(b"\n")) < 0:
            self._more()
        line, self._buffer = self._buffer[: end + 1], self._buffer[end + 1 :]
        return line

    def octets(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def rest(self) -> bytes:
        """All until the other side closes."""
        try:
            while True:
                self._more()
        except (EOFError, ConnectionResetError, ssl.SSLError):
            data, self._buffer = self._buffer, b""
            return data

    def ask(self, line: bytes) -> bytes:
        """Send a command line; the next line of answer (POP3, LMTP)."""
        self.send(line + b"\r\n")
        return self.line()

    def imap(self, command: bytes, tag: bytes = b"t") -> bytes:
        """Send a command; everything up to its tagged answer, literals among it."""
        self.send(tag + b" " + command + b"\r\n")
        return self.until(tag)

    def until(self, tag: bytes) -> bytes:
        """Everything up to the answer with this tag; a continuation request ends it too."""
        got = b""
        while True:
            line = self.line()
            got += line
            if line.startswith((tag + b" ", b"+ ")):
                return got
            if line.endswith(b"}\r\n"):
                got += self.octets(int(line[line.rindex(b"{") + 1 : -3]))

    def multiline(self, line: bytes) -> bytes:
        """A POP3 command with an answer of many lines: what stands between its first line and the last."""
        first = self.ask(line)
        assert first.startswith(b"+OK"), first
        got = b""
        while not got.endswith(b"\r\n.\r\n") and got != b".\r\n":
            got += self.line()
        body = b"\r\n" + got[:-3]
        return body.replace(b"\r\n..", b"\r\n.")[2:]

    def lhlo(self) -> list[bytes]:
        self.send(b"LHLO client.example\r\n")
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        return lines


def imap_in(server: RestanteServer, address: str = ANN, **options: Any) -> Peer:
    """A logged-in IMAP connection."""
    peer = Peer(server.imap, **options)
    assert b"t OK" in peer.imap(b'LOGIN %b "%b"' % (address.encode(), SECRET[address].encode()))
    return peer


def pop3_in(server: RestanteServer, address: str = ANN) -> Peer:
    peer = Peer(server.pop3)
    assert peer.ask(b"USER " + address.encode()).startswith(b"+OK")
    assert peer.ask(b"PASS " + SECRET[address].encode()).startswith(b"+OK")
    return peer


def lmtp_to(server: RestanteServer, address: str = ANN) -> Peer:
    """An LMTP connection with one recipient taken, ready for DATA or BDAT."""
    peer = Peer(server.lmtp)
    peer.lhlo()
    assert peer.ask(b"MAIL FROM:<a@sender.example>").startswith(b"250")
    assert peer.ask(b"RCPT TO:<%b>" % address.encode()).startswith(b"250")
    return peer


def plain(user: bytes, password: bytes) -> bytes:
    return base64.b64encode(b"\0" + user + b"\0" + password)


def still_serves(server: RestanteServer) -> None:
    """Others are unhurt: both protocols let the right owner in, LMTP says hello."""
    imap_in(server).sock.close()
    with pop3_in(server) as peer:
        assert peer.ask(b"QUIT").startswith(b"+OK")
    with Peer(server.lmtp) as peer:
        assert peer.lhlo()[-1].startswith(b"250 ")
