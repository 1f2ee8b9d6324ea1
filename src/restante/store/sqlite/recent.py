"""\\Recent (RFC 3501 2.3.2): each message is recent in the first session that selects its mailbox, and in no other.

`recent_uid` says how far sessions of the owner have been told. Of a mailbox that is shared each reader has his own row
in `told`, as he has his own \\Seen; who has none yet begins where the owner is, and has one from his first visit on.
Both are written without an fsync of their own: after a power cut a message may be recent twice, which harms nobody, and
SELECT stays free of the disk.
"""

from __future__ import annotations

import apsw

from ..errors import NoSuchMailbox
from .transaction import Write
from .values import typed

_BOUNDS = "SELECT recent_uid + 1, uidnext - 1 FROM mailbox WHERE key = ?"
_BOUNDS_OF = """
SELECT coalesce(t.uid, m.recent_uid) + 1, m.uidnext - 1
FROM mailbox m LEFT JOIN told t ON t.user = ?2 AND t.mailbox = m.key WHERE m.key = ?1
"""


def unclaimed(db: apsw.Connection, mailbox: int, reader: str = "") -> tuple[int, int]:
    """(low, high) of what no session has claimed; low > high when there is nothing. reader: somebody who is not the
    owner, whose sessions alone are meant then."""
    row = db.execute(_BOUNDS_OF, (mailbox, reader)).fetchone() if reader else db.execute(_BOUNDS, (mailbox,)).fetchone()
    if row is None:
        raise NoSuchMailbox("There is no such mailbox.")
    return int(row[0]), int(row[1])


def claim(tx: Write, mailbox: int) -> tuple[int, int]:
    """Claim it for the owner. Takes no change number: no client can be told of it."""
    tx.numbered = False
    low, high = unclaimed(tx.db, mailbox)
    if low <= high:
        tx.db.execute("UPDATE mailbox SET recent_uid = ? WHERE key = ?", (high, mailbox))
    return low, high


def claim_as_reader(tx: Write, mailbox: int) -> tuple[int, int]:
    """The same for a reader, who may read it: from now on his sessions and the owner's are told of each for itself,
    also where the owner's have left nothing this time."""
    tx.numbered = False
    low, high = unclaimed(tx.db, mailbox, tx.user)
    if low <= high or told_in(tx.db, tx.user, mailbox) is None:
        tx.db.execute("INSERT OR REPLACE INTO told (user, mailbox, uid) VALUES (?, ?, ?)", (tx.user, mailbox, high))
    return low, high


def told(db: apsw.Connection, reader: str) -> dict[int, int]:
    """How far a reader's sessions have been told, by mailbox; nothing of those where he begins where the owner is."""
    return dict(typed(db.execute("SELECT mailbox, uid FROM told WHERE user = ?", (reader,))))


def told_in(db: apsw.Connection, reader: str, mailbox: int) -> int | None:
    """The same of one mailbox."""
    row = db.execute("SELECT uid FROM told WHERE user = ? AND mailbox = ?", (reader, mailbox)).fetchone()
    return None if row is None else int(row[0])
