"""One account as somebody sees it who is not its owner: the `Store` interface with every right asked for.

Beside `SqliteStore`, not in it: the owner pays nothing for what others may not do, and what is not written here is
refused. Rights are read in the transaction that uses them, so that there is no moment between asking and
doing (RFC 4314 4 is the table; `acl.require` says how a refusal sounds).
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

import apsw

from ...mime.model import Limits
from ...query.language import Query
from ...query.order import Criterion
from ...query.threads import Algorithm, Threads
from ..changes import AccountChanges, Change
from ..errors import NoSuchMailbox
from ..interface import ComeTo, Preparing, Store
from ..model import (
    Appended,
    Blob,
    Column,
    Copied,
    Delta,
    Flagged,
    FlagMode,
    Flags,
    FlagTable,
    Mailbox,
    NewMessage,
    Opening,
    ReadyMessage,
    Removed,
    Row,
    Scored,
    Snapshot,
    UidRanges,
)
from ..quota import Quota, QuotaState
from ..refusing import Refusing
from ..rights import AclEntry, Rights, may_annotate
from . import account_changes, acl, annotation, changes, mailboxes, quota, reader, recent, rows, shared_writes
from .account import SqliteStore
from .changes import NotRead
from .shared_writes import refuse

ON_LOOP = 20_000
"""Messages of a mailbox whose keywords are looked for on the event loop."""

FEW_MAILBOXES = 50
"""Mailboxes whose counts of seen messages are looked up one by one, where they are kept as a rule; of more they are
counted together."""

MOST_COUNTS = 1_000
"""Counts of seen messages kept for one account, a mailbox and reader each."""


class SharedStore(Refusing):
    """Implements `store.interface.Store` for `actor`, an account's id. own: the same account, knowing the actor."""

    def __init__(self, own: SqliteStore, actor: str) -> None:
        self.account = own.account
        self._own = own
        self._actor = actor

    @property
    def own(self) -> set[int] | None:
        return self._own.own

    @own.setter
    def own(self, numbers: set[int] | None) -> None:
        self._own.own = numbers

    @property
    def inner(self) -> SqliteStore:
        """The account without the asking: for this folder alone."""
        return self._own

    @property
    def actor(self) -> str:
        return self._actor

    def refuse(self) -> NoReturn:
        refuse()

    # What is there -----------------------------------------------------------------------------------

    async def mailboxes(self) -> list[Mailbox]:
        return self._own._read(self._mailboxes)

    def _mailboxes(self, db: apsw.Connection) -> list[Mailbox]:
        rights = acl.rights_by_mailbox(db, self._actor)
        found = [
            (one, rights[one.key])
            for one in mailboxes.all_of(db, self._actor)
            if rights.get(one.key, Rights.NONE) & Rights.LOOKUP
        ]
        if len(found) <= FEW_MAILBOXES:
            return [self._as_seen(db, one, have) for one, have in found]
        states = reader.states(db, self._actor)
        return [reader.as_seen(db, one, self._actor, have, states.get(one.key, reader.State())) for one, have in found]

    async def mailbox(self, name: str) -> Mailbox | None:
        return self._own._read(self._mailbox, name)

    def _mailbox(self, db: apsw.Connection, name: str) -> Mailbox | None:
        found = mailboxes.find(db, name, self._actor)
        rights = acl.rights_on(db, found.key, self._actor) if found is not None else Rights.NONE
        return self._as_seen(db, found, rights) if found is not None and rights else None

    def _as_seen(self, db: apsw.Connection, mailbox: Mailbox, rights: Rights) -> Mailbox:
        """`reader.as_seen`, the count of what was seen kept while nothing it depends on has moved: a session that
        listens asks often."""
        if not rights & Rights.READ:
            return reader.as_seen(db, mailbox, self._actor, rights)
        counts, place = self._own._shared.seen_counts, (mailbox.key, self._actor)
        highest = reader.highest(db, mailbox, self._actor)
        known = counts.get(place)
        if known is None or known[:2] != (mailbox.highest_modseq, highest):
            if len(counts) >= MOST_COUNTS:
                counts.clear()
            seen = reader.count_seen(db, mailbox.key, self._actor)
            known = counts[place] = (mailbox.highest_modseq, highest, seen)
        state = reader.State(known[2], highest, recent.told_in(db, self._actor, mailbox.key))
        return reader.as_seen(db, mailbox, self._actor, rights, state)

    async def subscriptions(self) -> list[str]:
        refuse()

    def _readable(self, db: apsw.Connection, mailbox: int) -> Rights:
        rights = acl.rights_on(db, mailbox, self._actor)
        acl.require(rights, Rights.READ)
        return rights

    def _seen(self, db: apsw.Connection, mailbox: int) -> Mailbox:
        rights = self._readable(db, mailbox)
        return self._as_seen(db, mailboxes.mailbox_by_key(db, mailbox, self._actor), rights)

    async def snapshot(self, mailbox: int) -> Snapshot:
        return await self._own.with_list(self._snapshot, mailbox)

    def _snapshot(self, db: apsw.Connection, mailbox: int, apart: bool) -> Snapshot:
        rights = self._readable(db, mailbox)
        found = self._own._engine.kept.lists.snapshot(db, self.account, mailbox, self._actor, apart=apart)
        return Snapshot(self._as_seen(db, found.mailbox, rights), found.uids)

    async def opening(self, mailbox: int, read: Mailbox | None = None) -> Opening:
        words = await self.keywords(mailbox)
        snapshot, unseen = await self._own.with_list(self._opening, mailbox)
        return Opening(snapshot, words, unseen)

    def _opening(self, db: apsw.Connection, mailbox: int, apart: bool) -> tuple[Snapshot, int]:
        return self._snapshot(db, mailbox, apart), reader.first_unseen(db, mailbox, self._actor)

    async def flag_table(self) -> FlagTable:
        await self._own.flag_table()
        return self._own._shared.reader_flags()

    async def keywords(self, mailbox: int | None = None) -> list[str]:
        if mailbox is None:
            refuse()
        if self._own._read(self._seen, mailbox).messages <= ON_LOOP:
            return self._own._read(rows.keywords_of, mailbox)
        return await asyncio.to_thread(self._own.read_apart, lambda db: rows.keywords_of(db, mailbox))

    async def rows(
        self, mailbox: int, ranges: UidRanges, columns: Sequence[Column], limit: int, *, removed: bool = False
    ) -> list[Row]:
        return self._own._read(self._rows, mailbox, ranges, tuple(columns), limit, removed)

    def _rows(
        self,
        db: apsw.Connection,
        mailbox: int,
        ranges: UidRanges,
        columns: tuple[Column, ...],
        limit: int,
        removed: bool,
    ) -> list[Row]:
        self._readable(db, mailbox)
        found = rows.rows(db, mailbox, ranges, columns, limit, removed, self._actor)
        if Column.FLAGS in columns:
            self._learn(db)
        return found

    async def flag_columns(self, mailbox: int, ranges: UidRanges, limit: int) -> tuple[array[int], array[int]] | None:
        return None  # \\Seen is each reader's own, and in no array

    def shelf(self, mailbox: int, first: int, uids: array[int]) -> None:
        return None  # each reading asks for the right to

    def _learn(self, db: apsw.Connection) -> None:
        self._own._shared.reader_flags()
        self._own._shared.learn(db)

    async def delta(self, mailbox: int, since: int) -> Delta:
        try:
            return self._own._read(self._delta, mailbox, since)
        except NoSuchMailbox:  # deleted, or out of sight for this reader: then others read the list again
            self._own.kept.forget_mailbox(self.account, mailbox)
            raise
        except NotRead:
            async with self._own._shared.passing:
                found = await asyncio.to_thread(self._own.read_apart, self._long_delta, mailbox, since)
        self._own._read(self._learn_of, mailbox)
        return found

    def _delta(self, db: apsw.Connection, mailbox: int, since: int) -> Delta:
        here = self._seen(db, mailbox)
        if since >= here.highest_modseq:
            return Delta(here, [], array("I"), True)
        found = reader.delta(db, here, self._actor, since, changes.MOST_CHANGED)
        self._learn(db)
        return found

    def _long_delta(self, db: apsw.Connection, mailbox: int, since: int) -> Delta:
        """The same for a thread: nothing that is shared is touched."""
        rights = self._readable(db, mailbox)
        here = reader.as_seen(db, mailboxes.mailbox_by_key(db, mailbox, self._actor), self._actor, rights)
        return reader.delta(db, here, self._actor, since)

    def _learn_of(self, db: apsw.Connection, mailbox: int) -> None:
        self._readable(db, mailbox)  # reading may outlive the right to it
        self._learn(db)

    async def search(
        self, mailbox: int, query: Query, within: UidRanges, *, come_to: ComeTo | None = None
    ) -> array[int]:
        self._own._read(self._readable, mailbox)
        found = await self._own.search(mailbox, query, within, come_to=come_to)
        self._own._read(self._readable, mailbox)  # a long search may outlive the right to its answer
        return found

    async def scored(self, mailbox: int, query: Query, within: UidRanges, *, come_to: ComeTo | None = None) -> Scored:
        self._own._read(self._readable, mailbox)
        found = await self._own.scored(mailbox, query, within, come_to=come_to)
        self._own._read(self._readable, mailbox)
        return found

    async def sort(
        self,
        mailbox: int,
        query: Query,
        keys: Sequence[Criterion],
        within: UidRanges,
        *,
        come_to: ComeTo | None = None,
    ) -> array[int]:
        self._own._read(self._readable, mailbox)
        found = await self._own.sort(mailbox, query, keys, within, come_to=come_to)
        self._own._read(self._readable, mailbox)
        return found

    async def thread(
        self,
        mailbox: int,
        query: Query,
        algorithm: Algorithm,
        within: UidRanges,
        *,
        come_to: ComeTo | None = None,
    ) -> Threads:
        self._own._read(self._readable, mailbox)
        found = await self._own.thread(mailbox, query, algorithm, within, come_to=come_to)
        self._own._read(self._readable, mailbox)
        return found

    # Contents are asked for by keys that only `rows` gives out.

    async def read_content(self, content: int, offset: int = 0, count: int | None = None) -> bytes:
        return await self._own.read_content(content, offset, count)

    async def read_contents(self, contents: Sequence[int]) -> list[bytes]:
        return await self._own.read_contents(contents)

    def stream_content(self, content: int) -> AsyncIterator[bytes]:
        return self._own.stream_content(content)

    # Changing messages -------------------------------------------------------------------------------

    async def put(self, data: bytes | bytearray | memoryview, before: bytes = b"") -> Blob:
        return await self._own.put(data, before)

    def preparing(self, limits: Limits) -> Preparing:
        return self._own.preparing(limits)

    async def append_ready(self, mailbox: int, messages: Sequence[ReadyMessage]) -> Appended:
        prepared, limits = self._own._ready(messages), await self._own._quota()
        done = await self._own._write(shared_writes.append, mailbox, prepared, limits)
        self._own._engine.filler.note(self.account)
        return done

    async def append(self, mailbox: int, messages: Sequence[NewMessage]) -> Appended:
        prepared, limits = await self._own._prepared(messages), await self._own._quota()
        done = await self._own._write(shared_writes.append, mailbox, prepared, limits)
        self._own._engine.filler.note(self.account)
        return done

    async def replace(self, mailbox: int, uid: int, target: int, message: NewMessage) -> Appended:
        (prepared,), limits = await self._own._prepared([message]), await self._own._quota()
        done = await self._own._write(shared_writes.replace, mailbox, uid, target, prepared, limits)
        self._own._engine.filler.note(self.account)
        return done

    async def room_for(self, size: int) -> None:
        """For who may put messages somewhere here: it tells whether the owner's quota has room."""
        self._own._read(self._inserts)
        await self._own.room_for(size)

    def _inserts(self, db: apsw.Connection) -> None:
        if not any(rights & Rights.INSERT for rights in acl.rights_by_mailbox(db, self._actor).values()):
            refuse()

    async def store_flags(
        self,
        mailbox: int,
        ranges: UidRanges,
        mode: FlagMode,
        flags: Flags,
        unchanged_since: int | None = None,
    ) -> Flagged:
        return await self._own._write(shared_writes.store_flags, mailbox, ranges, mode, flags, unchanged_since)

    async def copy(self, mailbox: int, ranges: UidRanges, target: int, *, messages: int | None = None) -> Copied:
        self._own._engine.check_room(0)
        return await self._own._write(shared_writes.copy, mailbox, ranges, target, await self._own._quota(), messages)

    async def move(self, mailbox: int, ranges: UidRanges, target: int, *, messages: int | None = None) -> Copied:
        return await self._own._write(shared_writes.move, mailbox, ranges, target, messages)

    async def transfer(
        self,
        source: Store,
        mailbox: int,
        ranges: UidRanges,
        target: int,
        *,
        move: bool,
        messages: int | None = None,
    ) -> Copied:
        return await self._own.transfer(source, mailbox, ranges, target, move=move, messages=messages)

    async def expunge(self, mailbox: int, ranges: UidRanges | None, *, deleted_only: bool = True) -> Removed:
        return await self._own._write(shared_writes.expunge, mailbox, ranges, deleted_only)

    async def claim_recent(self, mailbox: int) -> tuple[int, int]:
        low, high, was_here = self._own._read(self._unclaimed, mailbox)
        if low > high and was_here:
            return low, high
        return await self._own._write_relaxed(shared_writes.claim_recent, mailbox)

    def _unclaimed(self, db: apsw.Connection, mailbox: int) -> tuple[int, int, bool]:
        """What is unclaimed, and whether that is said of the reader himself, not of the owner."""
        self._readable(db, mailbox)
        low, high = recent.unclaimed(db, mailbox, self._actor)
        return low, high, recent.told_in(db, self._actor, mailbox) is not None

    # Changing mailboxes ------------------------------------------------------------------------------

    async def create_mailbox(
        self, name: str, role: str | None = None, uidvalidity: int | None = None, *, above: bool = True
    ) -> Mailbox:
        if role is not None or uidvalidity is not None or not above:
            refuse()
        return await self._own._write(shared_writes.create, name, await self._own._quota())

    async def delete_mailbox(self, mailbox: int, named: str | None = None) -> None:
        granted = await self._own._write(shared_writes.delete, mailbox, named)
        self._own.kept.forget_mailbox(self.account, mailbox)
        await self._own.note_shares(granted)

    async def rename_mailbox(self, mailbox: int, name: str, named: str | None = None) -> None:
        await self._own._write(shared_writes.rename, mailbox, name, await self._own._quota(), named)

    async def annotation_names(self, mailbox: int) -> list[tuple[str, int]]:
        return self._own._read(self._annotation_names, mailbox)

    def _annotation_names(self, db: apsw.Connection, mailbox: int) -> list[tuple[str, int]]:
        shared_writes.require_annotating(db, mailbox, self._actor)
        return annotation.names(db, mailbox, self._actor, self.account)

    async def annotations(self, mailboxes: Sequence[int], entries: Sequence[str]) -> dict[int, dict[str, bytes]]:
        return self._own._read(self._annotations, mailboxes, entries)

    def _annotations(
        self, db: apsw.Connection, mailboxes: Sequence[int], entries: Sequence[str]
    ) -> dict[int, dict[str, bytes]]:
        for mailbox in mailboxes:
            shared_writes.require_annotating(db, mailbox, self._actor)
        return annotation.values(db, mailboxes, entries, self._actor, self.account)

    async def annotate(self, mailbox: int, values: Mapping[str, bytes | None]) -> int:
        self._own.check_room_for(values)
        return await self._own._write(shared_writes.annotate, mailbox, values, self.account)

    async def last_change(self) -> int:
        return self._own._read(self._last_change)

    def _last_change(self, db: apsw.Connection) -> int:
        if not acl.rights_by_mailbox(db, self._actor):
            refuse()
        return account_changes.last_change(db)

    async def changes(self, since: int, own: Collection[int] = ()) -> AccountChanges:
        return self._own._read(self._changes, since, own)

    def _changes(self, db: apsw.Connection, since: int, own: Collection[int]) -> AccountChanges:
        found = account_changes.changes(db, since, own, self._actor, self.account)
        if found.modseq <= since:
            return found
        rights = acl.rights_by_mailbox(db, self._actor)
        by_others = {one.key: others for one, others in found.mailboxes}
        mailboxes: list[tuple[Mailbox, bool]] = []
        annotated: set[str] = set()
        for one in self._mailboxes(db):
            if one.key not in by_others and one.highest_modseq <= since:
                continue
            others = by_others.get(one.key, False)  # what he has read elsewhere moves nobody's mailbox but his
            mailboxes.append((one, others or reader.touched_since(db, one.key, self._actor, since, own)))
            if one.key in by_others and may_annotate(rights[one.key]):
                annotated.add(one.name)
        events = [event for event in found.events if event.change is Change.ANNOTATED and event.name in annotated]
        return replace(found, mailboxes=mailboxes, events=events, names=frozenset())

    # Sharing -----------------------------------------------------------------------------------------

    async def acl(self, mailbox: int) -> list[AclEntry]:
        return self._own._read(self._acl, mailbox)

    def _acl(self, db: apsw.Connection, mailbox: int) -> list[AclEntry]:
        acl.require(acl.rights_on(db, mailbox, self._actor), Rights.ADMINISTER)
        return acl.entries(db, mailbox)

    async def set_acl(self, mailbox: int, identifier: str, mode: FlagMode, rights: Rights) -> None:
        self._own._read(self._acl, mailbox)
        await self._own.change_acl(shared_writes.set_acl, mailbox, identifier, mode, rights)

    async def quota(self) -> QuotaState:
        """For who may read some mailbox of the account: its numbers would tell as much (RFC 9208 6)."""
        return self._own._read(self._quota, await self._own._quota())

    def _quota(self, db: apsw.Connection, limits: Quota) -> QuotaState:
        if not any(rights & Rights.READ for rights in acl.rights_by_mailbox(db, self._actor).values()):
            refuse()
        return quota.state(db, limits, self._own._engine.settings.mailboxes)
