"""A Maildir tree that is filled over IMAP and over POP3 in turn, from a Dovecot whose messages hold NUL octets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from restante.clock import SystemClock
from restante.sync.engine import run
from restante.sync.maildir import MaildirSide
from restante.sync.pop3.fetch import fetch
from restante.sync.pop3.settings import Pop3Settings, Report, Security
from restante.sync.pop3.state import Pop3State
from restante.sync.remote import RemoteAddress, RemoteSide
from restante.sync.settings import CopySettings
from restante.sync.settings import Report as Copied
from restante.sync.state import State

from .dovecot_pop3 import PASSWORD, USER, available, dovecot
from .pop3_world import letter, password

pytestmark = [
    pytest.mark.client,
    pytest.mark.skipif(not available(), reason="dovecot-pop3d, run as root"),
]


class Tree:
    """One tree, two ways to fill it. pop3: that port."""

    def __init__(self, folder: Path, imap: int, pop3: int) -> None:
        self.folder = folder
        self.imap = imap
        self.pop3 = pop3
        folder.mkdir()

    def _side(self) -> MaildirSide:
        return MaildirSide(self.folder / "Maildir", self.folder / "index.db")

    def copy(self) -> Copied:
        def secret(*, refused: bool = False) -> str:
            return PASSWORD

        remote = RemoteSide(RemoteAddress("127.0.0.1", self.imap, "none", USER), secret)
        state = State(self.folder / "state")
        try:
            return asyncio.run(run(CopySettings(), remote, self._side(), state, SystemClock()))
        finally:
            state.close()

    def fetch(self) -> Report:
        settings = Pop3Settings("127.0.0.1", self.pop3, USER, password, security=Security.NONE)
        with Pop3State(self.folder / "pop3", settings.source) as state:
            return asyncio.run(fetch(settings, self._side(), state, SystemClock()))

    def all(self) -> list[bytes]:
        parts = (self.folder / "Maildir" / "cur", self.folder / "Maildir" / "new")
        return sorted(path.read_bytes() for part in parts for path in part.iterdir())


def test_imap_and_pop3_in_turn_bring_and_send_nothing_twice(tmp_path: Path) -> None:
    mails = [
        letter("plain"),
        letter("nul", "a\0b\0\0c\r\n"),
        letter("n\0l", "a\0b\r\n"),
        letter("euro", "€\0\r\n"),
        letter("open", "a\0b"),
    ]
    with dovecot(protocol="imap", also="pop3") as server:
        for number, mail in enumerate(mails):
            server.deliver(f"{1_700_000_000 + number}.M1P1.host", mail)
        first, second = (Tree(tmp_path / name, server.port, server.also) for name in ("imap-first", "pop3-first"))
        assert first.copy().two.added == len(mails)
        assert second.fetch().downloaded == len(mails)
        was = first.all(), second.all()
        assert sum(b"\0" in mail for mail in was[0]) == 0
        assert sum(b"\0" in mail for mail in was[1]) == 4
        for cycle in range(3):
            for tree in (first, second):
                assert tree.fetch().downloaded == 0
                copied = tree.copy()
                assert (copied.one.added, copied.two.added, copied.aside) == (0, 0, ()), cycle
            if cycle == 0:
                for tree in (first, second):
                    (tree.folder / "state").unlink()
                    (tree.folder / "pop3").unlink()
            elif cycle == 1:
                server.renumber()
        assert (first.all(), second.all()) == was, "what is stored is what came"
        assert len(server.files()) == len(mails)
