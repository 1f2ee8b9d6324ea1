"""Fetching over real connections: from our own server, from Dovecot, and from one that kills us at its commands."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from restante.clock import SystemClock
from restante.sync.bucket import Bucket
from restante.sync.pop3.errors import LoginRefused, MaildropInUse, SourceRefused, SourceUnavailable
from restante.sync.pop3.fetch import fetch
from restante.sync.pop3.identity import of_message
from restante.sync.pop3.mbox_target import MboxTarget
from restante.sync.pop3.settings import Auth, Pop3Settings, Report, Security
from restante.sync.pop3.state import Pop3State
from restante.testing.server import RestanteServer

from ..ports import free_port
from . import dovecot_pop3
from .dovecot_pop3 import Dovecot, dovecot
from .pop3_world import MemoryTarget, Server, Steps, letter

ANN = "ann@example.org"
WITH_DOTS = letter("dots", ".\r\n..\r\n.x\r\nFrom me\r\n" + "long line " * 1000 + "\r\n")
EIGHT_BIT = "Subject: Grüße\r\nFrom: jörg@example.net\r\n\r\nä\r\n".encode()


def told(host: str, port: int, **options: object) -> Pop3Settings:
    async def secret(renew: bool) -> str:
        return "secret"

    given: dict[str, object] = {"security": Security.NONE, "timeout": 20.0, **options}
    return Pop3Settings(host, port, ANN, secret, **given)  # type: ignore[arg-type] # each test names what it wants


def run(settings: Pop3Settings, target: MemoryTarget | MboxTarget, state: Path) -> Report:
    with Pop3State(state, settings.source) as opened:
        return asyncio.run(fetch(settings, target, opened, SystemClock()))


@pytest.fixture
def ours(restante_server: RestanteServer) -> RestanteServer:
    restante_server.add_account(ANN, "secret")
    for data in (letter("one"), WITH_DOTS, EIGHT_BIT):
        restante_server.put(ANN, data)
    return restante_server


def test_a_cap_on_the_rate_holds(ours: RestanteServer, tmp_path: Path) -> None:
    rate = 200_000
    large = letter("large", ("x" * 70 + "\r\n") * 4_000)
    ours.put(ANN, large)
    target = MemoryTarget(Steps())
    clock = SystemClock()
    begun = clock.monotonic()
    run(told(ours.host, ours.pop3, bucket=Bucket(rate, clock)), target, tmp_path / "state")
    assert clock.monotonic() - begun >= (len(large) - 0.5 * rate) / rate - 0.1
    assert large in target.boxes["INBOX"].mails.values()


@pytest.mark.parametrize("security", list(Security))
def test_our_own_server(ours: RestanteServer, tmp_path: Path, security: Security) -> None:
    port = ours.pop3s if security is Security.TLS else ours.pop3
    settings = told("localhost", port, security=security, ca_file=ours.certificate, delete_after=0)
    target = MemoryTarget(Steps())
    large = letter("large", "A line of a message that fills every buffer on its way.\r\n" * 80_000)
    ours.put(ANN, large)
    report = run(settings, target, tmp_path / "state")
    assert (report.downloaded, report.deleted, report.left) == (4, 4, ())
    assert target.all() == Counter([letter("one"), WITH_DOTS, EIGHT_BIT, large])
    assert ours.mail(ANN) == []
    assert run(settings, target, tmp_path / "state").listed == 0


@pytest.mark.parametrize("auth", [Auth.AUTO, Auth.PLAIN, Auth.USER])
def test_ways_of_logging_in(ours: RestanteServer, tmp_path: Path, auth: Auth) -> None:
    settings = told(ours.host, ours.pop3, auth=auth)
    assert run(settings, MemoryTarget(Steps()), tmp_path / "state").downloaded == 3


def test_refusals_of_a_real_server(ours: RestanteServer, tmp_path: Path) -> None:
    async def wrong(renew: bool) -> str:
        return "wrong"

    target = MemoryTarget(Steps())
    with pytest.raises(LoginRefused):
        run(replace(told(ours.host, ours.pop3), secret=wrong), target, tmp_path / "a")
    with pytest.raises(SourceRefused, match="certificate"):
        run(told("localhost", ours.pop3s, security=Security.TLS), target, tmp_path / "b")
    with pytest.raises(SourceRefused, match="no TLS"):
        run(told("localhost", ours.pop3, security=Security.TLS), target, tmp_path / "c")
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        run(told("localhost", free_port()), target, tmp_path / "d")
    with socket.create_connection((ours.host, ours.pop3)) as other:
        other.sendall(b"USER ann@example.org\r\nPASS secret\r\n")
        said = b""
        while said.count(b"\r\n") < 3:
            said += other.recv(1000)
        with pytest.raises(MaildropInUse):
            run(told(ours.host, ours.pop3), target, tmp_path / "e")


def test_what_stands_behind_the_answer_to_stls_is_thrown_away(ours: RestanteServer, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ours.certificate, ours.certificate.with_name("key.pem"))
    answers = {
        b"CAPA": b"+OK\r\nSTLS\r\n.\r\n",
        b"STLS": b"+OK begin\r\n+OK\r\nSASL XOAUTH2\r\n.\r\n-ERR injected\r\n",
        b"LIST": b"+OK\r\n.\r\n",
        b"UIDL": b"+OK\r\n.\r\n",
    }

    def serve(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        peer.sendall(b"+OK ready\r\n")
        while line := peer.recv(1000):
            verb = line.split()[0]
            peer.sendall(answers.get(verb, b"+OK\r\n"))
            if verb == b"STLS":
                peer = context.wrap_socket(peer, server_side=True)
            if verb == b"QUIT":
                break
        peer.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        settings = told(
            "localhost", listener.getsockname()[1], security=Security.STLS, ca_file=ours.certificate, auth=Auth.USER
        )
        report = run(settings, MemoryTarget(Steps()), tmp_path / "state")
        thread.join(20)
    assert (report.listed, thread.is_alive()) == (0, False)


def test_a_silent_server_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = told("127.0.0.1", silent.getsockname()[1], timeout=0.2)
        with pytest.raises(SourceUnavailable, match="said nothing for"):
            run(settings, MemoryTarget(Steps()), tmp_path / "state")


def test_imap_and_pop3_in_turn_bring_nothing_twice(ours: RestanteServer, tmp_path: Path) -> None:
    """The target holds what another program fetched by IMAP: no octet of it comes again by POP3."""
    target = MemoryTarget(Steps())
    for mail in ours.mail(ANN):
        target.put("INBOX", mail.data)
    report = run(told(ours.host, ours.pop3), target, tmp_path / "state")
    assert (report.downloaded, report.recognised) == (0, 3)


@pytest.fixture(scope="module")
def peer() -> Iterator[Dovecot]:
    if not dovecot_pop3.available():
        pytest.skip("dovecot-pop3d, run as root")
    with dovecot() as server:
        yield server


@pytest.mark.client
def test_dovecot(peer: Dovecot, tmp_path: Path) -> None:
    mails = [letter(f"m{n}", "text\r\n.dot\r\n" * n) for n in range(300)] + [WITH_DOTS, EIGHT_BIT]
    for number, data in enumerate(mails):
        peer.deliver(f"{1_700_000_000 + number}.M1P1.host", data)
    target, settings = MemoryTarget(Steps()), told(peer.host, peer.port)
    assert run(settings, target, tmp_path / "state").downloaded == len(mails)
    assert target.all() == Counter(mails)
    assert run(settings, target, tmp_path / "state").downloaded == 0
    peer.renumber()
    peer.deliver("1800000000.M1P1.host", letter("new"))
    report = run(settings, target, tmp_path / "state")
    assert (report.downloaded, report.recognised) == (1, len(mails))
    (tmp_path / "state").unlink()
    mbox = MboxTarget(tmp_path / "mbox")
    settings = told(peer.host, peer.port, delete_after=0)
    report = run(settings, mbox, tmp_path / "state-of-another")
    assert (report.downloaded, report.deleted) == (len(mails) + 1, len(mails) + 1)
    assert peer.files() == []


@pytest.mark.client
@pytest.mark.parametrize("auth", [Auth.SCRAM_SHA_256, Auth.PLAIN, Auth.USER])
def test_dovecot_takes_each_way_of_logging_in(peer: Dovecot, tmp_path: Path, auth: Auth) -> None:
    async def wrong(renew: bool) -> str:
        return "wrong"

    settings = told(peer.host, peer.port, auth=auth)
    assert run(settings, MemoryTarget(Steps()), tmp_path / "state").left == ()
    with pytest.raises(LoginRefused):
        run(replace(settings, secret=wrong), MemoryTarget(Steps()), tmp_path / "state")


CHILD = """
import asyncio, sys
from pathlib import Path
from restante.clock import SystemClock
from restante.sync.bucket import Bucket
from restante.sync.pop3.fetch import fetch
from restante.sync.pop3.mbox_target import MboxTarget
from restante.sync.pop3.settings import Pop3Settings, Security
from restante.sync.pop3.state import Pop3State
folder, port = Path(sys.argv[1]), int(sys.argv[2])
async def secret(renew): return "secret"
settings = Pop3Settings("127.0.0.1", port, "ann", secret, security=Security.NONE, delete_after=0)
with Pop3State(folder / "state", settings.source) as state:
    asyncio.run(fetch(settings, MboxTarget(folder / "mbox"), state, SystemClock()))
