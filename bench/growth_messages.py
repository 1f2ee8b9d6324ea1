"""How the cost of each command grows with the mailbox: one full mailbox, one connection, one worker.

Of each command: the time until its tagged OK, the processor time of the worker, and the worker's largest memory
meanwhile. The number of messages named in each answer is checked.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from growth_mailbox import COMMON, DOMAIN, NEEDLE, Made, make, message
from serving import Line, Serving, serving

STEADY = 1.0
"""Seconds after which a command is not measured again; the best counts."""

ROW = b" FETCH ("

PATIENCE = 300.0
"""Seconds that a server may be silent."""

TAIL = 4_096
"""Octets that the last line of an answer may have."""

NEWCOMERS = 50
"""Messages that come while the mailbox is measured."""


@dataclass(frozen=True, slots=True)
class Command:
    """name: in tables and JSON. grows: whether its answer grows with the mailbox. rows, numbers: what its answer must
    hold, from the number of messages. once: it changes the mailbox, so that another time would be another work."""

    name: str
    text: str
    grows: bool
    rows: Callable[[int], int] | None = None
    numbers: Callable[[int], int] | None = None
    once: bool = False


def _all(count: int) -> int:
    return count


def _one(_count: int) -> int:
    return 1


_STATUS = "STATUS INBOX (MESSAGES UNSEEN SIZE HIGHESTMODSEQ)"
_WANTED = "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE"

READING = (
    Command("SELECT, the first after the start", "SELECT INBOX", True, once=True),
    Command("SELECT", "SELECT INBOX", False),
    Command("NOOP", "NOOP", False),
    Command("STATUS", _STATUS, False),
    Command("FETCH of the last one's FLAGS", "UID FETCH * (FLAGS)", False, _one),
    Command("FETCH of the last one's body", "UID FETCH * (BODY.PEEK[])", False, _one),
    Command("FETCH of the last 50, as a list shows them", "FETCH {last}:* (" + _WANTED + ")", False, lambda _: 50),
    Command("SEARCH among ten messages", "UID SEARCH UID 1:10 SUBJECT number", False, None, lambda _: 10),
    Command("SEARCH TEXT of a rare word", f"UID SEARCH TEXT {NEEDLE}", False, None, _one),
    Command("SEARCH TEXT of a word that is nowhere", "UID SEARCH TEXT zqx-nowhere", False, None, lambda _: 0),
    Command("SEARCH UNSEEN", "UID SEARCH UNSEEN", True, None, _all),
    Command("SEARCH ALL as a range", "UID SEARCH RETURN (ALL) UNSEEN", False),
    Command("SEARCH of how many are unseen", "UID SEARCH RETURN (COUNT) UNSEEN", False),
    Command("SEARCH of the newest 50", "UID SEARCH RETURN (PARTIAL -1:-50) UNDELETED", False),
    Command("SEARCH SUBJECT", "UID SEARCH SUBJECT number", True, None, _all),
    Command("SEARCH SINCE", "UID SEARCH SENTSINCE 1-Jan-2020", True, None, _all),
    Command("SEARCH BODY of a common word", f"UID SEARCH BODY {COMMON}", True, None, lambda n: len(range(3, n, 10))),
    Command("SORT by date", "UID SORT (REVERSE DATE) UTF-8 ALL", True, None, _all),
    Command("SORT by subject", "UID SORT (SUBJECT) UTF-8 ALL", True, None, _all),
    Command("SORT by date, the newest 50", "UID SORT RETURN (PARTIAL -1:-50) (DATE) UTF-8 ALL", False),
    Command("SORT by number, newest 50", "SORT RETURN (PARTIAL 1:50) (REVERSE DATE) UTF-8 UNDELETED", False),
    Command("THREAD=REFERENCES", "UID THREAD REFERENCES UTF-8 ALL", True, None, _all),
    Command("FETCH of all FLAGS", "UID FETCH 1:* (FLAGS)", True, _all),
    Command("FETCH of all ENVELOPE BODYSTRUCTURE", f"UID FETCH 1:* ({_WANTED})", True, _all),
    Command("FETCH of all, two header fields", "UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)])", True, _all),
    Command("FETCH of all bodies", "UID FETCH 1:* (BODY.PEEK[])", True, _all),
)

CHANGING = (
    Command("STORE of one", "UID STORE * +FLAGS (\\Flagged)", False, _one, once=True),
    Command("STORE +FLAGS of all", "UID STORE 1:* +FLAGS (\\Answered)", True, _all, once=True),
    Command("COPY of all", "UID COPY 1:* Copies", True, once=True),
    Command("STORE +FLAGS.SILENT of all", "UID STORE 1:* +FLAGS.SILENT (\\Deleted)", True, once=True),
    Command("EXPUNGE of all", "EXPUNGE", True, once=True),
)

BESIDE = {
    "QRESYNC, nothing changed": False,
    "QRESYNC, 100 changes": False,
    "POP3 login, UIDL and LIST, first": True,
    "POP3 login, UIDL and LIST, again": True,
    "delivery by LMTP": False,
    "APPEND": False,
    "restante doctor": True,
    "the mailbox made": True,
    "the search index filled": True,
}
"""What is no single IMAP command, and whether its answer grows."""

GROWS = {command.name: command.grows for command in (*READING, *CHANGING)} | BESIDE

Figures = dict[str, float]
"""s: seconds. cpu: processor seconds of the server. rss: octets, the worker's largest memory meanwhile."""


