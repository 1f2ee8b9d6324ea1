"""A message past a limit is kept and served octet by octet, its structure is simplified, and it costs little.

100,000 address headers cost minutes (CVE-2024-23184, -23185), RFC 2231 parameters burned CPU (CVE-2026-27859), deep
MIME exhausted memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from restante.mime.analyse import analyse
from restante.mime.model import DEFAULT_LIMITS, Analysis, Limits
from restante.testing.server import RestanteServer

from .support import ANN, PATIENCE, Peer, imap_in, lmtp_to, pop3_in

ORDINARY = (
    b"".join(
        b"%b: Somebody <somebody.%d@example.org>, =?utf-8?q?J=C3=B6rg?= <j%d@example.org>\r\n" % (name, n, n)
        for n, name in enumerate((b"From", b"To", b"Cc", b"Reply-To"))
    )
    + b"Subject: as ever\r\nMessage-ID: <1@example.org>\r\n\r\n"
    + b"A line of text like any other.\r\n" * 250
)

MOST = 100_000
"""What a giant may cost, with serving it: as much processor time as analysing so many ordinary messages of 8 kB. The
dearest takes a tenth of it; what is fought here took minutes, some millions. A slow machine or a busy one does not move
the two against each other."""


@pytest.fixture(scope="module")
def ordinary() -> float:
    """Processor seconds that an ordinary message costs this machine."""

    def cost() -> float:
        began = time.process_time()
        for _ in range(100):
            analyse(ORDINARY, DEFAULT_LIMITS)
        return (time.process_time() - began) / 100

    return min(cost() for _ in range(5))


@contextmanager
def costing_little(ordinary: float) -> Iterator[None]:
    """Server and client are both of this process."""
    began = time.process_time()
    yield
    took = (time.process_time() - began) / ordinary
    assert took < MOST, f"as much as {took:.0f} ordinary messages"


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
def test_a_giant_is_taken_kept_and_served(server: RestanteServer, ordinary: float, name: str) -> None:
    giant = GIANTS[name]
    with costing_little(ordinary), lmtp_to(server) as peer:
        sender = threading.Thread(target=peer.send, args=(b"BDAT %d LAST\r\n%b" % (len(giant), giant),))
        sender.start()
        answer = peer.line()
        sender.join()
    assert answer.startswith(b"250"), answer
    stored = server.mail(ANN)[-1].data
    assert stored.endswith(giant)
    with costing_little(ordinary), imap_in(server) as peer:
        peer.imap(b"SELECT INBOX")
        shown = peer.imap(b"UID FETCH * (ENVELOPE BODYSTRUCTURE)")
        assert b"t OK" in shown
        assert b"BODYSTRUCTURE (" in shown
        assert len(shown) < 4_000_000
        assert b"t OK" in peer.imap(b"UID FETCH * BODY.PEEK[HEADER.FIELDS (SUBJECT FROM TO)]")
        assert b"BODY[] {%d}\r\n%b" % (len(stored), stored) in peer.imap(b"UID FETCH * BODY.PEEK[]")
        assert b"t OK" in peer.imap(b'UID SEARCH SUBJECT "no such thing"')
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


def test_imap_append_of_a_giant_costs_no_more(server: RestanteServer, ordinary: float) -> None:
    giant = GIANTS["100000-addresses"]
    with costing_little(ordinary), imap_in(server) as peer:
        assert peer.imap(b"APPEND INBOX {%d}" % len(giant)).startswith(b"+ ")
        peer.send(giant + b"\r\n")
        assert peer.until(b"t").startswith((b"t OK", b"*"))
    assert server.mail(ANN)[-1].data == giant


TAKEN_AT_ONCE = {"line-of-10-mb", "half-a-million-dots"}
"""Giants of which nothing but the octets is much."""


SMALL_ONES = [(name, 200_000) for name in GIANTS if name not in TAKEN_AT_ONCE]


@pytest.mark.parametrize("door", ["LMTP", "APPEND"])
@pytest.mark.parametrize(("name", "octets"), [*SMALL_ONES, ("100000-addresses", 2_000_000)])
def test_a_giant_holds_up_nobody_else(
    server: RestanteServer, monkeypatch: pytest.MonkeyPatch, name: str, octets: int, door: str
) -> None:
    """While one is looked at, another session is answered: else the one would wait here for the other."""
    giant = GIANTS[name][:octets]
    looking, answered = threading.Event(), threading.Event()

    def slowly(data: bytes, limits: Limits, head: bytes = b"", *, brief: bool = False) -> Analysis:
        if not brief:
            looking.set()
            assert answered.wait(PATIENCE / 2)
        return analyse(data, limits, head, brief=brief)

    monkeypatch.setattr("restante.analysts.one.analyse", slowly)
    with imap_in(server) as other, lmtp_to(server) if door == "LMTP" else imap_in(server) as peer:
        if door == "LMTP":
            octets_sent = b"BDAT %d LAST\r\n%b" % (len(giant), giant)
        else:
            assert peer.imap(b"APPEND INBOX {%d}" % len(giant)).startswith(b"+ ")
            octets_sent = giant + b"\r\n"
        sender = threading.Thread(target=peer.send, args=(octets_sent,))
        sender.start()
        assert looking.wait(PATIENCE), "it is looked at in between"
        assert other.imap(b"NOOP").endswith(b"completed.\r\n")
        answered.set()
        assert (peer.line() if door == "LMTP" else peer.until(b"t")).startswith((b"250", b"* ", b"t OK"))
        sender.join()
