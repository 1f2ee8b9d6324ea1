"""Which mailbox is which on both sides, and what becomes of the list: create, rename, special use, subscription. Pure.

Everything works on names as they are now and gives the steps in an order in which each can be done: renames first
(children go with their parents, a cycle goes through a name in between), then what is to be made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from ...values import Record, Value, field
from ..base import Known, Pair
from ..model import Place
from ..settings import BOTH, End

INBOX = "INBOX"
Renaming = Mapping[tuple[int, End], tuple[str, str]]
"""Renames that we began: (pair, side) -> (old name, new name)."""


class Joint(Record):
    """A mailbox in this run. pair: None for a new one. one, two: where it is now. goal: its name when all is done."""

    pair: Pair | None
    one: Place | None
    two: Place | None
    goal: str = ""
    key: int = 0

    def at(self, end: End) -> Place | None:
        return self.one if end is End.ONE else self.two

    def known(self, end: End) -> Known | None:
        return None if self.pair is None else self.pair.at(end)

    def put(self, end: End, place: Place | None) -> None:
        if end is End.ONE:
            self.one = place
        else:
            self.two = place

    def vanished(self, end: End) -> bool:
        """It was there, and is not."""
        return self.at(end) is None and self.known(end) is not None


class Rename(Value, frozen=True):
    """On that side. joint: whose mailbox it is; those below go along."""

    end: End
    joint: Joint
    old: str
    new: str


class MailboxPlan(Record):
    """What to do, in this order. gone: pairs that are gone on both sides. joints: what messages are merged in. bare:
    names on either side that are no mailboxes, only parents of some. begun: by pair and side, mailboxes that a run
    which was cut off has made of such a name, to pour the pair's into: they count as bare."""

    joints: list[Joint] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    renames: list[Rename] = field(default_factory=list)
    creates: list[tuple[Joint, End, str | None]] = field(default_factory=list)
    roles: list[tuple[Joint, End, str | None]] = field(default_factory=list)
    subscriptions: list[tuple[Joint, End, bool]] = field(default_factory=list)
    bare: dict[End, set[str]] = field(default_factory=dict)
    begun: dict[tuple[int, End], Place] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.gone or self.renames or self.creates or self.roles or self.subscriptions)


Hints = Mapping[tuple[int, End], str]
"""(pair, side) -> the name it has now: found out by its messages."""


def suspects(
    pairs: Sequence[Pair], places: Mapping[End, Sequence[Place]], renaming: Renaming
) -> list[tuple[Pair, End, Place]]:
    """Mailboxes that may have been renamed on a side without ids: one is missing, a new one has its UIDVALIDITY."""
    found = []
    for end in BOTH:
        claimed = _find(pairs, places[end], end, renaming, {})
        names = {place.name for place in claimed.values()}
        new = {place.validity: place for place in places[end] if place.selectable and place.name not in names}
        for pair in pairs:
            known = pair.at(end)
            if known is not None and pair.key not in claimed and known.validity in new:
                found.append((pair, end, new[known.validity]))
    return found


