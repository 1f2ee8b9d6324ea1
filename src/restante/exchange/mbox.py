"""mbox files: mboxo, mboxrd, mboxcl and mboxcl2, with the flags that mail programs write into them.

The four differ in how a body line that begins with "From " is kept from ending the message:

- mboxo writes ">From "; mboxrd puts one more ">" before any line of ">"s and "From "; both are read by taking
  one ">" away (a mboxo file in which a body had ">From " of its own cannot be told apart: its writer lost it).
- mboxcl quotes as mboxo and gives Content-Length; mboxcl2 gives Content-Length and quotes nothing.

Content-Length is believed only where it leads to a From_ line or the end of the file. Which of the two a file
is, is found out from its first SAMPLE octets: one believed body with a bare "From " line makes it mboxcl2.

A line is a From_ line only if it looks like one: "From ", a sender, a date ("From Russia with love" is not),
with an empty line before it or a header field behind it; or "From -" without a date, as Netscape wrote it,
with both, or with a field behind it that messages begin with.

Fields that mail programs keep flags in (Status, X-Status, X-Keywords, X-UID, X-IMAP, X-Mozilla-*) and a believed
Content-Length are no part of the message and are taken out of its header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO

from ..store.model import Flags, System
from .dates import from_line_date, header_date, header_end
from .incoming import DEFAULT_LARGEST, Incoming, Skipped
from .letters import is_keyword

SAMPLE = 16 << 20
LINE = 1 << 16
"""Octets read at once: a longer line comes in pieces, and only the first can be a From_ line."""
FIRST_BLOCK, LAST_BLOCK = 16 << 10, 1 << 20
"""Octets of a body read at once: more each time."""
BOM = b"\xef\xbb\xbf"
EMPTY = (b"\n", b"\r\n")
MOST_EMPTY = 100
"""Empty lines that an mbox may begin with."""
FROM = b"\r\nFrom "
"""As long as what has to be seen of two blocks to find a From_ line on their border."""

QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
BARE = re.compile(rb"^From ", re.MULTILINE)
FROM_LINE = re.compile(rb"^(>*From )", re.MULTILINE)
"""What mboxrd puts a ">" before when it is written."""
FIELD = re.compile(rb"[!-9;-~]+[ \t]*:|>?From ")
WELL_KNOWN = re.compile(
    rb"(return-path|delivered-to|received|message-id|date|from|to|subject|mime-version|(x-mozilla-|x-)?status)[ \t]*:",
    re.IGNORECASE,
)
"""Fields that a message begins with."""
UNDATED = re.compile(rb"From -?[ \t]*$")
CONTENT_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,12})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
LENGTH = re.compile(rb"^content-length[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)
KEPT_FLAGS = re.compile(
    rb"^(status|x-status|x-keywords|x-uid|x-imap|x-imapbase|x-mozilla-status2?|x-mozilla-keys)[ \t]*:"
    rb"((?:[^\n]|\n[ \t])*)\n",
    re.IGNORECASE | re.MULTILINE,
)
"""Fields of a header that belong to the file and not to the message, with their folded lines."""


class Quoting(Enum):
    """What is done to body lines when a message is read."""

    QUOTED = "mboxo, mboxrd, mboxcl"
    NONE = "mboxcl2"


@dataclass(frozen=True, slots=True)
class Raw:
    """One message as it lies in the file. measured: its body's length came from Content-Length."""

    from_line: bytes
    offset: int
    data: bytes
    measured: bool
    too_large: bool = False


def looks_like_from_line(line: bytes, blank_before: bool, following: bytes) -> bool:
    """Whether `line` (with its line end) separates messages, seen the lines around it."""
    if not line.startswith(b"From "):
        return False
    line = line.rstrip(b"\r\n")
    field_behind = FIELD.match(following) is not None
    if UNDATED.match(line):
        return field_behind and (blank_before or WELL_KNOWN.match(following) is not None)
    return from_line_date(line) is not None and (blank_before or field_behind)


def is_mbox(stream: BinaryIO) -> bool:
    """Whether the stream begins with a From_ line, maybe behind empty lines. Leaves it at its start."""
    head = stream.read(3)
    if head != BOM:
        stream.seek(0)
    first = next((line for _ in range(MOST_EMPTY) if (line := stream.readline(LINE)) not in EMPTY), b"")
    following = stream.readline(LINE)
    stream.seek(0)
    return looks_like_from_line(first, True, following)


