"""The restore drill: a backup is restored into a throw-away store and compared with what the snapshot says.

```
draw accounts and messages -> restore them as a lost server would be -> read them back:
    rows through the store    == the snapshot's columns, read by `manifest`
    SHA-256 of the octets     == the snapshot's
```
A sample's messages keep their UIDs, so every mailbox is an account's own with gaps. Everything (`sample` None) is
`restore_all` itself, directory included. What is asked of chance and of the clock comes in as arguments.
"""

from __future__ import annotations

import asyncio
import random as chance
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from ..clock import Clock, Random
from ..mime.model import Limits
from ..store.backup import Instant, MailboxRow
from ..store.directory import fold_address
from ..store.interface import Engine, Store
from ..store.model import Column, Flags, System
from .analysing import analysing
from .errors import Corrupt, NoRepository
from .manifest import Entry, Listing
from .objects import (
    AccountData,
    AccountLine,
    CommonData,
    HiddenData,
    MailboxData,
    PersonData,
    PersonsData,
    Pop3Data,
    SeenData,
    SegmentData,
)
from .outcome import Drilled
from .persons import common_data, person_data
from .repository import Repository, Snapshot
from .restore import EVERYTHING, Choice, Lost, Restored, restore_account, restore_all
from .run import lines_of
from .throwaway import check_room, throwaway

BATCH = 2_000
"""Rows read at once."""
GROUP_OCTETS = 8 << 20
MOST_TOLD = 20
ROOM_BASE = 64 << 20
ROOM_MESSAGE = 12 << 10
"""Octets of disk a message takes beside its own: what FETCH, search and sorting keep of it."""

ALL = ((1, 0xFFFF_FFFF),)


@dataclass(frozen=True, slots=True)
class Sample:
    """How much to draw. accounts: how many, of those with mail; addresses: these instead. messages: of each."""

    accounts: int = 10
    messages: int = 200
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawn:
    """An account that was drawn. email_ids: None for all of its mail."""

    line: AccountLine
    email_ids: frozenset[str] | None
    messages: int
    octets: int


@dataclass(slots=True)
class Report:
    """What differs, counted; the first ones in words."""

    wrong: int = 0
    lacking: int = 0
    messages: int = 0
    octets: int = 0
    texts: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.wrong += 1
        if len(self.texts) < MOST_TOLD:
            self.texts.append(text)


class Work(NamedTuple):
    """Where a drill works. above: its throw-away folder is made there. reserve: octets of the disk that stay free."""

    above: Path
    reserve: int
    make_engine: Callable[[Path], Engine]
    limits: Limits


async def drill(
    repository: Repository,
    snapshot: Snapshot,
    sample: Sample | None,
    work: Work,
    clock: Clock,
    random: Random,
    seed: int,
) -> Drilled:
    """Restore a sample of a snapshot, or all of it, and compare. seed: what is drawn depends on it alone.

    Damage is told in the result. Raises NoRepository (nothing to draw from, no such account), NoRoom, LocationFailed,
    and StoreRefusal or OSError where the disk fails. The throw-away store is gone in every case.
    """
    lines = await asyncio.to_thread(lines_of, repository, snapshot)
    report = Report()
    if sample is None:
        drawn = [Drawn(line, None, line.messages, line.octets) for line in lines.values()]
    else:
        drawn = await asyncio.to_thread(_draw, repository, lines.values(), sample, seed, report)
    needed = ROOM_BASE + sum(one.octets + one.messages * ROOM_MESSAGE for one in drawn)
    with throwaway(work.above, random) as folder:
        check_room(folder, needed, work.reserve)
        engine = work.make_engine(folder)
        try:
            began = clock.monotonic()
            if sample is None:
                done = await restore_all(engine, repository, snapshot, folder, work.limits, lambda octets: None)
                drawn = await _all_there(engine, repository, drawn, work.limits, done, report)
            else:
                done, drawn = await _restore(engine, repository, drawn, work.limits, report)
            restored = clock.monotonic()
            for each in done.lost:
                if not each.uid:  # single messages are missed by the comparison
                    report.add(f"{each.address} {each.mailbox}: {each.why}".lstrip(" :"))
            for one in drawn:
                await _compare(engine, repository, one, done.lost, report)
                await engine.leave(one.line.id)
            if sample is None:
                await _compare_directory(engine, repository, snapshot, report)
            compared = clock.monotonic()
        finally:
            await engine.close()
    share = report.octets / snapshot.data.octets if snapshot.data.octets else 1.0
    took = restored - began
    return Drilled(
        snapshot.id, snapshot.data.at, seed, sample is None, len(drawn), report.messages, report.octets,
        report.lacking, took, compared - restored, took / share if share else 0.0, report.wrong, tuple(report.texts),
    )  # fmt: skip


