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
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import apsw

from ...clock import Random
from ...mime.model import Trait
from ..backup import Head, Pop3Row, RebuiltEmail, RebuiltRow, SeenRow
from ..errors import AccountExists, Damaged
from ..model import Flags, System
from . import content
from .append import write_derived
from .faults import translated
from .identity import new_id, thread_for
from .migrate import new_file, put_in_place
from .schema import APPLICATION_ID, PRAGMAS_BEFORE_TABLES, TABLES, VERSION
from .transaction import DELETED_SQL, UNSEEN_SQL, Interned, Settings, Write

P = ParamSpec("P")
T = TypeVar("T")

FROM_ELSEWHERE = "restored"
"""What `account.file` says until the file is first opened: the identity of no file."""

CACHE_KIB = 64 << 10
"""For the one connection that fills the file: its trees are filled at their ends, those by id everywhere."""


@asynccontextmanager
async def rebuilding(
    path: Path, account: str, head: Head, settings: Settings, now: int, random: Random
) -> AsyncIterator[SqliteRebuilding]:
    """An account to be filled. What is not finished when the block ends is gone. Raises StoreRefusal."""
    with translated():
        making = await asyncio.to_thread(_prepare, path, random)
        one = SqliteRebuilding(making, path, account, head, settings, now, random)
        try:
            await asyncio.to_thread(one.open)
            yield one
        finally:
            await asyncio.to_thread(one.close)


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

    def open(self) -> None:
        os.close(os.open(self._making, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
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

    def close(self) -> None:
        if self._db is not None:
            self._db.close(True)
        for beside in (self._making, *(self._making.with_name(self._making.name + end) for end in ("-wal", "-shm"))):
            beside.unlink(missing_ok=True)

    async def _run(self, fn: Callable[Concatenate[Write, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        tx = self._tx
        if tx is None:
            raise RuntimeError("this account is finished")
        with translated():
            return await asyncio.to_thread(fn, tx, *args, **kwargs)

    async def emails(self, batch: Sequence[RebuiltEmail]) -> None:
        await self._run(self._emails, batch)

    def _emails(self, tx: Write, batch: Sequence[RebuiltEmail]) -> None:
        for one in batch:
            if one.order in self._orders:
                continue
            self._orders.add(one.order)
            analysis, size = one.analysis, len(one.data)
            missing = 2 if analysis.traits & Trait.NO_FINAL_CRLF else 0
            plain = analysis.surrogate_size if analysis.surrogate_size is not None else size + missing
            blob = content.take(one.data, tx.settings.compress)
            if blob.digest != one.digest:
                raise Damaged("A message that is brought back is not the one that it should be.")
            stored = content.file(tx, blob, int(analysis.traits), plain, size + missing)
            tx.db.execute(
                "INSERT INTO email (key, id, thread, content, size, received, arrival, uidl, modseq)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    one.order, one.id, thread_for(tx, analysis.keys, one.thread), stored, size, one.received,
                    one.arrival, one.uidl, tx.modseq,
                ),
            )  # fmt: skip
            write_derived(tx.db, one.order, analysis)

    async def placements(self, mailbox: int, rows: Sequence[RebuiltRow]) -> None:
        await self._run(_placements, mailbox, rows)

    async def finish(self, pop3: Sequence[Pop3Row], hidden: Sequence[int], seen: Sequence[SeenRow]) -> None:
        await self._run(_finish, pop3, hidden, seen)
        self._tx = None
        with translated():
            await asyncio.to_thread(self._put_in_place)

    def _put_in_place(self) -> None:
        db, self._db = self._db, None
        assert db is not None
        db.execute("COMMIT")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_mode = WAL")
        db.close()
        number = os.open(self._making, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(number)
        finally:
            os.close(number)
        if not put_in_place(self._making, self._path):
            raise _exists()


def _prepare(path: Path, random: Random) -> Path:
    """The name under which the file is to be made. Raises AccountExists.

    What an earlier try that was cut off left is removed: a second try at the same time would fail, and be told so.
    """
    making = new_file(path, random)
    for left in path.parent.glob(f".{path.name}.*.new*"):
        left.unlink(missing_ok=True)
    if path.exists():
        raise _exists()
    return making


def _exists() -> AccountExists:
    return AccountExists("There is a store of this account already.", "Bring its mail back into it instead.")


def _placements(tx: Write, mailbox: int, rows: Sequence[RebuiltRow]) -> None:
    known: dict[tuple[int, str], int] = {}
    values = []
    for uid, order, system, keywords, size, received, saved in rows:
        number = known.get((system, keywords))
        if number is None:
            number = known[(system, keywords)] = tx.flagset(Flags(System(system), frozenset(keywords.split())))
        values.append((mailbox, uid, order, number, tx.modseq, size, received, saved))
    tx.db.executemany(
        "INSERT INTO placement (mailbox, uid, email, flagset, modseq, size, received, saved)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        values,
    )


def _finish(tx: Write, pop3: Sequence[Pop3Row], hidden: Sequence[int], seen: Sequence[SeenRow]) -> None:
    db = tx.db
    db.executemany(_POP3, pop3)
    db.executemany(_HIDDEN, [(order,) for order in hidden])
    db.executemany(_SEEN, [(*row, tx.modseq) for row in seen])
    db.execute(_COUNT)
    db.execute("UPDATE account SET used = (SELECT coalesce(sum(size), 0) FROM placement)")


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