"""


@pytest.mark.crash
def test_a_process_killed_at_any_instant_leaves_nothing_twice_and_nothing_lost(tmp_path: Path) -> None:
    """SIGKILL at a random instant behind a command (66 is the last RETR: all is stored behind it); then
    a run to the end."""
    chance = random.Random(5)
    server = Server(pipelining=False)
    sent = [letter(f"m{n}", "From here\r\n" + "x" * chance.randrange(60_000) + "\r\n") for n in range(60)]
    for data in sent:
        server.put(data)

    async def once(kill_at: int | None, delay: float) -> bool:
        """One child; whether it came to its end."""
        seen = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal seen
            session = server.session()
            writer.write(server.greeting)
            while data := await reader.read(1 << 16):
                seen += data.count(b"\r\n")
                writer.write(session.feed(data))
                if kill_at is not None and seen >= kill_at:
                    await asyncio.sleep(delay)  # the instant is random: nothing rests on its length
                    os.kill(child.pid, signal.SIGKILL)
                    break
            writer.close()

        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with listener:
            port = listener.sockets[0].getsockname()[1]
            child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, str(tmp_path), str(port))
            return await asyncio.wait_for(child.wait(), 60) == 0

    for kill_at in (1, 5, 7, 40, 66, 66, 66, 66, 66, 100, 126):
        asyncio.run(once(kill_at, chance.random() / 20))
        held = contents(tmp_path / "mbox")
        assert held <= Counter(map(key, sent)), "twice"
        assert set(map(key, server.gone)) <= set(held), "deleted too early"
    assert asyncio.run(once(None, 0))
    assert contents(tmp_path / "mbox") == Counter(map(key, sent))
    assert server.mails == []


def key(data: bytes) -> tuple[bytes, bytes]:
    identity = of_message(data)
    return identity.core, identity.body


def contents(path: Path) -> Counter[tuple[bytes, bytes]]:
    """What the file holds, torn messages cut off as the next run does."""

    async def work() -> Counter[tuple[bytes, bytes]]:
        target = MboxTarget(path)
        await target.open()
        uids = (await target.changes("INBOX", None)).uids
        return Counter([key(one.data) async for one in target.fetch("INBOX", uids)])

    return asyncio.run(work())
