"""A past account's file, for the one process that fills it: see `store.past`.

An ordinary account file, so that all that reads one reads this one. A mailbox stands in it under a name that tells its
state, so that nights in which it did not change share it; emails are shared by all states of the account. `content`
rows have their octets (`chunk`) only while somebody copies a message, `answer` and texts as far as somebody asked.

Nothing here is worth an fsync: the file is made anew after a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from ...mime.model import Trait
from ..errors import Damaged
from ..model import Flags, System, UidRanges
from ..past import Found, Lacking, PastBox, PastRow
from . import content, stamps
from .emails import write_derived
from .identity import new_id
from .transaction import DELETED_SQL, UNSEEN_SQL, Write
from .values import pack, spans, typed

if TYPE_CHECKING:
    import apsw

    from ...mime.model import Analysis
    from .engine import SqliteEngine

P = ParamSpec("P")
T = TypeVar("T")

ROWS = 5_000
"""Messages of one transaction."""

CACHE_KIB = 64 << 10
"""For the connection that fills a file: identities and hashes fall anywhere in their trees."""

WHOLE = "whole/"
"""What the name of a mailbox begins with that is here with all its rows."""


class SqlitePastFile:
    """Implements `store.past.PastFile`. engine: one of its own, on the folder of such files; id: the file's."""

    def __init__(self, engine: SqliteEngine, id: str) -> None:
        self._engine = engine
        self._id = id
        self._path = engine.path(id)
        self._store = engine.own(id)

    async def _do(self, fn: Callable[Concatenate[Write, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._engine.submit(self._id, self._path, fn, args, "", "", relaxed=True)

    async def mailbox(self, name: str) -> int | None:
        return self._store.look(_mailbox, WHOLE + name)

    async def add_mailbox(self, name: str, box: PastBox, rows: Sequence[PastRow]) -> int:
        key = await self._do(_begin, name, box)
        for some in _cut(rows):
            self._engine.check_room(0)
            await self._do(_place, key, box.highest_modseq, some)
        await self._do(_finish, key, name)
        return key

    async def lacking(self, mailbox: int, ranges: UidRanges, *, bodies: bool) -> list[Lacking]:
        sql = _LACKING_BODIES if bodies else _LACKING
        return self._store.look(_lacking, sql, mailbox, ranges)

    async def put(self, found: Sequence[Found]) -> None:
        self._engine.check_room(0)
        await self._do(_put, found)

    async def octets_lacking(self, mailbox: int, ranges: UidRanges) -> tuple[list[int], list[Lacking]]:
        every = self._store.look(_lacking, _OF, mailbox, ranges)
        without = self._store.look(_lacking, _LACKING_OCTETS, mailbox, ranges)
        return [one.content for one in every], without

    async def put_octets(self, content_key: int, digest: bytes, data: bytes) -> None:
        self._engine.check_room(len(data))
        await self._do(_put_octets, content_key, digest, data)

    async def drop_octets(self, contents: Sequence[int]) -> None:
        await self._do(_drop_octets, contents)

    async def size(self) -> int:
        return (await self._store.stats()).file_size


def _cut(rows: Sequence[PastRow]) -> Iterator[Sequence[PastRow]]:
    for at in range(0, len(rows), ROWS):
        yield rows[at : at + ROWS]


def _mailbox(db: apsw.Connection, name: str) -> int | None:
    row = db.execute("SELECT key FROM mailbox WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def _begin(tx: Write, name: str, box: PastBox) -> int:
    """A mailbox without messages, that counts for nothing yet; what an earlier try left is taken away."""
    tx.numbered = False
    left = _mailbox(tx.db, name)
    if left is not None:
        tx.db.execute("DELETE FROM placement WHERE mailbox = ?", (left,))
        tx.db.execute("DELETE FROM stamp WHERE mailbox = ?", (left,))
        tx.db.execute("DELETE FROM mailbox WHERE key = ?", (left,))
    tx.db.execute(
        "INSERT INTO mailbox (id, name, uidvalidity, uidnext, highest_modseq, recent_uid, created_modseq,"
        " changed_modseq) VALUES (?, ?, ?, ?, ?, ?, 1, 1)",
        (new_id("b", tx.random), name, box.uidvalidity, box.uidnext, max(box.highest_modseq, 1), box.uidnext - 1),
    )
    return tx.db.last_insert_rowid()


def _place(tx: Write, mailbox: int, modseq: int, rows: Sequence[PastRow]) -> None:
    tx.numbered = False
    tx.db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    numbers: dict[tuple[int, str], int] = {}
    for row in rows:
        if row[10:] not in numbers:
            numbers[row[10], row[11]] = tx.flagset(Flags(System(row[10]), frozenset(row[11].split())))
    tx.db.executemany(_CONTENT, [(row[4], row[5]) for row in rows])
    tx.db.executemany(_EMAIL, [(row[2], row[3], row[4], row[5], row[6], row[8], row[9]) for row in rows])
    tx.db.executemany(
        _PLACEMENT,
        [
            (mailbox, row[0], numbers[row[10], row[11]], max(modseq, 1), row[5], row[6], row[7], row[2], row[4])
            for row in rows
        ],
    )
    there = tx.db.execute(
        "SELECT count(*) FROM placement WHERE mailbox = ? AND uid BETWEEN ? AND ?", (mailbox, rows[0][0], rows[-1][0])
    ).get
    if there != len(rows):
        raise Damaged("One EMAILID stands for two messages in the backup.")
    stamps.write(tx.db, mailbox, max(modseq, 1), [(rows[0][0], rows[-1][0])])


def _finish(tx: Write, mailbox: int, name: str) -> None:
    tx.numbered = False
    tx.db.execute(_COUNT, (mailbox,))
    tx.db.execute("UPDATE mailbox SET name = ? WHERE key = ?", (WHOLE + name, mailbox))


def _lacking(db: apsw.Connection, sql: str, mailbox: int, ranges: UidRanges) -> list[Lacking]:
    return [Lacking._make(row) for row in typed(db.execute(sql, (pack(ranges), mailbox)))]


def _put(tx: Write, found: Sequence[Found]) -> None:
    tx.numbered = False
    for one in found:
        if one.analysis is not None:
            _put_analysis(tx, one, one.analysis)
        if one.body is not None:
            text = content.encode_text(one.body)
            tx.db.execute("INSERT OR IGNORE INTO body_text (email, body) VALUES (?, ?)", (one.email, text))


def _put_analysis(tx: Write, one: Found, analysis: Analysis) -> None:
    missing = 2 if analysis.traits & Trait.NO_FINAL_CRLF else 0
    plain = analysis.surrogate_size if analysis.surrogate_size is not None else one.size + missing
    tx.db.execute(
        "UPDATE content SET traits = ?, pop3_size = ?, pop3_size_utf8 = ? WHERE key = ?",
        (int(analysis.traits), plain, one.size + missing, one.content),
    )
    write_derived(tx.db, one.email, analysis)


def _put_octets(tx: Write, key: int, digest: bytes, data: bytes) -> None:
    tx.numbered = False
    blob = content.take(data, tx.settings.compress)
    chunks = blob.token
    assert isinstance(chunks, tuple | content.Uncut)
    if blob.digest != digest:
        raise Damaged("A message of the backup is not the one that it should be.")
    for number, (codec, piece) in enumerate(chunks):
        place = key << content.NUMBER_BITS | number
        tx.db.execute("INSERT OR IGNORE INTO chunk (key, codec, data) VALUES (?, ?, ?)", (place, codec, piece))
    tx.db.execute("UPDATE content SET chunks = ? WHERE key = ?", (len(chunks), key))


def _drop_octets(tx: Write, contents: Sequence[int]) -> None:
    tx.numbered = False
    for key in contents:
        low, high = key << content.NUMBER_BITS, (key + 1 << content.NUMBER_BITS) - 1
        tx.db.execute("DELETE FROM chunk WHERE key BETWEEN ? AND ?", (low, high))
        tx.db.execute("UPDATE content SET chunks = 0 WHERE key = ?", (key,))
    tx.db.execute("PRAGMA incremental_vacuum")


_CONTENT = """
INSERT INTO content (digest, size, chunks, traits, pop3_size, pop3_size_utf8)
SELECT ?1, ?2, 0, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM content c WHERE c.digest = ?1 AND c.size = ?2)
"""
_EMAIL = """
INSERT INTO email (id, thread, content, size, received, arrival, uidl, modseq)
SELECT ?1, ?2, c.key, ?4, ?5, ?6, ?7, 1 FROM content c WHERE c.digest = ?3 AND c.size = ?4
ON CONFLICT (id) DO NOTHING
"""
_PLACEMENT = """
INSERT INTO placement (mailbox, uid, flagset, modseq, size, received, saved, email)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, e.key FROM email e JOIN content c ON c.key = e.content
WHERE e.id = ?8 AND c.digest = ?9
"""
_COUNT = f"""
UPDATE mailbox SET messages = n.messages, unseen = n.unseen, deleted = n.deleted, size = n.size,
    deleted_size = n.deleted_size
FROM (
    SELECT count(*) AS messages, coalesce(sum({UNSEEN_SQL}), 0) AS unseen, coalesce(sum({DELETED_SQL}), 0) AS deleted,
        coalesce(sum(p.size), 0) AS size, coalesce(sum(iif({DELETED_SQL}, p.size, 0)), 0) AS deleted_size
    FROM placement p JOIN flagset f ON f.number = p.flagset WHERE p.mailbox = ?1
) n WHERE key = ?1
"""
_OF = f"""
SELECT DISTINCT e.key, e.content, c.digest, e.size, EXISTS (SELECT 1 FROM answer a WHERE a.email = e.key)
FROM {spans("?1", "placement", "?2")}
CROSS JOIN email e ON e.key = p.email CROSS JOIN content c ON c.key = e.content
"""
_LACKING = _OF + " WHERE NOT EXISTS (SELECT 1 FROM answer a WHERE a.email = e.key)"
_LACKING_BODIES = _OF + (
    " WHERE NOT EXISTS (SELECT 1 FROM answer a WHERE a.email = e.key)"
    " OR NOT EXISTS (SELECT 1 FROM body_text b WHERE b.email = e.key)"
)
_LACKING_OCTETS = _OF + " WHERE c.chunks = 0 AND c.size > 0"
