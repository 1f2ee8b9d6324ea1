#!/usr/bin/env python3
"""How much of a row of bench/compare.py is the client's, and how much SQLite's: the floor under our own code.

usage: bench/bare.py [--tools DIR] [--messages N] [--rounds N] [--data DIR]

The rows login + SELECT, NOOP, STORE and QRESYNC by the tool's client (mailbench.py in DIR, default ../shared/bench),
against this program with two workers and, in turn, against a bare server on uvloop that knows nothing and answers the
octets which this program answered. Then the UPDATE and COMMIT of STORE over all messages on a copy of the account's
file, alone. Wall milliseconds, best and median of all rounds: for a quiet machine.
--data: a folder to keep the mail in, made by the first run (as bench/command_cost.py makes it), used by the next.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar, cast

import apsw
import uvloop
from command_cost import USER, Client, Ports, fill
from compare import PASSWORD
from serving import Serving

from restante.store.sqlite.handles import PRAGMAS

ROOT = Path(__file__).resolve().parent.parent
ROWS = ("login_select_s", "noop_s", "store_s", "qresync_0_s", "qresync_100_s")
ANSWERED = rb"UID STORE 1:* -FLAGS.SILENT (\Answered)"


class Recorder(Client):
    """Keeps what it is answered: everything, and the tagged line without its tag."""

    def answer(self, command: bytes) -> tuple[bytes, bytes]:
        self.number += 1
        tag = b"b%d " % self.number
        self.sock.sendall(tag + command + b"\r\n")
        got = b""
        while True:
            at = got.rfind(b"\r\n", 0, -2) + 2 if got.count(b"\r\n") > 1 else 0
            if got.startswith(tag, at) and got.endswith(b"\r\n"):
                return got[:at], got[at + len(tag) :]
            got += self.sock.recv(1 << 20)


Answers = dict[bytes, tuple[bytes, bytes]]


def recorded(ports: Ports) -> Answers:
    """Answers to what the client asks, by the beginning of the command (see `Bare.key`)."""
    client = Recorder(ports)
    found: Answers = {b"LOGIN": client.answer(b"LOGIN %b %b" % (USER.encode(), PASSWORD.encode()))}
    for command in (b"CAPABILITY", b"STATUS INBOX (MESSAGES)", b"SELECT INBOX", b"NOOP"):
        found[Bare.key(command)] = client.answer(command)
    for command in (rb"UID STORE 1:* +FLAGS (\Flagged)", rb"UID STORE 1:* -FLAGS.SILENT (\Flagged)", ANSWERED):
        found[Bare.key(command)] = client.answer(command)
    found[b"ENABLE"] = client.answer(b"ENABLE QRESYNC")
    found[b"KNOW"] = client.answer(b"STATUS INBOX (UIDVALIDITY HIGHESTMODSEQ)")
    found[b"SEARCH"] = client.answer(b"UID SEARCH ALL")
    known = b"SELECT INBOX (QRESYNC (%b %b))" % tuple(re.findall(rb" (\d+)", found[b"KNOW"][0])[:2])
    found[b"QRESYNC"] = client.answer(known)
    uids = re.findall(rb" (\d+)", found[b"SEARCH"][0])[-200::2]
    found[b"CHANGE"] = client.answer(b"UID STORE %b +FLAGS.SILENT (\\Answered)" % b",".join(uids))
    found[b"CHANGED"] = client.answer(known)
    client.leave()
    return found


class Bare(asyncio.Protocol):
    """Answers by heart."""

    answers: ClassVar[Answers] = {}
    changed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods but not the base class.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(b"* OK [CAPABILITY IMAP4rev1] ready.\r\n")

    def data_received(self, data: bytes) -> None:
        for line in data.split(b"\r\n")[:-1]:
            tag, _, command = line.partition(b" ")
            key = self.key(command)
            Bare.changed = key == b"CHANGE" or (Bare.changed and key != b"LOGIN")
            untagged, tagged = self.answers.get(b"CHANGED" if key == b"QRESYNC" and Bare.changed else key, (b"", b""))
            self.transport.write(untagged + tag + b" " + (tagged or b"OK done.\r\n"))

    @staticmethod
    def key(command: bytes) -> bytes:
        """What tells the commands of the rows apart."""
        if b"QRESYNC (" in command:
            return b"QRESYNC"
        if b"HIGHESTMODSEQ" in command:
            return b"KNOW"
        words = command.removeprefix(b"UID ").split(b" ")
        if words[0] == b"STORE" and words[1] != b"1:*":
            return b"CHANGE"
        return b" ".join((words[0], words[2])) if words[0] == b"STORE" else words[0]


def serve_bare(answers: Answers, port: Connection) -> None:
    async def main() -> None:
        Bare.answers = answers
        server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


@contextmanager
def bare(answers: Answers) -> Iterator[int]:
    """A bare server's port."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=serve_bare, args=(answers, there), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.kill()
        process.join()


