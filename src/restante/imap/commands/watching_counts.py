"""What a client of NOTIFY knows of a mailbox's messages, and which STATUS items tell it what has changed. Pure; RFC
5465 3.1, 5.1 to 5.3."""

from __future__ import annotations

from dataclasses import dataclass

from ...store.model import Mailbox
from ..grammar.commands import StatusItem
from ..grammar.notify import MESSAGE_EVENTS, NotifyEvent
from .watching_groups import Events


@dataclass(frozen=True, slots=True)
class Known:
    """What the client knows of a mailbox's messages. unseen: UNCERTAIN where it cannot be told from here."""

    uidvalidity: int
    uidnext: int
    messages: int
    unseen: int
    modseq: int


UNCERTAIN = -1
"""No number of messages."""


def known_of(mailbox: Mailbox) -> Known:
    """Of a mailbox that is told as it stands."""
    return Known(mailbox.uidvalidity, mailbox.uidnext, mailbox.messages, mailbox.unseen, mailbox.highest_modseq)


def first_items(events: Events, *, condstore: bool) -> set[StatusItem]:
    """What NOTIFY SET STATUS says of a mailbox (RFC 5465 3.1); a group of no events asks for it alone (section 5)."""
    items: set[StatusItem] = set()
    if not events or events & MESSAGE_EVENTS:
        items |= {StatusItem.MESSAGES, StatusItem.UIDNEXT, StatusItem.UIDVALIDITY}
    if NotifyEvent.FLAG_CHANGE in events:
        items |= {StatusItem.UNSEEN, StatusItem.HIGHESTMODSEQ}
    if items and condstore:
        items.add(StatusItem.HIGHESTMODSEQ)
    return items


def changed_items(before: Known | None, now: Known, events: Events, *, condstore: bool) -> set[StatusItem]:
    """What a client must hear of a mailbox that changed; before: None where it was not watched until now.

    Without CONDSTORE a change of flags shows only where it changes how many are unseen (RFC 5465 5.1).
    """
    items: set[StatusItem] = set()
    flags = NotifyEvent.FLAG_CHANGE in events
    if before is None:
        before = Known(now.uidvalidity, 1, 0, 0, now.modseq)
    if (before.uidnext, before.messages) != (now.uidnext, now.messages):
        items |= {StatusItem.MESSAGES, StatusItem.UIDNEXT}
    if before.uidvalidity != now.uidvalidity:
        items.add(StatusItem.UIDVALIDITY)
    if flags and before.unseen != now.unseen:
        items |= {StatusItem.UNSEEN, StatusItem.UIDVALIDITY}
    if condstore and (items or (flags and before.modseq != now.modseq)):
        items |= {StatusItem.HIGHESTMODSEQ, StatusItem.UIDVALIDITY} if flags else {StatusItem.HIGHESTMODSEQ}
    return items


def take_noted(own: set[int] | None, modseq: int) -> bool:
    """Take the numbers up to this one off those noted of a session's own commands; whether there were any."""
    done = [number for number in own or () if number <= modseq]
    if own is not None:
        own.difference_update(done)
    return bool(done)
