"""Search criteria that stand for themselves, as a stored filter has them (RFC 5466 3.2, 4)."""

from __future__ import annotations

import re

from ...query.language import Query
from .errors import BadSyntax, NeedLiteral
from .limits import ReaderLimits
from .parse_search import parse_keys
from .tokens import ATOM, Cursor

_LITERAL = re.compile(rb"\{([0-9]{1,9})\+?\}\r\n")


def is_filter_name(name: str) -> bool:
    """filter-name = 1*<any ATOM-CHAR except "/">"""
    return "/" not in name and name.isascii() and ATOM.fullmatch(name.encode("ascii")) is not None


def parse_criteria(value: bytes, limits: ReaderLimits) -> tuple[Query, ...]:
    """search-criteria = search-key *(SP search-key), strings in UTF-8, literals as they would go over the wire.

    Gives each key as it is written. Raises BadSyntax where the value is not that, or not all of it.
    """
    text, literals = bytearray(), []
    at = 0
    while (found := _LITERAL.search(value, at)) is not None:
        text += _plain(value[at : found.start()], at) + b"\r"  # see `tokens`: the mark of a literal
        at = found.end() + int(found[1])
        if at > len(value):
            raise BadSyntax("The literal is longer than the value", found.start())
        literals.append(value[found.end() : at])
    text += _plain(value[at:], at)
    try:
        return parse_keys(Cursor(bytes(text), literals, True, limits))
    except NeedLiteral as error:
        raise BadSyntax("Invalid literal") from error


def _plain(text: bytes, offset: int) -> bytes:
    """The text, if no octet of it would be taken for the mark of a literal."""
    if re.search(rb"[\x00\r\n]", text):
        raise BadSyntax("Line end or NUL outside a literal", offset)
    return text
