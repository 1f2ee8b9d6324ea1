"""IMAP URLs that name a message or a part of one.

    imap://user@host:port/Mailbox;UIDVALIDITY=1/;UID=2/;SECTION=1.2/;PARTIAL=0.1024
                         /Mailbox;UIDVALIDITY=1/;UID=2                            an absolute path: this server's

References to relative paths are refused (RFC 5092 7.2: MUST NOT accept), and with them "." and ".." as parts of a
path, which would need resolving; a mailbox of such a name is written with %2E. So are URLs of servers, mailboxes
and searches, and those with URLAUTH, which give access to somebody else. Mailbox and user are UTF-8, percent-encoded,
whatever the connection speaks (section 8). Every expression is linear: no octet may match two neighbours.

Pure. RFC 5092 11 (ABNF), RFC 3986 3 (authority), RFC 4469 3 (what CATENATE takes).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from .commands import Body
from .errors import BadSyntax
from .limits import ReaderLimits
from .parse_fetch import parse_section

_A = rb"[A-Za-z0-9\-._~!$'()*+,&=]"
_B = rb"[A-Za-z0-9\-._~!$'()*+,&=:@]"
_HEX = rb"%[0-9A-Fa-f][0-9A-Fa-f]"
_ACHARS = rb"(?:%(a)b|%(hex)b)%(a)b*+(?:%(hex)b%(a)b*+)*+" % {b"a": _A, b"hex": _HEX}
"""1*achar."""
_BCHARS = rb"(?:%(b)b|%(hex)b|/(?!;))%(b)b*+(?:(?:/(?!;)|%(hex)b)%(b)b*+)*" % {b"b": _B, b"hex": _HEX}
"""1*bchar; the "/" before ";" is the next parameter's."""
_SERVER = re.compile(
    rb"(?:imap:)?//"
    rb"(?:(?P<user>%(a)b)?(?P<auth>;AUTH=(?:\*|%(a)b))?(?P<at>@))?"
    rb"(?P<host>\[[0-9A-Fa-f:.]++\]|%(a)b)(?::(?P<port>[0-9]{0,5}))?(?=/)" % {b"a": _ACHARS},
    re.IGNORECASE,
)
_PATH = re.compile(
    rb"/(?P<mailbox>%(b)b)"
    rb"(?:;UIDVALIDITY=(?P<uidvalidity>[1-9][0-9]{0,9}))?"
    rb"/;UID=(?P<uid>[1-9][0-9]{0,9})"
    rb"(?:/;SECTION=(?P<section>%(b)b))?"
    rb"(?:/;PARTIAL=(?P<offset>[0-9]{1,19})(?:\.(?P<count>[1-9][0-9]{0,18}))?)?\Z" % {b"b": _BCHARS},
    re.IGNORECASE,
)
_LARGEST = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """A message or a part of one.

    host: lower-case, None in an absolute path (this server, this user); user: None for the anonymous one; port: None
    for the default. section: as FETCH's BODY[] has it, the whole message where none was named. partial: (offset,
    count), count None for all that follows.
    """

    host: str | None
    user: str | None
    port: int | None
    mailbox: str
    uidvalidity: int | None
    uid: int
    section: Body
    partial: tuple[int, int | None] | None = None


def parse_url(raw: bytes, limits: ReaderLimits) -> MessageUrl:
    """The message that a URL names. Raises BadSyntax for everything else that a URL may be, and what is none."""
    host = user = None
    port: int | None = None
    position = 0
    server = _SERVER.match(raw)
    if server is not None:
        if server["at"] and not (server["user"] or server["auth"]):
            raise BadSyntax("The URL names an empty user")
        host = _text(server["host"]).lower()
        user = _text(server["user"]) if server["user"] else None
        port = int(server["port"]) if server["port"] else None
        position = server.end()
    path = _PATH.match(raw, position)
    if path is None:
        raise BadSyntax("The URL names no message", position)
    mailbox = path["mailbox"]
    if mailbox.startswith(b"/") or any(part in (b".", b"..") for part in mailbox.split(b"/")):
        raise BadSyntax("The URL's path is not absolute", position)
    uid, uidvalidity = int(path["uid"]), int(path["uidvalidity"]) if path["uidvalidity"] else None
    if uid > _LARGEST or (uidvalidity or 0) > _LARGEST:
        raise BadSyntax("Number too large", position)
    partial = None
    if path["offset"]:
        partial = int(path["offset"]), int(path["count"]) if path["count"] else None
    section = parse_section(unquote_to_bytes(path["section"] or b""), limits)
    return MessageUrl(host, user, port, _text(mailbox), uidvalidity, uid, section, partial)


def _text(raw: bytes) -> str:
    """What percent-encoded UTF-8 stands for."""
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadSyntax("The URL is not UTF-8") from error


def shown_url(raw: bytes) -> bytes:
    """A URL as it may stand in BADURL: whatever url-resp-text may not hold is percent-encoded. RFC 4469 5.

    url-resp-text = any TEXT-CHAR except "]"; 8-bit octets are left out too, which no URL has.
    """
    return _UNFIT.sub(lambda match: b"%%%02X" % match[0][0], raw) or b'""'


_UNFIT = re.compile(rb"[^\x20-\x5b\x5e-\x7e]")
