"""COMPRESS=DEFLATE as a sans-IO machine beside TLS: octets in, octets out, both ways, in bounded memory.

Outgoing, each batch ends in a sync flush, so an answer arrives at once and the stream stands on an octet's border:
there the compressor may be exchanged or thrown away, and a new one goes on with an empty dictionary, without the peer
taking part (RFC 4978 4). Two things rest on that. Compressors, of up to 0.3 MB each, are kept for the connections
that wrote last and for no others (`Compressors`), so ten thousand that listen hold none. And what a dictionary does not
help with (base64, pictures) is given to a Huffman coder alone: five times faster, and smaller.

Incoming, octets are inflated when somebody reads, in pieces of a bounded size: what expands a thousandfold meets the
same back-pressure as anything else. Inflating stops at the end of each flush, since after UNAUTHENTICATE the client's
next octet may be plain already (RFC 8437 4.1).

Must not know: sockets, sessions. RFC 4978, RFC 1951.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING

from ..errors import Refusal

if TYPE_CHECKING:
    from zlib import _Compress as Compressor
    from zlib import _Decompress as Decompressor

_LEVEL = 1
_WINDOW = -15
_MEMORY = 8
_PIECE = 65_536
"""Octets after which it is looked at how well they were compressed."""

_TELLING = 4_096
"""Fewer octets say nothing about what follows."""

_POOR = 0.7
"""Compressed size over size from which on the dictionary is of no use: base64 is at 0.78 with one, 0.76 without;
IMAP's own responses and text stay below 0.62 without one."""

_BITE = 4_096
"""Compressed octets inflated in one call: what zlib hands back for want of room is copied."""

_BORDER = b"\0\0\xff\xff"
"""What a sync flush or a full flush ends with, on an octet's border (RFC 1951 3.2.4: an empty stored block)."""


_LONGEST_END = len(_BORDER) + 3
"""Octets that a flush may take behind the last octet it brings: the block's end (up to 15 bits), the header of the
empty block (3 bits), padding, and `_BORDER`."""


class DeflateFailed(Exception):
    """What came is no DEFLATE; nothing after it can be understood."""


class TooManyCompressed(Refusal):
    """As many connections as may have compression."""

    code = "TOO-MANY-COMPRESSED"
    temporary = True


class Compressors:
    """One process's bounds: connections that have compression, and those of them that keep a dictionary.

    most: connections (some 40 kB each, as long as they last). dictionaries: compressors kept, the one that was used
    longest ago goes first (0.3 MB each).
    """

    def __init__(self, most: int, dictionaries: int) -> None:
        self._most = most
        self._dictionaries = dictionaries
        self._kept: OrderedDict[DeflateLayer, Compressor] = OrderedDict()
        self.connections = 0

    def __len__(self) -> int:
        return len(self._kept)

    def open(self) -> DeflateLayer:
        """Compression for one more connection, until its `close`. Raises TooManyCompressed."""
        if self.connections >= self._most:
            raise TooManyCompressed("Too many connections are compressed.", "Go on without.")
        self.connections += 1
        return DeflateLayer(self)

    def closed(self, layer: DeflateLayer) -> None:
        self._kept.pop(layer, None)
        self.connections -= 1

    def take(self, layer: DeflateLayer, strategy: int) -> Compressor:
        """The layer's compressor, or a new one with an empty dictionary."""
        kept = self._kept.get(layer)
        if kept is not None:
            self._kept.move_to_end(layer)
            return kept
        made = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY, strategy)
        self._kept[layer] = made
        if len(self._kept) > self._dictionaries:
            self._kept.popitem(last=False)
        return made

    def drop(self, layer: DeflateLayer) -> None:
        """The layer goes on with a new compressor. Only at the end of a flush."""
        self._kept.pop(layer, None)


class DeflateLayer:
    """Both directions of one connection. Made by `Compressors.open`."""

    __slots__ = ("_compressors", "_inflater", "_strategy")

    def __init__(self, compressors: Compressors) -> None:
        self._compressors = compressors
        self._inflater = Inflater()
        self._strategy = zlib.Z_DEFAULT_STRATEGY

    def compress(self, data: bytes) -> bytes:
        """The octets to send for `data`, from which the peer can read all of it. Some 100 MB/s."""
        if len(data) <= _PIECE:
            return self._piece(data)
        view = memoryview(data)
        return b"".join([self._piece(view[at : at + _PIECE]) for at in range(0, len(data), _PIECE)])

    def _piece(self, data: bytes | memoryview) -> bytes:
        if len(data) < _TELLING:
            self._use(zlib.Z_DEFAULT_STRATEGY)
        compressor = self._compressors.take(self, self._strategy)
        out = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        if len(data) >= _TELLING:
            self._use(zlib.Z_HUFFMAN_ONLY if len(out) > _POOR * len(data) else zlib.Z_DEFAULT_STRATEGY)
        return out

    def _use(self, strategy: int) -> None:
        if strategy != self._strategy:
            self._strategy = strategy
            self._compressors.drop(self)

    def finish(self, data: bytes) -> bytes:
        """The octets to send for the last of what is compressed: `data` and the end of the stream."""
        compressor = self._compressors.take(self, self._strategy)
        out = compressor.compress(data) + compressor.flush(zlib.Z_FINISH)
        self._compressors.drop(self)
        return out

    def close(self) -> None:
        """The connection has no compression any more. Called once."""
        self._compressors.closed(self)

    @property
    def incoming(self) -> Inflater:
        return self._inflater


