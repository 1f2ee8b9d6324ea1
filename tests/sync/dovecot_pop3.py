"""A Dovecot of our own: its whole daemon on free ports of loopback, mail in a temporary folder."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.clients.support import until

DOVECOT = Path("/usr/sbin/dovecot")
POP3 = Path("/usr/lib/dovecot/pop3")
OWNER = "nobody"  # Dovecot serves no mail as root
USER, PASSWORD = "ann@example.org", "secret"


@dataclass(frozen=True, slots=True)
class Dovecot:
    """host, port: of POP3, or of IMAP. also: the port of a second protocol. maildir: of its one user, INBOX."""

    host: str
    port: int
    also: int
    maildir: Path

    def deliver(self, name: str, data: bytes) -> None:
        """Put a message into the Maildir, as an MDA does."""
        new = self.maildir / "new" / name
        tmp = self.maildir / "tmp" / name
        tmp.write_bytes(data.replace(b"\r\n", b"\n"))
        shutil.chown(tmp, OWNER, "nogroup")
        tmp.rename(new)

    def renumber(self) -> None:
        """Another UIDVALIDITY, and so other UIDLs, as after a list of UIDs was lost."""
        for path in self.maildir.glob("dovecot.index*"):
            path.unlink()
        uids = self.maildir / "dovecot-uidlist"
        old = uids.read_bytes()
        uids.write_bytes(re.sub(rb"\A3 V([0-9]+)", lambda found: b"3 V%d" % (int(found[1]) + 1000), old))
        assert uids.read_bytes() != old

    def files(self) -> list[Path]:
        return [path for name in ("cur", "new") for path in (self.maildir / name).iterdir()]


def available() -> bool:
    return DOVECOT.exists() and POP3.exists() and os.geteuid() == 0


_held: list[socket.socket] = []


def free_port() -> int:
    """A port for a server that a test starts, which nobody is given until this process ends: another test's server,
    started meanwhile or while ours is down, could have it. A server that allows it (SO_REUSEADDR) gets it all the same;
    until one listens, who connects is refused."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _held.append(held)
    return int(held.getsockname()[1])


@contextmanager
def held_port() -> Iterator[int]:
    """A port at which nobody answers, and which nobody else is given meanwhile."""
    with closing(socket.socket()) as holder:
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


@contextmanager
def dovecot(extra: str = "", protocol: str = "pop3", also: str = "") -> Iterator[Dovecot]:
    """extra: lines of configuration. protocol: pop3 or imap. also: the other one."""
    home = Path(tempfile.mkdtemp(prefix="restante-dovecot-"))  # pytest's own folders are closed to other users
    home.chmod(0o755)
    maildir = home / "mail"
    for part in (maildir, *(maildir / name for name in ("cur", "new", "tmp"))):
        part.mkdir()
        shutil.chown(part, OWNER, "nogroup")
    (home / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    protocols = [protocol, also] if also else [protocol]
    try:
        for _ in range(3):  # another test's server may be given a port between our look and its start
            with held_port() as first, held_port() as second:
                ports = dict(zip(protocols, (first, second), strict=False))
            write_configuration(home, maildir, ports, extra)
            with running(home, ports) as process:
                if process is not None:
                    yield Dovecot("127.0.0.1", first, second if also else 0, maildir)
                    return
        raise AssertionError((home / "log").read_text())
    finally:
        shutil.rmtree(home, ignore_errors=True)


def write_configuration(home: Path, maildir: Path, ports: dict[str, int], extra: str) -> None:
    listeners = "".join(
        f"service {name}-login {{\n  inet_listener {name} {{\n    port = {port}\n  }}\n"
        f"  inet_listener {name}s {{\n    port = 0\n  }}\n}}\n"
        for name, port in ports.items()
    )
    (home / "dovecot.conf").write_text(
        f"base_dir = {home}/run\nlog_path = {home}/log\nprotocols = {' '.join(ports)}\nlisten = 127.0.0.1\nssl = no\n"
        f"login_greeting = Dovecot of {home.name} ready.\n"
        "disable_plaintext_auth = no\nauth_mechanisms = plain login scram-sha-256\nfirst_valid_uid = 1\n"
        f"mail_location = maildir:{maildir}\nmail_max_userip_connections = 0\n"
        f"passdb {{\n  driver = passwd-file\n  args = {home}/users\n}}\n"
        f"userdb {{\n  driver = static\n  args = uid={OWNER} gid=nogroup home={maildir}\n}}\n"
        f"{listeners}namespace inbox {{\n  inbox = yes\n}}\n" + extra
    )


@contextmanager
def running(home: Path, ports: dict[str, int]) -> Iterator[subprocess.Popen[bytes] | None]:
    """The program, once it answers at all ports; None where it ended because one was taken."""
    log = home / "log"
    command = [str(DOVECOT), "-F", "-c", str(home / "dovecot.conf")]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            until(
                lambda: process.poll() is not None or all(answers(port, home.name) for port in ports.values()),
                lambda: log.read_text() if log.exists() else "no log",
            )
            if process.poll() is not None:
                assert "Address already in use" in log.read_text(), log.read_text()
            yield process if process.poll() is None else None
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def answers(port: int, name: str) -> bool:
    """Whether it is ours, and no other test's server, that answers there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as probe, probe.makefile("rb") as stream:
        return name.encode() in stream.readline()
    return False
