"""SEARCH and UID SEARCH: the view turns message numbers into UIDs, the engine searches, the dialect answers.

IMAP4rev1 without RETURN gets SEARCH, everybody else ESEARCH. RFC 9051 6.4.4, 7.3.4; RFC 3501 7.2.5; RFC 4731;
RFC 5182 (saved results); RFC 9394 (PARTIAL); RFC 6855 3; RFC 7162 3.1.5, 3.1.10.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, cast

from ...errors import Refusal
from ...query.language import Sequence, Uids
from ...store.model import Column
from ..grammar.commands import Search
from ..grammar.response import esearch_response, search_response
from ..grammar.sets import compress
from ..session.criteria import asks_modseq, resolved
from ..session.state import BadCommand, Reply
from ..session.view import NOTHING, View
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
        found = await _find(session, view, command)
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
    return Reply(b"SEARCH completed.")


async def _find(session: ImapSession, view: View, command: Search) -> array[int]:
    """UIDs that match, ascending, those of this view alone."""

    def sets(sequence: Sequence) -> Uids:
        return Uids(view.ranges(view.spans(sequence, strict=False)))

    recent = Uids(tuple(view.recent))
    query = resolved(command.query, sets, recent)
    if not len(view.uids):
        return NOTHING
    uids, report = view.uids, session.progress.report
    return await session.store.search(
        view.mailbox.key, query, view.everything, come_to=lambda uid: report(uids.span(1, uid)[1], len(uids))
    )


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
