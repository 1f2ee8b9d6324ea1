"""COMPRESS=DEFLATE over TCP and TLS, with Python's own IMAP client over zlib. RFC 4978, RFC 8437 4.1."""

from __future__ import annotations

import asyncio
import imaplib
import random
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from restante.config.model import AuthTable, Config, ImapTable, LimitsTable
from restante.server.deflate import Inflater
from restante.server.stream import INFLATE_MAX
from restante.testing.server import RestanteServer
from tests.server.support import Client, eventually

from .session.support import World, run

ANN, BOB = "ann@example.org", "bob@example.org"
BODY = b"Subject: m%d\r\n\r\n" + b"A line of text like any other.\r\n" * 50


def config(**limits: int) -> Config:
    return Config(auth=AuthTable(argon2_memory=1 << 20, argon2_time=1), limits=LimitsTable(**limits))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestanteServer]:
    with RestanteServer(tmp_path / "data", config()) as server:
        for address in (ANN, BOB):
            server.add_account(address, "secret")
        yield server


class Compressing(imaplib.IMAP4):
    """imaplib with COMPRESS; `wire` counts octets received since it began, `plain` what they stood for."""

    def __init__(self, server: RestanteServer, *, tls: bool = False) -> None:
        self._out = zlib.compressobj(9, zlib.DEFLATED, -15)
        self._in = zlib.decompressobj(-15)
        self._buffer = b""
        self._on = False
        self.wire = self.plain = 0
        super().__init__(server.host, server.imap, timeout=20)
        if tls:
            self.starttls(ssl.create_default_context(cafile=str(server.certificate)))
        self.login(ANN, "secret")

    def compress(self) -> None:
        assert self._simple_command("COMPRESS", "DEFLATE")[0] == "OK"
        self._on = True

    def send(self, data: Any) -> None:  # Any: typeshed's Buffer has no name in Python 3.11
        if self._on:
            data = self._out.compress(data) + self._out.flush(zlib.Z_SYNC_FLUSH)
        super().send(data)

    def _more(self) -> None:
        raw = self.sock.recv(65_536)
        assert raw, "the server closed"
        self.wire += len(raw)
        data = self._in.decompress(raw)
        self.plain += len(data)
        self._buffer += data

    def read(self, size: int) -> bytes:
        if not self._on:
            return super().read(size)
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def readline(self) -> bytes:
        if not self._on:
            return super().readline()
        while b"\n" not in self._buffer:
            self._more()
        line, end, self._buffer = self._buffer.partition(b"\n")
        return line + end


imaplib.Commands["COMPRESS"] = ("AUTH", "SELECTED")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_whole_session_compressed(server: RestanteServer, tls: bool) -> None:
    for n in range(60):
        server.put(ANN, BODY % n)
    with Compressing(server, tls=tls) as client:
        assert b" COMPRESS=DEFLATE" in client.capability()[1][0]
        client.compress()
        assert client.select()[1] == [b"60"]
        found = client.fetch("1:*", "(ENVELOPE BODY.PEEK[])")[1]
        assert [part[1] for part in found if isinstance(part, tuple)] == [BODY % n for n in range(60)]
        assert client.wire < 0.1 * client.plain, (client.wire, client.plain)
        big = b"Subject: big\r\n\r\n" + random.Random(2).randbytes(300_000).hex().encode() + b"\r\n"
        assert client.append("INBOX", "", "", big)[0] == "OK"
        (part, _) = client.fetch("61", "BODY[]")[1]
        assert isinstance(part, tuple)
        assert part[1] == big
        client.logout()


def test_an_answer_arrives_at_once_and_so_does_what_idle_tells(server: RestanteServer) -> None:
    with Compressing(server) as client:
        client.compress()
        client.select()
        client.send(b"x IDLE\r\n")
        assert client.readline().startswith(b"+")
        server.put(ANN, BODY % 1)
        assert client.readline() == b"* 1 EXISTS\r\n"
        client.readline()
        client.send(b"DONE\r\n")
        assert client.readline().startswith(b"x OK")


