"""Other programs work on the tree at any time, also between our look and our act."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restante.sync.maildir import MaildirSide, change, marker, scan, watch
from restante.sync.maildir import side as side_module
from restante.sync.maildir.names import free_rename
from restante.sync.model import FlagChange, Flags
from restante.sync.side import MailboxUnavailable

from .maildirs import (
    NONE,
    SEEN,
    deliver,
    everything,
    files,
    maildir,
    message,
    opened,
    picture,
    reflag,
    run,
    side,
    subjects,
    text,
)

pytestmark = pytest.mark.in_memory

FLAGGED: Flags = frozenset({"\\Flagged"})


async def flags(one: MaildirSide, name: str = "INBOX") -> list[Flags]:
    return list((await everything(one, name)).flags)


def only(folder: Path) -> Path:
    (path,) = [*(folder / "cur").iterdir(), *(folder / "new").iterdir()]
    return path


def test_a_reader_that_opens_the_folder_changes_nothing(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    path = deliver(root, 1)

    async def act(one: MaildirSide) -> None:
        before, changes = await one.places(), await everything(one)
        assert changes.flags == [NONE]
        reflag(path, "")
        assert await one.places() == before
        after = await one.changes("INBOX", changes.cursor)
        assert (list(after.uids), list(after.vanished)) == ([], [])
        assert [each.uid async for each in one.fetch("INBOX", changes.uids)] == list(changes.uids)

    run(tmp_path, act)


def test_a_reader_that_takes_new_mail_and_flags_it_changes_it(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    path = deliver(root, 1)

    async def act(one: MaildirSide) -> None:
        before, changes = await one.places(), await everything(one)
        reflag(path, "R")
        assert (await one.places())[0].state != before[0].state
        after = await one.changes("INBOX", changes.cursor)
        assert list(zip(after.uids, after.flags, strict=True)) == [(changes.uids[0], frozenset({"\\Answered"}))]

    run(tmp_path, act)


def test_new_mail_stays_new_until_a_reader_takes_it(tmp_path: Path) -> None:
    root = tmp_path / "Mail"

    async def act(one: MaildirSide) -> None:
        await one.add("INBOX", [message(1), message(2, SEEN)])
        assert [name.split("/")[0] for name in files(root)] == ["cur", "new"]
        uids = (await everything(one)).uids
        assert [each.uid async for each in one.fetch("INBOX", uids)] == list(uids)
        await one.set_flags("INBOX", [FlagChange(list(uids), NONE, FLAGGED)])  # removes what none has
        assert len(list((root / "new").iterdir())) == 1
        await one.set_flags("INBOX", [FlagChange(list(uids), FLAGGED, NONE)])
        assert list((root / "new").iterdir()) == []

    run(tmp_path, act)


def test_files_that_were_renamed_meanwhile_are_found_by_their_unique_names(tmp_path: Path) -> None:
    root = tmp_path / "Mail"

    async def act(one: MaildirSide) -> None:
        await one.create("Other", None)
        await one.add("INBOX", [message(n) for n in range(6)])
        uids = list((await everything(one)).uids)

        def meddle(letters: str) -> None:
            for path in [*(root / "new").iterdir(), *(root / "cur").iterdir()]:
                reflag(path, letters)

        meddle("")
        assert len([each async for each in one.fetch("INBOX", uids)]) == 6
        meddle("R")
        assert len(await one.outlines("INBOX", uids)) == 6
        meddle("F")
        await one.set_flags("INBOX", [FlagChange(uids, SEEN, NONE)])
        assert await flags(one) == [FLAGGED | SEEN] * 6
        meddle("D")
        assert 0 not in await one.copy("INBOX", uids[:2], "Other")
        meddle("DS")
        assert 0 not in await one.move("INBOX", uids[:3], "Other")
        assert set(await flags(one, "Other")) == {frozenset({"\\Draft"}), frozenset({"\\Draft", "\\Seen"})}
        assert len(await flags(one)) == 3

    run(tmp_path, act)


def test_a_removal_gives_way_to_what_others_flagged_since(tmp_path: Path) -> None:
    root = tmp_path / "Mail"

    async def act(one: MaildirSide) -> None:
        await one.add("INBOX", [message(1, SEEN), message(2, SEEN), message(3)])
        changes = await everything(one)
        flagged, plain, new = changes.uids
        for path in (root / "cur").iterdir():
            if b"number 1\n" in path.read_bytes():
                reflag(path, "FS")
        reflag(next((root / "new").iterdir()), "")  # opened by a reader: no change of the message
        await one.remove("INBOX", [flagged, plain, new])
        assert subjects(root) == [1]
        after = await one.changes("INBOX", changes.cursor)
        assert list(after.uids) == [flagged]
        assert set(after.vanished) == {plain, new}
        await one.remove("INBOX", [flagged])  # now it is known as it is
        assert subjects(root) == []

    run(tmp_path, act)


def test_messages_moved_between_folders_keep_their_identity(tmp_path: Path) -> None:
    root = tmp_path / "Mail"
    deliver(maildir(root), 1, "S")
    maildir(root / ".Other")

    async def act(one: MaildirSide) -> None:
        before = await everything(one)
        assert before.emails == ["maildir:1600000001.M1P1.other.example"]
        path = only(root)
        path.rename(root / ".Other" / "cur" / path.name)
        after = await everything(one, "Other")
        assert after.emails == before.emails
        gone = await one.changes("INBOX", before.cursor)
        assert gone.vanished == before.uids
        uids = await one.move("Other", list(after.uids), "INBOX")
        again = await everything(one)
        assert (again.emails, list(again.uids)) == (before.emails, uids)
        assert again.uids[0] > before.uids[0]

    run(tmp_path, act)


def test_two_files_of_one_name_are_two_messages(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    first = deliver(root, 1, "S")
    (root / "new" / first.name.split(":")[0]).write_bytes(text(2))

    async def act(one: MaildirSide) -> None:
        assert len(await picture(one)) == 2
        (root / "cur" / (first.name + "T")).write_bytes(text(3))
        found = await picture(one)
        assert sorted(found) == [text(n).replace(b"\n", b"\r\n") for n in (1, 2, 3)]
        assert subjects(root) == [1, 2, 3]

    run(tmp_path, act)


def test_a_file_on_its_way_by_link_and_unlink_is_one_message(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    path = deliver(root, 1)
    os.link(path, root / "cur" / f"{path.name}:2,")

    async def act(one: MaildirSide) -> None:
        assert len((await everything(one)).uids) == 1
        path.unlink()
        assert len(await picture(one)) == 1
        assert subjects(root) == [1]

    run(tmp_path, act)


def test_nothing_is_put_in_the_place_of_another_file(tmp_path: Path) -> None:
    root = tmp_path / "Mail"

    async def act(one: MaildirSide) -> None:
        await one.create("Other", None)
        await one.add("INBOX", [message(1, SEEN)])
        uids = list((await everything(one)).uids)
        path = only(root)
        other = root / ".Other" / "cur" / path.name
        other.write_bytes(text(2))
        await one.move("INBOX", uids, "Other")
        assert subjects(root / ".Other") == [1, 2]
        assert len(await picture(one, "Other")) == 2

    run(tmp_path, act)


@pytest.mark.parametrize("sub", ["cur", "new"])
def test_a_name_without_room_for_letters_makes_way(tmp_path: Path, sub: str) -> None:
    root = maildir(tmp_path / "Mail")
    long = "1700000000." + "x" * 234 + ",S=1,E=raw"
    assert len(long) == 255
    (root / sub / long).write_bytes(text(1))
    deliver(root, 2)
    some: Flags = frozenset({"\\Flagged", "Work", *(f"k{number}" for number in range(30))})

    async def act(one: MaildirSide) -> None:
        changes = await everything(one)
        await one.set_flags("INBOX", [FlagChange(list(changes.uids), some, NONE)])
        after = await everything(one)
        assert (after.uids, after.flags) == (changes.uids, [some, some])
        await one.set_flags("INBOX", [FlagChange(list(changes.uids), SEEN, some)])
        assert (await everything(one)).flags == [SEEN, SEEN]
        assert text(1) in [each.data async for each in one.fetch("INBOX", changes.uids)]

    run(tmp_path, act)

    async def again(one: MaildirSide) -> None:
        assert await flags(one) == [SEEN, SEEN]

    run(tmp_path, again)
    names = [path.name for path in (root / "cur").iterdir()]
    assert len(names) == 2
    assert long not in names
    assert sum(",E=raw" in name for name in names) == 1


def test_what_mbsync_put_into_its_files_is_no_part_of_the_messages(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    field = b"X-TUID: 5I+ePmYQDLOf\n"
    head, _, body = text(1).partition(b"\n\n")
    (root / "cur" / "1795677859.9070_3.host,U=1:2,S").write_bytes(head + b"\n" + field + b"\n" + field + body)
    (root / "cur" / "1795677859.R00.restante,S=1,W=1:2,S").write_bytes(text(2).replace(b"\n\n", b"\n" + field + b"\n"))
    (root / "cur" / "1795677860.host:2,S").write_bytes(b"X-TUID: of another kind\n\nbody\n")
    wanted = [
        head + b"\n\n" + field + body,  # what stands in the body is the writer's
        text(2).replace(b"\n\n", b"\n" + field + b"\n"),  # so is what the server gave us
        b"X-TUID: of another kind\n\nbody\n",
    ]

    async def act(one: MaildirSide) -> None:
        uids = (await everything(one)).uids
        found = {each.uid: each.data async for each in one.fetch("INBOX", uids)}
        assert sorted(found.values()) == sorted(each.replace(b"\n", b"\r\n") for each in wanted)
        for outline in await one.outlines("INBOX", uids):
            assert outline.size in (1, len(found[outline.uid]))  # ours says its size itself
        for uid, header in await one.headers("INBOX", uids):
            assert found[uid].startswith(header)

    run(tmp_path, act)


def test_a_file_dropped_beside_the_messages_is_told_once(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    maildir(root / ".Outbox")
    (root / ".Outbox" / "none.txt").write_bytes(b"")

    async def act(one: MaildirSide) -> None:
        await one.places()
        async with asyncio.timeout(60):
            for name in ("first.eml", "second.EML"):
                (root / ".Outbox" / name).write_bytes(text(1))
                assert await one.wait(["INBOX", "Outbox"]) == {"Outbox"}
            deliver(root, 2)
            assert await one.wait(["INBOX", "Outbox"]) == {"INBOX"}  # what nobody takes makes no run after run

    run(tmp_path, act, drops="Outbox")


def test_a_file_dropped_when_a_wait_is_given_up_is_told_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was seen in a thread, and nobody heard of it."""
    root = maildir(tmp_path / "Mail")
    box = maildir(root / ".Outbox")
    looked, goes_on = threading.Event(), threading.Event()

    def loose(name: str) -> bool:
        looked.set()
        assert goes_on.wait(60)
        return name.endswith(".eml")

    monkeypatch.setattr(side_module, "is_loose", loose)

    async def act(one: MaildirSide) -> None:
        await one.places()
        (box / "one.eml").write_bytes(text(1))
        waiting = asyncio.ensure_future(one.wait(["Outbox"]))
        assert await asyncio.to_thread(looked.wait, 60)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        goes_on.set()
        async with asyncio.timeout(watch.CHECK / 2):  # without a further look
            assert await one.wait(["Outbox"]) == {"Outbox"}

    run(tmp_path, act, drops="Outbox")


