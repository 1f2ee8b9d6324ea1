"""Cleaning out: what is the same, which one stays, that nothing is lost, and that all can be put back."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from restante.clock import system_random
from restante.exchange.detect import open_source
from restante.sync.dedupe.apply import Outcome, apply, find_trash
from restante.sync.dedupe.decide import Kind, Plan, Rules, candidates, decide, to_read
from restante.sync.dedupe.files import survey_files
from restante.sync.dedupe.journal import Journal, JournalRefusal, hold
from restante.sync.dedupe.survey import NoSuchMailbox, chosen, look, read, survey
from restante.sync.dedupe.table import Table
from restante.sync.dedupe.trace import core
from restante.sync.dedupe.undo import Undone, undo
from restante.sync.model import NO_FLAGS, Flags, Message
from restante.sync.side import Side
from restante.sync.trace import TRACE_FIELDS

from .memory import ALL, Abilities, Disk, Killed, MemorySide, Steps
from .programs import RAM
from .test_local import run as run_local

pytestmark = pytest.mark.in_memory

SIDE = "memory"
SEEN, FLAGGED, DELETED = "\\Seen", "\\Flagged", "\\Deleted"


def letter(number: int, body: str = "text", *, trace: str = "", subject: str = "", ident: int | None = None) -> bytes:
    head = f"From: a@b.example\r\nSubject: {subject or f'number {number}'}\r\nDate: {number}\r\n"
    ident = number if ident is None else ident
    return f"{trace}{head}Message-ID: <{ident}@b.example>\r\n\r\n{body}\r\n".encode()


RELAY = "Return-Path: <a@b.example>\r\nReceived: from a by b;\r\n\tMon, 1 Jan 2024\r\n"


# What is the same ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name.replace("*", "Anything") for name in TRACE_FIELDS])
def test_a_trace_field_makes_no_other_letter(name: str) -> None:
    for written in (name, name.upper(), name.lower() + " "):
        for value in ("x", "x\r\n\tfolded\r\n more", ""):
            assert core(f"{written}: {value}\r\n".encode() + letter(1)) == core(letter(1))
    inside = letter(1).replace(b"Date:", name.encode() + b": y\r\nDate:")
    assert core(inside) == core(letter(1))
    assert core(letter(1) + name.encode() + b": in the body\r\n") != core(letter(1))


@pytest.mark.parametrize("name", ["Bcc", "List-Id", "DKIM-Signature", "Sender", "X-Mailer", "Received-By", "X-Spam"])
def test_any_other_field_does(name: str) -> None:
    assert core(f"{name}: x\r\n".encode() + letter(1)) != core(letter(1))


def test_line_ends_are_no_difference_and_all_else_is() -> None:
    assert core(letter(1).replace(b"\r\n", b"\n")) == core(letter(1))
    assert core(letter(1) + b"\r\n\r\n") == core(letter(1))
    assert core(letter(1, "text ")) != core(letter(1))
    assert core(letter(1, "te\r\n\r\nxt")) != core(letter(1, "te\r\nxt"))
    assert core(b"\r\nReceived: in a body\r\n") != core(b"\r\n")
    assert core(b"") == core(b"\r\n")


# Helpers ------------------------------------------------------------------------------------------------


RULE = Rules()


async def planned(side: Side, rules: Rules, names: Sequence[str] = ()) -> tuple[Table, Plan]:
    return await look(side, rules, names, find_trash(await side.places(), None))


async def cleaned(
    side: Side, folder: Path, rules: Rules = RULE, now: float = 1e9, names: Sequence[str] = ()
) -> Outcome:
    table, plan = await planned(side, rules, names)
    journal = Journal.begin(folder, SIDE, now, system_random)
    try:
        return await apply(side, table, plan, journal, find_trash(await side.places(), None))
    finally:
        journal.close()


async def put_back(side: Side, folder: Path) -> Undone | None:
    journal = Journal.newest(folder, SIDE)
    if journal is None:
        return None
    try:
        return await undo(side, journal)
    finally:
        journal.close()


def run(side: MemorySide, act: Callable[[MemorySide], Awaitable[None]]) -> None:
    async def go() -> None:
        await side.open()
        await act(side)

    asyncio.run(go())


def named(table: Table, *positions: int) -> list[tuple[str, int]]:
    return [(table.boxes[table.box[at]].name, table.uid[at]) for at in positions]


State = dict[str, Counter[tuple[bytes, Flags, int]]]


def state_of(disk: Disk) -> State:
    """What lies where; mailboxes with nothing in them are left out."""
    return {
        name: Counter((one.data, one.flags, one.received) for one in box.messages.values())
        for name, box in disk.boxes.items()
        if box.messages
    }


# Which one stays ----------------------------------------------------------------------------------------


Lies = tuple[str, set[str], int]


@pytest.mark.parametrize("first", ["better", "worse"])
@pytest.mark.parametrize(
    ("trace", "better", "worse"),
    [
        # trace, (mailbox, flags, date) of the better, of the worse
        ("", ("INBOX", set(), 9), ("Work", {DELETED}, 1)),
        ("", ("Preferred", set(), 9), ("Work", set(), 1)),
        ("", ("Work", set(), 9), ("Archive", set(), 1)),
        ("", ("Archive", set(), 9), ("INBOX", set(), 1)),
        (RELAY, ("INBOX", set(), 9), ("INBOX", set(), 1)),
        ("", ("INBOX", set(), 1), ("INBOX", {SEEN}, 9)),
        ("", ("INBOX", {SEEN}, 1), ("INBOX", set(), 1)),
    ],
)
def test_the_rules_for_what_stays_in_their_order(trace: str, better: Lies, worse: Lies, first: str) -> None:
    """Each line: trace fields of the one that stays, where it lies, its flags and date; then the other's."""
    disk = Disk()
    for name, role in (("Work", None), ("Archive", "\\Archive"), ("Preferred", "\\Junk")):
        disk.create(name, role)
    made = [(letter(1, trace=trace), better), (letter(1), worse)]
    for data, (name, flags, date) in made if first == "better" else reversed(made):
        disk.deliver(name, data, frozenset(flags), date)

    async def act(side: MemorySide) -> None:
        names = [place.name for place in await side.places()]
        table, plan = await planned(side, Rules(prefer=("Preferred",)), names)
        (group,) = plan.groups
        at = group.keep
        assert (table.boxes[table.box[at]].name, set(table.flags[at]), table.received[at]) == better
        assert group.kind is (Kind.TRACE if trace else Kind.IDENTICAL)
        assert plan.octets == len(letter(1))

    run(MemorySide(disk), act)


