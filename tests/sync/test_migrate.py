"""Moving an account: everything arrives once, whatever happens on the way, and the proof says so truly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from restante.sync.migrate.mailbox import BATCH_MESSAGES
from restante.sync.migrate.model import Wishes
from restante.sync.model import Added, Message, Outline

from .memory import ALL, BARE, Abilities, Disk, Killed, MemorySide, Steps
from .moving import NO_EMAILS, NONE, PAIRS, SEEN, Move, everything, house, text, total

pytestmark = pytest.mark.in_memory


@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_everything_arrives(move: Move, one: Abilities, two: Abilities) -> None:
    move.abilities = (one, two)
    report = move.run()
    assert everything(move.target) == everything(move.source)
    assert total(report, "copied") == 15
    assert report.aside == []
    assert report.counts is not None
    assert (report.counts.messages, report.counts.same, report.counts.damaged) == (15, 15, 0)
    assert {name for name, box in move.target.boxes.items() if box.subscribed} == {
        "INBOX",
        "Gesendet",
        "Work/2026/July",
    }
    if one.roles and two.roles:
        assert move.target.boxes["Gesendet"].role == "\\Sent"


@pytest.mark.parametrize(("one", "two"), PAIRS)
@pytest.mark.parametrize("lost", [False, True], ids=["with-state", "without-state"])
def test_a_second_run_brings_only_what_is_new(move: Move, one: Abilities, two: Abilities, lost: bool) -> None:
    move.abilities = (one, two)
    move.run()
    if lost:
        move.state.unlink()
    before = everything(move.target)
    report = move.run()
    assert everything(move.target) == before
    assert total(report, "copied") == 0
    assert total(report, "present" if lost else "known") == 15
    move.source.deliver("INBOX", text(100), SEEN)
    move.source.create("Later")
    move.source.deliver("Later", text(101))
    report = move.run()
    assert total(report, "copied") == 2
    assert everything(move.target) == everything(move.source)
    assert report.counts is not None
    assert report.counts.same == 17


def test_a_run_with_nothing_to_do_reads_no_message(move: Move) -> None:
    move.run()
    move.run()
    assert (move.sides[0].fetched, move.sides[1].fetched) == (0, 0)
    assert "outlines" not in [*move.sides[0].calls, *move.sides[1].calls]


class Counting:
    """An observer that adds up."""

    def __init__(self) -> None:
        self.stretches: list[list[int]] = []

    def begin(self, title: str, messages: int) -> None:
        self.stretches.append([messages, 0])

    def expect(self, messages: int) -> None:
        self.stretches[-1][0] += messages

    def advance(self, messages: int, octets: int) -> None:
        self.stretches[-1][1] += messages


def test_progress_comes_to_its_end_whatever_was_there(move: Move) -> None:
    move.target.deliver("INBOX", text(3), NONE, 1_700_000_003)
    for _ in range(2):
        move.observer = counting = Counting()
        move.run()
        assert counting.stretches == [[15, 15], [15, 15]]
    move.observer = counting = Counting()
    move.verify()
    assert counting.stretches == [[15, 15]]


def test_a_first_run_into_an_empty_account_looks_at_no_outline(move: Move) -> None:
    move.run()
    assert "outlines" not in [*move.sides[0].calls, *move.sides[1].calls]
    assert move.sides[0].fetched == 15


def kills(folder: Path, abilities: tuple[Abilities, Abilities]) -> int:
    steps = Steps()
    move = Move(folder, house(), Disk("t"))
    move.steps = steps
    move.abilities = abilities
    move.run()
    return steps.taken


@pytest.mark.parametrize(
    "abilities",
    [
        (ALL, ALL),
        (NO_EMAILS, NO_EMAILS),
        (ALL, replace(BARE, keywords=True)),
        (NO_EMAILS, replace(NO_EMAILS, sizes=False)),
    ],
    ids=["all", "no-emails", "bare", "no-sizes"],
)
def test_a_kill_at_any_step_and_another_run_give_the_same(
    tmp_path: Path, abilities: tuple[Abilities, Abilities]
) -> None:
    (tmp_path / "count").mkdir()
    most = kills(tmp_path / "count", abilities)
    assert most > 60
    for at in range(1, most + 1):
        folder = tmp_path / str(at)
        folder.mkdir()
        move = Move(folder, house(), Disk("t"))
        move.abilities = abilities
        move.steps = Steps(at)
        with pytest.raises(Killed):
            move.run()
        move.steps = None
        report = move.run()
        assert everything(move.target) == everything(move.source), f"killed at {at}"
        assert report.counts is not None
        assert report.counts.same == 15, f"killed at {at}"


def test_resuming_compares_only_what_was_in_flight(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    move.abilities = (NO_EMAILS, NO_EMAILS)
    for number in range(200, 900):
        move.source.deliver("INBOX", text(number))
    asked: list[int] = []
    plain = MemorySide.outlines

    async def counted(side: MemorySide, name: str, uids: Sequence[int]) -> list[Outline]:
        asked.extend(uids)
        return await plain(side, name, uids)

    monkeypatch.setattr(MemorySide, "outlines", counted)
    move.steps = Steps()
    move.run()
    added = [number for number, label in enumerate(move.steps.labels, 1) if label == "target: added a message"]
    move.steps = Steps(added[300])
    move.target = Disk("t")
    move.state.unlink()
    with pytest.raises(Killed):
        move.run()
    move.steps = None
    move.run()
    assert everything(move.target) == everything(move.source)
    assert 0 < len(asked) <= 2 * BATCH_MESSAGES


def test_flags_follow_the_source_and_what_the_target_did_stays(move: Move) -> None:
    move.run()
    (uid,) = [uid for uid, each in move.target.boxes["INBOX"].messages.items() if each.data == text(0)]
    move.target.flag("INBOX", uid, frozenset({"\\Flagged", "mine"}))
    move.source.flag("INBOX", 1, frozenset({"\\Answered"}))
    move.source.flag("INBOX", 2, NONE)
    unread = {each.data: uid for uid, each in move.target.boxes["INBOX"].messages.items()}[text(4)]
    move.target.flag("INBOX", unread, NONE)
    move.source.flag("INBOX", 5, frozenset({"\\Seen", "\\Flagged"}))
    report = move.run()
    assert total(report, "flags") == 3
    assert move.target.boxes["INBOX"].messages[unread].flags == frozenset({"\\Flagged"})
    assert move.target.boxes["INBOX"].messages[uid].flags == frozenset({"\\Flagged", "mine", "\\Answered"})
    assert report.counts is not None
    assert (report.counts.flags, report.counts.damaged) == (2, 0)
    assert [each.flags for each in move.target.boxes["INBOX"].messages.values() if each.data == text(1)] == [NONE]


def test_keywords_that_differ_in_case_are_one(move: Move) -> None:
    move.run()
    box = move.target.boxes["INBOX"]
    (uid,) = [uid for uid, each in box.messages.items() if each.data == text(2)]
    move.target.flag("INBOX", uid, frozenset({"\\Seen", "$forwarded"}))
    report = move.run()
    assert report.counts is not None
    assert report.counts.flags == 0


def test_without_state_flags_come_together_and_nothing_is_marked_deleted(move: Move) -> None:
    move.run()
    move.state.unlink()
    move.source.flag("INBOX", 1, frozenset({"\\Seen", "\\Deleted"}))
    (uid,) = [uid for uid, each in move.target.boxes["INBOX"].messages.items() if each.data == text(0)]
    move.target.flag("INBOX", uid, frozenset({"\\Flagged"}))
    move.run()
    assert move.target.boxes["INBOX"].messages[uid].flags == frozenset({"\\Flagged", "\\Seen"})


def test_what_was_removed_at_the_target_does_not_come_again_unless_asked(move: Move) -> None:
    move.run()
    move.target.expunge("INBOX", next(iter(move.target.boxes["INBOX"].messages)))
    report = move.run()
    assert total(report, "gone") == 1
    assert total(report, "copied") == 0
    assert report.counts is not None
    assert report.counts.missing == 1
    report = move.run(Wishes(again=True))
    assert total(report, "copied") == 1
    assert everything(move.target) == everything(move.source)


@pytest.mark.parametrize("which", ["source", "target"])
def test_uids_that_begin_anew_bring_nothing_twice(move: Move, which: str) -> None:
    move.abilities = (NO_EMAILS, NO_EMAILS)
    move.run()
    (move.source if which == "source" else move.target).renumber("INBOX")
    report = move.run()
    assert everything(move.target) == everything(move.source)
    assert total(report, "copied") == 0
    assert report.counts is not None
    assert report.counts.same == 15


def test_mail_that_the_target_has_of_its_own_is_left_alone(move: Move) -> None:
    own = move.target.deliver("INBOX", text(900), SEEN)
    twin = move.target.deliver("INBOX", text(3), NONE, 1_700_000_003)  # one of two equal ones
    report = move.run()
    box = move.target.boxes["INBOX"]
    assert box.messages[own].data == text(900)
    assert box.messages[twin].flags == NONE
    assert total(report, "present") == 1
    assert len(box.messages) == 11


def test_identities_that_count_from_one_prove_nothing(tmp_path: Path) -> None:
    move = Move(tmp_path, Disk(), Disk())
    move.source.deliver("INBOX", text(1))
    move.target.deliver("INBOX", text(2))
    emails = [next(iter(disk.boxes["INBOX"].messages.values())).email for disk in (move.source, move.target)]
    assert emails[0] == emails[1]
    assert total(move.run(), "copied") == 1


def test_of_messages_with_one_header_the_octets_decide(tmp_path: Path) -> None:
    move = Move(tmp_path, Disk("s"), Disk("t"))
    move.source.deliver("INBOX", text(1, "b"))
    for body in "ab":
        move.target.deliver("INBOX", text(1, body), NONE, 1_500_000_000)
    report = move.run()
    assert total(report, "present") == 1
    (line,) = [line for line in move.lines() if line["kind"] == "message"]
    assert (line["target_uid"], line["wrong"]) == (2, ["date"])


def test_what_the_target_had_once_and_has_no_more_is_no_partner(move: Move) -> None:
    own = move.target.deliver("INBOX", text(900))
    move.run()
    move.target.expunge("INBOX", own)
    move.source.deliver("INBOX", text(900))
    assert total(move.run(), "copied") == 1
    assert everything(move.target) == everything(move.source)


def test_what_a_target_alters_is_not_brought_twice_and_is_told(move: Move) -> None:
    move.abilities = (NO_EMAILS, NO_EMAILS)

    class Altering:
        def __init__(self, side: MemorySide) -> None:
            self._side = side

        def __getattr__(self, name: str) -> Any:
            return getattr(self._side, name)

        async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
            return await self._side.add(name, [replace(m, data=m.data + b"-- \r\nscanned\r\n") for m in messages])

    report = move.run(wrap=Altering)
    assert report.counts is not None
    assert (report.counts.content, report.counts.missing) == (15, 0)
    move.state.unlink()
    report = move.run()
    assert total(report, "present") == 14  # the empty one has nothing to be known by
    assert total(report, "copied") == 1


def test_a_refused_message_is_set_aside_and_tried_again(move: Move) -> None:
    def refuses(name: str, message: Message) -> Added | None:
        return Added(0, "too large for this server") if message.data == text(21) else None

    report = move.run(refuses=refuses)
    assert [(each.mailbox, each.uid, each.reason, each.temporary) for each in report.aside] == [
        ("Work/2026/July", 2, "too large for this server", False)
    ]
    assert report.counts is not None
    assert (report.counts.missing, report.counts.same) == (1, 14)
    (line,) = [line for line in move.lines() if line.get("wrong")]
    assert (line["mailbox"], line["uid"], line["wrong"]) == ("Work/2026/July", 2, ["missing"])
    assert line["reason"] == "too large for this server"
    report = move.run()
    assert report.aside == []
    assert everything(move.target) == everything(move.source)


def test_a_message_refused_for_its_keywords_goes_without_them(move: Move) -> None:
    def refuses(name: str, message: Message) -> Added | None:
        return Added(0, "no such keyword here") if "$Forwarded" in message.flags else None

    report = move.run(refuses=refuses)
    assert report.aside == []
    assert total(report, "stripped") == 2
    assert report.counts is not None
    assert (report.counts.missing, report.counts.flags, report.counts.same) == (0, 2, 13)
    assert [each.flags for each in move.target.boxes["INBOX"].messages.values() if each.data == text(2)] == [SEEN]
    assert any("keywords" in note for note in report.notes)


def test_a_mailbox_that_cannot_be_used_is_set_aside_and_its_messages_are_missing(move: Move) -> None:
    move.target.create("Work/2026/July")

    def break_it(side: MemorySide) -> MemorySide:
        side.broken.add("Work/2026/July")
        return side

    report = move.run(wrap=break_it)
    assert [(each.mailbox, each.uid) for each in report.aside] == [("Work/2026/July", 0)]
    assert report.counts is not None
    assert (report.counts.missing, report.counts.same) == (4, 11)
    assert total(move.run(), "copied") == 4


def test_a_mailbox_of_the_source_that_cannot_be_read_is_told_in_the_proof(move: Move) -> None:
    _, two = move.sides

    def break_source(side: MemorySide) -> MemorySide:
        move.sides[0].broken.add("INBOX")
        return side

    report = move.run(wrap=break_source)
    assert report.counts is not None
    assert report.counts.unlisted == 1
    assert report.counts.damaged == 1
    assert move.verify().damaged
    assert two is not None


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(move: Move) -> None:
    move.target.deliver("INBOX", text(0), NONE, 1_700_000_000)
    before = everything(move.target)
    report = move.run(Wishes(dry_run=True))
    assert everything(move.target) == before
    assert not move.state.exists()
    assert not move.proof.exists()
    assert (total(report, "present"), total(report, "copied")) == (1, 14)
    changing = {"add", "create", "set_flags", "set_role", "subscribe", "remove"}
    assert not changing.intersection([*move.sides[0].calls, *move.sides[1].calls])
    move.run()
    report = move.run(Wishes(dry_run=True))
    assert (total(report, "known"), total(report, "copied")) == (15, 0)


def test_the_source_is_only_read(move: Move) -> None:
    before = json.dumps({name: [box.modseq, box.subscribed, box.role] for name, box in move.source.boxes.items()})
    move.run()
    after = json.dumps({name: [box.modseq, box.subscribed, box.role] for name, box in move.source.boxes.items()})
    assert before == after
    assert set(move.sides[0].calls) <= {"places", "changes", "outlines", "fetch"}