def merge(
    pairs: Sequence[Pair],
    places: Mapping[End, Sequence[Place]],
    takes: Callable[[str], bool],
    renaming: Renaming,
    hints: Hints,
    only: Collection[str] = (),
) -> MailboxPlan:
    """The mailbox list's merge. takes: whether a name belongs to the copy. only: names that this run is about."""
    found = {end: _find(pairs, places[end], end, renaming, hints) for end in BOTH}
    joints = [Joint(pair, found[End.ONE].get(pair.key), found[End.TWO].get(pair.key), key=pair.key) for pair in pairs]
    claimed = {end: {place.name for place in found[end].values()} for end in BOTH}
    begun = _begun(joints, places, claimed, renaming)
    for (_, end), place in begun.items():
        claimed[end].add(place.name)
    new: dict[str, Joint] = {}
    for end in BOTH:
        for place in places[end]:
            if place.selectable and place.name not in claimed[end] and takes(place.name):
                new.setdefault(place.name, Joint(None, None, None)).put(end, place)
    plan = MailboxPlan(bare={end: {place.name for place in places[end] if not place.selectable} for end in BOTH})
    plan.begun = begun
    for (_, end), place in begun.items():
        plan.bare[end].add(place.name)
    for joint in [*joints, *new.values()]:
        names = {place.name for place in (joint.one, joint.two) if place is not None}
        if not names:
            if joint.pair is not None:
                known = {one.name for one in (joint.pair.one, joint.pair.two) if one is not None}
                if all(map(takes, known)) and (not only or known & set(only)):
                    plan.gone.append(joint.key)
        elif all(map(takes, names)) and (not only or names & set(only)):
            plan.joints.append(joint)
    _set_goals(plan.joints, renaming, {place.name for end in BOTH for place in places[end]}, takes)
    for end in BOTH:
        names = {place.name for place in places[end] if place.selectable} - plan.bare[end]
        plan.renames += _renames(plan.joints, end, names)
    _complete(plan, places)
    return plan


def _begun(
    joints: Sequence[Joint],
    places: Mapping[End, Sequence[Place]],
    claimed: Mapping[End, Collection[str]],
    renaming: Renaming,
) -> dict[tuple[int, End], Place]:
    """Renames onto a bare name that were cut off: the mailbox is still there, the new one too, which is no pair's, and
    the other side has the new name."""
    found: dict[tuple[int, End], Place] = {}
    for joint in joints if renaming else ():
        for end in BOTH:
            old, new = renaming.get((joint.key, end), ("", ""))
            here, there = joint.at(end), joint.at(end.other)
            if here is None or there is None or here.name != old or there.name != new or new in claimed[end]:
                continue
            for place in places[end]:
                if place.name == new and place.selectable:
                    found[joint.key, end] = place
    return found


def _find(
    pairs: Sequence[Pair], places: Sequence[Place], end: End, renaming: Renaming, hints: Hints
) -> dict[int, Place]:
    """pair -> where it is on that side now."""
    there = {place.name: place for place in places if place.selectable}
    by_id = {place.id: place for place in there.values() if place.id is not None and place.name != INBOX}
    found: dict[int, Place] = {}
    rest = []
    for pair in pairs:
        known = pair.at(end)
        if known is not None and known.name != INBOX and known.id is not None and known.id in by_id:
            found[pair.key] = by_id[known.id]
        else:
            rest.append((pair, known))
    claimed = {place.name for place in found.values()}
    for pair, known in rest:
        other = pair.at(end.other)
        name = known.name if known is not None else other.name if other is not None else ""
        under_way = renaming.get((pair.key, end))
        hint = hints.get((pair.key, end))
        names = [name, under_way[1]] if under_way is not None and under_way[0] == name else [name]
        for candidate in names if hint is None else [hint]:
            if candidate in there and candidate not in claimed:
                found[pair.key] = there[candidate]
                claimed.add(candidate)
                break
    return found


class _Wish(Record):
    """What a mailbox is to be called. rank: who comes first. above: the mailbox that it lies below, and goes with;
    below: what its name has besides. depth: how many it goes with."""

    rank: int
    joint: Joint
    name: str
    above: _Wish | None = None
    below: str = ""
    depth: int = 0


def _set_goals(joints: list[Joint], renaming: Renaming, names: set[str], takes: Callable[[str], bool]) -> None:
    """Give each its name: unrenamed ones keep theirs, then what side one renamed, then two, then new ones.

    What was renamed or made below another mailbox goes where that one goes, whichever side that was renamed on.
    """

    def order(wish: _Wish) -> tuple[bool, bool, int, int]:
        return wish.rank == NEW, any(each.rank == NEW for each in _line(wish)), wish.depth, wish.rank

    taken: set[str] = set()
    settled: set[int] = set()
    for one in sorted(_wishes(joints, renaming), key=order):
        line: list[_Wish] = []  # new ones above it, too, before their time
        above: _Wish | None = one
        while above is not None and id(above) not in settled:
            settled.add(id(above))
            line.append(above)
            above = above.above
        for wish in reversed(line):
            name = wish.name
            if wish.above is not None and takes(wish.above.joint.goal + wish.below):
                name = wish.above.joint.goal + wish.below
            wish.joint.goal = name if name not in taken else _free(name, taken | names)
            taken.add(wish.joint.goal)


