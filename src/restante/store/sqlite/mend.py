"""What `doctor --repair` writes: derived rows made again, orphaned messages placed where people find them.

A server may be at work beside it, and keeps what it has made of the rows that are mended here: orders, lists, sizes.
So each transaction that mends also takes a number for the mailboxes that it concerns (`outdate`), by which whatever
was made before is known to be of no use any more.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

import apsw

from ...clock import Clock, Random
from ...mime.model import Analysis
from ..backup import Served
from ..model import INBOX, Flags
from . import answers, content, emails, mailboxes, stamps
from .transaction import Interned, NewPlacement, Settings, Write
from .values import ranges_of, typed

RECOVERED = "Recovered"
"""Mailbox that orphaned messages are filed in."""


class Mender:
    """Repairs one account's file. Every method runs inside the transaction that its caller opened. note:
    see `Write`."""

    def __init__(self, clock: Clock, random: Random, settings: Settings, note: Callable[[Served], None]) -> None:
        self._clock = clock
        self._random = random
        self._settings = settings
        self._note = note

    def _command(self, db: apsw.Connection) -> Write:
        modseq = db.execute("SELECT modseq FROM account").get + 1
        now = int(self._clock.now())
        return Write(db, Interned(), modseq, now, self._random, self._settings, "doctor", note=self._note)

    def rescue(self, db: apsw.Connection, emails: list[int]) -> None:
        """Place emails (keys) that no mailbox and no removal names into RECOVERED, as one command."""
        tx = self._command(db)
        flagset = tx.flagset(Flags())
        placements = []
        for key in emails:
            size, received = db.execute("SELECT size, received FROM email WHERE key = ?", (key,)).fetchone() or (0, 0)
            placements.append(NewPlacement(key, flagset, size, received, tx.now))
        self._recover(tx, placements)

    def rehouse(self, db: apsw.Connection) -> None:
        """Place what is in mailboxes that are not there into RECOVERED, with its flags, as one command."""
        tx = self._command(db)
        placements = [NewPlacement(*row) for row in db.execute(_HOMELESS)]
        db.execute("DELETE FROM placement WHERE mailbox NOT IN (SELECT key FROM mailbox)")
        db.execute("DELETE FROM pop3 WHERE mailbox NOT IN (SELECT key FROM mailbox)")
        self._recover(tx, placements)

    def _recover(self, tx: Write, placements: list[NewPlacement]) -> None:
        box = mailboxes.find(tx.db, RECOVERED, "") or mailboxes.create(tx, RECOVERED, None, None)
        tx.place(box.key, placements)
        tx.finish()

    def reflag(self, db: apsw.Connection) -> None:
        """Take away flags that nobody can say any more, as one command; counters are the caller's next concern."""
        tx = self._command(db)
        none = tx.flagset(Flags())
        places: list[tuple[int, int]] = typed(db.execute(_UNSAYABLE))
        _remember_flags(tx, ((*place, none) for place in places))
        for mailbox, uid in places:
            tx.stamp(mailbox, ((uid, uid),))
        db.execute(
            "UPDATE placement SET flagset = ?, modseq = ? WHERE flagset NOT IN (SELECT number FROM flagset)",
            (none, tx.modseq),
        )
        db.execute(
            "UPDATE mailbox SET highest_modseq = ?1 WHERE highest_modseq < ?1"
            " AND EXISTS (SELECT 1 FROM placement p WHERE p.mailbox = mailbox.key AND p.modseq = ?1)",
            (tx.modseq,),
        )
        tx.finish()

    def renumber(self, db: apsw.Connection) -> None:
        """Give placements whose number leads nowhere this command's: nobody who asked since has heard of them."""
        tx = self._command(db)
        places: list[tuple[int, int, int]] = typed(db.execute(stamps.UNSTAMPED))
        _remember_flags(tx, places)
        uids: dict[int, array[int]] = {}
        for mailbox, uid, _ in places:
            uids.setdefault(mailbox, array("q")).append(uid)
        for mailbox, some in uids.items():
            db.execute(_RENUMBER, (tx.modseq, mailbox, apsw.carray(some)))
            tx.stamp(mailbox, ranges_of(array("I", some)))
            tx.touch_mailbox(mailbox)
        tx.finish()

    def reflag_removed(self, db: apsw.Connection) -> None:
        """The same for what was removed, which nobody could undelete without: no command, since no mailbox changes."""
        none = self._command(db).flagset(Flags())
        db.execute("UPDATE removed SET flagset = ? WHERE flagset NOT IN (SELECT number FROM flagset)", (none,))

    def reflag_former(self, db: apsw.Connection) -> None:
        """The same for what messages had before their flags were changed, without which no rewind could be planned."""
        none = self._command(db).flagset(Flags())
        db.execute(
            "UPDATE history SET former = ? WHERE kind = 'flags'"
            " AND CAST(former AS INTEGER) NOT IN (SELECT number FROM flagset)",
            (str(none),),
        )

    def remeasure(self, db: apsw.Connection) -> None:
        """Give placements the size and date of their emails."""
        db.execute(
            "UPDATE placement SET size = e.size, received = e.received FROM email AS e"
            " WHERE e.key = placement.email AND (placement.size <> e.size OR placement.received <> e.received)"
        )

    def make_inbox(self, db: apsw.Connection) -> None:
        tx = self._command(db)
        mailboxes.create(tx, INBOX)
        tx.finish()

    def outdate(
        self, db: apsw.Connection, email: int | None = None, *, stamp: bool = False, forget: bool = False
    ) -> None:
        """Take a number for all mailboxes, or those that hold `email`, as after a change of their own: processes that
        look at them next make anew what they keep. stamp: placements too, so that clients ask for all flags again.
        forget: nobody who knows an earlier number may be told what was removed since by the log.

        Clients are told of no change but a higher HIGHESTMODSEQ. To be called where no number is above the counter.
        """
        if db.execute("SELECT 1 FROM account").get is None:
            return  # `_numbers` says so; no process opens such a file
        tx = self._command(db)
        if email is None:
            db.execute("UPDATE mailbox SET highest_modseq = ?1, changed_modseq = ?1", (tx.modseq,))
        else:
            db.execute(_OUTDATED, (tx.modseq, email))
        if stamp:
            _remember_flags(tx, db.execute(_SAYABLE))
            db.execute("UPDATE placement SET modseq = ?", (tx.modseq,))
            stamps.write_all(db)
        if forget:
            db.execute("UPDATE account SET log_floor = ?", (tx.modseq,))
        tx.finish()

    def rewrite(self, db: apsw.Connection, email: int, found: Analysis) -> None:
        """Make an email's answers, sort keys and texts again from its analysis."""
        emails.write_derived(db, email, found)
        row = answers.row_of(found)
        db.execute(
            "UPDATE content SET traits = ?, pop3_size = ?, pop3_size_utf8 = ?"
            " WHERE key = (SELECT content FROM email WHERE key = ?)",
            (row.traits, row.pop3_size, row.pop3_size_utf8, email),
        )

    def rewrite_body(self, db: apsw.Connection, email: int, text: str) -> None:
        """Make the searchable text of an email's body again."""
        db.execute("INSERT OR REPLACE INTO body_text (email, body) VALUES (?, ?)", (email, content.encode_text(text)))


