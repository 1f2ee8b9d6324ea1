"""One account as somebody sees it who is not its owner: the `Store` interface with every right asked for.

Beside `SqliteStore`, not in it: the owner pays nothing for what others may not do, and what is not written here
nobody else can do. Rights are read in the transaction that uses them, so that there is no moment between asking and
doing (RFC 4314 4 is the table; `acl.require` says how a refusal sounds).
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import NoReturn

import apsw

from ...query.language import And, Fuzzy, HasFlag, ModSeq, Not, Or, Query, Uids
from ...query.order import Criterion
from ...query.threads import Algorithm, Threads
from ..annotation import ACCOUNT
from ..backup import AnswerRow, Instant, Mark
from ..changes import AccountChanges, Change
from ..errors import CannotChangeMailbox, MailboxExists, NoPermission
from ..interface import Store
from ..model import (
    INBOX,
    SEPARATOR,
    AccountStats,
    Adoption,
    Appended,
    Blob,
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
    Recoverable,
    Removed,
    Row,
    Scored,
    Snapshot,
    System,
    UidRanges,
)
from ..quota import Quota, QuotaState
from ..rewind import RewindNote, Rewound
from ..rewind import Snapshot as Then
from ..rights import ANNOTATES, AclEntry, Rights, may_annotate
from . import account_changes, acl, annotation, append, copies, mailboxes, quota, reader, recent, rows
from . import replace as replacing
from .account import SqliteStore
from .append import Prepared
from .quota import check_filing
from .transaction import Write

ON_LOOP = 20_000
"""Messages of a mailbox whose keywords are looked for on the event loop."""

FEW_MAILBOXES = 50
"""Mailboxes whose counts of seen messages are looked up one by one, where they are kept as a rule; of more they are
counted together."""

MOST_COUNTS = 1_000
"""Counts of seen messages kept for one account, a mailbox and reader each."""


def _refuse() -> NoReturn:
    raise NoPermission("This belongs to somebody else.")


class SharedStore:
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
        return [reader.as_seen(db, one, self._actor, have, states.get(one.key, (0, 0))) for one, have in found]

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
        return reader.as_seen(db, mailbox, self._actor, rights, (known[2], highest))

    async def subscriptions(self) -> list[str]:
        _refuse()

    def _readable(self, db: apsw.Connection, mailbox: int) -> Rights:
        rights = acl.rights_on(db, mailbox, self._actor)
        acl.require(rights, Rights.READ)
        return rights

    def _seen(self, db: apsw.Connection, mailbox: int) -> Mailbox:
        rights = self._readable(db, mailbox)
        return self._as_seen(db, mailboxes.mailbox_by_key(db, mailbox, self._actor), rights)

    async def snapshot(self, mailbox: int) -> Snapshot:
        return self._own._read(self._snapshot, mailbox)

    def _snapshot(self, db: apsw.Connection, mailbox: int) -> Snapshot:
        rights = self._readable(db, mailbox)
        found = self._own._engine.kept.lists.snapshot(db, self.account, mailbox, self._actor)
        return Snapshot(self._as_seen(db, found.mailbox, rights), found.uids)

    async def opening(self, mailbox: int) -> Opening:
        words = await self.keywords(mailbox)
        snapshot, unseen = self._own._read(self._opening, mailbox)
        return Opening(snapshot, words, unseen)

    def _opening(self, db: apsw.Connection, mailbox: int) -> tuple[Snapshot, int]:
        return self._snapshot(db, mailbox), reader.first_unseen(db, mailbox, self._actor)

    async def flag_table(self) -> FlagTable:
        await self._own.flag_table()
        return self._own._shared.reader_flags()

    async def keywords(self, mailbox: int | None = None) -> list[str]:
        if mailbox is None:
            _refuse()
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

    def _learn(self, db: apsw.Connection) -> None:
        self._own._shared.reader_flags()
        self._own._shared.learn(db)

    async def delta(self, mailbox: int, since: int) -> Delta:
        return self._own._read(self._delta, mailbox, since)

    def _delta(self, db: apsw.Connection, mailbox: int, since: int) -> Delta:
        here = self._seen(db, mailbox)
        if since >= here.highest_modseq:
            return Delta(here, [], array("I"), True)
        found = reader.delta(db, here, self._actor, since)
        self._learn(db)
        return found

    async def search(
        self, mailbox: int, query: Query, within: UidRanges, *, come_to: Callable[[int], None] | None = None
    ) -> array[int]:
        mine = self._own._read(self._as_mine, mailbox, query)
        found = await self._own.search(mailbox, mine, within, come_to=come_to)
        self._own._read(self._readable, mailbox)  # a long search may outlive the right to its answer
        return found

    async def scored(self, mailbox: int, query: Query, within: UidRanges) -> Scored:
        mine = self._own._read(self._as_mine, mailbox, query)
        found = await self._own.scored(mailbox, mine, within)
        self._own._read(self._readable, mailbox)
        return found

    async def sort(self, mailbox: int, query: Query, keys: Sequence[Criterion], within: UidRanges) -> array[int]:
        mine = self._own._read(self._as_mine, mailbox, query)
        found = await self._own.sort(mailbox, mine, keys, within)
        self._own._read(self._readable, mailbox)
        return found

    async def thread(self, mailbox: int, query: Query, algorithm: Algorithm, within: UidRanges) -> Threads:
        mine = self._own._read(self._as_mine, mailbox, query)
        found = await self._own.thread(mailbox, mine, algorithm, within)
        self._own._read(self._readable, mailbox)
        return found

    def _as_mine(self, db: apsw.Connection, mailbox: int, query: Query) -> Query:
        self._readable(db, mailbox)
        return self._rewritten(db, mailbox, query)

    def _rewritten(self, db: apsw.Connection, mailbox: int, query: Query) -> Query:
        """The query with the reader's own \\Seen and mod-sequences, as UIDs. Depth is bounded by the grammar."""
        match query:
            case And(operands):
                return And(tuple(self._rewritten(db, mailbox, one) for one in operands))
            case Or(operands):
                return Or(tuple(self._rewritten(db, mailbox, one) for one in operands))
            case Not(operand):
                return Not(self._rewritten(db, mailbox, operand))
            case Fuzzy(operand):
                return Fuzzy(self._rewritten(db, mailbox, operand))
            case HasFlag(name) if name.lower() == "\\seen":
                return Uids(reader.seen_ranges(db, mailbox, self._actor))
            case ModSeq(at_least):
                touched = reader.touched_ranges(db, mailbox, self._actor, min(at_least, 2**63 - 1))
                return Or((query, Uids(touched))) if touched else query
            case _:
                return query

    async def fill_search(self) -> int:
        _refuse()

    # Contents are asked for by keys that only `rows` gives out.

    async def read_content(self, content: int, offset: int = 0, count: int | None = None) -> bytes:
        return await self._own.read_content(content, offset, count)

    async def read_contents(self, contents: Sequence[int]) -> list[bytes]:
        return await self._own.read_contents(contents)

    def stream_content(self, content: int) -> AsyncIterator[bytes]:
        return self._own.stream_content(content)

    # Changing messages -------------------------------------------------------------------------------

    async def find_arrivals(self, digest: bytes, since: int) -> list[tuple[str, int]]:
        _refuse()

    async def put(self, data: bytes | bytearray | memoryview, before: bytes = b"") -> Blob:
        return await self._own.put(data, before)

    async def append(self, mailbox: int, messages: Sequence[NewMessage]) -> Appended:
        prepared, limits = await self._own._prepared(messages), await self._own._quota()
        done = await self._own._write(_append, mailbox, prepared, limits)
        self._own._engine.filler.note(self.account)
        return done

    async def append_by_name(self, name: str, messages: Sequence[NewMessage]) -> Appended:
        _refuse()

    async def append_once(self, name: str, message: NewMessage) -> Appended | None:
        _refuse()

    async def has_email(self, email_id: str) -> bool:
        _refuse()

    async def replace(self, mailbox: int, uid: int, target: int, message: NewMessage) -> Appended:
        (prepared,), limits = await self._own._prepared([message]), await self._own._quota()
        done = await self._own._write(_replace, mailbox, uid, target, prepared, limits)
        self._own._engine.filler.note(self.account)
        return done

    async def room_for(self, size: int) -> None:
        """For who may put messages somewhere here: it tells whether the owner's quota has room."""
        self._own._read(self._inserts)
        await self._own.room_for(size)

    def _inserts(self, db: apsw.Connection) -> None:
        if not any(rights & Rights.INSERT for rights in acl.rights_by_mailbox(db, self._actor).values()):
            _refuse()

    async def store_flags(
        self,
        mailbox: int,
        ranges: UidRanges,
        mode: FlagMode,
        flags: Flags,
        unchanged_since: int | None = None,
    ) -> Flagged:
        return await self._own._write(_store_flags, mailbox, ranges, mode, flags, unchanged_since)

    async def copy(self, mailbox: int, ranges: UidRanges, target: int) -> Copied:
        self._own._engine.check_room(0)
        return await self._own._write(_copy, mailbox, ranges, target, await self._own._quota())

    async def move(self, mailbox: int, ranges: UidRanges, target: int) -> Copied:
        return await self._own._write(_move, mailbox, ranges, target)

    async def transfer(self, source: Store, mailbox: int, ranges: UidRanges, target: int, *, move: bool) -> Copied:
        return await self._own.transfer(source, mailbox, ranges, target, move=move)

    async def expunge(self, mailbox: int, ranges: UidRanges | None, *, deleted_only: bool = True) -> Removed:
        return await self._own._write(_expunge, mailbox, ranges, deleted_only)

    async def claim_recent(self, mailbox: int) -> tuple[int, int]:
        """What the owner's sessions have not claimed; left to them."""
        return self._own._read(self._unclaimed, mailbox)

    def _unclaimed(self, db: apsw.Connection, mailbox: int) -> tuple[int, int]:
        self._readable(db, mailbox)
        return recent.unclaimed(db, mailbox)

    # Changing mailboxes ------------------------------------------------------------------------------

    async def create_mailbox(
        self, name: str, role: str | None = None, uidvalidity: int | None = None, *, above: bool = True
    ) -> Mailbox:
        if role is not None or uidvalidity is not None or not above:
            _refuse()
        return await self._own._write(_create, name, await self._own._quota())

    async def adopt(self, mailbox: int, adoption: Adoption) -> Mailbox:
        _refuse()

    async def reserve_uids(self, mailbox: int, uidnext: int) -> None:
        _refuse()

    async def delete_mailbox(self, mailbox: int) -> None:
        granted = await self._own._write(_delete, mailbox)
        await self._own.note_shares(granted)

    async def rename_mailbox(self, mailbox: int, name: str) -> None:
        await self._own._write(_rename, mailbox, name, await self._own._quota())

    async def annotation_names(self, mailbox: int) -> list[tuple[str, int]]:
        return self._own._read(self._annotation_names, mailbox)

    def _annotation_names(self, db: apsw.Connection, mailbox: int) -> list[tuple[str, int]]:
        _may_annotate(db, mailbox, self._actor)
        return annotation.names(db, mailbox, self._actor, self.account)

    async def annotations(self, mailboxes: Sequence[int], entries: Sequence[str]) -> dict[int, dict[str, bytes]]:
        return self._own._read(self._annotations, mailboxes, entries)

    def _annotations(
        self, db: apsw.Connection, mailboxes: Sequence[int], entries: Sequence[str]
    ) -> dict[int, dict[str, bytes]]:
        for mailbox in mailboxes:
            _may_annotate(db, mailbox, self._actor)
        return annotation.values(db, mailboxes, entries, self._actor, self.account)

    async def annotate(self, mailbox: int, values: Mapping[str, bytes | None]) -> int:
        self._own.check_room_for(values)
        return await self._own._write(_annotate, mailbox, values, self.account)

    async def last_change(self) -> int:
        return self._own._read(self._last_change)

    def _last_change(self, db: apsw.Connection) -> int:
        if not acl.rights_by_mailbox(db, self._actor):
            _refuse()
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
            if one.key in by_others:
                mailboxes.append((one, by_others[one.key]))
                if may_annotate(rights[one.key]):
                    annotated.add(one.name)
            elif one.highest_modseq > since:  # what he has read elsewhere moves nobody's mailbox but his
                touched = reader.touched_since(db, one.key, self._actor, since, own)
                mailboxes.append((one, touched))
        events = [event for event in found.events if event.change is Change.ANNOTATED and event.name in annotated]
        return replace(found, mailboxes=mailboxes, events=events, names=frozenset())

    async def set_role(self, mailbox: int, role: str | None) -> None:
        _refuse()

    async def subscribe(self, name: str, subscribed: bool) -> None:
        _refuse()

    # Sharing -----------------------------------------------------------------------------------------

    async def acl(self, mailbox: int) -> list[AclEntry]:
        return self._own._read(self._acl, mailbox)

    def _acl(self, db: apsw.Connection, mailbox: int) -> list[AclEntry]:
        acl.require(acl.rights_on(db, mailbox, self._actor), Rights.ADMINISTER)
        return acl.entries(db, mailbox)

    async def set_acl(self, mailbox: int, identifier: str, mode: FlagMode, rights: Rights) -> None:
        self._own._read(self._acl, mailbox)
        await self._own.change_acl(_set_acl, mailbox, identifier, mode, rights)

    async def forget_person(self, identifier: str) -> None:
        _refuse()

    # What no right covers ----------------------------------------------------------------------------

    def lock_maildrop(self) -> AbstractAsyncContextManager[None]:
        _refuse()

    async def maildrop(self) -> DropList:
        _refuse()

    async def finish_maildrop(
        self, delete: UidRanges, how: Pop3Delete, retrieved: UidRanges, *, mark_seen: bool
    ) -> None:
        _refuse()

    async def expire_retrieved(self, before: int) -> int:
        _refuse()

    async def recoverable(self) -> list[Recoverable]:
        _refuse()

    async def undelete(self, numbers: Sequence[int], mailbox: int | None) -> Appended | None:
        _refuse()

    async def rewind(self, to: int | Then, *, apply: bool) -> Rewound:
        _refuse()

    async def undo_rewind(self, id: int, *, apply: bool) -> Rewound:
        _refuse()

    async def rewinds(self) -> list[RewindNote]:
        _refuse()

    async def note_rewound(self, id: int, mailbox: int, ranges: UidRanges) -> None:
        _refuse()

    async def reclaim(self, budget: int) -> int:
        _refuse()

    async def stats(self) -> AccountStats:
        _refuse()

    async def quota(self) -> QuotaState:
        """For who may read some mailbox of the account: its numbers would tell as much (RFC 9208 6)."""
        return self._own._read(self._quota, await self._own._quota())

    def _quota(self, db: apsw.Connection, limits: Quota) -> QuotaState:
        if not any(rights & Rights.READ for rights in acl.rights_by_mailbox(db, self._actor).values()):
            _refuse()
        return quota.state(db, limits, self._own._engine.settings.mailboxes)

    async def provenance(self, mailbox: int, ranges: UidRanges) -> list[Provenance]:
        _refuse()

    async def mark(self) -> Mark:
        _refuse()

    async def answers(self, emails: Sequence[int]) -> list[AnswerRow | None]:
        _refuse()

    def instant(self) -> AbstractAsyncContextManager[Instant]:
        _refuse()

    def doctor(self, repair: bool) -> AsyncIterator[Finding]:
        _refuse()


