"""Which mailboxes changed. All that a run with nothing to do needs of this room; it loads nothing else."""

from __future__ import annotations

from ..plan.mailboxes import INBOX, Joint
from ..settings import BOTH, End
from .context import Context


def mailboxes_to_look_at(context: Context, first: bool) -> list[tuple[Joint, list[End]]]:
    """The mailboxes that have to be looked at, and the sides that have to be asked: INBOX first, then by name.

    Where both sides' states are what the base says, and nothing is under way, there is none. A side that cannot tell
    its state is asked in the first pass, later only where something was done.
    """
    pending = context.state.pairs.pending(context.clock.now(), context.settings.largest)
    undecided = context.state.pairs.removals_undecided()
    found = []
    for joint in context.joints.values():
        ends = [end for end in BOTH if _changed(context, joint, end, first)]
        vanished = [end for end in BOTH if joint.vanished(end) and (joint.key, end) not in undecided]
        if ends or vanished or joint.key in pending:
            found.append((joint, ends))
    return sorted(found, key=lambda one: (one[0].goal != INBOX, one[0].goal))


def _changed(context: Context, joint: Joint, end: End, first: bool) -> bool:
    place, known = joint.at(end), joint.known(end)
    if place is None:
        return False
    if known is None or known.validity != place.validity or known.state != place.state:
        return True
    return place.state is None and (first or known.cursor is None or (joint.key, end) in context.before)
