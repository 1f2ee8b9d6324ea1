"""One run: log in, see what is new, recognise or download it, and only then delete.

    listing -> nothing changed: QUIT
            -> unknown names -> what does the target hold? -> headers (TOP) -> octets (RETR) -> known or stored
            -> all stored is on disk and written down -> DELE -> QUIT, whose answer makes it so

Any instant may be the last one. Stored and not written down: the next run finds it in the target. Written down and not
deleted: the next run deletes it. DELE without QUIT: nothing was deleted, and the next run does it again. A message is
never deleted unless its octets were read under the name that it has now, and are in the target or were.

Downloading and storing go on side by side, a batch each. RFC 1939.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from ...clock import Clock, Random, system_random
from ...errors import Refusal
from ...pop3.grammar.answers import AnswerTooLong
from ...pop3.grammar.requests import request
from ..model import NO_FLAGS, Message
from ..side import SideUnavailable
from . import decide, holdings
from .connection import Ask, Pop3Connection
from .decide import Retrieved
from .errors import FetchInterrupted, SourceUnavailable
from .identity import Identity, of_message
from .listing import LARGEST, PROVISIONAL, Listing, name
from .listing import ask as ask_listing
from .login import expires, log_in, login_delay
from .settings import DAY, LeftOut, Pop3Settings, Progress, Report
from .state import Got, Listed, Pop3State, fingerprint
from .target import Target
from .wire import Wire, connect

BATCH_MESSAGES = 256
BATCH_OCTETS = 4 << 20
"""What is stored at once, and one more is read meanwhile."""
HEADERS = 1000
"""Headers compared at once."""
EMPTY = 4
"""Octets by which LIST may be wrong about a message that is empty: line ends that are counted otherwise."""
TOP_WORTH = 4 << 10
"""Octets from which on a header is asked for first, where something of that very size may be the message."""
TOP_LARGE = 128 << 10
"""Octets from which on it is asked for whenever the target holds anything that may be the message."""

Dial = Callable[[Pop3Settings], Awaitable[Wire]]


async def fetch(
    settings: Pop3Settings,
    target: Target,
    state: Pop3State,
    clock: Clock,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    random: Random = system_random,
    dial: Dial = connect,
) -> Report:
    """One run. The target is opened when something has to be stored or compared, and closed.

    dry_run: look, tell what would be downloaded (at most: some of it may be recognised) and deleted, change nothing.

    Raises SourceUnavailable, SourceRefused, LoginRefused, LoginWaits, MaildropInUse, LoginTooSoon before anything was
    done; FetchInterrupted after that, with what was done. Other refusals are the target's.
    """
    if settings.refusals is not None and settings.refusals.noted:
        settings.refusals.before(await settings.secret(False))
    wire = await dial(settings)
    try:
        connection = await log_in(wire, settings, random)
        return await _Run(settings, target, state, clock, connection, progress).run(dry_run=dry_run)
    finally:
        await wire.close()


@dataclass(slots=True)
class _Tally:
    """What a report is made of."""

    downloaded: int = 0
    octets: int = 0
    recognised: int = 0
    passed: int = 0
    deleted: int = 0
    remaining: int = 0
    done: int = 0
    of: int = 0
    left: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _Run:
    def __init__(
        self,
        settings: Pop3Settings,
        target: Target,
        state: Pop3State,
        clock: Clock,
        connection: Pop3Connection,
        progress: Progress | None,
    ) -> None:
        self._settings = settings
        self._target = target
        self._state = state
        self._clock = clock
        self._connection = connection
        self._progress = progress
        self._listing = Listing(connection, state)
        self._tally = _Tally()
        self._listed = 0
        self._reached = False
        self._sure: set[int] = set()
        """Numbers whose messages were seen in this session to be what the state says; others are not deleted."""

    async def run(self, *, dry_run: bool) -> Report:
        try:
            return await self._run(dry_run=dry_run)
        except Refusal as error:
            self._tally.deleted = 0
            raise FetchInterrupted(error, self._report()) from error
        finally:
            if self._reached:
                await self._target.close()

    async def _run(self, *, dry_run: bool) -> Report:
        self._notes()
        if not dry_run:
            self._state.bind(self._target.title)
        settings, state = self._settings, self._state
        raw = await ask_listing(self._connection)
        self._listed = raw.sizes.count(b"\n")
        seen = fingerprint(raw.sizes, raw.uidls or b"", repr(self._wishes()).encode())
        if raw.uidls is not None and state.settled(seen, self._now()):
            await self._quit()
            return self._report()
        await self._listing.learn(raw)
        if settings.only_new and state.fresh and not dry_run:
            await self._pass_over(state.unknown())
        unknown = self._wanted()
        if dry_run:
            if settings.only_new and state.fresh:
                self._tally.passed, unknown = len(unknown), []
            self._tally.downloaded = len(unknown)
            self._tally.octets = sum(one.size for one in unknown)
            self._tally.deleted = sum(map(len, self._due()))
            await self._quit()
            return self._report()
        await self._look_again(self._due()[0])
        await self._bring(unknown)
        due = [one for one in self._due()[0] if one.number in self._sure]
        if due:
            # Nothing goes elsewhere because it lies in a target that is not there any more: a disk may be missing.
            await self._reach_target()
        await self._delete(due)
        quit = await self._quit()
        idle = quit and not due and not self._tally.left and not self._tally.remaining and self._listing.settled
        state.settle(seen if idle else None, self._delete_after())
        return self._report()

    # What is to be done --------------------------------------------------------------------------------

    def _wishes(self) -> tuple[object, ...]:
        s = self._settings
        return (s.delete_after, s.only_new, s.largest)

    def _now(self) -> int:
        return int(self._clock.now())

    def _delete_after(self) -> int | None:
        days = self._settings.delete_after
        return None if days is None else days * DAY

    def _due(self) -> tuple[list[Listed], list[Listed]]:
        """What is to be deleted by its age: proved to be ours, and not yet."""
        after = self._delete_after()
        return ([], []) if after is None else self._state.due(self._now() - after)

    async def _look_again(self, due: Sequence[Listed]) -> None:
        """See that what was read in an earlier session is there still: servers number anew, and of messages of one size
        a name may come to mean another one, which would be deleted and never have been read.

        By header; where that is another one, or there is no TOP, the message is read again (`_bring`)."""
        doubtful = {one.number: one for one in due}
        for at in range(0, len(due) if self._listing.top else 0, HEADERS):
            some = due[at : at + HEADERS]
            known = self._state.by_name(one.uidl for one in some)
            async for one, head in self._listing.headers(some, octets=False):
                if head is not None and known[one.uidl].has(head):
                    del doubtful[one.number]
                    self._sure.add(one.number)
        if doubtful:
            self._state.relist(doubtful.values())

    def _notes(self) -> None:
        days = expires(self._connection)
        wish = self._settings.delete_after
        if days is not None and (wish is None or wish > days):
            self._tally.notes.append(
                "This server removes mail once it was read."
                if days == 0
                else f"This server may remove mail after {days} days, whatever is configured here."
            )

    def _wanted(self) -> list[Listed]:
        """What is unknown and may be downloaded in this run."""
        for one, reason in self._state.refused():
            self._leave(one, reason)
        largest = self._settings.largest
        wanted = []
        for one in self._state.unknown():
            if largest is not None and one.size > largest:
                self._leave(one, f"larger than {largest} octets, as configured")
            elif one.size > LARGEST:
                self._leave(one, f"larger than {LARGEST} octets, which POP3 would have us hold in memory")
            else:
                wanted.append(one)
        most = self._settings.session_messages
        if most is not None and len(wanted) > most:
            self._tally.remaining = len(wanted) - most
            del wanted[most:]
        return wanted

    def _leave(self, one: Listed, reason: str) -> None:
        name = "" if b"\0" in one.uidl else one.uidl.decode("ascii", "backslashreplace")
        self._tally.left.append(LeftOut(one.number, name, one.size, reason))

    # Knowing and storing ---------------------------------------------------------------------------------

    async def _pass_over(self, unknown: Sequence[Listed]) -> None:
        """Remember what is there, by its header too, and leave it there for ever."""
        got: list[Got] = []
        headers = self._listing.headers(unknown, octets=False)
        async for one, head in headers:
            if head is None:
                identity = Identity(b"", b"", b"", b"", one.size)
            else:
                identity = Identity(head.mark, head.head, head.core, b"", one.size)
            got.append(Got(one, identity, proved=False))
        self._state.record(got, self._now())
        self._state.settle(None, None)  # met: what comes from now on is new, however this run ends
        self._tally.passed = len(got)

    async def _bring(self, unknown: list[Listed]) -> None:
        """Recognise or store what is unknown, and prove what is about to be deleted."""
        unproved = self._due()[1]
        for one in [one for one in unproved if one.size > (self._settings.largest or LARGEST)]:
            unproved.remove(one)
            self._leave(one, "too large to be read again, without which it is not deleted")
        if not unknown and not unproved:
            return
        self._tally.of = len(unknown)
        await self._reach_target()
        self._tally.notes += await holdings.refresh(self._target, self._state, self._settings.mailbox)
        if self._settings.delete_after != 0:  # else their octets are read in any case
            unknown = await self._screen(unknown)
        await self._retrieve(self._in_order([*unknown, *unproved]))

    def _in_order(self, wanted: list[Listed]) -> list[Listed]:
        """By number; but what a connection was lost at comes last, and where that happened twice it is passed by in
        each second run that has anything else to do: a server that dies of a message would keep all the others."""
        before = self._state.losses()
        losses = {one.uidl: before[one.uidl] for one in wanted if one.uidl in before} if before else {}
        again = {name for name, number in losses.items() if number > 1}
        if again and (len(again) < len(wanted) or self._due()[0]):
            for one in [one for one in wanted if one.uidl in again]:
                self._leave(one, "the connection was lost while it was read; the next run asks for it again")
                wanted.remove(one)
                losses[one.uidl] = 1
        if losses != before:
            self._state.note_losses(losses)
        return sorted(wanted, key=lambda one: (losses.get(one.uidl, 0), one.number))

    async def _reach_target(self) -> None:
        """Open the target, once a run."""
        if not self._reached:
            self._reached = True
            await self._target.open()

    async def _screen(self, unknown: list[Listed]) -> list[Listed]:
        """Recognise by their headers what would cost more to download; what is left to be downloaded."""
        sizes = self._state.free_sizes(one.size for one in unknown)
        free = self._state.holds_free()
        heads = self._listing.heads
        worth = [
            one
            for one in unknown
            if one.number not in heads
            and ((one.size >= TOP_WORTH and one.size in sizes) or (one.size >= TOP_LARGE and free))
        ]
        asked = [(one, heads[one.number]) for one in unknown if one.number in heads]
        if worth and self._listing.top:
            async for one, head in self._listing.headers(worth, octets=False):
                if head is not None:
                    asked.append((one, head))
        if not asked:
            return unknown
        asked = decide.alone(asked)
        numbers: set[int] = set()
        for at in range(0, len(asked), HEADERS):
            got = await decide.by_headers(self._state, self._target, asked[at : at + HEADERS])
            self._state.record(got, self._now())
            self._recognised(len(got))
            numbers.update(one.listed.number for one in got)
        return [one for one in unknown if one.number not in numbers]

    async def _retrieve(self, wanted: Sequence[Listed]) -> None:
        """Download; decide and store a batch while the next one comes. What came before a loss is kept."""
        batches: asyncio.Queue[list[tuple[Listed, bytes]] | None] = asyncio.Queue(1)
        lost: list[SideUnavailable] = []
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(wanted, batches, lost))
                while (batch := await batches.get()) is not None:
                    await self._decide(batch)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        if lost:
            raise lost[0]

    async def _read(
        self,
        wanted: Sequence[Listed],
        batches: asyncio.Queue[list[tuple[Listed, bytes]] | None],
        lost: list[SideUnavailable],
    ) -> None:
        batch: list[tuple[Listed, bytes]] = []
        octets = 0
        order = iter(wanted)
        # Not all at once: a first download may be of 100,000.
        asks = (Ask(request(b"RETR", b"%d" % one.number), one.number, LARGEST, one.size) for one in wanted)
        answered = 0
        try:
            async for _, status, data in self._connection.pipeline(asks):
                one = next(order)
                answered += 1
                if not status.ok:
                    self._leave(one, f'the server says: "{status.shown}"')
                    continue
                if one.size > len(data) + EMPTY and not data.strip():
                    # Stored as an empty one it would be deleted, and the server may find it again.
                    self._leave(one, f"of its {one.size} octets the server gives none")
                    continue
                batch.append((one, data))
                octets += len(data)
                if octets >= BATCH_OCTETS or len(batch) >= BATCH_MESSAGES:
                    await batches.put(batch)
                    batch, octets = [], 0
        except SourceUnavailable as error:
            if isinstance(error.__cause__, AnswerTooLong):
                # Each run would end here: the next one passes it.
                self._state.refuse(wanted[answered], f"larger than {LARGEST} octets, though not by the server's word")
            else:
                losses = self._state.losses()
                name = wanted[answered].uidl
                self._state.note_losses({**losses, name: losses.get(name, 0) + 1})
            lost.append(error)
        if batch:
            await batches.put(batch)
        await batches.put(None)

    async def _decide(self, batch: Sequence[tuple[Listed, bytes]]) -> None:
        retrieved = []
        for one, data in batch:
            identity = of_message(data)
            if one.uidl.startswith(PROVISIONAL):
                one = Listed(one.number, self._state.rename(one.number, name(identity.head, one.size)), one.size)
            retrieved.append(Retrieved(one, data, identity))
        got, new = await decide.by_octets(self._state, self._target, retrieved)
        if got:
            self._state.record(got, self._now())
            self._sure.update(one.listed.number for one in got)
            self._recognised(len(got))
        if new:
            await self._store(new)
        if self._progress is not None:
            self._progress(self._tally.done, self._tally.of, self._tally.octets)

    async def _store(self, new: Sequence[Retrieved]) -> None:
        from ...exchange.dates import header_date  # late: a run without new mail needs no dates

        now = self._now()
        flags = frozenset(("\\Seen",)) if self._settings.seen else NO_FLAGS
        messages = []
        for one in new:
            received = header_date(one.data[: one.identity.header])
            messages.append(Message(0, one.data, flags, now if received is None else received))
        stored = []
        for one, added in zip(new, await self._target.add(self._settings.mailbox, messages), strict=True):
            if added.refused is None:
                stored.append((one.listed, one.identity, added.uid))
                self._tally.octets += one.identity.size
                continue
            self._leave(one.listed, added.refused)
            if not added.temporary:
                self._state.refuse(one.listed, added.refused)
        self._state.record_new(stored, self._settings.mailbox, now)
        self._sure.update(listed.number for listed, _, _ in stored)
        self._tally.downloaded += len(stored)
        self._tally.done += len(new)

    def _recognised(self, count: int) -> None:
        self._tally.recognised += count
        self._tally.done += count
        if self._progress is not None:
            self._progress(self._tally.done, self._tally.of, self._tally.octets)

    # The end -----------------------------------------------------------------------------------------------

    async def _delete(self, due: Sequence[Listed]) -> None:
        """Mark for deletion. All of it was written down before."""
        asks = (Ask(request(b"DELE", b"%d" % one.number), one.number) for one in due)
        order = iter(due)
        async for _, status, _ in self._connection.pipeline(asks):
            one = next(order)
            if status.ok:
                self._tally.deleted += 1
            else:
                self._leave(one, f'not deleted, the server says: "{status.shown}"')

    async def _quit(self) -> bool:
        """End the session, which makes deletions real; False where the server says that it did not delete all."""
        deleted, self._tally.deleted = self._tally.deleted, 0
        try:
            status = await self._connection.ask(b"QUIT\r\n")
        except SourceUnavailable:
            if deleted:
                raise
            return False  # nothing hung on it
        if status.ok or not deleted:
            self._tally.deleted = deleted
        else:
            self._tally.notes.append(
                f'Not all was deleted, the server says: "{status.shown}". The next run tries again.'
            )
        return status.ok

    def _report(self) -> Report:
        t = self._tally
        return Report(
            listed=self._listed,
            downloaded=t.downloaded,
            octets=t.octets,
            recognised=t.recognised,
            passed=t.passed,
            deleted=t.deleted,
            left=tuple(t.left),
            remaining=t.remaining,
            login_delay=login_delay(self._connection),
            notes=tuple(t.notes),
        )
