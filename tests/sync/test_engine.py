"""What a run promises, one promise a test: two sides in memory and a state on disk."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from restante.clock import ManualClock
from restante.sync.engine import run
from restante.sync.engine.only import NoSuchMailbox
from restante.sync.model import Added, Message, Withheld
from restante.sync.settings import End
from restante.sync.side import SideUnavailable
from restante.sync.state import State, StateFailed

from .memory import ALL, BARE, Abilities, MemorySide
from .programs import World, number_of, octets
from .promises import FREE, ONE, PLAIN, TWO, Make, fetched, same, sync, uids

pytestmark = pytest.mark.in_memory


# Nothing more than is needed ------------------------------------------------------------------------


def test_nothing_changed_costs_one_look_at_each_side(make: Make) -> None:
    world = make()
    world.deliver(ONE, "INBOX")
    sync(world)
    report = sync(world)
    assert (report.changed, report.passes) == (0, 1)
    assert [side.calls for side in world.sides.values()] == [["places"], ["places"]]


def test_a_side_is_told_how_much_is_coming_before_it_comes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world, told = make(), list[tuple[int, int]]()
    monkeypatch.setattr(
        MemorySide, "coming", lambda side, number: told.append((number, len(side.calls))), raising=False
    )
    for name in ("A", "B"):
        world.disks[ONE].create(name)
        for _ in range(3):
            world.deliver(ONE, name)
    sync(world)
    assert [number for number, _ in told] == [6]
    assert "add" not in world.sides[TWO].calls[: told[0][1]]
    sync(world)
    assert len(told) == 1, "nothing comes"


def test_only_what_changed_is_asked_about(make: Make) -> None:
    world = make()
    for name in ("A", "B"):
        world.disks[ONE].create(name)
        world.deliver(ONE, name)
    sync(world)
    world.disks[ONE].flag("A", 1, frozenset({"\\Seen"}))
    report = sync(world)
    assert report.two.flagged == 1
    assert world.sides[ONE].calls == ["places", "changes", "places"]
    assert world.sides[TWO].calls == ["places", "set_flags", "places", "changes"]


def test_a_server_that_cannot_tell_its_state_is_asked_once_a_mailbox(make: Make) -> None:
    world = make(one=BARE)
    world.deliver(ONE, "INBOX")
    sync(world)
    assert sync(world).changed == 0
    assert world.sides[ONE].calls == ["places", "changes"]
    assert world.sides[TWO].calls == ["places"]


@pytest.mark.parametrize("abilities", [ALL, PLAIN, BARE], ids=["all", "no-emails", "bare"])
def test_moves_and_renames_transfer_no_message(make: Make, abilities: Abilities) -> None:
    world = make(one=abilities, two=abilities)
    for name in ("A", "B"):
        world.disks[ONE].create(name)
    for _ in range(6):
        world.deliver(ONE, "A")
    sync(world)
    world.disks[ONE].move("A", 1, "B")
    world.disks[TWO].move("A", 2, "INBOX")
    world.disks[ONE].rename("A", "Deep/Down")
    sync(world)
    same(world)
    assert fetched(world) == 0
    assert sorted(world.boxes(TWO)) == ["B", "Deep/Down", "INBOX"]


def test_files_that_others_name_anew_are_the_messages_they_were(make: Make) -> None:
    world = make(one=PLAIN, two=replace(ALL, lasting=False))
    world.disks[TWO].lasting = False
    world.disks[ONE].create("A")
    for _ in range(6):
        world.deliver(ONE, "A")
    sync(world)
    for uid in (1, 2):
        world.disks[TWO].move("A", uid, "INBOX")
    report = sync(world)
    assert (report.one.moved, report.one.removed, report.one.added, fetched(world)) == (2, 0, 0, 0)
    same(world)


@pytest.mark.parametrize("abilities", [ALL, PLAIN], ids=["all", "no-emails"])
def test_other_uids_after_uidvalidity_cost_no_transfer_and_no_message_twice(make: Make, abilities: Abilities) -> None:
    world = make(one=abilities, two=abilities)
    for _ in range(20):
        world.deliver(ONE, "INBOX")
    sync(world)
    world.disks[ONE].renumber("INBOX")
    world.disks[ONE].flag("INBOX", uids(world, ONE)[3], frozenset({"\\Seen"}))
    world.remove(ONE, "INBOX", uids(world, ONE)[4])
    report = sync(world)
    assert (report.two.flagged, report.two.removed, report.one.total, report.two.added) == (1, 1, 0, 0)
    assert fetched(world) == 0
    same(world)


def test_the_same_mail_on_both_sides_is_paired_without_reading_it(make: Make) -> None:
    world = make(one=PLAIN, two=PLAIN)
    for end in End:
        world.count = 0
        for number in range(10):
            world.deliver(end, "INBOX", frozenset({"\\Seen"}) if number == 3 and end is ONE else frozenset())
    report = sync(world)
    assert (report.one.total, report.two.added, report.two.flagged) == (0, 0, 1)
    assert fetched(world) == 0
    same(world)


def test_doubtful_messages_are_read_and_never_merged_when_they_differ(make: Make) -> None:
    """One mark and one size: the octets decide."""
    world = make(one=PLAIN, two=PLAIN)
    first, second = (octets(7, False)[:-4] + tail + b"\r\n" for tail in (b"AA", b"BB"))
    world.disks[ONE].deliver("INBOX", first, received=1)
    world.disks[TWO].deliver("INBOX", second, received=2)
    world.disks[ONE].deliver("INBOX", octets(8, False), received=3)
    world.disks[TWO].deliver("INBOX", octets(8, False), received=4)
    report = sync(world)
    assert (report.one.added, report.two.added) == (1, 1)
    for disk in world.disks.values():
        assert sorted(m.data for m in disk.boxes["INBOX"].messages.values()) == sorted(
            [first, second, octets(8, False)]
        )


def test_a_list_copy_and_the_direct_one_are_two(make: Make) -> None:
    """Equal headers, other size and date."""
    world = make(one=PLAIN, two=PLAIN)
    world.disks[ONE].deliver("INBOX", octets(7, False), received=1)
    world.disks[TWO].deliver("INBOX", octets(7, False) + b"-- \r\nthe list\r\n", received=2)
    report = sync(world)
    assert (report.one.added, report.two.added) == (1, 1)
    assert sync(world).changed == 0


def test_newest_messages_come_first(make: Make) -> None:
    world = make(replace(FREE, batch=2))
    for _ in range(20):
        world.deliver(ONE, "INBOX")
    sync(world)
    order = [number_of(one.data) for _, one in sorted(world.disks[TWO].boxes["INBOX"].messages.items())]
    assert order == [*range(13, 21), *range(5, 13), *range(1, 5)]
    assert [(p.mailbox, p.end, p.done, p.total) for p in world.progress] == [
        ("INBOX", TWO, done, 20) for done in range(2, 21, 2)
    ]
    assert world.progress[-1].octets == sum(len(m.data) for m in world.disks[ONE].boxes["INBOX"].messages.values())


class Shuffled(MemorySide):
    """Gives messages in another order than they were asked for, as several connections do."""

    async def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
        chance = random.Random(1)
        wanted = list(uids)
        chance.shuffle(wanted)
        async for message in super().fetch(name, wanted):
            yield message


@pytest.mark.parametrize("end", End)
def test_messages_are_filed_in_their_order(make: Make, end: End) -> None:
    """IMAP clients may show them so. To side one also where what is new comes first to side two."""
    world = make(replace(FREE, batch=7, newest_first=end is ONE))
    world.kind = Shuffled
    for _ in range(50):
        world.deliver(end.other, "INBOX")
    world.prepare = lambda sides: setattr(sides[end.other], "withholds", withholding(20, 40))
    sync(world)
    there = [number_of(one.data) for _, one in sorted(world.disks[end].boxes["INBOX"].messages.items())]
    assert there == [number for number in range(1, 51) if number not in (20, 40)]


def withholding(*numbers: int) -> Callable[[bytes], Withheld | None]:
    return lambda data: Withheld("damaged") if number_of(data) in numbers else None


def test_a_message_that_is_waited_for_does_not_fill_the_memory(make: Make) -> None:
    world = make(replace(FREE, newest_first=False, batch=100, batch_octets=1000))
    most = 0

    class Late(MemorySide):
        """The first one comes last."""

        async def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
            async for message in super().fetch(name, [*uids[1:], *uids[:1]]):
                yield message

        async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
            nonlocal most
            most = max(most, sum(len(one.data) for one in messages))
            return await super().add(name, messages)

    world.kind = Late
    for _ in range(200):
        world.deliver(ONE, "INBOX")
    sync(world)
    there = [number_of(one.data) for _, one in sorted(world.disks[TWO].boxes["INBOX"].messages.items())]
    assert sorted(there) == [*range(1, 201)]
    late = there.index(1)
    assert there[:late] + there[late + 1 :] == [*range(2, 201)]
    assert 0 < most <= 1000


# Names ----------------------------------------------------------------------------------------------


def test_what_pop3_gave_a_last_line_end_is_no_other_message(make: Make) -> None:
    """RFC 1939 3: a message without one gets one on its way, and comes with another date."""
    world = make()
    for day, more in enumerate((b"", b"x", b"x")):
        data = octets(day, alike=False).removesuffix(b"\r\n") + more
        world.disks[ONE].deliver("INBOX", data, frozenset(), 1_700_000_000 + day)
        world.disks[TWO].deliver("INBOX", data + b"\r\n", frozenset({"\\Seen"}), 1_600_000_000)
    other = octets(1, alike=False).removesuffix(b"\r\n") + b"y\r\n"
    world.disks[TWO].deliver("INBOX", other, frozenset(), 1_600_000_000)
    report = sync(world)
    assert (report.one.added, report.two.added, report.one.flagged) == (1, 0, 3)
    assert sync(world).changed == 0
    for end in End:
        world.disks[end].renumber("INBOX")
        assert sync(world).two.added == sync(world).one.added == 0, "nor after its UIDs began anew"
    assert [len(uids(world, end)) for end in End] == [4, 4]


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("nul", [ONE, TWO])
@pytest.mark.parametrize("abilities", [ALL, BARE], ids=["all", "bare"])
def test_nul_that_imap_gives_as_another_octet_is_no_other_message(
    make: Make, abilities: Abilities, nul: End, header: bool
) -> None:
    """POP3 carries it and other dates; IMAP gives 0x80 for it (Dovecot and ours)."""
    world = make(one=abilities)
    ends = (b"\r\n", b"\r\n", b"")
    for day, last in enumerate(ends):
        data = octets(day, alike=False).removesuffix(b"\r\n") + b"a\0b\0"
        data = (data.replace(b"Subject: ", b"Subject: \0") if header else data) + last
        world.disks[nul].deliver("INBOX", data if last else data + b"\r\n", frozenset(), 1_600_000_000)
        world.disks[nul.other].deliver("INBOX", data.replace(b"\0", b"\x80"), frozenset(), 1_700_000_000 + day)
    other = octets(1, alike=False).removesuffix(b"\r\n") + b"a\0b\x81\r\n"
    world.disks[ONE].deliver("INBOX", other, frozenset(), 1_500_000_000)
    report = sync(world)
    assert (report.one.added, report.two.added) == (0, 1), "that one, which is another"
    assert sync(world).changed == 0
    for end in End:
        world.disks[end].renumber("INBOX")
        assert sync(world).two.added == sync(world).one.added == 0, "nor after its UIDs began anew"
    (world.folder / "state").rename(world.folder / "lost")
    assert sync(world).two.added == sync(world).one.added == 0, "nor without what was known"
    assert [len(uids(world, end)) for end in End] == [4, 4]


def test_a_move_of_a_message_with_nul_is_a_move(make: Make) -> None:
    """Its digest in the base is of the octets that one side has."""
    world = make(one=BARE)
    for box in ("INBOX", "A"):
        for disk in world.disks.values():
            disk.create(box)
    world.disks[TWO].deliver("INBOX", octets(1, alike=False) + b"\0\r\n", frozenset(), 1_600_000_000)
    sync(world)
    stored = world.disks[ONE].boxes["INBOX"].messages[1]
    stored.data = stored.data.replace(b"\0", b"\x80")  # as the server shows it
    stored.received += 5
    world.disks[ONE].move("INBOX", 1, "A")
    report = sync(world)
    assert (report.two.moved, report.one.added, report.two.added) == (1, 0, 0)
    assert world.disks[TWO].boxes["A"].messages[1].data.endswith(b"\0\r\n"), "as it was"


def test_a_copy_that_names_no_mailbox_there_is_refused(make: Make) -> None:
    """A slip in a name: nothing would be copied, and each run would say that nothing had changed."""
    world = make(replace(FREE, include=("INBX", "Wrok*")))
    world.deliver(ONE, "INBOX")
    with pytest.raises(NoSuchMailbox, match=r"INBX, Wrok\*.*There are: INBOX\."):
        sync(world)
    world.settings = replace(FREE, include=("INBOX", "Wrok*"))  # one may come
    sync(world)
    assert len(uids(world, TWO)) == 1


def test_include_exclude_and_only(make: Make) -> None:
    world = make(replace(FREE, include=("INBOX", "Work*"), exclude=("*Spam",)))
    for name in ("Work/A", "Work/Spam", "Private"):
        world.disks[ONE].create(name)
        world.deliver(ONE, name)
    world.deliver(ONE, "INBOX")
    sync(world, only=("INBOX",))
    assert world.boxes(TWO) == ["INBOX"]
    assert len(uids(world, TWO)) == 1
    sync(world)
    assert world.boxes(TWO) == ["INBOX", "Work/A"]
    world.settings = FREE
    sync(world)
    same(world)


# Keywords ------------------------------------------------------------------------------------------


def after(world: World, *labels: str) -> int:
    """The step at which the last of these labels is reached, each looked for behind the one before it."""
    at = 0
    for label in labels:
        at = next(i for i in range(at, len(world.steps.labels)) if world.steps.labels[i] == label) + 1
    return at


@pytest.mark.parametrize("end", End)
@pytest.mark.parametrize("added", [False, True], ids=["flagged", "added"])
def test_a_keyword_never_seen_before_that_is_taken_away_after_a_run_that_was_cut_off_is_taken_away(
    tmp_path: Path, end: End, added: bool
) -> None:
    """The side says that it keeps it: that it lacks is what somebody did."""

    def flagged(name: str) -> World:
        (tmp_path / name).mkdir()
        world = World(tmp_path / name, {ONE: PLAIN, TWO: PLAIN}, FREE)
        world.deliver(end, "INBOX")
        sync(world)
        if added:
            world.deliver(end, "INBOX", frozenset({"$New"}))
        else:
            world.disks[end].flag("INBOX", 1, frozenset({"$New"}))
        return world

    world = flagged("whole")
    sync(world)
    done = f"{end.other.name.lower()}: {'after add' if added else 'set flags'}"
    kills = [after(world, done, "after commit commit"), *([after(world, done)] if added else [])]
    for kill in kills:
        world = flagged(str(kill))
        assert world.sync(kill=kill) is None
        box = world.disks[end.other].boxes["INBOX"]
        (uid,) = [uid for uid, one in box.messages.items() if "$New" in one.flags]
        world.disks[end.other].flag("INBOX", uid, frozenset())
        sync(world)
        same(world)
        assert not any("$New" in flags for _, flags in world.content(ONE)["INBOX"])
        assert sync(world).changed == 0


# From mbsync ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [ONE, TWO])
@pytest.mark.parametrize("day", [0, 1])
def test_what_mbsync_copied_is_the_same_message(make: Make, end: End, day: int) -> None:
    world = make()
    for number in (1, 2):
        data = octets(number, alike=False)
        copied = data.replace(b"\r\n\r\n", b"\r\nX-TUID: 5I+ePmYQDLOf\r\n\r\n", 1)
        world.disks[end].deliver("INBOX", copied, received=1_700_000_000 + day)
        world.disks[end.other].deliver("INBOX", data, received=1_700_000_000)
    other = octets(2, alike=False).replace(b"\r\n\r\n", b"\r\n\r\nother words, 22 of them", 1)
    world.disks[end.other].deliver("INBOX", other, received=1_600_000_000)
    report = sync(world)
    assert (report.one.added, report.two.added) == ((1, 0) if end is ONE else (0, 1))
    assert sync(world).changed == 0


@pytest.mark.parametrize("carried", [True, False], ids=["carried", "left by mbsync"])
def test_what_mbsync_pushed_and_a_reader_names_anew_is_moved(make: Make, carried: bool) -> None:
    """The field is in the server's message; of a file that is not ours it is no part (`maildir.octets`)."""
    world = make(one=PLAIN, two=replace(ALL, lasting=False))
    world.disks[TWO].lasting = False
    world.disks[ONE].create("A")
    plain = [octets(number, alike=False) for number in (1, 2)]
    pushed = [data.replace(b"\r\n\r\n", b"\r\nX-TUID: 5I+ePmYQDLOf\r\n\r\n", 1) for data in plain]
    for data, whole in zip(plain, pushed, strict=True):
        world.disks[ONE].deliver("INBOX", whole, received=1_700_000_000)
        if not carried:
            world.disks[TWO].deliver("INBOX", data, received=1_700_000_000)
    sync(world)
    uid = world.disks[TWO].move("INBOX", 1, "A")
    world.disks[TWO].boxes["A"].messages[uid].data = plain[0]
    other = plain[1].replace(b"text", b"TEXT")  # one that is not the same before mbsync either
    world.disks[TWO].deliver("A", other, received=1_700_000_000)
    report = sync(world)
    assert (report.one.moved, report.one.added, report.one.removed, report.two.total) == (1, 1, 0, 0)
    assert [one.data for one in world.disks[ONE].boxes["A"].messages.values()] == [pushed[0], other]
    assert len(world.disks[ONE].boxes["INBOX"].messages) == 1
    assert sync(world).changed == 0


