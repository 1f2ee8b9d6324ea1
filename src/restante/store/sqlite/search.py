"""SEARCH over an account's file: the query language compiled to one SELECT, and what SQL cannot say evaluated.

Flags, dates, sizes, identities, UIDs and the five address and subject fields become SQL. Texts that are stored
compressed (body, whole header) are compared in Python over the candidates that the SQL part leaves: a `Test` is
either an SQL expression or a function over a row. Both sides of every text comparison are folded
(i;unicode-casemap), so a substring of stored octets is the RFC's substring match.

Long scans give way to the event loop between batches; no statement lives across an await.
RFC 9051 6.4.4, RFC 3501 6.4.4, RFC 7162 3.1.5, RFC 8474 6, RFC 5032.
"""

from __future__ import annotations

import asyncio
import json
import re
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import apsw

from ...mime.fold import fold
from ...mime.model import Limits
from ...query.language import (
    All,
    And,
    Contains,
    Dated,
    EmailId,
    Field,
    HasFlag,
    HeaderContains,
    Instant,
    Larger,
    ModSeq,
    Not,
    Or,
    Order,
    Query,
    Smaller,
    ThreadId,
    Uids,
    Within,
)
from ..model import FlagTable, UidRanges
from . import bodies, content
from .content import decode

SqlValue = int | str | bytes
Row = tuple[Any, ...]  # (uid, header, body or None where it is not made yet, content, size, *SQL tests)
Evaluate = Callable[[Row], bool]
Read = Callable[..., Any]

_TEXT_BATCH = 256  # candidates whose texts are fetched at once: about 2 ms of the loop's time
_PLAIN_BATCH = 20_000
_MANY_RANGES = 8  # more than this, and the ranges go in as one bound JSON value
_COLUMNS = {
    Field.FROM: "s.sender",
    Field.TO: "s.recipient",
    Field.CC: "s.cc",
    Field.BCC: "s.bcc",
    Field.SUBJECT: "s.subject",
}
_NAMED = {"from": Field.FROM, "to": Field.TO, "cc": Field.CC, "bcc": Field.BCC, "subject": Field.SUBJECT}
_JOINS = (
    (re.compile(r"\be\."), " JOIN email AS e ON e.key = p.email"),
    (re.compile(r"\bk\."), " JOIN sortkey AS k ON k.email = p.email"),
    (re.compile(r"\bs\."), " JOIN search_text AS s ON s.email = p.email"),
    (re.compile(r"\bb\."), " LEFT JOIN body_text AS b ON b.email = p.email"),
)
_HEADER, _BODY, _CONTENT, _SIZE, _FIRST_TEST = 1, 2, 3, 4, 5
_DAY = 86_400
_LARGEST_TEXT = 1 << 28  # octets; mime bounds what is kept long before


@dataclass(slots=True)
class _Sql:
    """An SQL expression over `p` (placement), `e` (email), `k` (sortkey), `s` (search_text), and its values."""

    text: str
    values: list[SqlValue] = field(default_factory=list)


_TRUE = _Sql("1")


@dataclass(slots=True)
class _Python:
    """A test in Python, and the SQL expression that holds wherever the test can (`bound`)."""

    test: Evaluate
    bound: _Sql


_Test = _Sql | _Python


def _balanced(parts: list[_Sql], operator: str, empty: _Sql) -> _Sql:
    """Join expressions as a balanced tree, since SQLite bounds the depth of an expression (1,000)."""
    if not parts:
        return empty
    while len(parts) > 1:
        joined = []
        for i in range(0, len(parts) - 1, 2):
            a, b = parts[i], parts[i + 1]
            joined.append(_Sql(f"({a.text} {operator} {b.text})", a.values + b.values))
        if len(parts) % 2:
            joined.append(parts[-1])
        parts = joined
    return parts[0]


