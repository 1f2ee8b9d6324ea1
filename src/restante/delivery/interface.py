"""Address -> mailbox: what the LMTP session and `restante deliver` call.

Resolution: an account's own address, then aliases (followed to accounts, at most 10 deep, a
loop refused), then plus-addressing (`name+Folder@domain`: the part after the first separator names an existing
mailbox, "/" or "." between levels, without regard to case if no exact match; else INBOX), then the domain's
catch-all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..errors import Refusal


class DeliveryRefusal(Refusal):
    """A recipient or message is refused. enhanced: RFC 3463 code ("5.1.1"); reply: the basic SMTP code."""

    code = "DELIVERY"

    def __init__(self, reply: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = reply
        self.enhanced = enhanced
        self.temporary = reply < 500


@dataclass(frozen=True, slots=True)
class Target:
    """Where one recipient's mail goes: an account and the mailbox within it. original: RCPT TO's address."""

    account: str
    address: str
    mailbox: str
    original: str


@dataclass(frozen=True, slots=True)
class Trace:
    """What the Received field tells. helo, peer, protocol ("LMTP", "LMTPS", "local"), id; by: our host name."""

    helo: str
    peer: str
    protocol: str
    id: str
    by: str


class Delivery(Protocol):
    async def resolve(self, address: str, size: int | None = None) -> tuple[Target, ...]:
        """Where mail for `address` goes. Raises DeliveryRefusal: 550 5.1.1 unknown, 550 5.1.3 bad syntax,
        550 5.2.1 disabled, 452 4.2.2 / 552 5.2.2 over quota (if `size` octets would not fit), 451 4.3.0."""
        ...

    async def deliver(
        self, sender: str, recipients: list[tuple[str, tuple[Target, ...]]], data: bytes, trace: Trace
    ) -> list[DeliveryRefusal | None]:
        """File `data` for each recipient; one result a recipient, in order, None for delivered.

        Adds Return-Path (sender, "" for <>), Delivered-To and Received. A recipient is delivered wholly or
        not at all; each result is durable when this returns.
        """
        ...
