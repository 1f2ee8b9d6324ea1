"""Runs over the spool: each message is sent once, filed once, or comes back with the reason; whatever breaks off."""

from __future__ import annotations

import asyncio
import email
import errno
import hashlib
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from restante.clock import ManualClock
from restante.files import replace_file
from restante.sync.config import Server
from restante.sync.model import Added
from restante.sync.outbox.compose import Own, Ready, compose
from restante.sync.outbox.entry import TRANSITIONS, Entry, Event, Filing, Recipient, State
from restante.sync.outbox.outcome import Outcome
from restante.sync.outbox.sender import DELAYS, Outgoing, Sender, WrongMoment, decide
from restante.sync.outbox.spool import NoSuchEntry, Spool, SpoolBusy, SpoolDamaged, SpoolUnwritable
from restante.sync.outbox.submission import Submission, SubmissionUnavailable
from restante.sync.outbox.taking import Taking

from ..memory import Abilities, Disk, Killed, MemorySide, Steps
from .sink import Sink

ANNA = "anna@example.org"
RAW = (
    b"From: anna@example.org\nTo: b@example.com\nSubject: to be sent\nMessage-ID: <1@x>\n"
    b"Date: Fri, 1 Jan 2027 00:00:00 +0000\n\nwords\n"
)
DAY = 86_400.0


def counting() -> Callable[[int], bytes]:
    number = 0

    def random(octets: int) -> bytes:
        nonlocal number
        number += 1
        return number.to_bytes(octets, "big")

    return random


def prepare(raw: bytes) -> Ready:
    return compose(
        raw, recipients=(), from_header=True, sender=None, own=lambda author: Own(author or ANNA),
        now=1.8e9, random=lambda n: b"\x07" * n,
    )  # fmt: skip


class World:
    """One copy with an outbox, a clock that stands still, and a disk that its side is on."""

    def __init__(self, folder: Path, sink: Sink | None = None) -> None:
        self.clock = ManualClock()
        self.sink = sink or Sink()
        self.disk = Disk()
        self.random = counting()
        self.spool = Spool(folder / "outbox", self.clock, self.random)
        self.outgoing = Outgoing("work", "sink.example:465", 5 * DAY)
        self.offline = False

    def add(self, *recipients: str, raw: bytes = RAW) -> Entry:
        made = prepare(raw)
        everybody = [Recipient(address=each) for each in recipients or made.recipients]
        return self.spool.add("work", made.sender, everybody, made.message, subject=made.subject)

    def connect(self) -> Submission:
        port = 1 if self.offline else self.sink.port
        return Submission(Server("127.0.0.1", port, "none"), ANNA, None, random=self.random)

    async def once(self, steps: Steps | None = None, abilities: Abilities | None = None) -> Outcome:
        side = MemorySide(self.disk, abilities or Abilities(), steps)
        await side.open()
        taking = Taking(self.spool, "work", "Outbox", prepare)
        return await Sender(self.outgoing, self.spool, self.connect, self.clock, self.random, taking).run(side)

    def run(self, steps: Steps | None = None) -> Outcome:
        async def work() -> Outcome:
            async with self.sink:
                return await self.once(steps)

        return asyncio.run(work())

    def mail(self, name: str) -> list[bytes]:
        box = self.disk.boxes.get(name)
        return [] if box is None else [each.data for each in box.messages.values()]

    def entries(self) -> list[Entry]:
        return self.spool.entries("work")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_message_is_sent_once_and_filed(world: World) -> None:
    entry = world.add()
    message = world.spool.message(entry)
    assert world.run() == Outcome(sent=1)
    assert world.run() == Outcome()
    (taken,) = world.sink.taken
    assert taken.data == message
    assert world.mail("Sent") == [message]
    assert world.disk.boxes["Sent"].role == "\\Sent"
    assert [each.flags for each in world.disk.boxes["Sent"].messages.values()] == [{"\\Seen"}]
    assert world.entries() == []
    assert [file.name for file in world.spool.folder.iterdir()] == ["work.lock"]


