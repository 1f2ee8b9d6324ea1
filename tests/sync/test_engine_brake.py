"""Which removals are carried out, and which are held or lost to a change: the brake, and conflicts."""

from __future__ import annotations

from dataclasses import replace

import apsw
import pytest

from restante.sync.settings import Brake, CopySettings, End

from .memory import ALL, BARE, Abilities, Disk
from .programs import number_of
from .promises import FREE, ONE, PLAIN, TWO, Make, same, sync, uids

pytestmark = pytest.mark.in_memory


# The brake ------------------------------------------------------------------------------------------


def test_a_mailbox_that_vanishes_is_held_and_the_rest_goes_on(make: Make) -> None:
    world = make(CopySettings())
    world.disks[ONE].create("A")
    for _ in range(3):
        world.deliver(ONE, "A")
    sync(world)
    world.delete(ONE, "A")
    world.deliver(ONE, "INBOX")
    world.deliver(TWO, "A")
    report = sync(world)
    assert [(h.mailbox, h.gone_from, h.reason, h.messages) for h in report.held] == [("A", ONE, "vanished", 3)]
    assert report.two.added == 1
    assert len(uids(world, TWO, "A")) == 4
    assert sync(world).changed == 0
    world.decide(True)
    sync(world)
    same(world)
    assert [number_of(m.data) for m in world.disks[ONE].boxes["A"].messages.values()] == [5]


def test_refused_removals_come_back(make: Make) -> None:
    world = make(CopySettings())
    world.disks[ONE].create("A")
    for _ in range(3):
        world.deliver(ONE, "A", frozenset({"\\Seen"}))
    sync(world)
    world.delete(TWO, "A")
    sync(world)
    world.decide(False)
    report = sync(world)
    assert (report.two.created, report.two.added, report.held) == (1, 3, ())
    same(world)
    assert sync(world).changed == 0


def test_a_mailbox_that_is_there_again_is_held_no_longer(make: Make) -> None:
    world = make(CopySettings())
    world.disks[ONE].create("A")
    for _ in range(3):
        world.deliver(ONE, "A")
    sync(world)
    hidden = world.disks[ONE].boxes.pop("A")
    assert len(sync(world).held) == 1
    world.disks[ONE].boxes["A"] = hidden
    world.disks[ONE].touch()
    report = sync(world)
    assert (report.changed, report.held) == (0, ())
    same(world)
    assert len(uids(world, TWO, "A")) == 3


@pytest.mark.parametrize(
    ("brake", "messages", "removed", "reason"),
    [
        (Brake(emptied=4), 4, 4, "emptied"),
        (Brake(emptied=5), 4, 4, None),
        (Brake(share=0.5, least=3), 5, 3, "share"),
        (Brake(share=0.5, least=4), 5, 3, None),
        (Brake(share=0.6, least=3), 5, 3, None),
        (Brake(number=2), 9, 3, "number"),
        (Brake(number=3), 9, 3, None),
        (Brake(on=False, number=0), 3, 3, None),
    ],
)
def test_removals_past_a_threshold_are_held(
    make: Make, brake: Brake, messages: int, removed: int, reason: str | None
) -> None:
    world = make(CopySettings(brake=brake))
    for _ in range(messages):
        world.deliver(ONE, "INBOX")
    sync(world)
    for uid in uids(world, TWO)[:removed]:
        world.remove(TWO, "INBOX", uid)
    report = sync(world)
    assert [held.reason for held in report.held] == ([reason] if reason else [])
    assert report.one.removed == (0 if reason else removed)
    assert sync(world).changed == 0
    world.decide(True)
    sync(world)
    same(world)
    assert len(uids(world, ONE)) == messages - removed


