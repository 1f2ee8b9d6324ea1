"""SEARCH and UID SEARCH: the view turns message numbers into UIDs, the engine searches, the dialect answers.

IMAP4rev1 without RETURN gets SEARCH, everybody else ESEARCH (see `results`). RFC 9051 6.4.4, 7.3.4; RFC 3501 7.2.5;
RFC 4731; RFC 5182 (saved results); RFC 6855 3; RFC 7162 3.1.5, 3.1.10; RFC 5267 (UPDATE);
RFC 9394 (PARTIAL); RFC 9738 3.1.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from ...errors import Refusal
from ...query.language import And, Query, Sequence, Uids
from ...store.model import UidRanges
from ..grammar.commands import ESearch, Search
from ..grammar.response import search_response
from ..session.criteria import asks_modseq, resolved
from ..session.state import BadCommand, Reply
from ..session.view import NOTHING, Spans, View, merged
from . import contexts, limit, results

if TYPE_CHECKING:
    from ..session.session import ImapSession


async def search(session: ImapSession, command: Search) -> Reply:
    check(session, command)
    view = session.view
    contexts.check(view, command)
    began = session.clock.now()
    saves = command.returning is not None and "SAVE" in command.returning
    try:
        found, limited = await find(session, view, command.query)
    except Refusal:
        if saves:
            view.saved = NOTHING  # RFC 9051 6.4.4.1: NO empties the variable
        raise
    shown = results.shown(found, command)
    if saves:
        view.saved = shown
    modseq = None
    if len(shown) and asks_modseq(command.query):
        modseq = await results.highest_modseq(session, view, shown)
    _answer(session, view, command, found, modseq)
    if contexts.UPDATE in (command.returning or ()):
        contexts.keep(session, view, command, found, began, uid=command.uid, limited=bool(limited))
    return limit.told(session, Reply(b"SEARCH completed."), limited)


def check(session: ImapSession, command: Search | ESearch) -> None:
    """What holds of every search before it begins. Raises BadCommand."""
    if command.charset and session.dialect.utf8_accept:
        raise BadCommand("After ENABLE UTF8=ACCEPT a search names no charset.")  # RFC 6855 3
    if asks_modseq(command.query):
        session.enable_condstore()


async def find(session: ImapSession, view: View, query: Query) -> tuple[array[int], bytes]:
    """UIDs that match, ascending, those of this view alone; and MESSAGELIMIT where not all were looked at."""

    def sets(sequence: Sequence) -> Uids:
        return Uids(view.ranges(view.spans(sequence, strict=False)))

    query = resolved(query, sets, Uids(tuple(view.recent)))
    if not len(view.uids):
        return NOTHING, b""
    within, limited = _looked_at(view, query, limit.of_commands(session.config))
    uids, report = view.uids, session.progress.report
    found = await session.store.search(
        view.mailbox.key, query, within, come_to=lambda uid: report(uids.span(1, uid)[1], len(uids))
    )
    return found, limited


def _looked_at(view: View, query: Query, most: int) -> tuple[UidRanges, bytes]:
    """The messages to search: all, or as many of the highest as one command may look at.

    What the keys themselves leave out by number or UID is not looked at and does not count (RFC 9738 3.1).
    """
    if len(view.uids) <= most:
        return view.everything, b""
    spans: Spans = [(0, len(view.uids))]
    for node in query.operands if isinstance(query, And) else (query,):
        if isinstance(node, Uids):
            spans = overlap(spans, merged([view.uids.span(low, high) for low, high in node.ranges]))
    spans, limited = limit.cut(view, spans, most)
    return view.ranges(spans), limited


def overlap(one: Spans, other: Spans) -> Spans:
    """What two lists of spans have in common."""
    out: Spans = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, stop = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < stop:
            out.append((start, stop))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return out


def _answer(session: ImapSession, view: View, command: Search, found: array[int], modseq: int | None) -> None:
    numbers: array[int] | list[int] = found if command.uid else view.numbers(found)
    if command.returning is None and not session.dialect.rev2:
        session.write(search_response(numbers, modseq))
    elif command.returning != results.SAVE_ALONE:
        session.write(results.esearch(command, numbers, modseq, uid=command.uid))
