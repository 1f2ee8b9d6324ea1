"""Of large messages the header comes first, and they themselves behind all else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from restante.sync.engine import afterwards
from restante.sync.engine.placeholder import is_placeholder
from restante.sync.model import Added, Message
from restante.sync.settings import End

from .memory import ALL, BARE, Abilities, Killed, MemorySide
from .programs import World
from .promises import FREE, ONE, TWO, same, sync

pytestmark = pytest.mark.in_memory

SETTINGS = replace(FREE, headers_first=1000, batch=2, at_once=1)


def large(number: int, size: int = 5000) -> bytes:
    head = b"From: a@b\r\nSubject: large\r\nMessage-ID: <%06d@p.example>\r\n\r\n" % number
    return head + b"x" * size + b"\r\n"


def filled(folder: Path, abilities: Abilities = ALL) -> World:
    """Three large messages and two small ones, in two mailboxes; the newest large one is 903."""
    folder.mkdir(exist_ok=True)
    world = World(folder, {ONE: abilities, TWO: ALL}, SETTINGS)
    world.disks[ONE].create("A")
    for number, name in ((901, "A"), (902, "INBOX"), (903, "INBOX")):
        world.disks[ONE].deliver(name, large(number), frozenset({"\\Flagged"}), 1_600_000_000 + number)
    world.deliver(ONE, "INBOX")
    world.deliver(ONE, "A")
    return world


def seen(world: World, at: Callable[[], None]) -> None:
    """Call `at` before each message that side two is given."""

    def prepare(sides: dict[object, MemorySide]) -> None:
        add = sides[TWO].add

        async def watched(*arguments: object) -> object:
            at()
            return await add(*arguments)  # type: ignore[arg-type]  # passed on as it is

        sides[TWO].add = watched  # type: ignore[method-assign,assignment]  # of one run

    world.prepare = prepare  # type: ignore[assignment]  # sides by their ends


def whole(world: World) -> list[int]:
    """Octets of what side two has, placeholders as 0."""
    boxes = world.disks[TWO].boxes.values()
    return sorted(0 if is_placeholder(m.data) else len(m.data) for box in boxes for m in box.messages.values())


def test_large_messages_come_behind_all_else_the_newest_first(tmp_path: Path) -> None:
    world = filled(tmp_path)
    states: list[list[int]] = []
    seen(world, lambda: states.append(whole(world)))
    report = sync(world)
    first = next(state for state in states if len(state) == 5)
    assert first.count(0) == 3, "all headers and all small ones are there before a large one is"
    assert [state.count(0) for state in states if len(state) >= 5][:3] == [3, 2, 1] or len(states) > 3
    assert (report.two.added, report.placeholders, whole(world).count(0)) == (5, 0, 0)
    assert report.two.octets > 15_000
    same(world)
    assert sync(world).changed == 0
    assert sync(world).quiet


def test_the_limit_of_the_copy_holds_all_the_same(tmp_path: Path) -> None:
    world = filled(tmp_path)
    world.disks[ONE].deliver("INBOX", large(904, 20_000), frozenset(), 1_600_000_904)
    world.settings = replace(SETTINGS, largest=10_000)
    report = sync(world)
    assert (report.placeholders, whole(world).count(0)) == (1, 1)
    assert sync(world).quiet
    world.settings = replace(SETTINGS, largest=500)
    assert sync(world).changed == 0


def test_one_mailbox_alone_brings_nothing_of_others(tmp_path: Path) -> None:
    world = filled(tmp_path)
    world.settings = replace(SETTINGS, largest=2000)
    sync(world)
    world.settings = SETTINGS
    sync(world, only=("inbox",))
    assert whole(world).count(0) == 1
    sync(world)
    assert whole(world).count(0) == 0


def test_mail_that_comes_meanwhile_goes_before_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(afterwards, "LOOK", -1.0)
    world = filled(tmp_path)
    lacking: list[int] = []

    def at() -> None:
        there = whole(world)
        if len(there) == 5 and there.count(0) == 2 and not lacking:
            world.deliver(ONE, "INBOX")
            lacking.append(0)
        if len(there) == 6:
            lacking.append(there.count(0))

    seen(world, at)
    sync(world)
    assert lacking[1] == 1, "it came while large messages were still lacking"
    assert whole(world).count(0) == 0
    same(world)


def test_what_is_refused_comes_once(tmp_path: Path) -> None:
    world = filled(tmp_path)
    refused: list[int] = []

    def refuses(name: str, message: Message) -> Added | None:
        if len(message.data) < 1000:
            return None
        refused.append(message.uid)
        return Added(0, "It is too large.")

    def prepare(sides: dict[End, MemorySide]) -> None:
        sides[TWO].refuses = refuses

    world.prepare = prepare
    report = sync(world)
    assert (len(refused), len(report.aside)) == (3, 3)
    assert sync(world).changed == 0
    assert len(refused) == 3


def test_a_side_that_is_full_is_sent_no_further_large_messages(tmp_path: Path) -> None:
    world = filled(tmp_path)
    refused: list[int] = []

    def refuses(name: str, message: Message) -> Added | None:
        if len(message.data) < 1000:
            return None
        refused.append(message.uid)
        return Added(0, "Over quota.", True)

    def prepare(sides: dict[End, MemorySide]) -> None:
        sides[TWO].refuses = refuses

    world.prepare = prepare
    sync(world)
    assert (len(refused), whole(world).count(0)) == (1, 3)
    world.prepare = None
    world.clock.advance(100_000)
    sync(world)
    assert whole(world).count(0) == 0
    same(world)


@pytest.mark.parametrize("look", [5.0, -1.0])
@pytest.mark.parametrize("abilities", [ALL, BARE], ids=["all", "bare"])
def test_a_kill_at_every_step_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abilities: Abilities, look: float
) -> None:
    monkeypatch.setattr(afterwards, "LOOK", look)
    world = filled(tmp_path / "0", abilities)
    sync(world)
    wanted, steps = world.content(TWO), world.steps.taken
    for step in range(1, steps + 1, 1 if abilities is ALL else 4):
        world = filled(tmp_path / str(step), abilities)
        assert world.sync(kill=step) is None
        world.sync(kill=step // 2)
        sync(world)
        assert world.content(TWO) == wanted, step
        assert whole(world).count(0) == 0, step
        same(world)
        assert sync(world).changed == 0, step


def test_something_else_may_use_the_side_while_a_large_message_comes_and_nowhere_else(tmp_path: Path) -> None:
    """The rest of a run rests on what it has seen there."""
    world = filled(tmp_path)
    entered: list[list[int]] = []
    calls: list[list[str]] = []

    @asynccontextmanager
    async def meanwhile() -> AsyncIterator[None]:
        entered.append(whole(world))
        before = len(world.sides[TWO].calls)
        yield
        calls.append(world.sides[TWO].calls[before:])

    world.meanwhile = meanwhile
    sync(world)
    assert [state.count(0) for state in entered] == [3, 2, 1], "for each, before it is there"
    assert calls == [["add"], ["add"], ["add"]]


def test_flags_given_here_meanwhile_reach_the_server_before_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(afterwards, "LOOK", -1.0)
    world = filled(tmp_path)
    lacking: list[int] = []

    def at() -> None:
        there = whole(world)
        small = world.disks[ONE].boxes["A"].messages[2]
        if len(there) == 5 and there.count(0) == 3:
            world.disks[TWO].flag("A", 2, frozenset({"\\Answered"}))
        if "\\Answered" in small.flags and not lacking:
            lacking.append(there.count(0))

    seen(world, at)
    sync(world)
    assert lacking == [2], "large messages were still lacking"
    same(world)


class Cut:
    """The line is gone when the message is to come."""

    async def __aenter__(self) -> None:
        raise Killed("the line is gone")

    async def __aexit__(self, *error: object) -> None: ...


def test_a_message_that_was_cut_off_goes_on_behind_all_else(tmp_path: Path) -> None:
    """And others may use the side while it comes, as with any large message."""
    world = filled(tmp_path)
    state: list[int] = []
    world.meanwhile = Cut
    assert world.sync() is None
    assert whole(world).count(0) == 3
    world.deliver(ONE, "INBOX")

    @asynccontextmanager
    async def comes() -> AsyncIterator[None]:
        state.append(whole(world).count(0))
        assert len(whole(world)) == 6, "what came meanwhile is there"
        yield

    world.meanwhile = comes
    report = sync(world)
    assert state == [3, 2, 1]
    assert (report.two.added, report.placeholders) == (4, 0), "the new one and all three"
    assert whole(world).count(0) == 0
    same(world)
    assert sync(world).changed == 0


def test_a_placeholder_that_is_removed_after_a_cut_removes_its_message(tmp_path: Path) -> None:
    world = filled(tmp_path)
    world.meanwhile = Cut
    assert world.sync() is None
    world.meanwhile = nullcontext
    box = world.disks[TWO].boxes["INBOX"].messages
    world.disks[TWO].expunge("INBOX", max(uid for uid, one in box.items() if is_placeholder(one.data)))
    assert sync(world).one.removed == 1
    assert whole(world).count(0) == 0
    assert len(whole(world)) == 4
    same(world)
    assert sync(world).changed == 0


def test_a_message_that_is_moved_on_the_server_after_a_cut_comes_to_where_it_is_now(tmp_path: Path) -> None:
    """Nothing stands for it there, so that nobody would ask for it behind all else."""
    world = filled(tmp_path)
    world.meanwhile = Cut
    assert world.sync() is None
    world.meanwhile = nullcontext
    box = world.disks[ONE].boxes["INBOX"].messages
    (uid,) = (uid for uid, one in box.items() if one.data == large(903))
    world.disks[ONE].move("INBOX", uid, "A")
    sync(world)
    assert whole(world).count(0) == 0
    assert large(903) in [one.data for one in world.disks[TWO].boxes["A"].messages.values()]
    same(world)
    assert sync(world).changed == 0
