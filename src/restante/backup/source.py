"""What a run asks of those who hold accounts: the parts of `store.interface` that others can stand in for, several
engines as one, or files read without any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from ..store.backup import AnswerRow, Instant, Mark
    from ..store.directory import Account, Common, Person


class Accounts(Protocol):
    """The part of `store.directory.Directory` that a run asks."""

    async def accounts(self, after: str = "", limit: int = 1000) -> list[Account]: ...
    async def account(self, address: str) -> Account | None: ...
    async def account_by_id(self, id: str) -> Account | None: ...
    async def persons(self, after: str = "", limit: int = 256) -> list[Person]: ...
    async def common(self) -> Common: ...


class Read(Protocol):
    """The part of `store.interface.Store` that a run asks."""

    @property
    def account(self) -> str: ...
    async def mark(self) -> Mark: ...
    def instant(self) -> AbstractAsyncContextManager[Instant]: ...
    async def answers(self, emails: Sequence[int]) -> list[AnswerRow | None]: ...
    async def read_contents(self, contents: Sequence[int]) -> list[bytes]: ...


class Source(Protocol):
    """What a run reads: an engine, or what stands in for one."""

    @property
    def directory(self) -> Accounts: ...
    def account(self, account: str) -> Read: ...
    async def leave(self, account: str) -> None: ...


class Standing(NamedTuple):
    """Why an account stands in a snapshot as in the last one, if that has it. why: it was not brought up to date; ""
    where nobody needs to be told. passing: it may be gone soon."""

    why: str = ""
    passing: bool = False


NOBODY: Mapping[str, Standing] = {}
