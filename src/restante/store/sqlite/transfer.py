"""COPY and MOVE between two accounts: two files, each with its own transactions, and no mail lost between them.

```
copy                 target: take all, one transaction
move   source: note  target: take all + token  source: remove + drop the note  target: drop the token
       transfer_out          transfer_in                                      and what was gone there
```

`take` runs on the target's writer and reads the source beside it: rows and chunks go over as they are stored, a
chunk at a time, without being unpacked or analysed again. All or none, one number, one fsync (RFC 9051 6.4.7).

A move that is cut off leaves its note in the source. Who opens the source next and finds the mover gone (his lock
file is free) looks for the token in the target: is it there, the messages arrived, and are removed here; else
nothing happened. So a crash at any instant leaves every message in at least one of the two, and in one of them
once the source has been opened (RFC 6851 3.3).

Identity: EMAILID and THREADID go along, if the target holds no other message under that EMAILID (design: the same
email is one there, over all accounts). INTERNALDATE too; the saved date is now (RFC 8514 3). A foreign POP3 UIDL
stays with the account it was given for.

Out of a snapshot (`past`) a copy is a restore: the source is lent its messages' octets for the time, and what POP3 knew
of them comes along, so that a client does not fetch them again as new; \\Deleted does not, or the next EXPUNGE would
remove what has just been brought back.
"""

from __future__ import annotations

import fcntl
import os
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import msgspec

from ...clock import Clock, Random
from ...mime.model import SortKeys
from ..annotation import AnnotationLimits
from ..errors import Damaged, NoPermission, StoreRefusal, TooMuchAtOnce
from ..interface import Store
from ..model import Column, Copied, Flags, System, UidRanges
from ..past import Pop3Past
from ..quota import Quota
from ..rights import ALL, Rights
from . import acl, content, mailboxes, reader
from .copies import of_source, require_all
from .handles import WRITER_WAIT, connect
from .identity import new_id, thread_for
from .quota import check_filing
from .rows import READERS, SEEN_BIT
from .shared import SharedStore
from .shared_writes import require_removal
from .transaction import Interned, NewPlacement, Settings, Write
from .values import pack, ranges_of, spans, typed

if TYPE_CHECKING:
    from .account import SqliteStore
    from .engine import SqliteEngine
    from .past import SqlitePastStore

OCTETS = 4096
"""What a message costs beside its octets, for the bound on one command: some 60 microseconds of the target's time."""

UNKNOWN = Pop3Past(False, 0, None)

_WEIGHT = f"SELECT coalesce(sum(p.size), 0), count(*) FROM {spans('?1', 'placement', '?2')}"
_READER = "LEFT JOIN seen v ON v.mailbox = p.mailbox AND v.uid = p.uid AND v.user = ?3"
_SOURCE = f"""
SELECT p.uid, {READERS[Column.FLAGS]}, p.received, e.key, e.id, e.thread, e.content, e.size, e.arrival,
    c.digest, c.chunks, c.traits, c.pop3_size, c.pop3_size_utf8,
    k.sent, k.subject, k.is_reply, k.sender, k.recipient, k.cc, k.display_from, k.display_to, k.message_id, k.refs,
    e.uidl
FROM {spans("?1", "placement", "?2")} {_READER}
CROSS JOIN email e ON e.key = p.email CROSS JOIN content c ON c.key = e.content
CROSS JOIN sortkey k ON k.email = e.key
"""
_CHUNKS = "SELECT key, codec, data FROM chunk WHERE key BETWEEN ?1 << 20 AND (?1 << 20) + 1048575 ORDER BY key"
_DERIVED = ("answer", "sortkey", "search_text")
"""Tables with a row an email, the email first: copied as they are, whatever columns they have."""


async def transfer(
    into: SqliteStore,
    source: Store,
    mailbox: int,
    ranges: UidRanges,
    target: int,
    move: bool,
    messages: int | None = None,
) -> Copied:
    """See `Store.transfer`. What has begun is finished though the caller goes away."""
    if not isinstance(source, SharedStore) and (past := _past(source)) is not None:
        return await _restore(into, past, mailbox, ranges, target, move)
    if isinstance(source, SharedStore):
        out, actor = source.inner, source.actor
    else:
        out, actor = _plain(source), ""
    octets = out._read(_weigh, mailbox, ranges, actor, move)
    engine = into._engine
    _check_weight(engine, octets)
    limits = await into._quota()
    if not move:
        return await into._write(_take, out._path, actor, mailbox, ranges, target, limits, "", None, messages)
    token = engine.random(16).hex()
    return await engine.finish(_move(into, out, actor, mailbox, ranges, target, limits, token, messages))


def _past(source: Store) -> SqlitePastStore | None:
    from .account import SqliteStore

    if isinstance(source, SqliteStore):
        return None
    from .past import SqlitePastStore

    return source if isinstance(source, SqlitePastStore) else None


