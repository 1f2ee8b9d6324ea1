"""POP3 download beside mpop and getmail: the same Dovecot, the same mail, in turn, each a process from its start.

    PYTHONPATH=.:src python bench/pop3_fetch.py [MESSAGES [ROUNDS]]

Needs root, dovecot-pop3d, mpop and getmail6; what is missing is left out. Messages of 8 kB; a first download, and a
second one that finds nothing new. Wall seconds and processor seconds (user and system) of the client; medians.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.sync.dovecot_pop3 import OWNER, PASSWORD, USER, Dovecot, available, dovecot

LINE = b"some words to fill a line of about seventy octets, and then a few more\n"

LIMIT = 60.0
"""Seconds that one run may take. getmail 6.18 forks for each message, and where it loses a race with its child waits 60
seconds for a signal that came already."""

Prepare = Callable[[Dovecot, Path, str], list[str]]


def restante(server: Dovecot, folder: Path, kind: str) -> list[str]:
    file, password = folder / "sync.toml", folder / "password"
    for private in (file, password):
        private.touch(0o600)
    password.write_text(PASSWORD)
    file.write_text(
        f'data = "{folder}/data"\n[copy.a]\npop3 = "{server.host}:{server.port}"\ntls = "none"\nuser = "{USER}"\n'
        f'password_file = "{password}"\n{kind} = "{folder}/mail"\n'
    )
    return [sys.executable, "-m", "restante", "sync", "--quiet", "--config", str(file), "a"]


def mpop(server: Dovecot, folder: Path, kind: str) -> list[str]:
    rc = folder / "rc"
    rc.touch(0o600)
    rc.write_text(
        f"account a\nhost {server.host}\nport {server.port}\nuser {USER}\npassword {PASSWORD}\nauth plain\ntls off\n"
        f"delivery {kind} {folder}/mail\nuidls_file {folder}/uidls\nreceived_header off\nkeep on\n"
    )
    return ["mpop", f"--file={rc}", "--quiet", "a"]


def getmail(server: Dovecot, folder: Path, kind: str) -> list[str]:
    rc = folder / "rc"
    rc.touch(0o600)
    destination = (
        f"type = Maildir\npath = {folder}/mail/" if kind == "maildir" else f"type = Mboxrd\npath = {folder}/mail"
    )
    rc.write_text(
        f"[retriever]\ntype = SimplePOP3Retriever\nserver = {server.host}\nport = {server.port}\nusername = {USER}\n"
        f"password = {PASSWORD}\n[destination]\n{destination}\n"
        "[options]\nread_all = false\ndelete = false\ndelivered_to = false\nreceived = false\nverbose = 0\n"
    )
    return ["getmail", f"--getmaildir={folder}", f"--rcfile={rc}"]


PROGRAMS: dict[str, Prepare] = {"restante": restante, "mpop": mpop, "getmail": getmail}


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    if not available():
        sys.exit("dovecot-pop3d is not installed, or we are not root")
    programs = {name: how for name, how in PROGRAMS.items() if name == "restante" or shutil.which(name)}
    with dovecot() as server, tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        fill(server, messages)
        print(f"{messages} messages; wall s / processor s: download, then nothing new")
        for kind in ("maildir", "mbox"):
            measure(server, Path(folder) / "warm", "restante", kind, messages)  # Dovecot makes its index here
            found: dict[str, list[list[float]]] = {}
            for turn in range(rounds):
                for name in programs:
                    times = measure(server, Path(folder) / f"{name}-{turn}", name, kind, messages)
                    found.setdefault(name, []).append(times)
            ours = [statistics.median(column) for column in zip(*found["restante"], strict=True)]
            for name, turns in found.items():
                first, cpu, again, cpu_again = (statistics.median(column) for column in zip(*turns, strict=True))
                print(
                    f"{kind:8} {name:9} {first:6.2f} /{cpu:6.2f} ({first / ours[0]:.2f}, {cpu / ours[1]:.2f})"
                    f"   {again:6.3f} /{cpu_again:6.3f} ({again / ours[2]:.2f})"
                )


def fill(server: Dovecot, messages: int) -> None:
    for n in range(messages):
        head = (
            f"Received: from mx.example.net by mail.example.org with ESMTPS id {n:08x}\n"
            f"From: Writer <w{n}@example.net>\nTo: {USER}\nSubject: message {n}\n"
            f"Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <{n}@example.net>\n\n"
        )
        path = server.maildir / "new" / f"{1_700_000_000 + n}.M1P1.host"
        path.write_bytes(head.encode() + b"%d\n" % n + LINE * 110)
    subprocess.run(["chown", "-R", OWNER, server.maildir], check=True)


def measure(server: Dovecot, folder: Path, name: str, kind: str, messages: int) -> list[float]:
    """Wall and processor seconds of a first download, and of one that finds nothing new."""
    folder.mkdir()
    mail = folder / "mail"
    if kind == "maildir":
        for part in ("cur", "new", "tmp"):
            (mail / part).mkdir(parents=True)
    elif name == "getmail":
        mail.touch()  # it makes none
    command = PROGRAMS[name](server, folder, kind)
    # getmail delivers nothing as root.
    owner, group = (OWNER, "nogroup") if name == "getmail" else (None, None)
    environment = os.environ | {"HOME": str(folder)}
    if owner:
        subprocess.run(["chown", "-R", f"{owner}:{group}", folder], check=True)
    times = []
    for _ in range(2):
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=owner, group=group, env=environment
        )
        ending = threading.Timer(LIMIT, process.terminate)
        ending.start()
        _, status, usage = os.wait4(process.pid, 0)
        ending.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        # What was cut off is counted on to all messages.
        got = count(mail, kind)
        late = time.perf_counter() - start >= LIMIT
        if not got or (not late and (process.returncode or got != messages)):
            raise SystemExit(f"{name}: status {process.returncode}, {got} of {messages} messages")
        whole = messages / got if late else 1.0
        times += [(time.perf_counter() - start) * whole, (usage.ru_utime + usage.ru_stime) * whole]
        if late:
            print(f"{name}: cut off after {LIMIT:.0f} s with {got} of {messages} messages", file=sys.stderr)
            times += [float("nan")] * 2
            break
    shutil.rmtree(folder)
    return times


def count(mail: Path, kind: str) -> int:
    if kind == "maildir":
        return sum(1 for part in ("cur", "new") for _ in (mail / part).iterdir())
    with mail.open("rb") as file:
        return sum(line.startswith(b"From ") for line in file)


if __name__ == "__main__":
    main()
