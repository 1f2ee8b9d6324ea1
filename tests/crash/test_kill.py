"""kill -9 at random instants under load: every acknowledged change is there afterwards, and doctor finds nothing.

Six clients work at once (LMTP delivery, APPEND, STORE, MOVE, EXPUNGE, POP3 QUIT) while the worker that serves them
is killed; every second time the whole server is killed with it. After each kill the mail is read again and compared
with what the clients were promised.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import os
import poplib
import random
import re
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from restante.accounts.admin import Admin
from restante.clock import SystemClock, system_random
from restante.config.model import Config
from restante.config.paths import make_data
from restante.server.engine import open_engine

from .ledger import GONE, NOT_YET, Ledger

PARTS = 4
"""Each with a server of its own, so that they can run side by side."""
CYCLES = -(-int(os.environ.get("RESTANTE_KILLS", "200")) // PARTS)
"""Kills in each part."""
SEED = int(os.environ.get("RESTANTE_SEED", "0")) or random.randrange(1, 1 << 32)
IMAP_USER, POP_USER, PASSWORD = "imap@crash.example", "pop@crash.example", "correct horse"
LOST = (OSError, EOFError, imaplib.IMAP4.abort, poplib.error_proto, smtplib.SMTPException)
TOKEN = re.compile(rb"Message-ID: <([a-z0-9]+)@crash\.example>", re.I)


def message(token: str) -> bytes:
    """A message whose octets follow from its token, so that a torn one shows."""
    filler = "".join(f"{token} line {i}\r\n" for i in range(random.Random(token).randrange(1, 120)))
    head = f"From: a@crash.example\r\nTo: b@crash.example\r\nSubject: {token}\r\n"
    return f"{head}Message-ID: <{token}@crash.example>\r\n\r\n{filler}".encode()


class Server:
    """A server under test: started once, killed often."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.ports: dict[str, int] = {}
        self.lives = 0
        self.process: subprocess.Popen[str] | None = None
        self.log = (data.parent / "server.log").open("a")

    def start(self) -> None:
        command = [sys.executable, "-m", "restante", "--data", str(self.data), "serve", "--workers", "1"]
        for name in ("imap", "pop3", "lmtp"):
            command += ["--listen", f"{name}=127.0.0.1:0"]
        command += ["--listen", "imaps=off", "--listen", "pop3s=off"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.match(r"(imap|pop3|lmtp)\s+127\.0\.0\.1:(\d+)", line):
                self.ports[found.group(1)] = int(found.group(2))
            if line.strip() == "ready":
                return
        raise AssertionError(f"the server did not start; see {self.log.name}")

    def worker(self) -> int:
        """Pid of the worker, once there is one."""
        assert self.process is not None
        pid = self.process.pid
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if children:
                return int(children[0])
            os.sched_yield()
        raise AssertionError("no worker")

    def kill(self, whole: bool) -> None:
        assert self.process is not None
        self.lives += 1
        if whole:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.start()
        else:
            os.kill(self.worker(), signal.SIGKILL)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.log.close()

    def imap(self) -> imaplib.IMAP4:
        connection = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=20)
        connection.login(IMAP_USER, PASSWORD)
        return connection

    def pop3(self) -> poplib.POP3:
        connection = poplib.POP3("127.0.0.1", self.ports["pop3"], timeout=20)
        connection.user(POP_USER)
        connection.pass_(PASSWORD)
        return connection


