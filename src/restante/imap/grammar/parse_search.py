"""SEARCH: search keys to the one query language.

`KeyTree` puts them together: parentheses, NOT and FUZZY count against `limits.nesting`, all keys against
`limits.search_keys`. RFC 9051 6.4.4, RFC 3501 6.4.4, RFC 4731, RFC 5182, RFC 7162 3.1.5, RFC 8474 6, RFC 5032 (YOUNGER,
OLDER), RFC 5466 3.1 (FILTER), RFC 6203 (FUZZY), RFC 8514 4.3 (save dates), RFC 9738 3.2 (UIDAFTER, UIDBEFORE).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ...query import language as q
from . import commands as c
from .charsets import BADCHARSET, CHARSETS
from .dates import DATE, parse_date
from .errors import BadSyntax
from .key_tree import KeyTree, Opened, all_of
from .parse_return import Returning, return_options, skip_word
from .sets import MAX_NUMBER
from .tokens import ATOM, QUOTE, Cursor

_WORD = re.compile(rb"[A-Za-z0-9]+")
_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}")


class _Text:
    """Decodes strings by the search's charset.

    filters: a FILTER key was read, which means UTF-8 (RFC 5466 3.1). saves: a refusal empties what was saved.
    """

    __slots__ = ("codec", "filters", "saves")

    def __init__(self, codec: str, saves: bool) -> None:
        self.codec = codec
        self.filters = False
        self.saves = saves

    def read(self, cursor: Cursor) -> str:
        """A string; 8-bit octets may stand between quotes too, without an ENABLE: imapfilter sends them so.

        RFC 3501 has literals for these; RFC 6855 3 does not ask to refuse the other. What is not valid is NO, a search
        that cannot be done (RFC 3501 6.4.4), not BAD: JavaMail, which sends the low octet of each character once it has
        enabled UTF8=ACCEPT, searches by itself then.
        """
        start, between_quotes = cursor.pos, cursor.peek() == QUOTE
        value = cursor.sought()
        # What an ENABLE lets in there is UTF-8 whatever CHARSET said. 7-bit octets are in the charset named: ISO-2022
        # needs no others.
        codec = "utf-8" if between_quotes and cursor.utf8 and not value.isascii() else self.codec
        try:
            return value.decode(codec)
        except UnicodeDecodeError as error:
            text = "Search string is not valid in its charset"
            raise BadSyntax(text, start, no=True, unsaves=self.saves) from error

    def check(self, offset: int) -> None:
        """At the end of the keys: raises BadSyntax where a FILTER key forbids the charset."""
        if self.filters and self.codec not in ("ascii", "utf-8"):
            raise BadSyntax("FILTER needs CHARSET UTF-8", offset, BADCHARSET)


Reader = Callable[[Cursor, _Text], q.Query]


def _flag(name: str) -> Reader:
    node = q.HasFlag(name)
    return lambda cursor, text: node


def _no_flag(name: str) -> Reader:
    node = q.Not(q.HasFlag(name))
    return lambda cursor, text: node


def _constant(node: q.Query) -> Reader:
    return lambda cursor, text: node


def _contains(field: q.Field) -> Reader:
    """ "FROM" SP astring, and the like"""

    def read(cursor: Cursor, text: _Text) -> q.Query:
        cursor.sp()
        return q.Contains(field, text.read(cursor))

    return read


def _dated(instant: q.Instant, order: q.Order) -> Reader:
    """ "BEFORE" SP date, and the like; date = date-text / DQUOTE date-text DQUOTE"""

    def read(cursor: Cursor, text: _Text) -> q.Query:
        cursor.sp()
        raw = cursor.quoted() if cursor.at(b'"') else cursor.match(DATE, "a date")
        return q.Dated(instant, order, parse_date(raw))

    return read


def _header(cursor: Cursor, text: _Text) -> q.Query:
    """ "HEADER" SP header-fld-name SP astring"""
    cursor.sp()
    start = cursor.pos
    name = cursor.sought()
    if not name.isascii():
        raise BadSyntax("Invalid header field name", start)
    cursor.sp()
    return q.HeaderContains(name.decode("ascii"), text.read(cursor))


def _keyword(cursor: Cursor, text: _Text) -> q.Query:
    """ "KEYWORD" SP flag-keyword"""
    cursor.sp()
    return q.HasFlag(cursor.atom().decode("ascii"))


def _unkeyword(cursor: Cursor, text: _Text) -> q.Query:
    """ "UNKEYWORD" SP flag-keyword"""
    return q.Not(_keyword(cursor, text))


def _larger(cursor: Cursor, text: _Text) -> q.Query:
    """ "LARGER" SP number64"""
    cursor.sp()
    return q.Larger(cursor.number64())


def _smaller(cursor: Cursor, text: _Text) -> q.Query:
    """ "SMALLER" SP number64"""
    cursor.sp()
    return q.Smaller(cursor.number64())


def _uid(cursor: Cursor, text: _Text) -> q.Query:
    """ "UID" SP sequence-set"""
    cursor.sp()
    return cursor.sequence_set(True)


def _modseq(cursor: Cursor, text: _Text) -> q.Query:
    """ "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer

    The entry is read and passed over: flags have no numbers of their own here (RFC 7162 3.1.5).
    """
    cursor.sp()
    if cursor.at(b'"'):
        if not cursor.quoted().lower().startswith(b"/flags/"):
            raise cursor.bad("Unknown entry name")
        cursor.sp()
        if cursor.keyword() not in (b"PRIV", b"SHARED", b"ALL"):
            raise cursor.bad("Unknown entry type")
        cursor.sp()
    return q.ModSeq(cursor.number64())


def _filter(cursor: Cursor, text: _Text) -> q.Query:
    """ "FILTER" SP filter-name; filter-name = 1*<any ATOM-CHAR except "/"> (RFC 5466 4)"""
    cursor.sp()
    start = cursor.pos
    name = cursor.atom()
    if b"/" in name:
        raise BadSyntax("Invalid name of a filter", start)
    text.filters = True
    return q.NamedFilter(name.decode("ascii"))


def _within(younger: bool) -> Reader:
    """ "YOUNGER" SP nz-number, "OLDER" SP nz-number (RFC 5032 3)"""

    def read(cursor: Cursor, text: _Text) -> q.Query:
        cursor.sp()
        return q.Within(cursor.nz_number(), younger)

    return read


def _object_id(make: Callable[[str], q.Query]) -> Reader:
    """ "EMAILID" SP objectid, "THREADID" SP objectid; objectid = 1*255(ALPHA / DIGIT / "_" / "-")"""

    def read(cursor: Cursor, text: _Text) -> q.Query:
        cursor.sp()
        return make(cursor.match(_OBJECT_ID, "an object id").decode("ascii"))

    return read


_NO_UID = q.Uids(())
"""The empty set, told from other keys that match nothing: who asks for it looks at no message (RFC 9738 3.1, 3.2)."""


def _uid_after(cursor: Cursor, text: _Text) -> q.Query:
    """ "UIDAFTER" SP uniqueid: UIDs above it, and never "*" for want of one (RFC 9738 3.2)"""
    cursor.sp()
    uid = cursor.nz_number()
    return _NO_UID if uid == MAX_NUMBER else q.Sequence(((uid + 1, MAX_NUMBER),), True)


def _uid_before(cursor: Cursor, text: _Text) -> q.Query:
    """ "UIDBEFORE" SP uniqueid: UIDs below it (RFC 9738 3.2)"""
    cursor.sp()
    uid = cursor.nz_number()
    return _NO_UID if uid == 1 else q.Sequence(((1, uid - 1),), True)


_KEYS: dict[bytes, Reader] = {
    b"ALL": _constant(q.All()),
    b"ANSWERED": _flag("\\Answered"),
    b"BCC": _contains(q.Field.BCC),
    b"BEFORE": _dated(q.Instant.RECEIVED, q.Order.BEFORE),
    b"BODY": _contains(q.Field.BODY),
    b"CC": _contains(q.Field.CC),
    b"DELETED": _flag("\\Deleted"),
    b"DRAFT": _flag("\\Draft"),
    b"EMAILID": _object_id(q.EmailId),
    b"FILTER": _filter,
    b"FLAGGED": _flag("\\Flagged"),
    b"FROM": _contains(q.Field.FROM),
    b"HEADER": _header,
    b"KEYWORD": _keyword,
    b"LARGER": _larger,
    b"MODSEQ": _modseq,
    b"NEW": _constant(q.And((q.Recent(), q.Not(q.HasFlag("\\Seen"))))),
    b"OLD": _constant(q.Not(q.Recent())),
    b"OLDER": _within(False),
    b"ON": _dated(q.Instant.RECEIVED, q.Order.ON),
    b"RECENT": _constant(q.Recent()),
    b"SAVEDBEFORE": _dated(q.Instant.SAVED, q.Order.BEFORE),
    b"SAVEDATESUPPORTED": _constant(q.All()),  # every mailbox keeps save dates (RFC 8514 4.3)
    b"SAVEDON": _dated(q.Instant.SAVED, q.Order.ON),
    b"SAVEDSINCE": _dated(q.Instant.SAVED, q.Order.SINCE),
    b"SEEN": _flag("\\Seen"),
    b"SENTBEFORE": _dated(q.Instant.SENT, q.Order.BEFORE),
    b"SENTON": _dated(q.Instant.SENT, q.Order.ON),
    b"SENTSINCE": _dated(q.Instant.SENT, q.Order.SINCE),
    b"SINCE": _dated(q.Instant.RECEIVED, q.Order.SINCE),
    b"SMALLER": _smaller,
    b"SUBJECT": _contains(q.Field.SUBJECT),
    b"TEXT": _contains(q.Field.TEXT),
    b"THREADID": _object_id(q.ThreadId),
    b"TO": _contains(q.Field.TO),
    b"UID": _uid,
    b"UIDAFTER": _uid_after,
    b"UIDBEFORE": _uid_before,
    b"UNANSWERED": _no_flag("\\Answered"),
    b"UNDELETED": _no_flag("\\Deleted"),
    b"UNDRAFT": _no_flag("\\Draft"),
    b"UNFLAGGED": _no_flag("\\Flagged"),
    b"UNKEYWORD": _unkeyword,
    b"UNSEEN": _no_flag("\\Seen"),
    b"YOUNGER": _within(True),
}


def parse_search(cursor: Cursor, tag: bytes, uid: bool = False) -> c.Command:
    """search = "SEARCH" [search-return-opts] SP search-program"""
    cursor.sp()
    returning = return_options(cursor)
    query, named = search_program(cursor, returning)
    if returning is None:
        return c.Search(tag, query, uid, None, named)
    return c.Search(tag, query, uid, frozenset(returning.names), named, returning.partial, returning.update)


def search_program(cursor: Cursor, returning: Returning | None) -> tuple[q.Query, bool]:
    """search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)

    To the end of the command; and whether a charset was named. Without one strings are UTF-8 (RFC 9051 6.4.4), for
    clients of RFC 3501 too: ASCII, which it supposes, is part of that, and imapfilter sends no charset by itself.
    """
    named = skip_word(cursor, b"CHARSET")
    return search_keys(cursor, charset(cursor, returning) if named else "utf-8", returning), named


def parse_keys(cursor: Cursor) -> tuple[q.Query, ...]:
    """search-key *(SP search-key), to the end, strings in UTF-8 (RFC 5466 4, search-criteria): each key as written."""
    return tuple(_keys(cursor, "utf-8"))


def charset(cursor: Cursor, returning: Returning | None) -> str:
    """charset SP: Python's codec for it. Raises BadSyntax with BADCHARSET, a NO."""
    found = CHARSETS.get(cursor.astring().upper())
    if found is None:
        raise BadSyntax("Unknown charset", cursor.pos, BADCHARSET, True, unsaves=_saves(returning))
    cursor.sp()
    return found