# Drawing ---------------------------------------------------------------------------------------------


def _draw(
    repository: Repository, lines: Iterable[AccountLine], sample: Sample, seed: int, report: Report
) -> list[Drawn]:
    dice = chance.Random(seed)
    there = sorted(lines, key=lambda line: line.id)
    if sample.addresses:
        wanted = {fold_address(address): address for address in sample.addresses}
        chosen = [line for line in there if wanted.pop(fold_address(line.address), None) is not None]
        if wanted:
            raise NoRepository(
                f"The snapshot has no account {next(iter(wanted.values()))}.", "See 'restante backup show'."
            )
    else:
        filled = [line for line in there if line.messages]
        chosen = dice.sample(filled, min(sample.accounts, len(filled)))
    found = []
    for line in chosen:
        try:
            found.append(_draw_account(repository, line, sample.messages, dice))
        except Corrupt as error:
            report.add(f"{line.address}: {error.text}")
    return found


def _draw_account(repository: Repository, line: AccountLine, most: int, dice: chance.Random) -> Drawn:
    if line.messages <= most:
        return Drawn(line, None, line.messages, line.octets)
    root = repository.read(line.root, AccountData)
    places = sorted(dice.sample(range(sum(box.messages for box in root.mailboxes)), most))
    email_ids: set[str] = set()
    octets = first = 0
    for box in root.mailboxes:
        here = [place - first for place in places if first <= place < first + box.messages]
        first += box.messages
        if here:
            listing = read_listing(repository, box)
            picked = [listing.uids[place] for place in here if place < len(listing.uids)]
            for entry in listing.entries(picked):
                email_ids.add(entry.email_id)
                octets += entry.size
    return Drawn(line, frozenset(email_ids), len(email_ids), octets)


def read_listing(repository: Repository, box: MailboxData) -> Listing:
    """Raises Corrupt."""
    return Listing([repository.read(segment, SegmentData) for segment in box.segments])


# Restoring -------------------------------------------------------------------------------------------


async def _restore(
    engine: Engine, repository: Repository, drawn: Sequence[Drawn], limits: Limits, report: Report
) -> tuple[Restored, list[Drawn]]:
    """What came back, and of which accounts anything did."""
    done, there = Restored(), []
    with analysing(sum(one.messages for one in drawn), limits) as pool:
        for one in drawn:
            choice = EVERYTHING if one.email_ids is None else Choice(email_ids=one.email_ids)
            try:
                await restore_account(engine, repository, one.line, pool, done, choice=choice)
                there.append(one)
            except Corrupt as error:
                report.add(f"{one.line.address}: {error.text}")
            await engine.leave(one.line.id)
    return done, there


async def _all_there(
    engine: Engine, repository: Repository, drawn: Sequence[Drawn], limits: Limits, done: Restored, report: Report
) -> list[Drawn]:
    """Which accounts there are after all was restored. Those of IMAP servers, which that leaves in the backup, are
    restored for trial too; of any other that did not come back, a damaged list of who may log in is the reason."""
    there: list[Drawn] = []
    rest: list[Drawn] = []
    for one in drawn:
        here = await engine.directory.account_by_id(one.line.id) is not None
        (there if here else rest).append(one)
    elsewhere = set(done.elsewhere)
    for one in rest:
        if one.line.address not in elsewhere:
            report.add(f"{one.line.address}: it did not come back.")
    more, mirrored = await _restore(
        engine, repository, [one for one in rest if one.line.address in elsewhere], limits, report
    )
    done.lost += more.lost
    return [*there, *mirrored]


# Comparing -------------------------------------------------------------------------------------------


