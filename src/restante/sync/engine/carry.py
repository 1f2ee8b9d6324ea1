"""Carrying messages from one side of a mailbox to the other: read, journalled, added, noted; exactly once.

    fetch -> batch -> [commit: rows without the other UID] -> add -> [commit: their UIDs, and the next batch's rows]

A kill before the first commit leaves nothing; after it, rows that lack a UID: the next run looks whether the message is
there (`recognise`) before it adds it again. Reading the next batch goes on while one is being added; at most three
batches are in memory, and as much again as waits for its turn where the order counts. A batch costs one commit.

A connection that ends while a batch is being added ends the run, once: the messages that the next run does not find
there go one by one, and the one at which it ends again is set aside.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Collection, Iterator, Sequence

from ...values import Record, field
from ..base import CUT, GONE, PLACEHOLDER, SENT, WHOLE, Row
from ..model import Added, Message
from ..plan.messages import Additions
from ..settings import End, Progress
from ..side import MailboxUnavailable, SideLost, SideUnavailable, expect, prints_of, withheld
from .context import Context, together
from .placeholder import is_placeholder, placeholders

ENDED = 3
"""Messages in a row at which the connection may end again before the side counts as unavailable."""
WINDOW = 4
"""Batches asked for in one fetch."""
WAITING = 2
"""Batches whose octets may wait for a message that is to go before them."""

Carried = tuple[Message, int, "str | None", bool]
"""(message, size, EMAILID, whether it is a placeholder for one of that size and EMAILID)."""


class Batch(Record):
    """Messages to be added. rows: the base's row for each, None for a new one. sizes, emails: of the message itself;
    stands: whether a placeholder goes in its place; alone: it is one message, at which the connection ended before."""

    messages: list[Message] = field(default_factory=list)
    rows: list[Row | None] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    emails: list[str | None] = field(default_factory=list)
    stands: list[bool] = field(default_factory=list)
    octets: int = 0
    alone: bool = False

    def without(self, at: Collection[int]) -> Batch:
        """What is left without the messages at these positions."""
        left = Batch()
        for number, one in enumerate(zip(self.messages, self.rows, self.sizes, self.emails, self.stands, strict=True)):
            if number not in at:
                left.put(*one)
        return left

    def put(self, message: Message, row: Row | None, size: int, email: str | None, stands: bool) -> None:
        self.messages.append(message)
        self.rows.append(row)
        self.sizes.append(size)
        self.emails.append(email)
        self.stands.append(stands)
        self.octets += len(message.data)


class Carrier:
    """One direction of one mailbox: from the other side to `end`."""

    def __init__(self, context: Context, pair: int, end: End, wanted: Additions) -> None:
        self._context = context
        self._pair = pair
        self._end = end
        self._wanted = wanted
        self._rows = {place[1]: row for row in wanted.rows if (place := row.place(end.other)) is not None}
        self._noted: list[tuple[list[int], Batch, list[Added]]] = []
        self._done = 0
        self._octets = 0
        self._stop = False
        self._ended = 0
        self._error: MailboxUnavailable | None = None
        # To side one never: nobody waits for his own mail to arrive there, and it gets its UIDs there for good.
        self._newest_first = context.settings.newest_first and end is End.TWO

    async def run(self) -> None:
        """Carry all of them. Raises MailboxUnavailable, SideUnavailable.

        Where a mailbox fails, what is under way on the other side is brought to its end: a call that is cancelled would
        make the side useless for other mailboxes.
        """
        queue: asyncio.Queue[Batch | None] = asyncio.Queue(1)
        await together([self._read(queue), self._write(queue)])
        self._note()
        if self._error is not None:
            raise self._error

    # Reading ----------------------------------------------------------------------------------------

    def _chunks(self) -> Iterator[Sequence[int]]:
        """UIDs to read, newest first where that is wished, a window at a time; ascending within it."""
        settings = self._context.settings
        uids = sorted([*self._rows, *self._wanted.new]) if self._rows else self._wanted.new
        width = settings.batch * WINDOW
        starts = range(0, len(uids), width)
        if self._newest_first:
            for stop in (len(uids) - start for start in starts):
                yield uids[max(0, stop - width) : stop]
        else:
            for start in starts:
                yield uids[start : start + width]

    async def _read(self, queue: asyncio.Queue[Batch | None]) -> None:
        settings = self._context.settings
        batch = Batch()
        try:
            for chunk in self._chunks():
                if self._stop:
                    break
                come = self._messages(chunk) if self._newest_first else self._in_order(chunk)
                async for message, size, email, stands in come:
                    octets, row = batch.octets + len(message.data), self._rows.get(message.uid)
                    alone = row is not None and bool(row.odd & CUT)
                    full = len(batch.messages) >= settings.batch or octets > settings.batch_octets
                    if batch.messages and (full or alone or batch.alone):
                        await self._give(queue, batch)
                        batch = Batch()
                    if not self._stop:
                        batch.put(message, row, size, email, stands)
                        batch.alone = alone
        except MailboxUnavailable as error:
            self._error = error
        if batch.messages:
            await self._give(queue, batch)
        await queue.put(None)

    async def _give(self, queue: asyncio.Queue[Batch | None], batch: Batch) -> None:
        if not self._stop:
            expect(self._context.sides[self._end], batch.messages)
        await queue.put(batch)

    async def _in_order(self, uids: Sequence[int]) -> AsyncIterator[Carried]:
        """`_messages`, ascending: they come over several connections, and the side that gets them numbers them as it
        gets them. Where more than a few batches' octets would have to wait for an earlier message, they do not."""
        limit = WAITING * self._context.settings.batch_octets
        waiting: dict[int, Carried] = {}
        octets, at = 0, 0
        async for one in self._messages(uids):
            uid = one[0].uid
            if at and uid < uids[at - 1]:
                yield one  # late: others have not waited for it
                continue
            waiting[uid] = one
            octets += len(one[0].data)
            while at < len(uids) and (found := waiting.pop(uids[at], None)) is not None:
                octets -= len(found[0].data)
                at += 1
                yield found
            if octets > limit:
                at, octets = bisect_right(uids, max(waiting)), 0
                for uid in sorted(waiting):
                    yield waiting.pop(uid)
        for uid in sorted(waiting):
            yield waiting[uid]

    async def _messages(self, uids: Sequence[int]) -> AsyncIterator[Carried]:
        context, source = self._context, self._end.other
        side, name = context.sides[source], context.name(self._pair, source)
        largest = context.settings.largest
        if largest is not None and self._end is End.TWO:
            large = {}
            for outline in await side.outlines(name, uids):
                row = self._rows.get(outline.uid)
                if outline.size is not None and outline.size > largest and (row is None or not row.odd & WHOLE):
                    large[outline.uid] = outline
            if large:
                flags = dict(zip(self._wanted.new, self._wanted.flags, strict=True))
                flags |= {uid: context.state.flagsets.key(row.at(source).now) for uid, row in self._rows.items()}
                stand_ins = placeholders(context, source, self._pair, large, flags)
                come = ((message, size, email, True) async for message, size, email in stand_ins)
                async for one in self._all_of(name, sorted(large), come):
                    yield one
                uids = [uid for uid in uids if uid not in large]
        whole = ((message, len(message.data), message.email, False) async for message in side.fetch(name, uids))
        async for one in self._all_of(name, uids, whole):
            yield one

    async def _all_of(self, name: str, uids: Sequence[int], come: AsyncIterator[Carried]) -> AsyncIterator[Carried]:
        """What comes of these messages; the rest is put aside."""
        came = set()
        try:
            async for one in come:
                came.add(one[0].uid)
                yield one
        except SideUnavailable:  # what it has withheld by then is not to end the next run, too
            self._put_aside(name, [uid for uid in uids if uid not in came])
            raise
        if len(came) < len(uids):
            self._put_aside(name, [uid for uid in uids if uid not in came])

    def _put_aside(self, name: str, missing: Sequence[int]) -> None:
        """These did not come. Those that are gone are seen to be so by the next look; those that are there and were not
        given are noted as lacking on this side, or nobody would ask for them again, and set aside."""
        context, source = self._context, self._end.other
        state = context.state
        refused = withheld(context.sides[source], name, missing)
        if not refused:
            return
        flags = dict(zip(self._wanted.new, self._wanted.flags, strict=True))
        fresh = [uid for uid in refused if uid not in self._rows]
        with state.transaction():
            keys = {uid: self._rows[uid].key for uid in refused if uid in self._rows}
            keys |= zip(fresh, state.messages.next_keys(len(fresh)), strict=True)
            state.messages.journal(self._pair, source, [(keys[uid], uid, flags[uid], 0) for uid in fresh], [])
            title, now = context.sides[source].title, context.clock.now()
            aside = [
                (keys[uid], source, f"{title} does not give it: {one.reason}", 0, now, one.temporary)
                for uid, one in refused.items()
            ]
            state.asides.put(aside, context.settings.largest)

    # Writing ----------------------------------------------------------------------------------------

    async def _write(self, queue: asyncio.Queue[Batch | None]) -> None:
        while (batch := await queue.get()) is not None:
            if self._stop:
                continue
            try:
                await self._carry(batch)
            except MailboxUnavailable as error:
                self._error, self._stop = error, True

    async def _carry(self, batch: Batch) -> None:
        context, pair = self._context, self._pair
        if self._end is End.ONE:  # what has to be sent is read already, and costs more to send than to look for
            from .copies import copy_equal

            copied = await copy_equal(context, pair, self._end, batch.messages, batch.rows)
            if copied:
                self._done += len(copied)
                batch = batch.without(copied)
                if not batch.messages:
                    return
        keys = self._journal(batch, await prints_of(context.sides[self._end], batch.messages))
        context.touch(pair, self._end)
        try:
            answers = await self._add(batch)
        except SideLost:
            if not batch.alone:
                with context.state.transaction():
                    context.state.messages.cut(keys)
                raise
            self._ended += 1
            if self._ended > ENDED:
                raise
            answers = [Added(0, f"The connection to {context.sides[self._end].title} ends when it is sent.", True)]
        else:
            self._ended = 0
        self._noted.append((keys, batch, answers))
        if not self._ended and all(one.refused is not None and one.temporary for one in answers):
            self._stop = True  # over quota, most likely: the rest waits for a later run
            context.unsettled.add(pair)
            context.stopped.add((pair, self._end))
        self._done += len(answers)
        self._octets += batch.octets
        if context.progress is not None:
            name = context.joints[pair].goal
            context.progress(Progress(name, self._end, self._done, len(self._wanted), self._octets))

    async def _add(self, batch: Batch) -> list[Added]:
        """Add the batch, but for what is never carried; one answer a message."""
        context = self._context
        answers = [
            Added(0, "It is a placeholder for a message that is not here.")
            if self._end is End.ONE and is_placeholder(message.data)
            else None
            for message in batch.messages
        ]
        some = [message for message, answer in zip(batch.messages, answers, strict=True) if answer is None]
        given = iter(await context.sides[self._end].add(context.name(self._pair, self._end), some) if some else ())
        return [answer if answer is not None else next(given) for answer in answers]

    def _journal(self, batch: Batch, prints: Sequence[tuple[bytes, bytes]]) -> list[int]:
        """Note, durably, what is about to be added (and how the batch before it went); the rows' keys.

        prints: mark and digest of each message.
        """
        state, source = self._context.state, self._end.other
        flagsets = state.flagsets
        with state.transaction():
            self._note_within()
            fresh = iter(state.messages.next_keys(sum(row is None for row in batch.rows)))
            keys = [next(fresh) if row is None else row.key for row in batch.rows]
            numbers = [flagsets.key(message.flags) for message in batch.messages]
            odds = [PLACEHOLDER if stands else 0 for stands in batch.stands]
            kept = [odd if row is None else odd | _kept(row) for odd, row in zip(odds, batch.rows, strict=True)]
            every = list(zip(keys, batch.messages, numbers, kept, batch.rows, strict=True))
            state.messages.journal(
                self._pair,
                source,
                [(key, message.uid, number, odd) for key, message, number, odd, row in every if row is None],
                [
                    (key, size, message.received, mark, *_known(message, digest, email, stands))
                    for key, message, (mark, digest), size, email, stands in zip(
                        keys, batch.messages, prints, batch.sizes, batch.emails, batch.stands, strict=True
                    )
                ],
            )
            state.messages.rejournal(
                source, [(key, number, odd) for key, _, number, odd, row in every if row is not None]
            )
        return keys

    def _note(self) -> None:
        if self._noted:
            with self._context.state.transaction():
                self._note_within()

    def _note_within(self) -> None:
        """Note what became of batches that were added, within a transaction."""
        context, end = self._context, self._end
        messages = context.state.messages
        for keys, batch, answers in self._noted:
            messages.arrived(end, [(key, one.uid) for key, one in zip(keys, answers, strict=True) if one.uid])
            messages.sent([key for key, one in zip(keys, answers, strict=True) if one.refused is None and not one.uid])
            refused = [
                (key, end, one.refused, size, context.clock.now(), one.temporary)
                for key, one, size in zip(keys, answers, batch.sizes, strict=True)
                if one.refused is not None
            ]
            context.state.asides.put(refused, context.settings.largest)
            context.note_kept(self._pair, end, {message.flags for message in batch.messages})
            context.did(end, "added", len(answers) - len(refused))
            left = (len(m.data) for m, one in zip(batch.messages, answers, strict=True) if one.refused is not None)
            context.did(end, "octets", batch.octets - sum(left) if refused else batch.octets)
            context.placeholders += sum(batch.stands)
        self._noted.clear()


def _kept(row: Row) -> int:
    """Bits that stay when a row is carried."""
    return row.odd & ~(GONE[End.ONE] | GONE[End.TWO] | SENT | PLACEHOLDER | 3)


def _known(
    message: Message, digest: bytes, email: str | None, stands: bool
) -> tuple[bytes | None, str | None, int | None, bytes | None]:
    """Digest, EMAILID, and size and digest of what stands for it."""
    return (None, email, len(message.data), digest) if stands else (digest, email, None, None)
