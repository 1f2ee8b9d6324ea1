"""Where TOP ends (RFC 1939 7): the header, its empty line, and so many lines of the body.

The header ends with the first empty line, by CRLF or LF, as the message's structure was read; lines of the body
are those of the wire and end with CRLF. A message without an empty line has none here either.
"""

from __future__ import annotations

import re

_EMPTY_LINE = re.compile(rb"\n\r?\n").search


class TopCutter:
    """Cuts a message that comes in chunks (or as one). `done` once nothing more belongs to the answer."""

    __slots__ = ("_in_header", "_lines", "_tail", "done")

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._in_header = True
        self._tail = b"\n"
        """The last octets (two at most); the start of a message is the start of a line."""
        self.done = False

    def feed(self, chunk: bytes) -> bytes:
        """What of the chunk belongs to the answer."""
        if self.done:
            return b""
        end = 0
        if self._in_header:
            found = _EMPTY_LINE(self._tail + chunk)
            if found is None:
                self._tail = (self._tail + chunk)[-2:]
                return chunk
            end = found.end() - len(self._tail)
            self._in_header = False
            self._tail = b""
        return chunk[: self._body(chunk, end)]

    def _body(self, chunk: bytes, start: int) -> int:
        """Where the answer ends in a chunk whose body begins at `start`."""
        end = start
        if self._lines and self._tail == b"\r" and chunk[end : end + 1] == b"\n":
            self._lines -= 1
            end += 1
        while self._lines:
            found = chunk.find(b"\r\n", end)
            if found < 0:
                self._tail = chunk[-1:] if len(chunk) > end else b""
                return len(chunk)
            self._lines -= 1
            end = found + 2
        self.done = True
        return end