def test_a_file_dropped_where_another_goes_at_that_moment_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = maildir(tmp_path / "Mail")
    box = maildir(root / ".Outbox")
    asked: list[str] = []

    def loose(name: str) -> bool:
        """The file that is asked about first lives, the other is gone before it is looked at."""
        if name.endswith(".eml") and name not in asked:
            asked.append(name)
            if len(asked) == 2:
                (box / name).unlink()
        return name.endswith(".eml")

    monkeypatch.setattr(side_module, "is_loose", loose)

    async def act(one: MaildirSide) -> None:
        await one.places()
        for name in ("one.eml", "two.eml"):
            (box / name).write_bytes(text(1))
        async with asyncio.timeout(watch.CHECK / 2):  # without a further look
            assert await one.wait(["INBOX", "Outbox"]) == {"Outbox"}
        assert len(asked) == 2

    run(tmp_path, act, drops="Outbox")


def test_what_is_no_message_is_not_touched(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    (root / "cur" / ".hidden").write_bytes(text(1))
    (root / "cur" / "folder").mkdir()
    (root / "cur" / "link:2,S").symlink_to("/etc/hostname")
    os.mkfifo(root / "new" / "fifo")

    async def act(one: MaildirSide) -> None:
        assert list((await everything(one)).uids) == []

    run(tmp_path, act)


def test_names_that_are_no_utf8_are_names(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    Path(os.fsdecode(bytes(root) + b"/cur/1.\xff\xe9.host:2,S")).write_bytes(text(1))

    async def act(one: MaildirSide) -> None:
        changes = await everything(one)
        assert changes.flags == [SEEN]
        await one.set_flags("INBOX", [FlagChange(changes.uids, FLAGGED, NONE)])
        assert await flags(one) == [SEEN | FLAGGED]
        await one.create("Other", None)
        await one.move("INBOX", changes.uids, "Other")
        assert len(await picture(one, "Other")) == 1

    run(tmp_path, act)


def test_a_file_that_is_renamed_all_the_time_makes_the_mailbox_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "Mail"

    async def act() -> None:
        async with opened(tmp_path) as one:
            await one.add("INBOX", [message(1, SEEN)])
            uids = list((await everything(one)).uids)

            def meddled(fd: int, path: bytes, target: int, name: bytes) -> bool:
                found = only(root)
                reflag(found, "FS" if found.name.endswith(":2,S") else "S")
                return free_rename(fd, path, target, name)

            monkeypatch.setattr(change, "free_rename", meddled)
            with pytest.raises(MailboxUnavailable):
                await one.set_flags("INBOX", [FlagChange(uids, frozenset({"\\Draft"}), NONE)])
            monkeypatch.undo()
            await one.set_flags("INBOX", [FlagChange(uids, frozenset({"\\Draft"}), NONE)])
            assert "\\Draft" in (await flags(one))[0]

    asyncio.run(act())


def test_a_message_missed_by_one_reading_is_not_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory read while names in it change may leave out a file that is there all the time."""
    root = tmp_path / "Mail"

    async def act() -> None:
        async with opened(tmp_path) as one:
            await one.add("INBOX", [message(n, SEEN) for n in range(10)])
            changes = await everything(one)
            missed = sorted(path.name for path in (root / "cur").iterdir())[3]
            listdir, left = os.listdir, 1

            def missing(folder: int) -> list[str]:
                """One reading in which the file is on its way from a place not yet read to one that was read."""
                nonlocal left
                names = listdir(folder)
                if left and missed in names:
                    left -= 1
                    reflag(reflag(root / "cur" / missed, "RS"), "S")
                    names.remove(missed)
                return names

            monkeypatch.setattr(os, "listdir", missing)
            deliver(root, 99)
            after = await one.changes("INBOX", changes.cursor)
            assert left == 0
            assert list(after.vanished) == []
            assert len(after.uids) == 1

    asyncio.run(act())


# Random edits -----------------------------------------------------------------------------------------

OTHERS = ["deliver", "flag", "open", "unlink", "move"]
OURS = ["add", "set", "remove", "our move", "our copy"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "deliver",
                "flag",
                "open",
                "unlink",
                "move",
                "look",
                "look",
                "add",
                "set",
                "remove",
                "our move",
                "our copy",
            ]
        ),
        st.integers(0, 2**30),
    ),
    max_size=40,
)
BOXES = ["INBOX", "Work", "Deep/Er"]


class World:
    """A tree with another program at work, and an asker who keeps a picture of it by changes alone."""

    def __init__(self, home: Path) -> None:
        self.root = maildir(home / "Mail")
        self.folders = {"INBOX": self.root, "Work": self.root / ".Work", "Deep/Er": self.root / ".Deep.Er"}
        for folder in self.folders.values():
            maildir(folder)
        self.count = 0
        self.known: dict[str, dict[int, Flags]] = {name: {} for name in BOXES}
        self.cursors: dict[str, str | None] = dict.fromkeys(BOXES)
        self.states: dict[str, str | None] = dict.fromkeys(BOXES)
        self.given: dict[str, set[int]] = {name: set() for name in BOXES}

    def messages(self, name: str) -> list[Path]:
        folder = self.folders[name]
        return sorted([*(folder / "cur").iterdir(), *(folder / "new").iterdir()])

    def truth(self, name: str) -> list[tuple[bytes, frozenset[str]]]:
        letters = {"S": "\\Seen", "F": "\\Flagged", "R": "\\Answered"}
        found = []
        for path in self.messages(name):
            info = path.name.partition(":2,")[2]
            found.append((path.read_bytes(), frozenset(letters[letter] for letter in info)))
        return sorted(found, key=repr)

    def other(self, what: str, pick: random.Random) -> None:
        name = pick.choice(BOXES)
        there = self.messages(name)
        if what == "deliver":
            self.count += 1
            deliver(self.folders[name], self.count, pick.choice([None, "S", "FR"]))
        elif there:
            path = pick.choice(there)
            if what == "flag":
                reflag(path, pick.choice(["", "S", "F", "FS", "R"]))
            elif what == "open":
                for each in there:
                    if each.parent.name == "new":
                        reflag(each, "")
            elif what == "unlink":
                path.unlink()
            elif what == "move":
                path.rename(self.folders[pick.choice(BOXES)] / path.parent.name / path.name)

    async def ours(self, one: MaildirSide, what: str, pick: random.Random) -> None:
        name = pick.choice(BOXES)
        uids = sorted(pick.sample(sorted(self.known[name]), k=min(2, len(self.known[name]))))
        if what == "add":
            self.count += 1
            (answer,) = await one.add(name, [message(self.count, pick.choice([NONE, SEEN]))])
            assert answer.uid not in self.given[name]
        elif what == "set":
            await one.set_flags(name, [FlagChange(uids, FLAGGED, SEEN)])
        elif what == "remove":
            await one.remove(name, uids)
        elif what == "our move":
            await one.move(name, uids, pick.choice([box for box in BOXES if box != name]))
        elif what == "our copy":
            await one.copy(name, uids, pick.choice([box for box in BOXES if box != name]))

    async def look(self, one: MaildirSide) -> None:
        for place in await one.places():
            state = f"{place.validity} {place.state}"
            if self.states[place.name] != state:
                await self.ask(one, place.name)
            self.states[place.name] = state

    async def ask(self, one: MaildirSide, name: str) -> None:
        changes = await one.changes(name, self.cursors[name])
        known = {} if changes.full else self.known[name]
        known |= dict(zip(changes.uids, changes.flags, strict=True))
        for uid in changes.vanished:
            known.pop(uid, None)
        self.known[name], self.cursors[name] = known, changes.cursor
        self.given[name] |= set(known)

    async def check(self, one: MaildirSide) -> None:
        """What the asker knows by changes is what is on disk."""
        for name in BOXES:
            known = self.known[name]
            found = [(each.data, known[each.uid]) async for each in one.fetch(name, sorted(known))]
            truth = [(data.replace(b"\n", b"\r\n"), flags) for data, flags in self.truth(name)]
            assert sorted(found, key=repr) == sorted(truth, key=repr)
            assert len(found) == len(known)


@given(STEPS, st.sampled_from([scan.AT_ONCE, 2]))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_asker_knows_what_is_on_disk_whatever_others_do(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], at_once: int
) -> None:
    """at_once: names held in memory; a folder of more is read in shares."""
    home = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(scan, "AT_ONCE", at_once)
        _play(home, World(home), steps)


def _play(home: Path, world: World, steps: list[tuple[str, int]]) -> None:

    async def act() -> None:
        one = side(home)
        await one.open()
        try:
            for what, seed in steps:
                pick = random.Random(seed)
                if what == "look":
                    await world.look(one)
                elif what in OTHERS:
                    world.other(what, pick)
                else:
                    await world.ours(one, what, pick)
                if seed % 7 == 0:  # another run
                    await one.close()
                    one = side(home)
                    await one.open()
            await world.look(one)
            await world.check(one)
            again = await one.places()
            await world.look(one)
            assert await one.places() == again
        finally:
            await one.close()

    asyncio.run(act())


def test_nothing_is_lost_while_another_program_works_at_the_same_time(tmp_path: Path) -> None:
    """A thread flags, opens and moves without pause; at the end all is there once, and known."""
    world = World(tmp_path)
    for number in range(1, 61):
        deliver(world.folders[BOXES[number % 3]], number, None if number % 2 else "S")
    world.count = 60

    async def act() -> None:
        stop = asyncio.Event()

        def meddle() -> int:
            pick, done = random.Random(1), 0
            while not stop.is_set():
                what = pick.choice(["flag", "flag", "open", "move"])
                try:
                    world.other(what, pick)
                except FileNotFoundError:
                    continue  # we were quicker
                done += 1
            return done

        async with opened(tmp_path) as one:
            meddling = asyncio.get_running_loop().run_in_executor(None, meddle)
            try:
                pick = random.Random(2)
                for _ in range(40):
                    what = partial(pick.choice, ["add", "set", "our move"])
                    try:
                        await world.look(one)
                        await world.ours(one, what(), pick)
                    except MailboxUnavailable:
                        continue  # renamed all the time: the next run
            finally:
                stop.set()
            assert await meddling > 40
            await world.look(one)
            await world.check(one)
        everywhere = [number for folder in world.folders.values() for number in subjects(folder)]
        assert sorted(everywhere) == list(range(1, world.count + 1))

    asyncio.run(act())


def test_a_change_within_the_same_tick_of_a_coarse_clock_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that dates by two seconds (FAT): two changes look the same by their times."""
    root = maildir(tmp_path / "Mail")
    tick = 1_700_000_000 * 10**9

    def coarsen() -> None:
        for sub in ("cur", "new"):
            os.utime(root / sub, ns=(tick, tick))

    def touch(folder: int) -> int:
        os.utime(marker.FILE, ns=(tick, tick), dir_fd=folder)
        return tick

    async def act(one: MaildirSide) -> None:
        os.utime(root / marker.FILE, ns=(tick, tick))
        monkeypatch.setattr(marker, "touch", touch)
        seen = []
        for number in range(4):
            deliver(root, number, "S")
            coarsen()
            (place,) = await one.places()
            seen.append((place.state, place.messages))
        assert [messages for _, messages in seen] == [1, 2, 3, 4]
        assert len(set(seen)) == 4

    run(tmp_path, act)