async def _restore(
    into: SqliteStore, past: SqlitePastStore, mailbox: int, ranges: UidRanges, target: int, move: bool
) -> Copied:
    """Copy out of a snapshot."""
    if move:
        raise NoPermission("A backup is for reading only.", "Copy messages out of it.")
    with past.opened():
        octets = past.inner._read(_weigh, mailbox, ranges, "", False)
    _check_weight(into._engine, octets)
    limits = await into._quota()
    return await into._engine.finish(_lent(into, past, mailbox, ranges, target, limits))


async def _lent(
    into: SqliteStore, past: SqlitePastStore, mailbox: int, ranges: UidRanges, target: int, limits: Quota
) -> Copied:
    """Not to be cancelled: octets that are given back before they have been taken would be missing here."""
    async with past.lent(mailbox, ranges) as lent:
        with past.opened():
            return await into._write(_take, past.inner._path, "", mailbox, ranges, target, limits, "", lent.pop3)


def _check_weight(engine: SqliteEngine, octets: int) -> None:
    """Raises TooMuchAtOnce, DiskFull."""
    if octets > engine.settings.transfer:
        raise TooMuchAtOnce("That is more than one command carries to another account.", "Name fewer messages.")
    engine.check_room(octets, filing=True)


def _plain(source: Store) -> SqliteStore:
    from .account import SqliteStore

    if not isinstance(source, SqliteStore):
        raise TypeError("the two accounts belong to different engines")
    return source


async def _move(
    into: SqliteStore,
    out: SqliteStore,
    actor: str,
    mailbox: int,
    ranges: UidRanges,
    target: int,
    limits: Quota,
    token: str,
    messages: int | None,
) -> Copied:
    with _lock(into._engine.data, token):
        await out._write(_note, token, into.account, mailbox, ranges)
        try:
            copied = await into._write(_take, out._path, actor, mailbox, ranges, target, limits, token, None, messages)
        except BaseException:
            await out._write(_drop_note, token)
            raise
        others = await out._write(_let_go, token, mailbox, tuple(ranges_of(copied.source)))
        return await into._write(_drop_token, token, target, copied, others)


def _weigh(db: apsw.Connection, mailbox: int, ranges: UidRanges, actor: str, move: bool) -> int:
    """Octets that would be carried. Raises SourceGone, NoPermission."""
    _check_source(db, mailbox, actor, move)
    octets, messages = db.execute(_WEIGHT, (pack(ranges), mailbox)).fetchone() or (0, 0)
    return int(octets + messages * OCTETS)


def _check_source(db: apsw.Connection, mailbox: int, actor: str, move: bool) -> None:
    with of_source():
        mailboxes.mailbox_by_key(db, mailbox, actor)
        if actor and move:
            require_removal(db, mailbox, actor)
        elif actor:
            acl.require(acl.rights_on(db, mailbox, actor), Rights.READ)


# In the target -----------------------------------------------------------------------------------------


def _take(
    tx: Write,
    path: Path,
    actor: str,
    mailbox: int,
    ranges: UidRanges,
    target: int,
    limits: Quota,
    token: str,
    past: Mapping[int, Pop3Past] | None = None,
    messages: int | None = None,
) -> Copied:
    """Copy what `ranges` names in another account's file. actor: who reads there, "" for its owner. past: what POP3
    knew of messages that come out of a snapshot, None where they do not. messages: see `Store.copy`."""
    rights = acl.rights_on(tx.db, target, tx.user) if tx.user else ALL
    acl.require(rights, Rights.INSERT)
    tx.uidnext(target)
    db = connect(path, wait=WRITER_WAIT)
    try:
        db.execute("BEGIN")
        _check_source(db, mailbox, actor, bool(token))
        octets, there = db.execute(_WEIGHT, (pack(ranges), mailbox)).fetchone() or (0, 0)
        require_all(there, messages)
        check_filing(tx, octets, there, limits)
        return _taken(tx, _Source(db, actor), mailbox, ranges, target, rights, token, past)
    finally:
        db.close(True)


class _Source:
    """The other account, read in one transaction. actor: whose \\Seen is meant, "" for the owner's."""

    def __init__(self, db: apsw.Connection, actor: str) -> None:
        self.db = db
        self.actor = actor
        self._flags: dict[int, Flags] = {}

    def flags(self, number: int) -> Flags:
        found = self._flags.get(number)
        if found is None:
            system, keywords = self.db.execute(
                "SELECT system, keywords FROM flagset WHERE number = ?", (number & ~SEEN_BIT,)
            ).get
            flags = System(system)
            if self.actor:
                flags = flags & ~System.SEEN | (System.SEEN if number & SEEN_BIT else System.NONE)
            found = self._flags[number] = Flags(flags, frozenset(keywords.split()))
        return found


