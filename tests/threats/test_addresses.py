"""A name is data: never a path, a command, SQL, a filter, or a log line of its own.

CVE-2020-7247 (an address reached a shell), CVE-2026-40193 (a name went into a filter).
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from restante.testing.server import RestanteServer

from .support import ANN, Peer, plain, still_serves

NAMES = [
    b";id>/tmp/x;@threat.example",
    b"|sh@threat.example",
    b"`id`@threat.example",
    b"$(id)@threat.example",
    b"-oQ/tmp@threat.example",
    b"../../../etc/passwd",
    b"../ann@threat.example",
    b"/etc/passwd@threat.example",
    b"ann@../../threat.example",
    b"ann@threat.example/../x",
    b"' OR '1'='1",
    b"ann@threat.example' --",
    b"a'; DROP TABLE account; --@threat.example",
    b"%",
    b"%@threat.example",
    b"a_n@threat.example",
    b"*",
    b"*)(uid=*))(|(uid=*@threat.example",
    b"ann\\00@threat.example",
    b"%s%n%x{0}{}${x}@threat.example",
    b"\x1b[2J\x1b]0;x\x07@threat.example",
    b"a b@threat.example",
    b"ann@threat.example,bob@threat.example",
    b"@threat.example",
    b"ann@",
    b"",
    "ann\u2028@threat.example".encode(),
    "\u202eann@threat.example".encode(),
    b"ann@threat.example\xff",
    b"\xed\xa0\x80@threat.example",
    b"a" * 3_000 + b"@threat.example",
    b"ann@" + b"a." * 1_000 + b"example",
    b'"' + b"\\" * 300 + b'"@threat.example',
]
WITH_LINES = [
    b"ann@threat.example\r\n2026-01-01T00:00:00.000Z info login account=root",
    b"ann\n@threat.example",
    b"ann\r@threat.example",
    b"ann\0@threat.example",
]

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warning|error) [A-Za-z0-9 _.:/,\-]+( \w+=\S.*)?")


@pytest.fixture
def watched(server: RestanteServer, log: io.StringIO) -> io.StringIO:
    log.seek(0)
    log.truncate()
    return log


def check_log(log: io.StringIO, failures: int) -> None:
    """Each line is one event in our form, and each failure has one."""
    lines = log.getvalue().splitlines()
    assert all(LINE.fullmatch(line) for line in lines), [line for line in lines if not LINE.fullmatch(line)]
    assert all(line.isprintable() and line.isascii() for line in lines)
    failed = [line for line in lines if "Z info auth failed rip=" in line]
    assert len(failed) == failures, failed
    assert not any(re.match(r"\S+ info login ", line) for line in lines)


def files(server: RestanteServer) -> set[str]:
    """What lies in and beside the data folder, logs and locks of SQLite aside."""
    top = server.certificate.parents[1].parent
    names = {str(path.relative_to(top)) for path in top.rglob("*")}
    return {name for name in names if not name.endswith(("-wal", "-shm", ".pop3", ".share"))}


def accounts(server: RestanteServer) -> list[str]:
    async def all_of() -> list[str]:
        return [account.address for account in await server.admin.accounts()]

    return server.run(all_of)


def test_imap_a_name_is_only_looked_up(server: RestanteServer, watched: io.StringIO) -> None:
    before = files(server)
    with Peer(server.imap) as peer:
        for number, name in enumerate(NAMES):
            if number % 10 == 9:
                peer = _fresh(peer, server.imap)
            command = b"LOGIN {%d+}\r\n%b {1+}\r\nx" % (len(name), name)
            assert peer.imap(command).startswith(b"t NO"), name
    check_log(watched, len(NAMES))
    with Peer(server.imap) as peer:
        for name in WITH_LINES:
            assert peer.imap(b"LOGIN {%d+}\r\n%b x" % (len(name), name)).startswith((b"t NO", b"t BAD")), name
            assert peer.imap(b"AUTHENTICATE PLAIN " + plain(name, b"x")).startswith((b"t NO", b"t BAD")), name
    check_log(watched, watched.getvalue().count("auth failed rip="))
    assert files(server) == before
    assert len(accounts(server)) == 2
    still_serves(server)


def _fresh(peer: Peer, port: int) -> Peer:
    peer.sock.close()
    return Peer(port)


@pytest.mark.parametrize("way", ["USER", "PLAIN"])
def test_pop3_a_name_is_only_looked_up(server: RestanteServer, watched: io.StringIO, way: str) -> None:
    before = files(server)
    tried = 0
    for name in NAMES + (WITH_LINES if way == "PLAIN" else []):
        with Peer(server.pop3) as peer:
            if way == "USER":
                if not peer.ask(b"USER " + name).startswith(b"+OK"):
                    continue
                answer = peer.ask(b"PASS x")
            else:
                answer = peer.ask(b"AUTH PLAIN " + plain(name, b"x"))
            assert answer.startswith(b"-ERR"), name
            tried += 1
    assert tried > 20
    check_log(watched, watched.getvalue().count("auth failed rip="))
    assert watched.getvalue().count("auth failed rip=") >= tried - 1  # one is too long a line to be a name
    assert files(server) == before
    still_serves(server)


@pytest.mark.parametrize("quoted", [False, True])
def test_lmtp_an_address_is_only_looked_up(server: RestanteServer, watched: io.StringIO, quoted: bool) -> None:
    before = files(server)
    mail = len(server.mail(ANN))
    for name in NAMES + WITH_LINES:
        local, at, domain = name.rpartition(b"@")
        path = b'"' + local.replace(b'"', b'\\"') + b'"' + at + domain if quoted else name
        with Peer(server.lmtp) as peer:
            peer.lhlo()
            peer.send(b"MAIL FROM:<%b> SMTPUTF8\r\nRSET\r\nMAIL FROM:<a@sender.example> SMTPUTF8\r\n" % path)
            peer.send(b"RCPT TO:<%b>\r\nDATA\r\nQUIT\r\n" % path)
            replies = peer.rest().splitlines()
            assert all(re.fullmatch(rb"[2-5]\d\d [ -~]+", reply) for reply in replies), replies
            assert replies[-2].startswith(b"503"), name  # no recipient was taken
            assert replies[-1].startswith(b"221")
    check_log(watched, 0)  # nobody logs in by LMTP
    assert files(server) == before
    assert len(server.mail(ANN)) == mail
    still_serves(server)


@pytest.mark.parametrize("name", NAMES)
def test_imap_a_mailbox_name_is_only_a_name(server: RestanteServer, tmp_path: Path, name: bytes) -> None:
    """Made as it is called or refused; no file comes of it."""
    before = files(server)
    with Peer(server.imap) as peer:
        peer.imap(b'LOGIN %b "ann\'s secret"' % ANN.encode())
        answer = peer.imap(b"CREATE {%d+}\r\n%b" % (len(name), name))
        assert answer.startswith((b"t OK", b"t NO", b"t BAD"))
        if answer.startswith(b"t OK"):
            assert b"t OK" in peer.imap(b"DELETE {%d+}\r\n%b" % (len(name), name))
        assert b"t OK" in peer.imap(b'LIST "" *')
    assert files(server) == before
