"""Commands of IMAP4rev1 and IMAP4rev2 as values: what a client asked, freed of its octets.

The grammar makes them, the session acts on them. A command's tag and whether it came under UID stand in the
value. Mailbox names are decoded text (NFC is applied by the session); user strings are octets until an RFC
gives them a charset. RFC 9051 6, RFC 3501 6, and the extensions' own RFCs where named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from ...query.language import Query, Sequence
from ...query.order import Criterion
from ...query.threads import Algorithm

SequenceSet = Sequence
"""A sequence set as written: ranges (low, high) with 0 for "*" in the order given by the client normalised
so that low <= high unless one end is "*"; `saved` for "$"; `uid` where it names UIDs."""


@dataclass(frozen=True, slots=True)
class Command:
    """Base of all commands. tag: as sent, 1 to 64 octets of RFC 9051's tag characters."""

    tag: bytes


# Any state ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capability(Command):
    pass


@dataclass(frozen=True, slots=True)
class Noop(Command):
    pass


@dataclass(frozen=True, slots=True)
class Logout(Command):
    pass


@dataclass(frozen=True, slots=True)
class Id(Command):
    """RFC 2971. parameters: name -> value (None for NIL), at most 30; None for `ID NIL`."""

    parameters: tuple[tuple[bytes, bytes | None], ...] | None


@dataclass(frozen=True, slots=True)
class Language(Command):
    """RFC 5255 3.2. ranges: as sent, in order of preference; none asks which languages there are."""

    ranges: tuple[str, ...]


# Not authenticated -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartTls(Command):
    pass


@dataclass(frozen=True, slots=True)
class Authenticate(Command):
    """mechanism: upper-case. initial: decoded initial response (RFC 4959), b"" for "=", None if absent."""

    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class Login(Command):
    user: bytes
    password: bytes


# Authenticated -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Enable(Command):
    """capabilities: upper-case, as asked, unknown ones included."""

    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compress(Command):
    """RFC 4978; DEFLATE is the one algorithm there is."""


@dataclass(frozen=True, slots=True)
class Unauthenticate(Command):
    """RFC 8437."""


@dataclass(frozen=True, slots=True)
class QResync:
    """SELECT's QRESYNC parameter (RFC 7162 3.2.5)."""

    uidvalidity: int
    modseq: int
    known_uids: SequenceSet | None
    known_sequences: SequenceSet | None
    """Sequence numbers paired with `known_sequence_uids` (seq-match-data)."""
    known_sequence_uids: SequenceSet | None


@dataclass(frozen=True, slots=True)
class Select(Command):
    """SELECT, or EXAMINE when read_only. condstore, qresync: RFC 7162."""

    mailbox: str
    read_only: bool
    condstore: bool = False
    qresync: QResync | None = None


@dataclass(frozen=True, slots=True)
class Create(Command):
    """special_use: attributes asked for by USE (RFC 6154 3), e.g. ("\\Drafts",)."""

    mailbox: str
    special_use: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete(Command):
    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename(Command):
    mailbox: str
    to: str


@dataclass(frozen=True, slots=True)
class Subscribe(Command):
    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe(Command):
    mailbox: str


class StatusItem(Enum):
    MESSAGES = b"MESSAGES"
    RECENT = b"RECENT"
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"
    DELETED = b"DELETED"
    DELETED_STORAGE = b"DELETED-STORAGE"
    SIZE = b"SIZE"
    HIGHESTMODSEQ = b"HIGHESTMODSEQ"
    MAILBOXID = b"MAILBOXID"
    APPENDLIMIT = b"APPENDLIMIT"


@dataclass(frozen=True, slots=True)
class List(Command):
    """LIST, basic or extended (RFC 5258, 9051 6.3.9).

    patterns: at least one. extended: parentheses were used, so that responses may carry extended data.
    selection: upper-case, of SUBSCRIBED REMOTE RECURSIVEMATCH SPECIAL-USE. returning: upper-case, of
    SUBSCRIBED CHILDREN SPECIAL-USE MYRIGHTS. status: items of RETURN (STATUS (...)) (RFC 5819), in order, or empty.
    metadata: entries of RETURN (METADATA (...)) (RFC 9590), as sent, or empty.
    """

    reference: str
    patterns: tuple[str, ...]
    extended: bool = False
    selection: frozenset[str] = frozenset()
    returning: frozenset[str] = frozenset()
    status: tuple[StatusItem, ...] = ()
    metadata: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lsub(Command):
    reference: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Namespace(Command):
    pass


