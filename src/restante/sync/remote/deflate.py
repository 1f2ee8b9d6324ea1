"""COMPRESS=DEFLATE, the client's end: both directions of one connection. RFC 4978.

What comes is inflated when it is read, in bounded pieces, so that what expands a thousandfold meets the same limits as
anything else.
"""

from __future__ import annotations

import zlib

_WINDOW = -15
_MOST = 262_144


class Deflate:
    """One connection's compression. `compress` what goes out; `feed` and `take` what comes in."""

    def __init__(self, out: zlib._Compress | None = None, into: zlib._Decompress | None = None) -> None:
        """out, into: of a connection on which it has begun."""
        self._out = out or zlib.compressobj(6, zlib.DEFLATED, _WINDOW)
        self._in = into or zlib.decompressobj(_WINDOW)
        self._full = False

    def compress(self, data: bytes) -> bytes:
        """The octets to send, from which the server can read all of `data`."""
        return self._out.compress(data) + self._out.flush(zlib.Z_SYNC_FLUSH)

    @property
    def waiting(self) -> bool:
        """`take` may give more without being fed."""
        return self._full

    def take(self, raw: bytes = b"") -> bytes:
        """Up to 256 KiB of what came. raw: octets as they came; only where nothing is `waiting`. Raises zlib.error."""
        if self._in.eof:
            raise zlib.error("octets behind the end of the stream")
        out = self._in.decompress(self._in.unconsumed_tail or raw, _MOST)
        self._full = bool(self._in.unconsumed_tail) or len(out) == _MOST
        return out
