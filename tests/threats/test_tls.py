"""TLS: what came before it is forgotten, its end is the connection's end, and SCRAM is bound to it.

NO STARTTLS (responses injected before the upgrade), plain octets read on after the end of TLS, channel binding
bypassed (CVE-2026-33603).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

import pytest

from restante.sasl.scram import Binding
from restante.sasl.scram_client import ScramClient
from restante.testing.server import RestanteServer

from .support import ANN, SECRET, Peer, config, serving

OWNER, PASSWORD = ANN.encode(), SECRET[ANN].encode()
MESSAGE = b"Subject: in TLS\r\n\r\nsecret\r\n"


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestanteServer]:
    """A server that keeps SCRAM verifiers."""
    with serving(tmp_path_factory.mktemp("scram") / "data", config(accounts={"scram": True})) as (server, _):
        yield server


def test_imap_what_is_pipelined_behind_starttls_is_thrown_away(server: RestanteServer) -> None:
    with Peer(server.imap) as peer:
        peer.send(b"a STARTTLS\r\nb NOOP\r\nc LOGIN x y\r\n")
        assert peer.line().startswith(b"a OK")
        peer.tls()
        assert peer.imap(b"NOOP", b"d") == b"d OK NOOP completed.\r\n"
        assert b"STARTTLS" not in peer.imap(b"CAPABILITY", b"e")


def test_imap_half_a_command_before_tls_is_no_part_of_one_within(server: RestanteServer) -> None:
    with Peer(server.imap) as peer:
        peer.send(b"a STARTTLS\r\nb LOGIN {200+}\r\nann")
        assert peer.line().startswith(b"a OK")
        peer.tls()
        assert peer.imap(b'LOGIN %b "%b"' % (OWNER, PASSWORD), b"d").startswith(b"d OK")


def test_pop3_what_is_pipelined_behind_stls_is_thrown_away(server: RestanteServer) -> None:
    with Peer(server.pop3) as peer:
        peer.send(b"USER %b\r\n" % OWNER)
        assert peer.line().startswith(b"+OK")
        peer.send(b"STLS\r\nPASS %b\r\nSTAT\r\nNOO" % PASSWORD)
        assert peer.line().startswith(b"+OK")
        peer.tls()
        assert peer.ask(b"PASS " + PASSWORD).startswith(b"-ERR")  # the name said in the clear is forgotten
        assert peer.ask(b"STAT").startswith(b"-ERR")


def test_lmtp_what_is_pipelined_behind_starttls_is_thrown_away(server: RestanteServer) -> None:
    with Peer(server.lmtp) as peer:
        peer.lhlo()
        peer.ask(b"MAIL FROM:<a@sender.example>")
        peer.send(b"STARTTLS\r\nRCPT TO:<%b>\r\nRSET\r\nMAIL FR" % OWNER)
        assert peer.line().startswith(b"220")
        peer.tls()
        assert peer.ask(b"MAIL FROM:<a@sender.example>").startswith(b"503")  # LHLO is forgotten
        assert not any(b"STARTTLS" in line for line in peer.lhlo())
        assert peer.ask(b"RCPT TO:<%b>" % OWNER).startswith(b"503")


def in_tls(server: RestanteServer) -> Peer:
    """LMTP within STARTTLS, with one recipient."""
    peer = Peer(server.lmtp)
    peer.lhlo()
    peer.ask(b"STARTTLS")
    peer.tls()
    peer.lhlo()
    assert peer.ask(b"MAIL FROM:<a@sender.example>").startswith(b"250")
    assert peer.ask(b"RCPT TO:<%b>" % OWNER).startswith(b"250")
    return peer


@pytest.mark.parametrize("way", ["bdat", "data", "command"])
def test_lmtp_plain_octets_after_the_end_of_tls_are_not_read(server: RestanteServer, way: str) -> None:
    before = len(server.mail(ANN))
    with in_tls(server) as peer:
        if way == "bdat":
            peer.send(b"BDAT %d LAST\r\n%b" % (len(MESSAGE), MESSAGE[:10]))
            rest = MESSAGE[10:]
        elif way == "data":
            assert peer.ask(b"DATA").startswith(b"354")
            peer.send(MESSAGE[:10])
            rest = MESSAGE[10:] + b".\r\n"
        else:
            rest = b"BDAT %d LAST\r\n%b" % (len(MESSAGE), MESSAGE)
        peer.end_tls()
        peer.send(rest + b"NOOP\r\n")
        assert b"250 " not in peer.rest()  # what closes TLS is there too: octets like random ones
    assert len(server.mail(ANN)) == before


def test_imap_plain_octets_after_the_end_of_tls_are_not_read(server: RestanteServer) -> None:
    before = len(server.mail(ANN))
    with Peer(server.imap) as peer:
        peer.imap(b"STARTTLS")
        peer.tls()
        assert peer.imap(b'LOGIN %b "%b"' % (OWNER, PASSWORD)).startswith(b"t OK")
        peer.send(b"u APPEND INBOX {%d+}\r\n%b" % (len(MESSAGE), MESSAGE[:10]))
        peer.end_tls()
        peer.send(MESSAGE[10:] + b"\r\nv NOOP\r\n")
        got = peer.rest()
        assert b"u OK" not in got
        assert b"v OK" not in got
    assert len(server.mail(ANN)) == before


def test_pop3_plain_octets_after_the_end_of_tls_are_not_read(server: RestanteServer) -> None:
    server.put(ANN, MESSAGE)
    before = len(server.mail(ANN))
    with Peer(server.pop3) as peer:
        peer.ask(b"STLS")
        peer.tls()
        peer.ask(b"USER " + OWNER)
        assert peer.ask(b"PASS " + PASSWORD).startswith(b"+OK")
        assert peer.ask(b"DELE 1").startswith(b"+OK")
        peer.end_tls()
        peer.send(b"QUIT\r\n")
        assert b"+OK " not in peer.rest()
    assert len(server.mail(ANN)) == before


# Channel binding -------------------------------------------------------------------------------------------


def binding(peer: Peer) -> bytes:
    """tls-server-end-point of our certificate, whose signature is made with SHA-256 (RFC 5929 4.1)."""
    return hashlib.sha256(peer.certificate).digest()


def imap_step(peer: Peer, data: bytes) -> bytes:
    peer.send(base64.b64encode(data) + b"\r\n")
    return peer.until(b"t")


def pop3_step(peer: Peer, data: bytes) -> bytes:
    return peer.ask(base64.b64encode(data))


CASES = [
    pytest.param(Binding.USED, b"", True, id="right"),
    pytest.param(Binding.USED, b"\x01", False, id="another-connections"),
    pytest.param(Binding.UNOFFERED, b"", False, id="downgraded"),
]


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
@pytest.mark.parametrize(("flag", "bent", "good"), CASES)
def test_scram_plus_is_offered_and_bound_to_the_connection(
    keeping: RestanteServer, protocol: str, flag: Binding, bent: bytes, good: bool
) -> None:
    imap = protocol == "imap"
    with Peer(keeping.imaps if imap else keeping.pop3s, tls=True) as peer:
        offered = peer.imap(b"CAPABILITY") if imap else peer.multiline(b"CAPA")
        assert b"SCRAM-SHA-256-PLUS" in offered
        used = flag is Binding.USED
        client = ScramClient(ANN, SECRET[ANN], "fyko+d2lbbFgONRv9qkx", binding=flag, binding_data=binding(peer) + bent)
        name = b"SCRAM-SHA-256-PLUS" if used else b"SCRAM-SHA-256"
        step = imap_step if imap else pop3_step
        got = peer.imap(b"AUTHENTICATE " + name) if imap else peer.ask(b"AUTH " + name)
        assert got.startswith(b"+ ")
        got = step(peer, client.first())
        if got.startswith(b"+ "):
            got = step(peer, client.final(base64.b64decode(got[2:])))
        if good:
            client.verify(base64.b64decode(got[2:]))
            got = step(peer, b"")
        assert got.startswith((b"t OK" if imap else b"+OK") if good else (b"t NO", b"t BAD", b"-ERR")), got


def test_scram_plus_is_not_offered_without_tls(keeping: RestanteServer) -> None:
    with Peer(keeping.imap) as peer:
        offered = peer.imap(b"CAPABILITY")
        assert b"AUTH=SCRAM-SHA-256 " in offered.replace(b"\r\n", b" ")
        assert b"-PLUS" not in offered
        assert peer.imap(b"AUTHENTICATE SCRAM-SHA-256-PLUS").startswith((b"t NO", b"t BAD"))
    with Peer(keeping.pop3) as peer:
        assert b"-PLUS" not in peer.multiline(b"CAPA")
        assert peer.ask(b"AUTH SCRAM-SHA-256-PLUS").startswith(b"-ERR")
