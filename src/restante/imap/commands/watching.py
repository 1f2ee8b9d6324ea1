"""Telling a client what happens outside its selected mailbox: NOTIFY, and ENABLE METADATA.

A session that wants to hear of the account's changes has one `Notifications`; every other has none and pays one
look at an attribute. The account's watch says only that something changed; what, the session asks for all its
mailboxes at once (`Store.changes` since the number it has seen), and compares with what it said last:

    a hint -> behind -> between commands, before a tagged response, in IDLE: tell() -> STATUS, LIST, METADATA

Changes that this session's own commands made are left out (RFC 5465 5). The selected mailbox's messages are the
business of `Updates`. RFC 5465; RFC 5464 4.4; RFC 9051 6.3.9.7 (OLDNAME).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...store.changes import AccountChanges, Change, Event
from ...store.errors import StoreRefusal
from ...store.interface import Watch
from ...store.model import INBOX, SEPARATOR, Delta, Mailbox
from ...store.rights import Rights
from ..grammar.commands import StatusItem
from ..grammar.notify import MESSAGE_EVENTS, EventGroup, NotifyEvent
from ..grammar.response import list_response, metadata_changed, status_response
from ..session.places import Place
from ..session.state import NOTHING_TOLD, State
from ..session.view import View
from .fetch_rows import send_unasked
from .list import Node, attributes_of, tree
from .store import view_spans
from .watching_counts import UNCERTAIN, Known, changed_items, first_items, known_of, take_noted
from .watching_groups import NO_EVENTS, Events, Groups
from .watching_others import Others

if TYPE_CHECKING:
    from ..session.session import ImapSession

STALE = 1_800.0
"""Seconds after which a client that could not be told is told no more: the store forgets old events."""

MOST_NAMES = 10_000
"""Names of which it is remembered which mailbox they stood for: those heard of last."""

_ORDER = (
    StatusItem.MESSAGES,
    StatusItem.UIDNEXT,
    StatusItem.UIDVALIDITY,
    StatusItem.UNSEEN,
    StatusItem.HIGHESTMODSEQ,
)


def may_watch(mailbox: Mailbox) -> bool:
    """The one place to ask for the rights that events of messages need: "l" and "r" (RFC 5465 5). An owner has them."""
    return mailbox.rights & _WATCHES == _WATCHES


_WATCHES = Rights.LOOKUP | Rights.READ


class Notifications:
    """What one client wants to hear of its account, and what it has heard. `seen`: the change number up to which.

    at_once: between commands too (NOTIFY); else with commands and in IDLE (ENABLE METADATA). It has a watch of its own:
    the session's is on the account that the selected mailbox is in. others: accounts of others that groups name, None
    where they name none. Begin it with `begin`, end it with `close`.
    """

    __slots__ = (
        "_behind_since", "_known", "_left", "_validities", "_watch", "at_once", "behind", "groups", "others", "seen",
        "session",
    )  # fmt: skip

    def __init__(self, session: ImapSession, groups: Iterable[EventGroup], *, at_once: bool) -> None:
        self.session = session
        self.groups = Groups(groups, session.places.compared)
        self.others: Others | None = None
        self._known: dict[int, Known] = {}
        self._left: list[tuple[Place, int]] = []
        """Mailboxes, by key, that were left before all that was removed from them had been told."""
        self._validities: dict[str, int] = {}
        """The UIDVALIDITY that the client knows, or may know, by the name of a mailbox it hears of; also of one that
        is gone: another may come under its name."""
        self._behind_since = 0.0
        self._watch: Watch | None = None
        self.at_once = at_once
        self.behind = False
        self.seen = 0

    async def begin(self, *, status: bool, before: Notifications | None = None) -> None:
        """Take the account as it stands for known, with STATUS responses for the mailboxes watched if asked.

        before: what NOTIFY had asked until now; it goes on from where that one stands. Closed where it fails.
        """
        store = self.session.own_store
        self._watch = self.session.engine.watch(store.account, self._on_change)
        try:
            if before is None:
                store.own = set()
            self.seen = before.seen if before is not None else await store.last_change()
            await self._take(status, before)
            await self._look_at_others(status=status, before=before.others if before is not None else None)
        except BaseException:
            self.close()
            if before is None:
                store.own = None
            raise

    async def _take(self, status: bool, before: Notifications | None) -> None:
        told = before._known if before is not None else {}
        if before is not None:
            self._validities.update(before._validities)
        for mailbox in await self.session.own_store.mailboxes():
            events = self._events_of(mailbox)
            if events is None:
                continue
            shown = status and mailbox.key != self.selected_key()
            if events & MESSAGE_EVENTS:
                self.note(mailbox, afresh=shown)
                self._known[mailbox.key] = known_of(mailbox) if shown else told.get(mailbox.key) or known_of(mailbox)
            if shown:
                await self.write_first(mailbox, events)

    def note(self, mailbox: Mailbox, *, afresh: bool) -> None:
        """The client knows this mailbox under its name; unless `afresh`, what it knew before of the name stands."""
        before = self._validities.pop(mailbox.name, mailbox.uidvalidity)
        self._validities[mailbox.name] = mailbox.uidvalidity if afresh else before
        if len(self._validities) > MOST_NAMES:
            del self._validities[next(iter(self._validities))]

    def is_another(self, mailbox: Mailbox) -> bool:
        """Whether the client knows another mailbox under its name."""
        return self._validities.get(mailbox.name, mailbox.uidvalidity) != mailbox.uidvalidity

    async def write_first(self, mailbox: Mailbox, events: Events) -> None:
        """What NOTIFY SET STATUS says of a mailbox."""
        self._write_status(mailbox, first_items(events, condstore=self.session.dialect.condstore))
        await self.session.flush_if_full()

    async def _look_at_others(self, *, status: bool = False, before: Others | None = None) -> None:
        """Watch others' accounts where groups may be about mailboxes there."""
        if self.others is None:
            prefix = self.session.places.prefix
            if not self.groups.reach(prefix, await self.session.own_store.subscriptions()):
                return
            self.others = Others(self)
        await self.others.find(status=status, before=before)

    def close(self) -> None:
        """Stop listening."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        if self.others is not None:
            self.others.close()

    # When ------------------------------------------------------------------------------------------------

    def _on_change(self, modseq: int) -> None:
        """The account's counter has come to this number."""
        if modseq > self.seen:
            self.hinted()

    def hinted(self) -> None:
        """Something has changed that may have to be told."""
        if not self.behind:
            self.behind = True
            self._behind_since = self.session.clock.monotonic()
        self.session.wake()

    @property
    def pressing(self) -> bool:
        """There is something that may be told now, between commands."""
        return self.behind or self._selected_pressing()

    def _selected_pressing(self) -> bool:
        session = self.session
        if not session.told.at_once or session.state is not State.SELECTED:
            return False
        waiting = session.told.removals_at_once and len(session.view.gone) > 0
        return session.dirty or waiting or session.updates.due_in() == 0

    async def tell_between(self) -> None:
        """Tell what may be told while no command runs, the selected mailbox first."""
        session = self.session
        if self._selected_pressing():
            await session.updates.tell(may_expunge=session.told.removals_at_once)
        await self.tell()

    async def tell(self, *, ask: bool = False) -> None:
        """Tell what changed since the last time, if a change was hinted at. ask: look in any case."""
        if not self.behind and not ask:
            return
        session = self.session
        late = self.behind and session.clock.monotonic() - self._behind_since > STALE
        stale = late and self.at_once  # else nothing was to be told before this command (RFC 5464 4.4)
        self.behind = False
        own = session.own_store.own
        changes = await session.own_store.changes(self.seen, own or ())
        self.seen = changes.modseq
        mixed = take_noted(own, changes.modseq)
        if stale or not changes.complete:
            self._overflow()
            return
        if changes.events:
            await self._tell_names(changes)
            self._tell_metadata(changes)
        if self._left:
            await self._tell_left()
        await self._tell_status(changes, mixed)
        if self.others is None and self.groups.by_subscription:
            await self._look_at_others()  # a mailbox of others may be among them now
        if self.others is not None and not await self.others.tell(ask=ask):
            self._overflow()

    def own_of(self, account: str) -> set[int] | None:
        """Where the numbers of this session's commands in somebody else's account are noted."""
        watched = self.own_watched(account)
        place = self.session.place
        if watched is None and place is not None and not place.own and place.store.account == account:
            return place.store.own
        return watched

    def own_watched(self, account: str) -> set[int] | None:
        """The same, where groups name a mailbox of that account."""
        return self.others.own_of(account) if self.others is not None else None

    def note_own_here(self) -> None:
        """A mailbox is selected, or something else is asked of it: where it is somebody else's, this session's numbers
        are noted if groups name that account, or if new messages are told with items, which its own are not."""
        place = self.session.place
        if place is None or place.own:
            return
        own = self.own_watched(place.store.account)
        if own is None and self.session.told.fetch:
            own = place.store.own if place.store.own is not None else set()
        place.store.own = own

    def _overflow(self) -> None:
        """More than can be told (RFC 5465 5.8). Who only enabled METADATA goes on with what comes."""
        session = self.session
        if self.at_once:
            session.say(b"Too much has happened: NOTIFY is off.", b"NOTIFICATIONOVERFLOW")
            session.notify(None, NOTHING_TOLD)
            session.own_store.own = None

    # What ------------------------------------------------------------------------------------------------

    def selected_key(self, account: str | None = None) -> int | None:
        """The selected mailbox's key, where it is one of that account (None: the own one)."""
        view, place = self.session.view_or_none, self.session.place
        if view is None or place is None or place.own is not (account is None):
            return None
        return view.mailbox.key if account is None or place.store.account == account else None

    def _events_of(self, mailbox: Mailbox) -> Events | None:
        return self.groups.of(mailbox.name, subscribed=mailbox.subscribed)

    def events_of_other(self, mailbox: Mailbox) -> Events | None:
        """Events wanted, and allowed, of somebody else's mailbox under its name here."""
        events = self.groups.of(mailbox.name, subscribed=mailbox.subscribed, own=False)
        if events is None or may_watch(mailbox):
            return events
        return events - self._need_read or None

    @property
    def _need_read(self) -> Events:
        """Events that take the right to read. With NOTIFY those of annotations do, too (RFC 5465 5); ENABLE METADATA
        tells whoever may read these (RFC 5464 3.3, 4.4)."""
        return MESSAGE_EVENTS | {NotifyEvent.MAILBOX_METADATA} if self.at_once else MESSAGE_EVENTS

    def lacks_rights(self, mailbox: Mailbox) -> bool:
        """Whether a group wants events of somebody else's mailbox for which a right is missing."""
        events = self.groups.of(mailbox.name, subscribed=mailbox.subscribed, own=False) or NO_EVENTS
        return bool(events & self._need_read) and not may_watch(mailbox)

    async def write_access(
        self, told: Iterable[tuple[Mailbox, bool]], listed: list[tuple[Place, Mailbox]], subscribed: frozenset[str]
    ) -> None:
        """LIST of mailboxes that may not be watched, or may be from now on. listed: all that others share."""
        session = self.session
        names = {mailbox.name for _, mailbox in listed}
        nodes = {node.name: node for node in tree(listed, subscribed & names)}
        for mailbox, refused in told:
            attributes = attributes_of(nodes[mailbox.name], extended=True, subscribed=True)
            if refused:
                attributes.insert(0, "\\NoAccess")
            session.write(list_response(mailbox.name, attributes, SEPARATOR, session.dialect.utf8))
            await session.flush_if_full()

    async def _tell_status(self, changes: AccountChanges, mixed: bool) -> None:
        """STATUS of mailboxes whose messages others changed (RFC 5465 5.1 to 5.3). mixed: see `tell_counts`."""
        named = {event.name for event in changes.events if event.change in (Change.CREATED, Change.RENAMED)}
        if any(event.change is Change.DELETED for event in changes.events):
            there = {mailbox.key for mailbox in await self.session.own_store.mailboxes()}
            self._known = {key: one for key, one in self._known.items() if key in there}
        for mailbox, by_others in changes.mailboxes:
            events = self._events_of(mailbox) or NO_EVENTS
            by_others = by_others or mailbox.name in named
            await self.tell_counts(mailbox, events, self._known, by_others=by_others, mixed=mixed)

    def left(self, place: Place, view: View) -> None:
        """The session leaves its selected mailbox. Removals that waited (SELECTED-DELAYED), what it was not to hear of
        while that was selected, and what the view had not read yet, are told as those of any other mailbox are
        (RFC 5465 6, 6.1.2): the client knows what it was told, and what it did itself, CLOSE too. How many it takes for
        unseen by that cannot be told from here."""
        mailbox, counts = view.mailbox, self._counts_of(place)
        before = counts.get(mailbox.key)
        if before is None:
            return
        if view.untold or before.modseq > mailbox.highest_modseq:
            counts[mailbox.key] = Known(
                mailbox.uidvalidity, mailbox.uidnext, len(view.uids), UNCERTAIN, view.told_modseq
            )
            self._left.append((place, mailbox.key))
            self.hinted()

    def _counts_of(self, place: Place) -> dict[int, Known]:
        """What the client knows of the mailboxes of an account that is watched."""
        if place.own:
            return self._known
        return self.others.counts_of(place.store.account) if self.others is not None else {}

    async def _tell_left(self) -> None:
        left, self._left = self._left, []
        subscribed = frozenset(await self.session.own_store.subscriptions())
        for place, key in left:
            account = None if place.own else place.store.account
            counts = self._counts_of(place)
            try:
                found = [mailbox for mailbox in await place.store.mailboxes() if mailbox.key == key]
            except StoreRefusal:  # it has gone with its owner
                continue
            for mailbox in found:
                name = place.shown(mailbox.name)
                shown = replace(mailbox, name=name, subscribed=name in subscribed)
                events = self._events_of(shown) if account is None else self.events_of_other(shown)
                await self.tell_counts(shown, events or NO_EVENTS, counts, by_others=True, account=account)

    async def tell_counts(
        self,
        mailbox: Mailbox,
        events: Events,
        counts: dict[int, Known],
        *,
        by_others: bool,
        mixed: bool = False,
        renewed: bool = False,
        account: str | None = None,
    ) -> None:
        """STATUS of one mailbox; `counts` becomes what it is now. mixed: this session changed something at the same
        time, so that how many are unseen may be as it was, but not as its client has counted. renewed: one that the
        client may not know, unless it is in `counts`. account: whose it is (None: the own one)."""
        if not events & MESSAGE_EVENTS:
            counts.pop(mailbox.key, None)
            return
        before, now = counts.get(mailbox.key), known_of(mailbox)
        counts[mailbox.key] = now
        if mixed and before is not None:
            before = replace(before, unseen=UNCERTAIN)
        another, condstore = self.is_another(mailbox), self.session.dialect.condstore
        self.note(mailbox, afresh=True)
        if by_others and mailbox.key != self.selected_key(account):
            items = changed_items(before, now, events, condstore=condstore)
            if another:
                items |= first_items(events, condstore=condstore)
            elif before is None and renewed:
                items |= {StatusItem.MESSAGES, StatusItem.UIDNEXT, StatusItem.UIDVALIDITY}
            self._write_status(mailbox, items)
            await self.session.flush_if_full()

    def _write_status(self, mailbox: Mailbox, items: set[StatusItem]) -> None:
        values = {
            StatusItem.MESSAGES: mailbox.messages,
            StatusItem.UIDNEXT: mailbox.uidnext,
            StatusItem.UIDVALIDITY: mailbox.uidvalidity,
            StatusItem.UNSEEN: mailbox.unseen,
            StatusItem.HIGHESTMODSEQ: mailbox.highest_modseq,
        }
        if items:
            shown = [(item, values[item]) for item in _ORDER if item in items]
            self.session.write(status_response(mailbox.name, shown, self.session.dialect.utf8))

    async def _tell_names(self, changes: AccountChanges) -> None:
        """LIST for names that came, went, or changed subscription (RFC 5465 5.4, 5.5)."""
        if not any(event.change is not Change.ANNOTATED for event in changes.events):
            return
        session = self.session
        subscribed = frozenset(await session.own_store.subscriptions())
        told = affected(changes.events, lambda event, name: self._wants_name(event, name, subscribed))
        if not told:
            return
        place = Place(session.own_store, INBOX)
        listed = [(place, mailbox) for mailbox in await session.own_store.mailboxes()]
        if any(one.name.startswith(session.places.prefix) for one in told):  # subscribed to, or no more
            listed += await session.places.shared()
        await self._write_names(told, tree(listed, subscribed), changes.names)

    async def tell_names_of_other(
        self, events: list[Event], listed: list[tuple[Place, Mailbox]], subscribed: frozenset[str]
    ) -> None:
        """The same for somebody else's account. listed: what may be listed there, under its names here."""
        told = affected(events, lambda event, name: self._wants_name(event, name, subscribed, own=False))
        nodes = tree(listed, [name for name in subscribed if any(one.name == name for _, one in listed)])
        await self._write_names(told, nodes, frozenset(mailbox.name for _, mailbox in listed))

    async def _write_names(self, told: list[Affected], nodes: list[Node], there: frozenset[str]) -> None:
        session = self.session
        by_name = {node.name: node for node in nodes}
        for one in told:
            attributes = one.attributes(by_name.get(one.name, Node(one.name)), there=one.name in there)
            session.write(list_response(one.name, attributes, SEPARATOR, session.dialect.utf8, old_name=one.old_name))
            await session.flush_if_full()

    def _wants_name(self, event: Event, name: str, subscribed: frozenset[str], *, own: bool = True) -> bool:
        """Whether the client wants to hear of this event of a name; of a rename, by either of its names."""
        by_name = event.change in (Change.CREATED, Change.DELETED, Change.RENAMED)
        wanted = NotifyEvent.MAILBOX_NAME if by_name else NotifyEvent.SUBSCRIPTION_CHANGE
        names = (name, event.detail) if event.change is Change.RENAMED else (name,)
        # A name just unsubscribed was among the subscribed ones.
        return any(
            wanted in (self.groups.of(one, subscribed=one in subscribed or not by_name, own=own) or NO_EVENTS)
            for one in names
        )

    def _tell_metadata(self, changes: AccountChanges) -> None:
        by_name = {mailbox.name: mailbox for mailbox, _ in changes.mailboxes}
        self.write_entries([event for event in changes.events if self._wants_entry(event.name, by_name)])

    def write_entries(self, events: Iterable[Event]) -> None:
        """METADATA with the names of entries that changed (RFC 5465 5.6, 5.7; RFC 5464 4.4.2)."""
        entries: dict[str, dict[str, None]] = {}
        for event in events:
            if event.change is Change.ANNOTATED:
                entries.setdefault(event.name, {})[event.detail] = None
        for name, changed in entries.items():
            self.session.write(metadata_changed(name, changed, self.session.dialect.utf8))

    def _wants_entry(self, name: str, changed: dict[str, Mailbox]) -> bool:
        """name: "" for the server's entries."""
        if not name:
            return self.groups.server
        mailbox = changed.get(name)
        return mailbox is not None and NotifyEvent.MAILBOX_METADATA in (self._events_of(mailbox) or NO_EVENTS)

    async def fetch_new(self, view: View, arrived: list[int], delta: Delta) -> None:
        """Send the items that MessageNew asks for, of those messages that others brought (RFC 5465 5.2). arrived: UIDs.

        Nothing becomes \\Seen by it, whatever the items: the client has not opened anything.
        """
        session = self.session
        place = session.place  # numbers are an account's own: another one's would hide somebody else's mail
        own = place.store.own if place is not None else None
        new = [(uid, modseq) for uid, _, modseq in delta.changed if uid >= arrived[0]] if arrived else []
        uids = array("I", [uid for uid, modseq in new if modseq not in (own or ())])
        if own and place is not None and not place.own and self.own_watched(place.store.account) is None:
            own.difference_update([number for number in own if number <= delta.mailbox.highest_modseq])
        if not len(uids):
            return
        await send_unasked(session, view, view_spans(view, uids), session.told.fetch)
        if session.dialect.qresync:  # rows were read after the delta: a MODSEQ among them may be above what it told
            now = await session.selected_store.delta(view.mailbox.key, view.mailbox.highest_modseq)
            view.ahead = now.mailbox.highest_modseq > view.mailbox.highest_modseq