class Client:
    """A blocking IMAP client that counts what answers hold and keeps little of it."""

    def __init__(self, server: Serving, made: Made) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.ports["imap"]), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(1 << 20)
        self.socket.recv(1000)
        self.run(Command("", f"LOGIN {made.address} {made.password}", False), 0)

    def run(self, command: Command, count: int, literal: bytes | None = None) -> float:
        """Seconds from the command to its tagged OK. Raises AssertionError for another answer."""
        text = command.text.format(last=count - 49).encode()
        kept: list[bytes] = []
        rows, tail = 0, b""
        start = time.perf_counter()
        if literal is None:
            self.socket.sendall(b"t %b\r\n" % text)
        else:
            self.socket.sendall(b"t %b {%d+}\r\n%b\r\n" % (text, len(literal), literal))
        while True:
            size = self.socket.recv_into(self.buffer)
            assert size, "closed by the server"
            if command.rows is not None:
                across = tail[1 - len(ROW) :] + self.buffer[: min(len(ROW) - 1, size)]
                rows += self.buffer.count(ROW, 0, size) + across.count(ROW)
            if command.numbers is not None:
                kept.append(bytes(self.buffer[:size]))
            tail = (tail + self.buffer[max(0, size - TAIL) : size])[-TAIL:]
            last = tail[:-2].rpartition(b"\r\n")[2]
            if tail.endswith(b"\r\n") and last.startswith(b"t "):
                break
        took = time.perf_counter() - start
        assert last.startswith(b"t OK"), (command.text, last)
        if command.rows is not None:
            assert rows == command.rows(count), (command.text, rows)
        if command.numbers is not None:
            numbers = len(re.findall(rb"\d+", b"".join(kept)[: -len(last)]))
            assert numbers == command.numbers(count), (command.text, numbers)
        return took

    def close(self) -> None:
        self.socket.close()


def processor(pid: int) -> float:
    """Processor seconds of a process's living threads, to the microsecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


class Watch:
    """What one worker uses from here on."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the largest memory is counted anew
        self.began = processor(pid)

    def figures(self, seconds: float) -> Figures:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return {"s": seconds, "cpu": processor(self.pid) - self.began, "rss": int(found.group(1)) * 1024.0}


def measured(pid: int, once: bool, run: Callable[[], float]) -> Figures:
    """The best of up to twenty runs, in time and in processor time; the largest memory."""
    best: Figures = {}
    start = time.monotonic()
    for _ in range(1 if once else 20):
        watch = Watch(pid)
        got = watch.figures(run())
        best = {k: (max if k == "rss" else min)(v, best.get(k, v)) for k, v in got.items()}
        if time.monotonic() - start > STEADY:
            break
    return best


def command_line(server: Serving, *arguments: str) -> Figures:
    """A `restante` command to its end."""
    start = time.monotonic()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "restante", "--data", str(server.data), *arguments],
        dict(os.environ),
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"restante {' '.join(arguments)}: status {os.waitstatus_to_exitcode(status)}")
    return {"s": time.monotonic() - start, "cpu": used.ru_utime + used.ru_stime, "rss": used.ru_maxrss * 1024.0}


def pop3(server: Serving, made: Made, count: int) -> float:
    start = time.perf_counter()
    with (line := server.connect("pop3")).sock as sock:
        sock.sendall(f"USER {made.address}\r\nPASS {made.password}\r\nUIDL\r\nLIST\r\n".encode())
        tail, ends, got = b"", 0, 0
        while ends < 2:
            data = sock.recv(1 << 20)
            assert data, "closed by the server"
            ends += (tail + data).count(b"\r\n.\r\n")
            got += data.count(b"\n")
            tail = data[-4:]
        took = time.perf_counter() - start
        assert got + line.buffer.count(b"\n") == 2 * count + 6, (got, count)
    return took


