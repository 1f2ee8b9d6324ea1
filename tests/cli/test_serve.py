"""`restante serve` as a person uses it: the program, its lines, its ports, its end."""

from __future__ import annotations

import imaplib
import json
import os
import poplib
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from restante.cli.statuses import Exit
from restante.demo.catalogue import DemoSource
from tests.server.support import eventually

FREE = [f"--listen={name}=127.0.0.1:0" for name in ("imap", "imaps", "pop3", "pop3s", "lmtp")]
PATIENCE = 30

pytestmark = pytest.mark.disk  # the whole of it on what people have


def restante(data: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "restante", "--data", str(data), *args],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def status_of(data: Path) -> dict[str, Any]:
    """What `status` tells once both workers have told it: a busy one may need several questions."""
    told: dict[str, Any] = {}

    def both() -> bool:
        told.update(json.loads(restante(data, "status", "--json").stdout))
        return len(told["workers"]) == 2

    eventually(both, "two workers that tell what they do")
    return told


class Served:
    """A started server: its lines until `ready`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.lines: list[str] = []
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line == "ready\n":
                break
        else:
            raise AssertionError(f"the server ended: {process.communicate(timeout=PATIENCE)[1]}")
        self.ports = {
            line.split()[0]: int(line.split()[1].rpartition(":")[2]) for line in self.lines if "127.0" in line
        }

    def word(self, name: str) -> str:
        return next(line.split()[1] for line in self.lines if line.startswith(name))

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Exit status and standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors


PROGRAM = ("-m", "restante")
WITHOUT_LOOKS = (
    "-c",
    "from restante.store.sqlite import hints; hints.POLL = 3600.0; from restante.cli.entry import main; main()",
)
"""A server whose processes hear of each other's changes by word alone: none looks at the files each second."""


