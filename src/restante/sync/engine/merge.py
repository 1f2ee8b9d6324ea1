"""One pass over the messages of the mailboxes that changed: look, recognise, decide, brake, then act in order."""

from __future__ import annotations

from collections.abc import Mapping

from ..base import Row
from ..plan.brake import hold_removals, suspends
from ..plan.mailboxes import Joint
from ..plan.messages import MessagePlan, Rules, comes_back, decide
from ..settings import BOTH, End
from .context import Context
from .describe import describe
from .look import Look, gather
from .messages import act
from .recognise import recognise
from .standing import attach, on_their_way


async def merge_messages(context: Context, found: list[tuple[Joint, list[End]]], *, dry_run: bool) -> list[str]:
    """Merge these mailboxes; with dry_run only say what would be done, a line each."""
    looked = await gather(context, [Look(joint, ends) for joint, ends in found], dry_run=dry_run)
    now, largest = context.clock.now(), context.settings.largest
    context.lost.clear()
    attach(context, looked, dry_run=dry_run)
    context.waiting = {
        key for look in looked if look.rows for key in context.state.asides.waiting(look.key, now, largest)
    }
    looked = await recognise(context, looked)
    if context.settings.headers_first is not None:
        context.waiting |= on_their_way(looked)
    plan = plan_messages(context, looked, dry_run=dry_run)
    if dry_run:
        copied: Mapping[tuple[int, End], int] = {}
        if any(len(additions.new) for additions in plan.adds.values()):
            from .copies import would_copy

            copied = await would_copy(context, looked, plan)
        return describe(context, plan, looked, copied)
    await act(context, looked, plan)
    return []


def plan_messages(context: Context, looked: list[Look], *, dry_run: bool) -> MessagePlan:
    """What is to be done about the messages of these mailboxes. Changes nothing."""
    settings, state = context.settings, context.state
    decisions = state.holds.decisions()
    rules = Rules(settings.removal_wins, settings.removals, decisions, context.waiting)
    vanished = {(joint.key, end) for joint in context.joints.values() for end in BOTH if joint.vanished(end)}
    missing = {
        (joint.key, end) for joint in context.joints.values() for end in BOTH if joint.at(end) is None
    } - vanished
    missing |= state.pairs.removals_undecided() & vanished
    looks = {look.key: look for look in looked}
    for pair, end in vanished:
        look = looks.get(pair)
        if look is None or suspends(look.rows.values(), end, settings.brake, rules):
            missing.add((pair, end))
    rules = Rules(settings.removal_wins, settings.removals, decisions, context.waiting, missing)
    plan = MessagePlan()
    for look in looked:
        for row in look.rows.values():
            if not _strayed(context, row) and (dry_run or not _doubted(context, row, rules)):
                decide(row, rules, plan)
        for end, difference in look.differences.items():
            if not len(difference.new):
                continue
            if (look.key, end.other) in missing:
                plan.unsettled.add(look.key)
            else:
                additions = plan.adds[look.key, end.other]
                additions.new, additions.flags = difference.new, difference.new_flags
    if plan.removes:
        lately = state.holds.lately(context.clock.now(), settings.brake.window)
        hold_removals(plan, settings.brake, state.messages.counts(), vanished, lately)
    return plan


def _doubted(context: Context, row: Row, rules: Rules) -> bool:
    """Whether a second look has to confirm first what is seen of it."""
    if not comes_back(row, rules) or row.key in context.doubted:
        return False
    context.doubted.add(row.key)
    context.again = True
    context.unsettled |= {row.pair, *(place[0] for end in BOTH if (place := row.place(end)) is not None)}
    return True


def _strayed(context: Context, row: Row) -> bool:
    """Whether it is, on a side, in a mailbox that could not be looked at: it waits for the next run."""
    places = [row.place(end) for end in BOTH]
    strayed = any(place is not None and place[0] not in context.joints for place in places)
    if strayed:
        context.unsettled |= {row.pair, *(place[0] for place in places if place is not None)}
        if row.stands is not None and row.stands.found is not None:
            context.unsettled.add(row.stands.found[0])
    return strayed
