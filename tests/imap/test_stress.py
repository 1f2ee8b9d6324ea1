"""Many sessions on shared mailboxes over several server processes, random commands: no view is ever broken.

IMAP sessions of every dialect, conditional STOREs that must not lose a count, POP3 readers and an MTA beside. Each
client knows only what it was told, and each answer must be explainable by that (`stress.picture`); at the end all
agree with a fresh session and with what was filed. RFC 9051 7.4, 7.5; RFC 7162 3, 6; RFC 2180; RFC 4315; RFC 5182.

Bounded by commands, not by time; here they take about a minute. RESTANTE_COMMANDS makes it longer (`make soak`),
RESTANTE_SEED makes it another.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from .stress.client import Client, Dialect
from .stress.others import BITS, COUNTER, OVERFULL, Pop3, count, deliver, value_of
from .stress.reader import SHARED, Reader
from .stress.serving import Server, restante, serving
from .stress.world import World, text

COMMANDS = int(os.environ.get("RESTANTE_COMMANDS", "100000"))
SEED = int(os.environ.get("RESTANTE_SEED", "1"))
WORKERS = 3
READERS = 48
COUNTERS = 4
POP3_READERS = 3
DIALECTS = (
    Dialect(),
    Dialect(qresync=True),
    Dialect(condstore=True),
    Dialect(qresync=True, rev2=True),
    Dialect(rev2=True),
    Dialect(qresync=True),
)
EIGHTHS = 8
GROWTH = 20 << 20
"""Octets by which the workers' memory may grow from the first quarter to the end: caches fill, nothing else grows."""

HAPPEN = (
    *("resynchronised", "modified", "counter contended", "deleted under a session", "told in IDLE", "found by modseq"),
    *("maildrop in use", "DELE", "create", "rename", "delete", "lmtp", "refused"),
)
"""What must have happened in a run of some length for it to have proved something."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A mailbox as a session sees it at the end."""

    flags: dict[int, frozenset[bytes] | None]
    tokens: Counter[bytes]


async def look(client: Client, name: str) -> Seen:
    """Bring the client up to date in this mailbox; what it believes then."""
    await client.ok(b"NOOP")
    await client.learn()
    picture = client.picture
    assert picture is not None
    believed = {m.uid: m.flags for m in picture.messages}
    if picture.messages:
        await client.ok(b"FETCH 1:* (UID FLAGS)")
    for message in picture.messages:
        before = believed[message.uid]
        assert before in (None, message.flags), f"UID {message.uid} has {message.flags}, {before} was believed"
    tokens = Counter(picture.token(number) for number in range(1, len(picture.messages) + 1))
    return Seen({m.uid: m.flags for m in picture.messages}, tokens)


async def play(server: Server, world: World) -> None:
    host, chance = "127.0.0.1", random.Random(SEED)

    async def connect(dialect: Dialect) -> Client:
        return await Client.open(host, server.ports["imap"], world, dialect)

    first = await connect(Dialect())
    for name in (*SHARED[1:], COUNTER):
        await first.ok(b"CREATE " + name.encode())
    for name in (*SHARED, COUNTER):
        data = text(world.token(keep=False))
        await first.ok(b"APPEND %b {%d+}\r\n%b" % (name.encode(), len(data), data))
        await first.select(name, None, examine=False, hints=0)
    await first.close()  # in a run of half an hour it would be logged out
    readers = [
        Reader(connect, world, DIALECTS[number % len(DIALECTS)], chance.randrange(1 << 30)) for number in range(READERS)
    ]
    room = asyncio.Event()
    memory: list[int] = []

    async def watch() -> None:
        """Let the MTA go on while INBOX is not overfull; read the memory after each eighth."""
        client = await connect(Dialect())
        while not world.over:
            await client.ok(b"STATUS INBOX (MESSAGES)")
            told = next(line for line in client.answers if line.startswith(b"* STATUS"))
            if int(told.split(b"(MESSAGES ")[1].split(b")")[0]) < OVERFULL:
                room.set()
            else:
                room.clear()
            if world.done > world.commands * (len(memory) + 1) // EIGHTHS:
                memory.append(await asyncio.to_thread(server.memory))
            await asyncio.sleep(0.2)  # between two looks
        room.set()
        await client.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(COUNTERS):
            group.create_task(count(connect, world))
        for _ in range(POP3_READERS):
            pop3 = Pop3(host, server.ports["pop3"], world, chance.randrange(1 << 30))
            group.create_task(pop3.run())
        group.create_task(deliver(host, server.ports["lmtp"], world, chance.randrange(1 << 30), room=room))
        group.create_task(watch())
        tasks = [group.create_task(reader.run()) for reader in readers]
    clients = [task.result() for task in tasks]
    memory.append(await asyncio.to_thread(server.memory))

    found: Counter[bytes] = Counter()
    for name in SHARED:
        fresh = await connect(Dialect())
        await fresh.select(name, None, examine=True, hints=0)
        truth = await look(fresh, name)
        found += truth.tokens
        for reader, client in zip(readers, clients, strict=True):
            await reader.select(client, name, examine=True)
            assert await look(client, name) == truth, f"{reader.dialect} sees another {name}"
        await fresh.close()
    kept = Counter({token: number for token, number in found.items() if token.startswith(b"keep")})
    assert kept == world.kept, f"lost: {world.kept - kept}, doubled: {kept - world.kept}"
    last = await connect(Dialect())
    await last.select(COUNTER, None, examine=True, hints=0)
    (flags,) = (await look(last, COUNTER)).flags.values()
    assert flags is not None
    assert value_of(flags) == world.counted % (1 << BITS), "a conditional STORE was lost or counted twice"
    for client in (last, *clients):
        await client.close()
    print(f"{world.done} commands: {dict(world.tally)}")
    print("memory of the workers after each eighth, in MB:", *(f"{size / 1e6:.1f}" for size in memory))
    assert memory[-1] - memory[1] < GROWTH


@pytest.mark.slow
def test_no_view_is_broken_among_many_sessions_in_several_processes(tmp_path: Path) -> None:
    world = World(COMMANDS)
    with serving(tmp_path / "data", WORKERS) as server:
        asyncio.run(play(server, world))
    if COMMANDS >= 20_000:
        assert not [what for what in HAPPEN if not world.tally[what]], world.tally
    restante(tmp_path / "data", "doctor")