NEW = 3
"""Rank of a mailbox that is no pair yet."""


def _wishes(joints: list[Joint], renaming: Renaming) -> list[_Wish]:
    """Every mailbox's, by the side that has renamed it itself, not only what it lies below; side one, where both."""
    found: dict[int, tuple[_Wish, End | None]] = {}
    known = {end: {one.name: joint for joint in joints if (one := joint.known(end)) is not None} for end in BOTH}
    for joint in joints:
        rank, end = _speaker(joint, renaming, known)
        place = joint.at(end) if end is not None else joint.one or joint.two
        assert place is not None
        found[id(joint)] = _Wish(rank, joint, place.name), end
    named = {end: {place.name: joint for joint in joints if (place := joint.at(end)) is not None} for end in BOTH}
    for wish, end in found.values():
        if end is None:
            continue
        for name in _parents(wish.name):
            if (above := named[end].get(name)) is not None:
                wish.above, wish.below = found[id(above)][0], wish.name[len(name) :]
                break
    wishes = [wish for wish, _ in found.values()]
    for wish in [wish for wish in wishes if any(each is wish for each in _line(wish))]:
        wish.above = None  # two that are each to be below the other stay where they were put
    for wish in wishes:
        wish.depth = sum(1 for _ in _line(wish))
    return wishes


def _line(wish: _Wish) -> Iterator[_Wish]:
    """Those that it goes with, the nearest first; each once."""
    seen: set[int] = set()
    above = wish.above
    while above is not None and id(above) not in seen:
        seen.add(id(above))
        yield above
        above = above.above


def _speaker(joint: Joint, renaming: Renaming, known: Mapping[End, Mapping[str, Joint]]) -> tuple[int, End | None]:
    """Its rank, and the side whose name for it counts with what that is below; None: its name as it is."""
    if joint.pair is None:
        return NEW, None if joint.one is not None and joint.two is not None else End.ONE if joint.one else End.TWO
    renamed = [end for end in BOTH if _renamed(joint, end, renaming) is not None]
    if joint.one is None or joint.two is None or not renamed:
        return 0, None
    own = [end for end in renamed if _is_own(joint, end, known[end])]
    end = (own or renamed)[0]
    return int(end), end


def _is_own(joint: Joint, end: End, known: Mapping[str, Joint]) -> bool:
    """Whether it was renamed there beside what it lay below."""
    place, before = joint.at(end), joint.known(end)
    assert place is not None
    assert before is not None
    for name in _parents(before.name):
        above = known.get(name)
        if above is not None and (there := above.at(end)) is not None:
            return place.name != there.name + before.name[len(name) :]
    return True


def _parents(name: str) -> Iterator[str]:
    """Names above it, the nearest first."""
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _renamed(joint: Joint, end: End, renaming: Renaming) -> Place | None:
    """Where it is, if somebody else renamed it on that side."""
    place, known = joint.at(end), joint.known(end)
    if place is None or known is None or place.name == known.name or place.name == INBOX:
        return None
    ours = renaming.get((joint.key, end))
    return None if ours is not None and ours[1] == place.name else place


def _free(name: str, taken: set[str]) -> str:
    number = 2
    while f"{name}~{number}" in taken:
        number += 1
    return f"{name}~{number}"


