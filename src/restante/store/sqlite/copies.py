"""COPY, MOVE, EXPUNGE: placements come and go by set-based SQL; emails and contents stay where they are.

A copy is another placement of the same email, with flags of its own (RFC 8474 5.1 keeps the EMAILID); a move is a
copy and a removal with one number, whose log rows say where each message went (RFC 6851).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import NoSuchMailbox, NoSuchMessage, SourceGone
from ..model import Copied, Removed, UidRanges
from ..quota import Quota
from . import mailboxes
from .quota import check_filing
from .transaction import Write
from .values import pack, spans

EVERYTHING: UidRanges = ((1, 0xFFFFFFFF),)


def copy(tx: Write, mailbox: int, ranges: UidRanges, target: int, limits: Quota, messages: int | None = None) -> Copied:
    """New placements in `target`, all or none. messages: see `Store.copy`. Raises SourceGone, NoSuchMailbox,
    NoSuchMessage, OverQuota."""
    with of_source():
        mailboxes.mailbox_by_key(tx.db, mailbox, tx.user)
    tx.uidnext(target)
    if limits.storage or limits.messages:
        check_filing(tx, *weight(tx, mailbox, ranges), limits)
    source, new = tx.place_from(target, mailbox, ranges)
    require_all(len(source), messages)
    return Copied(mailboxes.mailbox_by_key(tx.db, target, tx.user), source, new, tx.modseq if source else 0)


@contextmanager
def of_source() -> Iterator[None]:
    """What is asked of the mailbox that messages come from. Raises SourceGone in place of NoSuchMailbox."""
    try:
        yield
    except NoSuchMailbox as gone:
        raise SourceGone(gone.text, gone.remedy) from gone


def require_all(there: int, messages: int | None) -> None:
    """Raises NoSuchMessage where fewer are there than had to be: a COPY that is told OK has copied all that it named by
    number (RFC 2180 4.4)."""
    if messages is not None and there < messages:
        raise NoSuchMessage("Some of the messages are no longer there.")


def weight(tx: Write, mailbox: int, ranges: UidRanges) -> tuple[int, int]:
    """(octets, messages) of what is named."""
    return tx.db.execute(_SIZE, (pack(ranges), mailbox)).fetchone() or (0, 0)


def move(tx: Write, mailbox: int, ranges: UidRanges, target: int, messages: int | None = None) -> Copied:
    """New placements in `target` and the old ones removed. A move needs no more room, so no quota stops it.

    Into the same mailbox it gives new UIDs (RFC 6851 4.4 leaves that open; the messages are renumbered).
    """
    with of_source():
        mailboxes.mailbox_by_key(tx.db, mailbox, tx.user)
    tx.uidnext(target)
    source, new = tx.place_from(target, mailbox, ranges)
    require_all(len(source), messages)
    if source:
        named = ranges if mailbox != target else below(ranges, new[0])
        tx.remove(mailbox, named, moved_to=target, moved_low=new[0])
    return Copied(mailboxes.mailbox_by_key(tx.db, target, tx.user), source, new, tx.modseq if source else 0)


def below(ranges: UidRanges, uid: int) -> UidRanges:
    """The part of the ranges under `uid`: a move within a mailbox must not take what it has just made."""
    return tuple((low, min(high, uid - 1)) for low, high in ranges if low < uid)


def expunge(tx: Write, mailbox: int, ranges: UidRanges | None, deleted_only: bool) -> Removed:
    """Remove placements, those with \\Deleted unless `deleted_only` is False. Raises NoSuchMailbox."""
    now = mailboxes.mailbox_by_key(tx.db, mailbox, tx.user)
    if not now.messages or (deleted_only and not now.deleted):
        return Removed(0, array("I"), now.highest_modseq)
    gone = tx.remove(mailbox, EVERYTHING if ranges is None else ranges, deleted_only=deleted_only)
    return Removed(tx.modseq if gone else 0, gone, now.highest_modseq)


_SIZE = f"SELECT coalesce(sum(p.size), 0), count(*) FROM {spans('?1', 'placement', '?2')}"
