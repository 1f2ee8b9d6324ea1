"""A message of tens of megabytes passes through a connection without being held several times in memory."""

from __future__ import annotations

import asyncio
import base64
import tracemalloc

import pytest

from restante.mime.pieces import with_line_ends
from restante.testing.memory import MemoryConnection

from ..session.support import SIMPLE, World, run

SIZE = 24 << 20
LINE = b"0123456789" * 7 + b"\r\n"


class Counting(MemoryConnection):
    """Takes octets as a peer does who keeps none of them; remembers the last ones."""

    total = 0

    def write(self, data: bytes) -> None:
        self.total += len(data)
        self.written = bytearray((bytes(self.written[-4_096:]) + data)[-4_096:])
        self.changed.set()


def large() -> bytes:
    return SIMPLE % (b"large", LINE * (SIZE // len(LINE)))


def peak_of(start: int) -> int:
    """Octets held at once since `start` was taken, at most."""
    return tracemalloc.get_traced_memory()[1] - start


def test_fetch_streams() -> None:
    async def scenario(world: World) -> None:
        await world.file(large())
        connection = Counting()
        client = world.connect(connection=connection)
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        await client.ok(b"SELECT INBOX")
        for section in (b"BODY.PEEK[]", b"BODY.PEEK[TEXT]", b"BINARY.PEEK[]"):
            connection.total = 0
            tracemalloc.start()
            try:
                start = tracemalloc.get_traced_memory()[0]
                await client.do(b"FETCH 1 " + section)
                assert peak_of(start) < 4 << 20, section
            finally:
                tracemalloc.stop()
            assert connection.total > SIZE

    run(scenario)


@pytest.mark.parametrize("first", [0, 1], ids=["octets", "lines"])
def test_binary_decodes_as_it_goes(first: int) -> None:
    async def scenario(world: World) -> None:
        picture = bytes(range(first, 256)) * (SIZE // (256 - first))
        octets = len(with_line_ends(picture))
        encoded = base64.encodebytes(picture)
        await world.file(b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded)
        connection = Counting()
        client = world.connect(connection=connection)
        await client.greeting()
        await client.ok(b"LOGIN user pass")
        await client.ok(b"SELECT INBOX")
        for section, sent in ((b"BINARY.PEEK[1]", octets), (b"BINARY.SIZE[1]", 0)):
            connection.total = 0
            tracemalloc.start()
            try:
                start = tracemalloc.get_traced_memory()[0]
                await client.do(b"FETCH 1 " + section)
                assert peak_of(start) < 4 << 20, section
            finally:
                tracemalloc.stop()
            assert sent <= connection.total < sent + 1_000

    run(scenario)


def test_append_holds_it_and_what_is_made_of_it_but_no_more() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        piece, count = LINE * 1_000, SIZE // (len(LINE) * 1_000)
        head = SIMPLE % (b"large", b"")
        tracemalloc.start()
        try:
            start = tracemalloc.get_traced_memory()[0]
            assert b"+ " in await client.do(b"APPEND INBOX {%d}" % (len(head) + len(piece) * count))
            client.connection.feed(head)
            for _ in range(count):
                client.connection.feed(piece)
                await asyncio.sleep(0)
            client.connection.feed(b"\r\n")
            assert b" OK [APPENDUID" in await client.until(lambda written: b" OK " in written)
            assert peak_of(start) < 1.25 * SIZE  # an eighth more, while the octets still come
        finally:
            tracemalloc.stop()

    run(scenario)


def test_several_messages_are_held_once_together() -> None:
    async def scenario(world: World) -> None:
        client = await world.client()
        message = SIMPLE % (b"one of many", LINE * (SIZE // 8 // len(LINE)))
        tracemalloc.start()
        try:
            start = tracemalloc.get_traced_memory()[0]
            client.connection.feed(b"x APPEND INBOX")
            for _ in range(8):
                client.connection.feed(b" {%d}\r\n" % len(message))
                await client.until(lambda written: b"+ " in written)
                for at in range(0, len(message), 200_000):
                    client.connection.feed(message[at : at + 200_000])
                    await asyncio.sleep(0)
            client.connection.feed(b"\r\n")
            assert b" OK [APPENDUID" in await client.until(lambda written: b"x OK " in written)
            assert peak_of(start) < 1.25 * SIZE + len(message)  # and the one that this test sends
        finally:
            tracemalloc.stop()

    run(scenario)


def test_a_catenated_message_is_held_once() -> None:
    async def scenario(world: World) -> None:
        await world.file(large())
        client = await world.client()
        tracemalloc.start()
        try:
            start = tracemalloc.get_traced_memory()[0]
            got = await client.do(b"APPEND INBOX CATENATE (TEXT {6+}\r\nA: b\r\n URL /INBOX/;UID=1)")
            assert b"T OK [APPENDUID" in got
            assert peak_of(start) < 1.25 * SIZE
        finally:
            tracemalloc.stop()

    run(scenario)
