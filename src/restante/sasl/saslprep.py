"""Passwords before they are compared: SASLprep (RFC 4013), a profile of stringprep (RFC 3454).

Owns: the mapping and its refusals. Code points that Unicode 3.2 did not know pass unchanged on both sides, when
a password is set and when it is proved (RFC 3454 7 lets queries do so): a new emoji is no reason to refuse one.
Must not know: what the string is for.
"""

from __future__ import annotations

import stringprep
import unicodedata

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


class BadString(ValueError):
    """The string has a character that SASLprep prohibits, or mixes directions as it must not."""


def saslprep(text: str) -> str:
    """RFC 4013 2: map, normalise (NFKC of Unicode 3.2), check. Raises BadString.

    Cost is linear, but for the square of how many marks follow one another: callers bound the length.
    """
    if text.isascii():
        if not text.isprintable():
            raise BadString("a control character")
        return text
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))  # 2.1
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)  # 2.2
    if any(prohibited(c) for c in prepared for prohibited in _PROHIBITED):  # 2.3
        raise BadString("a prohibited character")
    _check_bidi(prepared)  # 2.4
    return prepared


def _check_bidi(text: str) -> None:
    """RFC 3454 6: right-to-left text begins and ends so, and has no left-to-right letters."""
    if any(map(stringprep.in_table_d1, text)):
        edges = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
        if not edges or any(map(stringprep.in_table_d2, text)):
            raise BadString("text of mixed direction")


def prepare_password(raw: bytes) -> bytes:
    """A password as it is hashed: SASLprep's form, or the octets as they came where there is none.

    So the same password typed on two systems (composed or not) is one. Octets that are no UTF-8 or cannot be
    prepared match nothing that was ever set, but take the same way.
    """
    try:
        return saslprep(raw.decode("utf-8")).encode("utf-8")
    except (UnicodeDecodeError, BadString):
        return raw
