"""SEARCH and UID SEARCH: the view turns message numbers into UIDs, the engine searches, the dialect answers.

IMAP4rev1 without RETURN gets SEARCH, everybody else ESEARCH (see `results`). `run` and `finish` are what SORT shares.
RFC 9051 6.4.4, 7.3.4; RFC 3501 7.2.5; RFC 4731; RFC 5182 (saved results); RFC 5267 (UPDATE); RFC 5466 (FILTER); RFC
6855 3; RFC 7162 3.1.5, 3.1.10; RFC 9394 (PARTIAL); RFC 9738 3.1.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import Refusal
from ...query.language import And, Query, Sequence, Uids
from ...query.order import SortKey
from ...store.model import UidRanges
from ..grammar.commands import ESearch, Search, Sort
from ..grammar.response import search_response
from ..session.criteria import asks_modseq, is_fuzzy, resolved
from ..session.state import BadCommand, Reply
from ..session.view import NOTHING, Spans, View, merged
from . import contexts, filter_key, limit, results

if TYPE_CHECKING:
    from ...store.interface import ComeTo
    from ..session.session import ImapSession

    Find = Callable[[int, Query, UidRanges], Awaitable[array[int]]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search of the selected mailbox gave.

    command: with stored filters replaced. found: UIDs, in the command's order. modseq: to be told with them. limited:
    the response code where not all messages were looked at. began: when, seconds UTC.
    """

    command: Search | Sort
    found: array[int]
    modseq: int | None
    limited: bytes
    began: float


async def search(session: ImapSession, command: Search) -> Reply:
    check(session, command)
    view = session.view
    come_to = come_in(session, view)
    scores: dict[int, int] = {}
    asks_scores = results.RELEVANCY in (command.returning or ())

    async def find(mailbox: int, query: Query, within: UidRanges) -> array[int]:
        if not asks_scores:
            return await session.selected_store.search(mailbox, query, within, come_to=come_to)
        scored = await session.selected_store.scored(mailbox, query, within, come_to=come_to)
        scores.update(zip(scored.uids, scored.scores, strict=True))
        return scored.uids

    outcome = await run(session, command, find, limit.of_commands(session.config))
    found = outcome.found
    named = results.BY_UID if command.uid else results.by_number(view)
    if command.returning is None and not session.dialect.rev2:
        session.write(search_response(named.numbers(found), outcome.modseq))
    elif command.returning != results.SAVE_ALONE:
        relevancy = [scores[uid] for uid in found] if asks_scores else ()
        session.write(results.esearch(command, found, outcome.modseq, named, uid=command.uid, scores=relevancy))
    return finish(session, outcome, Reply(b"SEARCH completed."))


def come_in(session: ImapSession, view: View) -> ComeTo:
    """Tells, by INPROGRESS, of how many messages of the view a search has come to know (RFC 9585)."""
    uids, report = view.uids, session.progress.report
    return lambda uid: report(uids.span(1, uid)[1], len(uids))


def check(session: ImapSession, command: Search | ESearch) -> None:
    """What holds of a search before it begins. Raises BadCommand."""
    if command.charset and session.dialect.utf8_accept:
        raise BadCommand("After ENABLE UTF8=ACCEPT a search names no charset.")  # RFC 6855 3


def check_fuzzy(query: Query) -> None:
    """Relevancy is asked for only of a fuzzy search (RFC 6203 4 and 6). Raises BadCommand."""
    if not is_fuzzy(query):
        raise BadCommand("RELEVANCY needs a FUZZY search key.")


def _ranks(command: Search | Sort) -> bool:
    """Whether it asks for relevancy, to be told or as an order."""
    by_it = isinstance(command, Sort) and any(criterion.key is SortKey.RELEVANCY for criterion in command.keys)
    return by_it or results.RELEVANCY in (command.returning or ())


async def run(session: ImapSession, command: Search | Sort, find: Find, most: int) -> Outcome:
    """Search the selected mailbox; saves what SAVE asks for.

    find: asked for the mailbox, the query in UIDs and the UIDs to look at. most: as many messages are looked at.
    """
    view = session.view
    contexts.check(view, command)
    began = session.clock.now()
    saves = "SAVE" in (command.returning or ())
    found, shown, limited, modseq = NOTHING, NOTHING, b"", None
    try:
        command = await filter_key.replaced(session, command)
        if _ranks(command):
            check_fuzzy(command.query)
        asks = asks_modseq(command.query)
        if asks:
            session.enable_condstore()
        if len(view.uids):
            query = in_uids(view, command.query)
            within, limited = looked_at(view, query, most)
            found = await find(view.mailbox.key, query, within)
        if saves or asks:
            shown = results.shown(found, command)
        if asks and len(shown):
            modseq = await results.highest_modseq(session, view, shown)
    except Refusal:
        if saves:
            view.saved = NOTHING  # RFC 9051 6.4.4.1: NO empties the variable
        raise
    if saves:
        view.saved = shown
    return Outcome(command, found, modseq, limited, began)


def finish(session: ImapSession, outcome: Outcome, reply: Reply) -> Reply:
    """What comes behind the answer: the results are kept up to date if UPDATE asks for it, a limit is told, and what a
    backup could not give."""
    command = outcome.command
    results.tell_lost(session, session.place)
    if contexts.UPDATE in (command.returning or ()):
        limited = bool(outcome.limited)
        contexts.keep(session, session.view, command, outcome.found, outcome.began, uid=command.uid, limited=limited)
    return limit.told(session, reply, outcome.limited)


def in_uids(view: View, query: Query) -> Query:
    """The query with message numbers, "$" and RECENT replaced by what they are in this view."""

    def sets(sequence: Sequence) -> Uids:
        return Uids(view.ranges(view.spans(sequence, strict=False)))

    return resolved(query, sets, Uids(tuple(view.recent)))


def looked_at(view: View, query: Query, most: int) -> tuple[UidRanges, bytes]:
    """The messages to search: all, or as many of the highest as one command may look at; and the code that says so.

    query: in UIDs. What its keys leave out by number or UID is not looked at and does not count (RFC 9738 3.1).
    """
    operands = query.operands if isinstance(query, And) else (query,)
    named = [node.ranges for node in operands if isinstance(node, Uids)]
    if not named and len(view.uids) <= most:
        return view.everything, b""
    spans: Spans = [(0, len(view.uids))]
    for ranges in named:
        spans = overlap(spans, merged([view.uids.span(low, high) for low, high in ranges]))
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
