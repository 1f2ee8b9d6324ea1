"""Message data: where it ends, and what it is without dot-stuffing.

The one rule of line ends: a line ends with CRLF, and data end with CRLF "." CRLF, nothing else. Bare CR and
bare LF are octets of the message like any others, kept as they came; so no other server's idea of a line can
end our data early or late (RFC 5321 2.3.8, 4.1.1.4 and 4.5.2).
"""

from __future__ import annotations

from io import BytesIO

_END = b"\r\n.\r\n"
_BEGINNINGS = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")
"""What may be the beginning of the end, or of a stuffed line, longest first."""


class DotReader:
    """Collects DATA. `feed` until it gives the octets behind the end, then `message()`.

    limit: octets of the message. Past it nothing is kept any more, only the end is still looked for. The message is
    held once: stuffing is undone as it comes.
    """

    __slots__ = ("_data", "_limit", "_tail", "_whole", "overflow")

    def __init__(self, limit: int) -> None:
        self._tail = b"\r\n"
        """Octets that came and may belong to an end; at first what came behind an imagined CRLF: the start of data
        is the start of a line."""
        self._data: BytesIO | None = None
        self._whole: bytes | None = None
        self._limit = limit
        self.overflow = False

    def feed(self, data: bytes) -> bytes | None:
        """Take octets. None while the end is not here; else what stands behind it."""
        came = self._tail + data
        end = came.find(_END)
        if end >= 0:
            rest = came[end + len(_END) :]
            self._keep(came[: end + 2], last=True)
            return rest
        self._tail = next((mark for mark in _BEGINNINGS if came.endswith(mark)), b"")
        self._keep(came[: len(came) - len(self._tail)], last=False)
        return None

    def _keep(self, came: bytes, last: bool) -> None:
        """Add octets without stuffing: a dot at a line's start is taken off (RFC 5321 4.5.2).

        `came` begins where a stuffed line could not have begun before it.
        """
        if self.overflow:
            return
        if b"\r\n." in came:
            came = came.replace(b"\r\n.", b"\r\n")
        if self._data is None:
            if last:
                self._whole = came[2:]
                return
            if not came:
                return
            self._data = BytesIO()
            came = came[2:]  # the imagined CRLF
        self._data.write(came)
        if self._data.tell() > self._limit:
            self.overflow = True
            self._data = BytesIO()

    def message(self) -> bytes:
        """The message without stuffing, at most once its end has come."""
        if self._whole is not None:
            return self._whole
        return self._data.getvalue() if self._data is not None else b""  # shares the buffer, no second copy


class ChunkReader:
    """Collects the chunks of BDAT (RFC 3030 2), octets as they are.

    limit: octets of the message. Past it nothing is kept, chunks are still counted to their ends.
    """

    __slots__ = ("_data", "_left", "_limit", "overflow")

    def __init__(self, limit: int) -> None:
        self._data = BytesIO()
        self._limit = limit
        self._left = 0
        self.overflow = False

    def begin(self, size: int) -> None:
        """A chunk of `size` octets follows."""
        self._left = size
        if self._data.tell() + size > self._limit:
            self.drop()

    def drop(self) -> None:
        """Keep nothing of this message, what came included."""
        self.overflow = True
        self._data = BytesIO()

    @property
    def left(self) -> int:
        """Octets of the chunk that have not come yet."""
        return self._left

    def feed(self, data: bytes) -> None:
        """Take octets of the chunk, at most `left`."""
        self._left -= len(data)
        if not self.overflow:
            self._data.write(data)

    def message(self) -> bytes:
        return self._data.getvalue()  # shares the buffer, no second copy