def test_the_digest_of_what_mbsync_copied_is_of_its_octets_or_none(make: Make) -> None:
    world = make()
    for end, day in ((ONE, 0), (TWO, 1)):
        data = octets(1, alike=False).replace(b"\r\n\r\n", b"\r\nX-TUID: 5I+ePmYQDLOf\r\n\r\n", 1)
        world.disks[end].deliver("INBOX", data, received=1_700_000_000 + day)
    report = sync(world)
    assert (report.one.added, report.two.added) == (0, 0)
    db = apsw.Connection(str(world.folder / "state"), flags=apsw.SQLITE_OPEN_READONLY)
    assert db.execute("SELECT digest FROM content").fetchall() == [(None,)]
    db.close()


# The state's file -----------------------------------------------------------------------------------


def test_the_state_is_private_and_refuses_what_is_not_its_own(tmp_path: Path) -> None:
    path = tmp_path / "copies" / "state"
    State(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    other = tmp_path / "other"
    other.write_bytes(b"not a database, by far" * 100)
    with pytest.raises(StateFailed):
        State(other)


def test_a_newer_state_is_refused(tmp_path: Path) -> None:
    import apsw

    State(tmp_path / "state").close()
    db = apsw.Connection(str(tmp_path / "state"))
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateFailed, match="newer"):
        State(tmp_path / "state")


