"""What an account is: the values that every engine gives and takes.

An email is stored once, is immutable and has a permanent identity; a mailbox holds placements of it, and
flags belong to the placement. Every changing command has its own change number (`modseq`, 63 bits, from 1,
one counter an account). Instants are whole seconds since 1970 UTC where a protocol needs no finer ones.

Hot paths: rows leave an engine as plain tuples in batches (`Column`); flag sets are interned, so that a row
carries a small number and `FlagTable` turns it into ready octets.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum, IntFlag
from typing import NamedTuple
from weakref import ref

from ..mime.model import Analysis
from ..values import Value
from .droplist import DropList as DropList
from .droplist import DropMessage as DropMessage
from .rights import ALL as ALL_RIGHTS
from .rights import Rights

UidRanges = tuple[tuple[int, int], ...]
"""Ascending, disjoint, inclusive ranges of UIDs."""

INBOX = "INBOX"
SEPARATOR = "/"

ROLES = frozenset({"\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash", "\\Important"})
"""Special uses a mailbox may have (RFC 6154 2, RFC 8457): one mailbox a role, one role a mailbox."""


class System(IntFlag):
    """System flags (RFC 9051 2.3.2) as bits. \\Recent belongs to a session and is never stored."""

    NONE = 0
    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


SYSTEM_NAMES: Mapping[str, System] = {
    "\\answered": System.ANSWERED,
    "\\flagged": System.FLAGGED,
    "\\deleted": System.DELETED,
    "\\seen": System.SEEN,
    "\\draft": System.DRAFT,
}
"""Lower-case name -> bit."""

SYSTEM_WIRE: tuple[tuple[System, str], ...] = (
    (System.ANSWERED, "\\Answered"),
    (System.FLAGGED, "\\Flagged"),
    (System.DELETED, "\\Deleted"),
    (System.SEEN, "\\Seen"),
    (System.DRAFT, "\\Draft"),
)


class Flags(Value, frozen=True):
    """A set of flags and keywords. Keywords keep the case of their first use in the account."""

    system: System = System.NONE
    keywords: frozenset[str] = frozenset()

    @property
    def wire(self) -> bytes:
        """Octets for between the parentheses of FLAGS (...): system flags first, then keywords sorted."""
        names = [name for bit, name in SYSTEM_WIRE if self.system & bit]
        names += sorted(self.keywords)
        return " ".join(names).encode("ascii")

    def __contains__(self, name: str) -> bool:
        bit = SYSTEM_NAMES.get(name.lower())
        if bit is not None:
            return bool(self.system & bit)
        low = name.lower()
        return any(k.lower() == low for k in self.keywords)

    @classmethod
    def of(cls, names: Iterable[str]) -> Flags:
        """Flags from names ("\\Seen", "$Junk"). \\Recent is passed over; an unknown \\Flag is a ValueError."""
        system = System.NONE
        keywords: dict[str, str] = {}
        for name in names:
            if name.startswith("\\"):
                if name.lower() == "\\recent":
                    continue
                bit = SYSTEM_NAMES.get(name.lower())
                if bit is None:
                    raise ValueError(f"no such system flag: {name}")
                system |= bit
            else:
                keywords.setdefault(name.lower(), name)
        return cls(system, frozenset(keywords.values()))


MOST_ASKED = 500
"""Values that a table of flag sets holds: a megabyte where they have many keywords."""

_SYSTEM_WIRES = tuple(Flags(System(bits)).wire for bits in range(1 << len(SYSTEM_WIRE)))
"""By their bits."""


class FlagTable(Mapping[int, Flags]):
    """Interned flag sets of one account: number -> Flags, append-only, shared by all sessions of a process.

    `wires` maps the same numbers to `Flags.wire`, for hot paths: `list(map(table.wires.__getitem__, ids))`.
    Every number that a row of `Store.rows` or `Store.delta` carries is in the table when that call returns.

    Only the octets are kept of each, some 200 with a dozen keywords, and values of those that were asked for last: an
    application that counts in keywords makes a set of every number it comes to. `keywords` are those of all sets there
    are, each spelling of one.
    """

    __slots__ = ("_asked", "keywords", "wires")

    def __init__(self) -> None:
        self._asked: dict[int, Flags] = {}
        self.keywords: set[str] = set()
        self.wires: dict[int, bytes] = {}

    def add(self, number: int, system: System | int, keywords: str) -> None:
        """Take in a set, in place of another one with this number. keywords: sorted, joined by one space."""
        self.wires[number] = b" ".join(filter(None, (_SYSTEM_WIRES[system], keywords.encode("ascii"))))
        self._asked.pop(number, None)
        if keywords:
            self.keywords.update(keywords.split(" "))

    def having(self, name: str) -> set[int]:
        """Numbers of the sets that hold a flag or keyword, in whatever case. Cost: 0.2 to 0.6 us for each set there
        is."""
        bit = SYSTEM_NAMES.get(name.lower())
        if bit is not None:
            written = _SYSTEM_WIRES[bit]  # no keyword has a backslash
            return {number for number, wire in self.wires.items() if written in wire}
        wanted = name.lower().encode(errors="backslashreplace")
        near = [(number, wire) for number, wire in self.wires.items() if wanted in wire.lower()]
        return {number for number, wire in near if wanted in wire.lower().split()}

    def __getitem__(self, number: int) -> Flags:
        flags = self._asked.get(number)
        if flags is None:
            flags = Flags.of(self.wires[number].decode("ascii").split())
            if len(self._asked) >= MOST_ASKED:
                self._asked.clear()
            self._asked[number] = flags
        return flags

    def __iter__(self) -> Iterator[int]:
        return iter(self.wires)

    def __len__(self) -> int:
        return len(self.wires)


class Mailbox(Value, frozen=True):
    """One mailbox as it stands at one change number.

    key: the engine's number for it, stable for its life, never reused. id: MAILBOXID (RFC 8474 4), "b...".
    name: NFC, "/" between levels, "INBOX" in capitals. role: special use or None. highest_modseq: the last
    number that touched its placements, removals or annotations; never falls, at least 1. recent_uid: UIDs up
    to it have been recent in some session. size, deleted_size: octets. subscribed: by the acting user.
    rights: the acting user's; counters of a mailbox that he may not read are 0, and `unseen` is by his own \\Seen.
    """

    key: int
    id: str
    name: str
    role: str | None
    uidvalidity: int
    uidnext: int
    highest_modseq: int
    recent_uid: int
    messages: int
    unseen: int
    deleted: int
    size: int
    deleted_size: int
    subscribed: bool
    rights: Rights = ALL_RIGHTS


class UidList:
    """The UIDs of a mailbox, ascending, immutable: position + 1 is the sequence number.

    One array is shared by every session whose view is the same. Never change `uids`. A list knows the one that was last
    made by adding to it, while somebody holds that: a crowd that is told of new mail makes one list, not one each.
    """

    __slots__ = ("__weakref__", "_longer", "uids")

    def __init__(self, uids: array[int]) -> None:
        self.uids = uids
        self._longer: ref[UidList] | None = None

    @classmethod
    def of(cls, uids: Iterable[int]) -> UidList:
        return cls(array("I", uids))

    def __len__(self) -> int:
        return len(self.uids)

    def sequence(self, uid: int) -> int:
        """Sequence number of `uid`, 0 if it is not here."""
        i = bisect_left(self.uids, uid)
        return i + 1 if i < len(self.uids) and self.uids[i] == uid else 0

    def sequences(self, uids: Iterable[int]) -> list[int]:
        """Sequence numbers of ascending `uids`, 0 for each that is not here. Cost: a tenth of `sequence` for each that
        has no gap between it and the one before, else no more than that."""
        there, size = self.uids, len(self.uids)
        found: list[int] = []
        i, last = 0, there[0] if size else 0
        for uid in uids:
            at = i + uid - last  # strictly ascending: it stands here, or before
            if not (0 <= at < size and there[at] == uid):
                at = bisect_left(there, uid, i, at if at < size else size)
                if at >= size or there[at] != uid:
                    found.append(0)
                    continue
            found.append(at + 1)
            i, last = at, uid
        return found

    def position(self, uid: int) -> int:
        """Where `uid` stands, from 0. Raises ValueError if it is not here."""
        number = self.sequence(uid)
        if not number:
            raise ValueError(f"UID {uid} is not in this list")
        return number - 1

    def span(self, low: int, high: int) -> tuple[int, int]:
        """Positions [start, stop) of the UIDs within low..high inclusive."""
        return bisect_left(self.uids, low), bisect_right(self.uids, high)

    def begins(self, other: UidList) -> bool:
        """Whether `other` is this list, or this one with more at its end. Cost: one comparison in C, or none."""
        return other is self or (len(self) <= len(other) and self.uids == other.uids[: len(self)])

    def with_more(self, uids: Sequence[int]) -> UidList:
        """A list with larger UIDs at its end."""
        if not len(uids):
            return self
        more = array("I", uids)
        known = self._longer() if self._longer is not None else None
        if known is not None and known.uids[len(self) :] == more:
            return known
        longer = UidList(self.uids + more)
        self._longer = ref(longer)
        return longer

    def without(self, gone: Sequence[int]) -> UidList:
        """A list without `gone` (ascending UIDs; those not here are passed over). Cost: one copy."""
        if not len(gone):
            return self
        kept, start = array("I"), 0
        for uid in gone:
            i = bisect_left(self.uids, uid, start)
            if i < len(self.uids) and self.uids[i] == uid:
                kept += self.uids[start:i]
                start = i + 1
        kept += self.uids[start:]
        return UidList(kept)


class Snapshot(Value, frozen=True):
    """A mailbox and its UIDs at one change number, read in one transaction."""

    mailbox: Mailbox
    uids: UidList


class Opening(Value, frozen=True):
    """What SELECT tells of a mailbox, at one change number.

    keywords: of the account, or, for who is not its owner, of the mailbox; sorted. first_unseen: the smallest UID
    without \\Seen, 0 where there is none.
    """

    snapshot: Snapshot
    keywords: list[str]
    first_unseen: int


class Column(Enum):
    """What a row may carry. The value's Python type stands behind each."""

    FLAGS = "flags"  # int, number in the account's FlagTable
    MODSEQ = "modseq"  # int
    SIZE = "size"  # int, octets
    RECEIVED = "received"  # int, seconds UTC (INTERNALDATE)
    SAVED = "saved"  # int, seconds UTC
    EMAIL_ID = "email_id"  # bytes, ASCII
    THREAD_ID = "thread_id"  # bytes, ASCII
    ENVELOPE = "envelope"  # bytes, ready
    BODY = "body"  # bytes, ready
    BODYSTRUCTURE = "bodystructure"  # bytes, ready
    HEADERS = "headers"  # bytes, cached header fields (mime Analysis.headers)
    PREVIEW = "preview"  # str
    TRAITS = "traits"  # int, mime Trait bits
    PARTS = "parts"  # bytes, see store.parts: encoded Part tree
    DIGEST = "digest"  # bytes, SHA-256 of the stored octets
    CONTENT = "content"  # int, opaque key for Store.read_content / read_contents


