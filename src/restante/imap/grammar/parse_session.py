"""Commands about the session itself: any state, logging in, ENABLE, IDLE, ID, CANCELUPDATE.

RFC 9051 6.1, 6.2, RFC 2971, RFC 5267 4.3.5.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64
from collections.abc import Callable

from . import commands as c
from .tokens import Cursor

_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_ID_PAIRS = 30
_LANGUAGE_RANGE = re.compile(rb"(?:[A-Za-z]{1,8}|\*)(?:-(?:[A-Za-z0-9]{1,8}|\*))*")
_RANGES = 50
"""Language ranges of one command; people speak fewer languages."""


def bare(make: Callable[[bytes], c.Command]) -> Callable[[Cursor, bytes], c.Command]:
    """A parser for a command without arguments.

    command-any = "CAPABILITY" / "LOGOUT" / "NOOP"
    """

    def parse(cursor: Cursor, tag: bytes) -> c.Command:
        return make(tag)

    return parse


def parse_login(cursor: Cursor, tag: bytes) -> c.Command:
    """login = "LOGIN" SP userid SP password; userid = astring; password = astring"""
    cursor.sp()
    user = cursor.astring()
    cursor.sp()
    return c.Login(tag, user, cursor.astring())


def parse_authenticate(cursor: Cursor, tag: bytes) -> c.Command:
    """authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]; initial-resp = base64 / "=" (RFC 4959 7)"""
    cursor.sp()
    mechanism = cursor.keyword().decode("ascii")
    if not cursor.skip(b" "):
        return c.Authenticate(tag, mechanism, None)
    if cursor.skip(b"="):
        return c.Authenticate(tag, mechanism, b"")
    raw = cursor.match(_BASE64, "base64")
    if not raw:
        raise cursor.bad("Expected base64 or =")
    try:
        return c.Authenticate(tag, mechanism, a2b_base64(raw, strict_mode=True))
    except Error as error:
        raise cursor.bad("Invalid base64") from error


def parse_enable(cursor: Cursor, tag: bytes) -> c.Command:
    """enable = "ENABLE" 1*(SP capability) (RFC 5161 4)"""
    names: list[str] = []
    cursor.sp()
    names.append(cursor.keyword().decode("ascii"))
    while cursor.skip(b" "):
        names.append(cursor.keyword().decode("ascii"))
    return c.Enable(tag, tuple(names))


def parse_compress(cursor: Cursor, tag: bytes) -> c.Command:
    """compress = "COMPRESS" SP algorithm; algorithm = "DEFLATE" (RFC 4978 5)"""
    cursor.sp()
    if cursor.keyword() != b"DEFLATE":
        raise cursor.bad("DEFLATE is the one algorithm here")
    return c.Compress(tag)


def parse_language(cursor: Cursor, tag: bytes) -> c.Command:
    """language-cmd = "LANGUAGE" *(SP lang-range-quoted); lang-range-quoted = astring, a language-range of RFC 4647 2

    An atom cannot hold "*", which is a list-wildcard; a string can. (RFC 5255 3.5)
    """
    ranges: list[str] = []
    while cursor.skip(b" "):
        raw = cursor.astring()
        if len(raw) > 100 or not _LANGUAGE_RANGE.fullmatch(raw):
            raise cursor.bad("Invalid language range")
        ranges.append(raw.decode("ascii"))
        if len(ranges) > _RANGES:
            raise cursor.bad("Too many language ranges")
    return c.Language(tag, tuple(ranges))


def parse_cancel_update(cursor: Cursor, tag: bytes) -> c.Command:
    """command-select =/ "CANCELUPDATE" 1*(SP quoted) (RFC 5267 5)"""
    tags: list[bytes] = []
    cursor.sp()
    tags.append(cursor.quoted())
    while cursor.skip(b" "):
        tags.append(cursor.quoted())
    return c.CancelUpdate(tag, tuple(tags))


def parse_id(cursor: Cursor, tag: bytes) -> c.Command:
    """id = "ID" SP id-params-list; id-params-list = "(" [string SP nstring *(SP string SP nstring)] ")" / nil

    At most 30 pairs, names up to 30 octets, values up to 1,024 (RFC 2971 3.3).
    """
    cursor.sp()
    if not cursor.skip(b"("):
        if cursor.keyword() != b"NIL":
            raise cursor.bad("Expected a list or NIL")
        return c.Id(tag, None)
    pairs: list[tuple[bytes, bytes | None]] = []
    if cursor.skip(b")"):
        return c.Id(tag, ())
    while True:
        name = cursor.string()
        cursor.sp()
        value = cursor.nstring()
        if len(name) > 30 or (value is not None and len(value) > 1024):
            raise cursor.bad("ID field too long")
        pairs.append((name, value))
        if len(pairs) > _ID_PAIRS:
            raise cursor.bad("Too many ID fields")
        if cursor.skip(b")"):
            return c.Id(tag, tuple(pairs))
        cursor.sp()
