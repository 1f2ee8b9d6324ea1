"""One copy as it is run: its sides opened, its outbox worked off, the engine (or the POP3 fetch) run, and what was done
told and written down. Implements `watch.Watched`; a single run is open, run, close.

The outbox comes before the engine, so that what is filed to Sent reaches the server in the same run, and does not wait
for the mail server: another one sends. It has its turn again while large messages come (`meanwhile`). Knows no kind of
side; `assemble` makes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from ..clock import Clock
from ..errors import Refusal
from ..values import Value
from .places import CopyPlaces
from .watch import Cause

if TYPE_CHECKING:
    from .engine.context import Meanwhile
    from .model import Added, Message, Place
    from .outbox.outcome import Outcome
    from .settings import Progress, Report
    from .side import Side


class Fetched(Value, frozen=True):
    """What a POP3 fetch did, as far as anybody here wants to know. left: messages set aside, with reasons. deleted: on
    the server. notes: sentences for people. passed: messages passed over (`only_new`)."""

    listed: int
    downloaded: int
    octets: int
    recognised: int
    deleted: int
    remaining: int
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    passed: int = 0


class RunReport(Value, frozen=True):
    """What one run of a copy did. started: seconds UTC. sync, fetched: of IMAP and POP3; None where it did not come to
    that. problem: why the run ended early, or why the outbox could not be worked off."""

    name: str
    cause: Cause
    started: float
    seconds: float
    sync: Report | None = None
    fetched: Fetched | None = None
    outbox: Outcome | None = None
    problem: Refusal | None = None

    @property
    def findings(self) -> bool:
        """Something waits for a person: removals held, messages set aside, mailboxes left out, an uncertain message."""
        undecided = self.sync is not None and any(each.accepted is None for each in self.sync.held)
        held = self.sync is not None and bool(undecided or self.sync.aside or self.sync.left_out)
        left = self.fetched is not None and bool(self.fetched.left)
        return held or left or (self.outbox is not None and self.outbox.uncertain > 0)


class Outbox(Protocol):
    """The copy's way out: `outbox.sender.Sender`."""

    async def run(self, side: Side | None) -> Outcome: ...


class Parts(Protocol):
    """What a copy of an IMAP account is made of; each call gives new sides, not open yet.

    sign: whose account the server's is (`side.Signed`): what is remembered of another's counts for nothing.
    """

    @property
    def sign(self) -> str: ...

    def remote(self, known: Sequence[Place]) -> Side:
        """known: the mailboxes of the last run, which need not be asked about again."""
        ...

    def local(self) -> Side: ...

    async def run(self, one: Side, two: Side, progress: Callable[[Progress], None], meanwhile: Meanwhile) -> Report: ...


class Fetch(Protocol):
    """What a copy of a POP3 maildrop is made of."""

    def local(self) -> Side: ...

    async def run(self, progress: Callable[[Progress], None]) -> Fetched: ...


Tell = Callable[[RunReport], None]
Wait = Callable[[], Awaitable[None]]


async def never() -> None:
    """Waits until it is cancelled."""
    await asyncio.get_running_loop().create_future()


class Held:
    """A side for as long as a copy has it.

    The engine opens and closes what it is given: here that does nothing, so that connections live from run to run, and
    `wait` goes on where the run ended. The last look at the mailboxes is kept, for `wait` and for the next run.

    turn: held by who else uses the side while a message is on its way (`meanwhile`): then it is not added.
    """

    def __init__(self, side: Side) -> None:
        self.side = side
        self.seen: list[Place] = []
        self.turn = asyncio.Lock()

    async def open(self) -> None:
        """Open already."""

    async def close(self) -> None:
        """`Copy.close` does."""

    async def places(self) -> list[Place]:
        self.seen = await self.side.places()
        return self.seen

    async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
        async with self.turn:
            return await self.side.add(name, messages)

    def __getattr__(self, name: str) -> object:
        return getattr(self.side, name)

    def as_side(self) -> Side:
        """Itself: it is a side by what it passes on, which a Protocol cannot see."""
        return cast("Side", self)


