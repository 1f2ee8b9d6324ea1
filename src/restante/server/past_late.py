"""`store.past.Past` that is made when somebody first looks: until then a worker has read none of its code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..store.past import PastState, PastStore

if TYPE_CHECKING:
    from .past import PastOverSocket


class LatePast:
    """make: gives the real one, once."""

    def __init__(self, make: Callable[[], PastOverSocket]) -> None:
        self._make = make
        self._made: PastOverSocket | None = None

    def _past(self) -> PastOverSocket:
        if self._made is None:
            self._made = self._make()
        return self._made

    async def states(self, account: str) -> list[PastState]:
        return await self._past().states(account)

    async def store(self, account: str, state: PastState) -> PastStore:
        return await self._past().store(account, state)

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()
