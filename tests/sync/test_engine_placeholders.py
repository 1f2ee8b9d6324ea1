"""What a run promises of messages too large to copy: placeholders, fetched on demand. As `test_engine`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from restante.sync.engine.carry import Carrier
from restante.sync.engine.placeholder import NoPlaceholder, fetch_placeholder, is_placeholder
from restante.sync.model import Added, Message
from restante.sync.outline import mark
from restante.sync.settings import End
from restante.sync.side import MailboxUnavailable
from restante.sync.state import State

from .memory import ALL, BARE, Abilities, HeaderlessSide, Killed, MemorySide
from .programs import World, number_of
from .promises import FREE, ONE, TWO, Make, same, sync, uids

pytestmark = pytest.mark.in_memory

LARGE = b"From: a@b\r\nSubject: large\r\nMessage-ID: <000099@p.example>\r\nX-Other: 1\r\n\r\n" + b"x" * 5000 + b"\r\n"


def large(make: Make, kind: type[MemorySide] = MemorySide, **abilities: Abilities) -> World:
    world = make(replace(FREE, largest=1000), **abilities)
    world.kind = kind
    world.disks[ONE].create("A")
    world.disks[TWO].create("A")
    world.disks[ONE].deliver("INBOX", LARGE, frozenset({"\\Seen"}), 1_600_000_000)
    world.deliver(ONE, "INBOX")
    return world


def fetch(world: World, name: str, uid: int) -> None:
    state = State(world.folder / "state")
    sides = [MemorySide(world.disks[end], world.abilities[end]) for end in End]
    try:
        asyncio.run(fetch_placeholder(world.settings, sides[0], sides[1], state, world.clock, name, uid))
    finally:
        state.close()


@pytest.mark.parametrize("kind", [MemorySide, HeaderlessSide])
@pytest.mark.parametrize("abilities", [ALL, BARE], ids=["all", "bare"])
def test_a_large_message_leaves_a_placeholder_that_is_fetched_on_demand(
    make: Make, kind: type[MemorySide], abilities: Abilities
) -> None:
    world = large(make, kind, one=abilities)
    report = sync(world)
    assert (report.placeholders, report.two.added) == (1, 2)
    uid, there = next(
        (uid, m) for uid, m in world.disks[TWO].boxes["INBOX"].messages.items() if number_of(m.data) == 99
    )
    assert is_placeholder(there.data)
    assert len(there.data) < 1000
    assert mark(there.data) == mark(LARGE)
    assert b"5" in there.data
    assert (sorted(there.flags), there.received) == (["\\Seen"], 1_600_000_000)
    assert sync(world).changed == 0
    world.disks[TWO].flag("INBOX", uid, frozenset({"\\Flagged"}))
    uid = world.disks[TWO].move("INBOX", uid, "A")
    sync(world)
    assert [m.data for m in world.disks[ONE].boxes["A"].messages.values()] == [LARGE]
    assert world.disks[ONE].boxes["A"].messages[1].flags == {"\\Flagged"}
    fetch(world, "A", uid)
    (whole,) = world.disks[TWO].boxes["A"].messages.values()
    assert (whole.data, sorted(whole.flags), whole.received) == (LARGE, ["\\Flagged"], 1_600_000_000)
    assert sync(world).changed == 0
    same(world)
    with pytest.raises(NoPlaceholder):
        fetch(world, "A", uid)


def placeholder(world: World, name: str = "INBOX") -> int:
    (uid,) = (uid for uid, m in world.disks[TWO].boxes[name].messages.items() if is_placeholder(m.data))
    return uid


def test_flags_of_a_placeholder_that_no_run_has_carried_yet_are_the_messages(make: Make) -> None:
    world = large(make)
    sync(world)
    world.disks[TWO].flag("INBOX", placeholder(world), frozenset({"\\Flagged", "$Work"}))
    fetch(world, "INBOX", placeholder(world))
    for end in End:
        (flags,) = (m.flags for m in world.disks[end].boxes["INBOX"].messages.values() if m.data == LARGE)
        assert flags == {"\\Flagged", "$Work"}, "and what was taken off the placeholder is taken off"
    same(world)
    assert sync(world).changed == 0


def test_flags_that_a_placeholder_gets_while_the_message_comes_are_the_messages(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = large(make)
    sync(world)
    uid, add = placeholder(world), MemorySide.add

    async def adding(side: MemorySide, name: str, messages: Sequence[Message]) -> list[Added]:
        world.disks[TWO].flag("INBOX", uid, frozenset({"\\Seen", "\\Flagged"}))
        return await add(side, name, messages)

    monkeypatch.setattr(MemorySide, "add", adding)
    fetch(world, "INBOX", uid)
    monkeypatch.undo()
    assert [sorted(m.flags) for m in world.disks[TWO].boxes["INBOX"].messages.values() if m.data == LARGE] == [
        ["\\Flagged", "\\Seen"]
    ]
    assert sync(world).one.flagged == 1
    same(world)


def test_a_placeholder_that_is_somewhere_else_by_now_is_left_to_a_run(make: Make) -> None:
    world = large(make)
    sync(world)
    uid = placeholder(world)
    world.disks[TWO].move("INBOX", uid, "A")
    with pytest.raises(NoPlaceholder, match="Bring both sides in step first"):
        fetch(world, "INBOX", uid)
    assert sync(world).one.moved == 1
    fetch(world, "A", placeholder(world, "A"))
    same(world)
    assert sync(world).changed == 0


def test_a_message_that_is_gone_by_now_is_not_called_fetched(make: Make) -> None:
    world = large(make)
    sync(world)
    world.disks[ONE].expunge("INBOX", 1)
    with pytest.raises(MailboxUnavailable, match="no more"):
        fetch(world, "INBOX", placeholder(world))
    sync(world)
    same(world)
    assert not any(is_placeholder(m.data) for m in world.disks[TWO].boxes["INBOX"].messages.values())
    assert sync(world).changed == 0


@pytest.mark.parametrize("abilities", [ALL, BARE], ids=["all", "bare"])
def test_uids_that_began_anew_on_the_server_bring_no_other_message(make: Make, abilities: Abilities) -> None:
    world = large(make, one=abilities)
    sync(world)
    uid, before = placeholder(world), world.content(TWO)
    world.disks[ONE].delete("INBOX")
    world.disks[ONE].create("INBOX")
    assert world.disks[ONE].deliver("INBOX", LARGE.replace(b"<000099@", b"<000098@")) == 1
    with pytest.raises(MailboxUnavailable, match="begun anew"):
        fetch(world, "INBOX", uid)
    assert world.content(TWO) == before
    assert placeholder(world) == uid


@pytest.mark.parametrize("abilities", [ALL, BARE], ids=["all", "bare"])
def test_uids_that_began_anew_here_remove_no_other_message(make: Make, abilities: Abilities) -> None:
    world = large(make, two=abilities)
    sync(world)
    uid = placeholder(world)
    world.disks[TWO].delete("INBOX")
    world.disks[TWO].create("INBOX").uidnext = uid
    other = LARGE.replace(b"<000099@", b"<000098@")
    assert world.disks[TWO].deliver("INBOX", other, frozenset({"\\Draft"})) == uid
    with pytest.raises(MailboxUnavailable, match="begun anew"):
        fetch(world, "INBOX", uid)
    assert [m.data for m in world.disks[TWO].boxes["INBOX"].messages.values()] == [other]
    assert world.disks[ONE].boxes["INBOX"].messages[1].flags == {"\\Seen"}


def test_uids_that_begin_anew_while_the_message_comes_remove_no_other_message(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = large(make)
    sync(world)
    uid, add = placeholder(world), MemorySide.add
    other = LARGE.replace(b"<000099@", b"<000098@")

    async def adding(side: MemorySide, name: str, messages: Sequence[Message]) -> list[Added]:
        added = await add(side, name, messages)
        world.disks[TWO].delete("INBOX")
        world.disks[TWO].create("INBOX").uidnext = uid
        world.disks[TWO].deliver("INBOX", other)
        return added

    monkeypatch.setattr(MemorySide, "add", adding)
    with pytest.raises(MailboxUnavailable, match="begun anew"):
        fetch(world, "INBOX", uid)
    assert [m.data for m in world.disks[TWO].boxes["INBOX"].messages.values()] == [other]


@pytest.mark.parametrize("abilities", [ALL, BARE], ids=["all", "bare"])
def test_a_placeholder_that_is_moved_after_a_kill_moves_the_message(
    make: Make, monkeypatch: pytest.MonkeyPatch, abilities: Abilities
) -> None:
    world = large(make, two=abilities)
    sync(world)

    async def killed(carrier: Carrier) -> None:
        raise Killed("the message is to come, and its placeholder to go")

    monkeypatch.setattr(Carrier, "run", killed)
    with pytest.raises(Killed):
        fetch(world, "INBOX", placeholder(world))
    monkeypatch.undo()
    world.disks[TWO].move("INBOX", placeholder(world), "A")
    report = sync(world)
    assert (report.one.moved, report.aside) == (1, ())
    assert [m.data for m in world.disks[ONE].boxes["A"].messages.values()] == [LARGE]
    same(world)
    assert sync(world).changed == 0
    assert placeholder(world, "A")


@pytest.mark.parametrize("held", [False, True])
def test_a_placeholder_that_is_removed_after_a_kill_removes_the_message(
    make: Make, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    """And is held as any other removal."""
    world = large(make)
    sync(world)

    async def killed(carrier: Carrier) -> None:
        raise Killed("the message is to come, and its placeholder to go")

    monkeypatch.setattr(Carrier, "run", killed)
    with pytest.raises(Killed):
        fetch(world, "INBOX", placeholder(world))
    monkeypatch.undo()
    world.settings = replace(world.settings, removals=not held)
    world.disks[TWO].expunge("INBOX", placeholder(world))
    assert world.sync(dry_run=True) is not None
    report = sync(world)
    assert report.one.removed == (0 if held else 1)
    assert [one.messages for one in report.held] == ([1] if held else [])
    assert sync(world).changed == 0
    if held:
        assert world.decide(accept=False)
        sync(world)
        assert placeholder(world), "and comes back as one"
    same(world)


def test_a_placeholder_that_is_removed_removes_the_message(make: Make) -> None:
    world = large(make)
    sync(world)
    for uid in uids(world, TWO):
        world.disks[TWO].expunge("INBOX", uid)
    assert sync(world).one.removed == 2


def test_a_placeholder_is_never_carried_to_the_server(make: Make) -> None:
    world = large(make)
    sync(world)
    (uid,) = (uid for uid, m in world.disks[TWO].boxes["INBOX"].messages.items() if number_of(m.data) == 99)
    world.disks[TWO].copy("INBOX", uid, "A")
    world.disks[ONE].expunge("INBOX", 1)
    world.disks[TWO].flag("INBOX", uid, frozenset({"\\Answered"}))
    report = sync(world)
    assert report.one.added == 0
    assert not any(is_placeholder(m.data) for box in world.disks[ONE].boxes.values() for m in box.messages.values())
    assert sync(world).changed == 0
