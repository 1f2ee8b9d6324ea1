"""Each message of an account read, hashed, analysed again and compared with the answers that stand beside it: the
second half of what the `doctor` looks at, in small steps, so that no transaction stays open for long."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import apsw

from ...mime.analyse import analyse
from ...mime.model import Analysis, Limits
from ...mime.text import body_text
from ..backup import AnswerRow
from ..errors import StoreRefusal
from ..model import Finding
from . import answers, content
from .faults import BROKEN
from .mend import Mender

_BATCH = 64  # messages read per step


@contextmanager
def transaction(db: apsw.Connection, write: bool) -> Iterator[None]:
    """A transaction around its block, undone where that fails. write: of one that changes something."""
    db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        yield
    except BaseException:
        if db.in_transaction:  # SQLite has undone it by itself where a page could not be read
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT" if write else "ROLLBACK")


_STORED = """
SELECT e.key, e.id, e.content, c.digest, b.body, e.key <= (SELECT COALESCE(MAX(email), 0) FROM body_text)
FROM email e
JOIN content c ON c.key = e.content
LEFT JOIN body_text b ON b.email = e.key
WHERE e.key > ? ORDER BY e.key LIMIT ?
"""

_STORED_ALONE = _STORED.replace("e.key > ? ORDER BY e.key LIMIT ?", "e.key = ?")
_STORED_WITHOUT_TEXT = """
SELECT e.key, e.id, e.content, c.digest, NULL, 1 FROM email e JOIN content c ON c.key = e.content WHERE e.key = ?
"""
"""What SEARCH keeps of it counts as wrong: its page is broken."""


def contents(db: apsw.Connection, mender: Mender | None, limits: Limits) -> Iterator[Finding]:
    """Each message read, hashed, analysed again; a few at a time, so that no transaction stays open for long. One that
    has been purged meanwhile is nobody's concern any more: what seems wrong is looked at together with the email."""
    for rows, unreadable in _stored(db):
        if unreadable:
            text = f"up to {len(unreadable)} messages cannot be read (email {unreadable[0]} to {unreadable[-1]})"
            yield Finding("email", text, repairable=False)
        for (key, id, number, digest, body, due), said in rows:
            try:
                data = content.read(db, number, 0, None)
            except (StoreRefusal, *BROKEN) as error:
                if _is_there(db, key):
                    why = error.text if isinstance(error, StoreRefusal) else "pages of the file are broken."
                    yield Finding("content", f"{id}: its octets cannot be read: {why}", repairable=False)
                continue
            if hashlib.sha256(data).digest() != digest:
                yield Finding("hash", f"{id}: its octets are not those that were stored", repairable=False)
                continue
            found = analyse(data, limits)
            if said != _row_of(found):
                with transaction(db, mender is not None):
                    wrong = _is_there(db, key)
                    if wrong and mender is not None:
                        mender.rewrite(db, key, found)
                        mender.outdate(db, key)
                if wrong:
                    text = f"{id}: what FETCH, SORT, SEARCH or POP3 answer is not what the message says"
                    yield Finding("answers", text, True, mender is not None)
            if due and not _same_text(body, readable := body_text(data, limits)):
                with transaction(db, mender is not None):
                    wrong = _is_there(db, key)
                    if wrong and mender is not None:
                        mender.rewrite_body(db, key, readable)
                if wrong:
                    text = f"{id}: SEARCH looks at another text than it has"
                    yield Finding("body-text", text, True, mender is not None)


_Stored = list[tuple[tuple[int, str, int, bytes, bytes | None, int], AnswerRow | None]]


def _stored(db: apsw.Connection) -> Iterator[tuple[_Stored, list[int]]]:
    """A few messages' rows at a time, with their answers; and keys of which the rows cannot be read, where a page that
    is broken is met: there each key is asked for by itself, whether there is one or not."""
    last = 0
    while True:
        try:
            rows = list(db.execute(_STORED, (last, _BATCH)))
            if not rows:
                return
            yield list(zip(rows, answers.read(db, [row[0] for row in rows]), strict=True)), []
            last = rows[-1][0]
        except BROKEN:
            keys = range(last + 1, min(last + _BATCH, _largest_key(db)) + 1)
            if not keys:
                return
            yield _one_by_one(db, keys)
            last = keys[-1]


def _one_by_one(db: apsw.Connection, keys: range) -> tuple[_Stored, list[int]]:
    found: _Stored = []
    unreadable: list[int] = []
    for key in keys:
        for statement in (_STORED_ALONE, _STORED_WITHOUT_TEXT):
            with suppress(*BROKEN):
                rows = list(db.execute(statement, (key,)))
                break
        else:
            unreadable.append(key)
            continue
        for row in rows:
            said = None
            with suppress(*BROKEN):
                (said,) = answers.read(db, [key])
            found.append((row, said))
    return found, unreadable


def _largest_key(db: apsw.Connection) -> int:
    """The largest key that was ever given out; 0 where that cannot be read."""
    try:
        return int(db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'email'").get or 0)
    except BROKEN:
        return 0


def _is_there(db: apsw.Connection, email: int) -> bool:
    return db.execute("SELECT 1 FROM email WHERE key = ?", (email,)).get is not None


def _row_of(found: Analysis) -> AnswerRow:
    """What should stand there: the header's text as it comes back from its stored form."""
    header = content.decode_text(content.encode_text(found.text.header))
    return answers.row_of(found)._replace(text_header=header)


def _same_text(stored: bytes | None, text: str) -> bool:
    if not stored:  # none, or bodies.UNREADABLE
        return False
    try:
        return content.decode_text(stored) == content.decode_text(content.encode_text(text))
    except StoreRefusal:
        return False
