"""Reads of many placements: rows for FETCH, UID lists, keywords, first unseen.

A row is a tuple straight from SQLite. The narrow placement table alone is read unless a column asks for more.
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from itertools import chain
from pathlib import Path

import apsw

from ..model import AccountStats, Column, Provenance, Row, UidRanges
from .values import numbers, pack, spans, typed

# Column -> (expression, tables it needs). "e": email, "a": answer, "c": content.
_COLUMNS: dict[Column, tuple[str, str]] = {
    Column.FLAGS: ("p.flagset", ""),
    Column.MODSEQ: ("p.modseq", ""),
    Column.SIZE: ("p.size", ""),
    Column.RECEIVED: ("p.received", ""),
    Column.SAVED: ("p.saved", ""),
    Column.EMAIL_ID: ("CAST(e.id AS BLOB)", "e"),
    Column.THREAD_ID: ("CAST(e.thread AS BLOB)", "e"),
    Column.ENVELOPE: ("a.envelope", "a"),
    Column.BODY: ("a.body", "a"),
    Column.BODYSTRUCTURE: ("a.bodystructure", "a"),
    Column.HEADERS: ("a.headers", "a"),
    Column.PREVIEW: ("a.preview", "a"),
    Column.TRAITS: ("c.traits", "ec"),
    Column.PARTS: ("a.parts", "a"),
    Column.DIGEST: ("c.digest", "ec"),
    Column.CONTENT: ("e.content", "e"),
}

_JOINS = (
    ("e", " CROSS JOIN email e ON e.key = p.email"),
    ("a", " CROSS JOIN answer a ON a.email = p.email"),
    ("c", " CROSS JOIN content c ON c.key = e.content"),
)


@lru_cache(maxsize=256)
def rows_sql(columns: tuple[Column, ...], single: bool, removed: bool, reader: bool = False) -> str:
    """The statement for these columns. Parameters: mailbox, then low and high (single) or packed ranges, then limit,
    and with `reader` the one whose \\Seen is meant.

    CROSS JOIN keeps the order of the joins: placements outside, so that rows come by UID without sorting.
    """
    table = "removed" if removed else "placement"
    needed = "".join(_COLUMNS[column][1] for column in columns)
    names = ["p.uid", *(_expression(column, removed, reader) for column in columns)]
    joins = "".join(join for letter, join in _JOINS if letter in needed)
    if reader:
        joins += " LEFT JOIN seen v ON v.mailbox = p.mailbox AND v.uid = p.uid AND v.user = " + (
            "?5" if single else "?4"
        )
    if single:
        return f"SELECT {', '.join(names)} FROM {table} p{joins} WHERE p.mailbox = ?1 AND p.uid BETWEEN ?2 AND ?3 ORDER BY p.uid LIMIT ?4"  # noqa: E501 - one statement, read whole
    return f"SELECT {', '.join(names)} FROM {spans('?2', table, '?1')}{joins} LIMIT ?3"


def _expression(column: Column, removed: bool, reader: bool) -> str:
    if removed and column is Column.MODSEQ:  # for a reader too: what he had noted there went with the message
        return "p.placed_modseq"
    if reader and column in READERS:
        return READERS[column]
    return _COLUMNS[column][0]


SEEN_BIT = 1 << 40
"""Set in the number of a flag set that a reader sees with his own \\Seen: see `shared.ReaderFlags`."""

READERS: dict[Column, str] = {
    Column.FLAGS: f"p.flagset | coalesce(v.seen, 0) * {SEEN_BIT}",
    Column.MODSEQ: "max(p.modseq, coalesce(v.modseq, 0))",
}
"""Columns that are others for somebody who is not the owner. "v": his row in `seen`."""


def rows(
    db: apsw.Connection,
    mailbox: int,
    ranges: UidRanges,
    columns: tuple[Column, ...],
    limit: int,
    removed: bool,
    reader: str = "",
) -> list[Row]:
    """Up to `limit` rows by UID; see `Store.rows`. reader: whose \\Seen is meant, where not the owner's."""
    if not ranges or limit <= 0:
        return []
    single = len(ranges) == 1
    where = (min(ranges[0][0], 1 << 32), ranges[0][1]) if single else (pack(ranges),)
    values = (mailbox, *where, limit, reader) if reader else (mailbox, *where, limit)
    return db.execute(rows_sql(columns, single, removed, bool(reader)), values).fetchall()


def uids_and_flags(db: apsw.Connection, mailbox: int) -> tuple[array[int], array[int]]:
    """All UIDs of a mailbox, ascending, and the flag set numbers beside them: together they cost little more."""
    cursor = db.execute("SELECT uid, flagset FROM placement WHERE mailbox = ? ORDER BY uid", (mailbox,))
    both = array("I", list(chain.from_iterable(cursor)))
    return both[::2], both[1::2]


