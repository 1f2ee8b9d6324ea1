"""MIME fields with parameters: Content-Type, Content-Disposition, Content-Transfer-Encoding.

Lenient where mail of thirty years is broken (no semicolon, unquoted blanks, comments, an open quote), linear
always. Parameters stay octets here; RFC 2231 lives in `decode`, except for the joining of continuations that
BODYSTRUCTURE asks for (`join_parameters` there). RFC 2045 5.1 and 6, RFC 2183 2, RFC 7103 7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

Parameters = tuple[tuple[bytes, bytes], ...]
"""(name as written, value without quotes), in order; several may have one name."""

_TYPE = re.compile(rb"[ \t]*+([!#-'*+\-.0-9A-Z^_`a-z{|}~]++)[ \t]*+/[ \t]*+([!#-'*+\-.0-9A-Z^_`a-z{|}~]++)").match
_WORD = re.compile(rb"[ \t]*+([^\s;,()\"]++)").match
_PARAMETER = re.compile(rb';\s*+([^\s=;"]++)\s*+=\s*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)["\\]?|([^";][^;]*+|))', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT = re.compile(rb"\([^()]*+\)")
_LAST_COMMENT = re.compile(rb"\([^()]*+\)\Z")


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


def parse_parameters(rest: bytes, most: int) -> Parameters:
    """The parameters behind a field's value; at most `most` of them."""
    found: list[tuple[bytes, bytes]] = []
    if b"=" not in rest:
        return ()
    for match in _PARAMETER.finditer(rest if rest.startswith(b";") else b";" + rest):
        name, quoted, bare = match.groups()
        if quoted is not None:
            value = _ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted
        else:
            value = bare.strip()
            if value.endswith(b")"):
                # rfc2045-5.1: charset=us-ascii (Plain text)
                last = value.rfind(b"(")
                if last > 0 and _LAST_COMMENT.match(value, last):
                    value = value[:last].rstrip()
        found.append((name, value))
        if len(found) >= most:
            break
    return tuple(found)


def _parse_type(field: bytes, most: int) -> tuple[bytes, bytes, Parameters] | None:
    match = _TYPE(field)
    if match is None and b"(" in field:
        field = _COMMENT.sub(b"", field)
        match = _TYPE(field)
    if match is None:
        return None
    return match[1].lower(), match[2].lower(), parse_parameters(field[match.end() :].lstrip(), most)


_parse_type_kept = lru_cache(maxsize=512)(_parse_type)


def content_type(field: bytes, most: int) -> tuple[bytes, bytes, Parameters] | None:
    """(type, subtype, parameters), type and subtype in lower case; None where the field is malformed.

    field: unfolded. RFC 2045 5.2: the caller takes text/plain for a malformed one.
    """
    if len(field) < 100 and b"oundary" not in field:
        return _parse_type_kept(field, most)  # a few dozen values make up most of all mail
    return _parse_type(field, most)


def disposition(field: bytes, most: int) -> Valued:
    """Content-Disposition: type as written and parameters; value b"" where there is none."""
    word, separator, rest = field.partition(b";")
    match = _WORD(word)
    if match is None:
        return Valued(b"attachment", parse_parameters(field, most)) if b"=" in field else NO_VALUE
    return Valued(match[1], parse_parameters(rest, most) if separator else ())


_ENCODINGS = {b"7bit": "7bit", b"8bit": "8bit", b"base64": "base64", b"quoted-printable": "quoted-printable"}


def transfer_encoding(field: bytes | None) -> str:
    """Lower-case encoding, "7bit" where absent, empty or not ASCII. RFC 2045 6.1."""
    if field is None:
        return "7bit"
    known = _ENCODINGS.get(field)
    if known is not None:
        return known
    match = _WORD(_COMMENT.sub(b"", field).replace(b'"', b""))
    if match is None or not match[1].isascii() or len(match[1]) > 64:
        return "7bit"
    return match[1].lower().decode("ascii")
