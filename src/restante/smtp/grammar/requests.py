"""Commands and message data -> octets: the client's writing half.

What goes into a line is checked here, so that no address or name, wherever it comes from, can end a line and begin a
command of its own. RFC 5321 4.1.1 and 4.5.2, RFC 1870, RFC 6152, RFC 4954, RFC 6531.
"""

from __future__ import annotations

import base64
import re
from enum import Enum

from .path import MAX_PATH, Path, parse_path

END = b".\r\n"
"""Ends message data that `stuff` made. Whoever has sent it cannot take the message back."""

_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_MECHANISM = re.compile(r"[A-Z0-9_-]{1,20}")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_ANY_END = re.compile(rb"\r*\n|\r")


class BadRequest(ValueError):
    """Something that cannot stand in a command. The text is for people."""


class Content(Enum):
    """What a message needs of every server on its way."""

    ASCII = "7BIT"
    EIGHT_BIT = "8BITMIME"
    """Octets above 127 in its body alone."""
    UTF8 = "SMTPUTF8"
    """Its header is UTF-8 (RFC 6532), which needs 8BITMIME too."""
    UNSENDABLE = "no form of text"
    """NUL somewhere (RFC 2045 2.8), or a header of other octets."""


def ehlo(host: str) -> bytes:
    """host: ours, or an address literal "[192.0.2.1]"."""
    if not _HOST.fullmatch(host):
        raise BadRequest(f'"{host}" is no host name')
    return f"EHLO {host}\r\n".encode("ascii")


def mail(sender: str, *, size: int | None = None, eight_bit: bool = False, utf8: bool = False) -> bytes:
    """MAIL FROM. sender: "" for <>. size: octets as counted with CRLF line ends, where the server offers SIZE."""
    words = [b"MAIL FROM:<" + _address(sender, utf8) + b">"]
    if size is not None:
        words.append(b"SIZE=%d" % size)
    if eight_bit:
        words.append(b"BODY=8BITMIME")
    if utf8:
        words.append(b"SMTPUTF8")
    return b" ".join(words) + b"\r\n"


def rcpt(recipient: str, *, utf8: bool = False) -> bytes:
    if not recipient:
        raise BadRequest("a recipient is empty")
    return b"RCPT TO:<" + _address(recipient, utf8) + b">\r\n"


def auth(mechanism: str, initial: bytes | None = None) -> bytes:
    """initial: the initial response; an empty one is written "=" (RFC 4954 4)."""
    if not _MECHANISM.fullmatch(mechanism):
        raise BadRequest("that is no mechanism")
    words = [b"AUTH", mechanism.encode("ascii")]
    if initial is not None:
        words.append(base64.b64encode(initial) or b"=")
    return b" ".join(words) + b"\r\n"


def auth_response(response: bytes) -> bytes:
    """A line of an exchange that AUTH began."""
    return base64.b64encode(response) + b"\r\n"


def is_address(text: str) -> bool:
    """Whether it can stand in MAIL and RCPT. "postmaster" alone can (RFC 5321 4.5.1)."""
    raw = text.encode("utf-8", "surrogatepass")
    found = parse_path(b"<" + raw + b">") if 0 < len(raw) <= MAX_PATH else None
    return found is not None and found[1] == b"" and found[0] == Path(text)


def _address(text: str, utf8: bool) -> bytes:
    if text and not is_address(text):
        raise BadRequest(f'"{text}" is no address')
    if not utf8 and not text.isascii():
        raise BadRequest(f'"{text}" needs a server with SMTPUTF8')
    return text.encode("utf-8")


def content_of(message: bytes) -> Content:
    """What a message (header and body) needs. Two passes over its octets at most."""
    if b"\0" in message:
        return Content.UNSENDABLE
    if message.isascii():
        return Content.ASCII
    end = message.find(b"\r\n\r\n")
    header = message if end < 0 else message[:end]
    if header.isascii():
        return Content.EIGHT_BIT
    try:
        header.decode("utf-8")
    except UnicodeDecodeError:
        return Content.UNSENDABLE
    return Content.UTF8


def with_crlf(data: bytes) -> bytes:
    """Every line end made CRLF: SMTP carries no other (RFC 5321 2.3.8), and files of this machine have LF.

    CR CR LF, which comes of converting twice, is one line end.
    """
    return _ANY_END.sub(b"\r\n", data) if _BARE.search(data) else data


def stuff(message: bytes) -> bytes:
    """Octets to send behind DATA's 354, before `END`: dots at line starts doubled, the last line ended.

    message: with CRLF line ends alone (`with_crlf`). Raises BadRequest else: a bare CR or LF is how one message becomes
    two at a careless server. RFC 5321 4.5.2.
    """
    if _BARE.search(message):
        raise BadRequest("the message has line ends other than CRLF")
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed
