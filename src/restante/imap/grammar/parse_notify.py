"""NOTIFY. RFC 5465 3.1, 5, 6, 8."""

from __future__ import annotations

from . import commands as c
from .errors import BadSyntax
from .notify import MESSAGE_EVENTS, EventGroup, Notify, NotifyEvent, NotifyFilter
from .parse_fetch import fetch_items
from .tokens import Cursor

_FILTERS = {one.value: one for one in NotifyFilter}
_EVENTS = {event.value.upper(): event for event in NotifyEvent}
_GROUPS = 100
_MAILBOXES = 1_000
"""Mailboxes named in one command."""
_OF_SELECTED = (NotifyFilter.SELECTED, NotifyFilter.SELECTED_DELAYED)
_NAMED = (NotifyFilter.SUBTREE, NotifyFilter.MAILBOXES)
_BADEVENT = b"BADEVENT (" + b" ".join([event.value for event in NotifyEvent]) + b")"


def parse_notify(cursor: Cursor, tag: bytes) -> c.Command:
    """notify = "NOTIFY" SP (notify-set / notify-none)

    notify-set = "SET" [SP "STATUS"] SP event-groups; notify-none = "NONE"; event-groups = event-group *(SP
    event-group). Events that we do not know: NO [BADEVENT ...], if all else is right.
    """
    cursor.sp()
    word = cursor.keyword()
    if word == b"NONE":
        return Notify(tag, None)
    if word != b"SET":
        raise cursor.bad("NOTIFY takes SET or NONE")
    cursor.sp()
    status = not cursor.at(b"(")
    if status:
        if cursor.keyword() != b"STATUS":
            raise cursor.bad("Expected STATUS or an event group")
        cursor.sp()
    groups, known = _groups(cursor)
    cursor.end()
    if not known:
        raise BadSyntax("Some of the events are not supported", 0, _BADEVENT, True)
    return Notify(tag, groups, status)


def _groups(cursor: Cursor) -> tuple[tuple[EventGroup, ...], bool]:
    """The groups, and whether all their events are known."""
    groups: list[EventGroup] = []
    known = True
    while True:
        group, all_known = _group(cursor)
        known = known and all_known
        if group.filter in _OF_SELECTED and any(other.filter in _OF_SELECTED for other in groups):
            raise cursor.bad("Only one group is about the selected mailbox")
        groups.append(group)
        if len(groups) > _GROUPS or sum(len(one.mailboxes) for one in groups) > _MAILBOXES:
            raise BadSyntax("That is too much to watch", 0, b"NOTIFICATIONOVERFLOW", True)
        if not cursor.skip(b" "):
            return tuple(groups), known


def _group(cursor: Cursor) -> tuple[EventGroup, bool]:
    """event-group = "(" filter-mailboxes SP events ")"

    filter-mailboxes-other = "inboxes" / "personal" / "subscribed" / ("subtree" SP one-or-more-mailbox) / ("mailboxes"
    SP one-or-more-mailbox)
    """
    cursor.expect(b"(")
    filter = _FILTERS.get(cursor.keyword())
    if filter is None:
        raise cursor.bad("Unknown kind of mailboxes")
    cursor.sp()
    mailboxes: tuple[str, ...] = ()
    if filter in _NAMED:
        mailboxes = cursor.mailboxes()
        cursor.sp()
    start = cursor.pos
    events, fetch, known = _events(cursor, filter in _OF_SELECTED)
    cursor.expect(b")")
    if events & MESSAGE_EVENTS and not {NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE} <= events:
        raise BadSyntax("MessageNew and MessageExpunge go together, and with FlagChange", start)
    if filter in _OF_SELECTED and events - MESSAGE_EVENTS:
        raise BadSyntax("The selected mailbox has message events alone", start)
    return EventGroup(filter, mailboxes, events, fetch), known


def _events(cursor: Cursor, selected: bool) -> tuple[frozenset[NotifyEvent], tuple[c.FetchItem, ...], bool]:
    """events = ("(" event *(SP event) ")") / "NONE": the known ones, MessageNew's items, whether all are known."""
    if not cursor.skip(b"("):
        if cursor.keyword() != b"NONE":
            raise cursor.bad("Expected a list of events or NONE")
        return frozenset(), (), True
    events: set[NotifyEvent] = set()
    fetch: tuple[c.FetchItem, ...] = ()
    known = True
    while True:
        event = _EVENTS.get(cursor.keyword())
        if event is None:
            known = False
        else:
            events.add(event)
        if event is NotifyEvent.MESSAGE_NEW and cursor.at(b" ("):
            if not selected:
                raise cursor.bad("Only the selected mailbox has items to fetch")
            cursor.sp()
            fetch = fetch_items(cursor)
        if cursor.skip(b")"):
            return frozenset(events), fetch, known
        cursor.sp()
