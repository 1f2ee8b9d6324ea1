"""What one session has been told of its selected mailbox.

Sequence numbers are a matter between one session and its client: they follow what this client was told, not
what the store holds now. The view keeps the list of UIDs as told (one shared immutable array while it equals
the store's), the UIDs that are gone but not told yet (`gone`), and the change number it has read up to. A
`Delta` goes in by `update`; what may be said now comes out as an `Update`:

- removals only when the caller says they may go out now (never while answering FETCH, STORE or SEARCH by
  number, nor between commands, RFC 9051 7.5.1); otherwise they wait in `gone`, and the messages stay
  addressable (RFC 2180 4.1);
- arrivals and flag changes at once; changes this session made and was told of (`own`) are not said twice.

Pure: no I/O. It must not know dialects or wire formats. RFC 9051 2.3.1.2, 5.2, 7.4.1, 7.5.1; RFC 7162 3.2.10.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from collections.abc import Sequence as Sequence_
from dataclasses import dataclass

from ...query.language import Sequence
from ...store.model import Delta, Flagged, Mailbox, Snapshot, UidList, UidRanges
from ..grammar.sets import compress
from .contexts import Context
from .state import BadCommand, SelectedLost

Spans = list[tuple[int, int]]
"""Positions in the view, [start, stop), ascending and disjoint; position + 1 is the sequence number."""

Changed = tuple[int, int, int, int]
"""(sequence number, UID, flag set number, mod-sequence) of a message whose flags changed."""

NOTHING: array[int] = array("I")


@dataclass(frozen=True, slots=True)
class Update:
    """What the client may be told now, in this order.

    expunged: positions (before any of them is removed) of removed messages, ascending; expunged_uids: their
    UIDs. exists: the new message count where messages arrived, None otherwise. arrived: their UIDs.
    changed: messages whose flags changed, ascending.
    """

    expunged: list[int]
    expunged_uids: array[int]
    exists: int | None
    arrived: list[int]
    changed: list[Changed]


class View:
    """One session's picture of one mailbox."""

    __slots__ = (
        "ahead", "contexts", "filed", "full", "gone", "held", "held_back", "keywords", "keywords_seen", "mailbox",
        "own", "read_only", "recent", "saved", "told_modseq", "uids", "unsettled",
    )  # fmt: skip

    def __init__(self, snapshot: Snapshot, *, read_only: bool) -> None:
        self.mailbox: Mailbox = snapshot.mailbox
        """As last read; its highest_modseq is what the next delta starts from."""
        self.uids: UidList = snapshot.uids
        """As told to the client."""
        self.gone: array[int] = NOTHING
        """UIDs of `uids` that are removed and not told yet, ascending."""
        self.own: set[int] = set()
        """Change numbers of this session whose flags the client knows already."""
        self.read_only = read_only
        self.recent: list[tuple[int, int]] = []
        """UID ranges that are \\Recent in this session (IMAP4rev1)."""
        self.saved: array[int] = NOTHING
        """SEARCH's saved result: UIDs, ascending; those that are gone drop out when it is used."""
        self.full = False
        """The client was told that there can be no more keywords."""
        self.keywords: Sequence_[str] = ()
        """Keywords that FLAGS has named."""
        self.keywords_seen = 0
        """How many the account had when it was last asked whether there are others than these."""
        self.contexts: dict[bytes, Context] = {}
        """Searches whose client is told how their results change, by their tags (RFC 5267)."""
        self.unsettled: array[int] = NOTHING
        """UIDs that this session's own commands changed since the contexts were looked at; kept where there are any."""
        self.filed: set[int] = set()
        """UIDs of messages that this session's own commands brought here since then; likewise."""
        self.told_modseq = snapshot.mailbox.highest_modseq
        """Everything up to this change number has been told (RFC 7162 3.2, 6)."""
        self.held = False
        """The client was told to go no further than `told_modseq`, and nothing since (RFC 7162 6)."""
        self.ahead = False
        """What was told of a message may be from after the last delta: what else changed until then is not told yet."""
        self.held_back = False
        """Flags changed after `told_modseq` of which the client has said that it wants to hear nothing, and so never
        will: it stands still from then on."""

    def update(self, delta: Delta, present: UidList | None, *, may_expunge: bool, tells_flags: bool = True) -> Update:
        """Take in a delta that began at `mailbox.highest_modseq`; say what may be said. tells_flags: flags that changed
        will be told.

        present: the mailbox's UIDs at or after the delta; needed where the delta is incomplete, and taken as
        the shared list where it equals this view. Cost: the delta, and one copy of the list where neither
        the old nor the shared one fits.
        """
        uidnext = self.mailbox.uidnext
        self.note_gone(delta, present)
        arrived = [uid for uid, _, _ in delta.changed if uid >= uidnext]
        self.mailbox = delta.mailbox
        positions: list[int] = []
        expunged = NOTHING
        if may_expunge and len(self.gone):
            expunged, self.gone = self.gone, NOTHING
            positions = [bisect_left(self.uids.uids, uid) for uid in expunged]
        self._replace(expunged, arrived, present)
        sequence, own = self.uids.sequence, self.own
        changed = [
            (number, uid, flags, modseq)
            for uid, flags, modseq in delta.changed
            if uid < uidnext and modseq not in own and (number := sequence(uid))
        ]
        self.own.clear()
        self.ahead = False
        self.held_back = self.held_back or bool(changed and not tells_flags)
        if not self.untold:
            self.told_modseq = delta.mailbox.highest_modseq
        return Update(positions, expunged, len(self.uids) if arrived else None, arrived, changed)

    @property
    def untold(self) -> bool:
        """Something lies behind `told_modseq` that the client does not know."""
        return bool(len(self.gone)) or self.held_back or self.ahead

    @property
    def is_settled(self) -> bool:
        """Nothing waits to be told, or to be compared with what comes next."""
        return not (len(self.gone) or self.own or self.contexts)

    def note_own(self, flagged: Flagged) -> bool:
        """Take in what this session's own command did to flags, of which the client knows.

        Whether the view is up to date by that: nothing else had touched the mailbox since it was last read, and the
        user's rights are the ones that he was told (RFC 4314 5.1.1).
        """
        if not flagged.modseq:
            return False
        if self.contexts:
            # With NOTIFY NONE they are looked at no more: each stands here once, however often it changes.
            waiting = self.unsettled
            self.unsettled = array("I", sorted({*waiting, *flagged.changed})) if len(waiting) else flagged.changed
        now, known = flagged.mailbox, self.mailbox
        if now is None or flagged.before != known.highest_modseq or now.rights != known.rights:
            self.own.add(flagged.modseq)
            return False
        self.mailbox = now
        if not self.untold:
            self.told_modseq = self.mailbox.highest_modseq
        return True

    def note_gone(self, delta: Delta, present: UidList | None) -> None:
        """Add to `gone` what the delta removed from this view. Done twice it does no more.

        Raises SelectedLost where the mailbox has messages again that the client was told are removed: an older state of
        the account was put in service. Their UIDs stand between those of the view, which has no number for them.
        """
        if delta.complete:
            fresh: Iterable[int] = (uid for uid in delta.vanished if self.uids.sequence(uid))
            if not len(delta.vanished):
                return
        else:
            if present is None:
                raise ValueError("an incomplete delta needs the mailbox's UIDs")
            told = set(self.uids.uids)
            if not told.issuperset(present.uids[: bisect_left(present.uids, self.mailbox.uidnext)]):
                raise SelectedLost(b"An older state of this mailbox was put in service; connect again.", b"UNAVAILABLE")
            fresh = told.difference(present.uids)
        self.gone = array("I", sorted({*self.gone, *fresh}))

    def _replace(self, expunged: array[int], arrived: list[int], present: UidList | None) -> None:
        """Put removals and arrivals into effect, with the shared list where it says the same."""
        if not len(expunged) and not arrived:
            return
        told = self.uids.without(expunged).with_more(arrived)
        if present is not None and present is not told and len(present) == len(told) and present.uids == told.uids:
            told = present
        self.uids = told

    # Sets ------------------------------------------------------------------------------------------------

    def spans(self, sequence: Sequence, *, strict: bool = True) -> Spans:
        """Positions of the messages that a set names.

        strict: a message number past the end is the client's mistake (RFC 9051 9, seq-number); SEARCH takes
        it as naming nothing. Raises BadCommand. Cost grows with ranges written, not with messages covered.
        """
        saved = self._spans_of_uids(self.saved) if sequence.saved else []
        if not sequence.ranges:
            return saved
        count = len(self.uids)
        if sequence.uid:
            top = self.uids.uids[-1] if count else 0
            found = [self.uids.span(low or top, high or top) for low, high in ordered(sequence.ranges, top)]
        else:
            found = [(low - 1, high) for low, high in ordered(sequence.ranges, count)]
            if any(stop > count or start < 0 for start, stop in found):
                if strict:
                    raise BadCommand("There is no message of that number.")
                found = [(max(start, 0), min(stop, count)) for start, stop in found]
        return merged([*saved, *found])

    def _spans_of_uids(self, uids: array[int]) -> Spans:
        return merged([self.uids.span(low, high) for low, high in compress(uids)])

    def ranges(self, spans: Spans) -> UidRanges:
        """UID ranges that hold exactly the messages of `spans` among those of this view."""
        uids = self.uids.uids
        return tuple((uids[start], uids[stop - 1]) for start, stop in spans)

    @property
    def everything(self) -> UidRanges:
        """One range over all that this view holds; empty when it is empty."""
        return ((1, self.uids.uids[-1]),) if len(self.uids) else ()

    def holds_gone(self, spans: Spans) -> bool:
        """Whether a message of `spans` is known to be removed."""
        if not len(self.gone):
            return False
        for low, high in self.ranges(spans):
            i = bisect_left(self.gone, low)
            if i < len(self.gone) and self.gone[i] <= high:
                return True
        return False

    def numbers(self, uids: array[int]) -> Sequence_[int]:
        """Sequence numbers of UIDs (ascending); those not in the view are left out."""
        if len(uids) * 8 < len(self.uids):
            return [number for number in map(self.uids.sequence, uids) if number]
        if uids is self.uids.uids or uids == self.uids.uids:
            return range(1, len(uids) + 1)
        wanted = set(uids)
        return [number for number, uid in enumerate(self.uids.uids, 1) if uid in wanted]

    def number_ranges(self, uids: array[int]) -> list[tuple[int, int]]:
        """Sequence numbers of UIDs (ascending), as inclusive ranges; those not in the view are left out.

        Cost: grows with the ranges where they are long, with the UIDs where not."""
        if uids is self.uids.uids:
            return compress(range(1, len(uids) + 1))
        ranges = compress(uids)
        if len(ranges) * 8 > len(uids):
            return compress(self.numbers(uids))
        return [(start + 1, stop) for start, stop in merged([self.uids.span(low, high) for low, high in ranges])]

    def numbers_in_order(self, uids: array[int]) -> list[int]:
        """Sequence numbers of UIDs in any order, which is kept; those not in the view are left out."""
        if len(uids) * 8 < len(self.uids):
            return [number for number in map(self.uids.sequence, uids) if number]
        numbers = dict(zip(self.uids.uids, range(1, len(self.uids) + 1), strict=True))
        try:
            return list(map(numbers.__getitem__, uids))
        except KeyError:
            return [numbers[uid] for uid in uids if uid in numbers]

    def recent_count(self) -> int:
        """How many messages are \\Recent in this session."""
        return count([self.uids.span(low, high) for low, high in self.recent])

    def add_recent(self, low: int, high: int) -> None:
        """Note that UIDs low..high are \\Recent here; nothing where low > high."""
        if low > high:
            return
        if self.recent and self.recent[-1][1] + 1 >= low:
            first, last = self.recent[-1]
            self.recent[-1] = (min(first, low), max(last, high))
        else:
            self.recent.append((low, high))


