"""What waits in the state: removals for a person, refused messages for another try, trash for its time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import apsw

from ..settings import Aside, End, Held
from .messages import _numbers


class Holds:
    """Removals that are held. Deciding is a person's; the next run does what was decided."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def all(self) -> list[Held]:
        """Held removals, oldest first."""
        return [
            Held(key, mailbox, End(side), reason, messages, since, None if accepted is None else bool(accepted))
            for key, mailbox, side, reason, messages, since, accepted in self._db.execute(_HELD)
        ]

    def decisions(self) -> dict[int, bool | None]:
        """hold -> True (carry the removals over), False (put the messages back), None (nobody decided)."""
        rows = self._db.execute("SELECT key, accepted FROM hold")
        return {key: None if accepted is None else bool(accepted) for key, accepted in rows}

    def decide(self, numbers: Sequence[int] | None, accepted: bool) -> int:
        """Decide about these, or all that nobody decided about; how many there were. What was removed lately has been
        judged with them: the brake counts anew."""
        self._db.execute("DELETE FROM removal")
        if numbers is None:
            self._db.execute("UPDATE hold SET accepted = ? WHERE accepted IS NULL", (accepted,))
        else:
            self._db.execute(
                "UPDATE hold SET accepted = ? WHERE key IN (SELECT value FROM carray(?))",
                (accepted, apsw.carray(_numbers(numbers))),
            )
        return self._db.changes()

    def hold(self, pair: int, end: End, reason: str, since: float, keys: Sequence[int]) -> int:
        """Hold the removals of these messages on that side; joins what is held there for the same reason."""
        same = "SELECT key FROM hold WHERE pair = ? AND side = ? AND reason = ? AND accepted IS NULL"
        found = self._db.execute(same, (pair, end, reason)).get
        if found is None:
            self._db.execute(
                "INSERT INTO hold (pair, side, reason, since) VALUES (?, ?, ?, ?)", (pair, end, reason, since)
            )
            found = self._db.last_insert_rowid()
        self._db.execute(
            "UPDATE message SET hold = ?, odd = odd | ? WHERE key IN (SELECT value FROM carray(?))",
            (found, 4 if end is End.ONE else 8, apsw.carray(_numbers(keys))),
        )
        return int(found)

    def removed(self, pair: int, end: End, number: int, now: float, window: float) -> None:
        """So many messages of the pair were removed there by somebody. Those of before the window are forgotten, and
        those of after now: the clock was put back."""
        self._db.execute("DELETE FROM removal WHERE at NOT BETWEEN ? AND ?", (now - window, now))
        self._db.execute("INSERT INTO removal (pair, side, at, number) VALUES (?, ?, ?, ?)", (pair, end, now, number))

    def lately(self, now: float, window: float) -> dict[tuple[int, End], int]:
        """(pair, side) -> messages that were removed there within the window."""
        rows = self._db.execute(_LATELY, (now - window, now))
        return {(pair, End(side)): number for pair, side, number in rows}

    def sweep(self) -> None:
        """Forget holds that hold nothing any more."""
        self._db.execute("DELETE FROM hold WHERE key NOT IN (SELECT hold FROM message WHERE hold IS NOT NULL)")


class Asides:
    """Messages that a side would not take, or not give."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def all(self) -> list[Aside]:
        """Set-aside messages, by mailbox."""
        return [
            Aside(mailbox, End(side), uid or 0, reason, size, next_try)
            for mailbox, side, uid, reason, size, next_try in self._db.execute(_ASIDE)
        ]

    def waiting(self, pair: int, now: float, largest: int | None) -> set[int]:
        """Keys of messages that are not to be tried now. An instant more than a day ahead was set by a clock that has
        been put back."""
        return {key for (key,) in self._db.execute(_WAITING, (pair, now, largest))}

    def put(self, rows: Iterable[tuple[int, End, str, int, float, bool]], largest: int | None) -> None:
        """(key, who refused, why, size, now, temporary). A temporary one is tried again after ten minutes, then after
        twice as long each time, at most a day."""
        self._db.executemany(
            _PUT_ASIDE,
            [(key, end, reason, size, now if again else None, largest) for key, end, reason, size, now, again in rows],
        )

    def retry(self) -> int:
        """Try all again in the next run; how many there are."""
        self._db.execute("UPDATE aside SET next_try = 0")
        return self._db.changes()


class Trashed:
    """Where removed messages are kept, and since when."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def put(self, since: float, paths: Iterable[str]) -> None:
        self._db.executemany("INSERT INTO trash (since, path) VALUES (?, ?)", [(since, path) for path in paths])

    def put_uids(self, since: float, validity: str, uids: Iterable[int]) -> None:
        self._db.executemany(
            "INSERT INTO trash (since, validity, uid) VALUES (?, ?, ?)", [(since, validity, uid) for uid in uids]
        )

    def before(self, instant: float) -> list[tuple[int, str | None, str | None, int | None]]:
        """(key, path, validity, UID) of what was kept before that. Not of a file that was kept once more since: what is
        removed, brought back and removed again has one name."""
        return list(self._db.execute(_KEPT_BEFORE, (instant,)))

    def forget(self, keys: Sequence[int]) -> None:
        self._db.execute("DELETE FROM trash WHERE key IN (SELECT value FROM carray(?))", (apsw.carray(_numbers(keys)),))


_KEPT_BEFORE = """
SELECT key, path, validity, uid FROM trash WHERE since < ?1
AND (path IS NULL OR path NOT IN (SELECT path FROM trash WHERE since >= ?1 AND path IS NOT NULL))
"""
_LATELY = "SELECT pair, side, sum(number) FROM removal WHERE at BETWEEN ? AND ? GROUP BY pair, side"
_HELD = """
SELECT h.key, coalesce(p.name, q.name, ''), h.side, h.reason, count(*), h.since, h.accepted
FROM hold h JOIN message m ON m.hold = h.key
LEFT JOIN place p ON p.pair = h.pair AND p.side = h.side
LEFT JOIN place q ON q.pair = h.pair AND q.side = 3 - h.side
GROUP BY h.key ORDER BY h.key
"""
_ASIDE = """
SELECT coalesce(p.name, q.name, '') AS mailbox, a.side,
CASE a.side WHEN 1 THEN coalesce(m.two, m.one) ELSE coalesce(m.one, m.two) END, a.reason, a.size, a.next_try
FROM aside a JOIN message m ON m.key = a.message
LEFT JOIN place p ON p.pair = m.pair AND p.side = 3 - a.side
LEFT JOIN place q ON q.pair = m.pair AND q.side = a.side
ORDER BY mailbox, m.key
"""
_WAITING = """
SELECT a.message FROM message m JOIN aside a ON a.message = m.key
WHERE m.pair = ?1 AND (m.one IS NULL OR m.two IS NULL OR m.odd & 12 != 0)
AND coalesce(a.next_try BETWEEN ?2 AND ?2 + 90000, 1) AND a.largest IS ?3
"""
_PUT_ASIDE = """
INSERT INTO aside (message, side, reason, size, tries, next_try, largest) VALUES (?1, ?2, ?3, ?4, 1, ?5 + 600, ?6)
ON CONFLICT (message) DO UPDATE SET reason = ?3, size = ?4, tries = tries + 1,
next_try = ?5 + min(86400, 600 * (1 << min(tries, 8))), largest = ?6
"""
