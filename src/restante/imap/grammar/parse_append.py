"""APPEND and REPLACE: messages on their way in.

RFC 9051 6.3.12; RFC 3502 (MULTIAPPEND), RFC 3516 4.4 (literal8), RFC 4466 2.6.1 (append-data), RFC 4469 (CATENATE),
RFC 6855 4 (UTF8), RFC 8508 (REPLACE).
"""

from __future__ import annotations

from datetime import datetime

from . import commands as c
from .dates import parse_date_time
from .errors import NeedLiteral
from .sets import STAR
from .tokens import Cursor


def parse_append(cursor: Cursor, tag: bytes) -> c.Command:
    """append = "APPEND" SP mailbox 1*append-message

    At most `limits.appended` messages, and parts of them, together.
    """
    cursor.sp()
    mailbox = cursor.mailbox()
    messages: list[c.AppendMessage] = []
    parts = 0
    try:
        while not messages or cursor.pos < len(cursor.text):
            if messages and cursor.at(b"  "):
                cursor.pos += 1  # IMAPClient's multiappend puts two spaces between messages without flags
            if len(messages) >= cursor.limits.appended:  # RFC 9738 3.1
                raise cursor.limit("Too many messages for one command", b"MESSAGELIMIT %d" % cursor.limits.appended)
            messages.append(_message(cursor, cursor.limits.appended - parts))
            parts += len(messages[-1].parts)
    except NeedLiteral as need:
        need.mailbox = mailbox
        raise
    return c.Append(tag, mailbox, tuple(messages))


def parse_replace(cursor: Cursor, tag: bytes, uid: bool = False) -> c.Command:
    """replace = "REPLACE" SP seq-number SP mailbox append-message; uid =/ "UID" SP replace

    seq-number = nz-number / "*"; with UID it is a unique identifier.
    """
    cursor.sp()
    number = STAR if cursor.skip(b"*") else cursor.nz_number()
    cursor.sp()
    mailbox = cursor.mailbox()
    sequence = c.SequenceSet(((number, number),), uid)
    try:
        message = _message(cursor, cursor.limits.appended)
    except NeedLiteral as need:
        need.mailbox, need.replaces = mailbox, sequence
        raise
    return c.Replace(tag, sequence, mailbox, message, uid)


def _message(cursor: Cursor, most: int) -> c.AppendMessage:
    """append-message = append-opts SP append-data; append-opts = [SP flag-list] [SP date-time] *(SP append-ext)

    append-data = literal / literal8 / "UTF8" SP "(" literal8 ")" / "CATENATE" SP "(" cat-part *(SP cat-part) ")".
    most: parts that may still come.
    """
    cursor.sp()
    flags: tuple[str, ...] = ()
    date: datetime | None = None
    if cursor.at(b"("):
        flags = cursor.flag_list()
        cursor.sp()
    if cursor.at(b'"'):
        date = parse_date_time(cursor.quoted())
        cursor.sp()
    if _word(cursor, b"CATENATE ("):
        return c.AppendMessage(flags, date, _parts(cursor, most), True)
    if most < 1:
        raise _too_many(cursor)
    text = _utf8(cursor) if _word(cursor, b"UTF8 ") else c.Text(*cursor.message())
    return c.AppendMessage(flags, date, (text,))


def _parts(cursor: Cursor, most: int) -> tuple[c.Text | c.Url, ...]:
    """cat-part = "TEXT" SP literal / "URL" SP astring / "UTF8" SP "(" literal8 ")" """
    parts: list[c.Text | c.Url] = []
    while True:
        if len(parts) >= most:
            raise _too_many(cursor)
        if _word(cursor, b"URL "):
            parts.append(c.Url(cursor.astring()))
        elif _word(cursor, b"TEXT "):
            parts.append(c.Text(*cursor.message()))
        elif _word(cursor, b"UTF8 "):
            parts.append(_utf8(cursor))
        else:
            raise cursor.bad("Expected TEXT, URL or UTF8")
        if cursor.skip(b")"):
            return tuple(parts)
        cursor.sp()


def _utf8(cursor: Cursor) -> c.Text:
    """utf8-literal = "UTF8" SP "(" literal8 ")", where "~" is not insisted on (RFC 6855 4)."""
    cursor.expect(b"(")
    data, binary = cursor.message()
    cursor.expect(b")")
    return c.Text(data, binary, True)


def _word(cursor: Cursor, word: bytes) -> bool:
    """Pass over a word of the grammar, in any case, if it comes next."""
    if cursor.text[cursor.pos : cursor.pos + len(word)].upper() != word:
        return False
    cursor.pos += len(word)
    return True


def _too_many(cursor: Cursor) -> Exception:
    return cursor.limit("Too many parts of messages for one command")
