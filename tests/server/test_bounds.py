"""Every bound, in each protocol that has it, over TCP: past it a refusal or a goodbye, and nobody else is hurt.

A bystander of each protocol is connected before and asked after each scene. Lines without end, literals and
unfinished commands are looked at more closely in tests/threats.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from restante.config.model import LimitsTable
from restante.server.limits import Limits, TooManyConnections
from restante.testing.server import RestanteServer
from tests.threats.support import ANN, BOB, SECRET, Peer, config, imap_in, lmtp_to, pop3_in, serving

from .support import eventually

MESSAGE = 20_000
TIGHT = {
    "limits": {"message": MESSAGE, "commands_before_login": 5, "bad_commands": 5, "set_items": 100, "recipients": 100}
}
"""Small bounds, so that the tests are."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestanteServer]:
    with serving(tmp_path_factory.mktemp("bounds") / "data", config(**TIGHT)) as (found, _):
        found.put(BOB, b"Subject: kept\r\n\r\nbody\r\n")
        yield found


@pytest.fixture
def bystanders(server: RestanteServer) -> Iterator[None]:
    """Sessions of somebody else, which go on as if nothing had been."""
    with imap_in(server, BOB) as imap, pop3_in(server, BOB) as pop3, lmtp_to(server, BOB) as lmtp:
        assert b"* 1 EXISTS" in imap.imap(b"SELECT INBOX")
        yield
        assert b"Subject: kept" in imap.imap(b"FETCH 1 BODY.PEEK[HEADER]")
        assert pop3.ask(b"STAT").startswith(b"+OK 1 ")
        assert lmtp.ask(b"RSET").startswith(b"250")


def ends(peer: Peer, said: bytes) -> None:
    """The server says so and closes."""
    assert said in peer.rest()


# Lines ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bystanders")
def test_imap_a_long_line_is_refused(server: RestanteServer) -> None:
    with imap_in(server) as peer:
        peer.send(b"t NOOP " + b"x" * 70_000 + b"\r\n")
        assert b"BAD" in peer.line() or b"BYE" in peer.rest()


@pytest.mark.usefixtures("bystanders")
@pytest.mark.parametrize("protocol", ["pop3", "lmtp"])
def test_a_long_line_is_refused_and_the_next_one_answered(server: RestanteServer, protocol: str) -> None:
    with Peer(getattr(server, protocol)) as peer:
        assert peer.ask(b"NOOP " + b"x" * 70_000)[:3] in (b"-ER", b"500")
        assert peer.ask(b"QUIT")[:3] in (b"+OK", b"221")


# Messages and literals -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("bystanders")
def test_imap_a_literal_too_large_is_refused_before_it_is_sent(server: RestanteServer) -> None:
    with imap_in(server) as peer:
        assert b"t NO [TOOBIG]" in peer.imap(b"APPEND INBOX {%d}" % (MESSAGE + 1))
        assert b"t OK" in peer.imap(b"NOOP")
    with imap_in(server) as peer:  # sent without asking: nothing of it may be read as a command
        peer.send(b"t APPEND INBOX {%d+}\r\n" % (2 * MESSAGE + 1))
        assert b"* BYE " in peer.line()
    with imap_in(server) as peer:  # just too large: passed over to its end
        peer.send(b"t APPEND INBOX {%d+}\r\n" % (MESSAGE + 1) + b"x NOOP\r\n".ljust(MESSAGE + 1, b"\n") + b"\r\n")
        assert peer.line().startswith(b"t BAD [TOOBIG] Non-synchronising")
        assert peer.imap(b"NOOP").startswith(b"t OK")
    assert server.mail(ANN) == []


@pytest.mark.usefixtures("bystanders")
def test_lmtp_a_message_too_large_is_refused_and_the_next_one_taken(server: RestanteServer) -> None:
    with Peer(server.lmtp) as peer:
        peer.lhlo()
        assert peer.ask(b"MAIL FROM:<a@b.example> SIZE=%d" % (MESSAGE + 1)).startswith(b"552")
    for begin, body in (
        (b"DATA", b"Subject: x\r\n\r\n" + b"line\r\n" * MESSAGE + b".\r\n"),
        (b"BDAT %d LAST" % (2 * MESSAGE), b"x" * 2 * MESSAGE),
    ):
        with lmtp_to(server) as peer:
            if begin == b"DATA":
                assert peer.ask(begin).startswith(b"354")
                peer.send(body)
            else:
                peer.send(begin + b"\r\n" + body)
            assert peer.line().startswith(b"552")
            for command in (b"RSET", b"MAIL FROM:<a@b.example>", b"RCPT TO:<%b>" % ANN.encode()):
                assert peer.ask(command).startswith(b"250")
    assert server.mail(ANN) == []


