"""The command line against a real store in a temporary folder: what it prints, where, and its exit status."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from restante.cli.common import columns, count
from restante.cli.main import COMMANDS, restante
from restante.cli.statuses import Exit
from restante.exchange.folder import NOT_MAIL

CRYPT = "{SHA512-CRYPT}$6$saltstring$" + (
    "svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
)
MESSAGE = b"From: a@example.com\nSubject: Greetings\nDate: Mon, 3 Jun 1996 12:50:27 +0000\n\nHello\n"


class Cli:
    """Runs commands on one data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def __call__(self, *args: str, stdin: bytes = b"", status: Exit = Exit.OK) -> Result:
        result = CliRunner().invoke(restante, ["--data", str(self.data), *args], input=stdin)
        assert result.exit_code == status, (result.output, result.exception)
        return result

    def json(self, *args: str) -> list[dict[str, object]]:
        loaded = json.loads(self(*args, "--json").stdout)
        assert isinstance(loaded, list)
        return loaded


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "data")


@pytest.fixture
def bob(cli: Cli) -> Cli:
    cli("domain", "add", "example.com")
    cli("account", "add", "bob@example.com", "--password-stdin", stdin=b"secret words\n")
    return cli


def every_command() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    context = click.Context(restante)
    for each in COMMANDS:
        found.append((each.name,))
        command = restante.get_command(context, each.name)
        if isinstance(command, click.Group):
            found += [(each.name, name) for name in command.list_commands(context)]
    return found


