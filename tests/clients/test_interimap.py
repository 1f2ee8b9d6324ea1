"""interimap keeps two accounts alike by QRESYNC and COMPRESS; pullimap takes mail from IMAP and hands it to LMTP."""

from __future__ import annotations

import pytest

from .support import Reader, done, letter, only, program

pytestmark = pytest.mark.client

OTHER = "cy@example.org"
NAME = "Gr&APYA3w-e/&U,BTFw-"


def account(demo: Reader, user: str, password: str) -> str:
    return (
        f"type = imap\nhost = {demo.server.host}\nport = {demo.server.imap}\nSTARTTLS = NO\n"
        f"username = {user}\npassword = {password}\n"
    )


def interimap(demo: Reader) -> str:
    """One run between the demo account and an empty one; what it says."""
    argv = [program("interimap"), f"--config={demo.home}/config"]
    if not (demo.home / "config").exists():
        (demo.home / ".local/share/interimap").mkdir(parents=True, mode=0o700)
        demo.server.add_account(OTHER, "secret")
        with demo.imap() as client:  # it asks for no UTF8=ACCEPT, without which RFC 6855 4 refuses 8-bit header fields
            done(client.delete("Languages"))
        demo.write(
            "config",
            "database = pair.db\nlist-mailbox = *\n"
            f"[local]\n{account(demo, demo.user, demo.password)}[remote]\n{account(demo, OTHER, 'secret')}",
        )
    return demo.run(*argv)


def mail(demo: Reader, user: str) -> dict[str, list[tuple[bytes, frozenset[str]]]]:
    r"""Messages with their flags, by mailbox; an EMAILID is each account's own, and so is \Recent."""
    return {
        name: sorted((one.data, one.flags - {r"\Recent"}) for one in demo.server.mail(user, name))
        for name in demo.server.mailboxes(user)
    }


def test_two_accounts_are_kept_alike(demo: Reader) -> None:
    other = Reader(demo.server, OTHER, "secret", demo.home)
    interimap(demo)
    assert mail(demo, OTHER) == mail(demo, demo.user)
    before = demo.subjects()
    # Changes on either side: flags, a keyword, a removal, a mailbox, mail that comes.
    with demo.imap("INBOX") as client:
        done(client.uid("STORE", only(client, "SUBJECT", "Receipts"), "+FLAGS", r"(\Flagged Work)"))
        done(client.create(NAME))
        done(client.append(NAME, None, None, letter("The city")))
    with other.imap("INBOX") as client:
        done(client.store("1", "+FLAGS", r"\Deleted"))
        done(client.expunge())
    other.deliver(letter("For the other one"))
    interimap(demo)
    assert mail(demo, OTHER) == mail(demo, demo.user)
    assert demo.subjects() == [*before[1:], "For the other one"]
    assert other.subjects(NAME) == ["The city"]
    # Nothing has changed: nothing is done.
    assert "Added" not in interimap(demo)
    assert mail(demo, OTHER) == mail(demo, demo.user)


def test_mail_is_pulled_into_another_account(demo: Reader) -> None:
    server = demo.server
    server.add_account(OTHER, "secret")
    other = Reader(server, OTHER, "secret", demo.home)
    (demo.home / ".local/share/pullimap").mkdir(parents=True, mode=0o700)
    demo.write(
        "config",
        f"[demo]\n{account(demo, demo.user, demo.password)}mailbox = INBOX\n"
        f"deliver-method = lmtp:[{server.host}]:{server.lmtp}\ndeliver-rcpt = {OTHER}\n",
    )
    pull = (program("pullimap"), f"--config={demo.home}/config", "demo")
    demo.run(*pull)
    before = demo.subjects()
    assert sorted(other.subjects()) == sorted(before)
    demo.deliver(letter("The new one"))
    demo.run(*pull)
    demo.run(*pull)
    assert sorted(other.subjects()) == sorted([*before, "The new one"])
    assert demo.subjects() == [*before, "The new one"]
