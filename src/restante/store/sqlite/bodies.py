"""Searchable text of bodies: made behind delivery, in the order of emails, and on the way where it is not there yet.

Making it is half of all the work on a message, and nobody who delivers waits for it. `body_text` is filled in the
order of email keys, so its largest key is the watermark: every email up to it has its text. What lies beyond is
read and its text made when a search asks for it, so a search is right at any moment. So is a message whose octets could
not be read when its turn came (`UNREADABLE`): it holds nobody up, and is tried again by each search that comes to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import apsw

from ...mime.model import Limits
from ...mime.text import body_text
from .. import errors
from . import content
from .transaction import Write
from .values import typed

if TYPE_CHECKING:
    from .account import SqliteStore

STEP = 64
"""Texts made at once."""

STEP_OCTETS = 4 << 20
"""Octets of messages read for them, beyond the first message."""


def at_once(sizes: Sequence[int]) -> int:
    """How many of the first messages, of these sizes, to read together: at least one."""
    octets = 0
    for number, size in enumerate(sizes[:STEP]):
        octets += size
        if number and octets > STEP_OCTETS:
            return number
    return min(len(sizes), STEP)


def pending(db: apsw.Connection) -> list[tuple[int, int]]:
    """(email, content) of the next emails without text: as many as are made at once."""
    found: list[tuple[int, int, int]] = typed(db.execute(_PENDING, (STEP,)))
    return [(email, stored) for email, stored, _ in found[: at_once([size for _, _, size in found])]]


UNREADABLE = b""
"""Stands in a text's place where the message could not be read; a text that is empty has an octet for its coding."""


async def octets_of(store: SqliteStore, contents: Sequence[int]) -> list[bytes | None]:
    """Octets of messages; None for those that cannot be read, or are gone. Cost where all can be read: one query."""
    try:
        return [*await store.read_contents(contents)]
    except errors.UNREADABLE:
        if len(contents) == 1:
            return [None]
    return [found for each in contents for found in await octets_of(store, [each])]


def stored_texts(messages: Sequence[bytes | None], limits: Limits) -> list[bytes]:
    """Texts of these messages in their stored form. Cost: each is scanned and decoded."""
    return [UNREADABLE if data is None else content.encode_text(body_text(data, limits)) for data in messages]


def fill(tx: Write, texts: Sequence[tuple[int, bytes]]) -> None:
    """Keep texts that were made (email, stored form), ascending. Emails that have one, or are gone, are passed over."""
    tx.numbered = False
    tx.db.executemany(_FILL, texts)


_PENDING = """
SELECT e.key, e.content, e.size FROM email e
WHERE e.key > (SELECT coalesce(max(email), 0) FROM body_text) ORDER BY e.key LIMIT ?
"""

_FILL = """
INSERT OR IGNORE INTO body_text (email, body) SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM email WHERE key = ?1)
"""
