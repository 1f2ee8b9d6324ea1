"""An account's rows as a backup reads them: the queries behind `store.backup.Instant`, of whichever connection."""

from __future__ import annotations

from array import array
from itertools import chain

import apsw

from ...runs import ascending
from ..backup import CatalogueRow, Head, MailboxRow, Mark, PlacedRow, Pop3Row, SeenRow, TombstoneRow
from ..errors import Damaged
from . import stamps
from .glance import MARK
from .values import typed


def mark(db: apsw.Connection) -> Mark:
    """The account's mark. Cost: a row a mailbox, and a pass over what POP3 has fetched."""
    row = db.execute(MARK).fetchone()
    if row is None:
        raise Damaged("The account's row is missing.", "Run 'restante doctor' on it.")
    return Mark(row[0], row[1], tuple(row[2:]))


def head(db: apsw.Connection) -> Head:
    log_floor, uidvalidity, created = db.execute("SELECT log_floor, uidvalidity, created FROM account").get
    return Head(
        mark(db),
        log_floor,
        uidvalidity,
        created,
        tuple(map(MailboxRow._make, db.execute(_MAILBOXES))),
        tuple(map(TombstoneRow._make, db.execute(_TOMBSTONES))),
        tuple(name for (name,) in db.execute("SELECT name FROM keyword ORDER BY folded")),
        tuple(typed(db.execute("SELECT user, name FROM subscription ORDER BY user, name"))),
        tuple(typed(db.execute("SELECT mailbox, identifier, rights FROM acl ORDER BY mailbox, identifier"))),
        tuple(typed(db.execute("SELECT mailbox, user, entry, value FROM annotation ORDER BY mailbox, user, entry"))),
        {number: (system, words) for number, system, words in db.execute(_FLAG_SETS)},
    )


def placed(db: apsw.Connection, mailbox: int, after: int, limit: int) -> list[PlacedRow]:
    found: list[PlacedRow] = typed(db.execute(_PLACED, (mailbox, after, limit)))
    return found


def catalogue(db: apsw.Connection, mailbox: int, low: int, high: int) -> list[CatalogueRow]:
    found: list[CatalogueRow] = typed(db.execute(_CATALOGUE, (mailbox, low, high)))
    return found


def flagged(db: apsw.Connection, mailbox: int, since: int, below: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = typed(db.execute(_FLAGGED, (mailbox, since, below)))
    return sorted(found)


def gone(db: apsw.Connection, mailbox: int, since: int) -> array[int]:
    return ascending(array("I", chain.from_iterable(db.execute(_GONE, (mailbox, since)))))


def pop3(db: apsw.Connection) -> list[Pop3Row]:
    found: list[Pop3Row] = typed(db.execute(_POP3))
    return found


def hidden(db: apsw.Connection) -> list[int]:
    return [order for (order,) in db.execute(_HIDDEN)]


def seen(db: apsw.Connection) -> list[SeenRow]:
    found: list[SeenRow] = typed(db.execute(_SEEN))
    return found


_MAILBOXES = """
SELECT key, id, name, role, uidvalidity, uidnext, highest_modseq, recent_uid, messages, size FROM mailbox ORDER BY key
"""
_TOMBSTONES = "SELECT key, id, name, role, uidvalidity, uidnext, removed_at FROM mailbox_tombstone ORDER BY key"
_FLAG_SETS = "SELECT number, system, keywords FROM flagset"
_PLACED = """
SELECT p.uid, p.email, e.id, e.thread, e.content, c.digest, p.size, p.received, p.saved, e.arrival, e.uidl, p.flagset
FROM placement p CROSS JOIN email e ON e.key = p.email CROSS JOIN content c ON c.key = e.content
WHERE p.mailbox = ?1 AND p.uid > ?2 ORDER BY p.uid LIMIT ?3
"""
_CATALOGUE = """
SELECT coalesce(t.sender, ''), coalesce(t.recipient || char(10) || t.cc, ''), coalesce(t.subject, ''),
    coalesce(k.message_id, '')
FROM placement p LEFT JOIN search_text t ON t.email = p.email LEFT JOIN sortkey k ON k.email = p.email
WHERE p.mailbox = ?1 AND p.uid BETWEEN ?2 AND ?3 ORDER BY p.uid
"""
_FLAGGED = f"SELECT p.uid, p.flagset {stamps.since('?1', '?2')} AND p.uid < ?3"
_GONE = "SELECT uid FROM removed WHERE mailbox = ?1 AND modseq > ?2"
_POP3 = "SELECT mailbox, uid, suffix, retrieved FROM pop3 ORDER BY mailbox, uid"
_HIDDEN = """
SELECT email FROM pop3_hidden h WHERE EXISTS (SELECT 1 FROM placement p WHERE p.email = h.email) ORDER BY email
"""
_SEEN = "SELECT mailbox, uid, user, seen FROM seen ORDER BY mailbox, uid, user"
