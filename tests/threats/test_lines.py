"""Every line has a limit, before login a small one; exchanges out of order are refused (CVE-2019-16928, 2023-42115)."""

from __future__ import annotations

import base64

import pytest

from restante.testing.server import RestanteServer

from .support import ANN, SECRET, Peer, imap_in, pop3_in, still_serves

FLOOD = 3_000_000
OWNER, PASSWORD = ANN.encode(), SECRET[ANN].encode()


def flood(peer: Peer, octet: bytes = b"A") -> None:
    """Octets without an end of line, until all are sent or the other side has had enough."""
    piece = octet * 65_536
    try:
        for _ in range(FLOOD // len(piece)):
            peer.send(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass


@pytest.mark.parametrize("start", [b"", b"t LOGIN ", b't LOGIN "', b"t AUTHENTICATE PLAIN ", b"t NOOP ("])
@pytest.mark.parametrize("inside", [False, True], ids=["before-login", "after-login"])
def test_imap_a_line_without_end_is_refused(server: RestanteServer, start: bytes, inside: bool) -> None:
    with imap_in(server) if inside else Peer(server.imap) as peer:
        peer.send(start)
        flood(peer)
        try:
            peer.send(b"\r\nu NOOP\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        got = peer.rest()
        assert b"* BYE" in got, got[:200]
        assert b"u OK" not in got
    still_serves(server)


@pytest.mark.parametrize("inside", [False, True], ids=["before-login", "after-login"])
def test_pop3_a_line_without_end_is_answered_once_and_unheld(server: RestanteServer, inside: bool) -> None:
    with pop3_in(server) if inside else Peer(server.pop3) as peer:
        flood(peer)
        peer.send(b"\r\nCAPA\r\n")
        assert peer.line().startswith(b"-ERR")
        assert peer.line().startswith(b"+OK")


@pytest.mark.parametrize("start", [b"", b"LHLO ", b"MAIL FROM:<", b"RCPT TO:<"])
def test_lmtp_a_line_without_end_is_answered_once_and_unheld(server: RestanteServer, start: bytes) -> None:
    with Peer(server.lmtp) as peer:
        peer.send(start)
        flood(peer)
        peer.send(b"\r\nNOOP\r\n")
        assert peer.line().startswith(b"500")
        assert peer.line().startswith(b"250")


def test_imap_before_login_the_limit_is_small(server: RestanteServer) -> None:
    with Peer(server.imap) as peer:
        assert peer.imap(b"NOOP" + b" " * 20_000).startswith((b"t BAD", b"* BAD"))
        assert peer.imap(b"NOOP", b"u").startswith(b"u OK")
    with imap_in(server) as peer:
        peer.imap(b"SELECT INBOX")
        assert b"t OK" in peer.imap(b"UID SEARCH UID " + b"1," * 9_000 + b"1")


SASL = [
    pytest.param([b"A" * 100_000], id="huge"),
    pytest.param([b"===="], id="padding"),
    pytest.param([b"QUJD*"], id="no-base64"),
    pytest.param([b"QQ==QQ=="], id="padding-within"),
    pytest.param([b"\xff\xff"], id="8-bit"),
    pytest.param([base64.b64encode(b"\0" * 2_000)], id="nuls"),
    pytest.param([base64.b64encode(b"x" * 3_000)], id="no-nul"),
    pytest.param([b"", b"", b"", b"", b"", b"", b""], id="empty-answers"),
    pytest.param([b"*"], id="cancelled"),
]


@pytest.mark.parametrize("answers", SASL)
@pytest.mark.parametrize("mechanism", [b"PLAIN", b"LOGIN"])
def test_imap_a_broken_exchange_is_refused_and_the_next_one_works(
    server: RestanteServer, mechanism: bytes, answers: list[bytes]
) -> None:
    with Peer(server.imap) as peer:
        got = peer.imap(b"AUTHENTICATE " + mechanism)
        for answer in answers:
            if not got.startswith(b"+ "):
                break
            peer.send(answer + b"\r\n")
            got = peer.until(b"t")
        assert got.startswith((b"t BAD", b"t NO")), got
        assert peer.imap(b'LOGIN %b "%b"' % (OWNER, PASSWORD), b"u").startswith(b"u OK")


@pytest.mark.parametrize("answers", SASL)
@pytest.mark.parametrize("mechanism", [b"PLAIN", b"LOGIN"])
def test_pop3_a_broken_exchange_is_refused_and_the_next_one_works(
    server: RestanteServer, mechanism: bytes, answers: list[bytes]
) -> None:
    with Peer(server.pop3) as peer:
        got = peer.ask(b"AUTH " + mechanism)
        for answer in answers:
            if not got.startswith(b"+ "):
                break
            got = peer.ask(answer)
        assert got.startswith(b"-ERR"), got
        assert peer.ask(b"USER " + OWNER).startswith(b"+OK")
        assert peer.ask(b"PASS " + PASSWORD).startswith(b"+OK")


def test_steps_out_of_order_change_nothing(server: RestanteServer) -> None:
    with Peer(server.imap) as peer:
        for command in (b"SELECT INBOX", b"FETCH 1 FLAGS", b"UID EXPUNGE 1", b"IDLE", b"DONE", b"UNSELECT", b"CLOSE"):
            assert peer.imap(command).startswith(b"t BAD"), command
    with imap_in(server) as peer:
        for command in (b"LOGIN a b", b"AUTHENTICATE PLAIN", b"STARTTLS", b"FETCH 1 FLAGS", b"EXPUNGE", b"CLOSE"):
            assert peer.imap(command).startswith(b"t BAD"), command
    with Peer(server.pop3) as peer:
        for command in (b"PASS x", b"STAT", b"RETR 1", b"DELE 1", b"RSET", b"TOP 1 0", b"UIDL"):
            assert peer.ask(command).startswith(b"-ERR"), command
    with pop3_in(server) as peer:
        for command in (b"USER a", b"PASS b", b"AUTH PLAIN", b"STLS"):
            assert peer.ask(command).startswith(b"-ERR"), command
        peer.ask(b"QUIT")
    with Peer(server.lmtp) as peer:
        for command in (b"MAIL FROM:<a@b.example>", b"RCPT TO:<%b>" % OWNER, b"DATA", b"EHLO x", b"HELO x"):
            assert peer.ask(command).startswith(b"50"), command
        peer.lhlo()
        for command in (b"RCPT TO:<%b>" % OWNER, b"DATA", b"BDAT 3 LAST\r\nabc", b"AUTH PLAIN AAAA"):
            assert peer.ask(command).startswith(b"50"), command


def test_guessing_without_end_ends_the_connection(server: RestanteServer) -> None:
    """Commands without login, and errors in a row, are counted in every protocol."""
    for port, command in ((server.imap, b"t NOOP\r\n"), (server.pop3, b"CAPA\r\n")):
        with Peer(port) as peer:
            peer.send(command * 200)
            assert peer.rest().count(b"\r\n") < 200 * 14 // 2
    for port in (server.imap, server.pop3, server.lmtp):
        with Peer(port) as peer:
            peer.send(b"no such thing\r\n" * 200)
            assert peer.rest().count(b"\r\n") < 60