# Commands, each in its transaction. tx.user is the actor -----------------------------------------------


def _require(tx: Write, mailbox: int, needed: Rights) -> Rights:
    rights = acl.rights_on(tx.db, mailbox, tx.user)
    acl.require(rights, needed)
    return rights


def _may_annotate(db: apsw.Connection, mailbox: int, actor: str) -> None:
    """Raises NoPermission: reading and setting annotations takes "l" and one of "r", "s", "w", "i", "p" (RFC 5464 3.3),
    and those of the account itself are its owner's."""
    if mailbox == ACCOUNT:
        _refuse()
    rights = acl.rights_on(db, mailbox, actor)
    acl.require(rights, Rights.LOOKUP)
    if not rights & ANNOTATES:
        _refuse()


def _annotate(tx: Write, mailbox: int, values: Mapping[str, bytes | None], account: str) -> int:
    _may_annotate(tx.db, mailbox, tx.user)
    return annotation.annotate(tx, mailbox, values, account)


def _as_seen(tx: Write, mailbox: int, rights: Rights) -> Mailbox:
    return reader.as_seen(tx.db, mailboxes.mailbox_by_key(tx.db, mailbox, tx.user), tx.user, rights)


def _allowed(one: Prepared, rights: Rights) -> Prepared:
    return replace(one, message=replace(one.message, flags=reader.allowed(one.message.flags, rights)))


