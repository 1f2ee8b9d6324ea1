"""A real Restante server for tests of any Python project: in this process, on free ports, empty.

`RestanteServer` is what the pytest fixture `restante_server` gives. It listens on loopback, its clock stands still
until a test moves it, and its helpers put mail in and show what came. Everything a mail application can do is done
through the ports, with the project's own code.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from email.message import Message
from email.policy import SMTP
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO, TypeVar

import msgspec

from ..accounts.admin import Admin
from ..clock import ManualClock, Random, system_random
from ..config.limits import mime_limits
from ..config.model import Config
from ..mime.analyse import analyse
from ..mime.normalise import normalise_line_ends
from ..server.inprocess import InProcessServer
from ..store.interface import Engine, Store
from ..store.model import Column, Flags, Mailbox, NewMessage

T = TypeVar("T")

CHEAP_ARGON2 = {"argon2_memory": 1 << 20, "argon2_time": 1}
"""Tests log in often; the cost of guessing their passwords matters to nobody."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One message in a mailbox. flags: as IMAP shows them. received: seconds UTC."""

    uid: int
    flags: frozenset[str]
    received: int
    email_id: str
    data: bytes


class RestanteServer:
    """A server with its own data folder. A context manager; the fixture starts and stops it.

    host: address of all listeners. imap, imaps, pop3, pop3s, lmtp: their ports. certificate: PEM file of the
    self-signed certificate. clock: move it with `clock.advance(seconds)`. log: where log lines go; nowhere when None.
    """

    host = "127.0.0.1"

    def __init__(
        self, data: Path, config: Config | None = None, random: Random = system_random, *, log: TextIO | None = None
    ) -> None:
        self.clock = ManualClock()
        self.config = config or _config()
        self._random = random
        self._server = InProcessServer(data, self.config, clock=self.clock, random=random, log=log)
        self._ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._ports = {name: port for name, (_, port) in self._server.start().items()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    @property
    def imap(self) -> int:
        return self._ports["imap"]

    @property
    def imaps(self) -> int:
        return self._ports["imaps"]

    @property
    def pop3(self) -> int:
        return self._ports["pop3"]

    @property
    def pop3s(self) -> int:
        return self._ports["pop3s"]

    @property
    def lmtp(self) -> int:
        return self._ports["lmtp"]

    @property
    def certificate(self) -> Path:
        assert self._server.certificate is not None, "not started"
        return self._server.certificate

    @property
    def connections(self) -> int:
        """How many connections are open now; one that a client has left counts until its session has ended."""

        async def count() -> int:
            return len(self._server.worker.describe().connections)

        return self._server.call(count)

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function on the server's loop: for what has no helper here."""
        return self._server.call(work)

    @property
    def admin(self) -> Admin:
        """Operations on domains, accounts, aliases, credentials: coroutines, run them with `run`."""
        return Admin(self.engine, self.config, self.clock, self._random)

    @property
    def engine(self) -> Engine:
        """The store beneath: its methods are coroutines too."""
        return self._server.engine

    # Accounts and mail -------------------------------------------------------------------------------

    def add_account(self, address: str, password: str, *, quota: int | None = None) -> None:
        """An account with the usual mailboxes; its domain is added when it is missing."""

        async def work() -> None:
            domain = address.rpartition("@")[2]
            if await self._server.engine.directory.domain(domain) is None:
                await self.admin.add_domain(domain)
            await self.admin.add_account(address, password, quota=quota)

        self.run(work)

    def put(
        self,
        address: str,
        message: bytes | Message,
        mailbox: str = "INBOX",
        flags: Iterable[str] = (),
        received: float | None = None,
    ) -> int:
        """Put a message into a mailbox (made if missing), as APPEND does, without a connection; its UID.

        received: INTERNALDATE, seconds UTC; the clock's reading when None.
        """
        data = message if isinstance(message, bytes) else message.as_bytes(policy=SMTP)
        octets = normalise_line_ends(data)
        when = int(self.clock.now() if received is None else received)

        async def work() -> int:
            store = await self._store(address)
            box = await store.mailbox(mailbox) or await store.create_mailbox(mailbox)
            new = NewMessage(
                await store.put(octets), analyse(octets, mime_limits(self.config.limits)), Flags.of(flags), when
            )
            return (await store.append(box.key, [new])).uids[0]

        return self.run(work)

    def mail(self, address: str, mailbox: str = "INBOX") -> list[Mail]:
        """All messages of a mailbox, ascending by UID; empty where there is no such mailbox."""

        async def work() -> list[Mail]:
            store = await self._store(address)
            box = await store.mailbox(mailbox)
            return [] if box is None else await _all(store, box)

        return self.run(work)

    def mailboxes(self, address: str) -> list[str]:
        """Names of all mailboxes, INBOX first."""

        async def work() -> list[str]:
            return [box.name for box in await (await self._store(address)).mailboxes()]

        return self.run(work)

    async def _store(self, address: str) -> Store:
        return self._server.engine.account((await self.admin.account(address)).id)


async def _all(store: Store, box: Mailbox) -> list[Mail]:
    columns = (Column.FLAGS, Column.RECEIVED, Column.EMAIL_ID, Column.CONTENT)
    rows = await store.rows(box.key, ((1, 2**32 - 1),), columns, 2**31)
    table = await store.flag_table()
    found = []
    for uid, number, received, email_id, content in rows:
        assert isinstance(uid, int)
        assert isinstance(number, int)
        assert isinstance(received, int)
        assert isinstance(email_id, bytes)
        assert isinstance(content, int)
        flags = frozenset(table.wires[number].decode("ascii").split())
        found.append(Mail(uid, flags, received, email_id.decode("ascii"), await store.read_content(content)))
    return found


def _config() -> Config:
    return msgspec.convert({"auth": CHEAP_ARGON2}, Config)
