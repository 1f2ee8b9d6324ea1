"""What every reader of foreign mail gives: messages one at a time, and what could not be read.

A reader knows bytes, flags, dates and names of its format. It must not know the store, nor how mail is
analysed: `load` puts its results into an account. Readers are lazy: one message is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..errors import Refusal
from ..store.model import Flags, Identity


class ExchangeRefusal(Refusal):
    """A source cannot be read, or a destination cannot be written."""

    code = "EXCHANGE"


class NoSuchSource(ExchangeRefusal):
    """The path given does not exist."""

    code = "NOT-FOUND"


class Unsafe(ExchangeRefusal):
    """An archive is past a bound: too many members, or it would unpack to far more than it holds."""

    code = "UNSAFE-ARCHIVE"


@dataclass(frozen=True, slots=True)
class SourceMailbox:
    """A mailbox of a source. name: "/" between levels, "" for the source itself (INBOX, or where the caller says).

    uidvalidity, uidnext, modseq: of the server it was exported from; messages then carry UIDs. id, account,
    recent_uid, subscribed: of an account of ours that was exported: its MAILBOXID, whose it was, which UIDs had been
    recent in a session, whether it was subscribed. None where the source does not say. entries: annotations;
    account_entries: those of the account, beside its INBOX.
    """

    name: str
    role: str | None = None
    uidvalidity: int | None = None
    uidnext: int | None = None
    modseq: int | None = None
    id: str | None = None
    account: str | None = None
    recent_uid: int | None = None
    subscribed: bool | None = None
    entries: Mapping[str, bytes] = field(default_factory=dict)
    account_entries: Mapping[str, bytes] = field(default_factory=dict)


ANONYMOUS = Identity()


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message as it stands in the source.

    data: its octets, line ends as found. verbatim: they are exactly what a store of ours held, so that nothing
    may be normalised. received: INTERNALDATE, seconds UTC. mailbox: name of a SourceMailbox. where: for
    reports ("list.mbox:369"). arrival: SHA-256 before trace headers, where the source kept it.
    """

    data: bytes
    flags: Flags
    received: int
    mailbox: str
    where: str
    identity: Identity = ANONYMOUS
    arrival: bytes | None = None
    verbatim: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in the source that was not brought in, and why. lost: it is (or may be) a message."""

    where: str
    reason: str
    lost: bool = True


Item = SourceMailbox | Incoming | Skipped


class Source(Protocol):
    """Mail from elsewhere."""

    total: int
    """Octets of all files that will be read, for progress."""

    def items(self) -> Iterator[Item]:
        """Mailboxes, each before its messages; messages in the order of their UIDs; what was passed over."""
        ...

    def subscriptions(self) -> list[str] | None:
        """Subscribed names, None where the source does not say."""
        ...

    def close(self) -> None: ...


DEFAULT_LARGEST = 64 << 20
"""Largest message taken in, where the configuration does not say otherwise."""