@pytest.mark.parametrize("brake", [Brake(number=10), Brake(share=0.3, least=10)], ids=["number", "share"])
def test_removals_that_come_in_small_parts_are_held_together(make: Make, brake: Brake) -> None:
    world = make(CopySettings(brake=brake))
    for _ in range(40):
        world.deliver(ONE, "INBOX")
    sync(world)
    for _ in range(10):
        for uid in uids(world, TWO)[:3]:
            world.remove(TWO, "INBOX", uid)
        sync(world)
        world.clock.advance(1)
    assert 40 - 13 <= len(uids(world, ONE)) < 40
    (held,) = sync(world).held
    assert held.messages == len(uids(world, ONE)) - len(uids(world, TWO))
    world.decide(True)
    sync(world)
    same(world)
    for _ in range(3):  # what a person does is no accident: the count begins anew, and later, too
        world.remove(TWO, "INBOX", uids(world, TWO)[0])
        assert not sync(world).held
        world.clock.advance(601)
    same(world)


def test_a_state_of_the_first_version_is_brought_up(make: Make) -> None:
    world = make()
    world.deliver(ONE, "INBOX")
    sync(world)
    db = apsw.Connection(str(world.folder / "state"))
    db.execute("DROP TABLE moving; DROP TABLE removal; DROP TABLE account")
    db.execute("ALTER TABLE doomed DROP COLUMN flags; PRAGMA user_version = 1")
    db.close()
    world.remove(ONE, "INBOX", uids(world, ONE)[0])
    assert sync(world).two.removed == 1


@pytest.mark.parametrize("abilities", [ALL, PLAIN, BARE], ids=["all", "no-emails", "bare"])
def test_what_another_account_lacks_is_no_removal(make: Make, abilities: Abilities) -> None:
    world = make(CopySettings(), one=abilities)
    for _ in range(3):
        world.deliver(ONE, "INBOX")
    sync(world)
    world.disks[ONE] = Disk("another")
    world.disks[ONE].renumber("INBOX")
    world.deliver(ONE, "INBOX")
    for _ in range(2):
        (held,) = sync(world).held
        assert (held.reason, held.messages) == ("renumbered", 3)
        assert len(uids(world, TWO)) == 4
    world.decide(False)
    sync(world)
    assert len(uids(world, ONE)) == 4
    same(world)


def test_what_moved_counts_as_no_removal(make: Make) -> None:
    world = make(CopySettings(brake=Brake(emptied=1, number=0)), PLAIN, PLAIN)
    world.disks[ONE].create("A")
    for _ in range(5):
        world.deliver(ONE, "A")
    sync(world)
    for uid in uids(world, ONE, "A"):
        world.disks[ONE].move("A", uid, "INBOX")
    world.disks[ONE].delete("A")
    report = sync(world)
    assert (report.held, report.two.moved, report.two.deleted) == ((), 5, 1)
    same(world)


def test_a_held_message_that_is_changed_on_the_other_side_comes_back(make: Make) -> None:
    world = make(CopySettings(brake=Brake(emptied=1)))
    for _ in range(2):
        world.deliver(ONE, "INBOX")
    sync(world)
    for uid in uids(world, ONE):
        world.remove(ONE, "INBOX", uid)
    sync(world)
    world.disks[TWO].flag("INBOX", uids(world, TWO)[0], frozenset({"\\Flagged"}))
    report = sync(world)
    assert report.one.added == 1
    assert [held.messages for held in report.held] == [1]


def test_removals_can_be_switched_off(make: Make) -> None:
    world = make(CopySettings(removals=False))
    for _ in range(2):
        world.deliver(ONE, "INBOX")
    sync(world)
    world.remove(ONE, "INBOX", 1)
    assert [held.reason for held in sync(world).held] == ["off"]
    assert len(uids(world, TWO)) == 2
    assert sync(world).changed == 0


# Conflicts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flag", "wins"), [("\\Seen", False), ("\\Deleted", True)])
def test_a_removal_does_not_win_over_a_change(make: Make, flag: str, wins: bool) -> None:
    world = make()
    world.deliver(ONE, "INBOX")
    sync(world)
    world.remove(ONE, "INBOX", 1)
    world.disks[TWO].flag("INBOX", 1, frozenset({flag}))
    sync(world)
    same(world)
    assert len(uids(world, TWO)) == (0 if wins else 1)


