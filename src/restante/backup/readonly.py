"""An IMAP account as a backup sees it: a side of a copy on which nothing can be changed.

The engine carries changes both ways. Nobody changes a mirror but the runs that fill it, so as a rule there is nothing
to be carried to the server; where there is (a run was cut off, and what it had just filed was removed on the server),
it stops here. A message that only the mirror has is refused, by which it is found and removed from the mirror; all
else leaves its mailbox out of the run. Reading opens mailboxes by EXAMINE and asks for BODY.PEEK (`sync.remote`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ..exchange.letters import is_keyword
from ..sync.model import Added, Changes, FlagChange, Flags, Message, Outline, Place, Withheld
from ..sync.side import MailboxUnavailable, SideUnavailable

if TYPE_CHECKING:
    from ..sync.remote import RemoteSide

NOT_THERE = "the server does not have it, and a backup adds nothing there"
"""Why a message that only the mirror has is refused."""

MEDDLED = "the server is left as it is."
"""How the reason of a mailbox left out for a change of the mirror ends."""

GMAIL = "X-GM-EXT-1"
PARTS_OF_ALL = frozenset({"\\Flagged", "\\Important"})
"""Special uses of Gmail's views that show nothing which its \\All does not."""


class WouldChange(MailboxUnavailable):
    """Carrying a change of the mirror to the server was asked for: the mirror is not what the runs made it."""

    code = "WOULD-CHANGE"


class ReadOnly:
    """Implements `sync.side.Side` over one account on a server. seen: what the last look at all mailboxes told.
    refused: how often a change was asked for. lost: the server was."""

    def __init__(self, side: RemoteSide) -> None:
        self.title = side.title
        self.seen: list[Place] = []
        self.refused = 0
        self.lost = False
        self._flags: dict[Flags, Flags] = {}
        self._side = side

    @property
    def unreadable(self) -> Mapping[tuple[str, int], Withheld]:
        """See `side.Withholds`."""
        return self._side.unreadable

    async def open(self) -> None:
        with self._noting():
            await self._side.open()

    async def close(self) -> None:
        await self._side.close()

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except SideUnavailable:
            self.lost = True
            raise

    # Reading ---------------------------------------------------------------------------------------

    async def places(self) -> list[Place]:
        """Gmail's "All Mail" is one of them: what was archived is nowhere else."""
        with self._noting():
            found = await self._side.places()
        if GMAIL in self._side.capabilities:
            found = [place for place in found if place.role not in PARTS_OF_ALL]
        self.seen = found
        return found

    async def changes(self, name: str, since: str | None) -> Changes:
        with self._noting():
            found = await self._side.changes(name, since)
        found.flags = [self._kept(flags) for flags in found.flags]
        return found

    def _kept(self, flags: Flags) -> Flags:
        """Without keywords that IMAP has no way to say, which no store takes: a message without one is better than
        none."""
        kept = self._flags.get(flags)
        if kept is None:
            kept = frozenset(flag for flag in flags if flag.startswith("\\") or is_keyword(flag))
            self._flags[flags] = kept
        return kept

    async def outlines(self, name: str, uids: Sequence[int]) -> list[Outline]:
        with self._noting():
            return await self._side.outlines(name, uids)

    async def headers(self, name: str, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        with self._noting():
            return await self._side.headers(name, uids)

    async def fetch(self, name: str, uids: Sequence[int]) -> AsyncIterator[Message]:
        found = self._side.fetch(name, uids)
        try:
            with self._noting():
                async for message in found:
                    kept = self._kept(message.flags)
                    yield message if kept == message.flags else replace(message, flags=kept)
        finally:
            if isinstance(found, AsyncGenerator):
                await found.aclose()  # a connection is given back

    async def wait(self, names: Sequence[str]) -> set[str]:
        return await self._side.wait(names)

    # What is not done ------------------------------------------------------------------------------

    async def add(self, name: str, messages: Sequence[Message]) -> list[Added]:
        self.refused += len(messages)
        return [Added(0, NOT_THERE) for _ in messages]

    async def set_flags(self, name: str, changes: Sequence[FlagChange]) -> None:
        raise self._would_change(name)

    async def remove(self, name: str, uids: Sequence[int]) -> None:
        raise self._would_change(name)

    async def copy(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        raise self._would_change(target)

    async def move(self, name: str, uids: Sequence[int], target: str) -> list[int]:
        raise self._would_change(name)

    async def create(self, name: str, role: str | None) -> Place:
        raise self._would_change(name)

    async def rename(self, name: str, new: str) -> None:
        raise self._would_change(name)

    async def delete(self, name: str) -> None:
        raise self._would_change(name)

    async def subscribe(self, name: str, subscribed: bool) -> None:
        """Nothing: the next run takes the server's subscription for the mirror's."""

    async def set_role(self, name: str, role: str | None) -> bool:
        return False

    def _would_change(self, name: str) -> WouldChange:
        self.refused += 1
        return WouldChange(f"{name}: the mirror was changed by somebody else; {MEDDLED}")