class Splitter:
    """Messages of one mbox stream, one in memory at a time. The stream must be able to seek."""

    def __init__(self, stream: BinaryIO, largest: int, stop: int | None = None) -> None:
        self._stream = stream
        self._largest = largest
        self._stop = stop

    def messages(self) -> Iterator[Raw]:
        """Every message up to `stop` octets; raises ValueError if the file does not begin with a From_ line."""
        if self._stream.read(3) != BOM:
            self._stream.seek(0)
        start = self._stream.tell()
        line = self._stream.readline(LINE)
        while line.strip(b"\r\n") == b"" and line:
            start, line = self._stream.tell(), self._stream.readline(LINE)
        if not line:
            return
        if not looks_like_from_line(line, True, self._peek()):
            raise ValueError("no From_ line at its start")
        while line and (self._stop is None or start < self._stop):
            raw, start, line = self._message(line, start)
            yield raw

    def message_at(self, offset: int) -> Raw:
        """The message whose From_ line begins at this octet. Raises ValueError where none does."""
        self._stream.seek(offset)
        line = self._stream.readline(LINE)
        if not line.startswith(b"From "):
            raise ValueError(f"no From_ line at octet {offset}")
        return self._message(line, offset)[0]

    def _peek(self) -> bytes:
        at = self._stream.tell()
        line = self._stream.readline(LINE)
        self._stream.seek(at)
        return line

    def _message(self, from_line: bytes, offset: int) -> tuple[Raw, int, bytes]:
        """The message behind `from_line`, then where the next From_ line is and that line (b"" at the end)."""
        header, blank = self._header()
        body_at = self._stream.tell()
        found = CONTENT_LENGTH.search(header)
        if found and blank:
            after = self._believed(body_at, int(found.group(1)))
            if after is not None:
                return self._measured(from_line, offset, header, found, body_at, after)
        return self._scanned(from_line, offset, header)

    def _header(self) -> tuple[bytes, bool]:
        """The header with its empty line, and whether there was one. A From_ line in it ends nothing."""
        lines: list[bytes] = []
        size = 0
        while line := self._stream.readline(LINE):
            if line.startswith(b"From ") and lines and looks_like_from_line(line, False, self._peek()):
                self._stream.seek(-len(line), 1)
                return b"".join(lines), False
            lines.append(line)
            size += len(line)
            if line in (b"\n", b"\r\n"):
                return b"".join(lines), True
            if size > self._largest:
                break
        return b"".join(lines), False

    def _believed(self, body_at: int, length: int) -> tuple[int, bytes] | None:
        """Where the body of this length is followed by the next From_ line: its offset and the line."""
        if self._stream.seek(0, 2) < body_at + length:
            self._stream.seek(body_at)
            return None
        self._stream.seek(body_at + length)
        for _ in range(3):
            at = self._stream.tell()
            line = self._stream.readline(LINE)
            if not line:
                return at, b""
            if line not in (b"\n", b"\r\n"):
                if looks_like_from_line(line, True, self._peek()):
                    return at, line
                break
        self._stream.seek(body_at)
        return None

    def _measured(
        self,
        from_line: bytes,
        offset: int,
        header: bytes,
        found: re.Match[bytes],
        body_at: int,
        after: tuple[int, bytes],
    ) -> tuple[Raw, int, bytes]:
        length = int(found.group(1))
        behind = after[0] + len(after[1])
        if len(header) + length > self._largest:
            self._stream.seek(behind)
            return Raw(from_line, offset, b"", True, too_large=True), *after
        self._stream.seek(body_at)
        body = self._stream.read(length)
        self._stream.seek(behind)
        header = header[: found.start()] + header[found.end() + 1 :]
        return Raw(from_line, offset, header + body, True), *after

    def _scanned(self, from_line: bytes, offset: int, header: bytes) -> tuple[Raw, int, bytes]:
        """A body without a length. It is read in blocks: looking at each line cost more than all else of an import."""
        body_at = at = self._stream.tell()
        kept, fits = [header], len(header) <= self._largest
        blank = header.endswith((b"\n\n", b"\n\r\n")) or header in EMPTY
        before = line = b""  # before: the last of what was looked through
        size = FIRST_BLOCK
        while block := self._read(at, size):
            window, base = before + block, at - len(before)
            found = self._next_from_line(window, base, base == body_at, blank)
            if found is not None:
                at, line = found
                break
            at += len(block)
            fits = fits and len(header) + at - body_at <= self._largest + len(FROM)
            if fits:
                kept.append(block)
            else:
                kept.clear()
            before, size = window[-len(FROM) :], min(2 * size, LAST_BLOCK)
        else:
            block = b""
        length = at - body_at
        if not fits or len(header) + length > self._largest:
            return Raw(from_line, offset, b"", False, too_large=True), at, line
        body = b"".join((*kept[1:], block))[:length]
        # the empty line before a From_ line belongs to the file
        for end in (b"\r\n", b"\n"):
            if body == end or body.endswith(b"\n" + end):
                body = body[: -len(end)]
                break
        return Raw(from_line, offset, header + body, False), at, line

    def _read(self, at: int, size: int) -> bytes:
        self._stream.seek(at)
        return self._stream.read(size)

    def _next_from_line(self, window: bytes, base: int, first: bool, blank: bool) -> tuple[int, bytes] | None:
        """Offset and octets of the first From_ line in `window`, which lies at `base`; the stream stands behind it.

        first: the body begins with the window; blank: there, an empty line is before it.
        """
        for at in _line_starts(window, first):
            if at:
                blank = window.endswith((b"\n\n", b"\n\r\n"), max(0, at - 3), at) or (first and window[:at] in EMPTY)
            self._stream.seek(base + at)
            line = self._stream.readline(LINE)
            if looks_like_from_line(line, blank, self._peek()):
                return base + at, line
        return None


