"""STORE: flags change by flag set, not by message.

Messages of a mailbox have few distinct flag sets. For each one among those named, the new set is worked out once
and written by one statement; counters move by the number of messages of each set (RFC 9051 6.4.6, RFC 7162 3.1.3).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, compress

import apsw

from ..model import Flagged, FlagMode, Flags, System, UidRanges
from .mailboxes import mailbox_by_key
from .transaction import Write
from .values import pack, ranges_of, spans

FEW = 8
"""Ranges up to which each is written by a statement of its own, twice as fast as by UID."""


class OtherwiseHeld(Exception):
    """What the process held of a mailbox's flags is not what its file says: to be done again without."""


@dataclass(frozen=True, slots=True)
class Held:
    """UIDs, ascending, and beside them the flag set numbers that they have in a mailbox at its HIGHESTMODSEQ: all that
    a command names."""

    modseq: int
    uids: array[int]
    numbers: array[int]

    def sets(self) -> tuple[list[int], array[int] | None]:
        """As `_sets`, without a look at the file."""
        found = sorted(set(self.numbers))
        return found, array("q", self.uids) if len(found) == 1 else None

    def of_set(self, number: int) -> array[int]:
        return array("q", compress(self.uids, map(number.__eq__, self.numbers)))


def combined(old: Flags, mode: FlagMode, flags: Flags) -> Flags:
    """The set that `old` becomes. Keywords are compared without regard to case; those that are there keep theirs."""
    if mode is FlagMode.REPLACE:
        return same_case(old, flags)
    named = {name.lower() for name in flags.keywords}
    if mode is FlagMode.REMOVE:
        return Flags(old.system & ~flags.system, frozenset(k for k in old.keywords if k.lower() not in named))
    here = {name.lower() for name in old.keywords}
    return Flags(old.system | flags.system, old.keywords | {k for k in flags.keywords if k.lower() not in here})


def same_case(old: Flags, flags: Flags) -> Flags:
    """`flags`, keywords that `old` has too in the case they have there."""
    here = {name.lower(): name for name in old.keywords}
    return Flags(flags.system, frozenset(here.get(k.lower(), k) for k in flags.keywords))


def store_flags(
    tx: Write,
    mailbox: int,
    ranges: UidRanges,
    mode: FlagMode,
    flags: Flags,
    unchanged_since: int | None,
    held: Held | None = None,
) -> Flagged:
    """Change flags of the placements named; see `Store.store_flags`. held: what the process knows of them already.
    Raises NoSuchMailbox, TooManyKeywords; OtherwiseHeld."""
    return change_flags(tx, mailbox, ranges, lambda old: combined(old, mode, flags), unchanged_since, held)


def change_flags(
    tx: Write,
    mailbox: int,
    ranges: UidRanges,
    change: Callable[[Flags], Flags],
    unchanged_since: int | None,
    held: Held | None = None,
) -> Flagged:
    """`store_flags` by any rule that changes nothing which it has made itself (change(change(x)) == change(x))."""
    before = mailbox_by_key(tx.db, mailbox, tx.user).highest_modseq
    refused = array("I")
    where = (pack(ranges), mailbox)
    if unchanged_since is not None:
        refused = array("I", list(chain.from_iterable(tx.db.execute(_REFUSED, (*where, unchanged_since)))))
    since = unchanged_since if unchanged_since is not None else 1 << 62
    changed: list[tuple[int, int, array[int]]] = []
    known = held if held is not None and held.modseq == before and unchanged_since is None else None
    numbers, row = _sets(tx, where, since) if known is None else known.sets()
    for number in numbers:
        old = tx.flags_of(number)
        new = change(old)
        if new == old:
            continue
        if row is not None:
            uids = row
        elif known is not None:
            uids = known.of_set(number)
        else:
            uids = array("q", chain.from_iterable(tx.db.execute(_OF_SET, (*where, since, number))))
        _count(tx, mailbox, uids, old, new)
        stretches = ranges_of(uids)
        tx.remember("flags", mailbox, stretches, str(number))
        tx.stamp(mailbox, stretches)
        # What is written is never taken up again by a later set: `change` changes no set that it has made.
        wanted = tx.flagset(new)
        written = tx.db.total_changes()
        if len(ranges) <= FEW:
            tx.db.executemany(
                _UPDATE_RANGE, [(wanted, tx.modseq, mailbox, low, high, number, since) for low, high in ranges]
            )
        else:
            tx.db.execute(_UPDATE, (wanted, tx.modseq, mailbox, apsw.carray(uids), number))
        if known is not None and tx.db.total_changes() - written != len(uids):
            raise OtherwiseHeld
        changed.append((number, wanted, array("I", uids)))
    if not changed:
        return Flagged(0, array("I"), refused)
    here = mailbox_by_key(tx.db, mailbox, tx.user)
    return Flagged(tx.modseq, _together([uids for _, _, uids in changed]), refused, here, before, tuple(changed))


