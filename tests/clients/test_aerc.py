"""aerc in a terminal, by Go's go-imap: it lists, reads, flags and files mail, and new mail shows up."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from .screen import Screen
from .support import Reader, letter, program, until

pytestmark = pytest.mark.client

WELCOME = "Welcome to Restante"


def test_an_evening_of_mail(demo: Reader) -> None:
    aerc = program("aerc")
    program("tmux")
    server = demo.server
    before = demo.subjects()
    (demo.home / ".config/aerc").mkdir(parents=True, mode=0o700)
    source = f"imap+insecure://{quote(demo.user)}:{quote(demo.password)}@{server.host}:{server.imap}"
    demo.write(".config/aerc/accounts.conf", f"[demo]\nsource = {source}\nfrom = Demo <{demo.user}>\n")
    with Screen(demo.home, [aerc]) as screen:
        screen.see(*before, "Languages")
        demo.deliver(letter("Ringing the bell"))
        screen.see("Ringing the bell")
        screen.type("g", ":", *"flag", "Enter")
        until(lambda: r"\Flagged" in demo.flags()["Ringing the bell"], lambda: str(demo.flags()))
        screen.type(":", *"copy Archive", "Enter")
        until(lambda: "Ringing the bell" in demo.subjects("Archive"), lambda: str(demo.subjects("Archive")))
        screen.type(":", *"move -p Walls/Größe", "Enter")
        until(lambda: demo.subjects() == before, lambda: str(demo.subjects()))
        screen.type(":", *"cf Languages", "Enter")
        screen.see("Grüße aus Köln", "안녕하세요")
        screen.type(":", *"search Grüße", "Enter")
        screen.type(":", *"quit", "Enter")
        screen.gone()
    assert demo.subjects("Walls/Gr&APYA3w-e") == ["Ringing the bell"]
