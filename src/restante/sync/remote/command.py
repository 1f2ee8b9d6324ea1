"""Commands as they are sent: octets with literals between them. RFC 9051 9, RFC 7888."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence

from ...imap.grammar.sets import Range, compress, format_ranges
from ...values import Value

SET_OCTETS = 7_000
"""A command's line stays below the 8,192 octets that every server takes (RFC 7162 4)."""

_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+\Z")
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]{0,1000}\Z")


class Literal(Value, frozen=True):
    """binary: a literal8 (RFC 3516 4.4)."""

    data: bytes
    binary: bool = False


Part = bytes | Literal
Command = Sequence[Part]
"""Parts of a command behind its tag; what is between them is written by whoever makes it."""


def astring(raw: bytes, utf8: bool = False) -> Part:
    """An astring: an atom or quoted where that can be, else a literal. utf8: quoted strings may have it."""
    if _ATOM.match(raw) and raw.upper() != b"NIL":
        return raw
    if _QUOTABLE.match(raw) or (utf8 and len(raw) < 1_000 and not re.search(rb"[\x00\r\n]", raw)):
        return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return Literal(raw)


def encode(tag: bytes, command: Command, most: int | None) -> list[bytes]:
    """The octets, to be sent piece by piece, waiting for "+" between them.

    most: octets of a literal that may be sent without waiting (None: of any; 0: of none).
    """
    pieces: list[bytes] = []
    line = [tag, b" "]
    for part in command:
        if isinstance(part, bytes):
            line.append(part)
            continue
        size = len(part.data)
        free = most is None or size <= most
        line.append((b"~" if part.binary else b"") + (b"{%d+}\r\n" if free else b"{%d}\r\n") % size)
        if not free:
            pieces.append(b"".join(line))
            line.clear()
        line.append(part.data)
    line.append(b"\r\n")
    pieces.append(b"".join(line))
    return pieces


def sets(uids: Iterable[int], most: int | None = None) -> Iterator[tuple[bytes, list[Range]]]:
    """Sequence sets of these UIDs, ascending, each short enough for one command, with their ranges.

    most: messages a set may name, where a server has a limit (RFC 9738).
    """
    ranges = compress(array("Q", sorted(set(uids))))
    part: list[Range] = []
    octets = named = 0
    for low, high in ranges:
        while low <= high:
            last = high if most is None else min(high, low + most - named - 1)
            part.append((low, last))
            octets += len(str(low)) + len(str(last)) + 2
            named += last - low + 1
            low = last + 1
            if octets >= SET_OCTETS or (most is not None and named >= most):
                yield format_ranges(part), part
                part, octets, named = [], 0, 0
    if part:
        yield format_ranges(part), part
