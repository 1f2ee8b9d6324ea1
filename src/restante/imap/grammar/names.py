"""Mailbox names on the wire: modified UTF-7 for IMAP4rev1, UTF-8 for IMAP4rev2 and UTF8=ACCEPT.

Decoding is strict, so that one name has one spelling: what another spelling would smuggle in (base64 of
printable ASCII, loose padding bits, halves of surrogate pairs) is refused. NFC and INBOX's case are the
session's business. RFC 3501 5.1.3, RFC 9051 5.1 and A.1, RFC 6855 3.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, b2a_base64

from .errors import BadSyntax

_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_PLAIN = re.compile(rb"[\x20-\x25\x27-\x7e]*")
_TO_SHIFT = re.compile(r"[^\x20-\x7e]+|&")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+\Z")
LONGEST = 16_384
"""Octets of a name as sent: what is longer is no mailbox's, however it is written, and is not decoded."""


def decode_utf7(raw: bytes) -> str:
    """Text of a name in modified UTF-7.

    Raises BadSyntax, with the offset, for 8-bit or control octets, an unclosed or empty-padded shift, base64
    that stands for printable ASCII, two shifts side by side, ill-formed UTF-16. RFC 3501 5.1.3.
    """
    if b"&" not in raw and raw.isascii() and raw.isalnum():
        return raw.decode("ascii")
    pieces: list[str] = []
    pos, after_shift = 0, False
    while pos < len(raw):
        plain = _PLAIN.match(raw, pos)
        if plain is not None and plain.end() > pos:
            pieces.append(plain[0].decode("ascii"))
            pos, after_shift = plain.end(), False
            continue
        shifted = _SHIFTED.match(raw, pos)
        if shifted is None:
            raise BadSyntax("Mailbox name is not valid modified UTF-7", pos)
        if not shifted[1]:
            pieces.append("&")
            after_shift = False
        else:
            if after_shift:
                raise BadSyntax("Mailbox name has a superfluous shift in modified UTF-7", pos)
            pieces.append(_decode_shifted(shifted[1], pos))
            after_shift = True
        pos = shifted.end()
    return "".join(pieces)


def _decode_shifted(data: bytes, offset: int) -> str:
    """Text of one base64 run (without "&" and "-")."""
    padded = data.replace(b",", b"/") + b"=" * (-len(data) % 4)
    try:
        octets = a2b_base64(padded, strict_mode=True)
        text = octets.decode("utf-16-be")
    except (Error, UnicodeDecodeError) as error:
        raise BadSyntax("Mailbox name is not valid modified UTF-7", offset) from error
    if _encode_shifted(text) != data or any(" " <= char <= "~" for char in text):
        raise BadSyntax("Mailbox name is not in the one form modified UTF-7 allows", offset)
    return text


def _encode_shifted(text: str) -> bytes:
    return b2a_base64(text.encode("utf-16-be"), newline=False).rstrip(b"=").replace(b"/", b",")


def encode_utf7(name: str) -> bytes:
    """The name in modified UTF-7. Raises UnicodeEncodeError for a lone surrogate. RFC 3501 5.1.3."""
    if name.isascii() and "&" not in name and name.isprintable():
        return name.encode("ascii")

    def shift(match: re.Match[str]) -> str:
        if match[0] == "&":
            return "&-"
        return "&" + _encode_shifted(match[0]).decode("ascii") + "-"

    return _TO_SHIFT.sub(shift, name).encode("ascii")


def decode_mailbox(raw: bytes, utf8: bool) -> str:
    """Text of a mailbox name or LIST pattern as sent. utf8: UTF-8, else modified UTF-7.

    Raises BadSyntax; for a name with control characters, or a very long one, it asks for NO [CANNOT], since the syntax
    is right.
    """
    if len(raw) > LONGEST:
        raise BadSyntax("That cannot be the name of a mailbox.", 0, b"CANNOT", True)
    if utf8:
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadSyntax("Mailbox name is not valid UTF-8", error.start) from error
    else:
        name = decode_utf7(raw)
    if _CONTROL.search(name):
        raise BadSyntax("A mailbox name holds no control characters", 0, b"CANNOT", True)
    return name


def encode_mailbox(name: str, utf8: bool) -> bytes:
    """The name as a response shows it: an atom where it can be one, else quoted (a literal as last resort)."""
    raw = name.encode("utf-8") if utf8 else encode_utf7(name)
    if _ATOM.match(raw) and raw.upper() != b"NIL":
        return raw
    if b"\r" in raw or b"\n" in raw or b"\0" in raw:
        return b"{%d}\r\n%b" % (len(raw), raw)
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
