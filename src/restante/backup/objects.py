"""What objects hold: messages, and what is said of accounts in a snapshot. Values and their octets, pure.

```
snapshot (a file)  ->  pages of accounts  ->  an account's root  ->  segments of its mailboxes, sides
                   ->  pages of the directory, files
```
Everything below the snapshot is an object found by the hash of its content, so what did not change is written once. A
mailbox is a row of segments, the later ones changing what the earlier ones say: a night in which one message in a
hundred got a flag writes one small segment. All are MessagePack arrays in the order of the fields here; columns of
integers are little-endian octets.
"""

from __future__ import annotations

from array import array
from enum import Enum
from typing import TypeVar

import msgspec

from .crypto import VERIFY
from .errors import UNREADABLE, Corrupt, NewerFormat

VERSION = 1


class Kind(Enum):
    """An object's kind: one octet that is hashed with its content, and stands in tables."""

    MESSAGE = b"m"
    """The octets of a message."""
    RECIPE = b"r"
    """Stands under a message's id: the ids of the pieces it is made of (32 octets each)."""
    PIECE = b"p"
    SEGMENT = b"s"
    CATALOGUE = b"c"
    SIDE = b"x"
    ACCOUNT = b"a"
    PAGE = b"g"
    COMMON = b"d"
    PERSONS = b"u"
    FILE = b"f"
    ANSWERS = b"w"
    """Optional: kept once, with the messages."""


OF_MAIL = frozenset({Kind.MESSAGE, Kind.RECIPE, Kind.PIECE, Kind.ANSWERS})
"""Kinds that go into packs of mail, which are kept once; packs of metadata are kept twice."""


class Struct(msgspec.Struct, frozen=True, array_like=True):
    """Base of all of them: an array in MessagePack, whose later fields a newer version may add."""


class SegmentData(Struct, frozen=True, array_like=True):
    """Changes of one mailbox: what came, what was removed, whose flags are others. Applied in this order: gone,
    flagged, placed.

    Columns of what came, a value a message, ascending by UID. uids, sizes, flags, uidl_rows: 4 octets a value;
    orders, received, saved: 8, signed. orders: the email's number in its account, which tells which came first.
    email_ids, thread_ids: joined by a newline. digests: SHA-256 of the octets. arrivals: SHA-256 before trace fields,
    of those rows that arrival_rows names. uidls: foreign UIDLs, joined by a newline, of those rows that uidl_rows
    names. flags: a position in flag_sets, each (system bits, keywords joined by a space). gone: first and last UID of
    each range, 4 octets each. flagged: UIDs, 4 octets each; flagged_sets: their new flags. catalogue: the object that
    says who wrote what, empty where nothing came.
    """

    uids: bytes
    orders: bytes
    email_ids: bytes
    thread_ids: bytes
    digests: bytes
    sizes: bytes
    received: bytes
    saved: bytes
    flags: bytes
    arrival_rows: bytes
    arrivals: bytes
    uidl_rows: bytes
    uidls: bytes
    flag_sets: tuple[tuple[int, str], ...]
    gone: bytes
    flagged: bytes
    flagged_sets: bytes
    catalogue: bytes


class CatalogueData(Struct, frozen=True, array_like=True):
    """Who wrote what to whom, a line a message of the segment: decoded and folded text, each joined by a NUL."""

    senders: str
    recipients: str
    subjects: str
    message_ids: str


class AnswersData(Struct, frozen=True, array_like=True):
    """What was answered for messages at delivery: a column for each field of `store.backup.AnswerRow`, a value a
    message. An empty envelope: this message has no answers here. analyser: number of the analysis that the program
    has which wrote them."""

    version: int
    analyser: int
    envelope: tuple[bytes, ...]
    bodystructure: tuple[bytes, ...]
    headers: tuple[bytes, ...]
    body: tuple[bytes, ...]
    preview: tuple[str, ...]
    parts: tuple[bytes, ...]
    sent: tuple[int | None, ...]
    sent_day: tuple[int | None, ...]
    subject: tuple[str, ...]
    is_reply: tuple[int, ...]
    sender: tuple[str, ...]
    recipient: tuple[str, ...]
    cc: tuple[str, ...]
    display_from: tuple[str, ...]
    display_to: tuple[str, ...]
    message_id: tuple[str, ...]
    refs: tuple[str, ...]
    text_sender: tuple[str, ...]
    text_recipient: tuple[str, ...]
    text_cc: tuple[str, ...]
    text_bcc: tuple[str, ...]
    text_subject: tuple[str, ...]
    text_header: tuple[str, ...]
    traits: tuple[int, ...]
    pop3_size: tuple[int, ...]
    pop3_size_utf8: tuple[int, ...]