def test_a_run_closes_what_it_opened_whatever_happens(make: Make) -> None:
    world = make()
    state = State(world.folder / "state")
    one, two = MemorySide(world.disks[ONE]), MemorySide(world.disks[TWO])
    one.down = True
    with pytest.raises(SideUnavailable):
        asyncio.run(run(FREE, one, two, state, ManualClock()))
    assert not two.is_open
    state.close()


def test_a_run_with_nothing_to_do_loads_no_more_than_it_needs(make: Make) -> None:
    world = make()
    world.deliver(ONE, "INBOX")
    sync(world)
    code = f"""
import asyncio, pathlib, sys, types
from restante.clock import ManualClock
from restante.sync.engine import run
from restante.sync.model import Place
from restante.sync.settings import CopySettings
from restante.sync.state import State
state = State(pathlib.Path({str(world.folder / "state")!r}))
places = {{end: [Place(n, v, s, i, r, b) for e, n, i, v, s, r, b in state.quiet() if e == end] for end in (1, 2)}}
def side(end):
    async def nothing(): pass
    async def listed(): return places[end]
    return types.SimpleNamespace(open=nothing, close=nothing, places=listed, title="x")
report = asyncio.run(run(CopySettings(), side(1), side(2), state, ManualClock()))
assert report.passes == 1 and not report.changed
print([m for m in sys.modules if m.startswith(("restante.store", "restante.sync"))])
"""
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    for part in (
        "engine.mailboxes",
        "engine.merge",
        "sync.plan",
        "sync.base",
        "state.pairs",
        "state.messages",
        "restante.store",
    ):
        assert part not in loaded, part


@pytest.mark.parametrize("who", End)
def test_an_equal_listing_hides_nothing(tmp_path: Path, who: End) -> None:
    """A message is carried, the run is cut off, and it is removed: the side lists what it did before all of that."""
    for step in range(1, 40):
        folder = tmp_path / str(step)
        folder.mkdir()
        world = World(folder, {ONE: replace(ALL, log=False, state=False), TWO: replace(ALL, log=False)}, FREE)
        world.deliver(ONE, "INBOX")
        sync(world)
        number = world.deliver(ONE, "INBOX")
        world.sync(kill=step)
        for name, uid in world.messages(who):
            if number_of(world.disks[who].boxes[name].messages[uid].data) == number:
                world.remove(who, name, uid)
        sync(world)
        same(world)
        assert sync(world).changed == 0
