"""Copying on one side what was copied on the other, instead of carrying it once more.

A message that is new on a side and is the same as one of the base, by EMAILID (RFC 8474 5.1: what may not change is the
same then, octets and date) or by the digest of all its octets, is copied there from where the other one is. Header
fields alone prove nothing.

    [commit: a row for it, without the UID there, with the flags that the copy will have] -> copy -> [commit: UIDs]

A kill in between leaves what a kill while messages are added leaves: a row that lacks a UID, which the next run looks
for before it carries the message. Where its flags are others than those of what is copied, a further look at the side
that has it sees that as a change and carries it over.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ...values import Record, Value
from ..base import Row
from ..model import Message
from ..outline import digest
from ..plan.messages import Additions, MessagePlan
from ..settings import BOTH, End
from ..side import MailboxUnavailable, emails_of
from ..state.messages import Origin
from .context import Context
from .look import Look
from .mailboxes import create

DELETED = "\\Deleted"
MOST_ASKED = 5_000
"""New messages of the mailbox with the most new ones whose EMAILIDs are asked for: it is carried anyhow."""
MOST_BESIDE = 100_000
"""The same of all other mailboxes of a side together."""


class Twin(Value, frozen=True):
    """A new message and what it is a copy of. uid, flags (a number), email: of the new one."""

    uid: int
    flags: int
    email: str | None
    origin: Origin


class New(Record):
    """New messages of one side of a pair, in columns. end: where they are to be."""

    pair: int
    end: End
    uids: array[int]
    flags: list[int]
    emails: list[str | None]

    def only(self, at: Sequence[int]) -> New:
        """Those at these positions, ascending."""
        uids = array("Q", [self.uids[i] for i in at])
        return New(self.pair, self.end, uids, [self.flags[i] for i in at], [self.emails[i] for i in at])


async def copy_known(context: Context, looked: Sequence[Look], plan: MessagePlan) -> list[New]:
    """Copy what the plan would add and the base has by its EMAILID; it is in the plan's additions no more.

    Of new messages of one EMAILID in several mailboxes, those of the first are left to be added; the others are taken
    out of the plan and given back: their turn (`copy_later`) is when the first has been added. Where the mailbox with
    the most new messages was not asked for its EMAILIDs, it is the first, and all others are given back.
    """
    asked, leaders = await _columns(context, looked, plan)
    new = await _copy(context, asked)
    kept, later = _first_ones([some for some in new if some.end not in leaders])
    behind = [some for some in new if some.end in leaders]
    for some in [*kept, *(one.only(()) for one in behind)]:
        additions = plan.adds[some.pair, some.end]
        additions.new, additions.flags = some.uids, some.flags
    return later + behind


async def copy_later(context: Context, later: Sequence[New]) -> tuple[MessagePlan, list[New]]:
    """The next turn of what was given back: a plan with what has to be added after all, and whose turn comes then."""
    plan = MessagePlan()
    kept, later = _first_ones(await _copy(context, later))
    for some in kept:
        plan.adds[some.pair, some.end] = Additions(some.uids, some.flags)
    return plan, later


async def _columns(context: Context, looked: Sequence[Look], plan: MessagePlan) -> tuple[list[New], set[End]]:
    """What is new and has an EMAILID that lasts (a Maildir's are names, which another program may give anew); and where
    it is to be, the sides that have such besides in a mailbox that was not asked."""
    found: list[New] = []
    passed: set[End] = set()
    room = dict.fromkeys(BOTH, MOST_BESIDE)
    most: dict[End, tuple[int, int]] = dict.fromkeys(BOTH, (0, 0))
    wanted = []
    for look in looked:
        for end in BOTH:
            difference, changes = look.differences.get(end.other), look.changes.get(end.other)
            if difference is None or changes is None or not changes.lasting or not len(difference.new):
                continue
            if (look.key, end) not in plan.adds or (look.key, end) in context.stopped or look.key in context.later:
                continue
            wanted.append((look, end, difference))
            most[end] = max(most[end], (len(difference.new), look.key))
    for look, end, difference in wanted:
        count, emails = len(difference.new), difference.new_emails
        if not emails:
            if count > MOST_ASKED:
                if look.key == most[end][1] or count > room[end]:
                    passed.add(end)
                    continue
                room[end] -= count
            emails = await _asked(context, look.key, end.other, difference.new)
        if emails:
            found.append(New(look.key, end, difference.new, difference.new_flags, emails))
    return found, passed


async def _asked(context: Context, pair: int, end: End, uids: Sequence[int]) -> list[str | None]:
    """EMAILIDs of new messages of a side that does not list them; none where there is one mailbox alone."""
    if len(context.joints) < len(BOTH):
        return []
    try:
        found = await emails_of(context.sides[end], context.name(pair, end), uids)
    except MailboxUnavailable:
        return []  # they are carried, which tells it
    return [found.get(uid) for uid in uids] if found else []


def _first_ones(new: Sequence[New]) -> tuple[list[New], list[New]]:
    """Those of the first mailbox that has their EMAILID, and the others."""
    first: dict[End, dict[str, int]] = {end: {} for end in BOTH}
    kept, later = [], []
    for some in new:
        seen, pair = first[some.end], some.pair
        back = {
            at for at, email in enumerate(some.emails) if email is not None and seen.setdefault(email, pair) != pair
        }
        if back:
            later.append(some.only(sorted(back)))
        kept.append(some.only([at for at in range(len(some.uids)) if at not in back]) if back else some)
    return kept, later


async def _copy(context: Context, new: Sequence[New]) -> list[New]:
    """Copy those of which there is an origin; what is left of each comes back."""
    left = []
    for end in BOTH:
        there = [some for some in new if some.end is end]
        by_email = _origins(context, end, there)
        for some in there:
            twins, rest = _twins(context, some, by_email) if by_email else ([], some)
            if twins:
                await copy_twins(context, some.pair, end, twins)
            left.append(rest)
    return left


def _origins(context: Context, end: End, new: Sequence[New]) -> dict[str | bytes, list[Origin]]:
    """What these might be copied from on that side, by EMAILID."""
    by_email: dict[str | bytes, list[Origin]] = defaultdict(list)
    emails = {email for some in new for email in some.emails if email is not None}
    for origin in context.state.messages.origins(end, emails) if emails else ():
        by_email[origin.by].append(origin)
    return by_email


def _twins(context: Context, new: New, by_email: Mapping[str | bytes, Sequence[Origin]]) -> tuple[list[Twin], New]:
    """Those that are copied, and what is left."""
    twins: list[Twin] = []
    rest: list[int] = []
    used: set[int] = set()
    for at, (uid, flags, email) in enumerate(zip(new.uids, new.flags, new.emails, strict=True)):
        origin = pick(context, by_email.get(email, ()) if email is not None else (), new.pair, new.end, used)
        if origin is None:
            rest.append(at)
        else:
            twins.append(Twin(uid, flags, email, origin))
    return twins, new.only(rest) if twins else new


async def would_copy(context: Context, looked: Sequence[Look], plan: MessagePlan) -> Counter[tuple[int, End]]:
    """How many of the plan's additions a run would copy, by pair and side. Changes nothing; reads what is to be sent,
    as the run will, where that are no more than MOST_ASKED messages of a mailbox."""
    found: Counter[tuple[int, End]] = Counter()
    asked, _ = await _columns(context, looked, plan)
    left = []
    for end in BOTH:
        there = [some for some in asked if some.end is end]
        by_email = _origins(context, end, there)
        for some in there:
            twins, rest = _twins(context, some, by_email) if by_email else ([], some)
            found[some.pair, end] += len(twins)
            left.append(rest)
    kept, later = _first_ones(left)
    for some in later:
        found[some.pair, some.end] += len(some.uids)
    unsent = {some.pair: some.uids for some in kept if some.end is End.ONE}
    for look in looked:
        if (look.key, End.ONE) in plan.adds and len(context.joints) >= len(BOTH):
            uids = unsent.get(look.key, look.differences[End.TWO].new if End.TWO in look.differences else ())
            if 0 < len(uids) <= MOST_ASKED:
                found[look.key, End.ONE] += await _equal(context, look.key, uids)
    return found


async def _equal(context: Context, pair: int, uids: Sequence[int]) -> int:
    """How many of these messages of side two have the octets and the date of one that is on side one already."""
    prints: list[tuple[bytes, int, int]] = []
    try:
        async for message in context.sides[End.TWO].fetch(context.name(pair, End.TWO), uids):
            prints.append((digest(message.data), len(message.data), message.received))
    except MailboxUnavailable:
        return 0  # the run itself will say so
    if not prints:
        return 0  # gone since, or not given: `equals` takes no empty set
    equal: dict[tuple[object, int | None, int], list[Origin]] = defaultdict(list)
    for each in context.state.messages.equals(End.ONE, {print for print, _, _ in prints}):
        equal[each.by, each.size, each.received].append(each)
    used: set[int] = set()
    return sum(pick(context, equal.get(print, ()), pair, End.ONE, used) is not None for print in prints)


async def copy_equal(
    context: Context, pair: int, end: End, messages: Sequence[Message], rows: Sequence[Row | None]
) -> set[int]:
    """Copy those new messages (of no row yet) that have the octets and the date of one that is there already, in
    another mailbox; their positions. For messages that were read anyhow, and are to be sent over a network."""
    fresh = {at: digest(one.data) for at, (one, row) in enumerate(zip(messages, rows, strict=True)) if row is None}
    if not fresh or len(context.joints) < len(BOTH):  # where there is no other mailbox nothing is looked for
        return set()
    equal: dict[str | bytes, list[Origin]] = defaultdict(list)
    for each in context.state.messages.equals(end, set(fresh.values())):
        equal[each.by].append(each)
    twins: list[Twin] = []
    copied: set[int] = set()
    used: set[int] = set()
    for at, print in fresh.items() if equal else ():
        one = messages[at]
        same = [each for each in equal[print] if (each.size, each.received) == (len(one.data), one.received)]
        if (origin := pick(context, same, pair, end, used)) is not None:
            twins.append(Twin(one.uid, context.state.flagsets.key(one.flags), one.email, origin))
            copied.add(at)
    await copy_twins(context, pair, end, twins)
    return copied


def pick(context: Context, origins: Iterable[Origin], pair: int, end: End, used: set[int]) -> Origin | None:
    """The first that may be copied into this mailbox, noted in `used`: it is in another one, which this run works on,
    and not about to be removed by somebody, who would remove the copy with it."""
    for origin in origins:
        if origin.key in used or origin.pair == pair or not context.has(origin.pair, end):
            continue
        if DELETED not in context.state.flagsets[origin.flags]:
            used.add(origin.key)
            return origin
    return None


async def copy_twins(context: Context, pair: int, end: End, twins: Sequence[Twin]) -> None:
    """Copy them on that side into this mailbox. Each is of another origin."""
    joint = context.joints[pair]
    try:
        if joint.at(end) is None and joint.vanished(end):
            await create(context, joint, end, None)
    except MailboxUnavailable as error:
        context.unsettled.add(pair)
        context.leave_out(joint.goal, end, error)
        return
    by_source: dict[int, list[Twin]] = defaultdict(list)
    for twin in twins:
        by_source[twin.origin.pair].append(twin)
    for source, some in by_source.items():
        some.sort(key=lambda twin: twin.origin.uid)
        await _copy_from(context, source, pair, end, some)


async def _copy_from(context: Context, source: int, pair: int, end: End, some: Sequence[Twin]) -> None:
    messages = context.state.messages
    names = context.name(source, end), context.name(pair, end)
    with context.state.transaction():
        keys = list(messages.next_keys(len(some)))
        copies = [(key, one.origin.key, one.uid, one.email) for key, one in zip(keys, some, strict=True)]
        messages.journal_copies(pair, end, copies)
    context.touch(pair, end)
    try:
        answers = await context.sides[end].copy(names[0], [one.origin.uid for one in some], names[1])
    except MailboxUnavailable:  # what was copied of them is looked for first; then they are carried as any other
        context.unsettled |= {source, pair}
        context.again = True
        return
    with context.state.transaction():
        messages.arrived(end, [(key, uid) for key, uid in zip(keys, answers, strict=True) if uid])
        if not any(answers):
            messages.sent(keys)
    if not all(answers) or any(one.flags != one.origin.other_flags for one in some):
        context.unsettled.add(pair)
        context.again = True
    context.did(end, "copied", sum(map(bool, answers)) if any(answers) else len(some))