def search_keys(cursor: Cursor, codec: str, returning: Returning | None = None) -> q.Query:
    """search-key *(SP search-key), to the end of the command. codec: of the strings"""
    return all_of(_keys(cursor, codec, _saves(returning)))


def _saves(returning: Returning | None) -> bool:
    return returning is not None and "SAVE" in returning.names


def _keys(cursor: Cursor, codec: str, saves: bool = False) -> list[q.Query]:
    """The keys up to the end of the command.

    search-key =/ "NOT" SP search-key / "OR" SP search-key SP search-key / sequence-set / "(" search-key
    *(SP search-key) ")" / "FUZZY" SP search-key
    """
    text = _Text(codec, saves)
    tree = KeyTree()
    keys = 0
    while True:
        keys += 1
        if keys > cursor.limits.search_keys:
            raise cursor.bad("Too many search keys")
        opened = _open(cursor)
        if opened is not None:
            tree.open(opened)
            if tree.depth > cursor.limits.nesting:
                raise cursor.bad("Search keys nested too deeply")
            continue
        key = _key(cursor, text)
        tree.as_written = text.filters
        tree.add(key)
        while tree.in_parentheses and cursor.skip(b")"):
            tree.close()
        if cursor.pos == len(cursor.text) and (whole := tree.whole) is not None:
            text.check(cursor.pos)
            return whole
        cursor.sp()


def _open(cursor: Cursor) -> Opened | None:
    """What the next key opens, None if it stands for itself."""
    if cursor.skip(b"("):
        return Opened.LIST
    if skip_word(cursor, b"NOT"):
        return Opened.NOT
    if skip_word(cursor, b"OR"):
        return Opened.OR
    if skip_word(cursor, b"FUZZY"):
        return Opened.FUZZY
    return None


def _key(cursor: Cursor, text: _Text) -> q.Query:
    """One key without operands of its own kind."""
    start = cursor.pos
    word = _WORD.match(cursor.text, start)
    reader = _KEYS.get(word[0].upper()) if word else None
    if word is not None and reader is not None:
        cursor.pos = word.end()
        if ATOM.match(cursor.text, cursor.pos):
            raise cursor.bad("Unknown search key")
        return reader(cursor, text)
    if 0x30 <= cursor.peek() <= 0x39 or cursor.at(b"*") or cursor.at(b"$"):
        return cursor.sequence_set(False)
    raise cursor.bad("Unknown search key")
