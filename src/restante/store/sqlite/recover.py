"""Removed mail: what can still come back, bringing it back, and giving its space free when its time is over.

A removal keeps the whole placement in `removed`; the email and its contents stay for the retention. Bringing back
is a new placement of the same email (new UID, old EMAILID, dates and flags, \\Deleted taken off, or the next
EXPUNGE would remove it again). Reclaiming frees emails that no mailbox and no young removal names; removal rows
live longer, and when they go the log floor rises over them.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from ...mime.decode import decode_header
from ...mime.headers import first, index_fields, split_fields
from ..errors import StoreRefusal
from ..model import Appended, Flags, Recoverable, System
from . import content as contents
from . import mailboxes, stamps
from .schema import PAGE_SIZE
from .transaction import NewPlacement, Write
from .values import typed


class NotRecoverable(StoreRefusal):
    """A number that names no removed message, or one that is past the retention or back already."""

    code = "NOT-RECOVERABLE"


STEP_OCTETS = 8 << 20
"""Octets after which a step of reclaiming ends: giving the pages back writes others in their place."""

FIELDS = 1_000  # header fields looked at for a sender and a subject

_RECOVERABLE = """
SELECT r.number, coalesce(m.name, t.name, '?'), r.uid, e.id, r.removed_at, r.session, r.received, r.size,
       f.system, f.keywords, a.headers
FROM removed r
JOIN email e ON e.key = r.email
JOIN flagset f ON f.number = r.flagset
LEFT JOIN answer a ON a.email = r.email
LEFT JOIN mailbox m ON m.key = r.mailbox
LEFT JOIN mailbox_tombstone t ON t.key = r.mailbox
WHERE r.undeleted = 0 AND r.moved_to IS NULL AND (r.removed_at >= ? OR r.modseq >= ?)
ORDER BY r.number DESC
"""


def _first_young(db: apsw.Connection, since: int, now: int) -> int:
    """The first change number that is known to be of `since` or later.

    A removal behind it is as young, whatever its own stamp says: the clock had gone back meanwhile. Stamps past
    `now` come from a clock that had gone forward, and say nothing.
    """
    row = db.execute("SELECT min(modseq) FROM clock WHERE at BETWEEN ? AND ?", (since, now)).fetchone()
    return row[0] if row is not None and row[0] is not None else 1 << 62


def recoverable(db: apsw.Connection, since: int, now: int) -> list[Recoverable]:
    """Messages removed at `since` (seconds UTC) or later that can be brought back, newest removal first."""
    found = []
    for number, mailbox, uid, id, at, session, received, size, system, keywords, headers in db.execute(
        _RECOVERABLE, (since, _first_young(db, since, now))
    ):
        fields = index_fields(split_fields(headers or b"", FIELDS))
        flags = Flags(System(system), frozenset(keywords.split()))
        sender, subject = (decode_header(first(fields, name) or b"") for name in (b"from", b"subject"))
        found.append(
            Recoverable(number, mailbox, uid, id, at, session, received, size, flags, sender, subject)
        )  # fmt: skip
    return found


def undelete(tx: Write, numbers: Sequence[int], mailbox: int | None, since: int) -> Appended | None:
    """Bring back messages removed at `since` or later, all or none. Raises NotRecoverable, naming the number."""
    by_target: dict[int, list[tuple[int, NewPlacement, str]]] = {}
    made: dict[int, int] = {}
    young = _first_young(tx.db, since, tx.now)
    for number in dict.fromkeys(numbers):
        row = tx.db.execute(
            "SELECT r.mailbox, r.email, r.flagset, r.size, r.received, e.id FROM removed r"
            " JOIN email e ON e.key = r.email WHERE r.number = ? AND (r.removed_at >= ? OR r.modseq >= ?)"
            " AND r.undeleted = 0 AND r.moved_to IS NULL",
            (number, since, young),
        ).fetchone()
        if row is None:
            raise NotRecoverable(f"There is no removed message with the number {number}.", "List them again.")
        source, email, flagset, size, received, id = row
        target = mailbox if mailbox is not None else _target(tx, source, made)
        flags = tx.flags_of(flagset)
        kept = tx.flagset(Flags(flags.system & ~System.DELETED, flags.keywords))
        placement = NewPlacement(email, kept, size, received, tx.now)
        by_target.setdefault(target, []).append((number, placement, id))
    result = None
    for target, entries in by_target.items():
        uids = tx.place(target, [placement for _, placement, _ in entries])
        tx.db.executemany("UPDATE removed SET undeleted = 1 WHERE number = ?", [(n,) for n, _, _ in entries])
        ids = tuple(id for _, _, id in entries)
        result = Appended(mailboxes.mailbox_by_key(tx.db, target, tx.user), tuple(uids), ids, tx.modseq)
    return result


def _target(tx: Write, source: int, made: dict[int, int]) -> int:
    """The mailbox a message was in; created again under its old name if it is gone, with its
    special use unless another has that now."""
    if tx.db.execute("SELECT 1 FROM mailbox WHERE key = ?", (source,)).fetchone():
        return source
    if source not in made:
        name, role = tx.db.execute(_FORMER, (source,)).fetchone() or ("Recovered", None)
        there = tx.db.execute("SELECT key FROM mailbox WHERE name = ?", (name,)).fetchone()
        made[source] = there[0] if there else mailboxes.create(tx, name, role, None).key
    return made[source]


_FORMER = """
SELECT t.name, iif(EXISTS (SELECT 1 FROM mailbox m WHERE m.role = t.role), NULL, t.role)
FROM mailbox_tombstone t WHERE t.key = ?
"""

_DUE = """
SELECT DISTINCT r.email FROM removed r JOIN email e ON e.key = r.email
WHERE r.removed_at < ?1 AND r.modseq < ?4
  AND NOT EXISTS (SELECT 1 FROM placement p WHERE p.email = r.email)
  AND NOT EXISTS (SELECT 1 FROM removed y WHERE y.email = r.email AND (y.removed_at >= ?1 OR y.modseq >= ?4))
  AND NOT EXISTS (SELECT 1 FROM hold h WHERE h.email = r.email AND h.until >= ?2)
