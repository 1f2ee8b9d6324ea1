"""`restante backup` as scripts call it: what is printed, where, and the exit status."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from restante.backup import bring, objects
from restante.backup.errors import Corrupt
from restante.backup.folder import Folder
from restante.backup.keys import Passphrase
from restante.backup.look import Looking
from restante.backup.outcome import Drilled
from restante.backup.repository import Repository
from restante.backup.run import lines_of
from restante.cli import backup_restore
from restante.cli.main import restante
from restante.cli.statuses import Exit
from restante.clock import SystemClock
from restante.server.backup_records import note_drill
from restante.server.nightly_state import Nights, write_nights

from .terminal import on_terminal

TEXT = b"From: Carl <carl@example.org>\nSubject: Plans\nMessage-ID: <%d@example.org>\n\nHello %d\n"


class Cli:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = str(folder / "backup")
        (folder / "passphrase").write_text("three random words\nand a second line\n")
        self.key = ("--passphrase-file", str(folder / "passphrase"))

    def __call__(self, *args: str, status: Exit = Exit.OK, stdin: bytes = b"") -> Result:
        result = CliRunner().invoke(restante, args, input=stdin)
        assert result.exit_code == status, (result.output, result.exception)
        return result

    def data(self, *args: str, status: Exit = Exit.OK, stdin: bytes = b"") -> Result:
        return self("--data", str(self.folder / "data"), *args, status=status, stdin=stdin)

    def json(self, *args: str) -> object:
        return json.loads(self(*args, "--json").stdout)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    made = Cli(tmp_path)
    made.data("domain", "add", "example.com")
    made.data("account", "add", "ann@example.com", "--password-stdin", stdin=b"correct horse\n")
    mail = tmp_path / "mail"
    mail.mkdir()
    for number in range(3):
        (mail / f"{number}.eml").write_bytes(TEXT % (number, number))
    made.data("import", str(mail), "--account", "ann@example.com")
    made("backup", "init", made.place, *made.key)
    return made


def test_as_scripts_do_it(cli: Cli) -> None:
    """The three lines of the operator's guide: run, restore, verify."""
    assert "3 messages" in cli.data("backup", "run", cli.place, *cli.key).stdout
    cli("backup", "restore", cli.place, "--all", *cli.key, "--data", str(cli.folder / "new"))
    found = cli("--data", str(cli.folder / "new"), "search", "--account", "ann@example.com", "Hello")
    assert found.stdout.count("Plans") == 3
    assert "All that was read is right." in cli("backup", "verify", cli.place, "--all", *cli.key).stdout
    cli("--data", str(cli.folder / "new"), "doctor")
    again = cli(
        "backup", "restore", cli.place, "--all", *cli.key, "--data", str(cli.folder / "new"), status=Exit.REFUSED
    )
    assert "There is mail in" in again.stderr


def test_location_and_key_stand_in_the_configuration(cli: Cli) -> None:
    config = cli.folder / "restante.toml"
    config.write_text(
        f'data = "{cli.folder / "data"}"\n[backup]\nlocation = "{cli.place}"\npassphrase_file = "{cli.key[1]}"\n'
    )
    with_config = ("--config", str(config))
    cli(*with_config, "backup", "run")
    (row,) = json.loads(cli(*with_config, "backup", "list", "--json").stdout)
    assert (row["accounts"], row["messages"], row["left_out"]) == (1, 3, [])
    cli(*with_config, "backup", "verify")
    cli("backup", "restore", cli.place, "--all", *cli.key, "--data", str(cli.folder / "new"))
    assert (cli.folder / "new" / "restante.toml").read_text() == config.read_text(), "settings come back too"
    assert (cli.folder / "new" / "restante.toml").stat().st_mode & 0o077 == 0


