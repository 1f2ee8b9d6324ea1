"""What all parts of a run share: sides, state, what was done so far; and working on several mailboxes at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeVar

from ...clock import Clock
from ..settings import CopySettings, End, LeftOut, Progress, Tally
from ..side import MailboxUnavailable, Side, keeps
from ..state import State

if TYPE_CHECKING:
    from ..base import Row
    from ..model import Flags
    from ..plan.mailboxes import Joint

T = TypeVar("T")

Meanwhile = Callable[[], AbstractAsyncContextManager[None]]
"""Entered while a single large message comes: nothing is done to side two by then but that the message is added, and
what else is done to it (`sync.meanwhile`) has ended when this is left."""


class Context:
    """One run of one copy.

    joints: the mailboxes of this pass, by pair. unsettled: pairs with something left undone, whose cursors stay.
    touched: (pair, side) that this pass changed; before: those of passes before it that no look has settled since;
    made: what it created.

    doubted: keys of messages that a second look is about. again: another pass has to come, and look at everything.
    later: pairs to which this pass adds nothing. stopped: (pair, side) to which nothing is added any more in this run.
    leftovers: (key, pair, UID) where messages still are from which a move that was cut off had taken them. finished:
    rows of such moves, which are noted as being in the target, with the pair and side that they were moved from.
    waiting: keys of messages that a side refused and that are not to be tried now. lost: of those that a side took and
    never showed. trash: held by who puts something there.
    """

    def __init__(
        self,
        settings: CopySettings,
        one: Side,
        two: Side,
        state: State,
        clock: Clock,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.settings = settings
        self.sides = {End.ONE: one, End.TWO: two}
        self.state = state
        self.clock = clock
        self.progress = progress
        self.joints: dict[int, Joint] = {}
        self.unsettled: set[int] = set()
        self.touched: set[tuple[int, End]] = set()
        self.made: set[tuple[int, End]] = set()
        self.before: set[tuple[int, End]] = set()
        self.done = {End.ONE: Counter[str](), End.TWO: Counter[str]()}
        self.placeholders = 0
        self.doubted: set[int] = set()
        self.again = False
        self.later: set[int] = set()
        self.trash = asyncio.Lock()
        self.stopped: set[tuple[int, End]] = set()
        self.waiting: set[int] = set()
        self.lost: set[int] = set()
        self.leftovers: dict[End, list[tuple[int, int, int]]] = {End.ONE: [], End.TWO: []}
        self.finished: list[tuple[Row, int, End]] = []
        self._left_out: dict[tuple[str, End], str] = {}

    def name(self, pair: int, end: End) -> str:
        """What the mailbox is called on that side. Raises MailboxUnavailable where it is not there."""
        place = self.joints[pair].at(end)
        if place is None:
            raise MailboxUnavailable(f"Mailbox {self.joints[pair].goal!r} is not there.")
        return place.name

    def has(self, pair: int, end: End) -> bool:
        return pair in self.joints and self.joints[pair].at(end) is not None

    def keeps(self, pair: int, end: End, flag: str) -> bool:
        """Whether the mailbox is known to keep this flag on that side: where it lacks then, somebody took it away."""
        if self.state.flagsets.keeps(end, flag):
            return True
        place = self.joints[pair].at(end)
        return place is not None and keeps(self.sides[end], place.name, flag)

    def note_kept(self, pair: int, end: End, written: Iterable[Flags]) -> None:
        """These flags were written there: note which keywords the side is sure to have kept. Within a transaction.

        A run that is cut off before it sees them listed is followed by one that could not tell whether a keyword that
        lacks was taken away or never kept.
        """
        flagsets = self.state.flagsets
        for flag in {flag for flags in written for flag in flags}:
            if not flagsets.keeps(end, flag) and self.keeps(pair, end, flag):
                flagsets.kept(end, flag)

    def did(self, end: End, what: str, count: int = 1) -> None:
        self.done[end][what] += count

    def touch(self, pair: int, end: End) -> None:
        self.touched.add((pair, end))

    def leave_out(self, mailbox: str, end: End, error: MailboxUnavailable) -> None:
        """This mailbox is not worked on further; said in the report."""
        self._left_out[mailbox, end] = error.text

    def left_out(self) -> tuple[LeftOut, ...]:
        return tuple(LeftOut(name, end, reason) for (name, end), reason in self._left_out.items())

    def forget_left_out(self) -> None:
        """A further pass tries all again."""
        self._left_out.clear()

    def tally(self, end: End) -> Tally:
        return Tally(**self.done[end])

    async def each(
        self, items: Iterable[T], act: Callable[[T], Awaitable[None]], where: Callable[[T], tuple[int, End]]
    ) -> None:
        """Do it for each, several at once; a mailbox that cannot be used is left out and unsettled."""
        gate = asyncio.Semaphore(max(1, self.settings.at_once))

        async def one(item: T) -> None:
            async with gate:
                try:
                    await act(item)
                except MailboxUnavailable as error:
                    pair, end = where(item)
                    self.unsettled.add(pair)
                    self.leave_out(self.joints[pair].goal, end, error)

        await together([one(item) for item in items])


async def together(works: list[Awaitable[None]]) -> None:
    """All of them; the first failure ends the others and is raised as it is, not in a group."""
    if len(works) == 1:
        await works[0]
        return
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(_run(work))
    except BaseExceptionGroup as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


async def _run(work: Awaitable[None]) -> None:
    await work
