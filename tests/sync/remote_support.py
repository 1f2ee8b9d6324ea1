"""Servers for the tests of the remote side: Restante in this process, Debian's Dovecot, and a written transcript."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from restante.sync.remote import RemoteAddress
from restante.testing.server import RestanteServer

DOVECOT = Path("/usr/lib/dovecot/imap")
USER = "nobody"  # Dovecot serves no mail as root
PASSWORD = "secret"

LEAST = frozenset(
    {
        "APPENDLIMIT", "BINARY", "COMPRESS=DEFLATE", "CONDSTORE", "CREATE-SPECIAL-USE", "ENABLE", "ESEARCH",
        "IDLE", "IMAP4REV2", "LIST-EXTENDED", "LIST-STATUS", "LITERAL-", "METADATA", "MOVE", "MULTIAPPEND",
        "NAMESPACE", "NOTIFY", "OBJECTID", "QRESYNC", "SPECIAL-USE", "UIDPLUS", "UNSELECT", "UTF8=ACCEPT",
    }
)  # fmt: skip
"""Capabilities not used where a server is to look like one of RFC 3501 and nothing more."""

needs_dovecot = pytest.mark.skipif(not DOVECOT.exists() or os.geteuid() != 0, reason="dovecot-imapd, run as root")


def secret(*, refused: bool = False) -> str:
    return PASSWORD


def restante(server: RestanteServer, user: str) -> RemoteAddress:
    """An account of a server that runs, over TLS."""
    return RemoteAddress(server.host, server.imaps, "tls", user, trusted=str(server.certificate))


def dovecot_home() -> Path:
    """A new folder with a configuration for Dovecot's imap program: no daemon, no port, nobody to log in."""
    home = Path(tempfile.mkdtemp(prefix="restante-dovecot-"))  # pytest's own folders are closed to other users
    (home / "dovecot.conf").write_text(
        f"mail_location = mdbox:{home}/mail\nbase_dir = {home}/run\nssl = no\nlog_path = {home}/log\n"
        f"mail_uid = {USER}\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nmail_gid = nogroup\n"
        "namespace inbox {\n  inbox = yes\n  separator = /\n}\n"
        "protocol imap {\n  mail_plugins = imap_zlib\n}\n"
    )
    for path in (home, home / "dovecot.conf"):
        shutil.chown(path, USER, "nogroup")
    return home


def dovecot(home: Path) -> RemoteAddress:
    """The account in that folder, by way of a tunnel."""
    # Through pipes: on a socket the program takes itself for one that inetd has started, and refuses.
    program = f"cat | HOME={home} USER={USER} {DOVECOT} -c {home}/dovecot.conf 2>>{home}/stderr | cat"
    # The shell waits for all three, and has the lock until then.
    command = ("sh", "-c", f"exec 9>>{home}/sessions; flock -s 9; {program}")
    return RemoteAddress("dovecot.example", 143, "none", USER, tunnel=command)


def has_sessions(home: Path) -> bool:
    """Whether a program of `dovecot` is still at work in that folder."""
    with (home / "sessions").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
