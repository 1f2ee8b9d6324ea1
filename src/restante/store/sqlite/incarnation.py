"""An older state put in service: a file restored or copied back, whose account lived on after the copy was made.

Clients may have seen UIDs, change numbers and JMAP states that this state knows nothing of. So before the first
read the account draws a new incarnation id, UIDNEXTs and the change counter rise past all that can have been given
out, every placement is stamped anew and the log floor is set there: clients fetch flags again, not mail, since
UIDVALIDITYs, UIDs and EMAILIDs stay. A copy shows by its inode and the inode's birth, which the
file itself records; where a file system tells no birth, a copy that got the lost file's very inode is taken for it.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from ...clock import Clock, Random
from .identity import new_id
from .inode import file_identity, is_copy
from .transaction import MAX_UID

UIDS_LOST = 1 << 20
NUMBERS_LOST = 1 << 40


def put_in_service(db: apsw.Connection, path: Path, clock: Clock, random: Random) -> None:
    """Make an older state safe to serve, in one transaction. Does nothing where another process has done it.

    The counter rises to the time in microseconds, which no changes outrun (by 2^40 where a clock was wrong). UIDNEXT
    rises by 2^20, for mail that came in a rush, and by the seconds since the counter was the time: since 1970, or since
    this state was put in service before. So what is put in service twice never gives a UID twice.
    """
    now = clock.now()
    db.execute("BEGIN IMMEDIATE")
    try:
        if is_copy(db, path):
            modseq = int(db.execute("SELECT modseq FROM account").get)
            raised = int(now * 1_000_000)
            if raised <= modseq:
                raised = modseq + NUMBERS_LOST
            since = max(0, int(now) - modseq // 1_000_000)
            db.execute(
                "UPDATE account SET incarnation = ?, modseq = ?, log_floor = ?, uidvalidity = max(uidvalidity, ?),"
                " file = ?",
                (new_id("i", random), raised, raised, min(int(now), 0xFFFFFFFF), file_identity(path)),
            )
            db.execute(
                "UPDATE mailbox SET highest_modseq = ?, uidnext = min(?, uidnext + ?)",
                (raised, MAX_UID, UIDS_LOST + since),
            )
            db.execute("UPDATE placement SET modseq = ?", (raised,))
            db.execute("INSERT OR REPLACE INTO clock (modseq, at) VALUES (?, ?)", (raised, int(now)))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
