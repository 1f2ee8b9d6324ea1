"""NOTIFY as values: which mailboxes, which events (RFC 5465 6, 8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .commands import Command, FetchItem


class NotifyEvent(Enum):
    """Events of which a client can be told, by their names on the wire."""

    MESSAGE_NEW = b"MessageNew"
    MESSAGE_EXPUNGE = b"MessageExpunge"
    FLAG_CHANGE = b"FlagChange"
    MAILBOX_NAME = b"MailboxName"
    SUBSCRIPTION_CHANGE = b"SubscriptionChange"
    MAILBOX_METADATA = b"MailboxMetadataChange"
    SERVER_METADATA = b"ServerMetadataChange"


MESSAGE_EVENTS = frozenset({NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE, NotifyEvent.FLAG_CHANGE})
"""AnnotationChange is the fourth, for servers that keep annotations of messages (RFC 5257)."""


class NotifyFilter(Enum):
    """Which mailboxes an event group is about."""

    SELECTED = b"SELECTED"
    SELECTED_DELAYED = b"SELECTED-DELAYED"
    INBOXES = b"INBOXES"
    PERSONAL = b"PERSONAL"
    SUBSCRIBED = b"SUBSCRIBED"
    SUBTREE = b"SUBTREE"
    MAILBOXES = b"MAILBOXES"


@dataclass(frozen=True, slots=True)
class EventGroup:
    """mailboxes: names of SUBTREE and MAILBOXES. events: empty for NONE. fetch: MessageNew's items, if any."""

    filter: NotifyFilter
    mailboxes: tuple[str, ...]
    events: frozenset[NotifyEvent]
    fetch: tuple[FetchItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Notify(Command):
    """groups: None for NOTIFY NONE. status: STATUS responses are wanted now."""

    groups: tuple[EventGroup, ...] | None
    status: bool = False