def test_nothing_to_do_connects_nowhere(world: World) -> None:
    assert world.run() == Outcome()
    assert world.sink.connections == 0


def test_several_go_over_one_connection_in_order(world: World) -> None:
    for number in range(3):
        world.clock.advance(1)
        world.add(raw=RAW.replace(b"words", b"number %d" % number))
    assert world.run().sent == 3
    assert world.sink.connections == 1
    assert [each.data[-3:-2] for each in world.sink.taken] == [b"0", b"1", b"2"]


@pytest.mark.parametrize("wanted", ["", "Gesendet"])
def test_sent_mail_is_filed_where_it_belongs(world: World, wanted: str) -> None:
    world.disk.create("Verschickt", "\\Sent")
    world.outgoing = Outgoing("work", "sink", DAY, sent=wanted)
    world.add()
    world.run()
    assert len(world.mail(wanted or "Verschickt")) == 1


def test_a_mailbox_called_sent_is_found_in_any_case(world: World) -> None:
    world.disk.create("sent")
    world.add()
    world.run()
    assert len(world.mail("sent")) == 1


def test_filing_can_be_left_to_the_server(world: World) -> None:
    world.outgoing = Outgoing("work", "sink", DAY, file=False)
    world.add()
    assert world.run().sent == 1
    assert "Sent" not in world.disk.boxes
    assert world.entries() == []


# Offline, later, never -----------------------------------------------------------------------------------


def test_offline_it_is_kept_however_long(world: World) -> None:
    world.add()
    world.offline = True
    for _ in range(20):
        outcome = world.run()
        assert isinstance(outcome.problem, SubmissionUnavailable)
        assert outcome.waiting == 1
        world.clock.advance(DAY)
    world.offline = False
    assert world.run().sent == 1
    assert len(world.mail("Sent")) == 1


def test_refused_for_now_it_is_tried_again_later_and_comes_back_in_the_end(world: World) -> None:
    world.sink.at_end = "451 4.7.1 greylisted"
    world.add()
    assert world.run().waiting == 1
    assert world.run().waiting == 1
    assert world.sink.connections == 1, "not before its time"
    world.clock.advance(DELAYS[0] + 1)
    world.run()
    assert world.sink.connections == 2
    while not world.mail("INBOX"):
        world.clock.advance(DELAYS[-1] + 1)
        world.run()
    (report,) = world.mail("INBOX")
    assert b"greylisted (given up after 5 days)" in report
    assert world.entries() == []
    assert world.mail("Sent") == []


def test_a_long_time_offline_does_not_count(world: World) -> None:
    world.add()
    world.clock.advance(30 * DAY)
    world.sink.at_end = "451 4.7.1 greylisted"
    assert world.run().waiting == 1
    assert world.mail("INBOX") == []


def test_a_message_that_breaks_the_connection_lets_others_go_first(world: World) -> None:
    world.sink.hang_up = "mail"
    first = world.add()
    world.clock.advance(1)
    world.add(raw=RAW.replace(b"words", b"other"))
    assert world.run().waiting == 2
    world.sink.hang_up = ""
    assert world.run().sent == 1
    assert world.sink.taken[0].data.endswith(b"other\r\n")
    assert [entry.id for entry in world.entries()] == [first.id]


def test_what_is_refused_comes_back_with_the_reason(world: World) -> None:
    world.sink.refuse = {"no@example.com": "550-5.1.1 nobody\r\n550 5.1.1 of that name"}
    entry = world.add("no@example.com", "b@example.com")
    message = world.spool.message(entry)
    assert world.run() == Outcome(sent=1, returned=1)
    assert world.run() == Outcome()
    (report,) = world.mail("INBOX")
    parsed = email.message_from_bytes(report)
    assert parsed["Subject"] == "Not sent: to be sent"
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"
    parts: Any = parsed.get_payload()
    text, status, original = parts
    assert "no@example.com" in text.get_payload()
    assert "b@example.com" not in text.get_payload()
    fields = status.get_payload()[1]
    assert (fields["Final-Recipient"], fields["Action"], fields["Status"]) == (
        "rfc822; no@example.com", "failed", "5.1.1",
    )  # fmt: skip
    assert fields["Diagnostic-Code"] == "smtp; 550 5.1.1 nobody of that name"
    assert message in report
    assert original.get_content_type() == "message/rfc822"
    assert world.mail("Sent") == [message]
    assert not parsed.defects