def _taken(
    tx: Write,
    source: _Source,
    mailbox: int,
    ranges: UidRanges,
    target: int,
    rights: Rights,
    token: str,
    past: Mapping[int, Pop3Past] | None,
) -> Copied:
    placements: list[NewPlacement] = []
    uids, seen = array("I"), []
    for row in source.db.execute(_SOURCE, (pack(ranges), mailbox, source.actor)):
        uid, number, received = row[:3]
        flags = source.flags(number)
        if tx.user:
            seen.append(bool(flags.system & System.SEEN))
            flags = reader.allowed(flags, rights)
        if past is not None:
            flags = Flags(flags.system & ~System.DELETED, flags.keywords)
        email, new = _email(tx, source.db, row, uidl=past is not None)
        known = past.get(uid, UNKNOWN) if past is not None else UNKNOWN
        if known.hidden:
            tx.db.execute("INSERT OR IGNORE INTO pop3_hidden (email) VALUES (?)", (email,))
        placements.append(
            NewPlacement(
                email, tx.flagset(flags), row[7], received, tx.now,
                alone=new and past is None, suffix=known.suffix or None, retrieved=known.retrieved,
            )
        )  # fmt: skip
        uids.append(uid)
    new_uids = tx.place(target, placements)
    if seen and rights & Rights.SEEN:
        reader.put_seen(tx, target, [uid for uid, was in zip(new_uids, seen, strict=True) if was])
    tx.delivered = tx.delivered or bool(new_uids)
    if token and new_uids:
        tx.db.execute("INSERT INTO transfer_in (token, at) VALUES (?, ?)", (token, tx.now))
    here = mailboxes.mailbox_by_key(tx.db, target, tx.user)
    if tx.user:
        here = reader.as_seen(tx.db, here, tx.user, rights)
    return Copied(here, uids, array("I", new_uids), tx.modseq if new_uids else 0)


def _email(tx: Write, db: apsw.Connection, row: tuple[Any, ...], *, uidl: bool) -> tuple[int, bool]:
    """Key of the email here: the one that is here already, or a new one (True). uidl: a foreign one comes along."""
    received, there, email_id, thread, stored, size, arrival, digest = row[2:10]
    found = tx.db.execute(_KNOWN, (email_id,)).fetchone()
    if found is not None and found[1:] == (digest, size, received):
        return int(found[0]), False
    if found is not None:
        email_id, thread = new_id("m", tx.random), None
    sent, subject, is_reply, sender, recipient, cc, display_from, display_to, message_id, refs = row[14:24]
    keys = SortKeys(
        sent, subject, bool(is_reply), sender, recipient, cc, display_from, display_to, message_id, tuple(refs.split())
    )
    tx.db.execute(
        "INSERT INTO email (id, thread, content, size, received, arrival, uidl, modseq)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            email_id, thread_for(tx, keys, thread), _content(tx, db, stored, row), size, received, arrival,
            row[24] if uidl else None, tx.modseq,
        ),
    )  # fmt: skip
    key = tx.db.last_insert_rowid()
    for table in _DERIVED:
        values = db.execute(f"SELECT * FROM {table} WHERE email = ?", (there,)).fetchone()
        if values is not None:  # what is missing is doctor's to make again
            places = ", ".join("?" * len(values))
            tx.db.execute(f"INSERT INTO {table} VALUES ({places})", (key, *values[1:]))
    return key, True


_KNOWN = """
SELECT e.key, c.digest, c.size, e.received FROM email e JOIN content c ON c.key = e.content WHERE e.id = ?
"""


def _content(tx: Write, db: apsw.Connection, stored: int, row: tuple[Any, ...]) -> int:
    """Key of the octets here, copied chunk by chunk unless the account holds them already."""
    size, digest = row[7], row[9]
    found = tx.db.execute("SELECT key FROM content WHERE digest = ? AND size = ?", (digest, size)).fetchone()
    if found is not None:
        return int(found[0])
    tx.db.execute(
        "INSERT INTO content (digest, size, chunks, traits, pop3_size, pop3_size_utf8) VALUES (?, ?, ?, ?, ?, ?)",
        (digest, size, *row[10:14]),
    )
    key = tx.db.last_insert_rowid()
    chunks = 0
    for number, codec, data in db.execute(_CHUNKS, (stored,)):
        place = key << content.NUMBER_BITS | number & content.MOST_CHUNKS - 1
        tx.db.execute("INSERT INTO chunk (key, codec, data) VALUES (?, ?, ?)", (place, codec, data))
        chunks += 1
    if chunks != row[10] or (size and not chunks):  # else all that has these octets later would be as damaged
        raise Damaged("Some of the message's octets are missing.", "Run 'restante doctor'.")
    return key


