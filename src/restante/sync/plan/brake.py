"""Which removals wait for a person: a mailbox that vanished or emptied itself, or very many at once. Pure.

People lost whole accounts to a server's fault, an unmounted disk or a dangling link that looked like removals. What was
moved has been told apart before; what was accepted passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from ..base import Row
from ..settings import BOTH, Brake, End
from .messages import MessagePlan, Rules, is_removal


def suspends(rows: Iterable[Row], end: End, brake: Brake, rules: Rules) -> bool:
    """Whether a mailbox that vanished there, with these rows, waits for a decision: nothing is done with it then."""
    if not (brake.on and brake.vanished) or not rules.removals:
        return not rules.removals
    return any(is_removal(row, end, rules) for row in rows)


def hold_removals(
    plan: MessagePlan,
    brake: Brake,
    counts: Mapping[int, int],
    vanished: Collection[tuple[int, End]],
    lately: Mapping[tuple[int, End], int],
) -> None:
    """Move removals that have to wait from the plan's `removes` to its `holds`.

    counts: messages of each pair before this run. vanished: (pair, side) of mailboxes that are gone. lately:
    (pair, side) -> messages removed there within the window before this run, which are in `counts` no more.
    """
    if not brake.on:
        return
    lost: Counter[tuple[int, End]] = Counter()
    reasons: dict[tuple[int, End], str] = {}
    for (_, here), rows in plan.removes.items():
        new = [row for row in rows if row.hold is None]
        lost.update((row.pair, here.other) for row in new)
        reasons |= {(row.pair, here.other): "renumbered" for row in new if row.at(here.other).uid is None}
    for (pair, end), number in lost.items():
        before = lately.get((pair, end), 0)
        if brake.vanished and (pair, end) in vanished:
            reasons[pair, end] = "vanished"
        elif (pair, end) in reasons:
            continue
        elif number >= brake.emptied and number >= counts.get(pair, 0):
            reasons[pair, end] = "emptied"
        elif number + before >= brake.least and number + before > brake.share * (counts.get(pair, 0) + before):
            reasons[pair, end] = "share"
    for side in BOTH:
        now = sum(n for (pair, end), n in lost.items() if end is side and (pair, end) not in reasons)
        if now and now + sum(n for (_, end), n in lately.items() if end is side) > brake.number:
            for pair, end in lost:
                if end is side:
                    reasons.setdefault((pair, end), "number")
    for key, rows in list(plan.removes.items()):
        held = [row for row in rows if row.hold is None and (row.pair, key[1].other) in reasons]
        for row in held:
            end = key[1].other
            plan.holds[row.pair, end, reasons[row.pair, end]].append(row)
        if held:
            ids = set(map(id, held))
            plan.removes[key] = [row for row in rows if id(row) not in ids]
            if not plan.removes[key]:
                del plan.removes[key]
