"""Runs between the model and sides that keep files: random edits on both, runs, kills; then both hold the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from restante.clock import ManualClock
from restante.sync.engine import run
from restante.sync.maildir import Layout, MaildirSide
from restante.sync.model import FlagChange, Message
from restante.sync.settings import Brake, CopySettings
from restante.sync.side import Side
from restante.sync.state import State

from .memory import ALL, BARE, Abilities, Disk, Killed, MemorySide, Steps
from .programs import number_of, octets
from .test_local import local, make_account

pytestmark = pytest.mark.in_memory

Make = Callable[[Path], Side]
SETTINGS = CopySettings(brake=Brake(on=False), batch=4)
FLAGS = ["\\Seen", "\\Flagged", "$Work"]


def store(folder: Path) -> Side:
    make_account(folder / "data")
    return local(folder / "data")


SIDES: dict[str, Make] = {
    "maildir++": lambda folder: MaildirSide(folder / "Maildir", folder / "index.db"),
    "maildir-plain": lambda folder: MaildirSide(folder / "Mail", folder / "index.db", layout=Layout.PLAIN),
    "store": store,
}
Content = dict[str, list[tuple[int, tuple[str, ...], int]]]


async def content(side: Side) -> Content:
    found = {}
    for place in await side.places():
        if place.selectable:
            changes = await side.changes(place.name, None)
            found[place.name] = sorted(
                [
                    (number_of(m.data), tuple(sorted(m.flags)), m.received)
                    async for m in side.fetch(place.name, list(changes.uids))
                ]
            )
    return found


class Editor:
    """Another program, which works through a side of its own."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.count = 0

    async def edit(self, side: Side) -> None:
        chance = self.chance
        names = [place.name for place in await side.places() if place.selectable]
        name, other = chance.choice(names), chance.choice(names)
        uids = list((await side.changes(name, None)).uids)
        what = chance.randrange(10)
        if what <= 3 or not uids:
            self.count += 1
            flags = frozenset(chance.sample(FLAGS, chance.randrange(3)))
            await side.add(name, [Message(0, octets(self.count, False), flags, 1_700_000_000 + self.count)])
        elif what <= 6:
            flag = frozenset({chance.choice(FLAGS)})
            change = FlagChange([chance.choice(uids)], *((flag, frozenset()) if what == 4 else (frozenset(), flag)))
            await side.set_flags(name, [change])
        elif what == 7:
            await side.remove(name, [chance.choice(uids)])
        elif what == 8 and other != name:
            await side.move(name, [chance.choice(uids)], other)
        elif what == 9:
            new = chance.choice(["A", "B", "A/Grüße"])
            if new not in names:
                await side.create(new, None)
            elif name != "INBOX" and "C" not in names:
                await side.rename(name, "C")


@pytest.mark.parametrize("abilities", [ALL, BARE], ids=["all", "bare"])
@pytest.mark.parametrize("kind", SIDES)
@pytest.mark.parametrize("seed", range(3))
def test_a_server_and_a_copy_become_the_same(seed: int, kind: str, abilities: Abilities, tmp_path: Path) -> None:
    disk, clock, editor = Disk("x"), ManualClock(), Editor(seed)
    make = SIDES[kind]

    def sync(kill: int) -> int:
        steps = Steps(kill)
        state = State(tmp_path / "copy" / "state", lambda when: steps(f"{when} commit"))
        try:
            work = run(SETTINGS, MemorySide(disk, abilities, steps), make(tmp_path), state, clock)
            return asyncio.run(work).changed
        except Killed:
            return -1
        finally:
            state.close()

    async def edit(side: Side) -> None:
        await side.open()
        try:
            for _ in range(editor.chance.randrange(1, 8)):
                await editor.edit(side)
        finally:
            await side.close()

    async def look(side: Side) -> Content:
        await side.open()
        try:
            return await content(side)
        finally:
            await side.close()

    for _ in range(8):
        asyncio.run(edit(MemorySide(disk)))
        asyncio.run(edit(make(tmp_path)))
        sync(editor.chance.choice([0, editor.chance.randrange(1, 60)]))
    for _ in range(3):
        changed = sync(0)
    assert changed == 0
    one, two = asyncio.run(look(MemorySide(disk))), asyncio.run(look(make(tmp_path)))
    if not abilities.keywords:
        one, two = (
            {n: [(a, tuple(f for f in b if f[0] == "\\"), c) for a, b, c in m] for n, m in x.items()}
            for x in (one, two)
        )
    assert one == two
    numbers = [number for rows in one.values() for number, _, _ in rows]
    assert len(numbers) == len(set(numbers))


def test_a_mailbox_takes_the_name_of_one_above_it_in_a_plain_tree(tmp_path: Path) -> None:
    """The folder of that name is there already, without a mailbox."""
    disk, clock = Disk("x"), ManualClock()
    near = SIDES["maildir-plain"]
    state = State(tmp_path / "state")
    disk.create("A/C")
    disk.deliver("A/C", octets(1, False), frozenset({"\\Seen"}), 1_700_000_000)

    def sync() -> tuple[int, Content]:
        report = asyncio.run(run(SETTINGS, MemorySide(disk), near(tmp_path), state, clock))
        assert not report.left_out

        async def look() -> Content:
            side = near(tmp_path)
            await side.open()
            try:
                return await content(side)
            finally:
                await side.close()

        return report.changed, asyncio.run(look())

    try:
        assert sync()[1] == {"INBOX": [], "A/C": [(1, ("\\Seen",), 1_700_000_000)]}
        disk.rename("A/C", "B")
        del disk.boxes["A"]
        disk.rename("B", "A")
        assert sync()[1] == {"INBOX": [], "A": [(1, ("\\Seen",), 1_700_000_000)]}
        assert sync()[0] == 0
    finally:
        state.close()
