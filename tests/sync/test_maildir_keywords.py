"""Keywords: letters that mean the same to Dovecot and to us, in every folder, and what has no letter."""

from __future__ import annotations

import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from restante.clock import SystemClock
from restante.sync.dotlock import DOVECOT, Locked, dotlock
from restante.sync.maildir import MaildirSide
from restante.sync.maildir.keywords import TreeKeywords
from restante.sync.model import FlagChange, Flags
from restante.sync.side import SideUnavailable

from .maildirs import NONE, deliver, everything, maildir, message, run

WORK: Flags = frozenset({"Work"})
MANY: Flags = frozenset({f"word{number:02}" for number in range(30)})


async def flags(one: MaildirSide, name: str = "INBOX") -> list[Flags]:
    return list((await everything(one, name)).flags)


def test_letters_are_read_by_the_folders_table(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    (root / "dovecot-keywords").write_text("0 Work\n1 $Junk\n25 Last\n26 TooMuch\nx Bad\n")
    deliver(root, 1, "Sabz")
    assert run(tmp_path, flags) == [{"\\Seen", "Work", "$Junk", "Last"}]


def test_a_changed_table_changes_the_messages_that_have_its_letters(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    (root / "dovecot-keywords").write_text("0 Work\n")
    deliver(root, 1, "a")
    deliver(root, 2, "Sb")
    deliver(root, 3, "S")

    async def act(one: MaildirSide) -> None:
        before = await everything(one)
        assert before.flags == [WORK, {"\\Seen"}, {"\\Seen"}]
        (root / "dovecot-keywords.new").write_text("0 Work\n1 Later\n")
        (root / "dovecot-keywords.new").rename(root / "dovecot-keywords")
        after = await one.changes("INBOX", before.cursor)
        assert dict(zip(after.uids, after.flags, strict=True)) == {before.uids[1]: {"\\Seen", "Later"}}

    run(tmp_path, act)


def test_a_new_keyword_is_entered_and_nothing_else_changes(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    table = root / "dovecot-keywords"
    table.write_text("0 Work\n3 Odd\n")
    os.utime(table, (2_000_000_000, 2_000_000_000))  # ahead of the clock: it has to grow all the same
    deliver(root, 1, "d")

    async def act(one: MaildirSide) -> None:
        uids = (await everything(one)).uids
        await one.set_flags("INBOX", [FlagChange(uids, frozenset({"Later", "work"}), NONE)])
        assert table.read_text() == "0 Work\n3 Odd\n1 Later\n"
        assert int(table.stat().st_mtime) == 2_000_000_001
        assert await flags(one) == [{"Odd", "Work", "Later"}]
        assert [path.name.partition(":2,")[2] for path in (root / "cur").iterdir()] == ["abd"]
        assert not list(root.glob("*.lock"))

    run(tmp_path, act)


def test_a_keyword_has_the_same_letter_in_every_folder(tmp_path: Path) -> None:
    """So that a file that another program moves says the same there."""
    root = tmp_path / "Mail"

    async def act(one: MaildirSide) -> None:
        await one.create("Other", None)
        await one.add("INBOX", [message(1, frozenset({"One", "Two", "Three"}))])
        await one.add("Other", [message(2, frozenset({"Three"}))])
        (path,) = (root / "cur").iterdir()
        path.rename(root / ".Other" / "cur" / path.name)
        assert set(await flags(one, "Other")) == {frozenset({"One", "Two", "Three"}), frozenset({"Three"})}

    run(tmp_path, act)


def test_moving_and_copying_take_the_targets_letters(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    other = maildir(root / ".Other")
    (root / "dovecot-keywords").write_text("0 Work\n1 Later\n")
    (other / "dovecot-keywords").write_text("0 Later\n1 Waiting\n")
    deliver(root, 1, "FabX")
    deliver(root, 2, "P")

    async def act(one: MaildirSide) -> None:
        uids = (await everything(one)).uids
        await one.copy("INBOX", uids, "Other")
        await one.move("INBOX", uids, "Other")
        assert sorted(map(sorted, await flags(one, "Other"))) == [
            ["$Forwarded"],
            ["$Forwarded"],
            ["Later", "Work", "\\Flagged"],
            ["Later", "Work", "\\Flagged"],
        ]
        infos = sorted(path.name.partition(":2,")[2] for path in (other / "cur").iterdir())
        assert infos == ["FXac", "FXac", "P", "P"]

    run(tmp_path, act)


@pytest.mark.parametrize("moving", [True, False])
def test_what_is_moved_or_copied_has_its_keywords_entered_where_it_goes(tmp_path: Path, *, moving: bool) -> None:
    root = maildir(tmp_path / "Mail")
    maildir(root / ".B")
    deliver(root, 1)

    async def act(one: MaildirSide) -> None:
        (uid,) = (await everything(one)).uids
        await one.set_flags("INBOX", [FlagChange([uid], WORK, NONE)])
        await (one.move if moving else one.copy)("INBOX", [uid], "B")
        assert await flags(one, "B") == [WORK]

    run(tmp_path, act)
    assert (root / ".B" / "dovecot-keywords").read_text() == "0 Work\n"  # Dovecot reads no other
    (root / "restante-keywords").unlink()
    (tmp_path / "state" / "index.db").unlink()
    assert run(tmp_path, lambda one: flags(one, "B")) == [WORK]


@pytest.mark.parametrize("data", [b"\xff\0garbage", b"restante-keywords 2\nletter a Work\n"])
def test_a_list_that_nobody_can_read_takes_no_keywords_off(tmp_path: Path, data: bytes) -> None:
    root = maildir(tmp_path / "Mail")
    deliver(root, 1, "a")
    (root / "restante-keywords").write_bytes(data)
    with pytest.raises(SideUnavailable, match="restante-keywords is damaged"):
        run(tmp_path, flags)
    (root / "restante-keywords").unlink()
    assert run(tmp_path, flags) == [NONE]


def test_what_gets_no_letter_is_kept_and_moved_and_copied(tmp_path: Path) -> None:
    async def write(one: MaildirSide) -> None:
        await one.create("Other", None)
        await one.add("INBOX", [message(1, MANY), message(2, NONE)])
        uids = list((await everything(one)).uids)
        await one.set_flags("INBOX", [FlagChange(uids[1:], MANY | WORK, NONE)])
        assert await flags(one) == [MANY, MANY | WORK]
        await one.copy("INBOX", uids[:1], "Other")
        await one.move("INBOX", uids[1:], "Other")
        other = (await everything(one, "Other")).uids
        await one.set_flags("Other", [FlagChange(other[1:], NONE, frozenset({"WORD29", "word00", "work"}))])

    async def look(one: MaildirSide) -> None:
        assert await flags(one) == [MANY]
        assert await flags(one, "Other") == [MANY, MANY - {"word29", "word00"}]

    run(tmp_path, write)
    run(tmp_path, look)


def test_a_change_without_a_letter_is_a_change(tmp_path: Path) -> None:
    async def act(one: MaildirSide) -> None:
        await one.add("INBOX", [message(1, MANY)])
        (before,), changes = await one.places(), await everything(one)
        await one.set_flags("INBOX", [FlagChange(changes.uids, frozenset({"overflowing"}), NONE)])
        assert (await one.places())[0].state != before.state
        assert (await one.changes("INBOX", changes.cursor)).flags == [MANY | {"overflowing"}]

    run(tmp_path, act)


def test_forwarded_is_a_keyword_where_dovecot_is(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    (root / "dovecot-uidlist").write_text("3 V1 N1 G0123456789abcdef0123456789abcdef\n")
    deliver(root, 1, "S")
    forwarded: Flags = frozenset({"$Forwarded"})

    async def act(one: MaildirSide) -> None:
        uids = (await everything(one)).uids
        await one.set_flags("INBOX", [FlagChange(uids, forwarded, NONE)])
        assert [path.name.partition(":2,")[2] for path in (root / "cur").iterdir()] == ["Sa"]
        assert await flags(one) == [{"\\Seen", "$Forwarded"}]
        await one.set_flags("INBOX", [FlagChange(uids, NONE, forwarded)])
        assert await flags(one) == [{"\\Seen"}]

    run(tmp_path, act)


def test_letters_of_no_meaning_stay(tmp_path: Path) -> None:
    root = maildir(tmp_path / "Mail")
    deliver(root, 1, "SXm")

    async def act(one: MaildirSide) -> None:
        uids = (await everything(one)).uids
        await one.set_flags("INBOX", [FlagChange(uids, frozenset({"\\Flagged"}), frozenset({"\\Seen"}))])
        assert [path.name.partition(":2,")[2] for path in (root / "cur").iterdir()] == ["FXm"]

    run(tmp_path, act)


# restante-keywords ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> int:
    return os.open(tmp_path, os.O_RDONLY)


def test_a_line_that_a_crash_cut_off_is_no_line(tmp_path: Path, folder: int) -> None:
    one = TreeKeywords(folder, SystemClock())
    one.set_letter("c", "Work")
    one.set_more({b"1.a": ["x", "y"], b"2.b": ["z"]})
    path = tmp_path / "restante-keywords"
    whole = path.read_bytes()
    assert whole == b"restante-keywords 1\nletter c Work\nmessage 2 x y 1.a\nmessage 1 z 2.b\n"
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        again = TreeKeywords(folder, SystemClock())
        assert again.more in ({}, {b"1.a": ("x", "y")})
        again.set_more({b"3.c d": ["w"]})
        assert TreeKeywords(folder, SystemClock()).more == {**again.more, b"3.c d": ("w",)}


def test_two_processes_add_to_it(folder: int) -> None:
    one, two = TreeKeywords(folder, SystemClock()), TreeKeywords(folder, SystemClock())
    for number in range(150):
        (one, two)[number % 2].set_more({b"%d" % (number % 10): [f"w{number}"]})
    one.refresh()
    two.refresh()
    assert one.more == two.more == {b"%d" % n: (f"w{140 + n}",) for n in range(10)}


def test_it_is_written_anew_before_it_grows_without_end(tmp_path: Path, folder: int) -> None:
    one = TreeKeywords(folder, SystemClock())
    for number in range(1000):
        one.set_more({b"name": [f"w{number}"]})
    assert len((tmp_path / "restante-keywords").read_bytes().splitlines()) < 110
    one.set_more({b"name": []})
    assert TreeKeywords(folder, SystemClock()).more == {}


# Locks ------------------------------------------------------------------------------------------------


class Clock(SystemClock):
    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


def test_a_lock_says_who_holds_it_and_goes(tmp_path: Path, folder: int) -> None:
    with dotlock(folder, "dovecot-uidlist", SystemClock().now):
        assert (tmp_path / "dovecot-uidlist.lock").read_text() == f"{os.getpid()}:{socket.gethostname()}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("holder", "ahead", "held"),
    [
        ("1:elsewhere.example", 0.0, True),
        ("1:elsewhere.example", 200.0, False),
        (f"4194305:{socket.gethostname()}", 0.0, False),  # past the largest process id
        (f"1:{socket.gethostname()}", 0.0, True),
        ("", 0.0, True),
        ("", 200.0, False),
    ],
)
def test_a_lock_is_overridden_where_its_holder_is_gone(
    tmp_path: Path, folder: int, holder: str, ahead: float, held: bool
) -> None:
    hasty = replace(DOVECOT, tries=3, pause=0.01)
    (tmp_path / "x.lock").write_text(holder)
    clock = Clock()
    clock.ahead = ahead
    if held:
        with pytest.raises(Locked), dotlock(folder, "x", clock.now, hasty):
            raise AssertionError
        assert (tmp_path / "x.lock").read_text() == holder
    else:
        with dotlock(folder, "x", clock.now, hasty):
            assert (tmp_path / "x.lock").read_text().startswith(str(os.getpid()))


def test_one_waits_for_the_other(tmp_path: Path, folder: int) -> None:
    inside, order = threading.Event(), []

    def first() -> None:
        with dotlock(folder, "x", SystemClock().now):
            inside.set()
            waiting.wait()
            order.append(1)

    waiting = threading.Event()
    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    waiting.set()
    with dotlock(folder, "x", SystemClock().now):
        order.append(2)
    thread.join()
    assert order == [1, 2]
