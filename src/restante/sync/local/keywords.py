"""Flags of a side as the store has them. Apart from filing, which a run that changes flags alone has no use for."""

from __future__ import annotations

from ...exchange.letters import is_keyword
from ...store.model import Flags as StoreFlags
from ..model import Flags


class BadKeyword(ValueError):
    """A keyword that no store can hold: IMAP could not tell it."""


def store_flags(names: Flags) -> StoreFlags:
    """The store's flags of these names. Raises BadKeyword."""
    for name in names:
        if not name.startswith("\\") and not is_keyword(name):
            raise BadKeyword(f"The keyword {name!r} cannot be kept: IMAP has no way to say it.")
    return StoreFlags.of(names)
