"""i;unicode-casemap: the one folding of text, query and sort keys (RFC 5051, RFC 5255 4.2).

RFC 5051 maps each character to title case and decomposes it by compatibility. Here text is decomposed first
and mapped to upper case then, which makes equal whatever the RFC makes equal and, beyond it, ligatures and
wide letters of either case. Sharp s stays itself, as in the RFC. Both sides of a comparison must be folded.
"""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """`text` folded for substring search and equality; ASCII costs one pass, other letters a table lookup."""
    if text.isascii():
        return text.upper()
    decomposed = unicodedata.normalize("NFKD", text)
    if "ß" in decomposed:
        return "ß".join([piece.upper() for piece in decomposed.split("ß")])
    return decomposed.upper()
