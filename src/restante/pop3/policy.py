"""What POP3 does for one account: its own settings where it has some, else the configuration's."""

from __future__ import annotations

from dataclasses import dataclass

from ..config.model import Pop3Table
from ..store.directory import AccountSettings
from ..store.model import Pop3Delete

DAY = 86_400
NEVER = -1


@dataclass(frozen=True, slots=True)
class Policy:
    """delete: what DELE does at QUIT. leave_days: RETR'd messages go to Trash after so many days, 0 at QUIT
    itself, -1 never. seen: RETR sets \\Seen."""

    delete: Pop3Delete
    leave_days: int
    seen: bool


def policy_for(settings: AccountSettings, config: Pop3Table) -> Policy:
    """The account's choices over the configuration. Raises ValueError for a delete policy that is none."""
    days = settings.pop3_leave_days if settings.pop3_leave_days is not None else config.leave_days
    return Policy(
        Pop3Delete(settings.pop3_delete if settings.pop3_delete is not None else config.delete),
        max(days, NEVER),
        settings.pop3_seen if settings.pop3_seen is not None else config.seen,
    )


def expire_argument(days: int) -> bytes:
    """EXPIRE's argument (RFC 2449 6.7)."""
    return b"NEVER" if days < 0 else b"%d" % days
