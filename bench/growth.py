#!/usr/bin/env python3
"""How the cost of each command grows with the mailbox: 1,000, 10,000, 100,000 messages.

usage: bench/growth.py [--sizes N,N,...] [--markdown FILE]

One server, one account a size, small messages that are all alike but for their number. Each figure is the best of
three on a warm server, one client on loopback. A command whose answer names every message may grow with it; one
whose answer stays the same must not grow.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
import sys
import tempfile
import time
from pathlib import Path

from compare import PASSWORD, machine, restante_server

from restante.clock import SystemClock, system_random
from restante.config.model import Config
from restante.mime.analyse import analyse
from restante.server.engine import open_engine
from restante.store.model import Flags, NewMessage

# command, whether its answer grows with the mailbox
COMMANDS = (
    ("NOOP", False),
    ("SELECT INBOX", False),
    ("STATUS INBOX (MESSAGES UNSEEN SIZE HIGHESTMODSEQ)", False),
    ("UID FETCH * (FLAGS)", False),
    ("UID FETCH * (BODY.PEEK[])", False),
    ("UID STORE * +FLAGS (\\Flagged)", False),
    ("UID STORE * -FLAGS (\\Flagged)", False),
    ("APPEND", False),
    ("UID SEARCH UID 1:10 SUBJECT number", False),
    ("UID FETCH 1:* (FLAGS)", True),
    ("UID FETCH 1:* (UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)", True),
    ("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)])", True),
    ("UID FETCH 1:* (BODY.PEEK[])", True),
    ("UID SEARCH UNSEEN", True),
    ("UID SEARCH SUBJECT number", True),
    ("UID SEARCH BODY needle", True),
    ("UID STORE 1:* +FLAGS (\\Answered)", True),
    ("UID COPY 1:* Copies", True),
    ("UID STORE 1:* +FLAGS.SILENT (\\Deleted)", True),
    ("EXPUNGE", True),
)


def message(number: int) -> bytes:
    head = f"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: number {number}\r\n"
    head += f"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{number}@growth.example>\r\n\r\n"
    return head.encode() + b"one line of text, and another\r\n" * 20


async def fill(data: Path, address: str, count: int) -> None:
    engine = open_engine(Config(), data, SystemClock(), system_random)
    account = await engine.directory.account(address)
    assert account is not None
    store = engine.account(account.id)
    inbox = await store.mailbox("INBOX")
    assert inbox is not None
    await store.create_mailbox("Copies")
    for start in range(0, count, 500):
        octets = [message(n) for n in range(start, min(start + 500, count))]
        new = [NewMessage(await store.put(m), analyse(m), Flags(), 1_800_000_000) for m in octets]
        await store.append(inbox.key, new)
    while await store.fill_search():
        pass
    await engine.close()


class Client:
    """A blocking IMAP client that reads answers as octets."""

    def __init__(self, address: str, user: str) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", 1 << 20)
        self.file.readline()
        self.run(f"LOGIN {user} {PASSWORD}")

    def run(self, command: str, literal: bytes | None = None) -> float:
        """Seconds from the command to its tagged OK."""
        start = time.perf_counter()
        if literal is None:
            self.socket.sendall(f"t {command}\r\n".encode())
        else:
            self.socket.sendall(f"t {command} {{{len(literal)}}}\r\n".encode())
            assert self.file.readline().startswith(b"+")
            self.socket.sendall(literal + b"\r\n")
        while True:
            line = self.file.readline()
            assert line, "closed by the server"
            if line.startswith(b"t "):
                assert line.startswith(b"t OK"), (command, line)
                return time.perf_counter() - start
            if found := re.search(rb"\{(\d+)\}\r\n$", line):
                self.file.read(int(found.group(1)))


def measure(address: str, user: str) -> dict[str, float]:
    client = Client(address, user)
    client.run("SELECT INBOX")
    times = {}
    for command, _ in COMMANDS:
        literal = message(0) if command == "APPEND" else None
        once = command.startswith(("UID COPY", "EXPUNGE", "UID STORE 1:*"))
        text = "APPEND Copies" if literal else command
        times[command] = min(client.run(text, literal) for _ in range(1 if once else 3))
    client.socket.close()
    return times


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sizes", default="1000,10000,100000")
    p.add_argument("--markdown", type=Path)
    options = p.parse_args()
    sizes = [int(n) for n in options.sizes.split(",")]
    with tempfile.TemporaryDirectory(prefix="restante-growth-") as name:
        folder = Path(name)
        with restante_server(folder, 0) as server:
            results = []
            for i, size in enumerate(sizes):
                user = f"u{i}@bench.example"
                asyncio.run(fill(folder / "restante", user, size))
                results.append(measure(server.imap, user))
    head = " | ".join(f"{n:,}" for n in sizes)
    lines = [f"| command | {head} | growth, last step |", "|---|" + "---:|" * (len(sizes) + 1)]
    for command, grows in COMMANDS:
        row = [r[command] for r in results]
        factor = row[-1] / row[-2] if len(row) > 1 else 1.0
        figures = " | ".join(f"{t * 1000:.2f} ms" for t in row)
        lines.append(f"| `{command}`{'' if grows else ' (same answer)'} | {figures} | {factor:.1f}x |")
    report = f"`{' '.join(['bench/growth.py', *sys.argv[1:]])}`, {machine()}\n\n" + "\n".join(lines) + "\n"
    print(report)
    if options.markdown:
        options.markdown.write_text(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
