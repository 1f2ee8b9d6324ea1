"""Where each mailbox goes: the table that a migration begins with, and the mailboxes that the target lacks.

Two of the source's mailboxes end in one of the target only where `--map` says so for both. Special uses that the
target's mailboxes have stay there; others are given to where the mail went.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from ..model import Place
from ..patterns import INBOX
from ..side import MailboxUnavailable, Side
from .ledger.book import Book
from .model import AllMail, Course, LeftOut, Wishes
from .names import choose, free, is_view, mapped, spellings

KEEPS_MAIL = frozenset({"\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"})
"""Special uses that each account has one place for; others are views, or mean something else to everybody."""


def plan(
    source: list[Place], target: list[Place], book: Book, wishes: Wishes, nameless: Collection[str] = ()
) -> tuple[list[Course], list[LeftOut]]:
    """The mailboxes that go, and to which names, before anything is made. nameless: as for `names.choose`. Raises
    Refusal (see there)."""
    going, left = choose(source, wishes.only, wishes.exclude, wishes.all_mail, nameless)
    there = {place.name: place for place in target}
    holders: dict[str | None, str] = {
        place.role: place.name for place in target if place.role is not None and place.selectable
    }
    # Where no mailbox is subscribed, the source keeps no subscriptions: then mail programs are to show all.
    silent = not any(place.subscribed for place in source)
    names = {place.name: mapped(place.name, wishes.maps) for place in going}
    taken = {name.casefold() for name in names.values() if name}
    courses = []
    for place in going:
        rest = is_view(place) and place.role == "\\All" and wishes.all_mail is not AllMail.COPY
        name = names[place.name] or _chosen(place, there, holders, book, taken, rest=rest)
        taken.add(name.casefold())
        role = place.role if not rest and place.role not in holders else None
        if name in there and there[name].role is not None:
            role = None
        courses.append(Course(place.name, name, role, place.subscribed or silent, name in there, rest))
    return courses, left


def _chosen(
    place: Place,
    there: Mapping[str, Place],
    holders: Mapping[str | None, str],
    book: Book,
    taken: set[str],
    *,
    rest: bool,
) -> str:
    if place.name == INBOX:
        return INBOX
    earlier = book.target_of(place.name)
    if earlier is not None and earlier in there and earlier.casefold() not in taken:
        return earlier
    role = "\\Archive" if rest else place.role
    holder = holders.get(role) if role in KEEPS_MAIL else None
    if holder is not None and holder.casefold() not in taken:
        return holder
    return free("Archive" if rest else place.name, taken)


async def make(target: Side, course: Course, taken: Iterable[str]) -> Course:
    """Make the course's mailbox, under the first of `spellings` that the target takes (or has already).

    taken: names that other courses lead to. Raises MailboxUnavailable where it takes none.
    """
    others = {name.casefold() for name in taken} - {course.target.casefold()}
    refused: MailboxUnavailable | None = None
    for name in spellings(course.target):
        if name.casefold() in others:
            continue
        try:
            place = await target.create(name, course.role)
        except MailboxUnavailable as refusal:
            refused = refused or refusal
            # Made meanwhile, or what a former run came to after the same refusals.
            if name in {each.name for each in await target.places() if each.selectable}:
                return replace(course, target=name, exists=True)
            continue
        return replace(course, target=place.name, exists=True, role=None if place.role else course.role)
    assert refused is not None
    raise refused
