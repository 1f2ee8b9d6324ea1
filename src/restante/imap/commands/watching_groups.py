"""What NOTIFY SET asks for: event groups, ready to be asked about many names. Pure; RFC 5465 3.1, 5, 6."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...store.errors import BadMailboxName
from ...store.model import SEPARATOR
from ..grammar.notify import EventGroup, NotifyEvent, NotifyFilter
from ..session.state import NOTHING_TOLD, Told
from .names import mailbox_name

Events = frozenset[NotifyEvent]
NO_EVENTS: Events = frozenset()
_SELECTED = (NotifyFilter.SELECTED, NotifyFilter.SELECTED_DELAYED)


def told_of_selected(groups: Iterable[EventGroup]) -> Told:
    """What NOTIFY SET says of the selected mailbox; without a word on it, nothing (RFC 5465 3.1)."""
    for group in groups:
        if group.filter in _SELECTED and group.events:
            now = group.filter is NotifyFilter.SELECTED
            return Told(True, NotifyEvent.FLAG_CHANGE in group.events, True, now, group.fetch)
    return NOTHING_TOLD


class Groups:
    """The event groups about mailboxes that are not selected, ready to be asked about many names.

    compared: what two names of one mailbox have in common (`Places.compared`).
    """

    __slots__ = ("_compared", "_everywhere", "_exact", "_subscribed", "_subtrees", "server")

    def __init__(self, groups: Iterable[EventGroup], compared: Callable[[str], str]) -> None:
        self._compared = compared
        self._everywhere: Events | None = None
        """"inboxes" is "personal": any mailbox may get mail, by its address or by a rule (RFC 5465 6.3)."""
        self._subscribed: Events | None = None
        self._subtrees: dict[str, Events] = {}
        self._exact: dict[str, Events] = {}
        self.server = False
        for group in groups:
            self._add(group)

    @property
    def by_subscription(self) -> bool:
        """Whether a subscription may bring a mailbox into it."""
        return self._subscribed is not None

    def _add(self, group: EventGroup) -> None:
        if group.filter in _SELECTED:
            return
        self.server = self.server or NotifyEvent.SERVER_METADATA in group.events
        if group.filter in (NotifyFilter.PERSONAL, NotifyFilter.INBOXES):
            self._everywhere = (self._everywhere or NO_EVENTS) | group.events
        elif group.filter is NotifyFilter.SUBSCRIBED:
            self._subscribed = (self._subscribed or NO_EVENTS) | group.events
        table = self._subtrees if group.filter is NotifyFilter.SUBTREE else self._exact
        for name in group.mailboxes:
            try:
                named = self._compared(mailbox_name(name))
            except BadMailboxName:
                continue  # no mailbox can have that name (RFC 5465 3.1: ignored)
            table[named] = table.get(named, NO_EVENTS) | group.events

    def reach(self, prefix: str, subscribed: Iterable[str]) -> bool:
        """Whether a group may be about mailboxes below this prefix ("Other Users/")."""
        if any(name.startswith(prefix) for name in (*self._exact, *self._subtrees)):
            return True
        if prefix.removesuffix(SEPARATOR) in self._subtrees:
            return True
        return self._subscribed is not None and any(name.startswith(prefix) for name in subscribed)

    def of(self, name: str, *, subscribed: bool, own: bool = True) -> Events | None:
        """Events wanted of a mailbox; None where no group is about it (a group may want none: NONE).

        own: it is in the personal namespace.
        """
        name = self._compared(name)
        found = [self._everywhere if own else None, self._exact.get(name)]
        if subscribed:
            found.append(self._subscribed)
        if self._subtrees:
            levels = name.split(SEPARATOR)
            found += [self._subtrees.get(SEPARATOR.join(levels[:depth])) for depth in range(1, len(levels) + 1)]
        events: Events | None = None
        for some in found:
            if some is not None:
                events = some if events is None else events | some
        return events