def test_flags_are_merged_but_none_that_removes_or_contradicts(tmp_path: Path) -> None:
    disk = Disk()
    disk.deliver("INBOX", letter(1), frozenset({"$NotJunk"}), 1)
    disk.deliver("INBOX", letter(1), frozenset({SEEN, DELETED, "$Junk", "work"}), 2)
    disk.deliver("INBOX", letter(1), frozenset({"\\Draft", "\\Answered"}), 3)

    async def act(side: MemorySide) -> None:
        outcome = await cleaned(side, tmp_path)
        assert (outcome.moved, outcome.flagged, outcome.left) == (2, 1, [])
        (kept,) = disk.boxes["INBOX"].messages.values()
        assert kept.flags == {SEEN, "$NotJunk", "work", "\\Answered"}
        assert len(disk.boxes["Trash"].messages) == 2
        assert disk.boxes["Trash"].role == "\\Trash"

    run(MemorySide(disk), act)


@pytest.mark.parametrize("roles", [True, False])
def test_sent_mail_and_drafts_are_compared_with_their_like_alone(*, roles: bool) -> None:
    disk = Disk()
    for name, role in (("Sent", "\\Sent"), ("Drafts", "\\Drafts"), ("Spam", "\\Junk")):
        disk.create(name, role if roles else None)  # a Maildir of other programs has no special uses
    for name in ("INBOX", "Sent", "Drafts", "Sent", "Spam"):
        disk.deliver(name, letter(1))

    async def act(side: MemorySide) -> None:
        table, plan = await planned(side, Rules())
        assert [named(table, group.keep, *group.move) for group in plan.groups] == [[("Sent", 1), ("Sent", 2)]]
        assert plan.differ == ()

    run(MemorySide(disk), act)


def test_where_mailboxes_are_labels_each_is_looked_at_by_itself() -> None:
    disk = Disk()
    disk.create("All Mail", "\\All")
    disk.create("Label")
    for name in ("INBOX", "All Mail", "Label", "Label"):
        disk.deliver(name, letter(1))

    async def act(side: MemorySide) -> None:
        for names in ((), ["INBOX", "Label"]):
            table, plan = await planned(side, Rules(), names)
            assert [named(table, group.keep, *group.move) for group in plan.groups] == [[("Label", 1), ("Label", 2)]]

    run(MemorySide(disk), act)


