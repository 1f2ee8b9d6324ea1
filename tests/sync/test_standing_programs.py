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

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restante.sync.engine import afterwards
from restante.sync.engine.placeholder import is_placeholder
from restante.sync.model import Changes
from restante.sync.settings import End

from .memory import ALL, BARE, MemorySide
from .programs import RAM, World, number_of
from .promises import FREE, ONE, TWO, same

MANY = max(1, int(os.environ.get("RESTANTE_SYNC_PROGRAMS", "60")) // 3)
PROGRAMS = st.lists(st.integers(0, 8 * 6 * 3 * 400), min_size=1, max_size=15)
BEGUN = frozenset({"\\Seen", "\\Draft"})
FLAGS = {ONE: ("\\Answered", "\\Draft", "$Work"), TWO: ("\\Flagged", "\\Seen", "$Later")}
NUMBERS = (901, 902, 903, 904)


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
    one, two = {
        "all": (ALL, ALL),
        "no-emails": (replace(ALL, emails=False), replace(ALL, emails=False, lasting=False)),
        "bare-server": (BARE, ALL),
        "bare-copy": (ALL, replace(BARE, tells=True)),
    }[name]
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