def raw(server: RestanteServer, address: str = ANN) -> Client:
    """A client that has logged in and had COMPRESS begun; octets are its own business."""
    client = Client(socket.create_connection((server.host, server.imap), 20))
    assert client.line()
    assert client.ask(b"a LOGIN %b secret" % address.encode()).startswith(b"a OK")
    assert client.ask(b"b COMPRESS DEFLATE") == b"b OK DEFLATE active."
    assert client.buffer == b""
    return client


def deflate(data: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush(flush)


def answers(client: Client, inflate: zlib._Decompress, until: bytes) -> bytes:
    """What the server says, up to and with `until`."""
    got = b""
    while until not in got:
        data = client.sock.recv(65_536)
        assert data, got
        got += inflate.decompress(data)
    return got


def test_rfc4978_3_twice_is_refused(server: RestanteServer) -> None:
    client, inflate = raw(server), zlib.decompressobj(-15)
    client.send(deflate(b"c COMPRESS DEFLATE\r\n"))
    assert answers(client, inflate, b"\r\n") == b"c BAD [COMPRESSIONACTIVE] DEFLATE is active already.\r\n"


def test_what_was_sent_before_the_ok_was_seen_is_not_taken_for_commands(server: RestanteServer) -> None:
    client = Client(socket.create_connection((server.host, server.imap), 20))
    assert client.line()
    client.ask(b"a LOGIN ann@example.org secret")
    assert client.ask(b"b COMPRESS DEFLATE\r\nc DELETE Archive") == b"b OK DEFLATE active."
    client.send(deflate(b"d NOOP\r\n"))
    assert answers(client, zlib.decompressobj(-15), b"\r\n") == b"d OK NOOP completed.\r\n"
    assert "Archive" in server.mailboxes(ANN)


@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_FINISH])
@pytest.mark.parametrize("octet_by_octet", [False, True])
def test_rfc8437_4_1_compression_ends_with_unauthenticate(
    server: RestanteServer, flush: int, octet_by_octet: bool
) -> None:
    """The next command stands in plain octets right behind it, in one packet or in as many as there can be."""
    server.put(BOB, BODY % 7)
    client, inflate = raw(server), zlib.decompressobj(-15)
    sent = deflate(b"c NOOP\r\nd UNAUTHENTICATE\r\n", flush)
    sent += b"e LOGIN bob@example.org secret\r\nf SELECT INBOX\r\n"
    for piece in [sent[i : i + 1] for i in range(len(sent))] if octet_by_octet else [sent]:
        client.send(piece)
    got = b""
    while not inflate.eof:
        got += inflate.decompress(client.sock.recv(65_536))
    assert got == b"c OK NOOP completed.\r\nd OK Nobody is logged in.\r\n"
    client.buffer = inflate.unused_data
    assert client.line().startswith(b"e OK")
    while not (line := client.line()).startswith(b"f "):
        assert line
    # And again, with streams of their own.
    assert client.ask(b"g COMPRESS DEFLATE") == b"g OK DEFLATE active."
    client.send(deflate(b"h FETCH 1 UID\r\n"))
    assert answers(client, zlib.decompressobj(-15), b"h OK").startswith(b"* 1 FETCH (UID 1)\r\n")


def test_octets_sent_before_tls_are_not_read_within_it(server: RestanteServer) -> None:
    """NO STARTTLS by way of the layer: clear octets that it holds back behind compressed ones."""
    client = raw(server)
    client.send(deflate(b"c UNAUTHENTICATE\r\nd STARTTLS\r\n") + b"e NOOP\r\n")
    inflate, got = zlib.decompressobj(-15), b""
    while b"d OK" not in got:
        data = client.sock.recv(65_536)
        assert data, got
        got += data if inflate.eof else inflate.decompress(data) + inflate.unused_data
    client.tls(ssl.create_default_context(cafile=str(server.certificate)))
    assert client.ask(b"f NOOP") == b"f OK NOOP completed."


