"""An account at one moment, for backup: one read transaction on a connection of its own, in a thread.

It takes no lock that a writer waits for; the log cannot be written back over it meanwhile, so it is held for index
rows alone.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import apsw

from ..backup import CatalogueRow, Head, MailboxRow, Mark, PlacedRow, Pop3Row, SeenRow, TombstoneRow
from ..errors import Damaged
from .faults import translated
from .glance import MARK
from .handles import WRITER_WAIT, connect
from .values import typed

P = ParamSpec("P")
T = TypeVar("T")


def mark(db: apsw.Connection) -> Mark:
    """The account's mark. Cost: a row a mailbox, and a pass over what POP3 has fetched."""
    row = db.execute(MARK).fetchone()
    if row is None:
        raise Damaged("The account's row is missing.", "Run 'restante doctor' on it.")
    return Mark(row[0], row[1], tuple(row[2:]))


@asynccontextmanager
async def instant(path: Path) -> AsyncIterator[SqliteInstant]:
    """The account as it is now, until the block ends."""
    opened = SqliteInstant()
    with translated():
        try:
            await asyncio.to_thread(opened.open, path)
            yield opened
        finally:
            await asyncio.to_thread(opened.close)


class SqliteInstant:
    """Implements `store.backup.Instant`."""

    def __init__(self) -> None:
        self._db: apsw.Connection | None = None

    def open(self, path: Path) -> None:
        self._db = connect(path, wait=WRITER_WAIT)
        self._db.execute("BEGIN")
        self._db.execute("SELECT modseq FROM account").fetchone()  # the transaction begins with its first read

    def close(self) -> None:
        db, self._db = self._db, None
        if db is None:
            return
        try:
            # The log could not be written back meanwhile. Else who delivers next would do it, and wait for it: 50 ms
            # for the log of four busy seconds. Nobody waits for this one.
            if db.in_transaction:
                db.execute("ROLLBACK")
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error:
            pass  # somebody else is at it, or the disk fails: the log stays, and with it everything in it
        finally:
            db.close(True)

    async def _run(self, fn: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        db = self._db
        if db is None:
            raise RuntimeError("the instant is over")
        with translated():
            return await asyncio.to_thread(fn, db, *args, **kwargs)

    async def head(self) -> Head:
        return await self._run(_head)

    async def placed(self, mailbox: int, after: int, limit: int) -> list[PlacedRow]:
        return await self._run(_placed, mailbox, after, limit)

    async def catalogue(self, mailbox: int, low: int, high: int) -> list[CatalogueRow]:
        return await self._run(_catalogue, mailbox, low, high)

    async def flagged(self, mailbox: int, since: int, below: int) -> list[tuple[int, int]]:
        return await self._run(_flagged, mailbox, since, below)

    async def gone(self, mailbox: int, since: int) -> array[int]:
        return await self._run(_gone, mailbox, since)

    async def pop3(self) -> list[Pop3Row]:
        return await self._run(_all, _POP3)

    async def hidden(self) -> list[int]:
        rows: list[tuple[int]] = await self._run(_all, _HIDDEN)
        return [order for (order,) in rows]

    async def seen(self) -> list[SeenRow]:
        return await self._run(_all, _SEEN)


def _head(db: apsw.Connection) -> Head:
    log_floor, uidvalidity, created = db.execute("SELECT log_floor, uidvalidity, created FROM account").get
    return Head(
        mark(db),
        log_floor,
        uidvalidity,
        created,
        tuple(map(MailboxRow._make, db.execute(_MAILBOXES))),
        tuple(map(TombstoneRow._make, db.execute(_TOMBSTONES))),
        tuple(name for (name,) in db.execute("SELECT name FROM keyword ORDER BY folded")),
        tuple(typed(db.execute("SELECT user, name FROM subscription ORDER BY user, name"))),
        tuple(typed(db.execute("SELECT mailbox, identifier, rights FROM acl ORDER BY mailbox, identifier"))),
        tuple(typed(db.execute("SELECT mailbox, user, entry, value FROM annotation ORDER BY mailbox, user, entry"))),
        {number: (system, words) for number, system, words in db.execute(_FLAG_SETS)},
    )


def _placed(db: apsw.Connection, mailbox: int, after: int, limit: int) -> list[PlacedRow]:
    found: list[PlacedRow] = typed(db.execute(_PLACED, (mailbox, after, limit)))
    return found


def _catalogue(db: apsw.Connection, mailbox: int, low: int, high: int) -> list[CatalogueRow]:
    found: list[CatalogueRow] = typed(db.execute(_CATALOGUE, (mailbox, low, high)))
    return found


def _flagged(db: apsw.Connection, mailbox: int, since: int, below: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = typed(db.execute(_FLAGGED, (mailbox, since, below)))
    return sorted(found)


def _gone(db: apsw.Connection, mailbox: int, since: int) -> array[int]:
    return array("I", sorted([row[0] for row in db.execute(_GONE, (mailbox, since))]))


def _all(db: apsw.Connection, sql: str) -> list[T]:
    found: list[T] = typed(db.execute(sql))
    return found


_MAILBOXES = """
SELECT key, id, name, role, uidvalidity, uidnext, highest_modseq, recent_uid, messages, size FROM mailbox ORDER BY key
"""
_TOMBSTONES = "SELECT key, id, name, role, uidvalidity, uidnext, removed_at FROM mailbox_tombstone ORDER BY key"
_FLAG_SETS = "SELECT number, system, keywords FROM flagset"
_PLACED = """
SELECT p.uid, p.email, e.id, e.thread, e.content, c.digest, p.size, p.received, p.saved, e.arrival, e.uidl, p.flagset
FROM placement p CROSS JOIN email e ON e.key = p.email CROSS JOIN content c ON c.key = e.content
WHERE p.mailbox = ?1 AND p.uid > ?2 ORDER BY p.uid LIMIT ?3
"""
_CATALOGUE = """
SELECT coalesce(t.sender, ''), coalesce(t.recipient || char(10) || t.cc, ''), coalesce(t.subject, ''),
    coalesce(k.message_id, '')
FROM placement p LEFT JOIN search_text t ON t.email = p.email LEFT JOIN sortkey k ON k.email = p.email
WHERE p.mailbox = ?1 AND p.uid BETWEEN ?2 AND ?3 ORDER BY p.uid
"""
# Not by UID: the mailbox may have a hundred thousand, of which ten changed.
_FLAGGED = "SELECT uid, flagset FROM placement WHERE mailbox = ?1 AND modseq > ?2 AND +uid < ?3"
_GONE = "SELECT uid FROM removed WHERE mailbox = ?1 AND modseq > ?2"
_POP3 = "SELECT mailbox, uid, suffix, retrieved FROM pop3 ORDER BY mailbox, uid"
_HIDDEN = """
SELECT email FROM pop3_hidden h WHERE EXISTS (SELECT 1 FROM placement p WHERE p.email = h.email) ORDER BY email
"""
_SEEN = "SELECT mailbox, uid, user, seen FROM seen ORDER BY mailbox, uid, user"
