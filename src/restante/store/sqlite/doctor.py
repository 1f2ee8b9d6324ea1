"""Every invariant of an account's file, checked; what can be derived, mended. Never deletes a message.

First the structure, in one short transaction (a snapshot even while the server works): numbers, since what is mended
takes some, then references, counters, orphans. Then the contents (`doctor_contents`). Derived things (counters,
answers, keys, texts) are repaired by being made again; a message that nothing names any more is placed into the mailbox
"Recovered".

Where pages of the file are broken, all the rest is looked at nevertheless, since who has no backup wants to know what
is left; but nothing is mended: what a repair would go by may be what is missing.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from itertools import chain

import apsw

from ...mime.model import Limits
from ..model import Finding, System
from . import stamps
from .doctor_contents import contents, transaction
from .faults import BROKEN, is_unread
from .mend import Mender


def check(db: apsw.Connection, mender: Mender | None, limits: Limits) -> Generator[Finding, None, None]:
    """All findings. With a mender, repairable ones are mended as they are found.

    db: a connection of the caller's own, outside any transaction. Cost: one read of the whole file.
    """
    why = ""
    try:
        for finding in _file(db, mender):
            yield finding
            if finding.code == "file" and _OF_PAGES.search(finding.text):
                why = "as SQLite finds"
    except BROKEN as error:
        if not is_unread(error):
            raise
        why = str(error) or "they cannot be read"
    if why:
        text = f"pages of the file are broken ({why}); put it back from a backup. What can be read of it is checked"
        yield Finding(PAGES, text, repairable=False)
        for finding in _what_is_left(db, limits):
            yield dataclasses.replace(finding, repairable=False)
        return
    repair = mender is not None
    with transaction(db, repair):
        mended = False
        numbering = mender if db.execute("SELECT 1 FROM account").get is not None else None  # gives mends their numbers
        for finding in chain(*_structure(db, repair, numbering)):
            mended = mended or finding.repaired
            yield finding
        if mended and mender is not None:
            mender.outdate(db)
    yield from contents(db, mender, limits)


def _structure(db: apsw.Connection, repair: bool, numbering: Mender | None) -> tuple[Iterator[Finding], ...]:
    return (
        _numbers(db, repair),
        _references(db, numbering),
        _mailboxes(db, numbering),
        _used(db, repair),
        _orphans(db, numbering),
        _sharing(db, repair),
    )


def _what_is_left(db: apsw.Connection, limits: Limits) -> Iterator[Finding]:
    """What is found in a file of which pages are broken, as far as each look gets."""
    for findings in _structure(db, False, None):
        # Told already; the look that met a broken page ends there, and where it cannot be read its transaction with it.
        with suppress(*BROKEN), transaction(db, False):
            yield from findings
    yield from contents(db, None, limits)


PAGES = "pages"
"""The code of a finding behind which nothing is mended, nor compared with anything outside of the file."""

_OF_PAGES = re.compile(r"(?:Tree|Page|Freelist|page) \d+|Freelist: ")
_OF_INDEX = re.compile(r"(?:missing from|wrong # of entries in|values differ from) index ")


def _file(db: apsw.Connection, mender: Mender | None) -> Iterator[Finding]:
    """The file itself. SQLite's indexes are derived from its tables: one that is behind hides rows from every look-up
    that goes by it, and is made again."""
    texts = [text for (text,) in list(db.execute("PRAGMA integrity_check(20)")) if text != "ok"]
    behind = [text for text in texts if _OF_INDEX.search(text)]
    found: list[Finding] = []
    mended = mender is not None and bool(behind) and _reindexed(db, mender, found)
    for text in texts:
        of_index = text in behind
        yield Finding("index" if of_index else "file", f"SQLite finds: {text}", of_index, of_index and mended)
    yield from found


def _reindexed(db: apsw.Connection, mender: Mender, found: list[Finding]) -> bool:
    """Make all indexes again; whether SQLite finds none behind any more. found: takes what was amiss with numbers.

    What changed while an index did not show it nobody has been told of: all placements count as changed now, which
    takes a number above all that are there. Where it was a removal, the log is begun anew, and with it what a rewind
    can go back to: whoever has asked since then would keep the message for ever.
    """
    try:
        with transaction(db, True):
            hidden = _hides_removals(db)
            db.execute("REINDEX")
            numbers = list(_numbers(db, True))
            mender.outdate(db, stamp=True, forget=hidden)
    except (apsw.ConstraintError, apsw.CorruptError):  # rows that cannot both be there, or pages past reading
        return False
    found += numbers
    return not any(_OF_INDEX.search(text) for (text,) in list(db.execute("PRAGMA integrity_check(20)")))


def _hides_removals(db: apsw.Connection) -> bool:
    """Whether the index by which the log is asked lacks a removal, or cannot be read."""
    try:
        return db.execute(_HIDDEN).get is not None
    except apsw.CorruptError:
        return True


_HIDDEN = """
SELECT 1 FROM removed AS r NOT INDEXED WHERE NOT EXISTS (
    SELECT 1 FROM removed AS x INDEXED BY removed_modseq
    WHERE x.mailbox = r.mailbox AND x.modseq = r.modseq AND x.number = r.number)
