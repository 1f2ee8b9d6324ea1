"""The server under stress: as a program with several workers, and what its memory is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .client import PASSWORD, USER

CONFIG = """
[auth]
argon2_memory = "1 MiB"
argon2_time = 1
[limits]
connections_account = 1000
"""


class Server:
    """A running server. ports: by listener name."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.ports: dict[str, int] = {}
        assert process.stdout is not None
        for line in process.stdout:
            if line == "ready\n":
                break
            name, _, rest = line.partition(" ")
            if ":" in rest:
                self.ports[name] = int(rest.split()[0].rpartition(":")[2])

    def workers(self) -> list[int]:
        return [int(pid) for pid in json.loads(restante(self.folder, "status", "--json"))["workers"]]

    def memory(self) -> int:
        """Octets that the workers have in memory alone, all together."""
        total = 0
        for pid in self.workers():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Private_"):
                    total += int(line.split()[1]) << 10
        return total


def restante(folder: Path, *args: str, given: str = "") -> str:
    """Run a `restante` command on the server's data to its end; its output."""
    command = [sys.executable, "-m", "restante", "--data", str(folder), "--config", str(folder / "config.toml"), *args]
    ended = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@contextmanager
def serving(folder: Path, workers: int) -> Iterator[Server]:
    """A server with the one account. Its log is shown where the test fails."""
    folder.mkdir()
    (folder / "config.toml").write_text(CONFIG)
    restante(folder, "domain", "add", USER.partition("@")[2])
    restante(folder, "account", "add", USER, "--no-mailboxes", "--password-stdin", given=PASSWORD + "\n")
    listen = [f"--listen={name}=127.0.0.1:0" for name in ("imap", "pop3", "lmtp")]
    off = ["--listen=imaps=off", "--listen=pop3s=off"]
    log = folder / "log"
    command = [sys.executable, "-m", "restante", "--data", str(folder), "--config", str(folder / "config.toml")]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*command, "serve", f"--workers={workers}", *listen, *off],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | {"PYTHONFAULTHANDLER": "1"},
        )
    try:
        yield Server(folder, process)
    finally:
        process.terminate()
        process.wait(30)
        said = [line for line in log.read_text().splitlines() if " error " in line or " warning " in line]
        print("\n".join(said[-50:]))
    assert not said, "the server had something to complain of"
