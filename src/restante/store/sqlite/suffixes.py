"""Suffixes of UIDLs: what tells apart messages of INBOX that would have the same one (RFC 1939 7)."""

from __future__ import annotations

from collections.abc import Mapping

import apsw

from .values import typed

MOST_SUFFIX = 999_999_999
"""Of a UIDL: behind an EMAILID and a dot it stays far below the 70 octets of RFC 1939 7."""


def give(db: apsw.Connection, inbox: int, low: int, high: int, wished: Mapping[int, int]) -> None:
    """POP3 UIDL suffixes for newcomers whose UIDL another message of INBOX has. No pop3 row means suffix 0.

    wished: by UID, those that were told elsewhere, also where there is no other message now.
    """
    groups: dict[str, set[int]] = {}
    for sql in (_SAME_EMAIL, _SAME_UIDL):
        found: list[tuple[int, str]] = typed(db.execute(sql, (inbox, low, high)))
        for uid, base in found:
            groups.setdefault(base, set()).add(uid)
    for uid in wished:  # few: emails that were in an INBOX more than once
        groups.setdefault(db.execute(_BASE, (inbox, uid)).get, set()).add(uid)
    for base, new in groups.items():
        taken = {suffix for uid, suffix in db.execute(_SUFFIXES_BY_BASE, (inbox, base)).fetchall() if uid not in new}
        for uid in sorted(new, key=lambda uid: (uid not in wished, uid)):
            suffix = wished.get(uid, 0)
            if suffix in taken or not 0 <= suffix <= MOST_SUFFIX:
                suffix = next(n for n in range(len(taken) + 1) if n not in taken)
            taken.add(suffix)
            if suffix:
                db.execute(
                    "INSERT INTO pop3 (mailbox, uid, suffix) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET suffix = ?3",
                    (inbox, uid, suffix),
                )


_SAME_EMAIL = """
SELECT n.uid, coalesce(e.uidl, e.id) FROM placement n JOIN email e ON e.key = n.email
WHERE n.mailbox = ?1 AND n.uid BETWEEN ?2 AND ?3 AND EXISTS (
    SELECT 1 FROM placement o WHERE o.email = n.email AND o.mailbox = n.mailbox AND o.uid <> n.uid)
"""

_BASE = """
SELECT coalesce(e.uidl, e.id) FROM placement n JOIN email e ON e.key = n.email WHERE n.mailbox = ? AND n.uid = ?
"""

_SAME_UIDL = """
SELECT n.uid, coalesce(e.uidl, e.id) FROM placement n JOIN email e ON e.key = n.email
WHERE n.mailbox = ?1 AND n.uid BETWEEN ?2 AND ?3 AND EXISTS (
    SELECT 1 FROM email f JOIN placement o ON o.email = f.key
    WHERE f.uidl = coalesce(e.uidl, e.id) AND f.key <> e.key AND o.mailbox = n.mailbox
    UNION ALL
    SELECT 1 FROM email f JOIN placement o ON o.email = f.key
    WHERE f.id = e.uidl AND f.uidl IS NULL AND f.key <> e.key AND o.mailbox = n.mailbox)
"""
"""An old server's UIDL may be another email's UIDL, or its EMAILID where that one goes by it."""

_SUFFIXES_BY_BASE = """
SELECT o.uid, coalesce(s.suffix, 0) FROM email e JOIN placement o ON o.email = e.key
LEFT JOIN pop3 s ON s.mailbox = o.mailbox AND s.uid = o.uid
WHERE o.mailbox = ?1 AND e.key IN (
    SELECT key FROM email WHERE id = ?2 AND uidl IS NULL UNION SELECT key FROM email WHERE uidl = ?2)
"""
