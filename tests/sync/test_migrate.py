"""Moving an account: everything arrives once, whatever happens on the way, and the proof says so truly."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restante.clock import ManualClock
from restante.errors import Refusal
from restante.sync.migrate.ledger.book import Book, LedgerRefusal
from restante.sync.migrate.mailbox import BATCH_MESSAGES
from restante.sync.migrate.model import AllMail, Depth, Observer, Report, Silent, Wishes
from restante.sync.migrate.proof import ProofRefusal, read
from restante.sync.migrate.run import PAUSES, Migration, persist
from restante.sync.migrate.verify import Kind, Of, Verification, verify
from restante.sync.model import Added, Flags, Message, Outline, Place
from restante.sync.side import MailboxUnavailable, Side, SideUnavailable

from .memory import ALL, BARE, Abilities, Disk, Killed, MemorySide, Steps

pytestmark = pytest.mark.in_memory

SEEN: Flags = frozenset({"\\Seen"})
FORWARDED: Flags = frozenset({"\\Seen", "$Forwarded"})
NONE: Flags = frozenset()
PLAIN = Wishes()
NO_EMAILS = replace(ALL, emails=False)


def text(number: int, body: str = "text") -> bytes:
    return (
        f"From: a@move.example\r\nSubject: number {number}\r\nMessage-ID: <{number}@move.example>\r\n\r\n{body}\r\n"
    ).encode()


def house() -> Disk:
    """An account with what makes moving hard: a special use, a tree, equal messages, empty ones, keywords."""
    disk = Disk("a-very-long-prefix-")
    disk.create("Gesendet", "\\Sent").subscribed = True
    disk.create("Work/2026/July").subscribed = True
    disk.create("Empty")
    disk.boxes["INBOX"].subscribed = True
    for number in range(7):
        disk.deliver("INBOX", text(number), (NONE, SEEN, FORWARDED)[number % 3], 1_700_000_000 + number)
    disk.deliver("INBOX", text(3), SEEN, 1_700_000_100)  # the same octets again
    disk.deliver("INBOX", b"\r\n", NONE, 1_700_000_200)
    disk.deliver("INBOX", text(5, "other"), NONE, 1_700_000_005)  # the same header, another body of the same size
    for number in range(20, 24):
        disk.deliver("Work/2026/July", text(number), SEEN, 1_600_000_000 + number)
    disk.deliver("Gesendet", text(30), SEEN, 1_600_000_000)
    return disk


def contents(disk: Disk, name: str) -> Counter[tuple[bytes, Flags, int]]:
    return Counter((each.data, each.flags, each.received) for each in disk.boxes[name].messages.values())


def everything(disk: Disk) -> dict[str, Counter[tuple[bytes, Flags, int]]]:
    return {name: contents(disk, name) for name, box in disk.boxes.items() if box.selectable}


class Move:
    """A migration that can be run again and again, from one disk to another."""

    def __init__(self, folder: Path, source: Disk, target: Disk) -> None:
        self.state = folder / "state.db"
        self.proof = folder / "proof.jsonl"
        self.source, self.target = source, target
        self.abilities = (ALL, ALL)
        self.steps: Steps | None = None
        self.observer: Observer = Silent()
        self.sides: tuple[MemorySide, MemorySide] = self.make()

    def make(self) -> tuple[MemorySide, MemorySide]:
        one, two = self.abilities
        self.sides = (
            MemorySide(self.source, one, self.steps, title="source"),
            MemorySide(self.target, two, self.steps, title="target"),
        )
        return self.sides

    def run(
        self,
        wishes: Wishes = PLAIN,
        *,
        refuses: Any = None,
        wrap: Any = None,
        uidls: Any = None,
    ) -> Report:
        one, two = self.make()
        two.refuses = refuses
        target: Side = wrap(two) if wrap is not None else two

        async def work() -> Report:
            await one.open()
            await two.open()
            book = Book(self.state, "one", "two", keep=not wishes.dry_run)
            try:
                move = Migration(one, target, book, wishes, ManualClock(), self.observer, self.proof, uidls)
                return await move.run()
            finally:
                book.close()
                await one.close()
                await two.close()

        return asyncio.run(work())

    def verify(self, of: Of = Of.TARGET) -> Verification:
        side = self.make()[1 if of is Of.TARGET else 0]

        async def work() -> Verification:
            await side.open()
            try:
                return await verify(self.proof, side, of, self.observer)
            finally:
                await side.close()

        return asyncio.run(work())

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.proof.read_text("utf-8").splitlines()]


@pytest.fixture
def move(tmp_path: Path) -> Move:
    return Move(tmp_path, house(), Disk("t"))


def total(report: Report, what: str) -> int:
    return sum(getattr(each, what) for each in report.mailboxes)


PAIRS = [
    pytest.param(ALL, ALL, id="both-can-all"),
    pytest.param(ALL, replace(BARE, keywords=True, roles=True), id="to-a-bare-server"),
    pytest.param(BARE, ALL, id="from-a-bare-server"),
    pytest.param(replace(ALL, sizes=False, emails=False), NO_EMAILS, id="source-without-sizes"),
    pytest.param(NO_EMAILS, replace(BARE, keywords=True, roles=True, sizes=False), id="bare-and-without-sizes"),
]


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


# Names -------------------------------------------------------------------------------------------------


def test_a_special_use_of_the_target_takes_the_mail(move: Move) -> None:
    move.target.create("Sent", "\\Sent")
    move.run()
    assert contents(move.target, "Sent") == contents(move.source, "Gesendet")
    assert "Gesendet" not in move.target.boxes
    move.state.unlink()
    assert total(move.run(), "copied") == 0


def test_names_are_mapped_and_mailboxes_can_be_brought_together(move: Move) -> None:
    move.run(Wishes(maps=(("Work", "Job"), ("Gesendet", "Together"), ("Empty", "Together"))))
    assert contents(move.target, "Job/2026/July") == contents(move.source, "Work/2026/July")
    assert contents(move.target, "Together") == contents(move.source, "Gesendet")
    assert (
        total(move.run(Wishes(maps=(("Work", "Job"), ("Gesendet", "Together"), ("Empty", "Together")))), "copied") == 0
    )


def test_two_mailboxes_with_the_same_message_can_be_brought_together(move: Move) -> None:
    move.abilities = (NO_EMAILS, NO_EMAILS)
    move.source.deliver("Empty", text(30), SEEN, 1_600_000_000)
    wishes = Wishes(maps=(("Gesendet", "Together"), ("Empty", "Together")))
    move.run(wishes)
    assert len(move.target.boxes["Together"].messages) == 2
    move.state.unlink()
    assert total(move.run(wishes), "copied") == 0


class Flat:
    """A target without levels below the second, and without dots in names."""

    def __init__(self, side: MemorySide) -> None:
        self._side = side

    def __getattr__(self, name: str) -> Any:
        return getattr(self._side, name)

    async def create(self, name: str, role: str | None) -> Place:
        if name.count("/") > 1 or "." in name:
            raise MailboxUnavailable(f"{name} is no name here.")
        return await self._side.create(name, role)


def test_a_name_that_the_target_refuses_is_spelt_otherwise(move: Move) -> None:
    move.source.create("a.b")
    move.source.deliver("a.b", text(70))
    report = move.run(wrap=Flat)
    assert report.aside == []
    assert contents(move.target, "Work/2026_July") == contents(move.source, "Work/2026/July")
    assert contents(move.target, "a_b") == contents(move.source, "a.b")
    assert total(move.run(wrap=Flat), "copied") == 0
    move.state.unlink()
    assert total(move.run(wrap=Flat), "copied") == 0


def test_two_names_that_would_fall_together_stay_apart(move: Move) -> None:
    move.source.create("a.b")
    move.source.deliver("a.b", text(70))
    move.source.create("a_b")
    move.source.deliver("a_b", text(71))
    for _ in range(2):
        move.run(wrap=Flat)
        found = {each.data for name in ("a_b", "a_b (2)", "a_b_2") if name in move.target.boxes
                 for each in move.target.boxes[name].messages.values()}  # fmt: skip
        assert found == {text(70), text(71)}
        assert len(move.target.boxes["a_b"].messages) == 1
        move.state.unlink()


def test_only_and_exclude_choose_mailboxes(move: Move) -> None:
    report = move.run(Wishes(only=("INBOX", "Work*"), exclude=("*/July",)))
    assert [each.source for each in report.mailboxes] == ["INBOX"]
    assert {each.mailbox for each in report.left_out} == {"Empty", "Gesendet", "Work/2026/July"}
    with pytest.raises(Refusal, match="Wrok"):
        move.run(Wishes(exclude=("Wrok",)))


def gmail() -> Disk:
    disk = Disk("g")
    for name, role in (("All Mail", "\\All"), ("Starred", "\\Flagged"), ("Sent Mail", "\\Sent")):
        disk.create(f"[Gmail]/{name}", role)
    for number in range(5):
        disk.deliver("[Gmail]/All Mail", text(number), SEEN, 1_700_000_000 + number, f"gmail-message-{number:08}")
    disk.deliver("INBOX", text(0), SEEN, 1_700_000_000, "gmail-message-00000000")
    disk.deliver("[Gmail]/Starred", text(0), SEEN, 1_700_000_000, "gmail-message-00000000")
    disk.deliver("[Gmail]/Sent Mail", text(1), SEEN, 1_700_000_001, "gmail-message-00000001")
    return disk


def test_all_mail_is_left_out_and_said_to_be(tmp_path: Path) -> None:
    move = Move(tmp_path, gmail(), Disk("t"))
    move.target.create("Sent", "\\Sent")
    report = move.run()
    assert sorted(everything(move.target)) == ["INBOX", "Sent"]
    assert [each.mailbox for each in report.left_out] == ["[Gmail]/All Mail", "[Gmail]/Starred"]
    assert "--all-mail rest" in report.left_out[0].reason


@pytest.mark.parametrize("emails", [True, False])
def test_of_all_mail_what_is_in_no_other_mailbox_can_go(tmp_path: Path, emails: bool) -> None:
    move = Move(tmp_path, gmail(), Disk("t"))
    move.abilities = (replace(ALL, emails=emails), ALL)
    move.target.create("Sent", "\\Sent")
    move.target.deliver("Sent", text(1), SEEN, 1_700_000_001, "gmail-message-00000001")
    wishes = Wishes(all_mail=AllMail.REST)
    report = move.run(wishes)
    assert {each.data for each in move.target.boxes["Archive"].messages.values()} == {text(2), text(3), text(4)}
    assert total(report, "elsewhere") == 2
    assert report.counts is not None
    assert (report.counts.messages, report.counts.same) == (5, 5)
    report = move.run(wishes)
    assert total(report, "copied") == 0
    assert report.counts is not None
    assert report.counts.same == 5
    move.state.unlink()
    assert total(move.run(wishes), "copied") == 0


# The proof ---------------------------------------------------------------------------------------------


def test_the_proof_names_each_message_on_both_sides(move: Move) -> None:
    move.run()
    lines = move.lines()
    assert [lines[0]["kind"], lines[-1]["kind"]] == ["proof", "end"]
    messages = [line for line in lines if line["kind"] == "message"]
    assert len(messages) == 15
    for line in messages:
        box = move.target.boxes[line["mailbox"]]
        there, here = box.messages[line["target_uid"]], move.source.boxes[line["mailbox"]].messages[line["uid"]]
        assert there.data == here.data
        assert line["size"] == len(here.data)
    read(move.proof)


def test_the_proof_is_of_what_the_target_holds_not_of_what_was_sent(move: Move) -> None:
    """A target that takes a message, answers well, and keeps something else."""

    class Lying:
        def __init__(self, side: MemorySide) -> None:
            self._side = side

        def __getattr__(self, name: str) -> Any:
            return getattr(self._side, name)

        async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
            answers = await self._side.add(name, messages)
            for message, answer in zip(messages, answers, strict=True):
                stored = self._side.disk.boxes[name].messages[answer.uid]
                if message.data == text(1):
                    stored.data = stored.data.replace(b"text", b"tixt")
                if message.data == text(2):
                    self._side.disk.expunge(name, answer.uid)
                if message.data == text(4):
                    stored.received += 3600
            return answers

    report = move.run(wrap=Lying)
    assert report.counts is not None
    assert (report.counts.content, report.counts.missing, report.counts.date) == (1, 1, 1)
    found = {line["wrong"][0]: line["uid"] for line in move.lines() if line.get("wrong")}
    assert found == {"content": 2, "missing": 3, "date": 5}
    quick = Wishes(depth=Depth.QUICK)
    assert move.run(quick).counts is not None


def test_a_quick_proof_reads_no_bodies_back(move: Move) -> None:
    report = move.run(Wishes(depth=Depth.QUICK))
    assert move.sides[1].fetched == 0
    assert report.counts is not None
    assert report.counts.same == 15
    assert not move.verify().findings
    move.target.boxes["Gesendet"].messages[1].data += b"more"
    assert [each.kind for each in move.verify().findings] == [Kind.CONTENT]


def test_mail_that_comes_during_the_run_is_new_not_missing(move: Move) -> None:
    def deliver(side: MemorySide) -> Any:
        class Late:
            def __getattr__(self, name: str) -> Any:
                return getattr(side, name)

            async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
                if name == "INBOX":
                    move.source.deliver("INBOX", text(500))
                return await side.add(name, messages)

        return Late()

    report = move.run(wrap=deliver)
    assert report.counts is not None
    assert (report.counts.new, report.counts.damaged) == (1, 0)
    assert any("1 came" in note for note in report.notes)
    assert not move.verify().damaged
    assert total(move.run(), "copied") == 1


@pytest.mark.parametrize("hurt", ["cut", "changed", "edited", "empty", "other"])
def test_a_proof_that_is_not_whole_is_refused(move: Move, hurt: str) -> None:
    move.run()
    lines = move.proof.read_bytes().splitlines(keepends=True)
    if hurt == "cut":
        move.proof.write_bytes(b"".join(lines[:-3]))
    elif hurt == "changed":
        move.proof.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    elif hurt == "edited":
        move.proof.write_bytes(b"".join(lines).replace(b'"size":79', b'"size":97'))
        assert move.proof.read_bytes() != b"".join(lines)
    elif hurt == "empty":
        move.proof.write_bytes(b"")
    else:
        move.proof.write_bytes(b"no proof\n")
    with pytest.raises(ProofRefusal):
        move.verify()


def kinds(found: Verification) -> Counter[Kind]:
    return Counter(each.kind for each in found.findings)


def test_verify_tells_damage_from_what_people_do(move: Move) -> None:
    move.run()
    assert move.verify().same == 15
    assert move.verify(Of.SOURCE).same == 15
    inbox = move.target.boxes["INBOX"]
    by_data = {each.data: uid for uid, each in inbox.messages.items()}
    move.target.flag("INBOX", by_data[text(0)], frozenset({"\\Flagged"}))
    found = move.verify()
    assert kinds(found) == {Kind.FLAGS: 1}
    assert not found.damaged
    move.target.move("INBOX", by_data[text(1)], "Empty")
    found = move.verify()
    assert kinds(found) == {Kind.FLAGS: 1, Kind.MOVED: 1}
    assert not found.damaged
    move.target.expunge("INBOX", by_data[text(2)])
    inbox.messages[by_data[text(4)]].data = text(4).replace(b"text", b"tixt")
    inbox.messages[by_data[text(6)]].received += 1
    found = move.verify()
    assert kinds(found) == {Kind.FLAGS: 1, Kind.MOVED: 1, Kind.MISSING: 1, Kind.CONTENT: 1, Kind.DATE: 1}
    assert found.damaged
    (missing,) = [each for each in found.findings if each.kind is Kind.MISSING]
    assert (missing.mailbox, missing.uid, missing.source_uid) == ("INBOX", by_data[text(2)], 3)
    move.target.deliver("Work/2026/July", text(999))  # mail that comes there is no matter of the proof
    assert kinds(move.verify()) == kinds(found)


def test_one_of_two_equal_messages_does_not_stand_for_both(move: Move) -> None:
    move.run()
    twins = [uid for uid, each in move.target.boxes["INBOX"].messages.items() if each.data == text(3)]
    move.target.expunge("INBOX", twins[1])
    assert kinds(move.verify()) == {Kind.MISSING: 1}


def test_verify_finds_messages_after_uids_began_anew(move: Move) -> None:
    move.run()
    move.target.renumber("INBOX")
    found = move.verify()
    assert kinds(found) == {Kind.RENUMBERED: 10}
    assert not found.damaged
    move.target.delete("Gesendet")
    assert kinds(move.verify()) == {Kind.RENUMBERED: 10, Kind.MISSING: 1}


# Faults of a side --------------------------------------------------------------------------------------


def test_a_lost_side_is_waited_for_as_long_as_there_is_progress() -> None:
    waited: list[float] = []
    done = 0
    fates = iter([1, 0, 0, 5, *[0] * len(PAUSES), 0])

    async def attempt() -> Report:
        nonlocal done
        step = next(fates)
        done += step
        raise SideUnavailable("gone.")

    async def pause(seconds: float) -> None:
        waited.append(seconds)

    with pytest.raises(SideUnavailable):
        asyncio.run(persist(attempt, lambda: done, pause, lambda text: None))
    assert waited == [*PAUSES[:3], *PAUSES]


def test_what_will_not_pass_is_not_waited_for() -> None:
    class Refused(SideUnavailable):
        temporary = False

    done = 0

    async def attempt() -> Report:
        nonlocal done
        done += 1
        raise Refused("the password was changed.")

    async def pause(seconds: float) -> None:
        raise AssertionError

    with pytest.raises(Refused):
        asyncio.run(persist(attempt, lambda: done, pause, lambda text: None))


def test_a_full_target_is_not_sent_all_the_rest(move: Move) -> None:
    for number in range(200, 900):
        move.source.deliver("INBOX", text(number))

    def refuses(name: str, message: Message) -> Added | None:
        return Added(0, "over quota", temporary=True) if name == "INBOX" else None

    report = move.run(refuses=refuses)
    assert move.sides[0].fetched <= 2 * BATCH_MESSAGES + 5
    assert report.counts is not None
    assert (report.counts.missing, report.counts.same) == (710, 5)
    assert any("over quota" in each.reason for each in report.aside if each.uid == 0)
    assert total(move.run(), "copied") == 710


def test_a_side_that_never_answered_is_not_waited_for() -> None:
    async def attempt() -> Report:
        raise SideUnavailable("wrong password.")

    async def pause(seconds: float) -> None:
        raise AssertionError

    with pytest.raises(SideUnavailable):
        asyncio.run(persist(attempt, lambda: 0, pause, lambda text: None))


# The ledger --------------------------------------------------------------------------------------------


def test_a_ledger_serves_one_run_and_one_migration(tmp_path: Path) -> None:
    book = Book(tmp_path / "state", "one", "two")
    with pytest.raises(LedgerRefusal, match="Another run"):
        Book(tmp_path / "state", "one", "two")
    book.close()
    with pytest.raises(LedgerRefusal, match="whose target is two"):
        Book(tmp_path / "state", "one", "three")
    (tmp_path / "other").write_bytes(b"From somebody\n" * 1000)
    with pytest.raises(LedgerRefusal, match="no state"):
        Book(tmp_path / "other", "one", "two")


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    book = Book(tmp_path / "state", "one", "two")
    book.db.execute("PRAGMA user_version = 99")
    book.close()
    with pytest.raises(LedgerRefusal, match="version 99"):
        Book(tmp_path / "state", "one", "two")


# POP3 --------------------------------------------------------------------------------------------------


def test_uidls_go_along_and_late_ones_are_told(move: Move) -> None:
    carried: dict[bytes, str | None] = {}

    class Noting:
        def __init__(self, side: MemorySide) -> None:
            self._side = side

        def __getattr__(self, name: str) -> Any:
            return getattr(self._side, name)

        async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
            carried.update({each.data: each.uidl for each in messages})
            return await self._side.add(name, messages)

    async def uidls(side: Side, place: Place) -> Mapping[int, str]:
        assert place.name == "INBOX"
        return {uid: f"old-{uid}" for uid in range(1, 5)}

    move.run(Wishes(only=("Gesendet",)))
    report = move.run(wrap=Noting, uidls=uidls)
    assert carried[text(0)] == "old-1"
    assert carried[text(6)] is None
    assert carried[text(20)] is None
    assert total(report, "uidls") == 4
    assert [line["uidl"] for line in move.lines() if "uidl" in line] == [f"old-{uid}" for uid in range(1, 5)]
    assert total(move.run(uidls=uidls), "uidls_late") == 0
    move.state.unlink()
    assert total(move.run(uidls=uidls), "uidls_late") == 0
    report = move.run(uidls=uidls)
    assert total(report, "uidls_late") == 4
    assert any("UIDL" in note for note in report.notes)


# Anything ----------------------------------------------------------------------------------------------

EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.sampled_from(["INBOX", "A", "B/C"]), st.integers(0, 6)),
        st.tuples(st.just("flag"), st.sampled_from(["INBOX", "A", "B/C"]), st.integers(0, 6)),
        st.tuples(st.just("renumber"), st.sampled_from(["INBOX", "A", "B/C"]), st.integers(0, 1)),
        st.tuples(st.just("run"), st.just(""), st.integers(0, 120)),
        st.tuples(st.just("lose"), st.just(""), st.integers(0, 1)),
    ),
    max_size=14,
)


@settings(max_examples=150, deadline=None)
@given(EDITS, st.sampled_from([ALL, NO_EMAILS, replace(BARE, keywords=True), replace(NO_EMAILS, sizes=False)]))
def test_any_edits_kills_and_lost_states_end_in_the_same_mail(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[str, str, int]], abilities: Abilities
) -> None:
    move = Move(tmp_path_factory.mktemp("move"), Disk("a-very-long-prefix-"), Disk("t"))
    move.abilities = (abilities, abilities)
    for name in ("A", "B/C"):
        move.source.create(name)
    clock = 1_700_000_000
    for what, name, number in edits:
        box = move.source.boxes.get(name)
        if what == "deliver":
            clock += 1
            move.source.deliver(name, text(number % 4, "x" * (number % 2 + 1)), (NONE, SEEN)[number % 2], clock)
        elif what == "flag" and box is not None and box.messages:
            uid = list(box.messages)[number % len(box.messages)]
            move.source.flag(name, uid, box.messages[uid].flags | {("\\Flagged", "word", "\\Answered")[number % 3]})
        elif what == "renumber":
            disk = move.source if number else move.target
            if name in disk.boxes:
                disk.renumber(name)
        elif what == "lose":
            move.state.unlink(missing_ok=True)
        elif what == "run":
            move.steps = Steps(number)
            try:
                move.run()
            except Killed:
                pass
            move.steps = None
    report = move.run()
    here, there = everything(move.source), everything(move.target)
    for name, messages in here.items():
        assert Counter({data: n for (data, _, _), n in _by_data(messages).items()}) == Counter(
            {data: n for (data, _, _), n in _by_data(there[name]).items()}
        )
    assert report.counts is not None
    assert report.counts.missing == report.counts.content == 0
    assert report.counts.messages == sum(sum(each.values()) for each in here.values())
    assert not move.verify().damaged


def _by_data(messages: Counter[tuple[bytes, Flags, int]]) -> Counter[tuple[bytes, None, None]]:
    found: Counter[tuple[bytes, None, None]] = Counter()
    for (data, _, _), number in messages.items():
        found[data, None, None] += number
    return found
