"""One account as an acting user sees it: the `Store` interface over reads on the loop and queued writes.

How it goes to its file is in `account_file`; messages' octets are in `octets`, what was removed is in `retention`,
who else may do what in `sharing`.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import apsw

from ..errors import NoSuchMailbox
from ..interface import ComeTo, Store
from ..model import (
    AccountStats,
    Adoption,
    Appended,
    Column,
    Copied,
    Delta,
    DropList,
    Finding,
    Flagged,
    FlagMode,
    Flags,
    FlagTable,
    Mailbox,
    NewMessage,
    Opening,
    Pop3Delete,
    Provenance,
    ReadyMessage,
    Removed,
    Row,
    Scored,
    Snapshot,
    UidRanges,
)
from ..quota import Quota, QuotaState
from . import (
    account_changes,
    annotation,
    append,
    copies,
    emails,
    flags,
    mailboxes,
    quota,
    recent,
    replace,
    rows,
)
from .account_file import NOT_FOUND
from .candidates import Candidates
from .changes import FEW_FLAGS, Changed, NotRead, changed_since
from .emails import Prepared
from .made import Shelf, state_of
from .octets import Octets
from .openings import first_unseen
from .retention import Retention
from .sharing import Sharing

if TYPE_CHECKING:
    from ...mime.model import Limits
    from ...query.language import Query
    from ...query.order import Criterion
    from ...query.threads import Algorithm, Threads
    from ..backup import AnswerRow, Instant, Mark
    from ..changes import AccountChanges

NOTHING = array("I")

T = TypeVar("T")

UNFILLED = 200
"""Emails that an index lacks at a search, from which on it is filled without waiting for new mail."""

MANY_PREPARED = 16
"""Messages from which on making their rows ready leaves the event loop: some 40 microseconds for each."""

_FLAGS_ALONE = (Column.FLAGS,)


def _list_of(db: apsw.Connection, mailbox: int) -> tuple[Mailbox, array[int], array[int], int | None]:
    """The mailbox, its UIDs, the flag set numbers beside them, the first UID that is unseen."""
    found = mailboxes.mailbox_by_key(db, mailbox, "")
    return found, *rows.uids_and_flags_apart(db, mailbox), first_unseen(db, mailbox) if found.unseen else None


def _delta_of(db: apsw.Connection, mailbox: int, since: int, user: str) -> tuple[Mailbox, Changed, array[int], bool]:
    """What `Delta` is made of."""
    return mailboxes.mailbox_by_key(db, mailbox, user), *changed_since(db, mailbox, since)


class SqliteStore(Octets, Retention, Sharing):
    """Implements `store.interface.Store`. session: who changes things, for the removal log."""

    # What is there -----------------------------------------------------------------------------------

    async def mailboxes(self) -> list[Mailbox]:
        return self._as_listed(self._read(mailboxes.all_of, self._user))

    def _as_listed(self, found: list[Mailbox]) -> list[Mailbox]:
        """Who sees all mailboxes sees what other processes have deleted."""
        if not self._user:
            for key in self.kept.lists.others(self.account, {mailbox.key for mailbox in found}):
                self.kept.forget_mailbox(self.account, key)
        return found

    async def names(self) -> tuple[list[Mailbox], list[str]]:
        found, subscribed = self._read(mailboxes.all_and_subscriptions, self._user)
        return self._as_listed(found), subscribed

    async def mailbox(self, name: str) -> Mailbox | None:
        self._found = found = self.look(mailboxes.find_beside, name, self._user)
        return found[0]

    async def subscriptions(self) -> list[str]:
        return self._read(mailboxes.subscriptions, self._user)

    async def snapshot(self, mailbox: int) -> Snapshot:
        return await self.with_list(self._snapshot, mailbox)

    def _snapshot(self, db: apsw.Connection, mailbox: int, apart: bool) -> Snapshot:
        return self._engine.kept.lists.snapshot(db, self.account, mailbox, self._user, apart=apart)

    async def with_list(self, fn: Callable[[apsw.Connection, int, bool], T], mailbox: int) -> T:
        """`_read(fn, mailbox, apart)`, where fn takes the mailbox's list, or its flags: of a large one they are read on
        a thread first, once for all who come meanwhile."""
        try:
            return self._read(fn, mailbox, True)
        except NotRead:
            await self._shared.reading.acquire()
        try:
            found = self._read(fn, mailbox, True)  # who was before us may have read them
        except NotRead:
            await asyncio.shield(self._reading(mailbox))
            return self._read(fn, mailbox, False)
        except BaseException:
            self._shared.reading.release()
            raise
        self._shared.reading.release()
        return found

    def _reading(self, mailbox: int) -> asyncio.Future[tuple[Mailbox, array[int], array[int], int | None]]:
        """The list and flags, on their way from a thread; kept when they are there. `Shared.reading` is let go of then,
        not when who waits for them is cancelled: the next one would read them a second time meanwhile."""
        reading = self._shared.reading

        def read(future: asyncio.Future[tuple[Mailbox, array[int], array[int], int | None]]) -> None:
            reading.release()
            if not future.cancelled() and future.exception() is None:
                found, uids, flags, unseen = future.result()
                self._engine.kept.lists.take(self.account, found, uids, flags)
                if unseen is not None:
                    self._engine.kept.unseen.take(self.account, found, unseen)

        try:
            future = asyncio.get_running_loop().run_in_executor(None, self.read_apart, _list_of, mailbox)
        except BaseException:
            reading.release()
            raise
        future.add_done_callback(read)
        return future

    async def opening(self, mailbox: int, read: Mailbox | None = None) -> Opening:
        (found, count), self._found = self._found, NOT_FOUND
        known = self._engine.kept.openings.known(self.account, read) if read is not None else None
        if known is not None and len(known.keywords) == (count if read is found else self.look(rows.count_keywords)):
            return known  # with others, FLAGS would lack some, and \* be offered where no more can be
        return await self.with_list(self._opening, mailbox)

    def _opening(self, db: apsw.Connection, mailbox: int, apart: bool) -> Opening:
        return self._engine.kept.openings.read(db, self.account, mailbox, self._user, apart=apart)

    async def flag_table(self) -> FlagTable:
        self._read(self._shared.learn)
        return self._shared.flags

    async def keywords(self, mailbox: int | None = None) -> list[str]:
        return self._read(rows.keywords)

    async def rows(
        self, mailbox: int, ranges: UidRanges, columns: Sequence[Column], limit: int, *, removed: bool = False
    ) -> list[Row]:
        if tuple(columns) == _FLAGS_ALONE and not removed:
            both = await self.flag_columns(mailbox, ranges, limit)
            if both is not None:
                return list(zip(*both, strict=True))
        # Flag sets are looked up after the rows and are never taken away: every number is known then.
        return self.look(self._rows, mailbox, ranges, tuple(columns), limit, removed)

    async def flag_columns(self, mailbox: int, ranges: UidRanges, limit: int) -> tuple[array[int], array[int]] | None:
        if limit < FEW_FLAGS or self._user:
            return None
        return await self.with_list(partial(self._flag_columns, ranges, limit), mailbox)

    def _flag_columns(
        self, ranges: UidRanges, limit: int, db: apsw.Connection, mailbox: int, apart: bool
    ) -> tuple[array[int], array[int]]:
        found = self._engine.kept.flags.columns(db, self.account, mailbox, ranges, limit, apart=apart)
        self._shared.learn(db)
        return found

    def shelf(self, mailbox: int, first: int, uids: array[int]) -> Shelf | None:
        state = self.look(state_of, mailbox)
        return None if state is None else Shelf(self._engine.kept.made, (self.account, mailbox, first), state, uids)

    def _rows(
        self,
        db: apsw.Connection,
        mailbox: int,
        ranges: UidRanges,
        columns: tuple[Column, ...],
        limit: int,
        removed: bool,
    ) -> list[Row]:
        found = rows.rows(db, mailbox, ranges, columns, limit, removed)
        if Column.FLAGS in columns:
            self._shared.learn(db)
        return found

    async def delta(self, mailbox: int, since: int) -> Delta:
        try:
            here = self.look(mailboxes.mailbox_by_key, mailbox, self._user)
        except NoSuchMailbox:  # another process has deleted it
            self.kept.forget_mailbox(self.account, mailbox)
            raise
        if since >= here.highest_modseq:  # the answer to most questions: nothing
            return Delta(here, [], NOTHING, True)
        known = self._engine.kept.deltas.find(self.account, here, since)
        if known is not None:
            return known
        try:
            return self._read(self._delta, mailbox, since)
        except NotRead:
            async with self._shared.passing:  # an object for each change: not for several sessions at once
                found = Delta(*await asyncio.to_thread(self.read_apart, _delta_of, mailbox, since, self._user))
        self._read(self._shared.learn)
        return found

    def _delta(self, db: apsw.Connection, mailbox: int, since: int) -> Delta:
        found = self._engine.kept.deltas.delta(db, self.account, mailbox, self._user, since)
        self._shared.learn(db)
        return found

    async def last_change(self) -> int:
        return self.look(account_changes.last_change)

    async def changes(self, since: int, own: Collection[int] = ()) -> AccountChanges:
        return self._read(account_changes.changes, since, own, self._user, self.account)

    async def annotation_names(self, mailbox: int) -> list[tuple[str, int]]:
        return self._read(annotation.names, mailbox, self._user, self.account)

    async def annotations(self, mailboxes: Sequence[int], entries: Sequence[str]) -> dict[int, dict[str, bytes]]:
        return self._read(annotation.values, mailboxes, entries, self._user, self.account)

    async def search(
        self, mailbox: int, query: Query, within: UidRanges, *, come_to: ComeTo | None = None
    ) -> array[int]:
        from . import search

        return await search.search(self, mailbox, query, within, come_to)

    async def scored(self, mailbox: int, query: Query, within: UidRanges, *, come_to: ComeTo | None = None) -> Scored:
        from . import search

        return await search.scored(self, await self.flag_table(), mailbox, query, within, come_to)

    async def fill_search(self) -> int:
        from . import filling

        return await filling.fill(self)

    @property
    def limits(self) -> Limits:
        """Bounds of message analysis."""
        return self._engine.analysis

    @property
    def now(self) -> int:
        """Seconds UTC."""
        return int(self._engine.clock.now())

    @contextmanager
    def searching(self, db: apsw.Connection) -> Iterator[Candidates]:
        """The account's search index for the block. One that is missing, or lacks much, is filled soon."""
        with self._engine.indexes.reading(self.account, db) as found:
            yield found
            if found.asked and rows.emails_after(db, found.upto, UNFILLED) == UNFILLED:
                self._engine.filler.note(self.account)

    async def sort(
        self,
        mailbox: int,
        query: Query,
        keys: Sequence[Criterion],
        within: UidRanges,
        *,
        come_to: ComeTo | None = None,
    ) -> array[int]:
        from . import sort

        return await sort.sort(self, mailbox, query, keys, within, come_to)

    async def thread(
        self,
        mailbox: int,
        query: Query,
        algorithm: Algorithm,
        within: UidRanges,
        *,
        come_to: ComeTo | None = None,
    ) -> Threads:
        from . import sort

        return await sort.thread(self, mailbox, query, algorithm, within, come_to)

    # Changing messages -------------------------------------------------------------------------------

    async def find_arrivals(self, digest: bytes, since: int) -> list[tuple[str, int]]:
        return self._read(rows.arrivals, digest, since)

    async def append_ready(self, mailbox: int, messages: Sequence[ReadyMessage]) -> Appended:
        done = await self._write(append.append, mailbox, self._ready(messages), await self._quota())
        self._engine.filler.note(self.account)
        return done

    async def append(self, mailbox: int, messages: Sequence[NewMessage]) -> Appended:
        done = await self._write(append.append, mailbox, await self._prepared(messages), await self._quota())
        self._engine.filler.note(self.account)
        return done

    async def append_by_name(self, name: str, messages: Sequence[NewMessage]) -> Appended:
        done = await self._write(append.append_by_name, name, await self._prepared(messages), await self._quota())
        self._engine.filler.note(self.account)
        return done

    async def append_once(self, name: str, message: NewMessage) -> Appended | None:
        (prepared,) = await self._prepared([message])
        done = await self._write(append.append_once, name, prepared, await self._quota())
        self._engine.filler.note(self.account)
        return done

    async def has_email(self, email_id: str) -> bool:
        return self.look(append.has_email, email_id)

    async def replace(self, mailbox: int, uid: int, target: int, message: NewMessage) -> Appended:
        (prepared,) = await self._prepared([message])
        done = await self._write(replace.replace, mailbox, uid, target, prepared, await self._quota())
        self._engine.filler.note(self.account)
        return done

    async def room_for(self, size: int) -> None:
        self._engine.check_room(max(size, 0))
        self.look(quota.check_room, size, await self._quota())

    def _ready(self, messages: Sequence[ReadyMessage]) -> list[Prepared]:
        self._engine.check_room(sum(message.blob.size for message in messages), filing=True)
        return [emails.prepared(message) for message in messages]

    async def _prepared(self, messages: Sequence[NewMessage]) -> list[Prepared]:
        self._engine.check_room(sum(message.blob.size for message in messages), filing=True)
        if len(messages) < MANY_PREPARED and all(map(emails.is_short, messages)):
            return emails.prepare_all(messages)
        return await asyncio.to_thread(emails.prepare_all, messages)

    async def _quota(self) -> Quota:
        """The account's limits, as they are now."""
        return await self._engine.quota(self.account, self._shared)

    async def store_flags(
        self,
        mailbox: int,
        ranges: UidRanges,
        mode: FlagMode,
        flags_named: Flags,
        unchanged_since: int | None = None,
    ) -> Flagged:
        kept, named = self._engine.kept.flags, (mailbox, ranges, mode, flags_named, unchanged_since)
        held = kept.held(self.account, mailbox, ranges) if unchanged_since is None else None
        try:
            flagged = await self._write(flags.store_flags, *named, held)
        except flags.OtherwiseHeld:
            kept.drop((self.account, mailbox))
            held, flagged = None, await self._write(flags.store_flags, *named)
        kept.stored(self.account, mailbox, flagged, ranges if held is not None else None)
        return flagged

    async def copy(self, mailbox: int, ranges: UidRanges, target: int, *, messages: int | None = None) -> Copied:
        self._engine.check_room(0)
        return await self._write(copies.copy, mailbox, ranges, target, await self._quota(), messages)

    async def move(self, mailbox: int, ranges: UidRanges, target: int, *, messages: int | None = None) -> Copied:
        return await self._write(copies.move, mailbox, ranges, target, messages)

    async def expunge(self, mailbox: int, ranges: UidRanges | None, *, deleted_only: bool = True) -> Removed:
        return await self._write(copies.expunge, mailbox, ranges, deleted_only)

    async def claim_recent(self, mailbox: int) -> tuple[int, int]:
        low, high = self.look(recent.unclaimed, mailbox)
        claimed = self._shared.claimed
        low = max(low, claimed.get(mailbox, 0) + 1)
        if low > high:
            return low, high
        claimed[mailbox] = high
        try:
            return await self._write_relaxed(recent.claim, mailbox)
        finally:
            if claimed.get(mailbox) == high:
                del claimed[mailbox]  # the file says it now; or nobody has them, and who asks next may try

    # Changing mailboxes ------------------------------------------------------------------------------

    async def create_mailbox(
        self, name: str, role: str | None = None, uidvalidity: int | None = None, *, above: bool = True
    ) -> Mailbox:
        return await self._write(mailboxes.create, name, role, uidvalidity, above, await self._quota())

    async def adopt(self, mailbox: int, adoption: Adoption) -> Mailbox:
        return await self._write(mailboxes.adopt, mailbox, adoption)

    async def reserve_uids(self, mailbox: int, uidnext: int) -> None:
        await self._write(mailboxes.reserve_uids, mailbox, uidnext)

    async def delete_mailbox(self, mailbox: int, named: str | None = None) -> None:
        granted = await self._write(mailboxes.delete, mailbox, None, named)
        self.kept.forget_mailbox(self.account, mailbox)
        await self.note_shares(granted)

    async def rename_mailbox(self, mailbox: int, name: str, named: str | None = None) -> None:
        await self._write(mailboxes.rename, mailbox, name, await self._quota(), named)

    async def rename_level(self, level: str, name: str) -> None:
        await self._write(mailboxes.rename_level, level, name, await self._quota())

    async def set_role(self, mailbox: int, role: str | None) -> None:
        await self._write(mailboxes.set_role, mailbox, role)

    async def annotate(self, mailbox: int, values: Mapping[str, bytes | None]) -> int:
        self.check_room_for(values)
        return await self._write(annotation.annotate, mailbox, values, self.account)

    def check_room_for(self, values: Mapping[str, bytes | None]) -> None:
        """Raises DiskFull where there is no room for these; taking some away works on a full disk too."""
        if any(value is not None for value in values.values()):
            self._engine.check_room(sum(len(value) for value in values.values() if value))

    async def subscribe(self, name: str, subscribed: bool) -> None:
        await self._write(mailboxes.subscribe, name, subscribed)

    # Sharing -----------------------------------------------------------------------------------------

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
        from . import transfer

        done = await transfer.transfer(self, source, mailbox, ranges, target, move, messages)
        self._engine.filler.note(self.account)
        return done

    # POP3 --------------------------------------------------------------------------------------------

    def lock_maildrop(self) -> AbstractAsyncContextManager[None]:
        return self._lock("pop3", "Another session holds this maildrop.")

    async def maildrop(self) -> DropList:
        from . import maildrop

        kept = self._engine.kept.maildrops
        (_, _, messages, _), held = self.look(kept.find, self.account)
        if held is not None:
            return held
        if messages <= maildrop.ON_LOOP:
            state, drop = self._read(maildrop.maildrop)
        else:
            state, drop = await asyncio.to_thread(self.read_apart, maildrop.maildrop)
        kept.keep(self.account, state, drop)
        return drop

    async def finish_maildrop(
        self, delete: UidRanges, how: Pop3Delete, retrieved: UidRanges, *, mark_seen: bool
    ) -> None:
        from . import maildrop

        await self._write(maildrop.finish, delete, how, retrieved, mark_seen)

    async def expire_retrieved(self, before: int) -> int:
        from . import maildrop

        return await self._write(maildrop.expire, before)

    # Keeping house -----------------------------------------------------------------------------------

    async def quota(self) -> QuotaState:
        return self._read(quota.state, await self._quota(), self._engine.settings.mailboxes)

    async def stats(self) -> AccountStats:
        return self._read(rows.stats, self._path)

    async def provenance(self, mailbox: int, ranges: UidRanges) -> list[Provenance]:
        return self._read(rows.provenance, mailbox, ranges)

    async def mark(self) -> Mark:
        from . import account_backup

        return self._read(account_backup.mark)

    async def answers(self, emails: Sequence[int]) -> list[AnswerRow | None]:
        from . import answers

        return self.look(answers.read, emails)

    @asynccontextmanager
    async def instant(self) -> AsyncIterator[Instant]:
        from . import instant

        self._put_in_service()
        async with instant.instant(self._path) as opened:
            yield opened

    def doctor(self, repair: bool) -> AsyncIterator[Finding]:
        from . import examine

        return examine.examine(self, repair)
