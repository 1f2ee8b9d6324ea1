"""What holds over all worker processes of one server: a guesser's delays, the end of sessions that may not go on."""

from __future__ import annotations

import json
import os
import select
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from restante.accounts.guesses import GuessTable
from restante.accounts.throttle import network_of
from restante.config.model import AuthTable, Config
from restante.config.paths import run_folder
from restante.testing.server import RestanteServer

from .support import PATIENCE, Workers, serving

CONFIG = """
[auth]
argon2_memory = "1 MiB"
argon2_time = 1
delay_first = 0.1
[listen]
imaps = "off"
pop3s = "off"
lmtp = "off"
"""


class TwoWorkers(Workers):
    """ann@example.org (secret) and bob@example.org (secret)."""

    def restante(self, *words: str, given: bytes = b"") -> str:
        """A command of another process; what it prints."""
        command = [sys.executable, "-m", "restante", "--data", str(self.data), *words]
        done = subprocess.run(command, input=given, check=True, capture_output=True, timeout=PATIENCE)
        return done.stdout.decode()

    def failures(self, account: str) -> int:
        """How many failures all workers together have counted against who guesses at the account from here."""
        table = GuessTable(os.urandom, run_folder(self.data) / "guesses")
        try:
            with table:
                found = table.failures(network_of("127.0.0.1"), account, time.monotonic())
            return found.count if found is not None else 0
        finally:
            table.close()


@contextmanager
def two_workers(folder: Path) -> Iterator[TwoWorkers]:
    data, config = folder / "data", folder / "config.toml"
    with RestanteServer(data, Config(auth=AuthTable(argon2_memory=1 << 20, argon2_time=1))) as server:
        for name in ("ann", "bob"):
            server.add_account(f"{name}@example.org", "secret")
    config.write_text(CONFIG, "utf-8")
    listen = [f"--listen={name}=127.0.0.1:0" for name in ("imap", "pop3")]
    with serving(data, folder / "log", "--workers=2", *listen, config=config) as ports:
        yield TwoWorkers(data, ports)


def test_a_guesser_gains_nothing_by_going_to_every_worker(tmp_path: Path) -> None:
    with two_workers(tmp_path) as server:
        clients = server.one_at_each("imap")
        for n in range(4):
            begun = time.monotonic()
            answer = clients[n % 2].ask(b"a LOGIN ann@example.org wrong%d" % n)
            assert answer.startswith(b"a NO [AUTHENTICATIONFAILED]")
            # 0.1 s for the first, doubled by each, whichever worker counts it. The loop's timers count whole
            # milliseconds, and may be one short.
            assert time.monotonic() - begun >= 0.1 * 2**n - 0.005
        # Who has guessed at nothing is not held up. Which of two answers comes first on a busy machine is chance while
        # the guesser's delay is short: it is doubled until he is seen to wait.
        for n in range(4, 9):
            clients[0].send(b"a LOGIN ann@example.org wrong%d\r\n" % n)
            bob, _ = server.connect("imap")
            assert bob.ask(b"a LOGIN bob@example.org secret").startswith(b"a OK")
            for _ in range(20):  # an answer that was as late as the guesser's would be there by now
                assert bob.ask(b"b NOOP").startswith(b"b OK")
            if not select.select([clients[0].sock], [], [], 0)[0]:
                break
            assert clients[0].line().startswith(b"a NO")
        else:
            raise AssertionError("bob waits as long as who guesses")


def test_the_same_wrong_password_at_another_worker_is_no_second_guess(tmp_path: Path) -> None:
    with two_workers(tmp_path) as server:
        clients = server.one_at_each("imap")
        for n in range(8):
            clients[n % 2].ask(b"a LOGIN ann@example.org saved")
        assert server.failures("ann@example.org") == 1
        clients[0].ask(b"a LOGIN ann@example.org other")
        assert server.failures("ann@example.org") == 2


