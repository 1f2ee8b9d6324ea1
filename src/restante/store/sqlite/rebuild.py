"""Making an account anew from what a backup has of it, as one file that is there whole or not at all.

The file is filled under another name in one transaction, synced, and linked into place. It says of itself that it is
no file of this place, so its first opening takes it for what it is, an older state put in service: a new incarnation,
UIDNEXTs and the counter raised, placements stamped anew (see `incarnation`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import apsw

from ...clock import Random
from ..backup import Head, Pop3Row, Readying, RebuiltRow, SeenRow
from ..errors import AccountExists, AnotherStore
from ..model import Flags, System
from . import answers, bulk, content, ready, served, stamps
from .faults import translated
from .handles import WRITER_WAIT, connect
from .identity import new_id
from .migrate import new_file, put_in_place
from .schema import APPLICATION_ID, PRAGMAS_BEFORE_TABLES, TABLES, VERSION
from .transaction import DELETED_SQL, UNSEEN_SQL, Interned, Settings, Write

P = ParamSpec("P")
T = TypeVar("T")

FROM_ELSEWHERE = "restored"
"""What `account.file` says until the file is first opened: the identity of no file."""

SYNCED = 64 << 20
"""Octets filed after which the disk begins with them: or all of them would be waited for at the end."""
CACHE_KIB = 64 << 10
"""For the one connection that fills the file: its trees are filled at their ends, those by id everywhere."""


@asynccontextmanager
async def rebuilding(
    path: Path, account: str, head: Head, settings: Settings, now: int, random: Random
) -> AsyncIterator[SqliteRebuilding]:
    """An account to be filled. What is not finished when the block ends is gone. Raises StoreRefusal."""
    with translated():
        making = await asyncio.to_thread(_prepare, path, head, random)
        one = SqliteRebuilding(making, path, account, head, settings, now, random)
        try:
            await one.begin()
            yield one
            await one.filed()
        finally:
            await one.end()


class SqliteRebuilding:
    """Implements `store.backup.Rebuilding`."""

    def __init__(
        self, making: Path, path: Path, account: str, head: Head, settings: Settings, now: int, random: Random
    ) -> None:
        self._making = making
        self._path = path
        self._account = account
        self._head = head
        # What the account held under former limits, it holds again.
        self._settings = dataclasses.replace(settings, keywords=max(settings.keywords, len(head.keywords)))
        self._now = now
        self._random = random
        self._tx: Write | None = None
        self._db: apsw.Connection | None = None
        self._orders: set[int] = set()
        self._filing: asyncio.Future[None] | None = None
        self._file = -1
        self._syncing: asyncio.Future[None] | None = None
        self._unsynced = 0

    async def begin(self) -> None:
        """Make the file. One that is given up meanwhile is closed when its thread has ended."""
        self._filing = asyncio.ensure_future(asyncio.to_thread(self._open))
        await self.filed()

    def _open(self) -> None:
        # Kept open beside SQLite's: what cannot be written to the disk is told to who had the file open then. Closed
        # before the file has its name: it would take away the locks of whoever in this process has opened it by that.
        self._file = os.open(self._making, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._db = db = apsw.Connection(str(self._making))
        db.execute(PRAGMAS_BEFORE_TABLES)
        db.execute("PRAGMA synchronous = OFF")  # the file counts only once it is whole: synced before it is linked
        db.execute("PRAGMA journal_mode = MEMORY")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        db.execute(TABLES)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("BEGIN IMMEDIATE")
        head = self._head
        self._tx = Write(db, Interned(), max(head.mark.modseq, 1), self._now, self._random, self._settings)
        db.execute(
            "INSERT INTO account (one, id, incarnation, modseq, email_delivery, uidvalidity, log_floor, used, file,"
            " created) VALUES (1, ?1, ?2, ?3, ?3, ?4, ?3, 0, ?5, ?6)",
            (
                self._account,
                new_id("i", self._random),
                self._tx.modseq,
                head.uidvalidity,
                FROM_ELSEWHERE,
                head.created,
            ),
        )
        db.executemany(_MAILBOX, [(*row[:8], self._tx.modseq) for row in head.mailboxes])
        db.executemany(_TOMBSTONE, [(*row[:6], self._tx.modseq, row.removed_at) for row in head.tombstones])
        db.executemany(
            "INSERT INTO keyword (folded, name) VALUES (?, ?)", [(name.lower(), name) for name in head.keywords]
        )
        db.executemany("INSERT INTO subscription (user, name) VALUES (?, ?)", head.subscriptions)
        db.executemany("INSERT INTO acl (mailbox, identifier, rights) VALUES (?, ?, ?)", head.acl)
        db.executemany(
            "INSERT INTO annotation (mailbox, user, entry, value, modseq) VALUES (?, ?, ?, ?, ?)",
            [(*row, self._tx.modseq) for row in head.annotations],
        )
        db.execute("INSERT INTO clock (modseq, at) VALUES (?, ?)", (self._tx.modseq, self._now))

    async def end(self) -> None:
        """Let go of the file, finished or not."""
        for working in (self._filing, self._syncing):
            if working is not None:
                await asyncio.wait([working])  # a thread is not cut off: the file is closed after it
                if not working.cancelled():
                    working.exception()  # of a batch whose account is given up for another reason
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        if self._db is not None:
            self._db.close(True)
        self._let_go()
        for beside in (self._making, *(self._making.with_name(self._making.name + end) for end in ("-wal", "-shm"))):
            beside.unlink(missing_ok=True)

    def _let_go(self) -> None:
        number, self._file = self._file, -1
        if number >= 0:
            os.close(number)

    async def _run(self, fn: Callable[Concatenate[Write, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        tx = self._tx
        if tx is None:
            raise RuntimeError("this account is finished")
        with translated():
            return await asyncio.to_thread(fn, tx, *args, **kwargs)

    @property
    def readying(self) -> Readying:
        return partial(ready.make, compress=self._settings.compress)

    async def emails(self, ready: bytes) -> None:
        # One batch is filed while the next one is on its way.
        await _over(self._filing)
        self._filing = asyncio.ensure_future(self._run(_file, ready, self._orders))
        self._unsynced += len(ready)
        if self._unsynced >= SYNCED and (self._syncing is None or self._syncing.done()):
            await _over(self._syncing)
            self._unsynced = 0
            self._syncing = asyncio.ensure_future(asyncio.to_thread(_sync, self._file))

    async def filed(self) -> None:
        """Wait for the batches that are on their way. Raises why one could not be filed."""
        await _over(self._filing)

    async def placements(self, mailbox: int, rows: Sequence[RebuiltRow]) -> None:
        await self.filed()
        await self._run(_placements, mailbox, rows)

    async def finish(self, pop3: Sequence[Pop3Row], hidden: Sequence[int], seen: Sequence[SeenRow]) -> None:
        await self.filed()
        await self._run(_finish, pop3, hidden, seen)
        self._tx = None
        await _over(self._syncing)
        with translated():
            await asyncio.to_thread(self._put_in_place)

    def _put_in_place(self) -> None:
        db, self._db = self._db, None
        assert db is not None
        db.execute("COMMIT")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_mode = WAL")
        db.close()
        try:
            os.fsync(self._file)
        finally:
            self._let_go()
        if self._head.served is not None:
            served.note(self._path, self._head.served)
        if not put_in_place(self._making, self._path):
            raise _exists()


def _prepare(path: Path, head: Head, random: Random) -> Path:
    """The name under which the file is to be made. Raises AccountExists, AnotherStore.

    What an earlier try that was cut off left is removed: a second try at the same time would fail, and be told so.
    """
    making = new_file(path, random)
    for left in path.parent.glob(f".{path.name}.*.new*"):
        left.unlink(missing_ok=True)
    if path.exists():
        raise _exists() if _made(path) == (FROM_ELSEWHERE, max(head.mark.modseq, 1)) else _another(path)
    return making


def _made(path: Path) -> tuple[str, int]:
    """What a file says of itself: which file it is, and its number. It is not put in service by that."""
    db = connect(path, wait=WRITER_WAIT)
    try:
        file, modseq = db.execute("SELECT file, modseq FROM account").get
        return str(file), int(modseq)
    finally:
        db.close(True)


def _another(path: Path) -> AnotherStore:
    return AnotherStore(
        "There is a store of this account already, and it is another state of it.",
        f"See 'restante doctor'. Where nobody needs it, move {path.name} and what is beside it away.",
    )


def _exists() -> AccountExists:
    return AccountExists("There is a store of this account already.", "Bring its mail back into it instead.")


_sync = getattr(os, "fdatasync", os.fsync)
"""Begin to write what a file holds (macOS has no `fdatasync`)."""


async def _over(filing: asyncio.Future[None] | None) -> None:
    """Wait for a batch, which goes on where who waits is cancelled, as its thread would. Raises why it failed."""
    if filing is not None:
        await asyncio.wait([filing])
        filing.result()


def _file(tx: Write, octets: bytes, orders: set[int]) -> None:
    """orders: of emails that are there; these are added to them."""
    batch, tail = ready.read(octets)
    if not orders.isdisjoint(batch.orders()):
        batch = batch.without(orders)
    orders.update(batch.orders())
    chunks = [(at, number, codec, tail[low : low + length]) for at, number, codec, low, length in batch.chunks]
    keys = content.file_all(tx, batch.contents, chunks)
    bulk.insert(
        tx.db,
        "INSERT INTO email (key, id, thread, content, size, received, arrival, uidl, modseq) VALUES",
        [(*each[:3], keys[each[3]], *each[4:], tx.modseq) for each in batch.emails],
    )
    bulk.insert(tx.db, "INSERT OR IGNORE INTO thread_link (message_id, subject, thread) VALUES", batch.links)
    answers.write(tx.db, batch.answers, batch.sortkeys, batch.texts)


def _placements(tx: Write, mailbox: int, rows: Sequence[RebuiltRow]) -> None:
    known: dict[tuple[int, str], int] = {}
    values = []
    for uid, order, system, keywords, size, received, saved in rows:
        number = known.get((system, keywords))
        if number is None:
            number = known[(system, keywords)] = tx.flagset(Flags(System(system), frozenset(keywords.split())))
        values.append((mailbox, uid, order, number, tx.modseq, size, received, saved))
    bulk.insert(
        tx.db,
        "INSERT INTO placement (mailbox, uid, email, flagset, modseq, size, received, saved) VALUES",
        values,
    )


def _finish(tx: Write, pop3: Sequence[Pop3Row], hidden: Sequence[int], seen: Sequence[SeenRow]) -> None:
    db = tx.db
    db.executemany(_POP3, pop3)
    db.executemany(_HIDDEN, [(order,) for order in hidden])
    db.executemany(_SEEN, [(*row, tx.modseq) for row in seen])
    db.execute(_COUNT)
    db.execute("UPDATE account SET used = (SELECT coalesce(sum(size), 0) FROM placement)")
    stamps.write_all(db)


_MAILBOX = """
INSERT INTO mailbox (key, id, name, role, uidvalidity, uidnext, highest_modseq, recent_uid, created_modseq,
    changed_modseq)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, max(?7, ?9), ?8, ?9, ?9)
