"""LIST, LSUB, NAMESPACE: which mailboxes there are, and what they are.

One read of the account's mailboxes answers a LIST, whatever it selects or returns; what others share is read where
the patterns reach so far, and snapshots (`list_past`) where they are named. RFC 9051 6.3.9, 6.3.10, 7.3.1; RFC 3501
6.3.8, 6.3.9 (LSUB); RFC 5258; RFC 5819 (STATUS); RFC 6154 (special uses); RFC 3348; RFC 4314 4; RFC 8440 (MYRIGHTS);
RFC 9590 (METADATA).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...store.errors import NoPermission, NoSuchMailbox, StoreRefusal
from ...store.model import INBOX, SEPARATOR, Mailbox
from ...store.rights import Rights, may_annotate, shown
from ..grammar.commands import List, Lsub, Namespace
from ..grammar.response import Prefix, list_matcher, list_response, metadata_response, namespace_response
from ..grammar.response_access import myrights_response
from ..grammar.wildcards import has_wildcard
from ..session.places import BACKUPS, Place
from ..session.state import BadCommand, CodedRefusal, Reply
from . import status
from .names import mailbox_pattern, pattern_length

if TYPE_CHECKING:
    from ...store.interface import Store
    from ..session.session import ImapSession

SUBSCRIBED = "SUBSCRIBED"
SPECIAL_USE = "SPECIAL-USE"
MYRIGHTS = "MYRIGHTS"

PATTERNS = 8_192
"""Characters, wildcards not counted, of all patterns of one command that have some."""

COMPARED_AT_ONCE = 1 << 20
"""Characters of patterns times names that are compared on the event loop: some 10 ms. More of them on a thread."""


@dataclass(slots=True)
class Node:
    """One name: a mailbox, a subscribed name without one, or a level above others.

    mailbox: under the name that the client knows, in the account of `place` (whose own name means nothing here).
    children: mailboxes stand below it. below_subscribed: a subscribed name does.
    """

    name: str
    mailbox: Mailbox | None = None
    place: Place | None = None
    subscribed: bool = False
    children: bool = False
    below_subscribed: bool = False

    @property
    def own(self) -> bool:
        """Whether a mailbox of the user's own account has the name."""
        return self.place is not None and self.place.own


async def list_mailboxes(session: ImapSession, command: List) -> Reply:
    if command.patterns == ("",) and not command.extended:
        session.write(list_response("", ("\\Noselect",), SEPARATOR, session.dialect.utf8))
        return Reply(b"LIST completed.")
    if "RECURSIVEMATCH" in command.selection and not command.selection - {"RECURSIVEMATCH", "REMOTE"}:
        raise BadCommand("RECURSIVEMATCH needs another selection option.")
    # An empty one asks for the separator in the basic form alone; here it names nothing (RFC 5258 3).
    patterns = tuple(mailbox_pattern(command.reference + pattern) for pattern in command.patterns if pattern)
    nodes = await _nodes(session, patterns)
    matching = await _matching(nodes, patterns)
    selected = {node.name for node in nodes if _meets(command, node)}
    above, needed = _parents(command, selected, {node.name for node in matching})
    info = tuple(sorted(command.selection & {SUBSCRIBED, SPECIAL_USE}))
    listed = [node for node in matching if node.name in selected or node.name in needed]
    metadata = Metadata(session, command.metadata, listed, selected) if command.metadata else None
    for node in listed:
        info_below = info if node.name in above else ()
        await _show(session, command, node, info_below, with_status=node.name in selected)
        if metadata is not None:
            await metadata.write_of(node.name)
        await session.flush_if_full()
    if session.past is not None and (named := tuple(each for each in patterns if each.startswith(BACKUPS))):
        from . import list_past

        await list_past.tell(session, session.past, command, named, frozenset(node.name for node in nodes))
    return Reply(b"LIST completed.")


class Metadata:
    """What RETURN (METADATA ...) shows, read for a number of mailboxes of one account at once (RFC 9590 3)."""

    AT_ONCE = 100

    def __init__(self, session: ImapSession, entries: tuple[str, ...], listed: list[Node], selected: set[str]) -> None:
        self._session = session
        self._entries = {entry.lower(): entry for entry in entries}
        self._coming = [
            (node.place, node.mailbox)
            for node in reversed(listed)
            if node.mailbox and node.place and node.name in selected and may_annotate(node.mailbox.rights)
        ]
        self._values: dict[str, dict[str, bytes]] = {}

    async def write_of(self, name: str) -> None:
        """Write the METADATA response of this name, where it has one; names are asked for in the order listed."""
        if self._coming and self._coming[-1][1].name == name:
            self._values = await self._read()
            await asyncio.sleep(0)  # a thousand mailboxes leave room for other sessions
        values = self._values.get(name)
        if values is not None:
            shown = [(asked, values.get(entry)) for entry, asked in self._entries.items()]
            self._session.write(metadata_response(name, shown, self._session.dialect.utf8))

    async def _read(self) -> dict[str, dict[str, bytes]]:
        """Values of the next mailboxes that are in one account, by name."""
        place = self._coming[-1][0]
        batch: list[Mailbox] = []
        while self._coming and len(batch) < self.AT_ONCE and self._coming[-1][0] is place:
            batch.append(self._coming.pop()[1])
        entries = list(self._entries)
        try:
            found = await place.store.annotations([one.key for one in batch], entries)
        except StoreRefusal:  # of one of them, since they were listed: the others stand for themselves
            if place.own:
                raise
            found = {}
            for one in batch:
                found |= await _allowed(place.store, one.key, entries)
        return {one.name: found[one.key] for one in batch if one.key in found}