class Copy:
    """A copy of an IMAP account. takes: whether a mailbox belongs to it. outbox: None where it does not send.

    outbox_word: waits for a word that something was spooled. outbox_mailbox: of the copy, watched for messages to be
    sent; "" for none. tell: called once a run. remember: write down how it ended (not for what only looks).
    """

    def __init__(
        self,
        places: CopyPlaces,
        parts: Parts,
        clock: Clock,
        *,
        takes: Callable[[str], bool],
        tell: Tell,
        progress: Callable[[Progress], None],
        outbox: Outbox | None = None,
        outbox_word: Wait = never,
        outbox_mailbox: str = "",
        remember: bool = True,
    ) -> None:
        self.name = places.name
        self._places = places
        self._remember = remember
        self._parts = parts
        self._outbox_mailbox = outbox_mailbox
        self._outbox_state: str | None = None
        self._clock = clock
        self._takes = takes
        self._tell = tell
        self._progress = progress
        self._outbox = outbox
        self._outbox_word = outbox_word
        self._one: Held | None = None
        self._two: Held | None = None
        self._opening: asyncio.Future[None] | None = None
        self._known: list[Place] = []
        self._began = 0.0
        self._outcome: Outcome | None = None

    async def open(self) -> None:
        """Open both sides at once, and send what waits meanwhile. Raises as they do, and tells so."""
        self._begin()
        try:
            self._known = self._known or read_known(self._places, self._parts.sign)
            self._one, self._two = Held(self._parts.remote(self._known)), Held(self._parts.local())
            self._opening = asyncio.ensure_future(self._one.side.open())
            await self._two.side.open()
            await self._send()
            await self._opening
        except Refusal as refusal:
            self._told(Cause.BEGIN, problem=refusal)
            raise

    async def run(self, cause: Cause) -> None:
        """Raises what ends the run; it has been told then."""
        assert self._one is not None
        assert self._two is not None
        if cause is not Cause.BEGIN:
            self._begin()
            await self._send()
        try:
            one, two = self._one.as_side(), self._two.as_side()
            report = await self._parts.run(one, two, self._progress, self._meanwhile)
        except Refusal as refusal:
            self._told(cause, problem=refusal)
            raise
        if self._remember and self._one.seen and self._one.seen != self._known:
            self._known = self._one.seen
            write_known(self._places, self._parts.sign, self._known)
        self._told(cause, sync=report)

    async def remote_changed(self) -> None:
        await self._changed(self._one)

    async def local_changed(self) -> None:
        assert self._two is not None
        self._outbox_state, filled = filled_since(self._two.seen, self._outbox_mailbox, self._outbox_state)
        if not filled:
            await self._changed(self._two, self._outbox_mailbox)

    async def outbox_changed(self) -> None:
        await self._outbox_word()

    async def close(self) -> None:
        """Both sides, whatever becomes of the other. A loss while closing is none: what was done has been answered."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        sides, self._one, self._two = (self._one, self._two), None, None
        for side in sides:
            if side is not None:
                try:
                    await side.side.close()
                except Refusal:
                    continue

    def _begin(self) -> None:
        self._began = self._clock.monotonic()
        self._outcome = None

    async def _send(self) -> bool:
        """Send what waits; whether nothing kept that from being done: what did is there for a while."""
        if self._outbox is not None:
            assert self._two is not None
            async with self._two.turn:
                outcome = await sent(self._outbox, self._two.side)
            self._outcome = outcome.after(self._outcome)
        return self._possible()

    def _possible(self) -> bool:
        """Whether sending was possible when it was last tried."""
        return self._outcome is None or (self._outcome.problem is None and not self._outcome.busy)

    def _meanwhile(self) -> AbstractAsyncContextManager[None]:
        """Sending, while a large message comes: of what is there, where sending was possible when it was last tried,
        and of what is handed in meanwhile."""
        if self._outbox is None:
            return nullcontext()
        from .meanwhile import meanwhile

        two, outbox = self._two, self._outbox_mailbox
        assert two is not None
        reasons: list[Callable[[], Awaitable[object]]] = [self._outbox_word]
        if outbox:
            reasons.append(lambda: two.side.wait([outbox]))
        return meanwhile(self._send, reasons, at_once=self._possible())

    async def _changed(self, side: Held | None, besides: str = "") -> None:
        assert side is not None
        seen = [place.name for place in side.seen if place.selectable]
        names = [name for name in seen if self._takes(name) or name == besides]
        await side.side.wait(names)

    def _told(self, cause: Cause, sync: Report | None = None, problem: Refusal | None = None) -> None:
        seconds = self._clock.monotonic() - self._began
        outbox = self._outcome
        problem = problem or (outbox.problem if outbox is not None else None)
        report = RunReport(self.name, cause, self._clock.now() - seconds, seconds, sync, None, outbox, problem)
        if self._remember:
            write_last(self._places, report)
        self._tell(report)


class Pop3Copy:
    """A copy of a POP3 maildrop. Nothing announces anything there: the interval alone makes runs, and the outbox."""

    def __init__(
        self,
        places: CopyPlaces,
        fetch: Fetch,
        clock: Clock,
        *,
        tell: Tell,
        progress: Callable[[Progress], None],
        outbox: Outbox | None = None,
        outbox_word: Wait = never,
        outbox_mailbox: str = "",
        remember: bool = True,
    ) -> None:
        self.name = places.name
        self._places = places
        self._remember = remember
        self._fetch = fetch
        self._clock = clock
        self._tell = tell
        self._progress = progress
        self._outbox = outbox
        self._outbox_word = outbox_word
        self._outbox_mailbox = outbox_mailbox
        self._outbox_state: str | None = None
        self._watched: Side | None = None

    async def open(self) -> None:
        """Nothing stays open: a POP3 session locks the maildrop."""

    async def run(self, cause: Cause) -> None:
        began = self._clock.monotonic()
        outcome: Outcome | None = None
        fetched: Fetched | None = None
        problem: Refusal | None = None
        try:
            if self._outbox is not None:
                side = self._fetch.local()
                try:
                    await side.open()
                    outcome = await sent(self._outbox, side)
                finally:
                    await side.close()
            fetched = await self._fetch.run(self._progress)
        except Refusal as refusal:
            problem = refusal
        seconds = self._clock.monotonic() - began
        told = problem or (outcome.problem if outcome is not None else None)
        report = RunReport(self.name, cause, self._clock.now() - seconds, seconds, None, fetched, outcome, told)
        if self._remember:
            write_last(self._places, report)
        self._tell(report)
        if problem is not None:
            raise problem

    async def remote_changed(self) -> None:
        await never()

    async def local_changed(self) -> None:
        """Of all that is here the Outbox mailbox alone makes a run."""
        if self._outbox is None or not self._outbox_mailbox:
            await never()
        # One side for all waits: it knows what it has told of, so that what nobody takes makes no run after run.
        if self._watched is None:
            self._watched = self._fetch.local()
            await self._watched.open()
        places = await self._watched.places()
        self._outbox_state, filled = filled_since(places, self._outbox_mailbox, self._outbox_state)
        if not filled:
            await self._watched.wait([self._outbox_mailbox])

    async def outbox_changed(self) -> None:
        await self._outbox_word()

    async def close(self) -> None:
        side, self._watched = self._watched, None
        if side is not None:
            await side.close()


def filled_since(places: Sequence[Place], outbox: str, told: str | None) -> tuple[str | None, bool]:
    """Whether there is something in the Outbox mailbox that no run was made for: it came after the last one had emptied
    it, and before its last look, so that it is no change that `wait` tells of. told: the state of which this was said
    last; what stays there is said once. The state to be remembered comes first."""
    for place in places:
        if place.name == outbox and place.messages and place.state != told:
            return place.state, True
    return told, False


async def sent(outbox: Outbox, side: Side) -> Outcome:
    """A run of the outbox. What keeps it from running at all is its outcome's problem, and none of the mail's."""
    from .outbox.outcome import Outcome

    try:
        return await outbox.run(side)
    except Refusal as refusal:
        # Another process is at it: `restante send`, or another run. It sends what there is.
        return Outcome(busy=True) if refusal.code == BUSY else Outcome(problem=refusal)


BUSY = "SPOOL-BUSY"
"""`outbox.spool.SpoolBusy`."""


# What is remembered of the last run --------------------------------------------------------------------


def read_known(places: CopyPlaces, sign: str) -> list[Place]:
    """The mailboxes of that account as the last run saw them; none where nothing usable is written: then it is asked.

    Two accounts of one server may show states that are equal: a state tells a mailbox's id within one of them alone.
    """
    import msgspec

    from .model import Place

    try:
        whose, known = msgspec.json.decode(_known(places).read_bytes(), type=tuple[str, list[Place]])
    except (OSError, msgspec.DecodeError):
        return []
    return known if whose == sign else []


def write_known(places: CopyPlaces, sign: str, known: Sequence[Place]) -> None:
    import msgspec

    _put(places, _known(places), msgspec.json.encode((sign, known)))


def _known(places: CopyPlaces) -> Path:
    return places.folder / "places.json"


def write_last(places: CopyPlaces, report: RunReport) -> None:
    """How the run ended, for `restante sync status`."""
    import msgspec

    problem = report.problem
    last = {
        "started": report.started,
        "seconds": round(report.seconds, 3),
        "problem": None if problem is None else {"code": problem.code, "text": problem.text, "remedy": problem.remedy},
        "changed": 0 if report.sync is None else report.sync.changed,
        "downloaded": 0 if report.fetched is None else report.fetched.downloaded,
    }
    _put(places, places.last, msgspec.json.encode(last))


def _put(places: CopyPlaces, file: Path, data: bytes) -> None:
    """A hint, there whole or not at all. Not flushed: a power cut may take it back or leave what nobody can read,
    a full disk keep it away; then the next run asks the server, or there is nothing to tell of the last one."""
    import os
    from contextlib import suppress

    part = file.with_suffix(f".{os.getpid()}")
    try:
        places.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(file)
    except OSError:
        with suppress(OSError):
            part.unlink()