@pytest.mark.parametrize("path", every_command(), ids=" ".join)
def test_every_command_has_help_data_and_config(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(restante, [*path, "--help"])
    assert result.exit_code == 0
    assert "--data DIR" in result.output
    assert "--config FILE" in result.output


def test_exit_statuses_are_in_the_help() -> None:
    text = CliRunner().invoke(restante, ["--help"]).output
    for status in Exit:
        assert f"{int(status):>2}  {status.meaning}"[:60] in text


def test_help_imports_no_room() -> None:
    """A delivery by pipe pays for what is imported: rooms, rich and msgspec come when they are needed."""
    code = (
        "import sys; from restante.cli.main import restante\n"
        "restante.main(['--help'], standalone_mode=False)\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('apsw', 'rich', 'msgspec', 'cryptography', 'uvloop')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.endswith("[]\n")


def test_data_may_stand_before_and_after_the_command(tmp_path: Path) -> None:
    for args in (["--data", str(tmp_path), "domain", "add", "a.example"], ["domain", "add", "b.example"]):
        more = [] if args[0] == "--data" else ["--data", str(tmp_path)]
        assert CliRunner().invoke(restante, [*args, *more]).exit_code == 0
    listed = CliRunner().invoke(restante, ["domain", "--data", str(tmp_path), "list", "--json"])
    assert [each["domain"] for each in json.loads(listed.stdout)] == ["a.example", "b.example"]


def test_domains(cli: Cli) -> None:
    cli("domain", "add", "Example.COM")
    assert cli.json("domain", "list")[0]["domain"] == "example.com"
    cli("domain", "add", "example.com", status=Exit.REFUSED)
    cli("domain", "set", "example.com", "--catch-all", "All@example.com", "--scram")
    (row,) = cli.json("domain", "list")
    assert (row["catch_all"], row["scram"]) == ("All@example.com", True)
    cli("domain", "set", "example.com", "--no-scram")
    shown = json.loads(cli("domain", "set", "Example.com", "--json").stdout)
    assert (shown["domain"], shown["catch_all"], shown["scram"]) == ("example.com", "All@example.com", False)
    assert json.loads(cli("domain", "set", "example.com", "--no-catch-all", "--json").stdout)["catch_all"] is None
    cli("domain", "set", "example.com", "--catch-all", "x@elsewhere.example", status=Exit.NOT_FOUND)
    cli("domain", "set", "example.com", "--catch-all", "no address", status=Exit.REFUSED)
    cli("domain", "set", "elsewhere.example", "--scram", status=Exit.NOT_FOUND)
    cli("domain", "set", "example.com", "--catch-all", "a@example.com", "--no-catch-all", status=Exit.USAGE)
    assert "Nothing was done" not in cli("domain", "remove", "example.com", "--yes").stderr
    cli("domain", "remove", "example.com", "--yes", status=Exit.NOT_FOUND)
    assert "restante domain add" in cli("domain", "list").stderr
    assert "restante account add" in cli("account", "list").stderr


def test_accounts(bob: Cli) -> None:
    (row,) = bob.json("account", "list")
    assert row["address"] == "bob@example.com"
    shown = json.loads(bob("account", "show", "bob@example.com", "--json").stdout)
    assert shown["mailboxes"] == 6
    bob("account", "passwd", "bob@example.com", "--password-stdin", stdin=b"other words\n")
    bob("account", "passwd", "bob@example.com", "--hash", CRYPT)
    bob("account", "passwd", "bob@example.com", "--hash", "-", stdin=CRYPT.encode() + b"\n")
    bob("account", "add", "cy@example.com", "--hash", CRYPT)
    both = bob("account", "passwd", "bob@example.com", "--hash", CRYPT, "--password-stdin", status=Exit.REFUSED)
    assert "--password-stdin or --hash" in both.stderr
    unknown = bob("account", "add", "dan@example.com", "--hash", "{PLAIN}secret", status=Exit.REFUSED)
    assert "the scheme {PLAIN} is not known" in unknown.stderr
    assert "secret" not in unknown.stderr
    assert [row["address"] for row in bob.json("account", "list")] == ["bob@example.com", "cy@example.com"]
    bob("account", "remove", "cy@example.com", "--yes")
    bob("account", "set", "bob@example.com", "--quota", "2 GB", "--pop3-delete", "trash", "--no-pop3-seen")
    shown = json.loads(bob("account", "show", "bob@example.com", "--json").stdout)
    assert (shown["quota"], shown["pop3_delete"], shown["pop3_seen"]) == (2_000_000_000, "trash", False)
    bob("account", "set", "bob@example.com", "--quota", "lots", status=Exit.USAGE)
    bob("account", "set", "bob@example.com", "--quota", "1G")
    assert json.loads(bob("account", "show", "bob@example.com", "--json").stdout)["quota"] == 1_000_000_000
    bob("account", "disable", "bob@example.com")
    assert bob.json("account", "list")[0]["enabled"] is False
    bob("account", "enable", "bob@example.com")
    bob("account", "remove", "bob@example.com", status=Exit.REFUSED)
    bob("account", "remove", "bob@example.com", "--yes")
    assert bob.json("account", "list") == []


def test_a_new_account_without_mailboxes_has_inbox_alone(bob: Cli) -> None:
    bob("account", "add", "eve@example.com", "--password-stdin", "--no-mailboxes", "--quota", "1 MB", stdin=b"secret\n")
    shown = json.loads(bob("account", "show", "eve@example.com", "--json").stdout)
    assert (shown["mailboxes"], shown["quota"]) == (1, 1_000_000)


def test_a_refusal_is_two_lines_on_stderr(cli: Cli) -> None:
    cli("domain", "add", "example.com")
    result = cli("account", "show", "no@example.com", status=Exit.NOT_FOUND)
    assert result.stdout == ""
    assert result.stderr.startswith("restante: ")
    assert len(result.stderr.splitlines()) == 2
    result = cli("account", "add", "no@example.com", status=Exit.REFUSED)
    assert "--password-stdin" in result.stderr
    result = cli("account", "add", "no@elsewhere.example", status=Exit.NOT_FOUND)
    assert "restante domain add" in result.stderr, "before a password is asked for"


def test_a_mistyped_command_is_answered_with_the_right_one(cli: Cli) -> None:
    assert "Did you mean 'serve'?" in cli("serv", status=Exit.USAGE).stderr
    assert "Did you mean 'list'?" in cli("account", "lst", status=Exit.USAGE).stderr
    assert "frobnicate" in cli("frobnicate", status=Exit.USAGE).stderr


def test_aliases(bob: Cli) -> None:
    bob("alias", "add", "info@example.com", "bob@example.com")
    assert bob.json("alias", "list")[0]["targets"] == ["bob@example.com"]
    bob("alias", "remove", "info@example.com", status=Exit.REFUSED)
    bob("alias", "remove", "info@example.com", "--yes")
    bob("alias", "remove", "info@example.com", "--yes", status=Exit.NOT_FOUND)


def test_what_led_to_an_account_that_is_removed_is_told(bob: Cli) -> None:
    bob("alias", "add", "info@example.com", "bob@example.com")
    bob("domain", "add", "example.net", "--catch-all", "BOB@example.com")
    removed = bob("account", "remove", "bob@example.com", "--yes")
    assert "Mail to info@example.com, example.net was to go there" in removed.stderr


@pytest.mark.parametrize(
    "command",
    [
        "domain remove example.net",
        "account remove ann@example.com",
        "alias remove info@example.com",
        "acl remove ann@example.com INBOX bob@example.com",
        "acl remove bob@example.com Nowhere bob@example.com",
        "app-password revoke bob@example.com 7",
        "app-password revoke ann@example.com 1",
    ],
)
def test_what_is_not_there_is_said_before_anybody_is_asked(bob: Cli, command: str) -> None:
    refused = bob(*command.split(), status=Exit.NOT_FOUND)  # without --yes, on no terminal
    assert "nobody to ask" not in refused.stderr


def test_what_was_typed_moves_no_cursor_in_a_refusal(bob: Cli) -> None:
    assert "\x1b" not in bob("alias", "remove", "a\x1b[2Jb@example.com", status=Exit.REFUSED).output
    assert "\x1b" not in bob("acl", "list", "bob@example.com", "a\x1b[2Jb", status=Exit.NOT_FOUND).output
    assert "\x1b" not in bob("config", "check", "a\x1b[2Jb", status=Exit.REFUSED).output


def test_a_folder_whose_name_is_no_utf8_is_refused(bob: Cli, tmp_path: Path) -> None:
    other = os.fsdecode(os.fsencode(tmp_path) + b"/m\xff")
    (Path(other) / "cur").mkdir(parents=True)
    refused = CliRunner().invoke(restante, ["--data", other, "domain", "add", "example.com"])
    assert (refused.exit_code, "no UTF-8" in refused.stderr) == (Exit.REFUSED, True)
    assert "no UTF-8" in bob("dedupe", "--maildir", other, status=Exit.REFUSED).stderr
    migrate = ["migrate", "--to-store", "bob@example.com", "--from-maildir", other]
    assert "no UTF-8" in bob(*migrate, status=Exit.REFUSED).stderr
    file = tmp_path / "sync.toml"
    login = ("--user", "ann", "--imap", "localhost", "--password-command", "x")
    init = bob("sync", "init", "work", *login, "--maildir", other, "--config", str(file), status=Exit.REFUSED)
    assert "no UTF-8" in init.stderr
    assert not file.exists()


@pytest.mark.parametrize("encoding", ["latin-1", "ascii:strict", "utf-8:strict"])
def test_a_terminal_that_has_not_all_letters_is_told_the_rest(bob: Cli, encoding: str) -> None:
    bob("deliver", "--to", "bob@example.com", stdin="Subject: Tee, お茶 🍵\n\nAt four.\n".encode())
    search = [sys.executable, "-m", "restante", "--data", str(bob.data), "search", "--account", "bob@example.com"]
    around = os.environ | {"PYTHONIOENCODING": encoding}
    listed = subprocess.run([*search, "four"], capture_output=True, env=around, check=True, timeout=60)
    assert b"INBOX    1    " in listed.stdout
    assert b"Tee, " in listed.stdout
    as_json = subprocess.run([*search, "four", "--json"], capture_output=True, env=around, check=True, timeout=60)
    assert json.loads(as_json.stdout)[0]["subject"] == "Tee, お茶 🍵"


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_help_fits_a_terminal(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(restante, [*command, "--help"]).output
    assert [line for line in shown.splitlines() if columns(line) > 80] == []


def test_help_ends_with_exit_statuses() -> None:
    shown = CliRunner().invoke(restante, ["--help"]).output
    assert all(f"  {int(status):>2}  " in shown for status in Exit)


def test_a_catch_all_that_leads_to_nobody_is_told(bob: Cli) -> None:
    told = "takes no mail yet"
    assert told in bob("domain", "add", "example.org", "--catch-all", "all@example.org").stderr
    assert told in bob("domain", "set", "example.com", "--catch-all", "bbo@example.com").stderr
    assert told not in bob("domain", "set", "example.com", "--catch-all", "BOB+rest@example.com").stderr
    bob("account", "set", "bob@example.com", "--quota-messages", "1")
    bob("deliver", "--to", "bob@example.com", stdin=MESSAGE)
    assert told not in bob("domain", "set", "example.com", "--catch-all", "bob@example.com").stderr, "he is full"
    bob("account", "disable", "bob@example.com")
    assert told in bob("domain", "set", "example.com", "--catch-all", "bob@example.com").stderr


def test_an_import_into_a_mailbox_that_cannot_be_reads_nothing(bob: Cli, tmp_path: Path) -> None:
    (tmp_path / "1.eml").write_bytes(MESSAGE)
    refused = bob("import", str(tmp_path), "--account", "bob@example.com", "--mailbox", "a//b", status=Exit.REFUSED)
    assert "no empty level" in refused.stderr
    assert "skipped" not in refused.stderr


def test_a_change_of_nothing_is_not_called_a_change(bob: Cli) -> None:
    bob("account", "set", "bob@example.com", status=Exit.USAGE)
    bob("domain", "set", "example.com", status=Exit.USAGE)


def test_an_account_whose_file_is_gone_can_be_removed(bob: Cli) -> None:
    (file,) = bob.data.glob("accounts/*/*.db")
    file.unlink()
    asked = bob("account", "remove", "bob@example.com", status=Exit.REFUSED)
    assert "its mail, which cannot be read now, will be gone" in asked.stderr
    bob("account", "remove", "bob@example.com", "--yes")
    assert bob.json("account", "list") == []
    assert bob.json("doctor") == []


def test_app_passwords_are_shown_once(bob: Cli) -> None:
    made = json.loads(
        bob("app-password", "add", "bob@example.com", "--label", "phone", "--protocol", "imap", "--json").stdout
    )
    (row,) = bob.json("app-password", "list", "bob@example.com")
    assert (row["label"], row["protocols"], row["number"]) == ("phone", ["imap"], made["number"])
    assert made["password"] not in bob("app-password", "list", "bob@example.com").output
    bob("app-password", "revoke", "bob@example.com", str(made["number"]), "--yes")
    assert bob.json("app-password", "list", "bob@example.com") == []


def test_app_passwords_may_expire(bob: Cli) -> None:
    for when, shown in (
        ("2099-12-31", "2099-12-31T00:00:00Z"),
        ("2099-12-31T12:00:00+02:00", "2099-12-31T10:00:00Z"),
        ("2099-12-31T12:00:00Z", "2099-12-31T12:00:00Z"),
    ):
        made = json.loads(bob("app-password", "add", "bob@example.com", "--expires", when, "--json").stdout)
        assert made["expires"] == shown
    before = int(time.time())
    bob("app-password", "add", "bob@example.com", "--expires", "90 d")
    rows = bob.json("app-password", "list", "bob@example.com")
    assert [row["expires"] for row in rows[:3]] == [
        "2099-12-31T00:00:00Z", "2099-12-31T10:00:00Z", "2099-12-31T12:00:00Z"
    ]  # fmt: skip
    until = datetime.fromisoformat(str(rows[3]["expires"])).timestamp()
    assert before + 90 * 86400 <= until <= time.time() + 90 * 86400
    bob("app-password", "add", "bob@example.com", "--expires", "2001-01-01", status=Exit.REFUSED)
    for wrong in ("soon", "2099-13-01", "90 x", "99999-01-01"):
        bob("app-password", "add", "bob@example.com", "--expires", wrong, status=Exit.USAGE)


def test_import_export_undelete_doctor_status(bob: Cli, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.eml").write_bytes(MESSAGE)
    (tmp_path / "in" / "odd.bin").write_bytes(b"\0\1")
    told = bob("import", str(tmp_path / "in"), "--account", "bob@example.com", "--mailbox", "Old")
    assert told.stdout == "Imported 1 message (88 B) into Old.\n"
    assert told.stderr == "skipped odd.bin: not a message, an mbox or a Maildir\n"
    (tmp_path / "in" / "2.eml").write_bytes(b"")
    bob("import", str(tmp_path / "in"), "--account", "bob@example.com", status=Exit.FINDINGS)
    bob("import", str(tmp_path / "none"), "--account", "bob@example.com", status=Exit.NOT_FOUND)
    bob("export", str(tmp_path / "out"), "--account", "bob@example.com")
    assert len(list((tmp_path / "out" / ".Old" / "cur").iterdir())) == 1
    bob("export", str(tmp_path / "out"), "--account", "bob@example.com", status=Exit.REFUSED)
    bob("export", str(tmp_path / "m"), "--account", "bob@example.com", "--format", "mbox", "--mailbox", "Old")
    assert (tmp_path / "m" / "Old.mbox").read_bytes().startswith(b"From MAILER-DAEMON Mon Jun 03 12:50:27 1996\n")
    assert bob.json("undelete", "--account", "bob@example.com") == []
    bob("undelete", "--account", "bob@example.com", "77", status=Exit.NOT_FOUND)
    assert bob.json("doctor") == []
    status = json.loads(bob("status", "--json").stdout)
    assert status["workers"] == []
    assert status["accounts"][0]["messages"] == 2


def test_what_an_export_cannot_read_is_told(bob: Cli, tmp_path: Path) -> None:
    for _ in range(2):
        bob("deliver", "--to", "bob@example.com", "--from", "a@example.com", stdin=MESSAGE)
    (path,) = (bob.data / "accounts").rglob("*.db")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM chunk WHERE key = (SELECT max(key) FROM chunk)")
    told = bob("export", str(tmp_path / "out"), "--account", "bob@example.com", status=Exit.FINDINGS)
    assert told.stdout.startswith("Exported 1 message (")
    assert told.stderr.startswith("left out INBOX, UID 2: ")


def test_deliver_as_an_mta_does(bob: Cli) -> None:
    bob("deliver", "--to", "bob@example.com", "--from", "a@example.com", stdin=MESSAGE)
    shown = json.loads(bob("account", "show", "bob@example.com", "--json").stdout)
    assert shown["messages"] == 1
    told = bob("deliver", "--to", "nobody@example.com", stdin=MESSAGE, status=Exit.NO_USER)
    assert "550 5.1.1" in told.stderr
    bob("account", "set", "bob@example.com", "--quota", "1")
    bob("deliver", "--to", "bob@example.com", stdin=MESSAGE, status=Exit.TEMPORARY)


def test_deliver_takes_addresses_as_an_envelope_writes_them(bob: Cli) -> None:
    bob("deliver", "--to", "<bob@example.com>", "--from", "<>", stdin=MESSAGE)


def test_what_delivery_logs_is_a_line_on_stderr(bob: Cli, tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text('[delivery]\nsuppress_duplicates = "1 h"\n[log]\nformat = "json"\n')
    bob("deliver", "--config", str(file), "--to", "bob@example.com", stdin=MESSAGE)
    told = bob("deliver", "--config", str(file), "--to", "bob@example.com", stdin=MESSAGE)
    assert told.stdout == ""
    line = json.loads(told.stderr)
    assert (line["event"], line["account"]) == ("redelivery suppressed", "bob@example.com")
    (one,) = json.loads(bob("status", "--json").stdout)["suppressed_duplicates"]
    assert one["account"] == "bob@example.com"


NEED_A_STORE = (
    "status", "doctor", "doctor --repair",
    "domain list", "domain set a.example --scram", "domain remove a.example --yes",
    "account list", "account show a@a.example", "account add a@a.example --password-stdin",
    "account passwd a@a.example --password-stdin", "account set a@a.example --quota 1", "account disable a@a.example",
    "account enable a@a.example", "account remove a@a.example --yes",
    "alias list", "alias add b@a.example a@a.example", "alias remove b@a.example --yes",
    "acl list a@a.example", "acl set a@a.example INBOX anyone lr", "acl remove a@a.example INBOX anyone --yes",
    "app-password list a@a.example", "app-password add a@a.example", "app-password revoke a@a.example 1 --yes",
    "import MAIL --account a@a.example", "export OUT --account a@a.example", "search --account a@a.example word",
    "undelete --account a@a.example", "rewind --account a@a.example --list", "deliver --to a@a.example",
    "dedupe --account a@a.example", "backup mirror list", "backup mirror remove a@a.example",
)  # fmt: skip


@pytest.mark.parametrize("line", NEED_A_STORE)
def test_what_works_on_a_store_begins_none(tmp_path: Path, line: str) -> None:
    """A folder's name that was mistyped, or a disk that is not mounted, is not a store without accounts."""
    mail = tmp_path / "a.eml"
    mail.write_bytes(MESSAGE)
    args = line.replace("MAIL", str(mail)).replace("OUT", str(tmp_path / "out")).split()
    temporary = args[0] in ("deliver", "dedupe")  # an MTA keeps the message; a side may come back
    for data in (tmp_path / "none", tmp_path / "none" / "below", tmp_path):
        result = CliRunner().invoke(restante, [*args, "--data", str(data)], input=MESSAGE)
        assert result.exit_code == (Exit.TEMPORARY if temporary else Exit.REFUSED), (result.output, result.exception)
        assert result.stdout == ""
        assert str(data) in result.stderr
        assert len(result.stderr.splitlines()) == 2
        assert list(tmp_path.iterdir()) == [mail], "nothing was made"


def test_what_is_wrong_with_a_data_folder_is_said(cli: Cli, tmp_path: Path) -> None:
    where = str(cli.data)
    told = cli("doctor", status=Exit.REFUSED).stderr
    assert f"There is no folder {where}." in told
    assert f"restante domain add example.org --data {where}" in told
    cli.data.mkdir()
    assert f"There is no mail store in {where}." in cli("doctor", status=Exit.REFUSED).stderr
    config = tmp_path / "r.toml"
    config.write_text(f'data = "{cli.data}"\n')
    told = CliRunner().invoke(restante, ["--config", str(config), "doctor"]).stderr
    assert f"restante domain add example.org --config {config}" in told
    (cli.data / "accounts").mkdir()
    assert "no directory.db" in cli("doctor", status=Exit.REFUSED).stderr
    cli.data = config
    assert "is no folder" in cli("doctor", status=Exit.REFUSED).stderr
    cli.data = tmp_path / ("n" * 300)
    assert "cannot be read" in cli("doctor", status=Exit.REFUSED).stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_data_folder_that_may_not_be_read_is_no_missing_one(bob: Cli) -> None:
    for path in (bob.data, bob.data / "directory.db"):
        mode = path.stat().st_mode & 0o777
        path.chmod(0)
        try:
            assert "cannot be read and written" in bob("doctor", status=Exit.REFUSED).stderr
        finally:
            path.chmod(mode)
    bob("doctor")


@pytest.mark.parametrize("given", ["file", "file/below"])
def test_a_data_folder_that_cannot_be_makes_no_message_bounce(tmp_path: Path, given: str) -> None:
    (tmp_path / "file").write_text("")
    args = ["--data", str(tmp_path / given)]
    delivered = CliRunner().invoke(restante, ["deliver", "--to", "bob@example.com", *args], input=MESSAGE)
    assert (delivered.exit_code, delivered.stderr.count("\n")) == (Exit.TEMPORARY, 2)
    listed = CliRunner().invoke(restante, ["account", "list", *args])
    assert (listed.exit_code, "--data" in listed.stderr) == (Exit.REFUSED, True)


def test_an_account_file_that_cannot_be_opened_hides_no_other_and_makes_no_message_bounce(bob: Cli) -> None:
    import apsw

    bob("account", "add", "eve@example.com", "--password-stdin", stdin=b"secret words\n")
    number = json.loads(bob("account", "show", "bob@example.com", "--json").stdout)["id"]
    (file,) = bob.data.glob(f"accounts/*/{number}.db")
    db = apsw.Connection(str(file))
    db.execute("PRAGMA user_version = 99")  # as a newer Restante would leave it
    db.close()
    assert "version 99" in bob("account", "show", "bob@example.com", status=Exit.REFUSED).stderr
    bob("deliver", "--to", "bob@example.com", stdin=MESSAGE, status=Exit.TEMPORARY)
    bob("deliver", "--to", "eve@example.com", stdin=MESSAGE)
    assert "eve@example.com: 1 message," in bob("status").stdout
    sizes = json.loads(bob("status", "--json").stdout)["accounts"]
    assert [(each["messages"], "version 99" in (each["refused"] or "")) for each in sizes] == [(None, True), (1, False)]
    found = bob("doctor", "--json", status=Exit.FINDINGS)
    (row,) = json.loads(found.stdout)
    assert (row["account"], row["repairable"]) == ("bob@example.com", False)


def test_an_operator_is_told_why_the_store_failed(bob: Cli) -> None:
    import apsw

    (file,) = bob.data.glob("accounts/*/*.db")
    db = apsw.Connection(str(file))
    db.execute("DROP TABLE IF EXISTS mailbox")
    db.close()
    told = bob("account", "show", "bob@example.com", status=Exit.TEMPORARY).stderr.splitlines()
    assert len(told) == 2
    assert "no such table" in told[1]


def test_doctor_mends_counters(bob: Cli) -> None:
    import apsw

    bob("deliver", "--to", "bob@example.com", stdin=MESSAGE)
    (file,) = bob.data.glob("accounts/*/*.db")
    db = apsw.Connection(str(file))
    db.execute("UPDATE mailbox SET messages = messages + 3, unseen = 0, size = 1 WHERE name = 'INBOX'")
    db.close()
    found = json.loads(bob("doctor", "--json", status=Exit.FINDINGS).stdout)
    assert {(each["repairable"], each["repaired"]) for each in found} == {(True, False)}
    bob("doctor", "--repair")
    assert bob.json("doctor") == []
    assert json.loads(bob("account", "show", "bob@example.com", "--json").stdout)["messages"] == 1


def test_doctor_says_what_helps_where_a_file_cannot_be_opened(bob: Cli) -> None:
    (file,) = bob.data.glob("accounts/*/*.db")
    whole = file.read_bytes()
    file.write_bytes(whole[:6000])
    (found,) = json.loads(bob("doctor", "--json", status=Exit.FINDINGS).stdout)
    assert found["code"] == "damaged"
    assert "backup" in found["text"]
    assert "restante doctor" not in found["text"], "that is what is running"
    file.unlink()
    (found,) = json.loads(bob("doctor", "--json", status=Exit.FINDINGS).stdout)
    assert found["text"].startswith("Its file is not there.")


def test_doctor_checks_the_directory(bob: Cli) -> None:
    import apsw

    db = apsw.Connection(str(bob.data / "directory.db"))
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("UPDATE account SET domain = 'gone.example'")
    db.close()
    found = json.loads(bob("doctor", "--json", status=Exit.FINDINGS).stdout)
    assert [(each["account"], each["code"], each["repairable"]) for each in found] == [("-", "directory", False)]


def test_an_import_that_is_cut_off_says_how_far_it_came(bob: Cli, tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.mkdir()
    for number in range(250):
        (mail / f"{number}.eml").write_bytes(b"Subject: %d\n\n%b\n" % (number, b"x" * 1000))
    bob("account", "set", "bob@example.com", "--quota", "150 kB")
    refused = bob("import", str(mail), "--account", "bob@example.com", status=Exit.REFUSED)
    there = json.loads(bob("account", "show", "bob@example.com", "--json").stdout)["messages"]
    assert 100 <= there < 150
    assert refused.stderr.startswith(f"{there} messages (")
    assert "restante dedupe --account bob@example.com" in refused.stderr
    assert "The mailbox is full." in refused.stderr


def test_names_of_files_that_are_no_text_harm_nothing(bob: Cli, tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.mkdir()
    for name in (b"\xff.dat", b"new\nline\x1b[31m.dat"):
        Path(os.fsdecode(os.fsencode(mail) + b"/" + name)).write_bytes(b"\x01")
    (mail / "a.eml").write_bytes(b"Subject: x\n\nx\n")
    found = json.loads(bob("import", str(mail), "--account", "bob@example.com", "--json").stdout)
    assert [each["where"] for each in found["skipped"]] == ["new\nline\x1b[31m.dat", "\ufffd.dat"]
    told = bob("import", str(mail), "--account", "bob@example.com").stderr
    assert told.splitlines() == [f"skipped {name}: {NOT_MAIL}" for name in ("new?line?[31m.dat", "?.dat")]
    refused = bob("import", str(mail), "--account", "bob@example.com", "--mailbox", "b\udcff", status=Exit.REFUSED)
    assert "A mailbox name holds no control characters." in refused.stderr
    bob("search", "--account", "bob@example.com", "mailbox:b\udcff", "x", status=Exit.NOT_FOUND)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full")
def test_an_output_that_cannot_be_written_is_a_line(bob: Cli) -> None:
    program = [sys.executable, "-m", "restante", "--data", str(bob.data), "account", "list"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == Exit.REFUSED
    assert done.stderr.splitlines()[0] == f"restante: The output cannot be written ({os.strerror(errno.ENOSPC)})."


def test_doctor_names_stores_that_no_account_has(bob: Cli) -> None:
    (file,) = bob.data.glob("accounts/*/*.db")
    stray = file.with_name("zz77.db")
    stray.write_bytes(file.read_bytes())
    assert bob.json("doctor") == [], "an account may be on its way"
    os.utime(stray, (1e9, 1e9))
    (found,) = json.loads(bob("doctor", "--json", status=Exit.FINDINGS).stdout)
    assert found["code"] == "stray"
    assert "zz77.db" in found["text"]
    assert stray.exists()


def test_a_broken_configuration_makes_no_message_bounce(bob: Cli, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[imap]\nlitteral_plus = true\n")
    bob("deliver", "--config", str(file), "--to", "bob@example.com", stdin=MESSAGE, status=Exit.TEMPORARY)


def test_config(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    shown = CliRunner().invoke(restante, ["config", "show", "--default"])
    file.write_text(shown.stdout)
    assert CliRunner().invoke(restante, ["config", "check", str(file)]).exit_code == 0
    assert CliRunner().invoke(restante, ["config", "check"]).exit_code == Exit.USAGE
    file.write_text("[imap]\nlitteral_plus = true\n")
    result = CliRunner().invoke(restante, ["--config", str(file), "config", "check"])
    assert result.exit_code == Exit.REFUSED
    assert "literal_plus" in result.stderr
    assert f"{file}:2" in result.stderr


def test_undelete_brings_back_what_was_removed(bob: Cli) -> None:
    """Removed through the store, as any protocol would."""

    from restante.clock import SystemClock, system_random
    from restante.store.sqlite.engine import SqliteEngine

    bob("deliver", "--to", "bob@example.com", stdin=MESSAGE)

    async def remove() -> None:
        engine = SqliteEngine(bob.data, SystemClock(), system_random)
        account = await engine.directory.account("bob@example.com")
        assert account is not None
        store = engine.account(account.id)
        await store.expunge((await store.mailboxes())[0].key, None, deleted_only=False)
        await engine.close()

    asyncio.run(remove())
    (row,) = bob.json("undelete", "--account", "bob@example.com")
    assert (row["mailbox"], row["subject"]) == ("INBOX", "Greetings")
    assert bob.json("undelete", "--account", "bob@example.com", "--from", "Sent") == []
    bob("undelete", "--account", "bob@example.com", str(row["number"]), "--into", "Nowhere", status=Exit.NOT_FOUND)
    bob("undelete", "--account", "bob@example.com", str(row["number"]), "--into", "Archive")
    assert bob.json("undelete", "--account", "bob@example.com") == []


def test_serve_says_what_is_wrong(tmp_path: Path) -> None:
    for args in (["--listen", "smtp=127.0.0.1:25"], ["--listen", "imap"], ["--listen", "imap=nowhere"]):
        result = CliRunner().invoke(restante, ["--data", str(tmp_path), "serve", *args])
        assert result.exit_code in (Exit.REFUSED, Exit.USAGE)
        assert result.stderr.startswith(("restante: ", "Usage: "))
    result = CliRunner().invoke(restante, ["--data", str(tmp_path), "serve", "--mail", str(tmp_path)])
    assert result.exit_code == Exit.USAGE


def test_a_full_disk_is_said_where_a_server_writes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    result = CliRunner().invoke(restante, ["--data", str(tmp_path / "d"), "serve", "--listen", "imap=127.0.0.1:0"])
    assert result.exit_code == Exit.REFUSED
    assert f"{tmp_path / 'd'} cannot be written ({os.strerror(errno.ENOSPC)})" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of others")
@pytest.mark.parametrize("command", [("account", "list"), ("serve",), ("doctor",)], ids=" ".join)
def test_root_does_not_spoil_the_data_of_another_user(cli: Cli, command: tuple[str, ...]) -> None:
    cli.data.mkdir()
    os.chown(cli.data, 65534, 65534)
    result = cli(*command, status=Exit.REFUSED)
    assert "belongs to the user nobody" in result.stderr
    assert "runuser -u nobody" in result.stderr
    assert list(cli.data.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [(1, "message", "1 message"), (0, "message", "0 messages"), (2, "mailbox", "2 mailboxes"),
     (3, "copy", "3 copies"), (2, "day", "2 days"),
     (1, "redelivery", "1 redelivery"), (3, "redelivery", "3 redeliveries")],
)  # fmt: skip
def test_one_thing_is_no_plural(number: int, noun: str, text: str) -> None:
    assert count(number, noun) == text


@pytest.mark.parametrize(("text", "taken"), [("abc", 3), ("写真", 4), ("ü", 1), ("u\u0308", 1), ("ｶﾅ", 2), ("", 0)])
def test_columns_of_a_terminal(text: str, taken: int) -> None:
    assert columns(text) == taken


def test_a_table_is_straight_with_wide_characters(bob: Cli) -> None:
    for subject in ("写真です", "plain"):
        bob("deliver", "--to", "bob@example.com", stdin=f"From: 山田 <y@x.example>\nSubject: {subject}\n\nx\n".encode())
    lines = bob("search", "--account", "bob@example.com", "from:x.example").stdout.splitlines()
    starts = {columns(line[: line.index(word)]) for line, word in zip(lines, ("SUBJECT", "plain", "写真"), strict=True)}
    assert len(starts) == 1
