"""Each case runs through, is run again (nothing may change), then stopped after every single step and run again.

A step is a call of a side (before it, after it, and between the messages of one call) or a commit of the state (before
it, after it). Whatever the step, the next run ends where an undisturbed one does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from restante.sync.settings import Brake, CopySettings, End, Trash

from .memory import ALL, BARE, Abilities
from .programs import Content, World

pytestmark = pytest.mark.in_memory

STRIDE = 1 if int(os.environ.get("RESTANTE_SYNC_PROGRAMS", "0")) > 1000 else 5
"""Steps between kills, for sides that cannot do everything."""
ONE, TWO = End.ONE, End.TWO
FREE = CopySettings(brake=Brake(on=False), batch=2, at_once=1)
ABILITIES: dict[str, tuple[Abilities, Abilities]] = {
    "all": (ALL, ALL),
    "bare-server": (BARE, ALL),
    "bare-copy": (ALL, BARE),
    "no-emails": (replace(ALL, emails=False), replace(ALL, emails=False)),
    "no-move": (replace(ALL, emails=False, moves=False), replace(ALL, moves=False)),
}

Edit = Callable[[World], None]


def uid(world: World, end: End, name: str, at: int) -> int:
    return sorted(world.disks[end].boxes[name].messages)[at]


def base(world: World) -> None:
    for end in End:
        world.deliver(end, "INBOX", frozenset({"\\Seen", "$Work"}))
    for number in range(4):
        world.deliver(ONE, "INBOX", alike=number % 2 == 0, day=number)
    for name in ("A", "B"):
        world.disks[ONE].create(name)
        world.deliver(ONE, name, frozenset({"\\Flagged"}))
        world.deliver(ONE, name, alike=True)


def additions(world: World) -> None:
    for end in End:
        world.deliver(end, "INBOX", frozenset({"\\Seen", "$Later"}))
        world.deliver(end, "A", alike=True)
    world.deliver(ONE, "A", alike=True)


def alike(world: World) -> None:
    """Equal octets thrice, which only counting tells apart."""
    for _ in range(3):
        world.deliver(ONE, "A")
        world.count -= 1
    world.count += 1


def moves(world: World) -> None:
    world.disks[ONE].move("INBOX", uid(world, ONE, "INBOX", 0), "A")
    world.disks[TWO].move("INBOX", uid(world, TWO, "INBOX", 2), "B")
    world.disks[TWO].move("A", uid(world, TWO, "A", 0), "INBOX")
    world.disks[ONE].flag("A", uid(world, ONE, "A", -1), frozenset({"\\Answered"}))


def moves_apart(world: World) -> None:
    """The same message to two places."""
    world.disks[ONE].move("A", uid(world, ONE, "A", 0), "INBOX")
    world.disks[TWO].move("A", uid(world, TWO, "A", 0), "B")


def copies(world: World) -> None:
    """Within either side, into a new mailbox too, with other flags; of one that moves as well."""
    world.disks[ONE].create("New")
    world.copy(ONE, "INBOX", uid(world, ONE, "INBOX", 0), "A")
    world.copy(ONE, "INBOX", uid(world, ONE, "INBOX", 2), "New")
    world.disks[ONE].flag("New", uid(world, ONE, "New", 0), frozenset({"\\Answered"}))
    world.copy(TWO, "A", uid(world, TWO, "A", 0), "B")
    world.disks[TWO].flag("B", uid(world, TWO, "B", -1), frozenset({"\\Seen", "$Work"}))
    world.copy(TWO, "B", uid(world, TWO, "B", 0), "A")
    world.disks[TWO].move("B", uid(world, TWO, "B", 0), "INBOX")


def removals(world: World) -> None:
    world.remove(ONE, "INBOX", uid(world, ONE, "INBOX", 0))
    world.remove(TWO, "INBOX", uid(world, TWO, "INBOX", 2))
    world.remove(TWO, "A", uid(world, TWO, "A", 0))
    world.disks[ONE].flag("A", uid(world, ONE, "A", 0), frozenset({"\\Seen"}))


def flags(world: World) -> None:
    world.disks[ONE].flag("INBOX", uid(world, ONE, "INBOX", 0), frozenset({"\\Seen", "\\Answered"}))
    world.disks[TWO].flag("INBOX", uid(world, TWO, "INBOX", 0), frozenset({"\\Flagged"}))
    world.disks[TWO].flag("A", uid(world, TWO, "A", 1), frozenset({"\\Seen", "\\Draft"}))


def mailboxes(world: World) -> None:
    world.disks[ONE].create("New/Child")
    world.deliver(ONE, "New/Child")
    world.disks[ONE].boxes["New/Child"].subscribed = True
    world.disks[TWO].create("Mine")
    world.disks[ONE].rename("A", "Renamed")
    world.deliver(TWO, "A")
    world.delete(TWO, "B")


def exchanged(world: World) -> None:
    """Two mailboxes exchange their names, on a side with ids."""
    for old, new in (("A", "X"), ("B", "A"), ("X", "B")):
        world.disks[TWO].rename(old, new)


def with_a_parent(world: World) -> None:
    """Mailboxes below a name that is none, and one that is to get that name, with equal messages."""
    base(world)
    for name in ("Q/x", "P", "P/c"):
        world.disks[ONE].create(name)
        world.deliver(ONE, name)
    world.disks[ONE].boxes["P"].subscribed = True
    for _ in range(2):
        world.deliver(ONE, "P", frozenset({"\\Flagged"}))
        world.count -= 1
    world.count += 1


def onto_a_bare_name(world: World) -> None:
    for old, new in (("Q/x", "Z"), ("P", "Q"), ("Z", "Q/x")):
        world.disks[TWO].rename(old, new)


def a_child_and_its_parent(world: World) -> None:
    world.disks[ONE].rename("P", "R")
    world.disks[TWO].rename("P/c", "P/d")
    world.disks[TWO].create("P/e")
    world.deliver(TWO, "P/e")


def renamed_on_both(world: World) -> None:
    world.disks[ONE].rename("A", "First")
    world.disks[TWO].rename("A", "Second")


def deleted_with_new_mail(world: World) -> None:
    world.delete(ONE, "A")
    world.deliver(TWO, "A")
    world.disks[TWO].flag("A", uid(world, TWO, "A", 0), frozenset({"\\Answered"}))


def renumbered(world: World) -> None:
    world.disks[ONE].renumber("INBOX")
    world.disks[TWO].renumber("INBOX")
    world.disks[TWO].renumber("A")
    world.deliver(ONE, "INBOX")
    world.remove(TWO, "A", uid(world, TWO, "A", 0))


def made_again(world: World) -> None:
    """A mailbox is deleted, and another made under its name."""
    world.delete(TWO, "A")
    world.disks[TWO].create("A")
    world.deliver(TWO, "A")


CASES: dict[str, tuple[Edit, ...]] = {
    "first-run": (base,),
    "additions": (base, additions),
    "alike": (base, alike),
    "moves": (base, moves),
    "moves-apart": (base, moves_apart),
    "copies": (base, copies),
    "removals": (base, removals),
    "flags": (base, flags),
    "mailboxes": (base, mailboxes),
    "exchanged": (base, exchanged),
    "onto-a-bare-name": (with_a_parent, onto_a_bare_name),
    "child-and-parent": (with_a_parent, a_child_and_its_parent),
    "renamed-on-both": (base, renamed_on_both),
    "deleted-with-new-mail": (base, deleted_with_new_mail),
    "renumbered": (base, renumbered),
    "made-again": (base, made_again),
}


def prepared(folder: Path, abilities: str, case: str, settings: CopySettings = FREE) -> World:
    """The world in which the last of the case's edits was made, and no run after it."""
    folder.mkdir()
    one, two = ABILITIES[abilities]
    world = World(folder, {ONE: one, TWO: two}, settings)
    *before, last = CASES[case]
    for edit in before:
        edit(world)
        world.sync()
    last(world)
    return world


