"""Octets as they arrive -> lines and commands.

A line ends with CRLF; a bare LF is taken as well, since people test servers by hand and nothing can be
smuggled by it: a POP3 client sends no message data. A line past its limit is thrown away as it comes, without
being held, and answered once. What is held is therefore one line and what the transport gave at once.
RFC 2449 4 (255 octets), RFC 5034 4 (SASL lines may be longer than any command).
"""

from __future__ import annotations

import re
from enum import Enum

from .commands import BadCommand, Command, parse_command

COMMAND_LIMIT = 255
"""Octets of a command line with its CRLF (RFC 2449 4)."""

SASL_LIMIT = 12_288
"""Octets of a line of a SASL exchange, AUTH with an initial response included: RFC 5034 4 wants the largest
response of every mechanism taken, whatever the limit of a command."""

_RETR = re.compile(rb"RETR +0{0,9}([1-9][0-9]{0,9})\r?\n", re.IGNORECASE)


class Overlong(Enum):
    """A line past its limit; its octets are gone."""

    LINE = "line"


class LineReader:
    """Buffer of one connection. `feed` what came, then ask until None."""

    def __init__(self) -> None:
        self._data = b""
        self._start = 0
        self._skipping = False

    def feed(self, data: bytes) -> None:
        """Add octets. The caller empties the reader before each feed, so what is copied is part of one line."""
        self._data = self._data[self._start :] + data if self._start < len(self._data) else data
        self._start = 0

    def clear(self) -> None:
        """Throw away everything that came and was not asked for (RFC 2595 4: after STLS)."""
        self._data, self._start, self._skipping = b"", 0, False

    def line(self, limit: int) -> bytes | Overlong | None:
        """The next line without its end, None if it is not all here. limit: octets, its end counted."""
        end = self._data.find(b"\n", self._start)
        if end < 0:
            if len(self._data) - self._start >= limit:
                self._skipping = True
            if self._skipping:
                self._data, self._start = b"", 0
            return None
        start, self._start = self._start, end + 1
        if self._skipping or end + 1 - start > limit:
            self._skipping = False
            return Overlong.LINE
        if end > start and self._data[end - 1] == 0x0D:
            end -= 1
        return self._data[start:end]

    def command(self) -> Command | BadCommand | None:
        """The next command, None if no whole line is here."""
        auth = self._data[self._start : self._start + 5].upper() == b"AUTH "
        line = self.line(SASL_LIMIT if auth else COMMAND_LIMIT)
        if line is None:
            return None
        if isinstance(line, Overlong):
            return BadCommand(b"The line is too long.")
        return parse_command(line)

    def more_retr(self, most: int) -> list[int]:
        """Message numbers of the RETR commands that stand next in the buffer, at most `most`; they are taken.

        Clients that fetch a whole maildrop send many at once; so they can be answered by one read of the
        store and one write.
        """
        numbers: list[int] = []
        while len(numbers) < most and (match := _RETR.match(self._data, self._start)):
            numbers.append(int(match[1]))
            self._start = match.end()
        return numbers
