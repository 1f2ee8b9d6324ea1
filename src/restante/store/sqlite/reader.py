"""A mailbox as somebody who is not its owner sees it: his own \\Seen, his own mod-sequences, no more than he may.

\\Seen of others stands in `seen`, a row for each message that a reader has touched (`seen` 0: taken off again; the
row stays, since its number must be told). A placement's own flag set holds the owner's \\Seen, which a reader is
never shown. For a reader

    flags  = the placement's without \\Seen, with his own (rows.SEEN_BIT in the number that stands for the set)
    MODSEQ = the larger of the placement's and his row's
    HIGHESTMODSEQ = the larger of the mailbox's and the largest of his rows

Both sides come from the account's one counter and are read in one transaction, so that "everything up to N" means
the same as for the owner (RFC 7162 3.1); the owner's mailbox does not move by what others have read. Rows go with
their placements. A copy or move by somebody else leaves a reader's \\Seen behind: he finds the message unread.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import apsw

from ..errors import NoPermission
from ..model import Column, Delta, Flagged, FlagMode, Flags, Mailbox, System, UidRanges
from ..rights import Rights
from . import recent, stamps, unchanged
from .changes import Changed, NotRead, vanished
from .flags import change_flags, combined, same_case
from .mailboxes import mailbox_by_key
from .rows import READERS, SEEN_BIT
from .transaction import Write
from .values import pack, spans, typed

OTHERS = System.ANSWERED | System.FLAGGED | System.DRAFT
"""System flags of the right "w"."""

LOOKED_AT = 20_000
"""Messages that are looked at for the first unseen one."""

_READER = "LEFT JOIN seen v ON v.mailbox = p.mailbox AND v.uid = p.uid AND v.user = ?3"
_FLAGS, _MODSEQ = READERS[Column.FLAGS], READERS[Column.MODSEQ]
_SEEN = "SELECT mailbox, sum(seen), max(modseq) FROM seen WHERE user = ? GROUP BY mailbox"
_HIGHEST = """
SELECT max(a) FROM (
    SELECT max(modseq) AS a FROM seen WHERE user = ?1 AND mailbox = ?2 AND seen = 0
    UNION ALL SELECT max(modseq) FROM seen WHERE user = ?1 AND mailbox = ?2 AND seen = 1)
"""
_COUNT = "SELECT count(*) FROM seen WHERE user = ? AND mailbox = ? AND seen = 1"
_CHANGED = f"""
SELECT p.uid, {_FLAGS}, {_MODSEQ} {stamps.since("?1", "?2", _READER)}
UNION ALL
SELECT p.uid, p.flagset | v.seen * {SEEN_BIT}, {_MODSEQ} FROM seen v
CROSS JOIN placement p ON p.mailbox = v.mailbox AND p.uid = v.uid
WHERE v.user = ?3 AND v.mailbox = ?1 AND v.seen IN (0, 1) AND v.modseq > ?2 AND p.modseq <= ?2
"""
_FEW_CHANGED = _CHANGED + "LIMIT ?4"
_ALL_CHANGED = _CHANGED + "ORDER BY 1"
_FIRST_UNSEEN = f"""
SELECT min(uid) FROM (
    SELECT p.uid AS uid, v.seen AS seen FROM placement p {_READER} WHERE p.mailbox = ?1 ORDER BY p.uid LIMIT ?2)
WHERE coalesce(seen, 0) = 0
"""
_WITH_SEEN = f"{spans('?1', 'placement', '?2')} {_READER}"
_OF_STATE = f"SELECT p.uid FROM {_WITH_SEEN} WHERE coalesce(v.seen, 0) = ?4"
_SINCE = f"SELECT p.uid FROM {_WITH_SEEN} WHERE {_MODSEQ} > ?4"
_PUT = "INSERT OR REPLACE INTO seen (mailbox, uid, user, seen, modseq) SELECT ?1, value, ?2, ?3, ?4 FROM carray(?5)"


class State(NamedTuple):
    """What is a reader's own in a mailbox. seen: messages. highest: his largest number. told: see `recent.told_in`."""

    seen: int = 0
    highest: int = 0
    told: int | None = None


