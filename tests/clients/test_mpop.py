"""mpop: mail kept on the server is downloaded once; what it deletes IMAP misses too."""

from __future__ import annotations

import pytest

from .support import Reader, letter, program, subject

pytestmark = pytest.mark.client

NO_PERMISSION = 77
"""EX_NOPERM: how mpop ends when it is not let in."""


def mpop(demo: Reader, lines: str, password: str | None = None, code: int = 0) -> str:
    for name in ("cur", "new", "tmp"):
        (demo.home / "Mail" / name).mkdir(parents=True, exist_ok=True)
    rc = demo.write(
        "mpoprc",
        f"account demo\nhost {demo.server.host}\nuser {demo.user}\npassword {password or demo.password}\n"
        f"delivery maildir {demo.home}/Mail\nuidls_file {demo.home}/uidls\nreceived_header off\n{lines}\n",
    )
    return demo.run(program("mpop"), f"--file={rc}", "--quiet", "demo", code=code)


def got(demo: Reader) -> list[str]:
    return sorted(subject(path.read_bytes()) for path in (demo.home / "Mail/new").iterdir())


@pytest.mark.parametrize("implicit", [False, True])
def test_kept_mail_is_downloaded_once(demo: Reader, implicit: bool) -> None:
    server = demo.server
    port, starttls = (server.pop3s, "off") if implicit else (server.pop3, "on")
    lines = f"port {port}\nkeep on\ntls on\ntls_starttls {starttls}\ntls_trust_file {server.certificate}"
    before = demo.subjects()
    mpop(demo, lines)
    assert got(demo) == sorted(before)
    demo.deliver(letter("The new one"))
    mpop(demo, lines)
    mpop(demo, lines)
    assert got(demo) == sorted([*before, "The new one"])
    assert demo.subjects() == [*before, "The new one"]


@pytest.mark.parametrize("mechanism", ["user", "plain", "login"])
def test_downloaded_mail_is_gone_from_imap(demo: Reader, mechanism: str) -> None:
    before = demo.subjects()
    mpop(demo, f"port {demo.server.pop3}\nkeep off\nauth {mechanism}\ntls off")
    assert got(demo) == sorted(before)
    assert demo.subjects() == []


def test_a_wrong_password_is_told_as_one(demo: Reader) -> None:
    said = mpop(demo, f"port {demo.server.pop3}\nauth plain\ntls off", password="not it", code=NO_PERMISSION)
    assert "password" in said.lower()
    assert got(demo) == []