async def _allowed(store: Store, key: int, entries: list[str]) -> dict[int, dict[str, bytes]]:
    """Annotations of somebody else's mailbox, nothing where they may not be read (any more)."""
    try:
        return await store.annotations([key], entries)
    except StoreRefusal:
        return {}


async def _nodes(session: ImapSession, patterns: tuple[str, ...]) -> list[Node]:
    """All names that may be listed: the account's own, and those that others share where `patterns` reach them."""
    store = session.own_store
    own_place = Place(store, INBOX)
    mailboxes, subscriptions = await store.names()
    found = [(own_place, one) for one in mailboxes]
    if session.places.reached_by(patterns):
        own = {one.name for _, one in found}
        found += [(place, one) for place, one in await session.places.shared() if one.name not in own]
    return tree(found, subscriptions)


async def _matching(nodes: list[Node], patterns: tuple[str, ...]) -> list[Node]:
    """The names that match any of the patterns (with their reference). Raises CodedRefusal (LIMIT)."""
    length = sum(pattern_length(pattern) for pattern in patterns if has_wildcard(pattern))
    if length > PATTERNS:
        raise CodedRefusal("The patterns are too long together.", b"LIMIT")
    if length * len(nodes) <= COMPARED_AT_ONCE:
        return _that_match(nodes, patterns)
    return await asyncio.to_thread(_that_match, nodes, patterns)


def _that_match(nodes: list[Node], patterns: tuple[str, ...]) -> list[Node]:
    match = list_matcher(patterns, SEPARATOR)
    return [node for node in nodes if match(node.name)]


def _parents(command: List, selected: set[str], matching: set[str]) -> tuple[set[str], set[str]]:
    """Names above selected ones, and of these the ones above a name that no pattern matches.

    RECURSIVEMATCH: the first have CHILDINFO; the second are listed though nothing selects them, since the client
    would not hear of what is below otherwise (RFC 5258 3.1, 3.5). Both empty without RECURSIVEMATCH.
    """
    above: set[str] = set()
    needed: set[str] = set()
    if "RECURSIVEMATCH" in command.selection:
        for name in selected:
            parents = _levels_above(name)
            above.update(parents)
            if name not in matching:
                needed.update(parents)
    return above, needed


def _levels_above(name: str) -> list[str]:
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:depth]) for depth in range(1, len(levels))]


def tree(mailboxes: Iterable[tuple[Place, Mailbox]], subscriptions: Iterable[str]) -> list[Node]:
    """Every name that LIST may show, INBOX first, then by name; levels without a mailbox included."""
    nodes = {mailbox.name: Node(mailbox.name, mailbox, place) for place, mailbox in mailboxes}
    for name in subscriptions:
        nodes.setdefault(name, Node(name)).subscribed = True
    for node in list(nodes.values()):
        for parent in _levels_above(node.name):
            above = nodes.setdefault(parent, Node(parent))
            above.children = above.children or node.mailbox is not None
            above.below_subscribed = above.below_subscribed or node.subscribed
    return sorted(nodes.values(), key=lambda node: (node.name != "INBOX", node.name))


async def _show(
    session: ImapSession, command: List, node: Node, child_info: tuple[str, ...], *, with_status: bool
) -> None:
    """Write what LIST says of one name. child_info: what is selected below it, where RECURSIVEMATCH asks."""
    extended = command.extended or session.dialect.rev2
    wants_subscribed = SUBSCRIBED in command.selection or SUBSCRIBED in command.returning
    attributes = attributes_of(node, extended=extended, subscribed=wants_subscribed)
    session.write(list_response(node.name, attributes, SEPARATOR, session.dialect.utf8, child_info=child_info))
    mailbox, place = node.mailbox, node.place
    if mailbox is None or place is None or not with_status:
        return
    if command.status and mailbox.rights & Rights.READ:  # RFC 5819 2: no STATUS of what cannot be selected
        try:
            session.write(await status.line_of(session, place, mailbox, node.name, command.status))
        except (NoSuchMailbox, NoPermission):  # since it was listed: LIST goes on without it (RFC 5819 2)
            pass
    if MYRIGHTS in command.returning:
        session.write(myrights_response(node.name, shown(mailbox.rights), session.dialect.utf8))


