"""What many accounts cost while they are idle: `python bench/many_accounts.py [--accounts 10000]`.

Each account is touched once: a message by LMTP, a short IMAP session. Then nothing happens until the server has
closed what it had open and replaced the processes that had grown, and the memory of all its processes is read, the
supervisor's and the background's too. Goals: many accounts need no more memory than few while they are idle (`--slack`
MB are noise), and an idle connection holds no database handle. With `--hold N` so many connections are in IDLE all the
time, so that no worker is ever without one. Exit status 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from serving import Line, Serving, raise_file_limit, serving

from restante.accounts.admin import Admin
from restante.clock import SystemClock, system_random
from restante.config.model import Config
from restante.server.engine import open_engine

DOMAIN = "example.com"
AT_ONCE = 8
"""Accounts made at the same time: their file systems' syncs overlap."""

PATIENCE = 1200.0
"""Seconds for the last handle to be closed: the background looks at all accounts once after the start."""

STEADY = 20.0
"""Seconds for which no handle may be seen and no process be replaced: longer than they rest before they ask for it."""


async def make(data: Path, addresses: Sequence[str]) -> list[str]:
    """Accounts as `restante account add` makes them, by the same code in one process; an app password of each.

    App passwords are random and checked by one hash, so that what is measured is not Argon2.
    """
    config, clock = Config(), SystemClock()
    engine = open_engine(config, data, clock, system_random)
    admin = Admin(engine, config, clock, system_random)
    passwords = [""] * len(addresses)
    await admin.add_domain(DOMAIN)

    async def some(first: int) -> None:
        for number in range(first, len(addresses), AT_ONCE):
            await admin.add_account(addresses[number])
            _, passwords[number] = await admin.add_app_password(addresses[number], "bench")

    async with asyncio.TaskGroup() as group:
        for first in range(AT_ONCE):
            group.create_task(some(first))
    await engine.close()
    return passwords


def deliver(server: Serving, addresses: Iterable[str]) -> None:
    """One message to each, each in a transaction of its own."""
    with (line := server.connect("lmtp")).sock:
        _lmtp(line, b"LHLO bench.example", b"250 ")
        for address in addresses:
            _lmtp(line, b"MAIL FROM:<bench@example.net>", b"250")
            _lmtp(line, f"RCPT TO:<{address}>".encode(), b"250")
            _lmtp(line, b"DATA", b"354")
            _lmtp(line, b"Subject: hello %b\r\n\r\nHello\r\n." % address.encode(), b"250")


def _lmtp(line: Line, command: bytes, expected: bytes) -> None:
    line.sock.sendall(command + b"\r\n")
    while (answer := line.line())[3:4] == b"-":
        pass
    if not answer.startswith(expected.rstrip()):
        raise ConnectionError(f"{command!r}: {answer!r}")


def session(server: Serving, address: str, password: str) -> Line:
    """Log in, look at INBOX and its message; the connection."""
    line = server.connect("imap")
    line.imap(f'LOGIN {address} "{password}"'.encode())
    line.imap(b"SELECT INBOX")
    line.imap(b"FETCH 1:* (FLAGS ENVELOPE BODY.PEEK[])")
    line.imap(b"SEARCH UNSEEN")
    return line


def touch(server: Serving, addresses: Sequence[str], passwords: Sequence[str]) -> None:
    deliver(server, addresses)
    for address, password in zip(addresses, passwords, strict=True):
        with (line := session(server, address, password)).sock:
            line.imap(b"LOGOUT")


def open_databases(server: Serving, processes: Sequence[int]) -> int:
    """Files of accounts that these processes have open, logs and their indexes included."""
    found = 0
    for pid in processes:
        folder = Path(f"/proc/{pid}/fd")
        try:
            names = os.listdir(folder)  # noqa: PTH208 - names vanish while they are read
        except FileNotFoundError:
            continue  # replaced by another process just now
        for name in names:
            try:
                target = (folder / name).readlink()
            except FileNotFoundError:
                continue
            found += server.data / "accounts" in target.parents
    return found