def _append(tx: Write, mailbox: int, messages: Sequence[Prepared], limits: Quota) -> Appended:
    rights = _require(tx, mailbox, Rights.INSERT)
    done = append.append(tx, mailbox, [_allowed(one, rights) for one in messages], limits)
    return _told(tx, mailbox, messages, done, rights)


def _replace(tx: Write, mailbox: int, uid: int, target: int, message: Prepared, limits: Quota) -> Appended:
    """REPLACE needs what APPEND needs there and what MOVE needs here (RFC 8508 3.1)."""
    require_removal(tx.db, mailbox, tx.user)
    rights = _require(tx, target, Rights.INSERT)
    done = replacing.replace(tx, mailbox, uid, target, _allowed(message, rights), limits)
    return _told(tx, target, [message], done, rights)


def _told(tx: Write, mailbox: int, messages: Sequence[Prepared], done: Appended, rights: Rights) -> Appended:
    """What was filed, the reader's \\Seen noted, as he may know it."""
    if rights & Rights.SEEN:
        seen = (uid for uid, one in zip(done.uids, messages, strict=True) if one.message.flags.system & System.SEEN)
        reader.put_seen(tx, mailbox, tuple(seen))
    return replace(done, mailbox=_as_seen(tx, mailbox, rights))


def _store_flags(
    tx: Write, mailbox: int, ranges: UidRanges, mode: FlagMode, flags: Flags, unchanged_since: int | None
) -> Flagged:
    rights = _require(tx, mailbox, Rights.READ)
    return reader.store_flags(tx, mailbox, ranges, mode, flags, unchanged_since, rights)