@dataclass(frozen=True, slots=True)
class Status(Command):
    mailbox: str
    items: tuple[StatusItem, ...]


class AclMode(Enum):
    """What SETACL does with the rights it names."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


@dataclass(frozen=True, slots=True)
class SetAcl(Command):
    """RFC 4314 3.1. rights: as sent, without the sign; not looked into."""

    mailbox: str
    identifier: str
    mode: AclMode
    rights: str


@dataclass(frozen=True, slots=True)
class DeleteAcl(Command):
    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class GetAcl(Command):
    mailbox: str


@dataclass(frozen=True, slots=True)
class ListRights(Command):
    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class MyRights(Command):
    mailbox: str


@dataclass(frozen=True, slots=True)
class GetQuota(Command):
    """RFC 9208 4.1.1."""

    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot(Command):
    mailbox: str


@dataclass(frozen=True, slots=True)
class SetQuota(Command):
    """limits: (resource in capitals, limit in its unit), each resource once."""

    root: str
    limits: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Octets that came as a literal: a message, or a part of one in CATENATE.

    binary: a literal8 (RFC 3516, NUL allowed). utf8: inside UTF8 (...) (RFC 6855 4).
    """

    data: bytes
    binary: bool = False
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class Url:
    """A part of a message that is here already, named by an IMAP URL (see `urls`). RFC 4469 3."""

    url: bytes


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """One message to file. date: aware, as the client's zone gave it.

    parts: the message is their octets, one after the other; a single Text unless `catenate` (RFC 4469).
    """

    flags: tuple[str, ...]
    date: datetime | None
    parts: tuple[Text | Url, ...]
    catenate: bool = False


@dataclass(frozen=True, slots=True)
class Append(Command):
    """messages: at least one; all are filed or none (RFC 3502)."""

    mailbox: str
    messages: tuple[AppendMessage, ...]


@dataclass(frozen=True, slots=True)
class Idle(Command):
    pass


class Depth(Enum):
    """How far below the entries named GETMETADATA goes (RFC 5464 4.2.2)."""

    SELF = b"0"
    CHILDREN = b"1"
    ALL = b"INFINITY"


@dataclass(frozen=True, slots=True)
class GetMetadata(Command):
    """RFC 5464 4.2. mailbox: "" for the server. entries: valid names, as sent. maxsize: octets, None without."""

    mailbox: str
    entries: tuple[str, ...]
    maxsize: int | None = None
    depth: Depth = Depth.SELF


@dataclass(frozen=True, slots=True)
class SetMetadata(Command):
    """RFC 5464 4.3. mailbox: "" for the server. values: (valid name as sent, value or None to remove it)."""

    mailbox: str
    values: tuple[tuple[str, bytes | None], ...]


# Selected ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check(Command):
    """IMAP4rev1 alone."""


@dataclass(frozen=True, slots=True)
class Close(Command):
    pass


@dataclass(frozen=True, slots=True)
class Unselect(Command):
    pass


@dataclass(frozen=True, slots=True)
class Expunge(Command):
    """uids: UID EXPUNGE's set (RFC 4315), None for plain EXPUNGE."""

    uids: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class Partial:
    """A range of results as written: 1 is the first, -1 the last; `last` may stand before `first` (RFC 9394 4)."""

    first: int
    last: int

    @property
    def width(self) -> int:
        """How many results it names."""
        return abs(self.last - self.first) + 1

    def span(self, count: int) -> tuple[int, int]:
        """Positions [start, stop) of what it names among `count` results; start >= stop where it names none."""
        low, high = min(self.first, self.last), max(self.first, self.last)
        if low > 0:
            return min(low - 1, count), min(high, count)
        return max(count + low, 0), max(count + high + 1, 0)


@dataclass(frozen=True, slots=True)
class Search(Command):
    """returning: upper-case RETURN options (see parse_returning); None when RETURN was not given.

    An empty RETURN () is frozenset({"ALL"}). Sequence sets stand in `query` as Sequence nodes. charset: one was
    named (the strings are text already: the same search is meant either way). partial: PARTIAL's range. update:
    items that UPDATE wants of messages that arrive (RFC 5465 7).
    """

    query: Query
    uid: bool = False
    returning: frozenset[str] | None = None
    charset: bool = field(default=False, compare=False)
    partial: Partial | None = None
    update: tuple[FetchItem, ...] = ()


@dataclass(frozen=True, slots=True)
class CancelUpdate(Command):
    """tags: of the searches whose updates are to end (RFC 5267 4.3.5)."""

    tags: tuple[bytes, ...]


