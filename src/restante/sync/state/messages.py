"""Messages in the state: the base, and the journal of what is being done to them.

Read in columns by one side's UIDs; rows become objects only where something changed. Keys are given out here, in
memory: one run at a time writes (`file.locked`).

A side may give a UID that the base has for another message: its UIDs began anew after we looked. What the side told
last counts; the other row lacks a UID then, and is looked for by its content in the next pass.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import apsw

from ...store.sqlite import bulk
from ..base import CUT, FRESH, GONE, MOVING, PLACEHOLDER, SENT, Content, Half, Row
from ..model import Flags
from ..settings import BOTH, End
from .flagsets import Flagsets

Line = tuple[int, int, int | None, int, int, int, int | None]
"""(UID here, key, UID there, flags here, flags there, odd, hold): flags as numbers of `Flagsets`."""

Known = tuple[int, int, int | None, int, bytes, bytes | None, str | None, str | None, int | None, bytes | None]
"""(key, odd, size, received, mark, digest, EMAILID here, EMAILID there, size and digest of a placeholder)."""

COLUMN = {End.ONE: "one", End.TWO: "two"}

ELSEWHERE = PLACEHOLDER | SENT | MOVING[End.ONE] | MOVING[End.TWO]
"""Bits of rows whose messages are not to be copied: a placeholder stands there, or where they are is not certain."""


class Origin(NamedTuple):
    """A message that can be copied where it is. by: the EMAILID or digest that it was asked for by. uid: where it is to
    be copied; flags: there, other_flags: on the other side, as numbers."""

    by: str | bytes
    key: int
    pair: int
    uid: int
    flags: int
    other_flags: int
    size: int | None
    received: int


class Messages:
    """Rows of all pairs. Writing methods belong in a transaction of the caller's."""

    def __init__(self, db: apsw.Connection, flagsets: Flagsets) -> None:
        self._db = db
        self._flagsets = flagsets
        self._next = 0

    # Reading ----------------------------------------------------------------------------------------

    def lines(self, pair: int, end: End, uids: Sequence[int] | None = None) -> Iterator[Line]:
        """The pair's rows that have a UID there, ascending by it; only these UIDs (ascending) where they are given."""
        if uids is None:
            return self._db.execute(_LINES[end], (pair,))
        return self._db.execute(_SOME_LINES[end], (pair, apsw.carray(_numbers(uids))))

    def newest(self, pair: int, end: End, most: int) -> list[int]:
        """The highest UIDs there that the pair's rows have, ascending."""
        return sorted(uid for (uid,) in self._db.execute(_NEWEST[end], (pair, most)))

    def count(self, pair: int) -> int:
        """Messages of the pair that are on both sides, as far as is known."""
        return int(self._db.execute(_COUNT, (pair,)).get)

    def count_all(self, pair: int) -> int:
        """Rows of the pair, whatever they say."""
        return int(self._db.execute("SELECT count(*) FROM message WHERE pair = ?", (pair,)).get)

    def counts(self) -> dict[int, int]:
        """`count` of every pair that has messages."""
        return dict(self._db.execute(_COUNTS))

    def pending(self, pair: int) -> list[Row]:
        """Rows that lack a UID on a side or were removed on one."""
        return [self._row(*values) for values in self._db.execute(_PENDING, (pair,))]

    def row(self, end: End, pair: int, uid: int) -> Row | None:
        """The row with that UID on that side."""
        for values in self._db.execute(_ONE_ROW[end], (pair, uid)):
            return self._row(*values)
        return None

    def by_key(self, key: int) -> Row | None:
        """The row with that key."""
        for values in self._db.execute(f"{_ROW} WHERE key = ?", (key,)):
            return self._row(*values)
        return None

    def _row(
        self,
        key: int,
        pair: int,
        one: int | None,
        two: int | None,
        one_flags: int,
        two_flags: int,
        odd: int,
        hold: int | None,
    ) -> Row:
        sets = self._flagsets
        return Row(
            key,
            pair,
            Half(one, sets[one_flags], gone=bool(odd & GONE[End.ONE])),
            Half(two, sets[two_flags], gone=bool(odd & GONE[End.TWO])),
            odd,
            hold,
        )

    def contents(self, keys: Sequence[int]) -> dict[int, Content]:
        """What these messages are known by."""
        return {
            key: Content(size, received, mark, digest, {End.ONE: one, End.TWO: two}, near_size, near_digest)
            for key, size, received, mark, digest, one, two, near_size, near_digest in self._db.execute(
                _CONTENTS, (apsw.carray(_numbers(keys)),)
            )
        }

    def known(self, pair: int, end: End) -> Iterator[Known]:
        """What the pair's rows that have a UID there are known by, ascending by it."""
        return self._db.execute(_KNOWN[end], (pair,))

    def origins(self, end: End, emails: Collection[str]) -> list[Origin]:
        """Messages that have these EMAILIDs on the other side and are on this one, each as often as it is there.

        Cost: one pass over what all messages are known by (8 ms for 100,000): an index would cost the first run more
        than all of these.
        """
        return [Origin(*found) for found in self._db.execute(_BY_EMAIL[end], (apsw.carray(tuple(emails)),))]

    def equals(self, end: End, digests: Collection[bytes]) -> list[Origin]:
        """Messages that are there and whose octets have these digests. Cost: as `origins`."""
        return [Origin(*found) for found in self._db.execute(_BY_DIGEST[end], (apsw.carray(tuple(digests)),))]

    def targets(self, end: End, keys: Sequence[int]) -> dict[int, int]:
        """The pairs into which these were about to be moved there, by key."""
        return dict(self._db.execute(_TARGETS, (int(end), apsw.carray(_numbers(keys)))))

    def without_email(self, end: End, keys: Sequence[int]) -> dict[int, int]:
        """UID there -> key, of those of these messages whose EMAILID there is not known."""
        return dict(self._db.execute(_WITHOUT_EMAIL[end], (apsw.carray(_numbers(keys)),)))

    # Writing ----------------------------------------------------------------------------------------

    def next_keys(self, count: int) -> range:
        """Keys for new rows."""
        if not self._next:
            self._next = int(self._db.execute("SELECT coalesce(max(key), 0) FROM message").get) + 1
        found = range(self._next, self._next + count)
        self._next = found.stop
        return found

    def forget_keys(self) -> None:
        """After a transaction that was rolled back."""
        self._next = 0

    def journal(
        self, pair: int, source: End, rows: Iterable[tuple[int, int, int, int]], contents: Iterable[tuple[object, ...]]
    ) -> None:
        """Messages about to be added to the other side: (key, UID of the source, its flags, odd), and
        (key, size, received, mark, digest, EMAILID of the source, size and digest of a placeholder)."""
        there = FRESH[source.other]
        bulk.insert(
            self._db, _JOURNAL[source], [(key, pair, uid, flags, flags, odd | there) for key, uid, flags, odd in rows]
        )
        bulk.insert(self._db, _JOURNAL_CONTENT[source], [*contents])

    def journal_copies(self, pair: int, end: End, rows: Iterable[tuple[int, int, int, str | None]]) -> None:
        """Messages about to be copied there: (key, key of what is copied, UID on the other side, EMAILID there).

        What is copied has its flags: so these are noted for both sides, and a flag that the message on the other side
        has besides is a change of that side, whenever it is seen.
        """
        rows = list(rows)
        self._db.executemany(_COPY[end], ((key, pair, uid, origin) for key, origin, uid, _ in rows))
        self._db.executemany(_COPY_CONTENT[end], ((key, origin, email) for key, origin, _, email in rows))

    def rejournal(self, source: End, rows: Iterable[tuple[int, int, int]]) -> None:
        """As `journal`, for rows that are there already: (key, its flags, odd)."""
        there = source.other
        self._db.executemany(_REJOURNAL[source], ((key, flags, odd | FRESH[there]) for key, flags, odd in rows))

    def arrived(self, end: End, rows: Iterable[tuple[int, int]]) -> None:
        """What was journalled is there: (key, UID)."""
        rows = list(rows)
        try:
            with self._db:
                for low, high, ahead in _runs(rows):
                    self._db.execute(_ARRIVED_RUN[end], (low, high, ahead))
        except apsw.ConstraintError:
            rows = [(key, uid) for uid, key in {uid: key for key, uid in rows}.items()]
            self._db.executemany(_VACATE[end], rows)
            self._db.executemany(_ARRIVED[end], rows)
        for low, high, _ in _runs(rows):
            self._db.execute("DELETE FROM aside WHERE message BETWEEN ? AND ?", (low, high))

    def sent(self, keys: Iterable[int]) -> None:
        """The side took them, and did not say under which UID."""
        self._db.executemany(f"UPDATE message SET odd = odd | {SENT} WHERE key = ?", [(key,) for key in keys])

    def cut(self, keys: Iterable[int]) -> None:
        """The connection ended while these were being added."""
        self._db.executemany(f"UPDATE message SET odd = odd | {CUT} WHERE key = ?", [(key,) for key in keys])

    def move_begun(self, end: End, keys: Sequence[int], target: int) -> None:
        """These are about to be moved there, into the pair `target`."""
        self._db.execute(
            f"UPDATE message SET odd = odd | {MOVING[end]} WHERE key IN (SELECT value FROM carray(?))",
            (apsw.carray(_numbers(keys)),),
        )
        self._db.executemany(
            f"INSERT OR REPLACE INTO moving (message, side, target) VALUES (?, {int(end)}, ?)",
            [(key, target) for key in keys],
        )

    def move_ended(self, end: End, keys: Sequence[int]) -> None:
        """These were moved there; or not after all."""
        numbers = _numbers(keys)
        self._db.execute(
            f"UPDATE message SET odd = odd & ~{MOVING[end]} WHERE key IN (SELECT value FROM carray(?))",
            (apsw.carray(numbers),),
        )
        self._db.execute(
            f"DELETE FROM moving WHERE side = {int(end)} AND message IN (SELECT value FROM carray(?))",
            (apsw.carray(numbers),),
        )

    def insert(self, rows: Sequence[Row]) -> None:
        """Messages that were found on both sides; gives the rows their keys."""
        key = self._flagsets.key
        for row, number in zip(rows, self.next_keys(len(rows)), strict=True):
            row.key = number
        self._db.executemany(
            _INSERT, [(r.key, r.pair, r.one.uid, r.two.uid, key(r.one.flags), key(r.two.flags)) for r in rows]
        )
        self._db.executemany(_CONTENT, [(row.key, *_content(row.content)) for row in rows if row.content is not None])

    def set_flags(self, rows: Iterable[tuple[int, Flags, Flags, int]]) -> None:
        """(key, flags on side one, on side two, FRESH bits)."""
        key = self._flagsets.key
        self._db.executemany(_SET_FLAGS, [(number, key(one), key(two), odd) for number, one, two, odd in rows])

    def listed(self, end: End, keys: Sequence[int]) -> None:
        """What we had written there was seen to be there."""
        self._db.execute(
            f"UPDATE message SET odd = odd & ~{FRESH[end]} WHERE key IN (SELECT value FROM carray(?))",
            (apsw.carray(_numbers(keys)),),
        )

    def set_email(self, end: End, rows: Iterable[tuple[int, str]]) -> None:
        self._db.executemany(_SET_EMAIL[end], rows)

    def relocate(self, rows: Sequence[Row]) -> None:
        """Where they are now, on both sides: rows may have exchanged their UIDs. A UID of None: it lacks there.

        Holds of these rows are let go; bits are written as the row has them.
        """
        self._db.execute(
            "UPDATE message SET one = NULL, two = NULL WHERE key IN (SELECT value FROM carray(?))",
            (apsw.carray(_numbers([row.key for row in rows])),),
        )
        key = self._flagsets.key
        values = [
            (r.key, r.pair, r.one.uid, r.two.uid, r.odd, key(r.one.flags), key(r.two.flags), r.hold) for r in rows
        ]
        try:
            with self._db:
                self._db.executemany(_RELOCATE, values)
        except apsw.ConstraintError:
            for end in BOTH:
                held = [(row.key, row.at(end).uid, row.pair) for row in rows if row.at(end).uid is not None]
                self._db.executemany(_VACATE_IN[end], held)
            self._db.executemany(_RELOCATE, values)

    def renumbered(self, pair: int, end: End) -> None:
        """All UIDs of that side are void: each message is taken for gone until it is found again."""
        self._db.execute(_RENUMBERED[end], (pair,))
        self._db.execute("DELETE FROM doomed WHERE pair = ? AND side = ?", (pair, end))

    def found(self, end: End, rows: Iterable[tuple[int, int]]) -> None:
        """They are there after all: (key, UID). What was held of them is so no longer."""
        self._db.executemany(_FOUND[end], rows)

    def drop(self, keys: Sequence[int]) -> None:
        self._db.execute(
            "DELETE FROM message WHERE key IN (SELECT value FROM carray(?))", (apsw.carray(_numbers(keys)),)
        )