def states(db: apsw.Connection, reader: str) -> dict[int, State]:
    """Those of the reader, by mailbox, where there is anything: for a list of them, by two queries."""
    told = recent.told(db, reader)
    found = {mailbox: State(told=uid) for mailbox, uid in told.items()}
    for mailbox, seen, modseq in typed(db.execute(_SEEN, (reader,))):
        found[mailbox] = State(seen, modseq, told.get(mailbox))
    return found


def state(db: apsw.Connection, mailbox: Mailbox, reader: str) -> State:
    """The same of one mailbox. Cost: an index range as long as what he has read."""
    return State(
        count_seen(db, mailbox.key, reader), highest(db, mailbox, reader), recent.told_in(db, reader, mailbox.key)
    )


def as_seen(db: apsw.Connection, mailbox: Mailbox, reader: str, rights: Rights, known: State | None = None) -> Mailbox:
    """The mailbox as the reader is told of it. Without the right to read, nothing of what is in it.

    known: his state, read here where it is None.
    """
    if not rights & Rights.READ:
        return replace(
            mailbox,
            role=None,
            subscribed=False,
            rights=rights,
            uidnext=1,
            highest_modseq=1,
            recent_uid=0,
            messages=0,
            unseen=0,
            deleted=0,
            size=0,
            deleted_size=0,
        )
    known = known or state(db, mailbox, reader)
    return replace(
        mailbox,
        role=None,  # the owner's Sent is not the reader's (RFC 6154 names the user's own)
        subscribed=False,
        rights=rights,
        recent_uid=mailbox.recent_uid if known.told is None else known.told,
        unseen=mailbox.messages - known.seen,
        highest_modseq=max(mailbox.highest_modseq, known.highest),
    )


def count_seen(db: apsw.Connection, mailbox: int, reader: str) -> int:
    """How many messages of the mailbox the reader has seen. Cost: an index range as long."""
    (seen,) = db.execute(_COUNT, (reader, mailbox)).fetchone() or (0,)
    return int(seen)


def highest(db: apsw.Connection, mailbox: Mailbox, reader: str) -> int:
    """The reader's HIGHESTMODSEQ."""
    (own,) = db.execute(_HIGHEST, (reader, mailbox.key)).fetchone() or (None,)
    return max(mailbox.highest_modseq, own or 0)


def touched_since(db: apsw.Connection, mailbox: int, reader: str, since: int, own: Collection[int]) -> bool:
    """Whether he has marked a message as seen, or as not, after `since`, by a command that is none of `own`.

    Cost: the rows that he has there.
    """
    numbers = db.execute("SELECT DISTINCT modseq FROM seen WHERE user = ? AND mailbox = ? AND modseq > ?",
                         (reader, mailbox, since))  # fmt: skip
    return any(number not in own for (number,) in numbers)


def delta(db: apsw.Connection, mailbox: Mailbox, reader: str, since: int, most: int | None = None) -> Delta:
    """What changed for the reader after `since`. mailbox: as he sees it now. most: see `changes.changed_since`."""
    (floor,) = db.execute("SELECT log_floor FROM account").fetchone() or (0,)
    gone, where = vanished(db, mailbox.key, since, most), (mailbox.key, since, reader)
    if most is None:
        return Delta(mailbox, typed(db.execute(_ALL_CHANGED, where)), gone, since >= floor)
    if stamps.are_many(db, mailbox.key, since):
        raise NotRead
    changed: Changed = typed(db.execute(_FEW_CHANGED, (*where, most + 1)))
    if max(len(changed), len(gone)) > most:
        raise NotRead
    changed.sort()
    return Delta(mailbox, changed, gone, since >= floor)


def first_unseen(db: apsw.Connection, mailbox: int, reader: str) -> int:
    """Smallest UID that the reader has not seen; 0 where it is none of the first LOOKED_AT."""
    (uid,) = db.execute(_FIRST_UNSEEN, (mailbox, LOOKED_AT, reader)).fetchone() or (None,)
    return uid or 0


# Changing ----------------------------------------------------------------------------------------------


def allowed(flags: Flags, rights: Rights) -> Flags:
    """What of the flags may be set with these rights, \\Seen aside, which is no matter of the placement."""
    return Flags(flags.system & _system(rights), flags.keywords if rights & Rights.WRITE else frozenset())


