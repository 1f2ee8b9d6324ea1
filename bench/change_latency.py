"""How soon a change made by one process reaches IDLE connections on all others: `python bench/change_latency.py`.

Connections in IDLE lie on every worker. A message comes by LMTP (one worker commits it) or by `restante import`
(a process of its own commits it); the clock runs from the 250, or from the line that the command prints, to the
EXISTS on the last of the connections. Goal: under 100 ms.
"""

from __future__ import annotations

import argparse
import select
import subprocess
import sys
import time
from pathlib import Path

from serving import Line, Serving, serving, spread

WHO = "anna@example.com"
MESSAGE = b"From: a@example.com\r\nSubject: x\r\n\r\nHello\r\n"


def listeners(server: Serving, count: int) -> list[Line]:
    """Connections in IDLE on INBOX; every worker has some."""
    found = []
    for _ in range(count):
        line = server.connect("imap")
        line.imap(f"LOGIN {WHO} words".encode())
        line.imap(b"SELECT INBOX")
        line.sock.sendall(b"x IDLE\r\n")
        assert line.line().startswith(b"+")
        found.append(line)
    return found


def heard(lines: list[Line], exists: bytes) -> float:
    """When the last of the connections told of the message (time.monotonic)."""
    waiting = {line.sock: line for line in lines}
    while waiting:
        for sock in select.select(list(waiting), [], [], 30.0)[0]:
            line = waiting[sock]
            while b"\r\n" in line.buffer or select.select([sock], [], [], 0)[0]:
                if line.line() == exists:
                    del waiting[sock]
                    break
    return time.monotonic()


def by_lmtp(server: Serving, lines: list[Line], first: int, tries: int) -> list[float]:
    """Seconds from the acknowledgement to the last EXISTS."""
    peer = server.connect("lmtp")
    peer.sock.sendall(b"LHLO bench\r\n")
    while not peer.line().startswith(b"250 "):
        pass
    taken = []
    for number in range(tries):
        for command in (b"MAIL FROM:<a@example.com>", f"RCPT TO:<{WHO}>".encode(), b"DATA"):
            peer.sock.sendall(command + b"\r\n")
            peer.line()
        peer.sock.sendall(MESSAGE + b".\r\n")
        assert peer.line().startswith(b"250")
        start = time.monotonic()
        taken.append(max(0.0, heard(lines, b"* %d EXISTS" % (first + number)) - start))
    return taken


def by_command(server: Serving, lines: list[Line], first: int, tries: int) -> list[float]:
    """Seconds from the line that `restante import` prints to the last EXISTS; 0 where the client knew before."""
    source = server.data / "one.eml"
    source.write_bytes(MESSAGE)
    command = [sys.executable, "-m", "restante", "--data", str(server.data), "import", str(source), "--account", WHO]
    taken = []
    for number in range(tries):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"Imported 1 ")
            start = time.monotonic()
            taken.append(max(0.0, heard(lines, b"* %d EXISTS" % (first + number)) - start))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--tries", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    tries = parser.parse_args().tries
    workers = parser.parse_args().workers
    with serving(workers, [WHO]) as server:
        lines = listeners(server, 4 * workers)
        print(f"{Path(sys.argv[0]).name}: {workers} workers, {len(lines)} connections in IDLE, {tries} tries")
        print("LMTP:            ", spread(by_lmtp(server, lines, 1, tries)))
        print("restante import: ", spread(by_command(server, lines, 1 + tries, tries)))


if __name__ == "__main__":
    main()