class MailboxData(Struct, frozen=True, array_like=True):
    """One mailbox. key: the account's number for it. segments: ids in order. weight: what the segments behind the
    first whole writing hold, in messages: from some weight on they are written anew. recent: UIDs up to it had been
    recent in a session."""

    key: int
    id: str
    name: str
    role: str | None
    uidvalidity: int
    uidnext: int
    highest_modseq: int
    recent: int
    messages: int
    octets: int
    segments: tuple[bytes, ...]
    weight: int


class MarkData(Struct, frozen=True, array_like=True):
    """By which an account that has not changed is known again: see `store.backup.Mark`."""

    incarnation: str
    modseq: int
    beside: tuple[int, ...]


class AccountData(Struct, frozen=True, array_like=True):
    """An account at one instant (`at`, seconds UTC).

    mailboxes: all that there are. tombstones: (key, id, name, role, uidvalidity, uidnext, removed at) of deleted ones,
    so that no UIDVALIDITY or MAILBOXID of theirs is given out again. keywords: in their first spelling. subscriptions:
    (user or "", name). acl: (mailbox key, identifier, rights). annotations: (mailbox key or 0, user or "", entry,
    value). pop3, hidden, seen: sides. missing: SHA-256 of messages whose octets could not be read from the store.
    answers: (id of a segment, ids of its answers joined: one for each run of its messages whose UIDs agree above their
    last nine bits), of those segments that have some.
    """

    version: int
    id: str
    at: int
    mark: MarkData
    uidvalidity: int
    created: int
    mailboxes: tuple[MailboxData, ...]
    tombstones: tuple[tuple[int, str, str, str | None, int, int, int], ...]
    keywords: tuple[str, ...]
    subscriptions: tuple[tuple[str, str], ...]
    acl: tuple[tuple[int, str, str], ...]
    annotations: tuple[tuple[int, str, str, bytes], ...]
    pop3: tuple[bytes, ...]
    hidden: tuple[bytes, ...]
    seen: tuple[bytes, ...]
    missing: tuple[bytes, ...]
    answers: tuple[tuple[bytes, bytes], ...] = ()


class Pop3Data(Struct, frozen=True, array_like=True):
    """What POP3 knows of messages: (mailbox key, UID, suffix of the UIDL, when first fetched)."""

    rows: tuple[tuple[int, int, int, int | None], ...]


class HiddenData(Struct, frozen=True, array_like=True):
    """Numbers (`orders` of a segment) of emails that POP3 does not show."""

    orders: tuple[int, ...]


class SeenData(Struct, frozen=True, array_like=True):
    """\\Seen of those who are not the owner: (mailbox key, UID, user, seen)."""

    rows: tuple[tuple[int, int, str, int], ...]


class AccountLine(Struct, frozen=True, array_like=True):
    """An account in a snapshot. root: id of its AccountData. at, mark: that one's. messages, octets: of all
    mailboxes."""

    id: str
    address: str
    at: int
    mark: MarkData
    root: bytes
    messages: int
    octets: int


class PageData(Struct, frozen=True, array_like=True):
    """Some accounts, by id."""

    accounts: tuple[AccountLine, ...]


class DomainData(Struct, frozen=True, array_like=True):
    """A domain, as `store.directory.Domain`."""

    name: str
    catch_all: str | None
    scram: bool
    created: int


class AliasData(Struct, frozen=True, array_like=True):
    """An alias, as `store.directory.Alias`."""

    address: str
    targets: tuple[str, ...]
    created: int


class CommonData(Struct, frozen=True, array_like=True):
    """What of the directory belongs to no account. secrets: (name, 32 octets). adopted: (MAILBOXID, account id)."""

    domains: tuple[DomainData, ...]
    aliases: tuple[AliasData, ...]
    secrets: tuple[tuple[str, bytes], ...]
    adopted: tuple[tuple[str, str], ...]


