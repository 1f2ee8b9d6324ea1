"""One account as it was at a snapshot: the `Store` interface over a file that is filled as far as somebody looks.

Beside `SqliteStore`, as `SharedStore` is: what is not written here is refused. Mailboxes are those of the snapshot,
under identities of their own, with the rights to list and read; each reading method first sees that what it reads is in
the file (`store.past.Bringer`), and goes on where that is so already without asking anybody.

A message that the backup has lost is passed over, and counted in `passed_over`.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import NoReturn

import apsw

from ...query.language import And, Contains, Dated, Field, HeaderContains, Instant, Query, Uids
from ...query.order import Criterion, SortKey
from ...query.threads import Algorithm, Threads
from ..errors import NoPermission, NoSuchAccount, NoSuchMailbox, PastUnavailable
from ..interface import ComeTo
from ..model import (
    INBOX,
    Column,
    Delta,
    FlagTable,
    Mailbox,
    Opening,
    Row,
    Scored,
    Snapshot,
    UidRanges,
)
from ..past import Bringer, Lent, PastBox
from ..refusing import Refusing
from ..rights import Rights
from . import mailboxes, rows
from .account import SqliteStore
from .engine import SqliteEngine
from .flag_sets import leaves, messages
from .values import pack, ranges_of, spans, typed

RIGHTS = Rights.LOOKUP | Rights.READ

STEP = 500
"""Messages brought by one request: about half a second's work, a turn for others between two."""

LOOK = 5_000
"""Placements looked at between two turns of the loop for what is not here yet."""

PART = 1 << 20
"""Octets of a large message that are asked for at once."""

GROUP = 8 << 20
"""Octets of messages that are asked for at once."""

STORED = frozenset(
    {
        Column.ENVELOPE, Column.BODY, Column.BODYSTRUCTURE, Column.HEADERS, Column.PREVIEW, Column.TRAITS, Column.PARTS,
    }
)  # fmt: skip
"""Columns that a message's octets answer."""

_UNSTORED_KEYS = frozenset({SortKey.ARRIVAL, SortKey.SIZE})


def _lost() -> PastUnavailable:
    return PastUnavailable("The backup has been closed meanwhile.", "Select the mailbox again.")