def test_an_email_that_was_copied_is_no_duplicate_of_itself() -> None:
    disk = Disk()
    disk.create("Work")
    disk.deliver("INBOX", letter(1), email="m1")
    disk.deliver("Work", letter(1), email="m1")
    disk.deliver("INBOX", letter(1), email="m2")
    disk.deliver("INBOX", letter(1), email="m1")

    async def act(side: MemorySide) -> None:
        table, plan = await planned(side, Rules())
        (group,) = plan.groups
        assert named(table, group.keep) == [("Work", 1)]
        assert named(table, *group.filed) == [("INBOX", 1)]
        assert named(table, *group.move) == [("INBOX", 2), ("INBOX", 3)]
        _, plan = await planned(side, Rules(copies=True))
        assert plan.moves == 3

    run(MemorySide(disk), act)


def test_one_message_id_with_other_contents_is_told_and_left_alone() -> None:
    disk = Disk()
    disk.create("Work")
    disk.deliver("INBOX", letter(1, "one"))
    disk.deliver("INBOX", letter(1, "two"))
    disk.deliver("Work", letter(1, "one", subject="[list] number 1"))
    disk.deliver("Work", letter(1, "two", trace=RELAY))
    disk.deliver("INBOX", b"Subject: without one\r\n\r\na\r\n")
    disk.deliver("INBOX", b"Subject: without one\r\n\r\nb\r\n")

    async def act(side: MemorySide) -> None:
        table, plan = await planned(side, Rules())
        (group,) = plan.groups
        assert named(table, group.keep, *group.move) == [("Work", 2), ("INBOX", 2)]
        (differ,) = plan.differ
        assert named(table, *differ.messages) == [("INBOX", 1), ("INBOX", 2), ("Work", 1)]

    run(MemorySide(disk), act)


def test_bodies_are_read_of_candidates_alone() -> None:
    disk = Disk()
    for number in range(50):
        disk.deliver("INBOX", letter(number))
    disk.deliver("INBOX", letter(7))

    async def act(side: MemorySide) -> None:
        _, plan = await planned(side, Rules())
        assert plan.moves == 1
        assert side.fetched == 2

    run(MemorySide(disk), act)


def test_a_store_knows_equal_octets_without_reading_them(tmp_path: Path) -> None:
    async def act(side: Side) -> None:
        again = [Message(0, letter(number), frozenset(), 1) for number in range(20)]
        await side.add("INBOX", [*again, *again, Message(0, letter(3, trace=RELAY), frozenset(), 1)])
        table = await survey(side, await side.places())
        groups = candidates(table, Rules())
        wanted = to_read(table, groups)
        assert named(table, *wanted) == [
            ("INBOX", 4),
            ("INBOX", 41),
        ]  # one of each digest, where they are not all equal
        await read(side, table, wanted)
        assert decide(table, groups, Rules()).moves == 21

    run_local(tmp_path / "data", act)


def test_mailboxes_are_named_or_all_but_those_of_no_use() -> None:
    disk = Disk()
    for name, role in (("Junk", "\\Junk"), ("Starred", "\\Flagged"), ("Bin", None), ("Work", None), ("Deep/er", None)):
        disk.create(name, role)

    async def act(side: MemorySide) -> None:
        places = await side.places()
        assert [place.name for place in chosen(places, (), find_trash(places, None))] == ["INBOX", "Deep/er", "Work"]
        assert [place.name for place in chosen(places, ("Junk", "Work", "Junk"), "Bin")] == ["Junk", "Work"]
        for name in ("Nowhere", "Bin", "Deep"):
            with pytest.raises(NoSuchMailbox):
                chosen(places, (name,), "Bin")

    run(MemorySide(disk), act)