class _Compiler:
    """Turns one query into a test; collects which tables are needed and the SQL tests that Python asks for."""

    def __init__(self, mailbox: int, table: FlagTable, now: int) -> None:
        self.mailbox = mailbox
        self.table = table
        self.now = now
        self.columns: list[_Sql] = []
        self.header = False
        self.body = False

    def compile(self, query: Query) -> _Test:
        match query:
            case And(operands):
                return self._junction(operands, conjunction=True)
            case Or(operands):
                return self._junction(operands, conjunction=False)
            case Not(operand):
                inner = self.compile(operand)
                if isinstance(inner, _Sql):
                    return _Sql(f"NOT COALESCE({inner.text}, 0)", inner.values)
                test = inner.test
                return _Python(lambda row: not test(row), _TRUE)
            case Contains(where, text):
                return self._contains(where, text)
            case HeaderContains(name, text):
                known = _NAMED.get(name.lower())
                return self._contains(known, text) if known and text else self._header(name, text)
            case _:
                return self._fact(query)

    def _fact(self, query: Query) -> _Sql:
        match query:
            case All():
                return _TRUE
            case HasFlag(name):
                numbers = ",".join(str(n) for n, flags in self.table.items() if name in flags)
                return _Sql(f"p.flagset IN ({numbers})")
            case Uids(ranges):
                return uid_condition(ranges, self.mailbox)
            case Dated(instant, order, day):
                return _dated(instant, order, day)
            case Larger(octets):
                return _Sql("p.size > ?", [octets])
            case Smaller(octets):
                return _Sql("p.size < ?", [octets])
            case ModSeq(at_least):
                return _Sql("p.modseq >= ?", [min(at_least, 2**63 - 1)])
            case EmailId(id):
                return _Sql("e.id = ?", [id])
            case ThreadId(id):
                return _Sql("e.thread = ?", [id])
            case Within(seconds, younger):
                return _Sql("p.received >= ?" if younger else "p.received <= ?", [self.now - seconds])
            case _:
                raise TypeError(f"not resolved before the engine saw it: {type(query).__name__}")

    def _contains(self, where: Field, text: str) -> _Test:
        needle = fold(text)
        if where in _COLUMNS:
            if not needle:
                return self._header(where.value, "")
            return _Sql(f"instr({_COLUMNS[where]}, ?) > 0", [needle])
        if not needle:
            return _TRUE
        raw = needle.encode("utf-8", "surrogatepass")
        self.body = True
        if where is Field.BODY:
            return _Python(lambda row: raw in _text(row[_BODY]), _TRUE)
        self.header = True
        return _Python(lambda row: raw in _text(row[_HEADER]) or raw in _text(row[_BODY]), _TRUE)

    def _header(self, name: str, text: str) -> _Python:
        """Lines of the folded header are "name: value", a field a line (mime's SearchText.header)."""
        self.header = True
        start = b"\n" + fold(name).encode("utf-8", "surrogatepass") + b":"
        needle = fold(text).encode("utf-8", "surrogatepass")

        def test(row: Row) -> bool:
            header = b"\n" + _text(row[_HEADER])
            at = header.find(start)
            while at >= 0:
                begin = at + len(start)
                end = header.find(b"\n", begin)
                if header.find(needle, begin, len(header) if end < 0 else end) >= 0:
                    return True
                at = header.find(start, begin)
            return False

        return _Python(test, _TRUE)

    def _junction(self, operands: tuple[Query, ...], *, conjunction: bool) -> _Test:
        tests = [self.compile(operand) for operand in operands]
        plain = [t for t in tests if isinstance(t, _Sql)]
        in_python = [t for t in tests if isinstance(t, _Python)]
        operator, empty = ("AND", _TRUE) if conjunction else ("OR", _Sql("0"))
        joined = _balanced(plain, operator, empty)
        if not in_python:
            return joined
        bound = _balanced([joined, *(t.bound for t in in_python)], operator, empty)
        functions = [t.test for t in in_python]
        if conjunction:
            if plain:
                # the bound already holds for every row that is looked at only if this is the outermost AND;
                # asked again as a column it is right anywhere
                at = self._column(joined)
                return _Python(lambda row: bool(row[at]) and all(f(row) for f in functions), bound)
            return _Python(lambda row: all(f(row) for f in functions), bound)
        if plain:
            at = self._column(joined)
            return _Python(lambda row: bool(row[at]) or any(f(row) for f in functions), bound)
        return _Python(lambda row: any(f(row) for f in functions), bound)

    def _column(self, test: _Sql) -> int:
        self.columns.append(test)
        return _FIRST_TEST + len(self.columns) - 1


def _text(stored: bytes) -> bytes:
    """UTF-8 octets of a text column (content.encode_text). UTF-8 is self-synchronising: a substring of octets is a
    substring of characters."""
    return decode(stored[0], stored[1:], _LARGEST_TEXT) if stored else b""


