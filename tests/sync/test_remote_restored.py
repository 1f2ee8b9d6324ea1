"""A server in a state before the one it was seen in, UIDVALIDITY and all: restored from a backup, most likely."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from restante.clock import ManualClock
from restante.sync.engine import look, run
from restante.sync.remote import RemoteSide
from restante.sync.settings import CopySettings, Report
from restante.sync.state import State

from .memory import Disk, MemorySide
from .remote_script import Bare, Script, Session
from .scripted import message, on


class Telling(Bare):
    """Tells UIDNEXT, and HIGHESTMODSEQ where `modseq` is not 0. reckons: UIDNEXT by what is there, as some do."""

    reckons = False

    def __init__(self, modseq: int = 0) -> None:
        super().__init__()
        self.modseq = modseq
        self.offers = b" CONDSTORE" if modseq else b""

    def _next(self) -> int:
        return max(self.boxes[b"INBOX"], default=0) + 1 if self.reckons else self.next[b"INBOX"]

    def do_select(self, session: Session, rest: bytes) -> bytes:
        told = b"* OK [UIDNEXT %d] x\r\n" % self._next()
        told += b"* OK [HIGHESTMODSEQ %d] x\r\n" % self.modseq if self.modseq else b""
        return told + super().do_select(session, rest)

    def do_status(self, session: Session, rest: bytes) -> bytes:
        if not self.modseq:
            return super().do_status(session, rest)
        numbers = (self.validity[b"INBOX"], self.modseq, len(self.boxes[b"INBOX"]))
        return b"* STATUS INBOX (UIDVALIDITY %d HIGHESTMODSEQ %d MESSAGES %d)\r\n" % numbers

    def do_uid_fetch(self, session: Session, rest: bytes) -> bytes:
        _, since, number = rest.rstrip(b")").partition(b"CHANGEDSINCE ")
        if since and int(number) >= self.modseq:
            return b""
        return re.sub(rb'UID (\d+) ([^"\r]*"17-Jul-1996 02:)44', self._dated, super().do_uid_fetch(session, rest))

    def _dated(self, match: re.Match[bytes]) -> bytes:
        """Each message has a date of its own."""
        octets = self.boxes[b"INBOX"][int(match[1])][1]
        return b"UID %b %b%02d" % (match[1], match[2], octets.count(b"y") % 60)

    def deliver(self, first: int, last: int) -> None:
        for number in range(first, last + 1):
            self.put(b"INBOX", message(number).data + b"y" * number)

    def forget(self, first: int) -> None:
        """Back to the state in which that UID was given out next."""
        box = self.boxes[b"INBOX"]
        for uid in [uid for uid in box if uid >= first]:
            del box[uid]
        self.next[b"INBOX"] = first


def copied(disk: Disk) -> list[int]:
    return sorted(int(one.data.split()[1]) for one in disk.boxes["INBOX"].messages.values())


def sync(bare: Bare, disk: Disk, folder: Path) -> Report:
    async def act(side: RemoteSide, script: Script) -> Report:
        state = State.open(folder / "state.db")
        try:
            return await run(CopySettings(), side, MemorySide(disk), state, ManualClock())
        finally:
            state.close()

    return on(bare, act)


@pytest.mark.parametrize("modseq", [0, 500])
@pytest.mark.parametrize("came", [0, 3, 5])
def test_what_comes_under_uids_that_were_others_is_copied_and_those_are_held(
    tmp_path: Path, modseq: int, came: int
) -> None:
    bare, disk = Telling(modseq), Disk()
    bare.deliver(1, 20)
    assert sync(bare, disk, tmp_path).two.added == 20
    bare.forget(16)
    bare.modseq = modseq // 2
    bare.deliver(101, 100 + came)
    if came == 5 and not modseq:
        return  # nothing shows it
    report = sync(bare, disk, tmp_path)
    if came or modseq:
        assert [(one.reason, one.messages) for one in report.held] == [("renumbered", 5)]
        assert copied(disk) == [*range(1, 21), *range(101, 101 + came)]
    else:
        assert copied(disk) == [*range(1, 16)]  # as if somebody had removed them
    assert sync(bare, disk, tmp_path).changed == 0
    assert len(bare.boxes[b"INBOX"]) == 15 + came


def test_a_server_that_reckons_uidnext_by_what_is_there_removes_as_any_other(tmp_path: Path) -> None:
    bare, disk = Telling(), Disk()
    bare.reckons = True
    bare.deliver(1, 20)
    sync(bare, disk, tmp_path)
    del bare.boxes[b"INBOX"][20]
    report = sync(bare, disk, tmp_path)
    assert (report.two.removed, report.held) == (1, ())
    bare.deliver(21, 21)
    assert sync(bare, disk, tmp_path).two.added == 1
    assert copied(disk) == [*range(1, 20), 21]


def test_flags_are_seen_on_a_server_whose_modification_sequence_has_begun_anew(tmp_path: Path) -> None:
    """Dovecot's does where its indexes were lost: the counts alone show nothing."""
    bare, disk = Telling(500), Disk()
    bare.deliver(1, 3)
    sync(bare, disk, tmp_path)
    bare.modseq = 4
    bare.boxes[b"INBOX"][2][0].add(b"\\Flagged")
    report = sync(bare, disk, tmp_path)
    assert (report.two.flagged, report.held) == (1, ())
    assert sync(bare, disk, tmp_path).changed == 0


