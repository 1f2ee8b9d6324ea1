"""A night in which nothing changed, by the short way: the snapshot of a whole run, and a whole run where anything
differs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from restante.backup import ahead, keys, unchanged
from restante.backup.folder import Folder
from restante.backup.keys import Passphrase
from restante.backup.names import LAST_SERIAL, snapshot_serial
from restante.backup.objects import SnapshotData, encode
from restante.backup.repository import Repository
from restante.cli import backup_again, entry
from restante.cli.backup_again import plain_run, settle
from restante.cli.statuses import Exit
from restante.clock import system_random

from .backup_work import ANN, Work, prepared, worked
from .test_backup import Cli

LINE = re.compile(
    r"Snapshot ([0-9a-f]{8}): 1 account, 3 messages \([0-9]+ B\); 0 messages new or changed place, 0 B written\.\Z"
)


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is an invocation: what another one has derived is not there."""
    monkeypatch.setattr(ahead, "_made", {})


def attempt(work: Work) -> str | None:
    said = plain_run(work.words)
    assert said is not None
    return settle(said)


@pytest.fixture(params=["passphrase", "key file"])
def work(cli: Cli, request: pytest.FixtureRequest) -> Work:
    return worked(cli, request.param == "passphrase")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return prepared(tmp_path)


def test_the_same_snapshot_is_written_once_more(work: Work) -> None:
    before = work.snapshots()[-1]
    said = [attempt(work) for _ in range(3)]
    found = work.snapshots()
    assert len(found) == 4
    for line, snapshot in zip(said, found[1:], strict=True):
        assert line is not None
        match = LINE.match(line)
        assert match is not None, line
        assert match[1] == snapshot.id
        like = msgspec.structs.replace(before.data, at=snapshot.data.at, serial=snapshot_serial(snapshot.name))
        assert snapshot.data == like
        assert before.data.at <= snapshot.data.at
    assert [int(each.name[10:20], 16) for each in found] == [1, 2, 3, 4]
    assert not list((work.place / ".tmp").iterdir())


def test_whole_runs_and_short_ones_follow_each_other(work: Work) -> None:
    """What a whole run says of a night with nothing new is what the short way says; each goes on from the other."""
    assert attempt(work) is not None
    line = work.cli(*work.words, "--json")  # not the plainest command line: a whole run
    assert json.loads(line.stdout)["unchanged"] == 1
    assert attempt(work) is not None  # of which it has left a note as well
    work.cli.data("backup", "run", work.cli.place, *work.words[-2:], "--full")
    assert attempt(work) is None  # that run's snapshot is not the one that was noted
    work.whole()
    said = attempt(work) or ""
    assert LINE.match(said) is not None
    assert work.cli("backup", "verify", work.cli.place, "--all", *work.cli.key).exit_code == 0


@pytest.mark.parametrize("serial", [1, 127, 128, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32, LAST_SERIAL])
def test_a_number_of_any_size_is_written_as_a_whole_run_writes_it(serial: int) -> None:
    data = SnapshotData(1, 2, "host", "0", (), b"", (), (), 0, 0, 0, (), serial)
    assert encode(data).endswith(b"\x00" + unchanged.ending(serial))


def test_it_is_restored_as_any_other(work: Work) -> None:
    assert attempt(work) is not None
    new = str(work.cli.folder / "new")
    work.cli("backup", "restore", work.cli.place, "--all", *work.cli.key, "--data", new)
    assert work.cli("--data", new, "search", "--account", ANN, "Hello").stdout.count("Plans") == 3


def test_the_program_goes_the_short_way(work: Work) -> None:
    inode = work.note().stat().st_ino
    at = json.loads(work.note().read_bytes())["at"]
    done = subprocess.run(
        [sys.executable, "-m", "restante", *work.words], capture_output=True, text=True, check=True, timeout=60
    )
    assert LINE.match(done.stdout.rstrip("\n")) is not None
    assert done.stderr == ""
    assert json.loads(work.note().read_bytes())["at"] == at  # a whole run's instant: this was none
    assert work.note().stat().st_ino != inode


