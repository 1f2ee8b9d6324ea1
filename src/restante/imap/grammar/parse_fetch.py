"""FETCH: items, sections, modifiers.

RFC 9051 6.4.5, RFC 3501 6.4.5, RFC 3516 4.2, RFC 7162 3.1.4 and 3.2.6, RFC 8474 5.1,
RFC 8514 4.2 (SAVEDATE), RFC 8970 (PREVIEW), RFC 9394 3.3 (PARTIAL).
"""

from __future__ import annotations

import re

from . import commands as c
from .errors import BadSyntax
from .limits import ReaderLimits
from .partial import partial_range
from .tokens import ASTRING, INT64, Cursor

_NAME = re.compile(rb"[A-Za-z0-9.]+")
_PATH = re.compile(rb"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*")
_LAZY = re.compile(rb" \(LAZY(?: LAZY)*\)", re.IGNORECASE)
_SECTION_WORD = re.compile(rb"[A-Za-z.]+")
_PRINTABLE = re.compile(rb"[\x20-\x7e]*")
"""No octet that stands for a literal is among them."""
_PARTS = 100
"""Depth of a part number: far beyond any structure that delivery keeps."""

_ITEMS = {item.value.encode("ascii"): item for item in c.Item}
_FAST = (c.Item.FLAGS, c.Item.INTERNALDATE, c.Item.RFC822_SIZE)
_MACROS: dict[bytes, tuple[c.FetchItem, ...]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, c.Item.ENVELOPE),
    b"FULL": (*_FAST, c.Item.ENVELOPE, c.Item.BODY),
}
_RFC822 = {
    b"RFC822": c.Body((), c.SectionText.WHOLE, (), None, False, b"RFC822"),
    b"RFC822.HEADER": c.Body((), c.SectionText.HEADER, (), None, True, b"RFC822.HEADER"),
    b"RFC822.TEXT": c.Body((), c.SectionText.TEXT, (), None, False, b"RFC822.TEXT"),
}
_TEXTS = {text.value.encode("ascii"): text for text in c.SectionText if text is not c.SectionText.WHOLE}
_BODIES = {b"BODY": False, b"BODY.PEEK": True}
_BINARIES = {b"BINARY": (False, False), b"BINARY.PEEK": (True, False), b"BINARY.SIZE": (True, True)}


def parse_fetch(cursor: Cursor, tag: bytes, uid: bool = False) -> c.Command:
    """fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att /
    "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers]
    """
    cursor.sp()
    sequence = cursor.sequence_set(uid)
    cursor.sp()
    items = fetch_items(cursor)
    if not cursor.skip(b" "):
        return c.Fetch(tag, sequence, items, uid)
    changed_since, vanished, partial = _modifiers(cursor, uid)
    return c.Fetch(tag, sequence, items, uid, changed_since, vanished, partial)


def fetch_items(cursor: Cursor) -> tuple[c.FetchItem, ...]:
    """Items asked, each once, in the order asked."""
    if not cursor.skip(b"("):
        start = cursor.pos
        macro = _MACROS.get(cursor.match(_NAME, "a FETCH item").upper())
        if macro is not None:
            return macro
        cursor.pos = start
        return (_item(cursor),)
    items: dict[c.FetchItem, None] = {}
    while True:
        items[_item(cursor)] = None
        if cursor.skip(b")"):
            return tuple(items)
        cursor.sp()


def _item(cursor: Cursor) -> c.FetchItem:
    """fetch-att = "ENVELOPE" / "FLAGS" / ... / "BODY" ["STRUCTURE"] / "UID" / "BODY" [".PEEK"] section [partial] /
    "BINARY" [".PEEK"] section-binary [partial] / "BINARY.SIZE" section-binary /
    "PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"]; preview-mod = "LAZY"
    """
    name = cursor.match(_NAME, "a FETCH item").upper()
    if cursor.skip(b"["):
        peek = _BODIES.get(name)
        if peek is not None:
            return _body(cursor, peek)
        binary = _BINARIES.get(name)
        if binary is not None:
            return _binary(cursor, *binary)
        raise cursor.bad("This FETCH item has no section")
    item = _ITEMS.get(name) or _RFC822.get(name)
    if item is None:
        raise cursor.bad("Unknown FETCH item")
    if item is c.Item.PREVIEW:  # what else may follow in parentheses are the command's own modifiers
        lazy = _LAZY.match(cursor.text, cursor.pos)
        if lazy is not None:
            cursor.pos = lazy.end()
            return c.Item.PREVIEW_LAZY
    return item


