"""fetchmail: POP3 with unique ids and mail left on the server, IMAP with mail taken away."""

from __future__ import annotations

import pytest

from .support import Reader, letter, program, subject

pytestmark = pytest.mark.client

NO_MAIL = 1
FETCH_LIMIT_REACHED = 13
AUTHENTICATION_FAILED = 3


def run(demo: Reader, server: str, user: str, password: str | None = None, code: int = 0) -> str:
    """One poll of 127.0.0.1 with these server and user options; what fetchmail said.

    The delivery agent appends each message to the file `got`, with a NUL after it.
    """
    agent = "cat >> got && printf '\\\\000' >> got"
    rc = demo.write(
        "fetchmailrc",
        f"set no bouncemail\npoll {demo.server.host} {server} auth password\n"
        f'  user "{demo.user}" password "{password or demo.password}" {user} mda "{agent}"\n',
    )
    own = ("--fetchmailrc", str(rc), "--pidfile", str(demo.home / "pid"), "--idfile", str(demo.home / "ids"))
    return demo.run(program("fetchmail"), *own, "--nodetach", "--nosyslog", code=code)


def got(demo: Reader) -> list[str]:
    path = demo.home / "got"
    return [subject(data) for data in path.read_bytes().split(b"\0")[:-1]] if path.exists() else []


@pytest.mark.parametrize("tls", ["stls", "implicit", "none"])
def test_mail_left_on_the_server_is_downloaded_once(demo: Reader, tls: str) -> None:
    server = demo.server
    # fetchmail compares no IP addresses with a certificate.
    verified = f'sslcertck sslcommonname localhost sslcertfile "{server.certificate}"'
    options = f"protocol pop3 port {server.pop3s if tls == 'implicit' else server.pop3} uidl"
    rest = {"stls": f'sslproto "TLS1.2+" {verified}', "implicit": f"ssl {verified}", "none": 'sslproto ""'}[tls]
    before = demo.subjects()
    run(demo, options, rest + " keep")
    assert got(demo) == before
    run(demo, options, rest + " keep", code=NO_MAIL)
    demo.deliver(letter("The new one"))
    with demo.imap("INBOX") as client:
        client.uid("MOVE", "1", "Archive")
    run(demo, options, rest + " keep")
    assert got(demo) == [*before, "The new one"]
    assert demo.subjects() == [*before[1:], "The new one"]


def test_mail_taken_by_pop3_is_gone_from_imap(demo: Reader) -> None:
    before = demo.subjects()
    run(demo, f"protocol pop3 port {demo.server.pop3}", 'sslproto "" nokeep fetchlimit 3', code=FETCH_LIMIT_REACHED)
    assert got(demo) == before[:3]
    assert demo.subjects() == before[3:]


def test_mail_taken_by_imap_is_gone_from_pop3(demo: Reader) -> None:
    unseen = [name for name, flags in demo.listing() if r"\Seen" not in flags]
    seen = [name for name in demo.subjects() if name not in unseen]
    run(demo, f"protocol imap port {demo.server.imap}", 'sslproto "" nokeep')
    assert got(demo) == unseen
    assert demo.pop3_subjects() == seen


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_a_wrong_password_is_told_as_one(demo: Reader, protocol: str) -> None:
    port = demo.server.pop3 if protocol == "pop3" else demo.server.imap
    said = run(demo, f"protocol {protocol} port {port}", 'sslproto ""', "not it", code=AUTHENTICATION_FAILED)
    assert "Authorization failure" in said
    assert got(demo) == []
