"""An IMAP world whose account has a backup, and whose sessions see it below `Backups/`, all in one process."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from restante.backup.errors import NoRepository
from restante.backup.folder import Folder
from restante.backup.keys import KeyFile
from restante.backup.repository import Repository, Snapshot
from restante.backup.run import run as back_up
from restante.clock import Clock, system_random
from restante.config.model import BackupTable, Config, ImapTable
from restante.errors import Refusal
from restante.server.logs import Logger, make_logger
from restante.server.past import PastOverSocket
from restante.server.past_order import cache_folder
from restante.server.past_reader import Holder, PastReader
from restante.server.past_wire import Request
from restante.store.directory import Domain
from restante.store.errors import NoSuchMailbox, PastUnavailable

from .session.support import ACCOUNT, Client, World

T = TypeVar("T")

KEY = KeyFile(bytes(range(32)))
MIXED = (
    b"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nCc: c@example.org\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Mon, 1 Jan 2024 10:00:00 +0100\r\nMessage-ID: <m1@example.org>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZSBhdXMgZGVyIEZlcm5lCg==\r\n--b\r\n"
    b'Content-Type: application/pdf; name="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQF\r\n--b--\r\n'
)
REPLY = (
    b"From: bob@example.org\r\nTo: ann@example.org\r\nSubject: Re: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Tue, 2 Jan 2024 10:00:00 +0100\r\nMessage-ID: <m2@example.org>\r\nIn-Reply-To: <m1@example.org>\r\n"
    b"References: <m1@example.org>\r\n\r\nThank you, and greetings.\r\n"
)


class Direct(PastOverSocket):
    """The worker's end without a socket: asks a reader that lives here."""

    def __init__(self, reader: PastReader, settings: Config, data: Path, clock: Clock, log: Logger) -> None:
        super().__init__(settings, data, clock, system_random, log)
        self.reader = reader
        self.holder = Holder()
        self.asked: list[Request] = []
        self.said: list[asyncio.Future[object]] = []
        self._connection: Any = self  # what `store` keeps to say Leave by
        self.open = True
        self.waiting: dict[int, Any] = {}

    async def ask(self, request: Request, what: type[T]) -> T:
        self.asked.append(request)
        try:
            found = await self.reader.answer(request, self.holder)
        except NoRepository as error:
            raise NoSuchMailbox("There is no such mailbox.") from error
        except Refusal as refusal:
            raise PastUnavailable(str(refusal)) from refusal
        return msgspec.convert(msgspec.msgpack.decode(msgspec.msgpack.encode(found)), what)

    def say(self, request: Request) -> None:
        self.said.append(asyncio.ensure_future(self.reader.answer(request, self.holder)))

    async def close(self) -> None:
        self._connection = None
        if self._timer is not None:
            self._timer.cancel()
        await super().close()


class PastWorld(World):
    """`take` takes a snapshot; clients that `client` gives see them."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder / "data", **options)
        self.location = Folder(folder / "backup", system_random)
        self.settings = Config(backup=BackupTable(location=str(folder / "backup"), in_imap=True))
        self.out = io.StringIO()
        self.log = make_logger("info", "plain", self.clock, self.out)
        self.repository = Repository.init(self.location, KEY, "test", 0, system_random)
        self.reader = PastReader(
            self.settings, cache_folder(folder / "data"), self.clock, system_random, self.log, open=self.opened
        )
        self.past = Direct(self.reader, self.settings, folder / "data", self.clock, self.log)

    def opened(self) -> Repository:
        return Repository.open(self.location, KEY, system_random)

    async def take(self) -> Snapshot:
        """A snapshot of now, a day later than anything before; its name is in `named`."""
        self.clock.advance(86400.0)
        return (await back_up(self.engine, self.opened(), self.clock, "host", {})).snapshot

    async def client(self, *commands: bytes, user: bytes = b"user", config: ImapTable | None = None) -> Client:
        client = self.connect(config=config)
        client.session.past = self.past
        await client.greeting()
        await client.ok(b"LOGIN %b pass" % user)
        for command in commands:
            await client.ok(command)
        return client

    async def names(self, account: str = ACCOUNT.id) -> list[bytes]:
        """Snapshots as levels of mailbox names."""
        return [state.name.encode() for state in await self.past.states(account)]


def run(scenario: Callable[[PastWorld], Awaitable[None]], **options: Any) -> None:
    """As `support.run`, in such a world."""

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            world = PastWorld(Path(folder), **options)
            await world.engine.directory.add_domain(Domain("example.org"))
            await world.engine.directory.add_account(ACCOUNT)
            await world.engine.create_account(ACCOUNT.id)
            try:
                await scenario(world)
            finally:
                for client in world.clients:
                    client.connection.feed_eof()
                async with asyncio.timeout(10):
                    await asyncio.gather(*(client.task for client in world.clients))
                await world.past.close()
                await world.reader.close()
                await world.engine.close()

    asyncio.run(main())


async def mail(world: PastWorld) -> None:
    """Three messages in INBOX, one that is gone, one in Work/Now."""
    await world.file(MIXED, flags=("\\Seen", "\\Flagged"))
    await world.file(b"Subject: gone\r\n\r\ngone\r\n")
    await world.file(REPLY, flags=("Important",))
    await world.add(b"plain")
    box = await world.store.mailbox("INBOX")
    assert box is not None
    await world.store.expunge(box.key, ((2, 2),), deleted_only=False)
    await world.store.create_mailbox("Work/Now", None)
    await world.file(b"Subject: work\r\n\r\nwork\r\n", mailbox="Work/Now")
    await world.store.subscribe("Work/Now", True)


async def lose_everything(world: PastWorld) -> None:
    """Expunge all there is now."""
    for box in await world.store.mailboxes():
        await world.store.expunge(box.key, None, deleted_only=False)


async def opened(world: PastWorld, mailbox: bytes = b"INBOX", *commands: bytes) -> Client:
    """A client that has given the commands and selected this mailbox of the newest snapshot."""
    name = (await world.names())[-1]
    return await world.client(*commands, b'SELECT "Backups/%b/%b"' % (name, mailbox))


async def uidls(world: PastWorld) -> list[str]:
    """What POP3 calls the messages of the maildrop."""
    return [one.uidl for one in await world.store.maildrop()]
