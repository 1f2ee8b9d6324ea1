"""Where an account's file lies within the data folder. Imports next to nothing."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from ..errors import NoSuchAccount

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORY = "directory.db"

_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


@lru_cache(maxsize=512)
def account_file(data: Path, account: str) -> Path:
    """The account's file. An id is checked before it becomes a name in the file system. Raises NoSuchAccount."""
    return data / account_name(account)


def account_name(account: str) -> str:
    """The same, below the data folder."""
    if _ACCOUNT.match(account) is None:
        raise NoSuchAccount("There is no such account.")
    return f"accounts/{account[:2].lower()}/{account}.db"
