"""GNU mailutils' movemail, which Emacs reads mail by: out of IMAP and POP3 into an mbox, and an mbox into IMAP."""

from __future__ import annotations

import mailbox
from urllib.parse import quote

import pytest

from .support import Reader, letter, program, subject

pytestmark = pytest.mark.client


def movemail(demo: Reader, *argv: str) -> None:
    demo.run(program("movemail"), *argv)


def url(demo: Reader, scheme: str, path: str = "") -> str:
    port = demo.server.imap if scheme == "imap" else demo.server.pop3
    return f"{scheme}://{quote(demo.user)}:{quote(demo.password)}@{demo.server.host}:{port}{path}"


@pytest.mark.parametrize(("scheme", "path"), [("imap", "/Languages"), ("imap", "/INBOX"), ("pop", "")])
@pytest.mark.parametrize("kept", [True, False])
def test_mail_comes_into_an_mbox(demo: Reader, scheme: str, path: str, kept: bool) -> None:
    name = path[1:] or "INBOX"
    before = demo.subjects(name)
    movemail(demo, *(["--preserve"] if kept else []), url(demo, scheme, path), f"{demo.home}/mbox")
    box = mailbox.mbox(demo.home / "mbox", create=False)
    assert [subject(box.get_bytes(key)) for key in box.keys()] == before  # noqa: SIM118  # values() wants ASCII
    box.close()
    assert demo.subjects(name) == (before if kept else [])


def test_an_mbox_goes_into_a_mailbox(demo: Reader) -> None:
    before = demo.subjects("Archive")
    box = mailbox.mbox(demo.home / "mbox")
    for name in ("The first", "The second"):
        box.add(letter(name).replace(b"\r\n", b"\n"))
    box.close()
    movemail(demo, f"{demo.home}/mbox", url(demo, "imap", "/Archive"))
    assert demo.subjects("Archive") == [*before, "The first", "The second"]
