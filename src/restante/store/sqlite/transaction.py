"""What a changing command works with: its number, its instant, and the one way to add, remove and count placements.

The writer opens a `Write` for every command (a savepoint within the group's transaction), calls the command's
function with it and closes it: `finish` writes the account's counter, use of space and clock. A command that
changed no row takes no number. Every function that changes an account's file has the shape `f(tx: Write, ...)`;
nothing else changes one. Rows are moved by set-based SQL.

Must not know: threads, files, futures.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from sys import intern

import apsw
import msgspec

from ...clock import Random
from ...values import Value
from ..annotation import AnnotationLimits
from ..backup import Served
from ..errors import CannotChangeMailbox, NoSuchMailbox, TooManyKeywords
from ..model import INBOX, Flags, System, UidRanges
from . import bulk, stamps, suffixes
from .served import UID_BITS, UIDVALIDITY_BITS
from .values import pack, spans, typed

MAX_UID = 0xFFFFFFFE
"""Last UID a mailbox gives out: UIDNEXT must stay a 32-bit number (RFC 9051 9, nz-number)."""

MAX_UIDVALIDITY = 0xFFFFFFFF

MOST_INTERNED = 1_000
"""Flag sets that a writer connection knows: a megabyte where they have many keywords."""

UNSEEN_SQL = "(f.system & 1) = 0"
DELETED_SQL = "(f.system & 8) <> 0"


@dataclass(frozen=True, slots=True)
class Settings:
    """Choices that hold for every account of an engine.

    retention, log_retention: seconds that contents and removal rows are kept. reserve: octets of free disk kept
    for removals. keywords, mailboxes: most of them in one account. annotations: most room they take. transfer: octets
    that one COPY or MOVE may carry into another account, which waits meanwhile.
    """

    retention: float
    log_retention: float
    reserve: int
    compress: bool
    keywords: int
    mailboxes: int
    annotations: AnnotationLimits
    transfer: int = 256 << 20


class NewPlacement(Value, frozen=True):
    """One placement to add. uid: wished, taken only where it is not below UIDNEXT.

    alone: the email is new and goes by its EMAILID, so that no other message can have its UIDL. suffix: of its UIDL,
    wished; retrieved: when POP3 fetched it. Both for INBOX, and only where it is not `alone`.
    """

    email: int
    flagset: int
    size: int
    received: int
    saved: int
    uid: int | None = None
    alone: bool = False
    suffix: int | None = None
    retrieved: int | None = None


class Interned:
    """What a writer connection knows of its file: flag sets it has looked up, the minute it wrote a clock row for.

    Emptied when a command is undone, since rows may go with it.
    """

    __slots__ = ("counts", "flags", "minute", "numbers")

    def __init__(self) -> None:
        self.minute = -1
        self.numbers: dict[Flags, int] = {}
        self.flags: dict[int, Flags] = {}
        self.counts: dict[int, tuple[bool, bool]] = {}
        """Of each flag set, whether messages with it are unseen, and deleted."""

    def clear(self) -> None:
        self.minute = -1
        self.numbers.clear()
        self.flags.clear()
        self.counts.clear()


class Write:
    """One changing command inside the writer's transaction.

    db: the writer's connection. modseq: the command's number. now: seconds UTC. session: who does it (protocol and
    connection, for the removal log). user: whose subscriptions, "" for the owner. numbered: set it to False where
    the change is none that a client could be told of (reclaiming, \\Recent): the number is then not used up. note:
    keeps numbers beside the file, durably (see `served`); None where the file is not in service yet.
    """

    __slots__ = (
        "_placed", "_stamped", "db", "delivered", "interned", "modseq", "note", "now", "numbered", "random", "session",
        "settings", "used", "user",
    )  # fmt: skip

    def __init__(
        self,
        db: apsw.Connection,
        interned: Interned,
        modseq: int,
        now: int,
        random: Random,
        settings: Settings,
        session: str = "",
        user: str = "",
        note: Callable[[Served], None] | None = None,
    ) -> None:
        self.db = db
        self.interned = interned
        self.modseq = modseq
        self.now = now
        self.random = random
        self.settings = settings
        self.session = session
        self.user = user
        self.note = note
        self.numbered = True
        self.used = 0
        self.delivered = False
        self._placed: set[int] = set()
        self._stamped: dict[int, list[tuple[int, int]]] = {}

    # Flags -----------------------------------------------------------------------------------------

    def flagset(self, flags: Flags) -> int:
        """The number of a flag set, made if it is new. Keywords take the case of their first use in the account.

        Raises TooManyKeywords past the account's limit.
        """
        number = self.interned.numbers.get(flags)
        if number is not None:
            return number
        keywords = " ".join(sorted({self._keyword(name) for name in flags.keywords}))
        system = int(flags.system)
        row = self.db.execute(
            "SELECT number FROM flagset WHERE system = ? AND keywords = ?", (system, keywords)
        ).fetchone()
        if row is None:
            self.db.execute("INSERT INTO flagset (system, keywords) VALUES (?, ?)", (system, keywords))
            number = self.db.last_insert_rowid()
        else:
            number = int(row[0])
        if len(self.interned.numbers) >= MOST_INTERNED:
            self.interned.clear()
        self.interned.numbers[flags] = number
        return number

    def _keyword(self, name: str) -> str:
        row = self.db.execute("SELECT name FROM keyword WHERE folded = ?", (name.lower(),)).fetchone()
        if row is not None:
            return str(row[0])
        (count,) = self.db.execute("SELECT count(*) FROM keyword").fetchone() or (0,)
        if count >= self.settings.keywords:
            raise TooManyKeywords(
                f"This account has its {self.settings.keywords} keywords already.", "Use one of those that are there."
            )
        self.db.execute("INSERT INTO keyword (folded, name) VALUES (?, ?)", (name.lower(), name))
        return name

    def flags_of(self, number: int) -> Flags:
        """The flag set that has this number."""
        flags = self.interned.flags.get(number)
        if flags is None:
            row = self.db.execute("SELECT system, keywords FROM flagset WHERE number = ?", (number,)).fetchone()
            if row is None:
                raise LookupError(f"flag set {number} is missing")
            flags = Flags(System(row[0]), frozenset(map(intern, row[1].split())))
            if len(self.interned.flags) >= MOST_INTERNED:
                self.interned.flags.clear()
            self.interned.flags[number] = flags
        return flags

    # Counting --------------------------------------------------------------------------------------

    def touch_mailbox(
        self,
        key: int,
        *,
        messages: int = 0,
        unseen: int = 0,
        deleted: int = 0,
        size: int = 0,
        deleted_size: int = 0,
        uidnext: int = 0,
    ) -> None:
        """Add to a mailbox's counters, raise its UIDNEXT, give it this command's number; count use of space."""
        self.db.execute(
            "UPDATE mailbox SET messages = messages + ?, unseen = unseen + ?, deleted = deleted + ?, size = size + ?,"
            " deleted_size = deleted_size + ?, uidnext = max(uidnext, ?), highest_modseq = max(highest_modseq, ?)"
            " WHERE key = ?",
            (messages, unseen, deleted, size, deleted_size, uidnext, self.modseq, key),
        )
        self.used += size

    def stamp(self, mailbox: int, ranges: Iterable[tuple[int, int]]) -> None:
        """These placements, which were there before, have this command's number now: `finish` writes where it is looked
        up. New ones are stamped with the mailbox's counters, by a trigger."""
        self._stamped.setdefault(mailbox, []).extend(ranges)

    def remember(self, kind: str, mailbox: int | None, ranges: Sequence[tuple[int, int]], former: str | None) -> None:
        """A history row: what was there before this command."""
        self.db.execute(
            "INSERT INTO history (modseq, part, at, kind, mailbox, uids, former) VALUES (?1,"
            " (SELECT coalesce(max(part) + 1, 0) FROM history WHERE modseq = ?1), ?2, ?3, ?4, ?5, ?6)",
            (self.modseq, self.now, kind, mailbox, msgspec.msgpack.encode(ranges) if ranges else None, former),
        )

    def finish(self) -> None:
        """Write the account's counter and use, stamps, and the minute's clock row. Called by the writer."""
        for mailbox, ranges in self._stamped.items():
            stamps.write(self.db, mailbox, self.modseq, ranges, again=mailbox in self._placed)
        self.db.execute(
            "UPDATE account SET modseq = max(modseq, ?1), used = used + ?2,"
            " email_delivery = iif(?3, ?1, email_delivery)",
            (self.modseq, self.used, self.delivered),
        )
        minute = self.now // 60
        if minute == self.interned.minute:
            return
        last = self.db.execute("SELECT at FROM clock ORDER BY modseq DESC LIMIT 1").fetchone()
        if last is None or last[0] // 60 != minute:
            self.db.execute("INSERT OR REPLACE INTO clock (modseq, at) VALUES (?, ?)", (self.modseq, self.now))
        self.interned.minute = minute

    # Placements ------------------------------------------------------------------------------------

    def uidnext(self, mailbox: int, wanted: int = 0) -> int:
        """UIDNEXT of a mailbox that is to take `wanted` messages. Raises NoSuchMailbox, or that it is exhausted."""
        row = self.db.execute("SELECT uidnext FROM mailbox WHERE key = ?", (mailbox,)).fetchone()
        if row is None:
            raise NoSuchMailbox("There is no such mailbox.", "Create it first.")
        if row[0] + wanted - 1 > MAX_UID:
            raise CannotChangeMailbox("The mailbox has given out all its UIDs.", "Make a new mailbox.")
        return int(row[0])

    def note_uidnext(self, mailbox: int, uidnext: int) -> None:
        """Keep a UIDNEXT beside the file that has come into another stretch (see `served`). Costs fsyncs."""
        if self.note is not None:
            id, validity = self.db.execute("SELECT id, uidvalidity FROM mailbox WHERE key = ?", (mailbox,)).get
            self.note(Served(self.modseq, 0, {(id, validity): uidnext}))

    def note_uidvalidity(self, uidvalidity: int) -> None:
        """Keep a UIDVALIDITY beside the file that is about to be the account's last one, where it has run ahead of the
        clock into another stretch. Costs a look at the last one, and then fsyncs."""
        if self.note is not None and uidvalidity > self.now:
            last: int = self.db.execute("SELECT uidvalidity FROM account").get
            if uidvalidity > last and (last ^ uidvalidity) >> UIDVALIDITY_BITS:
                self.note(Served(self.modseq, uidvalidity, {}))

    def place(self, mailbox: int, placements: Sequence[NewPlacement]) -> list[int]:
        """Add placements of emails, in this order; their UIDs. The one way in, with `place_from`."""
        low = uid = self.uidnext(mailbox, len(placements))
        rows, uids = [], []
        unseen = deleted = size = deleted_size = 0
        counts = self.interned.counts
        for one in placements:
            if one.uid is not None and uid <= one.uid <= MAX_UID - len(placements):
                uid = one.uid
            rows.append((mailbox, uid, one.email, one.flagset, self.modseq, one.size, one.received, one.saved))
            uids.append(uid)
            uid += 1
            size += one.size
            is_unseen, is_deleted = counts.get(one.flagset) or self._counted(one.flagset)
            unseen += is_unseen
            if is_deleted:
                deleted += 1
                deleted_size += one.size
        bulk.insert(
            self.db, "INSERT INTO placement (mailbox, uid, email, flagset, modseq, size, received, saved) VALUES", rows
        )
        if (low ^ uid) >> UID_BITS:
            self.note_uidnext(mailbox, uid)
        if rows:
            self._placed.add(mailbox)
            self.touch_mailbox(
                mailbox,
                messages=len(rows), unseen=unseen, deleted=deleted, size=size, deleted_size=deleted_size, uidnext=uid,
            )  # fmt: skip
        if not all(one.alone for one in placements) and self.is_inbox(mailbox):
            self.db.executemany(
                "INSERT INTO pop3 (mailbox, uid, suffix, retrieved) VALUES (?, ?, 0, ?)",
                [(mailbox, u, p.retrieved) for u, p in zip(uids, placements, strict=True) if p.retrieved is not None],
            )
            suffixes.give(
                self.db, mailbox, low, uid - 1, {u: p.suffix for u, p in zip(uids, placements, strict=True) if p.suffix}
            )
        return uids

    def _counted(self, flagset: int) -> tuple[bool, bool]:
        """Whether messages of a flag set count as unseen, and as deleted."""
        system = self.flags_of(flagset).system
        if len(self.interned.counts) >= MOST_INTERNED:
            self.interned.counts.clear()
        found = self.interned.counts[flagset] = not system & System.SEEN, bool(system & System.DELETED)
        return found

    def place_from(
        self, mailbox: int, source: int, ranges: UidRanges, change: Callable[[Flags], Flags] | None = None
    ) -> tuple[array[int], array[int]]:
        """Add a placement for each of those that `ranges` names in `source`: (source UIDs, new UIDs), ascending.

        change: what becomes of their flags; it changes nothing which it has made itself.
        """
        found = array(
            "I", [row[0] for row in self.db.execute(_SELECT_UIDS, (pack(ranges), source))]
        )  # fmt: skip
        if not found:
            return found, array("I")
        low = self.uidnext(mailbox, len(found))
        self.db.execute(_PLACE_FROM, (pack(ranges), source, mailbox, low - 1, self.modseq, self.now))
        high = low + len(found) - 1
        if (low ^ (high + 1)) >> UID_BITS:
            self.note_uidnext(mailbox, high + 1)
        if change is not None:
            self._reflag(mailbox, low, high, change)
        self._placed.add(mailbox)
        self._count_in(mailbox, low, high)
        return found, array("I", range(low, high + 1))

    def _reflag(self, mailbox: int, low: int, high: int, change: Callable[[Flags], Flags]) -> None:
        """Change the flags of new placements, one statement for each distinct set of them."""
        where = (mailbox, low, high)
        sets: list[tuple[int]] = typed(
            self.db.execute("SELECT DISTINCT flagset FROM placement WHERE mailbox = ? AND uid BETWEEN ? AND ?", where)
        )
        for (number,) in sets:
            wanted = self.flagset(change(self.flags_of(number)))
            if wanted != number:
                self.db.execute(
                    "UPDATE placement SET flagset = ? WHERE mailbox = ? AND uid BETWEEN ? AND ? AND flagset = ?",
                    (wanted, *where, number),
                )

    def _count_in(self, mailbox: int, low: int, high: int) -> None:
        if high < low:
            return
        row = self.db.execute(_COUNT_PLACED, (mailbox, low, high)).fetchone()
        messages, unseen, deleted, size, deleted_size = row or (0, 0, 0, 0, 0)
        self.touch_mailbox(
            mailbox,
            messages=messages, unseen=unseen, deleted=deleted, size=size, deleted_size=deleted_size, uidnext=high + 1,
        )  # fmt: skip
        if self.is_inbox(mailbox):
            suffixes.give(self.db, mailbox, low, high, {})

    def is_inbox(self, mailbox: int) -> bool:
        row = self.db.execute("SELECT name FROM mailbox WHERE key = ?", (mailbox,)).fetchone()
        return row is not None and row[0] == INBOX

    def remove(
        self,
        mailbox: int,
        ranges: UidRanges,
        *,
        deleted_only: bool = False,
        moved_to: int | None = None,
        moved_low: int = 0,
    ) -> array[int]:
        """Remove placements into the log; their UIDs, ascending. The one way out.

        deleted_only: those with \\Deleted. moved_to, moved_low: they went there, the first as `moved_low` and the
        others behind it in order. Emails and contents stay for the retention time.
        """
        (before,) = self.db.execute("SELECT coalesce(max(number), 0) FROM removed").fetchone() or (0,)
        self.db.execute(
            _LOG_DELETED if deleted_only else _LOG_ALL,
            (pack(ranges), mailbox, self.modseq, self.now, self.session, moved_to, moved_low - 1),
        )
        gone = array("I", [row[0] for row in self.db.execute(_REMOVED_SINCE, (before,))])
        if not gone:
            return gone
        row = self.db.execute(_COUNT_REMOVED, (before,)).fetchone()
        messages, unseen, deleted, size, deleted_size = row or (0, 0, 0, 0, 0)
        whole = array("q", gone)
        for table in ("placement", "pop3", "seen"):
            self.db.execute(_DELETE_FROM[table], (mailbox, apsw.carray(whole)))
        self.touch_mailbox(
            mailbox,
            messages=-messages, unseen=-unseen, deleted=-deleted, size=-size, deleted_size=-deleted_size,
        )  # fmt: skip
        return gone


