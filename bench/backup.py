#!/usr/bin/env python3
"""`restante backup` beside restic and borg: the same mail, in turn, and a table of ratios.

usage: bench/backup.py [--tools DIR] [--messages N] [--median OCTETS] [--python FILE] [--markdown FILE]

Needs Debian's restic and borgbackup and the load tool corpus.py in DIR (default ../shared/bench). The mail lies in a
store, which Restante backs up, and as a Maildir tree made of it by `restante export`, which the others do. Steps: the
first backup; nothing changed (three times); the flags of every hundredth message changed; one message back; all back.
Times are of the whole process; sizes of all files of the repository. All open their repository with a passphrase. The
nights are taken a second time by Restante with a key file, as machines do, and one of them without the note that the
run before left ("all looked at": so is the first night after each prune, and one in seven days).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from compare import ROOT, add_accounts, report

from restante.clock import SystemClock, system_random
from restante.config.model import Config
from restante.config.paths import make_data
from restante.server.engine import open_engine
from restante.store.model import Column, FlagMode, Flags

USER = "u0@bench.example"
PASSPHRASE = "correct horse battery staple"


@dataclass
class Tool:
    """One backup. one: takes a folder and the message's file in the tree. steps: seconds by name. size: octets of the
    repository after the first backup."""

    name: str
    repository: Path
    first: Callable[[], list[list[str]]]
    again: Callable[[], list[list[str]]]
    one: Callable[[Path, str], list[list[str]]]
    all: Callable[[Path], list[list[str]]]
    environment: dict[str, str]
    by_key_file: list[str] = field(default_factory=list)
    steps: dict[str, list[float]] = field(default_factory=dict)
    size: int = 0

    def time(self, step: str, commands: list[list[str]], cwd: Path | None = None) -> None:
        start = time.perf_counter()
        for command in commands:
            done = subprocess.run(command, env=self.environment, cwd=cwd, capture_output=True, check=False)
            if done.returncode:
                raise SystemExit(f"{' '.join(command)}: {done.stderr.decode(errors='replace')[-2000:]}")
        took = time.perf_counter() - start
        self.steps.setdefault(step, []).append(took)
        print(f"  {self.name}: {step}: {took:.2f} s", file=sys.stderr)

    def weigh(self) -> None:
        self.size = sum(path.stat().st_size for path in self.repository.rglob("*") if path.is_file())


def tools(folder: Path, data: Path, tree: Path, email: str, python: str) -> list[Tool]:
    """email: EMAILID of the message that is brought back alone. python: that runs Restante."""
    secret = folder / "passphrase"
    secret.write_text(PASSPHRASE + "\n")
    secret.chmod(0o600)
    call = [python, "-m", "restante", "--data", str(data), "backup"]
    key = ["--passphrase-file", str(secret)]
    places = {name: folder / name for name in ("restante.backup", "restic", "borg")}
    ours, restic, borg = (str(place) for place in places.values())
    environment = {
        **os.environ, "RESTIC_PASSWORD": PASSPHRASE, "BORG_PASSPHRASE": PASSPHRASE,
        "RESTIC_CACHE_DIR": str(folder / "restic-cache"), "BORG_BASE_DIR": str(folder / "borg-base"),
    }  # fmt: skip
    nights = iter(range(1000))
    subprocess.run([*call, "init", ours, *key], check=True, stdout=subprocess.DEVNULL)
    adding = [*call, "key", "add", "--location", ours, *key, "--new-key-file", str(folder / "key")]
    subprocess.run(adding, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["restic", "-q", "init", "-r", restic], check=True, env=environment)
    subprocess.run(
        ["borg", "init", "-e", "repokey-blake2", borg], check=True, env=environment, stderr=subprocess.DEVNULL
    )
    last = [0]

    def archive() -> list[list[str]]:
        last[0] = next(nights)
        return [["borg", "create", f"{borg}::n{last[0]}", str(tree)]]

    here = str(tree).lstrip("/")
    return [
        Tool(
            "restic", places["restic"],
            lambda: [["restic", "-q", "-r", restic, "backup", str(tree)]],
            lambda: [["restic", "-q", "-r", restic, "backup", str(tree)]],
            lambda to, wanted: [["restic", "-q", "-r", restic, "dump", "latest", f"/{here}/{wanted}"]],
            lambda to: [["restic", "-q", "-r", restic, "restore", "latest", "--target", str(to)]],
            environment,
        ),
        Tool(
            "borg", places["borg"], archive, archive,
            lambda to, wanted: [["borg", "extract", "--stdout", f"{borg}::n{last[0]}", f"{here}/{wanted}"]],
            lambda to: [["borg", "extract", f"{borg}::n{last[0]}"]],
            environment,
        ),
        Tool(
            "Restante", places["restante.backup"],
            lambda: [[*call, "run", ours, *key]],
            lambda: [[*call, "run", ours, *key]],
            lambda to, wanted: [[
                *call, "restore", ours, *key, "--account", USER, "--message", email, "--out", str(to / "one"),
            ]],
            lambda to: [[
                python, "-m", "restante", "--data", str(data), "backup", "restore", ours, *key, "--all",
                "--data", str(to / "data"),
            ]],
            environment,
            [*call, "run", ours, "--key-file", str(folder / "key")],
        ),
    ]  # fmt: skip


async def email_in_the_middle(data: Path) -> str:
    """EMAILID of a message half way through INBOX."""
    engine = open_engine(Config(), data, SystemClock(), system_random)
    account = (await engine.directory.accounts())[0]
    store = engine.account(account.id)
    box = (await store.mailboxes())[0]
    uids = (await store.snapshot(box.key)).uids.uids
    uid = uids[len(uids) // 2]
    ((_, email),) = await store.rows(box.key, ((uid, uid),), [Column.EMAIL_ID], 1)
    await engine.close()
    assert isinstance(email, bytes)
    return email.decode("ascii")


async def flag(data: Path, first: int = 0) -> None:
    """The flags of every hundredth message, in the store. first: number of the first one."""
    engine = open_engine(Config(), data, SystemClock(), system_random)
    account = (await engine.directory.accounts())[0]
    store = engine.account(account.id)
    box = (await store.mailboxes())[0]
    uids = (await store.snapshot(box.key)).uids.uids
    await store.store_flags(
        box.key, tuple((uid, uid) for uid in uids[first::100]), FlagMode.ADD, Flags.of(["\\Flagged"])
    )
    await engine.close()


def flag_tree(tree: Path) -> None:
    for path in sorted(tree.glob("cur/*"))[::100]:
        base, _, flags = path.name.partition(":2,")
        path.rename(path.with_name(base + ":2," + "".join(sorted({*flags, "F"}))))


def table(found: list[Tool]) -> str:
    ours = found[-1]
    lines = ["| work | " + " | ".join(t.name for t in found) + " | ratio to the better one |"]
    lines.append("|---|" + "---:|" * (len(found) + 1))
    for step in ours.steps:
        times = [statistics.median(t.steps[step if step in t.steps else step.partition(",")[0]]) for t in found]
        cells = " | ".join(f"{x:.2f} s" for x in times)
        lines.append(f"| {step} | {cells} | {min(times[:-1]) / times[-1]:.1f} |")
    cells = " | ".join(f"{t.size / 1e6:.0f} MB" for t in found)
    lines.append(f"| size of the repository | {cells} | {min(t.size for t in found[:-1]) / ours.size:.2f} |")
    return "\n".join(lines)


def main() -> int:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as everywhere else: what was compiled once is not compiled again
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tools", type=Path, default=ROOT.parent / "shared" / "bench")
    p.add_argument("--messages", type=int, default=100_000)
    p.add_argument("--median", type=int, default=2000)
    p.add_argument(
        "--python", default=sys.executable,
        help="of an installation without what developing needs: msgspec loads typing_extensions where that is there,"
        " which takes 8 ms of each run",
    )  # fmt: skip
    p.add_argument("--markdown", type=Path, help="write the table there too")
    options = p.parse_args()
    if not (options.tools / "corpus.py").exists() or not shutil.which("restic") or not shutil.which("borg"):
        print("skipped: the load tools, restic or borg are not here")
        return 0
    with tempfile.TemporaryDirectory(prefix="restante-bench-") as name:
        folder = Path(name)
        corpus, data, tree = folder / "corpus.mbox", folder / "data", folder / "tree"
        generate = [str(options.tools / "corpus.py"), str(options.messages), str(corpus)]
        subprocess.run([sys.executable, *generate, "--median", str(options.median)], check=True)
        asyncio.run(add_accounts(make_data(data), [USER]))
        call = [sys.executable, "-m", "restante", "--data", str(data)]
        for command in (
            ["import", str(corpus), "--account", USER, "--mailbox", "INBOX"],
            ["export", "--account", USER, str(tree)],
        ):
            subprocess.run([*call, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        corpus.unlink()
        found = tools(folder, data, tree, asyncio.run(email_in_the_middle(data)), options.python)
        for tool in found:
            tool.time("first backup", tool.first())
            tool.weigh()
        for _ in range(3):
            for tool in found:
                tool.time("nothing changed", tool.again())
        ours = found[-1]
        for _ in range(3):
            shutil.rmtree(data / "backup-notes")
            ours.time("nothing changed, all looked at", ours.again())
        asyncio.run(flag(data))
        flag_tree(tree)
        for tool in found:
            tool.time("flags of 1% changed", tool.again())
        asyncio.run(flag(data, 1))
        ours.time("flags of 1% changed, by key file", [ours.by_key_file])
        for _ in range(3):
            ours.time("nothing changed, by key file", [ours.by_key_file])
        wanted = str(sorted(tree.glob("cur/*"))[options.messages // 2].relative_to(tree))
        for tool in found:
            tool.time("one message back", tool.one(folder, wanted))
        for tool in found:
            to = folder / f"back-{tool.name}"
            to.mkdir()
            tool.time("all back", tool.all(to), to)
    report("backup.py", table(found), options.markdown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
