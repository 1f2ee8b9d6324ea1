"""One mailbox from one side to the other: what is new, what was there, what was refused.

        source.changes ─┐                     ┌─ pairs of earlier runs: flags follow
                        ├─ what is new? ──────┼─ at the target already, by what it is: noted
        target.changes ─┘                     └─ the rest: fetched ahead while the batch before is filed

The ledger knows of each message before the target does (`flight`), and what became of it after. So a run that was
killed leaves a few in doubt, and the next one compares just these with what has come to the target.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, replace

from ..model import SYSTEM_FLAGS, Added, Changes, FlagChange, Flags, Message, Spelling
from ..outline import digest, mark
from ..side import MailboxUnavailable, Side, withheld
from .ledger.book import Book, Filed, Known
from .ledger.sift import Pairs, Sift
from .model import Copied, Course, Observer

BATCH_MESSAGES = 200
BATCH_OCTETS = 8 << 20
OUTLINES = 1000
"""Messages asked about at a time."""

TELLING_ID = 16
"""Characters from which on an EMAILID is taken to be unique over all servers: shorter ones count from 1 somewhere."""

DELETED = "\\Deleted"
_SYSTEM = frozenset(SYSTEM_FLAGS.values())


@dataclass(slots=True)
class Both:
    """What all mailboxes of a run share. `plain` gives one spelling to keywords that differ in case."""

    source: Side
    target: Side
    book: Book
    observer: Observer
    spelling: Spelling
    again: bool = False
    dry_run: bool = False

    def plain(self, flags: Flags) -> Flags:
        return self.spelling.flags(flags)


class MailboxCopy:
    """One course. uidls: POP3 UIDLs by the source's UIDs. expected: messages that the observer was told of. moved: in a
    dry run, what would be moved here at the target, and is not copied."""

    def __init__(
        self,
        both: Both,
        course: Course,
        uidls: Mapping[int, str] | None = None,
        expected: int = 0,
        moved: Set[int] = frozenset(),
    ) -> None:
        self._both = both
        self._source = both.source
        self._target = both.target
        self._book = both.book
        self._course = course
        self._uidls = uidls or {}
        self._expected = expected
        self._moved = moved
        self.key = 0
        self.last = 0
        """Largest UID of the source that was looked at."""
        self._cursor = ""
        self._claimed: set[int] = set()
        self._prints: dict[int, tuple[bytes, bytes]] = {}
        """Mark and digest of the messages of the batch that is being filed."""
        self.done = Copied(course.source, course.target)

    async def run(self) -> Copied:
        """Raises MailboxUnavailable, SideUnavailable; what was copied before stays noted."""
        course, book = self._course, self._book
        seen = await self._source.changes(course.source, None)
        there = await self._there()
        self._cursor = there.cursor
        self.key = book.mailbox(course.source, course.target, seen.validity, there.validity)
        book.forget_aside(self.key)
        self.done.messages = len(seen.uids)
        self._both.observer.expect(len(seen.uids) - self._expected)
        self.last = seen.uids[-1] if len(seen.uids) else 0
        known = book.known(self.key)
        held = dict(zip(there.uids, there.flags, strict=True))
        gone = [s for s, t in zip(known.sources, known.targets, strict=True) if t not in held]
        if gone and self._both.again:
            book.forget(self.key, gone)
            known = book.known(self.key)
            gone = []
        self.done.gone = len(gone)
        partners = set(known.sources)
        self.done.known = len(partners.difference(gone).intersection(seen.uids))
        self._late(known)
        new = [uid for uid in seen.uids if uid not in partners and uid not in self._moved]
        self._both.observer.advance(len(partners.intersection(seen.uids)), 0)
        await self._follow(known, seen, held)
        if new:
            flags = dict(zip(seen.uids, seen.flags, strict=True))
            if course.rest:
                new = await self._elsewhere(new)
            new = await self._sift(new, seen, there, flags, held)
            await self._copy(new)
        return self.done

    async def _there(self) -> Changes:
        if not self._course.exists:  # a dry run: it is not made
            return Changes("", "", True)
        return await self._target.changes(self._course.target, None)

    def _late(self, known: Known) -> None:
        """Messages that went without their UIDL before: what the target gave them by itself stays."""
        if self._uidls:
            had = {row.source for row in self._book.all_rows(self.key) if row.uidl is not None}
            self.done.uidls_late = sum(uid in self._uidls and uid not in had for uid in known.sources)

    # Flags -----------------------------------------------------------------------------------------

    async def _follow(self, known: Known, seen: Changes, held: Mapping[int, Flags]) -> None:
        """What was flagged at the source since it was copied is flagged at the target, and nothing else there."""
        plain, book = self._both.plain, self._book
        numbers: dict[Flags, int] = {}
        now = dict(zip(seen.uids, seen.flags, strict=True))
        groups: dict[tuple[Flags, Flags], list[int]] = defaultdict(list)
        noted: list[tuple[int, int]] = []
        for source, target, before in zip(known.sources, known.targets, known.flags, strict=True):
            flags = now.get(source)
            if flags is None:
                continue
            number = numbers.get(flags)
            if number is None:
                number = numbers[flags] = book.number(plain(flags))
            if number != before:
                noted.append((source, number))
                old, new = book.flags(before), book.flags(number)
                if target in held:
                    groups[new - old, old - new].append(target)
        self.done.flags = sum(map(len, groups.values()))
        await self._set_flags(groups)
        book.set_flags(self.key, noted)

    async def _set_flags(self, groups: Mapping[tuple[Flags, Flags], list[int]]) -> None:
        changes = [FlagChange(sorted(uids), add, remove) for (add, remove), uids in groups.items() if add or remove]
        if changes and not self._both.dry_run:
            await self._target.set_flags(self._course.target, changes)

    # What is there already -------------------------------------------------------------------------

    async def _elsewhere(self, new: list[int]) -> list[int]:
        """Of a mailbox that shows all mail: what no other mailbox brought."""
        had = self._book.elsewhere(self.key)
        kept: list[int] = []
        for part in _parts([uid for uid in new if uid not in had], OUTLINES):
            outlines = await self._source.outlines(self._course.source, part)
            lonely = self._book.lonely(outlines)
            self._book.add_elsewhere(self.key, {each.uid for each in outlines}.difference(lonely))
            kept += lonely
        self.done.elsewhere = len(new) - len(kept)
        self._both.observer.advance(self.done.elsewhere, 0)
        return kept

    async def _sift(
        self, new: list[int], seen: Changes, there: Changes, flags: Mapping[int, Flags], held: Mapping[int, Flags]
    ) -> list[int]:
        """Notes those that the target has already; the others come back, to be copied."""
        book, target = self._book, self._course.target
        self._claimed = book.claimed(target)
        others = book.others(target)
        book.drop_others(target, [uid for uid in others if uid not in held or uid in self._claimed])
        free = [uid for uid in there.uids if uid not in self._claimed]
        flight, sifted = book.in_flight(self.key), book.sifted(self.key)
        asked = [uid for uid in new if uid > sifted or uid in flight]
        if free and asked:
            settled = await self._compare(asked, free, seen, there, flags, held)
            self.done.present = len(settled)
            self._both.observer.advance(len(settled), 0)
            new = [uid for uid in new if uid not in settled]
        book.set_sifted(self.key, seen.uids[-1])
        return new

    async def _compare(
        self,
        asked: list[int],
        free: list[int],
        seen: Changes,
        there: Changes,
        flags: Mapping[int, Flags],
        held: Mapping[int, Flags],
    ) -> set[int]:
        """Notes which of `asked` is which of `free`; those that are, of the source."""
        by_id = self._by_id(asked, seen, free, there)
        await self._found(by_id, {}, flags, held)
        ids, taken = {s for s, _ in by_id}, {t for _, t in by_id}
        others = self._book.others(self._course.target)
        await self._add_others(uid for uid in free if uid not in others and uid not in taken)
        with closing(Sift(self._book, self._course.target)) as sift:
            for part in _parts([uid for uid in asked if uid not in ids], OUTLINES):
                outlines = await self._source.outlines(self._course.source, part)
                sift.want((each.uid, each.size, each.received, each.mark, None) for each in outlines)
            return ids.union(s for s, _ in await self._match(sift, flags, held))

    def _by_id(self, asked: list[int], seen: Changes, free: list[int], there: Changes) -> Pairs:
        """Those whose permanent identity is the same on both sides."""
        if seen.emails is None or there.emails is None:
            return []
        wanted, wished = set(asked), set(free)
        targets: dict[str, list[int]] = defaultdict(list)
        for uid, email in zip(reversed(there.uids), reversed(there.emails), strict=True):
            if email is not None and len(email) >= TELLING_ID and uid in wished:
                targets[email].append(uid)
        pairs: Pairs = []
        for uid, email in zip(seen.uids, seen.emails, strict=True):
            if email is not None and uid in wanted and (found := targets.get(email)):
                pairs.append((uid, found.pop()))
        return pairs

    async def _add_others(self, uids: Iterable[int]) -> None:
        for part in _parts(sorted(uids), OUTLINES):
            self._book.add_others(self._course.target, await self._target.outlines(self._course.target, part))

    async def _match(self, sift: Sift, flags: Mapping[int, Flags], held: Mapping[int, Flags]) -> Pairs:
        """All four looks of `sift`."""
        found = await self._settle(sift, sift.alike(), flags, held)
        sources, targets = sift.doubtful()
        for part in _parts(sources, OUTLINES):
            sift.source_digests([(m.uid, digest(m.data)) async for m in self._source.fetch(self._course.source, part)])
        for part in _parts(targets, OUTLINES):
            sift.target_digests([(m.uid, digest(m.data)) async for m in self._target.fetch(self._course.target, part)])
        for dated in (True, False):
            found += await self._settle(sift, sift.equal(dated=dated), flags, held)
        return found + await self._settle(sift, sift.altered(), flags, held)

    async def _settle(self, sift: Sift, pairs: Pairs, flags: Mapping[int, Flags], held: Mapping[int, Flags]) -> Pairs:
        outlines = {row[0]: row for row in sift.outlines(s for s, _ in pairs)}
        await self._found(pairs, outlines, flags, held)
        sift.settle(pairs)
        return pairs

    async def _found(
        self,
        pairs: Pairs,
        outlines: Mapping[int, tuple[int, int | None, int, bytes, bytes | None]],
        flags: Mapping[int, Flags],
        held: Mapping[int, Flags],
    ) -> None:
        """Note pairs of messages that were not sent just now. Flags come together: nobody knows any more who changed
        them, so none is taken away, and nothing is marked as deleted."""
        groups: dict[tuple[Flags, Flags], list[int]] = defaultdict(list)
        filed = []
        for source, target in pairs:
            plain = self._both.plain(flags.get(source, frozenset()))
            _, size, received, its_mark, its_digest = outlines.get(source, (source, None, None, None, None))
            filed.append(Filed(source, target, self._book.number(plain), size, received, its_mark, its_digest, None))
            add = plain - self._both.plain(held.get(target, frozenset())) - {DELETED}
            if add:
                groups[add, frozenset()].append(target)
        await self._set_flags(groups)
        self._book.arrived(self.key, filed)
        self._claimed.update(each.target for each in filed)

    # What is not -----------------------------------------------------------------------------------

    async def _copy(self, uids: list[int]) -> None:
        if self._both.dry_run:
            self.done.copied = len(uids)
            self._both.observer.advance(len(uids), 0)
            return
        batches = self._batches(uids)
        ahead = asyncio.ensure_future(anext(batches, None))
        try:
            while (batch := await ahead) is not None:
                ahead = asyncio.ensure_future(anext(batches, None))
                await self._file(batch)
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)
            await batches.aclose()

    async def _batches(self, uids: list[int]) -> AsyncGenerator[list[Message], None]:
        """Messages of the source in batches of bounded size, each in the order of its UIDs."""
        for part in _parts(uids, BATCH_MESSAGES):
            batch: list[Message] = []
            octets = 0
            given: set[int] = set()
            async for message in self._source.fetch(self._course.source, part):
                if batch and octets + len(message.data) > BATCH_OCTETS:
                    yield sorted(batch, key=lambda each: each.uid)
                    batch, octets = [], 0
                batch.append(message)
                octets += len(message.data)
                given.add(message.uid)
            if batch:
                yield sorted(batch, key=lambda each: each.uid)
            if len(given) < len(part):
                self._not_given(part, given)

    def _not_given(self, part: Sequence[int], given: set[int]) -> None:
        """The source has these no more, or will not give them (where it says so)."""
        missing = [uid for uid in part if uid not in given]
        refused = withheld(self._source, self._course.source, missing)
        aside = [(uid, f"the source does not give it: {one.reason}", True) for uid, one in refused.items()]
        self._book.set_aside(self.key, aside)
        self.done.vanished += len(missing) - len(aside)
        self._both.observer.advance(len(missing), 0)

    async def _file(self, batch: list[Message]) -> None:
        course, book = self._course, self._book
        if self._uidls:
            batch = [replace(each, uidl=self._uidls.get(each.uid)) for each in batch]
        self._prints = {each.uid: (mark(each.data), digest(each.data)) for each in batch}
        book.depart(self.key, [(each.uid, len(each.data), each.received, *self._prints[each.uid]) for each in batch])
        answers = await self._add(batch)
        filed: list[Filed] = []
        aside: list[tuple[int, str, bool]] = []
        untold: list[Message] = []
        for message, answer in zip(batch, answers, strict=True):
            if answer.refused is not None:
                aside.append((message.uid, answer.refused, answer.temporary))
            elif answer.uid:
                filed.append(self._filed(message, answer.uid))
            else:
                untold.append(message)
        book.arrived(self.key, filed, aside)
        self._claimed.update(each.target for each in filed)
        if untold:
            filed += await self._look_for(untold)
        octets = sum(len(each.data) for each in batch)
        self.done.copied += len(filed)
        self.done.uidls += sum(each.uidl is not None for each in filed)
        self.done.octets += octets
        self._both.observer.advance(len(batch), octets)
        if len(aside) == len(batch) and all(temporary for _, _, temporary in aside):
            # A full mailbox: the rest would come all the way to be refused.
            raise MailboxUnavailable(f"{course.target} takes nothing now: {aside[0][1]}", "Run the command again then.")

    async def _add(self, batch: list[Message]) -> list[Added]:
        """Hand a batch to the target; what it refuses for good is tried without keywords, which may be the reason."""
        answers = list(await self._target.add(self._course.target, batch))
        refused = [at for at, one in enumerate(answers) if one.refused is not None and not one.temporary]
        retried = [at for at in refused if not batch[at].flags <= _SYSTEM]
        if retried:
            plain = [replace(batch[at], flags=batch[at].flags & _SYSTEM) for at in retried]
            for at, answer in zip(retried, await self._target.add(self._course.target, plain), strict=True):
                if answer.refused is None:
                    answers[at] = answer
                    self.done.stripped += 1
        return answers

    def _filed(self, message: Message, target: int) -> Filed:
        number = self._book.number(self._both.plain(message.flags))
        prints = self._prints[message.uid]
        return Filed(message.uid, target, number, len(message.data), message.received, *prints, message.uidl)

    async def _look_for(self, untold: Sequence[Message]) -> list[Filed]:
        """The server does not tell UIDs (no UIDPLUS): what has come to the mailbox is compared with what was sent."""
        target, book = self._course.target, self._book
        changes = await self._target.changes(target, self._cursor)
        self._cursor = changes.cursor
        others = book.others(target)
        await self._add_others(uid for uid in changes.uids if uid not in self._claimed and uid not in others)
        by_uid = {message.uid: message for message in untold}
        flags = {message.uid: message.flags for message in untold}
        held = dict(zip(changes.uids, changes.flags, strict=True))
        with closing(Sift(book, target)) as sift:
            sift.want((m.uid, len(m.data), m.received, *self._prints[m.uid]) for m in untold)
            pairs = await self._match(sift, flags, held)
        filed = [self._filed(by_uid.pop(s), t) for s, t in pairs]
        book.arrived(self.key, filed)
        reason = "the server took it, but does not show it"
        book.set_aside(self.key, [(uid, reason, True) for uid in by_uid])
        return filed


def _parts(uids: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    for start in range(0, len(uids), size):
        yield uids[start : start + size]
