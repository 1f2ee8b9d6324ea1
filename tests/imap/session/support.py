"""A world for IMAP tests: the real engine on a temporary folder, sessions over memory connections.

`run(scenario)` gives a scenario a `World`; `World.client()` gives a connected client, whose `do` sends octets
and returns what came up to the tagged response.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from restante.accounts.login import Admitted, LoginRefused, Peer, PrivacyRequired, SaslExchange, TooManyQuestions
from restante.clock import ManualClock
from restante.config.model import ImapTable, LimitsTable
from restante.imap.session.session import ImapSession
from restante.mime.analyse import analyse
from restante.store.directory import Account, AccountSettings, Domain
from restante.store.interface import Store
from restante.store.model import Flags, NewMessage
from restante.store.sqlite.engine import SqliteEngine
from restante.testing.memory import MemoryConnection

SIMPLE = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: %b\r\nDate: 1 Jan 2024 00:00:00 +0000\r\n\r\n%b\r\n"
ACCOUNT = Account("acc1", "user@example.org", "example.org", True, None, AccountSettings(), False, 0, 1)
DONE = re.compile(rb"(?:^|\r\n)(?:(\S+) (?:OK|NO|BAD) |\+ |\* BYE )[^\r\n]*\r\n\Z")


class PlainExchange:
    """SASL PLAIN, as far as the session's tests need it."""

    def __init__(self) -> None:
        self.asked = False

    async def step(self, response: bytes | None) -> bytes | Admitted:
        if response is None:
            return b""
        if response == b"\0user\0pass":
            return Admitted(ACCOUNT)
        raise LoginRefused("wrong password")


class Authenticator:
    """Knows one account: user, pass; and those that `World.person` adds. plain: LOGIN and PLAIN are allowed."""

    def __init__(self, plain: bool = True) -> None:
        self.plain = plain
        self.people: dict[bytes, Account] = {b"user": ACCOUNT}
        self.asked: list[str] = []
        """Who has asked for addresses that are not here."""

    def mechanisms(self, peer: Peer) -> tuple[str, ...]:
        return ("PLAIN",) if self.plain_allowed(peer) else ()

    def plain_allowed(self, peer: Peer) -> bool:
        return self.plain and (peer.secure or peer.loopback)

    def start(self, mechanism: str, peer: Peer) -> SaslExchange:
        if mechanism not in self.mechanisms(peer):
            raise LoginRefused("no such mechanism")
        return PlainExchange()

    async def password(self, user: bytes, password: bytes, peer: Peer) -> Admitted:
        if not self.plain_allowed(peer):
            raise PrivacyRequired("Use TLS.")
        if user in self.people and password == b"pass":
            return Admitted(self.people[user])
        raise LoginRefused("wrong password")

    async def may_ask(self, account: Account) -> None:
        if self.asked.count(account.address) > 3:
            raise TooManyQuestions("You have asked for many addresses that are not here.")

    async def asked_in_vain(self, account: Account) -> None:
        self.asked.append(account.address)


class Client:
    """One connection and its session's task."""

    def __init__(self, world: World, connection: MemoryConnection, config: ImapTable, limits: LimitsTable) -> None:
        self.connection = connection
        self.session = ImapSession(
            connection, world.engine, world.authenticator, config, limits, world.clock, version="1"
        )
        self.task = asyncio.get_running_loop().create_task(self.session.run())
        self._number = 0

    async def until(self, done: Callable[[bytes], bool]) -> bytes:
        """All that was written, once it is what is waited for. Raises TimeoutError with what there is."""
        try:
            async with asyncio.timeout(10):
                while not done(bytes(self.connection.written)):
                    if self.task.done():
                        self.task.result()
                        if not done(bytes(self.connection.written)):
                            return self.connection.take()
                    self.connection.changed.clear()
                    change = asyncio.ensure_future(self.connection.changed.wait())
                    await asyncio.wait({change, self.task}, return_when=asyncio.FIRST_COMPLETED)
                    change.cancel()
        except TimeoutError:
            raise TimeoutError(bytes(self.connection.written)) from None
        return self.connection.take()

    async def raw(self, data: bytes, tag: bytes) -> bytes:
        """Send octets as they are; what came up to the tagged response (or a "+" or BYE)."""
        self.connection.feed(data)

        def done(written: bytes) -> bool:
            match = DONE.search(written)
            return match is not None and (match[1] is None or match[1] == tag)

        return await self.until(done)

    async def do(self, command: bytes) -> bytes:
        """Send one command (without tag and CRLF); the responses, with the tag as "T"."""
        self._number += 1
        tag = b"t%d" % self._number
        got = await self.raw(tag + b" " + command + b"\r\n", tag)
        return got.replace(tag + b" ", b"T ").replace(b'"' + tag + b'"', b'"T"')

    async def ok(self, command: bytes) -> bytes:
        """As `do`, for a command that must succeed."""
        got = await self.do(command)
        assert b"\r\nT OK" in b"\r\n" + got, got
        return got

    async def greeting(self) -> bytes:
        return await self.until(lambda written: written.endswith(b"\r\n"))

    async def idle(self) -> None:
        assert b"+ " in await self.do(b"IDLE")

    async def pushed(self, wanted: bytes) -> bytes:
        """What came unasked, once it holds `wanted`."""
        return await self.until(lambda written: wanted in written and written.endswith(b"\r\n"))