def rows(tools: Path, corpus: Path, port: int) -> dict[str, float]:
    command = [sys.executable, str(tools / "mailbench.py"), "--corpus", str(corpus), "--limit", "1"]
    command += ["--imap", f"127.0.0.1:{port}", "--user", USER, "--password", PASSWORD, "--only", "select,store,qresync"]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {name: float(found[name]) for name in ROWS}


def update_alone(data: Path, rounds: int) -> list[float]:
    """Seconds of STORE's UPDATE and COMMIT, on a copy of the largest account's file."""
    source = max(data.glob("accounts/*/*.db"), key=lambda path: path.stat().st_size)
    taken = []
    with closing(apsw.Connection(str(source))) as db:
        db.execute(";".join(f"PRAGMA {pragma}" for pragma in PRAGMAS)).fetchall()
        box = db.execute("SELECT mailbox FROM placement GROUP BY 1 ORDER BY count(*) DESC").get
        for number in range(rounds):
            start = time.perf_counter()
            db.execute("BEGIN IMMEDIATE")
            db.execute("UPDATE placement SET flagset = ?, modseq = ? WHERE mailbox = ?", (1, 1 << 30 | number, box))
            db.execute("COMMIT")
            taken.append(time.perf_counter() - start)
    return taken


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tools", type=Path, default=ROOT.parent / "shared" / "bench")
    p.add_argument("--messages", type=int, default=10_000)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--data", type=Path)
    options = p.parse_args()
    if not (options.tools / "mailbench.py").exists():
        print(f"skipped: no load tools in {options.tools}")
        return 0
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in ROWS}
    with tempfile.TemporaryDirectory(prefix="restante-bench-") as folder:
        mail = options.data or Path(folder) / "mail"
        if not mail.exists():
            asyncio.run(fill(mail, options.messages, options.tools))
        data, corpus = Path(folder) / "data", Path(folder) / "corpus.mbox"
        shutil.copytree(mail, data)
        subprocess.run([sys.executable, str(options.tools / "corpus.py"), "10", str(corpus)], check=True)
        listen = [f"--listen={name}=off" for name in ("imaps", "pop3", "pop3s", "lmtp")]
        command = [sys.executable, "-m", "restante", "--data", str(data), "serve", "--workers=2", *listen]
        process = subprocess.Popen(
            [*command, "--listen=imap=127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            ports = Serving(process, data).ports
            with bare(recorded(ports)) as port:
                for _ in range(options.rounds):
                    client = Client(ports).log_in()
                    client.run(b"SELECT INBOX")
                    client.run(rb"UID STORE 1:* -FLAGS.SILENT (\Seen \Answered)")  # as new mail is: one set of flags
                    client.leave()
                    for which, at in enumerate((ports["imap"], port)):
                        for name, seconds in rows(options.tools, corpus, at).items():
                            found[name][which].append(seconds)
        finally:
            process.terminate()
            process.wait(60)
        alone = update_alone(data, options.rounds)
    print("| row | restante, best / median ms | bare server |\n|---|---:|---:|")
    for name, both in found.items():
        print(f"| {name} | {' | '.join(map(figures, both))} |")
    print(f"| UPDATE and COMMIT of STORE alone | | {figures(alone)} |")
    return 0


def figures(seconds: list[float]) -> str:
    return f"{min(seconds) * 1000:.2f} / {statistics.median(seconds) * 1000:.2f}"


if __name__ == "__main__":
    sys.exit(main())
