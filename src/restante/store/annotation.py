"""Annotations: named values on a mailbox or on the whole account (RFC 5464 3), as engines give and take them.

An entry's name is lower-case ASCII and begins with its scope: "/private/..." is the acting user's alone,
"/shared/..." is one value for all who may see it. Which names a client may use is the protocol's business.
"""

from __future__ import annotations

import re

from ..values import Value

ACCOUNT = 0
"""Stands for a mailbox's key where an annotation belongs to the account (IMAP's server entries)."""

PRIVATE = "/private/"

SPECIAL_USE = "/private/specialuse"
"""A mailbox's role, read and written as an annotation (RFC 6154 4): never stored as one."""

_ENTRY = re.compile(r"/(?:private|shared)(?:/[ -$&-)+-.0-~]+)+", re.ASCII)
"""Printable ASCII without "%", "*"; no empty component."""
LONGEST_ENTRY = 1_000


def is_entry(name: str) -> bool:
    """Whether an annotation may have this name (RFC 5464 3.2); lower case, as names are kept."""
    return len(name) <= LONGEST_ENTRY and name == name.lower() and _ENTRY.fullmatch(name) is not None


class AnnotationLimits(Value, frozen=True):
    """Most that annotations may take. value: octets of one. entries: of one mailbox (or the account) in one scope.

    account: octets of all of them, names included.
    """

    value: int = 65_536
    entries: int = 100
    account: int = 16 << 20
