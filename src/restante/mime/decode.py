"""Encoded header text and transfer encodings -> text and octets. Lenient, linear; nothing here fails.

RFC 2047 (encoded words, joined before their charset is decoded, since some senders cut characters in two),
RFC 2231 (parameters in pieces), RFC 2045 6.7 and 6.8 (quoted-printable, base64). Must not know which fields or
parts are looked at.
"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from urllib.parse import quote_from_bytes, unquote_to_bytes

from .charsets import codec, decode_charset, decode_undeclared, is_declared
from .parameters import Parameters

_WORD = re.compile(rb"=\?([^?*\s]++)(?:\*[^?\s]*+)?\?([bBqQ])\?([^?]*+)\?=")
_TRAILING_BLANKS = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_PADDING = re.compile(rb"=+")
_SECTION = re.compile(rb"([^*]++)(?:\*(0|[1-9][0-9]{0,3}))?(\*?)\Z").match


def decode_header(value: bytes, fallback: str = "") -> str:
    """An unfolded field value as text: encoded words decoded, raw 8-bit as UTF-8, `fallback` or Western."""
    if b"=?" not in value:
        return value.decode("ascii") if value.isascii() else decode_undeclared(value, fallback)
    return (_decoded_kept if len(value) + len(fallback) <= MOST_KEPT else _decoded)(value, fallback)


def reads_alone(header: bytes) -> bool:
    """Whether `decode_header` makes the same of all fields of a header whatever the fallback: all is declared, or
    UTF-8."""
    try:
        header.decode("utf-8")
    except UnicodeDecodeError:
        return False
    if b"=?" not in header:
        return True
    labels = {match[1] for match in _WORD.finditer(header)}
    return all(is_declared(label.decode("ascii", "replace").lower()) for label in labels)


def _decoded(value: bytes, fallback: str) -> str:
    pieces: list[str] = []
    pending, pending_charset, position = b"", "", 0
    for match in _WORD.finditer(value):
        between = value[position : match.start()]
        label = match[1].decode("ascii", "replace").lower()
        octets = _encoded_word(match[2], match[3])
        adjacent = position > 0 and not between.strip()
        position = match.end()
        if adjacent and label == pending_charset and not octets.startswith(_ORDERS):
            pending += octets
            continue
        if pending_charset:
            pieces.append(decode_charset(pending, pending_charset, fallback))
        if not adjacent:
            pieces.append(decode_undeclared(between, fallback))
        pending, pending_charset = octets, label
    if pending_charset:
        pieces.append(decode_charset(pending, pending_charset, fallback))
    pieces.append(decode_undeclared(value[position:], fallback))
    text = "".join(pieces)
    if text.isprintable():
        return text
    return text.translate(_CONTROLS)


_decoded_kept = lru_cache(maxsize=256)(_decoded)
"""A message's sort keys, the texts of single fields and that of its whole header each want the same values."""

MOST_KEPT = 1_000
"""Octets of a value, with its fallback's name, which is the message's own choice too, that is kept when decoded."""

_CONTROLS = {**dict.fromkeys(range(32), " "), 127: " ", 0xFEFF: None}
"""An encoded word must not bring line ends into a line of text; some begin UTF-8 with a byte order mark."""

_ORDERS = (b"\xff\xfe", b"\xfe\xff")
"""What a word in UTF-16 begins with: each of several is read by itself (RFC 2047 5)."""


def _encoded_word(kind: bytes, text: bytes) -> bytes:
    if kind in b"qQ":
        return binascii.a2b_qp(_with_escapes(text), header=True)
    return decode_base64(text)


def decode_base64(data: bytes) -> bytes:
    """Octets of base64 with anything odd in it: foreign octets are skipped, a missing end is made up for.

    Padding ends the content (list footers stand behind it), unless all that follows is sound base64 too: some
    senders join pieces that were encoded one by one.
    """
    clean = without_foreign(data).lstrip(b"=")
    padding = clean.find(b"=")
    if padding < 0:
        return _base64_piece(clean)
    if len(clean) - padding <= 2 or len(clean) % 4 or len(data.translate(None, b" \t\r\n")) != len(clean):
        return _base64_piece(clean[:padding])
    joined, start = bytearray(), 0  # piece after piece: a list of 15 million short ones takes a gigabyte
    for end in _PADDING.finditer(clean):
        joined += _base64_piece(clean[start : end.start()])
        start = end.end()
    return bytes(joined + _base64_piece(clean[start:]))


def without_foreign(data: bytes) -> bytes:
    """The octets of base64's alphabet, padding included."""
    return data.translate(None, _NOT_BASE64)


def _base64_piece(clean: bytes) -> bytes:
    left = len(clean) % 4
    if left == 1:
        clean = clean[:-1]
    elif left:
        clean += b"=="[left - 2 :]
    return binascii.a2b_base64(clean)


