"""What a run promises, one promise a test: two sides in memory and a state on disk."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import apsw
import pytest

from restante.clock import ManualClock
from restante.sync.engine import run
from restante.sync.engine.placeholder import NoPlaceholder, fetch_placeholder, is_placeholder
from restante.sync.model import Added, Message, Place, Withheld
from restante.sync.outline import mark
from restante.sync.settings import End
from restante.sync.side import MailboxUnavailable, SideLost, SideUnavailable
from restante.sync.state import CopyBusy, State, StateFailed

from .memory import ALL, BARE, Abilities, HeaderlessSide, MemorySide
from .programs import World, number_of, octets
from .promises import FREE, ONE, PLAIN, TWO, Make, fetched, numbers, same, sync, uids

pytestmark = pytest.mark.in_memory


# Nothing more than is needed ------------------------------------------------------------------------


def test_nothing_changed_costs_one_look_at_each_side(make: Make) -> None:
    world = make()
    world.deliver(ONE, "INBOX")
    sync(world)
    report = sync(world)
    assert (report.changed, report.passes) == (0, 1)
    assert [side.calls for side in world.sides.values()] == [["places"], ["places"]]


def test_a_side_is_told_how_much_is_coming_before_it_comes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world, told = make(), list[tuple[int, int]]()
    monkeypatch.setattr(
        MemorySide, "coming", lambda side, number: told.append((number, len(side.calls))), raising=False
    )
    for name in ("A", "B"):
        world.disks[ONE].create(name)
        for _ in range(3):
            world.deliver(ONE, name)
    sync(world)
    assert [number for number, _ in told] == [6]
    assert "add" not in world.sides[TWO].calls[: told[0][1]]
    sync(world)
    assert len(told) == 1, "nothing comes"


def test_only_what_changed_is_asked_about(make: Make) -> None:
    world = make()
    for name in ("A", "B"):
        world.disks[ONE].create(name)
        world.deliver(ONE, name)
    sync(world)
    world.disks[ONE].flag("A", 1, frozenset({"\\Seen"}))
    report = sync(world)
    assert report.two.flagged == 1
    assert world.sides[ONE].calls == ["places", "changes", "places"]
    assert world.sides[TWO].calls == ["places", "set_flags", "places", "changes"]


def test_a_server_that_cannot_tell_its_state_is_asked_once_a_mailbox(make: Make) -> None:
    world = make(one=BARE)
    world.deliver(ONE, "INBOX")
    sync(world)
    assert sync(world).changed == 0
    assert world.sides[ONE].calls == ["places", "changes"]
    assert world.sides[TWO].calls == ["places"]


@pytest.mark.parametrize("abilities", [ALL, PLAIN, BARE], ids=["all", "no-emails", "bare"])
def test_moves_and_renames_transfer_no_message(make: Make, abilities: Abilities) -> None:
    world = make(one=abilities, two=abilities)
    for name in ("A", "B"):
        world.disks[ONE].create(name)
    for _ in range(6):
        world.deliver(ONE, "A")
    sync(world)
    world.disks[ONE].move("A", 1, "B")
    world.disks[TWO].move("A", 2, "INBOX")
    world.disks[ONE].rename("A", "Deep/Down")
    sync(world)
    same(world)
    assert fetched(world) == 0
    assert sorted(world.boxes(TWO)) == ["B", "Deep/Down", "INBOX"]


def test_files_that_others_name_anew_are_the_messages_they_were(make: Make) -> None:
    world = make(one=PLAIN, two=replace(ALL, lasting=False))
    world.disks[TWO].lasting = False
    world.disks[ONE].create("A")
    for _ in range(6):
        world.deliver(ONE, "A")
    sync(world)
    for uid in (1, 2):
        world.disks[TWO].move("A", uid, "INBOX")
    report = sync(world)
    assert (report.one.moved, report.one.removed, report.one.added, fetched(world)) == (2, 0, 0, 0)
    same(world)


@pytest.mark.parametrize("abilities", [ALL, PLAIN], ids=["all", "no-emails"])
def test_other_uids_after_uidvalidity_cost_no_transfer_and_no_message_twice(make: Make, abilities: Abilities) -> None:
    world = make(one=abilities, two=abilities)
    for _ in range(20):
        world.deliver(ONE, "INBOX")
    sync(world)
    world.disks[ONE].renumber("INBOX")
    world.disks[ONE].flag("INBOX", uids(world, ONE)[3], frozenset({"\\Seen"}))
    world.remove(ONE, "INBOX", uids(world, ONE)[4])
    report = sync(world)
    assert (report.two.flagged, report.two.removed, report.one.total, report.two.added) == (1, 1, 0, 0)
    assert fetched(world) == 0
    same(world)


def test_the_same_mail_on_both_sides_is_paired_without_reading_it(make: Make) -> None:
    world = make(one=PLAIN, two=PLAIN)
    for end in End:
        world.count = 0
        for number in range(10):
            world.deliver(end, "INBOX", frozenset({"\\Seen"}) if number == 3 and end is ONE else frozenset())
    report = sync(world)
    assert (report.one.total, report.two.added, report.two.flagged) == (0, 0, 1)
    assert fetched(world) == 0
    same(world)


def test_doubtful_messages_are_read_and_never_merged_when_they_differ(make: Make) -> None:
    """One mark and one size: the octets decide."""
    world = make(one=PLAIN, two=PLAIN)
    first, second = (octets(7, False)[:-4] + tail + b"\r\n" for tail in (b"AA", b"BB"))
    world.disks[ONE].deliver("INBOX", first, received=1)
    world.disks[TWO].deliver("INBOX", second, received=2)
    world.disks[ONE].deliver("INBOX", octets(8, False), received=3)
    world.disks[TWO].deliver("INBOX", octets(8, False), received=4)
    report = sync(world)
    assert (report.one.added, report.two.added) == (1, 1)
    for disk in world.disks.values():
        assert sorted(m.data for m in disk.boxes["INBOX"].messages.values()) == sorted(
            [first, second, octets(8, False)]
        )


def test_a_list_copy_and_the_direct_one_are_two(make: Make) -> None:
    """Equal headers, other size and date."""
    world = make(one=PLAIN, two=PLAIN)
    world.disks[ONE].deliver("INBOX", octets(7, False), received=1)
    world.disks[TWO].deliver("INBOX", octets(7, False) + b"-- \r\nthe list\r\n", received=2)
    report = sync(world)
    assert (report.one.added, report.two.added) == (1, 1)
    assert sync(world).changed == 0


def test_newest_messages_come_first(make: Make) -> None:
    world = make(replace(FREE, batch=2))
    for _ in range(20):
        world.deliver(ONE, "INBOX")
    sync(world)
    order = [number_of(one.data) for _, one in sorted(world.disks[TWO].boxes["INBOX"].messages.items())]
    assert order == [*range(13, 21), *range(5, 13), *range(1, 5)]
    assert [(p.mailbox, p.end, p.done, p.total) for p in world.progress] == [
        ("INBOX", TWO, done, 20) for done in range(2, 21, 2)
    ]
    assert world.progress[-1].octets == sum(len(m.data) for m in world.disks[ONE].boxes["INBOX"].messages.values())


class Shuffled(MemorySide):
    """Gives messages in another order than they were asked for, as several connections do."""

    async def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
        chance = random.Random(1)
        wanted = list(uids)
        chance.shuffle(wanted)
        async for message in super().fetch(name, wanted):
            yield message


@pytest.mark.parametrize("end", End)
def test_messages_are_filed_in_their_order(make: Make, end: End) -> None:
    """IMAP clients may show them so. To side one also where what is new comes first to side two."""
    world = make(replace(FREE, batch=7, newest_first=end is ONE))
    world.kind = Shuffled
    for _ in range(50):
        world.deliver(end.other, "INBOX")
    world.prepare = lambda sides: setattr(sides[end.other], "withholds", withholding(20, 40))
    sync(world)
    there = [number_of(one.data) for _, one in sorted(world.disks[end].boxes["INBOX"].messages.items())]
    assert there == [number for number in range(1, 51) if number not in (20, 40)]


def withholding(*numbers: int) -> Callable[[bytes], Withheld | None]:
    return lambda data: Withheld("damaged") if number_of(data) in numbers else None


def test_a_message_that_is_waited_for_does_not_fill_the_memory(make: Make) -> None:
    world = make(replace(FREE, newest_first=False, batch=100, batch_octets=1000))
    most = 0

    class Late(MemorySide):
        """The first one comes last."""

        async def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
            async for message in super().fetch(name, [*uids[1:], *uids[:1]]):
                yield message

        async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
            nonlocal most
            most = max(most, sum(len(one.data) for one in messages))
            return await super().add(name, messages)

    world.kind = Late
    for _ in range(200):
        world.deliver(ONE, "INBOX")
    sync(world)
    there = [number_of(one.data) for _, one in sorted(world.disks[TWO].boxes["INBOX"].messages.items())]
    assert sorted(there) == [*range(1, 201)]
    late = there.index(1)
    assert there[:late] + there[late + 1 :] == [*range(2, 201)]
    assert 0 < most <= 1000


# Names ----------------------------------------------------------------------------------------------


def test_include_exclude_and_only(make: Make) -> None:
    world = make(replace(FREE, include=("INBOX", "Work*"), exclude=("*Spam",)))
    for name in ("Work/A", "Work/Spam", "Private"):
        world.disks[ONE].create(name)
        world.deliver(ONE, name)
    world.deliver(ONE, "INBOX")
    sync(world, only=("INBOX",))
    assert world.boxes(TWO) == ["INBOX"]
    assert len(uids(world, TWO)) == 1
    sync(world)
    assert world.boxes(TWO) == ["INBOX", "Work/A"]
    world.settings = FREE
    sync(world)
    same(world)


# Faults ---------------------------------------------------------------------------------------------


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


# Dry run --------------------------------------------------------------------------------------------


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


def test_what_pop3_gave_a_last_line_end_is_no_other_message(make: Make) -> None:
    """RFC 1939 3: a message without one gets one on its way, and comes with another date."""
    world = make()
    for day, more in enumerate((b"", b"x", b"x")):
        data = octets(day, alike=False).removesuffix(b"\r\n") + more
        world.disks[ONE].deliver("INBOX", data, frozenset(), 1_700_000_000 + day)
        world.disks[TWO].deliver("INBOX", data + b"\r\n", frozenset({"\\Seen"}), 1_600_000_000)
    other = octets(1, alike=False).removesuffix(b"\r\n") + b"y\r\n"
    world.disks[TWO].deliver("INBOX", other, frozenset(), 1_600_000_000)
    report = sync(world)
    assert (report.one.added, report.two.added, report.one.flagged) == (1, 0, 3)
    assert sync(world).changed == 0
    for end in End:
        world.disks[end].renumber("INBOX")
        assert sync(world).two.added == sync(world).one.added == 0, "nor after its UIDs began anew"
    assert [len(uids(world, end)) for end in End] == [4, 4]


def test_octets_of_what_was_refused_are_not_told_as_carried(make: Make) -> None:
    world = make()
    sizes = {world.deliver(ONE, "INBOX"): 0 for _ in range(3)}
    world.prepare = refusing("no room", temporary=True, numbers={min(sizes)})
    report = sync(world)
    assert (report.two.added, len(report.aside)) == (2, 1)
    assert report.two.octets == sum(len(m.data) for m in world.disks[TWO].boxes["INBOX"].messages.values())


# Placeholders ---------------------------------------------------------------------------------------

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
    assert sync(world).two.flagged == 1
    assert [sorted(m.flags) for m in world.disks[TWO].boxes["INBOX"].messages.values() if m.data == LARGE] == [
        ["\\Flagged", "\\Seen"]
    ]
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


# Keywords ------------------------------------------------------------------------------------------


def after(world: World, *labels: str) -> int:
    """The step at which the last of these labels is reached, each looked for behind the one before it."""
    at = 0
    for label in labels:
        at = next(i for i in range(at, len(world.steps.labels)) if world.steps.labels[i] == label) + 1
    return at


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("added", [False, True], ids=["flagged", "added"])
def test_a_keyword_never_seen_before_that_is_taken_away_after_a_run_that_was_cut_off_is_taken_away(
    tmp_path: Path, end: End, added: bool
) -> None:
    """The side says that it keeps it: that it lacks is what somebody did."""

    def flagged(name: str) -> World:
        (tmp_path / name).mkdir()
        world = World(tmp_path / name, {ONE: PLAIN, TWO: PLAIN}, FREE)
        world.deliver(end, "INBOX")
        sync(world)
        if added:
            world.deliver(end, "INBOX", frozenset({"$New"}))
        else:
            world.disks[end].flag("INBOX", 1, frozenset({"$New"}))
        return world

    world = flagged("whole")
    sync(world)
    done = f"{end.other.name.lower()}: {'after add' if added else 'set flags'}"
    kills = [after(world, done, "after commit commit"), *([after(world, done)] if added else [])]
    for kill in kills:
        world = flagged(str(kill))
        assert world.sync(kill=kill) is None
        box = world.disks[end.other].boxes["INBOX"]
        (uid,) = [uid for uid, one in box.messages.items() if "$New" in one.flags]
        world.disks[end.other].flag("INBOX", uid, frozenset())
        sync(world)
        same(world)
        assert not any("$New" in flags for _, flags in world.content(ONE)["INBOX"])
        assert sync(world).changed == 0


# From mbsync ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [ONE, TWO])
@pytest.mark.parametrize("day", [0, 1])
def test_what_mbsync_copied_is_the_same_message(make: Make, end: End, day: int) -> None:
    world = make()
    for number in (1, 2):
        data = octets(number, alike=False)
        copied = data.replace(b"\r\n\r\n", b"\r\nX-TUID: 5I+ePmYQDLOf\r\n\r\n", 1)
        world.disks[end].deliver("INBOX", copied, received=1_700_000_000 + day)
        world.disks[end.other].deliver("INBOX", data, received=1_700_000_000)
    other = octets(2, alike=False).replace(b"\r\n\r\n", b"\r\n\r\nother words, 22 of them", 1)
    world.disks[end.other].deliver("INBOX", other, received=1_600_000_000)
    report = sync(world)
    assert (report.one.added, report.two.added) == ((1, 0) if end is ONE else (0, 1))
    assert sync(world).changed == 0


@pytest.mark.parametrize("carried", [True, False], ids=["carried", "left by mbsync"])
def test_what_mbsync_pushed_and_a_reader_names_anew_is_moved(make: Make, carried: bool) -> None:
    """The field is in the server's message; of a file that is not ours it is no part (`maildir.octets`)."""
    world = make(one=PLAIN, two=replace(ALL, lasting=False))
    world.disks[TWO].lasting = False
    world.disks[ONE].create("A")
    plain = [octets(number, alike=False) for number in (1, 2)]
    pushed = [data.replace(b"\r\n\r\n", b"\r\nX-TUID: 5I+ePmYQDLOf\r\n\r\n", 1) for data in plain]
    for data, whole in zip(plain, pushed, strict=True):
        world.disks[ONE].deliver("INBOX", whole, received=1_700_000_000)
        if not carried:
            world.disks[TWO].deliver("INBOX", data, received=1_700_000_000)
    sync(world)
    uid = world.disks[TWO].move("INBOX", 1, "A")
    world.disks[TWO].boxes["A"].messages[uid].data = plain[0]
    other = plain[1].replace(b"text", b"TEXT")  # one that is not the same before mbsync either
    world.disks[TWO].deliver("A", other, received=1_700_000_000)
    report = sync(world)
    assert (report.one.moved, report.one.added, report.one.removed, report.two.total) == (1, 1, 0, 0)
    assert [one.data for one in world.disks[ONE].boxes["A"].messages.values()] == [pushed[0], other]
    assert len(world.disks[ONE].boxes["INBOX"].messages) == 1
    assert sync(world).changed == 0


