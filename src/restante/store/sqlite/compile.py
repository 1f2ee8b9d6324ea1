"""The query language compiled: what SQL says becomes an expression, what it cannot say a test of a message's texts.

Flags, dates, sizes, identities, UIDs and the five address and subject fields become SQL. Texts that are stored
compressed (body, whole header; see `texts`) are compared in Python. Such a test is asked twice: first without the
texts, when it says yes, no, or that it must see them (None); so only texts that decide anything are read. Attachments
are looked for in the stored BODYSTRUCTURE. Where an index knows the needle, the first answer is no for all but the
candidates.

Beside the test a query gives its candidates: emails outside of which nothing can match, or None.

Both sides of every comparison are folded (i;unicode-casemap), so a substring of stored octets is the RFC's substring
match. RFC 9051 6.4.4, RFC 7162 3.1.5, RFC 8474 6, RFC 5032, RFC 6203.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ...mime.attached import has_attachment
from ...mime.fold import fold
from ...mime.headers import CACHED_FIELDS
from ...query.fields import matcher, needle
from ...query.grams import CLOSE, Closeness, closeness
from ...query.language import (
    All,
    And,
    Contains,
    Dated,
    EmailHas,
    EmailId,
    Field,
    FieldMatches,
    Fuzzy,
    HasAttachment,
    HasFlag,
    HeaderContains,
    Larger,
    ModSeq,
    Not,
    Or,
    Placed,
    Query,
    Received,
    Smaller,
    ThreadHas,
    ThreadId,
    Uids,
    Within,
)
from ..model import FlagTable
from .candidates import Joined, Leaf, Lookup
from .conditions import FALSE, TRUE, Sql, balanced, dated, is_seen, lists_uids, told, uid_condition
from .everywhere import Everywhere
from .shown import envelope_holds, field_holds, raw_forms
from .texts import Fields, Texts, Wanted

if TYPE_CHECKING:
    from .marks import Marks

Row = tuple[Any, ...]
"""(uid, email, *values of `Compiler.columns`)."""

UID, EMAIL, FIRST_COLUMN = 0, 1, 2
_COLUMNS = {
    Field.FROM: "s.sender",
    Field.TO: "s.recipient",
    Field.CC: "s.cc",
    Field.BCC: "s.bcc",
    Field.SUBJECT: "s.subject",
}
_ADDRESSES = frozenset({Field.FROM, Field.TO, Field.CC, Field.BCC})
_NAMED = {"from": Field.FROM, "to": Field.TO, "cc": Field.CC, "bcc": Field.BCC, "subject": Field.SUBJECT}
_MOST_STRUCTURE = 1 << 16
"""Octets of a BODYSTRUCTURE that are looked at: rows are held by the thousand, and a hostile one may be large."""
_OF_LINES = 8
"""What a key costs that looks at each line of a header, beside one that looks for a string in all of it."""
_PIECES = 8
"""Pieces of a fuzzy string that cost as much as a key."""
_HEADER_WEIGHT, _BODY_WEIGHT = 0.8, 0.6
"""What a fuzzy match is worth that is only in the header as a whole, or in the body; subject and addresses: 1."""


Evaluate = Callable[[Row, Texts | None], bool | None]
Score = Callable[[Row, Texts | None], float | None]


@dataclass(slots=True)
class Python:
    """A test in Python, and the SQL expression that holds wherever the test can (`bound`)."""

    test: Evaluate
    bound: Sql


Test = Sql | Python


class Compiler:
    """Turns one query into a test; collects the SQL columns that Python asks for.

    lookup: the index. marks: those of somebody who is not the owner, for whom \\Seen and mod-sequences are his own (see
    `reader`). everywhere: emails of conditions that other mailboxes decide, too (see `everywhere`).
    """

    def __init__(
        self,
        mailbox: int,
        table: FlagTable,
        now: int,
        lookup: Lookup,
        marks: Marks | None = None,
        everywhere: Everywhere | None = None,
    ) -> None:
        self.mailbox = mailbox
        self.marks = marks
        self.table = table
        self.now = now
        self.columns: list[Sql] = []
        self.scores: list[Score] = []
        """Of the fuzzy strings, in the query's order."""
        self.tests = 0
        """How many keys are asked of each row in Python."""
        self.facts = 0
        """How many keys SQL looks at."""
        self.lists = 0
        """How many of them are lists of UIDs."""
        self.wanted = Wanted()
        """What tests look at of texts."""
        self._everywhere = everywhere or Everywhere()
        self._lookup = lookup
        self._fuzzy = False
        self._text_columns: dict[str, int] = {}

    @property
    def text_columns(self) -> tuple[int, ...]:
        """Where in a row texts stand, which may be long."""
        return tuple(self._text_columns.values())

    def compile(self, query: Query) -> Test:
        test = self._compiled(query)
        if isinstance(query, And | Or | Not | Fuzzy):
            return test
        if isinstance(test, Python):
            self.tests += 1
        else:
            self.facts += 1
            self.lists += lists_uids(test)
        return test

    def _compiled(self, query: Query) -> Test:
        match query:
            case And(operands):
                return self._junction(operands, conjunction=True)
            case Or(operands):
                return self._junction(operands, conjunction=False)
            case Not(operand):
                scores = len(self.scores)
                test = _negated(self.compile(operand))
                del self.scores[scores:]  # what must not be there says nothing of how well the rest fits
                return test
            case Fuzzy(operand):
                before, self._fuzzy = self._fuzzy, True
                test = self.compile(operand)
                self._fuzzy = before
                return test
            case Contains(where, text):
                return self._contains(where, text)
            case HeaderContains(name, text):
                known = _NAMED.get(name.lower())
                return self._contains(known, text, as_written=True) if known and text else self._header(name, text)
            case FieldMatches():
                return self._field_matches(query)
            case Placed() | EmailHas() | ThreadHas():
                emails = self._everywhere.emails[query]
                return Python(lambda row, texts: _is_in(emails, row[EMAIL]), TRUE)
            case HasAttachment():
                at = self._text_column(f"substr(a.bodystructure, 1, {_MOST_STRUCTURE})")
                return Python(lambda row, texts: has_attachment(row[at]), TRUE)
            case _:
                return self._fact(query)

    def candidates(self, query: Query) -> array[int] | Joined | None:
        """Emails, indexed or not, outside of which nothing that is indexed can match; None: there may be any."""
        return self._candidates(query, fuzzy=False)

    def _candidates(self, query: Query, *, fuzzy: bool) -> array[int] | Joined | None:
        match query:
            case And(operands):
                found = [c for c in (self._candidates(o, fuzzy=fuzzy) for o in operands) if c is not None]
                return Joined(True, found) if len(found) > 1 else found[0] if found else None
            case Or(operands):
                every = [self._candidates(operand, fuzzy=fuzzy) for operand in operands]
                some = [c for c in every if c is not None]
                return Joined(False, some) if len(some) == len(every) else None
            case Fuzzy(operand):
                return self._candidates(operand, fuzzy=True)
            case Contains(where, text) if text and not fuzzy and where in _ADDRESSES:
                forms = raw_forms(fold(text))
                leaves = self._leaves(forms)
                return None if leaves is None else Joined(False, [leaf.emails for leaf in leaves])
            case FieldMatches():
                any_of = self._leaves_of(query)
                return None if any_of is None else Joined(False, [leaf.emails for leaf in any_of])
            case Placed() | EmailHas() | ThreadHas():
                return self._everywhere.emails[query]
            case Contains(_, text) | HeaderContains(_, text) if text:
                leaf = self._lookup(fold(text), fuzzy)
                return None if leaf is None else leaf.emails
            case _:
                return None

    def _fact(self, query: Query) -> Sql:
        match query:
            case All():
                return TRUE
            case HasFlag(name) if self.marks is not None and is_seen(name):
                return self.marks.seen()
            case HasFlag(name):
                return Sql(f"p.flagset IN ({','.join(map(str, self.table.having(name)))})")
            case Uids(ranges):
                return uid_condition(ranges, self.mailbox)
            case Dated(instant, order, day):
                return dated(instant, order, day)
            case Larger(octets):
                return Sql("p.size > ?", [octets])
            case Smaller(octets):
                return Sql("p.size < ?", [octets])
            case Received(order, at):
                return Sql(f"p.received {order.value} ?", [at])
            case ModSeq(at_least):
                number = min(at_least, 2**63 - 1)
                placed = Sql("p.modseq >= ?", [number])
                return placed if self.marks is None else balanced([placed, self.marks.touched(number)], "OR", FALSE)
            case EmailId(id):
                return Sql("e.id = ?", [id])
            case ThreadId(id):
                return Sql("e.thread = ?", [id])
            case Within(seconds, younger):
                return Sql("p.received >= ?" if younger else "p.received <= ?", [self.now - seconds])
            case _:
                raise TypeError(f"not resolved before the engine saw it: {type(query).__name__}")

    # Texts -----------------------------------------------------------------------------------------------

    def _contains(self, where: Field, text: str, *, as_written: bool = False) -> Test:
        """as_written: the field's own text is meant (HEADER), not what an ENVELOPE makes of it."""
        needle = fold(text)
        if not _storable(needle):
            return FALSE
        if where in _COLUMNS:
            if not needle:
                return self._header(where.value, "")
            if self._fuzzy:
                return self._fuzzy_column(_COLUMNS[where], needle)
            column = _COLUMNS[where]
            as_it_is = as_written or where is Field.SUBJECT
            return field_holds(column, needle) if as_it_is else envelope_holds(column, needle)
        if not needle:
            return TRUE
        self.wanted.bodies = True
        if self._fuzzy:
            return self._fuzzy_texts(where, needle)
        self.wanted.keys += 1
        raw = needle.encode("utf-8")
        leaf = self._lookup(needle, False)
        if where is Field.BODY:
            return Python(_first_asked(leaf, lambda texts: texts.in_body(raw)), TRUE)
        whole = leaf is not None and leaf.whole
        if b" " not in raw:
            return Python(_first_asked(leaf, lambda texts: raw in texts.header or raw in texts.body, whole=whole), TRUE)
        self.wanted.keys += 1

        def holds(texts: Texts) -> bool:
            return raw in texts.header or raw in texts.body or raw in texts.even_header

        return Python(_first_asked(leaf, holds, whole=whole), TRUE)

    def _header(self, name: str, text: str) -> Test:
        """Lines of the folded header are "name: value", a field a line (mime's SearchText.header)."""
        folded, needle_text = fold(name), fold(text)
        if not _storable(folded) or not _storable(needle_text):
            return FALSE
        start = b"\n" + folded.encode("utf-8") + b":"
        needle = needle_text.encode("utf-8")
        self.wanted.keys += _OF_LINES

        def holds(texts: Texts) -> bool:
            if _line_holds(texts.header, start, needle):
                return True
            return b" " in needle and _line_holds(texts.even_header, start, needle)

        return Python(_first_asked(self._lookup(needle_text, False) if needle else None, holds), TRUE)

    def _field_matches(self, query: FieldMatches) -> Python:
        """The raw header decides, of messages that the index does not rule out."""
        cached = all(name.lower().encode("utf-8", "replace") in CACHED_FIELDS for name in query.names)
        if self.wanted.fields is not Fields.ALL:
            self.wanted.fields = Fields.CACHED if cached else Fields.ALL
        self.wanted.compared += 1
        leaves = self._leaves_of(query)
        holds = cache(lambda: matcher(query))  # made when first asked: where the index is asked alone, it never is

        def test(row: Row, texts: Texts | None) -> bool | None:
            if leaves is not None and not any(leaf.may_hold(row[EMAIL]) for leaf in leaves):
                return False
            return None if texts is None else holds()(texts.fields)

        return Python(test, TRUE)

    def _leaves_of(self, query: FieldMatches) -> list[Leaf] | None:
        """What the index says of its needles, of which one must be there; None where it cannot tell."""
        needles = needle(query)
        return None if needles is None else self._leaves(needles)

    def _leaves(self, needles: Sequence[str]) -> list[Leaf] | None:
        """What the index says of each; None where it cannot tell of one."""
        leaves = [leaf for each in needles if (leaf := self._lookup(each, False)) is not None]
        return leaves if len(leaves) == len(needles) else None

    def _fuzzy_column(self, column: str, needle: str) -> Python:
        at, close = self._text_column(column), closeness(needle)
        self.tests += close.pieces // _PIECES

        def score(row: Row, texts: Texts | None) -> float | None:
            return close.of(row[at].__contains__)

        self.scores.append(score)
        return Python(lambda row, texts: close.of(row[at].__contains__) >= CLOSE, TRUE)

    def _fuzzy_texts(self, where: Field, needle: str) -> Python:
        close = closeness(needle)
        leaf = self._lookup(needle, True)
        columns = [self._text_column(column) for column in _COLUMNS.values()] if where is Field.TEXT else []
        self.tests += (1 + len(columns)) * close.pieces // _PIECES
        self.wanted.keys += close.pieces + 1

        def of_body(texts: Texts) -> float:
            if columns:
                return _close(close, texts.body)
            return close.of(lambda piece: texts.in_body(piece.encode("utf-8")))

        def holds(texts: Texts) -> bool:
            if columns and _close(close, texts.header) >= CLOSE:
                return True
            return of_body(texts) >= CLOSE

        def score(row: Row, texts: Texts | None) -> float | None:
            best = max((close.of(row[at].__contains__) for at in columns), default=0.0)
            if best == 1:
                return best
            if texts is None:
                return None
            if columns:
                best = max(best, _HEADER_WEIGHT * _close(close, texts.header))
            return max(best, _BODY_WEIGHT * of_body(texts)) if best < _BODY_WEIGHT else best

        self.scores.append(score)
        return Python(_first_asked(leaf, holds), TRUE)

    # Junctions -------------------------------------------------------------------------------------------

    def _junction(self, operands: tuple[Query, ...], *, conjunction: bool) -> Test:
        tests = [self.compile(operand) for operand in operands]
        plain = [t for t in tests if isinstance(t, Sql)]
        in_python = [t for t in tests if isinstance(t, Python)]
        operator, empty = ("AND", TRUE) if conjunction else ("OR", FALSE)
        joined = balanced(plain, operator, empty)
        if not in_python:
            return joined
        bound = balanced([joined, *(t.bound for t in in_python)], operator, empty)
        functions = [t.test for t in in_python]
        if plain:
            # for the outermost AND the bound holds already for every row that is looked at; asked again as a column it
            # is right anywhere
            at = self._column(told(joined, 1, 0))
            functions.insert(0, lambda row, texts: bool(row[at]))
        return Python(_all_of(functions) if conjunction else _any_of(functions), bound)

    def _text_column(self, name: str) -> int:
        """A column asked for by many keys stands once: SQLite bounds how many there are (2,000)."""
        if name not in self._text_columns:
            self._text_columns[name] = self._column(Sql(name))
        return self._text_columns[name]

    def _column(self, test: Sql) -> int:
        self.columns.append(test)
        return FIRST_COLUMN + len(self.columns) - 1


