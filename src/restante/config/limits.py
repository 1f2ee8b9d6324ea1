"""The bounds of message analysis as configured: one reading of [limits] for every door that takes mail in.

All doors must agree: what delivery measured, POP3 sends and the doctor checks.
"""

from __future__ import annotations

from ..mime.model import Limits
from .model import LimitsTable


def mime_limits(limits: LimitsTable) -> Limits:
    """The table's bounds of analysis; those that are not configurable at their defaults."""
    return Limits(depth=limits.mime_depth, parts=limits.mime_parts, addresses=limits.addresses, header=limits.header)