def test_a_removal_wins_where_that_is_configured(make: Make) -> None:
    world = make(replace(FREE, removal_wins=True))
    world.deliver(ONE, "INBOX")
    sync(world)
    world.remove(ONE, "INBOX", 1)
    world.disks[TWO].flag("INBOX", 1, frozenset({"\\Flagged"}))
    sync(world)
    same(world)
    assert uids(world, TWO) == []


def test_flags_merge_by_change(make: Make) -> None:
    world = make()
    world.deliver(ONE, "INBOX", frozenset({"\\Seen", "$Work"}))
    sync(world)
    world.disks[ONE].flag("INBOX", 1, frozenset({"$Work", "\\Answered"}))
    world.disks[TWO].flag("INBOX", 1, frozenset({"\\Seen", "\\Flagged"}))
    sync(world)
    same(world)
    assert world.disks[ONE].boxes["INBOX"].messages[1].flags == {"\\Answered", "\\Flagged"}


@pytest.mark.parametrize("who", End)
def test_keywords_that_a_side_does_not_keep_stay_on_the_other(make: Make, who: End) -> None:
    world = make(**{who.name.lower(): replace(ALL, keywords=False)})
    other = who.other
    world.deliver(other, "INBOX", frozenset({"$Work", "\\Seen"}))
    sync(world)
    world.disks[who].flag("INBOX", 1, frozenset({"\\Flagged"}))
    sync(world)
    assert world.disks[other].boxes["INBOX"].messages[1].flags == {"$Work", "\\Flagged"}
    world.disks[other].flag("INBOX", 1, frozenset({"$Work", "$Later"}))
    sync(world)
    assert world.disks[other].boxes["INBOX"].messages[1].flags == {"$Work", "$Later"}
    assert world.disks[who].boxes["INBOX"].messages[1].flags == frozenset()
    assert sync(world).changed == 0


def test_renamed_to_a_name_that_was_made_on_the_other_side(make: Make) -> None:
    world = make()
    world.disks[ONE].create("A")
    world.deliver(ONE, "A")
    sync(world)
    world.disks[ONE].rename("A", "B")
    world.disks[TWO].create("B")
    world.deliver(TWO, "B")
    sync(world)
    same(world)
    assert world.boxes(ONE) == ["B", "B~2", "INBOX"]
    assert sync(world).changed == 0


def test_special_use_and_subscription_go_both_ways(make: Make) -> None:
    world = make()
    for name in ("A", "B"):
        world.disks[ONE].create(name)
    sync(world)
    world.disks[ONE].boxes["A"].role = "\\Sent"
    world.disks[TWO].boxes["B"].subscribed = True
    sync(world)
    assert world.disks[TWO].boxes["A"].role == "\\Sent"
    assert world.disks[ONE].boxes["B"].subscribed
    world.disks[TWO].boxes["A"].role = None
    world.disks[ONE].boxes["B"].subscribed = False
    sync(world)
    assert world.disks[ONE].boxes["A"].role is None
    assert not world.disks[TWO].boxes["B"].subscribed
    before = [disk.version for disk in world.disks.values()]
    sync(world)
    assert [disk.version for disk in world.disks.values()] == before


def test_a_side_without_special_uses_is_not_asked_again(make: Make) -> None:
    world = make(two=replace(ALL, roles=False))
    world.disks[ONE].create("A")
    sync(world)
    world.disks[ONE].boxes["A"].role = "\\Sent"
    sync(world)
    assert "set_role" in world.sides[TWO].calls
    sync(world)
    assert world.sides[TWO].calls == ["places"]
    assert world.disks[ONE].boxes["A"].role == "\\Sent"
