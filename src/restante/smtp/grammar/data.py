"""Message data: where it ends, and what it is without dot-stuffing.

The one rule of line ends: a line ends with CRLF, and data end with CRLF "." CRLF, nothing else. Bare CR and
bare LF are octets of the message like any others, kept as they came; so no other server's idea of a line can
end our data early or late (RFC 5321 2.3.8, 4.1.1.4 and 4.5.2).
"""

from __future__ import annotations

_END = b"\r\n.\r\n"


class DotReader:
    """Collects DATA. `feed` until it gives the octets behind the end, then `message()`.

    limit: octets of the message. Past it nothing is kept any more, only the end is still looked for.
    """

    __slots__ = ("_data", "_most", "overflow")

    def __init__(self, limit: int) -> None:
        self._data = bytearray(b"\r\n")
        """What came behind an imagined CRLF: the start of data is the start of a line."""
        # Stuffing grows a message by a third at most (lines that hold one dot).
        self._most = limit + limit // 3 + 16
        self.overflow = False

    def feed(self, data: bytes) -> bytes | None:
        """Take octets. None while the end is not here; else what stands behind it."""
        start = max(0, len(self._data) - len(_END) + 1)
        before = len(self._data)
        self._data += data
        end = self._data.find(_END, start)
        if end >= 0:
            rest = data[end + len(_END) - before :]
            del self._data[end + 2 :]
            return rest
        if self.overflow or len(self._data) > self._most:
            self.overflow = True
            del self._data[: -(len(_END) - 1)]
        return None

    def message(self) -> bytes:
        """The message without stuffing: a dot at a line's start is taken off (RFC 5321 4.5.2)."""
        data = self._data
        if b"\r\n." in data:
            data = data.replace(b"\r\n.", b"\r\n")
        return bytes(memoryview(data)[2:])


class ChunkReader:
    """Collects the chunks of BDAT (RFC 3030 2), octets as they are.

    limit: octets of the message. Past it nothing is kept, chunks are still counted to their ends.
    """

    __slots__ = ("_data", "_left", "_limit", "overflow")

    def __init__(self, limit: int) -> None:
        self._data = bytearray()
        self._limit = limit
        self._left = 0
        self.overflow = False

    def begin(self, size: int) -> None:
        """A chunk of `size` octets follows."""
        self._left = size
        if len(self._data) + size > self._limit:
            self.drop()

    def drop(self) -> None:
        """Keep nothing of this message, what came included."""
        self.overflow = True
        self._data.clear()

    @property
    def left(self) -> int:
        """Octets of the chunk that have not come yet."""
        return self._left

    def feed(self, data: bytes) -> None:
        """Take octets of the chunk, at most `left`."""
        self._left -= len(data)
        if not self.overflow:
            self._data += data

    def message(self) -> bytes:
        return bytes(self._data)
