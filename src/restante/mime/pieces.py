"""Content without its transfer encoding, piece by piece: a large part is never held whole.

    measure(encoded pieces) -> Measure (how long the content is, where it ends) ; undo(the same pieces again, Measure)

A literal says its length first, so the content is gone through twice, and the first time decides what only its end
tells (where base64 stops). What comes out is what `decode.decode_transfer` makes of the whole. Must not know where
pieces come from. RFC 2045 6.7, 6.8.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from dataclasses import dataclass

from .decode import decode_quoted_printable, decode_transfer, without_foreign


@dataclass(frozen=True, slots=True)
class Measure:
    """octets: of the content. characters: of base64 that stand for it; what comes behind them does not count."""

    octets: int
    characters: int = 0


class NotInPieces(Exception):
    """This content has to be decoded whole: pieces of base64, each with its own padding, that were joined."""


class Measuring:
    """The first pass. Feed encoded pieces, then ask `measure`. Memory: a piece; of quoted-printable a line."""

    def __init__(self, encoding: str) -> None:
        """encoding: base64 or quoted-printable."""
        self._base64 = encoding == "base64"
        self._lines = _Lines()
        self._octets = 0
        self._clean = 0
        self._solid = 0
        self._padding = -1

    def feed(self, piece: bytes) -> None:
        if not self._base64:
            self._octets += len(self._lines.feed(piece))
            return
        clean = without_foreign(piece)
        self._solid += len(piece.translate(None, b" \t\r\n"))
        if not self._clean:
            clean = clean.lstrip(b"=")
        if self._padding < 0 and (at := clean.find(b"=")) >= 0:
            self._padding = self._clean + at
        self._clean += len(clean)

    def measure(self) -> Measure:
        """Raises NotInPieces."""
        if not self._base64:
            return Measure(self._octets + len(self._lines.rest()))
        characters = self._clean
        if self._padding >= 0:
            if self._clean - self._padding > 2 and not self._clean % 4 and self._solid == self._clean:
                raise NotInPieces
            characters = self._padding
        whole, left = divmod(characters, 4)
        return Measure(whole * 3 + (left - 1 if left else 0), characters)


class Undoing:
    """The second pass: the content of each piece. Ask `rest` at the end."""

    def __init__(self, encoding: str, measure: Measure) -> None:
        self._lines = _Lines()
        self._left = measure.characters
        self._carried = b""
        self.feed: Callable[[bytes], bytes] = self._base64 if encoding == "base64" else self._lines.feed
        self.rest: Callable[[], bytes] = self._base64_rest if encoding == "base64" else self._lines.rest

    def _base64(self, piece: bytes) -> bytes:
        clean = without_foreign(piece).replace(b"=", b"")[: self._left] if self._left else b""
        self._left -= len(clean)
        clean = self._carried + clean
        whole = len(clean) // 4 * 4
        self._carried = clean[whole:]
        return binascii.a2b_base64(clean[:whole])

    def _base64_rest(self) -> bytes:
        return decode_transfer(self._carried, "base64") or b""


class _Lines:
    """Quoted-printable, decoded as far as whole lines have come."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []

    def feed(self, piece: bytes) -> bytes:
        end = piece.rfind(b"\n") + 1
        if not end:
            self._kept.append(piece)
            return b""
        whole = b"".join((*self._kept, piece[:end]))
        self._kept = [piece[end:]]
        return decode_quoted_printable(whole)

    def rest(self) -> bytes:
        return decode_quoted_printable(b"".join(self._kept))