class _Inner(SqliteStore):
    """The file itself. Octets come from where the file's rows came from."""

    bringer: Bringer

    async def read_content(self, content_key: int, offset: int = 0, count: int | None = None) -> bytes:
        digest, size = self.look(_digest, content_key)
        wanted = max(0, size - offset if count is None else min(count, size - offset))
        pieces = [
            await self.bringer.read_part(digest, at, min(PART, offset + wanted - at))
            for at in range(offset, offset + wanted, PART)
        ]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def read_contents(self, contents: Sequence[int]) -> list[bytes]:
        found: list[bytes] = []
        for group in _groups([(*self.look(_digest, key), key) for key in contents]):
            if group[0][1] > GROUP:
                found.append(await self.read_content(group[0][2]))
            else:
                found += await self.bringer.read([digest for digest, _, _ in group])
        return found

    async def stream_content(self, content_key: int) -> AsyncIterator[bytes]:
        digest, size = self.look(_digest, content_key)
        for at in range(0, size, PART // 4):
            yield await self.bringer.read_part(digest, at, min(PART // 4, size - at))


class SqlitePastStore(Refusing):
    """Implements `store.past.PastStore`. engine: of the folder of such files; file: its id there; boxes: what the
    snapshot has. `account` is the file's id, which no account has."""

    def __init__(self, engine: SqliteEngine, file: str, boxes: Sequence[PastBox], bringer: Bringer) -> None:
        self.account = file
        self.own: set[int] | None = None
        self._passed_over = 0
        self._inner = _Inner(engine, file, None, engine.kept.shared(file))
        self._inner.bringer = self._bringer = bringer
        self._boxes = sorted(boxes, key=lambda one: (one.name != INBOX, one.name))
        self._places = {box.name: number for number, box in enumerate(boxes)}
        self._loaded: dict[int, PastBox] = {}
        self._seen: dict[int, Mailbox] = {}
        self._whole: set[tuple[int, bool]] = set()

    @property
    def inner(self) -> SqliteStore:
        """The file: for this folder alone."""
        return self._inner

    def refuse(self) -> NoReturn:
        raise NoPermission("A backup is for reading only.", "Copy messages out of it.")

    def passed_over(self) -> int:
        lost, self._passed_over = self._passed_over, 0
        return lost

    # What is there -----------------------------------------------------------------------------------

    async def mailboxes(self) -> list[Mailbox]:
        """What the snapshot says of them: counts of flags are 0, and keys name nothing. Nothing is brought."""
        return [
            Mailbox(
                -number, box.id, box.name, None, box.uidvalidity, box.uidnext, max(box.highest_modseq, 1),
                box.uidnext - 1, box.messages, 0, 0, box.octets, 0, False, RIGHTS,
            )
            for number, box in enumerate(self._boxes, 1)
        ]  # fmt: skip

    async def mailbox(self, name: str) -> Mailbox | None:
        """The mailbox with all that is to be known of it: its rows are brought."""
        place = self._places.get(name)
        if place is None:
            return None
        key = await self._bringer.load(place)
        self._loaded[key] = next(box for box in self._boxes if box.name == name)
        with self.opened():
            return self._here(key)

    def _here(self, mailbox: int) -> Mailbox:
        here = self._seen.get(mailbox)
        return here or self._as_then(self._inner.look(mailboxes.mailbox_by_key, mailbox, ""))

    def _as_then(self, mailbox: Mailbox) -> Mailbox:
        """One value for good: a session that looks for changes after each command reads no file for it, and goes on
        where its file went with the process that filled it."""
        here = self._seen.get(mailbox.key)
        if here is None:
            box = self._loaded.get(mailbox.key)
            if box is None:
                raise NoSuchMailbox("There is no such mailbox.")
            here = replace(mailbox, id=box.id, name=box.name, subscribed=False, rights=RIGHTS)
            self._seen[mailbox.key] = here
        return here

    @contextmanager
    def opened(self) -> Iterator[None]:
        """The file goes when its filler does: told as what it is, not as an account that has been removed."""
        try:
            yield
        except NoSuchAccount as error:
            raise _lost() from error

    async def subscriptions(self) -> list[str]:
        return []

    async def snapshot(self, mailbox: int) -> Snapshot:
        with self.opened():
            found = await self._inner.snapshot(mailbox)
        return Snapshot(self._as_then(found.mailbox), found.uids)

    async def opening(self, mailbox: int, read: Mailbox | None = None) -> Opening:
        with self.opened():
            found = await self._inner.opening(mailbox)
        here = Snapshot(self._as_then(found.snapshot.mailbox), found.snapshot.uids)
        return Opening(here, found.keywords, found.first_unseen)

    async def flag_table(self) -> FlagTable:
        with self.opened():
            return await self._inner.flag_table()

    async def flag_columns(self, mailbox: int, ranges: UidRanges, limit: int) -> tuple[array[int], array[int]] | None:
        return None

    def shelf(self, mailbox: int, first: int, uids: array[int]) -> None:
        return None

    async def keywords(self, mailbox: int | None = None) -> list[str]:
        with self.opened():
            return await self._inner.keywords()

    async def rows(
        self, mailbox: int, ranges: UidRanges, columns: Sequence[Column], limit: int, *, removed: bool = False
    ) -> list[Row]:
        if removed:
            return []
        if not STORED.isdisjoint(columns):
            named = await self._first(mailbox, ranges, limit)
            self._passed_over += await self._bring(mailbox, named, bodies=False)
        with self.opened():
            return await self._inner.rows(mailbox, ranges, columns, limit)

    async def _first(self, mailbox: int, ranges: UidRanges, limit: int) -> UidRanges:
        """The first `limit` messages of `ranges`, as ranges."""
        if messages(ranges) <= limit:
            return ranges
        with self.opened():
            return tuple(ranges_of(row[0] for row in self._inner.look(rows.rows, mailbox, ranges, (), limit, False)))  # type: ignore[misc]  # a row's first element is its UID

    async def delta(self, mailbox: int, since: int) -> Delta:
        """Nothing ever changes. Who knew an earlier state is told all flags, and compares UIDs."""
        with self.opened():
            here = self._here(mailbox)
            if since >= here.highest_modseq:
                return Delta(here, [], array("I"), True)
            found = await self._inner.delta(mailbox, since)
        return Delta(here, found.changed, array("I"), False)

    async def search(
        self, mailbox: int, query: Query, within: UidRanges, *, come_to: ComeTo | None = None
    ) -> array[int]:
        await self._bring_for(mailbox, query, within)
        with self.opened():
            return await self._inner.search(mailbox, query, within, come_to=come_to)

    async def scored(self, mailbox: int, query: Query, within: UidRanges, *, come_to: ComeTo | None = None) -> Scored:
        await self._bring_for(mailbox, query, within)
        with self.opened():
            return await self._inner.scored(mailbox, query, within, come_to=come_to)

    async def sort(
        self,
        mailbox: int,
        query: Query,
        keys: Sequence[Criterion],
        within: UidRanges,
        *,
        come_to: ComeTo | None = None,
    ) -> array[int]:
        stored = any(criterion.key not in _UNSTORED_KEYS for criterion in keys)
        await self._bring_for(mailbox, query, within, texts=stored)
        with self.opened():
            return await self._inner.sort(mailbox, query, keys, within, come_to=come_to)

    async def thread(
        self,
        mailbox: int,
        query: Query,
        algorithm: Algorithm,
        within: UidRanges,
        *,
        come_to: ComeTo | None = None,
    ) -> Threads:
        await self._bring_for(mailbox, query, within, texts=True)
        with self.opened():
            return await self._inner.thread(mailbox, query, algorithm, within, come_to=come_to)

    # Contents are asked for by keys that only `rows` gives out.

    async def read_content(self, content: int, offset: int = 0, count: int | None = None) -> bytes:
        with self.opened():
            return await self._inner.read_content(content, offset, count)

    async def read_contents(self, contents: Sequence[int]) -> list[bytes]:
        with self.opened():
            return await self._inner.read_contents(contents)

    async def stream_content(self, content: int) -> AsyncIterator[bytes]:
        with self.opened():
            async for piece in self._inner.stream_content(content):
                yield piece

    async def annotation_names(self, mailbox: int) -> list[tuple[str, int]]:
        return []

    async def annotations(self, mailboxes: Sequence[int], entries: Sequence[str]) -> dict[int, dict[str, bytes]]:
        return {mailbox: {} for mailbox in mailboxes}

    # Bringing ----------------------------------------------------------------------------------------

    async def _bring_for(self, mailbox: int, query: Query, within: UidRanges, *, texts: bool = False) -> None:
        needs, bodies = _needs(query)
        if texts:
            self._passed_over += await self._bring(mailbox, within, bodies=bodies)
        elif needs:
            self._passed_over += await self._bring(mailbox, _named(query, within), bodies=bodies)

    async def _bring(self, mailbox: int, ranges: UidRanges, *, bodies: bool) -> int:
        """See that these messages are in the file, as far as they can be read; how many of them cannot."""
        if (mailbox, bodies) in self._whole:
            return 0
        lost, named = 0, ranges
        while ranges:
            with self.opened():
                looked, lacking = self._inner.look(_lacking, mailbox, ranges, bodies)
            for at in range(0, len(lacking), STEP):
                some = tuple(ranges_of(lacking[at : at + STEP]))
                lost += await self._bringer.fill(mailbox, some, bodies=bodies)
            if looked is None:
                break
            ranges = tuple((max(low, looked + 1), high) for low, high in ranges if high > looked)
            await asyncio.sleep(0)  # others' turn
        if not lost and len(named) == 1 and named[0][0] <= 1:
            with self.opened():
                last = self._inner.look(_last, mailbox)
            if named[0][1] >= last:
                self._whole |= {(mailbox, bodies), (mailbox, False)}
        return lost

    @asynccontextmanager
    async def lent(self, mailbox: int, ranges: UidRanges) -> AsyncIterator[Lent]:
        """The messages with their octets in the file, for as long as the block lasts."""
        box = self._loaded.get(mailbox)
        if box is None:
            raise NoSuchMailbox("There is no such mailbox.")
        lent = await self._bringer.lend(self._places[box.name], mailbox, ranges)
        try:
            yield lent
        finally:
            await asyncio.shield(self._bringer.give_back(lent))

    async def claim_recent(self, mailbox: int) -> tuple[int, int]:
        return 1, 0


def _needs(query: Query) -> tuple[bool, bool]:
    """Whether a query looks at what a message's octets say, and whether at the text of its body."""
    stored, bodies = False, False
    for leaf in leaves(query):
        match leaf:
            case Contains(field):
                stored, bodies = True, bodies or field in (Field.BODY, Field.TEXT)
            case HeaderContains() | Dated(Instant.SENT):
                stored = True
    return stored, bodies


def _named(query: Query, within: UidRanges) -> UidRanges:
    """Of `within`, what a match must be among by the UIDs that the query names."""
    for operand in query.operands if isinstance(query, And) else (query,):
        if isinstance(operand, Uids) and len(within) == 1:
            within = tuple(
                (max(low, first), min(high, last))
                for low, high in within
                for first, last in operand.ranges
                if first <= high and low <= last
            )
    return within


def _lacking(db: apsw.Connection, mailbox: int, ranges: UidRanges, bodies: bool) -> tuple[int | None, list[int]]:
    """Of the first placements of `ranges` those of which something is to be brought; the last UID looked at, None where
    there are no more."""
    sql = _BODIES if bodies else _ANSWERS
    found: list[tuple[int, int]] = typed(db.execute(sql, (pack(ranges), mailbox, LOOK)))
    return found[-1][0] if len(found) == LOOK else None, [uid for uid, here in found if not here]


def _last(db: apsw.Connection, mailbox: int) -> int:
    return int(db.execute("SELECT coalesce(max(uid), 0) FROM placement WHERE mailbox = ?", (mailbox,)).get)


def _digest(db: apsw.Connection, content: int) -> tuple[bytes, int]:
    row = db.execute("SELECT digest, size FROM content WHERE key = ?", (content,)).fetchone()
    if row is None:
        raise _lost()
    return bytes(row[0]), int(row[1])


def _groups(wanted: Sequence[tuple[bytes, int, int]]) -> Iterator[list[tuple[bytes, int, int]]]:
    """(digest, size, content) in order, of a bounded number of octets each; a larger message alone."""
    group: list[tuple[bytes, int, int]] = []
    octets = 0
    for one in wanted:
        if group and octets + one[1] > GROUP:
            yield group
            group, octets = [], 0
        group.append(one)
        octets += one[1]
    if group:
        yield group


_ANSWER = "EXISTS (SELECT 1 FROM answer a WHERE a.email = p.email)"
_BODY = "EXISTS (SELECT 1 FROM body_text b WHERE b.email = p.email)"
_ANSWERS = f"SELECT p.uid, {_ANSWER} FROM {spans('?1', 'placement', '?2')} LIMIT ?3"
_BODIES = f"SELECT p.uid, {_ANSWER} AND {_BODY} FROM {spans('?1', 'placement', '?2')} LIMIT ?3"
