#!/usr/bin/env python3
"""`restante sync` beside mbsync: the same mail on the same Dovecot, in turn, and a table of ratios.

usage: bench/sync.py [--tools DIR] [--messages N] [--median OCTETS] [--rounds N] [--mailboxes N] [--markdown FILE]

Needs root, Debian's dovecot and isync packages, and the load tools (corpus.py, dovecot.sh) in DIR (default
../shared/bench). Three copies of one account are kept: mbsync's and ours in a Maildir, ours in a store. Each is made
(first sync), then run with nothing changed, after 1,000 flags were set on the server, after 1,000 new messages came
there, and after 1,000 flags were set in the copy's own Maildir. Times are of the whole process with its start; memory
is its largest; processor time stands in parentheses, and makes the ratios on the right, which other work on the machine
moves less. At the end a run with nothing changed goes through a proxy that counts octets and turns.
"""

from __future__ import annotations

import argparse
import asyncio
import imaplib
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from compare import PASSWORD, ROOT, USERS, add_accounts, dovecot_server, report

from restante.config.paths import make_data

USER = USERS[0]
CHANGED = 1000


@dataclass
class Step:
    """What one run cost. wall, cpu: seconds; peak: octets."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: list[int] = field(default_factory=list)


def run(command: list[str], environment: dict[str, str]) -> tuple[float, float, int]:
    """Run a command alone; (wall seconds, processor seconds, most octets in memory) of it and its children."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: status {process.returncode}: {said.decode(errors='replace')[-2000:]}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


@dataclass
class Copy:
    """One tool with its copy. command: what syncs once. maildir: its INBOX, None for a store."""

    name: str
    command: list[str]
    environment: dict[str, str]
    maildir: Path | None
    steps: dict[str, Step] = field(default_factory=dict)

    def time(self, step: str) -> None:
        wall, cpu, peak = run(self.command, self.environment)
        kept = self.steps.setdefault(step, Step())
        kept.wall.append(wall)
        kept.cpu.append(cpu)
        kept.peak.append(peak)
        print(f"  {self.name}: {step}: {wall:.2f} s, processor {cpu:.2f} s, {peak / 1e6:.0f} MB", file=sys.stderr)


def mbsync(folder: Path, port: int) -> Copy:
    root = folder / "mbsync"
    root.mkdir()
    config = root / "mbsyncrc"
    config.write_text(
        f"IMAPAccount a\nHost 127.0.0.1\nPort {port}\nUser {USER}\nPass {PASSWORD}\nSSLType None\nAuthMechs LOGIN\n\n"
        f"IMAPStore far\nAccount a\n\nMaildirStore near\nPath {root}/mail/\nInbox {root}/mail/INBOX\n"
        "SubFolders Verbatim\n\n"
        "Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n"
    )
    (root / "mail").mkdir()
    return Copy("mbsync", ["mbsync", "-c", str(config), "-q", "-a"], dict(os.environ), root / "mail" / "INBOX")


def restante(folder: Path, port: int, what: str) -> Copy:
    root = folder / f"restante-{what}"
    root.mkdir()
    call = [sys.executable, "-m", "restante", "--data", str(root / "data"), "--config", str(root / "sync.toml")]
    target = ["--maildir", str(root / "mail")]
    if what == "store":
        asyncio.run(add_accounts(make_data(root / "data"), [USER]))
        target = ["--store", USER]
    at = ["--imap", f"127.0.0.1:{port}", "--no-tls", "--user", USER, "--password-command", f"echo {PASSWORD}"]
    environment = {**os.environ, "HOME": str(root), "XDG_DATA_HOME": str(root / "share")}
    subprocess.run([*call, "sync", "init", "c", *at, *target], check=True, env=environment, stdout=subprocess.DEVNULL)
    maildir = root / "mail" if what == "maildir" else None
    return Copy(f"restante, {what}", [*call, "sync", "c"], environment, maildir)


