"""What a dry run says, and that it does nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from restante.sync.model import Place
from restante.sync.settings import End

from .memory import ALL, BARE, Abilities, MemorySide
from .programs import octets
from .promises import ONE, PLAIN, TWO, Make, numbers, same, sync

pytestmark = pytest.mark.in_memory


class Uncounted(MemorySide):
    """Lists mailboxes without saying how many messages are in them, as a server does."""

    async def places(self) -> list[Place]:
        return [replace(place, messages=None) for place in await super().places()]


def test_a_dry_run_counts_what_is_in_a_mailbox_that_is_to_be_made(make: Make) -> None:
    world = make()
    world.kind = Uncounted
    for name, number in (("A", 3), ("B", 0)):
        world.disks[ONE].create(name)
        for _ in range(number):
            world.deliver(ONE, name)
    assert sync(world, dry_run=True).plan == (
        "create 'A' on two, with 3 messages",
        "create 'B' on two, with 0 messages",
    )
    world.prepare = lambda sides: sides[ONE].broken.add("A")
    assert sync(world, dry_run=True).plan[0] == "create 'A' on two, with its messages"
    world.prepare = None
    assert sync(world).two.added == 3


def test_a_dry_run_says_and_does_nothing(make: Make) -> None:
    world = make()
    for name in ("A", "B"):
        world.disks[ONE].create(name)
        world.deliver(ONE, name)
        world.deliver(ONE, name)
    sync(world)
    world.disks[ONE].move("A", 1, "B")
    world.remove(ONE, "A", 2)
    world.disks[TWO].flag("B", 1, frozenset({"\\Seen"}))
    world.deliver(TWO, "INBOX")
    world.disks[TWO].create("C")
    world.disks[ONE].renumber("B")
    before = [disk.version for disk in world.disks.values()]
    report = sync(world, dry_run=True)
    assert [disk.version for disk in world.disks.values()] == before
    assert sorted(report.plan) == [
        "add 1 message to 'INBOX' on one",
        "change flags of 1 message in 'B' on one",
        "create 'C' on one, with 0 messages",
        "move 1 message from 'A' to 'B' on two",
        "remove 1 message from 'A' on two",
    ]
    assert report.changed == 0
    report = sync(world)
    assert (report.two.moved, report.two.removed, report.one.flagged, report.one.added) == (1, 1, 1, 1)
    same(world)


def test_a_first_dry_run(make: Make) -> None:
    world = make()
    world.deliver(ONE, "INBOX")
    world.disks[ONE].create("A")
    world.deliver(ONE, "A")
    assert sorted(sync(world, dry_run=True).plan) == [
        "add 1 message to 'INBOX' on two",
        "create 'A' on two, with 1 message",
    ]
    assert world.boxes(TWO) == ["INBOX"]
    assert numbers(world, "message") == 0


@pytest.mark.parametrize("abilities", [ALL, PLAIN, BARE], ids=["all", "no-emails", "bare"])
def test_a_first_dry_run_counts_what_is_on_both_sides_once(make: Make, abilities: Abilities) -> None:
    world = make(one=abilities, two=abilities)
    for end in End:
        world.disks[end].create("A")
        for number in range(3):
            world.disks[end].deliver("A", octets(number, alike=False))
    world.deliver(ONE, "A")
    world.disks[TWO].flag("A", 2, frozenset({"\\Seen"}))
    before = [disk.version for disk in world.disks.values()]
    plan = sync(world, dry_run=True).plan
    assert sorted(plan) == ["add 1 message to 'A' on two", "change flags of 1 message in 'A' on one"]
    assert [disk.version for disk in world.disks.values()] == before
    report = sync(world)
    assert (report.two.added, report.one.flagged, report.changed) == (1, 1, 2)
