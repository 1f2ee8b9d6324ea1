"""The process beside the workers: it indexes new mail, at low priority, and comes back when it dies."""

from __future__ import annotations

import os
import signal
import smtplib
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from restante.clock import ManualClock
from restante.server.background import NICENESS, Notes, channel
from restante.store.sqlite.indexes import BATCH

from .support import PATIENCE, eventually


def test_an_account_is_named_once_a_second_and_a_full_socket_holds_nobody_up() -> None:
    send, receive = channel()
    clock = ManualClock()
    notes = Notes(send, clock)
    for _ in range(3):
        notes.note("a")
    notes.note("b")
    clock.advance(1.0)
    notes.note("a")
    assert [receive.recv(99) for _ in range(3)] == [b"a", b"b", b"a"]
    for number in range(100_000):
        notes.note(f"n{number}")
    receive.close()
    notes.note("after its end")
    send.close()


def indexed(data: Path) -> int:
    """How many messages the only account's index has; 0 while it is being made."""
    for path in data.glob("accounts/*/*.index"):
        try:
            db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            return int(db.execute("SELECT count(*) FROM doc").get)
        except (apsw.SQLError, apsw.BusyError, apsw.CantOpenError):
            return 0
    return 0


def deliver(port: int, count: int) -> None:
    client = smtplib.LMTP("127.0.0.1", port)
    client.timeout = PATIENCE
    for number in range(count):
        client.sendmail("a@example.org", ["ann@example.org"], f"Subject: {number}\r\n\r\nwords of {number}\r\n")
    client.quit()


@pytest.mark.slow
def test_new_mail_is_indexed_beside_the_workers_and_again_after_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for words in (["domain", "add", "example.org"], ["account", "add", "ann@example.org", "--password-stdin"]):
        command = [sys.executable, "-m", "restante", "--data", str(data), *words]
        subprocess.run(command, input=b"secret\n", check=True, capture_output=True, timeout=PATIENCE)
    listen = [x for name in ("imaps", "pop3", "pop3s", "imap") for x in ("--listen", f"{name}=off")]
    serve = ["serve", "--workers", "1", "--listen", "lmtp=127.0.0.1:0", *listen]
    with subprocess.Popen(
        [sys.executable, "-m", "restante", "--data", str(data), *serve],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            first = server.stdout.readline()
            while server.stdout.readline() != "ready\n":
                pass
            port = int(first.split()[1].rpartition(":")[2])
            (pid,) = background(server.pid)
            deliver(port, BATCH)
            eventually(lambda: indexed(data) == BATCH)
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: background(server.pid) not in ([], [pid]))
            deliver(port, BATCH)
            eventually(lambda: indexed(data) == 2 * BATCH)
        finally:
            server.terminate()
        assert server.wait(PATIENCE) == 0


def background(supervisor: int) -> list[int]:
    """Children of the server that run at a low priority."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,ni=", "--ppid", str(supervisor)], capture_output=True, text=True, check=False
    )
    rows = [line.split() for line in listed.stdout.splitlines()]
    own = os.getpriority(os.PRIO_PROCESS, 0)
    return [int(pid) for pid, nice in rows if nice == str(min(19, own + NICENESS))]
