#!/usr/bin/env python3
"""What a command costs the server: microseconds of its processor time, the client's left out.

usage: bench/command_cost.py [--before TREE] [--messages N] [--rounds N] [--only TEXT,...] [--tools DIR]
                             [--markdown FILE]
       bench/command_cost.py --profile TEXT

One worker, one client on loopback that waits for each answer ("by 16 at once": 16 connections, a message each; the
figure for all). A figure is what the worker's threads ran (user and system, /proc/PID/task/*/schedstat), so other work
on the machine moves it little; the best of all rounds is shown.
--before: a working tree of another state of this program, measured in turn with this one (A B B A ...) on a copy of the
same mail, which this one makes: where the schema differs, call the older one and name the newer tree. --only: works
whose names hold one of these. --tools: the folder of corpus.py, whose mail is more like real mail than ours. --profile:
measure nothing; run one work in this process and print where its time goes (cProfile).
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import importlib
import itertools
import os
import pstats
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from compare import PASSWORD, machine
from growth_mailbox import message

from restante.accounts.admin import Admin
from restante.clock import SystemClock, system_random
from restante.config.model import Config
from restante.config.paths import make_data
from restante.mime.analyse import analyse
from restante.server.engine import open_engine
from restante.server.inprocess import InProcessServer
from restante.store.model import Flags, NewMessage

ROOT = Path(__file__).resolve().parent.parent
USER = "u@bench.example"
KEPT = 65_536
Ports = dict[str, int]
CHEAP = {"auth": {"argon2_memory": 1 << 20, "argon2_time": 1}}


class Client:
    """A blocking IMAP client, its greeting read."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.sock = socket.create_connection(("127.0.0.1", ports["imap"]))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.known = (0, 0)
        self.number = self.runs = 0
        self._buffer = bytearray(1 << 20)
        self._lmtp: list[Door] = []
        self.sock.recv(4096)

    def append(self) -> None:
        """File a message of 16 kB."""
        octets = large_message()
        self.run(b"APPEND INBOX {%d}" % len(octets), octets)

    def deliver(self, connections: int = 1) -> None:
        """Deliver a message of 16 kB by each of so many LMTP connections at the same time."""
        while len(self._lmtp) < connections:
            self._lmtp.append(Door(self.ports["lmtp"]))
        doors = self._lmtp[:connections]
        for door in doors:
            door.send(large_message())
        for door in doors:
            door.filed()

    def run(self, command: bytes, literal: bytes = b"") -> bytes:
        """The last octets of the answer. literal: what the command ends in. Raises ValueError for anything but OK."""
        self.number += 1
        tag = b"b%d" % self.number
        self.sock.sendall(tag + b" " + command + b"\r\n")
        if literal:
            if not self.sock.recv(4096).startswith(b"+"):
                raise ValueError(command)
            self.sock.sendall(literal + b"\r\n")
        tail = last = b""
        while not last.startswith(tag + b" "):
            count = self.sock.recv_into(self._buffer)
            if not count:
                raise ConnectionError("closed by the server")
            tail = (tail + bytes(memoryview(self._buffer)[max(0, count - KEPT) : count]))[-KEPT:]
            last = tail[tail.rfind(b"\r\n", 0, -2) + 2 :] if tail.count(b"\r\n") > 1 else tail
            last = last if last.endswith(b"\r\n") else b""
        if not last.startswith(tag + b" OK"):
            raise ValueError(last)
        return tail

    def log_in(self) -> Client:
        self.run(b"LOGIN %b %b" % (USER.encode(), PASSWORD.encode()))
        return self

    def leave(self) -> None:
        self.run(b"LOGOUT")
        self.sock.close()
        for door in self._lmtp:
            door.sock.close()


