"""What many slow connections cost: `python bench/slow_connections.py [--connections 10000]`.

Plain connections over IMAP, POP3 and LMTP, before login, each with a command begun and not ended, to which an octet
is added now and then. Meanwhile others log in, select and read. Goals: 10,000 held under 500 MB, others answered in
50 ms.
"""

from __future__ import annotations

import argparse
import itertools
import socket
import time

from serving import Line, Serving, raise_file_limit, restante, serving, spread

WHO = "anna@example.com"
BEGUN = {
    "imap": b'a1 LOGIN "' + b"x" * 500,
    "pop3": b"USER " + b"x" * 200,
    "lmtp": b"LHLO " + b"x" * 200,
}
BEAT = 10.0
"""Seconds in which every slow connection gets its next octet."""


def hold(server: Serving, count: int) -> list[Line]:
    """Open the slow connections."""
    found = []
    for name in itertools.islice(itertools.cycle(BEGUN), count):
        line = server.connect(name)
        line.sock.sendall(BEGUN[name])
        found.append(line)
    return found


def beat(lines: list[Line], at: int, count: int) -> int:
    """Send one octet more on some of them; where to go on."""
    for line in itertools.islice(itertools.cycle(lines), at, at + count):
        line.sock.send(b"y")
    return (at + count) % max(1, len(lines))


def timed(line: Line, command: bytes) -> float:
    start = time.perf_counter()
    line.imap(command)
    return time.perf_counter() - start


def others(server: Serving, slow: list[Line], seconds: float) -> dict[str, list[float]]:
    """Seconds that others waited, by what they asked, while the slow ones go on."""
    taken: dict[str, list[float]] = {"connect + greeting": [], "LOGIN": [], "SELECT": [], "FETCH": [], "NOOP": []}
    end = time.monotonic() + seconds
    at = 0
    beats = time.monotonic()
    while time.monotonic() < end:
        start = time.perf_counter()
        with (line := server.connect("imap")).sock:
            taken["connect + greeting"].append(time.perf_counter() - start)
            taken["LOGIN"].append(timed(line, f"LOGIN {WHO} words".encode()))
            taken["SELECT"].append(timed(line, b"SELECT INBOX"))
            taken["FETCH"].append(timed(line, b"FETCH 1:* (FLAGS ENVELOPE)"))
            taken["NOOP"].append(timed(line, b"NOOP"))
        now = time.monotonic()
        at = beat(slow, at, int(len(slow) * (now - beats) / BEAT))
        beats = now
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    most = raise_file_limit(options.connections + 100)  # the server inherits it
    count = min(options.connections, most - 100)
    with serving(options.workers, [WHO]) as server:
        fill(server)
        before = server.memory()
        start = time.monotonic()
        slow = hold(server, count)
        opened = time.monotonic() - start
        others(server, slow, 1.0)
        taken = others(server, slow, options.seconds)
        after = server.memory()
        alive = sum(1 for line in slow if _alive(line.sock))
        print(
            f"{options.workers} workers, {count} slow connections opened in {opened:.1f} s, {alive} of them still held"
        )
        print(f"memory: {before / 1e6:.0f} MB before, {after / 1e6:.0f} MB with them")
        print(
            f"a connection: {(after - before) / max(1, count) / 1e3:.1f} kB; all processes, shared pages counted once"
        )
        for name, seconds in taken.items():
            print(f"{name:<20}{spread(seconds)} ({len(seconds)} times)")


def fill(server: Serving) -> None:
    """Some mail for those who read."""
    folder = server.data / "mail"
    folder.mkdir()
    for number in range(100):
        (folder / f"{number}.eml").write_bytes(b"From: a@example.com\nSubject: %d\n\nHello\n" % number)
    restante(server.data, "import", str(folder), "--account", WHO)


def _alive(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return sock.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


if __name__ == "__main__":
    main()
