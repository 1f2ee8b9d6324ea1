"""IMAP strings: octets of a header field -> `nstring` as servers send it.

A value goes out quoted where it can and as a literal where it must, so that the text is valid in both IMAP
dialects (RFC 9051 9, `string`; RFC 3501 knows no UTF-8 in quoted strings). NUL, which neither form may
carry, goes out as 0x80 (RFC 9051 4.3.1). Must not know which item a string belongs to.
"""

from __future__ import annotations

import re

NIL = b"NIL"

MAX_QUOTED = 900
"""Octets of the longest quoted string; some clients read lines into small buffers."""

_PLAIN = re.compile(rb"[ !#-\[\]-~]{0,%d}" % MAX_QUOTED).fullmatch
_QUOTABLE = re.compile(rb"[\t -~]{0,%d}" % MAX_QUOTED).fullmatch


def string(value: bytes) -> bytes:
    """`value` as an IMAP string: quoted, or `{n}` CRLF and n octets."""
    if _PLAIN(value):
        return b'"%b"' % value
    if _QUOTABLE(value):
        return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    if b"\0" in value:
        value = value.replace(b"\0", b"\x80")
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """`string`, or NIL for None."""
    return NIL if value is None else string(value)
