"""Mailbox names as people write them in the file of copies and behind options: "*" stands for anything ("/" too), "?"
for one character, and everything else, brackets too ("[Gmail]/Spam"), for itself. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from ..inbox import is_inbox

INBOX = "INBOX"


def canonical(name: str) -> str:
    """NFC, and INBOX in capitals (RFC 9051 5.1)."""
    name = unicodedata.normalize("NFC", name)
    return INBOX if is_inbox(name) else name


@lru_cache(maxsize=1024)
def pattern(text: str) -> re.Pattern[str]:
    """What matches (`fullmatch`) the names that are meant."""
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in canonical(text))
    return re.compile("".join(parts), re.DOTALL)


def fits(name: str, text: str) -> bool:
    """Whether a mailbox of this (canonical) name is meant."""
    return pattern(text).fullmatch(name) is not None