class Tokens:
    """Names that never come twice."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0

    def take(self, kind: str) -> str:
        with self.lock:
            self.count += 1
            return f"{kind}{self.count}"


Alive = Callable[[], bool]
"""Whether the server has not been killed yet. The next worker takes connections, too: who is late would work on."""


def deliverer(server: Server, ledger: Ledger, tokens: Tokens, _chance: random.Random, alive: Alive) -> None:
    with socket.create_connection(("127.0.0.1", server.ports["lmtp"]), timeout=20):
        pass
    lmtp = smtplib.LMTP("127.0.0.1", server.ports["lmtp"], timeout=20)
    while alive():
        token = tokens.take("d")
        ledger.begin([token], "INBOX")
        lmtp.sendmail("a@crash.example", [POP_USER], message(token))
        ledger.acknowledge([token], NOT_YET)


def appender(server: Server, ledger: Ledger, tokens: Tokens, _chance: random.Random, alive: Alive) -> None:
    imap = server.imap()
    while alive():
        token = tokens.take("a")
        ledger.begin([token], "A")
        assert imap.append("A", "", "", message(token))[0] == "OK"
        ledger.acknowledge([token], NOT_YET)


def contents(imap: imaplib.IMAP4, mailbox: str) -> list[tuple[int, str, frozenset[str]]]:
    """(uid, token, keywords) of a mailbox."""
    assert imap.select(mailbox)[0] == "OK"
    status, data = imap.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    assert status == "OK"
    found = []
    for entry in data:
        if isinstance(entry, tuple):
            uid, flags = re.search(rb"UID (\d+)", entry[0]), re.search(rb"FLAGS \(([^)]*)\)", entry[0])
            token = TOKEN.search(entry[1])
            assert uid is not None, entry
            assert flags is not None, entry
            assert token is not None, entry
            found.append((int(uid.group(1)), token.group(1).decode(), frozenset(flags.group(1).decode().split())))
    return found


def storer(server: Server, ledger: Ledger, _tokens: Tokens, chance: random.Random, alive: Alive) -> None:
    imap = server.imap()
    while alive():
        there = contents(imap, "A")
        if not there:
            continue
        some = chance.sample(there, min(len(there), 5))
        keyword = f"k{chance.randrange(8)}"
        names = [token for _, token, _ in some]
        ledger.begin_keyword(names, keyword)
        uids = ",".join(str(uid) for uid, _, _ in some)
        status, data = imap.uid("STORE", uids, "+FLAGS", f"({keyword})")
        assert status == "OK"
        # a message that MOVE took away meanwhile is answered as it was: the promise is what the answer shows
        answers = [d if isinstance(d, bytes) else d[0] for d in data if d]
        shown = {int(m[1]) for a in answers if keyword.encode() in a and (m := re.search(rb"UID (\d+)", a))}
        ledger.acknowledge_keyword([token for uid, token, _ in some if uid in shown], keyword)


def mover(server: Server, ledger: Ledger, _tokens: Tokens, chance: random.Random, alive: Alive) -> None:
    imap = server.imap()
    while alive():
        there = contents(imap, "A")
        some = chance.sample(there, min(len(there), 3))
        if not some:
            continue
        names = [token for _, token, _ in some]
        ledger.begin(names, "B")
        assert imap.uid("MOVE", ",".join(str(uid) for uid, _, _ in some), "B")[0] == "OK"
        ledger.acknowledge(names, "A")


def expunger(server: Server, ledger: Ledger, _tokens: Tokens, chance: random.Random, alive: Alive) -> None:
    imap = server.imap()
    while alive():
        there = contents(imap, "B")
        some = chance.sample(there, min(len(there), 3))
        if not some:
            continue
        uids = ",".join(str(uid) for uid, _, _ in some)
        names = [token for _, token, _ in some]
        assert imap.uid("STORE", uids, "+FLAGS.SILENT", r"(\Deleted)")[0] == "OK"
        ledger.begin(names, GONE)
        assert imap.uid("EXPUNGE", uids)[0] == "OK"
        ledger.acknowledge(names, "B")


def downloader(server: Server, ledger: Ledger, _tokens: Tokens, chance: random.Random, alive: Alive) -> None:
    while alive():
        pop = server.pop3()
        count = pop.stat()[0]
        names = []
        for number in chance.sample(range(1, count + 1), min(count, 3)):
            lines = pop.retr(number)[1]
            found = TOKEN.search(b"\r\n".join(lines))
            assert found is not None
            names.append(found.group(1).decode())
            pop.dele(number)
        ledger.begin(names, GONE)
        pop.quit()
        ledger.acknowledge(names, "INBOX")


Client = Callable[[Server, Ledger, Tokens, random.Random, Alive], None]
CLIENTS: tuple[tuple[Client, str], ...] = (
    (deliverer, "pop"), (appender, "imap"), (storer, "imap"), (mover, "imap"), (expunger, "imap"), (downloader, "pop"),
)  # fmt: skip


def run_clients(server: Server, ledgers: dict[str, Ledger], tokens: Tokens, chance: random.Random) -> list[str]:
    """All clients at once until the server is killed under them; what went wrong otherwise."""
    wrong: list[str] = []
    working = threading.Semaphore(0)
    life = server.lives

    def work(client: Client, account: str, seed: int) -> None:
        working.release()
        try:
            client(server, ledgers[account], tokens, random.Random(seed), lambda: server.lives == life)
        except LOST:
            pass
        except Exception as error:  # noqa: BLE001 - reported by the test, whose thread this is not
            wrong.append(f"{client.__name__}: {error!r}")

    threads = [threading.Thread(target=work, args=(c, a, chance.randrange(1 << 30))) for c, a in CLIENTS]
    for thread in threads:
        thread.start()
    for _ in threads:
        working.acquire()
    return _kill_at_random(server, threads, chance) + wrong


def _kill_at_random(server: Server, threads: list[threading.Thread], chance: random.Random) -> list[str]:
    # the random instant is what this test is about: it waits for no condition
    threading.Event().wait(chance.uniform(0.02, 0.5))
    server.kill(whole=server.lives % 2 == 1)
    for thread in threads:
        thread.join(60)
    return [f"{t.name} hangs" for t in threads if t.is_alive()]


def connect_again(server: Server) -> imaplib.IMAP4:
    """A session after a kill: the supervisor restarts the worker, which takes a moment."""
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(*LOST):
            return server.imap()
        assert time.monotonic() < deadline, "the server did not come back"


Found = dict[str, list[tuple[str, frozenset[str]]]]
"""token -> (mailbox, keywords) of each place it is in."""


def read_all(server: Server) -> tuple[Found, Found]:
    """token -> places for the IMAP account and for the POP3 account."""
    imap = connect_again(server)
    found: Found = {}
    for mailbox in ("A", "B"):
        for _, token, keywords in contents(imap, mailbox):
            found.setdefault(token, []).append((mailbox, keywords))
    imap.logout()
    dropped: Found = {}
    pop = server.pop3()
    for number in range(1, pop.stat()[0] + 1):
        data = b"\r\n".join(pop.retr(number)[1]) + b"\r\n"
        named = TOKEN.search(data)
        assert named is not None, data[:200]
        name = named.group(1).decode()
        assert data.endswith(message(name)), f"{name} came back torn"
        dropped.setdefault(name, []).append(("INBOX", frozenset()))
    pop.rset()
    pop.quit()
    return found, dropped


async def set_up(data: Path) -> None:
    engine = open_engine(Config(), make_data(data), SystemClock(), system_random)
    admin = Admin(engine, Config(), SystemClock(), system_random)
    await admin.add_domain("crash.example")
    for user in (IMAP_USER, POP_USER):
        await admin.add_account(user, PASSWORD)
    store = engine.account((await admin.account(IMAP_USER)).id)
    for mailbox in ("A", "B"):
        await store.create_mailbox(mailbox)
    await engine.close()


async def findings(data: Path) -> list[str]:
    """What doctor finds in both accounts, while the server runs."""
    engine = open_engine(Config(), data, SystemClock(), system_random)
    try:
        found = []
        for account in await engine.directory.accounts():
            found += [f"doctor: {f.text}" async for f in engine.account(account.id).doctor(repair=False)]
        return found
    finally:
        await engine.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    data = tmp_path / "data"
    asyncio.run(set_up(data))
    running = Server(data)
    running.start()
    yield running
    running.stop()


@pytest.mark.crash
@pytest.mark.disk
@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_no_acknowledged_change_is_lost_by_kill(server: Server, part: int) -> None:
    seed = SEED + part
    print(f"seed {seed}, {CYCLES} kills")
    chance = random.Random(seed)
    tokens = Tokens()
    ledgers = {"imap": Ledger(), "pop": Ledger()}
    for cycle in range(CYCLES):
        wrong = run_clients(server, ledgers, tokens, chance)
        found, dropped = read_all(server)
        wrong += ledgers["imap"].settle(found) + ledgers["pop"].settle(dropped)
        if cycle % 10 == 9 or cycle == CYCLES - 1:
            wrong += asyncio.run(findings(server.data))
        assert not wrong, f"seed {seed}, kill {cycle + 1}: " + "; ".join(wrong[:10])
    assert tokens.count > CYCLES, "the clients did no work"
