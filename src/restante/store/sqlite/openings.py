"""What SELECT asks of a mailbox beside its state, kept until something changes: first unseen message and keywords.

Shared by all sessions of a process. RFC 3501 7.1 (UNSEEN), 7.2.6 (FLAGS); RFC 9051 6.3.2.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Set as AbstractSet

import apsw

from ..model import Mailbox, Opening, Snapshot, UidList
from . import rows, stamps
from .changes import ANY_UID, Lists, NotRead, Place

PASSED = 20_000
"""Messages that are passed over on the event loop to find one that is unseen."""

MOST_FIRST = 10_000
"""Mailboxes whose first unseen message is kept."""

MOST_OPENED = 1_000
"""Mailboxes whose keywords are kept as they were when they were last opened."""

MOST_WORDS = 64
"""Keywords of an account above which they are read anew each time: what is kept stays below some megabytes."""


class FirstUnseen:
    """The smallest UID without \\Seen of each mailbox, followed by what changed. For one thread.

    Found once by a scan; after that only what changed since, and what lies behind the last answer, is looked at:
    in a mailbox whose only unseen message is its newest, SELECT need not pass over all others.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[Place, tuple[int, int]] = OrderedDict()

    def find(self, db: apsw.Connection, account: str, mailbox: Mailbox, uids: UidList, *, apart: bool = False) -> int:
        """Of a mailbox that was read, as was its list, in this transaction; 0 if every message has \\Seen.

        apart: raise NotRead where so many messages lie before it that it is to be looked for on a thread.
        """
        if not mailbox.unseen:
            return 0
        key, highest = mailbox.key, mailbox.highest_modseq
        place = (account, key)
        modseq, start = self._held.pop(place, (highest + 1, 1))
        if modseq == highest:
            self._held[place] = (modseq, start)
            return start
        if modseq > highest:
            start = 1
        else:
            touched = db.execute(_LOWEST_TOUCHED, (key, modseq)).get
            if touched is None or touched > start:  # what changed lies behind: no row need be read for it
                if db.execute(_THERE, (key, start)).get:
                    self._held[place] = (highest, start)
                    return start
            else:
                low = db.execute(_LOWEST_CHANGED, (key, modseq)).get
                start = start if low is None else min(start, low)
        last = uids.span(start, start)[0] + PASSED
        near = uids.uids[last] if apart and last < len(uids) else ANY_UID
        uid = first_unseen(db, key, start, near)
        if uid is None and near != ANY_UID:
            raise NotRead
        if uid is not None:  # else the counter is wrong: `doctor` says so
            self.take(account, mailbox, uid)
        return uid or 0

    def take(self, account: str, mailbox: Mailbox, uid: int) -> None:
        """Keep what was found for a mailbox that was read in the same transaction."""
        self._held[account, mailbox.key] = (mailbox.highest_modseq, uid)
        if len(self._held) > MOST_FIRST:
            self._held.popitem(last=False)

    def known(self, account: str, mailbox: Mailbox) -> int | None:
        """As `find`, for a mailbox of which the answer is kept; None where it is not."""
        if not mailbox.unseen:
            return 0
        place = (account, mailbox.key)
        modseq, start = self._held.get(place, (-1, 0))
        if modseq != mailbox.highest_modseq:
            return None
        self._held.move_to_end(place)
        return start

    def drop(self, place: Place) -> None:
        self._held.pop(place, None)

    def forget(self, accounts: AbstractSet[str]) -> None:
        for place in [place for place in self._held if place[0] in accounts]:
            self.drop(place)


def first_unseen(db: apsw.Connection, key: int, low: int = 1, high: int = ANY_UID) -> int | None:
    """The first UID of these without \\Seen, if there is any. Cost: those before it, some 0.1 us each."""
    found: int | None = db.execute(_FIRST_UNSEEN, (key, low, high)).get
    return found


class Openings:
    """What SELECT asks, put together from what is kept where the mailbox has not changed. For one thread.

    Lists and first unseen messages are others' own; only keywords are kept here. Those are the account's, and never
    grow fewer: whether other mailboxes' messages have brought more is told by how many there are.
    """

    def __init__(self, lists: Lists, unseen: FirstUnseen) -> None:
        self._lists = lists
        self._unseen = unseen
        self._words: OrderedDict[Place, tuple[int, list[str]]] = OrderedDict()

    def read(self, db: apsw.Connection, account: str, key: int, user: str, *, apart: bool = False) -> Opening:
        """All of it, read in the caller's transaction. Raises NoSuchMailbox. apart: see `Lists.snapshot`."""
        snapshot = self._lists.snapshot(db, account, key, user, apart=apart)
        words = rows.keywords(db)
        self._words.pop((account, key), None)
        if len(words) <= MOST_WORDS:
            self._words[account, key] = (snapshot.mailbox.highest_modseq, words)
            if len(self._words) > MOST_OPENED:
                self._words.popitem(last=False)
        first = self._unseen.find(db, account, snapshot.mailbox, snapshot.uids, apart=apart)
        return Opening(snapshot, words, first)

    def known(self, account: str, mailbox: Mailbox) -> Opening | None:
        """The same of a mailbox as it has just been read, where nothing in it has changed since it was opened."""
        place = (account, mailbox.key)
        modseq, words = self._words.get(place, (-1, []))
        if modseq != mailbox.highest_modseq:
            return None
        self._words.move_to_end(place)
        uids, first = self._lists.known(account, mailbox), self._unseen.known(account, mailbox)
        return Opening(Snapshot(mailbox, uids), words, first) if uids is not None and first is not None else None

    def drop(self, place: Place) -> None:
        self._words.pop(place, None)

    def forget(self, accounts: AbstractSet[str]) -> None:
        for place in [place for place in self._words if place[0] in accounts]:
            self.drop(place)


_THERE = "SELECT 1 FROM placement WHERE mailbox = ? AND uid = ?"
_LOWEST_TOUCHED = "SELECT min(low) FROM stamp WHERE mailbox = ? AND modseq > ?"
_LOWEST_CHANGED = f"""
SELECT min(p.uid) {stamps.since("?1", "?2")}
AND p.flagset IN (SELECT number FROM flagset WHERE (system & 1) = 0)
"""
_FIRST_UNSEEN = """
SELECT p.uid FROM placement p WHERE p.mailbox = ? AND p.uid BETWEEN ? AND ?
AND p.flagset IN (SELECT number FROM flagset WHERE (system & 1) = 0) ORDER BY p.uid LIMIT 1
"""
