"""Headers first: of large messages a placeholder comes with the run, and the message itself behind all else.

For slow lines: who and what about is there to be read while attachments come, and mail that arrives meanwhile does not
wait for them.

    run, with placeholders -> one message in place of its placeholder -> ... -> every few seconds a look at both sides,
    whose new mail goes before what is left -> a last look

Cut off at any instant, what stands for a message stays until that is there, and the next run goes on; one that had come
in part goes on behind that part (`remote.spool`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import nullcontext

from ...clock import Clock
from ...values import replace
from ..patterns import canonical
from ..settings import CopySettings, Progress, Report, Tally
from ..side import MailboxUnavailable, Side
from ..state import State
from ..state.placeholders import Placeholder, placeholders, waiting
from .context import Meanwhile
from .placeholder import NoPlaceholder, NothingTaken, fetch_placeholder
from .run import run

LOOK = 5.0
"""Seconds from which on, between two messages, both sides are looked at."""


async def run_headers_first(
    settings: CopySettings,
    one: Side,
    two: Side,
    state: State,
    clock: Clock,
    *,
    only: Collection[str] = (),
    same_account: bool = False,
    progress: Callable[[Progress], None] | None = None,
    meanwhile: Meanwhile = nullcontext,
) -> Report:
    """`run`, for a copy whose `headers_first` says above which size. Raises as it does.

    meanwhile: entered anew for each message that comes in place of its placeholder.

    Cost besides: a pass over what the state knows of messages, a listing of both sides for each that is brought.
    """
    assert settings.headers_first is not None
    first = replace(settings, largest=min(settings.headers_first, settings.largest or settings.headers_first))
    report = await run(first, one, two, state, clock, only=only, same_account=same_account, progress=progress)
    names = {canonical(name) for name in only}
    tried: set[tuple[str, int]] = set()
    full, last = False, report
    while not full:
        found = [*_begun(first, state, clock, last), *_whole(settings, state)]
        picks = [pick for pick in found if _spot(pick) not in tried and (not names or pick.mailbox in names)]
        if not picks:
            break
        picks.sort(key=lambda pick: -pick.received)
        began = clock.monotonic()
        brought: list[Placeholder] = []
        for number, pick in enumerate(picks):
            tried.add(_spot(pick))
            try:
                # By `first`: what is set aside under another limit would be tried again at once, and come twice.
                await fetch_placeholder(
                    first, one, two, state, clock, pick.mailbox, pick.uid, _of(progress, number, len(picks)), meanwhile,
                    resume=True,
                )  # fmt: skip
            except NothingTaken:
                full = True
                break
            except (MailboxUnavailable, NoPlaceholder):
                continue  # the look that follows says why, or somebody has removed it
            brought.append(pick)
            if clock.monotonic() - began > LOOK:
                break
        last = await run(first, one, two, state, clock, only=only, progress=progress)
        report = _together(report, last, brought)
    return report


def _spot(pick: Placeholder) -> tuple[str, int]:
    return pick.mailbox, pick.uid


def _of(progress: Callable[[Progress], None] | None, before: int, total: int) -> Callable[[Progress], None] | None:
    """Progress of one message as that of all there are."""
    if progress is None:
        return None
    return lambda done: progress(replace(done, done=before + done.done, total=total))


def _whole(settings: CopySettings, state: State) -> list[Placeholder]:
    """What is to come in place of its placeholder."""
    return [each for each in placeholders(state.path) if settings.largest is None or each.size <= settings.largest]


def _begun(settings: CopySettings, state: State, clock: Clock, last: Report) -> list[Placeholder]:
    """What was on its way when a run was cut off, and was not there when the last look was made. In a mailbox that was
    left out nobody has looked."""
    unseen = {one.mailbox for one in last.left_out}
    found = waiting(state.path, clock.now(), settings.largest)
    return [each for each in found if each.mailbox not in unseen]


def _together(before: Report, last: Report, brought: Collection[Placeholder]) -> Report:
    """Both looks as one: what was done, by both; what waits, as the last one has it."""
    two, stand = _sum(before.two, last.two), before.placeholders + last.placeholders
    counted = min(stand, len(brought))  # as placeholders of this run; of others an earlier one has told
    return replace(
        last,
        one=_sum(before.one, last.one),
        two=replace(
            two, added=two.added + len(brought) - counted, octets=two.octets + sum(each.size for each in brought)
        ),
        placeholders=stand - counted,
        passes=before.passes + last.passes,
        quiet=False,
    )


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(*(getattr(one, name) + getattr(other, name) for name in Tally.__struct_fields__))
