#!/usr/bin/env python3
"""What the load tool's own client takes: its work against a bare process that has every answer ready.

usage: bench/floor.py [--tools DIR] [--messages N] [--rounds N] [--markdown FILE]

Our server is filled and asked once, through a proxy that keeps each command's answer. Then the same client asks a
process that looks the answer up and writes it: no parsing, no store, no session, one thread, the same event loop. No
server in Python is faster towards this client; what `compare.py` shows beyond it is what a server costs. Deliveries and
APPENDs are answered twice over: kept nowhere, and each written into a file and brought to the disk (fdatasync) before
its answer, with no record of what it is. Last, what SQLite alone takes for STORE.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import apsw
import uvloop
from compare import PASSWORD, ROOT, ROWS, USERS, figure, fill, report, restante_server

from restante.store.sqlite.handles import PRAGMAS

ASKED = "select,flags,envelope,headers,bodies,store,qresync"
"""The tool's works whose answers can be given again."""

LARGEST = 1 << 30
"""Octets of the largest answer."""

Answers = dict[bytes, list[tuple[bytes, bytes]]]
"""command without its tag -> (untagged answers, the tagged line without its tag), in the order in which they came"""

BARE: Answers = {
    b"STATUS INBOX (MESSAGES)": [(b"* STATUS INBOX (MESSAGES 0)\r\n", b"OK done\r\n")],
    b"SELECT INBOX": [(b"* 0 EXISTS\r\n", b"OK done\r\n")],
}
"""For deliveries and APPENDs: a mailbox that is empty all the time."""


async def record(
    far: tuple[str, int], answers: Answers, near: asyncio.StreamReader, back: asyncio.StreamWriter
) -> None:
    """Pass one client on, and keep what it is answered."""
    reader, writer = await asyncio.open_connection(*far, limit=LARGEST)
    back.write(await reader.readline())
    while line := await _line(near):
        tag, _, command = line.rstrip(b"\r\n").partition(b" ")
        writer.write(line)
        found = bytearray()
        while not (found.endswith(b"\r\n") and found.startswith(tag + b" ", _last(found))):
            if not (piece := await reader.read(1 << 20)):
                break
            found += piece
            back.write(piece)
        answer = (bytes(found[: _last(found)]), bytes(found[_last(found) + len(tag) + 1 :]))
        given = answers.setdefault(command, [])
        given.append(given[-1] if given and given[-1] == answer else answer)  # a hundred megabytes are kept once
    writer.close()
    back.close()


async def _line(near: asyncio.StreamReader) -> bytes:
    try:
        return await near.readline()
    except ConnectionResetError:  # the tool closes after LOGOUT and does not read the answer
        return b""


def _last(found: bytearray) -> int:
    """Where the last whole line begins."""
    before = found.rfind(b"\r\n", 0, len(found) - 2)
    return before + 2 if before >= 0 else 0


DONE = [(b"", b"OK done\r\n")]


class Imap(asyncio.Protocol):
    """Answers from a table; APPEND is taken for whatever it brings. keep: called with a message before its OK."""

    def __init__(self, answers: Answers, keep: Callable[[bytes], None]) -> None:
        self._answers = answers
        self._keep = keep
        self._came = b""
        self._literal = 0
        self._tag = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(b"* OK ready\r\n")

    def data_received(self, data: bytes) -> None:
        came = self._came + data if self._came else data
        if self._literal:
            if len(came) < self._literal:
                self._came = came
                return
            self._keep(came)
            self._came, self._literal = b"", 0
            self._transport.write(self._tag + b" OK done\r\n")
            return
        if not came.endswith(b"\r\n"):
            self._came = came
            return
        self._came = b""
        tag, _, command = came[:-2].partition(b" ")
        if command.startswith(b"APPEND"):
            self._tag, self._literal = tag, int(command[command.rindex(b"{") + 1 : -1]) + 2
            self._transport.write(b"+ go\r\n")
            return
        given = self._answers.get(command, DONE)
        before, last = given.pop(0) if len(given) > 1 else given[0]
        self._transport.write(before + tag + b" " + last if len(before) < 65_536 else before)
        if len(before) >= 65_536:
            self._transport.write(tag + b" " + last)
        if command == b"LOGOUT":
            self._transport.close()


class Lmtp(asyncio.Protocol):
    """Takes every message. keep: called with it before the answer."""

    def __init__(self, keep: Callable[[bytes], None]) -> None:
        self._keep = keep
        self._came = b""
        self._data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(b"220 ready\r\n")

    def data_received(self, data: bytes) -> None:
        came = self._came = self._came + data if self._came else data
        if self._data:
            if came.endswith(b"\r\n.\r\n"):
                self._keep(came)
                self._came, self._data = b"", False
                self._transport.write(b"250 done\r\n")
        elif came.endswith(b"\r\n"):
            self._came, self._data = b"", came.endswith(b"DATA\r\n")
            lines = came.count(b"\n")
            self._transport.write(b"250 go\r\n" * (lines - self._data) + (b"354 go\r\n" if self._data else b""))


