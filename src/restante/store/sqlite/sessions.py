"""What the sessions of one process share of an account: flag sets, its quota, who has which messages as \\Recent."""

from __future__ import annotations

import asyncio

import apsw

from ..model import FlagTable, System
from ..quota import Quota
from . import rows


class Shared:
    """What the sessions of one process share of an account."""

    __slots__ = (
        "__weakref__", "claimed", "flags", "flags_known", "freed", "incarnation", "passing", "quota", "quota_at",
        "readers", "reading", "seen_counts",
    )  # fmt: skip

    def __init__(self) -> None:
        self.flags = FlagTable()
        self.flags_known = 0
        self.incarnation = ""
        self.claimed: dict[int, int] = {}
        """Of a mailbox, the UID up to which \\Recent is on its way to be some session's here: in a crowd that is told
        of new mail at once, one asks for it and not each."""
        self.readers: ReaderFlags | None = None
        self.seen_counts: dict[tuple[int, str], tuple[int, int, int]] = {}
        self.reading = asyncio.Lock()
        """Held while a large mailbox's UID list is read on a thread: a crowd that comes at once reads it once."""
        self.passing = asyncio.Lock()
        """Held while flags of a large mailbox are passed over on a thread, likewise, or what changed in it is read."""
        self.quota: Quota | None = None
        self.quota_at = 0
        self.freed = False
        """Contents were freed of which the search index still knows."""

    def learn(self, db: apsw.Connection) -> None:
        """Take in flag sets made since the last call. Numbers only grow, so one look at the last one is enough.

        Only within an incarnation: an account that was restored gives the same numbers to other sets, and sessions of
        who shares its mailboxes may have lived on.
        """
        incarnation, last = db.execute("SELECT incarnation, (SELECT max(number) FROM flagset) FROM account").get
        if incarnation != self.incarnation:
            self.incarnation, self.flags_known = incarnation, 0
            self.claimed.clear()
            self.seen_counts.clear()  # flags that were there stay until they are covered: rows may still name them
        if last is None or last <= self.flags_known:
            return
        for number, system, keywords in db.execute(
            "SELECT number, system, keywords FROM flagset WHERE number > ? ORDER BY number", (self.flags_known,)
        ):
            self.flags.add(number, system, keywords)
            if self.readers is not None:
                self.readers.add_both(number, system, keywords)
        self.flags_known = last

    def reader_flags(self) -> ReaderFlags:
        """The same flag sets as those see them who are not the owner; made when one first asks."""
        if self.readers is None:
            self.readers = ReaderFlags()
            for number in self.flags:
                flags = self.flags[number]
                self.readers.add_both(number, flags.system, " ".join(sorted(flags.keywords)))
        return self.readers


class ReaderFlags(FlagTable):
    """Flag sets without the owner's \\Seen, each under its number; and with a reader's own, SEEN_BIT added to it."""

    __slots__ = ()

    def add_both(self, number: int, system: int, keywords: str) -> None:
        self.add(number, system & ~System.SEEN, keywords)
        self.add(number | rows.SEEN_BIT, system | System.SEEN, keywords)
