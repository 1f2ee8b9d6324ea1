#!/usr/bin/env python3
"""Restante beside Debian's Dovecot: the same work, the same clients, in turn, and a table of ratios.

usage: bench/compare.py [--tools DIR] [--messages N] [--median OCTETS] [--rounds N] [--only NAME,...]
                        [--idle N] [--accounts N] [--large] [--xapian] [--markdown FILE]

--large: what depends on the size of a mailbox, with 100,000 messages. --xapian: searches beside Dovecot with
fts-xapian too, whose index takes long to make. Answers of both are counted and compared with Restante's, since theirs
need not be exact.

Needs root and Debian's dovecot packages for the yardstick, and the load tools (corpus.py, mailbench.py,
dovecot.sh) in DIR (default ../shared/bench). Each server starts empty and runs alone; rounds alternate
(A B A B ...); what is printed is the ratio of the medians, above 1 where Restante is better. Every server
listens on loopback alone and is stopped at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import apsw
import msgspec

from restante.accounts.admin import Admin
from restante.clock import SystemClock, system_random
from restante.config.model import Config
from restante.config.paths import make_data
from restante.server.engine import open_engine
from restante.store.sqlite.indexes import BATCH

ROOT = Path(__file__).resolve().parent.parent
USERS = [f"u{i}@bench.example" for i in range(16)]
PASSWORD = "secret"

# name in mailbench's answer, what it is, whether a larger number is better
ROWS = (
    ("lmtp_1_per_s", "delivery by LMTP, 1 connection (messages/s)", True),
    ("lmtp_16_per_s", "delivery by LMTP, 16 connections (messages/s)", True),
    ("append_1_per_s", "APPEND (messages/s)", True),
    ("login_select_s", "login + SELECT", False),
    ("noop_s", "NOOP", False),
    ("flags_cold_s", "FETCH 1:* FLAGS, cold", False),
    ("flags_s", "FETCH 1:* FLAGS", False),
    ("envelope_cold_s", "FETCH 1:* ENVELOPE BODYSTRUCTURE, cold", False),
    ("envelope_s", "FETCH 1:* ENVELOPE BODYSTRUCTURE, again", False),
    ("headers_cold_s", "FETCH 1:* header fields, cold", False),
    ("headers_s", "FETCH 1:* header fields, again", False),
    ("bodies_s", "download of all bodies", False),
    ("drain_s", "download of all bodies, by a client that only counts octets", False),
    ("search_rare_s", "SEARCH TEXT of a rare word, while new mail is still being indexed", False),
    ("search_indexed_s", "SEARCH TEXT of a rare word, once what came is indexed", False),
    ("search_common_s", "SEARCH BODY of a common word", False),
    ("search_subject_s", "SEARCH SUBJECT", False),
    ("search_unseen_s", "SEARCH UNSEEN", False),
    ("sort_cold_s", "SORT by date, cold", False),
    ("sort_subject_s", "SORT by subject", False),
    ("thread_cold_s", "THREAD=REFERENCES, cold", False),
    ("thread_s", "THREAD=REFERENCES, again", False),
    ("store_s", "STORE 1:* +FLAGS", False),
    ("qresync_0_s", "QRESYNC reselect, nothing changed", False),
    ("qresync_100_s", "QRESYNC reselect, 100 changes", False),
    ("copy_s", "COPY", False),
    ("move_s", "MOVE", False),
    ("expunge_s", "EXPUNGE", False),
    ("pop3_login_uidl_list_s", "POP3 login + UIDL + LIST", False),
    ("pop3_retr_pipelined_per_s", "POP3 RETR, pipelined (messages/s)", True),
    ("pop3_retr_per_s", "POP3 RETR, one at a time (messages/s)", True),
    ("idle_kb_each", "memory of an idle connection (kB, plain)", False),
    ("idle_notify_p50_s", "notification of a delivery, p50", False),
    ("mixed_sessions_per_s", "mixed sessions of 16 mail applications (/s)", True),
    ("spread_per_s", "delivery spread over many accounts (messages/s)", True),
    ("cpu_s", "the server's CPU seconds for all of it", False),
)


LARGE = ("deliver", "append", "select", "flags", "search", "sort", "thread", "qresync")
"""What --large measures. The first two fill the mailbox."""

SEARCHES = (
    ("a rare word", b"TEXT zqx7needle"),
    ("a part of it", b"TEXT qx7needl"),
    ("a common word", b"BODY commonword"),
    ("two words in a row", b'BODY "%b"'),
    ("the same words, the other way round", b'BODY "%b"'),
    ("a word of subjects", b"SUBJECT invoice"),
    ("a part of such words", b"SUBJECT nvoic"),
)
"""Of --xapian. A phrase is taken from the corpus."""

TAG = b"q7xz"
"""Of commands whose end is looked for in what comes: no line of the mail begins so."""

INDEXED = 7_200.0
"""Seconds that Dovecot's index may take."""


