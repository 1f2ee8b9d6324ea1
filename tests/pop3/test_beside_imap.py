"""POP3 and IMAP on one INBOX at the same time, through the whole server and real sockets."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from restante.config.model import AuthTable, Config, LimitsTable, Pop3Table
from restante.store.directory import AccountSettings
from restante.testing.server import CHEAP_ARGON2, RestanteServer
from tests.server.support import PATIENCE, Client, eventually

ANN = "ann@example.org"
LARGE = b"Subject: large\r\n\r\n" + b"".join(b"%079d\r\n" % n for n in range(200_000))


@contextmanager
def connection(server: RestanteServer, port: int) -> Iterator[Client]:
    client = Client(socket.create_connection((server.host, port), PATIENCE))
    try:
        client.line()
        yield client
    finally:
        client.close()


@contextmanager
def pop3(server: RestanteServer, user: str = ANN) -> Iterator[Client]:
    """A POP3 connection, logged in."""
    with connection(server, server.pop3) as client:
        assert log_in(client, user).startswith(b"+OK")
        yield client


def log_in(client: Client, user: str = ANN) -> bytes:
    assert client.ask(b"USER " + user.encode()).startswith(b"+OK")
    return client.ask(b"PASS secret")


@contextmanager
def imap(server: RestanteServer) -> Iterator[Client]:
    """An IMAP connection with INBOX selected."""
    with connection(server, server.imap) as client:
        for command in (b"LOGIN ann@example.org secret", b"SELECT INBOX"):
            assert done(client, command).startswith(b"OK"), command
        yield client


def done(client: Client, command: bytes) -> bytes:
    client.send(b"a " + command + b"\r\n")
    while not (line := client.line()).startswith(b"a "):
        assert line
    return line[2:]


def listing(client: Client, command: bytes) -> list[bytes]:
    assert client.ask(command).startswith(b"+OK")
    return list(iter(client.line, b"."))


def capability(client: Client, name: bytes) -> list[bytes]:
    return [line for line in listing(client, b"CAPA") if line.split()[0] == name]


def is_free(server: RestanteServer) -> bool:
    with connection(server, server.pop3) as client:
        answer = log_in(client)
    assert answer.startswith((b"+OK", b"-ERR [IN-USE]"))
    return answer.startswith(b"+OK")


@pytest.fixture
def server(restante_server: RestanteServer) -> RestanteServer:
    restante_server.add_account(ANN, "secret")
    return restante_server


def test_an_expunge_never_breaks_a_retr_in_progress(server: RestanteServer) -> None:
    server.put(ANN, LARGE)
    with pop3(server) as reader, imap(server) as other:
        reader.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        assert reader.ask(b"RETR 1") == b"+OK %d octets" % len(LARGE)
        assert done(other, b"STORE 1 +FLAGS.SILENT (\\Deleted)").startswith(b"OK")
        assert done(other, b"EXPUNGE").startswith(b"OK")
        assert server.mail(ANN) == []
        while not reader.buffer.endswith(b"\r\n.\r\n"):
            data = reader.sock.recv(1 << 20)
            assert data, "the connection ended within the message"
            reader.buffer += data
        assert reader.buffer[:-3] == LARGE
        reader.buffer = b""
        assert reader.ask(b"DELE 1").startswith(b"+OK")
        assert reader.ask(b"QUIT").startswith(b"+OK")


def test_quit_shows_at_once_in_idle(server: RestanteServer) -> None:
    for n in range(3):
        server.put(ANN, b"Subject: %d\r\n\r\nx\r\n" % n)
    with imap(server) as idle, pop3(server) as reader:
        idle.send(b"b IDLE\r\n")
        assert idle.line().startswith(b"+ ")
        listing(reader, b"RETR 1")
        assert reader.ask(b"DELE 2").startswith(b"+OK")
        assert reader.ask(b"QUIT").startswith(b"+OK")
        told = {idle.line(), idle.line()}
        assert b"* 2 EXPUNGE" in told
        assert any(line.startswith(b"* 1 FETCH (") and b"\\Seen" in line for line in told)


def test_imap_changes_leave_numbers_alone_and_new_mail_waits(server: RestanteServer) -> None:
    for n in range(3):
        server.put(ANN, b"Subject: %d\r\n\r\nx\r\n" % n)
    with pop3(server) as reader, imap(server) as other:
        before = listing(reader, b"UIDL")
        assert done(other, b"MOVE 1 Archive").startswith(b"OK")
        server.put(ANN, b"Subject: new\r\n\r\nx\r\n")
        assert listing(reader, b"UIDL") == before
        assert b"Subject: 0" in listing(reader, b"RETR 1"), "what was moved is still to be had"
        assert reader.ask(b"DELE 1").startswith(b"+OK")
        assert reader.ask(b"QUIT").startswith(b"+OK")
    assert len(server.mail(ANN, "Archive")) == 1, "DELE names the placement in INBOX"
    with pop3(server) as reader:
        assert [line.split()[1] for line in listing(reader, b"UIDL")][:2] == [line.split()[1] for line in before][1:]


def test_a_connection_lost_before_quit_removes_nothing_and_frees_the_maildrop(server: RestanteServer) -> None:
    server.put(ANN, b"Subject: x\r\n\r\nx\r\n")
    for reset in (False, True):
        with pop3(server) as reader:
            assert reader.ask(b"DELE 1").startswith(b"+OK")
            assert not is_free(server)
            if reset:
                reader.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        eventually(lambda: is_free(server), "the maildrop free")
        assert len(server.mail(ANN)) == 1


def test_a_killed_client_does_not_hold_the_maildrop(server: RestanteServer) -> None:
    script = (
        "import poplib, sys\n"
        "pop = poplib.POP3(sys.argv[1], int(sys.argv[2]), timeout=20)\n"
        "pop.user(sys.argv[3]); pop.pass_('secret'); print('in', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, server.host, str(server.pop3), ANN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"in\n"
        assert not is_free(server)
        client.kill()
        client.wait(PATIENCE)
        eventually(lambda: is_free(server), "the maildrop free")


def test_a_killed_server_process_does_not_hold_the_maildrop(server: RestanteServer, tmp_path: Path) -> None:
    """Another worker on the same data has the session; SIGKILL leaves it no time to let go."""
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from restante.clock import SystemClock, system_random\n"
        "from restante.store.sqlite.engine import SqliteEngine\n"
        "async def main():\n"
        "    engine = SqliteEngine(Path(sys.argv[1]), SystemClock(), system_random)\n"
        "    async with engine.account(sys.argv[2]).lock_maildrop():\n"
        "        print('in', flush=True)\n"
        "        sys.stdin.read()\n"
        "asyncio.run(main())\n"
    )
    account = server.run(lambda: server.admin.account(ANN)).id
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "restante"), account],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        assert not is_free(server)
        os.kill(other.pid, signal.SIGKILL)
        other.wait(PATIENCE)
        assert is_free(server)


def test_expire_before_login_is_the_smallest_of_all_accounts(server: RestanteServer) -> None:
    for name, days in (("bob@example.org", 30), ("carol@example.org", 7)):
        server.add_account(name, "secret")
        settings = AccountSettings(pop3_leave_days=days)
        server.run(lambda name=name, settings=settings: server.admin.set_settings(name, settings))  # type: ignore[misc]  # mypy takes a lambda's defaults for parameters
    with connection(server, server.pop3) as client:
        assert capability(client, b"EXPIRE") == [b"EXPIRE 7 USER"]
        log_in(client, "bob@example.org")
        assert capability(client, b"EXPIRE") == [b"EXPIRE 30"]
    with pop3(server) as client:
        assert capability(client, b"EXPIRE") == [b"EXPIRE NEVER"]


def test_retrieved_mail_goes_to_trash_after_its_days(server: RestanteServer) -> None:
    settings = AccountSettings(pop3_leave_days=7)
    server.run(lambda: server.admin.set_settings(ANN, settings))
    for n in range(2):
        server.put(ANN, b"Subject: %d\r\n\r\nx\r\n" % n)
    with pop3(server) as client:
        listing(client, b"RETR 1")
        client.ask(b"QUIT")
    server.clock.advance(7 * 86_400 - 10)
    with pop3(server) as client:
        assert len(listing(client, b"UIDL")) == 2
        client.ask(b"QUIT")
    server.clock.advance(20)
    with pop3(server) as client:
        assert len(listing(client, b"UIDL")) == 1
    assert [b"Subject: 0" in mail.data for mail in server.mail(ANN, "Trash")] == [True]


def test_login_delay_is_announced_and_holds(tmp_path: Path) -> None:
    config = Config(pop3=Pop3Table(login_delay=60), auth=AuthTable(**CHEAP_ARGON2))
    with RestanteServer(tmp_path / "restante", config) as server:
        server.add_account(ANN, "secret")
        with pop3(server) as client:
            assert capability(client, b"LOGIN-DELAY") == [b"LOGIN-DELAY 60"]
            client.ask(b"QUIT")
        with RestanteServer(tmp_path / "restante", config) as worker, connection(worker, worker.pop3) as client:
            assert log_in(client).startswith(b"-ERR [LOGIN-DELAY]"), "another process knows as well"
        with connection(server, server.pop3) as client:
            assert log_in(client).startswith(b"-ERR [LOGIN-DELAY]")
            server.clock.advance(61)
            assert log_in(client).startswith(b"+OK")


def test_quit_is_refused_where_the_commit_fails_and_nothing_is_removed(tmp_path: Path) -> None:
    """No Trash is there, and none can be made: the account has its mailboxes already."""
    config = Config(
        pop3=Pop3Table(delete="trash"), limits=LimitsTable(mailboxes=6), auth=AuthTable(**CHEAP_ARGON2)
    )  # fmt: skip
    with RestanteServer(tmp_path / "restante", config) as server:
        server.add_account(ANN, "secret")
        server.put(ANN, b"Subject: x\r\n\r\nx\r\n")
        with imap(server) as client:
            assert done(client, b"DELETE Trash").startswith(b"OK")
            assert done(client, b"CREATE Other").startswith(b"OK")
            with pop3(server) as reader:
                assert reader.ask(b"DELE 1").startswith(b"+OK")
                assert reader.ask(b"QUIT").startswith(b"-ERR [SYS/PERM] Nothing was removed.")
            assert len(server.mail(ANN)) == 1
            assert done(client, b"DELETE Other").startswith(b"OK")
        with pop3(server) as reader:
            assert reader.ask(b"DELE 1").startswith(b"+OK")
            assert reader.ask(b"QUIT").startswith(b"+OK")
        assert (server.mail(ANN), len(server.mail(ANN, "Trash"))) == ([], 1)
