"""What tables of a configuration are made of."""

from __future__ import annotations

import msgspec


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all tables."""


class Doc(msgspec.Struct, frozen=True):
    """A key's documentation and kind ("size", "duration", or "")."""

    text: str
    kind: str = ""