def test_a_server_that_alters_headers_has_given_no_uid_to_another_message(tmp_path: Path) -> None:
    bare, disk = Telling(500), Disk()
    bare.deliver(1, 3)
    sync(bare, disk, tmp_path)
    bare.modseq = 4
    flags, octets = bare.boxes[b"INBOX"][3]
    bare.boxes[b"INBOX"][3] = flags, octets.replace(b"Subject: 3", b"Subject: 4")
    report = sync(bare, disk, tmp_path)
    assert (report.changed, report.held) == (0, ())


def test_of_a_large_mailbox_the_newest_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "SAMPLE", 3)
    bare, disk = Telling(), Disk()
    bare.deliver(1, 20)
    sync(bare, disk, tmp_path)
    bare.forget(16)
    bare.deliver(101, 103)
    report = sync(bare, disk, tmp_path)
    assert [(one.reason, one.messages) for one in report.held] == [("renumbered", 5)]


class Quick(Telling):
    """One that tells what changed where the mailbox is opened: nothing is above the number that it is asked from."""

    def __init__(self) -> None:
        super().__init__(500)
        self.offers = b" ENABLE CONDSTORE QRESYNC"

    def do_enable(self, session: Session, rest: bytes) -> bytes:
        return b"* ENABLED CONDSTORE QRESYNC\r\n"


@pytest.mark.parametrize("came", [0, 5, 9])  # 5: as many as there were
def test_a_server_with_qresync_that_was_restored_is_not_believed_to_have_no_changes(tmp_path: Path, came: int) -> None:
    bare, disk = Quick(), Disk()
    bare.deliver(1, 20)
    assert sync(bare, disk, tmp_path).two.added == 20
    bare.forget(16)
    bare.modseq = 250
    bare.deliver(101, 100 + came)
    report = sync(bare, disk, tmp_path)
    assert [(one.reason, one.messages) for one in report.held] == [("renumbered", 5)]
    assert copied(disk) == [*range(1, 21), *range(101, 101 + came)]
    assert sync(bare, disk, tmp_path).changed == 0


@pytest.mark.parametrize("server", [Telling, partial(Telling, 500), Quick], ids=["plain", "condstore", "qresync"])
@pytest.mark.parametrize("came", [5, 8])
def test_a_restored_server_that_has_come_further_is_known_by_its_newest_messages(
    tmp_path: Path, server: Callable[[], Telling], came: int
) -> None:
    bare, disk = server(), Disk()
    bare.deliver(1, 20)
    sync(bare, disk, tmp_path)
    bare.forget(16)
    bare.deliver(101, 100 + came)
    if came == 5:  # nothing shows it, until there is one more
        assert sync(bare, disk, tmp_path).changed == 0
        came = 6
        bare.deliver(106, 106)
    bare.modseq += 10 * bool(bare.modseq)
    report = sync(bare, disk, tmp_path)
    assert [(one.reason, one.messages) for one in report.held] == [("renumbered", 5)]
    assert copied(disk) == [*range(1, 21), *range(101, 101 + came)]
    assert sync(bare, disk, tmp_path).changed == 0


def test_new_mail_comes_to_a_server_that_has_written_headers_anew(tmp_path: Path) -> None:
    bare, disk = Telling(500), Disk()
    bare.deliver(1, 3)
    sync(bare, disk, tmp_path)
    flags, octets = bare.boxes[b"INBOX"][3]
    bare.boxes[b"INBOX"][3] = flags, octets.replace(b"Subject: 3", b"Subject: three")
    bare.modseq += 1
    bare.deliver(4, 4)
    report = sync(bare, disk, tmp_path)
    assert (report.changed, report.held) == (1, ())
