"""What still lies on a side beside the message that replaces it: a placeholder, or where a move began.

A placeholder lies there as long as its message comes, be that days: the message is then a row without a UID on side two
(`messages`), and the placeholder's UID stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import apsw

from ..base import GONE, PLACEHOLDER, SENT, WHOLE, Row
from ..settings import End
from .messages import COLUMN, _numbers


class Standing(NamedTuple):
    """A placeholder that waits. key: of its message. flags: its own as they were last carried, as a number. message:
    (pair, UID) of the message on side two, once it is there."""

    key: int
    flags: int
    message: tuple[int, int] | None


class Beside:
    """Writing methods belong in a transaction of the caller's."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def leave(self, end: End, left: Iterable[tuple[int, int, int]]) -> None:
        """(key, pair, UID): where these messages were before they were moved there, and still are."""
        self._db.executemany(
            f"INSERT OR REPLACE INTO doomed (message, pair, side, uid) VALUES (?, ?, {int(end)}, ?)", left
        )

    def doom(self, row: Row, flags: int) -> None:
        """The placeholder of this row is to go once the message itself is there. flags: its own, which the message has
        got by now, as a number."""
        self._db.execute(
            "INSERT OR REPLACE INTO doomed (message, pair, side, uid, flags) VALUES (?, ?, 2, ?, ?)",
            (row.key, row.pair, row.two.uid, flags),
        )
        self._db.execute(
            f"UPDATE message SET two = NULL, odd = (odd & ~{PLACEHOLDER | SENT}) | {WHOLE} WHERE key = ?", (row.key,)
        )
        self._db.execute("UPDATE content SET two_email = NULL WHERE message = ?", (row.key,))
        # By the placeholder's EMAILID nobody is to find the message. Its size and digest stay until that is added.

    def undoom(self, keys: Sequence[int]) -> dict[int, int]:
        """Of these messages, which are to be forgotten, those whose placeholder still waits for them, with its pair: it
        stands for them again, to be removed as any other whose message is gone."""
        waiting = list(self._db.execute(_WAITING, (apsw.carray(_numbers(keys)),)))
        for key, pair, uid, flags in waiting:
            self._db.execute(_STAND_AGAIN, (key, uid, flags, pair))
            self._db.execute("DELETE FROM doomed WHERE message = ? AND pair = ? AND side = 2", (key, pair))
            self._db.execute("DELETE FROM aside WHERE message = ?", (key,))  # it comes no more, whoever refused it
        return {key: pair for key, pair, _, _ in waiting}

    def of(self, keys: Sequence[int]) -> list[tuple[int, int, int]]:
        """(pair, side, UID) of what lies beside these messages."""
        return list(self._db.execute(_OF, (apsw.carray(_numbers(keys)),)))

    def unbegun(self, keys: Sequence[int]) -> set[int]:
        """Of these messages those of which nothing was added: the placeholder that waits for them is all there is."""
        return {key for (key,) in self._db.execute(_UNBEGUN, (apsw.carray(_numbers(keys)),))}

    def stand(self, keys: Sequence[int]) -> None:
        """Their placeholders stand for them as if nothing had begun, where they are in the same mailbox."""
        numbers = _numbers(keys)
        self._db.execute(_STAND, (apsw.carray(numbers),))
        self._db.execute(_STANDS, (apsw.carray(numbers),))

    def standing(self, pair: int) -> dict[int, Standing]:
        """Placeholders of the pair that wait, by their UID on side two; not those whose flags are not known, because a
        Restante of before left them."""
        return {
            uid: Standing(key, flags, None if two is None else (there, two))
            for uid, key, flags, there, two in self._db.execute(_STANDING, (pair,))
        }

    def stood(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """(pair, UID, flags): what these placeholders have is carried."""
        self._db.executemany("UPDATE doomed SET flags = ?3 WHERE pair = ?1 AND side = 2 AND uid = ?2", rows)

    def doomed(self, pair: int, end: End) -> set[int]:
        """UIDs that stand for nothing any more."""
        return {uid for (uid,) in self._db.execute("SELECT uid FROM doomed WHERE pair = ? AND side = ?", (pair, end))}

    def to_remove(self, pair: int, end: End) -> list[int]:
        """What is doomed there, and whose messages have arrived."""
        return [uid for (uid,) in self._db.execute(_TO_REMOVE[end], (pair, end))]

    def saved(self, pair: int, end: End, uids: Iterable[int]) -> None:
        """They are gone."""
        self._db.executemany(
            "DELETE FROM doomed WHERE pair = ? AND side = ? AND uid = ?", [(pair, end, uid) for uid in uids]
        )


_WAITING = f"""
SELECT d.message, d.pair, d.uid, d.flags FROM doomed d JOIN message m ON m.key = d.message
WHERE d.side = 2 AND (d.flags NOTNULL OR d.pair = m.pair) AND m.odd & {WHOLE}
AND d.message IN (SELECT value FROM carray(?))
"""
_STAND_AGAIN = f"""
UPDATE message SET two = ?2, two_flags = coalesce(?3, two_flags), pair = ?4, one = iif(pair = ?4, one, NULL),
odd = odd & ~{GONE[End.TWO]} | {PLACEHOLDER} | iif(pair = ?4, 0, {GONE[End.ONE]}) WHERE key = ?1
"""
"""The message may have been moved on side one before it was removed there: its UID is another mailbox's then."""
_OF = "SELECT pair, side, uid FROM doomed WHERE message IN (SELECT value FROM carray(?))"
_UNBEGUN = """
SELECT message FROM content WHERE near_digest NOTNULL AND message IN (SELECT value FROM carray(?))
"""
_STAND = f"""
UPDATE message SET two = d.uid, two_flags = d.flags, odd = (odd & ~{WHOLE}) | {PLACEHOLDER}
FROM doomed AS d WHERE d.message = key AND d.side = 2 AND d.flags NOTNULL AND d.pair = message.pair
AND key IN (SELECT value FROM carray(?))
"""
_STANDS = """
DELETE FROM doomed WHERE side = 2 AND pair = (SELECT pair FROM message WHERE key = doomed.message)
AND message IN (SELECT value FROM carray(?))
"""
_STANDING = """
SELECT d.uid, d.message, d.flags, m.pair, m.two FROM doomed d JOIN message m ON m.key = d.message
WHERE d.pair = ? AND d.side = 2 AND d.flags NOTNULL
"""
_TO_REMOVE = {
    end: f"""
SELECT d.uid FROM doomed d JOIN message m ON m.key = d.message
WHERE d.pair = ? AND d.side = ? AND m.{column} NOTNULL
"""
    for end, column in COLUMN.items()
}
