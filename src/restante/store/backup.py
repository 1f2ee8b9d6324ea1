"""What a backup reads of an account, and gives back to a new one: values, and the two interfaces.

Reading is an `Instant`: index rows as they were at one moment, in batches, while the account is in use; contents are
read afterwards (what has been removed meanwhile is kept for the retention). Giving back is a `Rebuilding`: an account
made whole at once, with its former identities, which is an older state when it is put in service.

Rows are plain tuples: there may be a million.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..values import Value

if TYPE_CHECKING:
    from ..mime.model import Analysis

PlacedRow = tuple[int, int, str, str, int, bytes, int, int, int, bytes | None, str | None, int]
"""(uid, order, email id, thread id, content, SHA-256, size, received, saved, arrival hash, foreign UIDL, flag set).

order: the email's number in the account, which tells which came first; the same for every placement of it. content:
as in `Column.CONTENT`. flag set: a number of `Head.flag_sets`.
"""

CatalogueRow = tuple[str, str, str, str]
"""(senders, recipients, subject, message-id): decoded and folded text, for finding a message by."""

Pop3Row = tuple[int, int, int, int | None]
"""(mailbox key, uid, suffix, retrieved): see `model.Provenance`."""

SeenRow = tuple[int, int, str, int]
"""(mailbox key, uid, account id, 0 or 1): \\Seen of somebody who is not the owner."""


class AnswerRow(NamedTuple):
    """What was answered for an email at delivery, in the order in which a backup keeps it.

    envelope to body: as in `mime.model.Analysis`. parts: as `store.parts` writes them. sent to refs: `SortKeys`,
    references joined by a space. text_*: `SearchText`. traits: bits of `Trait`. pop3_size, pop3_size_utf8: octets that
    RETR sends without and with UTF8. Text holds no lone surrogates.
    """

    envelope: bytes
    bodystructure: bytes
    headers: bytes
    body: bytes
    preview: str
    parts: bytes
    sent: int | None
    sent_day: int | None
    subject: str
    is_reply: int
    sender: str
    recipient: str
    cc: str
    display_from: str
    display_to: str
    message_id: str
    refs: str
    text_sender: str
    text_recipient: str
    text_cc: str
    text_bcc: str
    text_subject: str
    text_header: str
    traits: int
    pop3_size: int
    pop3_size_utf8: int


class Mark(NamedTuple):
    """By which an account that has not changed is known again: two marks that are equal name one state.

    beside: what changes without a change number: what POP3 has fetched and hides, and \\Recent.
    """

    incarnation: str
    modseq: int
    beside: tuple[int, ...]


class Served(Value, frozen=True):
    """Numbers that were given out for an account, or may have been: no later state of it may go below them.

    modseq: its change counter. uidvalidity: the last UIDVALIDITY. uidnexts: by MAILBOXID and UIDVALIDITY, of mailboxes
    that are there and such as have gone.
    """

    modseq: int
    uidvalidity: int
    uidnexts: Mapping[tuple[str, int], int]

    def with_more(self, more: Served) -> Served:
        """The higher ones of both."""
        uidnexts = dict(self.uidnexts)
        for place, uidnext in more.uidnexts.items():
            uidnexts[place] = max(uidnexts.get(place, 0), uidnext)
        return Served(max(self.modseq, more.modseq), max(self.uidvalidity, more.uidvalidity), uidnexts)


class MailboxRow(NamedTuple):
    """A mailbox as in `model.Mailbox`, without what is counted from its messages."""

    key: int
    id: str
    name: str
    role: str | None
    uidvalidity: int
    uidnext: int
    highest_modseq: int
    recent_uid: int
    messages: int
    size: int


class TombstoneRow(NamedTuple):
    """A deleted mailbox: no UIDVALIDITY or MAILBOXID of one is given out again."""

    key: int
    id: str
    name: str
    role: str | None
    uidvalidity: int
    uidnext: int
    removed_at: int


class Head(Value, frozen=True):
    """All of an account but its messages.

    log_floor: removals at or below it may have been forgotten. keywords: in their first spelling. subscriptions: (user
    or "" for the owner, name). acl: (mailbox key, identifier, rights). annotations: (mailbox key or 0, user or "",
    entry, value). flag_sets: number -> (system bits, keywords joined by a space). served: what a later state of the
    account is known to have given out, for an account that is made anew.
    """

    mark: Mark
    log_floor: int
    uidvalidity: int
    created: int
    mailboxes: tuple[MailboxRow, ...]
    tombstones: tuple[TombstoneRow, ...]
    keywords: tuple[str, ...]
    subscriptions: tuple[tuple[str, str], ...]
    acl: tuple[tuple[int, str, str], ...]
    annotations: tuple[tuple[int, str, str, bytes], ...]
    flag_sets: dict[int, tuple[int, str]]
    served: Served | None = None


class Instant(Protocol):
    """An account at one moment. To be held only while its index rows are read: seconds for a million messages."""

    async def head(self) -> Head: ...

    async def placed(self, mailbox: int, after: int, limit: int) -> list[PlacedRow]:
        """Up to `limit` placements whose UID is above `after`, ascending."""
        ...

    async def catalogue(self, mailbox: int, low: int, high: int) -> list[CatalogueRow]:
        """Of the placements low..high, ascending by UID: one for each."""
        ...

    async def flagged(self, mailbox: int, since: int, below: int) -> list[tuple[int, int]]:
        """(uid, flag set) of placements with a UID below `below` that changed after number `since`, ascending."""
        ...

    async def gone(self, mailbox: int, since: int) -> array[int]:
        """UIDs removed after number `since`, ascending; complete where that is not below the log floor."""
        ...

    async def pop3(self) -> list[Pop3Row]:
        """All, by mailbox and UID."""
        ...

    async def hidden(self) -> list[int]:
        """Orders of emails that POP3 does not show and that are in a mailbox, ascending."""
        ...

    async def seen(self) -> list[SeenRow]:
        """All, by mailbox, UID and account."""
        ...


class RebuiltEmail(NamedTuple):
    """An email to be put into a new account. data: its octets, of this SHA-256: who gives them has compared. made: its
    analysis, or what an earlier one had been answered with."""

    order: int
    id: str
    thread: str
    received: int
    arrival: bytes | None
    uidl: str | None
    digest: bytes
    data: bytes | memoryview
    made: Analysis | AnswerRow


RebuiltRow = tuple[int, int, int, str, int, int, int]
"""(uid, order of its email, system bits, keywords joined by a space, size, received, saved)."""


Readying = Callable[[Sequence[RebuiltEmail]], bytes]
"""Makes emails ready to be filed. Pure, and a value that can be pickled: it is called in whichever process has read
them."""


class Rebuilding(Protocol):
    """A new account that is being made. Nothing of it is there before `finish` returns; all of it then."""

    @property
    def readying(self) -> Readying:
        """Makes ready what `emails` takes."""
        ...

    async def emails(self, ready: bytes) -> None:
        """Add emails that `readying` has made ready. One whose order is there already is passed over. They are filed
        behind the call: what is wrong with them may be raised by the next one."""
        ...

    async def placements(self, mailbox: int, rows: Sequence[RebuiltRow]) -> None:
        """Add placements of emails that have been added, to a mailbox of the head."""
        ...

    async def finish(self, pop3: Sequence[Pop3Row], hidden: Sequence[int], seen: Sequence[SeenRow]) -> None:
        """Make the account whole, and durable. POP3 rows and others of placements that are not there are left out."""
        ...
