"""Servers that end in the middle, by transcript: what had come is kept, and what ends them holds up nothing else."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from restante.clock import ManualClock
from restante.sync.engine import run
from restante.sync.remote import RemoteSide, Settings
from restante.sync.remote.errors import Lost
from restante.sync.settings import CopySettings, Report
from restante.sync.side import MailboxUnavailable, SideUnavailable
from restante.sync.state import State

from .memory import Disk, MemorySide
from .remote_script import Bare, Script, Session
from .scripted import all_of, message, on

# The end in the middle ---------------------------------------------------------------------------------


def test_bye_is_told() -> None:
    class Leaving(Bare):
        def do_examine(self, session: Session, rest: bytes) -> bytes:
            return b"* BYE going down\r\n"

    async def act(side: RemoteSide, script: Script) -> None:
        with pytest.raises(Lost, match="going down"):
            await side.changes("INBOX", None)

    on(Leaving(), act)


def test_a_silent_server_is_given_up() -> None:
    class Silent(Bare):
        def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
            return b"" if command.startswith(b"EXAMINE") else super().__call__(session, tag, command)

    async def act(side: RemoteSide, script: Script) -> None:
        with pytest.raises(Lost, match="silent"):
            await side.changes("INBOX", None)

    on(Silent(), act, Settings(silence=0.2))


class Cutting(Bare):
    """Ends the connection behind so many octets of a download, each time."""

    def __init__(self, octets: int, times: int) -> None:
        super().__init__()
        self.octets = octets
        self.times = times
        self.sent = 0

    def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
        whole = super().do_uid_fetch(session, rest)
        if b"BODY[]" in whole:
            self.sent += len(whole)
            if self.times and len(whole) > self.octets:
                self.times -= 1
                session.push(whole[: self.octets])
                session.writer.close()
                return b""
        return whole


def test_a_download_goes_on_over_another_connection() -> None:
    cutting = Cutting(2_000, 2)
    for number in range(200):
        cutting.put(b"INBOX", message(number).data)

    async def act(side: RemoteSide, script: Script) -> int:
        changes = await side.changes("INBOX", None)
        uids = [one.uid async for one in side.fetch("INBOX", list(changes.uids))]
        assert sorted(uids) == list(range(1, 201))
        return len(script.sessions)

    assert on(cutting, act) >= 2


class Weighing(Bare):
    """Ends the connection at the first question for a size, which is asked of what nothing comes of."""

    asked = 0

    def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
        if rest.endswith(b" (UID RFC822.SIZE)"):
            self.asked += 1
            if self.asked == 1:
                session.writer.close()
                return b""
        return super().do_uid_fetch(session, rest)


def test_an_empty_message_at_whose_size_the_connection_is_lost_comes_over_another() -> None:
    weighing = Weighing()
    for number in range(5):
        weighing.put(b"INBOX", message(number).data if number != 2 else b"")

    async def act(side: RemoteSide, script: Script) -> None:
        changes = await side.changes("INBOX", None)
        came = {one.uid: one.data async for one in side.fetch("INBOX", list(changes.uids))}
        assert sorted(came) == [1, 2, 3, 4, 5]
        assert came[3] == b""
        assert not side.unreadable

    on(weighing, act)


def test_a_server_that_ends_again_and_again_is_unavailable() -> None:
    cutting = Cutting(1, 1_000)
    for number in range(200):
        cutting.put(b"INBOX", message(number).data)

    async def act(side: RemoteSide, script: Script) -> int:
        await side.changes("INBOX", None)
        with pytest.raises(SideUnavailable):
            await anext(side.fetch("INBOX", list(range(1, 201))))
        return len(script.sessions)

    assert on(cutting, act) < 20


class Poisoned(Bare):
    """Ends the connection at some messages, in the middle of what it says about them: to any UID FETCH of `items`."""

    def __init__(self, messages: int, poison: set[int], items: bytes = b"BODY.PEEK[]") -> None:
        super().__init__()
        self.poison = poison
        self.items = items
        for number in range(messages):
            self.put(b"INBOX", message(number).data)

    def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
        whole = super().do_uid_fetch(session, rest)
        if self.items not in rest:
            return whole
        ends = [whole.find(b"(UID %d " % uid) for uid in self.poison]
        if ends := [end for end in ends if end >= 0]:
            session.push(whole[: min(ends) + 5])
            session.writer.close()
            return b""
        return whole


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("poison", [{1}, {60}, {200}, {7, 8, 9, 150}])
def test_a_message_that_ends_the_connection_holds_up_no_other(poison: set[int], connections: int) -> None:
    poisoned = Poisoned(200, poison)

    async def act(side: RemoteSide, script: Script) -> None:
        changes = await side.changes("INBOX", None)
        uids = [one.uid async for one in side.fetch("INBOX", list(changes.uids))]
        assert sorted(uids) == sorted({*range(1, 201)} - poison)
        assert {uid for _, uid in side.unreadable} == poison
        assert all(one.temporary and "connection" in one.reason for one in side.unreadable.values())

    on(poisoned, act, Settings(connections=connections))


def test_a_run_sets_aside_what_ends_the_connection_and_goes_on(tmp_path: Path) -> None:
    poisoned, clock = Poisoned(60, {5}), ManualClock()
    disk = Disk()

    async def act(side: RemoteSide, script: Script) -> Report:
        state = State.open(tmp_path / "state.db")
        try:
            return await run(CopySettings(), side, MemorySide(disk), state, clock)
        finally:
            state.close()

    report = on(poisoned, act)
    assert (report.two.added, [one.uid for one in report.aside]) == (59, [5])
    poisoned.poison.clear()
    clock.advance(700)
    report = on(poisoned, act)
    assert (report.two.added, report.aside) == (1, ())


@pytest.mark.parametrize("poison", [{1}, {60}, {200}, {7, 8, 9, 150}])
def test_a_header_that_ends_the_connection_holds_up_no_other(poison: set[int]) -> None:
    poisoned = Poisoned(200, poison, b"HEADER")

    async def act(side: RemoteSide, script: Script) -> None:
        await side.changes("INBOX", None)
        outlines = await side.outlines("INBOX", list(range(1, 201)))
        assert [one.uid for one in outlines] == sorted({*range(1, 201)} - poison)
        assert {uid for _, uid in side.unreadable} == poison

    on(poisoned, act)


class Omitting(Bare):
    """Ends commands that ask for `items` of the messages `omitted` with OK, and says nothing of these, or NIL; of those
    in `once` it does so only where more messages are asked for."""

    def __init__(self, many: int, omitted: set[int], how: str, items: bytes = b"BODY.PEEK[]", octets: int = 40) -> None:
        super().__init__()
        self.omitted = omitted
        self.once: set[int] = set()
        self.nil = how == "nil"
        self.items = items
        for number in range(many):
            self.put(b"INBOX", message(number).data + b"y" * octets)

    def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
        numbers, _, items = rest.partition(b" ")
        if self.items not in items:
            return super().do_uid_fetch(session, rest)
        some = self.named(session, numbers)
        asked = [uid for uid in some if uid not in self.omitted and (len(some) == 1 or uid not in self.once)]
        out = super().do_uid_fetch(session, b",".join(b"%d" % uid for uid in asked or [999]) + b" " + items)
        out = out.replace(b"BODY[HEADER.FIELDS (X)]", b"BODY[HEADER]")
        if self.nil:
            shown = b'* %d FETCH (UID %d FLAGS () INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[]<0> NIL)\r\n'
            out += b"".join(shown % (uid, uid) for uid in some if uid not in asked)
        return out


@pytest.mark.parametrize("how", ["nothing", "nil"])
@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("omitted", [{1}, {200}, {7, 8, 9, 150}, set(range(1, 201))])
def test_a_message_that_is_left_out_of_an_answer_is_withheld(omitted: set[int], connections: int, how: str) -> None:
    omitting = Omitting(200, omitted, how)
    omitting.once = {11, 12}

    async def act(side: RemoteSide, script: Script) -> None:
        changes = await side.changes("INBOX", None)
        came = [one async for one in side.fetch("INBOX", list(changes.uids))]
        assert sorted(one.uid for one in came) == sorted({*range(1, 201)} - omitted)
        assert all(one.data for one in came)
        assert {uid for _, uid in side.unreadable} == omitted
        omitting.omitted = set()
        assert len([one async for one in side.fetch("INBOX", sorted(omitted))]) == len(omitted)
        assert not side.unreadable

    on(omitting, act, Settings(connections=connections))


def test_the_rest_of_a_large_message_that_is_left_out_is_no_end(tmp_path: Path) -> None:
    omitting = Omitting(3, {2}, "nothing", b"BODY.PEEK[]<1000.", octets=2500)

    async def act(side: RemoteSide, script: Script) -> None:
        changes = await side.changes("INBOX", None)
        assert sorted([one.uid async for one in side.fetch("INBOX", list(changes.uids))]) == [1, 3]
        assert {uid for _, uid in side.unreadable} == {2}

    on(omitting, act, Settings(connections=1, piece=1000))


def test_what_is_gone_when_it_is_asked_for_is_not_withheld() -> None:
    omitting = Omitting(20, set(), "nothing")

    async def act(side: RemoteSide, script: Script) -> None:
        changes = await side.changes("INBOX", None)
        del omitting.boxes[b"INBOX"][4]
        assert len([one async for one in side.fetch("INBOX", list(changes.uids))]) == 19
        assert not side.unreadable

    on(omitting, act)


@pytest.mark.parametrize("largest", [None, 30])
def test_a_run_sets_aside_what_is_left_out_of_an_answer(tmp_path: Path, largest: int | None) -> None:
    """Else it would be taken for gone, and, being in the next list as it was in this one, never be asked for again."""
    omitting, clock = (
        Omitting(5, {2}, "nothing", b"BODY.PEEK[]" if largest is None else b"BODY.PEEK[HEADER]"),
        ManualClock(),
    )
    disk = Disk()

    async def act(side: RemoteSide, script: Script) -> Report:
        state = State.open(tmp_path / "state.db")
        try:
            return await run(CopySettings(largest=largest), side, MemorySide(disk), state, clock)
        finally:
            state.close()

    for added in (4, 0):
        report = on(omitting, act)
        assert (report.two.added, [one.uid for one in report.aside]) == (added, [2])
    omitting.omitted.clear()
    clock.advance(700)
    report = on(omitting, act)
    assert (report.two.added, report.aside) == (1, ())


@pytest.mark.parametrize("poison", [{2}, {1, 2, 99}, set(range(1, 201))])
def test_a_header_that_is_refused_holds_up_no_other(poison: set[int]) -> None:
    class Refusing(Bare):
        asked = 0

        def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
            if b"HEADER" in rest:
                self.asked += 1
                if poison.intersection(self.named(session, rest.partition(b" ")[0])):
                    return b"NO it is damaged"
            return super().do_uid_fetch(session, rest)

    bare = Refusing()
    for number in range(200):
        bare.put(b"INBOX", message(number).data)

    async def act(side: RemoteSide, script: Script) -> None:
        await side.changes("INBOX", None)
        if len(poison) == 200:
            with pytest.raises(MailboxUnavailable):
                await side.outlines("INBOX", list(range(1, 201)))
        else:
            outlines = await side.outlines("INBOX", list(range(1, 201)))
            assert [one.uid for one in outlines] == sorted({*range(1, 201)} - poison)
        assert bare.asked < 50

    on(bare, act)


def test_an_interrupted_large_message_goes_on_where_it_was(tmp_path: Path) -> None:
    octets = b"Subject: large\r\n\r\n" + bytes(range(1, 256)) * 4_000
    pieces = 100_000

    class Dying(Bare):
        alive = 5

        def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
            if b"BODY.PEEK[]" in rest:
                Dying.alive -= 1
                if Dying.alive < 0:
                    return b"* BYE dead\r\n"
            return super().do_uid_fetch(session, rest)

    bare = Dying()
    bare.put(b"INBOX", octets)
    settings = Settings(connections=1, piece=pieces)

    async def once(side: RemoteSide, script: Script) -> list[bytes]:
        await side.changes("INBOX", None)
        return [one.data async for one in side.fetch("INBOX", [1])]

    assert on(bare, once, settings, spool=tmp_path) == []
    kept = [path.stat().st_size for path in tmp_path.iterdir()]
    assert kept == [500_000]
    Dying.alive = 1_000
    asked: list[bytes] = []

    async def again(side: RemoteSide, script: Script) -> list[bytes]:
        found = await once(side, script)
        asked.extend(line for line in script.log if b"BODY.PEEK[]" in line)
        return found

    assert on(bare, again, settings, spool=tmp_path) == [octets]
    assert [int(re.findall(rb"<([0-9]+)\.", line)[0]) for line in asked] == [0, *range(500_000, len(octets), pieces)]
    assert list(tmp_path.iterdir()) == []


class BadLine(Bare):
    """Ends each connection behind so many octets of what it says, so many times."""

    def __init__(self, octets: int, times: int = 1_000_000) -> None:
        super().__init__()
        self.octets = octets
        self.times = times
        self.sent: dict[Session, int] = {}

    def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
        answer = super().__call__(session, tag, command)
        left = self.octets - self.sent.get(session, 0)
        if answer is None or len(answer) <= left or not self.times:
            self.sent[session] = self.sent.get(session, 0) + len(answer or b"")
            return answer
        self.times -= 1
        session.push(answer[:left])
        return None


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("connections", [1, 3])
def test_a_line_that_drops_again_and_again_brings_all_the_same(tmp_path: Path, connections: int, kept: bool) -> None:
    """Pieces are larger than what comes through a connection: 100 kB."""
    line = BadLine(100_000)
    large = {number: b"Subject: %d\r\n\r\n" % number + b"%07d\n" % number * 100_000 for number in (3, 4, 60)}
    medium = {number: b"Subject: %d\r\n\r\n" % number + b"m" * 150_000 for number in range(20, 40)}
    wanted = {}
    for number in range(1, 81):
        octets = large.get(number) or medium.get(number) or message(number).data
        wanted[line.put(b"INBOX", octets)] = octets

    async def act(side: RemoteSide, script: Script) -> dict[int, bytes]:
        found = {uid: one.data for uid, one in (await all_of(side)).items()}
        if connections > 1:  # ends twice at one, behind others' octets: that waits
            assert len(side.unreadable) <= 2
            assert all(one.temporary for one in side.unreadable.values())
            found |= {uid: one.data for uid, one in (await all_of(side)).items()} if side.unreadable else {}
        assert found.keys() == wanted.keys() or connections > 1
        assert len(script.sessions) < (2 if connections == 1 else 4) * sum(map(len, wanted.values())) / 40_000
        return found

    assert on(line, act, Settings(connections=connections), spool=tmp_path if kept else None) == wanted
    assert [*tmp_path.iterdir()] == []


def test_what_came_in_earlier_runs_is_gone_on_with(tmp_path: Path) -> None:
    """Each run ends when four connections have."""

    class Told(BadLine):
        told = asyncio.Event()
        cut = 0

        def __call__(self, session: Session, tag: bytes, command: bytes) -> bytes | None:
            answer = super().__call__(session, tag, command)
            self.cut += answer is None
            if self.cut == 4:
                self.told.set()
            return answer

    line = Told(100_000)
    octets = b"Subject: large\r\n\r\n" + b"0123456\n" * 100_000
    line.put(b"INBOX", octets)
    sizes = [0]

    async def first(side: RemoteSide) -> bytes:
        async for one in side.fetch("INBOX", [1]):
            return one.data
        raise AssertionError("it is there")

    async def act(side: RemoteSide, script: Script) -> bytes | None:
        await side.changes("INBOX", None)
        line.told, line.cut = asyncio.Event(), 0
        got, enough = asyncio.create_task(first(side)), asyncio.create_task(line.told.wait())
        await asyncio.wait([got, enough], return_when=asyncio.FIRST_COMPLETED)
        if got.done():
            enough.cancel()
            return got.result()
        got.cancel()
        await asyncio.gather(got, return_exceptions=True)
        return None

    for _ in range(30):
        if found := on(line, act, spool=tmp_path):
            break
        sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
    assert found == octets
    assert sizes == sorted(set(sizes)), "more each time"


def test_a_part_of_another_message_is_not_gone_on_with(tmp_path: Path) -> None:
    """A server that breaks RFC 9051 2.3.1.1: another message under its UID, and the connection ended between."""
    one, other = (b"Subject: %d\r\n\r\n" % number + b"%07d\n" % number * 100_000 for number in (1, 2))

    class Changing(BadLine):
        def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
            if self.times == 2:
                self.boxes[b"INBOX"][1] = (set(), other)
            return super().do_uid_fetch(session, rest)

    line = Changing(100_000, times=4)
    line.put(b"INBOX", one)

    async def act(side: RemoteSide, script: Script) -> list[bytes]:
        found = [one.data for one in (await all_of(side)).values()]
        assert len(script.sessions) == 5
        return found

    assert on(line, act, spool=tmp_path) == [other]


def test_messages_of_all_sizes_around_a_piece() -> None:
    bare = Bare()
    sizes = [1, 999, 1_000, 1_001, 1_999, 2_000, 2_001, 10_000]
    for size in sizes:
        bare.put(b"INBOX", b"x" * size)

    async def act(side: RemoteSide, script: Script) -> list[int]:
        return [len(one.data) for one in (await all_of(side)).values()]

    assert sorted(on(bare, act, Settings(connections=1, piece=1_000))) == sizes
