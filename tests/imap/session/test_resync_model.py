"""A client with QRESYNC that comes back knows what it cannot know: random changes and commands under NOTIFY.

The client's model knows nothing but the responses: what FETCH and VANISHED say, and the mod-sequence that it may take
for known with each tagged response: what HIGHESTMODSEQ says, else the highest MODSEQ it has heard (RFC 7162 6). However
it goes, and whatever NOTIFY has withheld, after the next SELECT with that number its flags are those of the mailbox.
"""

from __future__ import annotations

import asyncio
import random
import re

import pytest

from restante.store.model import FlagMode, Flags

from .support import SIMPLE, Client, World, run

FETCH = re.compile(rb"\* (\d+) (UID)?FETCH \((.*)\)\Z")
VANISHED = re.compile(rb"\* VANISHED (?:\(EARLIER\) )?([0-9:,]+)\Z")
TAGGED = re.compile(rb"(?:\A|\r\n)T (?:OK|NO|BAD) [^\r\n]*\r\n")
HIGHEST = re.compile(rb"(?:\*|T) (?:OK|NO|BAD) \[HIGHESTMODSEQ (\d+)\]")
SELECTED = b"SET (selected (MessageNew (FLAGS) MessageExpunge))"
DELAYED = b"SET (selected-delayed (MessageNew (FLAGS) MessageExpunge%b))"
GROUPS = (SELECTED, SELECTED, DELAYED % b"", DELAYED % b" FlagChange", b"SET (personal (MailboxName))", b"NONE")
COMMANDS = (
    b"NOOP", b"NONSENSE", b"LOGIN a b", b"CAPABILITY", b"FETCH 1 (UID)", b"FETCH 1:* (FLAGS)", b"UID FETCH 1:* (FLAGS)",
    b"SEARCH ALL", b"UID SEARCH 1", b"STATUS INBOX (MESSAGES)", b"UID COPY 1:2 INBOX", b"APPEND nowhere {5000000}",
    b"UID STORE 1:* +FLAGS (\\Draft)", b"UID STORE 1:* -FLAGS (\\Draft)",
)  # fmt: skip
LEAVING = (b"UNSELECT", b"CLOSE", b"LOGOUT", b"SELECT nowhere", b"")


class Cache:
    """What a client keeps. flags: by UID. modseq: up to which it takes everything for known."""

    def __init__(self) -> None:
        self.flags: dict[int, set[bytes]] = {}
        self.modseq = 1
        self._heard = 0
        self._told: int | None = None

    def hear(self, written: bytes) -> None:
        for line in written.split(b"\r\n"):
            if match := FETCH.match(line):
                self._fetched(int(match[1]), match[2] is not None, match[3])
            elif match := VANISHED.match(line):
                for low, high in re.findall(rb"(\d+)(?::(\d+))?", match[1]):
                    for uid in range(int(low), int(high or low) + 1):
                        self.flags.pop(uid, None)
            if match := HIGHEST.match(line):
                self._told = int(match[1])
            if line.startswith(b"T "):
                self.modseq = max(self.modseq, self._heard) if self._told is None else self._told
                self.forget_heard()

    def _fetched(self, number: int, by_uid: bool, items: bytes) -> None:
        uid = re.search(rb"UID (\d+)", items)
        flags = re.search(rb"FLAGS \(([^)]*)\)", items)
        modseq = re.search(rb"MODSEQ \((\d+)\)", items)
        if flags is not None and (by_uid or uid is not None):
            self.flags[number if uid is None else int(uid[1])] = set(flags[1].split()) - {b"\\Recent"}
        if modseq is not None:
            self._heard = max(self._heard, int(modseq[1]))

    def forget_heard(self) -> None:
        self._heard, self._told = 0, None


async def say(client: Client, command: bytes) -> bytes:
    """Responses to a command, and what NOTIFY may tell right behind them."""
    client.connection.feed(b"T " + command + b"\r\n")
    return await client.until(lambda written: TAGGED.search(written) is not None)


async def change(world: World, dice: random.Random) -> None:
    """Somebody else does something to INBOX."""
    uids = (await world.store.snapshot(1)).uids.uids
    what = dice.random()
    if what < 0.3 or not uids:
        await world.file(SIMPLE % (b"new", b"text"))
        return
    uid = dice.choice(uids)
    if what < 0.6:
        await world.store.expunge(1, ((uid, uid),), deleted_only=False)
    else:
        mode = dice.choice([FlagMode.ADD, FlagMode.REMOVE])
        await world.store.store_flags(1, ((uid, uid),), mode, Flags.of([dice.choice(["\\Flagged", "\\Answered"])]))


async def back(client: Client, cache: Cache, validity: int) -> None:
    """SELECT with what the client knows, which must be true then."""
    cache.hear(await say(client, b"SELECT INBOX (QRESYNC (%d %d))" % (validity, cache.modseq)))
    believed = {uid: set(flags) for uid, flags in cache.flags.items()}
    cache.hear(await say(client, b"UID FETCH 1:* (FLAGS)"))
    assert believed == {uid: flags for uid, flags in cache.flags.items() if uid in believed}
    uids = client.session.view.uids.uids
    assert set(cache.flags) == set(uids)


@pytest.mark.parametrize("seed", range(20))
def test_who_comes_back_knows_everything(seed: int) -> None:
    dice = random.Random(seed)

    async def scenario(world: World) -> None:
        enable = dice.choice([b"ENABLE QRESYNC", b"ENABLE QRESYNC UIDONLY", b"ENABLE QRESYNC IMAP4rev2"])
        await world.add(b"1", b"2", b"3", b"4")
        client = await world.client(enable)
        cache = Cache()
        cache.hear(await say(client, b"SELECT INBOX"))
        validity = client.session.view.mailbox.uidvalidity
        cache.hear(await say(client, b"UID FETCH 1:* (FLAGS)"))
        for _ in range(60):
            what = dice.random()
            if what < 0.5:
                await change(world, dice)
            elif what < 0.6:
                cache.hear(await say(client, b"NOTIFY " + dice.choice(GROUPS)))
            elif what < 0.75:
                cache.hear(await say(client, dice.choice(COMMANDS)))
            else:
                leaving = dice.choice(LEAVING)
                if leaving:
                    cache.hear(await say(client, leaving))
                if leaving in (b"LOGOUT", b""):
                    cache.forget_heard()
                    client = await world.client(enable)
                await back(client, cache, validity)
            for _ in range(dice.choice([0, 60])):  # turns of the loop, in which NOTIFY may tell something
                await asyncio.sleep(0)
            cache.hear(client.connection.take())

    run(scenario)
