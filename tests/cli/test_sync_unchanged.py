"""A run with nothing to do, by the short way: it says what a whole run says, and leaves to one whatever differs."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from restante import __version__
from restante.cli import entry
from restante.cli.entry import plain_sync, settle
from restante.cli.statuses import Exit
from restante.cli.sync import SUBCOMMANDS
from restante.cli.sync_run import run_plain
from restante.config.model import Config
from restante.sync import handed
from restante.sync.base import Known
from restante.sync.exchange import plain, scram
from restante.sync.maildir.layout import Layout, Shape
from restante.sync.settings import End
from restante.sync.state import State
from restante.sync.unchanged import note, record
from restante.sync.unchanged import tree as outside
from restante.sync.unchanged.line import Line, Unusual, counted
from restante.testing.server import CHEAP_ARGON2, RestanteServer

from .sync_work import ANNA, Cli, message

HERE = "anna@localhost"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file of copies that was written just now counts as one that was not; each test is an invocation."""
    monkeypatch.setattr(note, "RACY", 0.0)
    monkeypatch.setattr(entry, "SETTLED", [])
    yield
    handed.let_go()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestanteServer]:
    with RestanteServer(tmp_path / "server") as found:
        found.add_account(ANNA, "secret")
        found.put(ANNA, message(0))
        found.put(ANNA, message(1), "Archive")
        yield found


def init(cli: Cli, server: RestanteServer, name: str, account: str, *more: str) -> None:
    where = ["--imap", f"127.0.0.1:{server.imap}", "--no-tls"] if "--imap" not in more else []
    cli.init(name, *where, "--store", account, "--no-send", *more)


@pytest.fixture
def work(tmp_path: Path, server: RestanteServer) -> Cli:
    """A copy called mine, in a store, in step, and a run that had nothing to do behind it."""
    cli = Cli(tmp_path)
    init(cli, server, "mine", HERE)
    cli("sync")
    assert not written(cli).exists()
    assert cli("sync").stdout == "mine: nothing had changed.\n"
    assert written(cli).exists()
    return cli


def written(cli: Cli, name: str = "mine") -> Path:
    return cli.data / "sync" / name / record.NAME


def attempt(cli: Cli, *names: str) -> bool:
    return settle(str(cli.data), str(cli.file), list(names), False)


def test_nothing_changed_is_said_by_the_short_way(
    work: Cli, server: RestanteServer, capsys: pytest.CaptureFixture[str]
) -> None:
    before = json.loads((work.data / "sync/mine/last.json").read_bytes())
    for _ in range(3):
        entry.SETTLED.clear()
        assert attempt(work)
    assert capsys.readouterr().out == "mine: nothing had changed.\n" * 3
    last = json.loads((work.data / "sync/mine/last.json").read_bytes())
    assert last.keys() == before.keys()
    assert last["started"] > before["started"]
    assert (last["problem"], last["changed"], last["downloaded"]) == (None, 0, 0)
    entry.SETTLED.clear()
    assert work("sync").stdout == "mine: nothing had changed.\n"


def test_it_imports_next_to_nothing(work: Cli) -> None:
    code = (
        "import sys; from restante.cli import entry\n"
        f"assert entry.settle({str(work.data)!r}, {str(work.file)!r}, [], True)\n"
        "heavy = ('click', 'asyncio', 'msgspec', 'dataclasses', 'pathlib', 'ssl', 'socket', 'subprocess', 'tomllib',"
        " 'typing', 're', 'enum', 'collections', 'functools', 'json', 'zlib', 'apsw', 'ctypes')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    # Isolated, and without what an environment's own files may load: what is left is ours.
    done = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
                          capture_output=True, text=True, check=True, timeout=60)  # fmt: skip
    assert done.stdout == "[]\n"


