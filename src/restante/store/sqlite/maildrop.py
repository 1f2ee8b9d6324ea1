"""INBOX as a POP3 maildrop: what POP3 sees, and what a session's QUIT changes.

A UIDL is the message's permanent identity (the EMAILID, or the UIDL that an old server gave); a second placement
of the same email in INBOX carries a suffix that `Write.place` gave it. What POP3 hides is hidden by email, so it
stays hidden wherever it goes. RFC 1939 7 (UIDL), RFC 2449 6.7 (EXPIRE).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import apsw

from ..model import DropList, DropMessage, FlagMode, Flags, Pop3Delete, System, UidRanges
from . import mailboxes
from .flags import store_flags
from .transaction import Write
from .values import pack, ranges_of, spans

MOST_HELD = 200_000
"""Messages in the maildrops that one process keeps: about 25 MB with their listings."""

ON_LOOP = 5_000
"""Messages that are listed on the event loop, in some ten milliseconds; others do not wait for a longer list."""

UIDL_OCTETS = 70
"""RFC 1939 7: a UIDL has 1 to 70 octets."""

_STATE = """
SELECT highest_modseq, uidnext, messages, (SELECT count(*) || ' ' || coalesce(sum(email), 0) FROM pop3_hidden)
FROM mailbox WHERE name = 'INBOX'
"""

_MAILDROP = f"""
SELECT p.uid,
       CASE WHEN coalesce(s.suffix, 0) = 0 THEN coalesce(e.uidl, e.id)
            WHEN length(coalesce(e.uidl, e.id)) + 1 + length(s.suffix) > {UIDL_OCTETS} THEN e.id || '.' || s.suffix
            ELSE coalesce(e.uidl, e.id) || '.' || s.suffix END,
       c.pop3_size, c.pop3_size_utf8, e.content, c.traits, (f.system & {int(System.SEEN)}) <> 0
FROM mailbox m
JOIN placement p ON p.mailbox = m.key
JOIN email e ON e.key = p.email
JOIN content c ON c.key = e.content
JOIN flagset f ON f.number = p.flagset
LEFT JOIN pop3 s ON s.mailbox = p.mailbox AND s.uid = p.uid
WHERE m.name = 'INBOX' AND p.email NOT IN (SELECT email FROM pop3_hidden)
ORDER BY p.uid
"""

_FOREIGN = "SELECT 1 FROM email WHERE uidl IS NOT NULL LIMIT 1"

_APART = """
SELECT e.id || '.' || coalesce(s.suffix, 0) FROM mailbox m JOIN email e
JOIN placement p ON p.mailbox = m.key AND p.email = e.key
LEFT JOIN pop3 s ON s.mailbox = p.mailbox AND s.uid = p.uid
WHERE m.name = 'INBOX' AND p.uid = ?
"""

State = tuple[int, int, int, str]
"""What a maildrop depends on: INBOX's number, UIDNEXT and count, and which emails are hidden: how many, and the sum of
their keys, since one that is freed may go while another one comes."""


class Maildrops:
    """The newest maildrop of each account that POP3 asked for, least recently used ones forgotten: applications ask
    for the same one every few minutes. For one thread."""

    def __init__(self, most: int = MOST_HELD) -> None:
        self._most = most
        self._held = 0
        self._drops: OrderedDict[str, tuple[State, DropList]] = OrderedDict()

    def find(self, db: apsw.Connection, account: str) -> tuple[State, DropList | None]:
        """The state now, and the maildrop if it is the one kept."""
        state: State = db.execute(_STATE).fetchone() or (0, 0, 0, "")
        held = self._drops.get(account)
        if held is None or held[0] != state:
            return state, None
        self._drops.move_to_end(account)
        return state, held[1]

    def keep(self, account: str, state: State, drop: DropList) -> None:
        self._drop(account)
        self._drops[account] = (state, drop)
        self._held += len(drop) + 1
        while self._held > self._most and len(self._drops) > 1:
            _, (_, gone) = self._drops.popitem(last=False)
            self._held -= len(gone) + 1

    def forget(self, accounts: AbstractSet[str], small: int | None = None) -> set[str]:
        """Let go of these accounts' maildrops, only those of at most `small` messages where that is given; whose
        stay."""
        known = self._drops.keys() & accounts
        stay = {account for account in known if small is not None and len(self._drops[account][1]) > small}
        for account in known - stay:
            self._drop(account)
        return stay

    def _drop(self, account: str) -> None:
        held = self._drops.pop(account, None)
        if held is not None:
            self._held -= len(held[1]) + 1


def maildrop(db: apsw.Connection) -> tuple[State, DropList]:
    """Messages of INBOX that POP3 may see, ascending by UID, each with a UIDL of its own. To be called in a
    transaction."""
    state: State = db.execute(_STATE).fetchone() or (0, 0, 0, "")
    drop = DropList(db.execute(_MAILDROP))
    # EMAILIDs and their suffixes are unique by themselves; only what an old server gave may meet another one.
    if db.execute(_FOREIGN).fetchone() is not None and len({message.uidl for message in drop}) < len(drop):
        drop = DropList(_told_apart(db, drop))
    return state, drop


def _told_apart(db: apsw.Connection, drop: DropList) -> Iterator[DropMessage]:
    """An old server's UIDL may equal another one with its suffix: the later message then goes by its EMAILID."""
    taken: set[str] = set()
    for message in drop:
        uidl = message.uidl if message.uidl not in taken else str(db.execute(_APART, (message.uid,)).get)
        taken.add(uidl)
        yield message._replace(uidl=uidl)


