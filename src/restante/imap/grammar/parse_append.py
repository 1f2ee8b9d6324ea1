"""APPEND. RFC 9051 6.3.12, RFC 3516 4.4 (literal8), RFC 6855 4 (UTF8)."""

from __future__ import annotations

from datetime import datetime

from . import commands as c
from .dates import parse_date_time
from .tokens import Cursor


def parse_append(cursor: Cursor, tag: bytes) -> c.Command:
    """append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP append-data

    append-data = literal / literal8 / "UTF8" SP "(" literal8 ")" (~ is optional before a plain literal there)
    """
    cursor.sp()
    mailbox = cursor.mailbox()
    cursor.sp()
    flags: tuple[str, ...] = ()
    date: datetime | None = None
    if cursor.at(b"("):
        flags = cursor.flag_list()
        cursor.sp()
    if cursor.at(b'"'):
        date = parse_date_time(cursor.quoted())
        cursor.sp()
    utf8 = cursor.text[cursor.pos : cursor.pos + 6].upper() == b"UTF8 ("
    if utf8:
        cursor.pos += 6
    data, binary = cursor.message()
    if utf8:
        cursor.expect(b")")
    return c.Append(tag, mailbox, flags, date, data, binary, utf8)
