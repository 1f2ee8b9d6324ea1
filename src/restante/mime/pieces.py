"""Content without its transfer encoding, piece by piece: a large part is never held whole.

    measure(encoded pieces) -> Measure (how long the content is, where it ends) ; undo(the same pieces again, Measure)

A literal says its length first, so the content is gone through twice, and the first time decides what only its end
tells (where base64 stops; whether a text is one of lines). What comes out is what `decode.decode_transfer` makes of
the whole, a text with `with_line_ends`. Must not know where pieces come from. RFC 2045 6.7, 6.8.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import Protocol

from .charsets import has_line_feeds
from .decode import decode_quoted_printable, decode_transfer, without_foreign
from .model import Part
from .normalise import crlf_for_lf


def is_lines(part: Part) -> bool:
    """Whether a part's content is a text of lines, which BINARY gives with CRLF whatever they were encoded with (RFC
    9051 7.5.2, RFC 3516 6).

    Not in a charset where LF is another octet (UTF-16): a CR put before one would tear characters apart.
    """
    return part.type == "text" and has_line_feeds(part.charset)


def with_line_ends(text: bytes) -> bytes:
    """A text of lines, each LF alone made CRLF. One with NUL in it is none, whatever it calls itself (UTF-16 that does
    not say so, a file): its octets stay."""
    return text if b"\0" in text else crlf_for_lf(text)


@dataclass(frozen=True, slots=True)
class Measure:
    """octets: of the content. characters: of base64 that stand for it; what comes behind them does not count.
    lines: the content is a text that gets CRLF."""

    octets: int
    characters: int = 0
    lines: bool = False


class NotInPieces(Exception):
    """This content has to be decoded whole: pieces of base64, each with its own padding, that were joined."""


class Measuring:
    """The first pass. Feed encoded pieces, then ask `measure`. Memory: a piece; of quoted-printable a line.

    Base64 is decoded by it in a text alone, since the length of anything else is known by counting.
    """

    def __init__(self, encoding: str, *, lines: bool) -> None:
        """encoding: of those that can be undone. lines: the content is a text of lines (`is_lines`)."""
        self._base64 = encoding == "base64"
        self._content = _decoder(encoding)
        self._ends = _LineEnds()
        self._lines = lines
        self._octets = 0
        self._with_ends = 0
        self._clean = 0
        self._solid = 0
        self._padding = -1

    def feed(self, piece: bytes) -> None:
        if not self._base64:
            self._count(self._content.feed(piece))
            return
        clean = without_foreign(piece)
        self._solid += len(piece.translate(None, b" \t\r\n"))
        if not self._clean:
            clean = clean.lstrip(b"=")
        if self._padding < 0:
            at = clean.find(b"=")
            if at >= 0:
                self._padding = self._clean + at
            if self._lines:
                self._count(self._content.feed(clean if at < 0 else clean[:at]))
        self._clean += len(clean)

    def _count(self, content: bytes) -> None:
        self._octets += len(content)
        if self._lines:
            self._lines = b"\0" not in content
            self._with_ends += len(self._ends.feed(content))

    def measure(self) -> Measure:
        """Raises NotInPieces."""
        if not self._base64 or self._lines:
            self._count(self._content.rest())
        characters = self._clean
        if self._base64 and self._padding >= 0:
            if self._clean - self._padding > 2 and not self._clean % 4 and self._solid == self._clean:
                raise NotInPieces
            characters = self._padding
        if self._lines:
            octets = self._with_ends + len(self._ends.rest())
            return Measure(octets, characters, octets > self._octets)
        if not self._base64:
            return Measure(self._octets)
        whole, left = divmod(characters, 4)
        return Measure(whole * 3 + (left - 1 if left else 0), characters)


class Undoing:
    """The second pass: the content of each piece. Ask `rest` at the end."""

    def __init__(self, encoding: str, measure: Measure) -> None:
        self._content = _decoder(encoding, measure.characters)
        self._ends = _LineEnds() if measure.lines else None

    def feed(self, piece: bytes) -> bytes:
        content = self._content.feed(piece)
        return content if self._ends is None else self._ends.feed(content)

    def rest(self) -> bytes:
        content = self._content.rest()
        return content if self._ends is None else self._ends.feed(content) + self._ends.rest()


class _Decoder(Protocol):
    def feed(self, piece: bytes) -> bytes: ...

    def rest(self) -> bytes: ...


def _decoder(encoding: str, characters: int | None = None) -> _Decoder:
    """characters: of base64, how many stand for content; None where no others are fed."""
    if encoding == "base64":
        return _Base64(characters)
    return _Lines() if encoding == "quoted-printable" else _AsItIs()


class _AsItIs:
    """Content that no encoding has changed."""

    def feed(self, piece: bytes) -> bytes:
        return piece

    def rest(self) -> bytes:
        return b""


class _Base64:
    """Base64, decoded as far as groups of four characters have come."""

    def __init__(self, characters: int | None) -> None:
        self._left = characters
        self._carried = b""

    def feed(self, piece: bytes) -> bytes:
        if self._left == 0:
            return b""
        clean = without_foreign(piece).replace(b"=", b"")[: self._left]
        if self._left is not None:
            self._left -= len(clean)
        clean = self._carried + clean
        whole = len(clean) // 4 * 4
        self._carried = clean[whole:]
        return binascii.a2b_base64(clean[:whole])

    def rest(self) -> bytes:
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


class _LineEnds:
    """CRLF for each LF alone. A CR at a piece's end waits for what comes next."""

    def __init__(self) -> None:
        self._cr = b""

    def feed(self, content: bytes) -> bytes:
        content = self._cr + content
        self._cr = b"\r" if content.endswith(b"\r") else b""
        return crlf_for_lf(content[:-1] if self._cr else content)

    def rest(self) -> bytes:
        return self._cr
