"""Where an account's file lies within the data folder."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from .names import account_name

if TYPE_CHECKING:
    from pathlib import Path


@lru_cache(maxsize=512)
def account_file(data: Path, account: str) -> Path:
    """The account's file. Raises NoSuchAccount where the id is none."""
    return data / account_name(account)
