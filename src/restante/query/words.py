"""Words as a person types them into a search field -> the query language. Pure.

```
query  = term *(SP term)            all must hold
term   = ["-"] (word / key ":" value)
         "OR" between two terms binds them alone; "-" or NOT before one turns it round
value  = characters without spaces / DQUOTE characters DQUOTE      a backslash takes the next character as it is
```

A word stands for text anywhere in a message. Keys and their values stand in `KEYS`; a key that is none ("http:") is
part of the word. Comparison is substring, without regard to case, width or ligatures (i;unicode-casemap). What a shell
has cut into arguments goes through `as_typed` first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from .language import (
    All,
    And,
    Contains,
    Dated,
    Field,
    HasAttachment,
    HasFlag,
    HeaderContains,
    Instant,
    Larger,
    Not,
    Or,
    Order,
    Query,
    Smaller,
)

MOST_WORDS = 200


class BadWords(ValueError):
    """What was typed cannot be read. Its text is one sentence for the person."""


@dataclass(frozen=True, slots=True)
class Words:
    """What was typed. mailboxes: names given by mailbox:, none for all."""

    query: Query
    mailboxes: tuple[str, ...]


_STATES: dict[str, Query] = {
    "read": HasFlag("\\Seen"),
    "unread": Not(HasFlag("\\Seen")),
    "flagged": HasFlag("\\Flagged"),
    "answered": HasFlag("\\Answered"),
    "draft": HasFlag("\\Draft"),
    "deleted": HasFlag("\\Deleted"),
}
_SIZES = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_SIZE = re.compile(r"(\d{1,12})([kmg]?)b?\Z", re.IGNORECASE | re.ASCII)
_KEYWORD = re.compile(r"[^\x00-\x20\x7f-\U0010ffff(){%*\"\\\]]+\Z")


def _contains(field: Field) -> Callable[[str], Query]:
    return lambda value: Contains(field, value)


def _dated(order: Order) -> Callable[[str], Query]:
    def make(value: str) -> Query:
        try:
            return Dated(Instant.RECEIVED, order, date.fromisoformat(value))
        except ValueError as error:
            raise BadWords(f'"{value}" is no date; write 2024-01-31, for example.') from error

    return make


def _octets(value: str) -> int:
    match = _SIZE.match(value)
    if match is None:
        raise BadWords(f'"{value}" is no size; write 500k or 10M, for example.')
    return int(match[1]) * _SIZES[match[2].lower()]


def _state(value: str) -> Query:
    found = _STATES.get(value.lower())
    if found is None:
        raise BadWords(f'"is:{value}" means nothing here; there are {", ".join(_STATES)}.')
    return found


def _has(value: str) -> Query:
    if value.lower() != "attachment":
        raise BadWords(f'"has:{value}" means nothing here; there is has:attachment.')
    return HasAttachment()


def _keyword(value: str) -> Query:
    if not _KEYWORD.match(value):
        raise BadWords(f'"{value}" cannot be a keyword.')
    return HasFlag(value)


def _header(value: str) -> Query:
    name, _, text = value.partition("=")
    if not name:
        raise BadWords("header: wants a name and a text: header:List-Id=example.")
    return HeaderContains(name, text)


KEYS: dict[str, tuple[Callable[[str], Query], str]] = {
    "from": (_contains(Field.FROM), "in the From field"),
    "to": (_contains(Field.TO), "in the To field"),
    "cc": (_contains(Field.CC), "in the Cc field"),
    "bcc": (_contains(Field.BCC), "in the Bcc field"),
    "subject": (_contains(Field.SUBJECT), "in the subject"),
    "body": (_contains(Field.BODY), "in the text, in names of attachments"),
    "text": (_contains(Field.TEXT), "anywhere, as a word alone"),
    "header": (_header, "NAME=TEXT: in the header field NAME; NAME alone: it is there"),
    "before": (_dated(Order.BEFORE), "received before the day YYYY-MM-DD"),
    "on": (_dated(Order.ON), "received on it"),
    "since": (_dated(Order.SINCE), "received on it or later"),
    "is": (_state, ", ".join(_STATES)),
    "has": (_has, "attachment: it brings a file along"),
    "keyword": (_keyword, "has this keyword, $Junk for example"),
    "larger": (lambda value: Larger(_octets(value)), "more octets than 500k, 10M"),
    "smaller": (lambda value: Smaller(_octets(value)), "fewer octets"),
}
"""Key -> (its reader, what it asks, for help texts). mailbox: comes beside these."""


def parse_words(typed: str) -> Words:
    """The query that was typed; nothing typed means all messages. Raises BadWords."""
    terms: list[Query] = []
    mailboxes: list[str] = []
    negate = alternative = False
    for number, (raw, text, key) in enumerate(_split(typed)):
        if number >= MOST_WORDS:
            raise BadWords(f"Those are more than {MOST_WORDS} words.")
        if raw == "OR":
            if not terms or negate or alternative:
                raise BadWords("OR stands between two terms.")
            alternative = True
            continue
        if raw == "NOT":
            negate = not negate
            continue
        if key == "mailbox":
            if negate or alternative or raw.startswith("-"):
                raise BadWords("mailbox: cannot be turned round or stand beside OR; name the mailboxes you want.")
            mailboxes.append(text)
            continue
        term = KEYS[key][0](text) if key else Contains(Field.TEXT, text)
        if negate != raw.startswith("-"):
            term = Not(term)
        if alternative:
            before = terms.pop()
            term = Or((*before.operands, term) if isinstance(before, Or) else (before, term))
        terms.append(term)
        negate = alternative = False
    if negate or alternative:
        raise BadWords(f"{'NOT' if negate else 'OR'} stands at the end.")
    return Words(And(tuple(terms)) if len(terms) > 1 else terms[0] if terms else All(), tuple(mailboxes))


_WHOLE_QUERY = re.compile(r'["\\]|(?:^|\s)(?:OR|NOT)(?:\s|$)|\s-\S|^\s*-\s')
_PHRASES = frozenset({"from", "to", "cc", "bcc", "subject", "body", "text", "header", "mailbox"})
"""Keys whose values may hold spaces."""


def as_typed(arguments: Sequence[str], *, keyed: bool = True) -> str:
    """What would have to be typed into a search field for the arguments of a command line.

    A shell takes quotation marks away: "two words" and from:"Ann B" arrive as arguments that hold a space. What was
    kept together there is one phrase, so the marks are put round it again. An argument that has more of the language
    in it than a key at its beginning is a query typed as a whole: 'from:ann "two words"', 'this OR that'.

    With a key at its beginning it may be either: from:"Ann Bell" and 'from:ann invitation' look alike. It is a phrase
    where `keyed`, else words of which the first has the key. A mailbox's name is always one.
    """
    return " ".join([_kept_together(argument, keyed) for argument in arguments])


def _kept_together(argument: str, keyed: bool) -> str:
    typed = argument.strip()
    words = typed.split()
    if len(words) < 2 or _WHOLE_QUERY.search(argument):
        return argument
    key = _key(words[0])
    if key and key not in (_PHRASES if keyed else {"mailbox"}):
        return argument
    if any(_key(word) and not word.endswith(":") for word in words[1:]):
        return argument
    start = typed.startswith("-") + (len(key) + 1 if key else 0)
    return f'{typed[:start]}"{typed[start:].strip()}"'


_PIECE = re.compile(
    r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"|((?:[^\s"\\]|\\.)[^\s"\\]*+(?:\\.[^\s"\\]*+)*+)|(")|(\\)', re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_KEY = re.compile(r"-?([A-Za-z]+):")


def _key(raw: str) -> str:
    """The key that a term begins with, "" for none."""
    match = _KEY.match(raw)
    name = match[1].lower() if match is not None else ""
    return name if name in KEYS or name == "mailbox" else ""


def _split(typed: str) -> list[tuple[str, str, str]]:
    """(as typed, text without quotes, key or "") of each term."""
    found: list[tuple[str, str, str]] = []
    at = 0
    while at < len(typed):
        if typed[at].isspace():
            at += 1
            continue
        start, pieces = at, []
        while at < len(typed) and not typed[at].isspace():
            match = _PIECE.match(typed, at)
            if match is None or match[3] or match[4]:
                what = "A quotation mark is not closed" if typed[at] == '"' else "A backslash stands at the end"
                raise BadWords(f"{what}.")
            pieces.append(_ESCAPED.sub(r"\1", match[1] if match[1] is not None else match[2]))
            at = match.end()
        raw, text = typed[start:at], "".join(pieces)
        name = _key(raw)
        if name:
            text = text.partition(":")[2]
        else:
            text = text.removeprefix("-") if raw.startswith("-") else text
        if not text:
            raise BadWords(f'"{raw}" says nothing.')
        found.append((raw, text, name))
    return found
