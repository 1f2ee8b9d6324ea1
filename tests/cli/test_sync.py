"""`restante sync` and `restante send` against a real server, a real Maildir, a real store."""

from __future__ import annotations

import imaplib
import json
import mailbox
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.cli.main import restante
from restante.cli.statuses import Exit
from restante.sync.mbox_writer import MboxWriter
from restante.testing.server import RestanteServer

from ..clients.support import program
from .sync_work import ANNA, PATIENCE, Cli, copying, maildir, message, serving_anna, subjects, watching


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RestanteServer]:
    with serving_anna(tmp_path) as found:
        yield found


@pytest.fixture
def work(cli: Cli, server: RestanteServer) -> Cli:
    return copying(cli, server)


# Runs ----------------------------------------------------------------------------------------------------


def test_a_copy_is_made_and_kept_in_step_both_ways(work: Cli, server: RestanteServer) -> None:
    assert "work: here 3 new" in work("sync").stdout
    assert subjects(work) == ["number 0", "number 1", "number 2"]
    assert work("sync").stdout == "work: nothing had changed.\n"
    assert work("sync", "-q").output == ""
    server.put(ANNA, message(7))
    maildir(work).add(mailbox.MaildirMessage(b"Subject: from here\n\nx\n"))
    said = work("sync", "work").stdout
    assert "here 1 new" in said
    assert "on the server 1 new" in said
    assert subjects(work) == ["from here", "number 0", "number 1", "number 2", "number 7"]
    assert b"Subject: from here\r\n\r\nx\r\n" in [each.data for each in server.mail(ANNA)]
    assert work("sync").stdout == "work: nothing had changed.\n"


@pytest.mark.parametrize(
    "both",
    [
        ("--maildir", "M", "--store", "a@localhost"),
        ("--imap", "a.example", "--pop3", "b.example"),
        ("--password-command", "echo x"),
        ("--no-send", "--smtp", "c.example"),
        ("--store", "a@localhost", "--layout", "plain"),
        ("--mbox", "M", "--smtp", "c.example"),
        ("--address", "a@a.example"),
        ("--full-name", "Anna"),
        ("--smtp-no-tls",),
        ("--no-send", "--smtp-starttls"),
    ],
)
def test_what_excludes_each_other_is_not_passed_over(cli: Cli, both: tuple[str, ...]) -> None:
    where = () if {"--store", "--mbox"} & set(both) else ("--maildir", "M")
    server = () if "--imap" in both else ("--imap", "a.example")
    cli.init("work", *server, *where, *both, status=Exit.USAGE)
    assert not cli.file.exists()


def test_what_was_set_aside_is_tried_again_when_asked(work: Cli, server: RestanteServer) -> None:
    work("sync")
    server.run(lambda: server.admin.set_quota(ANNA, 0, 3))
    maildir(work).add(mailbox.MaildirMessage(b"Subject: from here\n\nx\n"))
    said = work("sync", status=Exit.FINDINGS).stderr
    assert "set aside" in said
    assert "Try again now: restante sync --retry" in said
    server.run(lambda: server.admin.set_quota(ANNA, 0))
    assert "on the server" not in work("sync", status=Exit.FINDINGS).stdout  # its time has not come
    assert "on the server 1 new" in work("sync", "--retry").stdout
    assert len(server.mail(ANNA)) == 4


def test_what_a_power_cut_left_of_a_hint_ends_no_listing(work: Cli) -> None:
    work("sync")
    last = work.folder / "data" / "sync" / "work" / "last.json"
    assert "never run" not in work("sync", "status").stdout
    for rest in (b"", b"\0" * 90, b"{}", b"[1]", b'{"started": null, "seconds": 1, "problem": null}'):
        last.write_bytes(rest)
        assert "never run" in work("sync", "status").stdout


def test_a_dry_run_changes_nothing(work: Cli, server: RestanteServer) -> None:
    assert "work: " in work("sync", "--dry-run").stdout
    assert subjects(work) == []
    assert "never run" in work("sync", "status").stdout
    work("sync")
    assert work("sync", "--dry-run").stdout == "work: nothing to do.\n"


