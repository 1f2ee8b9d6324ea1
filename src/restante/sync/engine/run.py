"""One run of one copy: passes over both sides until nothing is left to do.

A pass lists the mailboxes of both sides at the same time (one or two round trips each), merges the lists, and looks at
those whose state is not the base's: with nothing changed that is all. What a pass did itself makes states move on; the
next pass sees that (and what came in meanwhile) and notes it, so that a further run finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from ...clock import Clock
from ..model import Place
from ..settings import BOTH, CopySettings, End, LeftOut, Progress, Report
from ..side import Side, unlisted
from ..state import State
from .account import know_accounts
from .context import Context, together
from .land import let_land

if TYPE_CHECKING:
    from .mailboxes import Places

PASSES = 6
"""At most so many in a run: other programs may change both sides all the time."""


async def run(
    settings: CopySettings,
    one: Side,
    two: Side,
    state: State,
    clock: Clock,
    *,
    only: Collection[str] = (),
    dry_run: bool = False,
    same_account: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Make both sides the same, by what changed on each since the last run.

    The sides are opened and closed here. only: mailboxes (by name) that this run is about; a message moved out of them
    counts as removed. dry_run: change nothing, and say in the report what would be done. same_account: what the sides
    are now is the accounts that the copy was made of, by other names. progress: told after each batch of messages.

    Raises OtherAccount, NoSuchMailbox (`only`), CopyBusy where another run works on this copy, SideUnavailable where a
    side cannot be used (what was done until then stays, and the next run goes on), StateFailed.
    """
    with state.lock():
        context = Context(settings, one, two, state, clock, progress)
        try:
            await together([one.open(), two.open()])
            return await _run(context, only, dry_run, same_account)
        finally:
            try:
                await one.close()
            finally:
                await two.close()


async def _run(context: Context, only: Collection[str], dry_run: bool, same_account: bool) -> Report:
    state, settings = context.state, context.settings
    lines: list[str] = []
    passes = 0
    if not dry_run:
        await let_land(context)
    places = await _places(context)
    know_accounts(state, context.sides, places, accept=same_account, note=not dry_run)
    stuck: tuple[LeftOut, ...] = ()
    if settings.trash.days and not dry_run:
        from .trash import expire

        stuck = await expire(context, settings.trash)
    if only:
        from .only import names_of

        only = names_of(context, places, only)
    elif settings.include:
        from .only import check_included

        check_included(context, places)
    if not only and _nothing_changed(context, places):
        return Report(left_out=(*stuck, *_unlisted(context)), passes=1, quiet=True)
    while passes < PASSES:
        passes += 1
        context.before |= context.touched
        context.touched, context.made = set(), set()
        context.unsettled = set()
        first = context.again or passes == 1
        context.again = False
        context.later = set()
        context.forget_left_out()
        lines += await _pass(context, places if passes == 1 else await _places(context), only, first, dry_run)
        if dry_run or not (context.touched or context.again):
            break
    return Report(
        context.tally(End.ONE),
        context.tally(End.TWO),
        tuple(state.held()),
        tuple(state.aside()),
        (*stuck, *context.left_out(), *(() if only else _unlisted(context))),
        context.placeholders,
        tuple(lines),
        passes,
    )


def _unlisted(context: Context) -> tuple[LeftOut, ...]:
    """Mailboxes that have no name: nobody is to believe that they were copied, but who has left them out by the name
    that is shown here."""
    takes = context.settings.takes
    return tuple(
        LeftOut(name, end, why)
        for end in BOTH
        for raw, why in unlisted(context.sides[end]).items()
        if takes(name := raw.decode("utf-8", "backslashreplace"))
    )


def _nothing_changed(context: Context, places: Places) -> bool:
    """Whether all mailboxes are as they were when both sides were the same, and nothing waits. Most runs end here, and
    load nothing else."""
    quiet = context.state.quiet()
    if quiet is None:
        return False
    takes = context.settings.takes
    return quiet == {
        (int(end), place.name, place.id, place.validity, place.state, place.role, place.subscribed)
        for end in BOTH
        for place in places[end]
        if place.selectable and takes(place.name)
    }


async def _pass(context: Context, places: Places, only: Collection[str], first: bool, dry_run: bool) -> list[str]:
    from .mailboxes import arrange, note_lists, plan_mailboxes
    from .which import mailboxes_to_look_at

    plan = await plan_mailboxes(context, places, only)
    lines: list[str] = []
    if dry_run:
        from .describe import describe_list

        lines = await describe_list(context, plan)
        for number, joint in enumerate(joint for joint in plan.joints if not joint.key):
            if joint.one is not None and joint.two is not None:
                joint.key = -1 - number  # no pair of the base: it is looked at as one of which nothing is known
        context.joints = {joint.key: joint for joint in plan.joints if joint.key}
    else:
        await arrange(context, plan)
    found = mailboxes_to_look_at(context, first)
    if found:
        from .merge import merge_messages  # a run with nothing to do does not pay for it

        return lines + await merge_messages(context, found, dry_run=dry_run)
    if not dry_run:
        note_lists(context, ())
    return lines


async def _places(context: Context) -> Places:
    found: dict[End, list[Place]] = {}

    async def ask(end: End) -> None:
        found[end] = await context.sides[end].places()

    await together([ask(end) for end in BOTH])
    return found