Row = tuple[object, ...]
"""(uid, *columns asked, in the order asked)."""


class Delta(Value, frozen=True):
    """What changed in a mailbox after change number `since`, read in one transaction.

    mailbox: as it stands now. changed: (uid, flag set number, modseq) of placements whose modseq is above
    `since`, new ones included, ascending by UID. vanished: UIDs removed after `since`, ascending (those that
    came and went in between may be among them). complete: False if `since` lies below the log floor: then
    `vanished` cannot be relied on and the caller compares UID lists. uids: all that are there now, where an engine
    has them at hand; None says nothing.
    """

    mailbox: Mailbox
    changed: list[tuple[int, int, int]]
    vanished: array[int]
    complete: bool
    uids: UidList | None = None


class FlagMode(Enum):
    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


class Blob(Value, frozen=True):
    """Octets that `Store.put` took: what `append` refers to. Made by an engine, opaque to others.

    digest: SHA-256. size: octets. token: the engine's own.
    """

    digest: bytes
    size: int
    token: object


class Identity(Value, frozen=True):
    """What a message brings along when it comes from an export, a restore or an old server.

    email_id and thread_id are taken only where octets and INTERNALDATE agree with what the account holds
    under that id, or the account holds nothing under it. uidl: a POP3 UIDL that an old server gave (1 to 70
    octets of 0x21..0x7E), kept for good. uid: wished UID, taken only in an empty range (uid >= UIDNEXT).
    hidden: from POP3 (`Pop3Delete.KEEP`). suffix, retrieved: see `Provenance`; for INBOX alone, the suffix taken
    where no other message there has that UIDL.
    """

    email_id: str | None = None
    thread_id: str | None = None
    uidl: str | None = None
    uid: int | None = None
    saved: int | None = None
    hidden: bool = False
    suffix: int | None = None
    retrieved: int | None = None