LIMIT 1
"""


_BROKEN_REFERENCES = (
    ("flagset", "a placement has a flag set that is not there",
     "SELECT mailbox, uid FROM placement WHERE flagset NOT IN (SELECT number FROM flagset)"),
    ("removed-flagset", "a removed message has a flag set that is not there",
     "SELECT mailbox, uid FROM removed WHERE flagset NOT IN (SELECT number FROM flagset)"),
    ("former-flagset", "flags were changed of which the former set is not there",
     "SELECT mailbox, modseq FROM history WHERE kind = 'flags'"
     " AND CAST(former AS INTEGER) NOT IN (SELECT number FROM flagset)"),
    ("placement-email", "a placement names an email that is not there",
     "SELECT mailbox, uid FROM placement WHERE email NOT IN (SELECT key FROM email)"),
    ("placement-mailbox", "a placement is in a mailbox that is not there",
     "SELECT mailbox, uid FROM placement WHERE mailbox NOT IN (SELECT key FROM mailbox)"),
    ("placement-copy", "a placement's size or date is not its email's",
     "SELECT p.mailbox, p.uid FROM placement p JOIN email e ON e.key = p.email"
     " WHERE p.size <> e.size OR p.received <> e.received"),
    ("uid-reused", "a UID is both placed and removed",
     "SELECT p.mailbox, p.uid FROM placement p JOIN removed r ON r.mailbox = p.mailbox AND r.uid = p.uid"),
    ("stamp", "a placement's change number is not where changes are looked up",
     f"SELECT mailbox, uid FROM ({stamps.UNSTAMPED})"),
    ("email-content", "an email's content is not there, or of another size",
     "SELECT 0, e.key FROM email e LEFT JOIN content c ON c.key = e.content"
     " WHERE c.key IS NULL OR c.size <> e.size"),
    ("chunks", "a content lacks chunks",
     "SELECT 0, c.key FROM content c WHERE c.chunks <> (SELECT COUNT(*) FROM chunk k"
     " WHERE k.key BETWEEN c.key << 20 AND (c.key << 20) + 1048575)"),
    ("orphan-chunk", "a chunk belongs to no content",
     "SELECT 0, k.key FROM chunk k WHERE k.key >> 20 NOT IN (SELECT key FROM content)"),
    ("annotation-mailbox", "an annotation belongs to a mailbox that is not there",
     "SELECT mailbox, modseq FROM annotation WHERE mailbox <> 0 AND mailbox NOT IN (SELECT key FROM mailbox)"),
    ("uidl", "two placements of one email in the INBOX have the same UIDL",
     "SELECT p.mailbox, MAX(p.uid) FROM mailbox m JOIN placement p ON p.mailbox = m.key"
     " LEFT JOIN pop3 s ON s.mailbox = p.mailbox AND s.uid = p.uid WHERE m.name = 'INBOX'"
     " GROUP BY p.mailbox, p.email, COALESCE(s.suffix, 0) HAVING COUNT(*) > 1"),
)  # fmt: skip


_MENDS: dict[str, Callable[[Mender, apsw.Connection], None]] = {
    "flagset": Mender.reflag,
    "removed-flagset": Mender.reflag_removed,
    "former-flagset": Mender.reflag_former,
    "placement-mailbox": Mender.rehouse,
    "placement-copy": Mender.remeasure,
    "stamp": Mender.renumber,
}


def _references(db: apsw.Connection, mender: Mender | None) -> Iterator[Finding]:
    for table, rowid, parent, _ in list(db.execute("PRAGMA foreign_key_check")):
        yield Finding("reference", f"row {rowid} of {table} names a row of {parent} that is not there", False)
    for code, text, sql in _BROKEN_REFERENCES:
        found, mend = list(db.execute(sql)), _MENDS.get(code)
        repaired = bool(found) and mend is not None and mender is not None
        if mend is not None and mender is not None and found:
            mend(mender, db)
        for mailbox, number in found:
            yield Finding(code, f"{text} (mailbox {mailbox}, number {number})", mend is not None, repaired)


_LARGEST = """
SELECT m.key, m.name, m.uidnext, m.highest_modseq,
       MAX(COALESCE((SELECT MAX(p.uid) FROM placement p WHERE p.mailbox = m.key), 0),
           COALESCE((SELECT MAX(r.uid) FROM removed r WHERE r.mailbox = m.key), 0)),
       MAX(COALESCE((SELECT MAX(p.modseq) FROM placement p WHERE p.mailbox = m.key), 0),
           COALESCE((SELECT MAX(r.modseq) FROM removed r WHERE r.mailbox = m.key), 0),
           COALESCE((SELECT MAX(a.modseq) FROM annotation a WHERE a.mailbox = m.key), 0))
