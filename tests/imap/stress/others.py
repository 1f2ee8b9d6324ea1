"""Who else acts on the account: a counter kept by conditional STOREs, POP3 readers, an MTA."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator

from .client import PASSWORD, USER, Dialect
from .reader import KEEP, Connect
from .world import World, text

COUNTER = "Counter"
BITS = 12
SUBJECT = re.compile(rb"Subject: (\w+)\r\n")
OVERFULL = 90
"""Messages in the maildrop from which the MTA waits for the readers to remove some."""


def bits(value: int) -> bytes:
    """A number as keywords."""
    return b" ".join(b"$b%d" % bit for bit in range(BITS) if value >> bit & 1)


def value_of(flags: frozenset[bytes]) -> int:
    return sum(1 << int(flag[2:]) for flag in flags if flag.startswith(b"$b"))


async def count(connect: Connect, world: World) -> None:
    """Raise the counter again and again: read it, store it raised if nobody did meanwhile. None may be lost.

    RFC 7162 3.1.3: what UNCHANGEDSINCE is for.
    """
    client = await connect(Dialect(condstore=True))
    assert await client.select(COUNTER, None, examine=False, hints=0)
    picture = client.picture
    assert picture is not None
    while not world.over:
        world.did("count")
        await client.ok(b"FETCH 1 (UID FLAGS MODSEQ)")
        (message,) = picture.messages
        assert message.flags is not None
        raised = (value_of(message.flags) + 1) % (1 << BITS)
        tagged = await client.ok(b"STORE 1 (UNCHANGEDSINCE %d) FLAGS.SILENT (%b)" % (message.modseq, bits(raised)))
        picture.doubt(picture.messages)
        if b"[MODIFIED 1]" not in tagged:
            assert b"MODIFIED" not in tagged, tagged
            world.counted += 1
        else:
            world.tally["counter contended"] += 1
    await client.close()


async def deliver(host: str, port: int, world: World, seed: int, *, room: asyncio.Event) -> None:
    """An MTA: messages by LMTP, each accepted one to be found at the end if it is one to be kept."""
    chance = random.Random(seed)
    reader, writer = await asyncio.open_connection(host, port)

    async def say(line: bytes, expected: bytes) -> None:
        writer.write(line + b"\r\n")
        while (answer := await reader.readuntil(b"\r\n"))[3:4] == b"-":
            pass
        assert answer.startswith(expected), (line, answer)

    assert (await reader.readuntil(b"\r\n")).startswith(b"220")
    await say(b"LHLO mx.example.net", b"250")
    while not world.over:
        await room.wait()
        world.did("lmtp")
        keep = chance.random() < 0.1 and world.kept.total() < KEEP
        token = world.token(keep=keep)
        await say(b"MAIL FROM:<a@stress.example>", b"250")
        await say(b"RCPT TO:<" + USER.encode() + b">", b"250")
        await say(b"DATA", b"354")
        if keep:
            world.kept[token] += 1  # before the answer: a session may see and copy it first
        await say(text(token) + b".", b"250")
    writer.write(b"QUIT\r\n")
    await reader.read()
    writer.close()


class Pop3:
    """A POP3 client; each run of `visit` is one session."""

    def __init__(self, host: str, port: int, world: World, seed: int) -> None:
        self.host = host
        self.port = port
        self.world = world
        self.chance = random.Random(seed)

    async def run(self) -> None:
        while not self.world.over:
            await self.visit()

    async def visit(self) -> None:
        """Log in, list, read some, delete some of those that may be, and leave by QUIT or without a word."""
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port, limit=1 << 22)
        self.world.did("pop3")
        await self._line()
        await self._ask(b"USER " + USER.encode())
        self.writer.write(b"PASS " + PASSWORD.encode() + b"\r\n")
        entered = await self._line()
        if entered.startswith(b"+OK"):
            await self._look()
            if self.chance.random() < 0.8:
                await self._ask(b"QUIT")
        else:
            assert b"[IN-USE]" in entered, entered
            self.world.tally["maildrop in use"] += 1
            await self._ask(b"QUIT")
        self.writer.close()

    async def _look(self) -> None:
        sizes = {number: int(size) for number, size in await self._listing(b"LIST")}
        uidls = dict(await self._listing(b"UIDL"))
        assert sizes.keys() == uidls.keys()
        assert len(set(uidls.values())) == len(uidls), "two messages of one UIDL"
        for number in self.chance.sample(sorted(sizes), min(3, len(sizes))):
            data = await self._retrieved(number)
            assert len(data) == sizes[number]
            found = SUBJECT.search(data)
            assert found, data
            token, uidl = found[1], uidls[number]
            assert self.world.uidls.setdefault(uidl, token) == token, f"UIDL {uidl!r} is another message"
            if token.startswith(b"free") and self.chance.random() < 0.7:
                await self._ask(b"DELE " + number)
                self.world.tally["DELE"] += 1

    async def _retrieved(self, number: bytes) -> bytes:
        """RETR: messages that IMAP has expunged meanwhile stay readable for this session (RFC 1939 8)."""
        await self._ask(b"RETR " + number)
        return b"".join([line.removeprefix(b".") async for line in self._lines()])

    async def _listing(self, command: bytes) -> list[tuple[bytes, bytes]]:
        await self._ask(command)
        found = []
        async for line in self._lines():
            number, what = line.split()
            found.append((number, what))
        return found

    async def _ask(self, command: bytes) -> None:
        self.writer.write(command + b"\r\n")
        answer = await self._line()
        assert answer.startswith(b"+OK"), (command, answer)

    async def _line(self) -> bytes:
        return await self.reader.readuntil(b"\r\n")

    async def _lines(self) -> AsyncIterator[bytes]:
        while (line := await self._line()) != b".\r\n":
            yield line
