"""Real moves: from Debian's Dovecot to a store and to a server of ours, back to Dovecot, with POP3 clients."""

from __future__ import annotations

import imaplib
import json
import poplib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from restante.cli.main import restante
from restante.cli.statuses import Exit
from restante.testing.server import RestanteServer
from tests.clients.support import until

from .dovecot_pop3 import OWNER, PASSWORD, USER, Dovecot, available, dovecot

pytestmark = pytest.mark.skipif(
    not available() or not Path("/usr/lib/dovecot/imap").exists(), reason="dovecot-imapd and dovecot-pop3d, run as root"
)

NEW = "ann@new.example"
NEW_PASSWORD = "another secret"
DATES = ("01-Feb-2021 10:20:30 +0000", "03-Mar-2022 04:05:06 +0100", "31-Dec-1999 23:59:59 +0000")


def text(number: int, size: int = 100) -> bytes:
    head = f"From: a@move.example\r\nTo: b@move.example\r\nSubject: number {number}\r\n"
    head += f"Message-ID: <{number}@move.example>\r\nDate: Sat, 1 Jan 2022 00:00:00 +0000\r\n\r\n"
    return head.encode() + b"x" * size + "\r\nGr\u00fc\u00dfe\r\n".encode()


@contextmanager
def old_home() -> Iterator[tuple[Dovecot, int]]:
    """A Dovecot with IMAP too, and its port."""
    more = (
        "namespace inbox {\n  separator = /\n"
        "  mailbox Gesendet {\n    special_use = \\Sent\n    auto = create\n  }\n}\n"
    )
    with dovecot(more, also="imap") as server:
        yield server, server.also


@contextmanager
def imap(port: int, user: str = USER, password: str = PASSWORD) -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4("127.0.0.1", port) as client:
        client.login(user, password)
        yield client


def fill(port: int) -> None:
    """INBOX with twins and gaps, a tree, a mailbox of sent mail, a name beyond ASCII."""
    with imap(port) as client:
        for number in range(12):
            flags = ("", "(\\Seen)", "(\\Seen \\Answered $Forwarded)", "(\\Flagged work)")[number % 4]
            client.append("INBOX", flags, f'"{DATES[number % 3]}"', text(number % 11))
        client.select("INBOX")
        client.store("4", "+FLAGS", "(\\Deleted)")
        client.expunge()
        for name in ("Work", "Work/2026", "Gel&APY-scht"):
            assert client.create(name)[0] == "OK"
            client.subscribe(name)
        for number in range(20, 25):
            client.append("Work/2026", "(\\Seen)", f'"{DATES[0]}"', text(number, 5000))
        client.append("Gesendet", "(\\Seen)", f'"{DATES[1]}"', text(30))
        client.append("Gel&APY-scht", "", f'"{DATES[1]}"', text(31))


def picture(client: imaplib.IMAP4, name: str) -> list[tuple[frozenset[bytes], tuple[int, ...], bytes]]:
    """Flags, date, octets of a mailbox, in its order."""
    assert client.select(f'"{name}"', readonly=True)[0] == "OK", name
    found = []
    for item in client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]:
        if isinstance(item, tuple):
            flags = frozenset(imaplib.ParseFlags(item[0])) - {b"\\Recent"}
            date = imaplib.Internaldate2tuple(item[0])
            assert date is not None
            found.append((flags, tuple(date)[:6], item[1]))
    return found


NAMES = {"INBOX": "INBOX", "Work/2026": "Work/2026", "Gesendet": "Sent", "Gel&APY-scht": "Gel&APY-scht"}


def uidls(port: int, user: str, password: str) -> list[tuple[bytes, bytes]]:
    """Of each message its UIDL and octets."""
    client = poplib.POP3("127.0.0.1", port)
    try:
        client.user(user)
        client.pass_(password)
        return [
            (line.split()[1], b"\r\n".join(client.retr(int(line.split()[0]))[1]) + b"\r\n") for line in client.uidl()[1]
        ]
    finally:
        client.quit()


