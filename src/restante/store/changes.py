"""What changed in a whole account after a change number: for those who watch more than one mailbox.

The answer says which mailboxes to look at and what became of names, subscriptions and annotations; what changed
inside a mailbox is `Store.delta`'s to say.
"""

from __future__ import annotations

from enum import Enum

from ..values import Value
from .model import Mailbox


class Change(Enum):
    CREATED = "created"
    DELETED = "deleted"
    RENAMED = "renamed"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    ANNOTATED = "annotated"


class Event(Value, frozen=True):
    """One thing that happened. modseq: the number of the command that did it.

    name: of the mailbox (or the subscription) after the event, for DELETED the one it had; "" where an annotation
    belongs to the account. detail: RENAMED: the name before; ANNOTATED: the entry; else "".
    """

    modseq: int
    change: Change
    name: str
    detail: str = ""


class AccountChanges(Value, frozen=True):
    """What changed after a change number, read in one transaction.

    modseq: the account's counter now. mailboxes: those that have changed in any way, with whether somebody else
    than the asker changed their messages. events: in the order they happened, without the asker's own. complete:
    False where there were more events than are listed here: then none is. names: of all mailboxes, where some came or
    went; else empty.
    """

    modseq: int
    mailboxes: list[tuple[Mailbox, bool]]
    events: list[Event]
    complete: bool
    names: frozenset[str] = frozenset()