def test_an_mbox_is_told_of(tmp_path: Path) -> None:
    def entry(data: bytes, status: str = "") -> bytes:
        head = f"Status: {status}\n" if status else ""
        return b"From a@b Mon Jan  1 00:00:00 2024\n" + head.encode() + data.replace(b"\r\n", b"\n") + b"\n"

    path = tmp_path / "old.mbox"
    path.write_bytes(
        entry(letter(1)) + entry(letter(2)) + entry(letter(1), "RO") + entry(letter(2, "other")) + entry(letter(1))
    )
    source = open_source(path)
    try:
        table, skipped = survey_files(source)
    finally:
        source.close()
    assert skipped == []
    groups = candidates(table, Rules())
    assert to_read(table, groups) == []
    plan = decide(table, groups, Rules())
    (group,) = plan.groups
    assert {table.uid[at] for at in (group.keep, *group.move)} == {1, 3, 5}
    assert all(where.startswith("old.mbox") for where in table.where)
    assert [[table.uid[at] for at in one.messages] for one in plan.differ] == [[2, 4]]


# Nothing is lost, and all comes back ---------------------------------------------------------------------


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(["INBOX", "INBOX", "Work", "Sent", "Archive", "Trash"]),
        st.integers(0, 2),  # the letter
        st.sampled_from(["", "", RELAY, "Received: other\r\n"]),
        st.sampled_from(["text", "text", "other"]),
        st.frozensets(st.sampled_from([SEEN, FLAGGED, DELETED, "$Junk", "key"]), max_size=3),
        st.integers(1, 3),  # the date
        st.sampled_from([None, None, "m1", "m2"]),
    ),
    max_size=12,
)
ABILITIES = st.sampled_from(
    [ALL, Abilities(tells=False), Abilities(log=False, emails=False), Abilities(tells=False, log=False, sizes=False)]
)
RULES = st.builds(Rules, within=st.booleans(), copies=st.booleans(), prefer=st.sampled_from([(), ("INBOX",)]))
Filled = list[tuple[str, int, str, str, Flags, int, str | None]]


def filled(messages: Filled) -> Disk:
    disk = Disk()
    for name, role in (("Work", None), ("Sent", "\\Sent"), ("Archive", "\\Archive"), ("Trash", "\\Trash")):
        disk.create(name, role)
    seen: dict[str, bytes] = {}
    for name, number, trace, body, flags, received, email in messages:
        data = letter(number, body, trace=trace)
        if email is not None and seen.setdefault(email, data) != data:
            email = None  # an email is immutable
        disk.deliver(name, data, flags, received, email)
    return disk


@given(MESSAGES, ABILITIES, RULES)
@settings(max_examples=300, deadline=None)
def test_no_letter_loses_its_last_copy_and_undoing_gives_all_back(
    messages: Filled, abilities: Abilities, rules: Rules
) -> None:
    disk = filled(messages)
    before = state_of(disk)
    letters = {core(data) for name, found in before.items() if name != "Trash" for data, _, _ in found}
    unmarked = {
        core(data)
        for name, found in before.items()
        if name != "Trash"
        for data, flags, _ in found
        if DELETED not in flags
    }

    async def act(side: MemorySide) -> None:
        with TemporaryDirectory(dir=RAM) as folder:
            await cleaned(side, Path(folder), rules)
            after = state_of(disk)
            there = [
                (core(data), flags) for name, found in after.items() if name != "Trash" for data, flags, _ in found
            ]
            assert {one for one, _ in there} == letters
            assert {one for one, flags in there if DELETED not in flags} >= unmarked
            count: Counter[bytes] = sum(
                (Counter(data for data, _, _ in one.elements()) for one in after.values()), Counter()
            )
            assert count == sum((Counter(data for data, _, _ in one.elements()) for one in before.values()), Counter())
            _, plan = await planned(side, rules)
            assert plan.groups == ()  # nothing is left to be done
            undone = await put_back(side, Path(folder))
            if undone is not None:
                assert undone.missing == undone.unflagged == []
            assert state_of(disk) == before
            assert await put_back(side, Path(folder)) is None

    run(MemorySide(disk, abilities), act)


# Cut off while one of two mailboxes had been left: what moved must not be mixed up with what moves in the next run.
TWO_LEFT = [("INBOX", 0, "", "text", NO_FLAGS, 1, None)] * 2 + [
    (name, 2, "", "text", NO_FLAGS, 1, None) for name in ("INBOX", "Work", "Archive")
]


