"""The one search language: IMAP SEARCH compiles to it now; JMAP filters and Sieve tests later.

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
    """An IMAP sequence set as written (0 stands for "*"); saved: it was "$" (RFC 9051 6.4.4.1).

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
)  # fmt: skip