def test_one_mailbox_alone(work: Cli, server: RestanteServer) -> None:
    server.put(ANNA, message(5), "Archive")
    work("sync", "--only", "Archive")
    assert subjects(work) == []
    assert len(maildir(work).get_folder("Archive")) == 1
    work("sync")
    assert len(subjects(work)) == 3


def test_what_is_copied_on_one_side_is_copied_on_the_other(work: Cli, server: RestanteServer) -> None:
    work("sync")
    with imaplib.IMAP4("127.0.0.1", server.imap) as client:
        client.login(ANNA, "secret")
        client.select("INBOX")
        client.copy("1:2", "Archive")
    assert work("sync").stdout == "work: here 2 copied.\n"
    file = next(path for path in (work.folder / "Mail" / "cur").iterdir())
    time, flags = file.name.partition(".")[0], file.name.rpartition(":")[2]
    shutil.copy2(file, work.folder / "Mail" / ".Drafts" / "cur" / f"{time}.another.host:{flags}")
    assert work("sync").stdout == "work: on the server 1 copied.\n"
    assert work("sync").stdout == "work: nothing had changed.\n"
    assert len(server.mail(ANNA, "Archive")) == 2
    assert len(server.mail(ANNA, "Drafts")) == 1


def test_a_mailbox_that_is_not_there_is_refused_with_those_that_are(work: Cli, server: RestanteServer) -> None:
    said = work("sync", "--only", "Archiv", status=Exit.USAGE).stderr
    assert 'There is no mailbox "Archiv" on either side.' in said
    assert 'Did you mean "Archive"? There are: INBOX, Archive,' in said
    assert subjects(work) == []


@pytest.mark.parametrize("store", [False, True], ids=["maildir", "store"])
def test_a_copy_of_another_account_is_refused(cli: Cli, server: RestanteServer, store: bool) -> None:
    """The account is known by what the configuration says, and by its mailboxes where that says something else."""
    target = ("--store", "local@localhost") if store else ("--maildir", str(cli.folder / "Mail"))
    cli.init("work", "--imap", f"127.0.0.1:{server.imap}", "--no-tls", *target, "--no-send")
    cli("sync")
    text = cli.file.read_text()
    server.add_account("bob@example.org", "secret")
    server.put("bob@example.org", message(50))
    cli.file.write_text(text.replace(ANNA, "bob@example.org"))
    for arguments in ((), ("--dry-run",)):
        said = cli("sync", *arguments, status=Exit.REFUSED).stderr
        assert "made of 127.0.0.1 as anna@example.org, and is now to be one of 127.0.0.1 as bob@example.org" in said
        assert "--same-account" in said
    assert len(server.mail("bob@example.org")) == 1
    cli.file.write_text(text.replace("127.0.0.1:", "localhost:"))
    assert cli("sync").stdout == "work: nothing had changed.\n"


def test_a_copy_into_an_account_that_was_removed_and_added_again_is_refused(cli: Cli, server: RestanteServer) -> None:
    """Nothing of the former one's is missed on the server, not even mailboxes in which nothing is."""
    cli.init("work", "--imap", f"127.0.0.1:{server.imap}", "--no-tls", "--store", "local@localhost", "--no-send")
    cli("sync")
    before = server.mailboxes(ANNA)
    data = ["--data", str(cli.data)]
    for command in (["remove", "local@localhost", "--yes"], ["add", "local@localhost", "--password-stdin"]):
        done = CliRunner().invoke(restante, [*data, "account", *command], input="secret words\n")
        assert done.exit_code == Exit.OK, done.output
    said = cli("sync", status=Exit.REFUSED).stderr
    assert "made of the store's local@localhost (" in said
    assert server.mailboxes(ANNA) == before


def test_a_store_as_the_copy(cli: Cli, server: RestanteServer) -> None:
    said = cli.init("work", "--imap", f"127.0.0.1:{server.imap}", "--no-tls", "--store", "anna@localhost", "--no-send")
    assert "restante account passwd anna@localhost" in said.stdout
    cli("sync")
    found = CliRunner().invoke(
        restante, ["--data", str(cli.data), "search", "number", "--account", "anna@localhost", "--json"]
    )
    assert len(json.loads(found.stdout)) == 3
    assert cli("sync").stdout == "work: nothing had changed.\n"


