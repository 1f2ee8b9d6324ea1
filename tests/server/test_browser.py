"""A web page that has its reader's browser POST to our ports: nothing in it is done."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.server.browser import is_http_request
from restante.testing.server import RestanteServer

ANN = "ann@example.org"
PAGE = (
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Browser/1.0\r\nContent-Type: text/plain;charset=UTF-8\r\n"
    b"Content-Length: 300\r\nOrigin: http://page.example\r\n\r\n"
)
SAID = {
    "imap": b"a LOGIN ann@example.org secret\r\nb CREATE Page\r\nc LOGOUT\r\n",
    "imaps": b"a LOGIN ann@example.org secret\r\nb CREATE Page\r\nc LOGOUT\r\n",
    "pop3": b"USER ann@example.org\r\nPASS secret\r\nDELE 1\r\nQUIT\r\n",
    "lmtp": b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\nSubject: page\r\n\r\n.\r\nQUIT\r\n",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestanteServer]:
    with RestanteServer(tmp_path / "data") as server:
        server.add_account(ANN, "secret")
        server.put(ANN, b"Subject: mine\r\n\r\n")
        yield server


def connected(server: RestanteServer, service: str) -> socket.socket:
    sock = socket.create_connection((server.host, getattr(server, service)), timeout=20)
    if service != "imaps":
        return sock
    context = ssl.create_default_context(cafile=server.certificate)
    return context.wrap_socket(sock, server_hostname="localhost")


def heard(sock: socket.socket) -> bytes:
    """All that is said until the other side closes. A reset is an end too: what came was not read."""
    got = b""
    try:
        while data := sock.recv(65536):
            got += data
    except (ConnectionError, ssl.SSLError):
        pass
    return got


@pytest.mark.parametrize("method", [b"POST", b"FOO", b"USER", b"M" * 70_000])
@pytest.mark.parametrize("service", SAID)
def test_a_page_is_not_served(server: RestanteServer, service: str, method: bytes) -> None:
    with connected(server, service) as sock:
        with contextlib.suppress(OSError):  # it has been closed by then
            sock.sendall(method + PAGE.removeprefix(b"POST") + SAID[service])
        assert heard(sock).count(b"\r\n") <= 1  # the greeting
    assert [mail.data for mail in server.mail(ANN)] == [b"Subject: mine\r\n\r\n"]
    assert "Page" not in server.mailboxes(ANN)


def test_methods_are_tags_like_others(server: RestanteServer) -> None:
    with connected(server, "imap") as sock:
        sock.sendall(b"POST NOOP\r\nGET LOGOUT\r\n")
        said = heard(sock)
    assert b"\r\nPOST OK " in said
    assert b"\r\nGET OK " in said


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (b"GET / HTTP/1.1\r\n", True),
        (b"GET /" + b"a" * 70_000, True),  # a line longer than is read as one
        (b"HEAD http://127.0.0.1/ HTTP/1.1\r\n", True),
        (b"OPTIONS * HTTP/1.1\r\n", True),
        (b"PROPFIND / HTTP/1.1\r\n", True),  # of a page whose server's name leads here
        (b"x-any+word / HTTP/1.1\r\n", True),
        (b"A" * 70_000 + b" / HTTP/1.1\r\n", True),
        (b" / HTTP/1.1\r\n", True),  # the method came before
        (b"A" * 70_000 + b"\r\n", False),
        (b"user / HTTP/1.1\r\n", True),
        (b"PASS /" + b"a" * 70_000, True),
        (b"USER /c=de/a=mail@example.org\r\n", False),
        (b"A0001 LOGIN {5}\r\n", False),
        (b"a" * 40 + b" CAPABILITY\r\n", False),
        (b"LHLO relay.example.org\r\n", False),
        (b"GET NOOP\r\n", False),
        (b"POST LOGIN /a /b\r\n", False),
        (b"DELETE CREATE /a\r\n", False),
        (b"PASS /secret\r\n", False),
        (b"a GET / HTTP/1.1\r\n", False),
        (b"", False),
    ],
)
def test_how_a_request_begins(first: bytes, expected: bool) -> None:
    assert is_http_request(first) is expected
