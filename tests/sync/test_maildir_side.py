"""A Maildir tree passes the suite that every side must pass, in both layouts."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from restante.sync.maildir import Layout, MaildirSide

from .sides import SideSuite


class TestMaildirPlusPlus(SideSuite):
    emails: ClassVar[bool] = False  # identities are this tree's own, not EMAILIDs that go to another side

    def make(self, folder: Path) -> MaildirSide:
        return MaildirSide(folder / "Maildir", folder / "state" / "index.db")


class TestPlain(TestMaildirPlusPlus):
    def make(self, folder: Path) -> MaildirSide:
        return MaildirSide(folder / "Mail", folder / "index.db", layout=Layout.PLAIN)


class TestPlainInboxInRootUtf8(TestMaildirPlusPlus):
    def make(self, folder: Path) -> MaildirSide:
        return MaildirSide(folder / "Mail", folder / "index.db", layout=Layout.PLAIN, inbox="", utf8=True)