def _line_starts(window: bytes, first: bool) -> Iterator[int]:
    """Where lines begin with "From ". first: the window begins with a line."""
    if first and window.startswith(b"From "):
        yield 0
    at = window.find(b"\nFrom ") + 1
    while at:
        yield at
        at = window.find(b"\nFrom ", at) + 1


def quoting_of(stream: BinaryIO) -> Quoting:
    """What the file's writer did to "From " lines, by its first SAMPLE octets. Leaves the stream at its start."""
    try:
        for raw in Splitter(stream, SAMPLE, SAMPLE).messages():
            if raw.measured and BARE.search(raw.data, header_end(raw.data)):
                return Quoting.NONE
        return Quoting.QUOTED
    finally:
        stream.seek(0)


def read_mbox(
    stream: BinaryIO, mailbox: str, where: str, mtime: int, largest: int = DEFAULT_LARGEST
) -> Iterator[Incoming | Skipped]:
    """Messages of one mbox file.

    mtime: INTERNALDATE where neither From_ line nor header has a date. largest: octets; larger messages are
    Skipped. A file that does not begin with a From_ line gives one Skipped.
    """
    try:
        quoting = quoting_of(stream)
        for raw in Splitter(stream, largest).messages():
            spot = f"{where} at octet {raw.offset}"
            if raw.too_large:
                yield Skipped(spot, f"larger than {largest} octets")
                continue
            data, flags, received = lift(raw, quoting, mtime)
            yield Incoming(data, flags, received, mailbox, spot)
    except ValueError as cause:
        yield Skipped(where, str(cause))


def lift(raw: Raw, quoting: Quoting, mtime: int) -> tuple[bytes, Flags, int]:
    """A message out of its file: its octets without quoting and kept flags, the flags, INTERNALDATE."""
    data, flags = lift_flags(raw.data)
    data = unquoted(data, quoting)
    received = from_line_date(raw.from_line.rstrip(b"\r\n"))
    if received is None:
        received = header_date(data)
    return data, flags, mtime if received is None else received


def unquoted(data: bytes, quoting: Quoting) -> bytes:
    """A message's octets with one ">" less before its lines like From_ lines, where the file quotes them."""
    return QUOTED.sub(rb"\1", data) if quoting is Quoting.QUOTED and b">From " in data else data


NONE = Flags()
STATUS_LETTERS = {ord("R"): System.SEEN}
X_STATUS_LETTERS = {
    ord("A"): System.ANSWERED,
    ord("F"): System.FLAGGED,
    ord("D"): System.DELETED,
    ord("T"): System.DRAFT,
}
MOZILLA_BITS = ((0x0001, System.SEEN), (0x0002, System.ANSWERED), (0x0004, System.FLAGGED), (0x0008, System.DELETED))
MOZILLA_FORWARDED = 0x1000


def lift_flags(data: bytes) -> tuple[bytes, Flags]:
    """The message without the fields that keep flags, and the flags they keep."""
    end = header_end(data)
    header = data[:end]
    fields = list(KEPT_FLAGS.finditer(header))
    if not fields:
        return data, NONE
    system = System.NONE
    keywords: list[str] = []
    for field in fields:
        name, value = field.group(1).lower(), field.group(2)
        if name == b"status":
            system |= _letters(value, STATUS_LETTERS)
        elif name == b"x-status":
            system |= _letters(value, X_STATUS_LETTERS)
        elif name == b"x-mozilla-status":
            more, forwarded = _mozilla(value)
            system |= more
            keywords += ["$Forwarded"] * forwarded
        elif name in (b"x-keywords", b"x-mozilla-keys"):
            keywords += [word for word in value.decode("latin-1").split() if is_keyword(word)]
    lifted = KEPT_FLAGS.sub(b"", header)
    return lifted + data[end:], Flags(system, Flags.of(keywords).keywords)


def _letters(value: bytes, meaning: dict[int, System]) -> System:
    system = System.NONE
    for letter in set(value):
        system |= meaning.get(letter, System.NONE)
    return system


def _mozilla(value: bytes) -> tuple[System, bool]:
    try:
        bits = int(value[:20], 16)
    except ValueError:
        return System.NONE, False
    system = System.NONE
    for bit, flag in MOZILLA_BITS:
        if bits & bit:
            system |= flag
    return system, bool(bits & MOZILLA_FORWARDED)
