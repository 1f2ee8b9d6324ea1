"""A migration from its beginning to its proof: all mailboxes, one after another.

A mailbox that cannot be read or made is set aside and the others go on; a side that is lost ends the run, and `persist`
begins it again, which goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from ...clock import Clock
from ..model import Place, Spelling
from ..patterns import INBOX
from ..side import MailboxUnavailable, Side, SideUnavailable, unlisted
from .course import make, plan
from .ledger.book import Book
from .mailbox import OUTLINES, Both, MailboxCopy
from .model import Aside, Course, Depth, Observer, Report, Wishes
from .moved import Moves, clear_out, follow
from .proof import VERSION, Head, MailboxLine, Writer, instant
from .prove import Stretch, prove, read_back

Uidls = Callable[[Side, Place], Awaitable[Mapping[int, str]]]
"""Asks the old server's POP3 for the UIDLs of the source's INBOX: by its UIDs."""

AT_ONCE = 4
"""Mailboxes worked on at the same time."""

KeepUidls = Callable[[Side, str, Mapping[int, str]], Awaitable[int]]
"""Gives UIDLs, by UID, to messages that the target has in a mailbox; how many it did not have before."""

PAUSES = (2.0, 10.0, 30.0, 60.0, 120.0)
"""Seconds before each further try to reach a side that was lost. What was copied meanwhile begins the count anew."""


@dataclass(slots=True)
class Migration:
    """source, target: open sides. title: what each is, as the proof names it. proof: where that goes. uidls: None
    where none are carried over. keep_uidls: None where the target keeps them as it takes messages."""

    source: Side
    target: Side
    book: Book
    wishes: Wishes
    clock: Clock
    observer: Observer
    proof: Path | None = None
    uidls: Uidls | None = None
    keep_uidls: KeepUidls | None = None
    titles: tuple[str, str] = ("", "")
    report: Report = field(default_factory=Report)
    _made: set[int] = field(default_factory=set)
    _nameless: Mapping[str, str] = field(default_factory=dict)
    """Mailboxes of the source that have no name that could be used, and why: what is in them does not arrive."""

    async def run(self) -> Report:
        """Raises Refusal for wishes that cannot be, SideUnavailable, ProofRefusal."""
        began = self.clock.monotonic()
        report, wishes = self.report, self.wishes
        report.dry_run = wishes.dry_run
        both = Both(self.source, self.target, self.book, self.observer, Spelling(), wishes.again, wishes.dry_run)
        places = await self.source.places()
        there = await self.target.places()
        nameless = {name.decode("utf-8", "replace"): why for name, why in sorted(unlisted(self.source).items())}
        courses, report.left_out = plan(places, there, self.book, wishes, nameless)
        for each in report.left_out:
            nameless.pop(each.mailbox, None)
        self._nameless = nameless
        report.aside += [Aside(name, 0, why, False) for name, why in nameless.items()]
        by_name = {place.name: place for place in places}

        async def ready(number: int) -> Course:
            await self._ready(courses, number, there)
            return courses[number]

        moves = await follow(both, courses, by_name, ready)
        report.moved = moves.number
        self.observer.begin("Copying", sum(by_name[each.source].messages or 0 for each in courses))
        first = [number for number, course in enumerate(courses) if not course.rest]
        copies: dict[int, MailboxCopy] = {}
        reasons: dict[int, str] = {}

        async def work(number: int) -> None:
            place = by_name[courses[number].source]
            try:
                await self._mailbox(both, courses, number, place, there, copies, moves)
            except MailboxUnavailable as refusal:
                reasons[number] = refusal.text
                report.aside.append(Aside(place.name, 0, refusal.text, refusal.temporary))

        try:
            await at_once(_by_target(courses, first), work)
            for number in range(len(courses)):
                if courses[number].rest:
                    await self._fill_marks(courses)
                    await work(number)
        finally:
            report.mailboxes = [copies[number].done for number in sorted(copies)]
            report.seconds = self.clock.monotonic() - began
        report.cleared = await clear_out(both, by_name)
        stretches = []
        for number, course in enumerate(courses):
            copy = copies.get(number)
            key, last = (copy.key, copy.last) if copy is not None else (0, 0)
            report.aside += self.book.aside(key)
            stretches.append(Stretch(course, key, last, reasons.get(number)))
        if not wishes.dry_run:
            await self._give_uidls(stretches)
            await self._prove(both, stretches)
        self._note()
        report.seconds = self.clock.monotonic() - began
        return report

    async def _mailbox(
        self,
        both: Both,
        courses: list[Course],
        number: int,
        place: Place,
        there: list[Place],
        copies: dict[int, MailboxCopy],
        moves: Moves,
    ) -> None:
        if not self.wishes.dry_run:
            await self._ready(courses, number, there)
        course = courses[number]
        uidls: Mapping[int, str] = {}
        if self.uidls is not None and course.source == INBOX:
            uidls = await self.uidls(self.source, place)
        moved: Set[int] = moves.new.get(course.source, set()) if self.wishes.dry_run else set()
        copies[number] = MailboxCopy(both, course, uidls, place.messages or 0, moved)
        await copies[number].run()

    async def _ready(self, courses: list[Course], number: int, there: list[Place]) -> None:
        """Make the course's mailbox where it is missing, and dress it; once a run."""
        if number in self._made:
            return
        course, made = courses[number], False
        if not course.exists:
            course = await make(self.target, course, [each.target for each in courses])
            if course.target not in {place.name for place in there}:
                self.book.made(course.target)
            courses[number] = course
            made = True
        await self._dress(course, there, made=made)
        self._made.add(number)

    async def _dress(self, course: Course, there: list[Place], *, made: bool) -> None:
        """Special use and subscription. What the target cannot do is noted; mail goes on."""
        if course.role is not None and not await self.target.set_role(course.target, course.role):
            self.report.notes.append(f"{course.target} is {course.role} at the source; the target cannot note that.")
        subscribed = next((place.subscribed for place in there if place.name == course.target), None)
        if course.subscribed and not subscribed:
            await self.target.subscribe(course.target, True)
        elif made and not course.subscribed:
            # Some servers subscribe what they create.
            now = next((place for place in await self.target.places() if place.name == course.target), None)
            if now is not None and now.subscribed:
                await self.target.subscribe(course.target, False)

    async def _fill_marks(self, courses: list[Course]) -> None:
        """What was recognised by EMAILID was not looked at; to tell what all mail has beside it, it must be."""
        keys = self.book.mailboxes()
        for course in courses:
            key = keys.get(course.source)
            if course.rest or key is None:
                continue
            uids = self.book.unmarked(key)
            for start in range(0, len(uids), OUTLINES):
                found = await self.source.outlines(course.source, uids[start : start + OUTLINES])
                self.book.read_outlines(key, found)

    async def _give_uidls(self, stretches: list[Stretch]) -> None:
        """To a target that takes UIDLs beside its messages, also those of earlier runs."""
        for stretch in stretches:
            if self.keep_uidls is not None and stretch.course.source == INBOX and stretch.key:
                uidls = {row.target: row.uidl for row in self.book.all_rows(stretch.key) if row.uidl is not None}
                if uidls:
                    await self.keep_uidls(self.target, stretch.course.target, uidls)

    async def _prove(self, both: Both, stretches: list[Stretch]) -> None:
        depth = self.wishes.depth
        if depth is Depth.NONE or self.proof is None:
            return
        self.observer.begin("Proving", sum(each.messages for each in self.report.mailboxes))

        async def read(number: int) -> None:
            await read_back(both, stretches[number], depth)

        source, target = self.titles
        head = Head(VERSION, instant(self.clock.now()), depth.value, source, target)
        writer = Writer(self.proof, head)
        try:
            await at_once([[number] for number in range(len(stretches))], read)
            for stretch in stretches:
                await prove(both, stretch, writer, depth)
            for name, why in self._nameless.items():
                writer.write(MailboxLine(name, "", "", "", why))
            writer.finish()
        finally:
            writer.abort()
        self.report.counts = writer.counts
        self.report.proof = str(self.proof)

    def _note(self) -> None:
        report = self.report
        if report.moved:
            would = "would be" if report.dry_run else "have been"
            report.notes.append(
                f"{report.moved} were moved to other mailboxes at the source, and {would} at the target too."
            )
        if report.cleared:
            report.notes.append(
                f"{report.cleared} mailboxes gone from the source were empty at the target; they are gone there too."
            )
        dropped: Mapping[str, set[str]] = getattr(self.target, "left_out_keywords", {})
        report.notes += [
            f"{name}: the target keeps no keywords {' '.join(sorted(words))}."
            for name, words in sorted(dropped.items())
        ]
        if stripped := sum(each.stripped for each in report.mailboxes):
            report.notes.append(f"{stripped} were taken only without their keywords.")
        if gone := sum(each.gone for each in report.mailboxes):
            report.notes.append(
                f"{gone} copied by an earlier run are at the target no more; --again brings such messages once more."
            )
        if late := sum(each.uidls_late for each in report.mailboxes):
            report.notes.append(
                f"{late} were copied without their POP3 UIDL before; POP3 clients will download those again."
            )
        if report.counts is not None and report.counts.new:
            report.notes.append(f"{report.counts.new} came to the source meanwhile; run the command again.")