def test_what_the_store_s_files_do_not_show_a_glance_tells(work: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were written since, and hold the same."""
    files = json.loads(written(work).read_bytes())["files"]
    assert [Path(path).suffix for path in files] == [".db", ".db-wal", ".db", ".db-wal"]
    touched(work.data / "directory.db")
    assert attempt(work)
    monkeypatch.setattr("restante.store.sqlite.glance.glance", lambda *_: None)
    assert not attempt(work)


def test_files_of_a_store_that_were_just_written_are_looked_into(work: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be written again with the very same times."""
    assert note._racy([1, 1, 0, 9_000_000_001], 9.0)
    assert not note._racy([1, 1, 0, 9_000_000_000], 9.0)
    config = record.stamp(str(work.file))
    monkeypatch.setattr(note, "_racy", lambda stamp, loaded: stamp != config)
    work("sync")
    assert json.loads(written(work).read_bytes())["files"] == {}
    assert attempt(work)
    entry.SETTLED.clear()
    in_store(work)
    assert not attempt(work)


@pytest.mark.parametrize("way", ["plain", "tls", "compressed", "tls, compressed"])
def test_a_whole_run_goes_on_with_the_connection_of_the_attempt(
    tmp_path: Path,
    server: RestanteServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    way: str,
) -> None:
    """It does not log in a second time."""
    if "compressed" in way:
        monkeypatch.setattr("restante.sync.remote.pool.is_loopback", lambda host: False)
    cli = Cli(tmp_path)
    tls = ("--imap", f"localhost:{server.imaps}", "--certificate", str(server.certificate))
    init(cli, server, "mine", HERE, *(tls if "tls" in way else ()))
    cli("sync")
    cli("sync")
    assert json.loads(written(cli).read_bytes())["compress"] is ("compressed" in way)
    for number in range(60, 62):
        server.put(ANNA, message(number))
        server.put(ANNA, b"Subject: %d\r\n\r\n" % number + os.urandom(300_000).hex().encode() + b"\r\n")
        assert not attempt(cli)
        with monkeypatch.context() as patch:
            patch.setattr("restante.sync.remote.pool.dial", None)
            capsys.readouterr()
            assert run_plain(str(cli.data), str(cli.file), [], False) == Exit.OK
            assert "here 2 new" in capsys.readouterr().out
        cli("sync")
        assert attempt(cli)
        entry.SETTLED.clear()


@pytest.mark.parametrize("way", ["plain", "compressed"])
def test_a_whole_run_on_the_connection_of_the_attempt_that_finds_nothing_leaves_a_record(
    tmp_path: Path, server: RestanteServer, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A mailbox that the copy leaves out changes all the time: not every other run is a whole one for that."""
    if way == "compressed":
        monkeypatch.setattr("restante.sync.remote.pool.is_loopback", lambda host: False)
    cli = Cli(tmp_path)
    init(cli, server, "mine", HERE)
    cli.file.write_text(cli.file.read_text() + '\nexclude = ["Archive"]\n')
    cli("sync")
    cli("sync")
    for number in range(60, 62):
        before = json.loads(written(cli).read_bytes())
        server.put(ANNA, message(number), "Archive")
        entry.SETTLED.clear()
        assert not attempt(cli)
        assert not written(cli).exists()
        with monkeypatch.context() as patch:
            patch.setattr("restante.sync.remote.pool.dial", None)  # it goes on with that connection
            assert run_plain(str(cli.data), str(cli.file), [], False) == Exit.OK
        made = json.loads(written(cli).read_bytes())
        assert made["heard"] != before["heard"]
        assert {**made, "heard": 0, "files": 0} == {**before, "heard": 0, "files": 0}  # as one that logs in itself
        entry.SETTLED.clear()
        assert attempt(cli)


def test_what_was_handed_over_is_for_the_same_account_alone(work: Cli, server: RestanteServer) -> None:
    """The file of copies was written anew behind the attempt."""
    server.put(ANNA, message(60))
    assert not attempt(work)
    server.add_account("berta@example.org", "secret")
    work.file.write_text(work.file.read_text().replace(ANNA, "berta@example.org"))
    assert run_plain(str(work.data), str(work.file), [], True) != Exit.OK  # the copy is of another account
    assert handed.take("mine", ("", 0, False, None, "")) is None


def test_a_connection_that_ended_before_it_was_taken_is_made_anew(
    work: Cli, server: RestanteServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.put(ANNA, message(60))
    assert not attempt(work)
    (kept,) = handed._kept.values()
    with socket.socket(fileno=os.dup(kept.handle)) as other:
        other.shutdown(socket.SHUT_RDWR)
    assert run_plain(str(work.data), str(work.file), [], False) == Exit.OK
    assert "here 1 new" in capsys.readouterr().out


def test_the_program_goes_the_short_way_and_says_the_same(work: Cli) -> None:
    written(work).chmod(0o600)
    inode = written(work).stat().st_ino
    process = work.start("mine")
    assert process.communicate(timeout=60) == ("mine: nothing had changed.\n", "")
    assert process.returncode == 0
    assert written(work).stat().st_ino == inode  # a whole run writes it anew
    process = work.start("-q")
    assert process.communicate(timeout=60) == ("", "")


def in_store(cli: Cli, *flags: str) -> None:
    """Import a message into the copy."""
    mail = cli.folder / "in.eml"
    mail.write_bytes(message(50))
    folder = cli.folder / "in"
    folder.mkdir()
    mail.rename(folder / "in.eml")
    from click.testing import CliRunner

    from restante.cli.main import restante

    done = CliRunner().invoke(restante, ["--data", str(cli.data), "import", str(folder), "--account", HERE])
    assert done.exit_code == 0, done.output


def imap(server: RestanteServer, *commands: bytes) -> None:
    line = Line("127.0.0.1", server.imap, tls=False, trusted=None)
    line.greeting()
    line.login(ANNA, "secret")
    assert all(word == b"OK" for word in line.ask([*commands, b"LOGOUT"])[1])
    line.close()


Change = Callable[[Cli, RestanteServer, pytest.MonkeyPatch], object]

THERE: dict[str, Change] = {
    "a message": lambda cli, server, patch: server.put(ANNA, message(5)),
    "a message in another mailbox": lambda cli, server, patch: server.put(ANNA, message(5), "Archive"),
    "a flag": lambda cli, server, patch: imap(server, b"SELECT INBOX", b"STORE 1 +FLAGS.SILENT (\\Flagged)"),
    "a removal": lambda cli, server, patch: imap(
        server, b"SELECT INBOX", b"STORE 1 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE"
    ),
    "a mailbox": lambda cli, server, patch: imap(server, b"CREATE New"),
    "a mailbox less": lambda cli, server, patch: imap(server, b"DELETE Drafts"),
    "another name": lambda cli, server, patch: imap(server, b"RENAME Archive Older"),
    "a subscription": lambda cli, server, patch: imap(server, b"UNSUBSCRIBE Archive"),
    "another password": lambda cli, server, patch: cli.password.write_text("wrong\n"),
    "a password that others may read": lambda cli, server, patch: cli.password.chmod(0o644),
    "what it offers": lambda cli, server, patch: altered(cli, before=["IMAP4REV1"]),
    "values of another kind": lambda cli, server, patch: altered(cli, port=[1]),
    "no server": lambda cli, server, patch: altered(cli, port=1),
}
NEAR: dict[str, Change] = {
    "a message": lambda cli, server, patch: in_store(cli),
    "the state": lambda cli, server, patch: touched(cli.data / "sync/mine/state.db"),
    "the state is open": lambda cli, server, patch: (cli.data / "sync/mine/state.db-wal").write_bytes(b""),
    "the file of copies": lambda cli, server, patch: cli.file.write_text(cli.file.read_text() + "# more\n"),
    "HOME": lambda cli, server, patch: patch.setenv("HOME", str(cli.folder)),
    "the program": lambda cli, server, patch: altered(cli, program=__version__ + "1"),
    "the record": lambda cli, server, patch: written(cli).write_bytes(written(cli).read_bytes()[:-9]),
    "the record's form": lambda cli, server, patch: written(cli).write_bytes(b'{"format": 0}'),
    "the record's values": lambda cli, server, patch: altered(cli, rows=7, state_stamp=None),
    "no record": lambda cli, server, patch: written(cli).unlink(),
    "a download that was cut off": lambda cli, server, patch: (cli.data / "sync/mine/parts").mkdir(),
    "no account": lambda cli, server, patch: (cli.data / "directory.db").rename(cli.data / "away"),
}


def touched(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def altered(cli: Cli, **values: object) -> None:
    written(cli).write_text(json.dumps(json.loads(written(cli).read_bytes()) | values))


@pytest.mark.parametrize("change", THERE)
def test_what_changed_on_the_server_is_for_a_whole_run(
    work: Cli, server: RestanteServer, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    THERE[change](work, server, monkeypatch)
    assert not attempt(work)
    assert entry.SETTLED == []
    assert not written(work).exists()  # the next run does not ask in vain


@pytest.mark.parametrize("change", NEAR)
def test_what_changed_here_is_for_a_whole_run_and_the_server_is_not_asked(
    work: Cli, server: RestanteServer, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    NEAR[change](work, server, monkeypatch)

    def never(*_: object, **__: object) -> Line:
        raise AssertionError("connected")

    monkeypatch.setattr("restante.sync.unchanged.again.Line", never)
    assert not attempt(work)
    assert entry.SETTLED == []


def test_a_whole_run_carries_what_an_attempt_found(work: Cli, server: RestanteServer) -> None:
    """Round after round: found, carried, seen to be quiet, told by the short way."""
    for number in range(60, 63):
        server.put(ANNA, message(number))
        assert not attempt(work)
        assert "here 1 new" in work("sync").stdout
        assert not written(work).exists()
        assert work("sync").stdout == "mine: nothing had changed.\n"
        entry.SETTLED.clear()
        assert attempt(work)
        entry.SETTLED.clear()


def test_a_decision_about_removals_is_a_change(work: Cli) -> None:
    """Whoever writes to the state between two runs, were it in the same instant."""
    state = State.open(work.data / "sync/mine/state.db")
    assert not attempt(work)  # it is open
    with state.transaction():
        state.pairs.put(1, End.ONE, replace(Known("INBOX", None), validity="1"))
    state.close()
    assert not attempt(work)


def test_another_run_is_under_way(work: Cli, server: RestanteServer) -> None:
    with (work.data / "sync/mine/state.db.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not attempt(work)
    assert attempt(work) or written(work).exists() is False


def test_several_copies_are_settled_up_to_the_first_that_is_not(
    work: Cli, server: RestanteServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.add_account("berta@example.org", "secret")
    init(work, server, "second", "second@localhost", "--user", "berta@example.org")
    init(work, server, "third", "third@localhost", "--user", "berta@example.org")
    work("sync")
    work("sync")
    work("sync")
    assert attempt(work)
    assert entry.SETTLED == ["mine", "second", "third"]
    entry.SETTLED.clear()
    assert attempt(work, "third", "mine", "third")
    assert entry.SETTLED == ["third", "mine"]
    entry.SETTLED.clear()
    assert not attempt(work, "third", "fourth")
    assert entry.SETTLED == []
    written(work, "second").unlink()
    capsys.readouterr()
    assert not attempt(work)
    assert capsys.readouterr().out == "mine: nothing had changed.\n"
    assert work("sync").stdout == "second: nothing had changed.\nthird: nothing had changed.\n"


def test_a_copy_over_tls_checks_the_certificate(tmp_path: Path, server: RestanteServer) -> None:
    cli = Cli(tmp_path)
    init(cli, server, "mine", HERE, "--imap", f"localhost:{server.imaps}", "--certificate", str(server.certificate))
    cli("sync")
    cli("sync")
    assert json.loads(written(cli).read_bytes())["tls"] is True
    assert attempt(cli)
    entry.SETTLED.clear()
    altered(cli, trusted=None)
    assert not attempt(cli)
    assert not written(cli).exists()


def test_a_password_command(tmp_path: Path, server: RestanteServer) -> None:
    cli = Cli(tmp_path)
    count = tmp_path / "asked"
    script = tmp_path / "secret"
    script.write_text(f"#!/bin/sh\necho x >> {count}\necho secret\ncat\n")
    script.chmod(0o700)
    cli("sync", "init", "mine", "--user", ANNA, "--password-command", str(script), "--imap",
        f"127.0.0.1:{server.imap}", "--no-tls", "--store", HERE, "--no-send")  # fmt: skip
    cli("sync")
    cli("sync")
    assert attempt(cli)
    assert count.read_text() == "x\n" * 3
    entry.SETTLED.clear()
    script.write_text("#!/bin/sh\necho secret\nexit 1\n")
    assert not attempt(cli)


@pytest.mark.parametrize("more", [("--only", "INBOX"), ("--dry-run",)], ids=["only", "dry run"])
def test_a_run_that_looked_at_less_leaves_no_record(work: Cli, more: tuple[str, ...]) -> None:
    written(work).unlink()
    work("sync", *more)
    assert not written(work).exists()


def test_a_file_of_copies_that_was_just_written_leaves_no_record(
    work: Cli, server: RestanteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It might be written again with the very same times."""
    monkeypatch.setattr(note, "RACY", 3600.0)
    work("sync")
    assert not written(work).exists()


@pytest.fixture(params=["maildir++", "plain"])
def tree(tmp_path: Path, server: RestanteServer, request: pytest.FixtureRequest) -> Cli:
    """A copy called mine, in a Maildir tree, in step, and a run that had nothing to do behind it."""
    cli = Cli(tmp_path)
    where = ["--imap", f"127.0.0.1:{server.imap}", "--no-tls", "--maildir", str(tmp_path / "M")]
    cli.init("mine", *where, "--layout", request.param, "--no-send")
    for _ in range(3):
        cli("sync")
    assert written(cli).exists()
    return cli


def folder_of(cli: Cli, name: str) -> Path:
    """Of a mailbox called INBOX or Archive."""
    plain = cli.folder / "M" / name
    if plain.is_dir():
        return plain
    return cli.folder / "M" if name == "INBOX" else cli.folder / "M" / f".{name}"


def flagged(cli: Cli) -> None:
    file = next(folder_of(cli, "INBOX").glob("new/*"))
    file.rename(folder_of(cli, "INBOX") / "cur" / f"{file.name}:2,F")


def edited(path: Path, text: str) -> None:
    """With the times that it had."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def other_folder(cli: Cli, name: str) -> None:
    """Another one in its place, with the same marker: a copy of it, say."""
    path = folder_of(cli, name)
    path.rename(path.with_name("away"))
    shutil.copytree(path.with_name("away"), path)


def subfolder(cli: Cli) -> None:
    plain = (cli.folder / "M" / "INBOX").is_dir()
    (cli.folder / "M" / ("New" if plain else ".New") / "cur").mkdir(parents=True)


IN_TREE: dict[str, Callable[[Cli], object]] = {
    "a message": lambda cli: (folder_of(cli, "Archive") / "new" / "1700000000.M1.x").write_bytes(message(7)),
    "a message less": lambda cli: next(folder_of(cli, "INBOX").glob("new/*")).unlink(),
    "a flag": flagged,
    "keywords": lambda cli: (folder_of(cli, "INBOX") / "dovecot-keywords").write_text("0 Work\n"),
    "a mailbox": subfolder,
    "a mailbox less": lambda cli: shutil.rmtree(folder_of(cli, "Archive")),
    "another name": lambda cli: folder_of(cli, "Archive").rename(folder_of(cli, "Archive").with_name(".Older")),
    "another folder": lambda cli: other_folder(cli, "Archive"),
    "no root": lambda cli: (cli.folder / "M").rename(cli.folder / "away"),
    "another root": lambda cli: other_folder(cli, ""),
    "the root's marker": lambda cli: (cli.folder / "M" / "restante-id").unlink(),
    "a role": lambda cli: edited(
        folder_of(cli, "Archive") / "restante-id",
        (folder_of(cli, "Archive") / "restante-id").read_text() + "role \\Junk\n",
    ),
    "a subscription": lambda cli: (cli.folder / "M" / "subscriptions").write_text("V\t2\n\nArchive\n"),
    "the index": lambda cli: touched(cli.data / "sync/mine/maildir.db"),
    "the index is open": lambda cli: (cli.data / "sync/mine/maildir.db-wal").write_bytes(b""),
    "no index": lambda cli: (cli.data / "sync/mine/maildir.db").unlink(),
    "the record's values": lambda cli: altered(cli, tree={"root": 3}),
}  # fmt: skip


@pytest.mark.parametrize("change", IN_TREE)
def test_what_changed_in_a_maildir_is_for_a_whole_run(tree: Cli, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    IN_TREE[change](tree)

    def never(*_: object, **__: object) -> Line:
        raise AssertionError("connected")

    monkeypatch.setattr("restante.sync.unchanged.again.Line", never)
    assert not attempt(tree)
    assert entry.SETTLED == []


def test_nothing_changed_in_a_maildir(tree: Cli, server: RestanteServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Round after round, by the short way; what is found is carried and seen to be quiet by whole runs."""
    for number in range(60, 62):
        entry.SETTLED.clear()
        assert attempt(tree)
        assert capsys.readouterr().out == "mine: nothing had changed.\n"
        entry.SETTLED.clear()
        assert tree("sync").stdout == "mine: nothing had changed.\n"
        server.put(ANNA, message(number))
        assert not attempt(tree)
        flagged(tree)
        assert "here 1 new" in tree("sync").stdout
        assert not written(tree).exists()
        for _ in range(3):
            assert tree("sync").stdout == "mine: nothing had changed.\n"
        assert written(tree).exists()
    process = tree.start("mine")
    assert process.communicate(timeout=60) == ("mine: nothing had changed.\n", "")


@pytest.mark.parametrize("change", ["a mailbox", "a message", "a mailbox less", "a subscription", "a role"])
def test_what_changes_while_the_record_is_made_is_not_in_it(
    tree: Cli, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The run has not seen it: the next one has to."""
    look = outside.picture

    def late(root: str, paths: list[str], *, deep: bool) -> outside.Tree:
        IN_TREE[change](tree)
        return look(root, paths, deep=deep)

    monkeypatch.setattr(outside, "picture", late)
    written(tree).unlink()
    assert tree("sync").stdout == "mine: nothing had changed.\n"
    assert not written(tree).exists()


def test_a_file_that_makes_way_for_a_folder_of_its_name(tmp_path: Path, server: RestanteServer) -> None:
    cli = Cli(tmp_path)
    root = tmp_path / "M"
    cli.init("mine", "--imap", f"127.0.0.1:{server.imap}", "--no-tls", "--maildir", str(root), "--no-send")
    cli("sync")
    (root / ".Notes").write_text("no mailbox")
    for _ in range(3):
        cli("sync")
    assert attempt(cli)
    entry.SETTLED.clear()
    (root / ".Notes").unlink()
    (root / ".Notes" / "cur").mkdir(parents=True)
    assert not attempt(cli)


def test_a_link_that_leads_elsewhere_now(tmp_path: Path) -> None:
    """Of several links to one folder the first is looked at; another one that leads to a folder later is a mailbox."""
    root, shape = tmp_path / "M", Shape(Layout.PLAIN, "INBOX", False)
    for folder in (root, tmp_path / "one", tmp_path / "two"):
        (folder / "cur").mkdir(parents=True)
    for link in ("First", "Second"):
        (root / link).symlink_to(tmp_path / "one")
    (seen,) = paths = list(shape.folders(root))
    then = outside.picture(str(root), paths, deep=True)
    assert outside.same(then)
    (other,) = {"First", "Second"} - {seen}
    (root / other).unlink()
    (root / other).symlink_to(tmp_path / "two")
    assert set(shape.folders(root)) == {"First", "Second"}
    assert not outside.same(then)


def test_a_maildir_that_sends(tmp_path: Path, server: RestanteServer) -> None:
    """A file that somebody dropped into the Outbox is for a whole run."""
    cli = Cli(tmp_path)
    where = ["--imap", f"127.0.0.1:{server.imap}", "--no-tls", "--maildir", str(tmp_path / "M")]
    cli.init("mine", *where, "--smtp", "127.0.0.1:1")
    for _ in range(4):
        cli("sync")
    assert attempt(cli)
    entry.SETTLED.clear()
    (tmp_path / "M" / ".Outbox" / "letter.EML").write_bytes(message(9))
    assert not attempt(cli)


def test_a_copy_that_sends(tmp_path: Path, server: RestanteServer) -> None:
    """Nothing in the outbox, and nothing in the Outbox: else a whole run sends it."""
    cli = Cli(tmp_path)
    cli.init("mine", "--imap", f"127.0.0.1:{server.imap}", "--no-tls", "--store", HERE, "--smtp", "127.0.0.1:1")
    for _ in range(3):
        cli("sync")
    assert attempt(cli)
    entry.SETTLED.clear()
    spool = cli.data / "sync" / "outbox"
    spool.mkdir(exist_ok=True)
    (spool / "1.lock").touch()
    assert attempt(cli)
    entry.SETTLED.clear()
    (spool / "1.msg").touch()
    assert not attempt(cli)


def test_nobody_reads(work: Cli) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "restante", "sync", "--data", str(work.data), "--config", str(work.file)]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
    closed = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *command], capture_output=True, timeout=60, check=False)
    assert (closed.returncode, closed.stderr) == (0, b"")


# The command line ----------------------------------------------------------------------------------------

PLAIN = [
    (["sync"], ("", "", [], False)),
    (["sync", "a", "b-c_d"], ("", "", ["a", "b-c_d"], False)),
    (["--data", "/d", "sync", "--config", "f", "a", "-q"], ("/d", "f", ["a"], True)),
    (["sync", "--data=/d", "--data=/e", "--quiet"], ("/e", "", [], True)),
]
OTHER = [
    [], ["sync", "--watch"], ["sync", "--json"], ["sync", "--only", "x"], ["sync", "-h"], ["sync", "--help"],
    ["sync", "--"], ["sync", "a", ""], ["sync", "../a"], ["sync", "--data"], ["sync", "--data="], ["-q", "sync"],
    ["sync", "--data", "-q"], ["status"], ["sync", "--quiet=1"], ["sync", "-qq"], ["sync", "-"], ["sync", "--dry-run"],
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "understood"), PLAIN)
def test_plain_command_lines(arguments: list[str], understood: tuple[str, str, list[str], bool]) -> None:
    assert plain_sync(arguments) == understood


@pytest.mark.parametrize("arguments", OTHER, ids=" ".join)
def test_other_command_lines_are_for_the_whole_program(arguments: list[str]) -> None:
    assert plain_sync(arguments) is None


def test_a_subcommand_is_none_of_the_copies(work: Cli) -> None:
    assert plain_sync(["sync", "status"]) == ("", "", ["status"], False)
    assert not attempt(work, "status")
    process = work.start("list")
    assert "mine" in process.communicate(timeout=60)[0]
    assert process.returncode == Exit.OK


def test_the_words_that_name_no_copy_are_the_subcommands() -> None:
    assert [[each.name] for each in SUBCOMMANDS] == list(entry.COMMANDS)


def test_a_whole_run_goes_without_click(work: Cli, server: RestanteServer) -> None:
    server.put(ANNA, message(5))
    code = (
        "import sys; from restante.cli import entry\n"
        f"sys.argv[1:] = ['sync', '--data', {str(work.data)!r}, '--config', {str(work.file)!r}]\n"
        "entry.end = sys.exit\n"
        "try: entry.main()\n"
        "except SystemExit as last: print(last.code, 'click' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stderr, done.stdout.splitlines()[1:]) == ("", ["0 False"])
    assert done.stdout.startswith("mine: here 1 new")


WRONG: dict[str, tuple[list[str], Callable[[Cli], object]]] = {
    "no such copy": (["mind"], lambda cli: None),
    "no file": ([], lambda cli: cli.file.unlink()),
    "a file that is none": ([], lambda cli: cli.file.write_text("[")),
    "no password": ([], lambda cli: cli.password.unlink()),
    "no data": ([], lambda cli: (cli.data / "directory.db").rename(cli.data / "away")),
    "another run": ([], lambda cli: None),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said_as_click_has_it(work: Cli, wrong: str) -> None:
    """`sync COPY` goes without click, `sync run COPY` by it: the same words, the same exit status."""
    names, change = WRONG[wrong]
    change(work)
    said = []
    with (work.data / "sync/mine/state.db.lock").open("r+b") as lock:
        if wrong == "another run":
            fcntl.flock(lock, fcntl.LOCK_EX)
        for words in (["sync"], ["sync", "run"]):
            command = [sys.executable, "-m", "restante", *words, "--data", str(work.data), "--config", str(work.file)]
            done = subprocess.run([*command, *names], capture_output=True, text=True, timeout=60, check=False)
            said.append((done.returncode, done.stdout, done.stderr))
    assert said[0] == said[1]
    assert said[0][0] not in (0, 2)
    assert said[0][2].startswith("restante: ")


# The line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [True, False])
def test_scram(tmp_path: Path, at_once: bool) -> None:
    config = msgspec.convert({"auth": CHEAP_ARGON2, "accounts": {"scram": True}}, Config)
    with RestanteServer(tmp_path / "server", config) as server:
        server.add_account(ANNA, "secret")
        for password in ("secret", "wrong"):
            line = Line("127.0.0.1", server.imap, tls=False, trusted=None)
            assert "AUTH=SCRAM-SHA-256" in line.greeting()
            exchange = scram(ANNA, password, "abcdefghijkl")
            if password == "secret":
                line.authenticate("SCRAM-SHA-256", exchange, at_once=at_once)
            else:
                with pytest.raises(Unusual):
                    line.authenticate("SCRAM-SHA-256", exchange, at_once=at_once)
            line.close()


def test_a_server_that_did_not_prove_itself_is_not_believed() -> None:
    """OK to a SCRAM exchange without the signature that only a holder of the verifier can make."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            peer, _ = listening.accept()
            with peer, peer.makefile("rwb") as stream:
                stream.write(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256] hello\r\n")
                stream.flush()
                tag = stream.readline().split()[0]
                stream.write(tag + b" OK come in\r\n")
                stream.flush()

        thread = threading.Thread(target=serve)
        thread.start()
        line = Line("127.0.0.1", listening.getsockname()[1], tls=False, trusted=None)
        line.greeting()
        with pytest.raises(Unusual):
            line.authenticate("SCRAM-SHA-256", scram(ANNA, "secret", "abcdefghijkl"), at_once=True)
        line.close()
        thread.join()


@pytest.mark.parametrize("at_once", [True, False])
def test_plain_and_compression(server: RestanteServer, at_once: bool) -> None:
    line = Line("127.0.0.1", server.imap, tls=False, trusted=None)
    line.greeting()
    line.authenticate("PLAIN", plain(ANNA, "secret"), at_once=at_once)
    line.compress()
    lines, words = line.ask([b'LIST "" INBOX', b"NOOP", b"LOGOUT"])
    line.close()
    assert words == [b"OK", b"OK", b"OK"]
    assert [text for text in counted(lines) if text.endswith("INBOX")]


def test_answers_that_count_are_compared_whatever_their_order() -> None:
    one = [b'* LIST () "/" A', b"* 3 EXISTS", b'* list () "/" B', b"* STATUS A (HIGHESTMODSEQ 1)"]
    assert counted(one) == counted([one[3], one[2], one[0]])
    assert counted(one) != counted([*one, one[0]])
    assert counted(one) != counted([one[0], one[2], b"* STATUS A (HIGHESTMODSEQ 2)"])
