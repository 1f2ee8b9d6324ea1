"""The byte stream between sessions and sockets: order, pressure, time-outs, TLS, the end."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from restante.config.listen import Address
from restante.config.model import Config, LimitsTable, ServerTable
from restante.server import inprocess
from restante.server.inbound import READ_HIGH, READ_MAX
from restante.server.inprocess import InProcessServer
from restante.server.listeners import Bound, UnixRights, bind_all
from restante.server.services import Service, Wire
from restante.server.silence import SILENT
from restante.server.sockets import is_loopback, set_options
from restante.server.worker import _IDS

from .support import PATIENCE, Client, EchoRoom, eventually, running


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        client = server.connect()
        client.send(b"".join(b"line %d\r\n" % n for n in range(1000)))
        assert client.line() == b"hello"
        assert [client.line() for _ in range(1000)] == [b"line %d" % n for n in range(1000)]
        assert client.ask(b"QUIT") == b"bye"
        assert client.ended()


def test_what_came_before_a_half_close_is_answered(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        client = server.connect()
        client.send(b"one\r\ntwo\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        assert [client.line() for _ in range(4)] == [b"hello", b"one", b"two", b"bye"]


def test_last_words_arrive_though_octets_were_left_unread(tmp_path: Path) -> None:
    """Closing with unread octets would reset the connection and lose them."""
    with running(tmp_path) as server:
        client = server.connect()
        client.send(b"QUIT\r\n" + bytes(300_000))
        assert [client.line(), client.line()] == [b"hello", b"bye"]
        assert client.ended()


def test_silence_ends_in_a_read_timeout(tmp_path: Path) -> None:
    with running(tmp_path, room=EchoRoom(timeout=0.05)) as server:
        client = server.connect()
        assert client.line() == b"hello"
        assert client.ended()


def test_a_fault_ends_its_connection_alone_and_is_logged_without_its_text(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        good, bad = server.connect(), server.connect()
        assert good.line() == b"hello"
        assert bad.ask(b"BOOM") == b"hello"
        assert bad.ended()
        assert good.ask(b"still here") == b"still here"
        server.wait_log("internal error rip=127.0.0.1 id=")
        assert "RuntimeError" in server.log.getvalue()
        assert "secret" not in server.log.getvalue()


def test_each_connection_has_an_id_of_its_own(tmp_path: Path) -> None:
    """More of them than are drawn at once."""
    with running(tmp_path) as server:
        clients = [server.connect() for _ in range(2 * _IDS + 1)]
        assert {client.line() for client in clients} == {b"hello"}
        ids = [channel.id for channel in server.server.worker._channels]
        assert len(set(ids)) == len(ids) == len(clients)
        assert all(re.fullmatch("[a-z2-7]{8}", each) for each in ids)


def test_a_flood_is_not_read_into_memory(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        client = server.connect()
        client.send(b"HOLD\r\n")
        assert client.line() == b"hello"
        client.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.sock.sendall(bytes(100_000_000))
        (channel,) = server.server.worker._channels
        # Of what lies in the socket's buffers by then the server takes no more than this, however late it comes to it.
        eventually(lambda: not channel._reading, "the server reads no more")
        assert READ_HIGH < channel._incoming_size <= READ_HIGH + READ_MAX


def test_a_reader_that_takes_nothing_is_dropped_without_filling_memory(tmp_path: Path) -> None:
    config = Config(server=ServerTable(write_timeout=0.2))
    with running(tmp_path, config) as server:
        stuck, other = server.connect(), server.connect()
        stuck.send(b"BIG 100000000\r\n")
        assert other.line() == b"hello"
        assert other.ask(b"quick") == b"quick"
        server.wait_log("peer takes nothing rip=127.0.0.1")
        eventually(lambda: len(server.server.worker._channels) == 1)


def test_a_slow_reader_gets_everything(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        client = server.connect()
        assert client.ask(b"BIG 6553600") == b"hello"
        got = len(client.buffer)
        while got < 6_553_600:
            got += len(client.sock.recv(100_000))
        client.buffer = b""
        assert client.ask(b"after") == b"after"


@pytest.mark.parametrize("octets", [10, 10_000_000])
def test_what_is_sent_stands_behind_what_was_written_and_tells_whether_to_wait(tmp_path: Path, octets: int) -> None:
    with running(tmp_path) as server:
        client = server.connect()
        client.send(b"SEND %d\r\n" % octets)
        assert [client.line(), client.line()] == [b"hello", b"written, then sent"]
        while len(client.buffer) < octets:
            client.buffer += client.sock.recv(1 << 20)
        assert client.buffer[:octets] == bytes(octets)
        client.buffer = client.buffer[octets:]
        assert client.line() == b"1 %d" % (octets < 1_000)


# TLS -------------------------------------------------------------------------------------------------


def test_implicit_tls(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        for name, host in (("imaps", "localhost"), ("pop3s", "127.0.0.1")):
            client = server.connect(name)
            client.tls(server.client_context(), host)
            assert client.line() == b"hello"
            assert client.ask(b"over tls") == b"over tls"
            client.send(bytes(100_000) + b"\r\n")
            assert len(client.line()) == 100_000


def test_starttls(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        client = server.connect("pop3")
        assert client.line() == b"hello"
        assert client.ask(b"BINDING") == b""
        assert client.ask(b"STARTTLS") == b"go on"
        client.tls(server.client_context())
        assert client.ask(b"inside") == b"inside"


@pytest.mark.parametrize("name", ["imap", "pop3", "lmtp"])
def test_octets_pipelined_behind_starttls_are_thrown_away(tmp_path: Path, name: str) -> None:
    with running(tmp_path) as server:
        client = server.connect(name)
        assert client.line() == b"hello"
        assert client.ask(b"STARTTLS\r\ninjected\r\nQUIT") == b"go on"
        client.tls(server.client_context())
        assert client.ask(b"mine") == b"mine"


def test_plain_octets_after_starttls_end_the_connection(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        client = server.connect()
        assert client.line() == b"hello"
        assert client.ask(b"STARTTLS") == b"go on"
        client.send(b"plain\r\n")
        client.sock.recv(100)  # at most an alert
        server.wait_log("tls failed rip=127.0.0.1")
        assert b"plain" not in client.buffer


def test_plain_octets_after_the_end_of_tls_are_not_read(tmp_path: Path) -> None:
    """TLS closed in the middle of a command, then plain octets as if inside."""
    with running(tmp_path) as server:
        client = server.connect("imaps")
        context = server.client_context()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")

        def step(work: object) -> object:
            while True:
                try:
                    return work()  # type: ignore[operator]  # a bound method of SSLObject
                except ssl.SSLWantReadError:
                    client.send(outgoing.read())
                    incoming.write(client.sock.recv(65_536))

        step(tls.do_handshake)
        client.send(outgoing.read())
        assert step(tls.read) == b"hello\r\n"
        tls.write(b"half a ")
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()
        client.send(outgoing.read() + b"command\r\n")
        while data := client.sock.recv(65_536):
            incoming.write(data)
        answer = b""
        try:
            while part := tls.read():
                answer += part
        except (ssl.SSLError, ssl.SSLZeroReturnError):
            pass
        assert answer in (b"", b"bye\r\n")


def test_a_handshake_has_its_time(tmp_path: Path) -> None:
    config = Config(server=ServerTable(handshake_timeout=0.1))
    with running(tmp_path, config) as server:
        client = server.connect("imaps")
        client.send(b"\x16\x03\x01\x00")
        assert client.ended()
        server.wait_log("reason=time-out")


@pytest.mark.parametrize(("offered", "taken"), [(["imap"], "imap"), (["http/1.1", "imap"], "imap"), ([], None)])
def test_alpn(tmp_path: Path, offered: list[str], taken: str | None) -> None:
    with running(tmp_path) as server:
        context = server.client_context()
        if offered:
            context.set_alpn_protocols(offered)
        client = server.connect("imaps")
        client.tls(context)
        assert isinstance(client.sock, ssl.SSLSocket)
        assert client.sock.selected_alpn_protocol() == taken


@pytest.mark.parametrize(("name", "offered"), [("imaps", "http/1.1"), ("imaps", "pop3"), ("pop3s", "imap")])
def test_a_client_of_another_protocol_is_refused(tmp_path: Path, name: str, offered: str) -> None:
    """RFC 7301 3.2: no_application_protocol."""
    with running(tmp_path) as server:
        context = server.client_context()
        context.set_alpn_protocols([offered])
        client = server.connect(name)
        with pytest.raises(ssl.SSLError, match=r"(?i)no application protocol"):
            client.tls(context)


def test_old_tls_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        context = server.client_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            server.connect("imaps").tls(context)


def test_tls_1_2_gets_an_aead_suite_only(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        context = server.client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        client = server.connect("imaps")
        client.tls(context)
        assert isinstance(client.sock, ssl.SSLSocket)
        cipher = client.sock.cipher()
        assert cipher is not None
        assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]
        context.set_ciphers("ECDHE+AES:!AESGCM:!AESCCM")
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            server.connect("imaps").tls(context)


def test_channel_binding_is_the_hash_of_the_certificate(tmp_path: Path) -> None:
    import hashlib

    with running(tmp_path) as server:
        client = server.connect("imaps")
        client.tls(server.client_context())
        assert isinstance(client.sock, ssl.SSLSocket)
        der = client.sock.getpeercert(binary_form=True)
        assert der is not None
        assert client.line() == b"hello"
        assert client.ask(b"BINDING") == hashlib.sha256(der).hexdigest().encode("ascii")


# Limits, stopping ------------------------------------------------------------------------------------


def test_connections_in_all_are_bounded(tmp_path: Path) -> None:
    with running(tmp_path, Config(limits=LimitsTable(connections=2))) as server:
        first, second = server.connect(), server.connect()
        assert [first.line(), second.line()] == [b"hello", b"hello"]
        assert server.connect("imap").line().startswith(b"* BYE [UNAVAILABLE]")
        assert server.connect("pop3").line().startswith(b"-ERR [SYS/TEMP]")
        assert server.connect("lmtp").line().startswith(b"421 4.3.2")
        assert server.connect("imaps").ended()
        first.close()
        eventually(lambda: server.server.worker._limits.connections == 1)
        assert server.connect().line() == b"hello"


def test_connections_of_an_account_are_bounded(tmp_path: Path) -> None:
    with running(tmp_path, Config(limits=LimitsTable(connections_account=2))) as server:
        clients = [server.connect() for _ in range(3)]
        assert [client.line() for client in clients] == [b"hello"] * 3
        assert [client.ask(b"LOGIN anna") for client in clients] == [b"welcome", b"welcome", b"TOO-MANY-CONNECTIONS"]
        assert clients[2].ask(b"LOGIN berta") == b"welcome"
        assert clients[0].ask(b"QUIT") == b"bye"
        again = server.connect()
        assert again.line() == b"hello"
        assert again.ask(b"LOGIN anna") == b"welcome"


def test_a_reset_by_the_peer_leaves_nothing_behind(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        for _ in range(5):
            client = server.connect()
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        eventually(lambda: server.server.worker.counters["accepted"] == 5)
        eventually(lambda: not server.server.worker._channels and not server.server.worker._tasks)
        assert server.server.worker._limits.connections == 0
        assert "internal error" not in server.log.getvalue()


def test_stopping_tells_idle_sessions_and_lets_commands_finish(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        idle, busy = server.connect(), server.connect()
        assert idle.line() == b"hello"
        assert busy.ask(b"LOGIN ann") == b"hello"
        assert busy.ask(b"HOLD") == b"welcome"
        worker = server.server.worker
        server.server.call(_start_stop(server.server))
        assert [idle.line(), idle.line()] == [b"stopping", b"bye"]
        assert idle.ended()
        assert worker._tasks
        assert server.room.release is not None
        server.server.call(_set(server.room))
        assert [busy.line(), busy.line()] == [b"released", b"stopping"]
        eventually(lambda: not worker._tasks)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(server.ports["imap"], PATIENCE)


def test_stopping_waits_for_nobody_who_has_not_logged_in(tmp_path: Path) -> None:
    """Somebody is always guessing, and waits for an answer that is delayed: each restart would last the whole drain."""
    with running(tmp_path) as server:
        guesser = server.connect()
        assert guesser.ask(b"HOLD") == b"hello"
        worker = server.server.worker
        eventually(lambda: [channel.waits for channel in worker._channels] == [False])
        server.server.call(_start_stop(server.server))
        assert guesser.line() == b"* BYE [UNAVAILABLE] The server is stopping."
        assert guesser.ended()
        eventually(lambda: not worker._tasks)


def _start_stop(server: InProcessServer):  # type: ignore[no-untyped-def]  # a coroutine function for `call`
    async def begin() -> None:
        worker = server.worker
        worker.loop.create_task(worker.stop(10.0))

    return begin


def _set(room: EchoRoom):  # type: ignore[no-untyped-def]  # a coroutine function for `call`
    async def release() -> None:
        assert room.release is not None
        room.release.set()

    return release


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.0.2.1", False),
        ("fe80::1%eth0", False),
        ("192.0.2.1", False),
        ("unix", False),
        ("", False),
    ],
)
def test_loopback(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


@pytest.mark.skipif(sys.platform != "linux", reason="the options' names are Linux's")
@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize(("name", "idle"), [("imap", 600), ("pop3", 5)])
def test_accepted_connections_have_their_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, idle: int, early: bool
) -> None:
    """Those too that came before anybody served the listening socket, as one does that wakes a server."""
    came: list[Client] = []

    def bind_and_connect(listeners: Iterable[tuple[Service, Address]], rights: UnixRights) -> list[Bound]:
        bound = bind_all(listeners, rights)
        (one,) = [one for one in bound if one.service.value == name]
        came.append(Client(socket.create_connection(one.sock.getsockname(), PATIENCE)))
        return bound

    if early:
        monkeypatch.setattr(inprocess, "bind_all", bind_and_connect)
    with running(tmp_path) as server:
        client = came[0] if early else server.connect(name)
        assert client.line() == b"hello"
        (channel,) = server.server.worker._channels
        assert channel._transport is not None
        sock = channel._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        for option, value in (("NODELAY", 1), ("KEEPIDLE", idle), ("KEEPCNT", 3), ("USER_TIMEOUT", 60_000)):
            assert sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_{option}")) == value


@pytest.mark.skipif(sys.platform != "linux", reason="the options are Linux's")
@pytest.mark.parametrize("wire", Wire)
def test_a_peer_silent_to_tcp_is_given_up(wire: Wire) -> None:
    """A quiet POP3 line is probed each few seconds (what comes of it: test_silent_peer); telephones are left asleep."""
    with socket.socket() as sock:
        set_options(sock, wire)
        option = sock.getsockopt
        idle = option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
        if wire is Wire.POP3:
            # Two probes unanswered when ten seconds are over.
            assert idle + 2 * option(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) <= SILENT
        else:
            assert idle >= 600
