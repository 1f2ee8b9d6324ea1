"""The journal of deliveries to several accounts: what an engine keeps so that such a delivery outlives a crash.

A row stands from before the first account's commit until after the last one's. What it is for, and in which order
things are done, is `delivery.copies`'; here is what an engine promises. It belongs to the directory, since it is no
single account's.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ..values import Value


class Begun(Value, frozen=True):
    """A delivery that has begun and not ended.

    token: 16 random octets, the EMAILIDs of its copies are made of it. done: names of copies that are known to be
    filed; others may be.
    """

    token: bytes
    done: frozenset[str] = frozenset()


class DeliveryJournal(Protocol):
    """Deliveries under way, each named by the message's digest (SHA-256 before trace fields) and its recipient as
    the envelope has it. Every change is durable when the call returns."""

    def lock(self, digest: bytes, recipient: str) -> AbstractAsyncContextManager[None]:
        """Hold this delivery against others of the same name. Let go when the process dies.

        Whoever has it is waited for, of this process or another. Raises InUse where another process keeps it for long.
        """
        ...

    async def find(self, digest: bytes, recipient: str) -> Begun | None:
        """The row that is there. One indexed read."""
        ...

    async def any_to(self, recipient: str) -> bool:
        """Whether a delivery to this recipient, of whatever message, has begun and not ended. One indexed read."""
        ...

    async def begin(self, digest: bytes, recipient: str, when: int) -> Begun:
        """Write a row with a new token; where one is, it stays and is given. when: seconds UTC."""
        ...

    async def note(self, digest: bytes, recipient: str, done: frozenset[str]) -> None:
        """Keep which copies are filed. Does nothing where no row is."""
        ...

    async def end(self, digest: bytes, recipient: str) -> None:
        """Remove the row."""
        ...

    async def expire(self, before: int) -> int:
        """Remove rows written before `before` (seconds UTC): nobody tries again. How many."""
        ...
