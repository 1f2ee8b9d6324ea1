"""Quotas: three limits, each checked in the transaction that would pass it (RFC 9208 5).

What is stored is counted where it changes: octets in `account.used`, messages in each mailbox's counters.
"""

from __future__ import annotations

import apsw

from ..errors import OverQuota
from ..quota import Quota, QuotaState
from .transaction import Write

_STATE = "SELECT (SELECT used FROM account), coalesce(sum(messages), 0), count(*) FROM mailbox"


def state(db: apsw.Connection, limits: Quota, most_mailboxes: int) -> QuotaState:
    """The limits beside what is used."""
    used, messages, mailboxes = db.execute(_STATE).fetchone() or (0, 0, 0)
    return QuotaState(limits, used, messages, mailboxes, most_mailboxes)


def check_filing(tx: Write, octets: int, messages: int, limits: Quota) -> None:
    """Raises OverQuota where so many octets or messages more do not fit. What has been removed does not count."""
    if limits.storage and octets:
        (used,) = tx.db.execute("SELECT used FROM account").fetchone() or (0,)
        if used + tx.used + octets > limits.storage:
            raise _full()
    if limits.messages and messages:
        (there,) = tx.db.execute("SELECT coalesce(sum(messages), 0) FROM mailbox").fetchone() or (0,)
        if there + messages > limits.messages:
            raise OverQuota(f"The account may hold {limits.messages} messages.", "Remove some mail first.")


def check_room(db: apsw.Connection, octets: int, limits: Quota) -> None:
    """`check_filing` of octets ahead of time, without a transaction of the writer. Raises OverQuota."""
    (used,) = db.execute("SELECT used FROM account").fetchone() or (0,)
    if limits.storage and octets > 0 and used + octets > limits.storage:
        raise _full()


def _full() -> OverQuota:
    return OverQuota("The mailbox is full.", "Remove some mail, or ask for a larger quota.")


def check_mailboxes(tx: Write, limits: Quota) -> None:
    """Raises OverQuota where this command has made more mailboxes than there may be; it is undone then."""
    if limits.mailboxes:
        (there,) = tx.db.execute("SELECT count(*) FROM mailbox").fetchone() or (0,)
        if there > limits.mailboxes:
            raise OverQuota(f"The account may have {limits.mailboxes} mailboxes.", "Delete one first.")
