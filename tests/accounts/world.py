"""An installation for the accounts room's tests: a real directory, an engine that notes what it is asked."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from restante.accounts.admin import Admin
from restante.accounts.authenticate import LocalAuthenticator
from restante.accounts.login import Peer
from restante.accounts.proofs import ProofTable
from restante.clock import ManualClock
from restante.config.model import AuthTable, Config
from restante.store.directory import Directory
from restante.store.errors import MailboxExists
from restante.store.interface import Engine
from restante.store.sqlite.directory import SqliteDirectory

AUTH = AuthTable(argon2_memory=64 << 10, argon2_time=1)
ANN = b"ann@example.org"
HERE = Peer("imap", "127.0.0.1", loopback=True, secure=False)
BINDING = hashlib.sha256(b"certificate").digest()
AFAR = Peer("imap", "192.0.2.1", loopback=False, secure=True, channel_binding=BINDING)
IN_THE_CLEAR = replace(AFAR, secure=False, channel_binding=None)


class NotedStore:
    """The few methods of a store that a new account needs."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str | None]] = []
        self.subscribed: list[str] = []
        self.refuse: str | None = None

    async def create_mailbox(self, name: str, role: str | None = None, uidvalidity: int | None = None) -> None:
        if name == self.refuse:
            raise MailboxExists("There is one.")
        self.made.append((name, role))

    async def subscribe(self, name: str, subscribed: bool) -> None:
        self.subscribed.append(name)


class NotedEngine:
    """Accounts' stores by id."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.stores: dict[str, NotedStore] = {}
        self.refuse: str | None = None

    async def create_account(self, account: str) -> None:
        self.stores[account] = NotedStore()
        self.stores[account].refuse = self.refuse

    async def delete_account(self, account: str) -> None:
        del self.stores[account]

    def account(self, account: str, actor: str | None = None, session: str = "") -> NotedStore:
        return self.stores[account]


class World:
    """directory, engine, admin and authenticator on one clock. delays: what failed answers waited. log: events."""

    def __init__(self, folder: Path, config: Config | None = None) -> None:
        self.config = config or Config(auth=AUTH)
        self.clock = ManualClock()
        self.delays: list[float] = []
        self.log: list[tuple[str, Mapping[str, object]]] = []
        self.directory = SqliteDirectory(folder / "directory.db", self.clock, os.urandom)
        self.engine = NotedEngine(self.directory)
        self.admin = Admin(cast(Engine, self.engine), self.config, self.clock, os.urandom)
        self.auth = self.another_process()

    def another_process(self, proofs: ProofTable | None = None) -> LocalAuthenticator:
        """An authenticator that shares nothing but the directory, and these proofs."""
        return LocalAuthenticator(
            self.directory,
            self.config.auth,
            self.clock,
            os.urandom,
            lambda event, fields: self.log.append((event, fields)),
            sleep=self._sleep,
            proofs=proofs,
        )

    async def _sleep(self, seconds: float) -> None:
        self.delays.append(seconds)
        self.clock.advance(seconds)

    @property
    def reasons(self) -> list[object]:
        """Why logins failed, in order."""
        return [fields["reason"] for event, fields in self.log if event == "login-failed"]

    @property
    def computations(self) -> int:
        return self.auth.checker.computations


def run(folder: Path, test: Callable[[World], Awaitable[None]], config: Config | None = None) -> None:
    """`test` in a world with the domain example.org and Ann, whose password is "secret"."""

    async def main() -> None:
        world = World(folder, config)
        await world.admin.add_domain("example.org")
        await world.admin.add_account("ann@example.org", "secret")
        try:
            await test(world)
        finally:
            world.auth.close()
            await world.directory.close()

    asyncio.run(main())