async def _compare(engine: Engine, repository: Repository, one: Drawn, lost: Sequence[Lost], report: Report) -> None:
    address = one.line.address
    try:
        root = await asyncio.to_thread(repository.read, one.line.root, AccountData)
    except Corrupt as error:
        report.add(f"{address}: {error.text}")
        return
    why = {(each.mailbox, each.uid): each.why for each in lost if each.address == address}
    comparing = _Comparing(engine.account(one.line.id), repository, address, root, one.email_ids, why, report)
    await comparing.all()


class _Comparing:
    """One restored account against its root."""

    def __init__(
        self,
        store: Store,
        repository: Repository,
        address: str,
        root: AccountData,
        email_ids: frozenset[str] | None,
        why: dict[tuple[str, int], str],
        report: Report,
    ) -> None:
        self._store = store
        self._repository = repository
        self._address = address
        self._root = root
        self._only = email_ids
        self._why = why
        self._report = report
        self._missing = set(root.missing)
        self._here: set[tuple[int, int]] = set()
        self._orders: set[int] = set()

    async def all(self) -> None:
        for box in self._root.mailboxes:
            try:
                listing = await asyncio.to_thread(read_listing, self._repository, box)
            except Corrupt as error:
                self._differs(box.name, 0, error.text)
                continue
            uids = listing.uids if self._only is None else await asyncio.to_thread(listing.of, self._only)
            await self._mailbox(box, listing, uids)
        async with self._store.instant() as instant:
            await self._head(instant)
            await self._sides(instant)

    def _differs(self, mailbox: str, uid: int, text: str) -> None:
        where = f"{self._address} {mailbox} UID {uid}" if uid else f"{self._address} {mailbox}"
        self._report.add(f"{where.rstrip()}: {text}")

    async def _mailbox(self, box: MailboxData, listing: Listing, uids: Sequence[int]) -> None:
        table = await self._store.flag_table()
        provenance = {row.uid: row for row in await self._store.provenance(box.key, ALL)}
        columns = (
            Column.FLAGS, Column.SIZE, Column.RECEIVED, Column.SAVED, Column.EMAIL_ID, Column.THREAD_ID, Column.DIGEST,
            Column.CONTENT,
        )  # fmt: skip
        wanted, low = iter(listing.entries(uids)), 1
        entry = next(wanted, None)
        contents: list[tuple[Entry, int]] = []
        while rows := await self._store.rows(box.key, ((low, 0xFFFF_FFFF),), columns, BATCH):
            table = await self._store.flag_table()
            for uid, number, *rest, content in rows:
                assert isinstance(uid, int)
                assert isinstance(number, int)
                assert isinstance(content, int)
                low = uid + 1
                while entry is not None and entry.uid < uid:
                    self._absent(box, entry)
                    entry = next(wanted, None)
                if entry is None or entry.uid != uid:
                    self._differs(box.name, uid, "it came back, and the snapshot has no such message.")
                    continue
                known = provenance.get(uid)
                now = (table[number], *rest, known and known.arrival, known and known.uidl)
                self._message(box, entry, now)
                contents.append((entry, content))
                entry = next(wanted, None)
            contents = await self._octets(box, contents, everything=False)
        await self._octets(box, contents, everything=True)
        while entry is not None:
            self._absent(box, entry)
            entry = next(wanted, None)

    def _absent(self, box: MailboxData, entry: Entry) -> None:
        if entry.digest in self._missing:
            self._report.lacking += 1
        else:
            self._differs(box.name, entry.uid, self._why.get((box.name, entry.uid), "it did not come back."))

    def _message(self, box: MailboxData, entry: Entry, now: tuple[object, ...]) -> None:
        self._report.messages += 1
        self._here.add((box.key, entry.uid))
        self._orders.add(entry.order)
        flags = Flags(System(entry.system), frozenset(entry.keywords.split()))
        then = (
            flags, entry.size, entry.received, entry.saved, entry.email_id.encode(), entry.thread_id.encode(),
            entry.digest, entry.arrival, entry.uidl,
        )  # fmt: skip
        for name, was, is_ in zip(_NAMES, then, now, strict=True):
            if was != is_:
                self._differs(box.name, entry.uid, f"{name}.")

    async def _octets(
        self, box: MailboxData, contents: list[tuple[Entry, int]], *, everything: bool
    ) -> list[tuple[Entry, int]]:
        """Hash what has been collected, a bounded number of octets at once; what is left for the next group."""
        while contents:
            group, octets = 0, 0
            while group < len(contents) and (not group or octets + contents[group][0].size <= GROUP_OCTETS):
                octets += contents[group][0].size
                group += 1
            if group == len(contents) and not everything:
                break
            found = await self._store.read_contents([content for _, content in contents[:group]])
            digests = await asyncio.to_thread(_digests, found)
            for (entry, _), digest, data in zip(contents[:group], digests, found, strict=True):
                self._report.octets += len(data)
                if digest != entry.digest:
                    self._differs(box.name, entry.uid, "its octets are others.")
            contents = contents[group:]
        return contents

    async def _head(self, instant: Instant) -> None:
        head, root = await instant.head(), self._root
        boxes = {row.key: row for row in head.mailboxes}
        for box in root.mailboxes:
            row = boxes.pop(box.key, None)
            if row is None:
                self._differs(box.name, 0, "the mailbox did not come back.")
            elif not _same_mailbox(row, box):
                self._differs(box.name, 0, "the mailbox's name, identity or numbers differ.")
        for row in boxes.values():
            self._differs(row.name, 0, "the mailbox came back, and the snapshot has none of it.")
        for name, same in (
            ("deleted mailboxes", set(root.tombstones) == {tuple(row) for row in head.tombstones}),
            ("keywords", set(root.keywords) == set(head.keywords)),
            ("subscriptions", set(root.subscriptions) == set(head.subscriptions)),
            ("access control lists", set(root.acl) == set(head.acl)),
            ("annotations", set(root.annotations) == set(head.annotations)),
        ):
            if not same:
                self._differs("", 0, f"the {name} differ.")

    async def _sides(self, instant: Instant) -> None:
        """What POP3 and readers know, of messages that came back."""
        read, here = self._repository.read, self._here
        root = self._root
        try:
            pop3 = [row for id in root.pop3 for row in (await asyncio.to_thread(read, id, Pop3Data)).rows]
            hidden = [order for id in root.hidden for order in (await asyncio.to_thread(read, id, HiddenData)).orders]
            seen = [row for id in root.seen for row in (await asyncio.to_thread(read, id, SeenData)).rows]
        except Corrupt as error:
            self._differs("", 0, error.text)
            return
        if {row for row in pop3 if row[:2] in here} != set(await instant.pop3()):
            self._differs("", 0, "the UIDLs that POP3 gives, or what it has fetched, differ.")
        if sorted(order for order in hidden if order in self._orders) != sorted(await instant.hidden()):
            self._differs("", 0, "what POP3 hides differs.")
        if sorted(row for row in seen if row[:2] in here) != sorted(await instant.seen()):
            self._differs("", 0, "what readers have seen differs.")


