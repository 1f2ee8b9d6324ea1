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

from ..clients.support import until
from ..ports import free_port

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
    ports = {name: free_port() for name in (protocol, also) if name}
    write_configuration(home, maildir, ports, extra)
    log = home / "log"
    with subprocess.Popen([str(DOVECOT), "-F", "-c", str(home / "dovecot.conf")], start_new_session=True) as process:
        try:
            until(
                lambda: process.poll() is not None or all(map(answers, ports.values())),
                lambda: log.read_text() if log.exists() else "no log",
            )
            assert process.poll() is None, "Dovecot has not started"
            yield Dovecot("127.0.0.1", ports[protocol], ports.get(also, 0), maildir)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            shutil.rmtree(home, ignore_errors=True)


def write_configuration(home: Path, maildir: Path, ports: dict[str, int], extra: str) -> None:
    listeners = "".join(
        f"service {name}-login {{\n  inet_listener {name} {{\n    port = {port}\n  }}\n"
        f"  inet_listener {name}s {{\n    port = 0\n  }}\n}}\n"
        for name, port in ports.items()
    )
    (home / "dovecot.conf").write_text(
        f"base_dir = {home}/run\nlog_path = {home}/log\nprotocols = {' '.join(ports)}\nlisten = 127.0.0.1\nssl = no\n"
        "disable_plaintext_auth = no\nauth_mechanisms = plain login scram-sha-256\nfirst_valid_uid = 1\n"
        f"mail_location = maildir:{maildir}\nmail_max_userip_connections = 0\n"
        f"passdb {{\n  driver = passwd-file\n  args = {home}/users\n}}\n"
        f"userdb {{\n  driver = static\n  args = uid={OWNER} gid=nogroup home={maildir}\n}}\n"
        f"{listeners}namespace inbox {{\n  inbox = yes\n}}\n" + extra
    )


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as probe:
        return probe.recv(3) in (b"+OK", b"* O")
    return False
