#!/usr/bin/env python3
"""login + SELECT beside a process that computes all the time, under several scheduling policies of that process.

usage: bench/visit_beside.py [--seconds S] [--messages N]

The background process stands beside the workers at niceness 10. Here a stand-in takes its place, so that what a visit
pays for it can be compared: not there (stopped), niceness 10 or 19, niceness 10 with the longest turns that Linux gives
(sched_setattr, 100 ms: who wakes interrupts it at once from Linux 6.12 on), and SCHED_IDLE. The policies take turns of
a quarter of a second. Last, how long the stand-in is left standing under each while all cores are wanted by others: so
long may a lock wait that the background holds. Needs root (to come back from SCHED_IDLE) and a machine at rest.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import platform
import random
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from command_cost import Client, Ports, fill, serving
from compare import machine

ROOT = Path(__file__).resolve().parent.parent
WINDOW = 0.25
_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}[platform.machine()]
_libc = ctypes.CDLL(None, use_errno=True)
COMPUTES = "import zlib, os; d = os.urandom(30_000) * 4\nwhile True: zlib.compress(d); sum(i * i for i in range(3_000))"
PAUSES = """
import time
last, longest = time.monotonic(), 0.0
end = last + {seconds}
while last < end:
    now = time.monotonic()
    longest, last = max(longest, now - last), now
print(longest)
"""


def policy(number: int, nice: int, turn: int = 0) -> Callable[[int], None]:
    """Gives a process a policy, a niceness, and turns of so many nanoseconds (0: as usual)."""

    def give(pid: int) -> None:
        asked = struct.pack("=IIQiIQQQ", 48, number, 0, nice, 0, turn, 0, 0)
        if _libc.syscall(_SETATTR, pid, asked, 0):
            raise OSError(ctypes.get_errno(), "sched_setattr")

    return give


POLICIES: dict[str, Callable[[int], None]] = {
    "stopped": lambda pid: os.kill(pid, signal.SIGSTOP),
    "niceness 10": policy(os.SCHED_OTHER, 10),
    "niceness 19": policy(os.SCHED_OTHER, 19),
    "niceness 10, long turns": policy(os.SCHED_OTHER, 10, 100_000_000),
    "SCHED_IDLE": policy(os.SCHED_IDLE, 10),
}


def visit(ports: Ports) -> float:
    """Seconds until SELECT is answered; what follows is not waited for, as in `mailbench.py`."""
    start = time.perf_counter()
    client = Client(ports).log_in()
    client.run(b"SELECT INBOX")
    taken = time.perf_counter() - start
    client.sock.sendall(b"z LOGOUT\r\n")
    client.sock.close()
    return taken


def visits(ports: Ports, beside: int, seconds: float) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in POLICIES}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name in random.sample(list(POLICIES), len(POLICIES)):
            os.kill(beside, signal.SIGCONT)
            POLICIES[name](beside)
            until = time.monotonic() + WINDOW
            while time.monotonic() < until:
                found[name].append(visit(ports))
    return found


def longest_pause(name: str, seconds: float) -> float:
    """Seconds that a process with this policy is left standing beside two that want a core each."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        one = subprocess.Popen(
            [sys.executable, "-c", PAUSES.format(seconds=seconds)], stdout=subprocess.PIPE, text=True
        )
        POLICIES[name](one.pid)
        return float(one.communicate()[0])
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seconds", type=float, default=15.0)
    p.add_argument("--messages", type=int, default=1_000)
    options = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="restante-bench-") as folder:
        data = Path(folder) / "data"
        asyncio.run(fill(data, options.messages, None))
        beside = subprocess.Popen([sys.executable, "-c", COMPUTES])
        try:
            with serving(ROOT, data, workers=2) as server:
                for _ in range(100):
                    visit(server.ports)
                found = visits(server.ports, beside.pid, options.seconds)
        finally:
            beside.kill()
            beside.wait()
    print(f"`bench/visit_beside.py`, {machine()}\n")
    print("| beside a process with | p50 | p90 | longest pause of it, all cores wanted |\n|---|---:|---:|---:|")
    for name, taken in found.items():
        low = statistics.quantiles(taken, n=10)
        pause = "" if name == "stopped" else f"{1e3 * longest_pause(name, 4.0):.0f} ms"
        print(f"| {name} | {1e3 * low[4]:.2f} ms | {1e3 * low[8]:.2f} ms | {pause} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
