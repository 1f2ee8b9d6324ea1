"""Filters of Email/query (RFC 8620 5.5, RFC 8621 4.4.1) -> the query language. Pure.

```
filter     = null / operator / condition
operator   = {"operator": "AND" / "OR" / "NOT", "conditions": [*(operator / condition)]}
condition  = {*(property: value)}        all of them must hold; none: every email matches
text       = *(word / phrase)            white space divides; all of them must be found
phrase     = DQUOTE *(character / escaped) DQUOTE / "'" *(character / escaped) "'"
escaped    = "\\" (DQUOTE / "'" / "\\")  in a phrase alone; a backslash elsewhere is a backslash
```

What is read is what `ijson` or json.loads gives. Properties and their values stand in `PROPERTIES`. A part of a
filter is read as the list of what must hold for it, so that AND and conditions within each other become one And, in
which an engine sees the mailbox; an empty list is every email.

RFC 8621 leaves open which marks are quotes. A mark without its counterpart is a character like any other. So is an
apostrophe: a single quote behind a letter (and its marks) or digit opens no phrase, one before a letter or digit closes
none ("don't", "'69", "the dogs'"). An empty text has no words, so every email has them all. Words of one `header` text
may stand in different fields of that name.
"""

from __future__ import annotations

import json
import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from enum import Enum
from unicodedata import category

from ..mime.headers import is_field_name
from ..query.language import (
    All,
    And,
    Contains,
    EmailHas,
    Field,
    HasAttachment,
    HeaderContains,
    Larger,
    Not,
    Or,
    Order,
    Placed,
    Query,
    Received,
    Smaller,
    ThreadHas,
)

MOST = 1_000
"""Objects of a filter, with what each asks for."""

PASS = 20
"""What a condition counts that an engine answers by a pass over all of an account (keywords, threads, mailboxes)."""

DEPTH = 32
"""Operators within each other: reading a filter is recursive, as is what engines do with it."""


class Kind(Enum):
    """The type of error that the method answers with."""

    INVALID = "invalidArguments"
    """Of a wrong type, or against what the RFCs say of it (RFC 8620 3.6.2)."""
    UNSUPPORTED = "unsupportedFilter"
    """Well-formed, but not done here; a simpler search may be (RFC 8620 5.5)."""


class BadFilter(ValueError):
    """A filter that is none, or asks for too much. Its text is one sentence in ASCII, for who wrote the client."""

    def __init__(self, text: str, kind: Kind = Kind.INVALID) -> None:
        super().__init__(text)
        self.kind = kind


def parse_filter(value: object, *, most: int = MOST) -> Query:
    """The query of Email/query's argument `filter`.

    value: as `ijson` or json.loads gives it; None for all emails. most: how many objects it may be made of, and how
    much they may ask for (properties, words of a text, mailboxes in a list; PASS for what takes a pass), together. Cost
    grows with the filter.

    Raises BadFilter, of kind INVALID for what is no filter, UNSUPPORTED for properties of another specification, for
    more than `most` and for more than DEPTH operators within each other. RFC 8620 5.5, RFC 8621 4.4.1.
    """
    if value is None:
        return All()
    reading = _Filter(most)
    found = _all_of(reading.read(value, 0))
    if reading.unknown is not None:  # told last: only a filter that is well-formed is unsupported (RFC 8620 5.5)
        raise BadFilter(f"Emails cannot be filtered by {_shown(reading.unknown)} here.", Kind.UNSUPPORTED)
    return found


def _all_of(queries: list[Query]) -> Query:
    if not queries:
        return All()
    return And(tuple(queries)) if len(queries) > 1 else queries[0]


class _Filter:
    """A filter that is read."""

    __slots__ = ("_left", "_most", "unknown")

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self.unknown: str | None = None
        """The first property that nobody knows here."""

    def read(self, value: object, depth: int) -> list[Query]:
        """What must all hold for this part of the filter to match. depth: operators around it."""
        if not isinstance(value, dict):
            raise BadFilter("A filter is an object or null, a condition of an operator is an object.")
        self._count(1)
        # An operator is known by either: no condition has a property of these names (RFC 8620 5.5).
        if "operator" in value or "conditions" in value:
            return self._operator(value, depth)
        found: list[Query] = []
        for name, wanted in value.items():
            if name not in PROPERTIES:
                # As a sort by an unknown property is unsupported (RFC 8620 5.5): another specification may define it.
                self.unknown = self.unknown if self.unknown is not None else name
                continue
            for query in PROPERTIES[name](name, wanted):
                self._count(_weight(query))
                found.append(query)
        return found

    def _operator(self, value: dict[str, object], depth: int) -> list[Query]:
        for name in value:
            if name not in ("operator", "conditions"):
                raise BadFilter(f"An operator has conditions, and {_shown(name)} can only stand in one of them.")
        operator, conditions = value.get("operator"), value.get("conditions")
        if operator not in ("AND", "OR", "NOT"):
            raise BadFilter('"operator" wants "AND", "OR" or "NOT".')
        if not isinstance(conditions, list):
            raise BadFilter('"conditions" wants an array of operators and conditions.')
        if depth >= DEPTH:
            raise BadFilter(f"Those are more than {DEPTH} operators within each other.", Kind.UNSUPPORTED)
        parts = [self.read(condition, depth + 1) for condition in conditions]
        if operator == "AND":
            return [query for part in parts for query in part]
        if operator == "NOT":
            return [Not(_all_of(part)) for part in parts]
        if not parts:
            return [Not(All())]  # at least one must match, and there is none
        return parts[0] if len(parts) == 1 else [Or(tuple([_all_of(part) for part in parts]))]

    def _count(self, asked: int) -> None:
        self._left -= asked
        if self._left < 0:
            raise BadFilter(f"This filter asks for more than {self._most} things at once.", Kind.UNSUPPORTED)