def test_show_and_find_tell_what_is_there_and_what_is_gone(cli: Cli) -> None:
    cli.data("backup", "run", cli.place, *cli.key)
    (account,) = json.loads(cli("backup", "show", "latest", "--location", cli.place, *cli.key, "--json").stdout)
    assert (account["account"], account["messages"]) == ("ann@example.com", 3)
    boxes = json.loads(
        cli("backup", "show", "--account", "ann@example.com", "--location", cli.place, *cli.key, "--json").stdout
    )
    assert {box["mailbox"]: box["messages"] for box in boxes}["INBOX"] == 3
    found = json.loads(cli("backup", "find", "from:carl plans", "--location", cli.place, *cli.key, "--json").stdout)
    assert [(row["sender"], row["subject"], row["snapshots"]) for row in found] == [
        ("Carl <carl@example.org>", "Plans", 1)
    ] * 3
    nothing = cli("backup", "find", "nobody", "--location", cli.place, *cli.key)
    assert (nothing.stdout, nothing.stderr) == ("", "Nothing found.\n")
    cli("backup", "find", "body:hello", "--location", cli.place, *cli.key, status=Exit.REFUSED)
    assert len(cli("backup", "find", "mailbox:inbox", "--location", cli.place, *cli.key).stdout.splitlines()) == 4
    cli("backup", "show", "no-such-day", "--location", cli.place, *cli.key, status=Exit.NOT_FOUND)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("plans", "--account", "anm@example.com"), "No snapshot has the account anm@example.com."),
        (("mailbox:Wrok",), "No snapshot has the mailbox Wrok."),
    ],
)
def test_what_is_mistyped_is_not_told_as_gone(cli: Cli, words: tuple[str, ...], told: str) -> None:
    at = ("--location", cli.place, *cli.key)
    assert "There is no snapshot in this backup." in cli("backup", "find", *words, *at, status=Exit.NOT_FOUND).stderr
    cli.data("backup", "run", cli.place, *cli.key)
    cli.data("backup", "run", cli.place, *cli.key)
    assert told in cli("backup", "find", *words, *at, status=Exit.NOT_FOUND).stderr
    one = cli("backup", "find", *words, "--snapshot", "latest", *at, status=Exit.NOT_FOUND).stderr
    assert told.removeprefix("No snapshot has") in one.replace(" does not have", "")


def test_a_message_a_mailbox_and_an_account_come_back(cli: Cli) -> None:
    restore = ("backup", "restore", cli.place, *cli.key, "--account", "ann@example.com")
    cli.data("backup", "run", cli.place, *cli.key)
    found = json.loads(cli("backup", "find", "Hello OR carl", "--location", cli.place, *cli.key, "--json").stdout)
    there = json.loads(cli.data(*restore, "--json").stdout)
    assert (there["messages"], there["present"]) == (0, 3)
    one = ("--message", found[0]["email_id"])
    assert json.loads(cli.data(*restore, *one, "--beside", "--json").stdout)["messages"] == 1
    out = (*restore, "--mailbox", "inbox", "--out", str(cli.folder / "out"), "--format", "mbox")
    cli.data(*out)
    assert "--force" not in cli.data(*out, status=Exit.REFUSED).stderr, "there is none here"
    for wrong in (Path(cli.key[1]), Path(cli.key[1], "below", "that"), Path("/proc/here")):
        refused = cli.data(*restore, "--mailbox", "INBOX", "--out", str(wrong), status=Exit.REFUSED)
        assert refused.stderr.startswith("restante: /"), refused.stderr
    assert (cli.folder / "out" / "INBOX.mbox").read_bytes().count(b"Subject: Plans") == 3
    cli.data("account", "remove", "ann@example.com", "--yes")
    dry = json.loads(cli.data(*restore, "--dry-run", "--json").stdout)
    assert (dry["accounts"], dry["messages"]) == (1, 3)
    cli.data(*restore, "--mailbox", "INBOX", status=Exit.REFUSED)
    assert json.loads(cli.data(*restore, "--json").stdout)["messages"] == 3
    cli.data("doctor")
    cli.data(*restore, "--mailbox", "Nowhere", status=Exit.NOT_FOUND)


