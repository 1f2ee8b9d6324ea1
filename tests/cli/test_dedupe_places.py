"""`restante dedupe` where mail lies elsewhere: a tree of Maildirs, an IMAP server, the server of a copy."""

from __future__ import annotations

import imaplib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from restante.cli.main import restante
from restante.cli.statuses import Exit
from restante.testing.server import RestanteServer

from ..sync.dovecot_pop3 import PASSWORD, USER, available, dovecot
from .test_commands import MESSAGE

OTHER = MESSAGE.replace(b"Hello", b"Goodbye").replace(b"Greetings", b"Farewell")
LONGER = MESSAGE.replace(b"\n\n", b"\nMessage-ID: <one@example.com>\n\n", 1)
TRACED = b"Received: by x\n" + MESSAGE
INBOX = [MESSAGE, OTHER, LONGER, LONGER.replace(b"Hello", b"Hello, and a footer")]
WORK = [TRACED, MESSAGE]


class Cli:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.password = folder / "password"
        self.password.write_text(PASSWORD + "\n")
        self.password.chmod(0o600)

    def __call__(self, *args: str, status: Exit = Exit.OK) -> Result:
        result = CliRunner().invoke(restante, ["--data", str(self.data), *args], catch_exceptions=False)
        assert result.exit_code == status, (result.output, result.stderr)
        return result

    def told(self, *args: str, status: Exit = Exit.OK) -> dict[str, Any]:
        loaded = json.loads(self("dedupe", *args, "--json", status=status).stdout)
        assert isinstance(loaded, dict)
        return loaded


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


Picture = dict[str, list[tuple[bytes, tuple[str, ...]]]]
"""Of each mailbox the messages, with LF line ends, and their flags; sorted."""


