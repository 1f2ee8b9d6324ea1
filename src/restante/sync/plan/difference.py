"""One side's listing of a mailbox against the base: what is new, gone, flagged. Pure.

A message that is as the base says costs a look into a dictionary and no object.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ..base import FRESH, GONE, Half, Row
from ..model import Flags
from ..settings import End

Line = tuple[int, int, int | None, int, int, int, int | None]
"""(UID here, key, UID there, flags here, flags there, odd, hold)."""


@dataclass(slots=True)
class Listing:
    """What a side told of a mailbox. flags: numbers of flag sets. full: it is everything. void: the base's UIDs mean
    nothing any more (UIDVALIDITY changed)."""

    uids: Sequence[int] = ()
    flags: Sequence[int] = ()
    emails: Sequence[str | None] | None = None
    full: bool = False
    void: bool = False


@dataclass(slots=True)
class Difference:
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

    lines: the base's rows that may be concerned (all, where the listing is full). flags: number -> flag set. keeps:
    whether this side is known to keep that flag. doomed: UIDs to be passed over.
    """
    found = Difference()
    if listing.void:
        for line in lines:
            half = _row(rows, end, pair, line, flags).at(end)
            half.uid, half.gone = None, True
        known: set[int] = set()
    else:
        known = _changed(end, pair, listing, lines, rows, flags, keeps, found)
    known |= doomed
    new = [at for at, uid in enumerate(listing.uids) if uid not in known] if known else range(len(listing.uids))
    found.new = array("Q", [listing.uids[at] for at in new])
    found.new_flags = [listing.flags[at] for at in new]
    if listing.emails is not None:
        found.new_emails = [listing.emails[at] for at in new]
    return found


def _changed(
    end: End,
    pair: int,
    listing: Listing,
    lines: Iterable[Line],
    rows: dict[int, Row],
    flags: Callable[[int], Flags],
    keeps: Callable[[str], bool],
    found: Difference,
) -> set[int]:
    """The listed UIDs that the base has."""
    at = {uid: position for position, uid in enumerate(listing.uids)}
    seen, emails = listing.flags, listing.emails
    fresh, odd_here = FRESH[end], FRESH[end] | GONE[end]
    known: set[int] = set()
    for line in lines:
        uid, key, _, here, _, odd, _ = line
        position = at.get(uid)
        if position is None:
            _row(rows, end, pair, line, flags).at(end).gone = True
            continue
        known.add(uid)
        if not odd & odd_here and seen[position] == here:
            continue
        if odd & fresh and emails is not None and (email := emails[position]) is not None:
            found.emails.append((key, email))
        if odd & odd_here == fresh and seen[position] == here:
            found.listed.append(key)
            continue
        row = _row(rows, end, pair, line, flags)
        half = row.at(end)
        half.gone = False
        half.seen = flags(seen[position])
        if odd & fresh:
            lacking = {flag for flag in half.flags - half.seen if not keeps(flag)}
            half.flags -= lacking
            row.odd &= ~fresh
    return known


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
