"""NOTIFY on mailboxes of others: what happens there, as far as this user may know of it.

Each account with a mailbox that a group names is watched as the own one is, and asked for its changes when it hints at
one. Names need no history: the mailboxes that the user may list are laid beside those that the client knows, so that a
right that comes or goes is a mailbox that comes or goes (RFC 5465 5.4), and nothing is told of what nobody may know.

    own account hints -> Notifications.tell() -> Others.tell() -> each account that hinted

Costs nothing for who names only mailboxes of the own account. Who begins to share is found by a hint, and where that is
lost by the next NOOP; what he shares has come then, as if made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...store.changes import AccountChanges, Change, Event
from ...store.errors import StoreRefusal
from ...store.interface import Watch
from ...store.model import SEPARATOR, Mailbox
from ..grammar.notify import MESSAGE_EVENTS, NotifyEvent
from ..session.places import Place
from .watching_counts import UNCERTAIN, Known, known_of, take_noted

if TYPE_CHECKING:
    from .watching import Notifications


@dataclass(slots=True)
class Other:
    """One account that is watched. names: what the client knows of, by key; counts: likewise. own: numbers of this
    session's commands there. seen: the change number up to which all was told."""

    place: Place
    own: set[int] = field(default_factory=set)
    names: dict[int, str] = field(default_factory=dict)
    counts: dict[int, Known] = field(default_factory=dict)
    seen: int = 0
    behind: bool = False
    watch: Watch | None = None

    def close(self) -> None:
        if self.watch is not None:
            self.watch.close()
            self.watch = None


