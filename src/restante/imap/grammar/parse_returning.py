"""RETURN options of SEARCH and its relatives: one table.

A new option is a row here; what it means is the business of whoever answers. RFC 4466 2.6.1, RFC 4731 3.1,
RFC 5182 2.1, RFC 5267 5, RFC 5465 8, RFC 9394 3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from . import commands as c
from .parse_fetch import fetch_items
from .partial import partial_range
from .tokens import Cursor


@dataclass(slots=True)
class Returning:
    """Options as they are read. names: upper-case; ALL where the list was empty. partial: PARTIAL's range. update:
    UPDATE's items."""

    names: set[str] = field(default_factory=set)
    partial: c.Partial | None = None
    update: tuple[c.FetchItem, ...] = ()


def _partial(cursor: Cursor, returning: Returning) -> None:
    """ "PARTIAL" SP partial-range"""
    if returning.partial is not None:
        raise cursor.bad("PARTIAL stands twice")
    cursor.sp()
    returning.partial = partial_range(cursor)


def _update(cursor: Cursor, returning: Returning) -> None:
    """ "UPDATE" [SP "(" fetch-att *(SP fetch-att) ")"] (RFC 5267 5, RFC 5465 8)"""
    if cursor.skip(b" ("):
        cursor.pos -= 1
        returning.update = fetch_items(cursor)


def _bare(cursor: Cursor, returning: Returning) -> None:
    """A word that stands alone."""


OPTIONS: dict[str, Callable[[Cursor, Returning], None]] = {
    "MIN": _bare,
    "MAX": _bare,
    "ALL": _bare,
    "COUNT": _bare,
    "SAVE": _bare,
    "PARTIAL": _partial,
    "UPDATE": _update,
    "CONTEXT": _bare,
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
