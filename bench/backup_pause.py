#!/usr/bin/env python3
"""How long a client waits while a first backup is taken of the account that he uses: and without one.

usage: bench/backup_pause.py [--messages N] [--seconds S] [--rounds N] [--folder DIR]

One process delivers into the account and reads from it, as a worker of the server does (append and wait until it is
durable; rows and octets of messages), each a hundred times a second. Rounds alternate: nothing beside it; `restante
backup run` of all into a new repository. Printed: median, p99 and the longest of each, in milliseconds. DIR: on the
disk that is to be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compare import add_accounts

from restante.clock import SystemClock, system_random
from restante.config.model import Config
from restante.config.paths import make_data
from restante.mime.analyse import analyse
from restante.server.engine import open_engine
from restante.store.interface import Store
from restante.store.model import Column, Flags, Identity, NewMessage

USER = "u0@bench.example"
PAUSE = 0.01


def message(number: int, octets: int = 8000) -> bytes:
    body = (f"{number} " + os.urandom(2000).hex() + "\r\n") * 2
    return (
        f"From: a@example.org\r\nSubject: {number}\r\nMessage-ID: <{number}@x>\r\n\r\n{body}".encode()[:octets]
        + b"\r\n"
    )


async def new(store: Store, number: int) -> NewMessage:
    data = message(number)
    return NewMessage(await store.put(data), analyse(data), Flags(), 1_000_000_000, None, Identity())


async def deliver(store: Store, box: int, stop: asyncio.Event, waits: list[float]) -> None:
    number = int(time.time() * 1000)
    while not stop.is_set():
        number += 1
        one = await new(store, number)
        start = time.perf_counter()
        await store.append(box, [one])
        waits.append(time.perf_counter() - start)
        await asyncio.sleep(PAUSE)


async def read(store: Store, box: int, stop: asyncio.Event, waits: list[float]) -> None:
    uids = list((await store.snapshot(box)).uids.uids)
    at = 0
    while not stop.is_set():
        at = (at + 7919) % len(uids)
        start = time.perf_counter()
        rows = await store.rows(box, ((uids[at], uids[at]),), (Column.FLAGS, Column.ENVELOPE, Column.CONTENT), 1)
        await store.read_contents([int(str(row[3])) for row in rows])
        waits.append(time.perf_counter() - start)
        await asyncio.sleep(PAUSE)


async def round_(data: Path, command: list[str] | None, seconds: float) -> dict[str, list[float]]:
    """Waits of a round. command: what runs beside it, to its end; None: nothing, for so long."""
    engine = open_engine(Config(), data, SystemClock(), system_random)
    account = (await engine.directory.accounts())[0]
    store = engine.account(account.id)
    box = (await store.mailboxes())[0].key
    waits: dict[str, list[float]] = {"delivery": [], "reading": []}
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(deliver(store, box, stop, waits["delivery"]))
        tasks.create_task(read(store, box, stop, waits["reading"]))
        if command is None:
            await asyncio.sleep(seconds)
        else:
            process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
            if await process.wait():
                raise SystemExit("the backup failed")
        stop.set()
    await engine.close()
    return waits


def show(name: str, waits: dict[str, list[float]]) -> None:
    for what, each in waits.items():
        each.sort()
        p99 = each[min(len(each) - 1, len(each) * 99 // 100)]
        print(
            f"{name:14} {what:9} {len(each):6} times: median {1000 * statistics.median(each):6.1f} ms,"
            f" p99 {1000 * p99:6.1f} ms, longest {1000 * each[-1]:6.1f} ms",
            flush=True,
        )


async def fill(data: Path, messages: int) -> None:
    engine = open_engine(Config(), data, SystemClock(), system_random)
    account = (await engine.directory.accounts())[0]
    store = engine.account(account.id)
    box = (await store.mailboxes())[0].key
    for at in range(0, messages, 500):
        await store.append(box, [await new(store, number) for number in range(at, min(at + 500, messages))])
    await engine.close()


def main() -> int:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--messages", type=int, default=50_000)
    p.add_argument("--seconds", type=float, default=10.0)
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--folder", type=Path)
    options = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="restante-bench-", dir=options.folder) as name:
        folder = Path(name)
        data, secret = folder / "data", folder / "passphrase"
        secret.write_text("correct horse battery staple\n")
        secret.chmod(0o600)
        asyncio.run(add_accounts(make_data(data), [USER]))
        asyncio.run(fill(data, options.messages))
        call = [sys.executable, "-m", "restante", "--data", str(data), "backup"]
        for number in range(options.rounds):
            show("nothing beside", asyncio.run(round_(data, None, options.seconds)))
            key = [str(folder / f"backup{number}"), "--passphrase-file", str(secret)]
            subprocess.run([*call, "init", *key], check=True, stdout=subprocess.DEVNULL)
            show("first backup", asyncio.run(round_(data, [*call, "run", *key], options.seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
