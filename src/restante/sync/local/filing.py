"""New mail into the account: made ready, appended in groups, each group one command with flags, dates, identities.

Making ready (analysis, hash, compression: `Store.preparing`) is most of the work. While little is to be done it is done
here; when a run will be a large one, processes beside this one do it (`analysts.pool`), and this one appends what they
have made. What search keeps is not made here at all: the server does that behind, or the first search.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import ref

from ...analysts.pool import FULL, Analysts
from ...store.errors import OverQuota, StoreRefusal, TooManyKeywords
from ...store.model import Flags as StoreFlags
from ...store.model import Identity, ReadyMessage
from ..making import Made, Making
from ..model import Added, Flags, Message
from .keywords import BadKeyword, store_flags

if TYPE_CHECKING:
    from ...mime.model import Limits
    from ...store.interface import Store

UnderWay = tuple["asyncio.Task[list[Made]]", int]
"""A group that is being made ready, and a message's place in it."""

_NONE = Identity()

GROUP_MESSAGES = 128
GROUP_OCTETS = 4 << 20
"""What is made ready together."""
COMMAND_MESSAGES = 512
"""Messages appended by one command, of `GROUP_OCTETS` at most: trees whose keys fall anywhere are written the less
often, the more come together; four times as many cost a fifth less."""


class Filing:
    """Files messages into one account. limits: bounds of analysis. largest: octets of a message. To be closed."""

    def __init__(self, store: Store, limits: Limits, largest: int) -> None:
        self._store = store
        self._largest = largest
        self._analysts = Analysts(Making(store.preparing(limits)))
        self._flags: dict[Flags, StoreFlags | BadKeyword] = {}
        self._tasks: set[asyncio.Task[list[Made]]] = set()
        self._expected: dict[int, tuple[ref[Message], UnderWay]] = {}
        """By the message's `id`: as a key, all of its octets would be hashed. What is never added is forgotten once the
        message itself is gone."""

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._analysts.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def coming(self, messages: int) -> None:
        """See `side.Awaits`: analysts start while the first messages are on their way."""
        if messages >= FULL:
            from ...memory import one_heap  # loads ctypes, which a run with little to do does without

            one_heap()  # octets pass through several threads, and each one's heap would keep what it once held of them
        self._analysts.expect(messages)

    def expect(self, messages: Sequence[Message]) -> None:
        """See `side.Expects`: they are made ready."""
        wanted = [at for at, message in enumerate(messages) if self._refused(message) is None]
        found = [messages[at] for at in wanted]
        for gone in [key for key, (kept, _) in self._expected.items() if kept() is None]:
            del self._expected[gone]
        self._expected |= {id(one): (ref(one), making) for one, making in zip(found, self._make(found), strict=True)}

    def _make(self, messages: Sequence[Message]) -> list[UnderWay]:
        """Begin to make these ready, in groups."""
        making: list[UnderWay] = []
        for group in _groups(messages, list(range(len(messages))), GROUP_MESSAGES):
            task = asyncio.create_task(self._analysts.analyse([messages[at].data for at in group]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            making += [(task, at) for at in range(len(group))]
        return making

    def _making(self, group: Sequence[Message]) -> list[UnderWay]:
        """What each of these will have, begun now where it was not expected."""
        known = [self._known(message) for message in group]
        new = iter(self._make([message for message, one in zip(group, known, strict=True) if one is None]))
        return [next(new) if one is None else one for one in known]

    async def prints(self, messages: Sequence[Message]) -> list[tuple[bytes, bytes] | None]:
        """See `side.Prints`: of what is expected."""
        prints: list[tuple[bytes, bytes] | None] = []
        for message in messages:
            found = self._expected.get(id(message))
            if found is None or found[0]() is not message:
                prints.append(None)
                continue
            task, at = found[1]
            blob, _, mark = (task.result() if task.done() else await task)[at]
            prints.append((mark, blob.digest))
        return prints

    def _known(self, message: Message) -> UnderWay | None:
        found = self._expected.pop(id(message), None)
        return found[1] if found is not None and found[0]() is message else None

    async def add(self, mailbox: int, messages: Sequence[Message]) -> list[Added]:
        """See `Side.add`. They get UIDs in their order. Raises the store's refusals that are of no single message.

        All are made ready as fast as analysts are free. While one group is being appended the next is made ready.
        """
        answers = [self._refused(message) for message in messages]
        groups = _groups(messages, [at for at, answer in enumerate(answers) if answer is None], COMMAND_MESSAGES)
        making = [self._making([messages[at] for at in group]) for group in groups]
        appending: asyncio.Task[list[Added]] | None = None
        added: list[Added] = []
        try:
            for group, under_way in zip(groups, making, strict=True):
                made = await self._made([messages[at] for at in group], under_way)
                if appending is not None:
                    added += await appending
                appending = asyncio.create_task(self._append(mailbox, made))
            if appending is not None:
                added += await appending
        finally:
            if appending is not None:  # a command that was given is brought to its end
                await asyncio.gather(appending, return_exceptions=True)
        for at, one in zip((at for group in groups for at in group), added, strict=True):
            answers[at] = one
        return [answer for answer in answers if answer is not None]

    async def _made(self, messages: Sequence[Message], making: Sequence[UnderWay]) -> list[ReadyMessage]:
        made = []
        for message, (task, at) in zip(messages, making, strict=True):
            blob, answers, _ = (task.result() if task.done() else await task)[at]
            flags = self._flags[message.flags]
            assert isinstance(flags, StoreFlags)
            identity = _NONE
            if message.email is not None or message.thread is not None or message.uidl is not None:
                identity = Identity(email_id=message.email, thread_id=message.thread, uidl=message.uidl)
            made.append(ReadyMessage(blob, answers, flags, message.received, identity=identity))
        return made

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

    async def _append(self, mailbox: int, messages: list[ReadyMessage]) -> list[Added]:
        """Append all, or where one is refused, each by itself (still one transaction)."""
        try:
            done = await self._store.append_ready(mailbox, messages)
        except (OverQuota, TooManyKeywords) as refusal:
            if len(messages) == 1:
                return [_told(refusal)]
            return await asyncio.gather(*(self._append_one(mailbox, message) for message in messages))
        return [Added(uid) for uid in done.uids]

    async def _append_one(self, mailbox: int, message: ReadyMessage) -> Added:
        return (await self._append(mailbox, [message]))[0]


def _told(refusal: StoreRefusal) -> Added:
    return Added(0, str(refusal), temporary=isinstance(refusal, OverQuota))


def _groups(messages: Sequence[Message], wanted: list[int], most: int) -> list[list[int]]:
    """Positions in groups bounded in number and octets."""
    groups: list[list[int]] = []
    octets = 0
    for at in wanted:
        size = len(messages[at].data)
        if not groups or len(groups[-1]) >= most or octets + size > GROUP_OCTETS:
            groups.append([])
            octets = 0
        groups[-1].append(at)
        octets += size
    return groups
