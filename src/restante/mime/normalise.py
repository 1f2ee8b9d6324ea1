"""The one change made to octets on their way in: a message of bare LF line ends gets CRLF."""

from __future__ import annotations


def normalise_line_ends(data: bytes) -> bytes:
    """`data` with CRLF for LF if every line end is a bare LF (and there is no CR at all); else `data` itself."""
    if b"\n" not in data or b"\r" in data:
        return data
    return data.replace(b"\n", b"\r\n")
