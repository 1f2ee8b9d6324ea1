"""Recognising messages: what moved, what was being added when a run was cut off, what was added on both sides.

Bodies are read only for the few messages whose outlines leave a doubt. Changes nothing but what the looks say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable

from ..base import AGAIN, FRESH, MOVING, PLACEHOLDER, SENT, WHOLE, Content, Half, Row
from ..model import Outline
from ..outline import as_it_was, digest, has_nul, without_mbsync
from ..plan.match import Candidates, Matches, Trust, altered, match, match_digests, match_emails
from ..settings import BOTH, End
from ..side import MailboxUnavailable, moves_by_copying
from .context import Context
from .look import Look

OUTLINES = 1000
"""Messages asked about in one call."""

Spot = tuple[Look, int]
"""A new message: position among those of a look."""


async def recognise(context: Context, found: list[Look]) -> list[Look]:
    """Find messages again; looks whose mailboxes failed meanwhile are left out of the answer."""
    failed: set[int] = set()
    outlines: dict[tuple[int, End], dict[int, Outline]] = {}
    for end in BOTH:
        missed = [row for look in found for row in look.rows.values() if _missed(context, row, end)]
        if missed:
            missed.sort(key=lambda row: not row.at(end).gone)  # what came elsewhere is what was there before, and moved
            await _within(context, found, end, missed, outlines, failed)
    for end in BOTH:
        moving = [row for look in found for row in look.rows.values() if row.odd & MOVING[end]]
        if moving:
            await _finish_moves(context, found, end, moving, outlines, failed)
    for look in found:
        if look.key not in failed and all(_new(look, end) for end in BOTH):
            try:
                await _across(context, look, outlines)
            except MailboxUnavailable as error:
                _fail(context, look, End.ONE, error, failed)
    if failed:
        _give_back(context, [look for look in found if look.key in failed])
    return [look for look in found if look.key not in failed]


def _give_back(context: Context, failed: list[Look]) -> None:
    """Messages of these mailboxes were found in others, and nothing of that will be noted: what was told of the others
    is to be told again, or nobody would ever look there for them."""
    rows = {row.key: row for look in failed for row in look.rows.values()}
    for row in rows.values():
        halves = [row.one, row.two] if row.stands is None else [row.one, row.two, row.stands]
        context.unsettled |= {row.pair, *(half.found[0] for half in halves if half.found is not None)}
    for end, some in context.leftovers.items():
        context.leftovers[end] = [left for left in some if left[0] not in rows]
    context.finished = [one for one in context.finished if one[0].key not in rows]


def _fail(context: Context, look: Look, end: End, error: MailboxUnavailable, failed: set[int]) -> None:
    context.leave_out(look.joint.goal, end, error)
    context.unsettled.add(look.key)
    failed.add(look.key)


def _missed(context: Context, row: Row, end: End) -> bool:
    half = row.at(end)
    if half.present:
        return False
    return half.gone or bool(row.odd & SENT) or row.key not in context.waiting


def _new(look: Look, end: End) -> int:
    return len(look.differences[end].new) if end in look.differences else 0


# Within a side -------------------------------------------------------------------------------------


async def _within(
    context: Context,
    found: list[Look],
    end: End,
    missed: list[Row],
    outlines: dict[tuple[int, End], dict[int, Outline]],
    failed: set[int],
) -> None:
    """Messages that are gone, or were being added, among what is new on the side, in whatever mailbox."""
    spots = [(look, at) for look in found for at in range(_new(look, end))]
    taken: set[tuple[int, int]] = set()
    if spots:
        contents = context.state.messages.contents([row.key for row in missed])
        left = _rows(missed, contents, end)
        known = all(look.differences[end].new_emails is not None for look, _ in spots)
        if known:
            matches = match_emails(left, _spots_by_email(spots, end))
            taken |= _note(context, end, missed, spots, matches)
            lasting = all(look.changes[end].lasting for look, _ in spots)
            missed = [
                row
                for row in missed
                if not row.at(end).present and not (lasting and _has_email(found, row, contents, end))
            ]
            spots = [(look, at) for look, at in spots if (look.key, at) not in taken]
            left = _rows(missed, contents, end)
        if missed and spots:
            taken |= await _by_content(context, found, end, missed, left, spots, outlines, failed)
    for look in found:
        for row in look.rows.values():
            if row.odd & SENT and not row.at(end).present and not row.at(end).gone:
                _unseen(context, row)
    for look in found:
        _take(look, end, {at for key, at in taken if key == look.key})


def _unseen(context: Context, row: Row) -> None:
    """The side took it and does not show it: it is sent once more, and then set aside."""
    if row.odd & AGAIN:
        context.waiting.add(row.key)
        context.lost.add(row.key)
    row.odd = (row.odd & ~SENT) | AGAIN


def _has_email(found: list[Look], row: Row, contents: dict[int, Content], end: End) -> bool:
    """Whether its EMAILID there is known, so that it would have been found by it."""
    content = contents.get(row.key)
    if content is None or content.emails.get(end) is None:
        return False
    return not any(look.key == row.pair and end in look.void for look in found)


def _rows(rows: list[Row], contents: dict[int, Content], end: End) -> Candidates:
    columns = Candidates()
    for row in rows:
        content = contents.get(row.key)
        if content is None:
            columns.add(row.pair, None, 0, b"")
            continue
        emails = tuple({email for email in content.emails.values() if email is not None})
        size, read = content.size, content.digest
        if row.odd & PLACEHOLDER:
            own = content.emails.get(end)  # the placeholder has one of its own
            emails = () if own is None else (own,)
            size, read = (content.near_size, content.near_digest) if end is End.TWO else (size, read)
        # What stood for it may have been moved, and differs in nothing but its size: the octets decide.
        doubtful = row.at(end).gone or (end is End.TWO and row.odd & WHOLE)
        trust = Trust.SENT if row.odd & SENT else Trust.NONE if doubtful else Trust.TRIED
        columns.add(row.pair, size, content.received, content.mark, emails, read, trust)
    return columns


def _spots_by_email(spots: list[Spot], end: End) -> Candidates:
    columns = Candidates()
    for look, at in spots:
        emails = look.differences[end].new_emails
        email = emails[at] if emails is not None else None
        columns.add(look.key, None, 0, b"", () if email is None else (email,))
    return columns


async def _by_content(
    context: Context,
    found: list[Look],
    end: End,
    missed: list[Row],
    left: Candidates,
    spots: list[Spot],
    outlines: dict[tuple[int, End], dict[int, Outline]],
    failed: set[int],
) -> set[tuple[int, int]]:
    for look in {look.key: look for look, _ in spots}.values():
        try:
            await _ask(context, look, end, outlines)
        except MailboxUnavailable as error:
            _fail(context, look, end, error, failed)
    spots = [(look, at) for look, at in spots if look.differences[end].new[at] in outlines.get((look.key, end), {})]
    right = Candidates()
    for look, at in spots:
        _outline(right, look.key, outlines[look.key, end][look.differences[end].new[at]])
    matches = match(left, right)
    if matches.left or matches.right:
        await _read_rows(context, found, [(missed[i], i) for i in matches.left], left, end)
        await _read(context, [(*_where(spots[j], end), j) for j in matches.right], end, right)
        matches = match(left, right, final=True)
    matches.pairs += await _by_what_it_was(context, found, end, missed, left, spots, right, matches)
    return _note(context, end, missed, spots, matches)


async def _by_what_it_was(
    context: Context,
    found: list[Look],
    end: End,
    missed: list[Row],
    left: Candidates,
    spots: list[Spot],
    right: Candidates,
    matches: Matches,
) -> list[tuple[int, int]]:
    """Pairs of what mbsync once pushed: its field is in the server's message, and in no file of another program's; and
    of what came by POP3."""
    lefts, rights = altered(left, right, matches)
    if not lefts:
        return []
    was_left, was_right = left.only(lefts), right.only(rights)
    await _read_rows(context, found, [(missed[i], at) for at, i in enumerate(lefts)], was_left, end, was=as_it_was)
    where = [(*_where(spots[j], end), at) for at, j in enumerate(rights)]
    await _read(context, where, end, was_right, was=as_it_was)
    return [(lefts[i], rights[j]) for i, j in match_digests(was_left, was_right).pairs]


def _where(spot: Spot, end: End) -> tuple[int, int]:
    look, at = spot
    return look.key, look.differences[end].new[at]


def _note(context: Context, end: End, rows: list[Row], spots: list[Spot], matches: Matches) -> set[tuple[int, int]]:
    """Say in the rows where they are now; the spots that are taken."""
    taken = set()
    for i, j in matches.pairs:
        row, (look, at) = rows[i], spots[j]
        difference = look.differences[end]
        half = row.at(end)
        half.found = (look.key, difference.new[at])
        half.seen = context.state.flagsets[difference.new_flags[at]]
        if row.odd & FRESH[end]:  # written by us and not seen until now
            half.flags -= {flag for flag in half.flags - half.seen if not context.keeps(look.key, end, flag)}
            row.odd &= ~FRESH[end]
        half.gone = False
        row.odd &= ~SENT
        if difference.new_emails is not None and (email := difference.new_emails[at]) is not None:
            difference.emails.append((row.key, email))
        taken.add((look.key, at))
    return taken


def _take(look: Look, end: End, taken: set[int]) -> None:
    """What was recognised is not new."""
    if not taken:
        return
    difference = look.differences[end]
    rest = [at for at in range(len(difference.new)) if at not in taken]
    difference.new_flags = [difference.new_flags[at] for at in rest]
    if difference.new_emails is not None:
        difference.new_emails = [difference.new_emails[at] for at in rest]
    difference.new = type(difference.new)("Q", [difference.new[at] for at in rest])


# Moves that were cut off ----------------------------------------------------------------------------


async def _finish_moves(
    context: Context,
    found: list[Look],
    end: End,
    moving: list[Row],
    outlines: dict[tuple[int, End], dict[int, Outline]],
    failed: set[int],
) -> None:
    """Messages whose move had come as far as the copy in the target: they are there, and what is left goes.

    Where a move copies, a message that is not in the target is looked for there, and of one that was found there (it
    was in a mailbox that the base does not know it in, or somebody has moved what was left) another one is looked for.
    Where a move is one act nothing is left, and another one is a copy that somebody made. What is in its target was
    moved by us, and not by somebody: it is taken as if the base had known it there.
    """
    noted = context.state.messages.targets(end, [row.key for row in moving])
    placed = []
    for row in moving:
        here, there = row.place(end), row.place(end.other)
        target = noted.get(row.key) or (there[0] if there is not None else None)  # one of before noted no target
        if here is not None and target is not None:
            placed.append((row, here[0] == target, target))
    for there_already in (False, True) if moves_by_copying(context.sides[end]) else ():
        some = [one for one in placed if one[1] == there_already and (not there_already or one[0].at(end).found)]
        rows, targets = [row for row, _, _ in some], [target for _, _, target in some]
        looks = [look for look in found if (there_already or look.key in targets) and look.key not in failed]
        spots = [(look, at) for look in looks for at in range(_new(look, end))]
        if not rows or not spots:
            continue
        before = {row.key: (row.place(end), row.at(end).found, row.at(end).seen) for row in rows}
        left = _rows(rows, context.state.messages.contents([row.key for row in rows]), end)
        left.where = targets
        left.trust = [Trust.NONE] * len(rows)  # nothing lacks: mail that is alike is not to take its place
        taken = await _by_content(context, found, end, rows, left, spots, outlines, failed)
        for look in looks:
            _take(look, end, {at for key, at in taken if key == look.key})
        for row in rows:
            (place, was, seen), half = before[row.key], row.at(end)
            if half.found == was or place is None:
                continue
            old = half.found if there_already else place
            if there_already:
                half.found, half.seen = was, seen
            if old is not None:
                context.leftovers[end].append((row.key, *old))
    for row, _, target in placed:
        place = row.place(end)
        if place is not None and place[0] == target:
            context.finished.append((row, row.pair, end))
            _rest(row, end, place)


def _rest(row: Row, end: End, place: tuple[int, int]) -> None:
    """Its base is the mailbox where it was moved to there."""
    half, other, elsewhere = row.at(end), row.at(end.other), row.place(end.other)
    row.pair, half.uid, half.found = place[0], place[1], None
    row.odd &= ~MOVING[end]
    if elsewhere is not None:
        there = elsewhere[0] == row.pair
        other.uid, other.found = (elsewhere[1], None) if there else (None, elsewhere)


# Across sides --------------------------------------------------------------------------------------


async def _across(context: Context, look: Look, outlines: dict[tuple[int, End], dict[int, Outline]]) -> None:
    """Messages that are new on both sides of one mailbox."""
    columns: dict[End, Candidates] = {}
    at: dict[End, list[int]] = {}
    for end in BOTH:
        there = await _ask(context, look, end, outlines)
        new = look.differences[end].new
        at[end] = [position for position, uid in enumerate(new) if uid in there]
        columns[end] = Candidates()
        for position in at[end]:
            _outline(columns[end], look.key, there[new[position]])
    left, right = columns[End.ONE], columns[End.TWO]
    matches = match(left, right)
    changed: dict[End, set[int]] = {end: set() for end in BOTH}
    if matches.left or matches.right:
        for end, wanted in ((End.ONE, matches.left), (End.TWO, matches.right)):
            new = look.differences[end].new
            spots = [(look.key, new[at[end][i]], i) for i in wanted]
            changed[end] = await _read(context, spots, end, columns[end], was=without_mbsync)
        matches = match(left, right, final=True)
    positions = dict(zip(BOTH, altered(left, right, matches), strict=True))
    if positions[End.ONE]:
        was = {end: columns[end].only(positions[end]) for end in BOTH}
        for end in BOTH:
            new = look.differences[end].new
            await _read(
                context, [(look.key, new[at[end][i]], k) for k, i in enumerate(positions[end])], end, was[end],
                was=as_it_was,
            )  # fmt: skip
        changed = {end: changed[end] | {*positions[end]} for end in BOTH}
        matches.pairs += [
            (positions[End.ONE][i], positions[End.TWO][j]) for i, j in match_digests(was[End.ONE], was[End.TWO]).pairs
        ]
    for number, (i, j) in enumerate(matches.pairs):
        halves, emails = {}, {}
        there_at = {End.ONE: at[End.ONE][i], End.TWO: at[End.TWO][j]}
        flags = {end: context.state.flagsets[look.differences[end].new_flags[there_at[end]]] for end in BOTH}
        for end in BOTH:
            halves[end] = Half(look.differences[end].new[there_at[end]], flags[End.ONE] & flags[End.TWO], flags[end])
            column, position = (left, i) if end is End.ONE else (right, j)
            emails[end] = column.emails[position][0] if column.emails[position] else None
        size = left.sizes[i] if left.sizes[i] is not None else right.sizes[j]
        whole = i not in changed[End.ONE] and j not in changed[End.TWO]  # then the digest is of the octets themselves
        read = left.digests[i] if whole and left.digests[i] == right.digests[j] else None
        content = Content(size, left.received[i], left.marks[i], read, emails)
        row = Row(0, look.key, halves[End.ONE], halves[End.TWO], content=content)
        look.rows[-1 - number - len(look.rows)] = row
    _take(look, End.ONE, {at[End.ONE][i] for i, _ in matches.pairs})
    _take(look, End.TWO, {at[End.TWO][j] for _, j in matches.pairs})


# Reading -------------------------------------------------------------------------------------------


async def _ask(
    context: Context, look: Look, end: End, outlines: dict[tuple[int, End], dict[int, Outline]]
) -> dict[int, Outline]:
    """Outlines of what is new there, asked for once."""
    found = outlines.get((look.key, end))
    if found is None:
        found = {}
        new = look.differences[end].new
        for start in range(0, len(new), OUTLINES):
            some = new[start : start + OUTLINES]
            for outline in await context.sides[end].outlines(context.name(look.key, end), some):
                found[outline.uid] = outline
        outlines[look.key, end] = found
    return found


def _outline(columns: Candidates, where: int, outline: Outline) -> None:
    emails = () if outline.email is None else (outline.email,)
    columns.add(where, outline.size, outline.received, outline.mark, emails)


async def _read_rows(
    context: Context,
    found: list[Look],
    wanted: Iterable[tuple[Row, int]],
    columns: Candidates,
    end: End,
    *,
    was: Callable[[bytes], bytes] | None = None,
) -> None:
    """Digests of rows, from the other side, where the message still is."""
    places = []
    for row, position in wanted:
        place = row.place(end.other)
        if place is not None and place[0] in context.joints and not (row.odd & PLACEHOLDER):
            places.append((*place, position))
    await _read(context, places, end.other, columns, was=was)


async def _read(
    context: Context,
    wanted: Collection[tuple[int, int, int]],
    end: End,
    columns: Candidates,
    *,
    was: Callable[[bytes], bytes] | None = None,
) -> set[int]:
    """Put the digests of (pair, UID, position) into the columns; what is gone lacks. Gives the positions of those whose
    digest is not of all their octets. Raises MailboxUnavailable."""
    changed: set[int] = set()
    by_pair: dict[int, dict[int, int]] = defaultdict(dict)
    for pair, uid, position in wanted:
        by_pair[pair][uid] = position
    for pair, uids in by_pair.items():
        async for message in context.sides[end].fetch(context.name(pair, end), sorted(uids)):
            position = uids[message.uid]
            data = message.data if was is None else was(message.data)
            if data != message.data:
                changed.add(position)
            if has_nul(data):
                columns.nuls.add(position)
            columns.digests[position] = digest(data)
            columns.sizes[position] = len(message.data)
    return changed