@dataclass(frozen=True)
class Found:
    """What a search took (seconds, median of five) and how many messages it named."""

    seconds: float
    count: int


@dataclass(frozen=True)
class Running:
    """A server at work: its addresses and its first process."""

    imap: str
    pop3: str
    lmtp: str
    pid: int


async def add_accounts(data: Path, names: list[str]) -> None:
    """Accounts without mailboxes but INBOX, as Dovecot's are; their passwords are hashed cheaply, for time's sake."""
    config = msgspec.convert({"auth": {"argon2_memory": 1 << 20, "argon2_time": 1}}, Config)
    engine = open_engine(config, make_data(data), SystemClock(), system_random)
    admin = Admin(engine, config, SystemClock(), system_random)
    await admin.add_domain("bench.example")
    for name in names:
        await admin.add_account(name, PASSWORD, mailboxes=False)
    await engine.close()


@contextmanager
def restante_server(folder: Path, accounts: int) -> Iterator[Running]:
    data = folder / "restante"
    shutil.rmtree(data, ignore_errors=True)
    asyncio.run(add_accounts(data, USERS + [f"s{i}@bench.example" for i in range(accounts)]))
    ports = {"imap": 32143, "pop3": 32110, "lmtp": 32024}
    listen = [x for n, p in ports.items() for x in ("--listen", f"{n}=127.0.0.1:{p}")]
    listen += ["--listen", "imaps=off", "--listen", "pop3s=off"]
    # as the yardstick's own configuration: a thousand connections of one account are wanted here
    config = folder / "restante.toml"
    config.write_text("[limits]\nconnections_account = 20000\n")
    with (folder / "restante.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "restante", "--data", str(data), "--config", str(config), "serve", *listen],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert server.stdout is not None
        for line in server.stdout:
            if line.strip() == "ready":
                break
        else:
            raise SystemExit(f"restante did not start: see {log.name}")
        address = {n: f"127.0.0.1:{p}" for n, p in ports.items()}
        try:
            yield Running(address["imap"], address["pop3"], address["lmtp"], server.pid)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
    shutil.rmtree(data, ignore_errors=True)


@contextmanager
def dovecot_server(folder: Path, tools: Path, accounts: int, index: str = "none") -> Iterator[Running]:
    home = folder / "dovecot"
    environment = {**os.environ, "DOVECOT_DIR": str(home)}
    script = ["bash", str(tools / "dovecot.sh")]
    subprocess.run(
        [*script, "start", "sdbox", "optimized", index], check=True, env=environment, stdout=subprocess.DEVNULL
    )
    with (home / "users").open("a") as users:
        users.writelines(f"s{i}@bench.example:{{PLAIN}}{PASSWORD}\n" for i in range(accounts))
    pid = int((home / "run" / "master.pid").read_text())
    try:
        yield Running("127.0.0.1:31143", "127.0.0.1:31110", "127.0.0.1:31024", pid)
    finally:
        subprocess.run([*script, "stop"], check=False, env=environment)
        shutil.rmtree(home, ignore_errors=True)


def spread(lmtp: str, accounts: int, messages: int) -> float:
    """Messages a second, 16 connections, each message to the next of many accounts."""
    per = messages // 16
    with multiprocessing.Pool(16) as pool:
        start = time.perf_counter()
        pool.starmap(_spread_one, [(lmtp, k, accounts, per) for k in range(16)], 1)
        return 16 * per / (time.perf_counter() - start)


def _spread_one(lmtp: str, k: int, accounts: int, count: int) -> None:
    host, port = lmtp.rsplit(":", 1)
    body = b"x" * 76 + b"\r\n"
    with socket.create_connection((host, int(port))) as s, s.makefile("rb") as answers:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers.readline()
        s.sendall(b"LHLO bench\r\n")
        while answers.readline()[3:4] == b"-":
            pass
        for i in range(count):
            to = (i * 16 + k) % accounts
            head = f"From: a@b.example\r\nSubject: {i}\r\nMessage-ID: <{k}.{i}@spread.example>\r\n\r\n".encode()
            s.sendall(b"MAIL FROM:<bench@b.example>\r\nRCPT TO:<s%d@bench.example>\r\nDATA\r\n" % to)
            for _ in range(3):
                if (got := answers.readline())[:1] not in b"23":
                    raise AssertionError(got)
            s.sendall(head + body * 90 + b".\r\n")
            if not (got := answers.readline()).startswith(b"250"):
                raise AssertionError(got)
        s.sendall(b"QUIT\r\n")


def drain(imap: str) -> float:
    """Seconds to receive all bodies, the median of three: the client keeps and looks at nothing, so the time is the
    server's."""
    host, port = imap.rsplit(":", 1)
    times = []
    with socket.create_connection((host, int(port))) as s:
        s.sendall(f"a LOGIN {USERS[0]} {PASSWORD}\r\n".encode() + TAG + b" SELECT INBOX\r\n")
        _until(s, TAG)
        for _ in range(3):
            start = time.perf_counter()
            s.sendall(TAG + b" UID FETCH 1:* (BODY.PEEK[])\r\n")
            _until(s, TAG)
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def search(imap: str, keys: bytes) -> Found:
    """A search by a connection of its own."""
    host, port = imap.rsplit(":", 1)
    times, answer = [], b""
    with socket.create_connection((host, int(port))) as s:
        s.sendall(f"a LOGIN {USERS[0]} {PASSWORD}\r\n".encode() + TAG + b" SELECT INBOX\r\n")
        _until(s, TAG)
        for _ in range(5):
            start = time.perf_counter()
            s.sendall(TAG + b" UID SEARCH " + keys + b"\r\n")
            answer = _until(s, TAG, 1 << 24)
            times.append(time.perf_counter() - start)
    named = re.search(rb"\* SEARCH([0-9 ]*)", answer)
    if named is None:
        raise AssertionError(answer[-200:])
    return Found(statistics.median(times), len(named.group(1).split()))


def _until(s: socket.socket, tag: bytes, keep: int = 200) -> bytes:
    """Read until the command of this tag has ended; the last `keep` octets. ValueError where it ended otherwise than
    with OK."""
    buffer, tail, mark = bytearray(1 << 20), b"\r\n", b"\r\n" + tag + b" "
    while mark not in tail[-200:] or not tail.endswith(b"\n"):
        count = s.recv_into(buffer)
        if not count:
            raise ConnectionError("closed by server")
        tail = (tail + bytes(buffer[max(0, count - keep) : count]))[-keep:]
    if mark + b"OK" not in tail[-200:]:
        raise ValueError(tail[-200:])
    return tail


def searches(imap: str, corpus: Path) -> list[Found]:
    """Each of SEARCHES."""
    words = _phrase(corpus)
    given = [b" ".join(words), b" ".join(reversed(words))]
    return [search(imap, keys % given.pop(0) if b"%b" in keys else keys) for _, keys in SEARCHES]


def _phrase(corpus: Path) -> list[bytes]:
    """Two long words that stand in a row in a text of the corpus."""
    with corpus.open("rb") as lines:
        for line in lines:
            if found := re.fullmatch(rb"(?:[a-z]+ ){4,}([a-z]{5,}) ([a-z]{5,})(?: [a-z]+)+\n", line):
                return [found.group(1), found.group(2)]
    raise ValueError("no phrase in the corpus")


def with_xapian(folder: Path, corpus: Path, options: argparse.Namespace) -> tuple[list[Found], str]:
    """Dovecot with a full-text index: the searches once it is complete, and a sentence on what that took."""
    with dovecot_server(folder, options.tools, 0, "xapian") as server:
        fill(server, corpus, options)
        start = time.monotonic()
        while any(b"indexer-worker" in line for line in _below(server.pid)):
            if time.monotonic() - start > INDEXED:
                raise TimeoutError(f"Dovecot's index is not complete after {INDEXED:.0f} s")
            time.sleep(1)  # nobody tells when Dovecot's indexer has done
        found = searches(server.imap, corpus)
        cpu = _processor(server.pid)
        size = sum(path.stat().st_size for path in (folder / "dovecot").glob("mail/**/xapian-indexes/**/*"))
    return found, f"Dovecot with fts-xapian: {cpu:.0f} CPU seconds, delivery included; index {size / 1e6:.0f} MB."


def wait_indexed(data: Path) -> None:
    """Until the search index of the largest account is as complete as it gets while nothing comes."""
    account = max(data.glob("accounts/*/*.db"), key=lambda path: path.stat().st_size)
    start = time.monotonic()
    with closing(apsw.Connection(str(account), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        last = int(db.execute("SELECT max(key) FROM email").get or 0)
    while last - _indexed(account.with_suffix(".index")) >= BATCH:
        if time.monotonic() - start > INDEXED:
            raise TimeoutError(f"Restante's index is not complete after {INDEXED:.0f} s")
        time.sleep(0.2)  # the index is another process's file


def _indexed(path: Path) -> int:
    """The email up to which an index is complete, 0 where there is none yet."""
    try:
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as db:
            return int(db.execute("SELECT upto FROM state").get or 0)
    except (apsw.CantOpenError, apsw.SQLError):  # not made yet, or being made
        return 0


def fill(server: Running, corpus: Path, options: argparse.Namespace) -> None:
    """Deliver the corpus and measure nothing."""
    command = [sys.executable, str(options.tools / "mailbench.py"), "--corpus", str(corpus), "--only", "deliver,append"]
    command += ["--imap", server.imap, "--lmtp", server.lmtp, "--user", USERS[0], "--password", PASSWORD]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _below(pid: int) -> list[bytes]:
    """Command lines of all processes that a process has started."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            found.append(Path(f"/proc/{child}/cmdline").read_bytes())
        except FileNotFoundError:
            continue  # ended just now
    return found


def _processor(pid: int) -> float:
    """Processor seconds of a process and all below it, dead ones included."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ticks = 0
    for each in (str(pid), *children):
        try:
            ticks += sum(map(int, Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:15]))
        except FileNotFoundError:
            continue  # ended just now, and is counted with its parent the next time
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(
    server: Running, corpus: Path, tools: Path, options: argparse.Namespace, data: Path | None = None
) -> dict[str, float]:
    """One round. data: of a server that indexes behind, which is waited for before the search of what is indexed."""
    command = [sys.executable, str(tools / "mailbench.py"), "--corpus", str(corpus)]
    command += ["--imap", server.imap, "--pop3", server.pop3, "--lmtp", server.lmtp]
    command += ["--user", USERS[0], "--password", PASSWORD, "--match", f"pid:{server.pid}", "--idle", str(options.idle)]
    if options.users:
        command += ["--users", ",".join(USERS)]
    if options.only:
        command += ["--only", options.only]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, object] = json.loads(run.stdout)
    result = {k: float(v) for k, v in answer.items() if isinstance(v, int | float)}
    start, end = answer.get("usage_start"), answer.get("usage_end")
    if isinstance(start, dict) and isinstance(end, dict):
        result["cpu_s"] = end["cpu_s"] - start["cpu_s"]
    result["drain_s"] = drain(server.imap)
    if data is not None:
        wait_indexed(data)
    result["search_indexed_s"] = search(server.imap, b"TEXT zqx7needle").seconds
    if options.accounts:
        result["spread_per_s"] = spread(server.lmtp, options.accounts, options.accounts * 4)
    return result


def table(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> str:
    lines = ["| work | Restante | Dovecot | ratio |", "|---|---:|---:|---:|"]
    for key, what, larger in ROWS:
        a = [r[key] for r in ours if r.get(key)]
        b = [r[key] for r in theirs if r.get(key)]
        if not a or not b:
            continue
        x, y = statistics.median(a), statistics.median(b)
        ratio = x / y if larger else y / x
        lines.append(f"| {what} | {figure(key, x)} | {figure(key, y)} | {ratio:.2f} |")
    return "\n".join(lines)


def search_table(columns: dict[str, list[Found]]) -> str:
    """Each search: how long, how many found; where servers differ, who is right shows in the messages."""
    lines = [f"| search for | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for i, (what, _) in enumerate(SEARCHES):
        cells = [f"{found[i].seconds * 1000:.2f} ms, {found[i].count:,}" for found in columns.values()]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def figure(key: str, value: float) -> str:
    if key.endswith("_per_s"):
        return f"{value:,.0f}/s"
    if key == "idle_kb_each":
        return f"{value:.1f} kB"
    if key == "cpu_s":
        return f"{value:.1f} s"
    return f"{value * 1000:.2f} ms"


def machine() -> str:
    model = "unknown processor"
    if (found := re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())) is not None:
        model = found.group(1)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    software = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {software}"


def report(script: str, text: str, markdown: Path | None, rounds: int | None = None) -> None:
    """Print what a script of this folder has found, with its command, the day and the machine; write it there too."""
    command, today = " ".join([f"bench/{script}", *sys.argv[1:]]), datetime.now(tz=UTC).date()
    often = f" {rounds} rounds," if rounds is not None else ""
    whole = f"`{command}`, {today},{often} {machine()}\n\n{text}\n"
    print(whole)
    if markdown:
        markdown.write_text(whole)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tools", type=Path, default=ROOT.parent / "shared" / "bench")
    p.add_argument("--messages", type=int, default=10_000)
    p.add_argument("--median", type=int, default=6000)
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--only")
    p.add_argument("--idle", type=int, default=1000)
    p.add_argument("--accounts", type=int, default=1000)
    p.add_argument("--users", action="store_true", help="spread the 16 connections over 16 accounts")
    p.add_argument("--large", action="store_true", help=f"100,000 messages, --only {','.join(LARGE)}")
    p.add_argument("--xapian", action="store_true", help="searches beside Dovecot with fts-xapian, answers compared")
    p.add_argument("--markdown", type=Path, help="write the table there too")
    options = p.parse_args()
    if options.large:
        options.messages, options.median, options.only = 100_000, 2_000, ",".join(LARGE)
        options.accounts = options.idle = 0
    if not (options.tools / "mailbench.py").exists():
        print(f"skipped: no load tools in {options.tools}")
        return 0
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    compared: dict[str, list[Found]] = {}
    indexed = ""
    with tempfile.TemporaryDirectory(prefix="restante-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Dovecot's mail user has to reach its folder
        corpus = folder / "corpus.mbox"
        generate = [str(options.tools / "corpus.py"), str(options.messages), str(corpus)]
        subprocess.run([sys.executable, *generate, "--median", str(options.median)], check=True)
        yardstick = shutil.which("dovecot") is not None and os.geteuid() == 0
        if not yardstick:
            print("no yardstick: Dovecot is not installed, or we are not root")
        for _ in range(options.rounds):
            with restante_server(folder, options.accounts) as server:
                ours.append(measure(server, corpus, options.tools, options, folder / "restante"))
            if yardstick:
                with dovecot_server(folder, options.tools, options.accounts) as server:
                    theirs.append(measure(server, corpus, options.tools, options))
        if options.xapian and yardstick:
            with restante_server(folder, 0) as server:
                fill(server, corpus, options)
                wait_indexed(folder / "restante")
                compared["Restante"] = searches(server.imap, corpus)
            with dovecot_server(folder, options.tools, 0) as server:
                fill(server, corpus, options)
                compared["Dovecot"] = searches(server.imap, corpus)
            compared["Dovecot with fts-xapian"], indexed = with_xapian(folder, corpus, options)
    texts = [table(ours, theirs) if theirs else json.dumps(ours, indent=1)] if ours else []
    if compared:
        texts += [search_table(compared), indexed]
    report("compare.py", "\n\n".join(texts), options.markdown, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
