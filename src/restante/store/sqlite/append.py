"""APPEND: everything known of a message is written with it, in one transaction.

What needs no lock (compressing texts, encoding the part tree) is done before, by `emails.prepare`. An email that comes
back with its identity (export, restore) joins the one that is here if octets and INTERNALDATE agree.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from ..errors import NoSuchMailbox
from ..model import Appended, Identity
from ..quota import Quota
from . import emails, mailboxes
from .emails import Prepared
from .quota import check_filing
from .transaction import NewPlacement, Write


def append(tx: Write, mailbox: int, messages: Sequence[Prepared], limits: Quota) -> Appended:
    """File messages, all or none. Raises NoSuchMailbox, OverQuota, TooManyKeywords."""
    check_filing(tx, sum(one.message.blob.size for one in messages), len(messages), limits)
    filed = emails.file(tx, messages)
    placements, hidden = [], []
    for one, (key, _, new) in zip(messages, filed, strict=True):
        message, identity = one.message, one.message.identity
        if identity.hidden:
            hidden.append((key,))
        placements.append(
            NewPlacement(
                key,
                tx.flagset(message.flags),
                message.blob.size,
                message.received,
                identity.saved if identity.saved is not None else tx.now,
                identity.uid,
                new and not _known_elsewhere(identity),
                identity.suffix,
                identity.retrieved,
            )
        )
    if hidden:
        tx.db.executemany("INSERT OR IGNORE INTO pop3_hidden (email) VALUES (?)", hidden)
    uids = tx.place(mailbox, placements)
    tx.delivered = tx.delivered or bool(messages)
    here = mailboxes.mailbox_by_key(tx.db, mailbox, tx.user)
    return Appended(here, tuple(uids), tuple([id for _, id, _ in filed]), tx.modseq if messages else 0)


def append_by_name(tx: Write, name: str, messages: Sequence[Prepared], limits: Quota) -> Appended:
    """`append` into the mailbox that has this name when the command runs. Raises NoSuchMailbox."""
    row = tx.db.execute("SELECT key FROM mailbox WHERE name = ?", (mailboxes.canonical(name),)).fetchone()
    if row is None:
        raise NoSuchMailbox("There is no such mailbox.", "Create it first.")
    return append(tx, int(row[0]), messages, limits)


def append_once(tx: Write, name: str, message: Prepared, limits: Quota) -> Appended | None:
    """`append_by_name`, unless the account has or still keeps an email of the EMAILID that the message brings."""
    email_id = message.message.identity.email_id
    if email_id is None:
        raise ValueError("a message without an EMAILID cannot be told from another")
    if has_email(tx.db, email_id):
        return None
    return append_by_name(tx, name, [message], limits)


def has_email(db: apsw.Connection, email_id: str) -> bool:
    """Whether an email of this EMAILID is here, placed or removed."""
    return db.execute(_HAS, (email_id,)).fetchone() is not None


def _known_elsewhere(identity: Identity) -> bool:
    """Whether POP3 may have to tell this message from another one, or to remember something of it."""
    return not (identity.email_id is None and identity.uidl is None and identity.suffix is identity.retrieved is None)


_HAS = "SELECT 1 FROM email WHERE id = ?"
