"""Messages to the server: `Side.add`.

As many messages a command as the server takes (MULTIAPPEND: all of them filed or none), commands pipelined, literals
without waiting where they may be (LITERAL+, LITERAL-); where they may not, the next command's beginning goes out with
the last message's end, so that a message costs one round trip. A refused command of several messages is repeated
message by message, so that one that is refused holds up no other.

8-bit header fields: after ENABLE UTF8=ACCEPT they go as UTF8 (~{n}), if they are UTF-8 (RFC 6855 4). Older ones go as
they are, and the server may refuse them. NUL goes as a literal8 where the server has BINARY; elsewhere it cannot go.

RFC 9051 6.3.12, RFC 3502, RFC 3516 4.4, RFC 4315 3 (APPENDUID), RFC 6855 4, RFC 7888, RFC 7889.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ...imap.grammar.answers import Status
from ...imap.grammar.answers_search import parse_appenduid
from ...imap.grammar.response import format_internaldate
from ..model import Added, Message
from ..side import MailboxUnavailable
from .account import Account
from .command import Command, Literal, Part, astring
from .connection import Connection
from .errors import Busy, busy, is_busy, said
from .look import statuses

_TOGETHER = 100
"""Messages of one APPEND."""
_OCTETS = 4 << 20
"""Octets of one APPEND, but for a single larger message; and of commands begun before answers are waited for, twice."""

_HEADER_END = re.compile(rb"\r?\n\r?\n|\A\r?\n")
_EIGHT_BIT = re.compile(rb"[\x80-\xff]")
_MAILBOX = frozenset({b"TRYCREATE", b"NONEXISTENT", b"NOPERM"})
_LATER = frozenset({b"OVERQUOTA", b"LIMIT", b"SERVERBUG"})

Group = list[int]
"""Numbers of messages that one command carries."""


async def add(account: Account, name: str, messages: Sequence[Message]) -> list[Added]:
    """`Side.add`."""
    if not messages:
        return []
    raw = await account.raw(name)
    async with account.pool.borrow(raw) as connection:
        return await _Upload(account, connection, name, raw, messages).run()


class _Upload:
    """One call of `add`."""

    def __init__(
        self, account: Account, connection: Connection, name: str, raw: bytes, messages: Sequence[Message]
    ) -> None:
        self._account = account
        self._offers = account.pool.offers
        self._connection = connection
        self._name = name
        self._raw = raw
        self._messages = messages
        self._done: dict[int, Added] = {}
        self._waited = 0.0

    async def run(self) -> list[Added]:
        """One answer a message."""
        limit = await self._limit()
        if any(not flag.startswith("\\") for message in self._messages for flag in message.flags):
            await self._learn_flags()
        numbers = []
        for number, message in enumerate(self._messages):
            reason = self._unfit(message, limit)
            if reason is None:
                numbers.append(number)
            else:
                self._done[number] = Added(0, reason)
        again = await self._file(self._groups(numbers))
        while again:
            again = await self._file([[number] for number in again])
        return [self._done[number] for number in range(len(self._messages))]

    def _unfit(self, message: Message, limit: int | None) -> str | None:
        """Why the message need not be sent."""
        if limit is not None and len(message.data) > limit:
            return f"larger than the {limit} octets that the server takes"
        if not message.data:
            return "has no octets"  # an empty literal cancels APPEND (RFC 3502 3)
        if b"\0" in message.data and "BINARY" not in self._offers:
            return "has NUL octets, which the server cannot take"
        return None

    async def _limit(self) -> int | None:
        """Octets of the largest message that the mailbox takes, where that is told (RFC 7889)."""
        limit = self._offers.number("APPENDLIMIT")
        if limit is None and "APPENDLIMIT" in self._offers:  # each mailbox has its own
            if self._name not in self._account.append_limits:
                values = await statuses(self._connection, [self._raw], b"APPENDLIMIT")
                found = values.get(self._raw, {}).get(b"APPENDLIMIT")
                self._account.append_limits[self._name] = found if isinstance(found, int) else None
            limit = self._account.append_limits[self._name]
        return limit

    async def _learn_flags(self) -> None:
        """Which keywords the mailbox takes: some servers refuse a message for one that it does not."""
        if self._name not in self._account.permanent:
            await self._account.open(self._connection, self._name, self._raw, write=True)

    # Commands ------------------------------------------------------------------------------------------

    def _groups(self, numbers: Sequence[int]) -> list[Group]:
        together = _TOGETHER if "MULTIAPPEND" in self._offers else 1
        groups: list[Group] = []
        octets = 0
        for number in numbers:
            size = len(self._messages[number].data)
            if not groups or len(groups[-1]) >= together or octets + size > _OCTETS:
                groups.append([])
                octets = 0
            groups[-1].append(number)
            octets += size
        return groups

    def _command(self, group: Group) -> Command:
        parts: list[Part] = [b"APPEND ", astring(self._raw, self._connection.utf8)]
        for number in group:
            message = self._messages[number]
            flags = " ".join(sorted(self._account.storable(self._name, message.flags)))
            parts.append(b' (%b) "%b" ' % (flags.encode("ascii"), format_internaldate(message.received)))
            if "UTF8=ACCEPT" in self._connection.enabled and _utf8_header(message.data):
                parts += [b"UTF8 (", Literal(message.data, binary=True), b")"]
            else:
                parts.append(Literal(message.data, binary=b"\0" in message.data))
        return parts

    async def _file(self, groups: Sequence[Group]) -> list[int]:
        """Send groups; numbers of the messages that are to be sent again, each by itself."""
        again: list[int] = []
        for some in self._runs(groups):
            done = await self._connection.run(*[self._command(group) for group in some])
            for group, status in zip(some, done, strict=True):
                again += await self._judge(group, status)
        return again

    def _runs(self, groups: Sequence[Group]) -> Iterator[list[Group]]:
        """Groups that are under way together."""
        some: list[Group] = []
        octets = 0
        for group in groups:
            size = sum(len(self._messages[number].data) for number in group)
            if some and octets + size > 2 * _OCTETS:
                yield some
                some, octets = [], 0
            some.append(group)
            octets += size
        if some:
            yield some

    async def _judge(self, group: Group, status: Status) -> list[int]:
        """Note what became of a group; those of it that are to be sent again."""
        if status.ok:
            found = parse_appenduid(status, len(group))
            for place, number in enumerate(group):
                self._done[number] = Added(found[1][place] if found is not None else 0)
            return []
        if status.code in _MAILBOX:
            raise MailboxUnavailable(f"The server files nothing in {self._name}: {said(status)}")
        if len(group) > 1 and status.code not in (b"UNAVAILABLE", b"INUSE", b"THROTTLED"):
            return group
        if is_busy(status) and status.code not in _LATER:
            await self._be_patient(busy(status))
            return group
        for number in group:
            self._done[number] = Added(0, said(status), temporary=status.code in _LATER)
        return []

    async def _be_patient(self, refusal: Busy) -> None:
        delay = refusal.after or 1.0 + self._waited
        if self._waited + delay > self._account.settings.patience:
            raise refusal
        self._waited += delay
        await self._account.settings.sleep(delay)


def _utf8_header(data: bytes) -> bool:
    """The header has 8-bit octets, and they are UTF-8."""
    end = _HEADER_END.search(data)
    header = data[: end.start()] if end else data
    if _EIGHT_BIT.search(header) is None:
        return False
    try:
        header.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
