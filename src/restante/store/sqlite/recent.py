"""\\Recent (RFC 3501 2.3.2): each message is recent in the first session that selects its mailbox, and in no other.

`recent_uid` says how far sessions have been told. It is written without an fsync of its own: after a power cut a
message may be recent twice, which harms nobody, and SELECT stays free of the disk.
"""

from __future__ import annotations

import apsw

from ..errors import NoSuchMailbox
from .transaction import Write

_BOUNDS = "SELECT recent_uid + 1, uidnext - 1 FROM mailbox WHERE key = ?"


def unclaimed(db: apsw.Connection, mailbox: int) -> tuple[int, int]:
    """(low, high) of what no session has claimed; low > high when there is nothing."""
    row = db.execute(_BOUNDS, (mailbox,)).fetchone()
    if row is None:
        raise NoSuchMailbox("There is no such mailbox.")
    return int(row[0]), int(row[1])


def claim(tx: Write, mailbox: int) -> tuple[int, int]:
    """Claim it for the caller. Takes no change number: no client can be told of it."""
    tx.numbered = False
    low, high = unclaimed(tx.db, mailbox)
    if low <= high:
        tx.db.execute("UPDATE mailbox SET recent_uid = ? WHERE key = ?", (high, mailbox))
    return low, high
