"""The emails of messages that are filed together: those that are here already, and those that are made.

What the account may hold of them is looked up first, for all at once (identities, octets, threads); then all is decided
in their order, as if each were filed when those before it were; then each table gets its rows by few statements.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from ...mime.model import Analysis
from ...values import Value
from ..model import NewMessage, ReadyMessage
from . import answers, bulk, content
from .identity import Threads, is_id, new_ids
from .preparing import Answers, answers_of
from .transaction import Write


class Prepared(Value, frozen=True):
    """A message with its rows made ready."""

    message: NewMessage | ReadyMessage
    answers: Answers


Email = tuple[int, str, bool]
"""(key, EMAILID, whether it was made now)."""


def prepare(message: NewMessage) -> Prepared:
    """What of filing needs neither lock nor file."""
    return Prepared(message, answers_of(message.analysis))


def is_short(message: NewMessage) -> bool:
    """Whether `prepare` is a matter of some tenths of a millisecond: a header may have a megabyte."""
    analysis = message.analysis
    return len(analysis.text.header) + len(analysis.bodystructure) <= SHORT


SHORT = 64 << 10
"""Characters and octets of an analysis that are made ready at once."""


def prepare_all(messages: Sequence[NewMessage]) -> list[Prepared]:
    """As `prepare` for each."""
    return [prepare(message) for message in messages]


def prepared(message: ReadyMessage) -> Prepared:
    """As `prepare`, of a message that `preparing` has made ready."""
    if not isinstance(message.answers, Answers):
        raise TypeError("this message was made ready for another engine")
    return Prepared(message, message.answers)


def file(tx: Write, group: Sequence[Prepared]) -> list[Email]:
    """The email of each: one that is here under the id it brings along, with the same octets and INTERNALDATE, or a new
    one."""
    known = _known(tx.db, [one.message for one in group])
    key = bulk.last_key(tx.db, "email")
    ids = new_ids("m", tx.random, len(group))
    found: list[Email] = []
    made: list[tuple[int, str, str | None, Prepared]] = []
    for one in group:
        message, identity = one.message, one.message.identity
        print = message.blob.digest, message.blob.size, message.received
        email_id, thread = identity.email_id, None
        if email_id is not None:
            there = known.get(email_id)
            if there is not None and there[1:] == print:
                found.append((there[0], email_id, False))
                continue
            if there is not None or not is_id("m", email_id):
                email_id = None
            elif is_id("t", identity.thread_id):
                thread = identity.thread_id
        email_id = email_id or next(ids)
        key += 1
        known[email_id] = (key, *print)
        made.append((key, email_id, thread, one))
        found.append((key, email_id, True))
    if made:
        _insert(tx, made)
    return found


def _known(
    db: apsw.Connection, messages: Sequence[NewMessage | ReadyMessage]
) -> dict[str, tuple[int, bytes, int, int]]:
    """(key, digest, size, INTERNALDATE) of emails that are here under ids that these bring along."""
    ids = {id for message in messages if (id := message.identity.email_id) is not None and is_id("m", id)}
    if not ids:
        return {}
    return {id: (key, *print) for id, key, *print in db.execute(KNOWN, (apsw.carray(tuple(ids)),))}


def _insert(tx: Write, made: Sequence[tuple[int, str, str | None, Prepared]]) -> None:
    """File new emails: (key, EMAILID, thread wished, message)."""
    contents = content.file(tx, [(one.message.blob, *one.answers.row[23:]) for *_, one in made])
    threads = Threads(tx, [one.answers.links for *_, one in made])
    rows = []
    for (email, id, wished, one), stored in zip(made, contents, strict=True):
        message, thread = one.message, threads.join(one.answers.links, wished, email)
        size, received, arrival, uidl = message.blob.size, message.received, message.arrival, message.identity.uidl
        rows.append((email, id, thread, stored, size, received, arrival, _uidl(uidl), tx.modseq))
    bulk.insert(
        tx.db, "INSERT INTO email (key, id, thread, content, size, received, arrival, uidl, modseq) VALUES", rows
    )
    threads.save()
    kept = [one.answers for *_, one in made]
    keys = [email for email, *_ in made]
    answers.write_rows(tx.db, keys, [one.row for one in kept], [one.header for one in kept])


def write_derived(db: apsw.Connection, email: int, analysis: Analysis) -> None:
    """Make an email's answers, sort keys and texts anew: for doctor."""
    row = answers.row_of(analysis)
    answers.write_rows(db, [email], [row], [content.encode_text(row.text_header)], anew=True)


def _uidl(uidl: str | None) -> str | None:
    """A foreign UIDL, if it is one by RFC 1939 7."""
    if uidl is None or not 1 <= len(uidl) <= 70 or not all("\x21" <= octet <= "\x7e" for octet in uidl):
        return None
    return uidl


KNOWN = """
SELECT e.id, e.key, c.digest, c.size, e.received FROM carray(?1) s CROSS JOIN email e ON e.id = s.value
CROSS JOIN content c ON c.key = e.content
"""