@pytest.mark.usefixtures("bystanders")
def test_lmtp_recipients_past_the_bound_are_put_off_and_those_before_stay(server: RestanteServer) -> None:
    with Peer(server.lmtp) as peer:
        peer.lhlo()
        assert peer.ask(b"MAIL FROM:<a@b.example>").startswith(b"250")
        answers = [peer.ask(b"RCPT TO:<%b>" % ANN.encode())[:3] for _ in range(101)]
        assert answers == [b"250"] * 100 + [b"452"]


# Nesting and sets ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bystanders")
@pytest.mark.parametrize(
    "command",
    [
        b"SEARCH " + b"(" * 10_000 + b"ALL" + b")" * 10_000,
        b"SEARCH " + b"NOT " * 10_000 + b"ALL",
        b"SEARCH " + b"OR ALL " * 9_000 + b"ALL",
        b"FETCH 1 " + b"(" * 10_000,
        b"LIST " + b"(" * 10_000,
        b"STORE 1 FLAGS " + b"(" * 10_000,
        b"FETCH 1 BODY[" + b"1." * 20_000 + b"1]",
        b"ID " + b"(" * 10_000,
    ],
    ids=lambda command: command[:12].decode(),
)
def test_imap_deep_nesting_is_answered_and_the_session_goes_on(server: RestanteServer, command: bytes) -> None:
    with imap_in(server, BOB) as peer:
        peer.imap(b"SELECT INBOX")
        answer = peer.imap(command).splitlines()[-1]
        assert answer.startswith((b"t BAD", b"t NO", b"t OK"))
        assert not answer.startswith(b"t OK") or b"OR ALL" in command or b"BODY" in command
        assert b"t OK" in peer.imap(b"NOOP")


@pytest.mark.usefixtures("bystanders")
@pytest.mark.parametrize("command", [b"FETCH %b FLAGS", b"UID FETCH %b FLAGS", b"SEARCH %b", b"COPY %b Trash"])
def test_imap_a_set_of_too_many_ranges_is_refused(server: RestanteServer, command: bytes) -> None:
    with imap_in(server, BOB) as peer:
        peer.imap(b"SELECT INBOX")
        assert b"t OK" in peer.imap(b"FETCH %b FLAGS" % b",".join([b"1"] * 100))
        assert b"t BAD" in peer.imap(command % b",".join([b"1"] * 101))
        assert b"t OK" in peer.imap(b"NOOP")


# Commands ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bystanders")
def test_commands_without_login_are_counted(server: RestanteServer) -> None:
    with Peer(server.imap) as peer:
        peer.send(b"".join(b"%d CAPABILITY\r\n" % n for n in range(6)))
        ends(peer, b"* BYE")
    with Peer(server.pop3) as peer:
        peer.send(b"CAPA\r\n" * 7)
        ends(peer, b"-ERR Too many")


@pytest.mark.usefixtures("bystanders")
def test_nonsense_without_end_ends_the_connection(server: RestanteServer) -> None:
    with imap_in(server) as peer:
        peer.send(b"t frobnicate\r\n" * 6)
        ends(peer, b"* BYE")
    with pop3_in(server) as peer:
        peer.send(b"FROB\r\n" * 7)
        ends(peer, b"-ERR Too many")
    with Peer(server.lmtp) as peer:
        peer.send(b"FROB\r\n" * 7)
        ends(peer, b"421 ")


# Connections ---------------------------------------------------------------------------------------------

GREETINGS = {
    "imap": (b"* OK", b"* BYE [UNAVAILABLE]"),
    "pop3": (b"+OK", b"-ERR [SYS/TEMP]"),
    "lmtp": (b"220", b"421 4.3.2"),
}


@contextmanager
def few(data: Path, **limits: int) -> Iterator[RestanteServer]:
    with serving(data, config(limits=limits)) as (server, _):
        yield server


@pytest.mark.parametrize("protocol", GREETINGS)
def test_connections_of_an_address_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    monkeypatch.setattr("restante.server.channel.is_loopback", lambda address: False)
    welcome, refused = GREETINGS[protocol]
    with few(tmp_path, connections_address=2) as server:
        port = getattr(server, protocol)
        with Peer(port) as first, Peer(port) as second:
            assert first.greeting.startswith(welcome)
            assert second.greeting.startswith(welcome)
            with Peer(port) as third:
                assert third.greeting.startswith(refused)
                assert third.rest() == b""
            assert first.ask(b"t NOOP" if protocol == "imap" else b"NOOP" if protocol == "lmtp" else b"CAPA")
        eventually(lambda: _greeted(port, welcome), "what is closed is counted no more")


