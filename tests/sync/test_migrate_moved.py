"""What people file or rename at the source between two runs goes the same way at the target, and is not there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from restante.sync.migrate.model import Wishes

from .memory import ALL, BARE, Abilities, Disk, Killed, Steps
from .moving import NO_EMAILS, PAIRS, SEEN, Move, everything, house, text, total

pytestmark = pytest.mark.in_memory


def uid_of(disk: Disk, name: str, data: bytes) -> int:
    return next(uid for uid, each in disk.boxes[name].messages.items() if each.data == data)


def filled(disk: Disk) -> dict[str, object]:
    """Mailboxes with mail in them."""
    return {name: mail for name, mail in everything(disk).items() if mail}


def filed(disk: Disk) -> None:
    """One of two equal ones, one without a header, one of two that differ in their bodies alone; new mail meanwhile."""
    disk.create("Filed")
    for data in (text(3), b"\r\n", text(5, "other")):
        disk.move("INBOX", uid_of(disk, "INBOX", data), "Filed")
    disk.move("Work/2026/July", uid_of(disk, "Work/2026/July", text(21)), "INBOX")
    disk.deliver("INBOX", text(40), SEEN, 1_700_000_400)
    disk.deliver("Filed", text(41), SEEN, 1_700_000_401)


def renamed(disk: Disk) -> None:
    disk.rename("Work", "Play")


@pytest.mark.parametrize("edit", [filed, renamed])
@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_what_went_elsewhere_is_moved_and_not_copied(
    tmp_path: Path, edit: Callable[[Disk], None], one: Abilities, two: Abilities
) -> None:
    move = Move(tmp_path, house(), Disk("t"))
    move.abilities = (one, two)
    move.run()
    edit(move.source)
    before = sum(map(len, (box.messages for box in move.source.boxes.values())))
    report = move.run()
    assert filled(move.target) == filled(move.source)
    assert total(report, "copied") == (2 if edit is filed else 0)
    assert report.moved == 4
    assert any("at the target too" in note for note in report.notes)
    assert report.counts is not None
    assert (report.counts.same, report.counts.damaged) == (before, 0)
    assert not move.verify().damaged
    assert move.run().moved == 0


@pytest.mark.parametrize("edit", [filed, renamed])
@pytest.mark.parametrize("abilities", [(ALL, ALL), (NO_EMAILS, NO_EMAILS), (ALL, replace(BARE, keywords=True))])
def test_what_was_on_its_way_at_a_cut_off_and_moved_meanwhile_is_there_once(
    tmp_path: Path, edit: Callable[[Disk], None], abilities: tuple[Abilities, Abilities]
) -> None:
    at, killed, early = 0, True, 0
    while killed:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        move = Move(folder, house(), Disk("t"))
        move.abilities = abilities
        move.steps = Steps(at)
        try:
            move.run()
            killed = False
        except Killed:
            early += any(box.messages for box in move.target.boxes.values())
        move.steps = None
        edit(move.source)
        move.run()
        assert octets(move.target) == octets(move.source), f"killed at {at}"
    assert early > 10


def test_a_mailbox_that_was_renamed_leaves_none_behind(tmp_path: Path) -> None:
    move = Move(tmp_path, house(), Disk("t"))
    move.target.create("Work")  # of somebody's own
    move.target.create("Mine")
    move.run()
    made = set(move.target.boxes)
    renamed(move.source)
    report = move.run()
    assert report.cleared
    gone = made - set(move.target.boxes)
    assert gone
    assert all(name.startswith("Work/") for name in gone)
    assert {"Work", "Mine"} <= set(move.target.boxes)
    assert filled(move.target) == filled(move.source)
    assert not any(name.startswith("Work/") and box.selectable for name, box in move.target.boxes.items())
    assert move.run().cleared == 0


def test_a_mailbox_in_which_there_is_mail_is_left(tmp_path: Path) -> None:
    """Of the target's own, or of what was removed at the source."""
    move = Move(tmp_path, house(), Disk("t"))
    move.run()
    move.target.deliver("Work/2026/July", text(90), SEEN)
    renamed(move.source)
    move.run()
    assert [each.data for each in move.target.boxes["Work/2026/July"].messages.values()] == [text(90)]
    again = Move(tmp_path / "again", house(), Disk("t"))
    (tmp_path / "again").mkdir()
    again.run()
    before = len(again.target.boxes["Work/2026/July"].messages)
    again.source.delete("Work/2026/July")
    again.run()
    assert len(again.target.boxes["Work/2026/July"].messages) == before