def test_a_restore_that_ends_at_a_quota_says_what_came_back(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.data("backup", "run", cli.place, *cli.key)
    monkeypatch.setattr(bring, "GROUP_MESSAGES", 1)
    cli.data("account", "add", "bob@example.com", "--password-stdin", "--quota", "200 B", stdin=b"correct horse\n")
    into = ("backup", "restore", cli.place, *cli.key, "--account", "ann@example.com", "--into", "bob@example.com")
    refused = cli.data(*into, status=Exit.REFUSED)
    assert "came back before this. Run it again afterwards" in refused.stderr
    assert "The mailbox is full." in refused.stderr
    cli.data("account", "set", "bob@example.com", "--quota", "1 MB")
    assert cli.data(*into).stdout.startswith("From ")
    assert cli.data("search", "--account", "bob@example.com", "Hello").stdout.count("Plans") == 3


def test_who_has_an_address_now_gets_nothing_of_who_had_it_before(cli: Cli) -> None:
    restore = ("backup", "restore", cli.place, *cli.key, "--account", "ann@example.com")
    cli.data("backup", "run", cli.place, *cli.key)
    cli.data("account", "remove", "ann@example.com", "--yes")
    cli.data("account", "add", "ann@example.com", "--password-stdin", stdin=b"battery staple\n")
    for more in ((), ("--beside",), ("--mailbox", "INBOX"), ("--flags",), ("--dry-run",)):
        assert "is another account" in cli.data(*restore, *more, status=Exit.NOT_FOUND).stderr
    assert cli.data("search", "--account", "ann@example.com", "Hello").stdout.count("Plans") == 0
    (cli.folder / "new.eml").write_bytes(TEXT % (9, 9))
    cli.data("import", str(cli.folder / "new.eml"), "--account", "ann@example.com")
    cli.data("backup", "run", cli.place, *cli.key)
    assert json.loads(cli.data(*restore, "--json").stdout)["present"] == 1
    first = json.loads(cli("backup", "list", cli.place, *cli.key, "--json").stdout)[0]["snapshot"]
    # It was one person's after all, whose account somebody removed by mistake.
    assert (
        json.loads(cli.data(*restore, "--into", "ann@example.com", "--snapshot", first, "--json").stdout)["messages"]
        == 3
    )
    assert cli.data("search", "--account", "ann@example.com", "Hello").stdout.count("Plans") == 4
    assert (
        json.loads(cli.data(*restore, "--into", "ann@example.com", "--snapshot", first, "--json").stdout)["present"]
        == 3
    )


def test_damage_is_told_by_the_exit_status(cli: Cli) -> None:
    cli.data("backup", "run", cli.place, *cli.key)
    (pack,) = [path for path in Path(cli.place, "mail").rglob("*") if path.is_file()]
    data = bytearray(pack.read_bytes())
    data[60] ^= 1
    pack.write_bytes(data)
    told = cli("backup", "verify", cli.place, "--all", *cli.key, status=Exit.FINDINGS).stdout
    assert told.count("lost ann@example.com INBOX UID") == 3
    assert told.count(pack.name) == 1, "the name is long"
    restored = cli(
        "backup", "restore", cli.place, "--all", *cli.key, "--data", str(cli.folder / "new"), status=Exit.FINDINGS
    )
    assert restored.stderr.count("lost ann@example.com INBOX UID") == 3
    # The store still has them: what is damaged is taken out of the way, and a full run writes it again.
    pack.unlink()
    cli("backup", "verify", cli.place, "--all", *cli.key, status=Exit.FINDINGS)
    cli.data("backup", "run", cli.place, "--full", *cli.key)
    cli("backup", "prune", cli.place, *cli.key)
    cli("backup", "verify", cli.place, "--all", *cli.key)
    cli("backup", "restore", cli.place, "--all", *cli.key, "--data", str(cli.folder / "newer"))


def test_what_is_kept_twice_is_mended(cli: Cli) -> None:
    cli.data("backup", "run", cli.place, *cli.key)
    for name in ("keys", "meta", "snapshots"):
        path = next(path for path in sorted(Path(cli.place, name).rglob("*")) if path.is_file())
        path.write_bytes(b"\0" + path.read_bytes()[1:])
    Path(cli.place, "repository.json").write_text("{}")
    listed = cli("backup", "list", cli.place, *cli.key)
    assert "restante backup verify --all" in listed.stderr
    assert (
        cli("backup", "verify", cli.place, "--all", "--mend", *cli.key, status=Exit.FINDINGS).stdout.count("mended")
        == 4
    )
    cli("backup", "verify", cli.place, "--all", *cli.key)


def test_a_message_whose_octets_are_lost_hides_no_other_that_is_found(cli: Cli) -> None:
    cli.data("backup", "run", cli.place, *cli.key)
    for pack in (cli.folder / "backup" / "mail").rglob("*"):
        if pack.is_file():
            pack.unlink()
    found = cli("backup", "find", "carl", "--location", cli.place, *cli.key, "--json")
    assert [row["subject"] for row in json.loads(found.stdout)] == ["(damaged in the backup)"] * 3
    assert "is not at the backup's location" in found.stderr


def test_what_of_an_account_or_the_directory_is_lost_hides_nothing_else(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both copies of a pack of metadata are gone: everything that lies in others is shown and comes back."""
    cli.data("account", "add", "bob@example.com", "--password-stdin", stdin=b"correct horse\n")
    cli.data("alias", "add", "all@example.com", "ann@example.com")
    cli.data("backup", "run", cli.place, *cli.key)
    read = Repository.read
    lost: list[type[objects.Struct]] = []

    def damaged(repository: Repository, id: bytes, what: type[objects.Struct]) -> objects.Struct:
        if what in lost:
            lost.remove(what)  # the first one alone
            raise Corrupt("An object of the backup is not what was written.")
        return read(repository, id, what)

    monkeypatch.setattr(Repository, "read", damaged)
    lost.append(objects.AccountData)
    shown = cli("backup", "show", "latest", "--location", cli.place, *cli.key, "--json")
    assert [(row["account"], row["mailboxes"]) for row in json.loads(shown.stdout)] == [
        ("ann@example.com", None),
        ("bob@example.com", 6),
    ]
    assert "is not what was written" in shown.stderr
    lost.append(objects.CommonData)
    new = ("--data", str(cli.folder / "new"))
    whole = cli("backup", "restore", cli.place, "--all", *cli.key, *new, status=Exit.FINDINGS)
    assert "Domains, aliases and secrets: An object" in whole.stderr
    assert "ann@example.com" in cli(*new, "account", "list").stdout
    assert cli(*new, "search", "--account", "ann@example.com", "Hello").stdout.count("Plans") == 3
    cli(*new, "doctor")


def test_a_dry_run_says_what_would_be(cli: Cli) -> None:
    """Also that nothing would come back, and why."""
    cli.data("backup", "run", cli.place, *cli.key)
    everything = ("backup", "restore", cli.place, *cli.key, "--all", "--dry-run")
    assert "There is mail in" in cli.data(*everything, status=Exit.REFUSED).stderr
    new = cli.folder / "new"
    would = json.loads(cli("--data", str(new), *everything, "--json").stdout)
    assert (would["accounts"], would["messages"]) == (1, 3)
    assert not new.exists()
    one = ("backup", "restore", cli.place, *cli.key, "--account", "ann@example.com")
    cli.data("account", "remove", "ann@example.com", "--yes")
    cli.data("account", "add", "bob@example.com", "--password-stdin", stdin=b"correct horse\n")
    cli.data("alias", "add", "ann@example.com", "bob@example.com")
    assert "is an alias" in cli.data(*one, "--dry-run", status=Exit.REFUSED).stderr
    assert "is an alias" in cli.data(*one, status=Exit.REFUSED).stderr


def test_a_message_that_was_not_there_is_told(cli: Cli) -> None:
    cli.data("backup", "run", cli.place, *cli.key)
    one = ("backup", "restore", cli.place, *cli.key, "--account", "ann@example.com", "--message", "m" + "a" * 26)
    for more in ((), ("--beside",), ("--dry-run",), ("--out", str(cli.folder / "out"))):
        assert "was not there then" in cli.data(*one, *more, status=Exit.NOT_FOUND).stderr


def test_a_restore_that_was_cut_off_before_it_said_of_which_snapshot_begins_anew(cli: Cli) -> None:
    cli.data("backup", "run", cli.place, *cli.key)
    (cli.folder / "new").mkdir(mode=0o700)
    (cli.folder / "new" / "restoring").touch()
    cli("backup", "restore", cli.place, "--all", *cli.key, "--data", str(cli.folder / "new"))


@pytest.mark.parametrize("at", [2**62, 253_402_300_800, -(2**62)])
def test_a_snapshot_of_a_date_that_no_calendar_has_hides_no_other_and_is_forgotten(cli: Cli, at: int) -> None:
    """Who has the server's key can add one to an append-only location."""
    cli.data("backup", "run", cli.place, *cli.key)
    repository = Repository.open(Folder(Path(cli.place), os.urandom), Passphrase(b"three random words"), os.urandom)
    right = repository.basis()
    assert right is not None
    forged = repository.put_snapshot(msgspec.structs.replace(right.data, at=at))
    listed = cli("backup", "list", cli.place, *cli.key, "--json")
    assert [row["snapshot"] for row in json.loads(listed.stdout)] == [right.id]
    assert forged.name in listed.stderr
    assert "backup forget'" in listed.stderr
    assert "verify" not in listed.stderr
    assert cli("backup", "show", "latest", "--location", cli.place, *cli.key).stdout.count("ann@example.com") == 1
    assert [state.id for state in Looking(repository).states(lines_of(repository, right).popitem()[0])] == [right.name]
    assert forged.id in cli("backup", "verify", cli.place, "--all", *cli.key, status=Exit.FINDINGS).stdout
    cli.data("backup", "run", cli.place, *cli.key)
    cli("backup", "prune", cli.place, *cli.key, status=Exit.REFUSED)
    cli("backup", "forget", forged.id, "--location", cli.place, *cli.key, "--yes")
    cli("backup", "prune", cli.place, *cli.key)
    cli("backup", "verify", cli.place, "--all", *cli.key)


def test_keys_are_added_listed_and_removed(cli: Cli) -> None:
    at = ("--location", cli.place)
    made = cli.folder / "backup.key"
    cli("backup", "key", "add", *at, *cli.key, "--label", "machine", "--new-key-file", str(made))
    assert made.stat().st_mode & 0o077 == 0
    cli("backup", "key", "add", *at, *cli.key, "--new-key-file", str(made), status=Exit.REFUSED)
    half = ("--new-key-file", str(cli.folder / "half.key"))
    cli("backup", "key", "add", *at, *cli.key, "--label", "x" * 101, *half, status=Exit.REFUSED)
    assert not (cli.folder / "half.key").exists(), "it opens nothing, and would be in the way"
    cli.data("backup", "run", cli.place, "--key-file", str(made))
    other = cli.folder / "other"
    other.write_text("another one\n")
    cli("backup", "key", "add", *at, "--key-file", str(made), "--new-passphrase-file", str(other))
    rows = json.loads(cli("backup", "key", "list", *at, "--json").stdout)
    assert sorted((row["label"], row["opens_by"]) for row in rows) == [
        ("", "passphrase"), ("first", "passphrase"), ("machine", "key-file"),
    ]  # fmt: skip
    first = next(row["key"] for row in rows if row["label"] == "first")
    cli("backup", "key", "remove", first, *at, "--key-file", str(made), "--yes")
    refused = cli("backup", "list", cli.place, *cli.key, status=Exit.REFUSED)
    assert "No key of this backup opens with that." in refused.stderr
    cli("backup", "list", cli.place, "--passphrase-file", str(other))


def test_a_key_is_removed_when_it_was_said_which_one_and_what_is_left(cli: Cli) -> None:
    at = ("--location", cli.place)
    machine = cli.folder / "machine.key"

    def keys() -> dict[str, str]:
        return {row["label"]: row["key"] for row in json.loads(cli("backup", "key", "list", *at, "--json").stdout)}

    first = keys()["first"]
    last = cli("backup", "key", "remove", first, *at, *cli.key, "--yes", status=Exit.REFUSED)
    assert "That is the last key" in last.stderr
    cli("backup", "key", "add", *at, *cli.key, "--label", "machine", "--new-key-file", str(machine))
    before = keys()
    refused = cli("backup", "key", "remove", first, *at, *cli.key, status=Exit.REFUSED).stderr
    assert "nobody to ask" in refused
    gone, left = refused.split("1 key will be left:")
    assert (first in gone, before["machine"] in left) == (True, True)
    assert "Who loses that one loses the backup." in left
    assert "opened with the one that goes" in left
    assert keys() == before
    other = cli("backup", "key", "remove", first, *at, "--key-file", str(machine), status=Exit.REFUSED).stderr
    assert "opened with" not in other, "the one that is left was tried just now"
    question = ["backup", "key", "remove", first, *at, *cli.key]
    assert on_terminal(question, [("Go on? [y/N]:", "n")])[0] == Exit.REFUSED
    assert keys() == before
    status, shown = on_terminal(question, [("Go on? [y/N]:", "y")])
    assert (status, shown.count(first)) == (Exit.OK, 2)
    assert keys() == {"machine": before["machine"]}
    cli("backup", "list", cli.place, "--key-file", str(machine))


def test_a_snapshot_is_named_as_an_instant_is_for_a_rewind(cli: Cli) -> None:
    cli.data("backup", "run", cli.place, *cli.key)
    (row,) = json.loads(cli("backup", "list", cli.place, *cli.key, "--json").stdout)
    back = ("backup", "restore", cli.place, "--account", "ann@example.com", *cli.key, "--snapshot")
    taken = cli.data(*back, "0s ago")
    assert f"0s ago: the snapshot {row['snapshot']} of {row['taken']}." in taken.stderr
    assert taken.stdout.startswith(f"From {row['snapshot']} ")
    none = cli.data(*back, "yesterday 00:00", status=Exit.NOT_FOUND).stderr
    assert "There is no snapshot of 20" in none
    assert f"The oldest, {row['snapshot']}, is of 20" in none
    for wrong in ("yesterday", "3 hours ago", "tomorrow 14:00"):
        assert f'"{wrong}" is neither a date nor a snapshot' in cli.data(*back, wrong, status=Exit.NOT_FOUND).stderr
    at = ("--location", cli.place, *cli.key)
    for words in (("show", "0s ago", *at), ("find", "plans", "--snapshot", "0s ago", *at)):
        assert f"the snapshot {row['snapshot']} of" in cli("backup", *words).stderr
    assert "the snapshot" not in cli("backup", "show", row["snapshot"], *at).stderr


def test_prune_says_what_it_would_forget(cli: Cli) -> None:
    for _ in range(2):
        cli.data("backup", "run", cli.place, *cli.key)
    dry = json.loads(cli("backup", "prune", cli.place, *cli.key, "--dry-run", "--json").stdout)
    assert (len(dry["kept"]), len(dry["forgotten"])) == (1, 1)
    assert "1 snapshot kept" in cli("backup", "prune", cli.place, *cli.key).stdout
    zero = ("--daily", "0", "--weekly", "0", "--monthly", "0", "--last", "0")
    cli("backup", "prune", cli.place, *cli.key, *zero, status=Exit.USAGE)


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (("restore", "PLACE"), Exit.USAGE),
        (("restore", "PLACE", "--all", "--account", "a@b"), Exit.USAGE),
        (("restore", "PLACE", "--all", "--beside"), Exit.USAGE),
        (("restore", "PLACE", "--account", "a@b", "--beside", "--flags"), Exit.USAGE),
        (("run",), Exit.REFUSED),
        (("run", "ftp://place/folder"), Exit.REFUSED),
        (("run", "s3://No_Bucket"), Exit.REFUSED),
        (("run", "PLACE", "--account", "nobody@example.com"), Exit.NOT_FOUND),
        (("list", "NOWHERE"), Exit.NOT_FOUND),
        (("key", "list", "--location", "NOWHERE"), Exit.NOT_FOUND),
        (("init", "PLACE"), Exit.REFUSED),
        (("restore", "PLACE", "--account", "ann@example.com"), Exit.NOT_FOUND),
    ],
)
def test_what_cannot_be_is_told(cli: Cli, args: tuple[str, ...], status: Exit) -> None:
    places = {"PLACE": cli.place, "NOWHERE": str(cli.folder / "nowhere")}
    cli.data("backup", *[places.get(one, one) for one in args], *cli.key, status=status)


