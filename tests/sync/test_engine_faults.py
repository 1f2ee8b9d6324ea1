"""What a run promises where a side refuses, fails or ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

import pytest

from restante.clock import ManualClock
from restante.sync.model import Added, Changes, Message, Outline, Place
from restante.sync.settings import End
from restante.sync.side import MailboxUnavailable, SideLost, SideUnavailable
from restante.sync.state import CopyBusy, State

from .memory import ALL, BARE, Abilities, MemorySide
from .programs import number_of
from .promises import FREE, ONE, PLAIN, TWO, Make, same, sync, uids

pytestmark = pytest.mark.in_memory


def test_a_mailbox_that_cannot_be_used_is_left_out_and_done_later(make: Make) -> None:
    world = make()
    for name in ("A", "B"):
        world.disks[ONE].create(name)
        world.deliver(ONE, name)
    sync(world)
    for name in ("A", "B"):
        world.deliver(ONE, name)
        world.disks[ONE].flag(name, 1, frozenset({"\\Seen"}))
    world.prepare = lambda sides: sides[TWO].broken.add("A")
    report = sync(world)
    assert [(one.mailbox, one.end) for one in report.left_out] == [("A", TWO)]
    assert len(uids(world, TWO, "B")) == 2
    assert len(uids(world, TWO, "A")) == 1
    world.prepare = None
    assert sync(world).left_out == ()
    same(world)


@pytest.mark.parametrize("abilities", [ALL, PLAIN, BARE], ids=["all", "no-emails", "bare"])
@pytest.mark.parametrize("removal", [False, True])
def test_what_moved_out_of_a_mailbox_that_then_fails_is_not_forgotten(
    make: Make, abilities: Abilities, removal: bool
) -> None:
    """Another program renames it, say, between the list of its messages and what is asked about these."""
    world = make(one=abilities)
    world.disks[ONE].create("B")
    world.deliver(ONE, "B")
    sync(world)
    world.disks[ONE].move("B", 1, "INBOX")
    world.deliver(ONE, "B")
    world.deliver(TWO, "B")  # new on both sides: they are asked about
    if removal:
        world.disks[TWO].flag("B", 1, frozenset({"\\Deleted"}))

    def fail(sides: dict[End, MemorySide]) -> None:
        ask = sides[ONE].outlines

        async def outlines(name: str, uids: Sequence[int]) -> list[Outline]:
            if name == "B":
                raise MailboxUnavailable("It is called otherwise now.")
            return await ask(name, uids)

        sides[ONE].outlines = outlines  # type: ignore[method-assign]  # of this run alone

    world.prepare = fail
    assert [(one.mailbox, one.end) for one in sync(world).left_out] == [("B", ONE)]
    world.prepare = None
    sync(world)
    same(world)
    assert sum(world.numbers(TWO).values()) == 3
    assert [number for number, _ in world.content(TWO)["INBOX"]] == [1]


def test_what_was_sent_is_not_sent_again_because_the_next_look_failed(make: Make) -> None:
    """A server that tells neither UIDs nor states; the pass after the one in which the look failed is to ask it."""
    world = make(one=BARE)
    world.disks[ONE].create("A")
    sync(world)
    world.deliver(TWO, "A")
    passes = 0

    def fail(sides: dict[End, MemorySide]) -> None:
        ask, list_all = sides[ONE].changes, sides[TWO].places

        async def changes(name: str, since: str | None) -> Changes:
            if name == "A" and passes == 2:
                raise MailboxUnavailable("It is called otherwise now.")
            return await ask(name, since)

        async def places() -> list[Place]:
            nonlocal passes
            passes += 1
            if passes == 2:
                world.deliver(TWO, "INBOX")  # so that there is a pass after it
            return await list_all()

        sides[ONE].changes = changes  # type: ignore[method-assign]  # of this run alone
        sides[TWO].places = places  # type: ignore[method-assign]  # of this run alone

    world.prepare = fail
    world.sync()
    assert passes > 2
    world.prepare = None
    sync(world)
    same(world)
    assert sum(world.numbers(ONE).values()) == 2


def test_a_side_that_is_not_there_changes_nothing(make: Make) -> None:
    world = make()
    world.deliver(ONE, "INBOX")
    sync(world)

    def down(sides: dict[End, MemorySide]) -> None:
        sides[TWO].down = True

    world.prepare = down
    with pytest.raises(SideUnavailable):
        world.sync()
    assert len(uids(world, ONE)) == 1
    assert not any(side.is_open for side in world.sides.values())
    world.prepare = None
    assert sync(world).changed == 0


def refusing(reason: str, *, temporary: bool, numbers: set[int]) -> Callable[[dict[End, MemorySide]], None]:
    def refuse(name: str, message: Message) -> Added | None:
        return Added(0, reason, temporary) if number_of(message.data) in numbers else None

    def prepare(sides: dict[End, MemorySide]) -> None:
        sides[TWO].refuses = refuse

    return prepare


def test_a_refused_message_is_set_aside_with_the_reason_and_tried_again_in_time(make: Make) -> None:
    world = make()
    for _ in range(3):
        world.deliver(ONE, "INBOX")
    world.prepare = refusing("over quota", temporary=True, numbers={2})
    report = sync(world)
    assert report.two.added == 2
    assert [(a.mailbox, a.refused_by, a.uid, a.reason) for a in report.aside] == [("INBOX", TWO, 2, "over quota")]
    assert "add" not in (sync(world), world.sides[TWO].calls)[1]
    world.clock.advance(601)
    sync(world)
    assert "add" in world.sides[TWO].calls
    world.prepare = None
    assert sync(world).changed == 0
    world.clock.advance(1201)
    report = sync(world)
    assert (report.two.added, report.aside) == (1, ())
    same(world)


def test_a_clock_that_is_put_back_puts_nothing_off(make: Make) -> None:
    world = make()
    world.clock.advance(400 * 86_400)
    world.prepare = refusing("over quota", temporary=True, numbers={1})
    world.deliver(ONE, "INBOX")
    sync(world)
    world.clock = ManualClock()
    world.prepare = None
    assert sync(world).two.added == 1


def test_what_is_refused_for_good_is_tried_again_when_asked_or_under_another_limit(make: Make) -> None:
    world = make()
    world.deliver(ONE, "INBOX")
    world.prepare = refusing("too large", temporary=False, numbers={1})
    assert [aside.next_try for aside in sync(world).aside] == [None]
    world.clock.advance(10_000_000)
    sync(world)
    assert "add" not in world.sides[TWO].calls
    world.settings = replace(world.settings, largest=10_000_000)
    sync(world)
    assert "add" in world.sides[TWO].calls
    state = State(world.folder / "state")
    assert state.retry_aside() == 1
    state.close()
    world.prepare = None
    sync(world)
    same(world)


def test_a_refused_message_that_is_removed_is_forgotten(make: Make) -> None:
    world = make()
    world.deliver(ONE, "INBOX")
    world.prepare = refusing("no", temporary=False, numbers={1})
    sync(world)
    world.remove(ONE, "INBOX", 1)
    assert sync(world).aside == ()


def test_where_everything_is_refused_the_rest_is_not_read(make: Make) -> None:
    world = make(replace(FREE, batch=2))
    for _ in range(40):
        world.deliver(ONE, "INBOX")
    world.prepare = refusing("over quota", temporary=True, numbers=set(range(50)))
    sync(world)
    assert world.sides[ONE].fetched <= 16
    world.prepare = None
    world.clock.advance(700)
    sync(world)
    same(world)


def test_a_server_that_alters_what_it_takes_gives_no_duplicates(make: Make) -> None:
    """It tells no UID and adds a header field: found by what did not change."""
    world = make(one=BARE, two=PLAIN)

    class Altering(MemorySide):
        async def add(self, name: str, messages: object) -> list[Added]:
            assert isinstance(messages, list)
            altered = [replace(one, data=b"X-Server: was here\r\n" + one.data) for one in messages]
            return await super().add(name, altered if self.title == "one" else messages)

    world.kind = Altering
    for _ in range(4):
        world.deliver(TWO, "INBOX")
    for kill in (*range(5, 60, 6), 0):
        world.sync(kill=kill)
    assert sorted(world.numbers(ONE).values()) == [1] * 4
    assert sorted(world.numbers(TWO).values()) == [1] * 4
    assert sync(world).changed == 0


class EndingSide(MemorySide):
    """Ends the connection at some messages that are sent to it, with those before them filed."""

    poison: ClassVar[set[int]] = set()

    async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
        at = next((i for i, one in enumerate(messages) if number_of(one.data) in self.poison), None)
        answers = await super().add(name, messages[:at])
        if at is not None:
            raise SideLost("The server ended the connection.")
        return answers


@pytest.mark.parametrize("abilities", [ALL, BARE], ids=["all", "bare"])
@pytest.mark.parametrize("poison", [{1}, {5}, {12}, {3, 4, 9}], ids=str)
def test_a_message_that_ends_the_connection_when_it_is_sent_is_set_aside(
    make: Make, abilities: Abilities, poison: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make(one=abilities)
    world.kind = EndingSide
    monkeypatch.setattr(EndingSide, "poison", poison)

    def there() -> list[int]:
        return sorted(number_of(one.data) for one in world.disks[ONE].boxes["INBOX"].messages.values())

    for _ in range(12):
        world.deliver(TWO, "INBOX")
    with pytest.raises(SideLost):
        sync(world)
    report = sync(world)
    assert {number_of(world.disks[TWO].boxes["INBOX"].messages[one.uid].data) for one in report.aside} == poison
    assert all("connection" in one.reason and one.next_try for one in report.aside)
    assert there() == sorted({*range(1, 13)} - poison)
    assert sync(world).changed == 0
    monkeypatch.setattr(EndingSide, "poison", set())
    world.clock.advance(700)
    assert sync(world).one.added == len(poison)
    same(world)
    assert sync(world).changed == 0


def test_where_the_connection_ends_at_each_message_the_side_is_unavailable(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make()
    world.kind = EndingSide
    monkeypatch.setattr(EndingSide, "poison", set(range(1, 100)))
    for _ in range(20):
        world.deliver(TWO, "INBOX")
    for _ in range(2):
        with pytest.raises(SideLost):
            sync(world)
    monkeypatch.setattr(EndingSide, "poison", set())
    world.clock.advance(700)
    assert sync(world).one.added == 20
    same(world)


def test_two_runs_at_once_are_refused(make: Make) -> None:
    world = make()
    sync(world)
    state = State(world.folder / "state")
    with state.lock(), pytest.raises(CopyBusy):
        world.sync()
    state.close()
    assert sync(world).changed == 0


def test_octets_of_what_was_refused_are_not_told_as_carried(make: Make) -> None:
    world = make()
    sizes = {world.deliver(ONE, "INBOX"): 0 for _ in range(3)}
    world.prepare = refusing("no room", temporary=True, numbers={min(sizes)})
    report = sync(world)
    assert (report.two.added, len(report.aside)) == (2, 1)
    assert report.two.octets == sum(len(m.data) for m in world.disks[TWO].boxes["INBOX"].messages.values())
