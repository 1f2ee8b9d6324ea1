"""Octets as they arrive -> command lines, and whatever follows them as message data.

A command line ends with CRLF and nothing else. A bare LF ends it too, so that nobody waits for ever, but the
line is then refused: between two servers that disagree about line ends mail can be smuggled. A line past its
limit is thrown away as it comes and answered once.
"""

from __future__ import annotations

from enum import Enum

LINE_LIMIT = 4096
"""Octets of a command line. RFC 5321 4.5.3.1.4 asks for 512 and the extensions of each parameter."""


class BadLine(Enum):
    """A line that is none; its octets are gone."""

    OVERLONG = "overlong"
    BARE_LF = "bare LF"


class LineReader:
    """Buffer of one connection."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._data = b""
        self._start = 0
        self._skipping = False

    def feed(self, data: bytes) -> None:
        """Add octets. The caller empties the reader before each feed, so what is copied is part of one line."""
        self._data = self._data[self._start :] + data if self._start < len(self._data) else data
        self._start = 0

    def clear(self) -> None:
        """Throw away everything that came and was not asked for (RFC 3207 4.2)."""
        self._data, self._start, self._skipping = b"", 0, False

    @property
    def empty(self) -> bool:
        """Whether all that came has been taken."""
        return self._start >= len(self._data)

    def line(self) -> bytes | BadLine | None:
        """The next line without its CRLF, None if it is not all here."""
        end = self._data.find(b"\n", self._start)
        if end < 0:
            if len(self._data) - self._start >= self._limit:
                self._skipping = True
            if self._skipping:
                self._data, self._start = b"", 0
            return None
        start, self._start = self._start, end + 1
        if self._skipping or end + 1 - start > self._limit:
            self._skipping = False
            return BadLine.OVERLONG
        if end == start or self._data[end - 1] != 0x0D:
            return BadLine.BARE_LF
        return self._data[start : end - 1]

    def take(self, most: int) -> bytes:
        """Up to `most` octets that stand next: a chunk of BDAT."""
        end = min(len(self._data), self._start + most)
        data, self._start = self._data[self._start : end], end
        return data

    def rest(self) -> bytes:
        """All that stands next: the beginning of message data. What lies behind its end comes back by `feed`."""
        return self.take(len(self._data))