def fill(home: Path, source: Path, count: int) -> None:
    """Let Dovecot take a Maildir in, by its own tool."""
    conf = home / "dovecot.conf"
    subprocess.run(["doveadm", "-c", str(conf), "import", "-u", USER, f"maildir:{source}", "", "all"], check=True)
    login = imaplib.IMAP4("127.0.0.1", 31143)
    login.login(USER, PASSWORD)
    _, answer = login.select()
    login.logout()
    if answer[0] is None or int(answer[0]) != count:
        raise SystemExit(f"Dovecot holds {answer[0]!r} messages, not {count}")


def split(mbox: Path, at: Path, skip: int, count: int) -> None:
    """Messages skip..skip+count of an mbox as a Maildir that Dovecot's user may read."""
    (at / "new").mkdir(parents=True)
    (at / "cur").mkdir()
    (at / "tmp").mkdir()
    with mbox.open("rb") as file:
        text: list[bytes] = []
        number = -1
        for line in file:
            if line.startswith(b"From "):
                if skip <= number < skip + count:
                    (at / "cur" / f"{1_700_000_000 + number}.M{number}.bench:2,S").write_bytes(b"".join(text))
                text, number = [], number + 1
            else:
                text.append(line[1:] if re.match(rb">+From ", line) else line)
        if skip <= number < skip + count:
            (at / "cur" / f"{1_700_000_000 + number}.M{number}.bench:2,S").write_bytes(b"".join(text))
    subprocess.run(["chmod", "-R", "a+rwX", str(at)], check=True)


def flag_on_server(name: str, low: int) -> None:
    login = imaplib.IMAP4("127.0.0.1", 31143)
    login.login(USER, PASSWORD)
    login.select()
    login.store(f"{low}:{low + CHANGED - 1}", "+FLAGS.SILENT", f"({name})")
    login.logout()


def flag_in_copy(maildir: Path, low: int) -> None:
    for path in sorted(maildir.glob("cur/*"))[low : low + CHANGED]:
        base, _, flags = path.name.partition(":2,")
        path.rename(path.with_name(base + ":2," + "".join(sorted({*flags, "R"}))))