def test_some_now_and_some_later(world: World) -> None:
    world.sink.refuse = {"later@example.com": "451 4.2.0 wait"}
    world.add("later@example.com", "b@example.com")
    assert world.run() == Outcome(sent=1, waiting=1)
    assert len(world.mail("Sent")) == 1
    world.sink.refuse = {}
    world.clock.advance(DELAYS[0] + 1)
    world.run()
    assert [each.recipients for each in world.sink.taken] == [["b@example.com"], ["later@example.com"]]
    assert len(world.mail("Sent")) == 1, "filed once"
    assert world.entries() == []


def test_too_many_recipients_go_in_several_transactions(world: World) -> None:
    world.sink.most = 2
    everybody = [f"n{number}@example.com" for number in range(5)]
    world.add(*everybody)
    assert world.run().sent == 1
    assert [each for taken in world.sink.taken for each in taken.recipients] == everybody
    assert len(world.sink.taken) == 3
    assert len(world.mail("Sent")) == 1


def test_a_login_that_is_wanted_is_no_fault_of_the_message(world: World) -> None:
    world.sink.at_mail = "530 5.7.0 log in"
    world.add()
    outcome = world.run()
    assert outcome.problem is not None
    assert outcome.problem.code == "LOGIN-REFUSED"
    assert outcome.waiting == 1
    assert world.mail("INBOX") == []


def test_a_sent_mailbox_that_takes_nothing_is_tried_again(world: World) -> None:
    world.add()

    async def work() -> None:
        async with world.sink:
            side = MemorySide(world.disk, refuses=lambda name, message: Added(0, "over quota", True))
            await side.open()
            sender = Sender(world.outgoing, world.spool, world.connect, world.clock, world.random)
            outcome = await sender.run(side)
            assert outcome.sent == 1
            assert "over quota" in str(outcome.problem)

    asyncio.run(work())
    assert world.run() == Outcome()
    assert len(world.mail("Sent")) == len(world.sink.taken) == 1


def test_without_the_copy_it_is_sent_and_filed_later(world: World) -> None:
    world.add()

    async def work() -> Outcome:
        async with world.sink:
            return await Sender(world.outgoing, world.spool, world.connect, world.clock, world.random).run(None)

    assert asyncio.run(work()) == Outcome(sent=1)
    (entry,) = world.entries()
    assert (entry.state, entry.filing) == (State.DONE, Filing.NO)
    world.run()
    assert len(world.mail("Sent")) == 1


# Cut off -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrived", [True, False])
@pytest.mark.parametrize("answer", [Event.RETRY, Event.SENT, Event.DROP])
def test_an_uncertain_message_is_told_of_and_decided_by_a_person(world: World, arrived: bool, answer: Event) -> None:
    world.sink.hang_up = "end" if arrived else "lost-end"
    entry = world.add()
    outcome = world.run()
    assert (outcome.uncertain, outcome.waiting) == (1, 0)
    world.sink.hang_up = ""
    world.clock.advance(DAY)
    for _ in range(3):
        assert world.run() == Outcome(uncertain=1)
    assert len(world.sink.taken) == arrived, "never sent again by itself"
    (question,) = world.mail("INBOX")
    assert f"restante send --retry {entry.id}".encode() in question
    assert b"Sent or not? to be sent" in question
    assert world.mail("Sent") == []
    decide(world.spool, entry.id, answer, world.clock.now())
    world.run()
    assert len(world.sink.taken) == arrived + (answer is Event.RETRY)
    assert len(world.mail("Sent")) == (answer is not Event.DROP)
    assert world.entries() == []
    assert len(world.mail("INBOX")) == 1