def count(spans: Spans) -> int:
    """How many messages there are in `spans`."""
    return sum(stop - start for start, stop in spans)


def ordered(ranges: Iterable[tuple[int, int]], top: int) -> Iterable[tuple[int, int]]:
    """Ranges with "*" (written 0) as `top`, each with its smaller end first (RFC 9051 9, seq-range)."""
    for low, high in ranges:
        low, high = low or top, high or top
        yield (low, high) if low <= high else (high, low)


def merged(spans: Iterable[tuple[int, int]]) -> Spans:
    """Spans ascending, disjoint, without empty ones; neighbours joined."""
    out: Spans = []
    for start, stop in sorted(spans):
        if start >= stop:
            continue
        if out and start <= out[-1][1]:
            if stop > out[-1][1]:
                out[-1] = (out[-1][0], stop)
        else:
            out.append((start, stop))
    return out


def without(spans: Spans, others: Spans) -> Spans:
    """What of `spans` none of `others` has; both as `merged` gives them."""
    out: Spans = []
    at = 0
    for start, stop in spans:
        while at < len(others) and others[at][0] < stop:
            low, high = others[at]
            if start < low:
                out.append((start, low))
            start = max(start, high)
            if high > stop:  # it may reach into the next
                break
            at += 1
        if start < stop:
            out.append((start, stop))
    return out