def test_a_ledger_of_the_first_version_is_brought_up(tmp_path: Path) -> None:
    move = Move(tmp_path, house(), Disk("t"))
    move.run()
    (file,) = [path for path in tmp_path.iterdir() if path.is_file() and path.read_bytes()[:6] == b"SQLite"]
    db = apsw.Connection(str(file))
    db.execute(
        "DROP TABLE made; DROP TABLE flight;"
        "CREATE TABLE flight(mailbox INTEGER NOT NULL REFERENCES mailbox(key) ON DELETE CASCADE,"
        " source INTEGER NOT NULL, PRIMARY KEY(mailbox, source)) STRICT, WITHOUT ROWID;"
        "INSERT INTO flight SELECT key, 1 FROM mailbox; PRAGMA user_version = 1"
    )
    db.close()
    filed(move.source)
    move.run()
    assert filled(move.target) == filled(move.source)


def test_a_renamed_mailbox_is_not_read_again(tmp_path: Path) -> None:
    move = Move(tmp_path, house(), Disk("t"))
    move.run(Wishes(depth=Wishes().depth.NONE))
    renamed(move.source)
    move.run(Wishes(depth=Wishes().depth.NONE))
    assert move.sides[0].fetched == 0


def killed_at_each_step(
    tmp_path: Path, abilities: tuple[Abilities, Abilities], edit: Callable[[Disk], None]
) -> Iterator[tuple[int, Move]]:
    """A move that was whole, an edit at its source, and a run cut off at step 1, 2, ... until one comes to its end."""
    at, killed = 0, True
    while killed:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        move = Move(folder, house(), Disk("t"))
        move.abilities = abilities
        move.run()
        edit(move.source)
        move.steps = Steps(at)
        try:
            move.run()
            killed = False
        except Killed:
            pass
        move.steps = None
        yield at, move
    assert at > 20


SOME = [(ALL, ALL), (NO_EMAILS, NO_EMAILS), (ALL, replace(BARE, keywords=True))]


@pytest.mark.parametrize("edit", [filed, renamed])
@pytest.mark.parametrize("abilities", SOME)
def test_killed_at_any_step_it_is_moved_all_the_same(
    tmp_path: Path, edit: Callable[[Disk], None], abilities: tuple[Abilities, Abilities]
) -> None:
    for at, move in killed_at_each_step(tmp_path, abilities, edit):
        move.run()
        assert filled(move.target) == filled(move.source), f"killed at {at}"


@pytest.mark.parametrize("abilities", SOME)
def test_killed_at_any_step_of_a_move_that_goes_on_it_is_there_once(
    tmp_path: Path, abilities: tuple[Abilities, Abilities]
) -> None:
    """What was being moved at the target is filed once more at the source, or its mailbox renamed, meanwhile."""
    for at, move in killed_at_each_step(tmp_path, abilities, filed):
        move.source.rename("Filed", "Filed anew")
        move.source.move("INBOX", uid_of(move.source, "INBOX", text(21)), "Filed anew")
        move.run()
        assert octets(move.target) == octets(move.source), f"killed at {at}"


NAMES = ["INBOX", "A", "B/C"]
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.sampled_from(NAMES), st.integers(0, 6)),
        st.tuples(st.just("move"), st.sampled_from(NAMES), st.integers(0, 20)),
        st.tuples(st.just("rename"), st.sampled_from(NAMES[1:]), st.integers(0, 3)),
        st.tuples(st.just("run"), st.just(""), st.integers(0, 120)),
    ),
    max_size=16,
)


