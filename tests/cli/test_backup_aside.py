"""A night in which little changed: a whole run by the program's own short start, or the whole program where anything is
not as it was noted."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from restante.backup import ahead, given_up, keys
from restante.backup.errors import NoRoom
from restante.backup.folder import Folder
from restante.backup.keys import Passphrase
from restante.backup.objects import Kind
from restante.backup.repository import Repository
from restante.cli.backup_again import plain_run, settle
from restante.cli.backup_aside import run_aside
from restante.cli.statuses import Exit
from restante.clock import system_random
from restante.config import where
from restante.store.sqlite import aside

from .backup_work import ANN, Work, prepared, worked
from .test_backup import Cli


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is an invocation: what another one has derived is not there."""
    monkeypatch.setattr(ahead, "_made", {})


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return prepared(tmp_path)


@pytest.fixture
def work(cli: Cli) -> Work:
    return worked(cli, by_passphrase=False)


def attempt(work: Work, words: list[str] | None = None) -> int | None:
    said = plain_run(words or work.words)
    assert said is not None
    assert settle(said) is None, "something has changed"
    return run_aside(said)


def test_the_snapshot_is_that_of_a_whole_run(work: Work, capsys: pytest.CaptureFixture[str]) -> None:
    work.deliver()
    assert attempt(work) == Exit.OK
    said = capsys.readouterr()
    found = work.snapshots()[-1]
    assert said.err == ""
    assert said.out.startswith(f"Snapshot {found.id}: 1 account, 4 messages (")
    assert "; 1 message new or changed place, " in said.out
    again = json.loads(work.cli(*work.words, "--json").stdout)
    assert (again["unchanged"], again["messages"]) == (1, 0), "a whole run finds nothing that it has left out"
    last = work.snapshots()[-1].data
    assert (last.pages, last.common, last.persons) == (found.data.pages, found.data.common, found.data.persons)
    assert work.cli("backup", "verify", work.cli.place, "--all", *work.cli.key).exit_code == 0


def test_it_leaves_the_note_by_which_the_next_has_nothing_to_do(work: Work) -> None:
    work.deliver()
    assert attempt(work) == Exit.OK
    said = plain_run(work.words)
    assert said is not None
    assert settle(said) is not None
    work.deliver(10)
    assert attempt(work) == Exit.OK
    assert len(work.snapshots()) == 4


