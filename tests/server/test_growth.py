"""A process that rests and has grown is replaced: when it asks, and that nobody who connects notices."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from restante import memory
from restante.config.model import LimitsTable
from restante.server import growth
from restante.server.growth import Growth
from restante.server.limits import Limits, SharedCounts
from restante.store.sqlite.indexes import BATCH

from .support import PATIENCE, Client, eventually
from .test_background import background
from .test_supervisor import Program, program

needs_proc = pytest.mark.skipif(memory.own() is None, reason="this system does not tell a process's own memory")
MOST = 8 << 20


class Process:
    """What a process would see of itself."""

    def __init__(self, most: int = 100) -> None:
        self.size: int | None = 1000
        self.resting = True
        self.asked: list[int] = []
        self.looked = 0
        self.enough: Callable[[], None] = lambda: None
        self.growth = Growth(most, self._resting, self._asked, lambda: self.size)

    def _asked(self, octets: int) -> None:
        self.asked.append(octets)
        if len(self.asked) == 3:
            self.enough()

    def _resting(self) -> bool:
        self.looked += 1
        return self.resting


def test_a_busy_process_gives_free_pages_back_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is then is measured at once: of what it takes again within a minute the next look gives back, too."""
    calls: list[None] = []
    process = Process(most=1 << 40)

    def give_back() -> None:
        calls.append(None)
        process.size = 1000

    monkeypatch.setattr(memory, "give_back", give_back)

    async def play() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))

        async def given() -> int:
            await loop.run_in_executor(None, int)  # what was asked for before has been done
            return len(calls)

        process.resting = False
        process.growth.start()
        process.size = 1001 + growth.WORTH
        process.growth.look(growth.EVERY)
        assert await given() == 1
        process.size = 1000 + growth.WORTH
        process.growth.look(2 * growth.EVERY)
        assert await given() == 1
        process.size += 1
        process.growth.look(3 * growth.EVERY - 1)
        assert await given() == 1
        process.growth.look(3 * growth.EVERY)
        assert await given() == 2
        process.growth.stop()
        process.size = None
        process.growth.look(4 * growth.EVERY)
        process.growth.look(5 * growth.EVERY)
        assert await given() == 2
        assert process.asked == []

    asyncio.run(play())


def test_it_asks_when_it_has_rested_for_a_while_and_is_too_large() -> None:
    async def play() -> None:
        process = Process()
        process.growth.start()
        process.size = 1101
        process.growth.look(0.0)
        process.growth.look(growth.QUIET - 0.1)
        assert process.asked == []
        process.resting = False
        process.growth.look(growth.QUIET)  # somebody came: the quiet begins anew
        process.resting = True
        process.growth.look(100.0)
        assert process.asked == []
        process.growth.look(100.0 + growth.QUIET)
        process.growth.look(200.0)  # nobody came yet
        assert process.asked == [101, 101]
        process.size = 1100
        process.growth.look(300.0)
        assert process.asked == [101, 101]
        process.growth.stop()

    asyncio.run(play())


def test_what_garbage_took_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        process = Process()
        process.growth.start()
        process.size = 5000
        monkeypatch.setattr(memory, "give_back", lambda: setattr(process, "size", 1050))
        for now in (0.0, 100.0):
            process.growth.look(now)
        assert process.size == 1050
        assert process.asked == []
        process.growth.stop()

    asyncio.run(play())


@pytest.mark.parametrize(("most", "size"), [(0, 1000), (100, None)], ids=["switched off", "size not known"])
def test_without_a_limit_or_a_measure_nobody_looks(
    monkeypatch: pytest.MonkeyPatch, most: int, size: int | None
) -> None:
    monkeypatch.setattr(growth, "LOOK", 0.001)
    monkeypatch.setattr(growth, "QUIET", 0.0)

    async def play() -> None:
        third = asyncio.Event()
        off, on = Process(most), Process()
        on.enough = third.set
        off.size = size
        off.growth.start()
        on.growth.start()
        off.size = on.size = 9000
        await third.wait()
        assert (off.looked, off.asked) == (0, [])
        on.growth.stop()
        off.growth.stop()

    asyncio.run(play())