class Cli:
    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.password = folder / "password"
        self.password.write_text(PASSWORD + "\n")
        self.password.chmod(0o600)
        self.state = folder / "state.db"

    def __call__(self, *args: str, stdin: bytes = b"", status: Exit = Exit.OK) -> Any:
        result = CliRunner().invoke(restante, ["--data", str(self.data), *args], input=stdin, catch_exceptions=False)
        assert result.exit_code == status, result.output
        return json.loads(result.stdout) if "--json" in args else result

    def account(self) -> None:
        self("domain", "add", "new.example")
        self("account", "add", NEW, "--password-stdin", stdin=NEW_PASSWORD.encode() + b"\n")

    def old(self, port: int, prefix: str = "from") -> list[str]:
        return [
            *(f"--{prefix}-imap", f"127.0.0.1:{port}", f"--{prefix}-no-tls", f"--{prefix}-user", USER),
            *(f"--{prefix}-password-file", str(self.password)),
        ]

    def migrate(self, *args: str, status: Exit = Exit.OK) -> Any:
        return self("migrate", *args, "--state", str(self.state), "--json", status=status)

    @property
    def proof(self) -> str:
        return str(self.state.with_suffix(".proof.jsonl"))


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    made = Cli(tmp_path)
    made.account()
    return made


@contextmanager
def new_home(cli: Cli) -> Iterator[RestanteServer]:
    with RestanteServer(cli.data) as server:
        yield server


def test_from_dovecot_into_a_store_pop3_clients_notice_nothing(cli: Cli) -> None:
    with old_home() as (server, port):
        until(lambda: connects(port), lambda: "no IMAP")
        fill(port)
        before = uidls(server.port, USER, PASSWORD)
        to = ("--to-store", NEW)
        pop3 = ("--pop3", f"127.0.0.1:{server.port}", "--pop3-no-tls")
        report = cli.migrate(*cli.old(port), *to, *pop3)
        assert report["aside"] == []
        assert report["counts"]["messages"] == report["counts"]["same"] == 18
        assert sum(each["uidls"] for each in report["mailboxes"]) == 11
        with new_home(cli) as home:
            assert uidls(home.pop3, NEW, NEW_PASSWORD) == before
            with imap(port) as old, imap(home.imap, NEW, NEW_PASSWORD) as new:
                for name, theirs in NAMES.items():
                    assert picture(new, theirs) == picture(old, name), name
                assert {line.rsplit(b" ", 1)[1].strip(b'"') for line in new.lsub()[1]} >= {
                    b"Work/2026",
                    b"Gel&APY-scht",
                }
        again = cli.migrate(*cli.old(port), *to, *pop3)
        assert sum(each["copied"] for each in again["mailboxes"]) == 0
        cli.state.unlink()
        again = cli.migrate(*cli.old(port), *to)
        assert [each["copied"] for each in again["mailboxes"]] == [0] * len(again["mailboxes"])
        assert again["counts"]["same"] == 18
        found = cli("migrate", "verify", cli.proof, *to, *cli.old(port), "--json")
        assert {side: (each["same"], each["findings"]) for side, each in found.items()} == {
            "to": (18, []),
            "from": (18, []),
        }


def test_from_our_server_to_dovecot_and_verify_tells_what_was_done_there(cli: Cli, tmp_path: Path) -> None:
    with old_home() as (server, port), new_home(cli) as home:
        until(lambda: connects(port), lambda: "no IMAP")
        with imap(home.imap, NEW, NEW_PASSWORD) as client:
            for number in range(8):
                client.append("INBOX", ("", "(\\Seen work)")[number % 2], f'"{DATES[number % 3]}"', text(number))
            client.append("Sent", "(\\Seen)", f'"{DATES[0]}"', text(30))
        other = tmp_path / "other"
        other.write_text(NEW_PASSWORD)
        other.chmod(0o600)
        source = ["--from-imap", f"localhost:{home.imaps}", "--from-user", NEW, "--from-password-file", str(other)]
        source += ["--from-certificate", str(home.certificate)]
        report = cli.migrate(*source, *cli.old(port, "to"))
        assert report["aside"] == []
        assert report["counts"]["messages"] == report["counts"]["same"] == 9
        with imap(port) as old, imap(home.imap, NEW, NEW_PASSWORD) as new:
            assert picture(old, "INBOX") == picture(new, "INBOX")
            assert picture(old, "Gesendet") == picture(new, "Sent")
            again = cli.migrate(*source, *cli.old(port, "to"))
            assert sum(each["copied"] for each in again["mailboxes"]) == 0
            old.select("INBOX")
            old.uid("STORE", "1", "+FLAGS", "(\\Flagged)")
            old.uid("STORE", "2", "+FLAGS", "(\\Deleted)")
            old.expunge()
            old.uid("COPY", "3", "Gesendet")
            old.uid("STORE", "3", "+FLAGS", "(\\Deleted)")
            old.expunge()
        (file,) = [file for file in server.files() if b"number 4" in file.read_bytes()]
        times = file.stat()
        file.write_bytes(file.read_bytes().replace(b"xxxx", b"xxyx", 1))
        assert file.stat().st_size == times.st_size
        found = cli("migrate", "verify", cli.proof, *cli.old(port, "to"), "--json", status=Exit.FINDINGS)
        kinds = {each["uid"]: each["kind"] for each in found["to"]["findings"] if each["mailbox"] == "INBOX"}
        assert {uid: kind for uid, kind in kinds.items() if kind != "date"} == {
            1: "flags",
            2: "missing",
            3: "moved",
            5: "content",
        }
        words = cli("migrate", "verify", cli.proof, *cli.old(port, "to"), status=Exit.FINDINGS)
        assert "missing INBOX UID 2 (source UID 2)" in words.stderr