def test_what_is_no_folder_is_told_by_its_name(cli: Cli) -> None:
    for place in (cli.key[1], f"{cli.key[1]}/below", "/proc/here"):
        refused = cli("backup", "init", place, *cli.key, status=Exit.TEMPORARY)
        assert f"The backup's location cannot be used: {place}" in refused.stderr


def test_a_restore_onto_a_full_disk_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.data("backup", "run", cli.place, *cli.key)
    new = cli.folder / "new"
    everything = ("backup", "restore", cli.place, "--all", *cli.key, "--data", str(new))

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(backup_restore, "_write_files", full)
        refused = cli(*everything, status=Exit.REFUSED)
    assert f"The data folder {new} cannot be written (No space left on device)." in refused.stderr
    cli(*everything)


def test_a_location_without_rights_is_told(cli: Cli) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    Path(cli.place).chmod(0o500)
    refused = cli.data("backup", "run", cli.place, *cli.key, status=Exit.TEMPORARY)
    assert "location cannot be used" in refused.stderr


def test_prune_keeps_what_the_configuration_says(cli: Cli) -> None:
    config = cli.folder / "restante.toml"
    text = f'data = "{cli.folder / "data"}"\n[backup]\nlocation = "{cli.place}"\npassphrase_file = "{cli.key[1]}"\n'
    none = "keep_daily = 0\nkeep_weekly = 0\nkeep_monthly = 0\n"
    config.write_text(text + none)
    with_config = ("--config", str(config), "backup")
    for _ in range(2):
        cli(*with_config, "run")
    assert "keeps every snapshot" in cli(*with_config, "prune", status=Exit.REFUSED).stderr
    assert json.loads(cli(*with_config, "prune", "--daily", "1", "--dry-run", "--json").stdout)["forgotten"]
    config.write_text(text + none.replace("daily = 0", "daily = 2"))
    done = json.loads(cli(*with_config, "prune", "--last", "0", "--dry-run", "--json").stdout)
    assert (len(done["kept"]), len(done["forgotten"])) == (1, 1), "both are of one day"


