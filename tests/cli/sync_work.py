"""An account on a server and commands that copy it: what tests of `restante sync` have in common."""

from __future__ import annotations

import json
import mailbox
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner, Result

from restante.cli.main import restante
from restante.cli.statuses import Exit
from restante.testing.server import RestanteServer

ANNA = "anna@example.org"
PATIENCE = 60.0


def message(number: int, more: bytes = b"") -> bytes:
    return (
        b"From: b@example.com\r\nTo: anna@example.org\r\nSubject: number %d\r\nMessage-ID: <%d@example.com>\r\n\r\n"
        b"words %d\r\n" % (number, number, number)
    ) + more


class Cli:
    """Runs commands over one file of copies and one data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "sync.toml"
        self.data = folder / "data"
        self.password = folder / "password"
        self.password.write_text("secret\n")
        self.password.chmod(0o600)

    def __call__(self, *args: str, status: Exit = Exit.OK, stdin: bytes = b"") -> Result:
        group, *rest = args
        where = ["--data", str(self.data), "--config", str(self.file)]
        result = CliRunner().invoke(restante, [group, *where, *rest], input=stdin)
        assert result.exit_code == status, (result.output, result.stderr, result.exception)
        return result

    def json(self, *args: str, status: Exit = Exit.OK) -> list[dict[str, object]]:
        loaded = json.loads(self(*args, "--json", status=status).stdout)
        assert isinstance(loaded, list)
        return loaded

    def init(self, name: str, *args: str, status: Exit = Exit.OK) -> Result:
        return self("sync", "init", name, "--user", ANNA, "--password-file", str(self.password), *args, status=status)

    def start(self, *args: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-m",
            "restante",
            "--data",
            str(self.data),
            "sync",
            "--config",
            str(self.file),
            *args,
        ]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@contextmanager
def serving_anna(folder: Path) -> Iterator[RestanteServer]:
    """A server with her account and three messages."""
    with RestanteServer(folder / "server") as found:
        found.add_account(ANNA, "secret")
        for number in range(3):
            found.put(ANNA, message(number), flags=["\\Seen"] if number else [])
        yield found


def copying(cli: Cli, server: RestanteServer) -> Cli:
    """A copy called work, in a Maildir, not run yet."""
    cli.init(
        "work", "--imap", f"127.0.0.1:{server.imap}", "--no-tls", "--maildir", str(cli.folder / "Mail"), "--no-send"
    )
    return cli


def maildir(cli: Cli) -> mailbox.Maildir:
    return mailbox.Maildir(cli.folder / "Mail", create=False)


def subjects(cli: Cli) -> list[str]:
    return sorted(str(each["Subject"]) for each in maildir(cli))


@contextmanager
def watching(cli: Cli) -> Iterator[tuple[subprocess.Popen[str], Callable[[], str]]]:
    """`restante sync --watch`, and its next line on stdout. Ended by SIGTERM; killed where nothing comes."""
    process = cli.start("--watch")
    guard = threading.Timer(PATIENCE, process.kill)
    guard.start()
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline
    finally:
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate()
        guard.cancel()
    assert error == ""
