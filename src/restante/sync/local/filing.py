"""New mail into the account: analysed once, appended in groups, each group one command with flags, dates, identities.

Analysis is most of the work. While little is to be done it is done here; when a run proves to be a large one, processes
beside this one do it (`analysts`), and this one appends what they have made. What search keeps is not made here at all:
the server does that behind, or the first search.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...store.errors import OverQuota, StoreRefusal, TooManyKeywords
from ...store.model import Flags as StoreFlags
from ...store.model import Identity, NewMessage
from ..model import Added, Flags, Message
from .analysts import Analysts
from .keywords import BadKeyword, store_flags

if TYPE_CHECKING:
    from ...mime.model import Analysis, Limits
    from ...store.interface import Store

GROUP_MESSAGES = 128
GROUP_OCTETS = 4 << 20
"""What is analysed and appended together."""


class Filing:
    """Files messages into one account. limits: bounds of analysis. largest: octets of a message."""

    def __init__(self, store: Store, limits: Limits, largest: int) -> None:
        self._store = store
        self._largest = largest
        self._analysts = Analysts(limits)
        self._flags: dict[Flags, StoreFlags | BadKeyword] = {}

    def close(self) -> None:
        self._analysts.close()

    async def add(self, mailbox: int, messages: Sequence[Message]) -> list[Added]:
        """See `Side.add`. They get UIDs in their order. Raises the store's refusals that are of no single message."""
        answers = [self._refused(message) for message in messages]
        groups = _groups(messages, [at for at, answer in enumerate(answers) if answer is None])
        # All are analysed as fast as analysts are free, while the first are being appended.
        analysing = [
            asyncio.ensure_future(self._analysts.analyse([messages[at].data for at in group])) for group in groups
        ]
        try:
            for group, analyses in zip(groups, analysing, strict=True):
                made = [
                    await self._made(messages[at], analysis) for at, analysis in zip(group, await analyses, strict=True)
                ]
                for at, added in zip(group, await self._append(mailbox, made), strict=True):
                    answers[at] = added
        finally:
            for task in analysing:
                task.cancel()
            await asyncio.gather(*analysing, return_exceptions=True)
        return [answer for answer in answers if answer is not None]

    async def _made(self, message: Message, analysis: Analysis) -> NewMessage:
        flags = self._flags[message.flags]
        assert isinstance(flags, StoreFlags)
        blob = await self._store.put(message.data)
        identity = Identity(email_id=message.email, thread_id=message.thread, uidl=message.uidl)
        return NewMessage(blob, analysis, flags, message.received, identity=identity)

    def _refused(self, message: Message) -> Added | None:
        """Why a message cannot be filed whatever the state of the store."""
        flags = self._flags.get(message.flags)
        if flags is None:
            try:
                flags = store_flags(message.flags)
            except BadKeyword as bad:
                flags = bad
            self._flags[message.flags] = flags
        if isinstance(flags, BadKeyword):
            return Added(0, str(flags))
        if len(message.data) > self._largest:
            return Added(0, f"It is larger than the {self._largest} octets that are taken here.")
        return None

    async def _append(self, mailbox: int, messages: list[NewMessage]) -> list[Added]:
        """Append all, or where one is refused, each by itself (still one transaction)."""
        try:
            done = await self._store.append(mailbox, messages)
        except (OverQuota, TooManyKeywords) as refusal:
            if len(messages) == 1:
                return [_told(refusal)]
            return await asyncio.gather(*(self._append_one(mailbox, message) for message in messages))
        return [Added(uid) for uid in done.uids]

    async def _append_one(self, mailbox: int, message: NewMessage) -> Added:
        return (await self._append(mailbox, [message]))[0]


def _told(refusal: StoreRefusal) -> Added:
    return Added(0, str(refusal), temporary=isinstance(refusal, OverQuota))


def _groups(messages: Sequence[Message], wanted: list[int]) -> list[list[int]]:
    """Positions in groups bounded in number and octets."""
    groups: list[list[int]] = []
    octets = 0
    for at in wanted:
        size = len(messages[at].data)
        if not groups or len(groups[-1]) >= GROUP_MESSAGES or octets + size > GROUP_OCTETS:
            groups.append([])
            octets = 0
        groups[-1].append(at)
        octets += size
    return groups
