"""What a message is recognised by without reading it whole, and what proves two to be the same. Pure.

Two messages with equal `mark` and size are taken for the same only where nothing contradicts and there is one of each;
else their octets decide (`digest`). Nothing is ever written into a message to find it again.
"""

from __future__ import annotations

import hashlib
import re

MARK_FIELDS = ("Message-ID", "Date", "From", "To", "Subject")
"""Header fields asked of a server for `mark`."""

_LINE = re.compile(rb"(?:(message-id|date|from|to|subject)[ \t]*+:(.*+(?:\n[ \t].*+)*+)|.*+)(?:\n|\Z)", re.IGNORECASE)
"""One of the fields, or any other line: to go from line to line takes a fifth of looking for a field at each octet."""


def mark(header: bytes) -> bytes:
    """16 octets that stand for the `MARK_FIELDS` of a header (or of a whole message, whose body is not looked at).

    Folding, case of names, the fields' order, line ends and NUL (`without_nul`) make no difference: servers give fields
    back in ways of their own. All occurrences count, in their order within a name.
    """
    return _mark(_fields(header))


def ident(header: bytes) -> bytes:
    """16 octets that stand for the first Message-ID field alone, empty where there is none. As `mark` otherwise."""
    return _ident(_fields(header))


def mark_and_ident(header: bytes) -> tuple[bytes, bytes]:
    """Both, for one look at the header."""
    fields = _fields(header)
    return _mark(fields), _ident(fields)


MBSYNC_OCTETS = 22
"""Of the field that mbsync puts in, with its line end."""
_MBSYNC = re.compile(rb"^X-TUID: [A-Za-z0-9+/]{12}\r?\n", re.MULTILINE)


def without_mbsync(data: bytes) -> bytes:
    """The message (or its beginning, with the whole header) as it was before mbsync copied it: that puts a field into
    what it writes, on either side, by which it finds it again. Whoever comes from there has it in all mail."""
    if (at := data.find(b"X-TUID: ")) < 0 or at > (end := _end(data)):
        return data
    found = _MBSYNC.search(data, 0, end)
    return data if found is None else data[: found.start()] + data[found.end() :]


LINE_END = 2
"""Octets of a last line end."""


NUL, FOR_NUL = b"\0", b"\x80"
"""An octet that IMAP cannot carry but in a literal8 (RFC 9051 4.3), and what Dovecot's and our
server give for it."""


def without_nul(data: bytes) -> bytes:
    """The message as IMAP gives it, whichever way it came: POP3 carries NUL. To compare, never to store."""
    return data.replace(NUL, FOR_NUL)


def has_nul(data: bytes) -> bool:
    """Whether the octets may be another's but for NUL."""
    return NUL in data or FOR_NUL in data


def as_it_was(data: bytes) -> bytes:
    """The message before mbsync copied it, without line ends at its end, and `without_nul`: POP3 gives a line end to a
    message that has none (RFC 1939 3), so what came by it is by that one longer than what IMAP gives."""
    return without_nul(without_mbsync(data).rstrip(b"\r\n"))


def _fields(header: bytes) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    end = _end(header)
    if header.find(NUL, 0, end) >= 0:
        header = without_nul(header[:end])
    # A tuple for each line, all at once, is twice as fast; and gigabytes, where somebody sends millions of lines.
    lines = _LINE.findall(header, 0, end) if end <= _LONG else map(_groups, _LINE.finditer(header, 0, end))
    for name, value in lines:
        if name:
            found.setdefault(name.lower(), []).append(b" ".join(value.split()))
    return found


_LONG = 1 << 20
"""Octets of a header whose lines are not held all at once."""


def _groups(line: re.Match[bytes]) -> tuple[bytes, bytes]:
    return line[1], line[2]


def _mark(fields: dict[bytes, list[bytes]]) -> bytes:
    lines = [b"%b:%b\n" % (name, value) for name in sorted(fields) for value in fields[name]]
    return hashlib.blake2b(b"".join(lines), digest_size=16).digest()


def _ident(fields: dict[bytes, list[bytes]]) -> bytes:
    values = fields.get(b"message-id")
    return hashlib.blake2b(values[0], digest_size=16).digest() if values and values[0] else b""


def _end(data: bytes) -> int:
    """Where the header's last line ends."""
    if data.startswith((b"\r\n", b"\n")):
        return 0
    crlf = data.find(b"\n\r\n")
    lf = data.find(b"\n\n", 0, crlf if crlf >= 0 else len(data))
    end = lf if lf >= 0 else crlf
    return end + 1 if end >= 0 else len(data)


def digest(data: bytes) -> bytes:
    """SHA-256 of a message's octets as they travel (CRLF line ends)."""
    return hashlib.sha256(data).digest()
