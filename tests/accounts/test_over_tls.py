"""Logging in through the whole server: mechanisms, channel binding, app passwords, the certificate's change."""

from __future__ import annotations

import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import scramp

from restante.clock import SystemClock
from restante.config.model import AccountsTable, AuthTable, Config
from restante.sasl.end_point import end_point_binding
from restante.server import worker
from restante.server.tls import make_self_signed
from restante.testing.server import CHEAP_ARGON2, RestanteServer
from tests.server.support import PATIENCE, Client, eventually

ANN = "ann@example.org"
PLUS = "SCRAM-SHA-256-PLUS"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RestanteServer]:
    """A server that keeps SCRAM verifiers, is patient with guessers and looks for a new certificate often."""
    monkeypatch.setattr(worker, "CERTIFICATE_CHECK", 0.05)
    config = Config(accounts=AccountsTable(scram=True), auth=AuthTable(**CHEAP_ARGON2, delay_first=0.01))
    with RestanteServer(tmp_path / "restante", config) as server:
        server.add_account(ANN, "secret")
        yield server


@contextmanager
def over_tls(server: RestanteServer, port: int) -> Iterator[Client]:
    client = Client(socket.create_connection((server.host, port), PATIENCE))
    try:
        client.tls(ssl.create_default_context(cafile=str(server.certificate)))
        client.line()
        yield client
    finally:
        client.close()


def peer_certificate(client: Client) -> bytes:
    assert isinstance(client.sock, ssl.SSLSocket)
    der = client.sock.getpeercert(True)
    assert der is not None
    return der


def scram_client(client: Client, password: str, mechanism: str = PLUS) -> scramp.client.ScramClient:
    binding = ("tls-server-end-point", end_point_binding(peer_certificate(client))) if mechanism == PLUS else None
    return scramp.ScramClient([mechanism], ANN, password, channel_binding=binding)


def talk_scram(client: Client, begin: bytes, scram: scramp.client.ScramClient) -> bytes:
    """A SCRAM exchange in base64 lines; the server's last answer."""
    answer = client.ask(begin)
    assert answer.startswith(b"+ "), answer
    challenge = client.ask(b64encode(scram.get_client_first().encode()))
    assert challenge.startswith(b"+ "), challenge
    scram.set_server_first(b64decode(challenge[2:]).decode())
    final = client.ask(b64encode(scram.get_client_final().encode()))
    if not final.startswith(b"+ "):
        return final
    scram.set_server_final(b64decode(final[2:]).decode())
    return client.ask(b"")


def test_scram_plus_over_tls_by_imap_and_pop3(server: RestanteServer) -> None:
    with over_tls(server, server.imaps) as client:
        answer = talk_scram(client, b"a AUTHENTICATE SCRAM-SHA-256-PLUS", scram_client(client, "secret"))
        assert answer.startswith(b"a OK")
    with over_tls(server, server.pop3s) as client:
        answer = talk_scram(client, b"AUTH SCRAM-SHA-256-PLUS", scram_client(client, "secret"))
        assert answer.startswith(b"+OK")


def test_a_binding_to_another_certificate_is_refused(server: RestanteServer) -> None:
    with over_tls(server, server.imaps) as client:
        scram = scramp.ScramClient([PLUS], ANN, "secret", channel_binding=("tls-server-end-point", bytes(32)))
        assert talk_scram(client, b"a AUTHENTICATE SCRAM-SHA-256-PLUS", scram).startswith(b"a NO")


def test_plus_is_offered_where_there_is_a_binding_alone(server: RestanteServer) -> None:
    with over_tls(server, server.pop3s) as client:
        client.send(b"CAPA\r\n")
        assert b"SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" in list(iter(client.line, b"."))
    client = Client(socket.create_connection((server.host, server.pop3), PATIENCE))
    client.line()
    client.send(b"CAPA\r\n")
    assert b"SASL SCRAM-SHA-256 PLAIN LOGIN" in list(iter(client.line, b"."))
    assert client.ask(b"AUTH SCRAM-SHA-256-PLUS").startswith(b"-ERR")
    client.close()


def test_an_app_password_keeps_to_its_protocol_also_by_scram(server: RestanteServer) -> None:
    _, phone = server.run(lambda: server.admin.add_app_password(ANN, "phone", ["pop3"]))
    for mechanism in (PLUS, "SCRAM-SHA-256"):
        with over_tls(server, server.pop3s) as client:
            answer = talk_scram(client, b"AUTH " + mechanism.encode(), scram_client(client, phone, mechanism))
            assert answer.startswith(b"+OK"), mechanism
        with over_tls(server, server.imaps) as client:
            scram = scram_client(client, phone, mechanism)
            assert talk_scram(client, b"a AUTHENTICATE " + mechanism.encode(), scram).startswith(b"a NO"), mechanism
            assert client.ask(b"b LOGIN ann@example.org " + phone.encode()).startswith(b"b NO")
            assert client.ask(b"c LOGIN ann@example.org secret").startswith(b"c OK")


def test_a_changed_certificate_file_is_taken_and_bound_to(server: RestanteServer) -> None:
    with over_tls(server, server.imaps) as before:
        old = peer_certificate(before)
        make_self_signed(server.certificate, server.certificate.with_name("key.pem"), "", SystemClock())
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

        def served() -> bytes:
            client = Client(socket.create_connection((server.host, server.imaps), PATIENCE))
            client.tls(context)
            found = peer_certificate(client)
            client.close()
            return found

        eventually(lambda: served() != old, "the new certificate in service")
        with over_tls(server, server.imaps) as after:
            scram = scram_client(after, "secret")
            assert talk_scram(after, b"a AUTHENTICATE SCRAM-SHA-256-PLUS", scram).startswith(b"a OK")
        scram = scram_client(before, "secret")
        answer = talk_scram(before, b"a AUTHENTICATE SCRAM-SHA-256-PLUS", scram)
        assert answer.startswith(b"a OK"), "a connection keeps the certificate that it began with"


def test_the_certificate_holds_for_clients_wherever_the_servers_clock_stands(server: RestanteServer) -> None:
    """The plugin's clock is far from the machine's, against which clients hold the certificate."""
    assert abs(server.clock.now() - SystemClock().now()) > 86_400
    with over_tls(server, server.imaps) as client:
        assert client.ask(b"a LOGIN ann@example.org secret").startswith(b"a OK")
