"""What is said to one client: responses gather here, and go out together.

What of a session knows neither who is logged in nor what a command is: octets, texts in the client's language (RFC 5255
3), when the peer must take them. Must not know: readers, stores.
"""

from __future__ import annotations

from dataclasses import replace

from ...connection import Connection
from .state import Dialect, Reply

FLUSH = 256 * 1024
"""Octets of output gathered before the peer must take them."""


class Talk:
    """The speaking side of a session."""

    __slots__ = ("_handed_over", "_out", "connection", "dialect", "gathered")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.dialect = Dialect()
        self._out: list[bytes] = []
        self._handed_over = 0
        self.gathered = 0
        """Octets that wait to be handed over."""

    def write(self, data: bytes) -> None:
        """Gather octets for the peer."""
        self._out.append(data)
        self.gathered += len(data)

    def mark(self) -> tuple[int, int]:
        """How far the output has come: for `take_back`."""
        return self._handed_over, len(self._out)

    def take_back(self, mark: tuple[int, int]) -> bool:
        """Forget what was written since `mark`. Where some of it has been handed over nothing is forgotten: False."""
        handed_over, pieces = mark
        if handed_over != self._handed_over:
            return False
        self.gathered -= sum(map(len, self._out[pieces:]))
        del self._out[pieces:]
        return True

    def text(self, said: bytes) -> bytes:
        """A text for people in the client's language (RFC 5255 3)."""
        texts = self.dialect.texts
        return said if texts is None else texts.text(said)

    def answer(self, reply: Reply, tag: bytes) -> bytes:
        """The octets of a tagged response."""
        if self.dialect.texts is not None:
            reply = replace(reply, text=self.text(reply.text))
        return reply.line(tag)

    def say(self, text: bytes, code: bytes = b"", word: bytes = b"OK") -> None:
        """An untagged status response."""
        self.write(b"* %b %b%b\r\n" % (word, b"[" + code + b"] " if code else b"", self.text(text)))

    async def flush(self) -> None:
        """Hand over what has gathered and wait until the peer has taken enough of it."""
        if not self._out:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._handed_over += 1
        self.gathered = 0
        kept_up = self.connection.send(data)
        del data  # not held while the peer is slow
        if not kept_up:
            await self.connection.drain()

    def say_now(self, response: bytes) -> None:
        """Send a whole response from outside the command that runs; what it has written goes out first.

        Only while that command writes whole responses (see `progress`). Nobody waits for the peer here.
        """
        self._out.append(response)
        self.connection.write(b"".join(self._out))
        self._out.clear()
        self._handed_over += 1
        self.gathered = 0

    async def flush_if_full(self) -> None:
        """As `flush`, once a batch of output has gathered."""
        if self.gathered > FLUSH:
            await self.flush()
