"""FETCH answers: columns out of the buffer for thousands of messages, items for one.

A listing asks for UID and FLAGS (and is given MODSEQ): `Rows` takes whole runs of such lines by one regular expression
over the buffer and keeps two columns, a number and the number of a flag set. 100,000 lines take a tenth of a second.

RFC 9051 7.5.2, RFC 3501 7.4.2, RFC 7162 7, RFC 8474 5.3.
"""

from __future__ import annotations

import re
from array import array
from datetime import UTC, datetime

from .answers import BadAnswer, Data

_ROW = re.compile(
    rb"^\* [0-9]++ FETCH "
    rb"\((?:UID ([0-9]{1,18})|FLAGS (\([^()\"{}\r\n]*+\))|MODSEQ \([0-9]++\)|RFC822\.SIZE [0-9]++| )+\)\r\n",
    re.MULTILINE,
)
_RUN = re.compile(
    rb"(?:\* [0-9]++ FETCH "
    rb"\((?:UID [0-9]{1,18}|FLAGS \([^()\"{}\r\n]*+\)|MODSEQ \([0-9]++\)|RFC822\.SIZE [0-9]++| )+\)\r\n)*"
)


MOST_ROWS = 1 << 25
MOST_SETS = 500_000
"""Lines, and distinct flag sets, of one listing: a server whose answer never ends is not listened to for ever."""
_HIGHEST = (1 << 32) - 1


class Rows:
    """UIDs and flags of many messages, as they come; BadAnswer past `MOST_ROWS`, `MOST_SETS`, and for no UID.

    uids: a column. kinds: for each, the number of its flag set in `sets`. sets: distinct flag lists as they came, with
    parentheses: b"(\\Seen)". Lines without UID or FLAGS are passed over: nobody asked for them.
    """

    def __init__(self) -> None:
        self.uids = array("Q")
        self.kinds = array("I")
        self.sets: list[bytes] = []
        self._numbers: dict[bytes, int] = {}

    def take(self, buffer: bytes, start: int, end: int) -> int:
        """`answers.RowSink`."""
        piece = buffer[start:end] if start or end < len(buffer) else buffer
        found = _ROW.findall(piece)
        if len(found) != piece.count(b"\n"):  # other answers stand between: only up to the first
            run = _RUN.match(piece)
            assert run is not None, "matches nothing too"
            if not run.end():
                return start
            end = start + run.end()
            found = _ROW.findall(piece, 0, run.end())
        self._keep([row for row in found if row[0] and row[1]])
        return end

    def clear(self) -> None:
        """Forget all."""
        del self.uids[:]
        del self.kinds[:]

    def add(self, uid: int, flags: bytes) -> None:
        """One message whose line was not plain. flags: with parentheses."""
        if uid > _HIGHEST:
            raise BadAnswer("The server gives a message a number that is no UID.")
        self._keep([(b"%d" % uid, flags)])

    def _keep(self, found: list[tuple[bytes, bytes]]) -> None:
        if not found:
            return
        uids, flags = zip(*found, strict=True)
        numbers = self._numbers
        for each in set(flags):
            if each not in numbers:
                numbers[each] = len(self.sets)
                self.sets.append(each)
        if len(self.uids) + len(uids) > MOST_ROWS or len(self.sets) > MOST_SETS:
            raise BadAnswer("The server lists more messages than the limit allows.")
        plain = array("Q", map(int, uids))
        if max(plain) > _HIGHEST:
            raise BadAnswer("The server gives a message a number that is no UID.")
        self.uids.extend(plain)
        self.kinds.extend(map(numbers.__getitem__, flags))


class Passed:
    """A sink that looks at nothing: what a server says of flags while it is told them."""

    def take(self, buffer: bytes, start: int, end: int) -> int:
        run = _RUN.match(buffer, start, end)
        assert run is not None, "matches nothing too"
        return run.end()


Value = bytes | int | None
"""Of one item: a string's octets, a number, None for NIL; what stands in parentheses as it came, without them."""

_ITEM = re.compile(
    rb" *+([A-Za-z][A-Za-z0-9.\-_/]*+(?:\[[^\]\"]*+(?:\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\"[^\]\"]*+)*+\])?(?:<[0-9]++>)?)"
    rb"(?: ++|(?=[(\"\r]))"
    rb"(?:([0-9]{1,20})(?=[ )]|\Z)|\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)\"|(\r)|(\()|([^\x00-\x20()\"\r]++))",
    re.DOTALL,
)
_PARENTHESES = re.compile(rb"[^()\"]*+(?:([()])|\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\")", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_NESTING = 200


def parse_fetch(data: Data) -> dict[bytes, Value]:
    """Items of one message by name, upper-case, sections and origin octets included: b"BODY[]<0>".

    A name that comes twice keeps its last value. Raises BadAnswer. RFC 9051 7.5.2, msg-att.
    """
    if data.items is not None:
        return data.items
    text = data.text
    if not text.startswith(b"(") or not text.endswith(b")"):
        raise BadAnswer("A FETCH answer cannot be read.")
    items: dict[bytes, Value] = {}
    pos, end, literal = 1, len(text) - 1, 0
    while pos < end:
        found = _ITEM.match(text, pos, end)
        if found is None:
            if not text[pos:end].strip(b" "):
                break
            raise BadAnswer("A FETCH answer cannot be read.")
        name, number, quoted, is_literal, opened, atom = found.groups()
        literal += name.count(b"\r")
        pos = found.end()
        value: Value
        if number is not None:
            value = int(number)
        elif quoted is not None:
            value = unescape(quoted)
        elif is_literal is not None:
            value = data.literals[literal]
            literal += 1
        elif opened is not None:
            pos = _closing(text, pos, end)
            value = text[found.end() : pos - 1]
            literal += value.count(b"\r")
        else:
            value = None if atom.upper() == b"NIL" else atom
        items[name.upper()] = value
    return items


def _closing(text: bytes, pos: int, end: int) -> int:
    """The position behind the parenthesis that closes the one before `pos`."""
    depth = 1
    while found := _PARENTHESES.match(text, pos, end):
        pos = found.end()
        if found[1] == b"(":
            depth += 1
            if depth > _NESTING:
                break
        elif found[1] == b")":
            depth -= 1
            if not depth:
                return pos
    raise BadAnswer("A FETCH answer cannot be read.")


def unescape(quoted: bytes) -> bytes:
    """What stands in a quoted string."""
    return _ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted


_DATE_TIME = re.compile(
    rb" ?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"JAN", b"FEB", b"MAR", b"APR", b"MAY", b"JUN", b"JUL", b"AUG", b"SEP", b"OCT", b"NOV", b"DEC"), 1
    )
}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_internaldate(raw: bytes) -> int:
    """Seconds since 1970 UTC. Raises BadAnswer. RFC 9051 9, date-time."""
    found = _DATE_TIME.fullmatch(raw)
    if found is None:
        raise BadAnswer("An INTERNALDATE cannot be read.")
    day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
    try:
        moment = datetime(
            int(year), _MONTHS.get(month.upper(), 0), int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC
        )
    except ValueError as error:
        raise BadAnswer("An INTERNALDATE cannot be read.") from error
    seconds = int(hours) * 3600 + int(minutes) * 60
    return int((moment - _EPOCH).total_seconds()) + (seconds if sign == b"-" else -seconds)
