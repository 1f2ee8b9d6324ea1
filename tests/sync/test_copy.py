"""One copy as it is run: what is opened when, what is told, and what stays for the next run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from restante.clock import ManualClock
from restante.sync.copy import Copy, Fetched, Pop3Copy, RunReport, Wait, never
from restante.sync.engine.context import Meanwhile
from restante.sync.model import Message, Place
from restante.sync.outbox.outcome import Outcome
from restante.sync.outbox.spool import SpoolBusy
from restante.sync.places import CopyPlaces
from restante.sync.settings import Progress, Report
from restante.sync.side import Side, SideUnavailable
from restante.sync.watch import Cause

from .memory import Disk, MemorySide


class Closing(MemorySide):
    """Counts what opens and closes it, and cannot be closed twice."""

    def __init__(self, disk: Disk, title: str, events: list[str]) -> None:
        super().__init__(disk, title=title)
        self.events = events

    async def open(self) -> None:
        self.events.append(f"open {self.title}")
        await super().open()

    async def close(self) -> None:
        self.events.append(f"close {self.title}")
        await super().close()


class FakeParts:
    sign = "server as anna"

    def __init__(self) -> None:
        self.one, self.two = Disk("one"), Disk("two")
        self.one.create("Work")
        self.one.create("Private")
        self.events: list[str] = []
        self.known: list[Sequence[Place]] = []
        self.server_is_down = False
        self.raises: Exception | None = None
        self.downloads: Callable[[Side], Awaitable[None]] | None = None

    def remote(self, known: Sequence[Place]) -> Side:
        self.known.append(known)
        side = Closing(self.one, "server", self.events)
        side.down = self.server_is_down
        return side

    def local(self) -> Side:
        return Closing(self.two, "copy", self.events)

    async def run(self, one: Side, two: Side, progress: Callable[[Progress], None], meanwhile: Meanwhile) -> Report:
        """As the engine does: opens and closes what it is given."""
        await one.open()
        await two.open()
        await one.places()
        await two.places()
        self.events.append("run")
        if self.downloads is not None:
            async with meanwhile():
                await self.downloads(two)
        await one.close()
        await two.close()
        if self.raises is not None:
            raise self.raises
        return Report(passes=1)


class FakeOutbox:
    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.raises: Exception | None = None
        self.sends: Callable[[], Awaitable[None]] | None = None

    async def run(self, side: Side | None) -> Outcome:
        assert side is not None
        if isinstance(self.raises, SpoolBusy):
            self.events.append("send")
            raise self.raises
        await side.places()  # open by now
        self.events.append("send")
        if self.sends is not None:
            await self.sends()
        if self.raises is not None:
            raise self.raises
        return Outcome(sent=1)


class World:
    def __init__(
        self,
        folder: Path,
        *,
        outbox: bool = True,
        remember: bool = True,
        outbox_mailbox: str = "",
        outbox_word: Wait = never,
    ) -> None:
        self.parts = FakeParts()
        self.outbox = FakeOutbox(self.parts.events)
        self.places = CopyPlaces(folder, "work")
        self.told: list[RunReport] = []
        self.copy = Copy(
            self.places, self.parts, ManualClock(), takes=lambda name: name != "Private", tell=self.told.append,
            progress=lambda progress: None, outbox=self.outbox if outbox else None, remember=remember,
            outbox_mailbox=outbox_mailbox, outbox_word=outbox_word,
        )  # fmt: skip

    async def once(self) -> None:
        try:
            await self.copy.open()
            await self.copy.run(Cause.BEGIN)
        finally:
            await self.copy.close()


def test_sides_stay_open_from_run_to_run(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def work() -> None:
        await world.copy.open()
        await world.copy.run(Cause.BEGIN)
        await world.copy.run(Cause.REMOTE)
        await world.copy.close()

    asyncio.run(work())
    events = world.parts.events
    assert sorted(events[:2]) == ["open copy", "open server"]
    assert events[2:] == ["send", "run", "send", "run", "close server", "close copy"]
    assert [report.cause for report in world.told] == [Cause.BEGIN, Cause.REMOTE]
    assert world.told[0].outbox == Outcome(sent=1)


def test_mail_goes_out_though_the_mail_server_is_gone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.parts.server_is_down = True
    with pytest.raises(SideUnavailable):
        asyncio.run(world.once())
    assert "send" in world.parts.events
    (report,) = world.told
    assert report.outbox == Outcome(sent=1)
    assert report.problem is not None
    assert world.parts.events[-2:] == ["close server", "close copy"]


def test_the_next_run_knows_the_mailboxes_of_the_last(tmp_path: Path) -> None:
    world = World(tmp_path)
    asyncio.run(world.once())
    asyncio.run(World(tmp_path).once())
    again = World(tmp_path)
    asyncio.run(again.once())
    assert world.parts.known == [[]]
    assert [place.name for place in again.parts.known[0]] == ["INBOX", "Private", "Work"]
    (tmp_path / "sync" / "work" / "places.json").write_text("{")
    damaged = World(tmp_path)
    asyncio.run(damaged.once())
    assert damaged.parts.known == [[]], "then the server is asked"


def test_waiting_is_for_what_belongs_to_the_copy(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def work() -> None:
        await world.copy.open()
        await world.copy.run(Cause.BEGIN)
        waiting = asyncio.ensure_future(world.copy.remote_changed())
        world.parts.one.deliver("Private", b"Subject: x\r\n\r\n")
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done
        world.parts.one.deliver("Work", b"Subject: x\r\n\r\n")
        await waiting
        await world.copy.close()

    asyncio.run(work())


def test_what_comes_into_the_outbox_during_a_run_makes_another_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, outbox_mailbox="Outbox")
    world.parts.two.create("Outbox")

    async def act() -> None:
        await world.copy.open()
        world.parts.two.deliver("Outbox", b"To: a@b.example\r\n\r\nx\r\n")  # it has just been emptied
        await world.copy.run(Cause.BEGIN)
        async with asyncio.timeout(30):
            await world.copy.local_changed()
        await world.copy.run(Cause.LOCAL)
        waiting = asyncio.create_task(world.copy.local_changed())  # what nobody takes makes no run after run
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        world.parts.two.deliver("Outbox", b"To: a@b.example\r\n\r\ny\r\n")
        async with asyncio.timeout(30):
            await waiting
        await world.copy.close()

    asyncio.run(act())


# While a large message comes ------------------------------------------------------------------------------


def work(act: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(30):
            await act()

    asyncio.run(within())


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


def test_what_is_handed_in_while_a_large_message_comes_is_sent_before_it_is_there(tmp_path: Path) -> None:
    handed_in = asyncio.Event()

    async def word() -> None:
        await handed_in.wait()
        handed_in.clear()

    world = World(tmp_path, outbox_word=word)
    events = world.parts.events

    async def comes(two: Side) -> None:
        for number in (2, 3, 4):  # one when the run began, one when the message did
            await until(lambda number=number: events.count("send") == number)  # type: ignore[misc]  # bound at once
            handed_in.set()
        await until(lambda: events.count("send") == 5)
        events.append("came")

    world.parts.downloads = comes
    work(world.once)
    assert events[-3:] == ["came", "close server", "close copy"]
    assert world.told[0].outbox == Outcome(sent=5), "all of the run"


def test_what_is_put_into_the_outbox_mailbox_while_a_large_message_comes_is_sent(tmp_path: Path) -> None:
    world = World(tmp_path, outbox_mailbox="Outbox")
    world.parts.two.create("Outbox")
    events = world.parts.events

    async def comes(two: Side) -> None:
        await until(lambda: events.count("send") == 2)
        for _ in range(20):
            await asyncio.sleep(0)
        assert events.count("send") == 2, "nothing came"
        world.parts.two.deliver("Outbox", b"To: a@b.example\r\n\r\nx\r\n")
        await until(lambda: events.count("send") == 3)

    world.parts.downloads = comes
    work(world.once)
    assert events.count("send") == 3


def test_a_message_is_not_added_while_something_is_sent_and_sending_ends_before_the_run_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    events = world.parts.events
    goes_on = asyncio.Event()

    async def comes(two: Side) -> None:
        async def slowly() -> None:
            await goes_on.wait()
            events.append("sent")

        world.outbox.sends = slowly
        await until(lambda: events.count("send") == 2)
        adding = asyncio.ensure_future(two.add("INBOX", [Message(0, b"Subject: x\r\n\r\n", frozenset(), 0)]))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not world.parts.two.boxes["INBOX"].messages
        goes_on.set()
        await adding
        events.append("added")

    world.parts.downloads = comes
    work(world.once)
    assert events[-4:-2] == ["sent", "added"]


def test_what_is_being_sent_when_the_download_fails_is_sent(tmp_path: Path) -> None:
    world = World(tmp_path)
    events = world.parts.events

    async def comes(two: Side) -> None:
        async def slowly() -> None:
            for _ in range(20):
                await asyncio.sleep(0)
            events.append("sent")

        world.outbox.sends = slowly
        await until(lambda: events.count("send") == 2)
        raise SideUnavailable("The line is gone.")

    world.parts.downloads = comes
    with pytest.raises(SideUnavailable):
        work(world.once)
    assert "sent" in events
    assert world.told[0].outbox == Outcome(sent=2)


def test_sending_that_was_not_possible_is_not_tried_with_each_large_message(tmp_path: Path) -> None:
    handed_in = asyncio.Event()

    async def word() -> None:
        await handed_in.wait()

    world = World(tmp_path, outbox_word=word)
    world.outbox.raises = SideUnavailable("no network")
    events = world.parts.events

    async def comes(two: Side) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        assert events.count("send") == 1
        handed_in.set()
        await until(lambda: events.count("send") == 2)
        for _ in range(20):
            await asyncio.sleep(0)

    world.parts.downloads = comes
    work(world.once)
    assert events.count("send") == 2


def test_while_another_process_sends_it_is_not_asked_again_and_again(tmp_path: Path) -> None:
    """What is in the Outbox mailbox stays a change for as long as nobody has looked there."""
    world = World(tmp_path, outbox_mailbox="Outbox")
    world.parts.two.create("Outbox")
    events = world.parts.events

    async def comes(two: Side) -> None:
        await until(lambda: events.count("send") == 2)
        world.outbox.raises = SpoolBusy("busy")
        world.parts.two.deliver("Outbox", b"To: a@b.example\r\n\r\nx\r\n")
        await until(lambda: events.count("send") == 3)
        for _ in range(50):
            await asyncio.sleep(0)

    world.parts.downloads = comes
    work(world.once)
    assert events.count("send") == 3


def test_what_waits_is_told_although_another_process_sends_by_then() -> None:
    found = Outcome(busy=True).after(Outcome(sent=1, waiting=2, uncertain=3))
    assert (found.sent, found.waiting, found.uncertain) == (1, 2, 3)


def test_a_fault_of_sending_is_told_once_the_message_has_come(tmp_path: Path) -> None:
    world = World(tmp_path)
    events = world.parts.events

    async def comes(two: Side) -> None:
        world.outbox.raises = ZeroDivisionError("a fault")
        await until(lambda: events.count("send") == 2)
        events.append("came")

    world.parts.downloads = comes
    with pytest.raises(ZeroDivisionError):
        work(world.once)
    assert "came" in events


class FakeFetch:
    def __init__(self) -> None:
        self.disk = Disk("two")
        self.sides = 0
        self.fetched = 0

    def local(self) -> Side:
        self.sides += 1
        return MemorySide(self.disk)

    async def run(self, progress: Callable[[Progress], None]) -> Fetched:
        self.fetched += 1
        return Fetched(0, 0, 0, 0, 0, 0)


def test_the_outbox_of_a_pop3_copy_is_watched(tmp_path: Path) -> None:
    fetch, events = FakeFetch(), list[str]()
    copy = Pop3Copy(
        CopyPlaces(tmp_path, "work"), fetch, ManualClock(), tell=lambda report: None, progress=lambda done: None,
        outbox=FakeOutbox(events), outbox_mailbox="Outbox",
    )  # fmt: skip
    fetch.disk.create("Outbox")

    async def act() -> None:
        await copy.run(Cause.BEGIN)
        waiting = asyncio.create_task(copy.local_changed())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        fetch.disk.deliver("Outbox", b"To: a@b.example\r\n\r\nx\r\n")
        async with asyncio.timeout(30):
            await waiting
            await copy.local_changed()  # nobody has taken it, and no run was made for it
        waiting = asyncio.create_task(copy.local_changed())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        await copy.close()

    asyncio.run(act())
    assert events == ["send"]
    assert fetch.sides == 2  # the run's, and one for all waits: it knows what it has told of


def test_another_process_that_sends_is_no_problem(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.outbox.raises = SpoolBusy("busy")
    asyncio.run(world.once())
    assert world.told[0].problem is None


def test_an_outbox_that_fails_is_told_and_stops_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.outbox.raises = SideUnavailable("no room")
    asyncio.run(world.once())
    (report,) = world.told
    assert report.problem is not None
    assert report.problem.text == "no room"
    assert report.sync == Report(passes=1)


def test_how_it_ended_is_written_down(tmp_path: Path) -> None:
    world = World(tmp_path, outbox=False)
    world.parts.raises = SideUnavailable("lost", "Try later.")
    with pytest.raises(SideUnavailable):
        asyncio.run(world.once())
    last = json.loads(world.places.last.read_bytes())
    assert last["problem"] == {"code": "SIDE-UNAVAILABLE", "text": "lost", "remedy": "Try later."}
    world.parts.raises = None
    asyncio.run(world.once())
    assert json.loads(world.places.last.read_bytes())["problem"] is None
    assert {file.name for file in world.places.folder.iterdir()} == {"last.json", "places.json"}


def test_a_disk_that_takes_no_note_of_it_is_no_failure_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "sync").write_bytes(b"")  # no folder can be made below it
    world = World(tmp_path, outbox=False)
    asyncio.run(world.once())
    (report,) = world.told
    assert report.problem is None


def test_a_look_writes_nothing(tmp_path: Path) -> None:
    asyncio.run(World(tmp_path, outbox=False, remember=False).once())
    assert list(tmp_path.iterdir()) == []
