"""What somebody who is not the owner may change, each command in its transaction. tx.user is who asks.

Beside `shared.SharedStore`, which calls them: rights are read in the transaction that uses them (RFC 4314 4).
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace as with_changes
from typing import NoReturn

import apsw

from ..annotation import ACCOUNT
from ..errors import CannotChangeMailbox, MailboxExists, NoPermission
from ..model import (
    INBOX,
    SEPARATOR,
    Appended,
    Copied,
    Flagged,
    FlagMode,
    Flags,
    Mailbox,
    Removed,
    System,
    UidRanges,
)
from ..quota import Quota
from ..rights import ANNOTATES, Rights
from . import acl, annotation, copies, mailboxes, reader, recent
from . import append as appending
from . import replace as replacing
from .emails import Prepared
from .quota import check_filing
from .transaction import Write


def refuse() -> NoReturn:
    raise NoPermission("This belongs to somebody else.")


def _require(tx: Write, mailbox: int, needed: Rights) -> Rights:
    rights = acl.rights_on(tx.db, mailbox, tx.user)
    acl.require(rights, needed)
    return rights


def require_annotating(db: apsw.Connection, mailbox: int, actor: str) -> None:
    """Raises NoPermission: reading and setting annotations takes "l" and one of "r", "s", "w", "i", "p" (RFC 5464 3.3),
    and those of the account itself are its owner's."""
    if mailbox == ACCOUNT:
        refuse()
    rights = acl.rights_on(db, mailbox, actor)
    acl.require(rights, Rights.LOOKUP)
    if not rights & ANNOTATES:
        raise NoPermission("This needs one of the rights r, s, w, i, p on the mailbox.", "Ask its owner.")


def annotate(tx: Write, mailbox: int, values: Mapping[str, bytes | None], account: str) -> int:
    require_annotating(tx.db, mailbox, tx.user)
    return annotation.annotate(tx, mailbox, values, account)


def _as_seen(tx: Write, mailbox: int, rights: Rights) -> Mailbox:
    return reader.as_seen(tx.db, mailboxes.mailbox_by_key(tx.db, mailbox, tx.user), tx.user, rights)


def _allowed(one: Prepared, rights: Rights) -> Prepared:
    return with_changes(one, message=with_changes(one.message, flags=reader.allowed(one.message.flags, rights)))


def append(tx: Write, mailbox: int, messages: Sequence[Prepared], limits: Quota) -> Appended:
    rights = _require(tx, mailbox, Rights.INSERT)
    done = appending.append(tx, mailbox, [_allowed(one, rights) for one in messages], limits)
    return _told(tx, mailbox, messages, done, rights)


def replace(tx: Write, mailbox: int, uid: int, target: int, message: Prepared, limits: Quota) -> Appended:
    """REPLACE needs what APPEND needs there and what MOVE needs here (RFC 8508 4.1)."""
    with copies.of_source():
        require_removal(tx.db, mailbox, tx.user)
    rights = _require(tx, target, Rights.INSERT)
    done = replacing.replace(tx, mailbox, uid, target, _allowed(message, rights), limits)
    return _told(tx, target, [message], done, rights)


def _told(tx: Write, mailbox: int, messages: Sequence[Prepared], done: Appended, rights: Rights) -> Appended:
    """What was filed, the reader's \\Seen noted, as he may know it."""
    if rights & Rights.SEEN:
        seen = (uid for uid, one in zip(done.uids, messages, strict=True) if one.message.flags.system & System.SEEN)
        reader.put_seen(tx, mailbox, tuple(seen))
    return with_changes(done, mailbox=_as_seen(tx, mailbox, rights))


def store_flags(
    tx: Write, mailbox: int, ranges: UidRanges, mode: FlagMode, flags: Flags, unchanged_since: int | None
) -> Flagged:
    rights = _require(tx, mailbox, Rights.READ)
    return reader.store_flags(tx, mailbox, ranges, mode, flags, unchanged_since, rights)


def claim_recent(tx: Write, mailbox: int) -> tuple[int, int]:
    _require(tx, mailbox, Rights.READ)
    return recent.claim_as_reader(tx, mailbox)


def _place(tx: Write, mailbox: int, ranges: UidRanges, target: int, rights: Rights) -> tuple[array[int], array[int]]:
    """Copies within the account: flags as the rights on the target let them be, the owner's \\Seen staying his."""

    def change(flags: Flags) -> Flags:
        kept = reader.allowed(flags, rights)
        return Flags(kept.system | flags.system & System.SEEN, kept.keywords)

    source, new = tx.place_from(target, mailbox, ranges, change)
    if source and rights & Rights.SEEN:
        seen = reader.seen_among(tx, mailbox, ranges)
        reader.put_seen(tx, target, [uid for old, uid in zip(source, new, strict=True) if old in seen])
    return source, new


