"""What a fetch asks of the place where mail goes. Every `Side` has it; an mbox file has it too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from ..model import Added, Changes, Message, Outline, Place


class Target(Protocol):
    """The part of `Side` that adds and looks, with the same rules: what `add` has answered is durable."""

    title: str

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def places(self) -> list[Place]: ...

    async def changes(self, name: str, since: str | None) -> Changes: ...

    async def outlines(self, name: str, uids: Sequence[int]) -> list[Outline]: ...

    def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]: ...

    async def add(self, name: str, messages: Sequence[Message]) -> list[Added]: ...

    async def create(self, name: str, role: str | None) -> Place: ...
