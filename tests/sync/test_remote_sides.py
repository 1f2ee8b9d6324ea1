"""The remote side passes the suite for all sides: against Restante and Dovecot, and without each extension in turn."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from restante.sync.remote import RemoteSide, Settings
from restante.testing.server import RestanteServer

from .remote_support import LEAST, PASSWORD, dovecot, dovecot_home, needs_dovecot, restante, secret
from .sides import NAMES, UNALTERED, SideSuite


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestanteServer]:
    with RestanteServer(tmp_path_factory.mktemp("server")) as running:
        yield running


class TestRestante(SideSuite):
    """EMAILIDs come with outlines and messages, not with changes, where they would double what is sent."""

    emails = False
    without: ClassVar[frozenset[str]] = frozenset()
    compress = False
    connections = 3

    @pytest.fixture(autouse=True)
    def account(self, server: RestanteServer) -> None:
        self.server = server
        self.users: dict[Path, str] = {}

    def make(self, folder: Path) -> RemoteSide:
        if folder not in self.users:
            self.users[folder] = f"u{len(self.users)}-{folder.name}-{type(self).__name__}@example.org".lower()
            self.server.add_account(self.users[folder], PASSWORD)
            self.server.run(lambda: self.give_up_archive(self.users[folder]))
        settings = Settings(without=self.without, compress=self.compress, connections=self.connections, poll=0.2)
        return RemoteSide(restante(self.server, self.users[folder]), secret, settings)

    async def give_up_archive(self, user: str) -> None:
        """The suite gives its role to another mailbox."""
        store = self.server.engine.account((await self.server.admin.account(user)).id)
        archive = await store.mailbox("Archive")
        assert archive is not None
        await store.delete_mailbox(archive.key)


class TestRestanteCompressed(TestRestante):
    compress = True


class TestRestanteOneConnection(TestRestante):
    connections = 1


class TestRestanteWithoutQresync(TestRestante):
    without = frozenset({"QRESYNC", "ESEARCH", "MULTIAPPEND", "LIST-STATUS", "NOTIFY", "MOVE"})


class TestRestanteBare(TestRestante):
    """As if it were a server of RFC 3501 and nothing more; UIDs of what was added are not told then."""

    without = LEAST
    ids = state = roles = False
    unaltered = tuple(key for key in UNALTERED if key != "utf-8-header")  # RFC 6855 4: refused without UTF8=ACCEPT


@needs_dovecot
class TestDovecot(SideSuite):
    ids = roles = emails = False
    without: ClassVar[frozenset[str]] = frozenset()
    names = tuple(name for name in NAMES if name != "~tilde")
    unaltered = tuple(UNALTERED)

    @pytest.fixture(autouse=True)
    def homes(self) -> Iterator[None]:
        self.folders: dict[Path, Path] = {}
        yield
        for home in self.folders.values():
            shutil.rmtree(home, ignore_errors=True)

    def make(self, folder: Path) -> RemoteSide:
        if folder not in self.folders:
            self.folders[folder] = dovecot_home()
        return RemoteSide(dovecot(self.folders[folder]), secret, Settings(without=self.without, poll=0.2))


@needs_dovecot
class TestDovecotWithoutQresync(TestDovecot):
    without = frozenset({"QRESYNC", "ESEARCH", "MULTIAPPEND", "LIST-STATUS", "NOTIFY", "MOVE", "LITERAL+"})


@needs_dovecot
class TestDovecotBare(TestDovecot):
    without = LEAST | {"LITERAL+"}
    state = False