def _sets(tx: Write, where: tuple[apsw.CArrayBinding, int], since: int) -> tuple[list[int], array[int] | None]:
    """Numbers of the flag sets among the placements named; the UIDs too, where all have one set and no gap.

    That is most STOREs, and one pass within SQLite tells it.
    """
    lowest, highest, count, first, last = tx.db.execute(_OVERVIEW, (*where, since)).get
    if not count:
        return [], None
    if lowest == highest:
        return [lowest], array("q", range(first, last + 1)) if last - first + 1 == count else None
    return list(chain.from_iterable(tx.db.execute(_SETS, (*where, since)))), None


def _together(parts: list[array[int]]) -> array[int]:
    """All UIDs of some ascending arrays without a common one, ascending."""
    return parts[0] if len(parts) == 1 else array("I", sorted(chain.from_iterable(parts)))


def _count(tx: Write, mailbox: int, uids: array[int], old: Flags, new: Flags) -> None:
    """Counters of the mailbox for placements `uids` that go from one set to another."""
    deleted = _bit(new, System.DELETED) - _bit(old, System.DELETED)
    size = 0
    if deleted:
        (size,) = tx.db.execute(_SIZE, (mailbox, apsw.carray(uids))).fetchone() or (0,)
    tx.touch_mailbox(
        mailbox,
        unseen=len(uids) * (_bit(old, System.SEEN) - _bit(new, System.SEEN)),
        deleted=len(uids) * deleted,
        deleted_size=size * deleted,
    )


def _bit(flags: Flags, bit: System) -> int:
    return int(bool(flags.system & bit))


_SPANS = spans("?1", "placement", "?2")
_REFUSED = f"SELECT p.uid FROM {_SPANS} WHERE p.modseq > ?3"
_OVERVIEW = (
    f"SELECT min(p.flagset), max(p.flagset), count(*), min(p.uid), max(p.uid) FROM {_SPANS} WHERE p.modseq <= ?3"
)
_SETS = f"SELECT DISTINCT p.flagset FROM {_SPANS} WHERE p.modseq <= ?3"
_OF_SET = f"SELECT p.uid FROM {_SPANS} WHERE p.modseq <= ?3 AND p.flagset = ?4"
_UPDATE = (
    "UPDATE placement SET flagset = ?1, modseq = ?2"
    " WHERE mailbox = ?3 AND uid IN (SELECT value FROM carray(?4)) AND flagset = ?5"
)
_UPDATE_RANGE = (
    "UPDATE placement SET flagset = ?1, modseq = ?2"
    " WHERE mailbox = ?3 AND uid BETWEEN ?4 AND ?5 AND flagset = ?6 AND modseq <= ?7"
)
_SIZE = "SELECT sum(size) FROM placement WHERE mailbox = ?1 AND uid IN (SELECT value FROM carray(?2))"