class Inflater:
    """What a peer sends. `feed` octets once `take` gives none; what `take` gives is bounded by its argument.

    ended: the peer has ended its stream. stopped: see `stop`.
    """

    __slots__ = ("_at", "_before", "_border", "_flush", "_full", "_inflate", "_raw", "_tail", "ended", "stopped")

    def __init__(self) -> None:
        self._inflate: Decompressor = zlib.decompressobj(_WINDOW)
        self._raw = b""  # as fed
        self._at = 0  # what of it has been given to zlib
        self._before = b""  # up to three octets before `_at`, where a border may have begun
        self._border = False  # the last piece given to zlib ended in a flush
        self._tail = b""  # given to zlib, and handed back for want of room
        self._full = False  # zlib may have more to give without being given more
        self._flush: bytes | None = None  # once stopped: octets that may be the last of a flush, while that is open
        self.ended = False
        self.stopped = False

    def feed(self, raw: bytes) -> None:
        """Add octets as they came; only when `take` (or `behind`) gave none."""
        self._raw, self._at = raw, 0

    @property
    def waiting(self) -> bool:
        """Octets that came have not been inflated yet."""
        return self._full or bool(self._tail) or self._at < len(self._raw)

    def take(self, most: int) -> bytes:
        """Up to `most` octets, not beyond the end of a flush; b"" when more must be fed. Raises DeflateFailed."""
        parts: list[bytes] = []
        size = 0
        while size < most and not self.ended and self.waiting:
            try:
                out = self._inflate.decompress(self._next(), most - size)
            except zlib.error as error:
                self.ended = True
                raise DeflateFailed(str(error)) from error
            self._tail = self._inflate.unconsumed_tail
            self._full = len(out) == most - size
            self.ended = self._inflate.eof
            if out:
                parts.append(out)
                size += len(out)
            if size and self._border and not self._tail and not self._full:
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _next(self) -> bytes:
        """What zlib gets next: what it handed back, else a piece that ends where a flush does."""
        if self._tail or self._at >= len(self._raw):
            return self._tail
        piece = self._raw[self._at : self._at + _BITE]
        found = (self._before + piece).find(_BORDER)
        self._border = found >= 0
        if self._border:
            piece = piece[: found + len(_BORDER) - len(self._before)]
        self._at += len(piece)
        self._before = b"" if self._border else (self._before + piece)[-len(_BORDER) + 1 :]
        return piece

    def stop(self) -> None:
        """What was taken last is the last of what is compressed. From now on `behind` gives what follows."""
        self.stopped = True
        if self.ended:
            self._raw, self._at = self._inflate.unused_data + self._raw[self._at :], 0
        elif not self._border or self._tail:
            self._flush = b""
            return
        self._skip_end()

    def _skip_end(self) -> None:
        """One who flushes and then ends his stream has sent an empty last block behind the flush."""
        if self._raw.startswith(b"\x03\0", self._at):
            self._at += 2

    def behind(self) -> bytes:
        """Octets that were not compressed; b"" when more must be fed, or where there are none (see `settled`)."""
        if self._flush is not None:
            self._pass_flush(self._flush)
        if self._flush is not None:
            return b""
        plain, self._raw, self._at = self._raw[self._at :], b"", 0
        return plain

    @property
    def settled(self) -> bool:
        """Stopped, and all has been given out: the octets to come are none of ours."""
        return self.stopped and self._flush is None and self._at >= len(self._raw)

    def _pass_flush(self, seen: bytes) -> None:
        """The last command was there before the last octets of its flush: pass over those, but over no others."""
        while self._at < len(self._raw):
            octet = self._raw[self._at : self._at + 1]
            self._at += 1
            seen += octet
            if (self._before + seen).endswith(_BORDER):
                self._flush = None
                self._skip_end()
                return
            if self._ends_with(octet):
                self._flush = None
                return
            if len(seen) > _LONGEST_END:
                self._flush, self._raw, self._at = None, seen + self._raw[self._at :], 0
                return
        self._flush = seen

    def _ends_with(self, octet: bytes) -> bool:
        try:
            self._inflate.decompress(octet)
        except zlib.error:
            return False
        return self._inflate.eof
