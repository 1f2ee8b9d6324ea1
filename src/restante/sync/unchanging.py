"""A side that is only read: every change is refused, in words of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NoReturn

from .model import Added, FlagChange, Message, Place
from .side import SideUnavailable


class Unchanging(ABC):
    """The changing half of `Side`, refused with SideUnavailable. `refusal` says why, and what else to do."""

    @abstractmethod
    def refusal(self) -> tuple[str, str]:
        """What is said, and the remedy."""

    def _refuse(self) -> NoReturn:
        raise SideUnavailable(*self.refusal())

    async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
        self._refuse()

    async def set_flags(self, name: str, changes: Sequence[FlagChange]) -> None:
        self._refuse()

    async def remove(self, name: str, uids: Sequence[int]) -> None:
        self._refuse()

    async def copy(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        self._refuse()

    async def move(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        self._refuse()

    async def create(self, name: str, role: str | None) -> Place:
        self._refuse()

    async def rename(self, name: str, new: str) -> None:
        self._refuse()

    async def delete(self, name: str) -> None:
        self._refuse()

    async def subscribe(self, name: str, subscribed: bool) -> None:
        self._refuse()