def test_status_without_a_schedule_is_no_failure_and_with_one_nothing_is_known_yet(cli: Cli) -> None:
    assert "has no location" in cli.data("backup", "status").stdout
    config = cli.folder / "restante.toml"
    config.write_text(f'data = "{cli.folder / "data"}"\n[backup]\nlocation = "/x"\nschedule = "off"\n')
    assert "is off" in cli("--config", str(config), "backup", "status").stdout
    config.write_text(config.read_text().replace("off", "23:15"))
    assert "no server has seen" in cli("--config", str(config), "backup", "status").stdout


def test_where_there_is_no_store_nothing_is_saved(cli: Cli) -> None:
    """A disk that is not mounted: an empty snapshot would be the newest one, and a good night."""
    nowhere = cli.folder / "nowhere"
    cli.data("backup", "run", cli.place, *cli.key)
    before = cli.json("backup", "list", cli.place, *cli.key)
    for mounted in (False, True):
        if mounted:
            nowhere.mkdir()
        refused = cli("backup", "run", cli.place, *cli.key, "--data", str(nowhere), status=Exit.REFUSED).stderr
        assert str(nowhere) in refused
        config = cli.folder / "restante.toml"
        config.write_text(f'data = "{nowhere}"\n[backup]\nlocation = "{cli.place}"\n')
        assert str(nowhere) in cli("--config", str(config), "backup", "status", status=Exit.REFUSED).stderr
        one = ("restore", cli.place, "--account", "ann@example.com", *cli.key, "--data", str(nowhere))
        for more in ((), ("--dry-run",)):
            assert str(nowhere) in cli("backup", *one, *more, status=Exit.REFUSED).stderr
    assert cli.json("backup", "list", cli.place, *cli.key) == before
    assert list(nowhere.iterdir()) == []