def _drop_token(tx: Write, token: str, target: int, copied: Copied, others: array[int]) -> Copied:
    """The end of a move; what it has moved. others: what somebody else moved, expunged or replaced in the source
    meanwhile, and was told so: it was his, and its copy is taken back, or it would be in two places (RFC 6851 3.3).
    """
    tx.db.execute("DELETE FROM transfer_in WHERE token = ?", (token,))
    if not others:
        tx.numbered = False
        return copied
    his = set(others)
    pairs = list(zip(copied.source, copied.target, strict=True))
    tx.numbered = bool(tx.remove(target, tuple(ranges_of(new for old, new in pairs if old in his))))
    ours = [pair for pair in pairs if pair[0] not in his]
    source, new_uids = (array("I", column) for column in zip(*ours, strict=True)) if ours else (array("I"), array("I"))
    return Copied(copied.target_mailbox, source, new_uids, copied.modseq if ours else 0)


# In the source -----------------------------------------------------------------------------------------


def _note(tx: Write, token: str, target: str, mailbox: int, ranges: UidRanges) -> None:
    tx.numbered = False
    tx.db.execute(
        "INSERT INTO transfer_out (token, target, mailbox, uids) VALUES (?, ?, ?, ?)",
        (token, target, mailbox, msgspec.msgpack.encode(ranges)),
    )


def _drop_note(tx: Write, token: str) -> None:
    tx.numbered = False
    tx.db.execute("DELETE FROM transfer_out WHERE token = ?", (token,))


def _let_go(tx: Write, token: str, mailbox: int, ranges: UidRanges) -> array[int]:
    """Remove what has arrived, and the note; UIDs of what others have removed before."""
    tx.db.execute("DELETE FROM transfer_out WHERE token = ?", (token,))
    gone = tx.remove(mailbox, ranges) if ranges else array("I")
    tx.numbered = bool(gone)
    if len(gone) == sum(high - low + 1 for low, high in ranges):
        return array("I")
    return array("I", sorted({uid for (uid,) in tx.db.execute(_LOGGED, (pack(ranges), mailbox))}.difference(gone)))


_LOGGED = f"SELECT p.uid FROM {spans('?1', 'removed', '?2')}"


# After a crash -----------------------------------------------------------------------------------------


def finish_all(db: apsw.Connection, path: Path, clock: Clock, random: Random) -> int:
    """Finish moves out of this account whose mover is gone; how many could not be. Called when the file is opened.

    A lock that is held, or a target that cannot be read, keeps nobody from the mail that is here: the note stays for
    the next opening, and doctor names it.
    """
    notes: list[tuple[str, str, int, bytes]] = typed(
        db.execute("SELECT token, target, mailbox, uids FROM transfer_out")
    )
    left = 0
    for note in notes:
        with _lock(path.parents[2], note[0], wait=False) as held:
            if held:
                try:
                    _finish(db, path, clock, random, note)
                except (apsw.Error, OSError, StoreRefusal):
                    left += 1
    return left


def _finish(db: apsw.Connection, path: Path, clock: Clock, random: Random, note: tuple[str, str, int, bytes]) -> None:
    token, target, mailbox, uids = note
    other = path.parents[1] / target[:2].lower() / f"{target}.db"
    there = connect(other, wait=WRITER_WAIT) if other.exists() else None
    try:
        arrived = there is not None and there.execute("SELECT 1 FROM transfer_in WHERE token = ?", (token,)).fetchone()
        db.execute("BEGIN IMMEDIATE")
        try:
            if db.execute("SELECT 1 FROM transfer_out WHERE token = ?", (token,)).fetchone() is not None:
                modseq = int(db.execute("SELECT modseq FROM account").get) + 1
                tx = Write(db, Interned(), modseq, int(clock.now()), random, _NONE, "move finished")
                if arrived:
                    _let_go(tx, token, mailbox, msgspec.msgpack.decode(uids, type=UidRanges))
                    if tx.numbered:
                        tx.finish()
                else:
                    _drop_note(tx, token)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        if there is not None and arrived:
            there.execute("DELETE FROM transfer_in WHERE token = ?", (token,))
    finally:
        if there is not None:
            there.close(True)


_NONE = Settings(0, 0, 0, False, 0, 0, AnnotationLimits())
"""Removing keeps to no setting."""


@contextmanager
def _lock(data: Path, token: str, *, wait: bool = True) -> Iterator[bool]:
    """The mover's lock, gone with its process: whether it is held now. wait: it is a new one, which nobody has."""
    folder = data / "run" / "locks"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{token}.transfer"
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    held = False
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            held = True
        except BlockingIOError:
            pass  # its mover lives
        yield held
    finally:
        if held:
            path.unlink(missing_ok=True)
        os.close(number)
