"""Reads what is compared: all messages by columns, then the octets of those that may be the same, and of no others."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import replace

from ..model import Place
from ..outline import digest, ident
from ..side import MailboxUnavailable, Side
from .decide import Plan, Rules, candidates, decide, to_read
from .table import Box, Table
from .trace import core

OUTLINES = 2_000
"""Messages asked of a side at once."""

PASSED_OVER = frozenset({"\\Trash", "\\Junk", "\\All", "\\Flagged", "\\Important"})
"""Roles of mailboxes that are looked at only when they are named: views of others, and what is thrown away already."""

NAMES = {
    "\\Sent": ("sent", "sent messages", "sent items", "sent mail", "sent-mail"),
    "\\Drafts": ("drafts",),
    "\\Junk": ("junk", "spam", "junk e-mail", "junk email", "bulk mail"),
}
"""What programs call them that know no special uses, or tell nobody: most Maildirs are theirs."""

Progress = Callable[[int, int], None]
"""Called with how many messages have been read and how many there are to read."""


class NoSuchMailbox(MailboxUnavailable):
    """A mailbox named by a person is not there."""

    code = "NO-SUCH-MAILBOX"
    temporary = False


def chosen(places: Iterable[Place], names: Sequence[str], trash: str | None) -> list[Place]:
    """The mailboxes to look at: those named, else all but PASSED_OVER. The trash never: what is kept is not there.

    Raises NoSuchMailbox.
    """
    there = {place.name: place for place in places if place.selectable}
    for name in names:
        if name not in there:
            raise NoSuchMailbox(f"There is no mailbox {name}.", "Name an existing one.")
        if name == trash:
            raise NoSuchMailbox(f"{name} is where duplicates go; it is not looked at.", "Name another with --trash.")
    wanted = (
        [there[name] for name in dict.fromkeys(names)]
        if names
        else [place for place in there.values() if place.role not in PASSED_OVER]
    )
    return [place for place in wanted if place.name != trash]


def check_preferred(rules: Rules, looked: Set[str]) -> None:
    """Raises NoSuchMailbox for a mailbox that is preferred and not among those looked at: by a slip in its name another
    message would stay than was wished."""
    for name in rules.prefer:
        if name not in looked:
            raise NoSuchMailbox(
                f"No mailbox {name} is looked at, so that nothing there can be preferred.", "Name another."
            )


def with_roles(places: Sequence[Place]) -> list[Place]:
    """The places; where no mailbox has one of the special uses that make a difference, its name tells."""
    there = {place.role for place in places}
    by_name = {name: role for role, names in NAMES.items() if role not in there for name in names}

    def role_of(place: Place) -> str | None:
        return place.role or by_name.get(place.name.lower().removeprefix("inbox/"))

    return [replace(place, role=role_of(place)) if by_name else place for place in places]


async def look(
    side: Side,
    rules: Rules,
    names: Sequence[str] = (),
    trash: str | None = None,
    progress: Progress = lambda done, total: None,
) -> tuple[Table, Plan]:
    """What there is and what would be done about it. names, trash: see `chosen`. Changes nothing. Raises
    NoSuchMailbox."""
    places = with_roles(await side.places())
    if any(place.role == "\\All" for place in places):
        rules = replace(rules, within=True)  # mailboxes are labels there
    looked = chosen(places, names, trash)
    check_preferred(rules, {place.name for place in looked})
    table = await survey(side, looked, progress)
    groups = candidates(table, rules)
    await read(side, table, to_read(table, groups), progress)
    return table, decide(table, groups, rules)


async def survey(side: Side, places: Sequence[Place], progress: Progress = lambda done, total: None) -> Table:
    """All messages of these mailboxes. Reads no bodies. What comes or goes meanwhile may be missing."""
    table = Table()
    total = sum(place.messages or 0 for place in places)
    for place in places:
        changes = await side.changes(place.name, None)
        table.boxes.append(Box(place.name, place.role, changes.validity, changes.cursor))
        number = len(table.boxes) - 1
        for start in range(0, len(changes.uids), OUTLINES):
            some = changes.uids[start : start + OUTLINES]
            for one in await side.outlines(place.name, some):
                at = start + bisect_left(some, one.uid)
                table.add(
                    number, one.uid, one.size, one.received, changes.flags[at], one.mark, one.ident, one.email,
                    one.digest,
                )  # fmt: skip
            progress(len(table), max(total, len(table)))
    return table


async def read(side: Side, table: Table, wanted: Sequence[int], progress: Progress = lambda done, total: None) -> None:
    """Read the octets of these messages and note what they are; those that are gone stay unknown."""
    by_box: dict[int, dict[int, int]] = {}
    for at in wanted:
        by_box.setdefault(table.box[at], {})[table.uid[at]] = at
    done = 0
    for box, by_uid in by_box.items():
        async for message in side.fetch(table.boxes[box].name, array("Q", sorted(by_uid))):
            at = by_uid[message.uid]
            table.digest[at] = digest(message.data)
            table.core[at] = core(message.data)
            table.ident[at] = ident(message.data)
            table.size[at] = len(message.data)
            done += 1
            if done % 500 == 0:
                progress(done, len(wanted))
