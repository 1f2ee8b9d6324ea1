"""IMAPClient: folders of any script, IDLE, CONDSTORE, special uses, move; found again by POP3 and imaplib."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import imapclient
import pytest

from .support import PATIENCE, Reader, done, letter, only

pytestmark = pytest.mark.client

FOLDER = "Ærø/Überraschung & Söhne/日本 ~peter"
SPECIAL_USES = (rb"\Sent", rb"\Drafts", rb"\Junk", rb"\Trash", rb"\Archive")


@pytest.fixture
def client(demo: Reader) -> Iterator[imapclient.IMAPClient]:
    context = ssl.create_default_context(cafile=str(demo.server.certificate))
    with imapclient.IMAPClient(demo.server.host, demo.server.imap, ssl=False, timeout=PATIENCE) as connected:
        connected.starttls(context)
        connected.login(demo.user, demo.password)
        yield connected


def test_reads_envelopes_of_the_demo_mail(demo: Reader, client: imapclient.IMAPClient) -> None:
    client.select_folder("INBOX", readonly=True)
    (welcome,) = client.search(["SUBJECT", "Welcome to Restante"])
    item = client.fetch([welcome], ["ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "RFC822.SIZE"])[welcome]
    envelope = item[b"ENVELOPE"]
    assert envelope.subject == b"Welcome to Restante"
    assert (envelope.to[0].mailbox, envelope.to[0].host) == (b"demo", b"example.org")
    assert item[b"BODYSTRUCTURE"].is_multipart
    assert item[b"RFC822.SIZE"] == len({mail.uid: mail.data for mail in demo.server.mail(demo.user)}[welcome])


def test_names_of_any_script_come_back_as_they_were_given(demo: Reader, client: imapclient.IMAPClient) -> None:
    client.create_folder(FOLDER)
    assert FOLDER in [name for _, _, name in client.list_folders()]
    assert FOLDER in demo.server.mailboxes(demo.user)
    client.append(FOLDER, letter("Filed abroad"), flags=[imapclient.SEEN])
    client.rename_folder(FOLDER, FOLDER + " II")
    assert client.folder_status(FOLDER + " II", ["MESSAGES"]) == {b"MESSAGES": 1}
    client.select_folder(FOLDER + " II")
    assert client.search() == [1]
    client.unselect_folder()
    client.delete_folder(FOLDER + " II")
    assert FOLDER + " II" not in demo.server.mailboxes(demo.user)


def test_several_messages_are_appended_at_once(demo: Reader, client: imapclient.IMAPClient) -> None:
    assert client.has_capability("MULTIAPPEND")
    messages = [
        {"msg": letter("First of three"), "flags": [imapclient.SEEN]},
        letter("Second of three"),
        {"msg": letter("Third of three"), "flags": [imapclient.FLAGGED], "date": datetime(2020, 2, 29, 12, 0, 0)},
    ]
    answer, texts = client.multiappend("Archive", messages)
    assert (answer, b"APPENDUID" in texts[0]) == ("OK", True)
    assert demo.subjects("Archive")[-3:] == ["First of three", "Second of three", "Third of three"]
    client.select_folder("Archive")
    (third,) = client.search(["SUBJECT", "Third of three"])
    item = client.fetch([third], ["FLAGS", "INTERNALDATE"])[third]
    assert imapclient.FLAGGED in item[b"FLAGS"]
    assert item[b"INTERNALDATE"] == datetime(2020, 2, 29, 12, 0, 0)


def test_idle_tells_of_deliveries_and_of_what_pop3_removes(demo: Reader, client: imapclient.IMAPClient) -> None:
    before = client.select_folder("INBOX")[b"EXISTS"]
    client.idle()
    demo.deliver(letter("While you waited"))
    assert (before + 1, b"EXISTS") in wait(client, b"EXISTS")
    with demo.pop3() as other:
        other.dele(1)
    assert (1, b"EXPUNGE") in wait(client, b"EXPUNGE")
    with demo.imap("INBOX") as other_imap:
        done(other_imap.uid("STORE", only(other_imap, "SUBJECT", "Waited"), "+FLAGS", r"(\Flagged)"))
    assert any(b"\\Flagged" in item[2][1] for item in wait(client, b"FETCH"))
    client.idle_done()
    client.noop()
    assert client.search(["FLAGGED", "SUBJECT", "waited"])


def wait(client: imapclient.IMAPClient, word: bytes) -> list[tuple[Any, ...]]:
    """Responses of this kind, however the server spreads what it has to say over packets."""
    while True:
        told = client.idle_check(timeout=PATIENCE)
        assert told, f"nothing came while waiting for {word!r}"
        if found := [item for item in told if len(item) > 1 and item[1] == word]:
            return found


def test_flags_set_here_are_seen_by_others(demo: Reader, client: imapclient.IMAPClient) -> None:
    client.select_folder("INBOX")
    (uid,) = client.search(["SUBJECT", "Receipts"])
    client.add_flags([uid], [imapclient.FLAGGED, b"Project-Wall"])
    client.remove_flags([uid], [imapclient.SEEN])
    assert {imapclient.FLAGGED, b"Project-Wall"} <= set(client.get_flags([uid])[uid])
    assert demo.flags()["Receipts for the wall"] == {r"\Flagged", "Project-Wall"}


def test_special_uses_are_found_and_mail_moves_there(demo: Reader, client: imapclient.IMAPClient) -> None:
    uses = {use: client.find_special_folder(use) for use in SPECIAL_USES}
    assert uses == {use: use.decode("ascii").removeprefix("\\") for use in SPECIAL_USES}
    client.select_folder("INBOX")
    uidls = demo.uidls()
    client.move(client.search(["SUBJECT", "Receipts"]), uses[rb"\Trash"])
    assert "Receipts for the wall" in demo.subjects("Trash")
    assert "Receipts for the wall" not in demo.pop3_subjects()
    assert len(set(uidls) - set(demo.uidls())) == 1


def test_condstore_gives_what_changed_since(demo: Reader, client: imapclient.IMAPClient) -> None:
    client.enable("CONDSTORE")
    since = client.select_folder("INBOX")[b"HIGHESTMODSEQ"]
    with demo.imap("INBOX") as other:
        uid = int(only(other, "SUBJECT", "Receipts"))
        done(other.uid("STORE", str(uid), "+FLAGS", r"(\Answered)"))
    client.noop()
    changed = client.fetch(client.search(), ["FLAGS"], [f"CHANGEDSINCE {since}"])
    assert list(changed) == [uid]
    assert changed[uid][b"MODSEQ"][0] > since
    assert imapclient.ANSWERED in changed[uid][b"FLAGS"]


def test_a_wrong_password_is_an_authentication_failure(demo: Reader) -> None:
    with imapclient.IMAPClient(demo.server.host, demo.server.imap, ssl=False, timeout=PATIENCE) as connected:
        with pytest.raises(imapclient.exceptions.LoginError, match="AUTHENTICATIONFAILED"):
            connected.login(demo.user, "not it")
        connected.login(demo.user, demo.password)
