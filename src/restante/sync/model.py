"""Values that planner, engine and sides share. Knows no protocol, file, socket or clock.

A *side* is anything that holds mailboxes with messages: an IMAP server, a Maildir tree, a store. A message on a
side has a UID: a positive number below 2**63 that is never given out twice while the mailbox's `validity` stays.
Sides whose messages have names instead (Maildir) keep numbers for them.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from ..values import Record, Value, field

Flags = frozenset[str]
"""System flags as "\\Seen" (never \\Recent), keywords as first spelt. Two keywords that differ in case are one:
`Spelling` sees to that, so that sets compare by ==."""

NO_FLAGS: Flags = frozenset()

SYSTEM_FLAGS: Mapping[str, str] = {
    name.lower(): name for name in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
}


class Spelling:
    """One spelling a keyword, one object a flag set, for as long as this lives (a run over one account).

    Messages share a few distinct sets: a side that holds 100,000 of them holds 100,000 references, not sets.
    """

    __slots__ = ("_names", "_sets")

    def __init__(self) -> None:
        self._names: dict[str, str] = dict(SYSTEM_FLAGS)
        self._sets: dict[Flags, Flags] = {NO_FLAGS: NO_FLAGS}

    def flags(self, names: Sequence[str] | Flags) -> Flags:
        """The set of these names: \\Recent and other unknown system flags are passed over."""
        kept = set()
        for name in names:
            low = name.lower()
            if low.startswith("\\") and low not in SYSTEM_FLAGS:
                continue
            kept.add(self._names.setdefault(low, name))
        found = frozenset(kept)
        return self._sets.setdefault(found, found)


class Place(Value, frozen=True):
    """A mailbox as a side lists it: what a look at all mailboxes tells in one or two round trips.

    name: NFC, "/" between levels whatever the side uses, "INBOX" in capitals. id: a permanent one (MAILBOXID, a
    marker inside a folder), None where the side has none. role: special use ("\\Sent") or None. validity: changes
    when UIDs begin anew. state: opaque; while it is the same, nothing in the mailbox has changed. None where a look
    cannot tell (an IMAP server without CONDSTORE), so that `Side.changes` has to be asked each time. messages: how
    many, None if unknown. selectable: False for a name that only has children.
    """

    name: str
    validity: str
    state: str | None
    id: str | None = None
    role: str | None = None
    subscribed: bool = False
    messages: int | None = None
    selectable: bool = True


class Changes(Record):
    """What is there, or what changed, in one mailbox. Parallel columns, ascending by UID: no object a message.

    full: `uids` are all messages of the mailbox; else only those that are new or whose flags may have changed, and
    `vanished` (ascending) are all UIDs that are gone since, those that came meanwhile too: the asker may have put them
    there, or never have known them. cursor: opaque, for the next `Side.changes`; it stands for the state in which this
    was read, or one before. validity: of the mailbox when it was read. emails: permanent identities (EMAILID) where the
    side has them, else None. lasting: a message keeps its identity whatever is done with it; False where another
    program may give it another one (a Maildir's file names). receded: the mailbox is in a state before the
    cursor's, so that UIDs may be other messages' by now (then it is full); restored: that is sure. grown: UIDs have
    been given out since, which may be so again, by a server that was restored and has come further than it had been.
    """

    validity: str
    cursor: str
    full: bool
    uids: array[int] = field(default_factory=lambda: array("Q"))
    flags: list[Flags] = field(default_factory=list)
    vanished: array[int] = field(default_factory=lambda: array("Q"))
    emails: list[str | None] | None = None
    lasting: bool = True
    receded: bool = False
    restored: bool = False
    grown: bool = False


class Outline(Value, frozen=True):
    """What a message is known by before its octets are read.

    size: octets with CRLF line ends, None where asking would mean reading it. received: INTERNALDATE, seconds UTC.
    mark: 16 octets, `outline.mark` of its Message-ID, Date, From, To and Subject fields. email: EMAILID or None.
    ident: 16 octets, `outline.ident` of its Message-ID alone; empty where it has none, or the side does not say.
    digest: `outline.digest` of all its octets, where the side knows it without reading them.
    """

    uid: int
    size: int | None
    received: int
    mark: bytes
    email: str | None = None
    ident: bytes = b""
    digest: bytes | None = None


class Message(Value, frozen=True, weakref=True):
    """A message on its way from one side to the other. data: octets with CRLF line ends, never altered otherwise.

    received: INTERNALDATE, seconds UTC. uid: on the side it comes from (0: none). email: its EMAILID there, which a
    store takes over. thread: likewise, THREADID. uidl: likewise, the UIDL that an old server's POP3 gave it (in INBOX).
    """

    uid: int
    data: bytes
    flags: Flags
    received: int
    email: str | None = None
    thread: str | None = None
    uidl: str | None = None


class Added(Value, frozen=True):
    """What became of a message that a side was asked to add.

    uid: its UID there; 0 where the side does not tell (a server without UIDPLUS): it is found among the next changes
    by its content. refused: why it was not taken ("larger than this server takes"), else None. temporary: asking
    again later may help (over quota); False: it never will.
    """

    uid: int
    refused: str | None = None
    temporary: bool = False


class Withheld(Value, frozen=True):
    """A message that is there, and that its side does not give. temporary: it may, when asked again later."""

    reason: str
    temporary: bool = True


class FlagChange(Value, frozen=True):
    """Add and remove these flags on these messages (ascending UIDs). What is not named stays as it is there."""

    uids: Sequence[int]
    add: Flags
    remove: Flags
