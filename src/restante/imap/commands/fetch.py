"""FETCH and UID FETCH: which messages, which items, what changes on the way.

Reading without PEEK sets \\Seen, in one change before the responses, which then carry FLAGS. CHANGEDSINCE
narrows the set, after PARTIAL has; VANISHED tells removals first. The rows themselves are the business of
`fetch_rows`. RFC 9051 6.4.5; RFC 3501 6.4.5; RFC 7162 3.1.4, 3.2.6; RFC 3516 4.3; RFC 9394 3.3;
RFC 9738 3.1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...store.errors import StoreRefusal, cause_of
from ...store.model import FlagMode, Flags, System
from ...store.rights import Rights
from ..grammar.commands import Binary, Body, Fetch, FetchItem, Item, Partial
from ..session.state import Answer, BadCommand, Reply
from ..session.view import Spans, View, count
from . import limit, resync
from .fetch_plan import compile_plan, with_uid
from .fetch_rows import send

if TYPE_CHECKING:
    from ..session.session import ImapSession


COMPILED_AT_ONCE = 100
"""Items made ready on the event loop: names of header fields become an expression, which takes 0.3 ms."""


async def fetch(session: ImapSession, command: Fetch) -> Reply:
    view = session.view
    if command.vanished and not (session.dialect.qresync and command.uid and command.changed_since is not None):
        raise BadCommand("VANISHED needs ENABLE QRESYNC, UID FETCH and CHANGEDSINCE.")
    spans = view.spans(command.sequence)
    most = limit.of_commands(session.config)
    if command.partial is not None:
        if command.partial.width > most:
            return limit.too_many(most)
        spans = within(spans, command.partial)
    items = command.items
    if command.changed_since is not None:
        items = (*items, Item.MODSEQ)
    if command.uid:
        items = with_uid(session, *items)
    if Item.MODSEQ in items:
        session.enable_condstore()
    if command.vanished and command.changed_since is not None:
        await resync.tell_vanished(session, view, command.sequence, command.changed_since)
    if command.changed_since is not None:
        spans = await resync.changed_spans(session, view, spans, command.changed_since)
    spans, limited = limit.cut(view, spans, most)
    if _sets_seen(items) and not view.read_only and await _set_seen(session, view, spans):
        items = (Item.FLAGS, *items)
        if session.dialect.condstore or session.dialect.rev2:
            items = with_uid(session, *items)
        if session.dialect.condstore:
            items = (*items, Item.MODSEQ)
    reply = Reply(b"FETCH completed.")
    plan = compile_plan(items) if len(items) <= COMPILED_AT_ONCE else await asyncio.to_thread(compile_plan, items)
    if not await send(session, view, spans, plan, descending=bool(limited)):
        reply = Reply(b"Some parts could not be decoded.", b"UNKNOWN-CTE", Answer.NO)
    if session.place is not None and session.place.past is not None and session.place.past.passed_over():
        reply = Reply(b"Some messages cannot be read from the backup.", b"UNAVAILABLE", Answer.NO)
    return limit.told(session, reply, limited)


def within(spans: Spans, partial: Partial) -> Spans:
    """Of the messages of `spans`, those that a range counts out (RFC 9394 3.3)."""
    start, stop = partial.span(count(spans))
    out: Spans = []
    passed = 0
    for low, high in spans:
        first, last = max(low, low + start - passed), min(high, low + stop - passed)
        if first < last:
            out.append((first, last))
        passed += high - low
    return out


def _sets_seen(items: Iterable[FetchItem]) -> bool:
    return any(
        isinstance(item, Body | Binary) and not item.peek and not (isinstance(item, Binary) and item.size)
        for item in items
    )


async def _set_seen(session: ImapSession, view: View, spans: Spans) -> bool:
    """Set \\Seen on what is about to be read, in one change; whether any flag changed.

    The responses then carry FLAGS, so that the change need not be told again (RFC 9051 6.4.5).
    """
    if not spans or not view.mailbox.rights & Rights.SEEN:  # RFC 4314 4: read without a mark
        return False
    try:
        flagged = await session.selected_store.store_flags(
            view.mailbox.key, view.ranges(spans), FlagMode.ADD, Flags(System.SEEN)
        )
    except StoreRefusal as refusal:  # a full disk is no reason not to show mail
        session.connection.log("seen not set", reason=refusal.code, cause=cause_of(refusal))
        return False
    view.note_own(flagged)
    return bool(len(flagged.changed))
