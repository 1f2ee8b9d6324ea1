"""LIST's wildcards: "*" matches anything, "%" anything but the hierarchy separator. RFC 9051 6.3.9.

Patterns become the bits of one small automaton, laid end to end: the bits of a state say how many elements of each
pattern have matched. One step a character, however many patterns there are: no command costs more than the length of
its patterns, in words of the machine, times that of the names. Patterns without wildcards are looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby

from ...inbox import INBOX, ascii_upper, is_inbox

Matcher = Callable[[str], bool]

_KEPT = 200
"""Characters of patterns whose automaton is kept for the next command. It has a mask for each letter that occurs, as
long as the patterns: 256 of this length, of letters that differ all, are 8 MB, and would be 51 at 1,000."""


def has_wildcard(pattern: str) -> bool:
    """Whether a pattern is more than a name."""
    return "*" in pattern or "%" in pattern


def list_match(pattern: str, name: str, separator: str = "/") -> bool:
    """Whether a mailbox name matches a LIST pattern (decoded, with the reference before it).

    INBOX as the whole name or first level matches in any case (RFC 9051 5.1). separator: one character.
    """
    return list_matcher((pattern,), separator)(name)


def list_matcher(patterns: Sequence[str], separator: str = "/") -> Matcher:
    """`list_match` for some patterns, any of which may match, to be used on many names.

    Memory: a mask of their length for each letter in those that have wildcards. Who calls bounds them.
    """
    make = _kept_matcher if sum(map(len, patterns)) <= _KEPT else _matcher
    return make(tuple(patterns), separator)


def _matcher(patterns: tuple[str, ...], separator: str) -> Matcher:
    plain = _any_of(patterns, separator)
    inbox = _any_of(tuple(map(ascii_upper, patterns)), separator)(INBOX)
    children = tuple(_below_inbox(pattern, separator) for pattern in patterns)
    below = plain if children == patterns else _any_of(children, separator)

    def match(name: str) -> bool:
        if is_inbox(name[:5]) and name[5:6] in ("", separator):
            return inbox if len(name) == 5 else below(INBOX + name[5:])
        return plain(name)

    return match


_kept_matcher = lru_cache(maxsize=256)(_matcher)


def _below_inbox(pattern: str, separator: str) -> str:
    """A pattern whose first level is INBOX, with that as names have it."""
    return INBOX + pattern[5:] if pattern[5:6] == separator and is_inbox(pattern[:5]) else pattern


def _any_of(patterns: tuple[str, ...], separator: str) -> Matcher:
    wild = dict.fromkeys(pattern for pattern in patterns if has_wildcard(pattern))
    if "*" in wild:
        return lambda name: True
    names = frozenset(pattern for pattern in patterns if pattern not in wild)
    if not wild:
        return names.__contains__
    if list(wild) == ["%"]:
        return lambda name: separator not in name or name in names
    return _automaton(list(map(_collapse, wild)), names, separator)


def _automaton(patterns: list[list[str]], names: frozenset[str], separator: str) -> Matcher:
    """Of patterns as elements; `names` match too. The bit behind a pattern's last element says that all of it has
    matched; no step leads on from there."""
    literal: dict[str, int] = {}
    star = percent = starts = ends = 0
    bit = 0
    for elements in patterns:
        starts |= 1 << bit
        for element in elements:
            if element == "*":
                star |= 1 << bit
            elif element == "%":
                percent |= 1 << bit
            else:
                literal[element] = literal.get(element, 0) | 1 << bit
            bit += 1
        ends |= 1 << bit
        bit += 1
    wild = star | percent
    starts |= (starts & wild) << 1

    def match(name: str) -> bool:
        state = starts
        for char in name:
            stay = star if char == separator else wild
            state = (state & literal.get(char, 0)) << 1 | state & stay
            if not state:
                return name in names
            state |= (state & wild) << 1
        return bool(state & ends) or name in names

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