FROM mailbox m
"""


def _numbers(db: apsw.Connection, repair: bool) -> Iterator[Finding]:
    """Numbers that the next command takes: each must be above all that were given out, before a mend takes one."""
    for key, name, uidnext, highest, largest_uid, largest_modseq in list(db.execute(_LARGEST)):
        if uidnext <= largest_uid:
            if repair:
                db.execute("UPDATE mailbox SET uidnext = ? WHERE key = ?", (largest_uid + 1, key))
            yield Finding("uidnext", f"{name}: UIDNEXT {uidnext} is not above UID {largest_uid}", True, repair)
        if highest < max(largest_modseq, 1):
            if repair:
                db.execute("UPDATE mailbox SET highest_modseq = ? WHERE key = ?", (max(largest_modseq, 1), key))
            text = f"{name}: HIGHESTMODSEQ {highest} is below {largest_modseq}"
            yield Finding("highestmodseq", text, True, repair)
    row = db.execute("SELECT modseq, uidvalidity FROM account").fetchone()
    if row is None:
        yield Finding("account", "the account's row is missing", repairable=False)
        return
    modseq, uidvalidity = row
    largest = db.execute(
        "SELECT MAX(COALESCE((SELECT MAX(modseq) FROM placement), 0), COALESCE((SELECT MAX(modseq) FROM removed), 0),"
        " COALESCE((SELECT MAX(highest_modseq) FROM mailbox), 0), COALESCE((SELECT MAX(modseq) FROM email), 0),"
        " COALESCE((SELECT MAX(modseq) FROM annotation), 0), COALESCE((SELECT MAX(modseq) FROM seen), 0))"
    ).get
    if modseq < largest:
        if repair:
            db.execute("UPDATE account SET modseq = ?", (largest,))
        yield Finding("modseq", f"the change counter {modseq} is below {largest}", True, repair)
    validity = db.execute("SELECT COALESCE(MAX(uidvalidity), 0) FROM mailbox").get
    if uidvalidity < validity:
        if repair:
            db.execute("UPDATE account SET uidvalidity = ?", (validity,))
        yield Finding("uidvalidity", f"last UIDVALIDITY {uidvalidity} is below {validity}", True, repair)


_RECOUNT = f"""
SELECT m.key, m.name, m.messages, m.unseen, m.deleted, m.size, m.deleted_size,
       COUNT(p.uid),
       COALESCE(SUM(f.system & {int(System.SEEN)} = 0), 0),
       COALESCE(SUM(f.system & {int(System.DELETED)} <> 0), 0),
       COALESCE(SUM(p.size), 0),
       COALESCE(SUM(CASE WHEN f.system & {int(System.DELETED)} <> 0 THEN p.size ELSE 0 END), 0)
