"""A store that refuses: beneath those that show an account to somebody who may not do with it all that its owner may.

What such a store does not write itself, nobody can do in it, and what comes new to `interface.Store` is refused first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from ..mime.model import Limits
    from .backup import AnswerRow, Instant, Mark
    from .changes import AccountChanges
    from .interface import Preparing, Store
    from .model import (
        AccountStats,
        Adoption,
        Appended,
        Blob,
        Copied,
        DropList,
        Finding,
        Flagged,
        FlagMode,
        Flags,
        Mailbox,
        NewMessage,
        Pop3Delete,
        Provenance,
        ReadyMessage,
        Recoverable,
        Removed,
        UidRanges,
    )
    from .quota import QuotaState
    from .rewind import RewindNote, Rewound
    from .rewind import Snapshot as Then
    from .rights import AclEntry, Rights


class Refusing(ABC):
    """All of `interface.Store` that is more than looking at mailboxes and what is in them."""

    @abstractmethod
    def refuse(self) -> NoReturn:
        """Raises NoPermission, in words of its own."""

    async def names(self) -> tuple[list[Mailbox], list[str]]:
        self.refuse()

    async def last_change(self) -> int:
        self.refuse()

    async def changes(self, since: int, own: Collection[int] = ()) -> AccountChanges:
        self.refuse()

    async def fill_search(self) -> int:
        self.refuse()

    async def find_arrivals(self, digest: bytes, since: int) -> list[tuple[str, int]]:
        self.refuse()

    async def put(self, data: bytes | bytearray | memoryview, before: bytes = b"") -> Blob:
        self.refuse()

    def preparing(self, limits: Limits) -> Preparing:
        self.refuse()

    async def append_ready(self, mailbox: int, messages: Sequence[ReadyMessage]) -> Appended:
        self.refuse()

    async def append(self, mailbox: int, messages: Sequence[NewMessage]) -> Appended:
        self.refuse()

    async def append_by_name(self, name: str, messages: Sequence[NewMessage]) -> Appended:
        self.refuse()

    async def append_once(self, name: str, message: NewMessage) -> Appended | None:
        self.refuse()

    async def has_email(self, email_id: str) -> bool:
        self.refuse()

    async def replace(self, mailbox: int, uid: int, target: int, message: NewMessage) -> Appended:
        self.refuse()

    async def room_for(self, size: int) -> None:
        self.refuse()

    async def store_flags(
        self,
        mailbox: int,
        ranges: UidRanges,
        mode: FlagMode,
        flags: Flags,
        unchanged_since: int | None = None,
    ) -> Flagged:
        self.refuse()

    async def copy(self, mailbox: int, ranges: UidRanges, target: int, *, messages: int | None = None) -> Copied:
        self.refuse()

    async def move(self, mailbox: int, ranges: UidRanges, target: int, *, messages: int | None = None) -> Copied:
        self.refuse()

    async def transfer(
        self,
        source: Store,
        mailbox: int,
        ranges: UidRanges,
        target: int,
        *,
        move: bool,
        messages: int | None = None,
    ) -> Copied:
        self.refuse()

    async def expunge(self, mailbox: int, ranges: UidRanges | None, *, deleted_only: bool = True) -> Removed:
        self.refuse()

    async def create_mailbox(
        self, name: str, role: str | None = None, uidvalidity: int | None = None, *, above: bool = True
    ) -> Mailbox:
        self.refuse()

    async def adopt(self, mailbox: int, adoption: Adoption) -> Mailbox:
        self.refuse()

    async def reserve_uids(self, mailbox: int, uidnext: int) -> None:
        self.refuse()

    async def delete_mailbox(self, mailbox: int, named: str | None = None) -> None:
        self.refuse()

    async def rename_mailbox(self, mailbox: int, name: str, named: str | None = None) -> None:
        self.refuse()

    async def rename_level(self, level: str, name: str) -> None:
        self.refuse()

    async def set_role(self, mailbox: int, role: str | None) -> None:
        self.refuse()

    async def annotate(self, mailbox: int, values: Mapping[str, bytes | None]) -> int:
        self.refuse()

    async def subscribe(self, name: str, subscribed: bool) -> None:
        self.refuse()

    async def acl(self, mailbox: int) -> list[AclEntry]:
        self.refuse()

    async def set_acl(self, mailbox: int, identifier: str, mode: FlagMode, rights: Rights) -> None:
        self.refuse()

    async def forget_person(self, identifier: str) -> None:
        self.refuse()

    def lock_maildrop(self) -> AbstractAsyncContextManager[None]:
        self.refuse()

    async def maildrop(self) -> DropList:
        self.refuse()

    async def finish_maildrop(
        self, delete: UidRanges, how: Pop3Delete, retrieved: UidRanges, *, mark_seen: bool
    ) -> None:
        self.refuse()

    async def expire_retrieved(self, before: int) -> int:
        self.refuse()

    async def recoverable(self) -> list[Recoverable]:
        self.refuse()

    async def undelete(self, numbers: Sequence[int], mailbox: int | None) -> Appended | None:
        self.refuse()

    async def rewind(self, to: int | Then, *, apply: bool) -> Rewound:
        self.refuse()

    async def undo_rewind(self, id: int, *, apply: bool) -> Rewound:
        self.refuse()

    async def rewinds(self) -> list[RewindNote]:
        self.refuse()

    async def note_rewound(self, id: int, mailbox: int, ranges: UidRanges) -> None:
        self.refuse()

    def bringing_back(self) -> AbstractAsyncContextManager[None]:
        self.refuse()

    async def reclaim(self, budget: int) -> int:
        self.refuse()

    async def stats(self) -> AccountStats:
        self.refuse()

    async def quota(self) -> QuotaState:
        self.refuse()

    async def provenance(self, mailbox: int, ranges: UidRanges) -> list[Provenance]:
        self.refuse()

    async def mark(self) -> Mark:
        self.refuse()

    async def answers(self, emails: Sequence[int]) -> list[AnswerRow | None]:
        self.refuse()

    def instant(self) -> AbstractAsyncContextManager[Instant]:
        self.refuse()

    def doctor(self, repair: bool) -> AsyncIterator[Finding]:
        self.refuse()
