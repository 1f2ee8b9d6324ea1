"""Annotations of mailboxes and of the account: reading, setting, and what is counted of them (RFC 5464).

A private entry's row carries the user's id (the owner's is the account's id), a shared one's an empty user. Each
change takes a number, leaves a history row that says which entry of whom, and touches the mailbox.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

import apsw

from ..annotation import ACCOUNT, PRIVATE, SPECIAL_USE, is_entry
from ..errors import AnnotationTooLarge, CannotChangeMailbox, NoSuchMailbox, OverQuota, RoleTaken, TooManyAnnotations
from ..model import ROLES
from . import mailboxes
from .transaction import Write
from .values import typed

ROW = 64
"""Octets that a row counts for beside its name and value."""


def names(db: apsw.Connection, mailbox: int, user: str, account: str) -> list[tuple[str, int]]:
    """(entry, octets) that the user sees, by name. Raises NoSuchMailbox."""
    found: list[tuple[str, int]] = typed(db.execute(_NAMES, (mailbox, user or account)))
    if mailbox != ACCOUNT:
        role = mailboxes.mailbox_by_key(db, mailbox, user).role
        if role is not None and not user:
            found.append((SPECIAL_USE, len(role)))
    return sorted(found)


def values(
    db: apsw.Connection, keys: Sequence[int], entries: Sequence[str], user: str, account: str
) -> dict[int, dict[str, bytes]]:
    """Values of the entries on the mailboxes; what has none is left out."""
    found: dict[int, dict[str, bytes]] = {key: {} for key in keys}
    asked = apsw.carray(array("q", keys or (-1,)))  # APSW takes no empty array
    for entry in entries:
        rows: list[tuple[int, bytes]]
        if entry == SPECIAL_USE:
            rows = typed(db.execute(_ROLES, (asked,))) if not user else []
        else:
            rows = typed(db.execute(_VALUES, (asked, _user_of(entry, user or account), entry)))
        for key, value in rows:
            found[key][entry] = value
    return found


def annotate(tx: Write, mailbox: int, wanted: Mapping[str, bytes | None], account: str) -> int:
    """Set entries, all or none; the command's number, 0 where nothing changed."""
    if mailbox != ACCOUNT and tx.db.execute("SELECT 1 FROM mailbox WHERE key = ?", (mailbox,)).fetchone() is None:
        raise NoSuchMailbox("There is no such mailbox.", "It may have been deleted or renamed.")
    changed: list[tuple[str, str]] = []
    before = tx.db.total_changes()
    for entry, value in wanted.items():
        if not is_entry(entry):
            raise CannotChangeMailbox("An annotation cannot have that name.")
        if entry == SPECIAL_USE and mailbox != ACCOUNT:
            if _set_role(tx, mailbox, value):
                tx.touch_mailbox(mailbox)  # as any other entry that is changed (RFC 7162 3.2)
            continue
        user = _user_of(entry, tx.user or account)
        if value is None:
            tx.db.execute(_REMOVE, (mailbox, user, entry))
        else:
            most = tx.settings.annotations.value
            if len(value) > most:
                raise AnnotationTooLarge(f"A value has at most {most} octets.", "Store less.", most=most)
            tx.db.execute(_SET, (mailbox, user, entry, value, tx.modseq))
        if tx.db.changes():
            changed.append((user, entry))
    if changed:
        _check_room(tx, mailbox, {user for user, _ in changed})
        for user, entry in changed:
            tx.remember("annotation", mailbox, (), f"{user} {entry}")
        if mailbox != ACCOUNT:
            tx.touch_mailbox(mailbox)
    return tx.modseq if tx.db.total_changes() != before else 0


def _user_of(entry: str, user: str) -> str:
    """Whose an entry is: empty for shared ones."""
    return user if entry.startswith(PRIVATE) else ""


def _set_role(tx: Write, mailbox: int, value: bytes | None) -> bool:
    """Whether it is another one now. Checked as in CREATE (RFC 6154 4): only the owner's mailboxes have special uses,
    and only the owner sets them."""
    if tx.user:
        raise CannotChangeMailbox("Only the owner of a mailbox gives it a special use.")
    words = (value or b"").decode("ascii", "replace").split()
    known = {role.lower(): role for role in ROLES}
    if len(words) > 1 or (words and words[0].lower() not in known):
        raise RoleTaken("A mailbox cannot have that special use here.", "Use one of RFC 6154.")
    return mailboxes.set_role(tx, mailbox, known[words[0].lower()] if words else None)


def _check_room(tx: Write, mailbox: int, users: set[str]) -> None:
    limits = tx.settings.annotations
    for user in users:
        (count,) = tx.db.execute(_COUNT, (mailbox, user)).fetchone() or (0,)
        if count > limits.entries:
            raise TooManyAnnotations(f"There are {limits.entries} entries already.", "Remove some first.")
    (used,) = tx.db.execute(_USED, (ROW,)).fetchone() or (0,)
    if used > limits.account:
        raise OverQuota("The account's metadata have no more room.", "Remove some first.")


_NAMES = "SELECT entry, length(value) FROM annotation WHERE mailbox = ?1 AND user IN ('', ?2)"
_VALUES = """
SELECT a.mailbox, a.value FROM carray(?1) s CROSS JOIN annotation a ON a.mailbox = s.value AND a.user = ?2
AND a.entry = ?3
"""
_ROLES = """
SELECT m.key, CAST(m.role AS BLOB) FROM carray(?1) s CROSS JOIN mailbox m ON m.key = s.value
WHERE m.role IS NOT NULL
"""
_REMOVE = "DELETE FROM annotation WHERE mailbox = ? AND user = ? AND entry = ?"
_SET = """
INSERT INTO annotation (mailbox, user, entry, value, modseq) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT DO UPDATE SET value = ?4, modseq = ?5 WHERE value <> ?4
"""
_COUNT = "SELECT count(*) FROM annotation WHERE mailbox = ? AND user = ?"
_USED = "SELECT coalesce(sum(length(value) + length(entry) + ?1), 0) FROM annotation"
