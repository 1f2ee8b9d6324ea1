"""Python's imaplib: reads the demo mail, changes flags, files, deletes; POP3 and a second connection find it."""

from __future__ import annotations

import imaplib
import re
import ssl
from collections.abc import Callable

import pytest

from restante.demo.catalogue import DemoSource

from .support import PATIENCE, Reader, done, letter, quoted, subject

pytestmark = pytest.mark.client


def trusting(demo: Reader) -> ssl.SSLContext:
    """Verifies the server by its own certificate, host name included."""
    return ssl.create_default_context(cafile=str(demo.server.certificate))


def plain(demo: Reader) -> imaplib.IMAP4:
    return imaplib.IMAP4(demo.server.host, demo.server.imap, timeout=PATIENCE)


def starttls(demo: Reader) -> imaplib.IMAP4:
    client = plain(demo)
    done(client.starttls(trusting(demo)))
    return client


def imaps(demo: Reader) -> imaplib.IMAP4:
    server = demo.server
    return imaplib.IMAP4_SSL(server.host, server.imaps, ssl_context=trusting(demo), timeout=PATIENCE)


@pytest.mark.parametrize("connect", [plain, starttls, imaps])
def test_reads_every_demo_message_byte_for_byte(demo: Reader, connect: Callable[[Reader], imaplib.IMAP4]) -> None:
    seen = 0
    with connect(demo) as client:
        done(client.login(demo.user, demo.password))
        names = [
            match[1].decode("ascii")
            for line in done(client.list())
            if isinstance(line, bytes) and (match := re.search(rb'"/" "?([^"]+)"?$', line))
        ]
        assert sorted(names) == sorted(demo.server.mailboxes(demo.user))
        for name in names:
            done(client.select(quoted(name), readonly=True))
            stored = {mail.uid: mail.data for mail in demo.server.mail(demo.user, name)}
            if not stored:
                continue
            answer = done(client.uid("FETCH", "1:*", "(UID RFC822.SIZE BODY.PEEK[])"))
            fetched = {
                int(re.search(rb"UID (\d+)", item[0])[1]): item[1]  # type: ignore[index]  # a FETCH always has one
                for item in answer
                if isinstance(item, tuple)
            }
            assert fetched == stored
            seen += len(stored)
    assert seen == len(DemoSource().entries)


def test_what_it_deletes_and_files_is_gone_from_pop3(demo: Reader) -> None:
    before = dict(zip(demo.pop3_subjects(), demo.uidls(), strict=True))
    with demo.imap("INBOX") as client:
        (deleted,) = done(client.uid("SEARCH", "SUBJECT", '"contract for 2027"'))[0].split()  # type: ignore[attr-defined]
        (filed,) = done(client.uid("SEARCH", "HEADER", "Message-ID", "welcome@example.net"))[0].split()  # type: ignore[attr-defined]
        done(client.uid("STORE", deleted.decode(), "+FLAGS.SILENT", r"(\Deleted)"))
        done(client.expunge())
        done(client.uid("MOVE", filed.decode(), quoted("Projects/Garden")))
    gone = set(before) - set(demo.pop3_subjects())
    assert "Welcome to Restante" in gone
    assert len(gone) == 1 + (len(gone) - 1)
    assert "Welcome to Restante" in demo.subjects("Projects/Garden")