def deliver(server: Serving, made: Made, count: int) -> list[float]:
    """Seconds of each delivery."""
    times = []
    with (line := server.connect("lmtp")).sock as sock:
        sock.sendall(b"LHLO bench\r\n")
        while line.line()[3:4] == b"-":
            pass
        for number in range(count):
            octets = message(number).replace(b"Message-ID: <", b"Message-ID: <new.")
            start = time.perf_counter()
            sock.sendall(f"MAIL FROM:<a@example.net>\r\nRCPT TO:<{made.address}>\r\nDATA\r\n".encode())
            for _ in range(3):
                assert (got := line.line())[:1] in b"23", got
            sock.sendall(octets + b".\r\n")
            assert (got := line.line()).startswith(b"250"), got
            times.append(time.perf_counter() - start)
    return times


def reselect(line: Line, validity: bytes, since: bytes, changed: int) -> float:
    start = time.perf_counter()
    answer = line.imap(b"SELECT INBOX (QRESYNC (%b %b))" % (validity, since))
    took = time.perf_counter() - start
    assert sum(b" FETCH (" in row for row in answer) == changed, answer
    return took


def measure(server: Serving, made: Made, size: int, *, change: bool = True) -> Iterator[tuple[str, Figures]]:
    """Each figure as it comes. change: also what empties the mailbox."""
    (worker,) = server.workers()
    client = Client(server, made)
    for command in READING:
        yield command.name, measured(worker, command.once, partial(client.run, command, size))
    for times in ("first", "again"):
        figures = measured(worker, times == "first", lambda: pop3(server, made, size))
        yield f"POP3 login, UIDL and LIST, {times}", figures
    line = server.connect("imap")
    line.imap(f"LOGIN {made.address} {made.password}".encode())
    line.imap(b"ENABLE QRESYNC")
    status = b" ".join(line.imap(b"STATUS INBOX (UIDVALIDITY HIGHESTMODSEQ)"))
    told = dict(re.findall(rb"(UIDVALIDITY|HIGHESTMODSEQ) (\d+)", status))
    validity, since = told[b"UIDVALIDITY"], told[b"HIGHESTMODSEQ"]
    yield "QRESYNC, nothing changed", measured(worker, False, lambda: reselect(line, validity, since, 0))
    if change:
        client.run(Command("", f"UID STORE {size // 2}:{size // 2 + 99} +FLAGS.SILENT (\\Flagged)", False), size)
        yield "QRESYNC, 100 changes", measured(worker, False, lambda: reselect(line, validity, since, 100))
    line.sock.close()
    yield "restante doctor", command_line(server, "doctor", "--account", made.address)
    if change:
        watch = Watch(worker)
        took = min(deliver(server, made, NEWCOMERS))
        figures = watch.figures(took)
        yield "delivery by LMTP", figures | {"cpu": figures["cpu"] / NEWCOMERS}
        append = Command("APPEND", "APPEND Copies", False)
        yield "APPEND", measured(worker, False, lambda: client.run(append, size, message(1)))
        for text in (f"UID STORE {size + 1}:* +FLAGS.SILENT (\\Deleted)", "EXPUNGE"):  # the newcomers go
            client.run(Command("", text, False), size)
        for command in CHANGING:
            yield command.name, measured(worker, True, partial(client.run, command, size))
    client.close()


def grown(size: int, tell: Callable[[str], None]) -> dict[str, Figures]:
    """All figures of one size."""
    found: dict[str, Figures] = {}
    mades: list[Made] = []

    def prepare(folder: Path) -> None:
        mades.append(asyncio.run(make(folder, f"m{size}@{DOMAIN}", size, tell)))

    with serving(1, prepare=prepare) as server:
        (made,) = mades
        found["the mailbox made"] = {"s": made.append}
        found["the search index filled"] = {"s": made.index}
        found["files"] = {"account": float(made.file), "index": float(made.index_file)}
        for name, figures in measure(server, made, size):
            found[name] = figures
            tell(f"{size:,}: {name}: {describe(figures)}")
    return found


def describe(figures: Figures) -> str:
    cpu = f", {figures['cpu'] * 1000:.2f} ms of the processor" if "cpu" in figures else ""
    rss = f", {figures['rss'] / 1e6:.0f} MB" if "rss" in figures else ""
    return f"{figures['s'] * 1000:.2f} ms{cpu}{rss}"
