"""What an account's file is called within the data folder. Imports next to nothing: a glance needs it."""

from __future__ import annotations

from ..errors import NoSuchAccount

DIRECTORY = "directory.db"

LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
LONGEST = 64


def account_name(account: str) -> str:
    """The account's file, below the data folder. An id is checked before it becomes a name in the file system. Raises
    NoSuchAccount."""
    if not (account[:1] in LETTERS and len(account) <= LONGEST and LETTERS.issuperset(account.translate(_OTHERS))):
        raise NoSuchAccount("There is no such account.")
    return f"accounts/{account[:2].lower()}/{account}.db"


_OTHERS = {ord("_"): None, ord("-"): None}
"""What an id may hold besides, but not begin with."""
