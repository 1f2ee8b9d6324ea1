"""RETURN options, which SEARCH, ESEARCH and SORT share: one table.

A new option is a row here; what it means is the business of whoever answers. RFC 4466 2.6.1, RFC 4731 3.1,
RFC 5182 2.1, RFC 5267 3 and 5, RFC 5465 8, RFC 6203 4, RFC 9394 3.1.
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
    "RELEVANCY": _bare,
}


def return_options(cursor: Cursor) -> Returning | None:
    """[search-return-opts SP], None where there are none

    search-return-opts = "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")". ALL and PARTIAL exclude each
    other (RFC 9394 3.1).
    """
    if not skip_word(cursor, b"RETURN"):
        return None
    returning = Returning()
    cursor.expect(b"(")
    if not cursor.skip(b")"):
        _option(cursor, returning)
        while not cursor.skip(b")"):
            cursor.sp()
            _option(cursor, returning)
    if returning.partial is not None and "ALL" in returning.names:
        raise cursor.bad("ALL and PARTIAL exclude each other")
    returning.names = returning.names or {"ALL"}
    cursor.sp()
    return returning


def _option(cursor: Cursor, returning: Returning) -> None:
    name = cursor.keyword().decode("ascii")
    read = OPTIONS.get(name)
    if read is None:
        raise cursor.bad("Unknown return option")
    read(cursor, returning)
    returning.names.add(name)


def skip_word(cursor: Cursor, word: bytes) -> bool:
    """Pass over `word` and the space behind it, if they come next."""
    end = cursor.pos + len(word)
    if cursor.text[cursor.pos : end].upper() == word and cursor.text[end : end + 1] == b" ":
        cursor.pos = end + 1
        return True
    return False