def _first_asked(leaf: Leaf | None, holds: Callable[[Texts], bool], *, whole: bool = False) -> Evaluate:
    """A test that says what it can before it has seen the texts."""
    if leaf is None:
        return lambda row, texts: None if texts is None else holds(texts)
    may_hold, upto, unread = leaf.may_hold, leaf.upto, leaf.unread

    def test(row: Row, texts: Texts | None) -> bool | None:
        email = row[EMAIL]
        if not may_hold(email):
            return False
        if whole and email <= upto and email not in unread:
            return True
        return None if texts is None else holds(texts)

    return test


def _negated(inner: Test) -> Test:
    if isinstance(inner, Sql):
        return told(inner, 0, 1)
    test = inner.test

    def negated(row: Row, texts: Texts | None) -> bool | None:
        found = test(row, texts)
        return None if found is None else not found

    return Python(negated, TRUE)


def _all_of(functions: Sequence[Evaluate]) -> Evaluate:
    def test(row: Row, texts: Texts | None) -> bool | None:
        known: bool | None = True
        for function in functions:
            found = function(row, texts)
            if found is False:
                return False
            if found is None:
                known = None
        return known

    return test


def _any_of(functions: Sequence[Evaluate]) -> Evaluate:
    def test(row: Row, texts: Texts | None) -> bool | None:
        known: bool | None = False
        for function in functions:
            found = function(row, texts)
            if found is True:
                return True
            if found is None:
                known = None
        return known

    return test


def _line_holds(header: bytes, start: bytes, needle: bytes) -> bool:
    """Whether a line that begins so (behind a line end) holds the needle."""
    header = b"\n" + header
    at = header.find(start)
    while at >= 0:
        begin = at + len(start)
        end = header.find(b"\n", begin)
        if header.find(needle, begin, len(header) if end < 0 else end) >= 0:
            return True
        at = header.find(start, begin)
    return False


def _close(close: Closeness, octets: bytes) -> float:
    return close.of(lambda piece: piece.encode("utf-8") in octets)


def _is_in(emails: array[int], email: int) -> bool:
    """Whether it is among these, which are ascending."""
    at = bisect_left(emails, email)
    return at < len(emails) and emails[at] == email


def _storable(needle: str) -> bool:
    """Whether a stored text can hold it: one with a lone surrogate is in none."""
    if needle.isascii():
        return True
    try:
        needle.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