def decode_quoted_printable(data: bytes) -> bytes:
    """Octets of quoted-printable; what is no valid escape stays as it is. Blanks before a line end go."""
    if b" \n" in data or b" \r\n" in data or b"\t\n" in data or b"\t\r\n" in data or data.endswith((b" ", b"\t")):
        data = _TRAILING_BLANKS.sub(b"", data)
    return binascii.a2b_qp(_with_escapes(data))


def _with_escapes(data: bytes) -> bytes:
    """With each "=" escaped that binascii would take another octet away with: before another one, and before a CR alone
    (RFC 2045 6.7, note 2). By replacing, since twenty megabytes of "=" are two gigabytes of matches."""
    if b"==" in data:
        data = data.replace(b"==", b"=3D=").replace(b"==", b"=3D=")  # twice: of three the second is in no pair
    if b"=\r" in data:
        data = data.replace(b"=\r\n", b"=\n").replace(b"=\r", b"=3D\r")
    return data


def decode_transfer(data: bytes, encoding: str) -> bytes | None:
    """Content without its Content-Transfer-Encoding (lower-case); None for an unknown one."""
    if encoding in ("7bit", "8bit", "binary"):
        return data
    if encoding == "base64":
        return decode_base64(data)
    if encoding == "quoted-printable":
        return decode_quoted_printable(data)
    return None


def join_parameters(parameters: Parameters) -> Parameters:
    """Parameters with RFC 2231 pieces joined: foo*0*, foo*1 become foo* (percent-encoded UTF-8), bar*0, bar*1 bar.

    This is what BODYSTRUCTURE tells (RFC 9051 7.5.2, body parameter parenthesized list). Cost is linear in the
    pieces; those behind a gap, and doubles, are dropped.
    """
    if not any(b"*" in name for name, _ in parameters):
        return parameters
    pieces: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for name, value in parameters:
        match = _SECTION(name)
        if match is not None and match[2] is not None:
            pieces.setdefault(match[1].lower(), {}).setdefault(int(match[2]), (value, bool(match[3])))
    joined: list[tuple[bytes, bytes]] = []
    done: set[bytes] = set()
    for name, value in parameters:
        match = _SECTION(name)
        key = match[1].lower() if match is not None and match[2] is not None else None
        if match is None or key is None or 0 not in pieces[key]:  # pieces without a first one stay as they are
            joined.append((name, value))
        elif key not in done:
            done.add(key)
            joined.append(_join(match[1], pieces[key]))
    return tuple(joined)


def _join(name: bytes, numbered: dict[int, tuple[bytes, bool]]) -> tuple[bytes, bytes]:
    ordered: list[tuple[bytes, bool]] = []
    while len(ordered) in numbered:
        ordered.append(numbered[len(ordered)])
    if not any(extended for _, extended in ordered):
        return name, b"".join([value for value, _ in ordered])
    charset, language, octets = _extended_value(ordered[0][0]) if ordered[0][1] else (b"", b"", ordered[0][0])
    octets += b"".join([unquote_to_bytes(value) if extended else value for value, extended in ordered[1:]])
    label = charset.decode("ascii", "replace")
    if codec(label) not in (None, "ascii", "utf-8"):
        octets, charset = decode_charset(octets, label).encode("utf-8"), b"utf-8"
    return name + b"*", charset + b"'" + language + b"'" + quote_from_bytes(octets, safe="").encode("ascii")


def _extended_value(value: bytes) -> tuple[bytes, bytes, bytes]:
    """(charset, language, octets) of an ext-value; a value without apostrophes has no charset."""
    parts = value.split(b"'", 2)
    if len(parts) < 3:
        return b"", b"", unquote_to_bytes(value)
    return parts[0], parts[1], unquote_to_bytes(parts[2])


def parameter_octets(parameters: Parameters, name: bytes) -> bytes:
    """A parameter that is ASCII by its meaning, whichever form it has, b"" where there is none. name: lower-case."""
    for key, value in parameters:
        if value and key.lower() == name:
            return value
    for key, value in join_parameters(parameters):
        low = key.lower()
        if low == name:
            return value
        if low == name + b"*":
            return _extended_value(value)[2]
    return b""


def parameter_text(parameters: Parameters, name: bytes, fallback: str = "") -> str | None:
    """A parameter as text, whichever form it has; an RFC 2231 form before a plain one. name: lower-case."""
    plain: bytes | None = None
    for key, value in join_parameters(parameters):
        low = key.lower()
        if low == name + b"*":
            charset, _, octets = _extended_value(value)
            return decode_charset(octets, charset.decode("ascii", "replace").lower(), fallback)
        if low == name and plain is None:
            plain = value
    return None if plain is None else decode_header(plain, fallback)
