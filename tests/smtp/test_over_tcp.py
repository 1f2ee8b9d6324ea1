"""Mail in through the whole server: a status a recipient, where it lands, what is refused, what is listed."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from restante.config.model import AuthTable, Config, DeliveryTable, LimitsTable
from restante.store.model import Column
from restante.testing.server import CHEAP_ARGON2, RestanteServer
from tests.server.support import PATIENCE, Client

ANN, BOB = "ann@example.org", "bob@example.org"
MESSAGE = b"From: <chris@bar.example>\r\nSubject: hello\r\n\r\n.a dot\r\nbody\r\n"


def connect(server: RestanteServer) -> Client:
    client = Client(socket.create_connection((server.host, server.lmtp), PATIENCE))
    assert client.line().startswith(b"220 ")
    client.send(b"LHLO mx.example.net\r\n")
    while not client.line().startswith(b"250 "):
        pass
    return client


def deliver(server: RestanteServer, *recipients: str, message: bytes = MESSAGE) -> list[bytes]:
    """Replies after the final dot to a message whose recipients were all accepted, pipelined in one go."""
    client = connect(server)
    client.send(
        b"MAIL FROM:<chris@bar.example>\r\n"
        + b"".join(b"RCPT TO:<%b>\r\n" % name.encode() for name in recipients)
        + b"DATA\r\n"
    )
    assert all(client.line().startswith(b"250 ") for _ in range(len(recipients) + 1))
    assert client.line().startswith(b"354")
    client.send(message.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    replies = [client.line() for _ in recipients]
    assert client.ask(b"QUIT").startswith(b"221")
    client.close()
    return replies


def test_each_recipient_has_a_status_of_its_own(restante_server: RestanteServer) -> None:
    server = restante_server
    server.add_account(ANN, "secret")
    server.add_account(BOB, "secret", quota=200)
    replies = deliver(server, ANN, BOB, ANN)
    assert [reply[:9] for reply in replies] == [b"250 2.1.5", b"452 4.2.2", b"250 2.1.5"]
    assert server.mail(BOB) == []
    (mail,) = server.mail(ANN)
    assert mail.data.endswith(MESSAGE)
    assert mail.data.startswith(b"Return-Path: <chris@bar.example>\r\nDelivered-To: ann@example.org\r\nReceived: ")


def test_who_is_unknown_or_full_is_told_at_rcpt(restante_server: RestanteServer) -> None:
    server = restante_server
    server.add_account(ANN, "secret", quota=100)
    client = connect(server)
    assert client.ask(b"MAIL FROM:<> SIZE=5000").startswith(b"250 ")
    assert client.ask(b"RCPT TO:<nobody@example.org>").startswith(b"550 5.1.1 ")
    assert client.ask(b"RCPT TO:<ann@elsewhere.example>").startswith(b"550 5.1.1 ")
    assert client.ask(b"RCPT TO:<ann@example.org>").startswith(b"452 4.2.2 ")
    assert client.ask(b"DATA").startswith(b"503 ")
    client.close()


def test_aliases_catch_all_and_folders(restante_server: RestanteServer) -> None:
    server = restante_server
    for name in (ANN, BOB):
        server.add_account(name, "secret")

    async def names() -> None:
        await server.admin.put_alias("team@example.org", [ANN, BOB])
        await server.admin.add_domain("catch.example", catch_all=BOB)

    server.run(names)
    assert all(reply.startswith(b"250 ") for reply in deliver(server, "team@example.org", "x@catch.example"))
    assert all(reply.startswith(b"250 ") for reply in deliver(server, "ann+archive@example.org", "ann+no@example.org"))
    assert len(server.mail(BOB)) == 2
    assert [len(server.mail(ANN, name)) for name in ("INBOX", "Archive")] == [2, 1]
    assert b"\r\nDelivered-To: ann+archive@example.org\r\n" in server.mail(ANN, "Archive")[0].data


@pytest.mark.parametrize(
    "begun", [b"DATA\r\n" + MESSAGE, b"BDAT 100\r\n" + MESSAGE, b"BDAT %d\r\n" % len(MESSAGE) + MESSAGE]
)
def test_a_message_that_breaks_off_is_nobodys(restante_server: RestanteServer, begun: bytes) -> None:
    server = restante_server
    server.add_account(ANN, "secret")
    client = connect(server)
    client.send(b"MAIL FROM:<>\r\nRCPT TO:<ann@example.org>\r\n" + begun)
    assert [client.line()[:4] for _ in range(2)] == [b"250 ", b"250 "]
    client.sock.shutdown(socket.SHUT_WR)
    while client.line():
        pass
    client.close()
    assert server.mail(ANN) == []


def test_chunks_and_utf8_addresses(restante_server: RestanteServer) -> None:
    server = restante_server
    server.add_account("jürgen@example.org", "secret")
    client = connect(server)
    client.send(
        "MAIL FROM:<zoë@bar.example> SMTPUTF8 BODY=8BITMIME\r\nRCPT TO:<jürgen@example.org>\r\n".encode()
        + b"BDAT 10\r\n" + MESSAGE[:10] + b"BDAT %d LAST\r\n" % (len(MESSAGE) - 10) + MESSAGE[10:]
    )  # fmt: skip
    assert [client.line()[:4] for _ in range(4)] == [b"250 "] * 4
    client.close()
    (mail,) = server.mail("jürgen@example.org")
    assert mail.data.endswith(MESSAGE)
    assert "Return-Path: <zoë@bar.example>".encode() in mail.data
    assert b"with UTF8LMTP" in mail.data


def test_redeliveries_are_all_kept_unless_configured(restante_server: RestanteServer) -> None:
    restante_server.add_account(ANN, "secret")
    for _ in range(2):
        deliver(restante_server, ANN)
    assert len(restante_server.mail(ANN)) == 2


def test_a_suppressed_redelivery_is_listed_by_status(tmp_path: Path) -> None:
    config = Config(delivery=DeliveryTable(suppress_duplicates=3600.0), auth=AuthTable(**CHEAP_ARGON2))
    data = tmp_path / "restante"
    with RestanteServer(data, config) as server:
        server.add_account(ANN, "secret")
        for _ in range(2):
            assert deliver(server, ANN)[0].startswith(b"250 ")
        (mail,) = server.mail(ANN)
        server.clock.advance(3601)
        deliver(server, ANN)
        assert len(server.mail(ANN)) == 2, "past its time it is mail like any other"
        command = [sys.executable, "-m", "restante", "status", "--data", str(data)]
        told = subprocess.run([*command, "--json"], capture_output=True, timeout=PATIENCE, check=True)
        (listed,) = json.loads(told.stdout)["suppressed_duplicates"]
        assert (listed["account"], listed["email_id"]) == (ANN, mail.email_id)
        said = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
        assert b"1 redelivery suppressed" in said.stdout


def test_the_configured_bounds_of_analysis_hold_at_every_door(tmp_path: Path) -> None:
    """Delivery, APPEND and the doctor read a message alike, or the doctor would find fault with good mail."""
    parts = b"".join(b"--b\r\n\r\n%d\r\n" % n for n in range(9))
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n"
    config = Config(limits=LimitsTable(mime_parts=4), auth=AuthTable(**CHEAP_ARGON2))
    with RestanteServer(tmp_path / "restante", config) as server:
        server.add_account(ANN, "secret")
        deliver(server, ANN, message=message)
        client = Client(socket.create_connection((server.host, server.imap), PATIENCE))
        client.line()
        assert client.ask(b"a LOGIN ann@example.org secret").startswith(b"a OK")
        assert client.ask(b"a APPEND INBOX {%d}" % len(message)).startswith(b"+")
        assert client.ask(message).startswith(b"a OK")
        client.close()

        async def look() -> tuple[list[object], list[object]]:
            account = (await server.admin.account(ANN)).id
            store = server.engine.account(account)
            inbox = await store.mailbox("INBOX")
            assert inbox is not None
            rows = await store.rows(inbox.key, ((1, 9),), [Column.BODYSTRUCTURE], 9)
            return [row[1] for row in rows], [finding async for finding in store.doctor(False)]

        structures, findings = server.run(look)
    assert len(structures) == 2
    assert structures[0] == structures[1]
    assert findings == []