def test_it_imports_next_to_nothing(work: Work) -> None:
    code = (
        "import sys; from restante.cli import entry\n"
        "entry.end = lambda status: None\n"
        f"entry.begin_backup({work.words!r})\n"
        "heavy = ('click', 'asyncio', 'msgspec', 'dataclasses', 'pathlib', 'zstandard', 'subprocess', 'tomllib')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[1:] == ["[]"]


Change = Callable[[Work, pytest.MonkeyPatch], object]


def _damage_snapshot(work: Work, patch: pytest.MonkeyPatch) -> None:
    (path,) = (work.place / "snapshots").iterdir()
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


def _condemn(work: Work, patch: pytest.MonkeyPatch) -> None:
    work.opened().put_file("condemned", msgspec.msgpack.encode({"0" * 64: 1}), twice=True)


def _one(work: Work, folder: str) -> Path:
    return next(path for path in sorted((work.place / folder).rglob("*")) if path.is_file())


def _without(folder: str) -> Change:
    def change(work: Work, patch: pytest.MonkeyPatch) -> None:
        _one(work, folder).unlink()

    return change


def _cut_short(work: Work, patch: pytest.MonkeyPatch) -> None:
    os.truncate(_one(work, "twin/meta"), 100)


def _no_note(work: Work, patch: pytest.MonkeyPatch) -> None:
    work.note().unlink()


def _other_keys(work: Work, patch: pytest.MonkeyPatch) -> None:
    (work.cli.folder / "passphrase").write_text("another\n")
    (work.cli.folder / "key").write_text(keys.make_key_file(system_random)[1])


def _no_keys(work: Work, patch: pytest.MonkeyPatch) -> None:
    (work.cli.folder / "passphrase").unlink()
    (work.cli.folder / "key").unlink()


def _another_file(work: Work, patch: pytest.MonkeyPatch) -> None:
    (work.data / "tls").mkdir()
    (work.data / "tls" / "key.pem").write_text("another")


def _edit(field: str, value: object) -> Change:
    def change(work: Work, patch: pytest.MonkeyPatch) -> None:
        note = json.loads(work.note().read_bytes())
        work.note().write_text(json.dumps(note | {field: value}))

    return change


def _copied_back(work: Work, patch: pytest.MonkeyPatch) -> None:
    """An account's file replaced by a copy of itself: an older state put in service, as far as anybody can tell."""
    (path,) = (work.data / "accounts").rglob("*.db")
    shutil.copyfile(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").rename(path)


CHANGES: dict[str, Change] = {
    "a message": lambda work, patch: work.deliver(),
    "an alias": lambda work, patch: work.cli.data("alias", "add", "all@example.com", ANN),
    "an account": lambda work, patch: work.cli.data(
        "account", "add", "bob@example.com", "--password-stdin", stdin=b"correct horse\n"
    ),
    "a password": lambda work, patch: work.cli.data(
        "account", "passwd", ANN, "--password-stdin", stdin=b"horse battery\n"
    ),
    "a file of the installation": _another_file,
    "an account's file is a copy": _copied_back,
    "the host": lambda work, patch: patch.setattr(
        os, "uname", lambda: os.uname_result(("Linux", "elsewhere", "", "", ""))
    ),
    "mirrors": lambda work, patch: (work.data / "mirrors").mkdir(),
    "another snapshot": lambda work, patch: work.cli.data("backup", "run", work.cli.place, *work.cli.key, "--full"),
    "a snapshot has no twin": _without("twin/snapshots"),
    "the snapshot is damaged": _damage_snapshot,
    "an index is gone": _without("index"),
    "a pack of metadata is gone": _without("meta"),
    "the twin of a pack is cut short": _cut_short,
    "packs will go": _condemn,
    "somebody keeps the folder": lambda work, patch: (work.place / ".incoming").mkdir(),
    "repository.json": lambda work, patch: (work.place / "repository.json").write_text("{}"),
    "no location": lambda work, patch: work.place.rename(work.place.with_name("gone")),
    "another program": _edit("program", "0.0.1"),
    "too long ago": _edit("at", 1),
    "an edited note": _edit("accounts", 7),
    "an edited list": _edit("packs", [[1]]),
    "another format": _edit("format", 99),
    "no note": _no_note,
    "half a note": lambda work, patch: work.note().write_text("{"),
    "another passphrase and key": _other_keys,
    "no passphrase and key": _no_keys,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("work", ["key file"], indirect=True)
def test_whatever_differs_is_for_a_whole_run(work: Work, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(list(work.place.glob("snapshots/*")))
    CHANGES[change](work, monkeypatch)
    added = len(list(work.place.glob("snapshots/*")))
    assert attempt(work) is None
    assert len(list(work.place.glob("snapshots/*"))) == added
    assert added - before in (0, 1, -before)


@pytest.mark.parametrize("change", ["another passphrase and key", "no passphrase and key"])
@pytest.mark.parametrize("work", ["passphrase"], indirect=True)
def test_a_passphrase_that_opens_nothing(work: Work, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    CHANGES[change](work, monkeypatch)
    assert attempt(work) is None


@pytest.mark.parametrize("work", ["key file"], indirect=True)
def test_a_change_that_nobody_committed_changes_nothing(work: Work) -> None:
    """Reading, and a server that looks at the account, is no change."""
    work.cli.data("account", "list")
    work.cli.data("search", "--account", ANN, "Hello")
    assert attempt(work) is not None


@pytest.mark.parametrize("work", ["key file"], indirect=True)
def test_what_is_written_while_the_run_goes_on_is_not_passed_over(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory changed after the run had read it, or before: nothing is noted then."""
    from restante.backup import run as runs

    real = runs._snapshot

    def late() -> None:
        process = [sys.executable, "-m", "restante", "--data", str(work.data), "alias", "add", "late@example.com", ANN]
        subprocess.run(process, check=True, timeout=60)

    async def slow(*args: object, **more: object) -> object:
        found = await real(*args, **more)  # type: ignore[arg-type]  # passed on
        await asyncio.to_thread(late)
        return found

    monkeypatch.setattr(runs, "_snapshot", slow)
    work.deliver()
    work.whole()
    monkeypatch.undo()
    assert attempt(work) is None
    work.whole()
    assert work.snapshots()[-1].data.common != work.snapshots()[-2].data.common
    assert attempt(work) is not None


@pytest.mark.parametrize("work", ["key file"], indirect=True)
def test_a_full_disk_leaves_what_was_there(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the twin: a snapshot that is there once, which the next run completes."""
    real, calls = unchanged._put, []

    def put(root: str, name: str, data: bytes, random: object) -> None:
        calls.append(name)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(root, name, data, system_random)

    monkeypatch.setattr(unchanged, "_put", put)
    assert attempt(work) is None
    monkeypatch.undo()
    assert calls[0] == f"twin/{calls[1]}"
    work.whole()
    found = work.snapshots()
    assert [each.name for each in found][1] == calls[1]
    assert len(found) == 3


@pytest.mark.parametrize("work", ["key file"], indirect=True)
def test_several_at_once(work: Work) -> None:
    """Each leaves a snapshot, by whichever way it goes; one may have the number of another."""
    call = [sys.executable, "-m", "restante", *work.words]
    started = [subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(4)]
    for process in started:
        _, said = process.communicate(timeout=120)
        assert (process.returncode, said) == (0, b"")
    found = work.snapshots()
    assert len(found) == 5
    assert len({msgspec.structs.replace(each.data, at=0, serial=0) for each in found}) == 1
    work.whole()
    assert attempt(work) is not None


@pytest.mark.parametrize("work", ["key file"], indirect=True)
def test_nothing_is_noted_of_a_run_that_left_something_out(work: Work) -> None:
    work.note().unlink()
    work.cli.data("backup", "run", work.cli.place, *work.words[-2:], "--account", ANN)
    assert not list((work.data / "backup-notes").glob("unchanged-*"))


def test_nothing_is_noted_while_packs_are_condemned(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    _condemn(work, monkeypatch)
    for _ in range(2):
        work.whole()
        assert attempt(work) is None


def test_the_next_whole_run_lists_what_was_written_so(work: Work) -> None:
    assert attempt(work) is not None
    (work.data / "backup-notes").rename(work.data / "elsewhere")
    work.whole()
    for folder in ("snapshots", "twin/snapshots"):
        sorted((work.place / folder).iterdir())[1].unlink()
    gone = work.cli("backup", "verify", work.cli.place, *work.words[-2:], status=Exit.FINDINGS)
    assert "is missing." in gone.output


def test_nothing_is_noted_where_the_configuration_was_changed_meanwhile(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run took its location from what was there before: another one may stand there now."""
    from restante.backup import access

    config = cli.folder / "restante.toml"
    config.write_text("")
    real = access.installation_files

    def changed(path: Path | None, data: Path) -> dict[str, bytes]:
        config.write_text("# changed\n")
        return real(path, data)

    words = ["--data", str(cli.folder / "data"), "--config", str(config), "backup", "run", cli.place, *cli.key]
    with monkeypatch.context() as patch:
        patch.setattr(access, "installation_files", changed)
        cli(*words)
    assert not list((cli.folder / "data").glob("backup-notes/*"))
    cli(*words)
    assert list((cli.folder / "data").glob("backup-notes/*"))


def test_a_sealed_backup_has_none(cli: Cli) -> None:
    place, key = str(cli.folder / "sealed"), str(cli.folder / "writing")
    cli("backup", "init", place, *cli.key, "--sealed", "--writing-key", key)
    cli.data("backup", "run", place, "--key-file", key)
    cli.data("backup", "run", place, *cli.key)
    assert not list((cli.folder / "data" / "backup-notes").glob("unchanged-*"))


def test_by_the_configuration(cli: Cli) -> None:
    """Location and key that the configuration names; another configuration is another run."""
    config = cli.folder / "restante.toml"
    text = f'[backup]\nlocation = "{cli.place}"\npassphrase_file = "{cli.key[1]}"\n'
    config.write_text(text)
    words = ["--data", str(cli.folder / "data"), "--config", str(config), "backup", "run"]
    cli(*words)
    said = plain_run(words)
    assert said is not None
    assert settle(said) is not None
    config.write_text(text + "# more\n")
    assert settle(said) is None


PLAIN = {"": "", "--data": "", "--config": "", "--passphrase-file": "", "--key-file": ""}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("backup run", {}),
        ("backup run /b", {"": "/b"}),
        ("--data D backup run /b --key-file=K", {"": "/b", "--data": "D", "--key-file": "K"}),
        ("backup --config C run --passphrase-file P /b", {"": "/b", "--config": "C", "--passphrase-file": "P"}),
        ("backup run /b --json", None),
        ("backup run /b --full", None),
        ("backup run /b --account a@b", None),
        ("backup run /b /c", None),
        ("backup run /b --key-file", None),
        ("backup run --key-file --json", None),
        ("backup list /b", None),
        ("sync", None),
        ("", None),
    ],
)
def test_the_plainest_command_line(line: str, said: dict[str, str] | None) -> None:
    assert plain_run(line.split()) == (None if said is None else PLAIN | said)


def test_a_command_is_its_first_word() -> None:
    assert entry._command(["--data", "backup", "serve"]) == "serve"
    assert entry._command(["--data=x", "backup", "run"]) == "backup"
    assert entry._command(["--help"]) == ""


# The key that is begun early ---------------------------------------------------------------------------


def test_the_key_is_made_once(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    entry.begin_key(["backup", "list", cli.place, *cli.key])
    assert len(ahead._made) == 1
    monkeypatch.setattr(keys, "Argon2id", None)  # would fail
    secret = Passphrase(b"three random words")
    assert Repository.open(Folder(Path(cli.place), system_random), secret, system_random).id
    with pytest.raises(TypeError):
        Repository.open(Folder(Path(cli.place), system_random), Passphrase(b"others"), system_random)


@pytest.mark.parametrize(
    "words", [["find", "x", "--location={}"], ["find", "x", "--location", "{}"], ["restore", "{}", "--all"], ["run"]]
)
def test_where_a_location_is_named(cli: Cli, words: list[str]) -> None:
    entry.begin_key(["backup", *(word.format(cli.place) for word in words), *cli.key])
    assert bool(ahead._made) == (words != ["run"])


def test_a_passphrase_in_a_pipe_is_left_alone(cli: Cli) -> None:
    """It can be read but once."""
    read, write = os.pipe()
    os.write(write, b"three random words\n")
    os.close(write)
    entry.begin_key(["backup", "list", cli.place, "--passphrase-file", f"/dev/fd/{read}"])
    assert ahead._made == {}
    assert os.read(read, 100) == b"three random words\n"
    os.close(read)


def test_a_named_pipe_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who writes into it would write to nobody, and who reads it afterwards would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    opened: list[object] = []
    real = os.open

    def noted(path: str, flags: int) -> int:
        opened.append(path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", noted)
    assert ahead.passphrase_in(str(tmp_path / "pipe")) is None
    assert opened == []


@pytest.mark.parametrize("field", ["memory", "passes", "lanes"])
def test_a_slot_that_asks_for_too_much_is_not_begun(cli: Cli, field: str) -> None:
    from hashlib import sha256

    (path, _) = sorted(Path(cli.place, "keys").iterdir())
    slot = json.loads(path.read_bytes()) | {field: 1 << 30, "created": 1 << 40}
    data = json.dumps(slot).encode()
    path.with_name(f"{sha256(data).hexdigest()[:32]}-1").write_bytes(data)
    entry.begin_key(["backup", "list", cli.place, *cli.key])
    assert [numbers for _, _, *numbers in ahead._made] in ([], [[keys.MEMORY, keys.PASSES, keys.LANES]])
    cli("backup", "list", cli.place, *cli.key)


@pytest.mark.parametrize(
    "label", ["plain", 'a "quoted" one', r'x","method":"key-file","created":9,"salt":"', "}\\", "an ä"]
)
def test_the_slot_that_is_begun_is_the_one_that_is_tried_first(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    """Of two passphrases that are the same, whatever people call them; beside a key file that is newer."""
    opened = Repository.open(Folder(Path(cli.place), system_random), Passphrase(b"three random words"), system_random)
    newest = opened.add_key(Passphrase(b"three random words"), label, 1 << 33)
    opened.add_key(keys.make_key_file(system_random)[0], label, 1 << 34)
    entry.begin_key(["backup", "list", cli.place, *cli.key])
    ((_, salt, *numbers),) = ahead._made
    slot = ahead.slots(cli.place, "passphrase")[0]
    assert (slot["name"], salt) == (newest, ahead.octets(slot, "salt"))
    assert numbers == [keys.MEMORY, keys.PASSES, keys.LANES]
    monkeypatch.setattr(keys, "Argon2id", None)  # would fail
    assert Repository.open(opened.location, Passphrase(b"three random words"), system_random).id == opened.id


@pytest.mark.parametrize("line", [b"", b"{}", b'{"method":"passphrase","created":1}', b'"created":' + b"9" * 9000])
def test_a_slot_that_is_none_begins_nothing(cli: Cli, line: bytes) -> None:
    for path in Path(cli.place, "keys").iterdir():
        path.write_bytes(line)
    assert not ahead.begin(cli.place, b"three random words")


def test_the_class_is_the_one_that_cryptography_offers() -> None:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    assert ahead._argon2id() is Argon2id


def test_nothing_is_begun_where_others_can_add_slots(cli: Cli) -> None:
    Path(cli.place, ".incoming").mkdir()
    entry.begin_key(["backup", "list", cli.place, *cli.key])
    assert ahead._made == {}


def test_what_fails_early_fails_again_where_it_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**values: object) -> object:
        raise MemoryError

    monkeypatch.setattr(ahead, "_argon2id", lambda: fails)
    entry.begin_key(["backup", "list", cli.place, *cli.key])
    assert len(ahead._made) == 1
    cli("backup", "list", cli.place, *cli.key)
    assert threading.active_count() >= 1


def test_where_there_is_no_thread_for_it_it_is_made_when_it_is_needed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*values: object) -> object:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ahead, "start_new_thread", fails)
    entry.begin_key(["backup", "list", cli.place, *cli.key])
    assert ahead._made == {}
    secret = Passphrase(b"three random words")
    assert Repository.open(Folder(Path(cli.place), system_random), secret, system_random).id


def test_several_keys_are_made_at_once(cli: Cli) -> None:
    """Two derivations with several lanes in one process fail, or wait for each other for ever, unless they take turns:
    the key that was begun, another slot's, and the password of somebody who came from another server."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    from restante.accounts.passwords import verify_password

    hash = Argon2id(salt=b"s" * 16, length=32, iterations=1, lanes=4, memory_cost=64).derive_phc_encoded(b"secret")
    found: list[object] = []

    def opened(passphrase: bytes) -> None:
        location = Folder(Path(cli.place), system_random)
        for _ in range(3):
            found.append(Repository.open(location, Passphrase(passphrase), system_random).id)

    def verified() -> None:
        found.extend(verify_password(b"secret", hash) for _ in range(50))

    entry.begin_key(["backup", "list", cli.place, *cli.key])
    threads = [threading.Thread(target=opened, args=(b"three random words",), daemon=True) for _ in range(2)]
    ahead._made.clear()  # who opens derives anew, beside what was begun
    threads += [threading.Thread(target=verified, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert len(found) == 106
    assert found.count(True) == 100


def test_the_short_way_knows_the_format(work: Work) -> None:
    """What stands in `unchanged` once more is what `sealed` and `keys` have."""
    from restante.backup.crypto import Secrets, derive
    from restante.backup.sealed import DRAWN_OCTETS, FileKind, open_file, seal_file

    note = unchanged.read(str(work.data), backup_again.asked_of(*_asked(work)))
    assert note is not None
    root = unchanged.root_key(note)
    assert root is not None
    secrets = Secrets.of(root)
    assert secrets.files == derive(root, b"files")
    for size in (0, 1, 4000, 4096, 10_000):
        drawn, content = system_random(DRAWN_OCTETS), system_random(size)
        sealed = seal_file(secrets, FileKind.SNAPSHOT, content, drawn)
        assert unchanged._seal(secrets.files, content, drawn[:32]) == sealed
        assert unchanged._open(secrets.files, sealed) == content
        assert bytes(open_file(secrets, FileKind.SNAPSHOT, sealed)) == content
    for text in ("", "a", "b" * 31, "c" * 32, "ö" * 100, "d" * 255):
        assert unchanged._text(text) == msgspec.msgpack.encode(text)


def _asked(work: Work) -> tuple[str, str, str, str, str]:
    said = plain_run(work.words)
    assert said is not None
    return said[""], said["--passphrase-file"], said["--key-file"], said["--config"], said["--data"]