def finish(tx: Write, delete: UidRanges, how: Pop3Delete, retrieved: UidRanges, mark_seen: bool) -> None:
    """A POP3 session's changes as one command: what was retrieved, \\Seen, and what DELE marked."""
    inbox = tx.db.execute("SELECT key FROM mailbox WHERE name = 'INBOX'").get
    tx.db.execute(_RETRIEVED, (pack(retrieved), inbox, tx.now))
    changed = False
    if mark_seen and retrieved:
        done = store_flags(tx, inbox, retrieved, FlagMode.ADD, Flags(System.SEEN), None)
        changed = bool(done.changed)
    if delete:
        match how:
            case Pop3Delete.REMOVE:
                changed = bool(tx.remove(inbox, delete)) or changed
            case Pop3Delete.TRASH:
                changed = bool(_to_trash(tx, inbox, delete)) or changed
            case Pop3Delete.KEEP:
                tx.db.execute(_HIDE, (pack(delete), inbox))
    tx.numbered = changed


def expire(tx: Write, before: int) -> int:
    """Move to Trash what POP3 retrieved before `before` (seconds UTC) and is still in INBOX; how many."""
    inbox = tx.db.execute("SELECT key FROM mailbox WHERE name = 'INBOX'").get
    due = [
        uid
        for (uid,) in tx.db.execute(
            "SELECT uid FROM pop3 WHERE mailbox = ? AND retrieved < ? ORDER BY uid", (inbox, before)
        )
    ]
    if not due:
        tx.numbered = False
        return 0
    return _to_trash(tx, inbox, tuple(ranges_of(due)))


def _to_trash(tx: Write, inbox: int, ranges: UidRanges) -> int:
    if tx.db.execute(_ANY, (pack(ranges), inbox)).fetchone() is None:
        return 0  # gone meanwhile: no mailbox is made for nothing
    row = tx.db.execute("SELECT key FROM mailbox WHERE role = '\\Trash'").fetchone()
    if row is None:
        row = tx.db.execute("SELECT key FROM mailbox WHERE name = 'Trash'").fetchone()
    trash = int(row[0]) if row is not None else mailboxes.create(tx, "Trash", "\\Trash", None).key
    _, placed = tx.place_from(trash, inbox, ranges)
    if placed:
        tx.remove(inbox, ranges, moved_to=trash, moved_low=placed[0])
    return len(placed)


_RETRIEVED = f"""
INSERT INTO pop3 (mailbox, uid, suffix, retrieved)
SELECT p.mailbox, p.uid, 0, ?3 FROM {spans("?1", "placement", "?2")} WHERE true
ON CONFLICT (mailbox, uid) DO UPDATE SET retrieved = coalesce(retrieved, excluded.retrieved)
"""

_ANY = f"SELECT 1 FROM {spans('?1', 'placement', '?2')} LIMIT 1"

_HIDE = f"INSERT OR IGNORE INTO pop3_hidden (email) SELECT p.email FROM {spans('?1', 'placement', '?2')}"
