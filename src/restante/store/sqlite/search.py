"""SEARCH over an account's file: which messages are looked at, and in what steps.

Four ways, by what the query gives (see `compile`):

- *by flags*: it asks for nothing else, and of many messages: the array of their flag sets answers (see `changes`);
- *by number*: it is SQL alone, or nothing narrows it down: placements of the mailbox in the order of their UIDs;
- *by candidates*: an index names the emails that may match; those it has not come to yet are looked at all;
- in either, texts are read only of messages that nothing else has decided.

Long scans give way to the event loop between batches; no statement lives across an await.
RFC 9051 6.4.4, RFC 6203.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import apsw

from ...mime.model import Limits
from ...query.fields import Header
from ...query.language import Contains, FieldMatches, HeaderContains, Query
from ...runs import ascending
from ..interface import ComeTo
from ..model import FlagTable, Scored, UidRanges
from . import bodies, by_flags
from .candidates import Lookups, emails_of
from .compile import EMAIL, UID, Compiler, Python, Row, Test
from .conditions import TRUE, Sql, SqlValue, balanced, uid_condition, within_edges
from .everywhere import Everywhere, emails_everywhere
from .flag_sets import leaves, messages, narrowed
from .marks import Marks
from .sort import after, upto
from .texts import Texts, Waiting, Wanted, see_all, show
from .values import typed

if TYPE_CHECKING:
    from .account import SqliteStore

FEW = 500  # messages up to which their texts are read without a look at the index
_TEXT_BATCH = 256  # candidates whose texts are looked at between two turns of the loop: about 2 ms
_INDEX_PART = 10_000  # candidates that an index names at once: about 3 ms
_EMAIL_BATCH = 2_000
_PLAIN_BATCH = 20_000
_ROW_BATCH = 4_000
_TESTS = 8  # keys asked of each row, in Python or by SQL, up to which a batch has all its rows
_LONG_BATCH = 500  # of rows with texts in them, which are looked at one by one: about 10 ms
_LONG_OCTETS = 1 << 20  # of those texts, held at once: one may be large, and as many as a batch has rows may be so
_LONG_CHECK = 10  # rows after which their octets are counted
_JOINS = (
    ("e.", " JOIN email AS e ON e.key = p.email"),
    ("k.", " JOIN sortkey AS k ON k.email = p.email"),
    ("s.", " JOIN search_text AS s ON s.email = p.email"),
    ("a.", " JOIN answer AS a ON a.email = p.email"),
)
"""Joins by the name that asks for them; it stands behind a blank, "(" or "," (an expression took a third of the time of
a batch where hundreds of keys are asked)."""


async def search(
    store: SqliteStore,
    mailbox: int,
    query: Query,
    within: UidRanges,
    come_to: ComeTo | None = None,
) -> array[int]:
    """UIDs of `within` that match, ascending. come_to: see `Store.search`."""
    query, within = narrowed(query, within)
    if by_flags.answers(store, query, within):
        return await by_flags.search(store, mailbox, query, within)
    search = await _begun(store, await store.flag_table(), mailbox, query, within, come_to)
    found = array("I")
    async for rows in search.run():
        found.extend([row[UID] for row in rows])
    return search.ordered(found)


async def scored(
    store: SqliteStore,
    table: FlagTable,
    mailbox: int,
    query: Query,
    within: UidRanges,
    come_to: ComeTo | None = None,
) -> Scored:
    """As `search`, with the relevancy of each message (RFC 6203 4).

    Of several fuzzy strings the mean counts. A query without any gives 100 to all.
    """
    query, within = narrowed(query, within)
    search = await _begun(store, table, mailbox, query, within, come_to)
    raw: dict[int, float] = {}
    async for rows in search.run():
        raw |= await search.scores(rows)
    uids = array("I", sorted(raw))
    best = max(raw.values(), default=0.0) or 1.0
    return Scored(uids, array("B", [max(1, round(100 * raw[uid] / best)) for uid in uids]), best)


async def _begun(
    store: SqliteStore, table: FlagTable, mailbox: int, query: Query, within: UidRanges, come_to: ComeTo | None
) -> _Search:
    """A search, with all that is to be known before messages are looked at."""
    everywhere = await emails_everywhere(store, query)
    lookups = await _looked_up(store, table, mailbox, query, within, everywhere)
    search = _Search(store, table, mailbox, query, within, lookups, everywhere)
    search.come_to = come_to
    return search


async def _looked_up(
    store: SqliteStore, table: FlagTable, mailbox: int, query: Query, within: UidRanges, everywhere: Everywhere
) -> Lookups | None:
    """What the index says of the query's needles; None where it is not asked: hardly any messages are to be looked at,
    and a common word would bring all that have it."""
    if messages(within) <= FEW or not has_texts(query):
        return None
    lookups = Lookups()
    asking = Compiler(mailbox, table, store.now, lookups.about, everywhere=everywhere)
    asking.compile(query)
    asking.candidates(query)
    more = True
    while more:
        more = store.look(_look_up, store, lookups)
        if more:
            await asyncio.sleep(0)  # others' turn
    candidates = asking.candidates(query)
    lookups.candidates = None if candidates is None else await emails_of(candidates)
    return lookups


def _look_up(db: apsw.Connection, store: SqliteStore, lookups: Lookups) -> bool:
    with store.searching(db) as index:
        return lookups.read(index, _INDEX_PART)


class _Search:
    """One search: compiled when made, run once."""

    def __init__(
        self,
        store: SqliteStore,
        table: FlagTable,
        mailbox: int,
        query: Query,
        within: UidRanges,
        lookups: Lookups | None,
        everywhere: Everywhere,
    ) -> None:
        """lookups: what an index says of the query's needles, None where it was not asked."""
        self.store = store
        self.mailbox = mailbox
        self.emails: array[int] | None = None
        """Those to be looked at, None for all of the mailbox."""
        self.come_to: ComeTo | None = None
        self._reached = 0
        self._upto = everywhere.upto
        self.compiler, self.test = store.look(self._compiled, table, query, lookups, everywhere)
        self.within = within
        self.bound = self.test if isinstance(self.test, Sql) else self.test.bound
        if lookups is not None and lookups.candidates is not None:
            self._narrow(lookups.candidates, lookups.upto, within)

    def _compiled(
        self, db: apsw.Connection, table: FlagTable, query: Query, lookups: Lookups | None, everywhere: Everywhere
    ) -> tuple[Compiler, Test]:
        """The query compiled."""
        self.store._shared.learn(db)  # the table's sets: others had their turns while the index was asked
        marks = Marks(db, self.mailbox, self.store.reader) if self.store.reader else None
        lookup = _no_index if lookups is None else lookups.about
        compiler = Compiler(self.mailbox, table, self.store.now, lookup, marks, everywhere)
        return compiler, compiler.compile(query)

    def _narrow(self, candidates: array[int], upto: int, within: UidRanges) -> None:
        """Go by candidates where they are fewer than the messages to be looked at otherwise."""
        if self.compiler.lists > _TESTS:
            return  # candidates come in the order of emails: each batch would gather the UIDs of the whole mailbox
        candidates = candidates[: bisect_right(candidates, upto)]  # conditions of other mailboxes know all emails
        tail = self.store.look(_tail, upto)
        count = min(messages(within), self.store.look(_messages_of, self.mailbox))
        if len(candidates) + len(tail) <= count:
            self.emails = candidates + tail

    def ordered(self, found: array[int]) -> array[int]:
        by_number = self.emails is None and isinstance(self.test, Sql)
        return found if by_number else ascending(found)

    async def run(self) -> AsyncIterator[list[Row]]:
        """Matching rows, batch by batch."""
        test = self.test
        async for rows in self._rows():
            self._tell()
            if isinstance(test, Sql):
                yield rows
                self._reach(rows)
                continue
            open_rows: list[Row] = []
            sure: list[Row] = []
            for row in rows:
                known = test.test(row, None)
                if known:
                    sure.append(row)
                elif known is None:
                    open_rows.append(row)
            yield sure
            if not open_rows:
                self._reach(rows)
            for start in range(0, len(open_rows), _TEXT_BATCH):
                self._tell()
                yield await self._matching(test, open_rows[start : start + _TEXT_BATCH])
                self._reach(open_rows[start : start + _TEXT_BATCH])
                await asyncio.sleep(0)  # others' turn

    def _reach(self, rows: Sequence[Row]) -> None:
        """These have been looked at."""
        if rows:
            self._reached = max(self._reached, rows[-1][UID])

    def _tell(self) -> None:
        """Say how far the search has come, now that there is more to be looked at."""
        if self._reached and self.come_to is not None:
            self.come_to(self._reached)

    async def _rows(self) -> AsyncIterator[list[Row]]:
        """Rows that the SQL part lets through."""
        columns = [column.text for column in self.compiler.columns]
        values: list[SqlValue] = [value for column in self.compiler.columns for value in column.values]
        long = self.compiler.text_columns
        if self.emails is not None:
            where = self._where(self.within)
            if long:
                where = balanced([where, _BEHIND], "AND", TRUE)
            sql = candidates_sql(columns, where.text)
            size = self._at_once(_LONG_BATCH if long else _EMAIL_BATCH)
            for start in range(0, len(self.emails), size):
                some = apsw.carray(self.emails[start : start + size])
                cut, behind = True, (0, 0)
                while cut:
                    bound = within_edges(where.values)
                    given = [*within_edges(values), some, self.mailbox, *bound, *(behind if long else ())]
                    rows, cut = self._fetched(sql, given, long)
                    yield rows
                    await asyncio.sleep(0)  # others' turn
                    if cut:
                        behind = rows[-1][EMAIL], rows[-1][UID]
            return
        batch = self._at_once(_LONG_BATCH if long else _PLAIN_BATCH if isinstance(self.test, Sql) else _ROW_BATCH)
        left, last = self.within, 0
        while left:
            # SQLite begins at one lower bound of `p.uid`, and not always at the highest: each batch would pass over all
            # that came before it, and a million messages cost ten times as much as they should.
            end = self._end(left, batch)
            where = self._where(left if end is None else upto(left, end))
            sql = placements_sql(columns, where.text, batch)
            edges = (last + 1, left[-1][1] if end is None else end)
            given = [*within_edges(values, *edges), self.mailbox, *within_edges(where.values, *edges), last]
            rows, cut = self._fetched(sql, given, long)
            yield rows
            if cut or len(rows) == batch:
                last = rows[-1][UID]
            elif end is None:
                return
            else:
                last = end
            left = after(left, last)
            await asyncio.sleep(0)  # others' turn

    def _at_once(self, rows: int) -> int:
        """So many rows of a batch, fewer where many keys are asked of each."""
        return max(1, rows * _TESTS // max(_TESTS, self.compiler.tests, self.compiler.facts))

    def _fetched(self, sql: str, values: Sequence[object], long: Sequence[int]) -> tuple[list[Row], bool]:
        """Rows, and whether there may be more of them because these have come to so many octets. long: their texts."""
        if long:
            return self.store.look(_fetch_octets, sql, values, long)
        return self.store.look(_fetch, sql, values), False

    def _end(self, left: UidRanges, batch: int) -> int | None:
        """The UID that a statement may go up to; None for all that is left.

        Where each message's mark is looked up, or many keys are asked of it, a statement that passes over thousands of
        messages of which none matches would hold the loop for long.
        """
        marks = self.compiler.marks
        if self.compiler.facts <= _TESTS and (marks is None or not marks.many):
            return None
        return self.store.look(_uid_after, self.mailbox, left[0][0], batch - 1)

    def _where(self, within: UidRanges) -> Sql:
        conditions = [self.bound, uid_condition(within, self.mailbox)]
        if self._upto is not None:
            conditions.append(Sql("p.email <= ?", [self._upto]))
        return balanced(conditions, "AND", TRUE)

    async def _matching(self, test: Python, rows: Sequence[Row]) -> list[Row]:
        """The rows that match by their texts."""
        by_email: dict[int, list[Row]] = {}
        for row in rows:
            by_email.setdefault(row[EMAIL], []).append(row)
        found: list[Row] = []

        def see(email: int, texts: Texts) -> None:
            found.extend(row for row in by_email[email] if test.test(row, texts))

        await self._each_texts(by_email, see)
        return found

    async def scores(self, rows: list[Row]) -> dict[int, float]:
        """Relevancy of matching rows, 0 to 1. Texts are read (again) of those rows that need them for it."""
        scores = self.compiler.scores
        if not scores:
            return {row[UID]: 1.0 for row in rows}
        found: dict[int, float] = {}
        open_rows: dict[int, list[Row]] = {}

        def score(row: Row, texts: Texts | None) -> bool:
            parts = [score(row, texts) for score in scores]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return False
            found[row[UID]] = sum(known) / len(known)
            return True

        for row in rows:
            if not score(row, None):
                open_rows.setdefault(row[EMAIL], []).append(row)

        def see(email: int, texts: Texts) -> None:
            for row in open_rows[email]:
                score(row, texts)

        emails = list(open_rows)
        for start in range(0, len(emails), _TEXT_BATCH):
            await self._each_texts(emails[start : start + _TEXT_BATCH], see)
            await asyncio.sleep(0)  # others' turn
        return found

    async def _each_texts(self, emails: Iterable[int], see: Callable[[int, Texts], None]) -> None:
        """Show the texts of emails one after the other: a large one is let go at once.

        Those that came so lately that their text is not stored yet come last, made on the way; and those of which it
        could not be made: one that still cannot be read has none.
        """
        keys = array("q", sorted(emails))
        waiting: list[Waiting] = []
        limits, wanted = self.store.limits, self.compiler.wanted
        while keys:
            more, come_to, apart = self.store.look(show, keys, see, limits, wanted)
            waiting += more
            keys = keys[come_to:]
            if apart:
                await asyncio.to_thread(see_all, apart, see)
            elif keys:
                await asyncio.sleep(0)  # others' turn: large ones
        while waiting:
            count = bodies.at_once([size for *_, size in waiting])
            some = waiting[:count]
            octets = await bodies.octets_of(self.store, [stored for *_, stored, _ in some])
            made = await asyncio.to_thread(_read_all, some, octets, limits, wanted)
            pairs = zip([email for email, *_ in some], made, strict=True)
            if wanted.keys > _TESTS:
                await asyncio.to_thread(see_all, pairs, see)
            else:
                see_all(pairs, see)
            del waiting[:count]


def _read_all(some: Sequence[Waiting], octets: Sequence[bytes | None], limits: Limits, wanted: Wanted) -> list[Texts]:
    """Texts of messages that had to be read; those of bodies are made where they are wanted and not there."""
    found: list[Texts] = []
    for one, data in zip(some, octets, strict=True):
        body = one[2] or bodies.stored_texts([data], limits)[0] if wanted.bodies else b""
        found.append(Texts(one[1], body, Header(data or b"", limits) if wanted.compared else None))
    return found


def candidates_sql(columns: Sequence[str], where: str) -> str:
    """Rows of placements of given emails. Parameters: those of the columns, the emails, the mailbox, of `where`."""
    return (
        f"SELECT {', '.join(['p.uid', 'p.email', *columns])} FROM carray(?) AS c"
        " CROSS JOIN placement AS p INDEXED BY placement_email ON p.email = c.value AND p.mailbox = ?"
        f"{_joins(columns, where).replace(' JOIN', ' CROSS JOIN')} WHERE {where}"
    )


def placements_sql(columns: Sequence[str], where: str, batch: int) -> str:
    """Rows by UID. Parameters: those of the columns, the mailbox, of `where`, the UID behind which to go on.

    SQLite chooses the order of the tables: an EMAILID leads from the email to its placements.
    """
    return (
        f"SELECT {', '.join(['p.uid', 'p.email', *columns])} FROM placement AS p{_joins(columns, where)}"
        f" WHERE p.mailbox = ? AND {where} AND p.uid > ? ORDER BY p.uid LIMIT {batch}"
    )


def _joins(columns: Sequence[str], where: str) -> str:
    used = " ".join(["", *columns, where])
    return "".join([join for mark, join in _JOINS if any(before + mark in used for before in (" ", "(", ","))])


def has_texts(query: Query) -> bool:
    """Whether any string is looked for: only then is an index of use."""
    return any(isinstance(leaf, Contains | HeaderContains | FieldMatches) for leaf in leaves(query))


def _no_index(_needle: str, _fuzzy: bool) -> None:
    return None


def _fetch(db: apsw.Connection, sql: str, values: Sequence[object]) -> list[Row]:
    rows: list[Row] = typed(db.execute(sql, values))
    return rows


def _fetch_octets(
    db: apsw.Connection, sql: str, values: Sequence[object], long: Sequence[int]
) -> tuple[list[Row], bool]:
    """The first rows until their texts, the columns `long`, come to _LONG_OCTETS; whether they did."""
    rows: list[Row] = []
    octets = 0
    cursor = db.execute(sql, values)
    try:
        while some := list(islice(cursor, _LONG_CHECK)):
            rows += some
            for at in long:
                octets += sum([len(row[at]) for row in some])
            if octets >= _LONG_OCTETS:
                return rows, True
    finally:
        cursor.close()  # not read to its end: the statement would go on
    return rows, False


_BEHIND = Sql("(p.email, p.uid) > (?, ?)")
"""Of candidates, which come in the order of emails and their UIDs, those behind one."""


def _uid_after(db: apsw.Connection, mailbox: int, uid: int, count: int) -> int | None:
    """The UID of the message that stands `count` behind the first one from `uid` on; None where there are not so many.

    Cost: an index range as long.
    """
    found: int | None = db.execute(UID_AFTER, (mailbox, uid, count)).get
    return found


UID_AFTER = "SELECT uid FROM placement WHERE mailbox = ? AND uid >= ? ORDER BY uid LIMIT 1 OFFSET ?"


def _tail(db: apsw.Connection, upto: int) -> array[int]:
    """Emails that an index has not come to yet."""
    return array("q", list(chain.from_iterable(db.execute("SELECT key FROM email WHERE key > ?", (upto,)))))


def _messages_of(db: apsw.Connection, mailbox: int) -> int:
    return int(db.execute("SELECT messages FROM mailbox WHERE key = ?", (mailbox,)).get or 0)
