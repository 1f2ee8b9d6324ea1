"""Comments of structured fields. RFC 5322 3.2.2."""

from __future__ import annotations

import re

_PIECES = re.compile(rb"\\.?|[()]|[^\\()]++", re.DOTALL).findall
"""Marks of comments, quoted pairs, and what stands between them."""


def without_comments(field: bytes) -> bytes:
    """A field without quoted strings, with a blank for each comment; one that is not closed goes on to the end."""
    kept: list[bytes] = []
    depth = 0
    for piece in _PIECES(field):
        if piece == b"(":
            kept.append(b" " if not depth else b"")
            depth += 1
        elif piece == b")":
            depth = max(depth - 1, 0)
        elif not depth:
            kept.append(piece)
    return b"".join(kept)
