"""How cost grows with connections at the same time (1 to 16) and with accounts (10 to 10,000).

Two workers, as on the machine's two cores. Each client is a process of its own and checks every answer. Beside what is
done a second stands the server's processor time for each thing done: the clients share the cores with the server, so
the first figure ends where both have all of them.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from growth_mailbox import DOMAIN, make, message
from many_accounts import DOMAIN as MANY
from many_accounts import make as make_accounts
from serving import Line, Serving, serving

MAILBOX = 10_000
"""Messages in the mailbox that sessions look at."""

DELIVERIES = 2_000
SESSIONS = 400
SPREAD = 3_000
LOGINS = 2_000
CONNECTIONS = 8
"""Clients at the same time where accounts are counted."""

Figures = dict[str, float]


def processor(server: Serving) -> float:
    """Processor seconds of all the server's processes since they began; of those that ended too, in hundredths."""
    ticks = 0
    for pid in server.processes():
        ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


Job = tuple[int, Sequence[str], Sequence[str], int, int]
"""Port, addresses, passwords, the first thing and how many things a client does: each for the next of its addresses."""


def deliver(job: Job) -> None:
    port, addresses, _, first, count = job
    with (line := _connect(port)).sock as sock:
        sock.sendall(b"LHLO bench\r\n")
        while line.line()[3:4] == b"-":
            pass
        for number in range(first, first + count):
            octets = message(number).replace(b"Message-ID: <", b"Message-ID: <%d." % os.getpid())
            to = addresses[(number * 7919) % len(addresses)]
            sock.sendall(f"MAIL FROM:<a@example.net>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode())
            for _ in range(3):
                assert (got := line.line())[:1] in b"23", got
            sock.sendall(octets + b".\r\n")
            assert (got := line.line()).startswith(b"250"), got


def visit(job: Job) -> None:
    """A mail application looks at its account: the newest 50, three bodies, one flag."""
    port, addresses, passwords, first, count = job
    for number in range(first, first + count):
        who = (number * 7919) % len(addresses)
        with (line := _connect(port)).sock:
            line.imap(f"LOGIN {addresses[who]} {passwords[who]}".encode())
            exists = next(row for row in line.imap(b"SELECT INBOX") if row.endswith(b" EXISTS"))
            have = int(exists.split()[1])
            rows = line.imap(b"FETCH %d:* (UID FLAGS RFC822.SIZE ENVELOPE)" % max(1, have - 49))
            assert len(rows) >= min(50, have), rows
            for back in range(0, 21, 7):
                assert line.imap(b"FETCH %d (BODY.PEEK[])" % max(1, have - back))
            line.imap(b"STORE %d +FLAGS (\\Seen)" % have)
            line.imap(b"LOGOUT")


def look(job: Job) -> None:
    """Login and SELECT."""
    port, addresses, passwords, first, count = job
    for number in range(first, first + count):
        who = (number * 7919) % len(addresses)
        with (line := _connect(port)).sock:
            line.imap(f"LOGIN {addresses[who]} {passwords[who]}".encode())
            assert any(row.endswith(b" EXISTS") for row in line.imap(b"SELECT INBOX"))


def _connect(port: int) -> Line:
    import socket

    line = Line(socket.create_connection(("127.0.0.1", port), 120))
    line.line()
    return line


def together(
    server: Serving, work: Callable[[Job], None], clients: int, addresses: Sequence[str], passwords: Sequence[str],
    things: int, own: bool = False,
) -> Figures:  # fmt: skip
    """So many clients share the things to do. own: each has an account of its own."""
    port = server.ports["lmtp" if work is deliver else "imap"]
    each = things // clients
    jobs: list[Job] = [
        (port, addresses[k : k + 1] if own else addresses, passwords, k * each, each) for k in range(clients)
    ]
    with multiprocessing.Pool(clients) as pool:
        pool.map(abs, range(clients), 1)  # all have started
        before, start = processor(server), time.perf_counter()
        pool.map(work, jobs, 1)
        took = time.perf_counter() - start
        return {"per_s": each * clients / took, "cpu": (processor(server) - before) / (each * clients)}


def connections(counts: Sequence[int], tell: Callable[[str], None]) -> dict[str, dict[str, Figures]]:
    """By count of connections: deliveries into one account, into one account each, visits to one full mailbox."""
    found: dict[str, dict[str, Figures]] = {}
    addresses = [f"user{number}@{MANY}" for number in range(max(counts))]
    full: list[str] = []

    def prepare(data: Path) -> None:
        made = asyncio.run(make(data, f"full@{DOMAIN}", MAILBOX, tell))
        full.extend([made.address, made.password])
        asyncio.run(make_accounts(data, addresses))

    with serving(2, prepare=prepare) as server:
        for count in counts:
            found[str(count)] = row = {}
            row["delivery into one account"] = together(server, deliver, count, addresses[:1], (), DELIVERIES)
            row["delivery into an account for each connection"] = together(
                server, deliver, count, addresses, (), DELIVERIES, own=True
            )
            row["visit of a mail application"] = together(server, visit, count, full[:1], full[1:], SESSIONS)
            tell(f"{count} connections: {describe(row)}")
    return found


def accounts(count: int, tell: Callable[[str], None]) -> dict[str, Figures]:
    """Deliveries and logins spread over so many accounts, and the memory of all processes after them."""
    found: dict[str, Figures] = {}
    addresses = [f"user{number:06}@{MANY}" for number in range(count)]
    passwords: list[str] = []

    def prepare(data: Path) -> None:
        start = time.monotonic()
        passwords.extend(asyncio.run(make_accounts(data, addresses)))
        took = time.monotonic() - start
        octets = sum(path.stat().st_blocks * 512 for path in data.glob("accounts/*/*"))
        found["account made"] = {"per_s": count / took, "disk": octets / count}

    with serving(2, prepare=prepare) as server:
        found["at the start"] = {"pss": float(server.memory())}
        for name, work, things in (
            ("delivery", deliver, SPREAD),
            ("delivery again", deliver, SPREAD),
            ("login + SELECT", look, LOGINS),
            ("login + SELECT again", look, LOGINS),
        ):
            figures = together(server, work, CONNECTIONS, addresses, passwords, things)
            found[name] = figures | {"pss": float(server.memory())}
            tell(f"{count:,} accounts: {describe({name: found[name]})}")
    return found


def describe(row: dict[str, Figures]) -> str:
    return "; ".join(
        f"{name} {f['per_s']:,.0f}/s, {f['cpu'] * 1000:.2f} ms of the server's processor each"
        + (f", {f['pss'] / 1e6:.0f} MB" if "pss" in f else "")
        for name, f in row.items()
    )
