"""Permanent identities (RFC 8474) and the thread a new message belongs to (RFC 8621 3).

An id is one letter and 26 base32 characters of 128 random bits: valid as OBJECTID, JMAP id and POP3 UIDL alike,
and the same whatever a file system or a client does to letter case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import apsw

from ...clock import Random
from . import bulk
from .preparing import Links, hashes_of
from .transaction import Write

if TYPE_CHECKING:
    from ...mime.model import SortKeys

_FORM = re.compile(r"[a-z][a-z2-7]{26}\Z")

NO_EMAIL = 1 << 62
"""Stands for the key of an email that is not there."""


def new_id(letter: str, random: Random) -> str:
    """A new identity: "m" an email, "t" a thread, "b" a mailbox."""
    return letter + base32(random(16))


def base32(octets: bytes) -> str:
    """26 characters of base32 (RFC 4648 6), in lower case and without padding, for 16 octets.

    Ten bits at a time: the library's own takes twice as long, and each message has two.
    """
    bits, pairs = int.from_bytes(octets, "big") << 2, _PAIRS
    return "".join([pairs[bits >> shift & 1023] for shift in _SHIFTS])


_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [one + other for one in _DIGITS for other in _DIGITS]
_SHIFTS = range(120, -1, -10)


def new_ids(letter: str, random: Random, number: int) -> Iterator[str]:
    """As many new identities as are asked for, of `number` at most, for what is filed by one command.

    Drawn together they have their first 32 bits in common, 96 each of its own: in an index they lie side by side, and
    filing hundreds touches a few of its pages instead of hundreds.
    """
    if number < 2:
        yield new_id(letter, random)
        return
    common = random(_COMMON)
    for _ in range(number):
        yield letter + base32(common + random(_OWN))


_COMMON, _OWN = 4, 12
"""Octets of identities that are drawn together: those that they share, and those that each has."""


def is_id(letter: str, text: str | None) -> bool:
    """Whether `text` has the form of an identity of this kind."""
    return text is not None and text.startswith(letter) and _FORM.match(text) is not None


def thread_for(tx: Write, keys: SortKeys, wished: str | None) -> str:
    """The thread of a new message: the oldest that shares a message-id and the base subject, else a new one.

    wished: an id that the message brings along, taken as it is. Links the message's ids to the thread.
    """
    hashes, subject = hashes_of(keys.message_id, keys.references, keys.subject)
    thread = wished or _oldest(tx.db, hashes, subject) or new_id("t", tx.random)
    if hashes:
        tx.db.executemany(
            "INSERT OR IGNORE INTO thread_link (message_id, subject, thread) VALUES (?, ?, ?)",
            [(one, subject, thread) for one in hashes],
        )
    return thread


class Threads:
    """Threads of new messages that are filed together: each has the one that `thread_for` would give it, were those
    before it filed already. Links are looked up by few statements, and those that lack are written by `save`.

    hashes: as of `hashes_of`, one for each message.
    """

    def __init__(self, tx: Write, hashes: Sequence[Links]) -> None:
        self._tx = tx
        pairs = list(dict.fromkeys((one, subject) for ids, subject in hashes for one in ids))
        self._links = _linked(tx.db, pairs)
        self._new: list[tuple[int, int, str]] = []
        self._ids = new_ids("t", tx.random, len(hashes))
        self._first: dict[str, int] = {}
        self._begun: set[str] = set()

    def join(self, hashes: Links, wished: str | None, email: int) -> str:
        """The thread of the next message, which has this key. wished: as of `thread_for`."""
        ids, subject = hashes
        links = self._links
        there = dict.fromkeys(thread for one in ids if (thread := links.get((one, subject))) is not None)
        if wished is not None:
            thread = wished
        elif not there:
            thread = next(self._ids)
            self._begun.add(thread)
        else:
            thread = next(iter(there)) if len(there) == 1 else self._oldest([*there])
        for one in ids:
            if (one, subject) not in links:
                links[one, subject] = thread
                self._new.append((one, subject, thread))
        self._first.setdefault(thread, email)
        return thread

    def _oldest(self, threads: Sequence[str]) -> str:
        """That of the oldest email: those that are here already are older than what is filed now."""
        stored = [thread for thread in threads if thread not in self._begun]
        found = _oldest_of(self._tx.db, stored) if stored else None
        return found or min(threads, key=lambda thread: self._first.get(thread, NO_EMAIL))

    def save(self) -> None:
        """Write the links of all that have joined."""
        bulk.insert(self._tx.db, "INSERT INTO thread_link (message_id, subject, thread) VALUES", self._new)
        self._new.clear()


def _linked(db: apsw.Connection, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """The threads of those (hash of an id, of a base subject) that are linked."""
    found: dict[tuple[int, int], str] = {}
    for at in range(0, len(pairs), LOOKED_UP):
        some = pairs[at : at + LOOKED_UP]
        width = LOOKED_UP if len(some) > FEW_LOOKED_UP else FEW_LOOKED_UP
        values = [*chain.from_iterable(some), *(NO_HASH,) * (2 * (width - len(some)))]
        for one, subject, thread in db.execute(_LINKS[width], values):
            found[one, subject] = thread
    return found


LOOKED_UP, FEW_LOOKED_UP = 64, 4
"""Links that are looked up by one statement."""
NO_HASH = -1
_LINKS = {
    width: "WITH wanted (message_id, subject) AS (VALUES "
    + ", ".join(["(?, ?)"] * width)
    + ") SELECT l.message_id, l.subject, l.thread FROM wanted CROSS JOIN thread_link l"
    " ON l.message_id = wanted.message_id AND l.subject = wanted.subject"
    for width in (LOOKED_UP, FEW_LOOKED_UP)
}


def _oldest(db: apsw.Connection, hashes: list[int], subject: int) -> str | None:
    threads: list[str] = []
    for one in hashes:
        row = db.execute(_LINK, (one, subject)).fetchone()
        if row is not None and row[0] not in threads:
            threads.append(row[0])
    if len(threads) < 2:
        return threads[0] if threads else None
    return _oldest_of(db, threads) or threads[0]


_LINK = "SELECT thread FROM thread_link WHERE message_id = ? AND subject = ?"


def _oldest_of(db: apsw.Connection, threads: Sequence[str]) -> str | None:
    """The thread, of these, of the oldest email. None where none of them has any.

    Cost: emails are read up to that one, once, however many threads somebody's References name.
    """
    found: str | None = db.execute(_OLDEST, (apsw.carray(tuple(threads)),)).get
    return found


_OLDEST = "SELECT thread FROM email WHERE thread IN (SELECT value FROM carray(?1)) ORDER BY key LIMIT 1"