def _remember_flags(tx: Write, placements: Iterable[tuple[int, int, int]]) -> None:
    """History of (mailbox, uid, former flag set) that get this command's number, ascending: what has a new number and
    no such row a rewind takes for a message that came since, with all behind it."""
    uids: dict[tuple[int, int], array[int]] = {}
    for mailbox, uid, flagset in placements:
        uids.setdefault((mailbox, flagset), array("I")).append(uid)
    for (mailbox, flagset), some in uids.items():
        tx.remember("flags", mailbox, ranges_of(some), str(flagset))


_UNSAYABLE = """
SELECT mailbox, uid FROM placement WHERE flagset NOT IN (SELECT number FROM flagset) ORDER BY mailbox, uid
"""

_RENUMBER = "UPDATE placement SET modseq = ?1 WHERE mailbox = ?2 AND uid IN (SELECT value FROM carray(?3))"

_SAYABLE = """
SELECT mailbox, uid, flagset FROM placement WHERE flagset IN (SELECT number FROM flagset) ORDER BY mailbox, uid
"""

_OUTDATED = """
UPDATE mailbox SET highest_modseq = ?1, changed_modseq = ?1
WHERE key IN (SELECT mailbox FROM placement WHERE email = ?2)
"""

_HOMELESS = """
SELECT p.email, p.flagset, p.size, p.received, p.saved FROM placement p
WHERE p.mailbox NOT IN (SELECT key FROM mailbox) ORDER BY p.mailbox, p.uid
"""
