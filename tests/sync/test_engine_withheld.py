"""What a side does not give: set aside with its reason, and carried when it comes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from restante.sync.model import Withheld
from restante.sync.settings import End, Trash
from restante.sync.state import State

from .memory import ALL, BARE, Abilities, MemorySide
from .programs import World, number_of
from .promises import FREE, ONE, PLAIN, TWO, Make, fetched, numbers, same, sync, uids

pytestmark = pytest.mark.in_memory


def withholding(world: World, number: int | None, *, temporary: bool = True) -> None:
    """Side one does not give that message from now on; None: it gives all."""

    def why(data: bytes) -> Withheld | None:
        return Withheld("cannot be read", temporary) if number_of(data) == number else None

    def prepare(sides: dict[End, MemorySide]) -> None:
        sides[ONE].withholds = None if number is None else why

    world.prepare = prepare


@pytest.mark.parametrize("abilities", [ALL, PLAIN, BARE], ids=["all", "no-emails", "bare"])
@pytest.mark.parametrize("before", [False, True], ids=["first-run", "later"])
def test_what_a_side_does_not_give_is_set_aside_and_comes_when_it_does(
    make: Make, abilities: Abilities, before: bool
) -> None:
    world = make(one=abilities)
    if before:
        sync(world)
    for _ in range(3):
        world.deliver(ONE, "INBOX", frozenset({"\\Seen"}))
    withholding(world, 2)
    for _ in range(3):  # the second does not ask again, and takes nothing for removed
        report = sync(world)
        assert sorted(world.numbers(TWO)) == [1, 3]
        assert sorted(world.numbers(ONE)) == [1, 2, 3]
        (aside,) = report.aside
        assert (aside.mailbox, aside.uid, aside.refused_by) == ("INBOX", 2, ONE)
        assert aside.reason == "one does not give it: cannot be read"
        assert aside.next_try == world.clock.now() + 600
        assert report.one.removed == report.two.removed == 0
    assert (report.changed, report.passes, fetched(world)) == (0, 1, 0)
    world.clock.advance(601)
    assert (sync(world).changed, fetched(world)) == (0, 0)  # asked again, and still not given
    withholding(world, None)
    world.clock.advance(100)
    assert fetched(world) == 0
    world.clock.advance(2000)
    report = sync(world)
    assert (report.two.added, report.aside) == (1, ())
    same(world)
    assert sync(world).changed == 0


def test_what_is_never_given_is_not_asked_for_again(make: Make) -> None:
    world = make()
    world.deliver(ONE, "INBOX")
    withholding(world, 1, temporary=False)
    assert sync(world).aside[0].next_try is None
    world.clock.advance(10 * 86_400)
    sync(world)
    assert "fetch" not in world.sides[ONE].calls
    withholding(world, None)
    state = State(world.folder / "state")
    assert state.retry_aside() == 1
    state.close()
    assert sync(world).two.added == 1


def test_what_is_not_given_and_then_removed_is_forgotten(make: Make) -> None:
    world = make()
    world.deliver(ONE, "INBOX")
    withholding(world, 1)
    assert len(sync(world).aside) == 1
    world.remove(ONE, "INBOX", 1)
    report = sync(world)
    assert (report.aside, report.changed) == ((), 0)
    assert numbers(world, "message") == 0


def test_flags_and_moves_of_what_is_not_given_come_with_it(make: Make) -> None:
    world = make()
    world.disks[ONE].create("A")
    world.deliver(ONE, "INBOX")
    withholding(world, 1)
    sync(world)
    world.disks[ONE].flag("INBOX", 1, frozenset({"\\Flagged"}))
    sync(world)
    world.disks[ONE].move("INBOX", 1, "A")
    sync(world)
    assert sum(world.numbers(TWO).values()) == 0
    withholding(world, None)
    world.clock.advance(10_000)
    assert sync(world).two.added == 1
    same(world)
    assert world.content(TWO)["A"] == [(1, ("\\Flagged",))]


def test_what_comes_back_and_is_not_given_is_set_aside(make: Make) -> None:
    world = make()
    world.deliver(ONE, "INBOX")
    sync(world)
    world.disks[ONE].flag("INBOX", 1, frozenset({"\\Flagged"}))
    world.remove(TWO, "INBOX", 1)
    withholding(world, 1)
    report = sync(world)
    assert (len(report.aside), sorted(world.numbers(ONE))) == (1, [1])
    withholding(world, None)
    world.clock.advance(601)
    sync(world)
    same(world)


def test_what_the_trash_cannot_read_is_not_removed(make: Make, tmp_path: Path) -> None:
    world = make(replace(FREE, trash=Trash(days=3, folder=tmp_path / "trash")))
    for _ in range(2):
        world.deliver(ONE, "INBOX")
    sync(world)
    for uid in uids(world, TWO):
        world.remove(TWO, "INBOX", uid)
    withholding(world, 2)
    report = sync(world)
    assert sorted(world.numbers(ONE)) == [2]
    assert [left.reason for left in report.left_out] == [
        "one does not give 1 of the messages that the trash is to keep."
    ]
    withholding(world, None)
    assert sync(world).one.removed == 1
    assert len([path for path in (tmp_path / "trash").rglob("*") if path.is_file()]) == 2
