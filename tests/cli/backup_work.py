"""An installation with a backup whose last run was a whole one, for tests of the runs that follow it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from restante.backup.folder import Folder
from restante.backup.keys import parse_key_file
from restante.backup.repository import Repository, Snapshot
from restante.clock import system_random

from .test_backup import TEXT, Cli

ANN = "ann@example.com"


@dataclass
class Work:
    """words: of another run like the last one."""

    cli: Cli
    words: list[str]

    @property
    def data(self) -> Path:
        return self.cli.folder / "data"

    @property
    def place(self) -> Path:
        return Path(self.cli.place)

    def whole(self) -> None:
        self.cli(*self.words)

    def note(self) -> Path:
        (found,) = (self.data / "backup-notes").glob("unchanged-*.json")
        return found

    def opened(self) -> Repository:
        """By who opens the backup anew."""
        key = parse_key_file((self.cli.folder / "key").read_text())
        return Repository.open(Folder(self.place, system_random), key, system_random)

    def snapshots(self) -> list[Snapshot]:
        opened = self.opened()
        found = opened.snapshots()
        assert not opened.complaints
        return found

    def deliver(self, number: int = 9) -> None:
        """One message more."""
        more = self.cli.folder / f"more-{number}"
        more.mkdir()
        (more / f"{number}.eml").write_bytes(TEXT % (number, number))
        self.cli.data("import", str(more), "--account", ANN)


def prepared(folder: Path) -> Cli:
    """An installation with three messages, and an empty backup that opens with a passphrase."""
    made = Cli(folder)
    made.data("domain", "add", "example.com")
    made.data("account", "add", ANN, "--password-stdin", stdin=b"correct horse\n")
    mail = folder / "mail"
    mail.mkdir()
    for number in range(3):
        (mail / f"{number}.eml").write_bytes(TEXT % (number, number))
    made.data("import", str(mail), "--account", ANN)
    made("backup", "init", made.place, *made.key)
    return made


def worked(cli: Cli, by_passphrase: bool) -> Work:
    """Its first run, by the passphrase or by a key file, which is there anyway."""
    key = str(cli.folder / "key")
    cli("backup", "key", "add", "--location", cli.place, *cli.key, "--new-key-file", key)
    opening = cli.key if by_passphrase else ("--key-file", key)
    made = Work(cli, ["--data", str(cli.folder / "data"), "backup", "run", cli.place, *opening])
    made.whole()
    return made