def test_an_ipv6_network_is_bounded_as_one_address() -> None:
    limits = Limits(LimitsTable(connections_address=3))
    for number in range(3):
        limits.enter(f"2001:db8:0:1::{number}", False)
    with pytest.raises(TooManyConnections):
        limits.enter("2001:db8:0:1:ffff::1", False)
    limits.enter("2001:db8:0:2::1", False)
    limits.leave("2001:db8:0:1::1", False)
    limits.enter("2001:db8:0:1:ffff::1", False)


def _greeted(port: int, welcome: bytes) -> bool:
    with Peer(port) as peer:
        return peer.greeting.startswith(welcome)


@pytest.mark.parametrize("protocol", GREETINGS)
def test_connections_in_all_are_bounded(tmp_path: Path, protocol: str) -> None:
    with few(tmp_path, connections=1) as server:
        port = getattr(server, protocol)
        with Peer(port) as first, Peer(port) as second:
            assert second.greeting.startswith(GREETINGS[protocol][1])
            assert first.ask(b"t NOOP" if protocol == "imap" else b"NOOP" if protocol == "lmtp" else b"CAPA")


def test_connections_of_an_account_are_bounded_over_protocols(tmp_path: Path) -> None:
    with few(tmp_path, connections_account=2) as server, imap_in(server) as first, pop3_in(server) as second:
        with Peer(server.imap) as third:
            assert b"t NO [LIMIT]" in third.imap(b'LOGIN %b "%b"' % (ANN.encode(), SECRET[ANN].encode()))
        with Peer(server.pop3) as fourth:
            assert fourth.ask(b"USER " + ANN.encode()).startswith(b"+OK")
            assert fourth.ask(b"PASS " + SECRET[ANN].encode()).startswith(b"-ERR")
        assert b"t OK" in first.imap(b"SELECT INBOX")
        assert second.ask(b"STAT").startswith(b"+OK")
        imap_in(server, BOB).sock.close()  # somebody else is not counted with her
        assert second.ask(b"QUIT").startswith(b"+OK")
        second.rest()
        imap_in(server).sock.close()


@pytest.mark.parametrize("protocol", ["imap", "imaps", "pop3"])
def test_the_oldest_without_login_makes_room_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.setattr("restante.server.channel.is_loopback", lambda address: False)
    tls = protocol == "imaps"
    welcome, refused = GREETINGS[protocol.removesuffix("s")]
    with few(tmp_path, connections_before_login=2) as server:
        port = getattr(server, protocol)
        with Peer(port, tls=tls) as oldest, Peer(port, tls=tls) as second, Peer(port, tls=tls) as third:
            assert third.greeting.startswith(welcome)
            ends(oldest, refused)
            assert second.ask(b"t NOOP" if protocol != "pop3" else b"CAPA")


def test_a_login_that_is_refused_for_another_reason_than_its_secret_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path, config(limits={"connections_account": 1})) as (server, log), imap_in(server):
        login = b'LOGIN %b "%b"' % (ANN.encode(), SECRET[ANN].encode())
        with Peer(server.imap) as second:
            assert b"t NO [LIMIT]" in second.imap(login)
        assert "login refused rip=127.0.0.1 id=" in log.getvalue()
        assert f"reason=TOO-MANY-CONNECTIONS account={ANN}" in log.getvalue()
        monkeypatch.setattr("restante.server.channel.is_loopback", lambda address: False)
        with Peer(server.imap) as plain, Peer(server.pop3) as pop3:
            for _ in range(10):  # which is told ten times, and logged once: no delay slows it
                assert b"t NO [PRIVACYREQUIRED]" in plain.imap(login)
                assert b"t NO [PRIVACYREQUIRED]" in plain.imap(b"AUTHENTICATE PLAIN")
                assert b"t NO " in plain.imap(b"AUTHENTICATE NONE")
                assert pop3.ask(b"USER ann").startswith(b"-ERR [AUTH]")
                assert pop3.ask(b"AUTH PLAIN").startswith(b"-ERR [AUTH]")
        assert log.getvalue().count("reason=PRIVACY-REQUIRED") == 2
        assert log.getvalue().count("reason=UNKNOWN-MECHANISM") == 1
        assert SECRET[ANN] not in log.getvalue()