def _path(cursor: Cursor) -> tuple[int, ...]:
    """section-part = nz-number *("." nz-number); empty where none stands here."""
    found = _PATH.match(cursor.text, cursor.pos)
    if found is None:
        return ()
    path = tuple(map(int, found[0].split(b".")))
    if len(path) > _PARTS or max(path) > 0xFFFFFFFF:
        raise cursor.bad("Part number too long")
    cursor.pos = found.end()
    return path


def _body(cursor: Cursor, peek: bool) -> c.Body:
    """section = "[" [section-spec] "]"; section-spec = section-msgtext / (section-part ["." section-text])

    section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT";
    section-text = section-msgtext / "MIME"
    """
    path = _path(cursor)
    label = b"BODY[" + b".".join([b"%d" % part for part in path])
    text = c.SectionText.WHOLE
    fields: tuple[bytes, ...] = ()
    if not cursor.at(b"]"):
        if path:
            cursor.expect(b".")
            label += b"."
        word = cursor.match(_SECTION_WORD, "a section").upper()
        found = _TEXTS.get(word)
        if found is None or (found is c.SectionText.MIME and not path):
            raise cursor.bad("Unknown section")
        text, label = found, label + word
        if found in (c.SectionText.FIELDS, c.SectionText.FIELDS_NOT):
            cursor.sp()
            fields, shown = _fields(cursor)
            label += b" " + shown
    cursor.expect(b"]")
    partial = _partial(cursor)
    label += b"]" if partial is None else b"]<%d>" % partial[0]
    return c.Body(path, text, fields, partial, peek, label)


def parse_section(raw: bytes, limits: ReaderLimits) -> c.Body:
    """A section-spec that stands alone, without its brackets (an IMAP URL's, RFC 5092 11). Raises BadSyntax.

    raw: b"1.2.HEADER"; empty for the whole message.
    """
    if not _PRINTABLE.fullmatch(raw):
        raise BadSyntax("Unknown section")
    cursor = Cursor(raw + b"]", (), False, limits)
    section = _body(cursor, True)
    cursor.end()
    return section


def _fields(cursor: Cursor) -> tuple[tuple[bytes, ...], bytes]:
    """header-list = "(" header-fld-name *(SP header-fld-name) ")"; header-fld-name = astring

    Gives the names and the list as the response shows it.
    """
    cursor.expect(b"(")
    names: list[bytes] = []
    shown: list[bytes] = []
    while True:
        name = cursor.header_field()
        names.append(name)
        if ASTRING.fullmatch(name):
            shown.append(name)
        else:
            shown.append(b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"')
        if cursor.skip(b")"):
            return tuple(names), b"(" + b" ".join(shown) + b")"
        cursor.sp()


def _binary(cursor: Cursor, peek: bool, size: bool) -> c.Binary:
    """section-binary = "[" [section-part] "]" """
    path = _path(cursor)
    cursor.expect(b"]")
    partial = None if size else _partial(cursor)
    label = (b"BINARY.SIZE[" if size else b"BINARY[") + b".".join([b"%d" % part for part in path])
    label += b"]" if partial is None else b"]<%d>" % partial[0]
    return c.Binary(path, partial, peek, size, label)


def _partial(cursor: Cursor) -> tuple[int, int] | None:
    """partial = "<" number64 "." nz-number64 ">" """
    if not cursor.skip(b"<"):
        return None
    offset = cursor.number64()
    cursor.expect(b".")
    count = cursor.nz_number(INT64)
    cursor.expect(b">")
    return offset, count


def _modifiers(cursor: Cursor, uid: bool) -> tuple[int | None, bool, c.Partial | None]:
    """fetch-modifiers = SP "(" fetch-modifier *(SP fetch-modifier) ")"

    fetch-modifier =/ "CHANGEDSINCE" SP mod-sequence-value / "VANISHED" / "PARTIAL" SP partial-range. VANISHED only
    under UID and beside CHANGEDSINCE, else BAD (RFC 7162 3.2.6); PARTIAL only under UID (RFC 9394 3.3).
    """
    cursor.expect(b"(")
    since: int | None = None
    vanished = False
    partial: c.Partial | None = None
    while True:
        word = cursor.keyword()
        if word == b"CHANGEDSINCE" and since is None:
            cursor.sp()
            since = cursor.number64()  # 0 too, beyond the grammar: see number64
        elif word == b"VANISHED":
            vanished = True
        elif word == b"PARTIAL" and uid and partial is None:
            cursor.sp()
            partial = partial_range(cursor)
        else:
            raise cursor.bad("Unknown or repeated FETCH modifier")
        if cursor.skip(b")"):
            break
        cursor.sp()
    if vanished and (since is None or not uid):
        raise cursor.bad("VANISHED needs UID FETCH and CHANGEDSINCE")
    return since, vanished, partial
