"""`restante migrate` as people use it: files, stores and Maildirs, words and exit statuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from restante.cli.main import restante
from restante.cli.statuses import Exit

A, B = "ann@move.example", "ben@move.example"


def message(number: int) -> bytes:
    return b"From: a@b.example\nSubject: number %d\nMessage-ID: <%d@x>\n\ntext\n" % (number, number)


def mbox(path: Path, *numbers: int) -> Path:
    path.write_bytes(b"".join(b"From a@b Sat Jan  1 00:00:00 2022\n%b\n" % message(number) for number in numbers))
    return path


class Cli:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
        self("domain", "add", "move.example")
        for address in (A, B):
            self("account", "add", address, "--password-stdin", stdin=b"some secret\n")

    def __call__(self, *args: str | Path, stdin: bytes = b"", status: Exit = Exit.OK) -> Result:
        words = ["--data", str(self.folder / "data"), *map(str, args)]
        result = CliRunner().invoke(restante, words, input=stdin)
        assert result.exit_code == status, (result.output, result.exception)
        return result

    def json(self, *args: str | Path, status: Exit = Exit.OK) -> Any:
        return json.loads(self(*args, "--json", status=status).stdout)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, monkeypatch)


def test_an_mbox_into_a_store_and_on_into_another_and_into_a_maildir(cli: Cli) -> None:
    source = mbox(cli.folder / "old.mbox", 1, 2, 3)
    told = cli("migrate", "--from-mbox", source, "--to-store", A)
    assert "Copied 3 messages" in told.stdout
    assert "All 3 messages are at the target. Proof: " in told.stdout
    for end in (("--to-store", B), ("--to-maildir", str(cli.folder / "Mail"))):
        report = cli.json("migrate", "--from-store", A, *end)
        assert (report["counts"]["messages"], report["counts"]["same"]) == (3, 3)
        assert report["aside"] == []
        proof = report["proof"]
        assert Path(proof).parent == cli.folder / "state" / "restante" / "migrate"
        found = cli.json("migrate", "verify", proof, *end, "--from-store", A)
        assert [(each["same"], each["findings"]) for each in found.values()] == [(3, []), (3, [])]
        assert sum(each["copied"] for each in cli.json("migrate", "--from-store", A, *end)["mailboxes"]) == 0
    assert len(list((cli.folder / "Mail" / "cur").iterdir())) + len(list((cli.folder / "Mail" / "new").iterdir())) == 3
    back = cli.json("migrate", "--from-maildir", cli.folder / "Mail", "--to-store", B, "--map", "INBOX=Came back")
    assert sum(each["copied"] for each in back["mailboxes"]) == 3
    assert back["counts"]["same"] == 3


def test_a_message_that_is_gone_from_a_maildir_is_named(cli: Cli) -> None:
    source, target = mbox(cli.folder / "old.mbox", 1, 2, 3), cli.folder / "Mail"
    report = cli.json("migrate", "--from-mbox", source, "--to-maildir", target)
    (file,) = [file for file in target.glob("*/*") if file.is_file() and b"number 2" in file.read_bytes()]
    file.unlink()
    told = cli("migrate", "verify", report["proof"], "--to-maildir", target, status=Exit.FINDINGS)
    assert "2 of 3 messages as the proof says" in told.stdout
    assert "missing INBOX UID 2" in told.stderr
    told = cli("migrate", "--from-mbox", source, "--to-maildir", target, status=Exit.FINDINGS)
    assert "Of 3 messages: 1 missing" in told.stdout
    assert "--again" in told.stderr
    told = cli("migrate", "--from-mbox", source, "--to-maildir", target, "--again")
    assert "All 3 messages" in told.stdout


def test_a_dry_run_says_what_would_be_done(cli: Cli) -> None:
    source = mbox(cli.folder / "old.mbox", 1, 2)
    told = cli("migrate", "--from-mbox", source, "--to-store", A, "--dry-run", "--map", "INBOX=Old")
    assert told.stdout.splitlines() == ["Would copy 2 messages of 1 mailbox; 0 were there.", "INBOX -> Old: 2 messages"]
    assert cli.json("migrate", "--from-store", A, "--to-store", B, "--dry-run")["proof"] is None


def test_names_that_would_move_the_cursor_are_printed_harmlessly(cli: Cli) -> None:
    folder = cli.folder / "boxes"
    folder.mkdir()
    mbox(folder / "a\x1b[2Jb.mbox", 1)
    told = cli("migrate", "--from-mbox", folder, "--to-store", A, "--dry-run")
    assert "\x1b" not in told.output


REFUSED = [
    pytest.param([], "--from-imap", id="nothing"),
    pytest.param(["--from-mbox", "x", "--from-store", A, "--to-store", B], "--from-imap", id="two-sources"),
    pytest.param(["--from-imap", "h", "--to-store", B], "--from-user", id="no-user"),
    pytest.param(["--from-imap", "h", "--from-user", "u", "--to-store", B], "--from-password-command", id="no-secret"),
    pytest.param(["--from-store", A, "--to-store", A], "same", id="to-itself"),
    pytest.param(["--from-store", A, "--to-store", B, "--map", "x"], "--map", id="no-map"),
    pytest.param(["--from-store", A, "--to-store", B, "--only", "Wrok"], "Wrok", id="no-such-mailbox"),
    pytest.param(["--from-store", A, "--to-store", B, "--pop3", "h"], "--from-imap", id="pop3-of-a-store"),
    pytest.param(["--from-maildir", "/nowhere", "--to-store", B], "/nowhere", id="no-folder"),
]


@pytest.mark.parametrize(("args", "hint"), REFUSED)
def test_what_cannot_be_is_refused_with_what_to_do(cli: Cli, args: list[str], hint: str) -> None:
    told = cli("migrate", *args, status=Exit.REFUSED)
    assert hint in told.stderr


def test_an_account_that_is_not_there_is_named(cli: Cli) -> None:
    told = cli("migrate", "--from-store", A, "--to-store", "nobody@move.example", status=Exit.NOT_FOUND)
    assert "nobody@move.example" in told.stderr


def test_a_proof_that_is_none_is_refused(cli: Cli) -> None:
    told = cli("migrate", "verify", mbox(cli.folder / "old.mbox", 1), "--to-store", A, status=Exit.REFUSED)
    assert "no proof" in told.stderr