class Provenance(NamedTuple):
    """What export keeps of a placement beside its columns. A tuple: there may be 100,000.

    uidl: foreign UIDL or None. hidden: from POP3. suffix: of the UIDL in INBOX, 0 where that is the identity alone.
    retrieved: when POP3 first fetched it, seconds UTC. arrival: SHA-256 before trace headers.
    """

    uid: int
    email_id: str
    uidl: str | None
    hidden: bool
    suffix: int
    retrieved: int | None
    arrival: bytes | None


class Adoption(Value, frozen=True):
    """What a mailbox goes on with that an old server, or an account that was exported, had.

    modseq: of the mailbox there. id: MAILBOXID, None for one of its own. recent_uid: as in `Mailbox`.
    """

    uidvalidity: int
    modseq: int
    id: str | None = None
    recent_uid: int = 0


class NewMessage(Value, frozen=True):
    """One message to append. received: INTERNALDATE, seconds UTC. arrival: SHA-256 before trace headers."""

    blob: Blob
    analysis: Analysis
    flags: Flags
    received: int
    arrival: bytes | None = None
    identity: Identity = Identity()


class ReadyMessage(Value, frozen=True):
    """One message to append that was made ready elsewhere (`Store.preparing`). answers: what is kept beside it, opaque
    to others than the engine. The rest as of `NewMessage`."""

    blob: Blob
    answers: object
    flags: Flags
    received: int
    arrival: bytes | None = None
    identity: Identity = Identity()


