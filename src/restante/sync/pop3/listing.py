"""What the server lists, under names that can be relied on.

UIDL is optional and its promises are broken in the field, so a name is worth what proves it:

- No UIDL, or one that several messages share: named by header (TOP) and size instead; without TOP, once it was read.
- A known name with another size: the header decides whether it is the same message. One false name, and all are asked.
- All names are the messages' numbers, or hold them ("msg-17"): such a server may number anew when a message goes. The
  last known one would have moved then, so its header is asked for; and that of the last one before it with another
  header, since an equal message may have come behind the last one and stand in its place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from ...pop3.grammar.answers import BadAnswer, parse_sizes, parse_uidls
from ...pop3.grammar.requests import request
from .connection import LISTING_LIMIT, Ask, Pop3Connection
from .errors import SourceUnavailable
from .identity import Head, of_header
from .state import Listed, Pop3State

LARGEST = 256 << 20
"""Octets of a message as they travel; what is larger is left where it is: it would be held in memory whole."""
PROVISIONAL = b"\0#"
"""Begins the name of a message that nothing is known of yet."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Answers to LIST and UIDL as they came. uidls: None where the server does not know the command."""

    sizes: bytes
    uidls: bytes | None


async def ask(connection: Pop3Connection) -> Raw:
    """LIST and UIDL. Raises SourceUnavailable."""
    asks = [Ask(b"LIST\r\n", limit=LISTING_LIMIT)]
    capabilities = connection.capabilities
    if not capabilities or "UIDL" in capabilities:
        asks.append(Ask(b"UIDL\r\n", limit=LISTING_LIMIT))
    answers = [(status, body) async for _, status, body in connection.pipeline(asks)]
    status, sizes = answers[0]
    if not status.ok:
        raise SourceUnavailable(f'The server lists no messages: "{status.shown}".')
    known = len(answers) > 1 and answers[1][0].ok
    return Raw(sizes, answers[1][1] if known else None)


class Listing:
    """One run's listing in the state, and headers by message number that were read on the way."""

    def __init__(self, connection: Pop3Connection, state: Pop3State) -> None:
        self._connection = connection
        self._state = state
        self.count = 0
        self.settled = True
        """Names are good enough that the same listing next time means the same messages."""
        self.heads: dict[int, Head] = {}
        capabilities = connection.capabilities
        self.top = not capabilities or "TOP" in capabilities

    async def learn(self, raw: Raw) -> None:
        """Put the listing into the state and see that its names hold. Raises SourceUnavailable."""
        try:
            sizes = parse_sizes(raw.sizes)
            uidls = parse_uidls(raw.uidls) if raw.uidls is not None else {}
        except BadAnswer as error:
            raise SourceUnavailable(f"The server's answer is no POP3: {error}.") from error
        self.count = len(sizes)
        unnamed = _unnamed(sizes, uidls)
        self._state.put_listing(
            (number, PROVISIONAL + b"%d" % number, size, False)
            if number in unnamed
            else (number, uidls[number], size, True)
            for number, size in sizes.items()
        )
        numbered = bool(uidls) and all(b"%d" % number in uidl for number, uidl in uidls.items())
        self.settled = not unnamed and not numbered
        if unnamed:
            await self._name([Listed(number, b"", sizes[number]) for number in sorted(unnamed)])
        doubtful = self._state.resized()
        if numbered:
            doubtful += self._state.last_known()
        if doubtful and not await self._hold(doubtful):
            await self._hold(self._state.known())

    async def _name(self, unnamed: Sequence[Listed]) -> None:
        if not self.top:
            return  # named once their octets are here
        async for one, head in self.headers(unnamed, octets=False):
            if head is not None:
                self.heads[one.number] = head
                self._state.rename(one.number, name(head.head, one.size))

    async def _hold(self, doubtful: Sequence[Listed]) -> bool:
        """Whether these names stand for what they did; those that do not are forgotten."""
        known = self._state.by_name(one.uidl for one in doubtful)
        false, resized = [], []
        async for one, head in self.headers(doubtful, octets=True):
            before = known[one.uidl]
            unread = not before.head and before.listed == one.size  # passed over, no TOP: nothing to compare
            if head is None or unread or head.head == before.head:
                resized.append(one)  # without an answer it is not asked for again either: it cannot be read
            else:
                self.heads[one.number] = head
                false.append(one.uidl)
        self._state.relist(one for one in resized if known[one.uidl].listed != one.size)
        if false:
            self._state.forget(false)
        return not false

    async def headers(self, wanted: Sequence[Listed], *, octets: bool) -> AsyncIterator[tuple[Listed, Head | None]]:
        """Their headers, by TOP; octets: by RETR where there is no TOP. None where the server gives none.

        Not all at once in memory; in the order of the server's answers.
        """
        by_number = {one.number: one for one in wanted}
        missing = list(wanted)
        if self.top:
            missing = []
            asks = (Ask(request(b"TOP", b"%d" % one.number, b"0"), one.number, LARGEST, 4096) for one in wanted)
            async for ask, status, data in self._connection.pipeline(asks):
                one = by_number[ask.key]
                if status.ok:
                    yield one, of_header(data)
                else:
                    missing.append(one)
            if len(missing) == len(by_number) and not self._connection.capabilities:
                self.top = False
        if not octets:
            for one in missing:
                yield one, None
            return
        asks = (
            Ask(request(b"RETR", b"%d" % one.number), one.number, LARGEST, one.size)
            for one in missing
            if one.size <= LARGEST
        )
        async for ask, status, data in self._connection.pipeline(asks):
            yield by_number[ask.key], of_header(data) if status.ok else None


def name(head: bytes, size: int) -> bytes:
    """What a message without a name of its own is called, up to its number among equals."""
    return b"\0%b:%d" % (head, size)


def _unnamed(sizes: Mapping[int, int], uidls: Mapping[int, bytes]) -> set[int]:
    """Messages without a UIDL, or with one that is not theirs alone."""
    unnamed = {number for number in sizes if number not in uidls}
    names = [uidls[number] for number in sizes if number in uidls]
    if len(set(names)) != len(names):
        counts = Counter(names)
        unnamed.update(number for number in sizes if number in uidls and counts[uidls[number]] > 1)
    return unnamed
