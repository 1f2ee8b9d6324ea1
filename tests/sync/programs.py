"""Random programs of edits, runs and kills on two model sides, and what must hold after each of them.

A program is a list of numbers: short programs print as short lists, and hypothesis finds the shortest. Every message is
made once, by a number in its Message-ID and body, so that it is told apart on both sides for good.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from restante.clock import ManualClock
from restante.sync.engine import run
from restante.sync.engine.afterwards import run_headers_first
from restante.sync.engine.context import Meanwhile
from restante.sync.model import Flags
from restante.sync.settings import CopySettings, End, Progress, Report
from restante.sync.state import State

from .memory import Abilities, Disk, Killed, MemorySide, Steps

RAM = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Programs are about order, not about disks: their states need no real fsync."""
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Deleted", "$Work", "$Later"]
NAMES = ["INBOX", "A", "B", "A/C", "D"]
_NUMBER = re.compile(rb"Message-ID: <(\d+)@")

Content = dict[str, list[tuple[int, tuple[str, ...]]]]


def number_of(data: bytes) -> int:
    found = _NUMBER.search(data)
    assert found is not None
    return int(found[1])


def octets(number: int, alike: bool) -> bytes:
    """alike: its outline but for the Message-ID is that of others like it."""
    body = b"the same for many\r\n" if alike else b"text of %d\r\n" % number
    return b"From: a@b\r\nSubject: test\r\nMessage-ID: <%06d@p.example>\r\n\r\n%b" % (number, body)


