"""Which messages of the source the target holds already, found by what they are.

Messages in question stand in the temporary table `wanted`, the target's that are nobody's in `other`. Four looks, each
at what the one before has left, each giving (source UID, target UID):

1. `alike`: header fields and size agree, and there is one of each.
2. octets, where there are several, or the sizes differ or are not known: `doubtful` says whose are to be read.
3. `equal`: digests agree; of several equal ones the first is the first.
4. `altered`: header fields and INTERNALDATE agree, and there are as many of each: a target that changed what it was
   given (the proof then says so).
"""

from __future__ import annotations

from collections.abc import Iterable

from ..model import NO_MARK
from .book import Book

Pairs = list[tuple[int, int]]
Outlined = tuple[int, int | None, int, bytes, bytes | None]
"""uid, size, received, mark, digest."""


class Sift:
    """One comparison: begins empty."""

    def __init__(self, book: Book, target: str) -> None:
        self._db = book.db
        self._target = target
        self._db.execute("DELETE FROM wanted")

    def want(self, rows: Iterable[Outlined]) -> None:
        """Messages of the source; those that nothing at the target resembles are forgotten at once."""
        with self._db:
            self._db.executemany("INSERT INTO wanted(uid, size, received, mark, digest) VALUES(?, ?, ?, ?, ?)", rows)
            self._db.execute(
                "DELETE FROM wanted WHERE mark NOT IN (SELECT mark FROM other WHERE target = ?)", (self._target,)
            )

    def alike(self) -> Pairs:
        return self._pairs(
            "SELECT w.uid, o.uid FROM"
            " (SELECT mark, size, min(uid) AS uid, min(digest) AS digest FROM wanted"
            "  WHERE size IS NOT NULL AND mark <> ?2 GROUP BY mark, size HAVING count(*) = 1) w JOIN"
            " (SELECT mark, size, min(uid) AS uid, min(digest) AS digest FROM other"
            "  WHERE target = ?1 AND size IS NOT NULL GROUP BY mark, size HAVING count(*) = 1) o"
            " ON w.mark = o.mark AND w.size = o.size"
            " WHERE coalesce(w.digest = o.digest, 1)"
        )

    def doubtful(self) -> tuple[list[int], list[int]]:
        """UIDs of the source and of the target whose octets have to be read."""
        sources = self._db.execute(
            "SELECT uid FROM wanted WHERE digest IS NULL AND mark IN (SELECT mark FROM other WHERE target = ?)"
            " ORDER BY uid",
            (self._target,),
        )
        targets = self._db.execute(
            "SELECT uid FROM other WHERE target = ? AND digest IS NULL AND mark IN (SELECT mark FROM wanted)"
            " ORDER BY uid",
            (self._target,),
        )
        return [uid for (uid,) in sources], [uid for (uid,) in targets]

    def source_digests(self, digests: Iterable[tuple[int, bytes]]) -> None:
        with self._db:
            self._db.executemany("UPDATE wanted SET digest = ?2 WHERE uid = ?1", digests)

    def target_digests(self, digests: Iterable[tuple[int, bytes]]) -> None:
        with self._db:
            self._db.executemany(
                "UPDATE other SET digest = ?3 WHERE target = ?1 AND uid = ?2",
                ((self._target, uid, digest) for uid, digest in digests),
            )

    def equal(self) -> Pairs:
        return self._pairs(
            "SELECT w.uid, o.uid FROM"
            " (SELECT uid, digest, row_number() OVER (PARTITION BY digest ORDER BY uid) AS n FROM wanted"
            "  WHERE digest IS NOT NULL) w JOIN"
            " (SELECT uid, digest, row_number() OVER (PARTITION BY digest ORDER BY uid) AS n FROM other"
            "  WHERE target = ?1 AND digest IS NOT NULL) o"
            " ON w.digest = o.digest AND w.n = o.n WHERE ?2 IS NOT NULL"
        )

    def altered(self) -> Pairs:
        window = "row_number() OVER (PARTITION BY mark, received ORDER BY uid) AS n"
        count = "count(*) OVER (PARTITION BY mark, received) AS alike"
        return self._pairs(
            f"SELECT w.uid, o.uid FROM (SELECT uid, mark, received, {window}, {count} FROM wanted WHERE mark <> ?2) w"
            f" JOIN (SELECT uid, mark, received, {window}, {count} FROM other WHERE target = ?1) o"
            " ON w.mark = o.mark AND w.received = o.received AND w.n = o.n AND w.alike = o.alike"
        )

    def _pairs(self, statement: str) -> Pairs:
        return [(int(w), int(o)) for w, o in self._db.execute(statement, (self._target, NO_MARK))]

    def outlines(self, uids: Iterable[int]) -> list[Outlined]:
        """What was said of these messages of the source."""
        found: list[Outlined] = []
        for uid in uids:
            found += self._db.execute("SELECT uid, size, received, mark, digest FROM wanted WHERE uid = ?", (uid,))
        return found

    def settle(self, pairs: Pairs) -> None:
        """These have found each other: they are looked at no more."""
        with self._db:
            self._db.executemany("DELETE FROM wanted WHERE uid = ?", ((source,) for source, _ in pairs))
            self._db.executemany(
                "DELETE FROM other WHERE target = ? AND uid = ?", ((self._target, target) for _, target in pairs)
            )
