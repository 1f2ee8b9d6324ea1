"""The one search language: IMAP SEARCH, JMAP filters, Sieve tests and words typed into a search field compile to it.

Plain values, no behaviour: an engine compiles a `Query` to its own index ranges and evaluates the rest.
Strings are decoded text (any charset is dealt with before); comparison is substring, both sides folded by
i;unicode-casemap, unless a node says otherwise. An empty string matches whatever has the field.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum


class Field(Enum):
    """Header fields with a search key of their own, and the two whole texts."""

    FROM = "from"
    TO = "to"
    CC = "cc"
    BCC = "bcc"
    SUBJECT = "subject"
    BODY = "body"
    TEXT = "text"
    """Header or body."""


class Instant(Enum):
    """Which date a date key looks at."""

    RECEIVED = "received"
    """INTERNALDATE, disregarding time and zone (UTC here)."""
    SENT = "sent"
    """Date header field, disregarding time and zone."""
    SAVED = "saved"
    """When the message came into this mailbox (RFC 8514)."""


class Order(Enum):
    BEFORE = "<"
    ON = "="
    SINCE = ">="


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Not:
    operand: Query


@dataclass(frozen=True, slots=True)
class HasFlag:
    """The placement has this flag or keyword, compared without regard to case. E.g. "\\Seen", "$Junk"."""

    name: str


@dataclass(frozen=True, slots=True)
class Recent:
    """The message is recent in this session; the session replaces it by Uids before an engine sees it."""


@dataclass(frozen=True, slots=True)
class Uids:
    """UIDs, as ascending, disjoint, inclusive ranges of the mailbox searched."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """An IMAP sequence set as written (0 stands for "*"); saved: "$" is part of it (RFC 9051 6.4.4.1),
    or all of it.

    uid: it names UIDs. The session turns it into Uids before an engine sees it.
    """

    ranges: tuple[tuple[int, int], ...]
    uid: bool = False
    saved: bool = False


@dataclass(frozen=True, slots=True)
class Contains:
    """The decoded field (or text) has this substring."""

    field: Field
    text: str


@dataclass(frozen=True, slots=True)
class HeaderContains:
    """A header field of this name has this substring in its decoded value; "" asks whether it is there."""

    name: str
    text: str


class Match(Enum):
    """How a value is compared with a text (RFC 5228 2.7.1)."""

    IS = "is"
    CONTAINS = "contains"
    MATCHES = "matches"
    """The text is a pattern: "*" for any characters, "?" for one, a backslash takes the next one as it is. A character
    it is under every collation, where RFC 5228 has an octet under those of ASCII (see `query.fields`)."""


class Collation(Enum):
    """What counts as the same (RFC 4790 9, RFC 5051)."""

    OCTET = "i;octet"
    ASCII = "i;ascii-casemap"
    UNICODE = "i;unicode-casemap"


class Part(Enum):
    """What of an address is compared (RFC 5228 2.7.4, RFC 5233 4)."""

    ALL = "all"
    LOCALPART = "localpart"
    DOMAIN = "domain"
    USER = "user"
    """Of the local part what stands before the first separator, all where there is none."""
    DETAIL = "detail"
    """Of the local part what stands behind the first separator; an address without one has no such part."""


@dataclass(frozen=True, slots=True)
class FieldMatches:
    """A value of one of these header fields compares so with one of these texts (RFC 5228 5.1, 5.7).

    part: None for the whole value, decoded, without white space at its ends; otherwise that part of each of its
    addresses, without quotes, ALL being local part, "@" and domain. An address that is not valid has no other part.
    separator: what divides a local part, for USER and DETAIL; "" for nothing. A name that no field can have matches
    nothing.
    """

    names: tuple[str, ...]
    match: Match
    texts: tuple[str, ...]
    collation: Collation = Collation.ASCII
    part: Part | None = None
    separator: str = "+"


@dataclass(frozen=True, slots=True)
class Received:
    """INTERNALDATE, with its time, lies before `at` or (SINCE) not before it; ON means nothing here. RFC 8621 4.4.1.

    at: seconds UTC since 1970; negative ones are before that.
    """

    order: Order
    at: int


@dataclass(frozen=True, slots=True)
class Placed:
    """The email is in one of these mailboxes (MAILBOXIDs), or (elsewhere) in one that is none of them.

    This and the two below look at the email, wherever it is placed, as JMAP does: placements with \\Deleted do not
    count for any of them (RFC 8621 4.1.1). They are asked by an account's owner alone. No mailboxes: those of none;
    elsewhere those of any.
    """

    mailboxes: tuple[str, ...]
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class EmailHas:
    """The email has this flag or keyword, compared without regard to case: \\Seen where all its placements have it,
    another where one has."""

    name: str


@dataclass(frozen=True, slots=True)
class ThreadHas:
    """Some, or every, email of this one's thread (by THREADID, itself included) has this flag (`EmailHas`)."""

    name: str
    every: bool


@dataclass(frozen=True, slots=True)
class Dated:
    """The date (without time) stands in this order to `day`."""

    instant: Instant
    order: Order
    day: date


@dataclass(frozen=True, slots=True)
class Larger:
    """RFC822.SIZE is more than this many octets."""

    octets: int


@dataclass(frozen=True, slots=True)
class Smaller:
    """RFC822.SIZE is less than this many octets."""

    octets: int


@dataclass(frozen=True, slots=True)
class HasAttachment:
    """The message brings a file along (`mime.attached`). IMAP has no key for it."""


@dataclass(frozen=True, slots=True)
class ModSeq:
    """The placement's mod-sequence is at least this (RFC 7162 3.1.5)."""

    at_least: int


@dataclass(frozen=True, slots=True)
class EmailId:
    """OBJECTID (RFC 8474 6)."""

    id: str


@dataclass(frozen=True, slots=True)
class ThreadId:
    id: str


@dataclass(frozen=True, slots=True)
class Within:
    """INTERNALDATE lies within the last `seconds` (younger) or before that (RFC 5032)."""

    seconds: int
    younger: bool


@dataclass(frozen=True, slots=True)
class NamedFilter:
    """A search that is stored under this name (RFC 5466); the session replaces it before an engine sees it."""

    name: str


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """Match loosely, and score (RFC 6203): strings by the pieces they share, everything else as it is."""

    operand: Query


Query = (
    All | And | Or | Not | HasFlag | Recent | Uids | Sequence | Contains | HeaderContains | Dated
    | Larger | Smaller | HasAttachment | ModSeq | EmailId | ThreadId | Within | NamedFilter | Fuzzy
    | FieldMatches | Received | Placed | EmailHas | ThreadHas
)  # fmt: skip
