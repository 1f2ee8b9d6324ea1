"""LIST's wildcards: "*" matches anything, "%" anything but the hierarchy separator. RFC 9051 6.3.9.

A pattern becomes the bits of a small automaton: bit i of a state says that the first i elements have matched.
One step a character, whatever the pattern: no pattern costs more than its length times the name's length over
the machine's word.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import groupby

from ...inbox import INBOX, ascii_upper, is_inbox

Matcher = Callable[[str], bool]


def list_match(pattern: str, name: str, separator: str = "/") -> bool:
    """Whether a mailbox name matches a LIST pattern (decoded, with the reference before it).

    INBOX as the whole name or first level matches in any case (RFC 9051 5.1). separator: one character.
    """
    return list_matcher(pattern, separator)(name)


@lru_cache(maxsize=256)
def list_matcher(pattern: str, separator: str = "/") -> Matcher:
    """`list_match` for one pattern, to be used on many names."""
    plain = _compile(pattern, separator)
    first, rest_from = pattern[:5], pattern[5:]
    inbox = _compile(ascii_upper(pattern), separator)
    below = _compile(INBOX + rest_from, separator) if is_inbox(first) and rest_from[:1] == separator else plain

    def match(name: str) -> bool:
        if is_inbox(name[:5]) and name[5:6] in ("", separator):
            return inbox(INBOX) if len(name) == 5 else below(INBOX + name[5:])
        return plain(name)

    return match


def _compile(pattern: str, separator: str) -> Matcher:
    if pattern == "*":
        return lambda name: True
    if pattern == "%":
        return lambda name: separator not in name
    if "*" not in pattern and "%" not in pattern:
        return pattern.__eq__
    elements = _collapse(pattern)
    literal: dict[str, int] = {}
    star = percent = 0
    for i, element in enumerate(elements):
        if element == "*":
            star |= 1 << i
        elif element == "%":
            percent |= 1 << i
        else:
            literal[element] = literal.get(element, 0) | 1 << i
    wild = star | percent
    accept = 1 << len(elements)

    def match(name: str) -> bool:
        state = 1 | (wild & 1) << 1
        for char in name:
            stay = star if char == separator else wild
            state = (state & literal.get(char, 0)) << 1 | state & stay
            if not state:
                return False
            state |= (state & wild) << 1
        return bool(state & accept)

    return match


def _collapse(pattern: str) -> list[str]:
    """Elements of a pattern; wildcards side by side become one, "*" if any of them is."""
    elements: list[str] = []
    for wild, run in groupby(pattern, "*%".__contains__):
        chars = list(run)
        if wild:
            chars = ["*" if "*" in chars else "%"]
        elements += chars
    return elements
