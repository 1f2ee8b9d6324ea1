"""A small store in memory: what POP3 and delivery need of an engine, honestly done, with faults on request.

It keeps messages, mailboxes, quotas' sums, UIDLs, retrieval times and what finish_maildrop was asked; it has no
durability and knows one process. `fail` names methods that raise the refusal given instead of working.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import cast

from restante.clock import ManualClock
from restante.mime.analyse import analyse
from restante.mime.model import Trait
from restante.store.directory import Account, AccountSettings, Alias, Directory, Domain
from restante.store.errors import InUse, NoSuchMailbox, OverQuota
from restante.store.interface import Engine
from restante.store.journal import Begun
from restante.store.model import (
    INBOX,
    AccountStats,
    Appended,
    Blob,
    DropList,
    DropMessage,
    Flags,
    Mailbox,
    NewMessage,
    Pop3Delete,
    UidRanges,
)


@dataclass
class Kept:
    uid: int
    email_id: str
    data: bytes
    message: NewMessage
    content: int
    seen: bool = False
    retrieved: int | None = None


@dataclass
class Finished:
    """What finish_maildrop was asked."""

    delete: UidRanges
    how: Pop3Delete
    retrieved: UidRanges
    mark_seen: bool


class FakeStore:
    def __init__(self, account: str, engine: FakeEngine) -> None:
        self.account = account
        self.engine = engine
        self.boxes: dict[str, list[Kept]] = {INBOX: []}
        self.contents: dict[int, bytes] = {}
        self.hidden: set[str] = set()
        self.next_uid = 1
        self.finished: list[Finished] = []
        self.expired: list[int] = []
        self.locked = False
        self.fail: dict[str, Exception] = {}
        self.reads = 0

    def _check(self, method: str) -> None:
        if method in self.fail:
            raise self.fail[method]

    def _box(self, key: int) -> list[Kept]:
        names = list(self.boxes)
        if not 0 <= key < len(names):
            raise NoSuchMailbox("gone")
        return self.boxes[names[key]]

    async def mailboxes(self) -> list[Mailbox]:
        return [
            Mailbox(key, f"b{key}", name, None, 1, self.next_uid, 1, 0, len(kept), 0, 0, _octets(kept), 0, True)
            for key, (name, kept) in enumerate(self.boxes.items())
        ]

    async def mailbox(self, name: str) -> Mailbox | None:
        return next((m for m in await self.mailboxes() if m.name == name), None)

    async def stats(self) -> AccountStats:
        self._check("stats")
        used = sum(_octets(kept) for kept in self.boxes.values())
        return AccountStats(len(self.boxes), 0, used, 0, 0, 0, 1)

    async def put(self, data: bytes | bytearray | memoryview, before: bytes = b"") -> Blob:
        self._check("put")
        octets = before + data
        return Blob(hashlib.sha256(octets).digest(), len(octets), octets)

    async def append(self, mailbox: int, messages: Sequence[NewMessage]) -> Appended:
        self._check("append")
        box = self._box(mailbox)
        account = await self.engine.directory.account_by_id(self.account)
        quota = account.quota if account else None
        if quota and (await self.stats()).used + sum(m.blob.size for m in messages) > quota:
            raise OverQuota("full")
        for message in messages:
            data = message.blob.token
            assert isinstance(data, bytes)
            content = len(self.contents) + 1
            self.contents[content] = data
            box.append(Kept(self.next_uid, f"m{self.next_uid:03}", data, message, content))
            self.next_uid += 1
        return Appended((await self.mailboxes())[mailbox], (box[-1].uid,), (box[-1].email_id,), 1)

    async def append_by_name(self, name: str, messages: Sequence[NewMessage]) -> Appended:
        if name not in self.boxes:
            raise NoSuchMailbox("gone")
        return await self.append(list(self.boxes).index(name), messages)

    async def append_once(self, name: str, message: NewMessage) -> Appended | None:
        email_id = message.identity.email_id
        assert email_id is not None
        return None if await self.has_email(email_id) else await self.append_by_name(name, [message])

    async def has_email(self, email_id: str) -> bool:
        self._check("has_email")
        return any(k.message.identity.email_id == email_id for box in self.boxes.values() for k in box)

    async def find_arrivals(self, digest: bytes, since: int) -> list[tuple[str, int]]:
        return [
            (k.email_id, k.content)
            for box in self.boxes.values()
            for k in box
            if k.message.arrival == digest and k.message.received >= since
        ]

    async def read_content(self, content: int, offset: int = 0, count: int | None = None) -> bytes:
        self._check("read_content")
        data = self.contents[content]
        return data[offset:] if count is None else data[offset : offset + count]

    async def read_contents(self, contents: Sequence[int]) -> list[bytes]:
        self.reads += 1
        for content in contents:
            self._check(f"read {content}")
        return [self.contents[c] for c in contents]

    async def stream_content(self, content: int) -> AsyncIterator[bytes]:
        self._check(f"stream {content}")
        data = self.contents[content]
        for start in range(0, len(data), 100_000):
            if start:
                self._check(f"stream {content} later")
            yield data[start : start + 100_000]

    @asynccontextmanager
    async def lock_maildrop(self) -> AsyncIterator[None]:
        if self.locked:
            raise InUse("in use")
        self.locked = True
        try:
            yield
        finally:
            self.locked = False

    async def maildrop(self) -> DropList:
        self._check("maildrop")
        drop = []
        for k in self.boxes[INBOX]:
            if k.email_id in self.hidden:
                continue
            a = k.message.analysis
            full = a.size + (2 if a.traits & Trait.NO_FINAL_CRLF else 0)
            plain = a.surrogate_size if a.surrogate_size is not None else full
            drop.append(DropMessage(k.uid, k.email_id, plain, full, k.content, int(a.traits), k.seen))
        return DropList(drop)

    async def finish_maildrop(
        self, delete: UidRanges, how: Pop3Delete, retrieved: UidRanges, *, mark_seen: bool
    ) -> None:
        self._check("finish_maildrop")
        self.finished.append(Finished(delete, how, retrieved, mark_seen))
        for k in self.boxes[INBOX]:
            if _within(k.uid, retrieved):
                k.retrieved = int(self.engine.clock.now())
                k.seen = k.seen or mark_seen
        gone = [k for k in self.boxes[INBOX] if _within(k.uid, delete)]
        if how is Pop3Delete.KEEP:
            self.hidden |= {k.email_id for k in gone}
            return
        self.boxes[INBOX] = [k for k in self.boxes[INBOX] if k not in gone]
        if how is Pop3Delete.TRASH:
            self.boxes.setdefault("Trash", []).extend(gone)

    async def expire_retrieved(self, before: int) -> int:
        self._check("expire_retrieved")
        self.expired.append(before)
        due = [k for k in self.boxes[INBOX] if k.retrieved is not None and k.retrieved < before]
        self.boxes[INBOX] = [k for k in self.boxes[INBOX] if k not in due]
        self.boxes.setdefault("Trash", []).extend(due)
        return len(due)

    def add(self, data: bytes, mailbox: str = INBOX) -> None:
        """File octets as they are, without any delivery."""
        content = len(self.contents) + 1
        self.contents[content] = data
        blob = Blob(hashlib.sha256(data).digest(), len(data), data)
        message = NewMessage(blob, analyse(data), Flags(), 0)
        self.boxes.setdefault(mailbox, []).append(
            Kept(self.next_uid, f"m{self.next_uid:03}", data, message, content),
        )
        self.next_uid += 1


def _within(uid: int, ranges: UidRanges) -> bool:
    return any(low <= uid <= high for low, high in ranges)


def _octets(kept: list[Kept]) -> int:
    return sum(len(one.data) for one in kept)


class FakeJournal:
    """`store.journal.DeliveryJournal` in memory, with faults on request."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, bytes], Begun] = {}
        self.writes: list[str] = []
        self.fail: dict[str, Exception] = {}

    def _write(self, method: str) -> None:
        self.writes.append(method)
        if method in self.fail:
            raise self.fail[method]

    @asynccontextmanager
    async def lock(self, digest: bytes, recipient: str) -> AsyncIterator[None]:
        if "lock" in self.fail:
            raise self.fail["lock"]
        yield

    async def find(self, digest: bytes, recipient: str) -> Begun | None:
        return self.rows.get((recipient, digest))

    async def any_to(self, recipient: str) -> bool:
        return any(name == recipient for name, _ in self.rows)

    async def begin(self, digest: bytes, recipient: str, when: int) -> Begun:
        self._write("begin")
        return self.rows.setdefault((recipient, digest), Begun(os.urandom(16)))

    async def note(self, digest: bytes, recipient: str, done: frozenset[str]) -> None:
        self._write("note")
        self.rows[recipient, digest] = Begun(self.rows[recipient, digest].token, done)

    async def end(self, digest: bytes, recipient: str) -> None:
        self._write("end")
        self.rows.pop((recipient, digest), None)

    async def expire(self, before: int) -> int:
        raise NotImplementedError