LIMIT ?3
"""


def reclaim(tx: Write, budget: int, before: int, log_before: int) -> int:
    """Free at most `budget` emails removed before `before`, forget the log before `log_before`; emails freed.

    Stops once `STEP_OCTETS` are free. Takes no change number: no client can tell.
    """
    tx.numbered = False
    young = _first_young(tx.db, before, tx.now)
    due = [email for (email,) in tx.db.execute(_DUE, (before, tx.now, budget, young))]
    freed = done = 0
    for email in due:
        if freed >= STEP_OCTETS:
            break
        done += 1
        content, size = tx.db.execute("SELECT content, size FROM email WHERE key = ?", (email,)).get
        for table in ("answer", "sortkey", "search_text", "body_text", "pop3_hidden", "hold"):
            tx.db.execute(f"DELETE FROM {table} WHERE email = ?", (email,))
        tx.db.execute("DELETE FROM email WHERE key = ?", (email,))
        if not tx.db.execute("SELECT 1 FROM email WHERE content = ?", (content,)).fetchone():
            contents.drop(tx, content)
            freed += size
    _forget(tx, budget, before, log_before)
    tx.db.execute(f"PRAGMA incremental_vacuum({256 + freed // PAGE_SIZE})").fetchall()
    return done


def prune_stamps(tx: Write, mailbox: int, after: int) -> int:
    """`stamps.prune` as a command, without a number: no client can tell."""
    tx.numbered = False
    return stamps.prune(tx.db, mailbox, after)


def _forget(tx: Write, budget: int, before: int, log_before: int) -> None:
    """Take old rows off the log, raising its floor over them in the same transaction.

    The last removal of an email that is in no mailbox and not yet freed stays: `_DUE` finds the email by it.
    """
    old: list[tuple[int, int]] = typed(tx.db.execute(_FORGETTABLE, (log_before, budget)))
    if old:
        tx.db.executemany("DELETE FROM removed WHERE number = ?", [(number,) for number, _ in old])
        tx.db.execute("UPDATE account SET log_floor = max(log_floor, ?)", (max(modseq for _, modseq in old),))
    tx.db.execute(
        "DELETE FROM history WHERE modseq <= (SELECT coalesce(max(modseq), 0) FROM clock WHERE at < ?)", (before,)
    )
    tx.db.execute("DELETE FROM mailbox_tombstone WHERE removed_at < ?", (log_before,))
    tx.db.execute("DELETE FROM clock WHERE at < ?", (log_before,))
    tx.db.execute("DELETE FROM transfer_in WHERE at < ?", (log_before,))


_FORGETTABLE = """
SELECT r.number, r.modseq FROM removed r
WHERE r.removed_at < ?1 AND (
    NOT EXISTS (SELECT 1 FROM email e WHERE e.key = r.email)
    OR EXISTS (SELECT 1 FROM placement p WHERE p.email = r.email)
    OR EXISTS (SELECT 1 FROM removed y WHERE y.email = r.email AND y.number > r.number))
ORDER BY r.removed_at LIMIT ?2
"""
