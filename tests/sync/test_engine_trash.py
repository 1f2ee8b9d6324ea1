"""Removed messages that are kept: in a folder, in a mailbox, for some days."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from restante.sync.settings import Trash

from .programs import number_of
from .promises import FREE, ONE, TWO, Make, sync, uids

pytestmark = pytest.mark.in_memory


def test_removed_messages_are_kept_for_some_days(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "trash"
    world = make(replace(FREE, trash=Trash(days=3, folder=folder)))
    first, second = world.deliver(ONE, "INBOX", frozenset({"\\Seen"})), world.deliver(ONE, "INBOX")
    sync(world)
    world.remove(ONE, "INBOX", 1)
    world.remove(TWO, "INBOX", 2)
    sync(world)
    kept = sorted(folder.rglob("cur/*"))
    assert sorted(number_of(path.read_bytes()) for path in kept) == [first, second]
    assert sorted(path.name[-1] for path in kept) == [",", "S"]
    world.clock.advance(2 * 86400)
    sync(world)
    assert len(list(folder.rglob("cur/*"))) == 2
    world.clock.advance(2 * 86400)
    sync(world)
    assert list(folder.rglob("cur/*")) == []


def test_what_a_full_trash_cannot_keep_is_not_removed(make: Make, tmp_path: Path) -> None:
    (tmp_path / "trash").write_text("no folder can be made here")
    world = make(replace(FREE, trash=Trash(3, tmp_path / "trash")))
    world.deliver(ONE, "INBOX")
    sync(world)
    world.remove(ONE, "INBOX", 1)
    assert "trash" in sync(world).left_out[0].reason
    assert uids(world, TWO) == [1]
    (tmp_path / "trash").unlink()
    assert sync(world).two.removed == 1


def test_removed_messages_are_kept_in_a_mailbox(make: Make) -> None:
    world = make(replace(FREE, trash=Trash(days=3, mailbox="Removed")))
    for _ in range(2):
        world.deliver(ONE, "INBOX")
    sync(world)
    world.remove(ONE, "INBOX", 1)
    world.remove(TWO, "INBOX", 2)
    sync(world)
    assert sorted(number_of(m.data) for m in world.disks[TWO].boxes["Removed"].messages.values()) == [1, 2]
    assert world.boxes(ONE) == ["INBOX"]
    world.clock.advance(4 * 86400)
    sync(world)
    assert uids(world, TWO, "Removed") == []


def test_what_is_removed_once_more_is_kept_its_days_once_more(make: Make, tmp_path: Path) -> None:
    world = make(replace(FREE, trash=Trash(days=3, folder=tmp_path / "trash")))
    world.deliver(ONE, "INBOX")
    sync(world)
    (kept,) = world.disks[TWO].boxes["INBOX"].messages.values()
    world.remove(TWO, "INBOX", 1)
    sync(world)
    world.clock.advance(2 * 86400)
    world.disks[TWO].deliver("INBOX", kept.data, kept.flags, kept.received)  # brought back out of the trash
    sync(world)
    world.remove(TWO, "INBOX", uids(world, TWO)[0])
    sync(world)
    world.clock.advance(2 * 86400)
    sync(world)
    assert len(list((tmp_path / "trash").rglob("cur/*"))) == 1
    world.clock.advance(2 * 86400)
    sync(world)
    assert list((tmp_path / "trash").rglob("cur/*")) == []


@pytest.mark.parametrize("name", ["ü" * 80, "/".join(["x" * 60] * 6), "..", "."])
def test_whatever_a_mailbox_is_called_its_removed_messages_are_kept(make: Make, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copy" / "trash"
    world = make(replace(FREE, trash=Trash(days=3, folder=folder)))
    world.disks[ONE].create(name)
    for _ in range(2):
        world.deliver(ONE, name)
    sync(world)
    world.remove(ONE, name, 1)
    assert sync(world).left_out == ()
    assert uids(world, TWO, name) == [2]
    (kept,) = (path for path in (tmp_path / "copy").rglob("cur/*"))
    assert kept.parent.parent.parent == folder


def test_a_trash_mailbox_that_somebody_deleted_ends_no_run(make: Make) -> None:
    world = make(replace(FREE, trash=Trash(days=3, mailbox="Removed")))
    world.deliver(ONE, "INBOX")
    sync(world)
    world.remove(ONE, "INBOX", 1)
    sync(world)
    world.disks[TWO].delete("Removed")
    world.clock.advance(4 * 86400)
    world.deliver(ONE, "INBOX")
    assert sync(world).two.added == 1


def test_a_trash_mailbox_that_cannot_be_used_is_told_and_ends_no_run(make: Make) -> None:
    world = make(replace(FREE, trash=Trash(days=3, mailbox="Removed")))
    world.deliver(ONE, "INBOX")
    sync(world)
    world.remove(ONE, "INBOX", 1)
    sync(world)
    world.clock.advance(4 * 86400)
    world.deliver(ONE, "INBOX")
    world.prepare = lambda sides: sides[TWO].broken.add("Removed")
    report = sync(world)
    assert report.two.added == 1
    assert [left.mailbox for left in report.left_out] == ["Removed"]
    world.prepare = None
    assert sync(world).left_out == ()
    assert uids(world, TWO, "Removed") == []