class Others:
    """All accounts of others that one client wants to hear of."""

    __slots__ = ("_accounts", "_notifications", "_refused", "_shares", "_stale", "_subscribed")

    def __init__(self, notifications: Notifications) -> None:
        self._notifications = notifications
        self._accounts: dict[str, Other] = {}
        self._subscribed: frozenset[str] = frozenset()
        self._refused: set[tuple[str, int]] = set()
        """Mailboxes, by account and key, that are named but may not be watched; the client knows."""
        self._stale = False
        """Somebody may have begun to share."""
        session = notifications.session
        self._shares = session.engine.watch_shares(session.own_store.account, self._on_shares)

    def _on_shares(self) -> None:
        self._stale = True
        self._notifications.hinted()

    def close(self) -> None:
        self._shares.close()
        for account in list(self._accounts):
            self._drop(account)

    def _drop(self, account: str) -> None:
        other = self._accounts.pop(account)
        other.close()
        session = self._notifications.session
        successor = session.notifications
        if successor is not None and successor.own_watched(account) is other.own:
            return  # another NOTIFY goes on with them
        if session.place is not None and session.place.store.own is other.own:
            session.place.store.own = None
            self._notifications.note_own_here()

    def own_of(self, account: str) -> set[int] | None:
        """Where the numbers of this session's commands in that account are noted; None: nowhere."""
        other = self._accounts.get(account)
        return other.own if other is not None else None

    def counts_of(self, account: str) -> dict[int, Known]:
        """What the client knows of the messages of that account's mailboxes, by key."""
        other = self._accounts.get(account)
        return other.counts if other is not None else {}

    # Which -----------------------------------------------------------------------------------------------

    async def find(self, *, status: bool = False, before: Others | None = None, news: bool = False) -> None:
        """Watch the accounts that groups name now, and no others. status: say how their mailboxes stand.

        before: what was watched until now, which the client has been told of. news: who is found now has begun to share
        since it was looked last.
        """
        notifications = self._notifications
        session = notifications.session
        self._subscribed = frozenset(await session.own_store.subscriptions())
        found: dict[str, list[Mailbox]] = {}
        shared = await session.places.shared()
        if notifications.at_once:
            await self._tell_access(shared)
        for place, mailbox in shared:
            mailbox = replace(mailbox, subscribed=mailbox.name in self._subscribed)
            if notifications.events_of_other(mailbox) is not None:
                found.setdefault(place.store.account, []).append(mailbox)
                if place.store.account not in self._accounts:
                    await self._watch(place, before, news=news)
        for account, known in before._accounts.items() if before is not None else ():
            if account not in self._accounts and self._named(known):  # shares nothing any more, which is to be told
                await self._watch(known.place, before, news=news)
        for account in [account for account in self._accounts if account not in found]:
            if not self._accounts[account].names or not self._named(self._accounts[account]):
                self._drop(account)
        if status:
            for account in found:
                await self._write_first(self._accounts[account])

    async def _write_first(self, other: Other) -> None:
        """Say how the mailboxes of an account stand, which is what the client knows of them from here on.

        They are read now: what has changed since its account was listed lies below `seen`, and is told no more.
        """
        notifications = self._notifications
        account = other.place.store.account
        try:
            listed = await self._listed(other)
        except StoreRefusal:  # the account has gone since, which is told like any other change
            return
        for mailbox in listed:
            events = notifications.events_of_other(mailbox)
            if events is None or mailbox.key == notifications.selected_key(account):
                continue
            if events & MESSAGE_EVENTS:
                notifications.note(mailbox, afresh=True)
                other.counts[mailbox.key] = known_of(mailbox)
            await notifications.write_first(mailbox, events)

    async def _tell_access(self, shared: list[tuple[Place, Mailbox]]) -> None:
        """LIST with \\NoAccess of mailboxes that may be listed, but not watched for want of another right, and LIST of
        those that may be from now on (RFC 5465 3.1, 5.9)."""
        listed = {(place.store.account, mailbox.key) for place, mailbox in shared}
        refused = self._refused - listed  # of those that it may not know of any more the client still believes it
        told: list[tuple[Mailbox, bool]] = []
        for place, mailbox in shared:
            at = place.store.account, mailbox.key
            lacks = self._notifications.lacks_rights(replace(mailbox, subscribed=mailbox.name in self._subscribed))
            if lacks:
                refused.add(at)
            if lacks is not (at in self._refused):
                told.append((mailbox, lacks))
        self._refused = refused
        if told:
            await self._notifications.write_access(told, shared, self._subscribed)

    def _named(self, other: Other) -> bool:
        """Whether a group is about a name there that the client knows: what became of it is to be told."""
        groups = self._notifications.groups
        return any(
            groups.of(name, subscribed=name in self._subscribed, own=False) is not None for name in other.names.values()
        )

    async def _watch(self, place: Place, before: Others | None, *, news: bool) -> None:
        session = self._notifications.session
        account = place.store.account
        known = before._accounts.get(account) if before is not None else None
        other = Other(place, *((known.own, known.names, known.counts, known.seen) if known is not None else ()))

        def hint(modseq: int) -> None:
            if modseq > other.seen:
                other.behind = True
                self._notifications.hinted()

        other.watch = session.engine.watch(account, hint)
        self._accounts[account] = other
        place.store.own = other.own
        if session.place is not None and session.place.store.account == account:
            session.place.store.own = other.own
        if known is not None and known.behind:  # a hint that came since it was told last
            hint(known.seen + 1)
        if known is None:
            other.seen = await place.store.last_change()
        if news or (known is None and before is not None and before._stale):
            other.behind = True  # all of it has come
        elif known is None:
            listed = await self._listed(other)
            other.names = {mailbox.key: mailbox.name for mailbox in listed}
            other.counts = self._counts(listed)
            for mailbox in listed:
                if mailbox.key in other.counts:
                    self._notifications.note(mailbox, afresh=False)

    def _counts(self, mailboxes: list[Mailbox]) -> dict[int, Known]:
        return {one.key: known_of(one) for one in mailboxes if (self._events(one) & MESSAGE_EVENTS)}

    def _events(self, mailbox: Mailbox) -> frozenset[NotifyEvent]:
        return self._notifications.events_of_other(mailbox) or frozenset()

    async def _listed(self, other: Other) -> list[Mailbox]:
        """What the user may list there, under the client's names."""
        return [self._shown(other, one) for one in await other.place.store.mailboxes()]

    def _shown(self, other: Other, mailbox: Mailbox) -> Mailbox:
        name = other.place.shown(mailbox.name)
        return replace(mailbox, name=name, subscribed=name in self._subscribed)

    async def acted(self, place: Place, *, went: str | None = None, came: str | None = None) -> None:
        """This session has created, deleted or renamed (both) a mailbox of this name (the account's) there: known.

        What the client knows below a name that it renames goes along. Nothing else there is its doing: what others have
        made or removed below it meanwhile is yet to be told.
        """
        other = self._accounts.get(place.store.account)
        if other is None:
            return
        old, new = (None if name is None else place.shown(name) for name in (went, came))
        names = {key: name for key, name in other.names.items() if name not in (old, new)}
        if old is not None and new is not None:
            below = {key: name for key, name in names.items() if name.startswith(old + SEPARATOR)}
            names |= {key: new + name[len(old) :] for key, name in below.items()}
        if new is not None:
            names |= {one.key: one.name for one in await self._listed(other) if one.name == new}
        other.names = names

    # What ------------------------------------------------------------------------------------------------

    async def tell(self, *, ask: bool) -> bool:
        """Tell what changed in accounts that hinted. ask: look for new ones too. False: too much has happened."""
        subscribed = frozenset(await self._notifications.session.own_store.subscriptions())
        if ask or self._stale or subscribed != self._subscribed:
            self._stale = False
            await self.find(news=subscribed == self._subscribed)  # else it may have been there, and is meant now
        return all([await self._tell(other) for other in list(self._accounts.values()) if other.behind])

    async def _tell(self, other: Other) -> bool:
        other.behind = False
        try:
            changes = await other.place.store.changes(other.seen, other.own)
            listed = await self._listed(other)
        except StoreRefusal:  # the account is gone, or damaged: nothing there can be used
            changes, listed = AccountChanges(other.seen, [], [], True), []
        other.seen = changes.modseq
        mixed = take_noted(other.own, changes.modseq)
        if not changes.complete:
            return False
        came = {mailbox.key for mailbox in listed}.difference(other.names)
        gone = await self._tell_names(other, listed)
        there = {mailbox.key: mailbox for mailbox in listed}
        self._tell_metadata(changes, there)
        other.counts = {key: one for key, one in other.counts.items() if key in there}
        changed = {mailbox.key for mailbox, _ in changes.mailboxes}
        for shown in listed:  # a right that came is no change of the mailbox
            if shown.key in changed:
                continue
            if shown.key in came and self._notifications.is_another(shown):
                account = other.place.store.account
                await self._notifications.tell_counts(
                    shown, self._events(shown), other.counts, by_others=True, account=account
                )
            elif shown.key not in other.counts and self._events(shown) & MESSAGE_EVENTS:
                # who is told of it by LIST asks for the rest, when he likes
                other.counts[shown.key] = replace(known_of(shown), unseen=UNCERTAIN)
        for mailbox, by_others in changes.mailboxes:
            now = there.get(mailbox.key)
            if now is None:  # gone since its changes were read, as has just been told
                continue
            await self._notifications.tell_counts(
                now,
                self._events(now),
                other.counts,
                by_others=by_others,
                mixed=mixed,
                renewed=now.name in gone or now.key in came,
                account=other.place.store.account,
            )
        return True

    async def _tell_names(self, other: Other, listed: list[Mailbox]) -> set[str]:
        """LIST for what came, went or was renamed; names that went."""
        now = {mailbox.key: mailbox.name for mailbox in listed}
        before, other.names = other.names, now
        if before == now:
            return set()
        events = name_events(before, now)
        shown = [(other.place, mailbox) for mailbox in listed]
        await self._notifications.tell_names_of_other(events, shown, self._subscribed)
        return {event.name for event in events if event.change is Change.DELETED}

    def _tell_metadata(self, changes: AccountChanges, there: Mapping[int, Mailbox]) -> None:
        """METADATA of mailboxes that are there, under the names that they have now."""
        mailboxes = {mailbox.name: there[mailbox.key] for mailbox, _ in changes.mailboxes if mailbox.key in there}
        self._notifications.write_entries(
            replace(event, name=mailboxes[event.name].name)
            for event in changes.events
            if event.name in mailboxes and NotifyEvent.MAILBOX_METADATA in self._events(mailboxes[event.name])
        )


def name_events(before: Mapping[int, str], now: Mapping[int, str]) -> list[Event]:
    """What makes the one list of names the other: removals, renames (parents first, as one command), arrivals."""
    gone = sorted(name for key, name in before.items() if key not in now)
    renamed = sorted((now[key], name) for key, name in before.items() if key in now and now[key] != name)
    came = sorted(name for key, name in now.items() if key not in before)
    return [
        *(Event(0, Change.DELETED, name) for name in gone),
        *(Event(1, Change.RENAMED, name, old) for name, old in renamed),
        *(Event(2, Change.CREATED, name) for name in came),
    ]
