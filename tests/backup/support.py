"""An installation with a backup beside it, and everything of an account that a backup must keep, to be compared."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from restante.backup.apart import finish
from restante.backup.folder import Folder
from restante.backup.keys import KeyFile
from restante.backup.location import Location
from restante.backup.repository import Repository, Snapshot
from restante.backup.restore import Restored, restore_all
from restante.backup.run import Done, run
from restante.clock import ManualClock, system_random
from restante.mime.analyse import analyse
from restante.mime.model import DEFAULT_LIMITS
from restante.store.annotation import ACCOUNT
from restante.store.directory import Account, AccountSettings, Alias, Credential, Domain, Scram
from restante.store.interface import Engine, Store
from restante.store.model import Column, Flags, Identity, NewMessage
from restante.store.sqlite.aside import Aside
from restante.store.sqlite.engine import SqliteEngine

T = TypeVar("T")

ALL = ((1, 0xFFFF_FFFF),)
KEY = KeyFile(bytes(range(32)))
"""Opens at once: a passphrase costs a seventh of a second each time."""
ANN, BOB = "ann1", "bob1"


class World:
    """Accounts ann@ and bob@example.com below `folder`, and a backup of them."""

    def __init__(self, folder: Path, location: Location | None = None) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.location = location or Folder(folder / "backup", system_random)
        self.engine = self.open(folder / "data")
        Repository.init(self.location, KEY, "test", 0, system_random)

    def reopen(self, folder: Path, now: float) -> None:
        """The world of another process: its data and its backup are there."""
        self.folder = folder
        self.clock = ManualClock(now)
        self.location = Folder(folder / "backup", system_random)
        self.engine = self.open(folder / "data")

    def open(self, data: Path) -> SqliteEngine:
        return SqliteEngine(data, self.clock, system_random, reserve=0, compress=False)

    async def fill(self) -> None:
        directory = self.engine.directory
        await directory.add_domain(Domain("example.com", "ann@example.com", True, 5))
        await add_account(self.engine, ANN, "ann@example.com")
        await add_account(self.engine, BOB, "bob@example.com")
        await directory.put_alias(Alias("all@example.com", ("ann@example.com", "bob@example.com"), 7))
        await directory.secret("salts")

    @property
    def ann(self) -> Store:
        return self.engine.account(ANN)

    @property
    def bob(self) -> Store:
        return self.engine.account(BOB)

    def repository(self) -> Repository:
        """The backup, opened anew: nothing is remembered from before."""
        return Repository.open(self.location, KEY, system_random)

    async def take(self, *addresses: str, full: bool = False, repository: Repository | None = None) -> Done:
        return await run(
            self.engine,
            repository or self.repository(),
            self.clock,
            "host",
            {"restante.toml": b"x"},
            addresses,
            full=full,
        )

    def take_aside(self, *addresses: str, full: bool = False, repository: Repository | None = None) -> Done:
        """As `take`, without an engine. Where no loop is running."""
        source = Aside(str(self.folder / "data"))
        try:
            taking = run(
                source, repository or self.repository(), self.clock, "host", {"restante.toml": b"x"}, addresses,
                full=full,
            )  # fmt: skip
            return finish(taking)
        finally:
            source.close()

    async def give(self, snapshot: Snapshot, data: Path) -> tuple[SqliteEngine, Restored]:
        """A snapshot restored onto an empty folder. The caller closes the engine."""
        engine = self.open(data)
        return engine, await restore_all(engine, self.repository(), snapshot, data, DEFAULT_LIMITS, lambda octets: None)


def play(scene: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(scene)


async def add_account(engine: Engine, id: str, address: str) -> None:
    settings = AccountSettings("keep", 9, True, None)
    await engine.directory.add_account(Account(id, address, "example.com", True, 10**9, settings, False, 3, 1, 10**6))
    await engine.create_account(id)
    await engine.directory.put_credential(
        id, Credential(0, "password", "", "$argon2id$x", frozenset(), Scram(b"s" * 32, b"t" * 32), 4),
        salt=b"salt", iterations=4096,
    )  # fmt: skip
    await engine.directory.put_credential(
        id, Credential(0, "app", "phone", "$sha256$y", frozenset({"imap"}), None, 4, 8)
    )


def message(number: int, text: str = "Hello", *, to: str = "ann@example.com") -> bytes:
    return (
        f"From: Somebody <s{number % 7}@example.org>\r\nTo: {to}\r\nSubject: Number {number}\r\n"
        f"Message-ID: <{number}@example.org>\r\n\r\n{text} {number}\r\n"
    ).encode()


async def put(
    store: Store,
    mailbox: str,
    *messages: bytes,
    flags: Flags | None = None,
    received: int = 1_000_000_000,
    **identity: Any,
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """File messages in one command, into a mailbox that is made where it is missing; UIDs and EMAILIDs."""
    there = await store.mailbox(mailbox) or await store.create_mailbox(mailbox)
    new = [
        NewMessage(await store.put(data), analyse(data), flags or Flags(), received, None, Identity(**identity))
        for data in messages
    ]
    done = await store.append(there.key, new)
    return done.uids, done.email_ids


async def state(store: Store) -> dict[str, object]:
    """All of an account that a whole restore gives back exactly. Counters move on and are not here."""
    table = await store.flag_table()
    columns = (
        Column.FLAGS,
        Column.RECEIVED,
        Column.SAVED,
        Column.EMAIL_ID,
        Column.THREAD_ID,
        Column.SIZE,
        Column.CONTENT,
    )
    found: dict[str, object] = {}
    for box in await store.mailboxes():
        rows = await store.rows(box.key, ALL, columns, 1_000_000)
        octets = await store.read_contents([int(str(row[7])) for row in rows])
        found[box.name] = (
            (box.key, box.id, box.role, box.uidvalidity, box.recent_uid, box.subscribed),
            (box.messages, box.unseen, box.deleted, box.size, box.deleted_size),
            [(row[0], table[int(str(row[1]))], *row[2:7], data) for row, data in zip(rows, octets, strict=True)],
            await store.provenance(box.key, ALL),
            await _entries(store, box.key),
            sorted((entry.identifier, entry.rights) for entry in await store.acl(box.key)),
        )
    found["*"] = (
        await _entries(store, ACCOUNT),
        await store.subscriptions(),
        await store.keywords(),
        [(each.uid, each.uidl, each.size) for each in await store.maildrop()],
        (await store.stats()).used,
    )
    return found


async def _entries(store: Store, key: int) -> dict[str, bytes]:
    names = [entry for entry, _ in await store.annotation_names(key)]
    return (await store.annotations([key], names))[key]


async def findings(store: Store) -> list[str]:
    return [each.text async for each in store.doctor(False)]
