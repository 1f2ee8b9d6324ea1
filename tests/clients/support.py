"""What the tests with real programs share: the account they read, a second pair of eyes, and running programs.

A test drives one client and looks at the outcome through another protocol or connection, by Python's own imaplib
and poplib: what a client did counts when a different client finds it.
"""

from __future__ import annotations

import email
import imaplib
import os
import poplib
import shutil
import smtplib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest

from restante.testing.server import RestanteServer

PATIENCE = 60.0
"""Seconds that a program, or something it should show, is waited for. A passing test waits far less."""


@dataclass(frozen=True, slots=True)
class Reader:
    """An account on a running server. home: an empty folder for the program's own files."""

    server: RestanteServer
    user: str
    password: str
    home: Path

    @contextmanager
    def imap(self, mailbox: str | None = None) -> Iterator[imaplib.IMAP4]:
        """An IMAP connection, logged in, in `mailbox` when given."""
        with imaplib.IMAP4(self.server.host, self.server.imap, timeout=PATIENCE) as client:
            client.login(self.user, self.password)
            if mailbox is not None:
                done(client.select(mailbox))
            yield client

    @contextmanager
    def pop3(self) -> Iterator[poplib.POP3]:
        """A POP3 connection, logged in; QUIT at the end."""
        client = poplib.POP3(self.server.host, self.server.pop3, timeout=PATIENCE)
        try:
            client.user(self.user)
            client.pass_(self.password)
            yield client
            client.quit()
        finally:
            client.close()

    def listing(self, mailbox: str = "INBOX") -> list[tuple[str, set[str]]]:
        r"""Subject and flags (without \Recent) of each message, ascending, as a new IMAP connection sees them."""
        found: list[tuple[str, set[str]]] = []
        with self.imap() as client:
            if done(client.select(quoted(mailbox), readonly=True)) == [b"0"]:
                return []  # "*" names no message there, and is refused (RFC 9051 section 9, seq-number)
            for item in done(client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")):
                if isinstance(item, tuple):
                    head, content = item
                    words = head[head.index(b"FLAGS (") + 7 :].split(b")", 1)[0].decode("ascii").split()
                    found.append((subject(content), set(words) - {r"\Recent"}))
        return found

    def flags(self, mailbox: str = "INBOX") -> dict[str, set[str]]:
        """Flags and keywords by subject. Subjects of the mailbox must differ."""
        found = self.listing(mailbox)
        assert len(dict(found)) == len(found), "subjects are not unique here"
        return dict(found)

    def subjects(self, mailbox: str = "INBOX") -> list[str]:
        """Subjects in ascending order of UIDs, through IMAP."""
        return [name for name, _ in self.listing(mailbox)]

    def pop3_subjects(self) -> list[str]:
        """Subjects in the maildrop, through POP3; no message is retrieved."""
        with self.pop3() as client:
            count, _ = client.stat()
            return [subject(b"\r\n".join(client.top(number, 0)[1])) for number in range(1, count + 1)]

    def uidls(self) -> list[bytes]:
        """The maildrop's unique ids, in order."""
        with self.pop3() as client:
            return [line.split()[1] for line in client.uidl()[1]]

    def deliver(self, message: bytes) -> None:
        """Deliver by LMTP, as an MTA does. Raises what smtplib raises for a refusal."""
        with smtplib.LMTP(self.server.host, self.server.lmtp, local_hostname="mx.example.net") as client:
            client.sendmail("sender@example.net", [self.user], message)

    def run(self, *argv: str, code: int | None = 0, env: Mapping[str, str] | None = None) -> str:
        """Run a program to its end, in `home`; what it said on both outputs. code: asserted unless None."""
        ended = subprocess.run(
            argv,
            cwd=self.home,
            env={**environment(self.home), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
        said = ended.stdout.decode("utf-8", "backslashreplace")
        if code is not None:
            assert ended.returncode == code, f"{argv[0]} ended with {ended.returncode}:\n{said}"
        return said

    def write(self, name: str, content: str) -> Path:
        """A private file in `home` (programs refuse a password file that others may read)."""
        path = self.home / name
        path.write_text(content, "utf-8")
        path.chmod(0o600)
        return path


def program(name: str) -> str:
    """Path of an installed program; the test is skipped, naming it, where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def environment(home: Path) -> dict[str, str]:
    """What a program may know of this machine: nothing of the home or mailbox of who runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "xterm"}


def until(check: Callable[[], object], what: Callable[[], str]) -> None:
    """Return when `check()` is true. For programs that tell nobody when they are ready; fails with `what()`."""
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, f"not seen within {PATIENCE:.0f} s: {what()}"
        time.sleep(0.02)  # between two looks; nothing rests on its length


def done(answer: tuple[str, list[Any]]) -> list[Any]:
    """The data of an imaplib answer, which must be OK."""
    status, data = answer
    assert status == "OK", (status, data)
    return data


def search(client: imaplib.IMAP4, *criteria: str) -> list[str]:
    """UIDs in the selected mailbox that answer UID SEARCH, as imaplib's `uid` takes them."""
    return [uid.decode("ascii") for uid in done(client.uid("SEARCH", *criteria))[0].split()]


def only(client: imaplib.IMAP4, *criteria: str) -> str:
    """The UID of the one message that answers."""
    (uid,) = search(client, *criteria)
    return uid


def quoted(mailbox: str) -> str:
    """A mailbox name as imaplib wants it: it quotes nothing itself."""
    return f'"{mailbox}"'


def subject(header: bytes) -> str:
    """The decoded Subject of a header or a message, on one line."""
    value = email.message_from_bytes(header)["Subject"] or ""
    return str(make_header(decode_header(str(value).replace("\n", "").replace("\r", ""))))


def letter(name: str, body: str = "Hello\r\n") -> bytes:
    """A small message with this subject."""
    return (
        f"From: Writer <writer@example.net>\r\nTo: Demo Reader <demo@example.org>\r\nSubject: {name}\r\n"
        f"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{name.replace(' ', '.')}@example.net>\r\n\r\n{body}"
    ).encode()