def _meets(command: List, node: Node) -> bool:
    """Whether the name itself is selected (RFC 5258 3.1)."""
    special = node.mailbox is not None and node.mailbox.role is not None
    if SUBSCRIBED in command.selection and not node.subscribed:
        return False
    if SPECIAL_USE in command.selection and not special:
        return False
    if command.selection & {SUBSCRIBED, SPECIAL_USE}:
        return True
    return node.mailbox is not None or node.children


def attributes_of(node: Node, *, extended: bool, subscribed: bool) -> list[str]:
    """Mailbox attributes (RFC 9051 7.3.1). extended: \\NonExistent is understood; else \\Noselect says it."""
    attributes = []
    if node.mailbox is None:
        attributes.append("\\NonExistent" if extended else "\\Noselect")
    elif not node.mailbox.rights & Rights.READ:
        attributes.append("\\Noselect")  # RFC 5819 2
    attributes.append("\\HasChildren" if node.children else "\\HasNoChildren")
    if subscribed and node.subscribed:
        attributes.append("\\Subscribed")
    if node.mailbox is not None and node.mailbox.role is not None:
        attributes.append(node.mailbox.role)
    return attributes


async def line_of(session: ImapSession, place: Place, mailbox: Mailbox, asked: str) -> bytes:
    """The LIST response that SELECT gives in IMAP4rev2, with OLDNAME where the name was sent in another form (RFC 9051
    6.3.2). mailbox: as `place.store` names it. asked: as the client did."""
    prefix = mailbox.name + SEPARATOR
    children = any(other.name.startswith(prefix) for other in await place.store.mailboxes())
    subscribed = mailbox.subscribed
    if not place.own:
        subscribed = place.past is None and place.shown(mailbox.name) in await session.own_store.subscriptions()
    node = Node(mailbox.name, mailbox, place, subscribed, children)
    attributes = attributes_of(node, extended=True, subscribed=True)
    shown = place.shown(mailbox.name)
    old_name = asked if asked != shown else None
    return list_response(shown, attributes, SEPARATOR, session.dialect.utf8, old_name=old_name)


def tell_name(session: ImapSession, place: Place, name: str, asked: str, attributes: tuple[str, ...] = ()) -> None:
    """In IMAP4rev2, what a mailbox is called of which a command spoke in another form (RFC 9051 6.3.9.7); of INBOX
    everybody knows."""
    shown = place.shown(name)
    if session.dialect.rev2 and shown != asked and name != INBOX:
        session.write(list_response(shown, attributes, SEPARATOR, session.dialect.utf8, old_name=asked))


async def lsub(session: ImapSession, command: Lsub) -> Reply:
    """LSUB: subscribed names; with "%" also the levels above them, marked \\Noselect (RFC 3501 6.3.9)."""
    pattern = mailbox_pattern(command.reference + command.pattern)
    store = session.own_store
    own_place = Place(store, INBOX)
    mailboxes, subscriptions = await store.names()
    nodes = tree([(own_place, one) for one in mailboxes], subscriptions)
    for node in await _matching(nodes, (pattern,)):
        above = node.below_subscribed and command.pattern.endswith("%")
        if node.subscribed or above:
            attributes = () if node.subscribed else ("\\Noselect",)
            session.write(list_response(node.name, attributes, SEPARATOR, session.dialect.utf8, lsub=True))
    return Reply(b"LSUB completed.")


async def namespace(session: ImapSession, _command: Namespace) -> Reply:
    session.write(namespace_response(*_translated(session), utf8=session.dialect.utf8))
    return Reply(b"NAMESPACE completed.")


def tell_translations(session: ImapSession) -> None:
    """The NAMESPACE response that follows LANGUAGE, where prefixes have other names now (RFC 5255 3.2)."""
    namespaces = _translated(session)
    if any(translation is not None for kind in namespaces for _, _, translation in kind):
        session.write(namespace_response(*namespaces, utf8=session.dialect.utf8))


def _translated(session: ImapSession) -> list[list[Prefix]]:
    """Personal, other users' and shared namespaces, with what their prefixes are called in the client's language."""
    texts = session.dialect.texts
    shared = () if session.past is None else (BACKUPS,)
    namespaces: tuple[tuple[str, ...], ...] = (("",), (session.places.prefix,), shared)
    return [
        [(prefix, SEPARATOR, None if texts is None else texts.prefix(prefix)) for prefix in kind] for kind in namespaces
    ]