class World:
    """One engine, one account."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.clock = ManualClock()
        seed = iter(range(1, 1 << 30))
        self.engine = SqliteEngine(
            folder,
            self.clock,
            lambda n: next(seed).to_bytes(8, "big").rjust(n, b"r")[-n:],
            reserve=0,
            index_from=1,
            **options,
        )
        self.authenticator = Authenticator()
        self.config = ImapTable()
        self.clients: list[Client] = []

    @property
    def store(self) -> Store:
        return self.engine.account(ACCOUNT.id)

    def connect(
        self,
        *,
        config: ImapTable | None = None,
        limits: LimitsTable | None = None,
        connection: MemoryConnection | None = None,
    ) -> Client:
        client = Client(self, connection or MemoryConnection(), config or self.config, limits or LimitsTable())
        self.clients.append(client)
        return client

    async def person(self, name: str, **settings: Any) -> Account:
        """Another account, NAME@example.org, which logs in as NAME with the password "pass"."""
        directory = self.engine.directory
        if await directory.domain("example.org") is None:
            await directory.add_domain(Domain("example.org"))
        account = Account(
            "id-" + re.sub("[^a-z]", "", name),
            f"{name}@example.org",
            "example.org",
            True,
            None,
            AccountSettings(),
            False,
            0,
            1,
            **settings,
        )
        await self.engine.create_account(account.id)
        await directory.add_account(account)
        self.authenticator.people[name.encode()] = account
        return account

    async def client(self, *commands: bytes, user: bytes = b"user", config: ImapTable | None = None) -> Client:
        """A client that has logged in and given these commands."""
        client = self.connect(config=config)
        await client.greeting()
        await client.ok(b"LOGIN %b pass" % user)
        for command in commands:
            await client.ok(command)
        return client

    async def add(
        self, *bodies: bytes, mailbox: str = "INBOX", flags: tuple[str, ...] = (), account: str = ACCOUNT.id
    ) -> list[int]:
        """File messages with these bodies (subject s1, s2, ...), one command each; their UIDs."""
        return [
            (await self.file(SIMPLE % (b"s%d" % number, body), mailbox=mailbox, flags=flags, account=account))
            for number, body in enumerate(bodies, 1)
        ]

    async def file(
        self, data: bytes, *, mailbox: str = "INBOX", flags: tuple[str, ...] = (), account: str = ACCOUNT.id
    ) -> int:
        """File one message; its UID."""
        store = self.engine.account(account)
        found = await store.mailbox(mailbox)
        assert found is not None
        new = NewMessage(await store.put(data), analyse(data), Flags.of(flags), int(self.clock.now()))
        return (await store.append(found.key, [new])).uids[0]


def put_store(client: Client, store: Any) -> None:  # any object with a store's methods
    """Let the client's selected mailbox be answered by another store."""
    place = client.session.place
    assert place is not None
    client.session.place = replace(place, store=store)


def run(scenario: Callable[[World], Awaitable[None]], **options: Any) -> None:
    """Run a scenario in a world of its own; sessions are ended and their faults shown. options: the engine's."""

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            world = World(Path(folder), **options)
            await world.engine.create_account(ACCOUNT.id)
            try:
                await scenario(world)
            finally:
                for client in world.clients:
                    client.connection.feed_eof()
                async with asyncio.timeout(10):
                    await asyncio.gather(*(client.task for client in world.clients))
                await world.engine.close()

    asyncio.run(main())