def uid_condition(ranges: UidRanges, mailbox: int) -> _Sql:
    """`p.uid` lies in these ranges. Many ranges are bound as one value; cost grows with the UIDs that exist."""
    if not ranges:
        return _Sql("0")
    if len(ranges) <= _MANY_RANGES:
        parts = [_Sql("p.uid BETWEEN ? AND ?", [low, high]) for low, high in ranges]
        return _balanced(parts, "OR", _TRUE)
    return _Sql(
        "p.uid IN (SELECT q.uid FROM json_each(?) AS j CROSS JOIN placement AS q"
        " WHERE q.mailbox = ? AND q.uid BETWEEN j.value ->> 0 AND j.value ->> 1)",
        [json.dumps(ranges), mailbox],
    )


def _dated(instant: Instant, order: Order, day: date) -> _Sql:
    if instant is Instant.SENT:
        number = (day - date(1970, 1, 1)).days
        return _Sql(f"k.sent_day {order.value} ?", [number])
    column = "p.received" if instant is Instant.RECEIVED else "p.saved"
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    match order:
        case Order.BEFORE:
            return _Sql(f"{column} < ?", [start])
        case Order.SINCE:
            return _Sql(f"{column} >= ?", [start])
        case Order.ON:
            return _Sql(f"{column} BETWEEN ? AND ?", [start, start + _DAY - 1])


def _statement(compiler: _Compiler, mailbox: int, where: _Sql, batch: int) -> tuple[str, list[SqlValue]]:
    """The SELECT for rows after a UID (last value but one) in batches (last value)."""
    columns = ["p.uid", "s.header" if compiler.header else "NULL"]
    columns += ["b.body", "e.content", "p.size"] if compiler.body else ["NULL", "NULL", "NULL"]
    columns += [c.text for c in compiler.columns]
    values: list[SqlValue] = [v for c in compiler.columns for v in c.values]
    used = " ".join([*columns, where.text])
    joins = "".join(join for mark, join in _JOINS if mark.search(used))
    sql = (
        f"SELECT {', '.join(columns)} FROM placement AS p{joins}"
        f" WHERE p.mailbox = ? AND {where.text} AND p.uid > ? ORDER BY p.uid LIMIT {batch}"
    )
    return sql, [*values, mailbox, *where.values]


def _fetch(db: apsw.Connection, sql: str, values: list[SqlValue]) -> list[Row]:
    return list(db.execute(sql, values))


async def search(
    read: Read,
    table: FlagTable,
    mailbox: int,
    query: Query,
    within: UidRanges,
    now: int,
    limits: Limits,
    come_to: Callable[[int], None] | None = None,
) -> array[int]:
    """UIDs of `within` that match, ascending.

    read(f, *args): calls f(connection, *args) on the account's reader. table: the account's flag sets, fresh.
    limits: bounds on the text of a body that has to be made on the way. come_to: is told how far the scan has come.
    """
    compiler = _Compiler(mailbox, table, now)
    test = compiler.compile(query)
    bound = test if isinstance(test, _Sql) else test.bound
    where = _balanced([uid_condition(within, mailbox), bound], "AND", _TRUE)
    batch = _PLAIN_BATCH if isinstance(test, _Sql) else _TEXT_BATCH
    sql, values = _statement(compiler, mailbox, where, batch)
    found, last = array("I"), 0
    while True:
        rows: list[Row] = read(_fetch, sql, [*values, last])
        if compiler.body:
            await _make_bodies(read, rows, limits)
        found.extend(_matching(test, rows))
        if len(rows) < batch:
            return found
        last = rows[-1][0]
        if come_to is not None:
            come_to(last)
        await asyncio.sleep(0)  # others' turn


async def _make_bodies(read: Read, rows: list[Row], limits: Limits) -> None:
    """Put texts into rows whose messages came so lately that theirs are not stored yet."""
    waiting = [at for at, row in enumerate(rows) if row[_BODY] is None]
    while waiting:
        some = bodies.at_once([rows[at][_SIZE] for at in waiting])
        octets = read(content.read_many, [rows[at][_CONTENT] for at in waiting[:some]])
        texts = await asyncio.to_thread(bodies.stored_texts, octets, limits)
        for at, text in zip(waiting[:some], texts, strict=True):
            row = rows[at]
            rows[at] = (*row[:_BODY], text, *row[_BODY + 1 :])
        del waiting[:some]


def _matching(test: _Test, rows: list[Row]) -> Iterable[int]:
    if isinstance(test, _Sql):
        return (row[0] for row in rows)
    return (row[0] for row in rows if test.test(row))