def _digests(contents: Sequence[bytes]) -> list[bytes]:
    return [sha256(data).digest() for data in contents]


_NAMES = (
    "the flags differ", "the size differs", "INTERNALDATE differs", "the saved date differs", "EMAILID differs",
    "THREADID differs", "the hash differs", "the arrival hash differs", "the UIDL of an old server differs",
)  # fmt: skip


def _same_mailbox(row: MailboxRow, box: MailboxData) -> bool:
    """UIDNEXT rises when an older state is put in service, and never falls."""
    then = (box.id, box.name, box.role, box.uidvalidity, box.recent)
    return (row.id, row.name, row.role, row.uidvalidity, row.recent_uid) == then and row.uidnext >= box.uidnext


async def _compare_directory(engine: Engine, repository: Repository, snapshot: Snapshot, report: Report) -> None:
    """Domains, aliases, accounts and credentials against the snapshot's pages."""
    try:
        common = await asyncio.to_thread(repository.read, snapshot.data.common, CommonData)
        if common_data(await engine.directory.common()) != common:
            report.add("The domains, aliases or secrets differ.")
        then: dict[str, PersonData] = {}
        for id in snapshot.data.persons:
            then |= {one.id: one for one in (await asyncio.to_thread(repository.read, id, PersonsData)).persons}
    except Corrupt as error:
        report.add(f"Accounts and credentials: {error.text}")
        return
    after = ""
    while page := await engine.directory.persons(after):
        for person in page:
            after = person.account.address
            if then.pop(person.account.id, None) != person_data(person):
                report.add(f"{after}: the account or its credentials differ.")
    for gone in then.values():
        report.add(f"{gone.address}: the account did not come back.")