class CredentialData(Struct, frozen=True, array_like=True):
    """A credential, as `store.directory.Credential`; stored_key and server_key are those of its SCRAM verifier."""

    number: int
    kind: str
    label: str
    hash: str
    protocols: tuple[str, ...]
    stored_key: bytes | None
    server_key: bytes | None
    created: int
    last_used: int | None
    expires: int | None


class PersonData(Struct, frozen=True, array_like=True):
    """An account of the directory, as `store.directory.Account` and `Person`; pop3_delete to scram: its settings."""

    id: str
    address: str
    domain: str
    enabled: bool
    quota: int | None
    quota_messages: int | None
    quota_mailboxes: int | None
    pop3_delete: str | None
    pop3_leave_days: int | None
    pop3_seen: bool | None
    scram: bool | None
    demo: bool
    created: int
    credential_version: int
    salt: bytes
    iterations: int
    next_credential: int
    credentials: tuple[CredentialData, ...]


class PersonsData(Struct, frozen=True, array_like=True):
    """Some accounts of the directory, by address."""

    persons: tuple[PersonData, ...]


class FileLine(Struct, frozen=True, array_like=True):
    """A file of the installation: "restante.toml", "tls/cert.pem"."""

    name: str
    id: bytes


class SnapshotData(Struct, frozen=True, array_like=True):
    """What a snapshot's file holds. at: seconds UTC, when the run began. host: of the machine. restante: its version.
    pages: of accounts. common, persons: the directory. accounts, messages, octets: sums. failed: (address, why) of
    accounts that could not be read and stand here as in an earlier snapshot, if at all. serial: that its file's name
    begins with, 0 where that is not said: else who can add files could give an old one a new number."""

    version: int
    at: int
    host: str
    restante: str
    pages: tuple[bytes, ...]
    common: bytes
    persons: tuple[bytes, ...]
    files: tuple[FileLine, ...]
    accounts: int
    messages: int
    octets: int
    failed: tuple[tuple[str, str], ...]
    serial: int = 0


KINDS: dict[type[Struct], Kind] = {
    SegmentData: Kind.SEGMENT,
    CatalogueData: Kind.CATALOGUE,
    AccountData: Kind.ACCOUNT,
    Pop3Data: Kind.SIDE,
    HiddenData: Kind.SIDE,
    SeenData: Kind.SIDE,
    PageData: Kind.PAGE,
    CommonData: Kind.COMMON,
    PersonsData: Kind.PERSONS,
    AnswersData: Kind.ANSWERS,
}
"""The kind of object that holds each."""

S = TypeVar("S", bound=Struct)

encode = msgspec.msgpack.Encoder().encode
_decoders: dict[type[Struct], msgspec.msgpack.Decoder[Struct]] = {}


def prepare(*kinds: type[Struct]) -> None:
    """Make what takes these apart, half a millisecond each when it is first used: while nothing else can be done."""
    for what in kinds:
        if what not in _decoders:
            _decoders[what] = msgspec.msgpack.Decoder(what)


def decode(data: bytes | memoryview, what: type[S]) -> S:
    """Raises Corrupt, NewerFormat."""
    if what not in _decoders:
        prepare(what)
    try:
        found = _decoders[what].decode(data)
    except UNREADABLE as error:
        raise Corrupt("An object of the backup cannot be read.", VERIFY) from error
    if getattr(found, "version", VERSION) > VERSION:
        raise NewerFormat("The backup was written by a newer Restante.", "Install that version.")
    assert isinstance(found, what)
    return found


def column(code: str, data: bytes) -> array[int]:
    """A column of integers. code: as in `array`: "I" 4 octets, "q" 8. Raises Corrupt."""
    found: array[int] = array(code)
    if len(data) % found.itemsize:
        raise Corrupt("A column of the backup is cut short.", VERIFY)
    found.frombytes(data)
    if BIG:
        found.byteswap()
    return found


def octets(values: array[int]) -> bytes:
    """The octets of a column."""
    if BIG:
        values = array(values.typecode, values)
        values.byteswap()
    return values.tobytes()


BIG = array("H", (1,)).tobytes() == b"\x00\x01"
"""Whether this machine keeps numbers the other way round."""
