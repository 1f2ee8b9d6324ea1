"""What a message is recognised by without reading it whole, and what proves two to be the same. Pure.

Two messages with equal `mark` and size are taken for the same only where nothing contradicts and there is one of each;
else their octets decide (`digest`). Nothing is ever written into a message to find it again.
"""

from __future__ import annotations

import hashlib
import re

MARK_FIELDS = ("Message-ID", "Date", "From", "To", "Subject")
"""Header fields asked of a server for `mark`."""

_FIELD = re.compile(rb"^(message-id|date|from|to|subject)[ \t]*:(.*(?:\r?\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)
_END = re.compile(rb"(?:\A|\r?\n)\r?\n")


def mark(header: bytes) -> bytes:
    """16 octets that stand for the `MARK_FIELDS` of a header (or of a whole message, whose body is not looked at).

    Folding, case of names, the fields' order and line ends make no difference: servers give fields back in ways of
    their own. All occurrences count, in their order within a name.
    """
    end = _END.search(header)
    found: dict[bytes, list[bytes]] = {}
    for name, value in _FIELD.findall(header, 0, end.start() + 1 if end else len(header)):
        found.setdefault(name.lower(), []).append(b" ".join(value.split()))
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(found):
        for value in found[name]:
            state.update(name + b":" + value + b"\n")
    return state.digest()


def digest(data: bytes) -> bytes:
    """SHA-256 of a message's octets as they travel (CRLF line ends)."""
    return hashlib.sha256(data).digest()
