"""What an account was at its snapshots: values, and the interfaces by which a session looks at them.

    session -> Past.states(account)           which snapshots have the account
            -> Past.store(account, state)     the account as it was then: a `Store` that nothing can be changed in

Such a store reads an ordinary account file that is filled as far as somebody looks: rows of a mailbox when it is
opened, what FETCH says and SEARCH compares when it is asked for. A `Bringer` does the filling; who that is, and where
it has things from, this room does not know. `PastFile` is that file for the one who writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .interface import Store

if TYPE_CHECKING:
    from ..mime.model import Analysis
    from .model import UidRanges


@dataclass(frozen=True, slots=True)
class PastState:
    """A snapshot that has the account. name: one level of a mailbox name, for people. id: opaque."""

    name: str
    id: str


@dataclass(frozen=True, slots=True)
class PastBox:
    """A mailbox as it was. id: a MAILBOXID of its own, the same whenever somebody looks. octets: of its messages."""

    name: str
    id: str
    uidvalidity: int
    uidnext: int
    highest_modseq: int
    messages: int
    octets: int


class PastStore(Store, Protocol):
    """An account as it was: a store in which nothing can be changed."""

    def passed_over(self) -> int:
        """How many messages have been left out of what was asked since the last call, because the backup has lost them:
        by `rows`, or by a search, sort or thread that compares what is in messages."""
        ...


class Past(Protocol):
    """Snapshots of accounts. Raises PastUnavailable, from each method and from the stores that it gives."""

    async def states(self, account: str) -> list[PastState]:
        """Those of the account with this id (not: of this address), oldest first; names differ."""
        ...

    async def store(self, account: str, state: PastState) -> PastStore:
        """The account as it was. Raises NoSuchMailbox where the snapshot is not there (any more)."""
        ...


class Pop3Past(NamedTuple):
    """What POP3 knew of a message: see `model.Provenance`."""

    hidden: bool
    suffix: int
    retrieved: int | None


@dataclass(frozen=True, slots=True)
class Lent:
    """Messages whose octets lie in the file until they are given back. token: names the loan. pop3: by UID, of those
    of which POP3 knew something."""

    token: int
    pop3: Mapping[int, Pop3Past]


class Bringer(Protocol):
    """Brings what a past account's file lacks. box: a mailbox by its place among the account's `PastBox`es; mailbox:
    its key in the file. Raises PastUnavailable."""

    async def load(self, box: int) -> int:
        """See that all rows of the mailbox are in the file; its key there."""
        ...

    async def fill(self, mailbox: int, ranges: UidRanges, *, bodies: bool) -> int:
        """Bring what FETCH says and SEARCH compares of these messages, with `bodies` their bodies' text too; how many
        cannot be read. The caller bounds how many messages are named."""
        ...

    async def lend(self, box: int, mailbox: int, ranges: UidRanges) -> Lent:
        """Bring all of these messages, octets too, for a copy. Raises PastUnavailable where one cannot be read."""
        ...

    async def give_back(self, lent: Lent) -> None: ...

    async def read(self, digests: Sequence[bytes]) -> list[bytes]:
        """Whole messages by SHA-256, in this order. The caller bounds their sum."""
        ...

    async def read_part(self, digest: bytes, offset: int, count: int) -> bytes:
        """Octets of one message."""
        ...


PastRow = tuple[int, int, str, str, bytes, int, int, int, bytes | None, str | None, int, str]
"""(uid, order, email id, thread id, SHA-256, size, received, saved, arrival hash, foreign UIDL, system bits, keywords
joined by a space): a message of a mailbox as a snapshot has it."""


class Lacking(NamedTuple):
    """An email of which something is not in the file: its key, its content's key, SHA-256 and size of its octets, and
    whether its answers are there (1)."""

    email: int
    content: int
    digest: bytes
    size: int
    answered: int


class Found(NamedTuple):
    """What was brought of an email: the octets' analysis, where that was not there, and its body's text, where it was
    asked for."""

    email: int
    content: int
    size: int
    analysis: Analysis | None
    body: str | None


class PastFile(Protocol):
    """A past account's file, written by one process. Raises StoreRefusal."""

    async def mailbox(self, name: str) -> int | None:
        """The key of a mailbox that is here whole. name: what tells its state from any other, not what it is called."""
        ...

    async def add_mailbox(self, name: str, box: PastBox, rows: Sequence[PastRow]) -> int:
        """Put a mailbox in, whole or not at all; its key. Cost: some 20 microseconds a message."""
        ...

    async def lacking(self, mailbox: int, ranges: UidRanges, *, bodies: bool) -> list[Lacking]:
        """Emails of these placements that have no answers, or (bodies) no text of their body."""
        ...

    async def put(self, found: Sequence[Found]) -> None:
        """Keep what was brought."""
        ...

    async def octets_lacking(self, mailbox: int, ranges: UidRanges) -> tuple[list[int], list[Lacking]]:
        """Contents of these placements, and those of them whose octets are not here."""
        ...

    async def put_octets(self, content: int, digest: bytes, data: bytes) -> None:
        """Keep a message's octets. Raises Damaged where they are not those that they should be."""
        ...

    async def drop_octets(self, contents: Sequence[int]) -> None: ...

    async def size(self) -> int:
        """Octets that the file takes on the disk."""
        ...
