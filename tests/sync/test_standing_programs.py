"""Random flags on placeholders and on messages, runs, kills, and flags in the middle of runs: each ends on both sides.

Each flag of a message is changed once at most, by the side it belongs to, so that what has to come of it is certain
whatever the order. RESTANTE_SYNC_PROGRAMS says how many programs are played, as in test_programs.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restante.sync.engine import afterwards
from restante.sync.engine.placeholder import is_placeholder
from restante.sync.model import Changes
from restante.sync.settings import End

from . import programs
from .memory import ALL, BARE, MemorySide
from .programs import RAM, World, number_of
from .promises import FREE, ONE, TWO, same

MANY = max(1, int(os.environ.get("RESTANTE_SYNC_PROGRAMS", "60")) // 3)
PROGRAMS = st.lists(st.integers(0, 8 * 6 * 3 * 400), min_size=1, max_size=15)
BEGUN = frozenset({"\\Seen", "\\Draft"})
FLAGS = {ONE: ("\\Answered", "\\Draft", "$Work"), TWO: ("\\Flagged", "\\Seen", "$Later")}
NUMBERS = (901, 902, 903, 904)
KINDS = {
    "all": (ALL, ALL),
    "no-emails": (replace(ALL, emails=False), replace(ALL, emails=False, lasting=False)),
    "bare-server": (BARE, ALL),
    "bare-copy": (ALL, replace(BARE, tells=True)),
}


class Keeping(MemorySide):
    """As a Maildir: what others changed since it was asked what changed is not removed."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]  # passed on as they are
        self.listed: dict[str, int] = {}

    async def changes(self, name: str, since: str | None) -> Changes:
        found = await super().changes(name, since)
        self.listed[name] = int(found.cursor.partition(".")[2])
        return found

    async def remove(self, name: str, uids: Sequence[int]) -> None:
        await self._call("remove", name)
        box = self._numbered(name)
        for uid in uids:
            if uid in box.messages and box.changed[uid] <= self.listed.get(name, box.modseq):
                box.take(uid)
                self.listed[name] = self.listed.get(name, box.modseq) + 1
                self._step("removed a message")
        self.disk.touch()


def octets(number: int, size: int) -> bytes:
    return b"From: a@b\r\nSubject: large\r\nMessage-ID: <%06d@p.example>\r\n\r\n%b\r\n" % (number, b"x" * size)


class Flagging(World):
    """changed: (number, flag) -> whether it was set."""

    def begin(self) -> None:
        self.kind = Keeping
        self.changed: dict[tuple[int, str], bool] = {}
        self.disks[ONE].create("A")
        for number, name, size in zip(NUMBERS, ("INBOX", "INBOX", "A", "A"), (5000, 6000, 7000, 10), strict=True):
            self.disks[ONE].deliver(name, octets(number, size), BEGUN, 1_600_000_000 + number)

    def edit(self, code: int) -> None:
        """Somebody changes a flag of what he sees there: of the placeholder as long as there is one."""
        code, number = divmod(code, len(NUMBERS))
        code, side = divmod(code, 2)
        end = End(side + 1)
        flag, number = FLAGS[end][code % len(FLAGS[end])], NUMBERS[number]
        shown = [
            (not is_placeholder(message.data), name, uid)
            for name, box in self.disks[end].boxes.items()
            for uid, message in box.messages.items()
            if number_of(message.data) == number
        ]
        if not shown or (number, flag) in self.changed or not self.kept(end, frozenset({flag})):
            return
        _, name, uid = min(shown)
        old = self.disks[end].boxes[name].messages[uid].flags
        self.changed[number, flag] = flag not in BEGUN
        self.disks[end].flag(name, uid, old ^ {flag})

    def wanted(self, number: int, end: End) -> frozenset[str]:
        given = {flag for (one, flag), added in self.changed.items() if one == number and added}
        taken = {flag for (one, flag), added in self.changed.items() if one == number and not added}
        return self.kept(end, (BEGUN | given) - taken)

    def ends_well(self) -> None:
        for _ in range(5):
            report = self.sync()
            assert report is not None
            assert not report.aside
            if report.changed == 0:
                break
        else:
            raise AssertionError("still something to do")
        for end in End:
            found = [message for box in self.disks[end].boxes.values() for message in box.messages.values()]
            assert sorted(number_of(one.data) for one in found) == [*NUMBERS]
            assert not any(is_placeholder(one.data) for one in found)
            for one in found:
                assert one.flags == self.wanted(number_of(one.data), end), number_of(one.data)
        if all(each.keywords for each in self.abilities.values()):
            same(self)


