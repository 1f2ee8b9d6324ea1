"""What a person meets when the server says no: a wrong password, a full mailbox, an unknown address.

The words matter here, for they are what mail programs show; and what was refused must leave nothing behind.
"""

from __future__ import annotations

import imaplib
import poplib
import smtplib
from pathlib import Path

import pytest

from restante.testing.server import RestanteServer

from .support import PATIENCE, Reader, done, letter

pytestmark = pytest.mark.client

QUOTA = 4000


@pytest.fixture
def small(restante_server: RestanteServer, tmp_path: Path) -> Reader:
    """An account with little room."""
    restante_server.add_account("ben@example.org", "Geheim42", quota=QUOTA)
    return Reader(restante_server, "ben@example.org", "Geheim42", tmp_path)


@pytest.mark.parametrize("user", ["ann@example.org", "nobody@example.org", "ann"])
def test_imap_tells_a_wrong_password_and_goes_on(empty: Reader, user: str) -> None:
    with imaplib.IMAP4(empty.server.host, empty.server.imap, timeout=PATIENCE) as client:
        with pytest.raises(imaplib.IMAP4.error, match=r"\[AUTHENTICATIONFAILED\] "):
            client.login(user, "wrong")
        done(client.login(empty.user, empty.password))


@pytest.mark.parametrize("user", ["ann@example.org", "nobody@example.org", "ann"])
def test_pop3_tells_a_wrong_password_and_goes_on(empty: Reader, user: str) -> None:
    client = poplib.POP3(empty.server.host, empty.server.pop3, timeout=PATIENCE)
    client.user(user)
    with pytest.raises(poplib.error_proto, match=r"-ERR \[AUTH\] "):
        client.pass_("wrong")
    client.user(empty.user)
    client.pass_(empty.password)
    assert client.stat() == (0, 0)
    client.quit()


def test_a_full_account_refuses_append_and_delivery_until_there_is_room(small: Reader) -> None:
    large = letter("Large", "x" * 70 + "\r\n" + "y" * 900 + "\r\n" * 1000)
    assert len(large) > QUOTA * 0.7
    with small.imap() as client:
        done(client.append("INBOX", "", "", large))
        status, (text, *_) = client.append("Sent", "", "", large)
        assert (status, text.startswith(b"[OVERQUOTA] ")) == ("NO", True), text
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:  # smtplib tells the size beforehand
            small.deliver(large)
        code, words = refused.value.recipients[small.user]
        assert (code, words[:6]) == (452, b"4.2.2 ")
        assert told_after_data(small, large) == (452, b"4.2.2 ")
        assert [mail.data for mail in small.server.mail(small.user)] == [large]
        assert small.server.mail(small.user, "Sent") == []
        # Less goes in still, and room made by POP3 counts at once.
        done(client.append("INBOX", "", "", letter("Small")))
        with small.pop3() as other:
            other.dele(1)
        small.deliver(large)
    assert small.subjects() == ["Small", "Large"]


def told_after_data(small: Reader, message: bytes) -> tuple[int, bytes]:
    """The answer to a delivery whose size the sender did not tell."""
    with smtplib.LMTP(small.server.host, small.server.lmtp, local_hostname="mx.example.net") as client:
        client.ehlo()
        assert client.mail("sender@example.net")[0] == 250
        assert client.rcpt(small.user)[0] == 250
        code, words = client.data(message)
    return code, words[:6]


def test_a_copy_that_would_not_fit_is_refused_whole(small: Reader) -> None:
    with small.imap() as client:
        for number in range(6):
            done(client.append("INBOX", "", "", letter(f"Letter {number}", "x" * 300)))
        done(client.select("INBOX"))
        status, (text, *_) = client.copy("1:*", "Archive")
        assert (status, text.startswith(b"[OVERQUOTA] ")) == ("NO", True), text
    assert small.server.mail(small.user, "Archive") == []


def test_mail_to_nobody_is_refused_at_the_recipient(empty: Reader) -> None:
    with smtplib.LMTP(empty.server.host, empty.server.lmtp, local_hostname="mx.example.net") as client:
        refused = client.sendmail("a@example.net", [empty.user, "nobody@example.org", "ann@example.com"], letter("Hi"))
    assert {name: (code, text[:5]) for name, (code, text) in refused.items()} == {
        "nobody@example.org": (550, b"5.1.1"),
        "ann@example.com": (550, b"5.1.1"),
    }
    assert empty.subjects() == ["Hi"]


def test_a_message_past_the_limit_is_refused_before_it_is_sent(empty: Reader) -> None:
    limit = empty.server.config.limits.message
    with smtplib.LMTP(empty.server.host, empty.server.lmtp, local_hostname="mx.example.net") as client:
        client.ehlo()
        assert int(client.esmtp_features["size"]) == limit
        assert client.mail("a@example.net", [f"SIZE={limit + 1}"])[0] == 552
    with imaplib.IMAP4(empty.server.host, empty.server.imap, timeout=PATIENCE) as client:
        client.login(empty.user, empty.password)
        client.send(b"x APPEND INBOX {%d}\r\n" % (limit + 1))
        assert b"[TOOBIG]" in client.readline()
        done(client.noop())