_SELECT_UIDS = f"SELECT p.uid FROM {spans('?1', 'placement', '?2')}"

_PLACE_FROM = f"""
INSERT INTO placement (mailbox, uid, email, flagset, modseq, size, received, saved)
SELECT ?3, ?4 + row_number() OVER (ORDER BY p.uid), p.email, p.flagset, ?5, p.size, p.received, ?6
FROM {spans("?1", "placement", "?2")}
"""

_COUNTS = (
    f"count(*), coalesce(sum({UNSEEN_SQL}), 0), coalesce(sum({DELETED_SQL}), 0), coalesce(sum(p.size), 0),"
    f" coalesce(sum(iif({DELETED_SQL}, p.size, 0)), 0)"
)

_COUNT_PLACED = (
    f"SELECT {_COUNTS} FROM placement p JOIN flagset f ON f.number = p.flagset"
    " WHERE p.mailbox = ? AND p.uid BETWEEN ? AND ?"
)

_COUNT_REMOVED = f"SELECT {_COUNTS} FROM removed p JOIN flagset f ON f.number = p.flagset WHERE p.number > ?"

_LOG = """
INSERT INTO removed (mailbox, uid, email, flagset, placed_modseq, modseq, size, received, saved, removed_at, session,
    moved_to, moved_uid)
SELECT p.mailbox, p.uid, p.email, p.flagset, p.modseq, ?3, p.size, p.received, p.saved, ?4, ?5,
    ?6, iif(?6 IS NULL, NULL, ?7 + row_number() OVER (ORDER BY p.uid))
FROM """ + spans("?1", "placement", "?2")

_LOG_ALL = _LOG + " ORDER BY p.uid"

_LOG_DELETED = _LOG + " WHERE p.flagset IN (SELECT f.number FROM flagset f WHERE " + DELETED_SQL + ") ORDER BY p.uid"

_REMOVED_SINCE = "SELECT uid FROM removed WHERE number > ? ORDER BY number"

_DELETE_FROM = {
    table: f"DELETE FROM {table} WHERE mailbox = ?1 AND uid IN (SELECT value FROM carray(?2))"
    for table in ("placement", "pop3", "seen")
}
