"""Commands and their answers, in order, many under way at once where the server takes them (PIPELINING, RFC 2449 6.6).

What is under way is bounded by its number and by the octets it will bring; commands are short, so that neither side
fills the other's window with them. Once an answer is missing or makes no sense the connection is `broken`: nothing
more is said on it, not even QUIT, since QUIT is what makes deletions real.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass

from ...pop3.grammar.answers import AnswerReader, BadAnswer, Challenge, Status, parse_capabilities
from .errors import SourceUnavailable
from .wire import Wire

LISTING_LIMIT = 64 << 20
"""Octets of LIST or UIDL: some 700,000 messages with the longest ids."""
CAPA_LIMIT = 64 << 10
AHEAD = 4 << 20
"""Octets that may be asked for ahead of what has come."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One command. key: for who asked. limit: octets of the body that a positive answer has, 0 where it has none.
    expected: octets it will bring, as far as that is known."""

    command: bytes
    key: int = 0
    limit: int = 0
    expected: int = 0


class Pop3Connection:
    """One connection to a server. `open` first; then commands, one task at a time."""

    def __init__(self, wire: Wire, window: int) -> None:
        self.wire = wire
        self.capabilities: Mapping[str, tuple[str, ...]] = {}
        """Empty where the server does not know CAPA."""
        self.broken = False
        self._window = max(window, 1)
        self._reader = AnswerReader()

    @property
    def pipelining(self) -> bool:
        return "PIPELINING" in self.capabilities

    async def greeting(self) -> Status:
        return await self._status()

    async def ask(self, command: bytes) -> Status:
        """One command with an answer of one line. Raises SourceUnavailable."""
        return self._plain(await self.exchange(command))

    async def exchange(self, data: bytes) -> Status | Challenge:
        """One turn, which a SASL exchange may go on from."""
        self._say(data)
        return await self._line()

    async def long(self, command: bytes, limit: int) -> tuple[Status, bytes]:
        """One command whose positive answer has a body."""
        self._say(command)
        status = await self._status()
        return status, await self._body(limit) if status.ok else b""

    async def learn(self) -> None:
        """CAPA. A server that refuses it has no capabilities that it speaks of."""
        status, body = await self.long(b"CAPA\r\n", CAPA_LIMIT)
        self.capabilities = parse_capabilities(body) if status.ok else {}

    async def start_tls(self) -> None:
        """Go on under TLS: what was learnt or came before is forgotten (RFC 2595 4)."""
        self._reader.clear()
        self.capabilities = {}
        await self.wire.start_tls()
        self._reader.clear()

    async def pipeline(self, asks: Iterable[Ask]) -> AsyncIterator[tuple[Ask, Status, bytes]]:
        """Ask all, in order, with as many under way as the server takes; answers in the same order.

        Must be read to its end: where it is not, the connection is broken. Raises SourceUnavailable.
        """
        window = self._window if self.pipelining else 1
        waiting: deque[Ask] = deque()
        ahead = 0
        rest = iter(asks)
        upcoming = next(rest, None)
        intact, self.broken = not self.broken, True
        while waiting or upcoming is not None:
            if len(waiting) <= window // 2:  # half a window at once: one write for many commands
                said: list[bytes] = []
                while upcoming is not None and len(waiting) < window and (ahead < AHEAD or not waiting):
                    said.append(upcoming.command)
                    waiting.append(upcoming)
                    ahead += upcoming.expected
                    upcoming = next(rest, None)
                if said:
                    self._say(b"".join(said), intact)
            ask = waiting.popleft()
            ahead -= ask.expected
            status = self._plain(await self._line())
            body = await self._body(ask.limit) if ask.limit and status.ok else b""
            yield ask, status, body
        self.broken = not intact

    async def close(self) -> None:
        await self.wire.close()

    # Within ------------------------------------------------------------------------------------------

    def _say(self, data: bytes, intact: bool | None = None) -> None:
        if not (not self.broken if intact is None else intact):
            raise SourceUnavailable("The connection to the server was lost.")
        self.wire.send(data)

    async def _status(self) -> Status:
        return self._plain(await self._line())

    def _plain(self, answer: Status | Challenge) -> Status:
        if isinstance(answer, Challenge):
            raise self._nonsense("a challenge that nobody asked for")
        return answer

    async def _line(self) -> Status | Challenge:
        while True:
            try:
                answer = self._reader.status()
            except BadAnswer as error:
                raise self._nonsense(str(error)) from error
            if answer is not None:
                return answer
            await self._more()

    async def _body(self, limit: int) -> bytes:
        while True:
            try:
                body = self._reader.body(limit)
            except BadAnswer as error:
                raise self._nonsense(str(error)) from error
            if body is not None:
                return body
            await self._more()

    async def _more(self) -> None:
        try:
            self._reader.feed(await self.wire.receive())
        except BaseException:  # cancelled too: an answer that nobody waits for is lost
            self.broken = True
            raise

    def _nonsense(self, what: str) -> SourceUnavailable:
        self.broken = True
        return SourceUnavailable(f"The server's answer is no POP3: {what}.")
