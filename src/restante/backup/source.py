"""What a run asks of those who hold accounts: the part of `store.interface.Engine` that several can stand in for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from ..store.directory import Account, Common, Person
from ..store.interface import Store


class Accounts(Protocol):
    """The part of `store.directory.Directory` that a run asks."""

    async def accounts(self, after: str = "", limit: int = 1000) -> list[Account]: ...
    async def account(self, address: str) -> Account | None: ...
    async def account_by_id(self, id: str) -> Account | None: ...
    async def persons(self, after: str = "", limit: int = 256) -> list[Person]: ...
    async def common(self) -> Common: ...


class Source(Protocol):
    """What a run reads: an engine, or several as one."""

    @property
    def directory(self) -> Accounts: ...
    def account(self, account: str) -> Store: ...
    async def leave(self, account: str) -> None: ...


class Standing(NamedTuple):
    """Why an account stands in a snapshot as in the last one, if that has it. why: it was not brought up to date; ""
    where nobody needs to be told. passing: it may be gone soon."""

    why: str = ""
    passing: bool = False


NOBODY: Mapping[str, Standing] = {}