def test_connections_are_left_to_nobody_who_retires_and_its_own_still_count() -> None:
    shared = SharedCounts(4, b"key")
    table = LimitsTable(connections_address=2)
    one, old, new = (Limits(table, shared, row) for row in (0, 1, 3))
    old.enter("192.0.2.1", False)
    for _ in range(2):
        new.enter("127.0.0.1", True)
        one.enter("127.0.0.1", True)
    assert one.others_are_idler()
    old.retire()
    assert not one.others_are_idler()
    old.leave("192.0.2.1", False)
    old.enter("192.0.2.1", False)  # one that was on its way
    assert not one.others_are_idler()
    assert shared.total(shared.slot(0, "192.0.2.1")) == 1
    shared.clear(1)
    assert shared.total(shared.slot(0, "192.0.2.1")) == 0


class Knocking:
    """Somebody who connects, asks who serves, and says goodbye, all the time."""

    def __init__(self, server: Program) -> None:
        self._server = server
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._knock)
        self.pids: list[bytes] = []
        self.failures: list[object] = []

    def __enter__(self) -> Knocking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join(PATIENCE)

    def _knock(self) -> None:
        while not self._enough.is_set():
            try:
                client = self._server.connect()
                said = [client.line(), client.ask(b"PID"), client.ask(b"QUIT")]
                client.close()
            except OSError as error:
                self.failures.append(error)
                return
            self.pids.append(said.pop(1))
            if said != [b"hello", b"bye"]:
                self.failures.append(said)


@contextmanager
def grown(data: Path, gate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Program, bytes, BinaryIO]]:
    """A server whose only worker has grown while the successor is held up at its birth: (server, pid, gate's end)."""
    monkeypatch.setenv("GROWTH", str(MOST))
    monkeypatch.setenv("GATE", str(gate))
    with program(data, workers=1) as server:
        os.mkfifo(gate)
        client = server.connect()
        assert client.line() == b"hello"
        old = client.ask(b"PID")
        assert client.ask(b"GROW %d" % (4 * MOST)) == b"grown"
        client.close()
        held: list[BinaryIO] = []
        eventually(lambda: _opened(gate, held), "a successor")
        with held[0]:  # closed by the test as a rule; else a process would wait for ever
            yield server, old, held[0]


def _opened(gate: Path, held: list[BinaryIO]) -> bool:
    """Whether a process waits at the gate; it then waits until what is in `held` is closed."""
    try:
        held.append(os.fdopen(os.open(gate, os.O_WRONLY | os.O_NONBLOCK), "wb", buffering=0))
    except OSError as error:
        if error.errno == errno.ENXIO:
            return False
        raise
    return True


@needs_proc
def test_no_connection_is_lost_or_refused_while_a_worker_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    with grown(tmp_path / "data", gate, monkeypatch) as (server, old, held):
        late = server.connect()  # while somebody is on the way to replace its worker
        assert late.line() == b"hello"
        assert late.ask(b"PID") == old
        with Knocking(server) as knocking:
            eventually(lambda: knocking.pids.count(old) > 3, "the old one serves")
            held.close()
            eventually(lambda: knocking.pids[-1] != old, "the new one serves")
            eventually(lambda: _only(server, old), "the old one accepts no more")
            assert late.ask(b"LOGIN anna") == b"welcome"
            assert late.ask(b"PID") == old
            late.send(b"QUIT\r\n")
            assert late.line() == b"bye"
            eventually(lambda: not _lives(old), "the end of the old one")
            count = len(knocking.pids)
            eventually(lambda: len(knocking.pids) > count + 3, "more connections")
        assert knocking.failures == []
        assert set(knocking.pids) == {old, knocking.pids[-1]}
        assert [b"%d" % worker.pid for worker in server.workers()] == [knocking.pids[-1]]
        server.signal(signal.SIGTERM)
        status, errors = server.ended()
        assert status == 0
        assert "gets a successor" in errors
        assert " died" not in errors  # and not within a name that is drawn, as those of connections are


