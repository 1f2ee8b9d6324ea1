"""What is to be done about messages that something happened to. Pure: rows in, steps out (rules in the package's text).

The steps are for the engine to do in this order: rows that are forgotten or were found elsewhere are recorded; flags;
moves; additions; removals. Each leaves the base such that a run cut off after it goes on as if nothing had been.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import lru_cache

from ...values import Record, Value, field
from ..base import GONE, MOVING, PLACEHOLDER, SENT, Half, Row
from ..model import Flags
from ..settings import BOTH, End

_UNDER_WAY = GONE[End.ONE] | GONE[End.TWO] | MOVING[End.ONE] | MOVING[End.TWO] | SENT
DELETED: Flags = frozenset({"\\Deleted"})


class FlagStep(Value, frozen=True):
    """Flags to add and remove on either side, and what is then known there."""

    row: Row
    add: Mapping[End, Flags]
    remove: Mapping[End, Flags]
    after: Mapping[End, Flags]


class Additions(Record):
    """Messages for one side of a pair: new ones by their UID on the other side, and rows that lack there.

    flags: of the new ones, as numbers.
    """

    new: array[int] = field(default_factory=lambda: array("Q"))
    flags: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.new) + len(self.rows)


class MessagePlan(Record):
    """drops: to be forgotten. found: on both sides without our doing (key 0: new to the base). record: where they are
    now. flags: by pair. moves: (side, from, to). adds: (pair, side that gets them). removes: (pair, side where they
    still are). holds: (pair, side where they were removed, reason). unsettled: pairs with something left undone."""

    drops: list[Row] = field(default_factory=list)
    found: list[Row] = field(default_factory=list)
    record: list[Row] = field(default_factory=list)
    flags: dict[int, list[FlagStep]] = field(default_factory=lambda: defaultdict(list))
    moves: dict[tuple[End, int, int], list[Row]] = field(default_factory=lambda: defaultdict(list))
    adds: dict[tuple[int, End], Additions] = field(default_factory=lambda: defaultdict(Additions))
    removes: dict[tuple[int, End], list[Row]] = field(default_factory=lambda: defaultdict(list))
    holds: dict[tuple[int, End, str], list[Row]] = field(default_factory=lambda: defaultdict(list))
    unsettled: set[int] = field(default_factory=set)


class Rules(Value, frozen=True):
    """decisions: hold -> accepted, refused or None. waiting: keys of refused messages whose time has not come.
    missing: (pair, side) where the mailbox is not and will not be made in this run."""

    removal_wins: bool = False
    removals: bool = True
    decisions: Mapping[int, bool | None] = field(default_factory=dict)
    waiting: Collection[int] = ()
    missing: Collection[tuple[int, End]] = ()


def decide(row: Row, rules: Rules, plan: MessagePlan) -> None:
    """Put what is to be done about this row into the plan."""
    there = [end for end in BOTH if row.at(end).present]
    if not there:
        plan.drops.append(row)
    elif len(there) == 2:
        _together(row, rules, plan)
    elif row.at(there[0].other).gone:
        _removed(row, there[0], rules, plan)
    else:
        _add(row, there[0], rules, plan)


def _together(row: Row, rules: Rules, plan: MessagePlan) -> None:
    """It is on both sides."""
    places = {end: place for end in BOTH if (place := row.place(end)) is not None}
    here, there = places[End.ONE][0], places[End.TWO][0]
    found = row.key == 0 or row.hold is not None or bool(row.odd & _UNDER_WAY)
    found = found or row.one.found is not None or row.two.found is not None
    if row.key == 0:
        plan.found.append(row)
    step = _merge_flags(row)
    if step is not None:
        plan.flags[row.pair].append(step)
    if here == there:
        if found:
            plan.record.append(row)
        return
    mover, target = (End.TWO, here) if here != row.pair else (End.ONE, there)
    if (target, mover) in rules.missing:
        plan.unsettled |= {row.pair, here, there}
    else:
        plan.moves[mover, places[mover][0], target].append(row)


def _merge_flags(row: Row) -> FlagStep | None:
    one, two = row.one, row.shown(End.TWO)
    if one.now == one.flags and two.now == two.flags and one.seen is None and two.seen is None:
        return None
    return FlagStep(row, *_merged(one.flags, one.seen, two.flags, two.seen))


@lru_cache(maxsize=1024)
def _merged(
    one_flags: Flags, one_seen: Flags | None, two_flags: Flags, two_seen: Flags | None
) -> tuple[Mapping[End, Flags], Mapping[End, Flags], Mapping[End, Flags]]:
    """What to add and to remove on either side, and what is then there. Where many change, many change alike."""
    one, two = Half(None, one_flags, one_seen), Half(None, two_flags, two_seen)
    removed_one, removed_two = one.removed - two.added, two.removed - one.added
    add = {End.ONE: two.added - one.now, End.TWO: one.added - two.now}
    remove = {End.ONE: removed_two & one.now, End.TWO: removed_one & two.now}
    after = {End.ONE: (one.now | add[End.ONE]) - remove[End.ONE], End.TWO: (two.now | add[End.TWO]) - remove[End.TWO]}
    return add, remove, after


def is_removal(row: Row, away: End, rules: Rules) -> bool:
    """Whether it was removed there, is on the other side, and nobody has decided yet, so that the brake may hold it."""
    half = row.at(away)
    decided = row.hold is not None and rules.decisions.get(row.hold) is not None
    return (
        half.gone
        and half.found is None
        and row.at(away.other).present
        and not decided
        and not _returns(row, away, rules)
    )


def comes_back(row: Row, rules: Rules) -> bool:
    """Whether it was removed on one side and is to be added there again because the other side changed it.

    A look at many mailboxes is not made in one instant: what was moved meanwhile may look removed. So this is believed
    only when a second look says the same; the message would be there twice otherwise.
    """
    there = [end for end in BOTH if row.at(end).present]
    if len(there) != 1 or not row.at(there[0].other).gone:
        return False
    decided = row.hold is not None and rules.decisions.get(row.hold) is not None
    return not decided and _returns(row, there[0].other, rules)


def _returns(row: Row, away: End, rules: Rules) -> bool:
    """Whether what was removed there comes back: refused, or changed on the other side."""
    decision = rules.decisions.get(row.hold) if row.hold is not None else None
    if decision is not None:
        return not decision
    half, place = row.at(away.other), row.place(away.other)
    moved = place is not None and place[0] != row.pair
    changed = moved or bool((half.added - DELETED) | half.removed)
    return changed and not rules.removal_wins and not (row.odd & PLACEHOLDER and away is End.ONE)


def _removed(row: Row, here: End, rules: Rules, plan: MessagePlan) -> None:
    """It was removed on the other side, and is here."""
    away, place = here.other, row.place(here)
    assert place is not None
    if _returns(row, away, rules):
        _add(row, here, rules, plan)
    elif row.hold is not None and rules.decisions.get(row.hold) is None:
        if row.odd & GONE[away] == 0 or row.at(here).found is not None:
            plan.record.append(row)
    elif not rules.removals and row.hold is None:
        plan.holds[row.pair, away, "off"].append(row)
    else:
        plan.removes[place[0], here].append(row)


def _add(row: Row, here: End, rules: Rules, plan: MessagePlan) -> None:
    """It lacks on the other side, and is to be there."""
    place = row.place(here)
    assert place is not None
    if here is End.ONE and row.stands is not None and (step := _merge_flags(row)) is not None:
        plan.flags[row.pair].append(step)
    if row.key in rules.waiting:
        if row.at(here).seen is not None or row.at(here).found is not None:
            plan.record.append(row)
        return
    if (place[0], here.other) in rules.missing:
        plan.unsettled |= {row.pair, place[0]}
        return
    plan.adds[place[0], here.other].rows.append(row)
