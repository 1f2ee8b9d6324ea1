"""Bounds as configured: one reading of the tables for every room that keeps to them.

All doors must agree: what delivery measured, POP3 sends and the doctor checks.
"""

from __future__ import annotations

from ..mime.model import Limits
from ..store.quota import Quota
from .model import AccountsTable, LimitsTable


def mime_limits(limits: LimitsTable) -> Limits:
    """The table's bounds of analysis; those that are not configurable at their defaults."""
    return Limits(depth=limits.mime_depth, parts=limits.mime_parts, addresses=limits.addresses, header=limits.header)


def quota_default(accounts: AccountsTable) -> Quota:
    """Limits of accounts that have none of their own."""
    return Quota(accounts.quota, accounts.quota_messages, accounts.quota_mailboxes)
