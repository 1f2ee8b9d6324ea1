"""An older state put in service: a file restored or copied back, whose account lived on after the copy was made.

Clients may have seen UIDs, change numbers and JMAP states that this state knows nothing of. So before the first
read the account draws a new incarnation id, UIDNEXTs and the change counter rise past all that can have been given
out, every placement is stamped anew and the log floor is set there: clients fetch flags again, not mail, since
UIDVALIDITYs, UIDs and EMAILIDs stay. How a copy shows: see `inode`.

What was given out is known twice. The state itself knows what it had, and when it was put in service before, from
which the time tells how far what came after can have gone: that is all there is where a machine was lost. Beside the
file is noted what this machine gave out since (`served`), in whatever state of the account: so UIDNEXT and counter
never go back, in whichever order states are put in service. A restore notes there what the newest snapshot knows.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from ...clock import Clock, Random
from ..backup import Served
from . import served, stamps
from .identity import new_id
from .inode import file_identity, is_copy, last_closed
from .transaction import MAX_UID, MAX_UIDVALIDITY
from .values import typed

UIDS_LOST = 2 << served.UID_BITS
UIDVALIDITIES_LOST = 2 << served.UIDVALIDITY_BITS
NUMBERS_LOST = 1 << 40


def put_in_service(db: apsw.Connection, path: Path, clock: Clock, random: Random) -> None:
    """Make an older state safe to serve, in one transaction. Does nothing where another process has done it.

    The counter rises to the time in microseconds, which no changes outrun (by 2^40 where a clock was wrong). UIDNEXT
    rises by 2^20, for mail that came in a rush, and by the seconds since the counter was the time: since 1970, or since
    a state was put in service before. The same is added to what is noted, and the higher one counts. A mailbox that has
    no such UIDs left (an old server's were high) gets a new UIDVALIDITY, or it could never take mail again.

    What is given out from now on is noted before it is committed: a crash between the two leaves a copy, which rises
    once more. Raises Damaged where the note cannot be read.
    """
    now = clock.now()
    db.execute("BEGIN IMMEDIATE")
    try:
        if is_copy(db, path):
            modseq, uidvalidity = db.execute("SELECT modseq, uidvalidity FROM account").get
            boxes: list[tuple[int, str, int, int]] = typed(db.execute(_MAILBOXES))
            known = [Served(modseq, uidvalidity, {(id, validity): uidnext for _, id, validity, uidnext in boxes})]
            if (noted := served.read(path)) is not None:
                known.append(noted)
            raised = int(now * 1_000_000)
            if raised <= (highest := max(last_closed(path), *(one.modseq for one in known))):
                raised = highest + NUMBERS_LOST
            validity_now = max(int(now), *(one.uidvalidity for one in known)) + UIDVALIDITIES_LOST
            rows = []
            for key, id, validity, uidnext in boxes:
                reached = max(_reached(one, (id, validity), int(now)) for one in known)
                if reached > MAX_UID and uidnext <= MAX_UID - UIDS_LOST:
                    validity_now += 1
                    validity, reached = validity_now, uidnext
                rows.append((raised, min(validity, MAX_UIDVALIDITY), min(reached, MAX_UID + 1), key, id))
            validity_now = min(validity_now, MAX_UIDVALIDITY)
            served.note(path, Served(raised, validity_now, {(row[4], row[1]): row[2] for row in rows}))
            db.execute(
                "UPDATE account SET incarnation = ?1, modseq = ?2, log_floor = ?2, uidvalidity = ?3, file = ?4",
                (new_id("i", random), raised, validity_now, file_identity(path)),
            )
            db.executemany(
                "UPDATE mailbox SET highest_modseq = ?1, uidvalidity = ?2, uidnext = ?3 WHERE key = ?4",
                [row[:4] for row in rows],
            )
            db.execute("UPDATE placement SET modseq = ?", (raised,))
            stamps.write_all(db)
            db.execute("INSERT OR REPLACE INTO clock (modseq, at) VALUES (?, ?)", (raised, int(now)))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _reached(known: Served, place: tuple[str, int], now: int) -> int:
    """What UIDNEXT can have come to since it was known; 0 where it was not."""
    uidnext = known.uidnexts.get(place, 0)
    return uidnext and uidnext + UIDS_LOST + max(0, now - known.modseq // 1_000_000)


_MAILBOXES = "SELECT key, id, uidvalidity, uidnext FROM mailbox"