def _place(tx: Write, mailbox: int, ranges: UidRanges, target: int, rights: Rights) -> tuple[array[int], array[int]]:
    """Copies within the account: flags as the rights on the target let them be, the owner's \\Seen staying his."""

    def change(flags: Flags) -> Flags:
        kept = reader.allowed(flags, rights)
        return Flags(kept.system | flags.system & System.SEEN, kept.keywords)

    source, new = tx.place_from(target, mailbox, ranges, change)
    if source and rights & Rights.SEEN:
        seen = reader.seen_among(tx, mailbox, ranges)
        reader.put_seen(tx, target, [uid for old, uid in zip(source, new, strict=True) if old in seen])
    return source, new


def _copy(tx: Write, mailbox: int, ranges: UidRanges, target: int, limits: Quota) -> Copied:
    _require(tx, mailbox, Rights.READ)
    rights = _require(tx, target, Rights.INSERT)
    tx.uidnext(target)
    check_filing(tx, *copies.weight(tx, mailbox, ranges), limits)
    source, new = _place(tx, mailbox, ranges, target, rights)
    return Copied(_as_seen(tx, target, rights), source, new, tx.modseq if source else 0)


def _move(tx: Write, mailbox: int, ranges: UidRanges, target: int) -> Copied:
    """MOVE needs what COPY, STORE \\Deleted and EXPUNGE need (RFC 6851 3.3)."""
    require_removal(tx.db, mailbox, tx.user)
    rights = _require(tx, target, Rights.INSERT)
    tx.uidnext(target)
    source, new = _place(tx, mailbox, ranges, target, rights)
    if source:
        named = ranges if mailbox != target else copies.below(ranges, new[0])
        tx.remove(mailbox, named, moved_to=target, moved_low=new[0])
    return Copied(_as_seen(tx, target, rights), source, new, tx.modseq if source else 0)


