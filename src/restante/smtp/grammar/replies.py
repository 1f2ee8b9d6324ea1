"""Replies as octets (RFC 5321 4.2, enhanced status codes by RFC 2034 and RFC 3463).

reply = 3DIGIT ( "-" / SP ) [ enhanced SP ] text CRLF
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
MAX_TEXT = 400
"""With code and enhanced code a line stays below 512 octets (RFC 5321 4.5.3.1.5)."""


def reply(code: int, enhanced: str, text: str) -> bytes:
    """One line. enhanced: "" where RFC 2034 4 wants none (greeting, LHLO, 354)."""
    clean = _UNPRINTABLE.sub("?", text)[:MAX_TEXT]
    return f"{code} {enhanced} {clean}\r\n".encode("ascii") if enhanced else f"{code} {clean}\r\n".encode("ascii")


def multiline(code: int, lines: Sequence[str]) -> bytes:
    """Several lines of one reply, without enhanced codes: the answer to LHLO and EHLO."""
    clean = [_UNPRINTABLE.sub("?", line)[:MAX_TEXT] for line in lines]
    head = [f"{code}-{line}\r\n" for line in clean[:-1]]
    return "".join((*head, f"{code} {clean[-1]}\r\n")).encode("ascii")