def settle(server: Serving, *, everybody: bool = True) -> float:
    """Wait until no account's file is open, none is opened again and no process is replaced; seconds that took.

    everybody: the background too, which after the start goes through all accounts.
    """
    start = seen = time.monotonic()
    before: list[int] = []
    left_out = set() if everybody else {server.processes()[-1]}
    while time.monotonic() - seen < STEADY:
        now = server.processes()
        if now != before or open_databases(server, [pid for pid in now if pid not in left_out]):
            before, seen = now, time.monotonic()
            if seen - start > PATIENCE:
                raise TimeoutError(f"account files are still open after {PATIENCE:.0f} s")
        time.sleep(0.1)
    return seen - start


def listen(server: Serving, addresses: Sequence[str], passwords: Sequence[str]) -> list[Line]:
    """Connections in IDLE, one of each account."""
    idle = [session(server, *one) for one in zip(addresses, passwords, strict=True)]
    for line in idle:
        line.sock.sendall(b"i IDLE\r\n")
        line.line()
    return idle


def hear(server: Serving, addresses: Sequence[str], idle: Sequence[Line]) -> None:
    """See that they were idle, not asleep: each is told of a new message."""
    deliver(server, addresses)
    for line in idle:
        while not line.line().endswith(b" EXISTS"):
            pass
        line.sock.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--few", type=int, default=100)
    parser.add_argument("--idle", type=int, default=500, help="connections in IDLE, each of an account of its own")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="touch them once more, and look whether that leaves more")
    parser.add_argument("--hold", type=int, default=0, help="connections in IDLE all the time")
    parser.add_argument("--slack", type=float, default=2.0, help="MB that many may take more than few")
    options = parser.parse_args()
    raise_file_limit(options.accounts // 2 + options.idle + 100)
    addresses = [f"user{number:06}@{DOMAIN}" for number in range(options.accounts)]
    holding = [f"holder{number:06}@{DOMAIN}" for number in range(options.hold)]
    passwords: list[str] = []

    def prepare(data: Path) -> None:
        start = time.monotonic()
        passwords.extend(asyncio.run(make(data, addresses + holding)))
        size = sum(path.stat().st_blocks * 512 for path in data.glob("accounts/*/*"))
        print(f"{len(addresses)} accounts made in {time.monotonic() - start:.0f} s, {size / 1e6:.0f} MB on disk")

    with serving(options.workers, prepare=prepare) as server:
        first = server.memory()
        print(f"memory of all processes: {first / 1e6:.1f} MB at the start", flush=True)
        deliver(server, holding)
        held = listen(server, holding, passwords[len(addresses) :])
        touch(server, addresses[: options.few], passwords[: options.few])
        busy_few = server.memory()
        settle(server, everybody=False)
        few = server.memory()
        print(f"{options.few} accounts touched: {busy_few / 1e6:.1f} MB, idle {few / 1e6:.1f} MB", flush=True)
        start = time.monotonic()
        touch(server, addresses[options.few :], passwords[options.few : len(addresses)])
        took = time.monotonic() - start
        busy = server.memory()
        settled = settle(server)
        many = server.memory()
        print(f"{options.accounts} accounts touched in {took:.0f} s: {busy / 1e6:.1f} MB, idle {many / 1e6:.1f} MB")
        if options.again:
            touch(server, addresses, passwords[: len(addresses)])
            settle(server)
            print(f"all of them once more: idle {server.memory() / 1e6:.1f} MB")
            many = max(many, server.memory())
        print(f"all was closed, and who had grown replaced, after {settled:.0f} s")
        hear(server, holding, held)
        idle = listen(server, addresses[: options.idle], passwords[: len(addresses)][: options.idle])
        settle(server)
        handles = open_databases(server, server.processes())
        print(f"{len(idle)} connections in IDLE: {server.memory() / 1e6:.1f} MB, {handles} account files open")
        hear(server, addresses[: len(idle)], idle)
    good = many <= few + options.slack * 1e6 and handles == 0
    print("goals reached" if good else "GOALS MISSED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
