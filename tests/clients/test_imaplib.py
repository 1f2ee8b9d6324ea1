"""Python's imaplib: reads the demo mail, changes flags, files, deletes; POP3 and a second connection find it."""

from __future__ import annotations

import email.policy
import imaplib
import re
import ssl
from collections.abc import Callable

import pytest

from restante.demo.catalogue import DemoSource

from .support import PATIENCE, Reader, done, letter, only, quoted, search

pytestmark = pytest.mark.client

NAME = re.compile(rb'"/" "?([^"]+)"?$')
UID = re.compile(rb"UID (\d+)")


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
        names = [match[1].decode("ascii") for line in done(client.list()) if (match := NAME.search(line))]
        assert {"INBOX", "Projects/Garden", "Odd mail"} <= set(names)
        for name in names:
            done(client.select(quoted(name), readonly=True))
            fetched = {}
            for item in done(client.uid("FETCH", "1:*", "(UID BODY.PEEK[])")):
                if isinstance(item, tuple) and (match := UID.search(item[0])):
                    fetched[int(match[1])] = item[1]
            assert fetched == {mail.uid: mail.data for mail in demo.server.mail(demo.user, name)}
            seen += len(fetched)
    assert seen == len(DemoSource().entries)


def test_pop3_misses_what_imaplib_deleted_and_filed_elsewhere(demo: Reader) -> None:
    before = demo.pop3_subjects()
    with demo.imap("INBOX") as client:
        done(client.uid("STORE", only(client, "SUBJECT", '"Receipts for the wall"'), "+FLAGS.SILENT", r"(\Deleted)"))
        assert len(done(client.expunge())) == 1
        done(client.uid("MOVE", only(client, "HEADER", "Message-ID", "welcome@example.net"), "Projects/Garden"))
    missing = [name for name in before if name not in demo.pop3_subjects()]
    assert "Welcome to Restante" in missing
    assert len(missing) == len(before) - len(demo.pop3_subjects()) == 2
    assert demo.subjects("Projects/Garden")[-1] == "Welcome to Restante"


def test_flags_and_keywords_are_there_on_another_connection(demo: Reader) -> None:
    with demo.imap("INBOX") as client:
        uid = only(client, "SUBJECT", '"Welcome"')
        done(client.uid("STORE", uid, "-FLAGS", r"(\Flagged)"))
        done(client.uid("STORE", uid, "+FLAGS", r"(\Seen \Answered $Forwarded)"))
    assert demo.flags()["Welcome to Restante"] == {r"\Seen", r"\Answered", "$Forwarded"}
    with demo.imap("INBOX") as client:
        assert search(client, "KEYWORD", "$Forwarded") == [uid]
        assert uid not in search(client, "FLAGGED")


def test_appended_mail_is_retrieved_by_pop3_as_it_was_sent(demo: Reader) -> None:
    message = letter("Written here", "One\r\n.two dots follow\r\n..\r\n.\r\nlast")
    with demo.imap() as client:
        done(client.append("INBOX", r"(\Seen)", imaplib.Time2Internaldate(1_700_000_000), message))
    with demo.pop3() as client:
        lines = client.retr(client.stat()[0])[1]
    # POP3 ends every message with a line end (RFC 1939 section 3); the last line here has none of its own.
    assert b"\r\n".join(lines) == message
    assert demo.flags()["Written here"] == {r"\Seen"}


def test_searches_decoded_text_in_any_charset(demo: Reader) -> None:
    with demo.imap("Languages") as client:
        for word in ("köln", "שלום", "明日", "Zażółć"):
            client.literal = word.encode()  # type: ignore[assignment]  # typeshed's str would not be sent
            found = done(client.uid("SEARCH", "CHARSET", "UTF-8", "TEXT"))[0].split()
            assert found == expected(demo, word), word


def expected(demo: Reader, word: str) -> list[bytes]:
    """By the standard library's decoding of the same messages."""
    found = []
    for mail in demo.server.mail(demo.user, "Languages"):
        parsed = email.message_from_bytes(mail.data, policy=email.policy.default)
        body = parsed.get_body()
        assert body is not None
        if word.casefold() in f"{parsed['Subject']}\n{body.get_content()}".casefold():
            found.append(str(mail.uid).encode())
    assert found
    return found


def test_mailboxes_are_made_renamed_and_removed(demo: Reader) -> None:
    with demo.imap() as client:
        done(client.create("Reisen/Lissabon"))
        done(client.subscribe("Reisen/Lissabon"))
        done(client.rename("Reisen", "Travel"))
        assert "Travel/Lissabon" in demo.server.mailboxes(demo.user)
        assert client.delete("Reisen/Lissabon")[0] == "NO"
        done(client.delete("Travel/Lissabon"))
        assert "Travel/Lissabon" not in demo.server.mailboxes(demo.user)


def test_copies_leave_the_source_alone(demo: Reader) -> None:
    before = demo.flags()
    with demo.imap("INBOX") as client:
        done(client.copy("1:*", "Archive"))
    assert demo.flags() == before
    archived = demo.flags("Archive")
    assert {name: archived[name] for name in before} == before


def test_what_was_imported_into_a_new_mailbox_is_no_news(demo: Reader) -> None:
    r"""Mail programs announce \Recent mail: nine "new" mailboxes, Drafts and Trash among them, is a bad welcome."""
    with demo.imap() as client:
        for name in demo.server.mailboxes(demo.user):
            (answer,) = done(client.status(quoted(name), "(RECENT)"))
            assert answer.endswith(b"(RECENT 7)" if name == "INBOX" else b"(RECENT 0)"), answer
