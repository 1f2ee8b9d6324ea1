"""Dot-stuffing (RFC 1939 3): of whole messages fast, of chunks with the state carried over.

A line is what ends with CRLF, nothing else: a dot behind a bare LF or CR is not stuffed, because a peer that
keeps to the RFC would not take it off again and so would get another message than the one stored. What is
sent always ends with CRLF before the terminator; one is added where the message has none.
"""

from __future__ import annotations

CRLF = b"\r\n"


def stuffed(message: bytes) -> bytes:
    """A whole message as it is sent, final CRLF added if missing, without the terminator."""
    if message[:1] == b".":
        message = b"." + message
    if b"\r\n." in message:
        message = message.replace(b"\r\n.", b"\r\n..")
    return message if message.endswith(CRLF) else message + CRLF


class Stuffer:
    """Stuffs a message that comes in chunks: feed each, write what it gives, then write `finish()`."""

    __slots__ = ("_empty", "_tail")

    def __init__(self) -> None:
        self._tail = CRLF
        """The last two octets; the start of a message is the start of a line."""
        self._empty = True

    def feed(self, chunk: bytes) -> bytes:
        """The chunk with its dots doubled, those whose line began in the chunk before included."""
        if chunk:
            self._empty = False
        joined = self._tail + chunk
        # The tail's own octets come out unchanged: "\r\n." starts in it at the earliest and grows at its end.
        out = joined.replace(b"\r\n.", b"\r\n..")[len(self._tail) :]
        self._tail = joined[-2:]
        return out

    def finish(self) -> bytes:
        """CRLF if the message did not end with one, as an empty message does not."""
        return b"" if self._tail == CRLF and not self._empty else CRLF