class FakeDirectory:
    def __init__(self) -> None:
        self.deliveries = FakeJournal()
        self.known: dict[str, Account] = {}
        self.known_aliases: dict[str, Alias] = {}
        self.known_domains: dict[str, Domain] = {"example.org": Domain("example.org")}
        self.smallest = -1
        self.asked_smallest: list[int] = []
        self.suppressed: list[tuple[str, int, str]] = []

    async def account(self, address: str) -> Account | None:
        return self.known.get(address.lower())

    async def account_by_id(self, id: str) -> Account | None:
        return next((a for a in self.known.values() if a.id == id), None)

    async def alias(self, address: str) -> Alias | None:
        return self.known_aliases.get(address.lower())

    async def domain(self, name: str) -> Domain | None:
        return self.known_domains.get(name)

    async def domains(self) -> list[Domain]:
        return list(self.known_domains.values())

    async def smallest_leave_days(self, default: int) -> int:
        self.asked_smallest.append(default)
        return self.smallest

    async def log_duplicate(self, account: str, digest: bytes, when: int, email_id: str) -> None:
        self.suppressed.append((account, when, email_id))


class FakeEngine:
    def __init__(self) -> None:
        self.directory = FakeDirectory()
        self.clock = ManualClock()
        self.stores: dict[str, FakeStore] = {}

    def account(self, account: str, actor: str | None = None, session: str = "") -> FakeStore:
        return self.stores.setdefault(account, FakeStore(account, self))

    def add(
        self,
        address: str,
        *,
        quota: int | None = None,
        enabled: bool = True,
        settings: AccountSettings | None = None,
    ) -> FakeStore:
        """An account and its empty store; the id is the address's local part with an "a-" before it."""
        local, _, domain = address.partition("@")
        chosen = settings or AccountSettings()
        self.directory.known[address.lower()] = Account(
            f"a-{local}", address, domain, enabled, quota, chosen, demo=False, created=0, credential_version=1
        )
        return self.account(f"a-{local}")

    def alias(self, address: str, *targets: str) -> None:
        self.directory.known_aliases[address.lower()] = Alias(address, targets)

    @property
    def typed(self) -> Engine:
        """As an engine, for what takes one: the methods that are not here are not called."""
        return cast(Engine, self)

    @property
    def typed_directory(self) -> Directory:
        return cast(Directory, self.directory)


@contextmanager
def failing(store: FakeStore, method: str, refusal: Exception) -> Iterator[None]:
    """`method` raises `refusal` within the block."""
    store.fail[method] = refusal
    try:
        yield
    finally:
        del store.fail[method]
