"""MIME fields with parameters: Content-Type, Content-Disposition, Content-Transfer-Encoding.

Lenient where mail of thirty years is broken (no semicolon, unquoted blanks, an open quote), linear always.
Comments may stand wherever a blank may. Parameters stay octets here; RFC 2231 lives in `decode`, except for the
joining of continuations that BODYSTRUCTURE asks for (`join_parameters` there). RFC 2045 5.1 and 6, RFC 2183 2,
RFC 7103 7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from .comments import without_comments

Parameters = tuple[tuple[bytes, bytes], ...]
"""(name as written, value without quotes), in order; several may have one name."""

_TYPE = re.compile(rb"[ \t]*+([!#-'*+\-.0-9A-Z^_`a-z{|}~]++)[ \t]*+/[ \t]*+([!#-'*+\-.0-9A-Z^_`a-z{|}~]++)").match
_WORD = re.compile(rb"[ \t]*+([^\s;,()\"]++)").match
_PARAMETER = re.compile(
    rb"(?:;|(?<=\")[ \t])\s*+([^\s=;\"]++)\s*+=\s*+"
    rb"(?:\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)[\"\\]?|([^\";][^;]*+|))",
    re.DOTALL,
)
"""Behind a quoted value a blank will do: many senders forget a semicolon there."""
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_PIECE = re.compile(rb'\s++|"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[;=(]|[^\s";=(]++', re.DOTALL).match
_MARK = re.compile(rb"\\.|[()]", re.DOTALL).finditer
_BLANK = re.compile(rb"\s*+").match

MAX_COMMENTED = 10_000
"""Octets of a field that is looked through for comments, piece by piece."""


@dataclass(frozen=True, slots=True)
class Valued:
    """A field with parameters: its value (lower-case for types and encodings) and them."""

    value: bytes
    parameters: Parameters = ()

    def get(self, name: bytes) -> bytes | None:
        """The first parameter of this lower-case name."""
        for key, value in self.parameters:
            if key.lower() == name:
                return value
        return None


NO_VALUE = Valued(b"")


def _commentless(field: bytes) -> bytes:
    """The field with a blank for each comment (RFC 2045 5.1, RFC 2183 2; RFC 5322 3.2.2).

    Parentheses are part of a value that is not quoted where more of it follows, as in `filename=report (1).txt`, and
    where there is nothing else.
    """
    if b"(" not in field or len(field) > MAX_COMMENTED:
        return field
    kept: list[bytes] = []
    valued = begun = False  # behind a "=" is a value; something of it has been seen
    position, length = 0, len(field)
    while position < length:
        start = position
        piece = _PIECE(field, position)[0]  # type: ignore[index]  # any octet begins a piece
        position += len(piece)
        if piece == b"(":
            position = _behind_comments(field, start)
            if not position:
                kept.append(field[start:])
                break
            piece = field[start:position]
            if not valued or field[position : position + 1] in ((b";", b"") if begun else (b'"',)):
                kept.append(b" ")
                continue
        kept.append(piece)
        if piece == b";":
            valued = begun = False
        elif piece == b"=" and not valued:
            valued = True
        elif valued and not piece.isspace():
            begun = True
    return b"".join(kept)


def _behind_comments(field: bytes, start: int) -> int:
    """Offset behind the comments at `start` and all blanks around them; 0 if one is not closed."""
    depth, end = 0, start
    for match in _MARK(field, start):
        if not depth and (match.start() != end or match[0] != b"("):
            return end
        if match[0] == b"(":
            depth += 1
        elif match[0] == b")":
            depth -= 1
            if not depth:
                end = _BLANK(field, match.end()).end()  # type: ignore[union-attr]  # it matches everywhere
    return 0 if depth else end


def _parse_parameters(rest: bytes, most: int) -> Parameters:
    """The parameters behind a field's value, which has no comments any more; at most `most` of them."""
    found: list[tuple[bytes, bytes]] = []
    if b"=" not in rest:
        return ()
    for match in _PARAMETER.finditer(rest if rest.startswith(b";") else b";" + rest):
        name, quoted, bare = match.groups()
        if quoted is not None:
            value = _ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted
        else:
            value = bare.strip()
        found.append((name, value))
        if len(found) >= most:
            break
    return tuple(found)


def _parse_type(field: bytes, most: int) -> tuple[bytes, bytes, Parameters] | None:
    field = _commentless(field)
    match = _TYPE(field)
    if match is None:
        return None
    return match[1].lower(), match[2].lower(), _parse_parameters(field[match.end() :].lstrip(), most)


_parse_type_kept = lru_cache(maxsize=512)(_parse_type)


def content_type(field: bytes, most: int) -> tuple[bytes, bytes, Parameters] | None:
    """(type, subtype, parameters), type and subtype in lower case; None where the field is malformed.

    field: unfolded. RFC 2045 5.2: the caller takes text/plain for a malformed one.
    """
    if len(field) < 100 and b"oundary" not in field:
        return _parse_type_kept(field, most)  # a few dozen values make up most of all mail
    return _parse_type(field, most)


def disposition(field: bytes, most: int) -> Valued:
    """Content-Disposition: type as written and parameters; value b"" where there is none.

    Parameters alone are those of an attachment, as which every unknown type counts (RFC 2183 2.8).
    """
    field = _commentless(field)
    match = _WORD(field)
    if match is None or b"=" in match[1]:  # no token: the type is missing (RFC 2183 2, RFC 2045 5.1)
        return Valued(b"attachment", _parse_parameters(field, most)) if b"=" in field else NO_VALUE
    return Valued(match[1], _parse_parameters(field[match.end() :].lstrip(), most))


_ENCODINGS = {b"7bit": "7bit", b"8bit": "8bit", b"base64": "base64", b"quoted-printable": "quoted-printable"}


def transfer_encoding(field: bytes | None) -> str:
    """Lower-case encoding, "7bit" where absent, empty or not ASCII. RFC 2045 6.1."""
    if field is None:
        return "7bit"
    known = _ENCODINGS.get(field)
    if known is not None:
        return known
    match = _WORD(without_comments(field).replace(b'"', b""))
    if match is None or not match[1].isascii() or len(match[1]) > 64:
        return "7bit"
    return match[1].lower().decode("ascii")