def test_status_says_what_is_wrong(cli: Cli) -> None:
    config = cli.folder / "restante.toml"
    config.write_text(f'data = "{cli.folder / "data"}"\n[backup]\nlocation = "/x"\n')
    now = SystemClock().now()

    def told(nights: Nights, status: Exit) -> str:
        write_nights(cli.folder / "data", nights)
        return cli("--config", str(config), "backup", "status", status=status).stdout

    assert "first night is to come" in told(Nights(since=now, attended=now, next=now), Exit.OK)
    assert "works" in told(Nights(since=0, attended=now, success=now - 100, failure=now - 200), Exit.OK)
    bad = told(Nights(since=0, attended=now, success=now - 200, failure=now - 100, reason="Why."), Exit.FINDINGS)
    assert "FAILS." in bad
    assert "Why." in bad
    assert "postmaster has no message of it" in bad, "there is none, or his mailbox is full"
    told_of = Nights(since=0, attended=now, success=now - 200, failure=now - 100, reason="Why.", told=True)
    assert "postmaster" not in told(told_of, Exit.FINDINGS)
    assert "too old" in told(Nights(since=0, attended=0, success=now - 51 * 3600), Exit.FINDINGS)


def test_a_sealed_backup_is_written_with_a_key_that_reads_nothing(cli: Cli) -> None:
    place, writing = str(cli.folder / "sealed"), str(cli.folder / "writing.key")
    cli("backup", "init", place, *cli.key, "--sealed", status=Exit.USAGE)
    cli("backup", "init", place, *cli.key, "--writing-key", writing, status=Exit.USAGE)
    cli("backup", "init", place, *cli.key, "--sealed", "--writing-key", cli.key[1], status=Exit.REFUSED)
    cli("backup", "init", place, *cli.key, "--sealed", "--writing-key", f"{writing}/no/folder", status=Exit.REFUSED)
    assert not Path(place).exists()
    cli("backup", "init", place, *cli.key, "--sealed", "--writing-key", writing)
    assert Path(writing).stat().st_mode & 0o077 == 0
    server = ("--key-file", writing)
    assert "3 messages" in cli.data("backup", "run", place, *server).stdout
    assert json.loads(cli.data("backup", "run", place, *server, "--json").stdout)["written"] == 0

    listed = cli("backup", "list", place, *server, "--json")
    assert [set(row) for row in json.loads(listed.stdout)] == [{"snapshot", "taken", "written"}] * 2
    assert all(row["taken"] for row in json.loads(listed.stdout))
    assert "without the private key" in listed.stderr
    checked = cli("backup", "verify", place, "--all", *server)
    assert "All that was read is right." in checked.stdout
    assert "the private key alone" in checked.stdout
    assert cli("backup", "key", "list", "--location", place).stdout.count("passphrase") == 1

    for needs in (
        ("show", "latest", "--location", place),
        ("find", "plans", "--location", place),
        ("restore", place, "--all"),
        ("restore", place, "--account", "ann@example.com"),
        ("prune", place, "--daily", "1"),
        ("key", "add", "--location", place, "--new-key-file", str(cli.folder / "more.key")),
        ("key", "remove", "0" * 32, "--location", place),
        ("key", "writing", str(cli.folder / "again.key"), "--location", place),
    ):
        refused = cli.data("backup", *needs, *server, status=Exit.REFUSED)
        assert "private key alone" in refused.stderr, needs
        assert "--passphrase-file" in refused.stderr, needs
    assert not (cli.folder / "more.key").exists()
    assert not (cli.folder / "again.key").exists()

    # Where the private key is, all of it goes; a second key opens it too, and the writing key is made again.
    assert json.loads(cli("backup", "verify", place, "--all", *cli.key, "--json").stdout)["opened"]
    assert len(json.loads(cli("backup", "find", "plans", "--location", place, *cli.key, "--json").stdout)) == 3
    cli("backup", "key", "writing", str(cli.folder / "again.key"), "--location", place, *cli.key)
    assert (cli.folder / "again.key").read_text() == Path(writing).read_text()
    cli("backup", "key", "add", "--location", place, *cli.key, "--new-key-file", str(cli.folder / "more.key"))
    more = ("--key-file", str(cli.folder / "more.key"))
    cli("backup", "prune", place, *more, "--daily", "1", "--weekly", "0", "--monthly", "0")
    cli("backup", "restore", place, "--all", *more, "--data", str(cli.folder / "new"))
    found = cli("--data", str(cli.folder / "new"), "search", "--account", "ann@example.com", "Hello")
    assert found.stdout.count("Plans") == 3
    cli("backup", "list", cli.place, *server, status=Exit.REFUSED)


