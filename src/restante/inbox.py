"""INBOX, the one mailbox name whose case does not count: that of US-ASCII letters alone (RFC 9051 5.1, RFC 3501 5.1).

Imports nothing: a run of `restante sync` needs it. Python's own `upper` knows more letters: of the Turkish dotless i it
makes an I, and who named a mailbox so would have INBOX instead.
"""

from __future__ import annotations

INBOX = "INBOX"


def is_inbox(name: str) -> bool:
    """Whether the name is INBOX in any case."""
    return name.isascii() and name.upper() == INBOX


def with_inbox(name: str, separator: str) -> str:
    """A name whose first level, where it is INBOX in any case, is written INBOX."""
    first, between, rest = name.partition(separator)
    return INBOX + between + rest if is_inbox(first) else name


def ascii_upper(text: str) -> str:
    """The text with the letters a to z in capitals, all others as they are."""
    return text.upper() if text.isascii() else text.translate(_CAPITALS)


_CAPITALS = {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}
