"""APPEND: everything known of a message is written with it, in one transaction.

`prepare` does what needs no lock (compressing texts, encoding the part tree), `append` only inserts. An email that
comes back with its identity (export, restore) joins the one that is here if octets and INTERNALDATE agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apsw

from ...mime.model import Analysis, Trait
from .. import parts
from ..errors import NoSuchMailbox
from ..model import Appended, Identity, NewMessage
from ..quota import Quota
from . import content, mailboxes
from .identity import is_id, new_id, thread_for
from .quota import check_filing
from .transaction import NewPlacement, Write
from .values import clean


@dataclass(frozen=True, slots=True)
class Derived:
    """What of an analysis is stored in another form than it has."""

    parts: bytes
    header_text: bytes


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message with its rows made ready."""

    message: NewMessage
    derived: Derived


def prepare(message: NewMessage) -> Prepared:
    return Prepared(message, derive(message.analysis))


def derive(analysis: Analysis) -> Derived:
    return Derived(parts.encode(analysis.root), content.encode_text(analysis.text.header))


def append(tx: Write, mailbox: int, messages: Sequence[Prepared], limits: Quota) -> Appended:
    """File messages, all or none. Raises NoSuchMailbox, OverQuota, TooManyKeywords."""
    check_filing(tx, sum(one.message.blob.size for one in messages), len(messages), limits)
    placements, ids = [], []
    for one in messages:
        message = one.message
        key, email_id, new = _email(tx, one)
        if message.identity.hidden:
            tx.db.execute("INSERT OR IGNORE INTO pop3_hidden (email) VALUES (?)", (key,))
        saved = message.identity.saved if message.identity.saved is not None else tx.now
        placements.append(
            NewPlacement(
                key,
                tx.flagset(message.flags),
                message.blob.size,
                message.received,
                saved,
                message.identity.uid,
                alone=new and not _known_elsewhere(message.identity),
                suffix=message.identity.suffix,
                retrieved=message.identity.retrieved,
            )
        )
        ids.append(email_id)
    uids = tx.place(mailbox, placements)
    tx.delivered = tx.delivered or bool(messages)
    return Appended(
        mailboxes.mailbox_by_key(tx.db, mailbox, tx.user), tuple(uids), tuple(ids), tx.modseq if messages else 0
    )


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


def _email(tx: Write, one: Prepared) -> tuple[int, str, bool]:
    """Key and EMAILID of the message's email: one that is here under the id it brings along, or a new one (True)."""
    identity = one.message.identity
    thread = None
    email_id = identity.email_id if is_id("m", identity.email_id) else None
    if email_id is not None:
        found = tx.db.execute(KNOWN, (email_id,)).fetchone()
        if found is None:
            thread = identity.thread_id if is_id("t", identity.thread_id) else None
        elif found[1:] == (one.message.blob.digest, one.message.blob.size, one.message.received):
            return int(found[0]), email_id, False
        else:
            email_id = None
    email_id = email_id or new_id("m", tx.random)
    return _insert(tx, one, email_id, thread), email_id, True


def _insert(tx: Write, one: Prepared, email_id: str, thread: str | None) -> int:
    message, analysis = one.message, one.message.analysis
    missing = 2 if analysis.traits & Trait.NO_FINAL_CRLF else 0
    plain = analysis.surrogate_size if analysis.surrogate_size is not None else message.blob.size + missing
    stored = content.file(tx, message.blob, int(analysis.traits), plain, message.blob.size + missing)
    tx.db.execute(
        "INSERT INTO email (id, thread, content, size, received, arrival, uidl, modseq)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            email_id, thread_for(tx, analysis.keys, thread), stored, message.blob.size, message.received,
            message.arrival, _uidl(message.identity.uidl), tx.modseq,
        ),
    )  # fmt: skip
    key = tx.db.last_insert_rowid()
    _write_rows(tx.db, key, analysis, one.derived)
    return key


def write_derived(db: apsw.Connection, email: int, analysis: Analysis) -> None:
    """Make an email's answers, sort keys and texts anew: for doctor."""
    _write_rows(db, email, analysis, derive(analysis))


def _write_rows(db: apsw.Connection, key: int, analysis: Analysis, made: Derived) -> None:
    keys, text = analysis.keys, analysis.text
    db.execute(
        "INSERT OR REPLACE INTO answer (email, envelope, bodystructure, headers, body, preview, parts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            key, analysis.envelope, analysis.bodystructure, analysis.headers, analysis.body,
            clean(analysis.preview), made.parts,
        ),
    )  # fmt: skip
    db.execute(
        "INSERT OR REPLACE INTO sortkey (email, sent, sent_day, subject, is_reply, sender, recipient, cc, display_from,"
        " display_to, message_id, refs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key, keys.sent, keys.sent_day, clean(keys.subject), int(keys.is_reply), clean(keys.sender),
            clean(keys.recipient), clean(keys.cc), clean(keys.display_from), clean(keys.display_to),
            clean(keys.message_id), clean(" ".join(keys.references)),
        ),
    )  # fmt: skip
    db.execute(
        "INSERT OR REPLACE INTO search_text (email, sender, recipient, cc, bcc, subject, header)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            key, clean(text.sender), clean(text.recipient), clean(text.cc), clean(text.bcc), clean(text.subject),
            made.header_text,
        ),
    )  # fmt: skip


def _uidl(uidl: str | None) -> str | None:
    """A foreign UIDL, if it is one by RFC 1939 7."""
    if uidl is None or not 1 <= len(uidl) <= 70 or not all("\x21" <= octet <= "\x7e" for octet in uidl):
        return None
    return uidl


_HAS = "SELECT 1 FROM email WHERE id = ?"

KNOWN = """
SELECT e.key, c.digest, c.size, e.received FROM email e JOIN content c ON c.key = e.content WHERE e.id = ?
"""
