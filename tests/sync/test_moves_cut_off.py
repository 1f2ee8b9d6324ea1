"""A move is cut off at every step, and somebody does one thing more before the next run: it counts, and nothing is lost
or there twice.

What he does is done where he moved the message himself; on the other side it is still, or already, or both.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from restante.sync.settings import Brake, CopySettings, End

from .memory import ALL, BARE, Abilities
from .programs import World, number_of, octets

pytestmark = pytest.mark.in_memory

STRIDE = 1 if int(os.environ.get("RESTANTE_SYNC_PROGRAMS", "0")) > 1000 else 8
"""Steps between kills of a second run."""
ONE, TWO = End.ONE, End.TWO
FREE = CopySettings(brake=Brake(on=False))
ABILITIES: dict[str, tuple[Abilities, Abilities]] = {
    "all": (ALL, ALL),
    "bare": (BARE, BARE),
    "no-emails": (replace(ALL, emails=False), replace(ALL, emails=False)),
    "no-move": (replace(ALL, moves=False), replace(ALL, emails=False, moves=False)),
}

Where = dict[str, list[tuple[str, ...]]]
"""Mailbox -> flags of each time that the message is there."""
Edit = Callable[[World, End], None]


def place(world: World, end: End) -> tuple[str, int]:
    """Where the message is; it is there once."""
    boxes = world.disks[end].boxes
    (found,) = [(name, uid) for name, uid in world.messages(end) if number_of(boxes[name].messages[uid].data) == 1]
    return found


def remove(world: World, end: End) -> None:
    world.remove(end, *place(world, end))


def delete(world: World, end: End) -> None:
    world.delete(end, place(world, end)[0])


def move_on(world: World, end: End) -> None:
    world.disks[end].move(*place(world, end), "C")


def move_back(world: World, end: End) -> None:
    world.disks[end].move(*place(world, end), "A")


def flag(world: World, end: End) -> None:
    world.disks[end].flag(*place(world, end), frozenset({"\\Answered"}))


EDITS: dict[Edit, Where] = {
    remove: {},
    delete: {},
    move_on: {"C": [("\\Seen",)]},
    move_back: {"A": [("\\Seen",)]},
    flag: {"B": [("\\Answered",)]},
}


def where(world: World) -> Where:
    one, two = (world.content(end) for end in End)
    assert one == two
    found = {name: [flags for number, flags in rows if number == 1] for name, rows in one.items()}
    return {name: flags for name, flags in found.items() if flags}


def prepared(folder: Path, abilities: str, end: End, settings: CopySettings = FREE) -> World:
    """A message was moved on that side from A to B, and no run after it."""
    one, two = ABILITIES[abilities]
    world = World(folder, {ONE: one, TWO: two}, settings)
    world.disks[ONE].deliver("INBOX", octets(0, False))
    for name in "ABC":
        world.disks[ONE].create(name)
    world.deliver(ONE, "A", frozenset({"\\Seen"}))
    world.deliver(ONE, "C")
    world.settle()
    world.disks[end].move(*place(world, end), "B")
    return world


def steps_of_the_move(folder: Path, abilities: str, end: End) -> range:
    """From right before it is noted to the end of the run."""
    world = prepared(folder, abilities, end)
    world.sync()
    assert where(world) == {"B": [("\\Seen",)]}
    begun = next(at for at, label in enumerate(world.steps.labels, 1) if "before move" in label)
    return range(begun - 2, world.steps.taken + 1)


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("abilities", ["all", "bare", "no-move"])
@pytest.mark.parametrize("edit", EDITS)
def test_what_is_done_after_a_move_that_was_cut_off_counts(
    edit: Edit, abilities: str, end: End, tmp_path: Path
) -> None:
    for step in steps_of_the_move(tmp_path / "whole", abilities, end):
        world = prepared(tmp_path / str(step), abilities, end)
        assert world.sync(kill=step) is None
        edit(world, end)
        world.settle()
        assert where(world) == EDITS[edit], f"killed at step {step}"
        world.check()


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("edit", [remove, move_on, move_back])
def test_it_counts_when_the_next_run_is_cut_off_too(edit: Edit, end: End, tmp_path: Path) -> None:
    for step in steps_of_the_move(tmp_path / "whole", "no-move", end):
        for again in range(1 + step % STRIDE, 200, STRIDE):
            world = prepared(tmp_path / f"{step}.{again}", "no-move", end)
            assert world.sync(kill=step) is None
            edit(world, end)
            if world.sync(kill=again) is not None:
                break
            world.settle()
            assert where(world) == EDITS[edit], f"killed at step {step}, then at step {again}"
            world.check()


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("abilities", ["all", "no-emails"])
def test_a_copy_that_somebody_makes_is_not_taken_for_what_a_move_left(abilities: str, end: End, tmp_path: Path) -> None:
    for step in steps_of_the_move(tmp_path / "whole", abilities, end):
        world = prepared(tmp_path / str(step), abilities, end)
        assert world.sync(kill=step) is None
        world.copy(end.other, *place(world, end.other), "C")
        world.settle()
        assert where(world) == {"B": [("\\Seen",)], "C": [("\\Seen",)]}, f"killed at step {step}"
        world.check()


def test_a_removal_after_a_move_that_was_cut_off_is_not_held(tmp_path: Path) -> None:
    """It is one message, and no UIDs began anew."""
    for step in steps_of_the_move(tmp_path / "whole", "all", ONE):
        world = prepared(tmp_path / str(step), "all", ONE, CopySettings())
        assert world.sync(kill=step) is None
        remove(world, ONE)
        report = world.sync()
        assert report is not None
        assert report.held == ()
        assert where(world) == {}


@pytest.mark.parametrize("end", End)
def test_mail_that_is_alike_is_not_taken_for_what_was_moved(end: End, tmp_path: Path) -> None:
    """A mailing list's copy comes into the target in the same second."""
    for step in steps_of_the_move(tmp_path / "whole", "no-move", end):
        world = prepared(tmp_path / str(step), "no-move", end)
        assert world.sync(kill=step) is None
        world.disks[end.other].deliver("B", octets(1, False) + b"its footer\r\n", received=1_700_000_000)
        world.copies[1] += 1
        world.settle()
        for disk in world.disks.values():
            sizes = sorted(len(message.data) for message in disk.boxes["B"].messages.values())
            assert sizes == [len(octets(1, False)), len(octets(1, False)) + 12], f"killed at step {step}"
        world.check()
