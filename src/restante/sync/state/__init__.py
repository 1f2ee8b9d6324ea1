"""The state of a copy: one SQLite file, and all SQL that works on it."""

from __future__ import annotations

from .file import CopyBusy, StateFailed
from .state import State

__all__ = ["CopyBusy", "State", "StateFailed"]
