"""A Restante server of its own for a measurement: temporary data, free ports, accounts, memory of its processes."""

from __future__ import annotations

import json
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60.0


class Serving:
    """A running server. ports: by listener name."""

    def __init__(self, process: subprocess.Popen[str], data: Path) -> None:
        self.process = process
        self.data = data
        self.ports: dict[str, int] = {}
        assert process.stdout is not None
        for line in process.stdout:
            if line == "ready\n":
                break
            name, _, rest = line.partition(" ")
            if ":" in rest:
                self.ports[name] = int(rest.split()[0].rpartition(":")[2])

    def command(self, *args: str, given: str = "") -> str:
        """Run a `restante` command on the server's data; its output."""
        return restante(self.data, *args, given=given)

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        return [int(pid) for pid in json.loads(self.command("status", "--json"))["workers"]]

    def processes(self) -> list[int]:
        """Process ids of the supervisor, the workers and the background process."""
        pid = self.process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def memory(self) -> int:
        """Octets of all the server's processes, pages they share counted once (PSS)."""
        total = 0
        for pid in self.processes():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total

    def connect(self, name: str) -> Line:
        """A connection to a listener, its greeting read."""
        line = Line(socket.create_connection(("127.0.0.1", self.ports[name]), PATIENCE))
        line.line()
        return line


class Line:
    """A blocking client that speaks in lines."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            data = self.sock.recv(65_536)
            if not data:
                raise ConnectionError("the server has closed the connection")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def imap(self, command: bytes) -> list[bytes]:
        """Run an IMAP command; its responses. Raises ConnectionError for anything but OK."""
        self.sock.sendall(b"x " + command + b"\r\n")
        lines = []
        while not (line := self.line()).startswith(b"x "):
            lines.append(line)
        if not line.startswith(b"x OK"):
            raise ConnectionError(line.decode("ascii", "replace"))
        return lines


def restante(data: Path, *args: str, given: str = "") -> str:
    """Run a `restante` command to its end; its output."""
    command = [sys.executable, "-m", "restante", "--data", str(data), *args]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=300).stdout


@contextmanager
def serving(
    workers: int = 2, accounts: Sequence[str] = (), *, prepare: Callable[[Path], None] | None = None
) -> Iterator[Serving]:
    """A server with accounts, all with the password "words". prepare: is given the data folder before the start."""
    with tempfile.TemporaryDirectory(prefix="restante-bench-") as folder:
        data = Path(folder)
        for domain in dict.fromkeys(one.partition("@")[2] for one in accounts):
            restante(data, "domain", "add", domain)
        for one in accounts:
            restante(data, "account", "add", one, "--password-stdin", given="words\n")
        if prepare is not None:
            prepare(data)
        listen = [f"--listen={name}=127.0.0.1:0" for name in ("imap", "imaps", "pop3", "pop3s", "lmtp")]
        process = subprocess.Popen(
            [sys.executable, "-m", "restante", "--data", folder, "serve", f"--workers={workers}", *listen],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield Serving(process, data)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


def raise_file_limit(wanted: int) -> int:
    """Let this process have so many open files, as far as the system lets it; how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        for limits in ((wanted, max(wanted, hard)), (min(wanted, hard), hard)):
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
                break
            except (ValueError, OSError):
                continue  # only root may raise the hard limit
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def spread(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and worst, in milliseconds."""
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return f"p50 {ordered[len(ordered) // 2] * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, worst {ordered[-1] * 1000:.1f} ms"