MBSYNCRC = """
IMAPAccount a
Host 127.0.0.1
Port {port}
User {user}
Pass secret
SSLType None
AuthMechs LOGIN

IMAPStore far
Account a

MaildirStore near
Path {tree}/
Inbox {tree}/Inbox
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
CopyArrivalDate {dates}
SyncState *
"""


@pytest.mark.parametrize("dates", ["yes", "no"])
def test_a_tree_that_mbsync_filled_is_taken_over(cli: Cli, server: RestanteServer, dates: str) -> None:
    tree = cli.folder / "Mail"
    tree.mkdir()
    rc = cli.folder / "mbsyncrc"
    rc.write_text(MBSYNCRC.format(port=server.imap, user=ANNA, tree=tree, dates=dates))
    mbsync = [program("mbsync"), "-c", str(rc), "c"]
    env = {"PATH": os.environ["PATH"], "HOME": str(cli.folder)}
    subprocess.run(mbsync, check=True, capture_output=True, env=env)
    (tree / "Sent" / "cur" / "1700000000.1.host:2,S").write_bytes(b"Subject: mine\nMessage-ID: <mine@x>\n\nx\n")
    subprocess.run(mbsync, check=True, capture_output=True, env=env)
    assert b"X-TUID" in next((tree / "Inbox" / "new").iterdir()).read_bytes()
    assert b"X-TUID" in server.mail(ANNA, "Sent")[0].data
    cli.init("work", "--imap", f"127.0.0.1:{server.imap}", "--no-tls", "--maildir", str(tree), "--no-send")
    assert cli("sync").stdout == "work: nothing had changed.\n"
    assert (len(server.mail(ANNA)), len(server.mail(ANNA, "Sent"))) == (3, 1)
    assert cli("sync").stdout == "work: nothing had changed.\n"


@pytest.mark.parametrize("target", ["maildir", "mbox", "store"])
def test_pop3(cli: Cli, server: RestanteServer, target: str) -> None:
    where = {"maildir": str(cli.folder / "Mail"), "mbox": str(cli.folder / "box"), "store": "anna@localhost"}[target]
    cli.init("old", "--pop3", f"127.0.0.1:{server.pop3}", "--no-tls", f"--{target}", where, "--no-send")
    assert "old: download 3 messages (" in cli("sync", "--dry-run").stdout
    assert 'no mailbox "Work"' in cli("sync", "--only", "INBOX", "--only", "Work", status=Exit.USAGE).stderr
    assert "old: 3 new messages" in cli("sync", "--only", "inbox").stdout
    assert cli("sync", "--dry-run").stdout == "old: nothing to do.\n"
    assert cli("sync").stdout == "old: no new mail.\n"
    server.put(ANNA, message(9))
    assert "old: 1 new message " in cli("sync").stdout
    assert len(server.mail(ANNA)) == 4


