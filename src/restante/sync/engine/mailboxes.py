"""The mailbox list: which mailbox is which, then create, rename, special use and subscription on either side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from ...values import replace
from ..base import Known, Pair
from ..model import FlagChange, Flags, Place
from ..outline import digest
from ..plan.mailboxes import Joint, MailboxPlan, Rename, merge, suspects
from ..plan.match import Candidates, match
from ..plan.messages import DELETED
from ..settings import BOTH, End
from ..side import MailboxUnavailable, delete_empty, moves_by_copying
from .context import Context

OUTLINES = 1000
"""Messages asked about in one call."""
SAMPLE = 50
"""Messages looked at to tell whether a mailbox was renamed."""

Places = dict[End, list[Place]]


async def plan_mailboxes(context: Context, places: Places, only: Collection[str]) -> MailboxPlan:
    """What becomes of the list. Changes nothing."""
    pairs, renaming = context.state.pairs.all(), context.state.pairs.renaming()
    hints: dict[tuple[int, End], str] = {}
    for pair, end, place in suspects(pairs, places, renaming):
        if await _was_renamed(context, pair, end, place):
            hints[pair.key, end] = place.name
    return merge(pairs, places, context.settings.takes, renaming, hints, only)


async def _was_renamed(context: Context, pair: Pair, end: End, place: Place) -> bool:
    """Whether at least half of a sample of the mailbox's messages is in the other one, under their UIDs."""
    known = pair.at(end)
    if known is None or known.validity is None:
        return False
    messages = context.state.messages
    sample = {uid: key for (uid, key, *_), _ in zip(messages.lines(pair.key, end), range(SAMPLE), strict=False)}
    if not sample:
        return False
    try:
        outlines = await context.sides[end].outlines(place.name, sorted(sample))
    except MailboxUnavailable:
        return False  # it is taken for a new mailbox, and looked at as such
    contents = messages.contents(list(sample.values()))
    same = sum(
        outline.mark == contents[sample[outline.uid]].mark for outline in outlines if sample[outline.uid] in contents
    )
    return 2 * same >= len(sample)


async def arrange(context: Context, plan: MailboxPlan) -> None:
    """Do what the plan says about the list, and note its joints for the messages' turn."""
    state = context.state
    for rename in plan.renames:
        await _rename(context, plan, rename)
    await _create(context, plan)
    for joint, end, role in plan.roles:
        await _set(context, joint, end, role=role)
    for joint, end, subscribed in plan.subscriptions:
        await _set(context, joint, end, subscribed=subscribed)
    if plan.gone:
        with state.transaction():
            for key in plan.gone:
                state.pairs.drop(key)
    context.joints = {joint.key: joint for joint in plan.joints if joint.key}


async def _rename(context: Context, plan: MailboxPlan, step: Rename) -> None:
    joint, end = step.joint, step.end
    place = joint.at(end)
    if place is None or place.name != step.old:
        return  # an earlier step failed
    state = context.state
    if joint.key:
        with state.transaction():
            state.pairs.begin_rename(joint.key, end, step.old, step.new)
    poured = step.new in plan.bare[end]
    made = plan.begun.get((joint.key, end)) if poured else None
    try:
        if poured:
            resumed = made is not None
            made = made or await context.sides[end].create(step.new, place.role)
            place = await _pour(context, place, end, made, resumed=resumed)
        else:
            await context.sides[end].rename(step.old, step.new)
    except MailboxUnavailable as error:
        context.leave_out(step.old, end, error)
        if joint.key and made is None:  # what was made to be poured into is known by that note
            with state.transaction():
                state.pairs.end_rename(joint.key, end)
        return
    context.did(end, "renamed")
    moved = []
    joint.put(end, place)
    for other in plan.joints:
        there = other.at(end)
        if there is None or not (there.name == step.old or there.name.startswith(step.old + "/")):
            continue
        if poured and other is not joint:
            context.again = True  # it has stayed where it was, and is renamed in the next pass
        else:
            other.put(end, replace(there, name=step.new + there.name[len(step.old) :]))
            known = other.known(end)
            if known is not None and known.name == there.name:
                moved.append((other.key, step.new + known.name[len(step.old) :]))
    names = dict(moved)
    there_too = [
        (other.key, there.name)
        for other in plan.joints
        if (there := other.at(end.other)) is not None and names.get(other.key) == there.name
    ]
    with state.transaction():
        state.pairs.set_names(end, moved)
        state.pairs.set_names(end.other, there_too)  # both have it: cut off, the run has carried this rename
        if joint.key:
            state.pairs.end_rename(joint.key, end)
    for side, renamed in ((end, names), (end.other, dict(there_too))):
        for other in plan.joints:
            known = other.known(side)
            if other.pair is not None and known is not None and other.key in renamed:
                known = replace(known, name=renamed[other.key])
                one, two = (known, other.pair.two) if side is End.ONE else (other.pair.one, known)
                other.pair = Pair(other.key, one, two)


async def _pour(context: Context, place: Place, end: End, made: Place, *, resumed: bool) -> Place:
    """Rename to a name that was there without a mailbox (it has children): one is made, filled, and the old one
    deleted.

    resumed: a run that was cut off has made it. The place under its old name, so that the caller goes on as after a
    rename; children stay for the next pass.
    """
    side, new = context.sides[end], made.name
    if place.subscribed and not made.subscribed:
        await side.subscribe(new, True)
    if resumed and moves_by_copying(side):
        await _drop_copied(context, end, place.name, new)
    await side.move(place.name, list((await side.changes(place.name, None)).uids), new)
    await delete_empty(side, place.name)
    return replace(made, name=place.name, subscribed=place.subscribed)