def _runs(rows: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """(key, UID) of each as (first key, last key, UID less key), one for those that follow each other in both: what a
    first copy brings is one run a batch, and one step of SQLite's instead of hundreds."""
    if not rows:
        return
    low, ahead = rows[0][0], rows[0][1] - rows[0][0]
    last = low
    for key, uid in rows[1:]:
        if key != last + 1 or uid - key != ahead:
            yield low, last, ahead
            low, ahead = key, uid - key
        last = key
    yield low, last, ahead


def _numbers(values: Sequence[int]) -> array[int]:
    return array("q", values) if len(values) else array("q", [-1])  # carray takes no empty array


def _content(content: Content) -> tuple[object, ...]:
    emails = content.emails
    return (
        content.size,
        content.received,
        content.mark,
        content.digest,
        emails.get(End.ONE),
        emails.get(End.TWO),
        content.near_size,
        content.near_digest,
    )


def _both(text: str) -> dict[End, str]:
    """The statement for either side: {x} is the column of this one, {y} of the other."""
    return {
        end: text.format(
            x=COLUMN[end], y=COLUMN[end.other], gone=GONE[end], sent=SENT | CUT, not_to_copy=GONE[end] | ELSEWHERE,
            fresh=FRESH[end], other_fresh=FRESH[end.other],
        )
        for end in BOTH
    }  # fmt: skip


_LINES = _both(
    "SELECT {x}, key, {y}, {x}_flags, {y}_flags, odd, hold FROM message WHERE pair = ? AND {x} NOTNULL ORDER BY {x}"
)
_SOME_LINES = _both("""
SELECT m.{x}, m.key, m.{y}, m.{x}_flags, m.{y}_flags, m.odd, m.hold FROM carray(?2) AS c
CROSS JOIN message AS m ON m.pair = ?1 AND m.{x} = c.value
""")
_NEWEST = _both("SELECT {x} FROM message WHERE pair = ? AND {x} NOTNULL ORDER BY {x} DESC LIMIT ?")
_ROW = "SELECT key, pair, one, two, one_flags, two_flags, odd, hold FROM message"
_COUNT = "SELECT count(*) FROM message WHERE pair = ? AND one NOTNULL AND two NOTNULL"
_COUNTS = "SELECT pair, count(*) FROM message WHERE one NOTNULL AND two NOTNULL GROUP BY pair"
_KNOWN = _both("""
SELECT m.key, m.odd, c.size, c.received, c.mark, c.digest, c.{x}_email, c.{y}_email, c.near_size, c.near_digest
FROM message AS m JOIN content AS c ON c.message = m.key
WHERE m.pair = ? AND m.{x} NOTNULL ORDER BY m.{x}
""")
_ORIGIN = """
m.key, m.pair, m.{x}, m.{x}_flags, m.{y}_flags, c.size, c.received
FROM content AS c CROSS JOIN message AS m ON m.key = c.message
WHERE m.{x} NOTNULL AND m.odd & {not_to_copy} = 0 AND
"""
_BY_EMAIL = _both(f"SELECT c.{{y}}_email, {_ORIGIN} c.{{y}}_email IN (SELECT value FROM carray(?))")
_BY_DIGEST = _both(f"SELECT c.digest, {_ORIGIN} c.digest IN (SELECT value FROM carray(?))")
_WITHOUT_EMAIL = _both("""
SELECT m.{x}, m.key FROM carray(?) AS k CROSS JOIN message AS m ON m.key = k.value
JOIN content AS c ON c.message = m.key WHERE m.{x} NOTNULL AND c.{x}_email IS NULL
""")
_COPY = _both("""
INSERT INTO message (key, pair, {y}, one_flags, two_flags, odd)
SELECT ?1, ?2, ?3, one_flags, two_flags, odd & {other_fresh} | {fresh} FROM message WHERE key = ?4
""")
_COPY_CONTENT = _both("""
INSERT INTO content (message, size, received, mark, digest, {y}_email)
SELECT ?1, size, received, mark, digest, ?3 FROM content WHERE message = ?2
""")
_FOUND = _both("UPDATE message SET {x} = ?2, odd = odd & ~{gone}, hold = NULL WHERE key = ?1")
_PENDING = f"{_ROW} WHERE pair = ? AND (one IS NULL OR two IS NULL OR odd & 12 != 0)"
_ONE_ROW = _both(_ROW + " WHERE pair = ? AND {x} = ?")
_CONTENTS = """
SELECT message, size, received, mark, digest, one_email, two_email, near_size, near_digest
FROM content WHERE message IN (SELECT value FROM carray(?))
"""
_TARGETS = "SELECT message, target FROM moving WHERE side = ? AND message IN (SELECT value FROM carray(?))"
_JOURNAL = _both("INSERT INTO message (key, pair, {x}, {x}_flags, {y}_flags, odd) VALUES")
_JOURNAL_CONTENT = _both(
    "INSERT OR REPLACE INTO content (message, size, received, mark, digest, {x}_email, near_size, near_digest) VALUES"
)
_REJOURNAL = _both("UPDATE message SET {x}_flags = ?2, {y}_flags = ?2, odd = ?3 WHERE key = ?1")
_ARRIVED_RUN = _both("UPDATE message SET {x} = key + ?3, odd = odd & ~{sent} WHERE key BETWEEN ?1 AND ?2")
_ARRIVED = _both("UPDATE message SET {x} = ?2, odd = odd & ~{sent} WHERE key = ?1")
_VACATE = _both("""
UPDATE message SET {x} = NULL
WHERE {x} = ?2 AND key <> ?1 AND pair = (SELECT pair FROM message WHERE key = ?1)
""")
_VACATE_IN = _both("UPDATE message SET {x} = NULL WHERE {x} = ?2 AND key <> ?1 AND pair = ?3")
_INSERT = "INSERT INTO message (key, pair, one, two, one_flags, two_flags) VALUES (?, ?, ?, ?, ?, ?)"
_CONTENT = """
INSERT OR REPLACE INTO content
(message, size, received, mark, digest, one_email, two_email, near_size, near_digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SET_FLAGS = "UPDATE message SET one_flags = ?2, two_flags = ?3, odd = (odd & ~3) | ?4 WHERE key = ?1"
_SET_EMAIL = _both("UPDATE content SET {x}_email = ?2 WHERE message = ?1 AND {x}_email IS NOT ?2")
"""Of messages that we flagged there it is known, mostly: their pages are not to be written anew."""
_RELOCATE = """
UPDATE message SET pair = ?2, one = ?3, two = ?4, odd = ?5, one_flags = ?6, two_flags = ?7, hold = ?8 WHERE key = ?1
"""
_RENUMBERED = _both("UPDATE message SET odd = odd | {gone}, {x} = NULL WHERE pair = ? AND {x} NOTNULL")
