"""What was answered for an email at delivery, as one row: for a backup, and for an account made anew from one.

The rows lie in `answer`, `sortkey`, `search_text` and `content`. The texts of bodies are not among them: those are
made behind delivery whenever they are missing (see `bodies`).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import apsw

from ..backup import AnswerRow
from ..errors import Damaged
from . import bulk, content
from .preparing import row_of as row_of


def read(db: apsw.Connection, emails: Sequence[int]) -> list[AnswerRow | None]:
    """Rows of these emails (keys), in the order asked; None for one that is gone or whose rows are not whole or
    readable."""
    if not emails:
        return []  # APSW takes no empty array
    found: dict[int, AnswerRow] = {}
    for key, *row in db.execute(_READ, (apsw.carray(array("q", emails)),)):
        if not row[HEADER]:
            continue  # an empty text has an octet for its coding: this is damage
        try:
            row[HEADER] = content.decode_text(row[HEADER])
        except Damaged:
            continue  # `doctor` makes it anew, and so does a restore
        found[key] = AnswerRow._make(row)
    return [found.get(key) for key in emails]


HEADER = AnswerRow._fields.index("text_header")

_READ = """
SELECT e.key, a.envelope, a.bodystructure, a.headers, a.body, a.preview, a.parts,
    k.sent, k.sent_day, k.subject, k.is_reply, k.sender, k.recipient, k.cc, k.display_from, k.display_to,
    k.message_id, k.refs, t.sender, t.recipient, t.cc, t.bcc, t.subject, t.header,
    c.traits, c.pop3_size, c.pop3_size_utf8
FROM carray(?1) s CROSS JOIN email e ON e.key = s.value CROSS JOIN content c ON c.key = e.content
CROSS JOIN answer a ON a.email = e.key CROSS JOIN sortkey k ON k.email = e.key
CROSS JOIN search_text t ON t.email = e.key
"""


AnswerOf = tuple[int, bytes, bytes, bytes, bytes, str, bytes]
TextOf = tuple[int, str, str, str, str, str, bytes]


def write(
    db: apsw.Connection,
    answer: Sequence[AnswerOf],
    sortkey: Sequence[tuple[apsw.SQLiteValue, ...]],
    texts: Sequence[TextOf],
    *,
    anew: bool = False,
) -> None:
    """Keep rows of emails: an email and fields of its `AnswerRow`, the header's text in its stored form.

    anew: some of them may have such rows, which these replace.
    """
    into_answer, into_sortkey, into_text = _REPLACE if anew else _INSERT
    bulk.insert(db, into_answer, answer)
    bulk.insert(db, into_sortkey, sortkey)
    bulk.insert(db, into_text, texts)


_INSERT, _REPLACE = (
    (
        f"{verb} INTO answer (email, envelope, bodystructure, headers, body, preview, parts) VALUES",
        f"{verb} INTO sortkey (email, sent, sent_day, subject, is_reply, sender, recipient, cc, display_from,"
        " display_to, message_id, refs) VALUES",
        f"{verb} INTO search_text (email, sender, recipient, cc, bcc, subject, header) VALUES",
    )
    for verb in ("INSERT", "INSERT OR REPLACE")
)


def write_rows(
    db: apsw.Connection,
    emails: Sequence[int],
    rows: Sequence[AnswerRow],
    headers: Sequence[bytes],
    *,
    anew: bool = False,
) -> None:
    """`write` for emails and their whole rows. headers: the header's text of each in its stored form."""
    write(
        db,
        [(email, *row[:6]) for email, row in zip(emails, rows, strict=True)],
        [(email, *row[6:17]) for email, row in zip(emails, rows, strict=True)],
        [(email, *row[17:22], header) for email, row, header in zip(emails, rows, headers, strict=True)],
        anew=anew,
    )