def lf(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n")


# Servers -------------------------------------------------------------------------------------------------


@contextmanager
def login(port: int) -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4("127.0.0.1", port) as client:
        client.login(USER, PASSWORD)
        yield client


def fill(port: int) -> None:
    with login(port) as client:
        client.create("Work")
        for name, messages in (("INBOX", INBOX), ("Work", WORK)):
            for number, data in enumerate(messages):
                flags = "(\\Flagged)" if (name, number) == ("INBOX", 0) else "(\\Seen)" if name == "Work" else ""
                assert client.append(name, flags, None, data.replace(b"\n", b"\r\n"))[0] == "OK"


def picture(port: int) -> Picture:
    found: Picture = {}
    with login(port) as client:
        for line in client.list()[1]:
            assert isinstance(line, bytes)
            name = line.split()[-1].strip(b'"').decode()
            client.select(name, readonly=True)
            found[name] = sorted(
                (lf(item[1]), tuple(sorted(f.decode() for f in imaplib.ParseFlags(item[0]) if f != b"\\Recent")))
                for item in client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")[1]
                if isinstance(item, tuple)
            )
    return {name: messages for name, messages in found.items() if messages}


@contextmanager
def _restante(folder: Path) -> Iterator[int]:
    with RestanteServer(folder / "server") as server:
        server.add_account(USER, PASSWORD)
        yield server.imap


@contextmanager
def _dovecot(folder: Path) -> Iterator[int]:
    with dovecot(protocol="imap") as server:
        yield server.port


needs_dovecot = pytest.mark.skipif(
    not available() or not Path("/usr/lib/dovecot/imap").exists(), reason="dovecot-imapd and dovecot-pop3d, run as root"
)
SERVERS = [pytest.param(_restante, id="restante"), pytest.param(_dovecot, id="dovecot", marks=needs_dovecot)]


@pytest.fixture(params=SERVERS)
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    start: Callable[[Path], Any] = request.param
    with start(tmp_path) as found:
        fill(found)
        yield found


def at(cli: Cli, port: int) -> list[str]:
    return ["--imap", f"127.0.0.1:{port}", "--no-tls", "--user", USER, "--password-file", str(cli.password)]


AFTER = {
    # The one with traces, and in a mailbox that somebody made, stays, with the flags of all.
    "INBOX": sorted((data, ()) for data in INBOX[1:]),
    "Work": [(TRACED, ("\\Flagged", "\\Seen"))],
    "Trash": sorted([(MESSAGE, ("\\Flagged",)), (MESSAGE, ("\\Seen",))]),
}


def test_a_servers_account_is_planned_cleaned_out_and_put_back(cli: Cli, port: int) -> None:
    before = picture(port)
    planned = cli.told(*at(cli, port))
    assert (planned["messages"], planned["moves"], planned["moved"]) == (6, 2, None)
    assert names(planned["differ"][0]) == ["INBOX", "INBOX"]
    assert picture(port) == before
    shown = cli("dedupe", *at(cli, port)).stdout
    assert "Greetings" in shown
    assert "same Message-ID, other contents: INBOX 3, INBOX 4" in shown
    assert cli.told(*at(cli, port), "--apply")["moved"] == 2
    assert picture(port) == AFTER
    assert cli.told(*at(cli, port))["moves"] == 0
    assert cli.told(*at(cli, port), "--undo") == {"back": 2, "missing": [], "unflagged": []}
    assert picture(port) == before
    cli("dedupe", *at(cli, port), "--undo", status=Exit.REFUSED)


def test_a_copys_server_is_the_same_account(cli: Cli, port: int, tmp_path: Path) -> None:
    file = ["--config", str(tmp_path / "sync.toml")]
    cli("sync", "init", *file, "work", *at(cli, port), "--maildir", str(tmp_path / "Mail"), "--no-send")
    before = picture(port)
    assert cli.told(*file, "--copy", "work", "--apply")["moved"] == 2
    assert picture(port) == AFTER
    assert cli.told(*at(cli, port), "--undo")["back"] == 2
    assert picture(port) == before
    assert not (tmp_path / "Mail").exists()


def test_a_copy_that_cannot_be_cleaned_out_is_refused(cli: Cli, tmp_path: Path) -> None:
    file = ["--config", str(tmp_path / "sync.toml")]
    words = ["--pop3", "127.0.0.1:1", "--no-tls", "--user", USER, "--password-file", str(cli.password)]
    cli("sync", "init", *file, "old", *words, "--maildir", str(tmp_path / "Mail"), "--no-send")
    told = cli("dedupe", *file, "--copy", "old", status=Exit.REFUSED)
    assert "POP3" in told.stderr
    cli("dedupe", *file, "--copy", "other", status=Exit.REFUSED)


# Maildirs ------------------------------------------------------------------------------------------------


def tree(cli: Cli, plain: bool) -> Path:
    root = cli.folder / "Mail"
    for folder, messages in ((root / "INBOX" if plain else root, INBOX), (root / ("Work" if plain else ".Work"), WORK)):
        for part in ("cur", "new", "tmp"):
            (folder / part).mkdir(parents=True)
        for number, data in enumerate(messages):
            letters = "S" if messages is WORK else "F" if number == 0 else ""
            (folder / "cur" / f"17000000{number:02}.M{number}P{len(messages)}.host:2,{letters}").write_bytes(data)
    return root


def files(root: Path) -> Picture:
    found: Picture = {}
    letters = {"F": "\\Flagged", "S": "\\Seen"}
    for path in sorted(root.glob("**/cur/*")) + sorted(root.glob("**/new/*")):
        folder = path.parent.parent
        name = "INBOX" if folder == root else folder.name.removeprefix(".")
        flags = tuple(letters[letter] for letter in path.name.partition(":2,")[2])
        found.setdefault(name, []).append((path.read_bytes(), flags))
    return {name: sorted(messages) for name, messages in found.items()}


def names(messages: list[dict[str, Any]]) -> list[str]:
    return [str(one["mailbox"]) for one in messages]


def everything(root: Path) -> set[tuple[str, int]]:
    return {(str(path), path.stat().st_mtime_ns) for path in root.rglob("*")}


@pytest.mark.parametrize("plain", [False, True], ids=["maildir++", "plain"])
def test_a_tree_of_maildirs_is_planned_cleaned_out_and_put_back(cli: Cli, plain: bool) -> None:
    root = tree(cli, plain)
    before, untouched = files(root), everything(root)
    planned = cli.told("--maildir", str(root))
    assert (planned["messages"], planned["moves"], planned["moved"]) == (6, 2, None)
    assert names(planned["differ"][0]) == ["INBOX", "INBOX"]
    assert everything(root) == untouched, "a plan changes nothing"
    assert cli.told("--maildir", str(root), "--apply")["moved"] == 2
    assert files(root) == AFTER
    # Another way to write it is the same tree.
    assert cli.told("--maildir", f"{root}/../Mail", "--undo") == {"back": 2, "missing": [], "unflagged": []}
    assert files(root) == before


def test_numbers_of_messages_may_be_lost(cli: Cli) -> None:
    """What is in the trash is found by its content; of what stayed nobody knows any more which one it was."""
    root = tree(cli, plain=False)
    cli.told("--maildir", str(root), "--apply")
    lost = list((cli.data / "dedupe").glob("*/maildir.db*"))
    assert lost
    for kept in lost:
        kept.unlink()
    found = cli.told("--maildir", str(root), "--undo", status=Exit.FINDINGS)
    assert (found["back"], found["missing"], names(found["unflagged"])) == (2, [], ["Work"])
    assert sorted(data for messages in files(root).values() for data, _ in messages) == sorted(INBOX + WORK)


def test_a_folder_that_is_not_there_is_not_made(cli: Cli) -> None:
    for more in ([], ["--apply"]):
        told = cli("dedupe", "--maildir", str(cli.folder / "Nowhere"), *more, status=Exit.NOT_FOUND)
        assert "Nowhere" in told.stderr
    assert not (cli.folder / "Nowhere").exists()


def test_what_a_tree_lost_since_is_told(cli: Cli) -> None:
    root = tree(cli, plain=False)
    cli.told("--maildir", str(root), "--apply")
    shutil.rmtree(root / ".Trash")
    found = cli.told("--maildir", str(root), "--undo", status=Exit.FINDINGS)
    assert (found["back"], len(found["missing"])) == (0, 2)


REFUSED = [
    pytest.param(["--maildir", "x", "--imap", "h"], Exit.USAGE, "one of", id="two-places"),
    pytest.param(["--maildir", "x", "--user", "u"], Exit.USAGE, "--imap", id="a-login-without-a-server"),
    pytest.param(["--imap", "h", "--no-tls", "--starttls"], Exit.USAGE, "--starttls", id="two-kinds-of-tls"),
    pytest.param(["--imap", "h"], Exit.REFUSED, "--user", id="no-user"),
    pytest.param(["--imap", "h", "--user", "u"], Exit.REFUSED, "--password-command", id="no-secret"),
    pytest.param(["--imap", "h:x", "--user", "u", "--keyring"], Exit.REFUSED, "no server", id="no-server"),
]


@pytest.mark.parametrize(("args", "status", "hint"), REFUSED)
def test_what_cannot_be_is_refused_with_what_to_do(cli: Cli, args: list[str], status: Exit, hint: str) -> None:
    told = cli("dedupe", *args, status=status)
    assert hint in told.stderr
