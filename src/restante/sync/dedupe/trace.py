"""What a message is without the marks of its journey: two that differ in nothing else are the same letter that came
twice, or by two ways. Pure.
"""

from __future__ import annotations

import hashlib
import re

from ..trace import TRACE_FIELDS, fields_named

_FIELD = fields_named(TRACE_FIELDS)
_BLANK = re.compile(rb"(?:\A|\n)\r?\n")


def core(data: bytes) -> bytes:
    """SHA-256 of what two messages have in common that differ in trace fields alone.

    Line ends count as CRLF whatever they are, and line ends at the very end do not count: files of mail differ there
    by format, not by message. Cost is linear in the octets.
    """
    end = _BLANK.search(data)
    at = end.end() if end else len(data)
    whole = _FIELD.sub(b"", data[:at]) + data[at:]
    return hashlib.sha256(whole.replace(b"\r\n", b"\n").rstrip(b"\r\n")).digest()
