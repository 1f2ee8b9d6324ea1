"""What an account may hold, and what it holds: three resources, each limited or not (RFC 9208 5).

Pure values; engines enforce them in the transaction that would pass one.
"""

from __future__ import annotations

from ..values import Value


class Quota(Value, frozen=True):
    """Limits of one account, 0 where there is none. storage: octets of all placements, each email once a placement;
    removed mail does not count. messages: placements. mailboxes: INBOX included."""

    storage: int = 0
    messages: int = 0
    mailboxes: int = 0


NO_LIMITS = Quota()


class QuotaState(Value, frozen=True):
    """An account's limits beside what it uses, read together. most_mailboxes: the engine's own bound on mailboxes,
    which holds whatever the quota says (RFC 9208 3.2: inherent limits are told too)."""

    limits: Quota
    storage: int
    messages: int
    mailboxes: int
    most_mailboxes: int