def test_what_a_person_may_say_when(world: World) -> None:
    entry = world.add()
    with pytest.raises(WrongMoment):
        decide(world.spool, entry.id, Event.SENT, 0)
    with pytest.raises(NoSuchEntry):
        decide(world.spool, "../x", Event.DROP, 0)
    with world.spool.sending("work"), pytest.raises(SpoolBusy):
        decide(world.spool, entry.id, Event.DROP, 0)
    decide(world.spool, entry.id, Event.DROP, 0)
    assert world.entries() == []


def test_two_processes_do_not_send_at_once(world: World) -> None:
    world.add()
    with world.spool.sending("work"), pytest.raises(SpoolBusy):
        world.run()
    assert world.run().sent == 1


class KilledSpool(Spool):
    """Each write may be the last, before or after it."""

    steps: Steps

    def _put(self, entry: Entry) -> None:
        self.steps(f"before {entry.state}")
        super()._put(entry)
        self.steps(f"after {entry.state}")

    def remove(self, entry: Entry) -> None:
        self.steps("before remove")
        super().remove(entry)
        self.steps("after remove")


def cut_at(world: World, at: int, dropped: bool, abilities: Abilities) -> tuple[bool, str]:
    """One run that ends before its step `at`, then undisturbed ones. (whether it was cut, the step's label)."""
    steps = Steps()
    world.sink.before_end = lambda: steps("the server has it")
    if dropped:
        world.disk.create("Outbox")
        world.disk.deliver("Outbox", prepare(RAW).message)
    else:
        world.add()
    whole = world.spool
    world.spool = killed = KilledSpool(whole.folder, world.clock, world.random)
    killed.steps = steps
    steps.at = at

    async def work() -> bool:
        async with world.sink:
            try:
                outcome = await world.once(steps, abilities)
            except Killed:
                return True
            return outcome.problem is not None

    cut = asyncio.run(work())
    steps.at = 0
    world.spool = whole
    for _ in range(3):
        world.clock.advance(DAY)
        world.run()
    return cut, steps.labels[at - 1] if at <= len(steps.labels) else "whole"