def test_a_password_that_one_worker_has_checked_is_known_to_the_other(tmp_path: Path) -> None:
    """What it was checked against is spoilt meanwhile, so it cannot be checked again."""
    with two_workers(tmp_path) as server:
        one, other = server.one_at_each("imap")
        assert one.ask(b"a LOGIN ann@example.org secret").startswith(b"a OK")
        with closing(sqlite3.connect(server.data / "directory.db")) as db, db:
            db.execute("UPDATE credential SET hash = substr(hash, 1, length(hash) - 4) || 'AAAA'")
        assert other.ask(b"a LOGIN ann@example.org secret").startswith(b"a OK")
        another, _ = server.connect("imap")
        assert another.ask(b"a LOGIN bob@example.org secret").startswith(b"a NO [AUTHENTICATIONFAILED]")


@pytest.mark.parametrize("command", [("disable",), ("remove", "--yes")], ids=lambda words: words[0])
def test_sessions_of_a_closed_account_end_at_every_worker(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Closed by another process: a client that listens, one that does nothing, one in POP3; the neighbour stays."""
    with two_workers(tmp_path) as server:
        listening, quiet = server.one_at_each("imap")
        selected, _ = server.connect("imap")
        pop3, _ = server.connect("pop3")
        neighbour, _ = server.connect("imap")
        for client in (listening, quiet, selected):
            assert client.ask(b"a LOGIN ann@example.org secret").startswith(b"a OK")
        assert neighbour.ask(b"a LOGIN bob@example.org secret").startswith(b"a OK")
        listening.send(b"b IDLE\r\n")
        assert listening.line().startswith(b"+")
        selected.send(b"b SELECT INBOX\r\nc IDLE\r\n")
        while not selected.line().startswith(b"+"):
            pass
        assert pop3.ask(b"USER ann@example.org").startswith(b"+OK")
        assert pop3.ask(b"PASS secret").startswith(b"+OK")
        server.restante("account", command[0], "ann@example.org", *command[1:])
        for client in (listening, quiet):
            assert client.line() == b"* BYE [CONTACTADMIN] This account has been disabled or removed."
            assert client.ended()
        while not (last := selected.line()).startswith(b"* BYE"):
            assert last
        assert last == b"* BYE [CONTACTADMIN] This account has been disabled or removed."
        assert pop3.line() == b"-ERR [AUTH] This account has been disabled or removed."
        assert pop3.ended()
        assert neighbour.ask(b"c NOOP").startswith(b"c OK")
        if command[0] == "disable":
            server.restante("account", "enable", "ann@example.org")
            again, _ = server.connect("imap")
            assert again.ask(b"d LOGIN ann@example.org secret").startswith(b"d OK")


NOT_VALID = b"The password of this session opens nothing any more."


@pytest.mark.parametrize("how", ["changed", "revoked"])
def test_sessions_end_at_every_worker_with_the_password_that_opened_them(tmp_path: Path, how: str) -> None:
    """Changed or revoked by another process; a session that another password of the same account opened stays."""
    with two_workers(tmp_path) as server:
        app = json.loads(server.restante("app-password", "add", "ann@example.org", "--json"))
        gone, stays = ("secret", app["password"]) if how == "changed" else (app["password"], "secret")
        listening, quiet = server.one_at_each("imap")
        pop3, _ = server.connect("pop3")
        other, _ = server.connect("imap")
        for client in (listening, quiet):
            assert client.ask(b"a LOGIN ann@example.org " + gone.encode()).startswith(b"a OK")
        assert other.ask(b"a LOGIN ann@example.org " + stays.encode()).startswith(b"a OK")
        listening.send(b"b IDLE\r\n")
        assert listening.line().startswith(b"+")
        assert pop3.ask(b"USER ann@example.org").startswith(b"+OK")
        assert pop3.ask(b"PASS " + gone.encode()).startswith(b"+OK")
        if how == "changed":
            server.restante("account", "passwd", "ann@example.org", "--password-stdin", given=b"new\n")
        else:
            server.restante("app-password", "revoke", "--yes", "ann@example.org", str(app["number"]))
        for client in (listening, quiet):
            assert client.line() == b"* BYE [EXPIRED] " + NOT_VALID
            assert client.ended()
        assert pop3.line() == b"-ERR [AUTH] " + NOT_VALID
        assert pop3.ended()
        assert other.ask(b"c NOOP").startswith(b"c OK")
