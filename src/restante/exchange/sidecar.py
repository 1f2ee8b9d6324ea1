"""restante.jsonl: what a Maildir and Dovecot's files beside it cannot say, one file in each folder.

The first line tells of the mailbox, lines behind it that begin with "entry" of its annotations (and, in INBOX's file,
of the account's), every other of one message, found by its file's base name. Written at
export, read at import; a server that works on the Maildir in between leaves it alone, so what it says of
changing things (flags, UIDs) is only taken where the other files have no place for it. docs/exchange.md
documents every key.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

FILE = "restante.jsonl"
VERSION = 1


class MailboxLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first line. name: exact. foreign: names that are subscribed but name no mailbox (INBOX's file alone).

    account: the exported account's opaque id, by which its own installation knows it again. recent_uid: UIDs up to
    it have been recent in a session; None in files of older versions.
    """

    restante: int
    name: str
    id: str = ""
    account: str = ""
    role: str | None = None
    uidvalidity: int
    uidnext: int
    modseq: int
    recent_uid: int | None = None
    subscribed: bool = False
    foreign: list[str] = []


class MessageLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message. digest: SHA-256 of its octets, hexadecimal. keywords: those without a letter.

    received, saved: seconds UTC. uidl: what an old server gave; absent where the UIDL is the EMAILID. hidden: from
    POP3 alone, since a DELE there was to keep the message. suffix: behind the UIDL's dot, in INBOX. retrieved: when
    POP3 first fetched it. arrival: SHA-256 before trace fields, hexadecimal.
    """

    file: str
    email_id: str
    thread_id: str
    received: int
    digest: str
    saved: int | None = None
    uidl: str | None = None
    hidden: bool = False
    suffix: int | None = None
    retrieved: int | None = None
    arrival: str | None = None
    keywords: list[str] = []


class EntryLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One annotation. value: base64. account: of the account, not of the mailbox."""

    entry: str
    value: bytes
    account: bool = False


_ENTRY = b'{"entry":'

_entry = msgspec.json.Decoder(EntryLine)
_mailbox = msgspec.json.Decoder(MailboxLine)
_message = msgspec.json.Decoder(MessageLine)
encode = msgspec.json.Encoder().encode


class BadSidecar(ValueError):
    """The file is not a sidecar of a version that is understood."""


def parse_mailbox(line: bytes) -> MailboxLine:
    """The first line. Raises BadSidecar."""
    try:
        found = _mailbox.decode(line)
    except msgspec.DecodeError as cause:
        raise BadSidecar(f"{FILE}: its first line cannot be read") from cause
    if found.restante > VERSION:
        raise BadSidecar(f"{FILE} was written by a newer Restante")
    return found


def parse_entries(lines: list[bytes]) -> list[EntryLine]:
    """Annotations among the other lines. Raises BadSidecar."""
    try:
        return [_entry.decode(line) for line in lines if line.startswith(_ENTRY)]
    except msgspec.DecodeError as cause:
        raise BadSidecar(f"{FILE}: an entry cannot be read") from cause


def parse_messages(lines: list[bytes]) -> Iterator[MessageLine]:
    """Messages among the other lines. Raises BadSidecar."""
    for number, line in enumerate(lines, 2):
        if line and not line.startswith(_ENTRY):
            try:
                yield _message.decode(line)
            except msgspec.DecodeError as cause:
                raise BadSidecar(f"{FILE}: line {number} cannot be read") from cause