@dataclass
class World:
    """Two disks, the state of a copy between them, and what was done to them.

    made, removed: numbers of messages that somebody delivered, or removed somewhere. prepare: what is done to the sides
    of each run before it. copies: by number, those that somebody made within a side; copying: edits make some.
    """

    folder: Path
    abilities: dict[End, Abilities]
    settings: CopySettings
    disks: dict[End, Disk] = field(default_factory=lambda: {End.ONE: Disk("x"), End.TWO: Disk("y")})
    clock: ManualClock = field(default_factory=ManualClock)
    count: int = 0
    kind: type[MemorySide] = MemorySide
    prepare: Callable[[dict[End, MemorySide]], None] | None = None
    meanwhile: Meanwhile = nullcontext
    progress: list[Progress] = field(default_factory=list)
    removed: set[int] = field(default_factory=set)
    made: set[int] = field(default_factory=set)
    copies: Counter[int] = field(default_factory=Counter)
    copying: bool = False

    # Runs --------------------------------------------------------------------------------------------

    def sync(
        self,
        kill: int = 0,
        *,
        only: Sequence[str] = (),
        dry_run: bool = False,
        during: dict[int, int] | None = None,
        same_account: bool = False,
    ) -> Report | None:
        """A run; None where it was killed (at that step, counted over both sides and the state).

        during: edits that come at those steps.
        """
        steps = Steps(kill, {at: partial(self.edit, code) for at, code in (during or {}).items()})
        state = State(self.folder / "state", lambda when: steps(f"{when} commit"))
        one, two = (self.kind(self.disks[end], self.abilities[end], steps, title=end.name.lower()) for end in End)
        self.sides = {End.ONE: one, End.TWO: two}
        if self.prepare is not None:
            self.prepare(self.sides)
        if self.settings.headers_first and not dry_run:
            work = run_headers_first(
                self.settings, one, two, state, self.clock,
                only=only, same_account=same_account, progress=self.progress.append, meanwhile=self.meanwhile,
            )  # fmt: skip
        else:
            work = run(
                self.settings, one, two, state, self.clock,
                only=only, dry_run=dry_run, same_account=same_account, progress=self.progress.append,
            )  # fmt: skip
        try:
            return asyncio.run(work)
        except Killed:
            return None
        finally:
            self.steps = steps
            state.close()

    def decide(self, accept: bool) -> int:
        state = State(self.folder / "state")
        try:
            return state.accept() if accept else state.refuse()
        finally:
            state.close()

    # Edits -------------------------------------------------------------------------------------------

    def boxes(self, end: End) -> list[str]:
        return sorted(name for name, box in self.disks[end].boxes.items() if box.selectable)

    def messages(self, end: End) -> list[tuple[str, int]]:
        disk = self.disks[end]
        return [
            (name, uid)
            for name in self.boxes(end)
            for uid, message in disk.boxes[name].messages.items()
            if number_of(message.data)  # 0 stays as it is
        ]

    def deliver(self, end: End, name: str, flags: Flags = frozenset(), *, alike: bool = False, day: int = 0) -> int:
        self.count += 1
        self.made.add(self.count)
        self.disks[end].deliver(name, octets(self.count, alike), self.kept(end, flags), 1_700_000_000 + day)
        return self.count

    def kept(self, end: End, flags: Flags) -> Flags:
        return flags if self.abilities[end].keywords else frozenset(one for one in flags if one.startswith("\\"))

    def remove(self, end: End, name: str, uid: int) -> None:
        self.removed.add(number_of(self.disks[end].boxes[name].messages[uid].data))
        self.disks[end].expunge(name, uid)

    def copy(self, end: End, name: str, uid: int, target: str) -> None:
        """Somebody copies a message; a side whose messages are files gives the copy another name."""
        disk = self.disks[end]
        self.copies[number_of(disk.boxes[name].messages[uid].data)] += 1
        new = disk.copy(name, uid, target)
        if not self.abilities[end].lasting:
            disk.boxes[target].messages[new].email = disk._new("m")

    def delete(self, end: End, name: str) -> None:
        for uid in list(self.disks[end].boxes[name].messages):
            self.remove(end, name, uid)
        self.disks[end].delete(name)

    def edit(self, code: int) -> None:
        """Something that another program does; the number says what."""
        code, what = divmod(code, 16)
        code, side = divmod(code, 2)
        end = End(side + 1)
        disk, names, messages = self.disks[end], self.boxes(end), self.messages(end)
        name = names[code % len(names)]
        if self.copying and what <= 2 and messages:
            name, uid = messages[code % len(messages)]
            self.copy(end, name, uid, names[code // 11 % len(names)])
        elif what <= 4:
            flags = frozenset({FLAGS[code % len(FLAGS)]}) if code % 3 == 0 else frozenset()
            self.deliver(end, name, flags, alike=code % 5 == 0, day=code % 2)
        elif what <= 7 and messages:
            name, uid = messages[code % len(messages)]
            old = disk.boxes[name].messages[uid].flags
            disk.flag(name, uid, self.kept(end, old ^ {FLAGS[code // 7 % len(FLAGS)]}))
        elif what == 8 and messages:
            self.remove(end, *messages[code % len(messages)])
        elif what in (9, 10) and messages:
            name, uid = messages[code % len(messages)]
            disk.move(name, uid, names[code // 11 % len(names)])
        elif what == 11:
            new = NAMES[code % len(NAMES)]
            if new not in names:
                disk.create(new)
        elif what == 12 and name != "INBOX":
            new = NAMES[code // 3 % len(NAMES)]
            if new not in disk.boxes and not new.startswith(name + "/"):
                disk.rename(name, new)
        elif what == 13 and name != "INBOX":
            self.delete(end, name)
        elif what == 14:
            disk.renumber(name)
        elif what == 15:
            disk.boxes[name].subscribed = not disk.boxes[name].subscribed

    # What is there -----------------------------------------------------------------------------------

    def content(self, end: End, *, keywords: bool = True) -> Content:
        return {
            name: sorted(
                (number_of(one.data), tuple(sorted(f for f in one.flags if keywords or f.startswith("\\"))))
                for one in self.disks[end].boxes[name].messages.values()
            )
            for name in self.boxes(end)
        }

    def numbers(self, end: End) -> Counter[int]:
        return Counter(number for rows in self.content(end).values() for number, _ in rows)

    # What must hold ----------------------------------------------------------------------------------

    def settle(self, accept: bool = True) -> Report:
        """Whole runs, with all that is held decided, until there is nothing to do: at most a few."""
        for _ in range(4):
            report = self.sync()
            assert report is not None
            assert not report.left_out, report.left_out
            if not self.decide(accept) and report.changed == 0:
                return report
        raise AssertionError(f"still something to do: {report}")

    def check(self) -> None:
        """After whole runs with nothing held: both are the same, nothing is lost, nothing is there twice."""
        keywords = all(one.keywords for one in self.abilities.values())
        one, two = (self.content(end, keywords=keywords) for end in End)
        assert one == two
        subscribed = [{name for name in self.boxes(end) if self.disks[end].boxes[name].subscribed} for end in End]
        assert subscribed[0] == subscribed[1]
        for end in End:
            numbers = self.numbers(end)
            assert not [number for number, times in numbers.items() if times > 1 + self.copies[number]]
            dropped = {number_of(data) for disk in self.disks.values() for data in disk.dropped}
            assert self.made - self.removed - dropped <= set(numbers)
        before = {end: self.disks[end].version for end in End}
        report = self.sync()
        assert report is not None
        assert report.changed == 0
        assert report.passes == 1
        assert {end: self.disks[end].version for end in End} == before


def play(
    program: Sequence[int],
    abilities: dict[End, Abilities],
    settings: CopySettings,
    *,
    kills: bool = False,
    during: bool = False,
    accept: bool = True,
    copying: bool = False,
) -> World:
    """Play a program: a number is an edit, a run (0 mod 7), or one that is killed or has edits meanwhile (1 mod 7)."""
    with tempfile.TemporaryDirectory(dir=RAM) as folder:
        world = World(Path(folder), abilities, settings, copying=copying)
        for end in End:
            world.disks[end].lasting = abilities[end].lasting
            # Shows which keywords are kept, where the side does not say it: a removal of one never seen could not be
            # told from not keeping it.
            shown = [flag for flag in FLAGS if flag[0] == "\\" or not abilities[end].vouches]
            world.disks[end].deliver("INBOX", octets(0, False), world.kept(end, frozenset(shown)))
        for code in program:
            rest, what = divmod(code, 7)
            if what == 0:
                world.sync()
            elif what == 1 and kills:
                world.sync(kill=1 + rest % 60)
            elif what == 1 and during:
                world.sync(during={1 + rest % 50: rest // 50, 1 + rest // 7 % 50: rest // 3})
            else:
                world.edit(rest)
        world.settle(accept)
        world.check()
        assert during or not any(disk.dropped for disk in world.disks.values())
        return world
