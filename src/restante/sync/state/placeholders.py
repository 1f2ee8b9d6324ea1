"""Which messages of a copy left a placeholder: for what lists and fetches them, never for a run itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..base import AGAIN, SENT
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


_WAITING = f"""
SELECT place.name, d.uid, coalesce(content.size, 0), content.received FROM doomed AS d
JOIN message AS m ON m.key = d.message JOIN content ON content.message = m.key
JOIN place ON place.pair = d.pair AND place.side = 2 LEFT JOIN aside AS a ON a.message = m.key
WHERE d.side = 2 AND d.flags NOTNULL AND m.two IS NULL AND m.one NOTNULL AND m.pair = d.pair
AND m.odd & {SENT | AGAIN} = 0
AND (a.message IS NULL OR NOT (coalesce(a.next_try BETWEEN ?1 AND ?1 + 90000, 1) AND a.largest IS ?2))
"""
"""The last line says of which messages another try is due, as `decisions.Asides.waiting` says of which it is not."""


def placeholders(path: Path) -> list[Placeholder]:
    """All of them but those whose message is on its way, by mailbox and UID. A pass over all messages. Raises
    StateFailed."""
    db = open_file(path)
    try:
        return [Placeholder(*row) for row in db.execute(_PLACEHOLDERS)]
    finally:
        db.close(True)


def waiting(path: Path, now: float, largest: int | None) -> list[Placeholder]:
    """Those whose message is on its way and did not come yet; not those that a side has refused, until their time has
    come (largest: the limit that they are refused under). Raises StateFailed."""
    db = open_file(path)
    try:
        return [Placeholder(*row) for row in db.execute(_WAITING, (now, largest))]
    finally:
        db.close(True)
