"""What a command waiting for its end may hold, and what becomes of a literal that is refused.

Memory by many literals or parser states (CVE-2024-34055, CVE-2025-61600), `NOOP (((` (CVE-2026-27857, -42006), data
of a refused {n+} literal read as commands.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.testing.server import RestanteServer

from .support import Peer, imap_in, still_serves

CONNECTIONS = 60
MOST = 64 << 20
"""Octets that the process may grow by meanwhile: a megabyte a connection, and then some for the allocator."""


def resident() -> int:
    """Octets of memory this process has (the server runs in it)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def push(peer: Peer, data: bytes) -> None:
    try:
        peer.send(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


WAITING = {
    "parentheses": b"t NOOP " + b"(" * 1_000_000,
    "search-parentheses": b"t SEARCH " + b"(" * 1_000_000,
    "fetch-parentheses": b"t FETCH 1 " + b"((" * 500_000,
    "list-parentheses": b"t LIST (" + b"(" * 1_000_000,
    "id-strings": b"t ID (" + b'"a" "b" ' * 125_000,
    "quotes": b't LOGIN "' + b'\\"' * 500_000,
    "literals": b"t LOGIN " + b"{0+}\r\n" * 200_000,
    "full-literals": b"t LOGIN " + (b"{4096+}\r\n" + b"x" * 4_096) * 250,
    "id-literals": b"t ID (" + (b"{100+}\r\n" + b"x" * 100 + b" ") * 10_000,
    "set": b"t FETCH " + b"1," * 500_000,
}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="/proc is needed to see memory")
@pytest.mark.parametrize("name", WAITING)
def test_imap_a_command_that_never_ends_holds_little(server: RestanteServer, name: str) -> None:
    peers = [Peer(server.imap) for _ in range(CONNECTIONS)]
    before = resident()
    for peer in peers:
        push(peer, WAITING[name])
    still_serves(server)
    grown = resident() - before
    for peer in peers:
        peer.sock.close()
    assert grown < MOST, f"{grown >> 20} MiB for {CONNECTIONS} connections"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="/proc is needed to see memory")
@pytest.mark.parametrize("protocol", ["pop3", "lmtp"])
def test_a_line_that_never_ends_holds_little(server: RestanteServer, protocol: str) -> None:
    peers = [Peer(server.pop3 if protocol == "pop3" else server.lmtp) for _ in range(CONNECTIONS)]
    before = resident()
    for peer in peers:
        push(peer, b"AUTH PLAIN " + b"A" * 1_000_000 if protocol == "pop3" else b"MAIL FROM:<" + b"(" * 1_000_000)
    still_serves(server)
    grown = resident() - before
    for peer in peers:
        peer.sock.close()
    assert grown < MOST, f"{grown >> 20} MiB for {CONNECTIONS} connections"


@pytest.mark.parametrize(
    "command",
    [b"NOOP", b"LOGIN", b"SEARCH", b"SELECT", b"LIST", b"ID (", b"FETCH 1 BODY[HEADER.FIELDS (", b"APPEND nowhere"],
)
@pytest.mark.parametrize("inside", [False, True], ids=["before-login", "after-login"])
def test_imap_a_thousand_literals_are_one_answer(server: RestanteServer, command: bytes, inside: bool) -> None:
    with imap_in(server) if inside else Peer(server.imap) as peer:
        push(peer, b"t " + command + b" {1+}\r\nx" * 1_000 + b"\r\nu NOOP\r\n")
        push(peer, b"v LOGOUT\r\n")
        got = peer.rest()
        assert b"t OK" not in got
        assert b"x OK" not in got
        assert got.count(b"BAD") + got.count(b"NO ") <= 2


INJECTED = b"".join(b"x%d NOOP\r\n" % n for n in range(1_000))


def refused_literals(size: int) -> list[bytes]:
    return [
        b"LOGIN {%d+}\r\n" % size,
        b"LOGIN a {%d+}\r\n" % size,
        b"NOOP {%d+}\r\n" % size,
        b"FOO {%d+}\r\n" % size,
        b"CREATE {%d+}\r\n" % size,
        b"SEARCH SUBJECT {%d+}\r\n" % size,
        b"SELECT ~{%d+}\r\n" % size,
        b"AUTHENTICATE {%d+}\r\n" % size,
        b"STATUS INBOX {%d+}\r\n" % size,
        b"LOGIN \0 {%d+}\r\n" % size,
        b"LOGIN " + b"y" * 70_000 + b" {%d+}\r\n" % size,
        b"APPEND nosuchmailbox {%d+}\r\n" % size,
        b'APPEND "INBOX {%d+}\r\n' % size,
        b"APPEND INBOX {1+}\r\ny {%d+}\r\n" % size,
        b"APPEND INBOX CATENATE (TEXT {%d+}\r\n" % size,
        b"REPLACE 1 INBOX {%d+}\r\n" % size,
    ]


@pytest.mark.parametrize("number", range(len(refused_literals(0))))
@pytest.mark.parametrize("inside", [False, True], ids=["before-login", "after-login"])
@pytest.mark.parametrize("announced", ["its-size", "more"])
def test_imap_data_of_a_refused_literal_is_never_read_as_commands(
    server: RestanteServer, number: int, inside: bool, announced: str
) -> None:
    size = len(INJECTED) if announced == "its-size" else 1 << 40
    with imap_in(server) if inside else Peer(server.imap) as peer:
        push(peer, b"t " + refused_literals(size)[number] + INJECTED)
        if announced == "its-size":
            push(peer, b"\r\nz LOGOUT\r\n")
        else:
            peer.end_writing()  # what was announced never comes: the server has read all there is when it hangs up
        got = peer.rest()
        assert b"x" not in b"".join(line[:1] for line in got.splitlines())
        assert b"t OK" not in got
