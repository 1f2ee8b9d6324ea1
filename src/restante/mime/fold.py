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
    decomposed = _decomposed_in_stretches(text) if _has_many_marks(text) else unicodedata.normalize("NFKD", text)
    if "ß" in decomposed:
        return "ß".join([piece.upper() for piece in decomposed.split("ß")])
    return decomposed.upper()


def fold_within(text: str, most: int) -> str:
    """The first `most` characters of `fold(text)`; no more than one piece is folded beyond them."""
    kept: list[str] = []
    left = most
    pieces = _folded(text)
    while left > 0 and (piece := next(pieces, None)) is not None:
        kept.append(piece[:left])
        left -= len(piece)
    return "".join(kept)


_STRETCH = 128
"""Characters of a stretch: about as many marks in a row as cost no more to be put in order than to be decomposed."""

_MARKS_BY_DECOMPOSITION = frozenset("\u0f73\u0f75\u0f81\uff9e\uff9f")
"""Characters that are no marks themselves, and nothing but marks when they are decomposed."""


def _has_many_marks(text: str) -> bool:
    """Whether marks may follow one another for a stretch: more than two stretches of them are always found.

    Marks in a row are put in order by insertion, which for a hundred thousand of them takes some ten seconds; no
    language has more than a few. Costs a look at each stretch, nothing for a short text.
    """
    ends = range(_STRETCH - 1, len(text), _STRETCH)
    return any(_is_mark(text[at]) and all(map(_is_mark, text[at - _STRETCH + 1 : at])) for at in ends)


def may_have_long_run(text: str) -> bool:
    """Whether more than a stretch of marks may follow one another: only then is a text that is folded in parts, cut
    before ASCII, not what it is folded whole."""
    half = _STRETCH // 2  # of any stretch of characters one such half, counted from the text's beginning, is part
    return any(
        _is_mark(text[at]) and all(map(_is_mark, text[at - half + 1 : at])) for at in range(half - 1, len(text), half)
    )


def _is_mark(character: str) -> bool:
    return unicodedata.combining(character) != 0 or character in _MARKS_BY_DECOMPOSITION


def _decomposed_in_stretches(text: str) -> str:
    """Decomposed in linear time; marks on both sides of a cut keep their order."""
    cuts = range(0, len(text), _STRETCH)
    return "".join([unicodedata.normalize("NFKD", text[at : at + _STRETCH]) for at in cuts])


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
