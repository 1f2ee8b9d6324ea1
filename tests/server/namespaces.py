"""Hosts on one machine, for tests of what a network does: network namespaces joined by cables that can be cut.

A namespace has its own interfaces, addresses and TCP: what happens to its cable happens to it alone. A socket lives
in the namespace in which it was made, whoever uses it, so a test has both ends in its own hands.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

CLONE_NEWNET = 0x40000000


class Hub:
    """One host with a cable to each of several others. name: of its namespace."""

    def __init__(self, name: str, spokes: Sequence[str]) -> None:
        self.name = name
        self.spokes = {spoke: number for number, spoke in enumerate(spokes)}

    def address(self, spoke: str) -> str:
        """The hub's address on the cable to this host."""
        return f"198.18.{self.spokes[spoke]}.1"

    def inside(self, *command: str) -> list[str]:
        """A command as it runs on the hub."""
        return ["ip", "netns", "exec", self.name, *command]

    def connect(self, spoke: str, port: int, timeout: float) -> socket.socket:
        """A connection from this host to the hub."""
        made: list[socket.socket] = []
        thread = threading.Thread(target=lambda: made.append(_socket_in(self._namespace(spoke))))
        thread.start()
        thread.join()
        (sock,) = made
        sock.settimeout(timeout)
        sock.connect((self.address(spoke), port))
        return sock

    def cut(self, spoke: str) -> None:
        """Pull the cable at the other host's end: nothing passes any more, no host is told by TCP."""
        _run("ip", "-n", self._namespace(spoke), "link", "set", "eth0", "down")

    def vanish(self, spoke: str) -> None:
        """Take the other host off the network while the cable stays in: what is sent to it is taken and dropped."""
        _run("ip", "-n", self._namespace(spoke), "address", "flush", "dev", "eth0")

    def _namespace(self, spoke: str) -> str:
        return f"{self.name}-{spoke}"

    def _plug(self, spoke: str) -> None:
        number, other = self.spokes[spoke], self._namespace(spoke)
        _run("ip", "-n", other, "link", "set", "lo", "up")
        near = f"eth{number}"
        _run("ip", "-n", self.name, "link", "add", near, "type", "veth", "peer", "name", "eth0", "netns", other)
        for namespace, device, host in ((self.name, near, 1), (other, "eth0", 2)):
            _run("ip", "-n", namespace, "address", "add", f"198.18.{number}.{host}/24", "dev", device)
            _run("ip", "-n", namespace, "link", "set", device, "up")


@contextmanager
def hub(*spokes: str) -> Iterator[Hub]:
    """A hub with these hosts around it. Skips the test, saying why, where namespaces cannot be made."""
    if sys.platform != "linux":
        pytest.skip("network namespaces are Linux's")
    if shutil.which("ip") is None:
        pytest.skip("ip (iproute2) is not installed")
    made = Hub(f"restante{os.getpid()}", spokes)
    with ExitStack() as held:
        for name in (made.name, *map(made._namespace, spokes)):
            added = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
            if added.returncode:
                pytest.skip(f"no network namespaces here: {added.stderr.strip()}")
            held.callback(_run, "ip", "netns", "delete", name)
        _run("ip", "-n", made.name, "link", "set", "lo", "up")
        for spoke in spokes:
            made._plug(spoke)
        yield made


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=20)


def _socket_in(namespace: str) -> socket.socket:
    """A TCP socket of this namespace. Moves the calling thread there, which should end afterwards."""
    with Path("/run/netns", namespace).open() as file:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    return socket.socket()