@given(MESSAGES, st.sampled_from([ALL, Abilities(tells=False)]), st.integers(1, 60), st.booleans())
@example(TWO_LEFT, ALL, 31, True)
@settings(max_examples=300, deadline=None)
def test_a_run_cut_off_anywhere_can_be_gone_on_with_and_undone(
    messages: Filled, abilities: Abilities, at: int, go_on: bool
) -> None:
    disk = filled([one for one in messages if one[0] != "Trash"])
    before = state_of(disk)
    steps = Steps()

    async def act(side: MemorySide) -> None:
        with TemporaryDirectory(dir=RAM) as folder:
            steps.at, steps.taken = at, 0
            try:
                await cleaned(side, Path(folder))
            except Killed:
                pass
            steps.never()
            if go_on:
                await cleaned(side, Path(folder), now=2e9)
                _, plan = await planned(side, Rules())
                assert plan.groups == ()
            await put_back(side, Path(folder))
            assert state_of(disk) == before

    run(MemorySide(disk, abilities, steps), act)


@given(MESSAGES, st.integers(1, 40))
@settings(max_examples=200, deadline=None)
def test_an_undoing_cut_off_anywhere_is_finished_by_another(messages: Filled, at: int) -> None:
    disk = filled([one for one in messages if one[0] != "Trash"])
    before = state_of(disk)
    steps = Steps()

    async def act(side: MemorySide) -> None:
        with TemporaryDirectory(dir=RAM) as folder:
            await cleaned(side, Path(folder))
            steps.at, steps.taken = at, 0
            try:
                await put_back(side, Path(folder))
            except Killed:
                pass
            steps.never()
            undone = await put_back(side, Path(folder))
            assert undone is None or undone.missing == []
            assert state_of(disk) == before

    run(MemorySide(disk, steps=steps), act)


def test_apply_and_undo_in_a_store(tmp_path: Path) -> None:
    draw = random.Random(5)

    async def everything(side: Side) -> dict[str, Counter[tuple[bytes, Flags, int]]]:
        found = {}
        for place in await side.places():
            uids = (await side.changes(place.name, None)).uids
            found[place.name] = Counter(
                [(one.data, one.flags, one.received) async for one in side.fetch(place.name, uids)]
            )
        return found

    async def act(side: Side) -> None:
        for name, role in (("Work", None), ("Trash", "\\Trash")):
            await side.create(name, role)
        for name in ("INBOX", "Work"):
            made = [
                Message(
                    0,
                    letter(draw.randrange(150), trace=draw.choice(["", RELAY])),
                    frozenset(draw.sample([SEEN, FLAGGED, "key"], draw.randrange(3))),
                    draw.randrange(1000),
                )
                for _ in range(300)
            ]
            await side.add(name, made)
        await side.copy("INBOX", range(1, 30), "Work")
        before = await everything(side)
        outcome = await cleaned(side, tmp_path / "journal")
        assert outcome.moved > 400
        assert (await planned(side, Rules()))[1].moves == 0
        undone = await put_back(side, tmp_path / "journal")
        assert undone is not None
        assert (undone.back, undone.missing, undone.unflagged) == (outcome.moved, [], [])
        assert await everything(side) == before

    run_local(tmp_path / "data", act)


@pytest.mark.parametrize("log", [True, False])
def test_what_changed_since_it_was_looked_at_is_respected(tmp_path: Path, log: bool) -> None:
    disk = Disk()
    for number in range(4):
        for date in (1, 2):
            disk.deliver("INBOX", letter(number), received=date)
    disk.create("Work")
    disk.deliver("Work", letter(9))
    disk.deliver("INBOX", letter(9))

    async def act(side: MemorySide) -> None:
        table, plan = await planned(side, Rules())
        assert plan.moves == 5
        disk.expunge("INBOX", 1)  # was to stay
        disk.flag("INBOX", 3, frozenset({DELETED}))  # was to stay
        disk.expunge("INBOX", 6)  # was to move
        disk.flag("INBOX", 8, frozenset({"new"}))  # was to move, and has something to say
        disk.renumber("Work")
        journal = Journal.begin(tmp_path, SIDE, 1, system_random)
        outcome = await apply(side, table, plan, journal, None)
        journal.close()
        assert outcome.moved == 1
        assert [named(table, at)[0][1] for at, _ in outcome.left] == [2, 4, 9]
        assert disk.boxes["INBOX"].messages[7].flags == {"new"}
        assert sorted(disk.boxes["INBOX"].messages) == [2, 3, 4, 5, 7, 9]

    run(MemorySide(disk, Abilities(log=log)), act)


