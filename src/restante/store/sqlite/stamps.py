"""Which placements a change number may be on: a row for a stretch of UIDs, not one for each placement.

What changed since a number is asked after every command, by IDLE, CONDSTORE, QRESYNC, JMAP and backup. An index over
(mailbox, modseq) would answer it, at the price of an entry taken out and one put in for each message whose flags
change: half of all that a large STORE costs. Instead a command writes a stamp for each stretch of UIDs that it changed
(`Write.stamp`); what comes into a mailbox is stamped by a trigger on the mailbox's row, since its UIDs are those by
which UIDNEXT rises.

What holds: each placement lies in a stamp of its mailbox and its own number. A stamp may name more: UIDs between two of
its own, and those that have another number since, or are gone. So who reads (`since`) compares the numbers of both, and
finds each placement once. Where a long stretch comes over another one, that one is cut at once to what it still needs;
short ones that no placement needs any more go by `prune`. So reading costs as much as the answer and what single
commands have changed, not as much as all stretches that ever were.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import chain

import apsw

from ...runs import runs
from .values import typed

GAP = 16
"""UIDs that may lie between two of a stretch: passing over them is cheaper than another row."""

LONG = 64
"""UIDs of a stretch that is cut where another one comes over it. The same number is in the schema's index."""

STEP = 5_000
"""Stamps that one step of pruning looks at: 2 to 15 ms."""

SPARE = 1_000
"""Stamps that a mailbox may have above one for each message before it is worth a look."""

MOST_STAMPS, MOST_UIDS = 8_000, 60_000
"""Stamps, and UIDs in them, that are read on the event loop: some 5 ms."""


def since(mailbox: str, number: str, join: str = "", below: str = "") -> str:
    """FROM and WHERE over the rows `p` of placements that have a number above one. Each once, in no order.

    mailbox, number: names of parameters. join: a JOIN that reads `p`. below: a parameter, for numbers below it alone.
    """
    upto = f" AND c.modseq < {below}" if below else ""
    return (
        "FROM stamp c CROSS JOIN placement p ON p.mailbox = c.mailbox AND p.uid BETWEEN c.low AND c.high"
        f" AND p.modseq = c.modseq {join} WHERE c.mailbox = {mailbox} AND c.modseq > {number}{upto}"
    )


def are_many(db: apsw.Connection, mailbox: int, number: int) -> bool:
    """Whether `since` would pass over so much, whatever it finds, that it is a thread's work."""
    rows, uids = db.execute(_WIDTH, (mailbox, number, MOST_STAMPS + 1)).get
    return rows > MOST_STAMPS or (uids or 0) > MOST_UIDS


def write(
    db: apsw.Connection, mailbox: int, modseq: int, ranges: Iterable[tuple[int, int]], *, again: bool = False
) -> None:
    """Stamp these UIDs, whose placements have the number now. ranges: in any order; every placement between the two
    ends of each has it. again: the number has stamps there already, with which these go together."""
    if again:
        there: list[tuple[int, int]] = typed(db.execute(_TAKE, (mailbox, modseq)))
        ranges = [*ranges, *there]
    rows = _close(ranges)
    for low, high, whole in rows:
        if high - low >= LONG:
            _cut(db, mailbox, low, high, whole)
    db.executemany(_INSERT, [(mailbox, modseq, low, high) for low, high, _ in rows])


def _close(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int, bool]]:
    """Ranges with those together that lie close, and whether nothing lies between."""
    rows: list[tuple[int, int, bool]] = []
    for low, high in sorted(ranges):
        if not rows or low - rows[-1][1] > GAP:
            rows.append((low, high, True))
        else:
            first, last, whole = rows[-1]
            rows[-1] = (first, max(high, last), whole and low <= last + 1)
    return rows


