"""A message of tens of megabytes passes through a connection without being held several times in memory."""

from __future__ import annotations

import asyncio
import tracemalloc

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
            # the octets, and beside them 8 MB of text while it is decoded and folded, whatever the message's size
            assert peak_of(start) < SIZE + (28 << 20)
        finally:
            tracemalloc.stop()

    run(scenario)
