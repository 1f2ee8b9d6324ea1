"""Octets of a server -> replies, and what EHLO's reply says it can do: the client's reading half. Bounded.

    Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF       (RFC 5321 4.2)
    text       = class "." subject "." detail SP human                                          (RFC 2034 4)

Read more widely than written: a bare LF ends a line too, and octets that are no UTF-8 are shown as ISO 8859-1. What
comes out of a reply's text is for people: nothing is decided by it but by the two codes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_LINE = 16 * 1024
"""Octets of one line. RFC 5321 4.5.3.1.5 allows 512; a challenge of AUTH may have 12,288 (RFC 4954 4)."""

MAX_REPLY = 256 * 1024
"""Octets of all lines of one reply."""

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class BadReply(Exception):
    """What came is no reply: the connection cannot be used any more."""


@dataclass(frozen=True, slots=True)
class Reply:
    """code: of three digits. enhanced: "5.1.1", or "" where there is none. lines: text without codes and without
    control characters, safe to show."""

    code: int
    enhanced: str
    lines: tuple[str, ...]

    @property
    def good(self) -> bool:
        """2xx or 3xx: what was asked for is done, or may go on."""
        return self.code < 400

    @property
    def permanent(self) -> bool:
        return self.code >= 500

    @property
    def text(self) -> str:
        """All in one line, as a person or a delivery status may read it."""
        return " ".join(filter(None, (str(self.code), self.enhanced, *self.lines)))


class ReplyReader:
    """Buffer of one connection: `feed`, then `reply` until it gives None."""

    __slots__ = ("_code", "_data", "_lines", "_octets")

    def __init__(self) -> None:
        self._data = b""
        self._lines: list[bytes] = []
        self._code = b""
        self._octets = 0

    def feed(self, data: bytes) -> None:
        self._data += data

    def clear(self) -> bool:
        """Throw away what came and was not asked for (RFC 3207 4.2: a man in the middle may have put it there before
        TLS); whether there was anything."""
        rest, self._data, self._lines, self._code, self._octets = bool(self._data), b"", [], b"", 0
        return rest

    def reply(self) -> Reply | None:
        """The next reply, None if it is not all here. Raises BadReply."""
        while True:
            end = self._data.find(b"\n")
            if end > MAX_LINE or (end < 0 and len(self._data) > MAX_LINE):
                raise BadReply("a line of a reply is too long")
            if end < 0:
                return None
            line, self._data = self._data[:end].removesuffix(b"\r"), self._data[end + 1 :]
            found = _LINE.fullmatch(line)
            if found is None or (self._code and found[1] != self._code):
                raise BadReply("that is no reply of SMTP")
            self._octets += len(line)
            if self._octets > MAX_REPLY:
                raise BadReply("a reply has too many lines")
            self._code = found[1]
            self._lines.append(found[3] or b"")
            if found[2] != b"-":
                code, lines = int(self._code), self._lines
                self._lines, self._code, self._octets = [], b"", 0
                return _reply(code, lines)


def _reply(code: int, raw: list[bytes]) -> Reply:
    texts = [_text(line) for line in raw]
    found = _ENHANCED.match(texts[0])
    if found is None or found[1][0] != str(code)[0]:
        return Reply(code, "", tuple(texts))
    # RFC 2034 4: the same code stands on each line.
    return Reply(code, found[1], tuple(text.removeprefix(found[1]).removeprefix(" ") for text in texts))


def _text(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("iso-8859-1")
    return _CONTROL.sub("?", text)


@dataclass(frozen=True, slots=True)
class Offers:
    """What a server said to EHLO. keywords: parameters by keyword in capitals, as they were written."""

    host: str
    keywords: Mapping[str, tuple[str, ...]]

    def has(self, keyword: str) -> bool:
        return keyword in self.keywords

    @property
    def size(self) -> int:
        """Largest message taken; 0: not told (RFC 1870 4: "SIZE" and "SIZE 0" tell none)."""
        said = self.keywords.get("SIZE", ())
        return int(said[0]) if said and said[0].isascii() and said[0].isdigit() and len(said[0]) <= 20 else 0

    @property
    def mechanisms(self) -> frozenset[str]:
        """Of AUTH (RFC 4954 3), and of the "AUTH=" that servers older than it write."""
        return frozenset(each.upper() for each in self.keywords.get("AUTH", ()))


def offers(reply: Reply) -> Offers:
    """The offers of a 250 reply to EHLO (RFC 5321 4.1.1.1); words that are no keyword are passed over."""
    host = reply.lines[0].partition(" ")[0]
    found: dict[str, tuple[str, ...]] = {}
    for line in reply.lines[1:]:
        words = line.replace("=", " ", 1).split() if line[:5].upper() == "AUTH=" else line.split()
        if words and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", words[0]):
            name = words[0].upper()
            found[name] = (*found.get(name, ()), *words[1:])
    return Offers(host, found)
