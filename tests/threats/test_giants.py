"""A message past a limit is kept and served octet by octet, its structure is simplified, and it costs seconds at most.

100,000 address headers cost minutes (CVE-2024-23184, -23185), RFC 2231 parameters burned CPU (CVE-2026-27859), deep
MIME exhausted memory.
"""

from __future__ import annotations

import threading
import time

import pytest

from restante.testing.server import RestanteServer

from .support import ANN, Peer, imap_in, lmtp_to, pop3_in

SECONDS = 5.0
"""Generous: what is fought here took minutes. The machine of a test run may be busy."""

GIANTS = {
    "100000-address-fields": b"To: a@b.example\r\n" * 100_000 + b"\r\nx\r\n",
    "100000-addresses": b"To: a@b.example" + b",\r\n a <a@b.example>" * 100_000 + b"\r\n\r\nx\r\n",
    "addresses-in-every-field": b"".join(
        name + b": " + b"a@b," * 20_000 + b"\r\n" for name in (b"From", b"Sender", b"Reply-To", b"To", b"Cc", b"Bcc")
    )
    + b"\r\nx\r\n",
    "nested-comments": b"From: " + b"(" * 500_000 + b"a@b\r\n\r\nx\r\n",
    "giant-header": b"Subject: " + b"x" * 10_000_000 + b"\r\n\r\nx\r\n",
    "many-headers": b"X-Spam: y\r\n" * 500_000 + b"\r\nx\r\n",
    "encoded-words": b"Subject: " + b"=?utf-8?q?=C3=A4?=\r\n " * 100_000 + b"\r\n\r\nx\r\n",
    "continuations": b"Content-Type: text/plain"
    + b"".join(b";\r\n name*%d*=%%41" % n for n in range(100_000))
    + b"\r\n\r\nx\r\n",
    "continuations-backwards": b"Content-Disposition: attachment"
    + b"".join(b";\r\n filename*%d=a" % n for n in range(100_000, 0, -1))
    + b"\r\n\r\nx\r\n",
    "deep-multiparts": b"".join(
        b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(20_000)
    ),
    "deep-messages": b"Content-Type: message/rfc822\r\n\r\n" * 50_000 + b"x\r\n",
    "one-boundary-for-all": b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" * 20_000,
    "100000-parts": b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\ny\r\n" * 100_000 + b"--x--\r\n",
    "references": b"References: " + b"<a@b.example>\r\n " * 100_000 + b"\r\n\r\nx\r\n",
    "line-of-10-mb": b"Subject: line\r\n\r\n" + b"x" * 10_000_000 + b"\r\n",
    "half-a-million-dots": b"Subject: dots\r\n\r\n" + b".\r\n" * 500_000,
}


@pytest.mark.parametrize("name", GIANTS)
def test_a_giant_is_taken_kept_and_served(server: RestanteServer, name: str) -> None:
    giant = GIANTS[name]
    with lmtp_to(server) as peer:
        began = time.monotonic()
        sender = threading.Thread(target=peer.send, args=(b"BDAT %d LAST\r\n%b" % (len(giant), giant),))
        sender.start()
        answer = peer.line()
        took = time.monotonic() - began
        sender.join()
    assert answer.startswith(b"250"), answer
    assert took < SECONDS, f"{took:.1f} s"
    stored = server.mail(ANN)[-1].data
    assert stored.endswith(giant)
    with imap_in(server) as peer:
        began = time.monotonic()
        peer.imap(b"SELECT INBOX")
        shown = peer.imap(b"UID FETCH * (ENVELOPE BODYSTRUCTURE)")
        assert b"t OK" in shown
        assert b"BODYSTRUCTURE (" in shown
        assert len(shown) < 4_000_000
        assert b"t OK" in peer.imap(b"UID FETCH * BODY.PEEK[HEADER.FIELDS (SUBJECT FROM TO)]")
        assert b"BODY[] {%d}\r\n%b" % (len(stored), stored) in peer.imap(b"UID FETCH * BODY.PEEK[]")
        assert b"t OK" in peer.imap(b'UID SEARCH SUBJECT "no such thing"')
        assert time.monotonic() - began < 2 * SECONDS
    with pop3_in(server) as peer:
        number = peer.ask(b"STAT").split()[1]
        assert peer.ask(b"LIST " + number).split()[2] == b"%d" % (len(stored) + (0 if stored.endswith(b"\r\n") else 2))
        assert retrieved(peer, number).startswith(stored)
        peer.ask(b"DELE " + number)  # the next giant stands alone
        assert peer.ask(b"QUIT").startswith(b"+OK")


def retrieved(peer: Peer, number: bytes) -> bytes:
    """RETR of a message of a million lines, without looking for each."""
    peer.send(b"RETR %b\r\n" % number)
    assert peer.line().startswith(b"+OK")
    pieces = [peer._buffer]
    peer._buffer = b""
    tail = pieces[0][-5:]
    while tail != b"\r\n.\r\n":
        pieces.append(peer.sock.recv(1 << 20))
        tail = (tail + pieces[-1])[-5:]
    whole = b"\r\n" + b"".join(pieces)[:-3]
    return whole.replace(b"\r\n..", b"\r\n.")[2:]


def test_imap_append_of_a_giant_costs_no_more(server: RestanteServer) -> None:
    giant = GIANTS["100000-addresses"]
    with imap_in(server) as peer:
        began = time.monotonic()
        assert peer.imap(b"APPEND INBOX {%d}" % len(giant)).startswith(b"+ ")
        peer.send(giant + b"\r\n")
        assert peer.until(b"t").startswith((b"t OK", b"*"))
        assert time.monotonic() - began < SECONDS
    assert server.mail(ANN)[-1].data == giant


def test_a_giant_holds_up_nobody_else(server: RestanteServer) -> None:
    """While one is taken in, another session is answered."""
    giant = GIANTS["100000-parts"]
    with imap_in(server) as other, lmtp_to(server) as peer:
        sender = threading.Thread(target=peer.send, args=(b"BDAT %d LAST\r\n%b" % (len(giant), giant),))
        sender.start()
        slowest = 0.0
        done = threading.Event()

        def wait() -> None:
            peer.line()
            done.set()

        answered = threading.Thread(target=wait)
        answered.start()
        while not done.is_set():
            began = time.monotonic()
            assert other.imap(b"NOOP").endswith(b"completed.\r\n")
            slowest = max(slowest, time.monotonic() - began)
        sender.join()
        answered.join()
    assert slowest < SECONDS, f"{slowest:.1f} s"
