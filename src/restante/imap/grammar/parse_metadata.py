"""GETMETADATA and SETMETADATA, and the names of entries. RFC 5464 3.2, 4.2, 4.3, 5; RFC 9590 5.

The RFC's grammar has GETMETADATA's options before the mailbox, its examples behind it, and one example lists
entries without parentheses: all three are taken, since clients were written from either.
"""

from __future__ import annotations

import re

from . import commands as c
from .errors import BadSyntax
from .tokens import Cursor

_ENTRY = re.compile(rb"/(?:private|shared)(?:/[^\x00-\x1f\x7f-\xff*%/]+)*\Z", re.IGNORECASE)
_LONGEST = 1_000
"""Octets of an entry's name."""
_ENTRIES = 1_000
"""Entries of one command."""
_DEPTHS = {depth.value: depth for depth in c.Depth}


def entry_name(cursor: Cursor) -> str:
    """entry = astring: "/private" or "/shared" and components behind it; ASCII without controls, "*", "%".

    The scope alone may be asked about (with DEPTH), not set.
    """
    start = cursor.pos
    raw = cursor.astring()
    if len(raw) > _LONGEST or _ENTRY.match(raw) is None:
        raise BadSyntax("Invalid name of a METADATA entry", start)
    return raw.decode("ascii")


def entry_list(cursor: Cursor) -> tuple[str, ...]:
    """entry *(SP entry) ")", the opening parenthesis being read."""
    entries = [entry_name(cursor)]
    while not cursor.skip(b")"):
        cursor.sp()
        entries.append(entry_name(cursor))
        if len(entries) > _ENTRIES:
            raise cursor.bad("Too many METADATA entries")
    return tuple(entries)


def _bare_entries(cursor: Cursor) -> tuple[str, ...]:
    entries = [entry_name(cursor)]
    while cursor.skip(b" "):
        entries.append(entry_name(cursor))
        if len(entries) > _ENTRIES:
            raise cursor.bad("Too many METADATA entries")
    return tuple(entries)


def parse_getmetadata(cursor: Cursor, tag: bytes) -> c.Command:
    """getmetadata = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries

    entries = entry / "(" entry *(SP entry) ")"
    """
    cursor.sp()
    options: dict[bytes, bytes] = {}
    if cursor.skip(b"("):
        options = _options(cursor)
        cursor.sp()
    mailbox = cursor.mailbox()
    cursor.sp()
    if not options and cursor.at(b"(") and _word_follows(cursor):
        cursor.expect(b"(")
        options = _options(cursor)
        cursor.sp()
    entries = entry_list(cursor) if cursor.skip(b"(") else _bare_entries(cursor)
    maxsize = options.get(b"MAXSIZE")
    depth = _DEPTHS[options.get(b"DEPTH", b"0")]
    return c.GetMetadata(tag, mailbox, entries, None if maxsize is None else int(maxsize), depth)


def _word_follows(cursor: Cursor) -> bool:
    """Whether a letter stands behind the parenthesis: an option's name, as no entry's begins with one."""
    return cursor.text[cursor.pos + 1 : cursor.pos + 2].isalpha()


def _options(cursor: Cursor) -> dict[bytes, bytes]:
    """getmetadata-options, the opening parenthesis being read; each at most once.

    maxsize-opt = "MAXSIZE" SP number; scope-opt = "DEPTH" SP ("0" / "1" / "infinity")
    """
    options: dict[bytes, bytes] = {}
    while True:
        name = cursor.keyword()
        if name in options:
            raise cursor.bad("Repeated GETMETADATA option")
        if name == b"MAXSIZE":
            cursor.sp()
            options[name] = b"%d" % cursor.number()
        elif name == b"DEPTH":
            cursor.sp()
            options[name] = cursor.keyword()
            if options[name] not in _DEPTHS:
                raise cursor.bad("DEPTH is 0, 1 or infinity")
        else:
            raise cursor.bad("Unknown GETMETADATA option")
        if cursor.skip(b")"):
            return options
        cursor.sp()


def parse_setmetadata(cursor: Cursor, tag: bytes) -> c.Command:
    """setmetadata = "SETMETADATA" SP mailbox SP entry-values

    entry-values = "(" entry-value *(SP entry-value) ")"; entry-value = entry SP value
    """
    cursor.sp()
    mailbox = cursor.mailbox()
    cursor.sp()
    cursor.expect(b"(")
    values: list[tuple[str, bytes | None]] = []
    while True:
        start = cursor.pos
        name = entry_name(cursor)
        parts = name.lower().split("/")
        if len(parts) < 3 or (parts[2] == "vendor" and len(parts) < 5):
            raise BadSyntax("The name of a METADATA entry has too few components", start)
        cursor.sp()
        values.append((name, cursor.value()))
        if len(values) > _ENTRIES:
            raise cursor.bad("Too many METADATA entries")
        if cursor.skip(b")"):
            return c.SetMetadata(tag, mailbox, tuple(values))
        cursor.sp()
