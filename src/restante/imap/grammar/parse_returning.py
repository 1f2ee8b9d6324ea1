"""RETURN options of SEARCH and its relatives, and the PARTIAL range that FETCH takes too: one table.

A new option is a row here; what it means is the business of whoever answers. RFC 4466 2.6.1, RFC 4731 3.1,
RFC 5182 2.1, RFC 9394 3.1 and 4.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from . import commands as c
from .sets import MAX_NUMBER
from .tokens import Cursor

_RANGE = re.compile(rb"(-?)([1-9][0-9]{0,9}):(-?)([1-9][0-9]{0,9})(?![0-9])")


@dataclass(slots=True)
class Returning:
    """Options as they are read. names: upper-case; ALL where the list was empty. partial: PARTIAL's range."""

    names: set[str] = field(default_factory=set)
    partial: c.Partial | None = None


def partial_range(cursor: Cursor) -> c.Partial:
    """partial-range = nz-number ":" nz-number / "-" nz-number ":" "-" nz-number (RFC 9394 4)"""
    start = cursor.pos
    raw = cursor.match(_RANGE, "a range of results")
    found = _RANGE.fullmatch(raw)
    if found is None or found[1] != found[3] or max(int(found[2]), int(found[4])) > MAX_NUMBER:
        cursor.pos = start
        raise cursor.bad("Invalid range of results")
    sign = -1 if found[1] else 1
    return c.Partial(sign * int(found[2]), sign * int(found[4]))


def _partial(cursor: Cursor, returning: Returning) -> None:
    """ "PARTIAL" SP partial-range"""
    if returning.partial is not None:
        raise cursor.bad("PARTIAL stands twice")
    cursor.sp()
    returning.partial = partial_range(cursor)


def _bare(cursor: Cursor, returning: Returning) -> None:
    """A word that stands alone."""


OPTIONS: dict[str, Callable[[Cursor, Returning], None]] = {
    "MIN": _bare,
    "MAX": _bare,
    "ALL": _bare,
    "COUNT": _bare,
    "SAVE": _bare,
    "PARTIAL": _partial,
}


def parse_returning(cursor: Cursor) -> Returning:
    """The list behind RETURN.

    search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")". ALL and PARTIAL
    exclude each other (RFC 9394 3.1).
    """
    returning = Returning()
    cursor.expect(b"(")
    if cursor.skip(b")"):
        returning.names.add("ALL")
        return returning
    while True:
        name = cursor.keyword().decode("ascii")
        read = OPTIONS.get(name)
        if read is None:
            raise cursor.bad("Unknown SEARCH return option")
        read(cursor, returning)
        returning.names.add(name)
        if cursor.skip(b")"):
            break
        cursor.sp()
    if returning.partial is not None and "ALL" in returning.names:
        raise cursor.bad("ALL and PARTIAL exclude each other")
    return returning
