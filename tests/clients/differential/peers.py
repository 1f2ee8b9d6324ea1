"""The two servers as the test speaks to them: lines in, whole responses out."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

IMAP = Path("/usr/lib/dovecot/imap")
USER = "nobody"  # Dovecot serves no mail as root


class Peer:
    """One logged-in session."""

    def __init__(self, to: BinaryIO, back: BinaryIO) -> None:
        self.to = to
        self.back = back
        self._number = 0

    def do(self, command: bytes) -> list[bytes]:
        """Send a command, literals synchronised, and give its responses, the tagged one last."""
        self._number += 1
        tag = b"d%d" % self._number
        first, *rest = re.split(rb"(?<=\}\r\n)", tag + b" " + command + b"\r\n")
        self._send(first)
        lines: list[bytes] = []
        while True:
            line = self._response()
            if line.startswith(b"+"):
                self._send(rest.pop(0))
                continue
            lines.append(line)
            if line.startswith(tag + b" "):
                return lines

    def _send(self, data: bytes) -> None:
        self.to.write(data)
        self.to.flush()

    def _response(self) -> bytes:
        line = self.back.readline()
        while found := re.search(rb"\{(\d+)\}\r\n\Z", line):
            line += self.back.read(int(found[1])) + self.back.readline()
        assert line, "the server has gone"
        return line


@contextmanager
def ours(host: str, port: int, user: str, password: str) -> Iterator[Peer]:
    with socket.create_connection((host, port), 30) as sock, sock.makefile("rb") as back, sock.makefile("wb") as to:
        back.readline()
        peer = Peer(to, back)
        assert b" OK" in peer.do(f"LOGIN {user} {password}".encode())[-1]
        yield peer


@contextmanager
def dovecot() -> Iterator[Peer]:
    """Dovecot's imap program on a new Maildir, already logged in; no daemon, no port."""
    home = Path(tempfile.mkdtemp(prefix="restante-dovecot-"))  # pytest's own folders are closed to other users
    try:
        conf = home / "dovecot.conf"
        conf.write_text(
            f"mail_location = maildir:{home}/Maildir:LAYOUT=fs\nbase_dir = {home}/run\nssl = no\n"
            f"mail_uid = {USER}\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nmail_gid = nogroup\n"
            "namespace inbox {\n  inbox = yes\n  separator = /\n}\n"
        )
        for path in (home, *home.rglob("*")):
            shutil.chown(path, USER, "nogroup")
        with subprocess.Popen(
            [str(IMAP), "-c", str(conf)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"HOME": str(home), "USER": USER, "PATH": "/usr/sbin:/usr/bin"},
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            peer = Peer(process.stdin, process.stdout)  # type: ignore[arg-type]  # pipes opened for octets
            assert process.stdout.readline().startswith(b"* PREAUTH")
            yield peer
            process.stdin.close()
            process.wait(20)
    finally:
        shutil.rmtree(home)