def test_the_digest_of_what_mbsync_copied_is_of_its_octets_or_none(make: Make) -> None:
    world = make()
    for end, day in ((ONE, 0), (TWO, 1)):
        data = octets(1, alike=False).replace(b"\r\n\r\n", b"\r\nX-TUID: 5I+ePmYQDLOf\r\n\r\n", 1)
        world.disks[end].deliver("INBOX", data, received=1_700_000_000 + day)
    report = sync(world)
    assert (report.one.added, report.two.added) == (0, 0)
    db = apsw.Connection(str(world.folder / "state"), flags=apsw.SQLITE_OPEN_READONLY)
    assert db.execute("SELECT digest FROM content").fetchall() == [(None,)]
    db.close()


# The state's file -----------------------------------------------------------------------------------


def test_the_state_is_private_and_refuses_what_is_not_its_own(tmp_path: Path) -> None:
    path = tmp_path / "copies" / "state"
    State(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    other = tmp_path / "other"
    other.write_bytes(b"not a database, by far" * 100)
    with pytest.raises(StateFailed):
        State(other)


def test_a_newer_state_is_refused(tmp_path: Path) -> None:
    import apsw

    State(tmp_path / "state").close()
    db = apsw.Connection(str(tmp_path / "state"))
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateFailed, match="newer"):
        State(tmp_path / "state")


