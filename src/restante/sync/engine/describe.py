"""What a run would do, in words, a line each: for --dry-run. Changes nothing, and asks what it has to know for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..plan.mailboxes import Joint, MailboxPlan
from ..plan.messages import MessagePlan
from ..settings import BOTH, End
from ..side import MailboxUnavailable
from .context import Context
from .look import Look


async def describe_list(context: Context, plan: MailboxPlan) -> list[str]:
    """Lines for the mailbox list. Mailboxes that are to be made are counted where their side did not tell (IMAP)."""
    title = {end: side.title for end, side in context.sides.items()}
    lines = [f"rename {step.old!r} to {step.new!r} on {title[step.end]}" for step in plan.renames]
    counts = await _counts(context, plan)
    for joint, end, _ in plan.creates:
        count = counts.get(joint.goal)
        lines.append(
            f"create {joint.goal!r} on {title[end]}, with {'its messages' if count is None else _messages(count)}"
        )
    for joint, end, role in plan.roles:
        lines.append(f"set the special use of {joint.goal!r} to {role or 'none'} on {title[end]}")
    for joint, end, subscribed in plan.subscriptions:
        lines.append(f"{'subscribe to' if subscribed else 'unsubscribe from'} {joint.goal!r} on {title[end]}")
    return lines


async def _counts(context: Context, plan: MailboxPlan) -> dict[str, int]:
    """Messages of mailboxes that are to be made, by name; not of those that cannot be looked at now."""
    found: dict[str, int] = {}

    async def count(item: tuple[Joint, End, str | None]) -> None:
        joint, end, _ = item
        place = joint.at(end.other)
        if place is None:
            return
        number = place.messages
        try:
            if number is None:
                number = len((await context.sides[end.other].changes(place.name, None)).uids)
        except MailboxUnavailable:
            return  # the run itself would leave it out, and say why
        found[joint.goal] = number

    await context.each(plan.creates, count, lambda item: (item[0].key, item[1]))
    return found


def describe(
    context: Context, plan: MessagePlan, looked: Sequence[Look], copied: Mapping[tuple[int, End], int]
) -> list[str]:
    """Lines for messages, mailbox by mailbox. copied: how many of the additions are copied within the side."""
    title = {end: side.title for end, side in context.sides.items()}
    goal = {key: joint.goal for key, joint in context.joints.items()}
    lines = []
    flags: dict[tuple[int, End], int] = {}
    for pair, steps in plan.flags.items():
        for end in BOTH:
            count = sum(bool(step.add[end] or step.remove[end]) for step in steps)
            if count:
                flags[pair, end] = count
    for (end, source, target), rows in plan.moves.items():
        lines.append(f"move {_messages(len(rows))} from {goal[source]!r} to {goal[target]!r} on {title[end]}")
    for (pair, end), additions in plan.adds.items():
        same = copied.get((pair, end), 0)
        if same:
            lines.append(f"copy {_messages(same)} to {goal[pair]!r} on {title[end]}")
        if len(additions) > same:
            lines.append(f"add {_messages(len(additions) - same)} to {goal[pair]!r} on {title[end]}")
    for (pair, end), count in flags.items():
        lines.append(f"change flags of {_messages(count)} in {goal[pair]!r} on {title[end]}")
    for (pair, end), rows in plan.removes.items():
        lines.append(f"remove {_messages(len(rows))} from {goal[pair]!r} on {title[end]}")
    for (pair, end, reason), rows in plan.holds.items():
        lines.append(f"hold the removal of {_messages(len(rows))} from {goal[pair]!r} on {title[end.other]} ({reason})")
    for look in looked:
        for end in BOTH:
            if look.joint.vanished(end) and look.key not in plan.unsettled:
                lines.append(f"delete {look.joint.goal!r} on {title[end.other]} if nothing is left in it")
    return lines


def _messages(count: int) -> str:
    return f"{count} message{'' if count == 1 else 's'}"