class SourceKind(Enum):
    """Which mailboxes ESEARCH looks at (RFC 7377 2.2, RFC 5465 6)."""

    SELECTED = b"SELECTED"
    INBOXES = b"INBOXES"
    PERSONAL = b"PERSONAL"
    SUBSCRIBED = b"SUBSCRIBED"
    SUBTREE = b"SUBTREE"
    SUBTREE_ONE = b"SUBTREE-ONE"
    MAILBOXES = b"MAILBOXES"


@dataclass(frozen=True, slots=True)
class Source:
    """mailboxes: names, of SUBTREE, SUBTREE_ONE and MAILBOXES alone."""

    kind: SourceKind
    mailboxes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ESearch(Command):
    """A search in several mailboxes (RFC 7377). sources: empty for the selected mailbox. The rest is as in Search."""

    query: Query
    sources: tuple[Source, ...] = ()
    returning: frozenset[str] | None = None
    charset: bool = field(default=False, compare=False)
    partial: Partial | None = None
    update: tuple[FetchItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Sort(Command):
    """RFC 5256, RFC 5267 3. returning: as in Search; the answer to None is a SORT response, else ESEARCH."""

    keys: tuple[Criterion, ...]
    query: Query
    uid: bool = False
    returning: frozenset[str] | None = None
    partial: Partial | None = None
    update: tuple[FetchItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Thread(Command):
    """RFC 5256."""

    algorithm: Algorithm
    query: Query
    uid: bool = False


class Item(Enum):
    """FETCH data items without a section."""

    UID = "UID"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    RFC822_SIZE = "RFC822.SIZE"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"
    BODYSTRUCTURE = "BODYSTRUCTURE"
    MODSEQ = "MODSEQ"
    EMAILID = "EMAILID"
    THREADID = "THREADID"
    SAVEDATE = "SAVEDATE"
    """RFC 8514 4.2."""
    PREVIEW = "PREVIEW"
    """RFC 8970 3."""
    PREVIEW_LAZY = "PREVIEW (LAZY)"
    """RFC 8970 4.1: only if it costs nothing. Previews are made at delivery, so it is answered like the other."""


class SectionText(Enum):
    """The word behind a section's part numbers; WHOLE when there is none."""

    WHOLE = ""
    HEADER = "HEADER"
    FIELDS = "HEADER.FIELDS"
    FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


@dataclass(frozen=True, slots=True)
class Body:
    """BODY[...]<...>, and rev1's RFC822, RFC822.HEADER, RFC822.TEXT (see `label`).

    path: part numbers. fields: header field names as sent. partial: (offset, count) in octets.
    label: what stands before the literal in the response, e.g. b"BODY[1.2.HEADER]<0>" or b"RFC822".
    peek: does not set \\Seen.
    """

    path: tuple[int, ...]
    text: SectionText
    fields: tuple[bytes, ...]
    partial: tuple[int, int] | None
    peek: bool
    label: bytes


@dataclass(frozen=True, slots=True)
class Binary:
    """BINARY[...]<...> and BINARY.SIZE[...] (size=True): RFC 3516, RFC 9051 6.4.5."""

    path: tuple[int, ...]
    partial: tuple[int, int] | None
    peek: bool
    size: bool
    label: bytes


FetchItem = Item | Body | Binary


@dataclass(frozen=True, slots=True)
class Fetch(Command):
    """items: macros expanded, in the order asked. changed_since, vanished: RFC 7162 3.1.4, 3.2.6.

    partial: of the messages named, those in this range (RFC 9394 3.3).
    """

    sequence: SequenceSet
    items: tuple[FetchItem, ...]
    uid: bool = False
    changed_since: int | None = None
    vanished: bool = False
    partial: Partial | None = None


class StoreMode(Enum):
    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


@dataclass(frozen=True, slots=True)
class Store(Command):
    """flags: as sent, e.g. ("\\Seen", "$Forwarded"). unchanged_since: RFC 7162 3.1.3."""

    sequence: SequenceSet
    mode: StoreMode
    silent: bool
    flags: tuple[str, ...]
    uid: bool = False
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy(Command):
    sequence: SequenceSet
    mailbox: str
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Replace(Command):
    """RFC 8508. sequence: one number, or "*"; of the selected mailbox, whatever `mailbox` the message goes to."""

    sequence: SequenceSet
    mailbox: str
    message: AppendMessage
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Move(Command):
    """RFC 6851."""

    sequence: SequenceSet
    mailbox: str
    uid: bool = False
