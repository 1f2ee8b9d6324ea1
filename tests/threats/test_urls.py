"""URLs of CATENATE reach nobody else's mail, whatever they say, on a server with a name of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from .support import ANN, BOB, config, imap_in, serving

NAME = "mail.threat.example"
SECRET_MAIL = b"Subject: secret\r\n\r\nfor Ann alone\r\n"


def catenate(url: str) -> bytes:
    return b'x APPEND INBOX CATENATE (TEXT {12+}\r\nSubject: x\r\n URL "%b")\r\n' % url.encode()


@pytest.mark.parametrize(
    "url",
    [
        f"imap://{ANN.replace('@', '%40')}@{NAME}/INBOX/;UID=1",
        f"imap://{ANN.replace('@', '%40')};AUTH=*@{NAME}/INBOX/;UID=1",
        f"//{ANN.replace('@', '%40')}@{NAME}/INBOX/;UID=1",
        f"/{ANN}/INBOX/;UID=1",
        "/../INBOX/;UID=1",
        "/INBOX/;UID=1",
        f"imap://{BOB.replace('@', '%40')}@{NAME}/INBOX/;UID=1",
    ],
)
def test_a_url_reads_the_own_account_alone(tmp_path: Path, url: str) -> None:
    with serving(tmp_path / "data", config(server={"hostname": NAME})) as (server, _):
        server.put(ANN, SECRET_MAIL)
        with imap_in(server, BOB) as bob:
            bob.send(catenate(url))
            got = bob.until(b"x")
        assert got.startswith(b"x NO [BADURL "), got
        assert server.mail(BOB) == []
        with imap_in(server, ANN) as ann:
            ann.send(catenate(f"imap://{ANN.replace('@', '%40')}@{NAME}/INBOX/;UID=1/;SECTION=TEXT"))
            assert ann.until(b"x").startswith(b"x OK [APPENDUID ")
        assert [mail.data for mail in server.mail(ANN)] == [SECRET_MAIL, b"Subject: x\r\nfor Ann alone\r\n"]
