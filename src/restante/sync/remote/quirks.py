"""What servers do that the standards do not say: each by name, recognised by what they say of themselves.

A quirk is in use where it was recognised and not switched off; one can be switched on too, for a server in disguise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum

from ...values import Value


class Quirk(Enum):
    GMAIL_VIEWS = "gmail-views"
    """Mailboxes that show what others hold (All Mail, Starred, Important): not among the places unless asked for, or
    each message would be kept two to four times."""
    SIZE_IS_A_GUESS = "size-is-a-guess"
    """RFC822.SIZE is estimated: never told as a message's size."""
    EXACT_BINARY = "exact-binary"
    """BINARY.PEEK[] of a whole message is its octets as filed, NUL included; BODY[] may not carry NUL."""


class Signs(Value, frozen=True):
    """How a server with a quirk is known: a capability it offers, or words of its greeting."""

    capability: str | None = None
    greeting: re.Pattern[bytes] | None = None


TABLE: dict[Quirk, Signs] = {
    Quirk.GMAIL_VIEWS: Signs(capability="X-GM-EXT-1"),
    Quirk.SIZE_IS_A_GUESS: Signs(greeting=re.compile(rb"Microsoft Exchange|IMAP4 service is ready", re.IGNORECASE)),
    Quirk.EXACT_BINARY: Signs(greeting=re.compile(rb"Restante is ready")),
}

VIEWS = frozenset({"\\all", "\\flagged", "\\important"})
"""Special uses of mailboxes that are views (RFC 6154 2, RFC 8457)."""


def recognise(
    capabilities: frozenset[str], greeting: bytes, on: Iterable[str] = (), off: Iterable[str] = ()
) -> frozenset[Quirk]:
    """The quirks of a server. on, off: names of quirks to have or not to have, whatever it says.

    Raises ValueError for a name that is none.
    """
    found = {Quirk(name) for name in on}
    for quirk, signs in TABLE.items():
        by_word = signs.capability is not None and signs.capability in capabilities
        if by_word or (signs.greeting is not None and signs.greeting.search(greeting)):
            found.add(quirk)
    return frozenset(found - {Quirk(name) for name in off})
