"""UNCHANGEDSINCE by flag: a message that has changed since, but not in what a STORE is about, is changed all the same.

A placement has one change number for all its flags; what they were at an earlier number the history tells. RFC 7162
3.1.3 asks for no MODIFIED for the others' sake, 3.1.12 shows a way by what a session holds: here it is done in the
transaction that writes, so that of two who claim a message by one flag only the first one has it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from itertools import chain, compress

import apsw
import msgspec

from ...runs import runs, without
from ..model import FlagMode, Flags, UidRanges
from .transaction import Write
from .values import pack, spans, typed

MOST, OCTETS = 2_000, 50_000
"""Rows of history since then, of the whole account, and octets in them that are looked through while others wait to
write: 8 to 25 ms for 10,000 messages. Where there are more, all that has changed is refused."""

_NEVER = 0
"""No flag set's number."""


def refused(tx: Write, mailbox: int, ranges: UidRanges, since: int, mode: FlagMode, flags: Flags) -> array[int]:
    """UIDs, ascending, of messages that a STORE of these flags leaves alone: they have changed after `since`, and one
    of the flags is not as it was then, or that is not known; or the flags are to take the place of all others."""
    late = array("I", chain.from_iterable(tx.db.execute(_LATE, (pack(ranges), mailbox, since))))
    if not late or mode is FlagMode.REPLACE or not _known(tx.db, since):
        return late
    stay = late
    former = _former(tx.db, mailbox, late, since)
    for before in set(former) - {_NEVER}:
        here = tuple(runs(array("I", compress(late, map(before.__eq__, former)))))
        then = _of(flags, tx.flags_of(before))
        sets: list[tuple[int]] = typed(tx.db.execute(_SETS, (pack(here), mailbox)))
        for (number,) in sets:
            if _of(flags, tx.flags_of(number)) == then:
                same = array("I", chain.from_iterable(tx.db.execute(_OF_SET, (pack(here), mailbox, number))))
                stay = without(stay, runs(same))
    return stay


def _former(db: apsw.Connection, mailbox: int, uids: array[int], since: int) -> array[int]:
    """The number of the flag set that each had at `since`, or came with after it; _NEVER where it has not changed."""
    found = array("q", [_NEVER]) * len(uids)
    for packed, former in db.execute(_HISTORY, (mailbox, since)):  # the newest first: what an older one says stands
        number = array("q", [int(former)])
        for low, high in _decode(packed):
            start, stop = bisect_left(uids, low), bisect_right(uids, high)
            if start < stop:
                found[start:stop] = number * (stop - start)
    return found


def left_of(tx: Write, mailbox: int, ranges: UidRanges, refused: array[int]) -> UidRanges:
    """The ranges without the UIDs that are refused, ascending."""
    if not refused:
        return ranges
    there = array("I", chain.from_iterable(tx.db.execute(_UIDS, (pack(ranges), mailbox))))
    return tuple(runs(without(there, runs(refused))))


def _known(db: apsw.Connection, since: int) -> bool:
    """Whether the history has all that came after this number, and not too much of it. It is forgotten from its
    beginning, and knows nothing of what an account lived through that an older state took the place of."""
    rows, octets = db.execute(_WIDTH, (since, MOST + 1)).get
    return rows <= MOST and octets <= OCTETS and db.execute(_REACHES, (since,)).get is not None


def _of(named: Flags, flags: Flags) -> tuple[int, frozenset[str]]:
    """Which of the named flags there are."""
    words = {word.lower() for word in named.keywords}
    return flags.system & named.system, frozenset(word for word in map(str.lower, flags.keywords) if word in words)


_decode = msgspec.msgpack.Decoder(list[tuple[int, int]]).decode

_REACHES = "SELECT 1 FROM account WHERE log_floor <= ?1 AND EXISTS (SELECT 1 FROM history WHERE modseq <= ?1)"
_WIDTH = "SELECT count(*), total(length(uids)) FROM (SELECT uids FROM history WHERE modseq > ? LIMIT ?)"
_HISTORY = (
    "SELECT uids, former FROM history WHERE modseq > ?2 AND kind = 'flags' AND mailbox = ?1"
    " ORDER BY modseq DESC, part DESC"
)
_UIDS = f"SELECT p.uid FROM {spans('?1', 'placement', '?2')}"
_LATE = f"{_UIDS} WHERE p.modseq > ?3"
_SETS = f"SELECT DISTINCT p.flagset FROM {spans('?1', 'placement', '?2')}"
_OF_SET = f"{_UIDS} WHERE p.flagset = ?3"
