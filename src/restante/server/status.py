"""What a running server tells about itself: a Unix socket a worker in the run folder, answering JSON.

The socket is the owner's alone (mode 0600). A client connects, reads to the end, parses; nothing is asked.
`collect` is the other side, for `restante status`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec

_SUFFIX = ".status"
_MAX_ANSWER = 64 << 20


class ConnectionStatus(msgspec.Struct, frozen=True):
    """since: seconds UTC. account: its id in the directory, None before login."""

    id: str
    protocol: str
    address: str
    account: str | None
    secure: bool
    since: float


class WorkerStatus(msgspec.Struct, frozen=True):
    """One worker. counters: totals since its start, by name."""

    pid: int
    started: float
    listeners: list[tuple[str, str]]
    connections: list[ConnectionStatus]
    counters: dict[str, int]


def socket_path(folder: Path, pid: int) -> Path:
    """Where the worker with this process id answers."""
    return folder / f"worker-{pid}{_SUFFIX}"


def forget_dead(folder: Path) -> None:
    """Take away the sockets of workers that were killed. Only where no worker lives."""
    for path in folder.glob(f"worker-*{_SUFFIX}"):
        path.unlink(missing_ok=True)


class StatusSocket:
    """Answers each connection with what `describe` gives, and closes it."""

    def __init__(self, folder: Path, describe: Callable[[], WorkerStatus]) -> None:
        self._path = socket_path(folder, os.getpid())
        self._describe = describe
        self._server: asyncio.AbstractServer | None = None

    async def open(self) -> None:
        self._path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            sock.bind(str(self._path))
        finally:
            os.umask(before)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Answer(self._describe), sock=sock)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):  # a disk that is read-only now: the next server tidies up
                self._path.unlink(missing_ok=True)


class _Answer(asyncio.Protocol):
    def __init__(self, describe: Callable[[], WorkerStatus]) -> None:
        self._describe = describe

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)  # uvloop's transports lack the base class
        stream.write(msgspec.json.encode(self._describe()))
        stream.close()


def collect(folder: Path, timeout: float = 2.0) -> list[WorkerStatus]:
    """Status of every worker that answers, in order of process id. Sockets of dead workers are passed over.

    folder: `config.paths.run_directory`. timeout: seconds for each worker.
    """
    found = []
    for path in sorted(folder.glob(f"worker-*{_SUFFIX}")):
        try:
            found.append(_ask(path, timeout))
        except (OSError, msgspec.DecodeError):
            continue  # a worker that died or is just going
    return sorted(found, key=lambda status: status.pid)


def _ask(path: Path, timeout: float) -> WorkerStatus:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        sock.connect(str(path))
        data = bytearray()
        while len(data) < _MAX_ANSWER and (part := sock.recv(1 << 16)):
            data += part
    return msgspec.json.decode(data, type=WorkerStatus)