def copy(tx: Write, mailbox: int, ranges: UidRanges, target: int, limits: Quota, messages: int | None = None) -> Copied:
    with copies.of_source():
        _require(tx, mailbox, Rights.READ)
    rights = _require(tx, target, Rights.INSERT)
    tx.uidnext(target)
    check_filing(tx, *copies.weight(tx, mailbox, ranges), limits)
    source, new = _place(tx, mailbox, ranges, target, rights)
    copies.require_all(len(source), messages)
    return Copied(_as_seen(tx, target, rights), source, new, tx.modseq if source else 0)


def move(tx: Write, mailbox: int, ranges: UidRanges, target: int, messages: int | None = None) -> Copied:
    """MOVE needs what COPY, STORE \\Deleted and EXPUNGE need (RFC 6851 3.3)."""
    with copies.of_source():
        require_removal(tx.db, mailbox, tx.user)
    rights = _require(tx, target, Rights.INSERT)
    tx.uidnext(target)
    source, new = _place(tx, mailbox, ranges, target, rights)
    copies.require_all(len(source), messages)
    if source:
        named = ranges if mailbox != target else copies.below(ranges, new[0])
        tx.remove(mailbox, named, moved_to=target, moved_low=new[0])
    return Copied(_as_seen(tx, target, rights), source, new, tx.modseq if source else 0)


def require_removal(db: apsw.Connection, mailbox: int, actor: str) -> None:
    """Raises NoPermission, NoSuchMailbox where messages may not be moved away."""
    acl.require(acl.rights_on(db, mailbox, actor), Rights.READ | Rights.DELETE_MESSAGES | Rights.EXPUNGE)


def expunge(tx: Write, mailbox: int, ranges: UidRanges | None, deleted_only: bool) -> Removed:
    _require(tx, mailbox, Rights.EXPUNGE if deleted_only else Rights.EXPUNGE | Rights.DELETE_MESSAGES)
    return copies.expunge(tx, mailbox, ranges, deleted_only)


def _may_not_create() -> NoPermission:
    return NoPermission("You may not make a mailbox there.")


def _require_place(tx: Write, name: str) -> None:
    """Raises where the actor may not make a mailbox of this name: the nearest one above must let him (RFC 4314 4).

    Whether a mailbox that he may not know of is in the way, or none is there at all, sounds the same.
    """
    there = mailboxes.find(tx.db, name, tx.user)
    if there is not None and acl.rights_on(tx.db, there.key, tx.user) & Rights.LOOKUP:
        raise MailboxExists("A mailbox of this name exists already.")
    if there is not None:
        raise _may_not_create()
    above = name.rpartition(SEPARATOR)[0]
    while above:
        found = mailboxes.find(tx.db, above, tx.user)
        if found is not None:
            if not acl.rights_on(tx.db, found.key, tx.user) & Rights.CREATE:
                raise _may_not_create()
            return
        above = above.rpartition(SEPARATOR)[0]
    raise _may_not_create()


def create(tx: Write, name: str, limits: Quota) -> Mailbox:
    name = mailboxes.checked(name)
    _require_place(tx, name)
    made = mailboxes.create(tx, name, limits=limits)
    return _as_seen(tx, made.key, acl.rights_on(tx.db, made.key, tx.user))


def delete(tx: Write, mailbox: int, named: str | None) -> list[str]:
    """Delete the mailbox; the identifiers that its list named."""
    _require(tx, mailbox, Rights.DELETE_MAILBOX)
    return mailboxes.delete(tx, mailbox, None, named)


def rename(tx: Write, mailbox: int, name: str, limits: Quota, named: str | None) -> None:
    """RENAME: the right to delete the mailbox and all that go along, that to create at the new place."""
    _require(tx, mailbox, Rights.DELETE_MAILBOX)
    here = mailboxes.mailbox_by_key(tx.db, mailbox, tx.user)
    if here.name == INBOX:
        raise CannotChangeMailbox("Somebody else's INBOX cannot be renamed.")
    for below in mailboxes.below(tx, here.name):
        if not acl.rights_on(tx.db, below, tx.user) & Rights.DELETE_MAILBOX:
            raise NoPermission("You may not rename all that is below it.")
    _require_place(tx, mailboxes.checked(name))
    mailboxes.rename(tx, mailbox, name, limits, named)


def set_acl(tx: Write, mailbox: int, identifier: str, mode: FlagMode, rights: Rights) -> None:
    _require(tx, mailbox, Rights.ADMINISTER)
    acl.set_entry(tx, mailbox, identifier, mode, rights)