def require_removal(db: apsw.Connection, mailbox: int, actor: str) -> None:
    """Raises NoPermission, NoSuchMailbox where messages may not be moved away."""
    acl.require(acl.rights_on(db, mailbox, actor), Rights.READ | Rights.DELETE_MESSAGES | Rights.EXPUNGE)


def _expunge(tx: Write, mailbox: int, ranges: UidRanges | None, deleted_only: bool) -> Removed:
    _require(tx, mailbox, Rights.EXPUNGE if deleted_only else Rights.EXPUNGE | Rights.DELETE_MESSAGES)
    return copies.expunge(tx, mailbox, ranges, deleted_only)


def _may_not_create() -> NoPermission:
    return NoPermission("You may not make a mailbox there.")


def _require_place(tx: Write, name: str) -> None:
    """Raises where the actor may not make a mailbox of this name: the nearest one above must let him (RFC 4314 4).

    Whether a mailbox that he may not know of is in the way, or none is there at all, sounds the same.
    """
    there = mailboxes.find(tx.db, name, tx.user)
    if there is not None and acl.rights_on(tx.db, there.key, tx.user) & Rights.LOOKUP:
        raise MailboxExists("A mailbox of this name exists already.")
    if there is not None:
        raise _may_not_create()
    above = name.rpartition(SEPARATOR)[0]
    while above:
        found = mailboxes.find(tx.db, above, tx.user)
        if found is not None:
            if not acl.rights_on(tx.db, found.key, tx.user) & Rights.CREATE:
                raise _may_not_create()
            return
        above = above.rpartition(SEPARATOR)[0]
    raise _may_not_create()


