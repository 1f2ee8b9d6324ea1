"""Answers about mailboxes: LIST, LSUB, STATUS, NAMESPACE; and what stands in lists of words.

Names are given as octets: modified UTF-7 or UTF-8 is the connection's business (`names`). RFC 9051 7.2 and 7.3, RFC
5258, RFC 5819, RFC 2342, RFC 8474 4.
"""

from __future__ import annotations

import re

from ...values import Value
from .answers import BadAnswer, Data
from .answers_fetch import unescape

_STRING = re.compile(rb" *+(?:\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)\"|(\r)|([^\x00-\x20\"(){\r]++))", re.DOTALL)
_LIST = re.compile(rb"\(([^()]*)\) +(?:\"\\?(.)\"|([Nn][Ii][Ll])) +", re.DOTALL)
_OLD_NAME = re.compile(rb"\(?\"?OLDNAME\"? *\(", re.IGNORECASE)
_STATUS_ITEM = re.compile(rb" *+([A-Za-z][A-Za-z0-9.\-]*+) +(?:([0-9]{1,20})|\(([^()]*)\)|([Nn][Ii][Ll]))(?=[ )]|\Z)")
_PREFIX = re.compile(
    rb"\( *(?:\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)\"|(\r)) +(?:\"\\?(.)\"|[Nn][Ii][Ll])"
    rb"(?: +[^()\"]*+(?:(?:\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\"|\([^()]*+\))[^()\"]*+)*)?\) *",
    re.DOTALL,
)


class Listed(Value, frozen=True):
    """A LIST or LSUB answer.

    attributes: lower-case, with backslash ("\\\\noselect"). separator: one character, None for NIL. name: as sent. old:
    what it was called (OLDNAME), or None.
    """

    attributes: frozenset[str]
    separator: str | None
    name: bytes
    old: bytes | None = None


def parse_string(data: Data, pos: int, literal: int) -> tuple[bytes, int, int]:
    """An astring at `pos`, the position behind it, and how many literals came before that. Raises BadAnswer."""
    found = _STRING.match(data.text, pos)
    if found is None:
        raise BadAnswer("A name in the server's answer cannot be read.")
    if found[2] is not None:
        return data.literals[literal], found.end(), literal + 1
    raw = found[3] if found[1] is None else unescape(found[1])
    return raw, found.end(), literal


def parse_list(data: Data) -> Listed:
    """mailbox-list. Raises BadAnswer. RFC 9051 7.3.1, RFC 5258 6."""
    found = _LIST.match(data.text)
    if found is None:
        raise BadAnswer("A LIST answer cannot be read.")
    name, end, literal = parse_string(data, found.end(), 0)
    attributes = frozenset(found[1].decode("ascii", "replace").lower().split())
    separator = None if found[2] is None else found[2].decode("latin-1")
    old = None
    if end < len(data.text) and (extended := _OLD_NAME.search(data.text, end)):
        old = parse_string(data, extended.end(), literal)[0]
    return Listed(attributes, separator, name, old)


def parse_status(data: Data) -> tuple[bytes, dict[bytes, int | bytes | None]]:
    """A STATUS answer: the mailbox and its values by item, upper-case; MAILBOXID's is the id. Raises BadAnswer.

    RFC 9051 7.3.4 and 9, status-att-val; RFC 8474 4.3; RFC 7889 5 (APPENDLIMIT NIL).
    """
    name, pos, _ = parse_string(data, 0, 0)
    text = data.text
    opened = text.find(b"(", pos)
    end = text.rfind(b")")
    if opened < 0 or end < opened or text[pos:opened].strip(b" "):
        raise BadAnswer("A STATUS answer cannot be read.")
    values: dict[bytes, int | bytes | None] = {}
    pos = opened + 1
    while pos < end:
        found = _STATUS_ITEM.match(text, pos, end)
        if found is None:
            if text[pos:end].strip(b" "):
                raise BadAnswer("A STATUS answer cannot be read.")
            break
        values[found[1].upper()] = int(found[2]) if found[2] is not None else found[3]
        pos = found.end()
    return name, values


class Namespaces(Value, frozen=True):
    """Prefixes (as sent) with their separators, None for NIL: the user's own, other users', shared ones."""

    personal: tuple[tuple[bytes, str | None], ...]
    others: tuple[tuple[bytes, str | None], ...]
    shared: tuple[tuple[bytes, str | None], ...]


def parse_namespace(data: Data) -> Namespaces:
    """A NAMESPACE answer. Raises BadAnswer. RFC 2342 6."""
    groups: list[tuple[tuple[bytes, str | None], ...]] = []
    pos, literal, text = 0, 0, data.text
    for _ in range(3):
        while text[pos : pos + 1] == b" ":
            pos += 1
        if text[pos : pos + 3].upper() == b"NIL":
            groups.append(())
            pos += 3
            continue
        if text[pos : pos + 1] != b"(":
            raise BadAnswer("A NAMESPACE answer cannot be read.")
        pos += 1
        group: list[tuple[bytes, str | None]] = []
        while (found := _PREFIX.match(text, pos)) is not None:
            raw = unescape(found[1] or b"")
            if found[2] is not None:
                raw, literal = data.literals[literal], literal + 1
            literal += found[0].count(b"\r") - (found[2] is not None)
            group.append((raw, None if found[3] is None else found[3].decode("latin-1")))
            pos = found.end()
        if text[pos : pos + 1] != b")":
            raise BadAnswer("A NAMESPACE answer cannot be read.")
        pos += 1
        groups.append(tuple(group))
    return Namespaces(*groups)


def parse_words(text: bytes) -> frozenset[str]:
    """Words of a CAPABILITY or ENABLED answer (or of the CAPABILITY code), upper-case."""
    return frozenset(text.decode("ascii", "replace").upper().split())


def parse_flags(raw: bytes) -> tuple[str, ...]:
    """Flags of a list, with or without its parentheses; octets that ASCII has not make no flag of ours."""
    return tuple([word for word in raw.strip(b"()").decode("latin-1").split() if word.isascii()])