def contents(world: World) -> list[Content]:
    keywords = all(one.keywords for one in world.abilities.values())
    return [world.content(end, keywords=keywords) for end in End]


def same(contents: list[Content]) -> Content:
    assert contents[0] == contents[1]
    return contents[0]


def folders(tmp_path: Path) -> Iterator[Path]:
    number = 0
    while True:
        yield tmp_path / str(number)
        number += 1


@pytest.mark.parametrize("abilities", ABILITIES)
@pytest.mark.parametrize("case", CASES)
def test_a_kill_at_every_step_changes_nothing(case: str, abilities: str, tmp_path: Path) -> None:
    new = folders(tmp_path)
    world = prepared(next(new), abilities, case)
    report = world.sync()
    assert report is not None
    assert report.changed
    assert not report.left_out
    wanted, steps = same(contents(world)), world.steps.taken
    again = world.sync()
    assert again is not None
    assert again.changed == 0
    assert same(contents(world)) == wanted
    for step in range(1, steps + 1, 1 if abilities == "all" else STRIDE):
        world = prepared(next(new), abilities, case)
        assert world.sync(kill=step) is None
        world.sync(kill=step // 2)
        resumed = world.sync()
        assert resumed is not None
        assert not resumed.left_out
        assert same(contents(world)) == wanted, f"killed at step {step}"
        idle = world.sync()
        assert idle is not None
        assert idle.changed == 0


@pytest.mark.parametrize("abilities", ["all", "no-emails"])
@pytest.mark.parametrize("end", End)
def test_a_rename_after_one_that_was_cut_off_counts(end: End, abilities: str, tmp_path: Path) -> None:
    """The first was carried, whatever else was left to do."""
    new = folders(tmp_path)

    def renamed() -> World:
        world = prepared(next(new), abilities, "mailboxes")
        world.settle()
        world.disks[end].rename("Renamed", "Once")
        world.deliver(ONE, "Once" if end is ONE else "Renamed")
        return world

    world = renamed()
    world.sync()
    done = world.steps.labels.index(f"{end.other.name.lower()}: after rename") + 1
    for step in range(done + 2, world.steps.taken + 1):
        world = renamed()
        assert world.sync(kill=step) is None
        world.disks[end.other].rename("Once", "Twice")
        world.settle()
        assert {"Renamed", "Once", "Twice"} & same(contents(world)).keys() == {"Twice"}, f"killed at step {step}"


@pytest.mark.parametrize("abilities", ["all", "no-move"])
def test_a_pour_that_fails_is_gone_on_with(abilities: str, tmp_path: Path) -> None:
    world = prepared(tmp_path / "0", abilities, "onto-a-bare-name")
    world.prepare = lambda sides: sides[ONE].broken.add("P")
    report = world.sync()
    assert report is not None
    assert ("P", ONE) in [(one.mailbox, one.end) for one in report.left_out]
    assert "Q" in world.disks[ONE].boxes
    world.prepare = None
    assert world.sync() is not None
    wanted = same(contents(world))
    assert [name for name in sorted(wanted) if name[0] in "PQ"] == ["Q", "Q/c", "Q/x"]
    assert len(wanted["Q"]) == 3


def test_kills_lose_nothing_of_the_trash(tmp_path: Path) -> None:
    new = folders(tmp_path / "worlds")
    (tmp_path / "worlds").mkdir()

    def trashing(step: int) -> tuple[World, Path]:
        trash = tmp_path / f"trash{step}"
        return prepared(next(new), "all", "removals", replace(FREE, trash=Trash(days=3, folder=trash))), trash

    def kept(trash: Path) -> list[str]:
        return sorted(path.name for path in trash.rglob("cur/*"))

    world, trash = trashing(0)
    assert world.sync() is not None
    wanted = kept(trash)
    assert len(wanted) == 2
    for step in range(1, world.steps.taken + 1):
        world, trash = trashing(step)
        world.sync(kill=step)
        world.sync()
        assert kept(trash) == wanted
