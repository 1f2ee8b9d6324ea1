"""ESEARCH: a search of mailboxes that its source options name. RFC 7377 4, RFC 5465 8 (filter-mailboxes)."""

from __future__ import annotations

from . import commands as c
from .parse_return import return_options
from .parse_search import search_program
from .tokens import Cursor

_KINDS = {kind.value: kind for kind in c.SourceKind}
_NAMED = (c.SourceKind.SUBTREE, c.SourceKind.SUBTREE_ONE, c.SourceKind.MAILBOXES)
_MAILBOXES = 1_000
"""Mailboxes named in one command."""


def parse_esearch(cursor: Cursor, tag: bytes) -> c.Command:
    """esearch = "ESEARCH" [SP esearch-source-opts] [SP search-return-opts] SP search-program"""
    cursor.sp()
    sources: tuple[c.Source, ...] = ()
    if cursor.text[cursor.pos : cursor.pos + 4].upper() == b"IN (":
        cursor.pos += 4
        sources = _sources(cursor)
        cursor.sp()
    returning = return_options(cursor)
    query, named = search_program(cursor, returning)
    if returning is None:
        return c.ESearch(tag, query, sources, None, named)
    return c.ESearch(tag, query, sources, frozenset(returning.names), named, returning.partial, returning.update)


def _sources(cursor: Cursor) -> tuple[c.Source, ...]:
    """esearch-source-opts = "IN" SP "(" source-mbox [SP "(" scope-options ")"] ")"

    source-mbox = filter-mailboxes *(SP filter-mailboxes). No scope option is defined, so each is an unknown one.
    """
    sources: list[c.Source] = []
    while True:
        if cursor.at(b"("):
            raise cursor.bad("Unknown scope option" if sources else "Expected a kind of mailboxes")
        sources.append(_source(cursor))
        if sum(max(1, len(source.mailboxes)) for source in sources) > _MAILBOXES:
            raise cursor.bad("Too many mailboxes")
        if cursor.skip(b")"):
            return tuple(sources)
        cursor.sp()


def _source(cursor: Cursor) -> c.Source:
    """filter-mailboxes = "selected" / "inboxes" / "personal" / "subscribed" / ("subtree" SP one-or-more-mailbox) /
    ("subtree-one" SP one-or-more-mailbox) / ("mailboxes" SP one-or-more-mailbox)
    """
    kind = _KINDS.get(cursor.keyword())
    if kind is None:
        raise cursor.bad("Unknown kind of mailboxes")
    if kind not in _NAMED:
        return c.Source(kind)
    cursor.sp()
    return c.Source(kind, cursor.mailboxes())