def test_a_run_closes_what_it_opened_whatever_happens(make: Make) -> None:
    world = make()
    state = State(world.folder / "state")
    one, two = MemorySide(world.disks[ONE]), MemorySide(world.disks[TWO])
    one.down = True
    with pytest.raises(SideUnavailable):
        asyncio.run(run(FREE, one, two, state, ManualClock()))
    assert not two.is_open
    state.close()


def test_a_run_with_nothing_to_do_loads_no_more_than_it_needs(make: Make) -> None:
    world = make()
    world.deliver(ONE, "INBOX")
    sync(world)
    code = f"""
import asyncio, pathlib, sys, types
from restante.clock import ManualClock
from restante.sync.engine import run
from restante.sync.model import Place
from restante.sync.settings import CopySettings
from restante.sync.state import State
state = State(pathlib.Path({str(world.folder / "state")!r}))
places = {{end: [Place(n, v, s, i, r, b) for e, n, i, v, s, r, b in state.quiet() if e == end] for end in (1, 2)}}
def side(end):
    async def nothing(): pass
    async def listed(): return places[end]
    return types.SimpleNamespace(open=nothing, close=nothing, places=listed, title="x")
report = asyncio.run(run(CopySettings(), side(1), side(2), state, ManualClock()))
assert report.passes == 1 and not report.changed
print([m for m in sys.modules if m.startswith(("restante.store", "restante.sync"))])
"""
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    for part in (
        "engine.mailboxes",
        "engine.merge",
        "sync.plan",
        "sync.base",
        "state.pairs",
        "state.messages",
        "restante.store",
    ):
        assert part not in loaded, part


@pytest.mark.parametrize("who", End)
def test_an_equal_listing_hides_nothing(tmp_path: Path, who: End) -> None:
    """A message is carried, the run is cut off, and it is removed: the side lists what it did before all of that."""
    for step in range(1, 40):
        folder = tmp_path / str(step)
        folder.mkdir()
        world = World(folder, {ONE: replace(ALL, log=False, state=False), TWO: replace(ALL, log=False)}, FREE)
        world.deliver(ONE, "INBOX")
        sync(world)
        number = world.deliver(ONE, "INBOX")
        world.sync(kill=step)
        for name, uid in world.messages(who):
            if number_of(world.disks[who].boxes[name].messages[uid].data) == number:
                world.remove(who, name, uid)
        sync(world)
        same(world)
        assert sync(world).changed == 0
