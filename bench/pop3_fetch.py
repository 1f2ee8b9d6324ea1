"""POP3 download into an mbox file beside mpop: the same Dovecot, the same mail, in turn.

    PYTHONPATH=.:src python bench/pop3_fetch.py [MESSAGES]

Needs root, dovecot-pop3d and mpop. Messages of 8 kB; a first download, and a second one that finds nothing new. Ours is
measured within this process, mpop from its start, which takes it some milliseconds.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.sync.dovecot_pop3 import OWNER, PASSWORD, USER, Dovecot, available, dovecot

from restante.clock import SystemClock
from restante.sync.pop3.fetch import fetch
from restante.sync.pop3.mbox_target import MboxTarget
from restante.sync.pop3.settings import Pop3Settings, Security
from restante.sync.pop3.state import Pop3State

LINE = b"some words to fill a line of about seventy octets, and then a few more\n"


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    if not available():
        sys.exit("dovecot-pop3d is not installed, or we are not root")
    with dovecot() as server, tempfile.TemporaryDirectory() as folder:
        for n in range(messages):
            head = (
                f"Received: from mx.example.net by mail.example.org with ESMTPS id {n:08x}\n"
                f"From: Writer <w{n}@example.net>\nTo: {USER}\nSubject: message {n}\n"
                f"Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <{n}@example.net>\n\n"
            )
            path = server.maildir / "new" / f"{1_700_000_000 + n}.M1P1.host"
            path.write_bytes(head.encode() + b"%d\n" % n + LINE * 110)
        subprocess.run(["chown", "-R", OWNER, server.maildir], check=True)
        ours(server, Path(folder) / "warm", messages)  # Dovecot reads sizes and makes its index here
        for turn in range(3):
            for name, work in (("restante", ours), ("mpop", mpop)):
                first, second = work(server, Path(folder) / f"{name}-{turn}", messages)
                print(f"{name:9} {first:6.2f} s {messages / first:6.0f} messages/s; nothing new {second:.3f} s")


def ours(server: Dovecot, folder: Path, messages: int) -> tuple[float, float]:
    async def secret(renew: bool) -> str:
        return PASSWORD

    folder.mkdir()
    settings = Pop3Settings(server.host, server.port, USER, secret, security=Security.NONE)
    times = []
    for expected in (messages, 0):
        start = time.perf_counter()
        with Pop3State(folder / "state", settings.source) as state:
            report = asyncio.run(fetch(settings, MboxTarget(folder / "mbox"), state, SystemClock()))
        times.append(time.perf_counter() - start)
        assert report.downloaded == expected, report
    return times[0], times[1]


def mpop(server: Dovecot, folder: Path, messages: int) -> tuple[float, float]:
    folder.mkdir()
    rc = folder / "rc"
    rc.touch(0o600)
    rc.write_text(
        f"account a\nhost {server.host}\nport {server.port}\nuser {USER}\npassword {PASSWORD}\nauth plain\ntls off\n"
        f"delivery mbox {folder}/mbox\nuidls_file {folder}/uidls\nreceived_header off\nkeep on\n"
    )
    times = []
    for _ in range(2):
        start = time.perf_counter()
        subprocess.run(["mpop", f"--file={rc}", "--quiet", "a"], check=True)
        times.append(time.perf_counter() - start)
    return times[0], times[1]


if __name__ == "__main__":
    main()
