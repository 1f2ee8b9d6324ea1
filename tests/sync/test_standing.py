"""Placeholders that wait for their message: what is done to their flags is done to the message, whenever it is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from restante.clock import ManualClock
from restante.sync.engine.afterwards import run_headers_first
from restante.sync.engine.placeholder import fetch_placeholder, is_placeholder
from restante.sync.maildir import Layout
from restante.sync.model import Added, Message
from restante.sync.settings import End
from restante.sync.state import State
from restante.sync.state.placeholders import placeholders

from .memory import ALL, BARE, Abilities, Disk, Killed, MemorySide, Steps
from .programs import World, number_of
from .promises import FREE, ONE, TWO, same, sync
from .real import Ground, StoreGround, Tree

pytestmark = pytest.mark.in_memory

LARGE = b"From: a@b\r\nSubject: large\r\nMessage-ID: <000099@p.example>\r\nX-Other: 1\r\n\r\n" + b"x" * 5000 + b"\r\n"
BARE_HERE = replace(BARE, tells=True)  # whose messages one can name
SIDES = pytest.mark.parametrize("abilities", [ALL, BARE_HERE], ids=["all", "bare"])


def world_of(folder: Path, abilities: Abilities = ALL) -> World:
    """A placeholder for a message that is seen, in INBOX, and another message beside it."""
    folder.mkdir(exist_ok=True)
    world = World(folder, {ONE: ALL, TWO: abilities}, replace(FREE, largest=1000))
    for disk in world.disks.values():
        disk.create("A")
    world.disks[ONE].deliver("INBOX", LARGE, frozenset({"\\Seen"}), 1_600_000_000)
    world.deliver(ONE, "INBOX")
    sync(world)
    return world


def fetch(world: World, uid: int, steps: Steps | None = None, **sides: object) -> bool:
    """Whether it came to its end."""
    steps = steps or Steps()
    state = State(world.folder / "state", lambda when: steps(f"{when} commit"))
    one, two = (MemorySide(world.disks[end], world.abilities[end], steps, title=end.name.lower()) for end in End)
    for name, value in sides.items():
        setattr(two, name, value)
    try:
        asyncio.run(fetch_placeholder(world.settings, one, two, state, world.clock, "INBOX", uid))
        return True
    except Killed:
        return False
    finally:
        state.close()


def placeholder(world: World) -> int | None:
    found = [uid for uid, m in world.disks[TWO].boxes["INBOX"].messages.items() if is_placeholder(m.data)]
    assert len(found) <= 1
    return found[0] if found else None


def flags(world: World, end: End) -> list[str]:
    (found,) = (sorted(m.flags) for m in world.disks[end].boxes["INBOX"].messages.values() if m.data == LARGE)
    return found


def read(world: World) -> bool:
    """Somebody flags the placeholder, and marks it unread; whether it is there."""
    uid = placeholder(world)
    if uid is not None:
        world.disks[TWO].flag("INBOX", uid, frozenset({"\\Flagged"}))
    return uid is not None


def came(world: World, wanted: list[str], what: object = "") -> None:
    """A run brings it with these flags, or another fetch where the first was not begun; then there is nothing to do."""
    report = sync(world)
    assert not report.aside, what
    if (uid := placeholder(world)) is not None:
        assert fetch(world, uid), what
    assert (flags(world, ONE), flags(world, TWO)) == (wanted, wanted), what
    assert placeholder(world) is None, what
    same(world)
    assert sync(world).changed == 0, what


@SIDES
def test_flags_that_a_placeholder_gets_after_its_download_was_cut_off_are_the_messages(
    tmp_path: Path, abilities: Abilities
) -> None:
    steps = Steps()
    world = world_of(tmp_path / "0", abilities)
    assert fetch(world, placeholder(world) or 0, steps)
    assert any("fetch" in label for label in steps.labels)
    flagged = 0
    for step in range(1, steps.taken + 1):
        world = world_of(tmp_path / str(step), abilities)
        assert not fetch(world, placeholder(world) or 0, Steps(step))
        if read(world):
            came(world, ["\\Flagged"], steps.labels[step - 1])
            flagged += 1
    assert flagged > 10


@SIDES
def test_flags_that_a_placeholder_gets_at_any_instant_are_the_messages(tmp_path: Path, abilities: Abilities) -> None:
    """Whether the download comes to its end, or is cut off two steps later."""
    steps = Steps()
    world = world_of(tmp_path / "0", abilities)
    assert fetch(world, placeholder(world) or 0, steps)
    removal = steps.labels.index("two: before remove INBOX") + 1
    late = {removal, removal - 1}  # between the last look and the removal, which are one act where the side can do that
    number = flagged = 0
    for step in range(1, steps.taken + 1):
        for kill in (0, 2):
            number += 1
            world = world_of(tmp_path / str(number), abilities)
            found: list[bool] = []

            def act(world: World = world, found: list[bool] = found) -> None:
                found.append(read(world))

            fetch(world, placeholder(world) or 0, Steps(step + kill if kill else 0, {step: act}))
            if found == [True] and step not in late:
                came(world, ["\\Flagged"], (steps.labels[step - 1], kill))
                flagged += 1
    assert flagged > 20


@SIDES
def test_flags_of_a_placeholder_are_carried_while_the_side_has_no_room_for_its_message(
    tmp_path: Path, abilities: Abilities
) -> None:
    """And those of the message to the placeholder: it is what people see."""
    world = world_of(tmp_path, abilities)

    def refuses(name: str, message: Message) -> Added | None:
        return Added(0, "Over quota.", True) if len(message.data) > 1000 else None

    with pytest.raises(Exception, match="takes no large message now"):
        fetch(world, placeholder(world) or 0, refuses=refuses)
    world.prepare = lambda sides: setattr(sides[TWO], "refuses", refuses)
    read(world)
    world.disks[ONE].flag("INBOX", 1, frozenset({"\\Seen", "\\Answered"}))
    sync(world)
    assert flags(world, ONE) == ["\\Answered", "\\Flagged"]
    uid = placeholder(world)
    assert uid is not None
    assert world.disks[TWO].boxes["INBOX"].messages[uid].flags == {"\\Answered", "\\Flagged"}
    assert sync(world).changed == 0
    world.disks[ONE].flag("INBOX", 1, frozenset({"\\Answered"}))
    sync(world)
    assert world.disks[TWO].boxes["INBOX"].messages[uid].flags == {"\\Answered"}
    world.prepare = None
    world.clock.advance(100_000)
    came(world, ["\\Answered"])


@SIDES
def test_flags_changed_on_both_while_the_message_lacks_merge_by_change(tmp_path: Path, abilities: Abilities) -> None:
    world = world_of(tmp_path, abilities)
    steps = Steps()
    assert fetch(world_of(tmp_path / "whole", abilities), placeholder(world) or 0, steps)
    at = next(number for number, label in enumerate(steps.labels, 1) if label.startswith("one: before fetch"))
    assert not fetch(world, placeholder(world) or 0, Steps(at))
    read(world)  # \Flagged instead of \Seen
    world.disks[ONE].flag("INBOX", 1, frozenset({"\\Seen", "\\Answered", "$Work"}))
    report = sync(world)
    assert not report.aside
    assert flags(world, ONE) == ["$Work", "\\Answered", "\\Flagged"]
    kept = [flag for flag in flags(world, ONE) if abilities.keywords or flag[0] == "\\"]
    assert flags(world, TWO) == kept
    assert sync(world).changed == 0


def test_a_keyword_that_is_not_kept_here_was_not_taken_off_the_placeholder(tmp_path: Path) -> None:
    """What the side never kept lacks there, and says nothing."""
    world = world_of(tmp_path, BARE_HERE)
    world.disks[ONE].flag("INBOX", 1, frozenset({"\\Seen", "$Work"}))
    steps = Steps()
    assert fetch(world_of(tmp_path / "whole", BARE_HERE), placeholder(world) or 0, steps)
    at = next(number for number, label in enumerate(steps.labels, 1) if label.startswith("one: before fetch"))
    assert not fetch(world, placeholder(world) or 0, Steps(at))
    world.prepare = lambda sides: setattr(sides[ONE], "withholds", lambda data: None)
    read(world)
    sync(world)
    assert flags(world, ONE) == ["$Work", "\\Flagged"]
    assert sync(world).changed == 0


def test_a_placeholder_left_by_a_restante_of_before_goes_as_it_did(tmp_path: Path) -> None:
    """Its flags are not known to have been carried: none of them is believed."""
    world = world_of(tmp_path)
    steps = Steps()
    assert fetch(world_of(tmp_path / "whole"), placeholder(world) or 0, steps)
    at = next(number for number, label in enumerate(steps.labels, 1) if label.startswith("one: before fetch"))
    assert not fetch(world, placeholder(world) or 0, Steps(at))
    db = apsw.Connection(str(world.folder / "state"))
    db.execute("DROP TABLE moving; ALTER TABLE doomed DROP COLUMN flags; PRAGMA user_version = 3")
    db.close()
    world.disks[TWO].flag("INBOX", placeholder(world) or 0, frozenset())
    came(world, ["\\Seen"])


def test_flags_put_on_a_placeholder_in_the_moment_of_its_removal_keep_it(tmp_path: Path) -> None:
    """As a Maildir does: what others flagged since the asker asked last is left where it is."""
    world = world_of(tmp_path)
    told: list[bool] = []

    class Keeping(MemorySide):
        async def remove(self, name: str, uids: object) -> None:
            if not told:
                told.append(read(world))
                return
            await super().remove(name, uids)  # type: ignore[arg-type]  # passed on as it is

    state = State(world.folder / "state")
    one, two = MemorySide(world.disks[ONE], ALL), Keeping(world.disks[TWO], ALL)
    asyncio.run(fetch_placeholder(world.settings, one, two, state, world.clock, "INBOX", placeholder(world) or 0))
    state.close()
    assert told == [True]
    assert placeholder(world) is None
    came(world, ["\\Flagged"])


def test_the_flags_of_a_placeholder_go_with_the_message_that_was_moved_on_the_server(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    steps = Steps()
    assert fetch(world_of(tmp_path / "whole"), placeholder(world) or 0, steps)
    at = next(number for number, label in enumerate(steps.labels, 1) if label.startswith("one: before fetch"))
    assert not fetch(world, placeholder(world) or 0, Steps(at))
    read(world)
    world.disks[ONE].move("INBOX", 1, "A")
    sync(world)
    for end in End:
        (found,) = world.disks[end].boxes["A"].messages.values()
        assert (found.data, sorted(found.flags)) == (LARGE, ["\\Flagged"])
    assert placeholder(world) is None
    same(world)
    assert sync(world).changed == 0
    assert number_of(LARGE) == 99


@SIDES
@pytest.mark.parametrize("held", [False, True])
def test_a_placeholder_goes_with_a_message_that_was_moved_and_then_removed_on_the_server(
    tmp_path: Path, abilities: Abilities, held: bool
) -> None:
    """And is held as any other removal."""
    world = world_of(tmp_path, abilities)

    def refuses(name: str, message: Message) -> Added | None:
        return Added(0, "Over quota.", True) if len(message.data) > 1000 else None

    with pytest.raises(Exception, match="takes no large message now"):
        fetch(world, placeholder(world) or 0, refuses=refuses)
    world.disks[ONE].move("INBOX", 1, "A")
    world.prepare = lambda sides: setattr(sides[TWO], "refuses", refuses)
    sync(world)
    world.settings = replace(world.settings, removals=not held)
    world.disks[ONE].expunge("A", max(world.disks[ONE].boxes["A"].messages))
    report = sync(world)
    assert (report.two.removed, [one.messages for one in report.held]) == ((0, [1]) if held else (1, []))
    assert (placeholder(world) is None) is not held
    if not held:
        same(world)
    assert sync(world).changed == 0


@SIDES
def test_a_placeholder_is_known_again_when_its_uid_is_another_before_its_message_is_there(
    tmp_path: Path, abilities: Abilities
) -> None:
    world = world_of(tmp_path, abilities)
    steps = Steps()
    whole = world_of(tmp_path / "whole", abilities)
    assert fetch(whole, placeholder(whole) or 0, steps)
    at = next(number for number, label in enumerate(steps.labels, 1) if label.startswith("one: before fetch"))
    assert not fetch(world, placeholder(world) or 0, Steps(at))
    world.disks[TWO].renumber("INBOX")
    read(world)
    came(world, ["\\Flagged"])


def test_a_keyword_that_the_server_does_not_keep_goes_from_the_placeholder_to_the_message(tmp_path: Path) -> None:
    """Whether a run has seen it before, or it was set since."""
    for number, before in enumerate((True, False)):
        world = world_of(tmp_path / str(number))
        world.abilities[ONE] = BARE
        world.disks[TWO].flag("INBOX", placeholder(world) or 0, frozenset({"\\Seen", "$Work"}))
        if before:
            sync(world)
        assert fetch(world, placeholder(world) or 0)
        sync(world)
        assert flags(world, TWO) == ["$Work", "\\Seen"]
        assert sync(world).changed == 0


# On real sides ------------------------------------------------------------------------------------------


def ground(kind: str, folder: Path) -> Ground:
    folder.mkdir()
    return StoreGround(folder) if kind == "store" else Tree(folder, Layout.MAILDIRPP)


@pytest.mark.parametrize("cut", [False, True], ids=["while-it-comes", "after-a-cut"])
@pytest.mark.parametrize("kind", ["maildir", "store"])
def test_flags_that_a_reader_gives_a_placeholder_in_a_folder_or_a_store(tmp_path: Path, kind: str, cut: bool) -> None:
    """By renaming its file, as readers do, or in another session."""
    disk, here = Disk("x"), ground(kind, tmp_path / "here")
    disk.deliver("INBOX", LARGE, frozenset({"\\Seen"}), 1_600_000_000)
    disk.deliver("INBOX", LARGE.replace(b"x" * 5000, b"small").replace(b"99@", b"98@"), frozenset(), 1_600_000_000)
    settings = replace(FREE, headers_first=1000)
    clock = ManualClock()

    @asynccontextmanager
    async def reading() -> AsyncIterator[None]:
        if not done:
            await asyncio.to_thread(flag)
        if cut and len(done) == 1:
            raise Killed("the line is gone")
        yield

    done: list[str] = []

    def flag() -> None:
        edits = here.edits()
        (handle,) = (each for each, number, _ in edits.found("INBOX") if number == 99)
        edits.flag("INBOX", handle, "\\Flagged", True)
        edits.close()
        done.append("flagged")

    def once() -> None:
        state = State(tmp_path / "state")
        try:
            asyncio.run(run_headers_first(settings, MemorySide(disk), here.side(), state, clock, meanwhile=reading))
        except Killed:
            done.append("cut")
        finally:
            state.close()

    once()
    if cut:
        assert done == ["flagged", "cut"]
        edits = here.edits()
        (handle,) = (each for each, number, _ in edits.found("INBOX") if number == 99)
        edits.flag("INBOX", handle, "\\Seen", False)
        edits.close()
        once()
    wanted = ["\\Flagged"] if cut else ["\\Flagged", "\\Seen"]
    assert here.content()["INBOX"] == [(98, ()), (99, tuple(wanted))]
    assert placeholders(tmp_path / "state") == []
    assert sorted(disk.boxes["INBOX"].messages[1].flags) == wanted
