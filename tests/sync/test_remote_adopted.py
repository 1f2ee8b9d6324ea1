"""Going on with a connection of somebody else's: ends of all kinds."""

from __future__ import annotations

import asyncio
import ssl
from types import SimpleNamespace
from typing import Any

import pytest

from restante.sync.handed import Handed
from restante.sync.remote import Settings
from restante.sync.remote.adopted import _Wire
from restante.sync.remote.connection import Connection
from restante.sync.remote.errors import Lost
from restante.testing.server import RestanteServer


class Plain(asyncio.Transport):
    """A transport that keeps what is written, and calls nobody back."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing


def test_a_goodbye_of_tls_ends_the_connection_and_what_is_written_then_is_dropped(
    restante_server: RestanteServer,
) -> None:
    path = restante_server.certificate
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.load_cert_chain(path, path.with_name("key.pem"))
    ours.check_hostname, ours.verify_mode = False, ssl.CERT_NONE
    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    server, client = theirs.wrap_bio(there, here, server_side=True), ours.wrap_bio(here, there)
    for end in (client, server, client, server):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    out, into = there, ssl.MemoryBIO()
    tickets = here.read()
    wire = Plain()
    tls: Any = SimpleNamespace(object=client, into=here, out=out)
    connection = Connection(Settings())
    protocol = _Wire(connection, tls)
    protocol.connection_made(wire)
    protocol.data_received(tickets)
    assert not wire.is_closing()
    server.write(b"a1 OK done\r\n")
    with pytest.raises(ssl.SSLWantReadError):
        server.unwrap()
    into.write(here.read())
    protocol.data_received(into.read())
    assert connection.received == len(b"a1 OK done\r\n")
    assert wire.is_closing()
    connection.begin((b"NOOP",))


def test_lines_that_are_none_of_imap_are_no_fault() -> None:
    handed = Handed(-1, None, None, None, b"* OK ready\r\n* CAPABILITY X\rY\r\n")
    with pytest.raises(Lost):
        Connection(Settings()).resume(handed)