def _weight(query: Query) -> int:
    """How much it asks for. What looks at a whole account weighs as much as many words."""
    inner = query.operand if isinstance(query, Not) else query
    if isinstance(inner, Placed):
        return PASS + len(inner.mailboxes)
    return PASS if isinstance(inner, EmailHas | ThreadHas) else 1


def _shown(name: str) -> str:
    """A name that somebody made up, fit for a sentence: short, without controls or halves of surrogate pairs."""
    return json.dumps(name if len(name) <= 40 else name[:39] + "…")


# Values ------------------------------------------------------------------------------------------------------

_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_KEYWORD = re.compile(r'(?:(?![(){\]%*"\\])[\x21-\x7e]){1,255}')
_UTC_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?Z")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SYSTEM = {"$seen": "\\Seen", "$flagged": "\\Flagged", "$answered": "\\Answered", "$draft": "\\Draft"}


def _string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadFilter(f'"{name}" wants a string.')
    # json.loads lets them through; texts are compared as UTF-8, which has none.
    if _SURROGATE.search(value):
        raise BadFilter(f'"{name}" has half of a surrogate pair in it.')
    return value


def _id(name: str, value: object) -> str:
    """RFC 8620 1.2. Whether there is such a mailbox is for an engine to find."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise BadFilter(f'"{name}" wants ids: 1 to 255 letters, digits, "-" and "_".')
    return value


def _ids(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadFilter(f'"{name}" wants an array of ids.')
    return tuple([_id(name, id) for id in value])


def _keyword(name: str, value: object) -> str:
    """The flag or keyword of IMAP that the keyword is there. RFC 8621 4.1.1."""
    if not isinstance(value, str) or not _KEYWORD.fullmatch(value):
        raise BadFilter(f'"{name}" wants a keyword: 1 to 255 visible ASCII characters, none of them ( ) {{ ] % * " \\.')
    return _SYSTEM.get(value.lower(), value)


def _unsigned(name: str, value: object) -> int:
    """RFC 8620 1.3."""
    # JSON knows numbers alone: 1e3, a float to json.loads, is as good an integer as 1000.
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**53:
        raise BadFilter(f'"{name}" wants an integer from 0 to 9007199254740991.')
    return number


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise BadFilter(f'"{name}" wants true or false.')
    return value


def _utc_date(name: str, value: object) -> int:
    """The first whole second, since 1970, that is not before a UTCDate. RFC 8620 1.4, RFC 3339 5.6.

    INTERNALDATE has whole seconds, so what lies before 12:00:00.5 or not before it lies so to 12:00:01 as well.
    """
    match = _UTC_DATE.fullmatch(value) if isinstance(value, str) else None
    seconds = None if match is None else _seconds(match)
    if seconds is None:
        raise BadFilter(f'"{name}" wants a date and time in UTC, 2014-10-30T06:12:00Z for example.')
    return seconds


def _seconds(match: re.Match[str]) -> int | None:
    """None where there is no such instant, or its fraction is zero and had to be left out (RFC 8620 1.4)."""
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction: str | None = match[7]
    if fraction is not None and not fraction.strip(".0"):
        return None
    try:
        # datetime has no year 0, RFC 3339 has. The calendar comes round after 400 years and as many days.
        days = date(year or 400, month, day).toordinal() - (0 if year else 146_097) - date(1970, 1, 1).toordinal()
    except ValueError:
        return None
    start = days * 86_400 + hour * 3_600 + minute * 60
    if second == 60:
        # A leap second ends a month (RFC 3339 5.7). No INTERNALDATE lies in one: what comes after any of its fractions
        # comes from midnight on.
        return start + 60 if (day, hour, minute) == (monthrange(year or 400, month)[1], 23, 59) else None
    if hour > 23 or minute > 59 or second > 59:
        return None
    return start + second + (fraction is not None)


# Texts -------------------------------------------------------------------------------------------------------

_QUOTE = re.compile(r"""["']|\\["'\\]""")
_ESCAPED = re.compile(r"""\\(["'\\])""")
_END_OF_RUN = re.compile(r"""[\s"']""")


def _words(text: str) -> Iterator[str]:
    """The words and phrases that all must be found, phrases without their quotes and escapes. RFC 8621 4.4.1."""
    word: list[str] = []
    alone: set[str] = set()
    at = 0
    while at < len(text):
        mark, closing = text[at], -1
        if mark not in alone and (mark == '"' or (mark == "'" and not _ends_word(text[at - 1 : at]))):
            closing = _closing(text, at)
            if closing < 0:
                # Escapes pair off alike from any quote on, so that a later one has no counterpart either. To look for
                # it each time anew would take the square of a text full of them.
                alone.add(mark)
        if closing < 0 and not mark.isspace():
            run = _END_OF_RUN.search(text, at + 1)
            end = len(text) if run is None else run.start()
            word.append(text[at:end])
            at = end
            continue
        if word:
            yield "".join(word)
            word.clear()
        if closing > at + 1:
            yield _ESCAPED.sub(r"\1", text[at + 1 : closing])
        at = max(at, closing) + 1
    if word:
        yield "".join(word)


def _ends_word(before: str) -> bool:
    return before.isalnum() or (not before.isascii() and category(before).startswith("M"))


def _closing(text: str, at: int) -> int:
    """Where the quote stands that closes a phrase which one at `at` begins; -1 for nowhere."""
    for found in _QUOTE.finditer(text, at + 1):
        if found[0] == text[at] and (found[0] == '"' or not text[found.end() : found.end() + 1].isalnum()):
            return found.start()
    return -1


# Properties --------------------------------------------------------------------------------------------------

_ANYWHERE = (Field.FROM, Field.TO, Field.CC, Field.BCC, Field.SUBJECT, Field.BODY)
"""Where `text` looks: what RFC 8621 4.4.1 names, and not Field.TEXT, all of the header, which it allows.

In all of the header "sun" is found in each Date and Received of a Sunday, one's own address in every Delivered-To, two
or three letters in any signature: nothing that a person who types them would call text of an email.
"""

_Reader = Callable[[str, object], Iterable[Query]]
"""(the property's name, its value) -> what must all hold. Raises BadFilter, here or while that is gone through."""


def _anywhere(name: str, value: object) -> Iterable[Query]:
    """Each word may stand in another place: a subject's word and a name of a sender find an email together."""
    return (Or(tuple([Contains(field, word) for field in _ANYWHERE])) for word in _words(_string(name, value)))


def _contains(field: Field) -> _Reader:
    return lambda name, value: (Contains(field, word) for word in _words(_string(name, value)))


def _header(name: str, value: object) -> Iterable[Query]:
    if not isinstance(value, list) or len(value) not in (1, 2):
        raise BadFilter('"header" wants an array: the name of a header field, and the text to look for if any.')
    field, *text = value
    # What is no name of a field is refused, since it might be found all the same: "Subject: x" begins a line.
    if not isinstance(field, str) or not is_field_name(field):
        raise BadFilter('"header" wants a field\'s name first: visible ASCII characters without a colon.')
    words = _words(_string(name, text[0]) if text else "")
    yield HeaderContains(field, next(words, ""))
    yield from (HeaderContains(field, word) for word in words)


def _at_least(name: str, value: object) -> Iterable[Query]:
    octets = _unsigned(name, value)
    return [Larger(octets - 1)] if octets else []


def _has_attachment(name: str, value: object) -> Iterable[Query]:
    return [HasAttachment() if _boolean(name, value) else Not(HasAttachment())]


PROPERTIES: dict[str, _Reader] = {
    "inMailbox": lambda name, value: [Placed((_id(name, value),))],
    "inMailboxOtherThan": lambda name, value: [Placed(_ids(name, value), elsewhere=True)],
    "before": lambda name, value: [Received(Order.BEFORE, _utc_date(name, value))],
    "after": lambda name, value: [Received(Order.SINCE, _utc_date(name, value))],
    "minSize": _at_least,
    "maxSize": lambda name, value: [Smaller(_unsigned(name, value))],
    "allInThreadHaveKeyword": lambda name, value: [ThreadHas(_keyword(name, value), every=True)],
    "someInThreadHaveKeyword": lambda name, value: [ThreadHas(_keyword(name, value), every=False)],
    "noneInThreadHaveKeyword": lambda name, value: [Not(ThreadHas(_keyword(name, value), every=False))],
    "hasKeyword": lambda name, value: [EmailHas(_keyword(name, value))],
    "notKeyword": lambda name, value: [Not(EmailHas(_keyword(name, value)))],
    "hasAttachment": _has_attachment,
    "text": _anywhere,
    "from": _contains(Field.FROM),
    "to": _contains(Field.TO),
    "cc": _contains(Field.CC),
    "bcc": _contains(Field.BCC),
    "subject": _contains(Field.SUBJECT),
    "body": _contains(Field.BODY),
    "header": _header,
}
"""FilterCondition's properties (RFC 8621 4.4.1)."""
