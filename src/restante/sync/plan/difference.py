"""One side's listing of a mailbox against the base: what is new, gone, flagged. Pure.

Base and listing are walked side by side: a message that is as the base says costs a comparison and no object.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence

from ...values import Record, field
from ..base import FRESH, GONE, Half, Row
from ..model import Flags
from ..settings import End

Line = tuple[int, int, int | None, int, int, int, int | None]
"""(UID here, key, UID there, flags here, flags there, odd, hold)."""


class Listing(Record):
    """What a side told of a mailbox. flags: numbers of flag sets. full: it is everything. void: the base's UIDs mean
    nothing any more (UIDVALIDITY changed)."""

    uids: Sequence[int] = ()
    flags: Sequence[int] = ()
    emails: Sequence[str | None] | None = None
    full: bool = False
    void: bool = False


class Difference(Record):
    """new: UIDs that the base does not have, with their flags and EMAILIDs. listed: keys of rows that we had written
    and that are as written; emails: (key, EMAILID) of those that we had written."""

    new: array[int] = field(default_factory=lambda: array("Q"))
    new_flags: list[int] = field(default_factory=list)
    new_emails: list[str | None] | None = None
    listed: array[int] = field(default_factory=lambda: array("q"))
    emails: list[tuple[int, str]] = field(default_factory=list)


def difference(
    end: End,
    pair: int,
    listing: Listing,
    lines: Iterable[Line],
    rows: dict[int, Row],
    flags: Callable[[int], Flags],
    keeps: Callable[[str], bool],
    doomed: set[int],
) -> Difference:
    """What changed on this side of a pair; rows that something happened to are put into `rows`, which both sides share.

    lines: the base's rows that may be concerned (all, where the listing is full), ascending by UID. flags: number ->
    flag set. keeps: whether this side is known to keep that flag. doomed: UIDs to be passed over.
    """
    found = Difference()
    if listing.void:
        for line in lines:
            half = _row(rows, end, pair, line, flags).at(end)
            half.uid, half.gone = None, True
        new: Sequence[int] = range(len(listing.uids))
    else:
        new = _walk(end, pair, listing, lines, rows, flags, keeps, found)
    if doomed:
        new = [at for at in new if listing.uids[at] not in doomed]
    found.new = array("Q", [listing.uids[at] for at in new])
    found.new_flags = [listing.flags[at] for at in new]
    if listing.emails is not None:
        found.new_emails = [listing.emails[at] for at in new]
    return found


def _walk(
    end: End,
    pair: int,
    listing: Listing,
    lines: Iterable[Line],
    rows: dict[int, Row],
    flags: Callable[[int], Flags],
    keeps: Callable[[str], bool],
    found: Difference,
) -> Sequence[int]:
    """Positions in the listing that the base does not have. Base and listing ascend by UID, and are walked together."""
    uids, seen = listing.uids, listing.flags
    odd_here = FRESH[end] | GONE[end]
    new: list[int] = []
    position, last = 0, len(uids)
    for line in lines:
        uid, _, _, here, _, odd, _ = line
        while position < last and uids[position] < uid:
            new.append(position)
            position += 1
        if position == last or uids[position] != uid:
            _row(rows, end, pair, line, flags).at(end).gone = True
            continue
        if odd & odd_here or seen[position] != here:
            _changed(end, pair, listing, position, line, rows, flags, keeps, found)
        position += 1
    if not new:
        return range(position, last)
    new.extend(range(position, last))
    return new


def _changed(
    end: End,
    pair: int,
    listing: Listing,
    position: int,
    line: Line,
    rows: dict[int, Row],
    flags: Callable[[int], Flags],
    keeps: Callable[[str], bool],
    found: Difference,
) -> None:
    """A message that is listed with other flags, or that we wrote, or that was gone."""
    _, key, _, here, _, odd, _ = line
    fresh = FRESH[end]
    if odd & fresh and listing.emails is not None and (email := listing.emails[position]) is not None:
        found.emails.append((key, email))
    if odd & (fresh | GONE[end]) == fresh and listing.flags[position] == here:
        found.listed.append(key)
        return
    row = _row(rows, end, pair, line, flags)
    half = row.at(end)
    half.gone = False
    half.seen = flags(listing.flags[position])
    if odd & fresh:
        half.flags -= {flag for flag in half.flags - half.seen if not keeps(flag)}
        row.odd &= ~fresh


def _row(rows: dict[int, Row], end: End, pair: int, line: Line, flags: Callable[[int], Flags]) -> Row:
    uid, key, other, here, there, odd, hold = line
    row = rows.get(key)
    if row is None:
        halves = {
            end: Half(uid, flags(here), gone=bool(odd & GONE[end])),
            end.other: Half(other, flags(there), gone=bool(odd & GONE[end.other])),
        }
        row = rows[key] = Row(key, pair, halves[End.ONE], halves[End.TWO], odd, hold)
    return row
