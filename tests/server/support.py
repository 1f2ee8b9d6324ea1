"""A small line protocol over the real server, for tests of the server alone; `restante serve` as a process."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from restante.clock import Clock, Random
from restante.config.model import Config
from restante.config.paths import run_directory
from restante.connection import Connection, ServerStopping
from restante.errors import Refusal
from restante.server.inprocess import FREE_PORTS, InProcessServer
from restante.server.logs import Logger
from restante.server.services import Wire
from restante.server.status import WorkerStatus, collect
from restante.server.worker import Assembly, Build

PATIENCE = 60.0
"""Longest wait for anything, on however busy a machine; never slept through."""


class Echo:
    """Lines: STARTTLS, BINDING, LOGIN name, BIG octets, HOLD (answers when released), GROW octets (kept for good), PID,
    BOOM, QUIT; others come back."""

    kept: ClassVar[list[bytes]] = []

    def __init__(self, connection: Connection, release: asyncio.Event, timeout: float) -> None:
        self.connection = connection
        self.release = release
        self.timeout = timeout
        self.buffer = b""

    async def run(self) -> None:
        c = self.connection
        c.write(b"hello\r\n")
        try:
            while (line := await self.line()) is not None:
                if line == b"QUIT":
                    break
                await self.answer(line)
                await c.drain()
        except ServerStopping:
            c.write(b"stopping\r\n")
        c.write(b"bye\r\n")
        await c.drain()

    async def line(self) -> bytes | None:
        while b"\r\n" not in self.buffer:
            data = await self.connection.read(self.timeout)
            if not data:
                return None
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    async def answer(self, line: bytes) -> None:
        c = self.connection
        word, _, rest = line.partition(b" ")
        if word == b"STARTTLS":
            c.write(b"go on\r\n")
            self.buffer = b""
            await c.start_tls()
        elif word == b"BINDING":
            c.write((c.channel_binding() or b"").hex().encode("ascii") + b"\r\n")
        elif word == b"LOGIN":
            try:
                c.set_account(rest.decode("ascii"))
                c.write(b"welcome\r\n")
            except Refusal as refusal:
                c.write(refusal.code.encode("ascii") + b"\r\n")
        elif word == b"BIG":
            for _ in range(int(rest) // 65_536):
                c.write(bytes(65_536))
                await c.drain()
        elif word == b"SEND":
            c.write(b"written, ")
            small = c.send(b"then sent\r\n")
            large = c.send(bytes(int(rest)))
            await c.drain()
            c.write(b"%d %d\r\n" % (small, large))
        elif word == b"HOLD":
            await self.release.wait()
            c.write(b"released\r\n")
        elif word == b"GROW":
            self.kept.append(b"x" * int(rest))
            c.write(b"grown\r\n")
        elif word == b"PID":
            c.write(b"%d\r\n" % os.getpid())
        elif word == b"BOOM":
            raise RuntimeError("a secret of the peer's")
        else:
            c.write(line + b"\r\n")


class EchoRoom:
    """Makes Echo sessions; `release` lets HOLD go on."""

    def __init__(self, timeout: float = PATIENCE) -> None:
        self.timeout = timeout
        self.release: asyncio.Event | None = None

    def build(self, config: Config, data: Path, clock: Clock, random: Random, log: Logger) -> Assembly:
        self.release = release = asyncio.Event()
        return Assembly({wire: lambda c: Echo(c, release, self.timeout) for wire in Wire})


class Running:
    """A started server: `connect` gives clients, `log` its log."""

    def __init__(self, server: InProcessServer, ports: dict[str, tuple[str, int]], log: io.StringIO, room: EchoRoom):
        self.server = server
        self.ports = ports
        self.log = log
        self.room = room

    def connect(self, name: str = "imap", host: str | None = None) -> Client:
        where = self.ports[name]
        source = (host, 0) if host else None
        return Client(socket.create_connection(where, PATIENCE, source_address=source))

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.server.certificate))

    def wait_log(self, text: str) -> None:
        eventually(lambda: text in self.log.getvalue(), f"{text!r} in the log:\n{self.log.getvalue()}")


class Client:
    """A blocking client with lines."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock
        self.buffer = b""
        self._closed = False

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def line(self) -> bytes:
        """The next line without CRLF; what came before the end if the server closed. Raises EOFError after that:
        who waits for a certain line must not wait for ever."""
        while b"\r\n" not in self.buffer:
            if self._closed:
                raise EOFError("the server has closed the connection")
            data = self.sock.recv(65_536)
            if not data:
                self._closed = True
                rest, self.buffer = self.buffer, b""
                return rest
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def ask(self, text: bytes) -> bytes:
        self.send(text + b"\r\n")
        return self.line()

    def ended(self) -> bool:
        """Wait for the server's end of the connection."""
        try:
            return self.sock.recv(65_536) == b""
        except ConnectionResetError:
            return True

    def tls(self, context: ssl.SSLContext, name: str = "localhost") -> None:
        self.sock = context.wrap_socket(self.sock, server_hostname=name)

    def close(self) -> None:
        self.sock.close()


