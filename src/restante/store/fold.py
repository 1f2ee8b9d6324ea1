"""The form under which addresses are compared. Apart, so that who only looks one up imports nothing else."""

from __future__ import annotations

import unicodedata


def fold_address(address: str) -> str:
    """The form under which an address or a domain is kept and found: case-folded NFC. The same in every engine."""
    if address.isascii():  # as nearly all are: each login asks several times
        return address.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", address).casefold())
