"""`restante send`, the outbox of `restante sync`, and the name sendmail, against a real server and a sink."""

from __future__ import annotations

import errno
import json
import mailbox
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.cli.statuses import Exit
from restante.testing.server import RestanteServer

from ..sync.outbox.sink import Sink, serving
from .sync_work import ANNA, Cli, copying, maildir, serving_anna, subjects, watching


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


@pytest.fixture
def sink() -> Iterator[Sink]:
    with serving(Sink(mechanisms=("PLAIN",), password="secret", user=ANNA)) as found:
        yield found


@pytest.fixture
def sends(cli: Cli, server: RestanteServer, sink: Sink) -> Cli:
    cli.init(
        "work", "--imap", f"127.0.0.1:{server.imap}", "--no-tls", "--maildir", str(cli.folder / "Mail"),
        "--smtp", f"127.0.0.1:{sink.port}", "--smtp-no-tls", "--full-name", "Anna",
    )  # fmt: skip
    return cli


MAIL = b"To: c@example.com\nBcc: d@example.com\nSubject: out\n\nwords\n"


def test_a_message_is_sent_and_the_next_run_files_it_on_both_sides(
    sends: Cli, server: RestanteServer, sink: Sink
) -> None:
    assert sends("send", stdin=MAIL).stderr == "Sent.\n"
    (taken,) = sink.taken
    assert taken.recipients == ["c@example.com", "d@example.com"]
    assert taken.sender == ANNA
    assert b"From: Anna <anna@example.org>\r\n" in taken.data
    assert b"d@example.com" not in taken.data
    sends("sync")
    (filed,) = server.mail(ANNA, "Sent")
    assert filed.data == taken.data
    assert "\\Seen" in filed.flags
    assert len(maildir(sends).get_folder("Sent")) == 1
    assert sends("send", "--list").stderr == "The outbox is empty.\n"
    sends("sync")
    assert len(server.mail(ANNA, "Sent")) == 1


def test_offline_it_is_kept_and_sent_by_the_next_run(sends: Cli, server: RestanteServer, sink: Sink) -> None:
    text = sends.file.read_text()
    sends.file.write_text(text.replace(f'smtp = "127.0.0.1:{sink.port}"', 'smtp = "127.0.0.1:1"'))
    said = sends("send", stdin=MAIL).stderr
    assert "waiting (127.0.0.1:1 cannot be reached" in said
    (row,) = sends.json("send", "--list")
    assert row["state"] == "spooled"
    done = sends("sync", status=Exit.TEMPORARY)
    assert "waiting to be sent" in done.stderr
    assert len(subjects(sends)) == 3, "mail comes in all the same"
    sends.file.write_text(text)
    assert "sent 1 message" in sends("sync").stdout
    assert len(sink.taken) == len(server.mail(ANNA, "Sent")) == 1


def test_what_is_refused_is_told_and_comes_back(sends: Cli, server: RestanteServer, sink: Sink) -> None:
    sink.refuse = {"c@example.com": "550 5.1.1 nobody", "d@example.com": "550 5.1.1 nobody"}
    done = sends("send", stdin=MAIL, status=Exit.UNAVAILABLE)
    assert "c@example.com: 550 5.1.1 nobody" in done.stderr
    assert "came back" in sends("sync").stderr
    assert any(b"Subject: Not sent: out" in each.data for each in server.mail(ANNA))
    assert server.mail(ANNA, "Sent") == []


