"""Mailbox names as commands give them, made into names the store knows.

Normalised to NFC in every dialect, INBOX in any case (also above others: what is told by this name, or looked up by
it, must be what LIST says), a trailing separator taken off (CREATE "a/" says that children will follow: RFC 9051
6.3.4). The store refuses what it cannot keep; what could not be shown back to a client (controls, line separators) is
refused here. RFC 9051 5.1; RFC 5198 2.
"""

from __future__ import annotations

import unicodedata

from ...inbox import with_inbox
from ...store.errors import BadMailboxName
from ...store.model import SEPARATOR
from ..grammar.tokens import UNMATCHED

FORBIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories that no name may hold: controls, lone surrogates, line and paragraph separators."""

LONGEST = 1_000
"""Characters of a name of one's own."""

_LONGEST_SHOWN = 2 * LONGEST
"""Characters of any name: before somebody else's stand the prefix and his address, and what LIST shows is to be found
by its name."""

_LONGEST_SENT = 4 * LONGEST
"""Characters of what may be a name once it is composed: one letter is made of four at most. What is longer is not even
tried: many marks in a row are composed in a time that grows with their square."""


def pattern_length(pattern: str) -> int:
    """Characters of a LIST pattern that are no wildcards: no shorter name matches it."""
    return len(pattern) - pattern.count("*") - pattern.count("%")


def mailbox_pattern(pattern: str) -> str:
    """A LIST pattern, its reference before it, in the form that names have: a name sent without wildcards is one. One
    longer than any name is passed over (RFC 9051 6.3.9)."""
    if pattern_length(pattern) > _LONGEST_SENT:
        return UNMATCHED
    as_it_is = pattern.isascii() or len(pattern) > _LONGEST_SENT
    return pattern if as_it_is else unicodedata.normalize("NFC", pattern)


def mailbox_name(name: str) -> str:
    """The name as the store knows it. Raises BadMailboxName for one that cannot be a mailbox's."""
    plain = name.isascii() and name.isprintable()  # then it is NFC, and nothing in it is forbidden
    if len(name) > _LONGEST_SENT:
        raise BadMailboxName("That cannot be the name of a mailbox.")
    if not plain:
        name = unicodedata.normalize("NFC", name)
    if len(name) > 1 and name.endswith(SEPARATOR):
        name = name[: -len(SEPARATOR)]
    allowed = plain or not any(unicodedata.category(ch) in FORBIDDEN for ch in name)
    if not name or len(name) > _LONGEST_SHOWN or not allowed:
        raise BadMailboxName("That cannot be the name of a mailbox.")
    return with_inbox(name, SEPARATOR)