def _only(server: Program, old: bytes) -> bool:
    """Whether the worker that retires is left alone, as the status of both says."""
    (one,) = (worker for worker in server.workers() if b"%d" % worker.pid == old)
    return len(one.connections) == 1


def _lives(pid: bytes) -> bool:
    return Path(f"/proc/{int(pid)}").exists()


@needs_proc
def test_the_old_worker_serves_on_where_its_successor_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with grown(tmp_path / "data", tmp_path / "gate", monkeypatch) as (server, old, held):
        successor = _children(server)[-1]
        os.kill(successor, signal.SIGKILL)
        eventually(lambda: not _lives(b"%d" % successor))
        held.close()
        for _ in range(3):
            client = server.connect()
            assert client.line() == b"hello"
            assert client.ask(b"PID") == old
            client.close()
        server.signal(signal.SIGTERM)
        status, errors = server.ended()
        assert status == 0
        assert f"successor died pid={successor}" in errors
        assert errors.count("gets a successor") == 1


def _children(server: Program) -> list[int]:
    """The server's processes in the order of their birth: a worker, the background, the successor."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(children) == 3
    return [int(child) for child in children]


@needs_proc
def test_a_server_stops_while_a_worker_retires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with grown(tmp_path / "data", tmp_path / "gate", monkeypatch) as (server, old, held):
        late = server.connect()
        assert late.line() == b"hello"
        held.close()
        eventually(lambda: any(b"%d" % worker.pid != old for worker in server.workers()), "a successor that serves")
        server.signal(signal.SIGTERM)
        assert [late.line(), late.line()] == [b"stopping", b"bye"]
        status, errors = server.ended()
        assert (status, "Traceback" in errors) == (0, False)


@needs_proc
def test_news_reach_those_who_listen_at_a_successor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail server whose processes are all replaced once they have been used, the background too."""
    command = [sys.executable, "-m", "restante", "--data", str(tmp_path)]
    for words in (["domain", "add", "example.org"], ["account", "add", "ann@example.org", "--password-stdin"]):
        subprocess.run([*command, *words], input=b"secret\n", check=True, capture_output=True, timeout=PATIENCE)
    monkeypatch.setenv("GROWTH", "1")
    monkeypatch.setenv("GROWN", "1")
    with program(tmp_path, "imap=127.0.0.1:0", "lmtp=127.0.0.1:0", mode="mail") as server:
        ports = {line.split()[0]: int(line.split()[1].rpartition(":")[2]) for line in server.lines[:2]}
        workers = {worker.pid for worker in server.workers()}
        keeper = set(background(server.process.pid))
        for client in [_session(ports["imap"]) for _ in range(4)]:
            client.close()
        _deliver(ports["lmtp"], BATCH)  # the background makes an index
        eventually(lambda: len(now := server.workers()) == 2 and not workers & {one.pid for one in now}, "new workers")
        eventually(lambda: (now := {*background(server.process.pid)}) and not now & keeper, "a new background")
        clients = [_session(ports["imap"]) for _ in range(4)]
        _deliver(ports["lmtp"], 1)
        assert [client.line() for client in clients] == [b"* %d EXISTS" % (BATCH + 1)] * 4
        server.signal(signal.SIGTERM)
        status, errors = server.ended()
        assert status == 0
        assert " died" not in errors  # and not within a name that is drawn, as those of connections are
        assert "Traceback" not in errors


def _session(port: int) -> Client:
    """A connection in IDLE."""
    client = Client(socket.create_connection(("127.0.0.1", port), PATIENCE))
    client.line()
    for command in (b"a LOGIN ann@example.org secret", b"b SELECT INBOX", b"c IDLE"):
        client.send(command + b"\r\n")
        while not (line := client.line()).startswith((command[:1], b"+")):
            pass
        assert line.startswith((command[:1] + b" OK", b"+")), line
    return client


def _deliver(port: int, count: int) -> None:
    client = smtplib.LMTP("127.0.0.1", port, timeout=PATIENCE)
    for number in range(count):
        client.sendmail("a@example.org", ["ann@example.org"], f"Subject: {number}\r\n\r\nwords of {number}\r\n")
    client.quit()
