"""What changed since the client was last here: QRESYNC's SELECT parameter, and UID FETCH (CHANGEDSINCE VANISHED).

The removal log answers which UIDs are gone. Below its floor every absent UID of the asked set is named, as the
RFC demands: a client then forgets what is not there, and never what is. RFC 7162 3.1.4.1, 3.2.5, 3.2.6.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...query.language import Sequence
from ...runs import within
from ...store.model import Delta
from ..grammar.commands import QResync
from ..grammar.response import vanished
from ..grammar.sets import Range, compress, merge, resolve
from ..session.view import Changed, Spans, View, merged

if TYPE_CHECKING:
    from ..session.session import ImapSession


COMPARED_AT_ONCE = 8_000
"""Changed or removed messages that are looked for in a view on the event loop: some 5 ms. More of them on a thread, and
what is absent from a view of so many."""


async def resynchronise(session: ImapSession, view: View, asked: QResync) -> None:
    """Answer SELECT's QRESYNC parameter; nothing where the UIDVALIDITY is another (RFC 7162 3.2.5)."""
    if asked.uidvalidity != view.mailbox.uidvalidity:
        return
    if asked.modseq >= view.mailbox.highest_modseq:
        return  # the client knows all that this view does; what came since is told like any change
    known = asked.known_uids or Sequence(((1, 0),), uid=True)
    delta = await session.selected_store.delta(view.mailbox.key, asked.modseq)
    await _write_vanished(session, view, known, delta, matched_uid(view, asked))
    if len(delta.changed) <= COMPARED_AT_ONCE:
        rows = changed_rows(view, view.spans(known), delta)
    else:
        rows = await asyncio.to_thread(changed_rows, view, view.spans(known), delta)
    await session.updates.tell_flags(view, rows, await session.flags())


def matched_uid(view: View, asked: QResync) -> int:
    """The largest UID up to which the client's own pairs show that it knows every removal (RFC 7162 3.2.5.2).

    Pairs are compared in order up to the first that does not match; 0 where none does. Cost: the ranges written, which
    may cover all messages thousands of times.
    """
    if asked.known_sequences is None or asked.known_sequence_uids is None:
        return 0
    uids = view.uids.uids
    best = 0
    for number, uid, length in _runs(asked.known_sequences.ranges, asked.known_sequence_uids.ranges):
        start, stop = number - 1, min(number - 1 + length, len(uids))
        if start >= stop or uids[start] != uid:
            break
        # The distance from a message's place to its UID never falls: as many match as are as far off as the first.
        matching = bisect_right(range(start, stop), uid - start, key=lambda at: uids[at] - at)
        best = uid + matching - 1
        if matching < length:
            break
    return best


def _runs(numbers: tuple[Range, ...], uids: tuple[Range, ...]) -> Iterator[tuple[int, int, int]]:
    """Pairs of two sets read side by side, those that go up by one each together: (number, UID, how many pairs). Ends
    with the shorter set."""
    beside = iter(uids)
    uid, top = 1, 0
    for number, last in numbers:
        while number <= last:
            if uid > top:
                uid, top = next(beside, (1, 0))
                if not top:
                    return
            length = min(last - number, top - uid) + 1
            yield number, uid, length
            number, uid = number + length, uid + length


async def tell_vanished(session: ImapSession, view: View, asked: Sequence, since: int) -> None:
    """Write VANISHED (EARLIER) for the UIDs of `asked` that were removed after `since`."""
    await _write_vanished(session, view, asked, await session.selected_store.delta(view.mailbox.key, since))


async def _write_vanished(session: ImapSession, view: View, asked: Sequence, delta: Delta, above: int = 0) -> None:
    """The same for what a delta names, above a UID."""
    if (len(delta.vanished) if delta.complete else len(view.uids)) <= COMPARED_AT_ONCE:
        gone = _gone(view, asked, delta, above)
    else:
        gone = await asyncio.to_thread(_gone, view, asked, delta, above)
    if gone:
        session.write(vanished(True, gone))


def _gone(view: View, asked: Sequence, delta: Delta, above: int) -> list[Range]:
    """UIDs of `asked` above one that a delta names, or all where it cannot, without those that this session still
    counts as there."""
    ranges = resolve(asked.ranges, view.mailbox.uidnext - 1)
    if asked.saved:
        ranges = merge([*ranges, *view.ranges(view.spans(Sequence((), saved=True)))])
    top = view.mailbox.uidnext - 1  # a UID never given out cannot have vanished
    bounded = [(max(low, above + 1), min(high, top)) for low, high in ranges]
    bounded = [(low, high) for low, high in bounded if low <= high]
    return absent(view, compress(within(delta.vanished, bounded)) if delta.complete else bounded)


def absent(view: View, ranges: list[Range]) -> list[Range]:
    """The parts of `ranges` where this view has no message. Cost grows with the messages they cover."""
    uids = view.uids.uids
    gaps: list[Range] = []
    for low, high in ranges:
        start, stop = view.uids.span(low, high)
        following = low
        for uid in uids[start:stop]:
            if uid > following:
                gaps.append((following, uid - 1))
            following = uid + 1
        if following <= high:
            gaps.append((following, high))
    return gaps


def changed_rows(view: View, spans: Spans, delta: Delta) -> list[Changed]:
    """(sequence number, uid, flag set number, modseq) of the messages of `spans` that a delta names, ascending."""
    there = view.uids.sequences([row[0] for row in delta.changed])
    rows = [(number, *row) for number, row in zip(there, delta.changed, strict=True) if number]
    if spans == [(0, len(view.uids))]:
        return rows
    numbers = [row[0] for row in rows]
    return [row for start, stop in spans for row in rows[bisect_right(numbers, start) : bisect_right(numbers, stop)]]


async def changed_spans(session: ImapSession, view: View, spans: Spans, since: int) -> Spans:
    """The messages of `spans` whose mod-sequence is over `since` (CHANGEDSINCE).

    The store is asked whatever was heard of: another process's hint may come later than the client hears of the change.
    """
    if not spans:
        return []
    delta = await session.selected_store.delta(view.mailbox.key, since)
    if len(delta.changed) <= COMPARED_AT_ONCE:
        return _spans_changed(view, spans, delta)
    return await asyncio.to_thread(_spans_changed, view, spans, delta)


def _spans_changed(view: View, spans: Spans, delta: Delta) -> Spans:
    """Those of these messages that a delta names."""
    changed = [number - 1 for number in view.uids.sequences([row[0] for row in delta.changed]) if number]
    out: Spans = []
    for start, stop in spans:
        first, last = bisect_left(changed, start), bisect_left(changed, stop)
        out.extend((position, position + 1) for position in changed[first:last])
    return merged(out)
