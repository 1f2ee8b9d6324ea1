"""i;unicode-casemap: the one folding of text, query and sort keys (RFC 5051, RFC 5255 4.2).

RFC 5051 maps each character to title case and decomposes it by compatibility. Here text is decomposed first
and mapped to upper case then, which makes equal whatever the RFC makes equal and, beyond it, ligatures and
wide letters of either case. Sharp s stays itself, as in the RFC. Both sides of a comparison must be folded.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator


def fold(text: str) -> str:
    """`text` folded for substring search and equality; ASCII costs one pass, other letters a table lookup."""
    if text.isascii():
        return text.upper()
    if len(text) > _PIECE:
        return "".join(_folded(text))
    decomposed = unicodedata.normalize("NFKD", text)
    if "ß" in decomposed:
        return "ß".join([piece.upper() for piece in decomposed.split("ß")])
    return decomposed.upper()


_PIECE = 1 << 17
"""Characters folded at once: decomposed and in capitals a text takes several times its room."""


def _folded(text: str) -> Iterator[str]:
    """A long text folded piece by piece, cut behind line ends, where no mark can belong to what stands before."""
    start = 0
    while start < len(text):
        stop = text.find("\n", start + _PIECE // 2, start + _PIECE) + 1
        if not stop:  # a line as long as that is no text anybody searches; marks at the cut may keep their order
            stop = start + _PIECE
        yield fold(text[start:stop])
        start = stop