def within_its_own(step: int) -> list[tuple[str, str, int]]:
    """A message that is moved within its mailbox, a run cut off at this step, and the mailbox renamed."""
    return [("deliver", "A", 0), ("run", "", 120), ("move", "A", 0), ("run", "", step), ("rename", "A", 0)]


@example(within_its_own(17), ALL)
@example(within_its_own(24), ALL)
@example(within_its_own(35), ALL)
@settings(max_examples=150, deadline=None)
@given(EDITS, st.sampled_from([ALL, NO_EMAILS, replace(BARE, keywords=True), replace(NO_EMAILS, sizes=False)]))
def test_any_moves_and_kills_end_in_the_same_mail(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[str, str, int]], abilities: Abilities
) -> None:
    move = Move(tmp_path_factory.mktemp("move"), Disk("a-very-long-prefix-"), Disk("t"))
    move.abilities = (abilities, abilities)
    source = move.source
    for name in NAMES[1:]:
        source.create(name)
    for time, (what, name, number) in enumerate(edits, 1_700_000_000):
        box = source.boxes.get(name)
        if what == "deliver" and box is not None:
            source.deliver(name, text(number % 4, "x" * (number % 2 + 1)), SEEN, time)
        elif what == "move" and box is not None and box.messages:
            target = sorted(source.boxes)[number % len(source.boxes)]
            if source.boxes[target].selectable:
                source.move(name, list(box.messages)[number % len(box.messages)], target)
        elif what == "rename" and box is not None and f"N{number}" not in source.boxes:
            source.rename(name, f"N{number}")
        elif what == "run":
            move.steps = Steps(number)
            with suppress(Killed):
                move.run()
            move.steps = None
    report = move.run()
    assert octets(move.target) == octets(source)
    assert report.counts is not None
    assert report.counts.missing == report.counts.content == 0


def octets(disk: Disk) -> dict[str, Counter[bytes]]:
    """What mailboxes hold: INTERNALDATE of two equal messages may change places."""
    found = {name: Counter(each.data for each in box.messages.values()) for name, box in disk.boxes.items()}
    return {name: mail for name, mail in found.items() if mail}


def test_what_was_moved_at_the_target_stays_there(tmp_path: Path) -> None:
    move = Move(tmp_path, house(), Disk("t"))
    move.run()
    move.target.create("Mine")
    move.target.move("INBOX", uid_of(move.target, "INBOX", text(0)), "Mine")
    move.source.create("Filed")
    move.source.move("INBOX", uid_of(move.source, "INBOX", text(0)), "Filed")
    report = move.run()
    assert (report.moved, total(report, "copied")) == (0, 1)
    assert [each.data for each in move.target.boxes["Mine"].messages.values()] == [text(0)]
    assert [each.data for each in move.target.boxes["Filed"].messages.values()] == [text(0)]


def test_what_was_copied_or_removed_at_the_source_moves_nothing(tmp_path: Path) -> None:
    move = Move(tmp_path, house(), Disk("t"))
    move.run()
    move.source.create("Filed")
    move.source.copy("INBOX", uid_of(move.source, "INBOX", text(0)), "Filed")
    move.source.expunge("INBOX", uid_of(move.source, "INBOX", text(1)))
    move.source.deliver("Filed", text(1, "another"), SEEN)
    report = move.run()
    assert (report.moved, total(report, "copied")) == (0, 2)
    assert len(move.target.boxes["INBOX"].messages) == 10


def test_a_dry_run_says_what_would_be_moved(tmp_path: Path) -> None:
    move = Move(tmp_path, house(), Disk("t"))
    move.run()
    filed(move.source)
    before = everything(move.target)
    report = move.run(Wishes(dry_run=True))
    assert (report.moved, total(report, "copied")) == (4, 2)
    assert any("would be" in note for note in report.notes)
    assert everything(move.target) == before
    assert move.run().moved == 4