def _by_target(courses: Sequence[Course], numbers: Sequence[int]) -> list[list[int]]:
    """Courses that end in the same mailbox go one after another."""
    groups: dict[str, list[int]] = {}
    for number in numbers:
        groups.setdefault(courses[number].target, []).append(number)
    return list(groups.values())


async def at_once(groups: Sequence[Sequence[int]], work: Callable[[int], Awaitable[None]]) -> None:
    """`work` on all numbers, AT_ONCE groups at a time, each group in its order. The first error ends all and comes
    out as it is."""
    waiting = iter(groups)

    async def worker() -> None:
        for group in waiting:
            for number in group:
                await work(number)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(AT_ONCE, len(groups))):
                tasks.create_task(worker())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group


async def persist(
    attempt: Callable[[], Awaitable[Report]],
    progress: Callable[[], int],
    pause: Callable[[float], Awaitable[None]],
    say: Callable[[str], None],
) -> Report:
    """Run `attempt` until it ends otherwise than by a SideUnavailable that may pass; between two tries without progress
    there is a longer pause each time, and after the longest none. Where nothing has gone at all, one try is made.

    progress: a number that grows with what has been copied. pause: waits so many seconds. say: tells people why.
    """
    began = before = progress()
    tries = 0
    while True:
        try:
            return await attempt()
        except SideUnavailable as refusal:
            now = progress()
            if now > before:
                before, tries = now, 0
            if not refusal.temporary or now == began or tries >= len(PAUSES):
                raise
            seconds = max(PAUSES[tries], getattr(refusal, "after", None) or 0.0)  # a busy server may say how long
            say(f"{refusal.text} Going on in {seconds:.0f} s.")
            await pause(seconds)
            tries += 1