def _system(rights: Rights) -> System:
    others = OTHERS if rights & Rights.WRITE else System.NONE
    return others | (System.DELETED if rights & Rights.DELETE_MESSAGES else System.NONE)


def _needed(mode: FlagMode, flags: Flags) -> Rights:
    """Rights of which one must be there (RFC 4314 4: STORE does not fail where it can do something)."""
    if mode is FlagMode.REPLACE:
        return Rights.SEEN | Rights.WRITE | Rights.DELETE_MESSAGES
    needed = Rights.SEEN if flags.system & System.SEEN else Rights.NONE
    if flags.system & System.DELETED:
        needed |= Rights.DELETE_MESSAGES
    return needed | (Rights.WRITE if flags.system & OTHERS or flags.keywords else Rights.NONE)


def _change(mode: FlagMode, flags: Flags, rights: Rights) -> Callable[[Flags], Flags]:
    """The change of a placement's flag set: what one has no right to stays as it is."""
    mine = allowed(flags, rights)
    if mode is not FlagMode.REPLACE:
        return lambda old: combined(old, mode, mine)
    mask = _system(rights)
    if rights & Rights.WRITE:
        return lambda old: same_case(old, Flags(old.system & ~mask | mine.system, mine.keywords))
    return lambda old: Flags(old.system & ~mask | mine.system, old.keywords)


def store_flags(
    tx: Write,
    mailbox: int,
    ranges: UidRanges,
    mode: FlagMode,
    flags: Flags,
    unchanged_since: int | None,
    rights: Rights,
) -> Flagged:
    """`Store.store_flags` by somebody with these rights, among them that to read. Raises NoPermission."""
    needed = _needed(mode, flags)
    if needed and not rights & needed:
        raise NoPermission("You may not change these flags in this mailbox.")
    before = highest(tx.db, mailbox_by_key(tx.db, mailbox, tx.user), tx.user)
    refused = array("I")
    if unchanged_since is not None:
        if mode is FlagMode.REPLACE or flags.system & System.SEEN:  # of his own \Seen no history is kept
            refused = array(
                "I", chain.from_iterable(tx.db.execute(_SINCE, (pack(ranges), mailbox, tx.user, unchanged_since)))
            )
        else:
            refused = unchanged.refused(tx, mailbox, ranges, unchanged_since, mode, flags)
        ranges = unchanged.left_of(tx, mailbox, ranges, refused)
    changed: set[int] = set()
    if ranges and rights & (Rights.WRITE | Rights.DELETE_MESSAGES):
        changed.update(change_flags(tx, mailbox, ranges, _change(mode, flags, rights)).changed)
    if ranges and rights & Rights.SEEN and (mode is FlagMode.REPLACE or flags.system & System.SEEN):
        seen = mode is not FlagMode.REMOVE and bool(flags.system & System.SEEN)
        changed.update(_set_seen(tx, mailbox, ranges, seen))
    if not changed:
        return Flagged(0, array("I"), refused)
    here = as_seen(tx.db, mailbox_by_key(tx.db, mailbox, tx.user), tx.user, rights)
    return Flagged(tx.modseq, array("I", sorted(changed)), refused, here, before)


def _set_seen(tx: Write, mailbox: int, ranges: UidRanges, seen: bool) -> array[int]:
    """Set or take off the reader's \\Seen; UIDs where it was otherwise."""
    uids = array(
        "q", list(chain.from_iterable(tx.db.execute(_OF_STATE, (pack(ranges), mailbox, tx.user, int(not seen)))))
    )
    put_seen(tx, mailbox, uids, seen=seen)
    return uids


def put_seen(tx: Write, mailbox: int, uids: Sequence[int], *, seen: bool = True) -> None:
    """Write the reader's rows for messages of the mailbox."""
    if len(uids):  # APSW takes no empty array
        tx.db.execute(_PUT, (mailbox, tx.user, int(seen), tx.modseq, apsw.carray(array("q", uids))))


def seen_among(tx: Write, mailbox: int, ranges: UidRanges) -> set[int]:
    """Which of these messages the reader has seen."""
    return set(chain.from_iterable(tx.db.execute(_OF_STATE, (pack(ranges), mailbox, tx.user, 1))))