async def _drop_copied(context: Context, end: End, old: str, new: str) -> None:
    r"""Remove from a mailbox that is being poured into another one what is there already, and give that the flags which
    it has got here since.

    All were copied, as far as that came, before any of them was removed: so each that has its like in the other one has
    its copy there, one for one. Octets are read where headers, sizes and dates leave a doubt. \Deleted is not given
    to the copy: the run that was cut off may have marked with it what it was about to remove.
    """
    side = context.sides[end]
    listed = {name: await side.changes(name, None) for name in (old, new)}
    numbers: dict[str, list[int]] = {old: [], new: []}
    columns = {old: Candidates(), new: Candidates()}
    for name, found in columns.items():
        uids = listed[name].uids
        for start in range(0, len(uids), OUTLINES):
            for outline in await side.outlines(name, uids[start : start + OUTLINES]):
                numbers[name].append(outline.uid)
                found.add(0, outline.size, outline.received, outline.mark)
    left, right = columns[old], columns[new]
    matches = match(left, right)
    if matches.left or matches.right:
        for name, wanted in ((old, matches.left), (new, matches.right)):
            at = {numbers[name][i]: i for i in wanted}
            async for message in side.fetch(name, sorted(at)):
                columns[name].digests[at[message.uid]] = digest(message.data)
                columns[name].sizes[at[message.uid]] = len(message.data)
        matches = match(left, right, final=True)
    flags = {name: dict(zip(changes.uids, changes.flags, strict=True)) for name, changes in listed.items()}
    wanted_flags: dict[tuple[Flags, Flags], list[int]] = defaultdict(list)
    copied = []
    for i, j in matches.pairs:
        here, there = numbers[old][i], numbers[new][j]
        add, remove = flags[old][here] - flags[new][there] - DELETED, flags[new][there] - flags[old][here]
        wanted_flags[add, remove].append(there)
        copied.append(here)
    changed = [FlagChange(sorted(uids), add, remove) for (add, remove), uids in wanted_flags.items() if add or remove]
    if changed:
        await side.set_flags(new, changed)
    await side.remove(old, sorted(copied))


async def _create(context: Context, plan: MailboxPlan) -> None:
    """New pairs are noted with the side that has them before the other side gets them."""
    state = context.state
    new = [joint for joint in plan.joints if not joint.key]
    if new:
        with state.transaction():
            for joint in new:
                joint.key = state.pairs.new()
                for end in BOTH:
                    place = joint.at(end)
                    if place is not None:
                        state.pairs.put(joint.key, end, Known(place.name, place.id))
    context.joints = {joint.key: joint for joint in plan.joints}
    levels = sorted({joint.goal.count("/") for joint, _, _ in plan.creates})
    for level in levels:
        await context.each(
            [one for one in plan.creates if one[0].goal.count("/") == level],
            lambda one: create(context, *one),
            lambda one: (one[0].key, one[1]),
        )


async def create(context: Context, joint: Joint, end: End, role: str | None) -> None:
    """Make the mailbox on that side, subscribed as the other is. Raises MailboxUnavailable.

    Where it had vanished, UIDs that the base has of it mean nothing any more.
    """
    side, there = context.sides[end], joint.at(end.other)
    place = await side.create(joint.goal, role)
    context.did(end, "created")
    context.touch(joint.key, end)
    context.made.add((joint.key, end))
    if there is not None and there.subscribed != place.subscribed:  # some servers subscribe to what is made
        await side.subscribe(place.name, there.subscribed)
        place = replace(place, subscribed=there.subscribed)
    joint.put(end, place)
    known = Known(place.name, place.id, place.validity)  # the rest is noted with the other side's, when all is done
    with context.state.transaction():
        context.state.pairs.put(joint.key, end, known)
        context.state.messages.renumbered(joint.key, end)


async def _set(
    context: Context, joint: Joint, end: End, *, role: str | None = None, subscribed: bool | None = None
) -> None:
    place = joint.at(end)
    if place is None:
        return  # could not be made
    try:
        if subscribed is not None:
            await context.sides[end].subscribe(place.name, subscribed)
            joint.put(end, replace(place, subscribed=subscribed))
        elif await context.sides[end].set_role(place.name, role):
            joint.put(end, replace(place, role=role))
    except MailboxUnavailable as error:
        context.leave_out(place.name, end, error)


def note_lists(context: Context, settled: Collection[int]) -> None:
    """Put names, ids, special uses and subscriptions into the base, where they differ from it (no look was needed)."""
    changed = []
    for joint in context.joints.values():
        for end in BOTH:
            place, known = joint.at(end), joint.known(end)
            if place is None or known is None or joint.key in settled:
                continue
            named = replace(known, id=place.id, role=place.role, subscribed=place.subscribed)
            if joint.one is not None and joint.two is not None and joint.one.name == joint.two.name:
                named = replace(named, name=place.name)
            if named != known:
                changed.append((joint.key, end, named))
    if changed:
        with context.state.transaction(durable=False):
            for key, end, named in changed:
                context.state.pairs.put(key, end, named)
