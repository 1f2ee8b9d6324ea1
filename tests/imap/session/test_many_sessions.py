"""Many sessions on one mailbox: whatever they do to each other, each client's own numbers stay right.

Each client below knows only what it was told (EXISTS, EXPUNGE, VANISHED, FETCH); after every command its picture
must agree with what FETCH says of UIDs by number. RFC 9051 7.5.1; RFC 2180.
"""

from __future__ import annotations

import random
import re

import pytest

from .support import SIMPLE, Client, World, run

LINE = re.compile(
    rb"\* (?:(?P<n>\d+) (?:(?P<exists>EXISTS)|(?P<expunge>EXPUNGE)|FETCH \((?P<data>.*)\))"
    rb"|VANISHED (?P<vanished>[\d:,]+))"
)
UID = re.compile(rb"UID (\d+)")
BY_NUMBER = ("FETCH", "STORE", "SEARCH")


class Picture:
    """A client's list of messages: a UID where it has been told one, else None."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.messages: list[int | None] = []

    async def do(self, command: bytes) -> bytes:
        got = await self.client.do(command)
        word = command.split(b" ")[0].decode()
        for line in got.split(b"\r\n"):
            match = LINE.fullmatch(line)
            if match is None:
                continue
            if match["vanished"]:
                assert word not in BY_NUMBER
                for uid in uids(match["vanished"]):
                    assert self.messages.count(uid) == 1, (uid, self.messages)
                    self.messages.remove(uid)
            elif match["exists"]:
                assert int(match["n"]) >= len(self.messages)
                self.messages += [None] * (int(match["n"]) - len(self.messages))
            elif match["expunge"]:
                assert word not in BY_NUMBER, got
                del self.messages[int(match["n"]) - 1]
            elif (told := UID.search(match["data"])) is not None:
                self._note(int(match["n"]) - 1, int(told[1]))
        return got

    def _note(self, position: int, uid: int) -> None:
        assert self.messages[position] in (None, uid)
        self.messages[position] = uid


def uids(text: bytes) -> list[int]:
    found: list[int] = []
    for item in text.split(b","):
        low, _, high = item.partition(b":")
        found += range(int(low), int(high or low) + 1)
    return found


@pytest.mark.parametrize("qresync", [False, True], ids=["expunge", "vanished"])
@pytest.mark.parametrize("seed", range(2))
def test_pictures_stay_right(seed: int, qresync: bool) -> None:
    chance = random.Random(seed)

    async def scenario(world: World) -> None:
        await world.add(*[b"m%d" % n for n in range(12)])
        setup = (b"ENABLE QRESYNC",) if qresync else ()
        pictures = []
        for _ in range(5):
            picture = Picture(await world.client(*setup))
            await picture.do(b"SELECT INBOX")
            await picture.do(b"FETCH 1:* UID")  # VANISHED names UIDs that the client must know
            pictures.append(picture)
        for _ in range(200):
            await step(world, chance, chance.choice(pictures))
        for picture in pictures:
            await picture.do(b"NOOP")
            await picture.do(b"UID FETCH 1:* UID")
        assert len({tuple(picture.messages) for picture in pictures}) == 1

    async def step(world: World, chance: random.Random, picture: Picture) -> None:
        count = len(picture.messages)
        number = chance.randint(1, count) if count else 0
        kind = chance.choice(
            ["fetch", "store", "silent", "delete", "expunge", "arrive", "noop", "copy", "move", "search"]
        )
        if kind == "arrive":
            await world.file(SIMPLE % (b"new", b"x"))
        elif kind == "noop":
            await picture.do(b"NOOP")
        elif kind == "expunge":
            await picture.do(b"EXPUNGE")
        elif kind == "search":
            await picture.do(b"SEARCH ALL")
        elif number:
            await picture.do(
                {
                    "fetch": b"FETCH %d:* UID" % number,
                    "store": b"STORE %d +FLAGS (\\Flagged)" % number,
                    "silent": b"UID STORE %d:* -FLAGS.SILENT (\\Flagged)" % number,
                    "delete": b"STORE %d +FLAGS.SILENT (\\Deleted)" % number,
                    "copy": b"COPY %d INBOX" % number,
                    "move": b"MOVE %d INBOX" % number,
                }[kind]
            )
        known = [n for n, uid in enumerate(picture.messages, 1) if uid is None]
        if known:
            await picture.do(b"FETCH %d:%d UID" % (known[0], known[-1]))

    run(scenario)
