"""A server's answers, from the client's side: octets as they arrive -> status lines, challenges and bodies.

    greeting   = "+OK" [SP text] [timestamp]                          ; RFC 1939 4 and 7
    status     = ("+OK" / "-ERR") [SP "[" code "]"] [SP text] CRLF    ; RFC 2449 3
    challenge  = "+" SP [base64] CRLF                                 ; RFC 5034 4
    body       = *dot-stuffed "." CRLF                                ; RFC 1939 3

A status line may end with a bare LF. A body ends with CRLF "." CRLF and nothing else: a dot behind a bare LF belongs
to the message, or who sends somebody mail could end it early and speak in the server's voice.

What is held is what was fed and not yet asked for, at most the limit that a question names and one feed more.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

LINE_LIMIT = 16_384
"""Octets of a line with its end. RFC 2449 4 allows 512 for a status; a SASL challenge may be longer (RFC 5034 4)."""

_END = b"\r\n.\r\n"
_CODE = re.compile(rb"\[([!-Z\\^-~]+)\] ?")
_STAMP = re.compile(rb"<[!-;=?-~]+@[!-;=?-~]*>")
_SCAN = re.compile(rb"^([0-9]{1,10})[ \t]+([0-9]{1,18})(?:[ \t][^\r\n]*)?\r?$", re.MULTILINE)
_UIDL = re.compile(rb"^([0-9]{1,10})[ \t]+([!-~\x80-\xff]{1,500})[ \t]*\r?$", re.MULTILINE)
_UNPRINTABLE = re.compile(r"[^ -~\xa0-\U0010ffff]")


class BadAnswer(Exception):
    """What came is no POP3: the connection cannot be trusted any further."""


class AnswerTooLong(BadAnswer):
    """A line or body longer than was allowed for it."""


@dataclass(frozen=True, slots=True)
class Status:
    """The first line of an answer. code: levels of the response code in capitals (("SYS", "TEMP")), () without one.
    text: the rest, octets as they came."""

    ok: bool
    code: tuple[str, ...] = ()
    text: bytes = b""

    @property
    def shown(self) -> str:
        """The text for people: at most 200 characters, nothing that moves a cursor."""
        return _UNPRINTABLE.sub("?", self.text.decode("utf-8", "replace"))[:200].strip()


@dataclass(frozen=True, slots=True)
class Challenge:
    """The server's turn in a SASL exchange."""

    data: bytes


class AnswerReader:
    """Buffer of one connection. `feed` what came, then ask until None; who asks knows what kind of answer is due."""

    __slots__ = ("_data", "_scanned", "_start")

    def __init__(self) -> None:
        self._data = bytearray()
        self._start = 0
        self._scanned = 0
        """Up to where no end of the body was found that is being waited for; 0 where none is."""

    def feed(self, data: bytes) -> None:
        if self._start:
            # Costs what is left behind, not what is taken off: a bytearray's start moves.
            del self._data[: self._start]
            self._scanned = max(self._scanned - self._start, 0)
            self._start = 0
        self._data += data

    @property
    def held(self) -> int:
        """Octets that nobody asked for yet."""
        return len(self._data) - self._start

    def clear(self) -> None:
        """Throw away everything that came and was not asked for (RFC 2595 4: what stood behind the answer to STLS)."""
        self._data.clear()
        self._start = self._scanned = 0

    def status(self) -> Status | Challenge | None:
        """The next line as a status or challenge, None if it is not all here. Raises BadAnswer."""
        end = self._data.find(b"\n", self._start, self._start + LINE_LIMIT)
        if end < 0:
            if self.held >= LINE_LIMIT:
                raise AnswerTooLong(f"a line of more than {LINE_LIMIT} octets")
            return None
        line = bytes(self._data[self._start : end])
        self._start = end + 1
        return parse_status(line.removesuffix(b"\r"))

    def body(self, limit: int) -> bytes | None:
        """The lines behind a positive status, stuffing undone, None if they are not all here.

        limit: octets as they travel. Raises AnswerTooLong once more than that is here. Cost: two searches and one
        copy, however it comes in.
        """
        data, start = self._data, self._start
        if data.startswith(b".\r\n", start):
            self._start, self._scanned = start + 3, 0
            return b""
        end = data.find(_END, max(start, self._scanned))
        if (end if end >= 0 else len(data)) - start > limit:
            raise AnswerTooLong(f"an answer of more than {limit} octets")
        if end < 0:
            self._scanned = max(len(data) - len(_END) + 1, start)
            return None
        with memoryview(data)[start : end + 2] as lines:
            found = bytes(lines)
        self._start, self._scanned = end + len(_END), 0
        if found[0] == 0x2E:
            found = found[1:]
        return found.replace(b"\r\n.", b"\r\n") if b"\r\n." in found else found


def parse_status(line: bytes) -> Status | Challenge:
    """A line without its end. Raises BadAnswer for one that is neither status nor challenge."""
    if line[:3].upper() == b"+OK" and line[3:4] in (b"", b" ", b"\t"):
        ok, text = True, line[3:]
    elif line[:4].upper() == b"-ERR" and line[4:5] in (b"", b" ", b"\t"):
        ok, text = False, line[4:]
    elif line[:1] == b"+" and line[1:2] in (b"", b" "):
        try:
            return Challenge(base64.b64decode(line[2:], validate=True))
        except (binascii.Error, ValueError) as error:
            raise BadAnswer("a challenge that is not base64") from error
    else:
        raise BadAnswer("a line that is neither +OK nor -ERR")
    text = text.lstrip(b" \t")
    found = _CODE.match(text)
    if found is None:
        return Status(ok, (), text)
    return Status(ok, tuple(found[1].decode("ascii").upper().split("/")), text[found.end() :])


def timestamp(greeting: bytes) -> bytes | None:
    """The timestamp of a greeting that offers APOP, with its brackets. RFC 1939 7."""
    found = _STAMP.search(greeting)
    return found[0] if found else None


def parse_capabilities(body: bytes) -> Mapping[str, tuple[str, ...]]:
    """CAPA's lines: arguments by name, both in capitals. RFC 2449 5."""
    found: dict[str, tuple[str, ...]] = {}
    for line in body.split(b"\r\n"):
        words = line.decode("ascii", "replace").upper().split()
        if words:
            found[words[0]] = tuple(words[1:])
    return found


def parse_sizes(body: bytes) -> dict[int, int]:
    """LIST's lines: octets by message number. What follows a size is passed over (RFC 1939 5, LIST).

    Cost: one pass in C, 100,000 lines in some 60 ms. Raises BadAnswer for a line that is none.
    """
    found = {int(number): int(size) for number, size in _SCAN.findall(body)}
    if len(found) != body.count(b"\n"):
        raise BadAnswer("a scan listing with lines that are none, or a number twice")
    return found


def parse_uidls(body: bytes) -> dict[int, bytes]:
    """UIDL's lines: unique ids by message number. A line without an id is left out: that message has none.

    RFC 1939 7 allows 70 characters; what is longer is taken, up to 500. Raises BadAnswer for a number twice.
    """
    pairs = _UIDL.findall(body)
    found = {int(number): uidl for number, uidl in pairs}
    if len(found) != len(pairs):
        raise BadAnswer("a unique-id listing with a number twice")
    return found