"""
_TOMBSTONE = """
INSERT INTO mailbox_tombstone (key, id, name, role, uidvalidity, uidnext, modseq, removed_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_POP3 = """
INSERT INTO pop3 (mailbox, uid, suffix, retrieved)
SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM placement p WHERE p.mailbox = ?1 AND p.uid = ?2)
"""
_HIDDEN = "INSERT INTO pop3_hidden (email) SELECT ?1 WHERE EXISTS (SELECT 1 FROM email e WHERE e.key = ?1)"
_SEEN = """
INSERT INTO seen (mailbox, uid, user, seen, modseq)
SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM placement p WHERE p.mailbox = ?1 AND p.uid = ?2)
"""
_COUNT = f"""
UPDATE mailbox SET messages = n.messages, unseen = n.unseen, deleted = n.deleted, size = n.size,
    deleted_size = n.deleted_size
FROM (
    SELECT p.mailbox AS box, count(*) AS messages, sum({UNSEEN_SQL}) AS unseen, sum({DELETED_SQL}) AS deleted,
        sum(p.size) AS size, sum(iif({DELETED_SQL}, p.size, 0)) AS deleted_size
    FROM placement p JOIN flagset f ON f.number = p.flagset GROUP BY p.mailbox
) n WHERE n.box = mailbox.key
"""