def eventually(condition: Callable[[], object], what: str = "") -> None:
    """Wait until `condition()` holds. Fails after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.005)


class Workers:
    """A started `restante serve` of two workers on this data folder; ports: by name of the listener."""

    def __init__(self, data: Path, ports: dict[str, int]) -> None:
        self.data = data
        self.ports = ports

    def connect(self, name: str) -> tuple[Client, int]:
        """A client that has read its greeting, and the process id of the worker it came to."""
        before = self._accepted()
        client = Client(socket.create_connection(("127.0.0.1", self.ports[name]), PATIENCE))
        assert client.line()
        eventually(lambda: self._accepted() != before, "the connection counted")
        after = self._accepted()
        (pid,) = [pid for pid in after if after[pid] > before[pid]]
        return client, pid

    def one_at_each(self, name: str) -> list[Client]:
        """Clients of two different workers."""
        found: dict[int, Client] = {}
        for _ in range(50):  # who has fewer connections takes the next one
            client, pid = self.connect(name)
            found.setdefault(pid, client)
            if len(found) == 2:
                return list(found.values())
        raise AssertionError("one worker takes all connections")

    def _accepted(self) -> dict[int, int]:
        """How many connections each worker has taken, once both have told: a busy one may need several questions."""
        told: list[WorkerStatus] = []

        def both() -> bool:
            told[:] = collect(run_directory(self.data))
            return len(told) == 2

        eventually(both, "two workers that tell what they do")
        return {worker.pid: worker.counters["accepted"] for worker in told}


@contextmanager
def serving(data: Path, log: Path, *words: str, config: Path | None = None) -> Iterator[dict[str, int]]:
    """`restante serve` with these words, to its end; the ports of its listeners. log: where standard error goes."""
    settings = () if config is None else ("--config", str(config))
    command = [sys.executable, "-m", "restante", *settings, "--data", str(data), "serve", *words]
    with log.open("ab") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert process.stdout is not None
            ports: dict[str, int] = {}
            for line in process.stdout:
                if line == "ready\n":
                    break
                name, _, rest = line.partition(" ")
                port = rest.split()[0].rpartition(":")[2]
                if port.isdecimal():
                    ports[name] = int(port)
            else:
                raise AssertionError(log.read_text("utf-8"))
            yield ports
        finally:
            process.terminate()
            try:
                process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise


@contextmanager
def running(
    data: Path, config: Config | None = None, *, room: EchoRoom | None = None, build: Build | None = None
) -> Iterator[Running]:
    """A server of Echo sessions on free ports of 127.0.0.1."""
    room = room or EchoRoom()
    log = io.StringIO()
    server = InProcessServer(data, config, build=build or room.build, log=log)
    ports = server.start(FREE_PORTS)
    try:
        yield Running(server, ports, log, room)
    finally:
        server.stop(drain=1.0)