def uids_and_flags_apart(db: apsw.Connection, mailbox: int) -> tuple[array[int], array[int]]:
    """The same for a thread: as two values, so that SQLite takes the interpreter's lock once and not for each row."""
    uids, flags = db.execute(_UIDS_AND_FLAGS, (mailbox,)).get
    return (array("I"), array("I")) if uids is None else (numbers(uids), numbers(flags))


_UIDS_AND_FLAGS = """
SELECT '[' || group_concat(uid) || ']', '[' || group_concat(flagset) || ']'
FROM (SELECT uid, flagset FROM placement WHERE mailbox = ? ORDER BY uid)
"""


def keywords(db: apsw.Connection) -> list[str]:
    """Keywords of the account, sorted. Those of one mailbox would cost a pass over it at every SELECT."""
    names: list[tuple[str]] = typed(db.execute("SELECT name FROM keyword ORDER BY folded"))
    return [name for (name,) in names]


def count_keywords(db: apsw.Connection) -> int:
    """How many keywords the account has."""
    return int(db.execute("SELECT count(*) FROM keyword").get)


def keywords_of(db: apsw.Connection, mailbox: int) -> list[str]:
    """Keywords of the mailbox's messages, sorted. Cost: a pass over it."""
    sets: list[tuple[str]] = typed(db.execute(_KEYWORDS_OF, (mailbox,)))
    return sorted({name for (names,) in sets for name in names.split()}, key=str.lower)


_KEYWORDS_OF = """
SELECT keywords FROM flagset WHERE keywords <> ''
AND number IN (SELECT DISTINCT flagset FROM placement WHERE mailbox = ?)
"""


def provenance(db: apsw.Connection, mailbox: int, ranges: UidRanges) -> list[Provenance]:
    """What export keeps of placements beside their columns."""
    found: list[tuple[int, str, str | None, int, int, int | None, bytes | None]]
    found = typed(db.execute(_PROVENANCE, (pack(ranges), mailbox)))
    return [Provenance(*row[:3], bool(row[3]), *row[4:]) for row in found]


_PROVENANCE = (
    "SELECT p.uid, e.id, e.uidl, EXISTS (SELECT 1 FROM pop3_hidden h WHERE h.email = p.email),"
    " coalesce(d.suffix, 0), d.retrieved, e.arrival"
    f" FROM {spans('?1', 'placement', '?2')} CROSS JOIN email e ON e.key = p.email"
    " LEFT JOIN pop3 d ON d.mailbox = p.mailbox AND d.uid = p.uid"
)


def arrivals(db: apsw.Connection, digest: bytes, since: int) -> list[tuple[str, int]]:
    """(email id, content key) of emails that arrived with this hash at or after `since`, newest first.

    Looks at the newest 5,000 emails: an index would cost every delivery a page, and few ask.
    """
    found: list[tuple[str, int]] = typed(db.execute(_ARRIVALS, (digest, since)))
    return found


_ARRIVALS = """
SELECT id, content FROM (SELECT id, content, arrival, received FROM email ORDER BY key DESC LIMIT 5000)
WHERE arrival = ? AND received >= ?
"""


def emails_after(db: apsw.Connection, key: int, most: int) -> int:
    """How many emails have a key above this one, counted up to `most`."""
    return int(db.execute("SELECT count(*) FROM (SELECT 1 FROM email WHERE key > ? LIMIT ?)", (key, most)).get)


def stats(db: apsw.Connection, path: Path) -> AccountStats:
    """Counts of the account. Cost: one pass over what can be recovered."""
    row = db.execute(_STATS).fetchone()
    if row is None:
        raise LookupError("the account's row is missing")
    file_size = sum(beside.stat().st_size for beside in (path, path.with_name(path.name + "-wal")) if beside.exists())
    modseq, used, boxes, messages, recoverable, recoverable_size = row
    return AccountStats(boxes, messages, used, recoverable, recoverable_size, file_size, modseq)


_STATS = """
SELECT a.modseq, a.used, (SELECT count(*) FROM mailbox), (SELECT coalesce(sum(messages), 0) FROM mailbox),
    r.number, r.size
FROM account a CROSS JOIN (
    SELECT count(*) AS number, coalesce(sum(r.size), 0) AS size FROM removed r
    WHERE r.moved_to IS NULL AND r.undeleted = 0 AND EXISTS (SELECT 1 FROM email e WHERE e.key = r.email)
) r
"""