class Appended(Value, frozen=True):
    """What append did, in the order given. uids[i] belongs to messages[i]."""

    mailbox: Mailbox
    uids: tuple[int, ...]
    email_ids: tuple[str, ...]
    modseq: int


class Flagged(Value, frozen=True):
    """What store_flags did. modseq: the command's number, 0 if nothing changed.

    changed: UIDs whose flags are others than before, ascending. refused: UIDs left alone because of
    unchanged_since (RFC 7162 3.1.3), ascending. mailbox: as it stands afterwards, and before: its highest_modseq
    until then, so that a session that knew that one knows all; None and 0 where an engine does not say. sets: what
    became of those of `changed`, as the numbers of the flag set they had and of the one they have now, which none of
    them had before, and their UIDs, ascending; none where an engine does not say.
    """

    modseq: int
    changed: array[int]
    refused: array[int]
    mailbox: Mailbox | None = None
    before: int = 0
    sets: tuple[tuple[int, int, array[int]], ...] = ()


class Copied(Value, frozen=True):
    """What copy or move did: source[i] became target[i]; UIDs that were gone are left out.

    target_mailbox: as it stands afterwards. modseq: number given to the new placements. removed_modseq: for
    a move, the number of the removal (the same command, so the same number).
    """

    target_mailbox: Mailbox
    source: array[int]
    target: array[int]
    modseq: int


class Removed(Value, frozen=True):
    """What expunge did. uids ascending; modseq: the command's number, 0 if nothing was removed. before: the mailbox's
    highest_modseq until then; 0 where an engine does not say."""

    modseq: int
    uids: array[int]
    before: int = 0


class Pop3Delete(Enum):
    """What DELE does at QUIT (the account's choice)."""

    REMOVE = "remove"
    TRASH = "trash"
    KEEP = "keep"


class Recoverable(Value, frozen=True):
    """A removed message that can still come back. number: names it for undelete, stable."""

    number: int
    mailbox: str
    uid: int
    email_id: str
    removed_at: int
    session: str
    received: int
    size: int
    flags: Flags
    sender: str
    subject: str


class Scored(Value, frozen=True):
    """What a fuzzy search found (RFC 6203 4). uids: ascending. scores: one for each, in the same order, 1 to 100; the
    best match has 100. best: what that 100 stands for, 0 to 1: by it scores of several mailboxes compare."""

    uids: array[int]
    scores: array[int]
    best: float


class Finding(Value, frozen=True):
    """One broken invariant. repairable: `doctor --repair` can mend it from what is there."""

    code: str
    text: str
    repairable: bool
    repaired: bool = False


class AccountStats(Value, frozen=True):
    """Counts of one account's store. used: octets that count against the quota (each email once a placement)."""

    mailboxes: int
    messages: int
    used: int
    recoverable: int
    recoverable_size: int
    file_size: int
    modseq: int
