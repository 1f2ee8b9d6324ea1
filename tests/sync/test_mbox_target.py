"""An mbox file as a target: locked, whole or not at all, and recognised whatever other programs do with it."""

from __future__ import annotations

import asyncio
import mailbox
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from restante.sync import dotlock
from restante.sync.mbox_writer import MboxWriter
from restante.sync.model import Message
from restante.sync.pop3.identity import of_message
from restante.sync.pop3.mbox_target import MboxTarget
from restante.sync.pop3.settings import Report
from restante.sync.side import MailboxUnavailable, SideUnavailable

from .pop3_world import Client, Killed, Server, client, letter

AWKWARD = [
    letter("plain"),
    letter("from", "\r\nFrom here\r\n>From there\r\n>>From afar\r\n"),
    letter("fields", "x\r\n", trace="Status: RO\r\nContent-Length: 5\r\nX-Status: D\r\n"),
    letter("no end", "no line end"),
    letter("empty", ""),
    letter("lines", "\r\n\r\n\r\n"),
    letter("like", "From ann@example.org Mon Nov 23 12:00:00 2026\r\nSubject: inner\r\n\r\ntext\r\n"),
    b"Subject: no body\r\n",
    letter("8 bit", "\xe9\xff\r\n"),
]


def message(data: bytes) -> Message:
    return Message(0, data, frozenset(), 1_800_000_000)


def fetching(tmp_path: Path) -> tuple[Client, Path]:
    """Somebody who fetches into this file."""
    who, path = client(tmp_path / "state"), tmp_path / "mbox"
    who.other = MboxTarget(path)
    return who, path


def run(who: Client, server: Server) -> Report:
    return asyncio.run(who.fetch(server))


def test_awkward_messages_are_the_same_when_they_are_read(tmp_path: Path) -> None:
    async def work() -> None:
        target = MboxTarget(tmp_path / "mbox")
        await target.open()
        assert (await target.changes("INBOX", None)).uids.tolist() == []
        added = await target.add("INBOX", [message(data) for data in AWKWARD])
        found = await target.changes("INBOX", None)
        assert found.uids.tolist() == [one.uid for one in added]
        read = [one.data async for one in target.fetch("INBOX", found.uids)]
        for before, after in zip(AWKWARD, read, strict=True):
            one, two = of_message(before), of_message(after)
            assert (one.head, one.core, one.body) == (two.head, two.core, two.body)
        assert [one.mark for one in await target.outlines("INBOX", found.uids)] == [of_message(d).mark for d in AWKWARD]
        assert (await target.changes("INBOX", found.cursor)).uids.tolist() == []
        more = await target.add("INBOX", [message(letter("more"))])
        later = await target.changes("INBOX", found.cursor)
        assert (later.full, later.uids.tolist()) == (False, [more[0].uid])

    asyncio.run(work())
    others = [bytes(one) for one in mailbox.mbox(tmp_path / "mbox")]
    assert len(others) == len(AWKWARD) + 1


def test_mail_is_fetched_once_whatever_becomes_of_file_and_state(tmp_path: Path) -> None:
    (who, path), server = fetching(tmp_path), Server()
    for data in AWKWARD:
        server.put(data)
    assert run(who, server).downloaded == len(AWKWARD)
    assert run(who, server).downloaded == 0
    who.lose_state()
    report = run(who, server)
    assert (report.downloaded, report.recognised) == (0, len(AWKWARD))
    box = mailbox.mbox(path)  # another program takes the first away and marks all others read
    box.lock()
    for number, (key, one) in enumerate(list(box.items())):
        if number == 0:
            box.remove(key)
        else:
            one.set_flags("RO")
            box[key] = one
    box.flush()
    box.unlock()
    box.close()
    server.salt += 1
    server.put(letter("new"))
    assert run(who, server).downloaded == 1
    who.lose_state()
    assert run(who, server).downloaded == 1  # the one that was taken away
    assert len(mailbox.mbox(path)) == len(AWKWARD) + 1


def test_what_others_append_is_kept_and_recognised(tmp_path: Path) -> None:
    (who, path), server = fetching(tmp_path), Server()
    server.put(letter("one"))
    run(who, server)
    with path.open("ab") as stream:
        stream.write(b"From x Mon Nov 23 12:00:00 2026\nReceived: by y\n" + letter("two").replace(b"\r\n", b"\n"))
    server.put(letter("two"))
    server.put(letter("three"))
    report = run(who, server)
    assert (report.downloaded, report.recognised) == (1, 1)
    assert [one["Subject"] for one in mailbox.mbox(path)] == ["one", "two", "three"]


def test_a_file_that_is_no_mbox_is_left_alone(tmp_path: Path) -> None:
    (who, path), server = fetching(tmp_path), Server()
    server.put(letter("one"))
    path.write_bytes(b"my diary\n")
    with pytest.raises(SideUnavailable, match="is no mbox file"):
        run(who, server)
    assert path.read_bytes() == b"my diary\n"


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = MboxWriter(tmp_path / "mbox")
    writer.append([b"From a\nx: y\n\nz\n\n"])
    before = writer.path.read_bytes()
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if os.fstat(fd).st_ino == writer.path.stat().st_ino:
            if os.fstat(fd).st_size > len(before):
                raise OSError(28, "No space left on device")
            return real(fd, bytes(data)[:10])
        return real(fd, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SideUnavailable, match="No space left"):
        writer.append([b"From a\nx: y\n\n" + b"z" * 100 + b"\n\n"])
    assert writer.path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mbox"]