def serve(answers: Answers, file: Path | None, ready: Connection) -> None:
    """A process that answers on two ports, which it tells, until it is ended. file: where messages are written."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600) if file is not None else -1
        at = 0

        def keep(message: bytes) -> None:
            nonlocal at
            if handle >= 0:
                os.pwrite(handle, message, at)
                os.fdatasync(handle)
                at = (at + len(message)) % (4 << 20)  # as a log does that is written from its beginning again

        imap = await loop.create_server(lambda: Imap(answers, keep), "127.0.0.1", 0)
        lmtp = await loop.create_server(lambda: Lmtp(keep), "127.0.0.1", 0)
        ready.send([each.sockets[0].getsockname()[1] for each in (imap, lmtp)])
        await asyncio.Event().wait()

    uvloop.run(run())


def replayed(answers: Answers, file: Path | None, command: list[str]) -> dict[str, float]:
    """What the tool measures against such a process."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(answers, file, theirs), daemon=True)
    process.start()
    try:
        imap, lmtp = ours.recv()
        return run(command, f"127.0.0.1:{imap}", f"127.0.0.1:{lmtp}")
    finally:
        process.terminate()
        process.join()


def run(command: list[str], imap: str, lmtp: str) -> dict[str, float]:
    done = subprocess.run([*command, "--imap", imap, "--lmtp", lmtp], check=True, stdout=subprocess.PIPE, text=True)
    return {k: float(v) for k, v in json.loads(done.stdout).items() if isinstance(v, int | float)}


def recorded(imap: str, command: list[str]) -> Answers:
    """Every answer that the tool gets in one pass over a filled server."""
    answers: Answers = {}
    host, _, port = imap.rpartition(":")

    async def scene() -> None:
        proxy = await asyncio.start_server(partial(record, (host, int(port)), answers), "127.0.0.1", 0, limit=LARGEST)
        near = f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        await asyncio.to_thread(run, [*command, "--only", ASKED], near, near)
        proxy.close()

    asyncio.run(scene())
    return answers


def update_alone(file: Path, rounds: int) -> float:
    """Seconds of the UPDATE and COMMIT of STORE over all messages of an account's file; the median."""
    taken = []
    with closing(apsw.Connection(str(file))) as db:
        db.execute(";".join(f"PRAGMA {pragma}" for pragma in PRAGMAS)).fetchall()
        box = db.execute("SELECT mailbox FROM placement GROUP BY 1 ORDER BY count(*) DESC").get
        for number in range(rounds):
            start = time.perf_counter()
            db.execute("BEGIN IMMEDIATE")
            db.execute("UPDATE placement SET flagset = ?, modseq = ? WHERE mailbox = ?", (1, 1 << 30 | number, box))
            db.execute("COMMIT")
            taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def copied(data: Path, to: Path) -> Path:
    """The largest account's file, as it is now."""
    source = max(data.glob("accounts/*/*.db"), key=lambda path: path.stat().st_size)
    with (
        closing(apsw.Connection(str(source))) as db,
        closing(apsw.Connection(str(to))) as copy,
        copy.backup("main", db, "main") as backup,
    ):
        backup.step()
    return to


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tools", type=Path, default=ROOT.parent / "shared" / "bench")
    p.add_argument("--messages", type=int, default=10_000)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--markdown", type=Path, help="write the table there too")
    options = p.parse_args()
    if not (options.tools / "mailbench.py").exists():
        print(f"skipped: no load tools in {options.tools}")
        return 0
    kept: dict[str, list[float]] = {}
    disk: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="restante-bench-") as name:
        folder = Path(name)
        corpus = folder / "corpus.mbox"
        generate = [str(options.tools / "corpus.py"), str(options.messages), str(corpus)]
        subprocess.run([sys.executable, *generate], check=True)
        command = [sys.executable, str(options.tools / "mailbench.py"), "--corpus", str(corpus)]
        command += ["--user", USERS[0], "--password", PASSWORD]
        with restante_server(folder, 0) as server:
            fill(server, corpus, options)
            answers = recorded(server.imap, command)
            alone = update_alone(copied(folder / "restante", folder / "alone.db"), max(5, options.rounds))
        for _ in range(options.rounds):
            coming = [*command, "--only", "deliver,append"]
            found = replayed(answers, None, [*command, "--only", ASKED]) | replayed(BARE, None, coming)
            for key, value in found.items():
                kept.setdefault(key, []).append(value)
            for key, value in replayed(BARE, folder / "log", coming).items():
                disk.setdefault(key, []).append(value)
    lines = ["| work | bare process | with one write to the disk each |", "|---|---:|---:|"]
    for key, what, _ in ROWS:
        if key in kept:
            synced = figure(key, statistics.median(disk[key])) if "lmtp" in key or "append" in key else ""
            lines.append(f"| {what} | {figure(key, statistics.median(kept[key]))} | {synced} |")
    lines.append(f"| STORE's UPDATE and COMMIT alone, on a copy of the file | {alone * 1000:.2f} ms |  |")
    report("floor.py", "\n".join(lines), options.markdown, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