class Proxy:
    """Passes octets between a tool and the server, and counts them and how often the direction turned."""

    def __init__(self) -> None:
        self.up = self.down = self.turns = 0

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", 31143)
        last = ""

        async def pass_on(name: str, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            nonlocal last
            while data := await source.read(65_536):
                if name == "up":
                    self.up += len(data)
                    self.turns += last != "up"
                else:
                    self.down += len(data)
                last = name
                target.write(data)
                await target.drain()
            target.close()

        await asyncio.gather(
            pass_on("up", reader, far_writer), pass_on("down", far_reader, writer), return_exceptions=True
        )


def counted(copy: Copy, through: Callable[[int], None]) -> tuple[int, int, int]:
    """(octets up, octets down, turns of a run with nothing changed). through: makes the copy use this port."""

    async def scene() -> tuple[int, int, int]:
        proxy = Proxy()
        through(await proxy.start())
        process = await asyncio.create_subprocess_exec(*copy.command, env=copy.environment, stdout=subprocess.DEVNULL)
        if await process.wait():
            raise SystemExit(f"{copy.name} failed behind the proxy")
        return proxy.up, proxy.down, proxy.turns

    return asyncio.run(scene())


def table(copies: list[Copy]) -> str:
    yard = copies[0]
    ratios = [f"{of}, {what}" for of in ("ratio", "of processor time") for what in ("Maildir", "store")]
    lines = ["| work | " + " | ".join([*(c.name for c in copies), *ratios]) + " |"]
    lines.append("|---|" + "---:|" * (len(copies) + len(ratios)))
    for step in yard.steps:
        cells: list[str] = []
        walls: list[str] = []
        cpus: list[str] = []
        base = statistics.median(yard.steps[step].wall), statistics.median(yard.steps[step].cpu)
        for copy in copies:
            if step not in copy.steps:
                for column in (cells, walls, cpus):
                    column.append("")
                continue
            wall, cpu = statistics.median(copy.steps[step].wall), statistics.median(copy.steps[step].cpu)
            peak = statistics.median(copy.steps[step].peak)
            cells.append(f"{wall:.2f} s ({cpu:.2f}), {peak / 1e6:.0f} MB")
            walls.append(f"{base[0] / wall:.2f}")
            cpus.append(f"{base[1] / cpu:.2f}")
        lines.append(f"| {step} | " + " | ".join([*cells, *walls[1:], *cpus[1:]]) + " |")
    return "\n".join(lines)


def round_of(options: argparse.Namespace, folder: Path, corpus: Path, kept: dict[str, dict[str, Step]]) -> list[Copy]:
    with dovecot_server(folder, options.tools, 0) as server:
        home, port = folder / "dovecot", int(server.imap.rpartition(":")[2])
        for number in range(options.mailboxes):
            box = ["doveadm", "-c", str(home / "dovecot.conf"), "mailbox", "create", "-u", USER, f"Box {number:03}"]
            subprocess.run(box, check=True)
        first, later = folder / "first", folder / "later"
        split(corpus, first, 0, options.messages)
        split(corpus, later, options.messages, CHANGED)
        fill(home, first, options.messages)
        copies = [mbsync(folder, port), restante(folder, port, "maildir"), restante(folder, port, "store")]
        for copy in copies:
            copy.steps = kept.setdefault(copy.name, {})
        for copy in copies:
            copy.time("first sync")
        for _ in range(3):
            for copy in copies:
                copy.time("nothing changed")
        flag_on_server("\\Flagged", 1)
        for copy in copies:
            copy.time("1,000 flags changed on the server")
        fill(home, later, options.messages + CHANGED)
        for copy in copies:
            copy.time("1,000 new messages on the server")
        for number, copy in enumerate(copies[:2]):
            assert copy.maildir is not None
            flag_in_copy(copy.maildir, CHANGED * (2 + number))
            copy.time("1,000 flags changed in the Maildir")
        for copy in copies:
            copy.time("others' 1,000 flags")
        for copy in copies[1:]:
            config = Path(copy.command[copy.command.index("--config") + 1])
            text = config.read_text()
            run(copy.command, copy.environment)

            def through(proxy: int, config: Path = config, text: str = text) -> None:
                config.write_text(text.replace(str(port), str(proxy)))

            print(f"  {copy.name}, nothing changed (up, down, turns):", counted(copy, through), file=sys.stderr)
        return copies


def main() -> int:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as everywhere else: what was compiled once is not compiled again
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tools", type=Path, default=ROOT.parent / "shared" / "bench")
    p.add_argument("--messages", type=int, default=100_000)
    p.add_argument("--median", type=int, default=2000)
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--mailboxes", type=int, default=20, help="empty ones beside INBOX")
    p.add_argument("--markdown", type=Path, help="write the table there too")
    options = p.parse_args()
    if not (options.tools / "corpus.py").exists() or not shutil.which("mbsync") or not shutil.which("doveadm"):
        print("skipped: the load tools, isync or Dovecot are not here")
        return 0
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    kept: dict[str, dict[str, Step]] = {}
    with tempfile.TemporaryDirectory(prefix="restante-bench-") as name:
        top = Path(name)
        top.chmod(0o755)  # Dovecot's mail user has to reach its folder
        corpus = top / "corpus.mbox"
        generate = [str(options.tools / "corpus.py"), str(options.messages + CHANGED), str(corpus)]
        subprocess.run([sys.executable, *generate, "--median", str(options.median)], check=True)
        for number in range(options.rounds):
            folder = top / f"round{number}"
            folder.mkdir(mode=0o755)
            copies = round_of(options, folder, corpus, kept)
            shutil.rmtree(folder)
    report("sync.py", table(copies), options.markdown, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
