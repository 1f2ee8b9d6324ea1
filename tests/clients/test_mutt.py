"""mutt and neomutt in a terminal, with a person's keys: read, flag, file, delete, save; IMAP and POP3 find it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from restante.config.model import Config
from restante.testing.server import CHEAP_ARGON2, RestanteServer

from .screen import Screen
from .support import Reader, done, letter, only, program

pytestmark = pytest.mark.client

WELCOME = "Welcome to Restante"


def mutt(demo: Reader, name: str, *, scheme: str = "imaps", password: str | None = None, more: str = "") -> Screen:
    """The program on the demo account's INBOX. It trusts the server's certificate alone."""
    server = demo.server
    port = {"imaps": server.imaps, "imap": server.imap, "pops": server.pop3s}[scheme]
    account = "pop" if scheme == "pops" else "imap"
    url = f"{scheme}://{server.host}:{port}/"
    rc = demo.write(
        "muttrc",
        f"""set folder="{demo.home if account == "pop" else url}" spoolfile="{url}{"" if account == "pop" else "INBOX"}"
set {account}_user="{demo.user}" {account}_pass="{password or demo.password}"
set certificate_file="{server.certificate}" ssl_starttls=yes
set record="=Sent" postponed="=Drafts" trash="{"" if account == "pop" else "=Trash"}"
set move=no quit=yes delete=yes confirmappend=no confirmcreate=no wait_key=no mark_old=no sleep_time=0 pop_delete=yes
set imap_idle=yes timeout=1 mail_check=1
set sort=mailbox-order pager_index_lines=0 header_cache="" charset=utf-8
set index_format="%3C %Z %-20.20F %s"
{more}
""",
    )
    return Screen(demo.home, [program(name), "-n", "-F", str(rc)])


@pytest.fixture(params=["mutt", "neomutt"])
def name(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    program(chosen)
    program("tmux")
    return chosen


@pytest.mark.parametrize("scheme", ["imaps", "imap"])
def test_an_evening_of_mail(demo: Reader, name: str, scheme: str) -> None:
    before = demo.subjects()
    with mutt(demo, name, scheme=scheme) as screen:
        screen.see(*before)
        # Read the last message: its text, decoded.
        screen.type("*", "Enter")
        screen.see("this mailbox is on your own machine", "Subject: " + WELCOME)
        screen.type("i")
        screen.see(before[0])
        # Take its flag away and give it to the first; delete the second; save the third, a mailbox made for it.
        screen.type("*", "F", "=", "F", "2", "Enter", "d", "3", "Enter", "s", "C-a", "C-k", "=Walls/Plans", "Enter")
        screen.type("$")
        screen.see(f"{len(before) - 2} kept, 2 deleted")
        screen.type("q")
        screen.gone()
    after = demo.flags()
    assert list(after) == [before[0], *before[3:]]
    assert r"\Flagged" in after[before[0]]
    assert r"\Flagged" not in after[WELCOME]
    assert r"\Seen" in after[WELCOME]
    assert before[1] in demo.subjects("Trash")
    assert demo.subjects("Walls/Plans") == [before[2]]
    assert demo.pop3_subjects() == list(after)


def test_new_mail_shows_up_in_the_open_index(demo: Reader, name: str) -> None:
    with mutt(demo, name) as screen:
        screen.see(WELCOME)
        demo.deliver(letter("Ringing the bell"))
        screen.see(WELCOME, "Ringing the bell")
        with demo.imap("INBOX") as client:
            done(client.uid("MOVE", only(client, "SUBJECT", "Receipts"), "Archive"))
            screen.type("q")
            screen.gone()
    assert "Receipts for the wall" in demo.subjects("Archive")


def test_the_languages_are_readable(demo: Reader, name: str) -> None:
    with mutt(demo, name) as screen:
        screen.see(WELCOME)
        screen.type("c", "C-a", "C-k", "=Languages", "Enter")
        shown = demo.subjects("Languages")
        screen.see("Grüße aus Köln", "안녕하세요", "Zażółć gęślą jaźń")
        assert len(shown) > 10
        screen.type("q")
        screen.gone()


def test_reads_and_deletes_by_pop3(demo: Reader, name: str) -> None:
    before = demo.subjects()
    with mutt(demo, name, scheme="pops") as screen:
        screen.see(*before)
        screen.type("*", "Enter")
        screen.see("this mailbox is on your own machine")
        screen.type("i")
        screen.see(before[0])
        screen.type("=", "d", "q")
        screen.gone()
    assert demo.subjects() == before[1:]
    assert r"\Seen" in demo.flags()[WELCOME]


@pytest.mark.parametrize("scheme", ["imaps", "imap"])
def test_mutt_compresses(demo: Reader, scheme: str) -> None:
    """COMPRESS=DEFLATE by a client of its own making: beneath TLS, with IDLE, literals up and down."""
    program("mutt")
    program("tmux")
    before = demo.subjects()
    with mutt(demo, "mutt", scheme=scheme, more="set imap_deflate=yes") as screen:
        screen.see(*before)
        assert demo.server._server.worker._compressors.connections == 1
        screen.type("*", "Enter")
        screen.see("this mailbox is on your own machine")
        screen.type("i")
        demo.deliver(letter("Ringing the bell"))
        screen.see("Ringing the bell")
        screen.type("=", "C", "C-a", "C-k", "=Archive", "Enter", "d", "$")
        screen.see("1 deleted")
        screen.type("q")
        screen.gone()
    assert demo.subjects() == [*before[1:], "Ringing the bell"]
    assert before[0] in demo.subjects("Archive")


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Reader]:
    """An account on a server whose refusals come at once: neomutt earns itself the longest delays there are."""
    config = msgspec.convert({"auth": {**CHEAP_ARGON2, "delay_first": 0.01, "delay_most": 0.01}}, Config)
    with RestanteServer(tmp_path / "data", config) as server:
        server.add_account("ann@example.org", "Geheim42")
        yield Reader(server, "ann@example.org", "Geheim42", tmp_path)


def test_a_wrong_password_is_told_as_one(hasty: Reader, name: str) -> None:
    with mutt(hasty, name, password="not it", more='set imap_authenticators="login" sleep_time=1') as screen:
        screen.see({"mutt": "SASL authentication failed", "neomutt": "wrong credentials"}[name])