@contextmanager
def served(data: Path, *args: str, program: tuple[str, ...] = PROGRAM) -> Iterator[Served]:
    process = subprocess.Popen(
        [sys.executable, *program, "--data", str(data), "serve", "--workers=2", *FREE, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Served(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=PATIENCE)


def test_what_is_printed_opens_the_demo_account_and_the_second_start_keeps_all(tmp_path: Path) -> None:
    with served(tmp_path / "data", "--demo") as server:
        assert [line.split()[0] for line in server.lines] == [
            *("imap", "imaps", "pop3", "pop3s", "lmtp", "user", "pass", "ready")
        ]
        user, password = server.word("user"), server.word("pass")
        with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as imap:
            imap.login(user, password)
            assert imap.select()[1] == [b"%d" % sum(box == "INBOX" for box, _, _ in DemoSource().entries)]
            imap.store("1", "+FLAGS", r"(\Deleted \Flagged)")
            imap.expunge()
            left = imap.select()[1]
        pop = poplib.POP3("127.0.0.1", server.ports["pop3"])
        pop.user(user)
        pop.pass_(password)
        assert pop.stat()[0] == int(left[0] or b"0")
        pop.quit()
        status, errors = server.stop()
        assert (status, "Traceback" in errors) == (0, False)
        assert password not in errors
    with served(tmp_path / "data", "--demo") as server, imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as imap:
        imap.login(user, password)
        assert imap.select()[1] == left


def test_an_empty_server_says_how_to_add_the_first_account_and_takes_it_while_it_runs(tmp_path: Path) -> None:
    data = tmp_path / "my data"
    with served(data, "--listen=pop3=off", "--listen=lmtp=off", f"--listen=lmtp=unix:{tmp_path}/l") as server:
        assert list(server.ports) == ["imap", "imaps", "pop3s"]
        assert any(line == f"  restante domain add example.org --data '{data}'" for line in server.lines)
        restante(data, "domain", "add", "example.org")
        added = subprocess.run(
            [sys.executable, "-m", "restante", "account", "add", "you@example.org", "--password-stdin", "--data", data],
            input="my words\n",
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        assert added.returncode == 0
        with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as imap:
            imap.login("you@example.org", "my words")
            imap.select()
            told = status_of(data)
            assert [each["name"] for each in told["listeners"]] == ["imap", "imaps", "pop3s", "lmtp"]
            (one,) = told["connections"]
            assert (one["account"], one["protocol"]) == ("you@example.org", "imap")
            assert "you@example.org" in restante(data, "status").stdout


def test_an_account_removed_while_the_server_runs_is_gone_for_all_sessions(tmp_path: Path) -> None:
    with served(tmp_path, "--demo") as server:
        user, password = server.word("user"), server.word("pass")
        imap = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
        imap.login(user, password)
        imap.select()
        assert restante(tmp_path, "account", "remove", user, "--yes").returncode == 0
        eventually(lambda: _ended(imap), "the end of a session whose account is gone")
        again = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            again.login(user, password)
        assert not list((tmp_path / "accounts").glob("*/*.db"))
        status, errors = server.stop()
        assert (status, "Traceback" in errors, "internal error" in errors) == (0, False, False)


def _ended(imap: imaplib.IMAP4) -> bool:
    try:
        return imap.fetch("1:*", "(BODY.PEEK[])")[0] == "NO"
    except imaplib.IMAP4.abort as end:
        return "disabled or removed" in str(end)


def test_a_delivery_reaches_connections_in_idle_on_every_worker_at_once(tmp_path: Path) -> None:
    """How soon is measured by bench/change_latency.py."""
    with served(tmp_path, "--demo", program=WITHOUT_LOOKS) as server:
        user = server.word("user")
        listening = [imaplib.IMAP4("127.0.0.1", server.ports["imap"], PATIENCE) for _ in range(4)]
        for imap in listening:
            imap.login(user, server.word("pass"))
            exists = int(imap.select()[1][0] or b"0")
            imap.send(b"x IDLE\r\n")
            while not imap.readline().startswith(b"+"):
                pass
        assert len(status_of(tmp_path)["connections"]) == 4
        peer = smtplib.LMTP("127.0.0.1", server.ports["lmtp"])
        for number in range(1, 4):
            assert peer.sendmail("a@example.com", user, "Subject: x\r\n\r\nbody\r\n") == {}
            for imap in listening:
                while imap.readline() != b"* %d EXISTS\r\n" % (exists + number):
                    pass


def test_a_port_in_use_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = restante(tmp_path, "serve", "--demo", *FREE[1:], f"--listen=imap=127.0.0.1:{port}")
    assert (said.returncode, said.stdout) == (Exit.REFUSED, "")
    assert said.stderr.splitlines() == [
        f"restante: imap: port {port} on 127.0.0.1 is in use by another program.",
        f"  Stop it, or choose another port: --listen imap=127.0.0.1:{(port + 1) % 65536}",
    ]
    assert not (tmp_path / "directory.db").exists()


def test_a_second_server_is_refused_and_touches_nothing(tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.mkdir()
    (mail / "1.eml").write_bytes(b"Subject: x\n\nbody\n")
    data = tmp_path / "data"

    def accounts() -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(restante(data, "status", "--json").stdout)["accounts"]
        for account in found:
            del account["file_size"]  # the log is written back when the account has been idle for a while
        return found

    with served(data, "--demo"):
        before = accounts()
        said = restante(data, "serve", "--demo", "--mail", str(mail), *FREE)
        assert (said.returncode, said.stdout, len(said.stderr.splitlines())) == (Exit.REFUSED, "", 2)
        assert "is running on" in said.stderr
        assert accounts() == before


def test_log_lines_are_json_where_configured(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('[log]\nformat = "json"\n')
    with served(tmp_path / "data", "--demo", "--config", str(tmp_path / "r.toml")) as server:
        imap = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
        for password in ("not the words", server.word("pass")):
            try:
                imap.login(server.word("user"), password)
            except imaplib.IMAP4.error:
                pass
        imap.logout()
        _, errors = server.stop(signal.SIGTERM)
    lines = [json.loads(line) for line in errors.splitlines()]
    failed, login = (next(line for line in lines if line["event"] == event) for event in ("auth failed", "login"))
    for line in (failed, login):
        assert (line["account"], line["protocol"], line["rip"]) == (server.word("user"), "imap", "127.0.0.1")
        assert line["id"]
    assert failed["reason"] == "wrong password"
    assert "not the words" not in errors


def test_a_folder_without_rights_is_one_line_and_what_to_do(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # Nobody refuses root anything: the same code by somebody else's rights, in a child.
        tmp_path.chmod(0o755)
        code = (
            "import os, sys; from pathlib import Path; from restante.config.paths import make_data, FolderRefusal\n"
            "os.setgid(65534); os.setuid(65534)\n"
            "try: make_data(Path(sys.argv[1]))\n"
            "except FolderRefusal as refusal: print(refusal)"
        )
        said = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "data")], capture_output=True, text=True, timeout=PATIENCE
        ).stdout
    else:
        tmp_path.chmod(0o500)
        said = restante(tmp_path / "data", "serve", "--demo", *FREE).stderr
        tmp_path.chmod(0o700)
    assert "--data DIR" in said
    assert "Permission denied" in said
