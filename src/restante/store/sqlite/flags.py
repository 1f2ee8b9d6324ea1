"""STORE: flags change by flag set, not by message.

Messages of a mailbox have few distinct flag sets. For each one among those named, the new set is worked out once
and written by one statement; counters move by the number of messages of each set (RFC 9051 6.4.6, RFC 7162 3.1.3).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import apsw

from ...runs import ascending
from ..model import Flagged, FlagMode, Flags, System, UidRanges
from . import unchanged
from .mailboxes import mailbox_by_key
from .transaction import Write
from .values import pack, ranges_of, spans

FEW = 8
"""Ranges, named or of one set, up to which each is written by a statement of its own: twice as fast as by UID."""

SPARSE = 16
"""Messages named for each one of a set from which on it is cheaper not to pass over all of them."""

_NONE = array("I")


class OtherwiseHeld(Exception):
    """What the process held of a mailbox's flags is not what its file says: to be done again without."""


@dataclass(frozen=True, slots=True)
class Held:
    """UIDs, ascending, and beside them the flag set numbers that they have in a mailbox at its HIGHESTMODSEQ: all that
    a command names."""

    modseq: int
    uids: array[int]
    numbers: array[int]

    def by_set(self) -> list[tuple[int, array[int]]]:
        """Flag set numbers, ascending, and the UIDs of each, ascending."""
        found = sorted(set(self.numbers))
        if len(found) == 1:
            return [(found[0], self.uids)]
        parts = {number: array("I") for number in found}
        add = {number: part.append for number, part in parts.items()}
        for uid, number in zip(self.uids, self.numbers, strict=True):
            add[number](uid)
        return list(parts.items())


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
    refused = _NONE
    if unchanged_since is not None:
        refused = unchanged.refused(tx, mailbox, ranges, unchanged_since, mode, flags)
        ranges = unchanged.left_of(tx, mailbox, ranges, refused)
    return change_flags(tx, mailbox, ranges, lambda old: combined(old, mode, flags), held, refused)


def change_flags(
    tx: Write,
    mailbox: int,
    ranges: UidRanges,
    change: Callable[[Flags], Flags],
    held: Held | None = None,
    refused: array[int] = _NONE,
) -> Flagged:
    """`store_flags` by any rule that changes nothing which it has made itself (change(change(x)) == change(x)).

    refused: UIDs that were named and are none of `ranges` any more, for the answer.
    """
    before = mailbox_by_key(tx.db, mailbox, tx.user).highest_modseq
    where = (pack(ranges), mailbox)
    changed: list[tuple[int, int, array[int]]] = []
    known = held if held is not None and held.modseq == before else None
    for number, uids in _by_set(tx, where) if known is None else known.by_set():
        old = tx.flags_of(number)
        new = change(old)
        if new == old:
            continue
        stretches = tuple(ranges_of(uids))
        _count(tx, mailbox, stretches, len(uids), old, new)
        tx.remember("flags", mailbox, stretches, str(number))
        # What is written is never taken up again by a later set: `change` changes no set that it has made.
        wanted = tx.flagset(new)
        written = tx.db.total_changes()
        if (whole := _written_by(ranges, stretches, uids, known)) is not None:
            tx.db.executemany(_UPDATE_RANGE, [(wanted, tx.modseq, mailbox, low, high, number) for low, high in whole])
        else:
            tx.db.execute(_UPDATE, (wanted, tx.modseq, mailbox, apsw.carray(array("q", uids)), number))
        if known is not None and tx.db.total_changes() - written != len(uids):
            raise OtherwiseHeld
        changed.append((number, wanted, uids))
    if not changed:
        return Flagged(0, array("I"), refused)
    every = _together([uids for _, _, uids in changed], known)
    tx.stamp(mailbox, ranges_of(every))
    here = mailbox_by_key(tx.db, mailbox, tx.user)
    return Flagged(tx.modseq, every, refused, here, before, tuple(changed))


def _by_set(tx: Write, where: tuple[apsw.CArrayBinding, int]) -> Iterator[tuple[int, array[int]]]:
    """Numbers of the flag sets among the placements named, and the UIDs of each, read when its turn comes (what was
    written for an earlier one is another set now).

    Most STOREs name messages of one set without a gap, which one pass within SQLite tells.
    """
    lowest, highest, count, first, last = tx.db.execute(_OVERVIEW, where).get
    if not count:
        return
    if lowest == highest and last - first + 1 == count:
        yield lowest, array("I", range(first, last + 1))
        return
    sets = [lowest] if lowest == highest else list(chain.from_iterable(tx.db.execute(_SETS, where)))
    for number in sets:
        yield number, array("I", chain.from_iterable(tx.db.execute(_OF_SET, (*where, number))))


def _written_by(ranges: UidRanges, stretches: UidRanges, uids: array[int], known: Held | None) -> UidRanges | None:
    """Ranges by which a set's placements are written; None for by UID.

    Those named, where they are few: how many were written then tells whether others have the set than those known to.
    """
    sparse = known is not None and len(uids) * SPARSE < len(known.uids)
    if len(ranges) <= FEW and not sparse:
        return ranges
    return stretches if len(stretches) <= FEW else None


def _together(parts: list[array[int]], known: Held | None) -> array[int]:
    """All UIDs of some ascending arrays without a common one, ascending. known: what they are parts of, if anything."""
    if len(parts) == 1:
        return parts[0]
    if known is not None and sum(map(len, parts)) == len(known.uids):
        return known.uids
    together = array("I")
    for part in parts:
        together += part
    return ascending(together)


def _count(tx: Write, mailbox: int, stretches: UidRanges, messages: int, old: Flags, new: Flags) -> None:
    """Counters of the mailbox for so many placements, all in these ranges, that go from one set to another."""
    deleted = _bit(new, System.DELETED) - _bit(old, System.DELETED)
    size = 0
    if deleted:
        size = tx.db.execute(_SIZE, (pack(stretches), mailbox)).get or 0  # None where there is none of those held
    tx.touch_mailbox(
        mailbox,
        unseen=messages * (_bit(old, System.SEEN) - _bit(new, System.SEEN)),
        deleted=messages * deleted,
        deleted_size=size * deleted,
    )


def _bit(flags: Flags, bit: System) -> int:
    return int(bool(flags.system & bit))


_SPANS = spans("?1", "placement", "?2")
_OVERVIEW = f"SELECT min(p.flagset), max(p.flagset), count(*), min(p.uid), max(p.uid) FROM {_SPANS}"
_SETS = f"SELECT DISTINCT p.flagset FROM {_SPANS}"
_OF_SET = f"SELECT p.uid FROM {_SPANS} WHERE p.flagset = ?3"
_UPDATE = (
    "UPDATE placement SET flagset = ?1, modseq = ?2"
    " WHERE mailbox = ?3 AND uid IN (SELECT value FROM carray(?4)) AND flagset = ?5"
)
_UPDATE_RANGE = (
    "UPDATE placement SET flagset = ?1, modseq = ?2 WHERE mailbox = ?3 AND uid BETWEEN ?4 AND ?5 AND flagset = ?6"
)
_SIZE = f"SELECT sum(p.size) FROM {_SPANS}"
