"""mbsync, both ways: 1,000 messages pulled, then changes of both sides carried across, then nothing left to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from restante.mime.analyse import analyse
from restante.store.model import Flags, NewMessage

from .support import Reader, done, letter, only, program, subject

pytestmark = pytest.mark.client

MESSAGES = 1000


def mbsync(reader: Reader, *arguments: str, code: int = 0) -> str:
    return reader.run(program("mbsync"), "-c", "mbsyncrc", *(arguments or ("all",)), code=code)


def configure(reader: Reader, transport: str) -> None:
    """Every mailbox with the Maildir `Mail`; the server's certificate is the one trusted."""
    server = reader.server
    port = server.imaps if transport == "IMAPS" else server.imap
    reader.write(
        "mbsyncrc",
        f"""FSync no

IMAPAccount server
Host localhost
Port {port}
User {reader.user}
Pass "{reader.password}"
SSLType {transport}
CertificateFile {server.certificate}

IMAPStore far
Account server

MaildirStore near
Path {reader.home}/Mail/
Inbox {reader.home}/Mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
SyncState *
""",
    )
    (reader.home / "Mail").mkdir()


def fill(reader: Reader, count: int) -> None:
    """The account's INBOX holds `count` messages, a third of them read."""

    async def work() -> None:
        store = reader.server.engine.account((await reader.server.admin.account(reader.user)).id)
        box = await store.mailbox("INBOX")
        assert box is not None
        new = []
        for number in range(count):
            data = letter(f"Message {number}", f"Number {number}\r\n" * (1 + number % 40))
            flags = Flags.of([r"\Seen"] if number % 3 == 0 else [])
            new.append(NewMessage(await store.put(data), analyse(data), flags, 1_700_000_000 + number))
        await store.append(box.key, new)

    reader.server.run(work)


def local(reader: Reader, mailbox: str = "INBOX") -> dict[str, Path]:
    """Files of a mailbox by subject."""
    found = {}
    for part in ("cur", "new"):
        for path in (reader.home / "Mail" / mailbox / part).iterdir():
            found[subject(path.read_bytes())] = path
    return found


def letters(path: Path) -> str:
    """The flags in a Maildir file's name."""
    return path.name.partition(":2,")[2]


def without_tuid(data: bytes) -> bytes:
    """A message without the header by which mbsync finds again what it uploads."""
    return re.sub(rb"X-TUID: .*\r?\n", b"", data)


@pytest.mark.parametrize("transport", ["None", "STARTTLS", "IMAPS"])
def test_a_thousand_messages_both_ways(empty: Reader, transport: str) -> None:
    fill(empty, MESSAGES)
    configure(empty, transport)
    mbsync(empty)
    pulled = local(empty)
    assert len(pulled) == MESSAGES
    for number, mail in enumerate(empty.server.mail(empty.user)):
        path = pulled[f"Message {number}"]
        assert without_tuid(path.read_bytes()) == mail.data.replace(b"\r\n", b"\n")
        assert letters(path) == ("S" if number % 3 == 0 else "")

    # This side: one flagged and answered, one deleted, one new, and a mailbox.
    path = pulled["Message 1"]
    path.rename(path.parents[1] / "cur" / (path.name.partition(":2,")[0] + ":2,FRS"))
    pulled["Message 2"].unlink()
    (empty.home / "Mail/INBOX/new/1700000000.1_1.here").write_bytes(letter("Written offline").replace(b"\r\n", b"\n"))
    for part in ("cur", "new", "tmp"):
        (empty.home / "Mail/Plans" / part).mkdir(parents=True)
    (empty.home / "Mail/Plans/cur/1700000001.1_1.here:2,S").write_bytes(letter("A plan").replace(b"\r\n", b"\n"))
    # The other side, as other programs do it: the same.
    with empty.imap("INBOX") as client:
        done(client.uid("STORE", only(client, "SUBJECT", '"Message 501"'), "+FLAGS", r"(\Flagged \Seen)"))
        done(client.uid("MOVE", only(client, "SUBJECT", '"Message 502"'), "Archive"))
    with empty.pop3() as other:
        other.dele(503)  # Message 503, since 502 has gone
    empty.deliver(letter("Delivered meanwhile"))

    mbsync(empty)
    flags = empty.flags()
    here = local(empty)
    assert set(flags) == set(here)
    expected = {f"Message {n}" for n in range(MESSAGES)} - {"Message 2", "Message 502", "Message 503"}
    assert set(flags) == expected | {"Written offline", "Delivered meanwhile"}
    assert flags["Message 1"] == {r"\Seen", r"\Flagged", r"\Answered"}
    assert letters(here["Message 501"]) == "FS"
    assert empty.listing("Plans") == [("A plan", {r"\Seen"})]
    assert list(local(empty, "Archive")) == ["Message 502"]
    assert set(empty.pop3_subjects()) == set(flags)

    before = listing(empty)
    mbsync(empty)
    assert listing(empty) == before


def listing(reader: Reader) -> tuple[list[str], list[bytes]]:
    """All of both sides: file names here; UIDs, identities and flags there, and each mailbox's last change."""
    parts = (path for path in (reader.home / "Mail").glob("*/*/*") if path.parent.name in ("cur", "new"))
    far: list[bytes] = []
    with reader.imap() as client:
        for name in reader.server.mailboxes(reader.user):
            far += done(client.status(name, "(MESSAGES UIDNEXT HIGHESTMODSEQ)"))
            if done(client.select(name, readonly=True)) != [b"0"]:
                far += done(client.fetch("1:*", "(UID FLAGS EMAILID)"))
    return sorted(map(str, parts)), far


def test_the_demo_mail_comes_whole(demo: Reader) -> None:
    configure(demo, "IMAPS")
    mbsync(demo)
    for name in demo.server.mailboxes(demo.user):
        folder = demo.home / "Mail" / name
        here = sorted(without_tuid(path.read_bytes()) for part in ("cur", "new") for path in (folder / part).iterdir())
        assert here == sorted(mail.data.replace(b"\r\n", b"\n") for mail in demo.server.mail(demo.user, name))


def test_a_wrong_password_is_told_as_one(empty: Reader) -> None:
    configure(empty, "IMAPS")
    path = empty.home / "mbsyncrc"
    path.write_text(path.read_text().replace(f'"{empty.password}"', '"not it"'))
    assert "AUTHENTICATIONFAILED" in mbsync(empty, code=1)
