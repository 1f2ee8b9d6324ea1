"""Files messages into an account, in the order in which they come: made ready in groups, several of them at once,
and appended in larger ones.

    gathered -> made ready (several groups) -> appended (one command, while the next is put together)

Making ready (`Store.preparing`) is most of the work, and done by processes beside this one where there is much of it
(`analysts`). What waits is bounded in messages and octets, so that memory does not grow with the source. What one
command may not append is tried in halves, down to the one message that the store refuses.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..analysts.pool import EXPECTED, MANY_OCTETS, Analysts
from ..mime.normalise import normalise_line_ends
from ..store.errors import DiskFull, OverQuota, StoreRefusal, TooManyKeywords
from ..store.model import Flags, ReadyMessage
from .incoming import Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..mime.model import Limits
    from ..store.interface import Store
    from ..store.model import Blob, Mailbox
    from .incoming import Incoming
    from .load import Report

GROUP_MESSAGES = 128
GROUP_OCTETS = 4 << 20
"""What is made ready together."""

COMMAND_MESSAGES = 512
"""Messages appended by one command, of `GROUP_OCTETS` at most (one larger message is a command of its own): trees whose
keys fall anywhere are written the less often, the more come together."""

AHEAD_MESSAGES = 1_024
AHEAD_OCTETS = 12 << 20
"""What may wait to be appended: as much as keeps all analysts at work while a command is put together."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Messages on their way into one mailbox."""

    mailbox: Mailbox
    items: list[Incoming]
    octets: int
    making: asyncio.Task[list[tuple[Blob, object]]]


class Filing:
    """One import's way into `store`. report: gets what was filed and what was refused. progress: called with octets of
    the source that have been dealt with. octets: that will come for certain, 0 where it is not known. To be closed."""

    def __init__(
        self, store: Store, limits: Limits, report: Report, progress: Callable[[int], None], octets: int
    ) -> None:
        self._store = store
        self._report = report
        self._progress = progress
        self._analysts = Analysts(store.preparing(limits))
        if octets > MANY_OCTETS:
            self._analysts.expect(EXPECTED)  # so much that they would be started later anyway
        self._mailbox: Mailbox | None = None
        self._items: list[Incoming] = []
        self._octets = 0
        self._groups: deque[_Group] = deque()
        self._waiting = 0
        self._waiting_octets = 0
        self._appending: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Give up what is not being appended; a command that was given is brought to its end."""
        under_way = [group.making for group in self._groups]
        for task in under_way:
            task.cancel()
        self._analysts.close()
        appending, self._appending = self._appending, None
        await asyncio.gather(*under_way, *([appending] if appending is not None else []), return_exceptions=True)

    async def take(self, mailbox: Mailbox, item: Incoming) -> None:
        """File a message behind those before it. Raises what the store refuses of one of those."""
        if self._items:
            other = self._mailbox is None or mailbox.key != self._mailbox.key
            if other or self._octets + len(item.data) > GROUP_OCTETS:
                await self._flush()
        self._mailbox = mailbox
        self._items.append(item)
        self._octets += len(item.data)
        if len(self._items) >= GROUP_MESSAGES:
            await self._flush()

    async def settle(self) -> None:
        """All that was taken is appended when this returns. Raises what the store refuses."""
        self._begin()
        while self._groups:
            await self._command()
        await self._appended()

    async def _flush(self) -> None:
        """Let what was gathered be made ready; append of what waits as much as is too much."""
        self._begin()
        while self._waiting > AHEAD_MESSAGES or self._waiting_octets > AHEAD_OCTETS:
            await self._command()

    def _begin(self) -> None:
        items, octets, mailbox = self._items, self._octets, self._mailbox
        if not items:
            return
        assert mailbox is not None
        self._items, self._octets = [], 0
        data = [item.data if item.verbatim else normalise_line_ends(item.data) for item in items]
        self._groups.append(_Group(mailbox, items, octets, asyncio.create_task(self._analysts.analyse(data))))
        self._waiting += len(items)
        self._waiting_octets += octets

    async def _command(self) -> None:
        """Append the first groups that wait, as many as one command takes, once what is being appended is."""
        items: list[Incoming] = []
        messages: list[ReadyMessage] = []
        mailbox, octets = self._groups[0].mailbox, 0
        while self._groups and (not items or self._goes_along(mailbox, len(items), octets)):
            group = self._groups[0]
            made = await group.making
            self._groups.popleft()
            self._waiting -= len(group.items)
            self._waiting_octets -= group.octets
            octets += group.octets
            items += group.items
            messages += [
                ReadyMessage(blob, answers, item.flags, item.received, item.arrival, item.identity)
                for item, (blob, answers) in zip(group.items, made, strict=True)
            ]
        await self._appended()
        self._appending = asyncio.create_task(self._append_all(mailbox, items, messages, octets))

    def _goes_along(self, mailbox: Mailbox, messages: int, octets: int) -> bool:
        """Whether the first group that waits may be appended together with so many messages before it."""
        group = self._groups[0]
        return (
            group.mailbox.key == mailbox.key
            and messages + len(group.items) <= COMMAND_MESSAGES
            and octets + group.octets <= GROUP_OCTETS
        )

    async def _appended(self) -> None:
        """The last command is at its end. Raises what it was refused for. Cancelled, it still goes on: see `close`."""
        if self._appending is not None:
            await asyncio.shield(self._appending)
            self._appending = None

    async def _append_all(
        self, mailbox: Mailbox, items: Sequence[Incoming], messages: Sequence[ReadyMessage], octets: int
    ) -> None:
        await self._append(mailbox, items, messages)
        self._progress(octets)

    async def _append(self, mailbox: Mailbox, items: Sequence[Incoming], messages: Sequence[ReadyMessage]) -> None:
        """Append them; where the store refuses, one half and then the other. Raises what ends all further work."""
        try:
            await self._store.append_ready(mailbox.key, messages)
        except StoreRefusal as refusal:
            final = isinstance(refusal, OverQuota | DiskFull)
            if refusal.temporary and not final:
                raise
            if len(messages) > 1:
                half = len(messages) // 2
                await self._append(mailbox, items[:half], messages[:half])
                await self._append(mailbox, items[half:], messages[half:])
            elif final:
                raise
            elif isinstance(refusal, TooManyKeywords) and messages[0].flags.keywords:
                self._report.skipped.append(Skipped(items[0].where, f"keywords left out: {refusal.text}", lost=False))
                bare = replace(messages[0], flags=Flags(messages[0].flags.system))
                await self._append(mailbox, items, [bare])
            else:
                self._report.skipped.append(Skipped(items[0].where, refusal.text))
            return
        self._report.messages += len(messages)
        self._report.octets += sum(message.blob.size for message in messages)