@pytest.mark.parametrize("fault", ["the disk is full", "another message is damaged"])
def test_what_is_kept_is_no_failure_whatever_the_disk_does_then(
    sends: Cli, sink: Sink, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sends("send", "--later", stdin=MAIL.replace(b"out", b"first"))
    (first,) = (sends.folder / "data" / "sync" / "outbox").glob("*.json")
    if fault == "the disk is full":
        monkeypatch.setattr("restante.sync.outbox.sender.Sender.run", full)
    else:
        first.write_text("{")
    said = sends("send", stdin=MAIL).stderr  # a status of failure would bring it here again
    assert "Kept as" in said
    assert len(list(first.parent.glob("*.eml"))) == 2


def test_a_message_of_a_copy_that_is_gone_is_not_tried_again_in_vain(sends: Cli) -> None:
    sends("send", "--later", stdin=MAIL)
    (row,) = sends.json("send", "--list")
    id = str(row["id"])
    sends.file.write_text(sends.file.read_text().replace("copy.work", "copy.other"))
    done = sends("send", "--retry", id, status=Exit.REFUSED)
    assert "by the copy work, which sends no mail" in done.stderr
    assert f"{id}.eml" in done.stderr
    assert [each["state"] for each in sends.json("send", "--list")] == ["spooled"]
    sends("send", "--drop", id)


async def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_dropped_in_the_outbox_folder(sends: Cli, server: RestanteServer, sink: Sink) -> None:
    sends("sync")
    box = maildir(sends).add_folder("Outbox")
    box.add(mailbox.MaildirMessage(MAIL))
    assert "sent 1 message" in sends("sync").stdout
    assert len(maildir(sends).get_folder("Outbox")) == 0
    assert len(server.mail(ANNA, "Sent")) == 1
    assert "Outbox" not in server.mailboxes(ANNA), "it is never copied"


def test_a_file_dropped_as_it_is(sends: Cli, sink: Sink) -> None:
    sends("sync")
    folder = sends.folder / "Mail" / ".Outbox"
    (folder / "letter.eml").write_bytes(MAIL)
    (folder / "notes.txt").write_bytes(MAIL)
    (folder / "link.eml").symlink_to(sends.password)
    (folder / "folder.eml").mkdir()
    assert "sent 1 message" in sends("sync").stdout
    assert [taken.recipients for taken in sink.taken] == [["c@example.com", "d@example.com"]]
    assert not (folder / "letter.eml").exists()
    assert {file.name for file in folder.iterdir()} >= {"notes.txt", "link.eml", "folder.eml"}
    assert sends("sync").stdout == "work: nothing had changed.\n"


def test_what_lies_in_the_outbox_and_names_nobody_comes_back_with_what_to_do(
    sends: Cli, server: RestanteServer, sink: Sink
) -> None:
    sends("sync")
    (sends.folder / "Mail" / ".Outbox" / "new" / "letter").write_bytes(b"Subject: to whom\n\nwords\n")
    assert "1 message came back" in sends("sync").stderr
    (back,) = (each.data for each in server.mail(ANNA) if b"Subject: Not sent" in each.data)
    assert b"The message has no recipient. Write To, Cc or Bcc into its header." in back
    assert b"It lay in the Outbox of the copy work." in back
    assert b"handed to" not in back, "no server has seen it"


@pytest.mark.parametrize("where", ["new/letter", "letter.eml"])
def test_a_file_that_is_still_written_waits(sends: Cli, sink: Sink, where: str) -> None:
    sends("sync")
    file = sends.folder / "Mail" / ".Outbox" / where
    with file.open("wb", buffering=0) as stream:
        stream.write(MAIL)
        sends("sync")
        assert sink.taken == []
        assert file.read_bytes() == MAIL
        stream.write(b"and the rest\n")
    sends("sync")
    (taken,) = sink.taken
    assert taken.data.endswith(b"words\r\nand the rest\r\n")
    assert not file.exists()


def test_a_file_that_nobody_has_written_for_long_is_whole(sends: Cli, sink: Sink) -> None:
    sends("sync")
    file = sends.folder / "Mail" / ".Outbox" / "new" / "letter"
    with file.open("wb", buffering=0) as stream:  # as on a disk that gives no lease
        stream.write(MAIL)
        os.utime(file, (1_700_000_000, 1_700_000_000))
        sends("sync")
    assert len(sink.taken) == 1


@pytest.mark.slow
def test_a_watcher_sees_a_file_dropped_in_the_outbox_folder(sends: Cli, sink: Sink) -> None:
    with watching(sends) as (_, line):
        assert "here 3 new" in line()
        box = maildir(sends).get_folder("Outbox")
        box.add(mailbox.MaildirMessage(MAIL))
        assert "work: sent 1 message.\n" in [line(), line()]
        assert len(sink.taken) == 1


def test_an_uncertain_message_is_asked_about(sends: Cli, server: RestanteServer, sink: Sink) -> None:
    sink.hang_up = "end"
    said = sends("send", stdin=MAIL).stderr
    assert "nobody knows whether it was sent" in said
    assert "waiting" not in said
    assert "nobody knows whether it was sent" in sends("sync", status=Exit.FINDINGS).stderr
    (row,) = json.loads(sends("sync", "status", "--json", status=Exit.FINDINGS).stdout)
    (entry,) = row["outbox"]
    assert entry["state"] == "uncertain"
    assert any(b"Sent or not? out" in each.data for each in server.mail(ANNA))
    sink.hang_up = ""
    assert "counts as sent" in sends("send", "--sent", entry["id"]).stdout
    sends("sync")
    assert len(server.mail(ANNA, "Sent")) == len(sink.taken) == 1


@pytest.mark.slow
def test_a_watcher_sends_at_once(sends: Cli, server: RestanteServer, sink: Sink) -> None:
    with watching(sends) as (_, line):
        assert "here 3 new" in line()
        assert "Kept as" in sends("send", stdin=MAIL).stderr
        said = [line(), line()]
        assert "work: sent 1 message.\n" in said
        assert len(server.mail(ANNA, "Sent")) == len(sink.taken) == 1


def test_who_sends_nothing_says_so(work: Cli) -> None:
    assert "No copy says how to send mail" in work("send", stdin=MAIL, status=Exit.REFUSED).stderr


def test_nothing_is_kept_of_what_cannot_be_sent(sends: Cli, sink: Sink) -> None:
    assert "no recipient" in sends("send", stdin=b"Subject: x\n\nx", status=Exit.REFUSED).stderr
    assert sends("send", "--list").stderr == "The outbox is empty.\n"
    assert sink.connections == 0


def sendmail(cli: Cli, *args: str, stdin: bytes = MAIL) -> subprocess.CompletedProcess[bytes]:
    code = "from restante.cli.sendmail import main; main()"
    env = os.environ | {"XDG_DATA_HOME": str(cli.folder), "HOME": str(cli.folder)}
    cli.file.write_text(f'data = "{cli.data}"\n' + cli.file.read_text().replace(f'data = "{cli.data}"\n', ""))
    return subprocess.run(
        [sys.executable, "-c", code, "-C", str(cli.file), *args], input=stdin, capture_output=True, timeout=60, env=env
    )


def test_as_sendmail(sends: Cli, sink: Sink) -> None:
    done = sendmail(sends, "-t", "-i")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert sink.taken[-1].recipients == ["c@example.com", "d@example.com"]
    # As mutt calls it, and git send-email, and cron.
    assert sendmail(sends, "-oem", "-oi", "-f", "anna@example.org", "--", "e@example.com").returncode == 0
    assert sink.taken[-1].recipients == ["e@example.com"]
    assert sendmail(sends, "-i", "-B8BITMIME", "e@example.com", "f@example.com").returncode == 0
    assert sink.taken[-1].recipients == ["e@example.com", "f@example.com"]
    assert sendmail(sends, "-FCronDaemon", "-odi", "-oem", "g@example.com", stdin=b"a\n.\nb\n").returncode == 0
    assert sink.taken[-1].data.endswith(b"From: CronDaemon <anna@example.org>\r\n\r\na\r\n")
    # cronie: a sender without a host.
    cron = b"From: root (Cron Daemon)\nTo: h@example.com\nSubject: job\n\nout\n"
    assert sendmail(sends, "-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root", stdin=cron).returncode == 0
    assert (sink.taken[-1].sender, sink.taken[-1].recipients) == ("anna@example.org", ["h@example.com"])
    assert sendmail(sends, "-f", "<>", "i@example.com").returncode == 0
    assert sink.taken[-1].sender == ""
    assert sendmail(sends, "-bs").returncode == 64
    assert sendmail(sends, "-\udcff").stderr == b"restante-sendmail: -\\udcff is no option of sendmail.\n"
    assert sendmail(sends, "-i").returncode == 64
    assert sendmail(sends, "-t", stdin=b"\n\n").returncode == 65
    sink.refuse = {"e@example.com": "550 5.1.1 nobody"}
    assert sendmail(sends, "e@example.com").returncode == 69


@pytest.mark.parametrize("as_sendmail", [False, True])
def test_who_does_not_wait_is_told_that_the_message_is_kept(cli: Cli, as_sendmail: bool) -> None:
    """Ctrl-C looked like a failure, after which one sends it again."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cli.init(
            "work", "--imap", "127.0.0.1:1", "--no-tls", "--maildir", str(cli.folder / "Mail"),
            "--smtp", f"127.0.0.1:{silent.getsockname()[1]}", "--smtp-no-tls",
        )  # fmt: skip
        cli.file.write_text(f'data = "{cli.data}"\n' + cli.file.read_text())
        code = "from restante.cli.sendmail import main; main()"
        command = ["-c", code, "-C", str(cli.file), "-t"] if as_sendmail else ["-m", "restante", "send"]
        where = [] if as_sendmail else ["--config", str(cli.file), "--data", str(cli.data)]
        with subprocess.Popen(
            [sys.executable, *command, *where], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as sending:
            assert sending.stdin is not None
            sending.stdin.write(MAIL.decode())
            sending.stdin.close()
            peer, _ = silent.accept()
            with peer:
                sending.send_signal(signal.SIGINT)
                assert sending.stderr is not None
                said = sending.stderr.read()
            assert sending.wait(30) == 0
    (row,) = cli.json("send", "--list")
    id = row["id"]
    assert said == f"Kept as {id}: it goes with the next run. To forget it: restante send --drop {id}\n"


def test_sendmail_without_a_configuration(cli: Cli) -> None:
    cli.file.write_text("")
    done = sendmail(cli, "-t")
    assert (done.returncode, done.stderr) == (
        78, b'restante-sendmail: No copy says how to send mail. Add [copy.NAME.send] with smtp = "HOST" to the file.\n',
    )  # fmt: skip


def test_an_empty_outbox_imports_nothing_of_it(sends: Cli) -> None:
    sends("sync")
    code = (
        "import sys; from restante.cli.main import restante\n"
        f"restante.main(['--data', {str(sends.data)!r}, 'sync', '--config', {str(sends.file)!r}], "
        "standalone_mode=False)\n"
        "print([m for m in sys.modules if m.startswith(('restante.smtp', 'restante.sync.outbox.', 'email', 'rich'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "work: nothing had changed.\n['restante.sync.outbox.outcome']\n"
