"""RFC 6858: the message that a client sees that knows no UTF-8 in header fields.

Only header fields with 8-bit octets change, in the message, its parts and nested messages; everything else is
copied octet for octet. Addresses that cannot be shown become one under .invalid, parameters and fields that
cannot be shown go, a Subject is encoded. The result depends on the octets alone (no guessing by statistics), so
that a size stored at delivery stays true.
"""

from __future__ import annotations

import re
from base64 import b64encode

from .addresses import Address, parse_addresses
from .decode import decode_header
from .headers import unfold
from .model import Part
from .parameters import Parameters, content_type, disposition

INVALID = b"invalid@internationalized-address.invalid"

ADDRESS_FIELDS = frozenset(
    b"bcc cc from reply-to resent-bcc resent-cc resent-from resent-sender resent-to return-path sender to".split()
)
"""RFC 6858 2.1."""

MAX_ADDRESSES = 5_000
MAX_PARAMETERS = 1_000
MAX_FIELD = 1 << 20
"""Octets of a field that is looked at; a longer one cannot be shown. 28 MB of Subject, decoded and encoded again, took
600 MB."""

_WORD_OCTETS = 39
"""Octets of UTF-8 in one encoded word: 39 make 52 of base64, and 64 with `=?utf-8?B?` and `?=`."""

_LINES = re.compile(rb"^(?:([!-9;-~]++)[ \t]*+:)?((?:.*+\n[ \t])*+.*+(?:\n|\Z))", re.MULTILINE)
_PLAIN_PHRASE = re.compile(rb"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~ ]*").fullmatch
_DOT_ATOM = re.compile(rb"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]+").fullmatch


def surrogate(data: bytes, root: Part) -> bytes:
    """The surrogate of a message whose tree is `root`; `data` itself where no header field has 8-bit octets.

    It ends in CRLF, so that its size is what RETR sends before dot-stuffing.
    """
    pieces: list[bytes] = []
    position = 0
    for part in _parts(root):
        header = data[part.header : part.body]
        if header.isascii():
            continue
        pieces.append(data[position : part.header])
        pieces.append(_rewrite(header, part))
        position = part.body
    if not pieces:
        return data
    pieces.append(data[position:])
    shown = b"".join(pieces)
    return shown if shown.endswith(b"\r\n") else shown + b"\r\n"


def surrogate_size(data: bytes, root: Part, before: bytes = b"") -> int:
    """`len(surrogate(before + data, ...))`, without joining or making it. root: the tree within `data` alone."""
    size, tail, position, changed = len(before) + len(data), before[-2:], 0, False
    for part in _parts(root):
        start, end = part.header, part.body
        own = start == 0 and not changed
        header = before + data[start:end] if own else data[start:end]
        if header.isascii():
            continue
        shown = _rewrite(header, part)
        tail = shown[-2:] if own else (tail + data[max(position, start - 2) : start] + shown[-2:])[-2:]
        size += len(shown) - len(header)
        position, changed = end, True
    tail = (tail + data[max(position, len(data) - 2) :])[-2:]
    return size + 2 if changed and tail != b"\r\n" else size


def _parts(root: Part) -> list[Part]:
    """All parts in the order of their octets."""
    found: list[Part] = []
    waiting = [root]
    while waiting:
        part = waiting.pop()
        found.append(part)
        waiting.extend(reversed(part.children))
    return found


def _rewrite(header: bytes, part: Part) -> bytes:
    """The header of a part as it may be shown. Where its sender forgot the empty line it gets one: what stands behind
    would be read as more of it, 8-bit octets and all."""
    kept: list[bytes] = []
    for match in _LINES.finditer(header):
        raw = match[0]
        if raw.isascii():
            kept.append(raw)
        elif match[1] is not None and len(raw) <= MAX_FIELD:
            kept.append(_field(match[1], unfold(match[2])))
    if part.end > part.body and not header.endswith((b"\n\r\n", b"\n\n")):
        kept.append(b"\r\n")
    return b"".join(kept)


def _field(name: bytes, value: bytes) -> bytes:
    """One field that has 8-bit octets, as it may be shown; b"" if it may not."""
    low = name.lower()
    shown: bytes | None = None
    if low == b"subject":
        shown = _encoded(value)
    elif low in ADDRESS_FIELDS:
        shown = _addresses(value, bare=low == b"return-path")
    elif low == b"content-type":
        parsed = content_type(value, MAX_PARAMETERS)
        if parsed is not None:
            shown = parsed[0] + b"/" + parsed[1] + _parameters(parsed[2])
    elif low == b"content-disposition":
        found = disposition(value, MAX_PARAMETERS)
        if found.value and found.value.isascii():
            shown = found.value + _parameters(found.parameters)
    return b"" if shown is None else name + b": " + shown + b"\r\n"


def _parameters(parameters: Parameters) -> bytes:
    """RFC 6858 2.2: those that cannot be shown exactly go."""
    return b"".join(
        [b";\r\n " + name + b"=" + _quoted(value) for name, value in parameters if name.isascii() and value.isascii()]
    )


def _quoted(value: bytes) -> bytes:
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _encoded(value: bytes) -> bytes:
    """Text as RFC 2047 encoded words, one a line; cut between characters."""
    octets = decode_header(value).encode("utf-8", "replace")
    words: list[bytes] = []
    start, stop = 0, _WORD_OCTETS
    while stop < len(octets):
        while octets[stop] & 0xC0 == 0x80:  # not within a character
            stop -= 1
        words.append(octets[start:stop])
        start, stop = stop, stop + _WORD_OCTETS
    words.append(octets[start:])
    return b"\r\n ".join([b"=?utf-8?B?" + b64encode(word) + b"?=" for word in words])


def _addresses(value: bytes, bare: bool) -> bytes:
    """RFC 6858 2.1: internationalised addresses replaced, names encoded, the rest told again."""
    found, _ = parse_addresses(value, MAX_ADDRESSES)
    if bare:
        return b"<" + INVALID + b">"
    written: list[bytes] = []
    for address in found:
        if address.host is None:
            if address.mailbox is None:
                previous = written.pop() if written else b""
                written.append(previous.rstrip(b",") + b";,")
            else:
                written.append(_phrase(address.mailbox) + b":")
        else:
            written.append(_address(address) + b",")
    return b"\r\n ".join(written).rstrip(b",")


def _address(address: Address) -> bytes:
    mailbox, host = address.mailbox or b"", address.host or b""
    spec = mailbox + b"@" + host if host else mailbox
    if spec.isascii():
        local = mailbox if _DOT_ATOM(mailbox) else _quoted(mailbox)
        shown = local + b"@" + host if host else local
        return _phrase(address.name) + b" <" + shown + b">" if address.name else b"<" + shown + b">"
    told = address.name + b" " + spec if address.name else spec
    return _phrase(told) + b" <" + INVALID + b">"


def _phrase(name: bytes) -> bytes:
    if _PLAIN_PHRASE(name):
        return name
    if not name.isascii() or b"=?" in name:  # quoted, encoded words would be shown as they are
        return _encoded(name)
    return _quoted(name)