def _create(tx: Write, name: str, limits: Quota) -> Mailbox:
    name = mailboxes.checked(name)
    _require_place(tx, name)
    made = mailboxes.create(tx, name, limits=limits)
    return _as_seen(tx, made.key, acl.rights_on(tx.db, made.key, tx.user))


def _delete(tx: Write, mailbox: int) -> list[str]:
    """Delete the mailbox; the identifiers that its list named."""
    _require(tx, mailbox, Rights.DELETE_MAILBOX)
    named = [entry.identifier for entry in acl.entries(tx.db, mailbox)]
    mailboxes.delete(tx, mailbox)
    return named


def _rename(tx: Write, mailbox: int, name: str, limits: Quota) -> None:
    """RENAME: the right to delete the mailbox and all that go along, that to create at the new place."""
    _require(tx, mailbox, Rights.DELETE_MAILBOX)
    here = mailboxes.mailbox_by_key(tx.db, mailbox, tx.user)
    if here.name == INBOX:
        raise CannotChangeMailbox("Somebody else's INBOX cannot be renamed.")
    for below in mailboxes.below(tx, here.name):
        if not acl.rights_on(tx.db, below, tx.user) & Rights.DELETE_MAILBOX:
            raise NoPermission("You may not rename all that is below it.")
    _require_place(tx, mailboxes.checked(name))
    mailboxes.rename(tx, mailbox, name, limits)


def _set_acl(tx: Write, mailbox: int, identifier: str, mode: FlagMode, rights: Rights) -> None:
    _require(tx, mailbox, Rights.ADMINISTER)
    acl.set_entry(tx, mailbox, identifier, mode, rights)
