"""Which messages of a copy left a placeholder: for a command that lists and fetches them, never for a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .file import open_file


@dataclass(frozen=True, slots=True)
class Placeholder:
    """mailbox, uid: of the placeholder, on side two. size: octets of the message, 0 where the server did not tell.
    received: INTERNALDATE, seconds UTC."""

    mailbox: str
    uid: int
    size: int
    received: int


_PLACEHOLDERS = """
SELECT place.name, message.two, coalesce(content.size, 0), content.received FROM content
JOIN message ON message.key = content.message JOIN place ON place.pair = message.pair AND place.side = 2
WHERE content.near_size IS NOT NULL AND message.two IS NOT NULL ORDER BY 1, 2
"""


def placeholders(path: Path) -> list[Placeholder]:
    """All of them, by mailbox and UID. A pass over all messages. Raises StateFailed."""
    db = open_file(path)
    try:
        return [Placeholder(*row) for row in db.execute(_PLACEHOLDERS)]
    finally:
        db.close(True)