def _renames(joints: Sequence[Joint], end: End, names: set[str]) -> list[Rename]:
    """Renames on one side, in an order in which each can be done.

    Where none can (names exchanged, a parent that is to be below its child), one goes to a free name at the top first,
    each at most once: so this ends, and what it could not solve is left as it is for the next run.
    """
    current = {id(joint): place.name for joint in joints if (place := joint.at(end)) is not None}
    waiting = [joint for joint in joints if id(joint) in current and _differs(joint, end)]
    steps: list[Rename] = []
    names = set(names)
    aside: set[int] = set()
    while waiting := [joint for joint in waiting if current[id(joint)] != joint.goal]:
        waiting.sort(key=lambda joint: joint.goal.count("/"))
        free = [joint for joint in waiting if joint.goal not in names and not _below(joint.goal, current[id(joint)])]
        if not free:
            free = [joint for joint in waiting if id(joint) not in aside]
            free.sort(key=lambda joint: not _below(joint.goal, current[id(joint)]))
            aside |= {id(joint) for joint in free[:1]}
            new = _free(current[id(free[0])].rpartition("/")[2], names | {one.goal for one in joints}) if free else ""
        else:
            new = free[0].goal
        if not free or len(steps) > 4 * len(joints):
            break
        joint = free[0]
        old = current[id(joint)]
        steps.append(Rename(end, joint, old, new))
        names = {new + name[len(old) :] if name == old or _below(name, old) else name for name in names}
        for other in joints:
            name = current.get(id(other))
            if name is not None and (name == old or _below(name, old)):
                current[id(other)] = new + name[len(old) :]
                if other in waiting or current[id(other)] == other.goal:
                    continue
                if other.vanished(end.other) and _is_free(current[id(other)], other, joints):
                    # It is going to be removed, or made again over there: beside those with which it went. Going back
                    # would make the mailboxes above its old name anew, which the other side then gets.
                    other.goal = current[id(other)]
                else:
                    waiting.append(other)
    return steps


def _is_free(name: str, joint: Joint, joints: Sequence[Joint]) -> bool:
    """Whether no other one is to be called so."""
    return all(each.goal != name for each in joints if each is not joint)


def _differs(joint: Joint, end: End) -> bool:
    place = joint.at(end)
    return place is not None and place.name not in (INBOX, joint.goal)


def _another(joint: Joint, end: End) -> bool:
    """Whether it is another mailbox than the base knew there: what it was not given yet, nobody took from it."""
    place, known = joint.at(end), joint.known(end)
    return place is not None and known is not None and known.validity not in (None, place.validity)


def _below(name: str, parent: str) -> bool:
    return name.startswith(parent + "/")


def _complete(plan: MailboxPlan, places: Mapping[End, Sequence[Place]]) -> None:
    """What is to be made, and special uses and subscriptions."""
    roles = {end: {place.role for place in places[end] if place.role is not None} for end in BOTH}
    for joint in plan.joints:
        for end in BOTH:
            here, there = joint.at(end.other), joint.at(end)
            if there is None and here is not None and joint.known(end) is None:
                role = here.role if here.role not in roles[end] else None
                plan.creates.append((joint, end, role))
        one, two = joint.one, joint.two
        if one is None or two is None:
            continue
        was = {end: joint.known(end) or Known("") for end in BOTH}
        if any(_another(joint, end) for end in BOTH):
            was = {end: Known("") for end in BOTH}
        if one.role != two.role:
            changed = one.role != was[End.ONE].role and (one.role is not None or joint.pair is not None)
            end, role = (End.TWO, one.role) if changed else (End.ONE, two.role)
            if (changed or two.role != was[End.TWO].role) and (role is None or role not in roles[end]):
                plan.roles.append((joint, end, role))
        if one.subscribed != two.subscribed:
            changed = one.subscribed != was[End.ONE].subscribed
            if changed:
                plan.subscriptions.append((joint, End.TWO, one.subscribed))
            elif two.subscribed != was[End.TWO].subscribed:
                plan.subscriptions.append((joint, End.ONE, two.subscribed))