def test_pop3_into_a_folder_that_takes_no_other_file(
    cli: Cli, server: RestanteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As /var/mail: what is being written is noted in the data folder."""
    box, noted, note, access = cli.folder / "mail" / "anna", [], MboxWriter._note, os.access
    box.parent.mkdir()

    def recorded(writer: MboxWriter, size: int, data: bytes) -> None:
        noted.append(writer.journal)
        note(writer, size, data)

    monkeypatch.setattr(MboxWriter, "_note", recorded)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != box.parent and access(path, mode))
    cli.init("old", "--pop3", f"127.0.0.1:{server.pop3}", "--no-tls", "--mbox", str(box), "--no-send")
    assert "old: 3 new messages" in cli("sync").stdout
    assert noted == [cli.data / "sync" / "old" / "mbox.part"]
    assert list(box.parent.iterdir()) == [box]


def test_mail_that_is_passed_over_is_told(cli: Cli, server: RestanteServer) -> None:
    where = str(cli.folder / "Mail")
    cli.init("old", "--pop3", f"127.0.0.1:{server.pop3}", "--no-tls", "--maildir", where, "--no-send")
    with cli.file.open("a") as file:
        file.write("[copy.old.download]\nonly_new = true\n")
    assert cli("sync", "--dry-run").stdout == "old: pass over 3 on the server.\n"
    assert cli("sync").stdout == "old: no new mail, 3 on the server passed over.\n"
    assert cli("sync").stdout == "old: no new mail.\n"


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_a_refused_password_is_not_tried_again_until_it_is_another(cli: Cli, server: RestanteServer, kind: str) -> None:
    port = server.imap if kind == "imap" else server.pop3
    cli.init("work", f"--{kind}", f"127.0.0.1:{port}", "--no-tls", "--maildir", str(cli.folder / "Mail"), "--no-send")
    cli("sync")
    cli("sync")
    cli.password.write_text("wrong\n")
    refused = cli("sync", status=Exit.LOGIN).stderr
    assert "not tried again" not in refused
    for _ in range(2):
        said = cli("sync", status=Exit.LOGIN).stderr
        assert "127.0.0.1 as anna@example.org: this password was refused once" in said
        assert "It is not tried again before " in said
        assert "--login" in said
    assert "not tried again" not in cli("sync", "--login", status=Exit.LOGIN).stderr
    assert "refused 2 times" in cli("sync", status=Exit.LOGIN).stderr
    cli.password.write_text("secret\n")
    cli("sync")
    assert not list(cli.data.rglob("login.json"))


def test_several_copies_and_one_that_fails(work: Cli, server: RestanteServer) -> None:
    wrong = work.folder / "wrong"
    wrong.write_text("not it\n")
    wrong.chmod(0o600)
    work("sync", "init", "bad", "--user", ANNA, "--password-file", str(wrong), "--imap", f"127.0.0.1:{server.imap}",
         "--no-tls", "--maildir", str(work.folder / "Other"), "--no-send")  # fmt: skip
    done = work("sync", status=Exit.LOGIN)
    assert "work: here 3 new" in done.stdout
    assert "bad:" in done.stderr
    assert len(subjects(work)) == 3
    rows = {row["copy"]: row for row in work.json("sync", "status")}
    assert rows["work"]["problem"] is None
    assert rows["bad"]["problem"] is not None
    assert len(work.json("sync", "list")) == 2


def test_no_server(cli: Cli, tmp_path: Path) -> None:
    with RestanteServer(tmp_path / "gone") as gone:
        port = gone.imap
    cli.init("work", "--imap", f"127.0.0.1:{port}", "--no-tls", "--maildir", str(cli.folder / "Mail"), "--no-send")
    said = cli("sync", status=Exit.TEMPORARY).stderr
    assert f"127.0.0.1:{port} cannot be reached (Connection refused).\n  Is the port right" in said


def test_no_password(work: Cli) -> None:
    work.password.chmod(0o644)
    assert "Others may read" in work("sync", status=Exit.LOGIN).stderr


def test_without_a_file_or_with_another_name(cli: Cli, work: Cli) -> None:
    assert "Did you mean work?" in work("sync", "wrok", status=Exit.REFUSED).stderr
    work.file.unlink()
    assert "cannot be read" in work("sync", status=Exit.REFUSED).stderr


def test_runs_as_json(work: Cli) -> None:
    (line,) = work("sync", "--json").stdout.splitlines()
    told = json.loads(line)
    assert (told["copy"], told["cause"], told["problem"]) == ("work", "begin", None)
    assert told["sync"]["two"]["added"] == 3


# Removals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", ["accept", "refuse"])
def test_many_removals_at_once_are_held_until_somebody_decides(
    work: Cli, server: RestanteServer, decision: str
) -> None:
    for number in range(10, 30):
        server.put(ANNA, message(number))
    work("sync")
    box = maildir(work)
    for key in list(box.keys()):
        box.discard(key)
    done = work("sync", status=Exit.FINDINGS)
    assert "held: 23 messages of INBOX would be removed" in done.stderr
    assert len(server.mail(ANNA)) == 23
    (row,) = json.loads(work("sync", "removals", "list", "--json").stdout)
    assert row["held"]["messages"] == 23
    assert "held" in work("sync", "status", status=Exit.FINDINGS).stdout
    if decision == "accept":
        work("sync", "removals", "accept", "work", status=Exit.REFUSED)  # nobody to ask, and no --yes
        work("sync", "removals", "accept", "work", "99", "--yes", status=Exit.NOT_FOUND)
    said = work("sync", "removals", decision, "work", *(["--yes"] if decision == "accept" else []))
    assert "23 messages of INBOX" in said.stdout
    work("sync")
    assert len(server.mail(ANNA)) == (0 if decision == "accept" else 23)
    assert len(subjects(work)) == (0 if decision == "accept" else 23)
    assert "Nothing is held" in work("sync", "removals", "list").stderr
    work("sync", "removals", decision, "work", *(["--yes"] if decision == "accept" else []), status=Exit.NOT_FOUND)


# Placeholders --------------------------------------------------------------------------------------------


def test_large_messages_leave_a_placeholder_that_is_fetched_on_demand(work: Cli, server: RestanteServer) -> None:
    large = message(50, b"x" * 100_000 + b"\r\n")
    server.put(ANNA, large)
    other = message(51, b"y" * 50_000 + b"\r\n")
    server.put(ANNA, other, "Archive")
    work.file.write_text(work.file.read_text() + '\nlargest = "20 kB"\n')
    assert "2 placeholders" in work("sync").stdout
    rows = work.json("sync", "fetch", "work")
    assert {(row["mailbox"], row["size"]) for row in rows} == {("Archive", len(other)), ("INBOX", len(large))}
    uid = str(next(row["uid"] for row in rows if row["mailbox"] == "INBOX"))
    assert len(b"".join(bytes(each) for each in maildir(work))) < 10_000
    work("sync", "fetch", "work", "INBOX", "4711", status=Exit.NOT_FOUND)
    files = (work.folder / "Mail").glob("[cn][ue][rw]/*")
    (file,) = (each for each in files if b"Restante-Placeholder" in each.read_bytes())
    file.rename(work.folder / "Mail" / "cur" / f"{file.name}:2,F")  # as a reader does that no run has seen yet
    assert "Downloaded 1 message (100.1 kB)" in work("sync", "fetch", "work", "inbox", uid).stdout
    assert ["\\Flagged"] in [sorted(each.flags) for each in server.mail(ANNA)]
    assert large.replace(b"\r\n", b"\n") in [bytes(each) for each in maildir(work)]
    assert len(subjects(work)) == 4
    work("sync", "fetch", "work", "--all")
    assert "has no placeholders" in work("sync", "fetch", "work").stderr
    assert work("sync").stdout == "work: nothing had changed.\n"
    assert len(server.mail(ANNA)) == 4


def test_fetching_all_stops_where_the_copy_has_no_room(cli: Cli, server: RestanteServer) -> None:
    cli.init("work", "--imap", f"127.0.0.1:{server.imap}", "--no-tls", "--store", "local@localhost", "--no-send")
    for number in range(4):
        server.put(ANNA, message(50 + number, b"x" * 100_000 + b"\r\n"))
    cli.file.write_text(cli.file.read_text() + '\nlargest = "20 kB"\n')
    assert "4 placeholders" in cli("sync").stdout

    def room(size: str) -> None:
        CliRunner().invoke(restante, ["account", "set", "local@localhost", "--quota", size, "--data", str(cli.data)])

    room("150 kB")
    said = cli("sync", "fetch", "work", "--all", status=Exit.FINDINGS)
    assert "Downloaded 1 message (100.1 kB)" in said.stdout
    (refused, left) = said.stderr.splitlines()
    assert refused.startswith("not downloaded: INBOX ")
    assert "takes no large message now: " in refused
    assert left == "2 more messages (200.2 kB) left for when there is room: restante sync fetch work --all"
    room("0")
    assert "here 1 new" in cli("sync", "--retry").stdout
    assert "Downloaded 2 messages" in cli("sync", "fetch", "work", "--all").stdout
    assert cli("sync").stdout == "work: nothing had changed.\n"


# Watching ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_watching_carries_changes_of_either_side_and_ends_on_a_signal(work: Cli, server: RestanteServer) -> None:
    with watching(work) as (process, line):
        assert "here 3 new" in line()
        server.put(ANNA, message(40))
        assert line().startswith("work: here 1 new (")
        assert "number 40" in subjects(work)
        maildir(work).add(mailbox.MaildirMessage(b"Subject: from here\n\nx\n"))
        assert line().startswith("work: on the server 1 new (")
        assert len(server.mail(ANNA)) == 5
    assert process.returncode == Exit.OK
    assert work("sync").stdout == "work: nothing had changed.\n"


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else gets meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


@pytest.mark.slow
def test_watching_waits_for_a_server_that_is_gone(work: Cli, deaf: int) -> None:
    text = work.file.read_text()
    work.file.write_text(text[: text.index("imap =")] + f'imap = "127.0.0.1:{deaf}"\n' + text[text.index("# Folder") :])
    process = work.start("--watch")
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "cannot be reached" in line
    assert "Is the port right" in process.stderr.readline()
    assert "Trying again in" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == Exit.OK


# Making one ----------------------------------------------------------------------------------------------


def test_what_is_missing_is_named_where_nobody_can_be_asked(cli: Cli) -> None:
    where = ["--no-discovery", "--user", ANNA]
    assert "--imap HOST" in cli("sync", "init", "x", *where, status=Exit.REFUSED).stderr
    where += ["--imap", "localhost"]
    assert "--password-command" in cli("sync", "init", "x", *where, status=Exit.REFUSED).stderr
    where += ["--keyring"]
    assert "--maildir DIR" in cli("sync", "init", "x", *where, status=Exit.REFUSED).stderr
    where += ["--maildir", "~/Mail"]
    cli("sync", "init", "x", *where)
    assert "There is a copy x" in cli("sync", "init", "x", *where, status=Exit.REFUSED).stderr
    assert not (cli.folder / "Mail").exists()


@pytest.mark.parametrize("inbox", ["INBOX", "Inbox", "."])
def test_a_plain_tree_that_is_there_stays_one(cli: Cli, server: RestanteServer, inbox: str) -> None:
    for folder in (inbox, "Lists/Music"):
        for sub in ("cur", "new", "tmp"):
            (cli.folder / "Mail" / folder / sub).mkdir(parents=True)
    (cli.folder / "Mail" / "Lists" / "Music" / "new" / "1.a.b").write_bytes(b"Subject: kept\n\nx\n")
    where = str(cli.folder / "Mail")
    said = cli.init("work", "--imap", f"127.0.0.1:{server.imap}", "--no-tls", "--maildir", where, "--no-send")
    assert "is a plain tree" in said.stderr
    cli("sync")
    assert len(mailbox.Maildir(cli.folder / "Mail" / inbox, create=False)) == 3
    assert [b"Subject: kept" in each.data for each in server.mail(ANNA, "Lists/Music")] == [True]
    assert not (cli.folder / "Mail" / ".Sent").exists()
    assert (cli.folder / "Mail" / "Sent" / "cur").is_dir()


def test_every_way_to_a_password_is_a_flag(cli: Cli) -> None:
    base = ["--user", ANNA, "--imap", "localhost", "--no-send"]
    ways = [
        ["--password-command", "pass x"],
        ["--keyring"],
        ["--oauth2-token-command", "token"],
        ["--oauth2-endpoint", "https://x/t", "--oauth2-client-id", "c", "--oauth2-refresh-token", "-"],
    ]
    for number, way in enumerate(ways):
        cli("sync", "init", f"n{number}", *base, "--maildir", f"~/M{number}", *way, stdin=b"the token\n")
    assert 'refresh_token = "the token"' in cli.file.read_text()
    assert len(cli.json("sync", "list")) == len(ways)


def test_what_stands_before_a_copy_and_behind_it(work: Cli) -> None:
    config, data = ["--config", str(work.file)], ["--data", str(work.data)]
    lines = (
        ["sync", *config, "-q", *data],
        ["sync", "work", *config, *data],
        [*config, *data, "sync", "--only", "INBOX"],
        ["sync", f"--config={work.file}", *data, "--dry-run", "work"],
        ["sync", *config, *data, "run", "work"],
    )
    for args in lines:
        assert CliRunner().invoke(restante, args).exit_code == 0, args
    assert CliRunner().invoke(restante, ["sync", *config, "--watch", "--dry-run"]).exit_code == Exit.USAGE


def test_a_run_imports_little() -> None:
    """Most runs find nothing to do, and come each minute."""
    code = (
        "import sys, restante.cli.main, restante.cli.sync, restante.cli.sync_run, restante.sync.assemble\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('apsw', 'rich', 'cryptography', 'uvloop', 'structlog', "
        "'keyring', 'dns', 'email', 'urllib.request', 'http', 'xml')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
