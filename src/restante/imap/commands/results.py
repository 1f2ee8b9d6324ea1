"""What a search tells of the messages it found: RETURN options to an ESEARCH response, to "$", to MODSEQ.

Shared by SEARCH, ESEARCH and SORT. RFC 9051 6.4.4, 7.3.4; RFC 4731; RFC 5182; RFC 7162 3.1.5; RFC 7377 2.1; RFC 9394
3.2.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ...runs import ascending
from ...store.interface import Store
from ...store.model import Column
from ..grammar.commands import ESearch, Search, Sort
from ..grammar.response import esearch_response
from ..grammar.sets import Range, compress, compress_ordered
from ..session.view import View
from .fetch_rows import BATCH, batches, read_rows
from .store import view_spans

if TYPE_CHECKING:
    from ..session.places import Place
    from ..session.session import ImapSession


SearchLike = Search | ESearch | Sort
"""Commands that name messages by keys and answer with RETURN options."""

RELEVANCY = "RELEVANCY"
"""RETURN option: scores of a fuzzy search (RFC 6203 4)."""

SAVE_ALONE = frozenset({"SAVE"})
"""RETURN (SAVE): nothing is answered (RFC 5182 2.1)."""


def tell_lost(session: ImapSession, place: Place | None) -> None:
    """Say of a search, sort or thread of a past mailbox, behind what it found, that it has not seen all: in an untagged
    NO, since what it found counts (RFC 9051 7.1.2: a warning; the command completes). With a tagged one clients would
    throw that away."""
    if place is not None and place.past is not None and place.past.passed_over():
        session.say(b"Some messages cannot be read from the backup; they were not looked at.", b"UNAVAILABLE", b"NO")


def shown(found: array[int], command: SearchLike) -> array[int]:
    """The messages that MIN, MAX, PARTIAL or their likes name, ascending: what "$" keeps and MODSEQ looks at (RFC 9051
    table 4, RFC 9394 table 1). MIN and MAX of a SORT are its ends (RFC 5267 3.1)."""
    returning = command.returning or frozenset()
    if not len(found) or returning & {"ALL", "COUNT"} or not returning & {"MIN", "MAX", "PARTIAL"}:
        return ascending(found) if isinstance(command, Sort) else found
    ends = ([found[0]] if "MIN" in returning else []) + ([found[-1]] if "MAX" in returning else [])
    if command.partial is None:
        return array("I", sorted(set(ends)))
    start, stop = command.partial.span(len(found))
    return array("I", sorted({*found[start:stop], *ends}))


async def highest_modseq(session: ImapSession, view: View, uids: array[int], store: Store | None = None) -> int | None:
    """The highest mod-sequence of these messages, None where none is left. store: of the view, where it is not the
    selected mailbox's."""
    highest = 0
    for batch in batches(view_spans(view, uids), BATCH * 20):
        _, rows = await read_rows(session, view, batch, (Column.MODSEQ,), store)
        highest = max([highest, *(cast("int", row[1]) for row in rows)])  # Column.MODSEQ is int
    return highest or None


@dataclass(frozen=True, slots=True)
class Named:
    """How a response names messages. numbers: of UIDs in the command's order, the numbers told. ranges: the same as a
    set, in that order. Both are asked for what is told alone: of the newest 50 of a million, for 50."""

    numbers: Callable[[array[int]], Sequence[int]]
    ranges: Callable[[array[int]], list[Range]]


def _as_they_are(uids: array[int]) -> array[int]:
    return uids


BY_UID = Named(_as_they_are, compress)
BY_UID_IN_ORDER = Named(_as_they_are, compress_ordered)


def by_number(view: View) -> Named:
    """By message numbers, ascending."""
    return Named(view.numbers, view.number_ranges)


def by_number_in_order(view: View) -> Named:
    """By message numbers, in the order of a SORT."""
    return Named(view.numbers_in_order, lambda uids: compress_ordered(view.numbers_in_order(uids)))


def esearch(
    command: SearchLike,
    found: array[int],
    modseq: int | None,
    named: Named,
    *,
    uid: bool,
    mailbox: tuple[bytes, int] | None = None,
    scores: Sequence[int] = (),
) -> bytes:
    """The ESEARCH response. found: UIDs, in the command's order. mailbox: as in `esearch_response`. scores: of the same
    messages, where RELEVANCY was asked for: with PARTIAL those of its messages are told.

    Cost grows with what is told, not with what was found."""
    wanted = frozenset({"ALL"}) if command.returning is None else command.returning
    some = bool(len(found))
    partial = None
    if command.partial is not None:
        start, stop = command.partial.span(len(found))
        partial = command.partial, named.ranges(found[start:stop])
        scores = scores[start:stop]
    return esearch_response(
        command.tag,
        uid,
        minimum=next(iter(named.numbers(found[:1])), None) if some and "MIN" in wanted else None,
        maximum=next(iter(named.numbers(found[-1:])), None) if some and "MAX" in wanted else None,
        everything=named.ranges(found) if some and "ALL" in wanted else None,
        count=len(found) if "COUNT" in wanted else None,
        modseq=modseq,
        partial=partial,
        mailbox=mailbox,
        relevancy=scores if some and RELEVANCY in wanted else None,
    )
