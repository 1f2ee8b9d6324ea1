"""SEARCH and UID SEARCH: the view turns message numbers into UIDs, the engine searches, the dialect answers.

IMAP4rev1 without RETURN gets SEARCH, everybody else ESEARCH. RFC 9051 6.4.4, 7.3.4; RFC 3501 7.2.5; RFC 4731;
RFC 5182 (saved results); RFC 9394 (PARTIAL); RFC 9738; RFC 6855 3; RFC 7162 3.1.5, 3.1.10.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, cast

from ...errors import Refusal
from ...query.language import And, Query, Sequence, Uids
from ...store.model import Column, UidRanges
from ..grammar.commands import Search
from ..grammar.response import esearch_response, search_response
from ..grammar.sets import compress
from ..session.criteria import asks_modseq, resolved
from ..session.state import BadCommand, Reply
from ..session.view import NOTHING, Spans, View, merged
from . import limit
from .fetch_rows import BATCH, batches, read_rows
from .store import view_spans

if TYPE_CHECKING:
    from ..session.session import ImapSession


async def search(session: ImapSession, command: Search) -> Reply:
    if command.charset and session.dialect.utf8_accept:
        raise BadCommand("After ENABLE UTF8=ACCEPT a search names no charset.")  # RFC 6855 3
    view = session.view
    saves = command.returning is not None and "SAVE" in command.returning
    if asks_modseq(command.query):
        session.enable_condstore()
    try:
        found, limited = await _find(session, view, command)
    except Refusal:
        if saves:
            view.saved = NOTHING  # RFC 9051 6.4.4.1: NO empties the variable
        raise
    shown = _shown(found, command)
    if saves:
        view.saved = shown
    modseq = None
    if len(shown) and asks_modseq(command.query):
        modseq = await _highest_modseq(session, view, shown)
    _answer(session, view, command, found, modseq)
    return limit.told(session, Reply(b"SEARCH completed."), limited)


async def _find(session: ImapSession, view: View, command: Search) -> tuple[array[int], bytes]:
    """UIDs that match, ascending, those of this view alone; and MESSAGELIMIT where not all were looked at."""

    def sets(sequence: Sequence) -> Uids:
        return Uids(view.ranges(view.spans(sequence, strict=False)))

    recent = Uids(tuple(view.recent))
    query = resolved(command.query, sets, recent)
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


def _shown(found: array[int], command: Search) -> array[int]:
    """The messages that MIN, MAX, PARTIAL or their likes name: what "$" keeps and MODSEQ looks at (RFC 9051 table 4,
    RFC 9394 table 1)."""
    returning = command.returning or frozenset()
    if not len(found) or returning & {"ALL", "COUNT"} or not returning & {"MIN", "MAX", "PARTIAL"}:
        return found
    ends = ([found[0]] if "MIN" in returning else []) + ([found[-1]] if "MAX" in returning else [])
    if command.partial is None:
        return array("I", sorted(set(ends)))
    start, stop = command.partial.span(len(found))
    return array("I", sorted({*found[start:stop], *ends}))


async def _highest_modseq(session: ImapSession, view: View, uids: array[int]) -> int | None:
    """The highest mod-sequence of these messages, None where none is left."""
    highest = 0
    for batch in batches(view_spans(view, uids), BATCH * 20):
        _, rows = await read_rows(session, view, batch, (Column.MODSEQ,))
        highest = max([highest, *(cast("int", row[1]) for row in rows)])  # Column.MODSEQ is int
    return highest or None


def _answer(session: ImapSession, view: View, command: Search, found: array[int], modseq: int | None) -> None:
    numbers: array[int] | list[int] = found if command.uid else view.numbers(found)
    returning = command.returning
    if returning is None and not session.dialect.rev2:
        session.write(search_response(numbers, modseq))
        return
    wanted = frozenset({"ALL"}) if returning is None else returning
    if wanted == {"SAVE"}:
        return
    some = bool(len(numbers))
    partial = None
    if command.partial is not None:
        start, stop = command.partial.span(len(numbers))
        partial = command.partial, compress(numbers[start:stop])
    session.write(
        esearch_response(
            command.tag,
            command.uid,
            minimum=numbers[0] if some and "MIN" in wanted else None,
            maximum=numbers[-1] if some and "MAX" in wanted else None,
            everything=compress(numbers) if some and "ALL" in wanted else None,
            count=len(numbers) if "COUNT" in wanted else None,
            modseq=modseq,
            partial=partial,
        )
    )
