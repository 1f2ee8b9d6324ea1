"""People come from Dovecot and go back to it: a real Dovecot serves what we write, and we read what it left."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.exchange.export import export_mail
from restante.store.interface import Store
from restante.store.model import Column

from .store import ALL, account, load, picture
from .test_round_trip import rich, text

IMAP = Path("/usr/lib/dovecot/imap")
POP3 = Path("/usr/lib/dovecot/pop3")
USER = "nobody"  # Dovecot serves no mail as root

pytestmark = pytest.mark.skipif(
    not IMAP.exists() or not POP3.exists() or os.geteuid() != 0, reason="dovecot-imapd and dovecot-pop3d, run as root"
)


class Dovecot:
    """Dovecot's imap and pop3 programs on one Maildir, already logged in; no daemon, no port."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.maildir = home / "Maildir"
        (home / "dovecot.conf").write_text(
            f"mail_location = maildir:{self.maildir}\nbase_dir = {home}/run\nssl = no\n"
            f"mail_uid = {USER}\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nmail_gid = nogroup\n"
            "namespace inbox {\n  inbox = yes\n  separator = /\n}\n"
        )

    def run(self, program: Path, *commands: bytes) -> list[bytes]:
        for path in (self.home, *self.home.rglob("*")):
            shutil.chown(path, USER, "nogroup")
        done = subprocess.run(
            [str(program), "-c", str(self.home / "dovecot.conf")],
            input=b"".join(command + b"\r\n" for command in commands),
            capture_output=True,
            timeout=60,
            check=False,
            env={"HOME": str(self.home), "USER": USER, "PATH": "/usr/sbin:/usr/bin"},
        )
        assert b"Fatal" not in done.stderr, done.stderr
        return done.stdout.split(b"\r\n")


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    home = Path(tempfile.mkdtemp(prefix="restante-dovecot-"))  # pytest's own folders are closed to other users
    yield Dovecot(home)
    shutil.rmtree(home)


def test_dovecot_serves_an_export_with_the_same_numbers(dovecot: Dovecot, tmp_path: Path) -> None:
    async def work() -> tuple[list[bytes], list[bytes]]:
        await rich(tmp_path / "one")
        async with account(tmp_path / "one") as store:
            await export_mail(store, dovecot.maildir)
            return await fetched(store), [f"{n} {m.uidl}".encode() for n, m in enumerate(await store.maildrop(), 1)]

    expected, uidls = asyncio.run(work())
    lines = dovecot.run(
        IMAP, b'a LIST "" *', b'b LSUB "" *', b"c SELECT INBOX", b"d FETCH 1:3 (UID FLAGS RFC822.SIZE)", b"e LOGOUT"
    )
    assert b'* LIST (\\HasNoChildren) "/" "Gel&APY-scht &- Co/&ZeVnLIqe-"' in lines
    assert [line for line in lines if line.startswith(b"* LSUB")] == [
        b'* LSUB () "/" INBOX',
        b'* LSUB () "/" Work/2026_07',
    ]
    assert b"* OK [UIDVALIDITY 1800000000] UIDs valid" in lines
    assert b"* OK [UIDNEXT 35] Predicted next UID" in lines
    assert [line for line in lines if b"FETCH (" in line] == expected[:3]
    assert [line for line in dovecot.run(POP3, b"UIDL", b"QUIT") if re.match(rb"\d+ ", line)] == uidls


async def fetched(store: Store) -> list[bytes]:
    """INBOX as Dovecot would tell it."""
    inbox = await store.mailbox("INBOX")
    assert inbox is not None
    table = await store.flag_table()
    found = []
    for n, (uid, flags, content) in enumerate(
        await store.rows(inbox.key, ALL, (Column.FLAGS, Column.CONTENT), 1000), 1
    ):
        names = [b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Seen", b"\\Draft"]
        wire = table[int(str(flags))].wire.split()
        ordered = [name for name in names if name in wire] + [name for name in wire if name not in names]
        data = await store.read_content(int(str(content)))
        size = len(data) + data.count(b"\n") - data.count(b"\r\n")
        found.append(b"* %d FETCH (UID %d FLAGS (%s) RFC822.SIZE %d)" % (n, int(str(uid)), b" ".join(ordered), size))
    return found


def test_what_dovecot_changed_comes_back_with_the_same_identities(dovecot: Dovecot, tmp_path: Path) -> None:
    async def out() -> dict[str, object]:
        await rich(tmp_path / "one")
        async with account(tmp_path / "one") as store:
            await export_mail(store, dovecot.maildir)
            return await picture(store)

    async def back() -> dict[str, object]:
        async with account(tmp_path / "two") as store:
            await load(dovecot.maildir, store)
            return await picture(store)

    before = asyncio.run(out())
    new = text(500)
    dovecot.run(
        IMAP,
        b"a SELECT INBOX",
        b"b UID STORE 2 +FLAGS.SILENT (\\Answered key05)",
        b"c UID STORE 1 -FLAGS.SILENT (\\Flagged)",
        b'd APPEND INBOX "01-Jan-2020 00:00:00 +0000" {%d+}' % len(new),
        new,
        b"e LOGOUT",
    )
    after = asyncio.run(back())
    old_inbox, inbox = before["INBOX"], after["INBOX"]
    assert isinstance(old_inbox, tuple)
    assert isinstance(inbox, tuple)
    assert inbox[1:3] == (old_inbox[1], 36)
    assert inbox[4][0][1].wire == b"\\Seen $Forwarded"
    assert inbox[4][1][1].wire == b"\\Answered key05"
    assert inbox[4][34][0] == 35
    assert inbox[4][34][2] == 1_577_836_800
    assert [row[4:6] for row in inbox[4][:34]] == [row[4:6] for row in old_inbox[4]]
    assert [row[1] for row in inbox[4][2:34]] == [row[1] for row in old_inbox[4][2:]]


def test_the_uidls_that_dovecot_gave_stay(dovecot: Dovecot, tmp_path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (dovecot.maildir / name).mkdir(parents=True)
    (dovecot.maildir / "cur" / "1276528487.M1P1.host:2,S").write_bytes(text(1))
    (dovecot.maildir / "new" / "1276528488.M1P1.host").write_bytes(text(2).replace(b"\r\n", b"\n"))
    told = [line for line in dovecot.run(POP3, b"UIDL", b"QUIT") if re.match(rb"\d+ ", line)]

    async def back() -> list[bytes]:
        async with account(tmp_path / "two") as store:
            await load(dovecot.maildir, store)
            return [f"{n} {each.uidl}".encode() for n, each in enumerate(await store.maildrop(), 1)]

    assert len(told) == 2
    assert asyncio.run(back()) == told