@pytest.mark.parametrize(
    "hostile",
    [b"d NOOP\r\n" * 4, deflate(b"", zlib.Z_FINISH), b"\xff" * 100],
    ids=["plain", "ended", "rubbish"],
)
def test_what_is_no_deflate_ends_the_connection(server: RestanteServer, hostile: bytes) -> None:
    client = raw(server)
    client.send(hostile)
    assert client.ended()
    assert raw(server)


def test_a_bomb_is_inflated_in_pieces_while_others_are_served(
    server: RestanteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred kilobytes that stand for a hundred megabytes: a line that is too long, in little memory. Between two
    pieces others have their turn."""
    bomb = deflate(b"d NOOP " + bytes(1).replace(b"\0", b"x") * 100_000_000 + b"\r\n")
    client, other = raw(server), raw(server, BOB)
    answer = zlib.decompressobj(-15)
    (channel,) = [one for one in server._server.worker._channels if one.account == ANN]
    real, turn = Inflater.take, 0
    pieces: list[tuple[int, int]] = []

    def take(incoming: Inflater, most: int) -> bytes:
        nonlocal turn
        data = real(incoming, most)
        if incoming is channel._inflate and data:
            pieces.append((turn, len(data)))
            asyncio.get_running_loop().call_soon(over)
        return data

    def over() -> None:
        nonlocal turn
        turn += 1

    monkeypatch.setattr(Inflater, "take", take)
    feeding = threading.Thread(target=lambda: client.sock.sendall(bomb))
    feeding.start()
    inflate = zlib.decompressobj(-15)
    sender = zlib.compressobj(9, zlib.DEFLATED, -15)
    for n in range(20):
        other.send(sender.compress(b"n%d NOOP\r\n" % n) + sender.flush(zlib.Z_SYNC_FLUSH))
        answers(other, inflate, b"n%d OK" % n)
        assert channel._incoming_size <= 400_000
    feeding.join(20)
    got = answers(client, answer, b"Line too long")
    assert got.startswith((b"d BAD", b"* BYE"))
    turns = [at for at, _ in pieces]
    assert len(pieces) > 1
    assert len(set(turns)) == len(turns)
    assert max(size for _, size in pieces) <= INFLATE_MAX


def test_as_many_connections_are_compressed_as_configured(tmp_path: Path) -> None:
    with RestanteServer(tmp_path / "data", config(compressed=2, dictionaries=1)) as server:
        server.add_account(ANN, "secret")
        first, second = raw(server), raw(server)
        third = Client(socket.create_connection((server.host, server.imap), 20))
        assert third.line()
        third.ask(b"a LOGIN ann@example.org secret")
        assert third.ask(b"b COMPRESS DEFLATE").startswith(b"b NO [LIMIT] ")
        assert third.ask(b"c NOOP") == b"c OK NOOP completed."
        first.close()
        compressors = server._server.worker._compressors
        eventually(lambda: compressors.connections == 1)
        assert third.ask(b"d COMPRESS DEFLATE") == b"d OK DEFLATE active."
        for client in (second, third):
            client.send(deflate(b"e NOOP\r\n"))
            assert answers(client, zlib.decompressobj(-15), b"\r\n") == b"e OK NOOP completed.\r\n"
        assert len(compressors) == 1


def test_it_can_be_turned_off() -> None:
    async def scenario(world: World) -> None:
        client = world.connect(config=ImapTable(compress=False))
        assert b"COMPRESS" not in await client.greeting()
        assert b"COMPRESS" not in await client.ok(b"LOGIN user pass")
        assert b"COMPRESS" not in await client.ok(b"CAPABILITY")
        assert b"T BAD" in await client.do(b"COMPRESS DEFLATE")
        on = world.connect()
        await on.greeting()
        assert b"T BAD" in await on.do(b"COMPRESS DEFLATE")
        assert b" COMPRESS=DEFLATE" in await on.ok(b"LOGIN user pass")
        assert b"T BAD" in await on.do(b"COMPRESS LZW")
        assert await on.do(b"COMPRESS DEFLATE") == b"T OK DEFLATE active.\r\n"
        assert on.connection.compressed

    run(scenario)