def test_a_folder_that_takes_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As /var/mail: what a kill left is cut off all the same."""
    path, journal = tmp_path / "mail" / "ann", tmp_path / "data" / "mbox.part"
    for folder in (path.parent, journal.parent):
        folder.mkdir()
    path.write_bytes(b"")
    write = os.write

    def killed(fd: int, data: bytes) -> int:
        if os.fstat(fd).st_ino == path.stat().st_ino:
            write(fd, data[:500])
            raise Killed
        return write(fd, data)

    async def work() -> None:
        target = MboxTarget(path, journal)
        await target.open()
        await target.add("INBOX", [message(data) for data in AWKWARD])

    monkeypatch.setattr(os, "access", lambda *_: False)
    with monkeypatch.context() as dying:
        dying.setattr(os, "write", killed)
        with pytest.raises(Killed):
            asyncio.run(work())
    assert list(path.parent.iterdir()) == [path]
    assert (path.stat().st_size, journal.exists()) == (500, True)
    asyncio.run(work())
    assert len(mailbox.mbox(path)) == len(AWKWARD)
    assert not journal.exists()


def test_a_journal_that_does_not_fit_keeps_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = MboxWriter(tmp_path / "mbox")
    writer.append([b"From a\nx: y\n\nz\n\n"])
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if os.fstat(fd).st_size > 20:
            raise OSError(28, "No space left on device")
        return real(fd, bytes(data)[:30])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SideUnavailable, match="No space left"):
        writer.append([b"From a\nx: y\n\n" + b"z" * 100 + b"\n\n"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mbox"]


def test_an_empty_line_always_separates(tmp_path: Path) -> None:
    for number, (end, starts) in enumerate(((b"", 2), (b"\n", 1), (b"\n\n", 0))):
        path = tmp_path / str(number)
        path.write_bytes(b"From a\nx: y\n\nz" + end)
        size = path.stat().st_size
        assert MboxWriter(path).append([b"From b\n\n\n"]) == [size + starts]
        assert path.read_bytes().endswith(b"z\n\nFrom b\n\n\n")


TEXTS = [b"From a\nx: y\n\none\n\n", b"From b\nx: y\n\ntwo\n\n"]


@pytest.mark.parametrize("gap", [b"", b"\n"])
def test_what_a_killed_process_left_is_cut_off(tmp_path: Path, gap: bytes) -> None:
    path = tmp_path / "mbox"
    old = b"From old\nx: y\n\nz\n\n"[: -len(gap) or None]
    whole = old + gap + b"".join(TEXTS)
    for written in range(len(whole) - len(old) + 1):
        path.write_bytes(whole[: len(old) + written])
        writer = MboxWriter(path)
        writer.journal.write_bytes(b"%d\n" % len(old) + gap + b"".join(TEXTS))
        writer.recover()
        assert path.read_bytes() == (old if len(old) + written < len(whole) else whole)
        assert not writer.journal.exists()


def test_others_mail_is_never_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "mbox"
    old = b"From old\nx: y\n\nz\n\n"
    for behind in (b"From other\n\n\n", TEXTS[0][:10] + b"From other\n\n\n", b"".join(TEXTS) + b"From other\n\n\n"):
        path.write_bytes(old + behind)
        writer = MboxWriter(path)
        writer.journal.write_bytes(b"%d\n" % len(old) + b"".join(TEXTS))
        writer.recover()
        assert path.read_bytes() == old + behind
    path.write_bytes(old[:5])
    writer.journal.write_bytes(b"%d\n" % len(old) + b"".join(TEXTS))
    writer.recover()
    assert path.read_bytes() == old[:5]


def test_locks_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = MboxWriter(tmp_path / "mbox")
    lock = tmp_path / "mbox.lock"
    looks = []

    def look(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            lock.unlink()

    monkeypatch.setattr(time, "sleep", look)
    lock.write_bytes(b"0\n")
    writer.append(TEXTS)
    assert len(looks) == 3
    assert not lock.exists()
    lock.write_bytes(b"0\n")
    with pytest.raises(MailboxUnavailable, match="another program"):
        writer.append(TEXTS)
    assert lock.exists()
    lock.unlink()
    code = "import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.lockf(f,2); print(flush=True); sys.stdin.read()"
    held = subprocess.Popen(
        [sys.executable, "-c", code, str(writer.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert held.stdout is not None
    held.stdout.readline()
    with pytest.raises(MailboxUnavailable, match="locked"):
        writer.append(TEXTS)
    held.communicate()
    assert not lock.exists()
    assert writer.path.read_bytes() == b"".join(TEXTS)


def test_a_lock_of_nobody_is_taken_away(tmp_path: Path) -> None:
    writer = MboxWriter(tmp_path / "mbox")
    lock = tmp_path / "mbox.lock"
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    lock.write_bytes(ended.stdout.strip() + b":" + os.uname().nodename.encode())
    writer.append(TEXTS[:1])
    lock.write_bytes(b"0\n")
    MboxWriter(writer.path, now=lambda: time.time() + dotlock.MBOX.stale + 100).append(TEXTS[1:])
    assert writer.path.read_bytes() == b"".join(TEXTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mbox"]


def test_two_writers_never_mix(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from restante.sync.mbox_writer import MboxWriter\n"
        "w = MboxWriter(Path(sys.argv[1]))\n"
        "for n in range(15):\n"
        " w.append([b'From %b %d\\nx: y\\n\\n' % (sys.argv[2].encode(), n) + b'z' * 50000 + b'\\n\\n'])"
    )
    path = str(tmp_path / "mbox")
    both = [subprocess.Popen([sys.executable, "-c", code, path, name]) for name in "ab"]
    assert [one.wait(60) for one in both] == [0, 0]
    starts = [line for line in (tmp_path / "mbox").read_bytes().split(b"\n") if line.startswith(b"From ")]
    assert Counter(line.split()[1] for line in starts) == {b"a": 15, b"b": 15}
    assert (tmp_path / "mbox").read_bytes().count(b"z" * 50000) == 30