def test_a_mailbox_that_refuses_is_left_out(tmp_path: Path) -> None:
    disk = Disk()
    disk.create("Work")
    for number in range(3):
        for _ in range(2):
            disk.deliver("Work" if number else "INBOX", letter(number))

    async def act(side: MemorySide) -> None:
        table, plan = await planned(side, Rules())
        side.broken.add("Work")
        journal = Journal.begin(tmp_path, SIDE, 1, system_random)
        outcome = await apply(side, table, plan, journal, None)
        journal.close()
        assert outcome.moved == 1
        assert len(outcome.left) == 2
        side.broken.clear()
        undone = await put_back(side, tmp_path)
        assert undone is not None
        assert undone.back == 1

    run(MemorySide(disk), act)


def test_what_has_left_the_trash_is_told_as_missing(tmp_path: Path) -> None:
    disk = Disk()
    for number in range(3):
        disk.deliver("INBOX", letter(number), frozenset({SEEN}), 1)
        disk.deliver("INBOX", letter(number), frozenset({FLAGGED}), 2)

    async def act(side: MemorySide) -> None:
        await cleaned(side, tmp_path)
        disk.renumber("Trash")
        gone = min(disk.boxes["Trash"].messages)
        disk.expunge("Trash", gone)
        disk.expunge("INBOX", 1)
        for uid in disk.boxes["Trash"].messages:
            disk.flag("Trash", uid, frozenset({SEEN}))
        undone = await put_back(side, tmp_path)
        assert undone is not None
        assert undone.back == 2
        assert [message.uid for message in undone.missing] == [2]
        assert [message.uid for message in undone.unflagged] == [1]
        back = [one.flags for uid, one in disk.boxes["INBOX"].messages.items() if uid > 6]
        assert back == [{FLAGGED}, {FLAGGED}]  # as they were, whatever was done to them in the trash
        assert [disk.boxes["INBOX"].messages[uid].flags for uid in (3, 5)] == [{SEEN}, {SEEN}]

    run(MemorySide(disk), act)


def test_a_mailbox_that_is_gone_is_made_again(tmp_path: Path) -> None:
    disk = Disk()
    disk.create("Old")
    disk.create("Older")
    disk.deliver("Old", letter(1), received=1)
    disk.deliver("Older", letter(1), received=2)

    async def act(side: MemorySide) -> None:
        await cleaned(side, tmp_path)
        disk.delete("Older")
        await put_back(side, tmp_path)
        assert [one.data for one in disk.boxes["Older"].messages.values()] == [letter(1)]

    run(MemorySide(disk), act)


# The journal --------------------------------------------------------------------------------------------


def test_runs_are_undone_newest_first(tmp_path: Path) -> None:
    disk = Disk()
    before = []

    async def act(side: MemorySide) -> None:
        for number in range(3):
            for _ in range(2):
                disk.deliver("INBOX", letter(number))
            before.append(state_of(disk))
            await cleaned(side, tmp_path, now=1e9 + number)
        await cleaned(side, tmp_path, now=2e9)  # finds nothing, and is nothing to be undone
        for state in reversed(before):
            await put_back(side, tmp_path)
            assert sum(state_of(disk)["INBOX"].values()) >= sum(state["INBOX"].values())
        assert sum(state_of(disk)["INBOX"].values()) == 6
        assert await put_back(side, tmp_path) is None

    run(MemorySide(disk), act)


def cut(folder: Path) -> None:
    """Leave half of the line that says what a step did."""
    (path,) = folder.glob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    assert [next(iter(json.loads(line))) for line in lines] == ["restante", "step", "done", "finished"]
    path.write_bytes(b"".join(lines[:2]) + lines[2][:9])
    assert (path.stat().st_mode & 0o777) == 0o600


def test_a_line_cut_off_is_passed_over(tmp_path: Path) -> None:
    disk = Disk()
    for _ in range(2):
        disk.deliver("INBOX", letter(1))

    async def act(side: MemorySide) -> None:
        await cleaned(side, tmp_path)
        cut(tmp_path)
        undone = await put_back(side, tmp_path)
        assert undone is not None
        assert undone.back == 1
        assert len(disk.boxes["INBOX"].messages) == 2

    run(MemorySide(disk), act)


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    with hold(tmp_path, SIDE), hold(tmp_path, "another"), pytest.raises(JournalRefusal), hold(tmp_path, SIDE):
        pass
    with hold(tmp_path, SIDE):
        pass
