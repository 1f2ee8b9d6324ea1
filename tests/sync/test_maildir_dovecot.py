"""A real Dovecot serves the tree while we work on it: flags, keywords, sizes, dates and folders agree both ways."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from restante.sync.maildir import Layout, MaildirSide
from restante.sync.model import FlagChange, Flags, Message

from ..clients.differential.peers import IMAP, USER, Peer
from .maildirs import NONE, SEEN, everything, message, opened

pytestmark = [
    pytest.mark.client,
    pytest.mark.skipif(not IMAP.exists() or os.geteuid() != 0, reason="dovecot-imapd, run as root"),
]
LAYOUTS = {Layout.MAILDIRPP: "", Layout.PLAIN: ":LAYOUT=fs"}


class Dovecot(Peer):
    """A session that takes over what we wrote as root before each command."""

    root: Path

    def do(self, command: bytes) -> list[bytes]:
        for path in (self.root, *self.root.rglob("*")):
            if path.stat(follow_symlinks=False).st_uid == 0:
                shutil.chown(path, USER, "nogroup")
        lines = super().do(command)
        assert re.match(rb"d\d+ OK", lines[-1]), lines
        return lines

    def flags(self) -> dict[int, Flags]:
        """By the number in the subject, of the selected mailbox."""
        found = {}
        self.do(b"NOOP")
        for line in self.do(b"UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"):
            if number := re.search(rb"Subject: number (\d+)", line):
                words = re.search(rb"FLAGS \(([^)]*)\)", line)
                assert words is not None
                found[int(number[1])] = frozenset(w.decode() for w in words[1].split() if w != b"\\Recent")
        return found


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.value)
def layout(request: pytest.FixtureRequest) -> Layout:
    chosen: Layout = request.param
    return chosen


@pytest.fixture
def home(layout: Layout) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="restante-dovecot-"))  # pytest's own folders are closed to other users
    folder.chmod(0o755)
    # As Dovecot has it in LAYOUT=fs: INBOX is the root.
    (folder / "dovecot.conf").write_text(
        f"mail_location = maildir:{folder}/Mail{LAYOUTS[layout]}\nbase_dir = {folder}/run\nssl = no\n"
        "mailbox_list_index = no\n"  # which looks at a folder once a second only
        f"mail_uid = {USER}\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nmail_gid = nogroup\n"
        "namespace inbox {\n  inbox = yes\n  separator = /\n}\n"
    )
    (folder / "Mail").mkdir()
    yield folder
    shutil.rmtree(folder)


@contextmanager
def session(home: Path) -> Iterator[Dovecot]:
    with (home / "stderr").open("wb") as errors:
        for path in (home, home / "Mail", home / "dovecot.conf"):
            shutil.chown(path, USER, "nogroup")
        with subprocess.Popen(
            [str(IMAP), "-c", str(home / "dovecot.conf")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={"HOME": str(home), "USER": USER, "PATH": "/usr/sbin:/usr/bin"},
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            peer = Dovecot(process.stdin, process.stdout)  # type: ignore[arg-type]  # pipes opened for octets
            peer.root = home / "Mail"
            assert process.stdout.readline().startswith(b"* PREAUTH")
            yield peer
            process.stdin.close()
            process.wait(20)
    said = (home / "stderr").read_text()
    assert not re.search("Error|Warning|Panic|Fatal|Fixed", said), said


def append(peer: Peer, number: int, flags: str = "", mailbox: str = "INBOX") -> None:
    data = message(number).data
    peer.do(f"APPEND {mailbox} ({flags}) {{{len(data)}}}\r\n".encode() + data)


async def ours(one: MaildirSide, name: str = "INBOX") -> dict[int, Flags]:
    """Flags by the number in the subject."""
    changes = await everything(one, name)
    flags = dict(zip(changes.uids, changes.flags, strict=True))
    found = {}
    async for each in one.fetch(name, changes.uids):
        number = re.search(rb"Subject: number (\d+)", each.data)
        assert number is not None
        found[int(number[1])] = flags[each.uid]
    return found


async def uid_of(one: MaildirSide, wanted: int, name: str = "INBOX") -> list[int]:
    uids = (await everything(one, name)).uids
    return [m.uid async for m in one.fetch(name, uids) if f"number {wanted}\r\n".encode() in m.data]


def test_what_we_file_dovecot_serves_as_it_is(home: Path, layout: Layout) -> None:
    mails = [message(1, SEEN), message(2), Message(0, b"Subject: number 3\r\n\r\na\rb\r\r\nc\r\n", NONE, 1_000_000_000)]

    async def act() -> None:
        async with opened(home, layout=layout, inbox="") as one:
            await one.add("INBOX", mails)
            with session(home) as peer:
                peer.do(b"SELECT INBOX")
                lines = peer.do(b"UID FETCH 1:* (INTERNALDATE RFC822.SIZE FLAGS BODY.PEEK[])")
                for mail in mails:
                    (line,) = [line for line in lines if mail.data in line]
                    assert b"RFC822.SIZE %d " % len(mail.data) in line
                assert sum(b"09-Sep-2001 01:46:40 +0000" in line for line in lines) == 1

    asyncio.run(act())


def test_flags_and_keywords_go_both_ways_in_living_sessions(home: Path, layout: Layout) -> None:
    """Dovecot keeps keyword tables in memory: what we enter has to reach it, and its letters us, without a clash."""

    async def act() -> None:
        async with opened(home, layout=layout, inbox="") as one:
            with session(home) as peer:
                append(peer, 1, r"\Seen First")
                append(peer, 2)
                peer.do(b"SELECT INBOX")
                assert await ours(one) == {1: {"\\Seen", "First"}, 2: NONE}
                for number in range(3, 9):
                    await one.set_flags(
                        "INBOX",
                        [FlagChange(await uid_of(one, 2), frozenset({f"Ours{number}"}), frozenset({"\\Seen"}))],
                    )
                    assert f"Ours{number}" in peer.flags()[2]
                    peer.do(f"STORE 1 +FLAGS (Theirs{number})".encode())
                    assert f"Theirs{number}" in (await ours(one))[1]
                expected = {
                    1: {"\\Seen", "First", *(f"Theirs{n}" for n in range(3, 9))},
                    2: {f"Ours{n}" for n in range(3, 9)},
                }
                assert await ours(one) == expected
                assert peer.flags() == expected
            with session(home) as peer:  # by its files alone
                peer.do(b"SELECT INBOX")
                assert peer.flags() == expected

    asyncio.run(act())


def test_moves_copies_and_removals_go_both_ways(home: Path, layout: Layout) -> None:
    async def act() -> None:
        async with opened(home, layout=layout, inbox="") as one:
            with session(home) as peer:
                peer.do(b"CREATE Work")
                for number in range(1, 7):
                    append(peer, number, f"Key{number}")
                peer.do(b"SELECT INBOX")
                peer.do(b"MOVE 1 Work")
                peer.do(b"COPY 1 Work")
                assert await ours(one) == {n: {f"Key{n}"} for n in (2, 3, 4, 5, 6)}
                assert await ours(one, "Work") == {n: {f"Key{n}"} for n in (1, 2)}
                await one.move("INBOX", await uid_of(one, 3), "Work")
                await one.copy("INBOX", await uid_of(one, 4), "Work")
                await one.remove("INBOX", await uid_of(one, 5))
                assert peer.flags() == {n: {f"Key{n}"} for n in (2, 4, 6)}
                peer.do(b"SELECT Work")
                assert peer.flags() == {n: {f"Key{n}"} for n in (1, 2, 3, 4)}
                peer.do(rb"STORE 1 +FLAGS (\Deleted)")
                peer.do(b"EXPUNGE")
                assert sorted(await ours(one, "Work")) == [2, 3, 4]

    asyncio.run(act())


def test_mailboxes_and_subscriptions_go_both_ways(home: Path, layout: Layout) -> None:
    async def listed(one: MaildirSide) -> dict[str, bool]:
        return {place.name: place.subscribed for place in await one.places() if place.selectable}

    async def act() -> None:
        async with opened(home, layout=layout, inbox="") as one:
            with session(home) as peer:
                peer.do(b"CREATE Gr&APwA3w-e/Deep")
                peer.do(b"SUBSCRIBE Gr&APwA3w-e/Deep")
                peer.do(b"CREATE Plain")
                assert await listed(one) == {"INBOX": False, "Plain": False, "Grüße/Deep": True}
                await one.create("Ours/Über", None)
                await one.subscribe("Ours/Über", True)
                await one.subscribe("Grüße/Deep", False)
                lines = peer.do(b'LIST "" "*" RETURN (SUBSCRIBED)')
                names = {line.rsplit(b'"/" ', 1)[1].strip().strip(b'"'): b"Subscribed" in line for line in lines[:-1]}
                assert names[b"Ours/&ANw-ber"] is True
                assert names[b"Gr&APwA3w-e/Deep"] is False
                before = {place.name: place.id for place in await one.places()}
                peer.do(b"RENAME Plain Other")
                after = {place.name: place.id for place in await one.places()}
                assert after["Other"] == before["Plain"]
                await one.rename("Other", "Third")
                peer.do(b"SELECT Third")
                peer.do(b"CLOSE")
                peer.do(b"DELETE Third")
                assert "Third" not in await listed(one)
                await one.delete("Ours/Über")
                assert not [line for line in peer.do(b'LIST "" "Ours/*"')[:-1] if b"ber" in line]

    asyncio.run(act())


def test_dovecots_own_files_are_not_written(home: Path, layout: Layout) -> None:
    async def act() -> None:
        with session(home) as peer:
            append(peer, 1, "Work")
        before = {p.name: p.read_bytes() for p in (home / "Mail").glob("dovecot*") if p.is_file()}
        assert "dovecot-uidlist" in before
        async with opened(home, layout=layout, inbox="") as one:
            await one.set_flags("INBOX", [FlagChange(await uid_of(one, 1), frozenset({"\\Flagged"}), NONE)])
            await one.add("INBOX", [message(2, frozenset({"Work"}))])
        assert {p.name: p.read_bytes() for p in (home / "Mail").glob("dovecot*") if p.is_file()} == before

    asyncio.run(act())