class Door:
    """A blocking LMTP client."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self.sock.makefile("rb")
        self.sock.sendall(b"LHLO bench.example\r\n")
        while not self._answers.readline().startswith(b"250 "):
            pass

    def send(self, octets: bytes) -> None:
        """A message, as far as its end."""
        self.sock.sendall(b"MAIL FROM:<s@bench.example>\r\nRCPT TO:<%b>\r\nDATA\r\n" % USER.encode())
        while not self._answers.readline().startswith(b"354"):
            pass
        self.sock.sendall(octets + b".\r\n")

    def filed(self) -> None:
        answer = self._answers.readline()
        if not answer.startswith(b"250"):
            raise ValueError(answer)


_numbers = itertools.count(10_000_000)


def large_message() -> bytes:
    """Another message of about 16 kB; no line of it begins with a dot."""
    octets = message(next(_numbers))
    return octets + octets.partition(b"\r\n\r\n")[2] * 24


@dataclass(frozen=True)
class Work:
    """run: what is measured, so many times a round. before: what each run needs first, which is not counted."""

    times: int
    run: Callable[[Client], object]
    before: Callable[[Client], object] = lambda client: None


def command(text: bytes) -> Callable[[Client], object]:
    return lambda client: client.run(text)


def know(client: Client) -> None:
    """Note UIDVALIDITY and HIGHESTMODSEQ, as a client that will be back."""
    found = client.run(b"STATUS INBOX (UIDVALIDITY HIGHESTMODSEQ)")
    validity, modseq = re.findall(rb" (\d+)", found)[:2]
    client.known = int(validity), int(modseq)


def change_100(client: Client) -> None:
    """Then change every other one of the last 200 messages."""
    know(client)
    client.runs += 1
    last = int(re.findall(rb" (\d+)", client.run(b"UID FETCH * (UID)"))[-1])
    uids = b",".join(b"%d" % uid for uid in range(last - 199, last + 1, 2))
    client.run(b"UID STORE %b %bFLAGS.SILENT (\\Answered)" % (uids, b"-+"[client.runs % 2 :][:1]))


HEADERS = b"BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE MESSAGE-ID REFERENCES)]"
ENVELOPES = b"UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE"

WORKS: dict[str, Work] = {
    "connect, LOGOUT": Work(60, lambda c: Client(c.ports).leave()),
    "connect, LOGIN, LOGOUT": Work(60, lambda c: Client(c.ports).log_in().leave()),
    "connect, LOGIN, SELECT, LOGOUT": Work(60, lambda c: visit(c.ports)),
    "NOOP": Work(300, command(b"NOOP")),
    "STATUS": Work(200, command(b"STATUS INBOX (MESSAGES UNSEEN)")),
    "UID FETCH * FLAGS": Work(200, command(b"UID FETCH * (FLAGS)")),
    "UID FETCH * BODY[]": Work(200, command(b"UID FETCH * (BODY.PEEK[])")),
    "SELECT again": Work(100, command(b"SELECT INBOX")),
    "QRESYNC, nothing changed": Work(100, lambda c: c.run(b"SELECT INBOX (QRESYNC (%d %d))" % c.known), know),
    "QRESYNC, 100 changes": Work(10, lambda c: c.run(b"SELECT INBOX (QRESYNC (%d %d))" % c.known), change_100),
    "UID STORE * +FLAGS": Work(
        30, command(rb"UID STORE * +FLAGS (\Flagged)"), command(rb"UID STORE * -FLAGS.SILENT (\Flagged)")
    ),
    "UID FETCH 1:* FLAGS": Work(5, command(b"UID FETCH 1:* (FLAGS)")),
    "UID FETCH 1:* ENVELOPE": Work(3, command(b"UID FETCH 1:* (%b)" % ENVELOPES)),
    "UID FETCH 1:* header fields": Work(3, command(b"UID FETCH 1:* (%b)" % HEADERS)),
    "UID FETCH 1:* BODY[]": Work(2, command(b"UID FETCH 1:* (BODY.PEEK[])")),
    "UID SEARCH UNSEEN": Work(5, command(b"UID SEARCH UNSEEN")),
    "UID SEARCH SUBJECT": Work(3, command(b"UID SEARCH SUBJECT invoice")),
    "UID SORT by subject": Work(5, command(b"UID SORT (SUBJECT) UTF-8 ALL")),
    "UID THREAD": Work(3, command(b"UID THREAD REFERENCES UTF-8 ALL")),
    "UID THREAD by subject": Work(3, command(b"UID THREAD ORDEREDSUBJECT UTF-8 ALL")),
    "UID STORE 1:* +FLAGS": Work(
        2, command(rb"UID STORE 1:* +FLAGS (\Flagged)"), command(rb"UID STORE 1:* -FLAGS.SILENT (\Flagged)")
    ),
    "APPEND of 16 kB": Work(60, Client.append),
    "LMTP of 16 kB": Work(60, Client.deliver),
    "LMTP of 16 kB, by 16 at once": Work(10, lambda c: c.deliver(16)),
}


def visit(ports: Ports) -> None:
    client = Client(ports).log_in()
    client.run(b"SELECT INBOX")
    client.leave()


def opened(ports: Ports, name: str) -> Client:
    client = Client(ports).log_in()
    if name.startswith("QRESYNC"):
        client.run(b"ENABLE QRESYNC")
        know(client)
    if not name.startswith(("APPEND", "LMTP")):  # who has the mailbox open is told of each
        client.run(b"SELECT INBOX")
    return client


async def fill(data: Path, count: int, tools: Path | None) -> None:
    """An account with so many messages, a third of them \\Seen, indexed for search."""
    config = msgspec.convert(CHEAP, Config)
    engine = open_engine(config, make_data(data), SystemClock(), system_random)
    admin = Admin(engine, config, SystemClock(), system_random)
    await admin.add_domain("bench.example")
    await admin.add_account(USER, PASSWORD, mailboxes=False)
    account = await engine.directory.account(USER)
    assert account is not None
    store = engine.account(account.id)
    inbox = await store.mailbox("INBOX")
    assert inbox is not None
    mail = corpus(count, tools) if tools is not None else map(message, range(count))
    batch: list[NewMessage] = []
    seen = Flags.of(("\\Seen",))
    for number, octets in enumerate(mail, 1):
        flags = seen if number % 3 == 0 else Flags()
        batch.append(NewMessage(await store.put(octets), analyse(octets), flags, 1_600_000_000 + 300 * number))
        if len(batch) == 500 or number == count:
            await store.append(inbox.key, batch)
            batch = []
    while await store.fill_search():
        pass
    await engine.close()


def corpus(count: int, tools: Path) -> Iterator[bytes]:
    sys.path.insert(0, str(tools))
    tool = importlib.import_module("corpus")  # a file of `tools`
    for octets in tool.generate(count, 2000):
        yield octets.replace(b"\n", b"\r\n")


@dataclass(frozen=True)
class Served:
    ports: Ports
    worker: int

    def spent(self) -> int:
        """Nanoseconds that the worker's threads have run."""
        total = 0
        for task in Path(f"/proc/{self.worker}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total


@contextmanager
def serving(tree: Path, data: Path, workers: int = 1) -> Iterator[Served]:
    listen = [f"--listen={name}=off" for name in ("imaps", "pop3", "pop3s")]
    listen += ["--listen=imap=127.0.0.1:0", "--listen=lmtp=127.0.0.1:0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "restante", "--data", str(data), "serve", f"--workers={workers}", *listen],
        env={**os.environ, "PYTHONPATH": str(tree / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    ports: Ports = {}
    for line in process.stdout:
        if line == "ready\n":
            break
        if found := re.match(r"(imap|lmtp) .*?:(\d+)", line):
            ports[found[1]] = int(found[2])
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield Served(ports, int(children[0]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def measured(server: Served, name: str) -> float:
    """Microseconds that one run costs, the mean of a round."""
    work = WORKS[name]
    client = opened(server.ports, name)
    spent = 0
    for turn in range(work.times + 1):
        work.before(client)
        start = server.spent()
        work.run(client)
        if turn:  # the first run warms up
            spent += server.spent() - start
    client.leave()
    return spent / work.times / 1000


def profile(data: Path, name: str) -> None:
    server = InProcessServer(data, msgspec.convert(CHEAP, Config))
    ports = {name: address[1] for name, address in server.start().items()}
    profiler = cProfile.Profile()

    async def switch(on: bool) -> None:
        (profiler.enable if on else profiler.disable)()

    try:
        work = WORKS[name]
        client = opened(ports, name)
        for turn in range(work.times + 1):
            work.before(client)
            if turn:
                server.call(lambda: switch(True))
            work.run(client)
            if turn:
                server.call(lambda: switch(False))
        client.leave()
    finally:
        server.stop()
    stats = pstats.Stats(profiler)
    print(f"{name}, {work.times} times")
    stats.sort_stats("tottime").print_stats(40)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--before", type=Path)
    p.add_argument("--messages", type=int, default=10_000)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--only", default="")
    p.add_argument("--tools", type=Path)
    p.add_argument("--data", type=Path, help="a folder to keep the mail in, made by the first run, used by the next")
    p.add_argument("--profile")
    p.add_argument("--markdown", type=Path)
    options = p.parse_args()
    wanted = [part.strip() for part in (options.profile or options.only).split(",")]
    names = [name for name in WORKS if any(part in name for part in wanted)]
    with tempfile.TemporaryDirectory(prefix="restante-bench-") as folder, ExitStack() as stack:
        mail = options.data or Path(folder) / "mail"
        if not mail.exists():
            asyncio.run(fill(mail, options.messages, options.tools))
        trees = [ROOT] if options.before is None else [options.before.resolve(), ROOT]
        servers = []
        for number, tree in enumerate(trees):
            data = Path(folder) / str(number)
            shutil.copytree(mail, data)
            if options.profile:
                for name in names:
                    profile(data, name)
                return 0
            servers.append(stack.enter_context(serving(tree, data)))
        found: dict[tuple[str, int], list[float]] = {}
        for turn in range(options.rounds):
            for name in names:
                for which in sorted(range(len(servers)), reverse=bool(turn % 2)):
                    found.setdefault((name, which), []).append(measured(servers[which], name))
    text = table(names, found, len(trees))
    print(text)
    if options.markdown:
        options.markdown.write_text(f"`bench/command_cost.py`, {machine()}\n\n{text}\n")
    return 0


def table(names: list[str], found: dict[tuple[str, int], list[float]], trees: int) -> str:
    lines = ["| work | microseconds |", "|---|---:|"]
    if trees > 1:
        lines = ["| work | before | now | before / now |", "|---|---:|---:|---:|"]
    for name in names:
        best = [min(found[name, which]) for which in range(trees)]
        figures = " | ".join(f"{one:,.0f}" for one in best)
        lines.append(f"| {name} | {figures} |" + (f" {best[0] / best[-1]:.2f} |" if trees > 1 else ""))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