FROM mailbox m
LEFT JOIN placement p ON p.mailbox = m.key
LEFT JOIN flagset f ON f.number = p.flagset
GROUP BY m.key
"""
_COUNTERS = ("messages", "unseen", "deleted", "size", "deleted_size")


def _mailboxes(db: apsw.Connection, mender: Mender | None) -> Iterator[Finding]:
    repair = mender is not None
    names = set()
    for key, name, *counts in list(db.execute(_RECOUNT)):
        names.add(name)
        for counter, is_, should in zip(_COUNTERS, counts[:5], counts[5:], strict=True):
            if is_ != should:
                if repair:
                    db.execute(f"UPDATE mailbox SET {counter} = ? WHERE key = ?", (should, key))
                yield Finding("counter", f"{name}: {counter} is {is_}, counted {should}", True, repair)
    if "INBOX" not in names:
        if mender is not None:
            mender.make_inbox(db)
        yield Finding("inbox", "there is no INBOX", True, repair)


def _used(db: apsw.Connection, repair: bool) -> Iterator[Finding]:
    """What counts against the quota."""
    used = db.execute("SELECT used FROM account").get
    counted = db.execute("SELECT COALESCE(SUM(size), 0) FROM placement").get
    if used is not None and used != counted:
        if repair:
            db.execute("UPDATE account SET used = ?", (counted,))
        yield Finding("used", f"used octets are {used}, counted {counted}", True, repair)


def _orphans(db: apsw.Connection, mender: Mender | None) -> Iterator[Finding]:
    lost = [
        key
        for (key,) in db.execute(
            "SELECT key FROM email WHERE key NOT IN (SELECT email FROM placement)"
            " AND key NOT IN (SELECT email FROM removed) AND key NOT IN (SELECT email FROM hold)"
        )
    ]
    if lost and mender is not None:
        mender.rescue(db, lost)
    for key in lost:
        yield Finding("orphan-email", f"email {key} is in no mailbox and was never removed", True, mender is not None)
    for (key,) in list(db.execute("SELECT key FROM content WHERE key NOT IN (SELECT content FROM email)")):
        yield Finding("orphan-content", f"content {key} belongs to no email", repairable=False)


_STRAY_ACL = "FROM acl WHERE mailbox NOT IN (SELECT key FROM mailbox)"
_STRAY_SEEN = (
    "FROM seen WHERE NOT EXISTS (SELECT 1 FROM placement p WHERE p.mailbox = seen.mailbox AND p.uid = seen.uid)"
)


_STRAY_TOLD = "FROM told WHERE mailbox NOT IN (SELECT key FROM mailbox)"


def _sharing(db: apsw.Connection, repair: bool) -> Iterator[Finding]:
    """Rows of others that belong to nothing; what the directory knows of them is `SqliteStore.doctor`'s to compare."""
    for code, text, rows in (
        ("acl", "rights are given on a mailbox that is not there", _STRAY_ACL),
        ("seen", "a reader has seen a message that is not there", _STRAY_SEEN),
        ("told", "a reader was told what is recent in a mailbox that is not there", _STRAY_TOLD),
    ):
        for mailbox, count in list(db.execute(f"SELECT mailbox, COUNT(*) {rows} GROUP BY mailbox")):
            yield Finding(code, f"{text} (mailbox {mailbox}, {count} rows)", True, repair)
        if repair:
            db.execute(f"DELETE {rows}")
