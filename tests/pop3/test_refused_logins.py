"""What POP3 tells of a refused login: to who holds the right secret why, to everybody else nothing. RFC 3206."""

from __future__ import annotations

import poplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.config.model import AuthTable, Config
from restante.testing.server import RestanteServer

ANN = "ann@example.org"
NO = b"-ERR [AUTH] Authentication failed."


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestanteServer]:
    config = Config(auth=AuthTable(argon2_memory=1 << 20, argon2_time=1, delay_first=0.0))
    with RestanteServer(tmp_path / "data", config) as server:
        server.add_account(ANN, "secret")
        yield server


def login(server: RestanteServer, password: str) -> bytes:
    client = poplib.POP3(server.host, server.pop3, timeout=20)
    try:
        client.user(ANN)
        return client.pass_(password)
    except poplib.error_proto as error:
        answer = error.args[0]
        assert isinstance(answer, bytes)
        return answer
    finally:
        client.close()


def test_an_expired_password_says_so_to_its_holder(server: RestanteServer) -> None:
    until = int(server.clock.now()) + 60
    _, text = server.run(lambda: server.admin.add_app_password(ANN, "phone", expires=until))
    assert login(server, text).startswith(b"+OK")
    server.clock.advance(60)
    assert login(server, text) == b"-ERR [AUTH] This password has expired. Get a new one."
    assert login(server, "wrong") == NO


def test_a_disabled_account_says_so_to_its_owner(server: RestanteServer) -> None:
    server.run(lambda: server.admin.disable(ANN))
    assert login(server, "secret") == b"-ERR [AUTH] This account is disabled. Ask the administrator."
    assert login(server, "wrong") == NO
