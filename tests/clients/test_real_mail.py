"""The real messages beside the project, where they are: every one of them whole through IMAP and through POP3."""

from __future__ import annotations

import poplib
from pathlib import Path

import imapclient
import pytest

from restante.exchange.detect import open_source
from restante.exchange.load import import_mail

from .support import PATIENCE, Reader

pytestmark = pytest.mark.client

SHARED = Path(__file__).resolve().parents[3] / "shared" / "mail"


@pytest.fixture
def real(empty: Reader) -> Reader:
    """The account with all of ../shared/mail in its INBOX."""
    if not SHARED.is_dir():
        pytest.skip("../shared/mail is not there")
    server = empty.server

    async def work() -> int:
        store = server.engine.account((await server.admin.account(empty.user)).id)
        source = open_source(SHARED)
        try:
            report = await import_mail(source, store)
        finally:
            source.close()
        inbox = await store.mailbox("INBOX")
        assert inbox is not None
        for name in report.mailboxes:
            box = await store.mailbox(name)
            if box is not None and box.key != inbox.key:
                await store.move(box.key, ((1, 2**32 - 1),), inbox.key)
        return report.messages

    assert server.run(work) == len(server.mail(empty.user)) > 100
    return empty


def test_imap_gives_every_message_whole_and_described_so_that_a_client_can_read_it(real: Reader) -> None:
    stored = {mail.uid: mail for mail in real.server.mail(real.user)}
    with imapclient.IMAPClient(real.server.host, real.server.imap, ssl=False, timeout=PATIENCE) as client:
        client.login(real.user, real.password)
        client.select_folder("INBOX", readonly=True)
        answers = client.fetch(client.search(), ["BODY.PEEK[]", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE"])
    assert answers.keys() == stored.keys()
    for uid, mail in stored.items():
        answer = answers[uid]
        # BODY[] may not carry a NUL (RFC 9051 section 4.3.1); it goes out as 0x80, so that sizes stay.
        assert answer[b"BODY[]"] == mail.data.replace(b"\0", b"\x80"), uid
        assert answer[b"RFC822.SIZE"] == len(mail.data)
        assert len(answer[b"BODYSTRUCTURE"]) > 1
        assert answer[b"ENVELOPE"] is not None


def test_pop3_gives_every_message_whole(real: Reader) -> None:
    stored = real.server.mail(real.user)
    client = poplib.POP3(real.server.host, real.server.pop3, timeout=PATIENCE)
    client.utf8()
    client.user(real.user)
    client.pass_(real.password)
    assert client.stat()[0] == len(stored)
    for number, mail in enumerate(stored, 1):
        # The last line ends with CRLF, whatever the message's own end is (RFC 1939 section 3).
        assert retrieved(client, number) == mail.data.removesuffix(b"\r\n") + b"\r\n", mail.uid
    client.quit()


def retrieved(client: poplib.POP3, number: int) -> bytes:
    """RETR to the octet. poplib's own takes a bare LF for a line end, and no line over 2,048 octets."""
    client.sock.sendall(b"RETR %d\r\n" % number)
    assert client.file.readline().startswith(b"+OK")
    data = bytearray()
    while (line := client.file.readline()) != b".\r\n" or not (data == b"" or data.endswith(b"\r\n")):
        assert line, "the connection ended"
        stuffed = line.startswith(b".") and (not data or data.endswith(b"\r\n"))
        data += line[1:] if stuffed else line
    return bytes(data)
