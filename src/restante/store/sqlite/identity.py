"""Permanent identities (RFC 8474) and the thread a new message belongs to (RFC 8621 3).

An id is one letter and 26 base32 characters of 128 random bits: valid as OBJECTID, JMAP id and POP3 UIDL alike,
and the same whatever a file system or a client does to letter case.
"""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

import apsw

from ...clock import Random
from .transaction import Write

if TYPE_CHECKING:
    from ...mime.model import SortKeys

_FORM = re.compile(r"[a-z][a-z2-7]{26}\Z")

MOST_IDS = 100
"""Message-ids of one message that are looked up and linked: Message-ID and the last of References."""


def new_id(letter: str, random: Random) -> str:
    """A new identity: "m" an email, "t" a thread, "b" a mailbox."""
    return letter + b32encode(random(16))[:26].decode("ascii").lower()


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


def hashes_of(message_id: str, references: Sequence[str], subject: str) -> tuple[list[int], int]:
    """By which a message is linked to its thread: hashes of its message-ids, and of its base subject."""
    ids = [key for key in (message_id, *references[-MOST_IDS:]) if key]
    return [_hash63(one) for one in dict.fromkeys(ids)], _hash63(subject)


def _oldest(db: apsw.Connection, hashes: list[int], subject: int) -> str | None:
    threads: list[str] = []
    for one in hashes:
        row = db.execute(_LINK, (one, subject)).fetchone()
        if row is not None and row[0] not in threads:
            threads.append(row[0])
    if len(threads) < 2:
        return threads[0] if threads else None
    return min(threads, key=lambda thread: _first_email(db, thread))


_LINK = "SELECT thread FROM thread_link WHERE message_id = ? AND subject = ?"


def _first_email(db: apsw.Connection, thread: str) -> int:
    row = db.execute("SELECT min(key) FROM email WHERE thread = ?", (thread,)).fetchone()
    return int(row[0]) if row is not None and row[0] is not None else 1 << 62


def _hash63(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1
