"""The path between angle brackets (RFC 5321 4.1.2, RFC 6531 3.3).

    Path          = "<" [ A-d-l ":" ] Mailbox ">"          ; the source route is read and dropped (4.1.1.3)
    Reverse-path  = Path / "<>"
    Mailbox       = Local-part "@" ( Domain / address-literal )

Local parts are read more widely than written: dots may stand anywhere, as they do in senders' addresses of the
real world; which addresses exist is decided elsewhere. Control characters, spaces outside quotes and angle
brackets never pass, so what comes out is safe within a header field and a log line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_PATH = 500
"""Octets of a path. RFC 5321 4.5.3.1.3 allows 256; rewritten senders (SRS, VERP) exceed it. Below a header
line's 998 with room for the field's name."""

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~.\x80-\U0010ffff-"
_QUOTED = r'"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"'
_DOMAIN = r"[A-Za-z0-9_\x80-\U0010ffff](?:[A-Za-z0-9._\x80-\U0010ffff-]*[A-Za-z0-9_\x80-\U0010ffff])?\.?"
_LITERAL = r"\[[A-Za-z0-9.:-]+\]"
_MAILBOX = re.compile(rf"(?:[{_ATEXT}]+|{_QUOTED})@(?:{_DOMAIN}|{_LITERAL})")
_ROUTE = re.compile(rf"@{_DOMAIN}(?:,@{_DOMAIN})*:")
_UNSAFE = re.compile(r"[\x80-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
"""C1 controls, separators of lines and overrides of direction: letters of no address, and dangerous in a log."""


@dataclass(frozen=True, slots=True)
class Path:
    """An address as written, without brackets and route; "" for the null sender <>."""

    address: str

    @property
    def ascii(self) -> bool:
        return self.address.isascii()


def parse_path(raw: bytes) -> tuple[Path, bytes] | None:
    """(path, what stands behind its ">"), None where there is no path. Cost grows with the length."""
    end = _closing(raw)
    if raw[:1] != b"<" or end < 0 or end > MAX_PATH:
        return None
    try:
        text = raw[1:end].decode("utf-8")
    except UnicodeDecodeError:
        return None
    if (route := _ROUTE.match(text)) is not None:
        text = text[route.end() :]
    if text.lower() == "postmaster":
        return Path("postmaster"), raw[end + 1 :]
    if text and (_MAILBOX.fullmatch(text) is None or _UNSAFE.search(text)):
        return None
    return Path(text), raw[end + 1 :]


def _closing(raw: bytes) -> int:
    """Offset of the ">" that closes the path: one within quotes does not."""
    quoted = escaped = False
    for i, octet in enumerate(raw[: MAX_PATH + 2]):
        if escaped:
            escaped = False
        elif quoted and octet == 0x5C:
            escaped = True
        elif octet == 0x22:
            quoted = not quoted
        elif octet == 0x3E and not quoted:
            return i
    return -1
