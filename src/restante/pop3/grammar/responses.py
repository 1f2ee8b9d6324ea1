"""Answers as octets: status lines with response codes, and lists.

    response = ("+OK" / "-ERR") [SP "[" code "]"] [SP text] CRLF     ; 512 octets at most, RFC 2449 3 and 4

Response codes: RFC 2449 8 (IN-USE, LOGIN-DELAY), RFC 3206 (SYS/TEMP, SYS/PERM, AUTH), RFC 6856 5 (UTF8).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from enum import Enum

LINE_LIMIT = 512
END = b".\r\n"
"""Ends every answer of more than one line."""

_UNPRINTABLE = re.compile(rb"[^\x20-\x7e]")


class Code(Enum):
    """Extended response codes."""

    IN_USE = b"[IN-USE] "
    LOGIN_DELAY = b"[LOGIN-DELAY] "
    SYS_TEMP = b"[SYS/TEMP] "
    SYS_PERM = b"[SYS/PERM] "
    AUTH = b"[AUTH] "
    UTF8 = b"[UTF8] "


def ok(text: bytes = b"") -> bytes:
    """A positive answer, or the first line of a longer one."""
    return _line(b"+OK ", text.lstrip(b"[")) if text else b"+OK\r\n"


def err(text: bytes, code: Code | None = None) -> bytes:
    """A negative answer; the text is made to fit on a line and to hold nothing but printable ASCII."""
    return _line(b"-ERR " + (code.value if code else b""), text.lstrip(b"["))


def challenge(data: bytes) -> bytes:
    """A server's turn in a SASL exchange: "+ " and base64 (RFC 5034 4; the space stands also before nothing)."""
    return b"+ " + base64.b64encode(data) + b"\r\n"


def listing(first: bytes, lines: Iterable[bytes]) -> bytes:
    """An answer of several short lines that cannot begin with a dot."""
    return b"".join((ok(first), *(line + b"\r\n" for line in lines), END))


def _line(head: bytes, text: bytes) -> bytes:
    # The callers take "[" off a text's start: it would be read as a response code (RFC 2449 6.4).
    return (head + _UNPRINTABLE.sub(b"?", text))[: LINE_LIMIT - 2] + b"\r\n"
