"""What was copied on one side is copied on the other and not carried once more, where it is known to be the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from restante.sync.engine import copies
from restante.sync.model import Withheld
from restante.sync.settings import End
from restante.sync.side import MailboxUnavailable

from .memory import ALL, BARE, Abilities, MemorySide
from .programs import World, octets
from .promises import FREE, PLAIN, fetched, same, sync

pytestmark = pytest.mark.in_memory

ONE, TWO = End.ONE, End.TWO
Make = Callable[..., World]
FILES = replace(ALL, lasting=False)
"""A Maildir: a copy has another name."""


def filled(world: World, *names: str) -> World:
    for name in names:
        world.disks[ONE].create(name)
    for number in range(4):
        world.deliver(ONE, "INBOX", frozenset({"\\Seen"}) if number % 2 else frozenset())
    sync(world)
    return world


def calls(world: World, end: End) -> Counter[str]:
    return Counter(world.sides[end].calls)


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "asked-for"])
def test_a_copy_on_the_server_is_one_here_and_nothing_is_fetched(make: Make, listed: bool) -> None:
    world = filled(make(one=replace(ALL, lists_emails=listed)), "A", "B")
    for uid in (1, 2):
        world.copy(ONE, "INBOX", uid, "A")
    world.copy(ONE, "INBOX", 2, "B")
    report = sync(world)
    assert (report.two.copied, report.two.added, fetched(world)) == (3, 0, 0)
    assert calls(world, TWO)["add"] == 0
    same(world)
    assert sync(world).changed == 0


@pytest.mark.parametrize("two", [ALL, FILES, PLAIN], ids=["store", "files", "no-emails"])
def test_a_copy_here_is_one_on_the_server_and_nothing_is_sent(make: Make, two: Abilities) -> None:
    world = filled(make(one=PLAIN, two=two), "A")
    for uid in (1, 2):
        world.copy(TWO, "INBOX", uid, "A")
    report = sync(world)
    assert (report.one.copied, report.one.added, calls(world, ONE)["add"]) == (2, 0, 0)
    same(world)
    assert sync(world).changed == 0


def test_a_copy_on_the_server_of_what_was_sent_to_it_is_one_here(make: Make) -> None:
    """It lists no EMAILIDs: those of what was added there are asked for once it is listed."""
    world = make(one=replace(ALL, lists_emails=False), two=FILES)
    world.disks[ONE].create("A")
    for _ in range(2):
        world.deliver(TWO, "INBOX")
    sync(world)
    assert calls(world, ONE)["emails"] == 1
    world.copy(ONE, "INBOX", 1, "A")
    report = sync(world)
    assert (report.two.copied, report.two.added, fetched(world)) == (1, 0, 0)
    same(world)
    world.disks[ONE].flag("INBOX", 2, frozenset({"\\Seen"}))
    world.disks[TWO].flag("INBOX", 1, frozenset({"\\Flagged"}))
    sync(world)
    assert calls(world, ONE)["emails"] == 0  # known by then
    assert sync(world).changed == 0


@pytest.mark.parametrize(("one", "two", "fetches"), [(ALL, ALL, 1), (PLAIN, FILES, 3)], ids=["emails", "octets"])
def test_a_dry_run_tells_copies_and_additions_apart(make: Make, one: Abilities, two: Abilities, fetches: int) -> None:
    world = filled(make(one=one, two=two), "A")
    if one is ALL:
        world.copy(ONE, "INBOX", 1, "A")
        world.copy(ONE, "INBOX", 2, "A")
    for uid in (3, 4):
        world.copy(TWO, "INBOX", uid, "A")
    world.deliver(TWO, "A")
    there = {end: world.content(end) for end in End}
    plan = sync(world, dry_run=True).plan
    here = ["copy 2 messages to 'A' on two"] if one is ALL else []
    assert sorted(plan) == sorted([*here, "copy 2 messages to 'A' on one", "add 1 message to 'A' on one"])
    assert fetched(world) == fetches
    assert {end: world.content(end) for end in End} == there
    report = sync(world)
    assert (report.one.copied, report.one.added, report.two.copied) == (2, 1, len(here) * 2)
    same(world)


def test_a_dry_run_counts_what_it_is_not_given_as_an_addition(make: Make) -> None:
    world = filled(make(one=PLAIN), "A")
    world.deliver(TWO, "A")
    why = Withheld("cannot be read", True)
    world.prepare = lambda sides: setattr(sides[TWO], "withholds", lambda data: why)
    assert sync(world, dry_run=True).plan == ("add 1 message to 'A' on one",)


def test_a_copy_here_of_a_server_that_tells_no_uids(make: Make) -> None:
    world = filled(make(one=BARE), "A")
    world.copy(TWO, "INBOX", 1, "A")
    report = sync(world)
    assert (report.one.copied, calls(world, ONE)["add"]) == (1, 0)
    same(world)
    assert sync(world).changed == 0


@pytest.mark.parametrize("end", [ONE, TWO])
def test_flags_that_a_copy_got_meanwhile_are_its_own(make: Make, end: End) -> None:
    world = filled(make(), "A")
    for uid in (1, 2):
        world.copy(end, "INBOX", uid, "A")
    world.disks[end].flag("A", 1, frozenset({"\\Flagged", "$Work"}))
    world.disks[end].flag("A", 2, frozenset())  # \Seen at the origin
    report = sync(world)
    assert sum(tally.copied for tally in (report.one, report.two)) == 2
    same(world)
    assert [flags for _, flags in world.content(ONE)["A"]] == [("$Work", "\\Flagged"), ()]
    assert [flags for _, flags in world.content(ONE)["INBOX"]] == [(), ("\\Seen",), (), ("\\Seen",)]
    assert sync(world).changed == 0


def test_of_one_that_is_moved_and_copied_at_once_nothing_is_carried(make: Make) -> None:
    world = filled(make(), "A", "B")
    world.copy(ONE, "INBOX", 1, "A")
    world.disks[ONE].move("INBOX", 1, "B")
    report = sync(world)
    assert (report.two.moved + report.two.copied, report.two.added, fetched(world)) == (2, 0, 0)
    same(world)


def test_a_first_run_carries_what_is_in_several_mailboxes_once(make: Make) -> None:
    world = make()
    for name in ("A", "B"):
        world.disks[ONE].create(name)
    for uid in [world.disks[ONE].deliver("INBOX", octets(number, False)) for number in (1, 2, 3)]:
        world.copy(ONE, "INBOX", uid, "A")
    world.copy(ONE, "A", 1, "B")
    report = sync(world)
    assert (report.two.added, report.two.copied, fetched(world)) == (3, 4, 3)
    same(world)
    assert sync(world).changed == 0


@pytest.mark.parametrize("beside", [0, 100], ids=["small ones asked", "large ones asked"])
def test_a_first_run_carries_once_what_a_large_mailbox_shows_too(
    make: Make, monkeypatch: pytest.MonkeyPatch, beside: int
) -> None:
    """The mailbox with the most messages is not asked for their EMAILIDs; it is carried, and tells them."""
    monkeypatch.setattr(copies, "MOST_ASKED", 2 if not beside else 0)
    monkeypatch.setattr(copies, "MOST_BESIDE", beside)
    world = make(one=replace(ALL, lists_emails=False))
    for name in ("A", "B"):
        world.disks[ONE].create(name)
    for uid in [world.disks[ONE].deliver("INBOX", octets(number, False)) for number in (1, 2, 3)]:
        if uid == 1:
            world.copy(ONE, "INBOX", uid, "A")
    own = world.disks[ONE].deliver("A", octets(4, False))
    world.copy(ONE, "A", own, "B")
    report = sync(world)
    assert (report.two.added, report.two.copied, fetched(world)) == (4, 2, 4)
    assert calls(world, ONE)["emails"] == 2  # of A and of B
    same(world)
    assert sync(world).changed == 0


def test_what_its_header_alone_says_is_the_same_is_carried(make: Make) -> None:
    """Same Message-ID, date and size, another body; and the same octets of another date."""
    world = filled(make(one=PLAIN, two=FILES), "A")
    data = octets(1, False)
    world.disks[TWO].deliver("A", data.replace(b"text", b"TEXT"), received=1_700_000_000)
    world.disks[TWO].deliver("A", data, received=1_700_000_001)
    report = sync(world)
    assert (report.one.copied, report.one.added) == (0, 2)
    same(world)
    assert [one.data for one in world.disks[ONE].boxes["A"].messages.values()] == [
        one.data for one in world.disks[TWO].boxes["A"].messages.values()
    ]


def test_of_what_is_about_to_be_removed_no_copy_is_made(make: Make) -> None:
    """Whoever expunges the mailbox that it is copied to would remove it, before its flags are taken away again."""
    world = make()
    world.disks[ONE].create("A")
    world.deliver(ONE, "INBOX", frozenset({"\\Deleted"}))
    sync(world)
    world.copy(ONE, "INBOX", 1, "A")
    world.disks[ONE].flag("A", 1, frozenset())
    report = sync(world)
    assert (report.two.copied, report.two.added) == (0, 1)
    same(world)


def test_a_copy_of_a_placeholder_is_none_of_the_message(make: Make) -> None:
    world = make(replace(FREE, largest=200))
    world.disks[ONE].create("A")
    world.disks[ONE].deliver("INBOX", octets(1, False) + b"x" * 500)
    sync(world)
    world.copy(ONE, "INBOX", 1, "A")
    report = sync(world)
    assert (report.two.copied, report.placeholders) == (0, 1)
    world.copy(TWO, "INBOX", 1, "A")
    report = sync(world)
    assert (report.one.copied, report.one.added, len(report.aside)) == (0, 0, 1)
    assert len(world.disks[ONE].boxes["A"].messages) == 1


class Stubborn(MemorySide):
    """Refuses to copy, some of the time after it has."""

    after = 0

    async def copy(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        if self.after:
            await super().copy(name, uids[: self.after], target)
        raise MailboxUnavailable("No copies today.")


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("emails", [True, False])
def test_where_a_side_refuses_to_copy_it_is_carried(make: Make, after: int, emails: bool) -> None:
    world = filled(make(one=replace(ALL, emails=emails), two=replace(ALL, emails=emails)), "A")
    world.kind = type("Stubborn", (Stubborn,), {"after": after})
    for uid in (1, 2):
        world.copy(TWO, "INBOX", uid, "A")
    report = sync(world)
    assert report.one.added == 2 - after
    assert not report.left_out
    same(world)
    assert sync(world).changed == 0


def test_what_goes_while_it_is_to_be_copied_is_carried(make: Make) -> None:
    world = filled(make(), "A")
    world.copy(ONE, "INBOX", 1, "A")

    class Late(MemorySide):
        async def copy(self, name: str, uids: Sequence[int], target: str) -> list[int]:
            world.remove(TWO, "INBOX", uids[0])
            return await super().copy(name, uids, target)

    world.kind = Late
    assert sync(world).two.added == 1
    world.settle()
    same(world)
    assert len(world.disks[ONE].boxes["A"].messages) == 1


@pytest.mark.parametrize("emails", [True, False])
def test_what_is_moved_while_it_is_to_be_copied_is_both(make: Make, emails: bool) -> None:
    """What is new where somebody moved it to is what was moved, not the copy that could not be made."""
    world = make(two=replace(ALL, emails=emails))
    for name in ("A", "M", "Z"):
        world.disks[ONE].create(name)
    world.deliver(ONE, "M")
    world.deliver(ONE, "M")
    sync(world)
    world.copy(ONE, "M", 1, "A")
    moved = []

    class Late(MemorySide):
        async def copy(self, name: str, uids: Sequence[int], target: str) -> list[int]:
            moved.append(world.disks[TWO].move("M", uids[0], "Z"))
            return await super().copy(name, uids, target)

    world.kind = Late
    sync(world)
    world.settle()
    assert len(moved) == 1
    same(world)
    assert [len(world.disks[ONE].boxes[name].messages) for name in ("A", "M", "Z")] == [1, 1, 1]


@pytest.mark.parametrize("held", [True, False])
def test_a_copy_of_what_was_removed_there_is_another(make: Make, held: bool) -> None:
    """It is not taken for what was removed: that stays held, or comes back as what was changed on the other side."""
    world = make(replace(FREE, removals=not held), two=replace(BARE, keywords=True))
    world.deliver(ONE, "INBOX")
    sync(world)
    if not held:
        world.disks[ONE].flag("INBOX", 1, frozenset({"\\Seen"}))
    world.copy(ONE, "INBOX", 1, "INBOX")
    world.remove(TWO, "INBOX", 1)
    report = sync(world)
    assert [one.messages for one in report.held] == ([1] if held else [])
    assert report.aside == ()
    assert report.two.added == len(world.disks[TWO].boxes["INBOX"].messages) == (1 if held else 2)
    if held:
        assert world.decide(accept=True) == 1
        sync(world)
    same(world)
    assert sync(world).changed == 0


def test_one_mailbox_alone_copies_from_no_other(make: Make) -> None:
    world = filled(make(), "A")
    world.copy(ONE, "INBOX", 1, "A")
    report = sync(world, only=("A",))
    assert (report.two.copied, report.two.added) == (0, 1)
    same(world)


def test_copies_are_told() -> None:
    from restante.cli.sync_run import did
    from restante.sync.settings import Tally

    assert did(Tally(copied=2)) == "2 copied"
    assert Tally(copied=2).total == 2
