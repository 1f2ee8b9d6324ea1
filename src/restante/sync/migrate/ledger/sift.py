"""Which messages of the source the target holds already, found by what they are.

Messages in question stand in the temporary table `wanted`, the target's that are nobody's in `other`. Four looks, each
at what the one before has left, each giving (source UID, target UID):

1. `alike`: header fields and size agree, and there is one of each.
2. octets, where there are several, or the sizes differ or are not known: `doubtful` says whose are to be read.
3. `equal`: digests agree; of several equal ones those with the same INTERNALDATE first, then the first is the first.
4. `altered`: header fields and INTERNALDATE agree, and there are as many of each: a target that changed what it was
   given (the proof then says so).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import apsw

from ..model import NO_MARK
from .book import Book

Pairs = list[tuple[int, int]]
Outlined = tuple[int, int | None, int, bytes, bytes | None]
"""uid, size, received, mark, digest."""


class Sift:
    """One comparison: begins empty. Several may be under way, each in its own rows. Leave it with `close`."""

    def __init__(self, book: Book, target: str) -> None:
        self._db = book.db
        self._about = {"target": target, "sift": next(_NUMBERS), "nothing": NO_MARK}

    def close(self) -> None:
        self._run("DELETE FROM wanted WHERE sift = :sift")

    def want(self, rows: Iterable[Outlined]) -> None:
        """Messages of the source; those that nothing at the target resembles are forgotten at once."""
        sift = self._about["sift"]
        with self._db:
            self._db.executemany(
                "INSERT INTO wanted(sift, uid, size, received, mark, digest) VALUES(?, ?, ?, ?, ?, ?)",
                ((sift, *row) for row in rows),
            )
            self._run(
                "DELETE FROM wanted WHERE sift = :sift AND mark NOT IN (SELECT mark FROM other WHERE target = :target)"
            )

    def alike(self) -> Pairs:
        return self._pairs(
            "SELECT w.uid, o.uid FROM"
            " (SELECT mark, size, min(uid) AS uid, min(digest) AS digest FROM wanted"
            "  WHERE sift = :sift AND size IS NOT NULL AND mark <> :nothing"
            "  GROUP BY mark, size HAVING count(*) = 1) w JOIN"
            " (SELECT mark, size, min(uid) AS uid, min(digest) AS digest FROM other"
            "  WHERE target = :target AND size IS NOT NULL GROUP BY mark, size HAVING count(*) = 1) o"
            " ON w.mark = o.mark AND w.size = o.size"
            " WHERE coalesce(w.digest = o.digest, 1)"
        )

    def doubtful(self) -> tuple[list[int], list[int]]:
        """UIDs of the source and of the target whose octets have to be read."""
        sources = self._run(
            "SELECT uid FROM wanted WHERE sift = :sift AND digest IS NULL"
            " AND mark IN (SELECT mark FROM other WHERE target = :target) ORDER BY uid"
        )
        targets = self._run(
            "SELECT uid FROM other WHERE target = :target AND digest IS NULL"
            " AND mark IN (SELECT mark FROM wanted WHERE sift = :sift) ORDER BY uid"
        )
        return [int(uid) for (uid,) in sources], [int(uid) for (uid,) in targets]

    def source_digests(self, digests: Iterable[tuple[int, bytes]]) -> None:
        sift = self._about["sift"]
        with self._db:
            self._db.executemany(
                "UPDATE wanted SET digest = ? WHERE sift = ? AND uid = ?",
                ((digest, sift, uid) for uid, digest in digests),
            )

    def target_digests(self, digests: Iterable[tuple[int, bytes]]) -> None:
        target = self._about["target"]
        with self._db:
            self._db.executemany(
                "UPDATE other SET digest = ? WHERE target = ? AND uid = ?",
                ((digest, target, uid) for uid, digest in digests),
            )

    def equal(self, *, dated: bool) -> Pairs:
        """dated: with the same INTERNALDATE alone."""
        of = "digest, received" if dated else "digest"
        window = f"row_number() OVER (PARTITION BY {of} ORDER BY uid) AS n"
        return self._pairs(
            "SELECT w.uid, o.uid FROM"
            f" (SELECT uid, digest, received, {window} FROM wanted WHERE sift = :sift AND digest IS NOT NULL) w JOIN"
            f" (SELECT uid, digest, received, {window} FROM other WHERE target = :target AND digest IS NOT NULL) o"
            " ON w.digest = o.digest AND w.n = o.n" + (" AND w.received = o.received" if dated else "")
        )

    def altered(self) -> Pairs:
        window = "row_number() OVER (PARTITION BY mark, received ORDER BY uid) AS n"
        count = "count(*) OVER (PARTITION BY mark, received) AS alike"
        return self._pairs(
            "SELECT w.uid, o.uid FROM"
            f" (SELECT uid, mark, received, {window}, {count} FROM wanted WHERE sift = :sift AND mark <> :nothing) w"
            f" JOIN (SELECT uid, mark, received, {window}, {count} FROM other WHERE target = :target) o"
            " ON w.mark = o.mark AND w.received = o.received AND w.n = o.n AND w.alike = o.alike"
        )

    def _run(self, statement: str) -> apsw.Cursor:
        """With what of `_about` the statement names."""
        return self._db.execute(statement, {key: value for key, value in self._about.items() if f":{key}" in statement})

    def _pairs(self, statement: str) -> Pairs:
        return [(int(w), int(o)) for w, o in self._run(statement)]

    def outlines(self, uids: Iterable[int]) -> list[Outlined]:
        """What was said of these messages of the source."""
        sift = self._about["sift"]
        found: list[Outlined] = []
        for uid in uids:
            found += self._db.execute(
                "SELECT uid, size, received, mark, digest FROM wanted WHERE sift = ? AND uid = ?", (sift, uid)
            )
        return found

    def settle(self, pairs: Pairs) -> None:
        """These have found each other: they are looked at no more."""
        sift, target = self._about["sift"], self._about["target"]
        with self._db:
            self._db.executemany("DELETE FROM wanted WHERE sift = ? AND uid = ?", ((sift, s) for s, _ in pairs))
            self._db.executemany("DELETE FROM other WHERE target = ? AND uid = ?", ((target, t) for _, t in pairs))


_NUMBERS = itertools.count(1)
