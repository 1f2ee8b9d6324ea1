"""LIST of what the account was: snapshots as levels, and their mailboxes, below `Backups/`.

    LIST "" Backups/%                        * LIST (\\Noselect \\HasChildren) "/" "Backups/2026-11-22 02:30"
    LIST "" "Backups/2026-11-22 02:30/*"     * LIST (\\HasNoChildren) "/" "Backups/2026-11-22 02:30/INBOX" ...

Only patterns that begin with `Backups/` show any of it, so that no client downloads years by LIST "" *. None of it is
subscribed or has a special use. Answers are bounded by snapshots and mailboxes; STATUS and METADATA are told where one
snapshot is named, since of many it would mean to read them all (RFC 5819 2 and RFC 9590 3 let a server leave them out).
RFC 9051 6.3.9.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...store.model import INBOX, SEPARATOR
from ...store.past import Past, PastState
from ...store.rights import shown
from ..grammar.commands import List
from ..grammar.response import list_match, list_matcher, list_response
from ..grammar.response_access import myrights_response
from ..session.places import BACKUPS
from . import status
from .list import MYRIGHTS, SPECIAL_USE, SUBSCRIBED, Metadata, Node, attributes_of, tree

if TYPE_CHECKING:
    from ..session.session import ImapSession


async def tell(
    session: ImapSession, past: Past, command: List, patterns: tuple[str, ...], taken: frozenset[str]
) -> None:
    """Write what `patterns` (with their reference, all of them beginning with `Backups/`) match. taken: names of the
    account's own mailboxes, which go before. Raises PastUnavailable."""
    if command.selection & {SUBSCRIBED, SPECIAL_USE}:
        return
    match = list_matcher(patterns, SEPARATOR)
    states = await past.states(session.own_store.account)
    within = [state for state in states if any(_reaches(pattern, state) for pattern in patterns)]
    for state in states:
        name = BACKUPS + state.name
        nodes = [Node(name, children=True)]
        if state in within:
            place = await session.places.past_place(past, state, INBOX)
            boxes = [(place, replace(one, name=place.shown(one.name))) for one in await place.store.mailboxes()]
            nodes = [node for node in tree(boxes, ()) if node.name.startswith(name)]
        listed = [node for node in nodes if node.name not in taken and match(node.name)]
        metadata = None
        if command.metadata and len(within) == 1:
            metadata = Metadata(session, command.metadata, listed, {node.name for node in listed})
        for node in listed:
            await _show(session, command, node, with_status=len(within) == 1)
            if metadata is not None:
                await metadata.write_of(node.name)
            await session.flush_if_full()


def _reaches(pattern: str, state: PastState) -> bool:
    """Whether a pattern may match a mailbox of the snapshot."""
    level, separator, _ = pattern[len(BACKUPS) :].partition(SEPARATOR)
    if "*" in level:
        return list_match(level.partition("*")[0] + "*", state.name, SEPARATOR)
    return bool(separator) and list_match(level, state.name, SEPARATOR)


async def _show(session: ImapSession, command: List, node: Node, *, with_status: bool) -> None:
    utf8 = session.dialect.utf8
    extended = command.extended or session.dialect.rev2
    attributes = attributes_of(node, extended=extended, subscribed=False)
    session.write(list_response(node.name, attributes, SEPARATOR, utf8))
    place, mailbox = node.place, node.mailbox
    if place is None or mailbox is None:
        return
    if command.status and with_status:
        whole = await place.store.mailbox(mailbox.name.removeprefix(place.above))
        if whole is not None:
            session.write(await status.line_of(session, place, whole, node.name, command.status))
    if MYRIGHTS in command.returning:
        session.write(myrights_response(node.name, shown(mailbox.rights), utf8))