@pytest.mark.parametrize("dropped", [True, False])
@pytest.mark.parametrize("emails", [True, False])
def test_killed_at_any_instant_it_is_sent_once_or_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dropped: bool, emails: bool
) -> None:
    """Every step of disk, side and server: then undisturbed runs, and nothing is twice or lost."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # a kill, no power cut: what was written is there
    asked: list[str] = []
    at, cut = 0, True
    while cut:
        at += 1
        world = World(tmp_path / str(at))
        cut, label = cut_at(world, at, dropped, Abilities(emails=emails, tells=emails))
        states = [entry.state for entry in world.entries()]
        if states == [State.UNCERTAIN]:
            asked.append(label)
            assert len(world.sink.taken) <= 1, label
            assert world.mail("Sent") == [], label
            assert len(world.mail("INBOX")) == 1, label
        else:
            assert states == [], label
            assert len(world.sink.taken) == 1, label
            assert len(world.mail("Sent")) == 1, label
            assert world.mail("INBOX") == [], label
        assert world.mail("Outbox") == [], label
    assert at > 12
    # Only while the end of the data is said or its reply is not on disk yet.
    assert asked == ["after State.SENDING", "the server has it", "before State.DONE"]


# The Outbox mailbox --------------------------------------------------------------------------------------


def test_a_message_in_the_outbox_mailbox_is_sent(world: World) -> None:
    world.disk.create("Outbox")
    world.disk.deliver("Outbox", b"To: b@example.com\r\nBcc: c@example.com\r\nSubject: dropped\r\n\r\nx\r\n")
    assert world.run().sent == 1
    assert world.mail("Outbox") == []
    (taken,) = world.sink.taken
    assert taken.recipients == ["b@example.com", "c@example.com"]
    assert b"c@example.com" not in taken.data
    assert world.mail("Sent") == [taken.data]


def test_the_same_message_put_there_twice_is_sent_twice_though_cut_off(world: World) -> None:
    made = prepare(RAW)
    world.disk.create("Outbox")
    for _ in range(2):
        world.disk.deliver("Outbox", made.message)
    # A run took the first one, and was cut off before it was removed.
    everybody = [Recipient(address=each) for each in made.recipients]
    world.spool.add("work", ANNA, everybody, made.message, origin=hashlib.sha256(made.message).hexdigest())
    assert world.run().sent == 2
    assert len(world.sink.taken) == 2
    assert world.mail("Outbox") == []
    assert world.entries() == []


def test_one_that_cannot_be_sent_comes_back_whole(world: World) -> None:
    world.disk.create("Outbox")
    world.disk.deliver("Outbox", b"Subject: to nobody\r\n\r\nx\r\n")
    assert world.run().returned == 1
    assert world.mail("Outbox") == []
    (report,) = world.mail("INBOX")
    assert b"The message has no recipient." in report
    assert b"Subject: to nobody\r\n\r\nx\r\n" in report
    assert world.entries() == []


def test_the_outbox_mailbox_is_made(world: World) -> None:
    world.run()
    assert world.disk.boxes["Outbox"].subscribed
    world.run()


def test_one_marked_deleted_is_left(world: World) -> None:
    world.disk.create("Outbox")
    world.disk.deliver("Outbox", b"To: b@example.com\r\n\r\nx\r\n", frozenset({"\\Deleted"}))
    assert world.run() == Outcome()
    assert len(world.mail("Outbox")) == 1


# The spool -----------------------------------------------------------------------------------------------


def test_what_is_kept_is_private(world: World) -> None:
    entry = world.add()
    assert {file.stat().st_mode & 0o777 for file in world.spool.folder.iterdir()} == {0o600}
    assert world.spool.folder.stat().st_mode & 0o777 == 0o700
    assert world.spool.entry(entry.id) == entry


def test_octets_without_an_entry_go_in_time(world: World) -> None:
    world.add()
    stray = world.spool.folder / "20260101-000000-00000000.eml"
    stray.write_bytes(b"x")
    half = world.spool.folder / ".half"
    half.write_bytes(b"x")
    now = stray.stat().st_mtime
    world.clock.set(now + 3600)
    world.spool.tidy()
    assert stray.exists()
    assert half.exists()
    world.clock.set(now + 2 * DAY)
    world.spool.tidy()
    assert not stray.exists()
    assert not half.exists()
    assert len(world.entries()) == 1


def test_a_damaged_entry_is_named(world: World) -> None:
    entry = world.add()
    (world.spool.folder / f"{entry.id}.json").write_text("{")
    with pytest.raises(SpoolDamaged, match=entry.id):
        world.spool.entries()


def full_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes so many more files of the spool."""
    left = itertools.count(writes, -1)

    def fill(file: Path, data: bytes) -> None:
        if next(left) <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace_file(file, data)

    monkeypatch.setattr("restante.sync.outbox.spool.replace_file", fill)


def test_a_full_disk_before_the_end_of_data_sends_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add()
    with monkeypatch.context() as patch:
        full_after(0, patch)
        outcome = world.run()
    assert (outcome.sent, outcome.waiting) == (0, 1)
    assert isinstance(outcome.problem, SpoolUnwritable)
    assert world.sink.taken == []
    assert world.run().sent == 1


def test_a_full_disk_after_the_reply_is_asked_about(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add()
    with monkeypatch.context() as patch:
        full_after(1, patch)
        assert isinstance(world.run().problem, SpoolUnwritable)
    assert world.run().uncertain == 1
    assert len(world.sink.taken) == 1


def test_a_full_disk_leaves_what_was_dropped_where_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.disk.create("Outbox")
    for text in (RAW, b"Subject: to nobody\r\n\r\nx\r\n"):
        world.disk.deliver("Outbox", text)
    with monkeypatch.context() as patch:
        full_after(0, patch)
        assert isinstance(world.run().problem, SpoolUnwritable)
    assert len(world.mail("Outbox")) == 2
    outcome = world.run()
    assert (outcome.sent, outcome.returned) == (1, 1)
    assert world.mail("Outbox") == []


def test_the_states_that_need_a_person_are_not_left_otherwise() -> None:
    assert {event for state, event in TRANSITIONS if state is State.UNCERTAIN} == {Event.RETRY, Event.SENT, Event.DROP}
