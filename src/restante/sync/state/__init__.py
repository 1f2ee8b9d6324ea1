"""The state of a copy: one SQLite file, the only SQL there is in sync."""

from __future__ import annotations

from .file import CopyBusy, StateFailed
from .state import State

__all__ = ["CopyBusy", "State", "StateFailed"]
