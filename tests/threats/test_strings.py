"""NUL, bare CR and 8-bit octets in any string: refused or kept whole, never cut short (CVE-2019-11500)."""

from __future__ import annotations

import pytest

from restante.testing.server import RestanteServer

from .support import ANN, SECRET, Peer, imap_in, lmtp_to, plain, pop3_in

OWNER, PASSWORD = ANN.encode(), SECRET[ANN].encode()
ODD = [pytest.param(b"\0", id="nul"), pytest.param(b"\r", id="cr"), pytest.param(b"\xff", id="8-bit")]


@pytest.mark.parametrize("odd", ODD)
def test_imap_a_name_is_not_cut_at_an_odd_octet(server: RestanteServer, odd: bytes) -> None:
    """What stands before the octet is the owner's name and password: cut there, it would log in."""
    with Peer(server.imap) as peer:
        for command in (
            b'LOGIN "%b%bx" "%b"' % (OWNER, odd, PASSWORD),
            b'LOGIN "%b" "%b%bx"' % (OWNER, PASSWORD, odd),
            b"LOGIN {%d+}\r\n%b%bx {%d+}\r\n%b" % (len(OWNER) + 2, OWNER, odd, len(PASSWORD), PASSWORD),
            b"LOGIN {%d+}\r\n%b {%d+}\r\n%b%b" % (len(OWNER), OWNER, len(PASSWORD) + 1, PASSWORD, odd),
            b"AUTHENTICATE PLAIN " + plain(OWNER + odd, PASSWORD),
            b"AUTHENTICATE PLAIN " + plain(OWNER, PASSWORD + odd + b"x"),
            b"AUTHENTICATE PLAIN " + plain(OWNER, PASSWORD) + odd,
        ):
            answer = peer.imap(command)
            assert answer.startswith((b"t BAD", b"t NO")), command
        assert peer.imap(b'LOGIN %b "%b"' % (OWNER, PASSWORD)).startswith(b"t OK")


@pytest.mark.parametrize("odd", ODD)
def test_imap_names_and_keys_are_not_cut_at_an_odd_octet(server: RestanteServer, odd: bytes) -> None:
    with imap_in(server) as peer:
        before = server.mailboxes(ANN)
        for command in (
            b'SELECT "INBOX%b"' % odd,
            b'SELECT "INBOX%bx"' % odd,
            b"SELECT {6+}\r\nINBOX%b" % odd,
            b'CREATE "a%bb"' % odd,
            b"CREATE {3+}\r\na%bb" % odd,
            b'DELETE "Archive%b"' % odd,
            b'RENAME Archive "a%b"' % odd,
            b'STATUS "INBOX%b" (MESSAGES)' % odd,
        ):
            assert peer.imap(command).startswith((b"t BAD", b"t NO")), command
        assert server.mailboxes(ANN) == before
        assert b"t OK" in peer.imap(b"SELECT INBOX")
        answer = peer.imap(b'SEARCH SUBJECT "a%bb"' % odd)
        assert answer.endswith(b"\r\n")
        assert b"\r\nt OK" in answer or answer.startswith((b"t BAD", b"t NO"))


@pytest.mark.parametrize("odd", ODD)
def test_pop3_a_name_is_not_cut_at_an_odd_octet(server: RestanteServer, odd: bytes) -> None:
    with Peer(server.pop3) as peer:
        for user, password in ((OWNER + odd + b"x", PASSWORD), (OWNER, PASSWORD + odd + b"x")):
            answers = [peer.ask(b"USER " + user), peer.ask(b"PASS " + password)]
            assert answers[-1].startswith(b"-ERR"), user
            assert peer.ask(b"AUTH PLAIN " + plain(user, password)).startswith(b"-ERR")
        assert peer.ask(b"RETR 1%b" % odd).startswith(b"-ERR")
        assert peer.ask(b"USER " + OWNER).startswith(b"+OK")
        assert peer.ask(b"PASS " + PASSWORD).startswith(b"+OK")


@pytest.mark.parametrize("odd", ODD)
def test_lmtp_an_address_is_not_cut_at_an_odd_octet(server: RestanteServer, odd: bytes) -> None:
    with Peer(server.lmtp) as peer:
        peer.lhlo()
        assert peer.ask(b"MAIL FROM:<a%b@sender.example>" % odd).startswith(b"5")
        assert peer.ask(b"MAIL FROM:<a@sender.example>").startswith(b"250")
        for path in (b"<%b%b>" % (OWNER, odd), b"<%b%b@other.example>" % (OWNER, odd), b"<%b>%bx" % (OWNER, odd)):
            assert peer.ask(b"RCPT TO:" + path).startswith(b"5"), path
        assert peer.ask(b"DATA").startswith(b"503")


@pytest.mark.parametrize("odd", ODD)
def test_message_octets_come_back_whole_through_every_door(server: RestanteServer, odd: bytes) -> None:
    """Kept byte for byte; in BODY[] NUL goes out as 0x80, of the same size (RFC 9051 4.3.1).

    8-bit octets stand in the body alone: in a header APPEND wants UTF8=ACCEPT for them, RETR sends a surrogate.
    """
    body = b"Subject: a%bb\r\n\r\none%btwo\r\n" % (odd if odd != b"\xff" else b"", odd)
    with lmtp_to(server) as peer:
        assert peer.ask(b"BDAT %d LAST\r\n%b" % (len(body), body)).startswith((b"250", b"2"))
    with imap_in(server) as peer:
        peer.imap(b"SELECT INBOX")
        if odd == b"\0":  # only a literal8 may hold it (RFC 9051 9)
            assert peer.imap(b"APPEND INBOX {%d+}\r\n%b" % (len(body), body)).startswith(b"t BAD")
        assert b"t OK" in peer.imap(b"APPEND INBOX ~{%d+}\r\n%b" % (len(body), body))
        shown = peer.imap(b"UID FETCH * (RFC822.SIZE BODY[])")
        assert b"BODY[] {%d}\r\n%b" % (len(body), body.replace(b"\0", b"\x80")) in shown
        assert b"RFC822.SIZE %d" % len(body) in shown
    by_lmtp, by_append = server.mail(ANN)[-2:]
    assert by_append.data == body
    assert by_lmtp.data.endswith(body)
    with pop3_in(server) as peer:
        number = peer.ask(b"STAT").split()[1]
        assert peer.multiline(b"RETR " + number) == body
        peer.ask(b"QUIT")