@pytest.mark.parametrize("served", [False, True], ids=["new-folder", "dovecot-was-there"])
def test_uidls_go_into_a_maildir_that_dovecot_serves(cli: Cli, served: bool) -> None:
    with old_home() as (server, port), dovecot() as next_server:
        until(lambda: connects(port), lambda: "no IMAP")
        fill(port)
        if served:
            next_server.deliver("1.M1P1.own", text(50))
        own = uidls(next_server.port, USER, PASSWORD)
        before = uidls(server.port, USER, PASSWORD)
        pop3 = ("--pop3", f"127.0.0.1:{server.port}", "--pop3-no-tls")
        cli.migrate(*cli.old(port), "--to-maildir", str(next_server.maildir), "--only", "INBOX", *pop3)
        hand_over(next_server.maildir)
        after = uidls(next_server.port, USER, PASSWORD)
        assert sorted(after) == sorted([*own, *before])
        assert [each for each in after if each not in own] == before
        with imap(port) as client:
            client.append("INBOX", "", f'"{DATES[0]}"', text(99))
        before = uidls(server.port, USER, PASSWORD)
        cli.migrate(*cli.old(port), "--to-maildir", str(next_server.maildir), "--only", "INBOX", *pop3)
        hand_over(next_server.maildir)
        assert sorted(uidls(next_server.port, USER, PASSWORD)) == sorted([*own, *before])
        found = cli("migrate", "verify", cli.proof, "--to-maildir", str(next_server.maildir), "--json")
        assert (found["to"]["same"], found["to"]["findings"]) == (12, [])


def test_from_an_mbox_to_dovecot(cli: Cli, tmp_path: Path) -> None:
    data = b"".join(b"From a@b Sat Jan  1 00:00:00 2022\n%b\n" % text(n).replace(b"\r\n", b"\n") for n in range(5))
    (tmp_path / "Archive 2022.mbox").write_bytes(data)
    with old_home() as (_, port):
        until(lambda: connects(port), lambda: "no IMAP")
        source = ("--from-mbox", str(tmp_path / "Archive 2022.mbox"), "--map", "INBOX=Old/Archive 2022")
        report = cli.migrate(*source, *cli.old(port, "to"))
        assert report["counts"]["same"] == 5
        with imap(port) as client:
            assert [each[2] for each in picture(client, "Old/Archive 2022")] == [text(n) for n in range(5)]


def test_uidls_to_an_imap_server_are_refused_with_the_way_out(cli: Cli) -> None:
    result = cli("migrate", *cli.old(1), *cli.old(2, "to"), "--pop3", "localhost", status=Exit.REFUSED)
    assert "--to-store" in result.stderr


def hand_over(maildir: Path) -> None:
    """What we wrote as root becomes Dovecot's."""
    for path in (maildir, *maildir.rglob("*")):
        shutil.chown(path, OWNER, "nogroup")


def connects(port: int) -> bool:
    try:
        with imaplib.IMAP4("127.0.0.1", port):
            return True
    except OSError:
        return False