def _cut(db: apsw.Connection, mailbox: int, low: int, high: int, whole: bool) -> None:
    """Take out of older long stretches what lies in a new one, but for what still has their numbers: nothing does where
    the new one is `whole`. So a long stretch has its number every `GAP` UIDs or closer wherever another one lies over
    it, and no UID is in more than some `GAP` of them."""
    over: list[tuple[int, int, int]] = typed(db.execute(_OVER, (mailbox, low, high)))
    for modseq, first, last in over:
        db.execute("DELETE FROM stamp WHERE mailbox = ? AND modseq = ? AND low = ?", (mailbox, modseq, first))
        rest = [(first, low - 1), (high + 1, last)]
        if not whole:
            within = (mailbox, max(first, low), min(last, high), modseq)
            kept = array("I", chain.from_iterable(db.execute(_KEPT, within)))
            rest += [(a, b) for a, b, _ in _close(runs(kept))]
        db.executemany(_INSERT, [(mailbox, modseq, a, b) for a, b in rest if a <= b])


def write_all(db: apsw.Connection) -> None:
    """Stamps of all placements as they are, for a file that has none, or wrong ones."""
    db.execute("DELETE FROM stamp")
    db.execute(_ALL)


def swollen(db: apsw.Connection) -> list[int]:
    """Mailboxes that have many more stamps than messages, or UIDs in them. Cost: a look at every stamp."""
    return [mailbox for (mailbox,) in db.execute(_SWOLLEN, (SPARE, GAP))]


def prune(db: apsw.Connection, mailbox: int, after: int) -> int:
    """Take away stamps that no placement needs, behind the number `after`; up to which: 0 where that was the end."""
    end: int = db.execute(_STEP, (mailbox, after, STEP)).get or 0
    db.execute(_PRUNE, (mailbox, after, end or 1 << 62))
    return end


_WIDTH = """
SELECT count(*), sum(high - low + 1) FROM (SELECT low, high FROM stamp WHERE mailbox = ? AND modseq > ? LIMIT ?)
"""
_TAKE = "DELETE FROM stamp WHERE mailbox = ? AND modseq = ? RETURNING low, high"
# No number is given out twice; where a damaged file's counter went back, it costs no message.
_INSERT = """
INSERT INTO stamp (mailbox, modseq, low, high) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET high = max(high, excluded.high)
"""
_OVER = f"SELECT modseq, low, high FROM stamp WHERE high - low >= {LONG} AND mailbox = ? AND high >= ? AND low <= ?"
_KEPT = "SELECT uid FROM placement WHERE mailbox = ? AND uid BETWEEN ? AND ? AND modseq = ?"
_ALL = """
INSERT INTO stamp (mailbox, modseq, low, high)
SELECT mailbox, modseq, min(uid), max(uid) FROM (
    SELECT mailbox, modseq, uid, uid - row_number() OVER (PARTITION BY mailbox, modseq ORDER BY uid) AS run
    FROM placement)
GROUP BY mailbox, modseq, run
"""
UNSTAMPED = """
SELECT p.mailbox, p.uid, p.flagset FROM placement p WHERE p.mailbox IN (SELECT key FROM mailbox) AND coalesce((
    SELECT s.high FROM stamp s WHERE s.mailbox = p.mailbox AND s.modseq = p.modseq AND s.low <= p.uid
    ORDER BY s.low DESC LIMIT 1), 0) < p.uid
ORDER BY p.mailbox, p.uid
"""
"""(mailbox, UID, flag set) of placements that `since` does not find. Stamps of one number lie apart."""

_SWOLLEN = """
SELECT s.mailbox FROM (
    SELECT mailbox, count(*) AS stamps, sum(high - low + 1) AS uids FROM stamp GROUP BY mailbox) s
LEFT JOIN mailbox m ON m.key = s.mailbox
WHERE s.stamps > coalesce(m.messages, 0) + ?1 OR s.uids > ?2 * (coalesce(m.messages, 0) + ?1)
"""
_STEP = "SELECT modseq FROM stamp WHERE mailbox = ? AND modseq > ? ORDER BY modseq LIMIT 1 OFFSET ?"
_PRUNE = """
DELETE FROM stamp WHERE mailbox = ?1 AND modseq > ?2 AND modseq <= ?3 AND NOT EXISTS (
    SELECT 1 FROM placement p WHERE p.mailbox = stamp.mailbox AND p.uid BETWEEN stamp.low AND stamp.high
    AND p.modseq = stamp.modseq)
"""