def test_status_says_that_a_sealed_backup_forgets_nothing(cli: Cli) -> None:
    config = cli.folder / "restante.toml"
    config.write_text(f'data = "{cli.folder / "data"}"\n[backup]\nlocation = "{cli.place}"\n')
    with_config = ("--config", str(config), "backup", "status")
    now = SystemClock().now()
    write_nights(cli.folder / "data", Nights(now, now, success=now, snapshot="s1", next=now + 9))
    assert "old snapshots" not in cli(*with_config).stdout
    write_nights(cli.folder / "data", Nights(now, now, success=now, snapshot="s1", next=now + 9, unpruned=True))
    assert "old snapshots stay" in cli(*with_config).stdout
    assert json.loads(cli(*with_config, "--json").stdout)["unpruned"]


def test_no_drill_is_overdue_where_the_server_does_none(cli: Cli) -> None:
    """Somebody did one here with the private key of the sealed backup; the server itself cannot."""
    config = cli.folder / "restante.toml"
    config.write_text(f'data = "{cli.folder / "data"}"\n[backup]\nlocation = "{cli.place}"\n')
    with_config = ("--config", str(config), "backup", "status")
    data, now = cli.folder / "data", SystemClock().now()
    write_nights(data, Nights(now, now, success=now, snapshot="s1", next=now + 9, unpruned=True))
    note_drill(data, cli.place, now - 50 * 86_400, Drilled("s0", 1, 2, messages=7))
    shown = cli(*with_config).stdout
    assert "where the private key is" in shown
    assert "7 messages" in shown
    assert "OVERDUE" not in shown
    note_drill(data, cli.place, now, Drilled("s0", 1, 2, messages=7, wrong=1, differences=("a",)))
    assert "1 difference" in cli(*with_config, status=Exit.FINDINGS).stdout
    write_nights(data, Nights(now, now, success=now, snapshot="s1", next=now + 9))
    note_drill(data, cli.place, now - 50 * 86_400, Drilled("s0", 1, 2))
    assert "OVERDUE" in cli(*with_config, status=Exit.FINDINGS).stdout


def test_a_sealed_backup_is_not_made_with_the_key_of_the_configuration(cli: Cli) -> None:
    """That one stays on the server."""
    config = cli.folder / "restante.toml"
    config.write_text(f'[backup]\nlocation = "{cli.place}2"\npassphrase_file = "{cli.key[1]}"\n')
    sealed = ("--sealed", "--writing-key", str(cli.folder / "writing.key"))
    refused = cli("--config", str(config), "backup", "init", *sealed, status=Exit.REFUSED)
    assert "No key of the backup was named." in refused.stderr
    cli("--config", str(config), "backup", "init", *sealed, *cli.key)


def test_a_long_run_steps_back_with_all_its_threads() -> None:
    """In a process of its own: a priority is not raised again."""
    script = (
        "import os, threading\n"
        "from restante.cli.priority import NICENESS, step_back\n"
        "stop = threading.Event()\n"
        "thread = threading.Thread(target=stop.wait)\n"
        "thread.start()\n"
        "step_back()\n"
        "print(*[os.getpriority(os.PRIO_PROCESS, n) >= NICENESS for n in (0, thread.native_id)])\n"
        "stop.set()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
