"""Pairs of mailboxes in the state: where each side stood when both were last the same."""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from ..base import Known, Pair
from ..settings import End


class Pairs:
    """Reads all pairs in one query (a run with nothing to do reads nothing else); writes one side of one at a time."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def all(self) -> list[Pair]:
        found: dict[int, dict[int, Known]] = {key: {} for (key,) in self._db.execute("SELECT key FROM pair")}
        for key, side, name, id_, validity, cursor, state, role, subscribed, listing in self._db.execute(_ALL):
            found[key][side] = Known(name, id_, validity, cursor, state, role, bool(subscribed), listing)
        return [Pair(key, sides.get(End.ONE), sides.get(End.TWO)) for key, sides in found.items()]

    def new(self) -> int:
        self._db.execute("INSERT INTO pair DEFAULT VALUES")
        return self._db.last_insert_rowid()

    def put(self, key: int, end: End, known: Known) -> None:
        self._db.execute(
            _PUT,
            (
                key,
                end,
                known.name,
                known.id,
                known.validity,
                known.cursor,
                known.state,
                known.role,
                known.subscribed,
                known.listing,
            ),
        )

    def drop(self, key: int) -> None:
        """Forget the pair with all its messages."""
        self._db.execute("DELETE FROM pair WHERE key = ?", (key,))

    def forget_listing(self, key: int, end: End) -> None:
        self._db.execute("UPDATE place SET listing = NULL WHERE pair = ? AND side = ?", (key, end))

    def pending(self, now: float, largest: int | None) -> set[int]:
        """Pairs with something to do whatever the sides say: messages half carried, decided removals, due retries."""
        return {key for (key,) in self._db.execute(_PENDING, (now, largest))}

    def removals_undecided(self) -> set[tuple[int, End]]:
        """(pair, side) of mailboxes that vanished there and wait for a decision."""
        rows = self._db.execute("SELECT pair, side FROM hold WHERE reason = 'vanished' AND accepted IS NULL")
        return {(pair, End(side)) for pair, side in rows}

    # Renames under way ------------------------------------------------------------------------------

    def renaming(self) -> dict[tuple[int, End], tuple[str, str]]:
        rows = self._db.execute("SELECT pair, side, old, new FROM renaming")
        return {(pair, End(side)): (old, new) for pair, side, old, new in rows}

    def begin_rename(self, key: int, end: End, old: str, new: str) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO renaming (pair, side, old, new) VALUES (?, ?, ?, ?)", (key, end, old, new)
        )

    def end_rename(self, key: int, end: End) -> None:
        self._db.execute("DELETE FROM renaming WHERE pair = ? AND side = ?", (key, end))

    def set_names(self, end: End, names: Iterable[tuple[int, str]]) -> None:
        self._db.executemany(
            "UPDATE place SET name = ?2 WHERE pair = ?1 AND side = ?3", [(key, name, end) for key, name in names]
        )


_ALL = """
SELECT pair, side, name, id, validity, cursor, state, role, subscribed, listing FROM place
"""

_PUT = """
INSERT OR REPLACE INTO place (pair, side, name, id, validity, cursor, state, role, subscribed, listing)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_PENDING = """
SELECT DISTINCT m.pair FROM message m
LEFT JOIN aside a ON a.message = m.key
LEFT JOIN hold h ON h.key = m.hold
WHERE (m.one IS NULL OR m.two IS NULL OR m.odd & 12 != 0)
AND (m.hold IS NULL OR h.accepted IS NOT NULL)
AND (a.message IS NULL OR a.next_try NOT BETWEEN ?1 AND ?1 + 90000 OR a.largest IS NOT ?2)
UNION SELECT pair FROM doomed
"""
