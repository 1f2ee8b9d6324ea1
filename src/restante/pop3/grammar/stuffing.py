"""Dot-stuffing (RFC 1939 3): of whole messages fast, of chunks with the state carried over.

A line is what ends with CRLF, nothing else: a dot behind a bare LF or CR is not stuffed, because a peer that
keeps to the RFC would not take it off again and so would get another message than the one stored. One line is stuffed
all the same: a dot alone behind a bare LF. Many clients (fetchmail, Python's poplib, ...) end lines at any LF. It would
end the answer for them, and what the message has behind it would speak in the server's voice: of mail that they never
got, and that they then delete.

What is sent always ends with CRLF before the terminator; one is added where the message has none.
"""

from __future__ import annotations

import re

CRLF = b"\r\n"
_ALONE = re.compile(rb"\n\.(?=\r?\n)")


def stuffed(message: bytes) -> bytes:
    """A whole message as it is sent, final CRLF added if missing, without the terminator."""
    if message[:1] == b".":
        message = b"." + message
    return _doubled(message if message.endswith(CRLF) else message + CRLF)


def _doubled(lines: bytes) -> bytes:
    """Lines that end, with their dots doubled, but for a dot that begins them all."""
    if b"\n." not in lines:
        return lines
    return _ALONE.sub(b"\n..", lines.replace(b"\r\n.", b"\r\n.."))


class Stuffer:
    """Stuffs a message that comes in chunks: feed each, write what it gives, then write `finish()`."""

    __slots__ = ("_before", "_empty", "_held")

    def __init__(self) -> None:
        self._before = CRLF
        """The last two octets that were given; the start of a message is the start of a line."""
        self._held = b""
        """The beginning of a line that may become a dot alone."""
        self._empty = True

    def feed(self, chunk: bytes) -> bytes:
        """The chunk with its dots doubled, those whose line began in the chunk before included."""
        if chunk:
            self._empty = False
        came = self._before + self._held + chunk
        start = came.rfind(b"\n") + 1
        self._held = came[start:] if start and came[start : start + 3] in (b".", b".\r") else b""
        came = came[: len(came) - len(self._held)]
        # The two octets before come out unchanged: what is doubled in them grows at their end.
        out = _doubled(came)[len(self._before) :]
        self._before = came[-2:]
        return out

    def finish(self) -> bytes:
        """What was held back, and CRLF if the message did not end with one, as an empty message does not."""
        if self._before == CRLF and not self._held and not self._empty:
            return b""
        return _doubled(self._before + self._held + CRLF)[len(self._before) :]