# Names ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Affected:
    """One LIST response. change: None where only the name's attributes are others than before."""

    name: str
    change: Change | None = None
    old_name: str | None = None

    def attributes(self, now: Node, *, there: bool) -> list[str]:
        """there: whether the name had a mailbox after all that is being told. now: as it stands, perhaps later."""
        subscription = self.change in (Change.SUBSCRIBED, Change.UNSUBSCRIBED)
        if now.mailbox is None and (self.change in (Change.CREATED, Change.RENAMED) or (not self.change and there)):
            return []  # it went again, as a later response says: then it was there
        if self.change is Change.DELETED and now.mailbox is not None:
            return ["\\NonExistent"]  # another one has come
        return attributes_of(now, extended=True, subscribed=subscription)


def affected(events: Iterable[Event], wants: Callable[[Event, str], bool]) -> list[Affected]:
    """What to tell of names, in order: a client that follows it step by step has the right names at the end.

    Levels above a name that came or went are affected too, and are told last, once; children of a renamed mailbox
    go without saying (RFC 5465 5.4).
    """
    told: list[Affected] = []
    above: dict[str, None] = {}
    head: Event | None = None
    for event in events:
        if event.change is Change.RENAMED:
            if head and head.modseq == event.modseq and event.detail.startswith(head.detail + SEPARATOR):
                continue
            head = event if wants(event, event.name) else None
        elif event.change in (Change.CREATED, Change.DELETED):
            parent = event.name.rpartition(SEPARATOR)[0]
            if parent and wants(event, parent):
                above[parent] = None
        if event.change is not Change.ANNOTATED and wants(event, event.name):
            old_name = event.detail if event.change is Change.RENAMED else None
            told.append(Affected(event.name, event.change, old_name))
    said = {one.name for one in told if one.change in (Change.CREATED, Change.RENAMED)}
    return [*told, *(Affected(name) for name in above if name not in said)]
