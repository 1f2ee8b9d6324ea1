"""Only CRLF.CRLF ends DATA: no mail is smuggled (CVE-2023-51764 to -51766)."""

from __future__ import annotations

import pytest

from restante.testing.server import RestanteServer
from tests.pop3.harness import as_sent

from .support import ANN, BOB, imap_in, lmtp_to, pop3_in

NOT_THE_END = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n",
    b"\r\n.\0\r\n", b"\r\n. \r\n", b"\r\n.\r\r\n", b"\r\n\0.\r\n", b"\n\r\n.\n\r\n",
]  # fmt: skip
SMUGGLED = b"MAIL FROM:<boss@sender.example>\r\nRCPT TO:<%b>\r\nDATA\r\nSubject: smuggled\r\n\r\nx" % BOB.encode()


@pytest.mark.parametrize("middle", NOT_THE_END, ids=repr)
@pytest.mark.parametrize("split", [False, True], ids=["whole", "octet-by-octet"])
def test_lmtp_nothing_but_crlf_dot_crlf_ends_data(server: RestanteServer, middle: bytes, split: bool) -> None:
    message = b"Subject: outer\r\n\r\nfirst" + middle + SMUGGLED + b"\r\n"
    stuffed = message.replace(b"\r\n.", b"\r\n..") if split else message
    anns, bobs = len(server.mail(ANN)), len(server.mail(BOB))
    with lmtp_to(server) as peer:
        assert peer.ask(b"DATA").startswith(b"354")
        if split:
            for at in range(len(stuffed)):
                peer.send(stuffed[at : at + 1])
        else:
            peer.send(stuffed)
        peer.send(b".\r\nQUIT\r\n")
        assert [line[:3] for line in peer.rest().splitlines()] == [b"250", b"221"]
    assert len(server.mail(BOB)) == bobs
    mail = server.mail(ANN)
    assert len(mail) == anns + 1
    expected = message if split else message.replace(b"\r\n.", b"\r\n")
    assert mail[-1].data.endswith(expected)


def test_a_message_with_such_lines_leaves_as_it_came(server: RestanteServer) -> None:
    """By APPEND it comes whole, by FETCH it goes whole: a bare LF ends no line here either. By RETR, too, but that a
    dot alone behind a bare LF comes with a second one: many clients would take it for the end."""
    message = b"Subject: dots\r\n\r\na" + b"b".join(NOT_THE_END).replace(b"\0", b"") + b"c\r\n"
    with imap_in(server) as peer:
        assert b"t OK" in peer.imap(b"APPEND INBOX {%d+}\r\n%b" % (len(message), message))
        peer.imap(b"SELECT INBOX")
        assert b"BODY[] {%d}\r\n%b" % (len(message), message) in peer.imap(b"UID FETCH * BODY.PEEK[]")
    with pop3_in(server) as peer:
        number = peer.ask(b"STAT").split()[1]
        assert peer.multiline(b"RETR " + number) == as_sent(message)
        assert peer.ask(b"NOOP").startswith(b"+OK")