@pytest.mark.parametrize("by_passphrase", [True, False])
def test_the_program_goes_that_way(cli: Cli, by_passphrase: bool) -> None:
    work = worked(cli, by_passphrase)
    work.deliver()
    code = (
        "import os, sys; from restante.cli import entry\n"
        "heavy = ('click', 'asyncio', 'logging', 'concurrent.futures', 'restante.store.sqlite.engine',"
        " 'restante.config.model', 'restante.store.interface')\n"
        "def end(status):\n    print(status, [m for m in heavy if m in sys.modules])\n    os._exit(0)\n"
        "entry.leave = end\n"
        f"sys.argv[1:] = {work.words!r}\n"
        "sys.stdout.reconfigure(line_buffering=True)\n"
        "entry.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines()[1:] == ["0 []"]
    work.deliver(10)
    call = [sys.executable, "-m", "restante", *work.words]
    done = subprocess.run(call, capture_output=True, text=True, check=True, timeout=60)
    assert ": 1 account, 5 messages (" in done.stdout
    assert len(work.snapshots()) == 3


Change = Callable[[Work], object]


def _edit(field: str, value: object) -> Change:
    def change(work: Work) -> None:
        note = json.loads(work.note().read_bytes())
        work.note().write_text(json.dumps(note | {field: value}))

    return change


def _other_key(work: Work) -> None:
    (work.cli.folder / "key").write_text(keys.make_key_file(system_random)[1])


def _pipe(work: Work) -> None:
    """Opened, it would wait for who writes into it, for ever."""
    (work.cli.folder / "key").unlink()
    os.mkfifo(work.cli.folder / "key")


def _older(work: Work) -> None:
    (path,) = (work.data / "accounts").rglob("*.db")
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()


OTHERWISE: dict[str, Change] = {
    "another key": _other_key,
    "no key": lambda work: (work.cli.folder / "key").unlink(),
    "a pipe": _pipe,
    "mirrors": lambda work: (work.data / "mirrors").mkdir(),
    "somebody keeps the folder": lambda work: (work.place / ".incoming").mkdir(),
    "no location": lambda work: work.place.rename(work.place.with_name("gone")),
    "an older account": _older,
    "no data": lambda work: work.data.rename(work.data.with_name("gone")),
}


def refuse(work: Work, change: Change, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written or said after this."""
    work.deliver()
    change(work)
    before = sorted(work.place.rglob("*"))
    assert attempt(work) is None
    assert sorted(work.place.rglob("*")) == before
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("change", OTHERWISE)
def test_whatever_is_not_ordinary_is_for_the_whole_program(
    work: Work, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(work, OTHERWISE[change], capsys)


def test_and_the_whole_program_does_it(work: Work) -> None:
    """An account's file that was put back is made safe by an engine, in the same invocation."""
    work.deliver()
    (path,) = (work.data / "accounts").rglob("*.db")
    shutil.copyfile(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").rename(path)
    call = [sys.executable, "-m", "restante", *work.words]
    done = subprocess.run(call, capture_output=True, text=True, check=True, timeout=60)
    assert (": 1 account, 4 messages (" in done.stdout, done.stderr) == (True, "")
    assert list((work.data / "backup-notes").glob("given-up-*")), "the short way was tried first"
    work.deliver(10)
    assert attempt(work) == Exit.OK, "now it is ordinary"


def _damaged(work: Work) -> Path:
    """The account's file, in which a message came and of which nothing can be read now; what it was lies beside it."""
    work.deliver()
    (path,) = (work.data / "accounts").rglob("*.db")
    shutil.copyfile(path, work.cli.folder / "whole.db")
    path.write_bytes(b"no database" * 1000)
    return path


def test_where_it_gave_up_twice_it_is_not_begun(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that stays damaged: each night would come to it, and begin again."""
    begun: list[str] = []
    real = aside.Aside.__init__

    def begin(self: aside.Aside, data: str) -> None:
        begun.append(data)
        real(self, data)

    monkeypatch.setattr(aside.Aside, "__init__", begin)
    path = _damaged(work)
    for _ in range(4):
        assert attempt(work) is None
    assert len(begun) == given_up.OFTEN
    (noted,) = (work.data / "backup-notes").glob("given-up-*")
    times, at = noted.read_text().split()
    noted.write_text(f"{times} {int(at) - given_up.PAUSE}\n")
    assert attempt(work) is None
    assert len(begun) == given_up.OFTEN + 1, "now and then it is tried"
    assert attempt(work) is None
    noted.write_text(f"7 {int(at) + 1000}\n")
    shutil.copyfile(work.cli.folder / "whole.db", path)
    assert attempt(work) == Exit.OK, "by a clock that was wrong it is not left for years"
    assert not noted.exists()


def test_to_give_up_once_is_nothing(work: Work) -> None:
    path = _damaged(work)
    assert attempt(work) is None
    shutil.copyfile(work.cli.folder / "whole.db", path)
    assert attempt(work) == Exit.OK
    path.write_bytes(b"no database" * 1000)
    assert attempt(work) is None
    (noted,) = (work.data / "backup-notes").glob("given-up-*")
    assert noted.read_text().startswith("1 "), "in a row"


def test_where_there_is_no_store_nothing_is_noted(work: Work) -> None:
    """The disk is not mounted: on the folder in its place nothing is made."""
    empty = work.cli.folder / "empty"
    empty.mkdir()
    said = plain_run(["--data", str(empty), "backup", "run", str(work.place), *work.words[-2:]])
    assert said is not None
    assert run_aside(said) is None
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("whole", [True, False])
def test_what_was_noted_for_runs_of_long_ago_is_removed(work: Work, whole: bool) -> None:
    folder = work.data / "backup-notes"
    sealed = folder / ("0" * 32)
    sealed.mkdir()
    long_ago, lately = time.time() - 31 * 86400, time.time() - 29 * 86400
    stays = {*folder.iterdir(), folder / "unchanged-lately.json", folder / "another"}
    goes = {folder / "unchanged-old.json", folder / "unchanged-old.json.123", folder / "given-up-old"}
    for path in (stays | goes) - {sealed}:
        path.touch()
        os.utime(path, (lately, lately) if path.name == "unchanged-lately.json" else (long_ago, long_ago))
    os.utime(sealed, (long_ago, long_ago))
    work.deliver()
    if whole:
        work.whole()
    else:
        assert attempt(work) == Exit.OK
    assert set(folder.iterdir()) == stays


@pytest.mark.parametrize(
    "line",
    [
        "run --key-file {1}",
        "run {0}",
        "run {0} --key-file {1} --passphrase-file {1}",
        "run s3://bucket/x --key-file {1}",
    ],
)
def test_so_is_a_command_line_that_does_not_say_all(work: Work, line: str) -> None:
    """A location or a key is missing, two keys are named, or the location is no folder."""
    words = line.format(work.place, work.words[-1]).split()
    said = plain_run(["--data", str(work.data), "backup", *words])
    assert said is None or run_aside(said) is None


@pytest.fixture
def configured(cli: Cli) -> Work:
    """A run by a configuration, of which a note says what it comes to."""
    config = cli.folder / "restante.toml"
    config.write_text(CONFIG.format(cli.place, cli.key[1]))
    made = Work(cli, ["--data", str(cli.folder / "data"), "--config", str(config), "backup", "run"])
    made.whole()
    return made


CONFIG = """[server]
hostname = "mail.example"
[backup]
location = "{}"
passphrase_file = "{}"
"""


def test_by_the_configuration(configured: Work) -> None:
    configured.deliver()
    assert attempt(configured) == Exit.OK
    assert len(ahead._made) == 1, "the key was begun with before all else was loaded"
    said = configured.cli(*configured.words[2:4], "backup", "list", "--json").stdout
    assert [row["host"] for row in json.loads(said)] == ["mail.example"] * 2


NOT_NOTED: dict[str, Change] = {
    "another configuration": lambda work: Path(work.words[3]).write_text("# another\n"),
    "no configuration": lambda work: Path(work.words[3]).unlink(),
    "no note": lambda work: work.note().unlink(),
    "half a note": lambda work: work.note().write_text("{"),
    "an edited note": _edit("files", 7),
    "an edited place": _edit("location", 7),
    "another program": _edit("program", "0.0.1"),
    "another host": _edit("said", False),
}


@pytest.mark.parametrize("change", NOT_NOTED)
def test_a_configuration_is_believed_as_it_was_noted(
    configured: Work, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(configured, NOT_NOTED[change], capsys)


def test_a_file_of_the_installation_is_taken_as_it_is_now(configured: Work) -> None:
    (configured.data / "tls").mkdir()
    (configured.data / "tls" / "key.pem").write_text("another")
    assert attempt(configured) == Exit.OK
    repository = Repository.open(
        Folder(configured.place, system_random), Passphrase(b"three random words"), system_random
    )
    latest = repository.latest()
    assert latest is not None
    assert {file.name for file in latest.data.files} == {"restante.toml", "tls/key.pem"}
    assert b"another" in [repository.get(file.id, Kind.FILE) for file in latest.data.files]


def test_the_first_run_goes_that_way_too(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is noted, and nothing is there."""
    work = Work(cli, ["--data", str(cli.folder / "data"), "backup", "run", cli.place, *cli.key])
    assert attempt(work) == Exit.OK
    assert "; 3 messages new or changed place, " in capsys.readouterr().out
    assert cli("backup", "verify", cli.place, "--all", *cli.key).exit_code == 0


def test_where_the_location_is_not_as_noted_it_is_looked_at(work: Work) -> None:
    """Unlike a night with nothing new: the index is read, and what was lost is found out."""
    work.deliver()
    for path in (work.place / "index").iterdir():
        path.unlink()
    work.opened().put_file("condemned", b"\x80", twice=True)
    assert attempt(work) == Exit.OK
    assert work.cli("backup", "verify", work.cli.place, "--all", *work.cli.key).exit_code == 0


def test_what_was_missing_is_told(work: Work, capsys: pytest.CaptureFixture[str]) -> None:
    work.deliver()
    (path,) = (work.place / "twin" / "snapshots").iterdir()
    path.unlink()
    assert attempt(work) == Exit.FINDINGS
    said = capsys.readouterr()
    assert "was missing from the backup; its copy was put in its place." in said.err
    assert said.out.startswith("Snapshot ")
    assert path.exists()


def test_a_refusal_is_told(work: Work, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def put(folder: Folder, name: str, data: bytes) -> None:
        raise NoRoom("There is no room at the backup's location.", "Free some space there and run it again.")

    work.deliver()
    monkeypatch.setattr(Folder, "put", put)
    assert attempt(work) == Exit.TEMPORARY
    assert capsys.readouterr().err == (
        "restante: There is no room at the backup's location.\n  Free some space there and run it again.\n"
    )
    monkeypatch.undo()
    assert len(work.snapshots()) == 1


def test_a_fault_is_nobody_elses(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not taken for a reason to go the other way."""
    from restante.backup import run

    def faulty(*args: object) -> object:
        raise ZeroDivisionError

    work.deliver()
    monkeypatch.setattr(run, "lines_of", faulty)
    with pytest.raises(ZeroDivisionError):
        attempt(work)


def test_who_uses_the_server_is_served_first_from_some_time_on(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from restante.cli import backup_aside

    stepped = threading.Event()
    real = Folder.put

    def put(folder: Folder, name: str, data: bytes) -> None:
        assert stepped.wait(10)
        real(folder, name, data)

    monkeypatch.setattr(backup_aside, "SHORT", 0.001)
    monkeypatch.setattr(backup_aside, "step_back", stepped.set)
    monkeypatch.setattr(Folder, "put", put)
    work.deliver()
    assert attempt(work) == Exit.OK


def test_several_at_once(work: Work) -> None:
    """Each leaves a snapshot with all that is there."""
    work.deliver()
    call = [sys.executable, "-m", "restante", *work.words]
    started = [subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(3)]
    for process in started:
        _, said = process.communicate(timeout=120)
        assert (process.returncode, said) == (0, b"")
    found = work.snapshots()
    assert [each.data.messages for each in found] == [3, 4, 4, 4]
    assert work.cli("backup", "verify", work.cli.place, "--all", *work.cli.key).exit_code == 0


def test_what_nobody_reads_is_no_fault(work: Work) -> None:
    work.deliver()
    read, write = os.pipe()
    os.close(read)
    call = [sys.executable, "-m", "restante", *work.words]
    done = subprocess.run(call, stdout=write, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")
    assert len(work.snapshots()) == 2


def test_accounts_that_come_and_go(work: Work) -> None:
    work.cli.data("account", "add", "bob@example.com", "--password-stdin", stdin=b"correct horse\n")
    assert attempt(work) == Exit.OK
    work.cli.data("account", "remove", ANN, "--yes")
    assert attempt(work) == Exit.OK
    assert [each.data.accounts for each in work.snapshots()] == [1, 2, 1]


def _elsewhere(work: Work) -> Path:
    """The data folder of another installation, which the configuration does not name."""
    other = work.cli.folder / "other"
    work.cli("--data", str(other), "domain", "add", "example.net")
    return other


def test_a_note_of_a_folder_that_was_said_is_none_of_the_configurations(
    configured: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform's folder was backed up once although the configuration names another: the runs that follow go by the
    configuration, and not by what is noted there."""
    config = Path(configured.words[3])
    config.write_text(f'data = "{configured.data}"\n{config.read_text()}')
    other = _elsewhere(configured)
    monkeypatch.setattr(where, "data_path", lambda: str(other))
    words = ["--config", str(config), "backup", "run"]
    configured.cli("--data", str(other), *words)
    said = plain_run(words)
    assert said is not None
    assert settle(said) is None
    configured.cli("--data", str(other), "domain", "add", "example.org")
    assert run_aside(said) is None
    said = plain_run(["--data", str(other), *words])
    assert said is not None
    assert run_aside(said) == Exit.OK, "as it was noted"


@pytest.mark.parametrize("name", ["location", "passphrase_file"])
@pytest.mark.parametrize("relative", [True, False])
def test_a_configuration_whose_paths_depend_on_more_than_itself_is_not_noted(
    configured: Work, monkeypatch: pytest.MonkeyPatch, name: str, relative: bool
) -> None:
    """On the folder that a run begins in, or on where a link leads."""
    here = configured.cli.folder
    last = {"location": "backup", "passphrase_file": "passphrase"}[name]
    path = last if relative else f"{here}/data/../{last}"
    configured.note().unlink()
    config = Path(configured.words[3])
    config.write_text(config.read_text().replace(f'"{here}/{last}"', f'"{path}"'))
    monkeypatch.chdir(here)
    configured.whole()
    assert not list((configured.data / "backup-notes").glob("unchanged-*"))


def test_a_path_that_leads_back_is_for_the_whole_program(work: Work) -> None:
    """Without the name before it, it leads elsewhere where that is a link."""
    elsewhere = work.cli.folder / "disk" / "inner"
    elsewhere.mkdir(parents=True)
    (work.cli.folder / "link").symlink_to(elsewhere)
    place = f"{work.cli.folder}/link/../backup"
    assert plain_run([*work.words[:4], place, *work.words[5:]]) is None


def test_what_was_missing_is_told_also_by_the_whole_program(work: Work) -> None:
    """It was put back before an account showed that the whole program is needed, which misses it no more."""
    work.deliver()
    (twin,) = (work.place / "twin" / "snapshots").iterdir()
    twin.unlink()
    (path,) = (work.data / "accounts").rglob("*.db")
    shutil.copyfile(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").rename(path)
    call = [sys.executable, "-m", "restante", *work.words]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.count("its copy was put in its place.")) == (Exit.FINDINGS, 1)