@pytest.mark.parametrize("look", [5.0, -1.0], ids=["rarely", "always"])
@pytest.mark.parametrize("name", ["all", "no-emails", "bare-server", "bare-copy"])
@given(program=PROGRAMS)
@settings(max_examples=MANY, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
def test_no_flag_is_lost_on_its_way(name: str, look: float, program: list[int]) -> None:
    one, two = KINDS[name]
    chosen = replace(FREE, headers_first=1000, batch=2, at_once=1)
    with tempfile.TemporaryDirectory(dir=RAM) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(afterwards, "LOOK", look)
        world = Flagging(Path(folder), {ONE: one, TWO: two}, chosen)
        world.disks[TWO].lasting = two.lasting
        world.begin()
        for code in program:
            rest, what = divmod(code, 8)
            if what == 0:
                world.sync()
            elif what <= 3:
                world.sync(kill=1 + rest % 240)
                for part in (rest, rest // 24, rest // 240):
                    world.edit(part)
            elif what == 4:
                world.sync(during={1 + rest % 240: rest, 1 + rest // 7 % 240: rest // 3})
            else:
                world.edit(rest)
        world.ends_well()


BEGUN_TO_BE_FILED = """
SELECT place.name, doomed.uid FROM doomed JOIN content USING (message)
JOIN place ON place.pair = doomed.pair AND place.side = 2 WHERE content.near_digest IS NULL
"""


class Handling(World):
    """Edits of messages alone: flags, moves, removals, new ones. A placeholder whose message has begun to be filed
    beside it is left alone: where it goes then is not followed."""

    def messages(self, end: End) -> list[tuple[str, int]]:
        found = super().messages(end)
        return found if end is ONE else [spot for spot in found if spot not in self.begun()]

    def begun(self) -> set[tuple[str, int]]:
        if not (self.folder / "state").exists():
            return set()
        db = apsw.Connection(str(self.folder / "state"), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return set(db.execute(BEGUN_TO_BE_FILED))
        finally:
            db.close()

    def edit(self, code: int) -> None:
        rest, what = divmod(code, 16)
        super().edit(rest * 16 + (what if what <= 10 else what - 6))

    def handle(self, code: int) -> None:
        """Somebody goes through the placeholders."""
        for name, uid in self.messages(TWO):
            message = self.disks[TWO].boxes[name].messages[uid]
            if is_placeholder(message.data):
                code, what = divmod(code, 4)
                if what == 1:
                    self.disks[TWO].move(name, uid, "INBOX" if name == "A" else "A")
                elif what == 2:
                    self.remove(TWO, name, uid)
                elif what == 3:
                    self.disks[TWO].flag(name, uid, message.flags ^ {"\\Flagged"})


def size_between() -> int:
    """Octets that a message has more of, where it is one of those alike (`programs.octets`)."""
    return len(programs.octets(1, alike=True)) - 1


@pytest.mark.parametrize("name", ["all", "no-emails", "bare-server", "bare-copy"])
@given(program=st.lists(st.integers(0, 7 * 120 * 4**4), min_size=1, max_size=15))
@settings(max_examples=MANY, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
def test_what_happens_to_placeholders_happens_to_messages(name: str, program: list[int]) -> None:
    """Moved, removed and flagged at any time, whatever is cut off: both sides become the same, and nothing is lost."""
    one, two = KINDS[name]
    # A message that is moved there, cut off before that was noted, and removed at once is not known to have been moved.
    one = replace(one, tells=True)
    chosen = replace(FREE, headers_first=size_between(), batch=2, at_once=1)
    with tempfile.TemporaryDirectory(dir=RAM) as folder:
        world = Handling(Path(folder), {ONE: one, TWO: two}, chosen)
        world.kind = Keeping
        world.disks[TWO].lasting = two.lasting
        for end in End:
            world.disks[end].create("A")
            world.disks[end].deliver("INBOX", programs.octets(0, False), world.kept(end, frozenset(programs.FLAGS)))
        for number in range(3):
            world.deliver(ONE, "A" if number else "INBOX", alike=True, day=number)
        for code in program:
            rest, what = divmod(code, 7)
            if what == 0:
                world.sync()
            elif what <= 2:
                world.sync(kill=1 + rest % 120)
                world.handle(rest // 120)
            else:
                world.edit(rest)
        world.settle()
        world.check()
        assert not any(is_placeholder(m.data) for box in world.disks[TWO].boxes.values() for m in box.messages.values())


@pytest.mark.parametrize("ends", [(ONE,), (ONE, TWO)], ids=["there", "on-both"])
def test_a_placeholder_beside_its_message_goes_with_it(tmp_path: Path, ends: tuple[End, ...]) -> None:
    """A run was cut off when the message had come and its placeholder was to go, and the message is removed then."""
    world = Flagging(tmp_path, {ONE: ALL, TWO: ALL}, replace(FREE, headers_first=1000))
    world.begin()
    assert world.sync(kill=0) is not None
    at = world.steps.labels.index("two: before remove INBOX") + 1
    (tmp_path / "again").mkdir()
    world = Flagging(tmp_path / "again", {ONE: ALL, TWO: ALL}, replace(FREE, headers_first=1000))
    world.begin()
    assert world.sync(kill=at) is None
    box = world.disks[TWO].boxes["INBOX"].messages
    (number,) = {number_of(m.data) for m in box.values() if is_placeholder(m.data)} & {
        number_of(m.data) for m in box.values() if not is_placeholder(m.data)
    }
    for end in ends:
        messages = world.disks[end].boxes["INBOX"].messages
        for uid in [u for u, m in messages.items() if number_of(m.data) == number and not is_placeholder(m.data)]:
            world.disks[end].expunge("INBOX", uid)
    assert world.sync() is not None
    assert number not in {number_of(m.data) for m in box.values()}
    same(world)
    report = world.sync()
    assert report is not None
    assert report.changed == 0
