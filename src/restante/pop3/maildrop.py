"""A maildrop as one session sees it: numbers that never change, marks that take effect at QUIT alone.

Pure state over the list that the store gave at login. What other sessions do meanwhile is not seen here: new
mail waits for the next session, and what IMAP expunged stays readable by its content key. RFC 1939 4 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..store.model import DropList, DropMessage, UidRanges

AT_ONCE = 5_000
"""Lines of a listing that are made at once: 2 ms."""


class Maildrop:
    """Messages by number (from 1) and what the session did with them.

    `utf8` decides which of a message's two sizes is told and so belongs to the session.
    """

    def __init__(self, messages: DropList, *, utf8: bool) -> None:
        self.messages = messages
        self.utf8 = utf8
        self.deleted: set[int] = set()
        self.retrieved: set[int] = set()

    def get(self, number: int) -> DropMessage | None:
        """The message of this number, None if there is none or it is marked as deleted."""
        if not 0 < number <= len(self.messages) or number in self.deleted:
            return None
        return self.messages[number - 1]

    def size(self, message: DropMessage) -> int:
        """Octets that RETR sends before dot-stuffing."""
        return message.size_utf8 if self.utf8 else message.size

    def totals(self) -> tuple[int, int]:
        """(messages, octets) of those not marked as deleted."""
        total = self.messages.octets_utf8 if self.utf8 else self.messages.octets
        total -= sum(self.size(self.messages[n - 1]) for n in self.deleted)
        return len(self.messages) - len(self.deleted), total

    def list_octets(self) -> Iterator[bytes]:
        """LIST's lines, their CRLF included, in pieces."""

        def lines(start: int, stop: int) -> list[str]:
            sizes = self.messages.sizes(start, stop, utf8=self.utf8)
            return [f"{number} {size}\r\n" for number, size in enumerate(sizes, start + 1)]

        return self._listing("LIST UTF8" if self.utf8 else "LIST", lines)

    def uidl_octets(self) -> Iterator[bytes]:
        """UIDL's lines, their CRLF included, in pieces."""

        def lines(start: int, stop: int) -> list[str]:
            uidls = self.messages.uidls(start, stop)
            return [f"{number} {uidl}\r\n" for number, uidl in enumerate(uidls, start + 1)]

        return self._listing("UIDL", lines)

    def _listing(self, name: str, lines: Callable[[int, int], list[str]]) -> Iterator[bytes]:
        """One line a message that is not marked. Where none is, the octets are made once for all sessions."""
        ready = None if self.deleted else self.messages.listings.get(name)
        if ready is not None:
            yield ready
            return
        whole = not self.deleted
        pieces = []
        for start in range(0, len(self.messages), AT_ONCE):
            some = lines(start, start + AT_ONCE)
            if not whole:
                some = [line for number, line in enumerate(some, start + 1) if number not in self.deleted]
            piece = "".join(some).encode("ascii")
            if whole:
                pieces.append(piece)
            yield piece
        if whole:
            self.messages.listings[name] = b"".join(pieces)

    def ranges(self, numbers: Iterable[int]) -> UidRanges:
        """UIDs of these message numbers as ascending ranges; neighbours by UID are joined."""
        ranges: list[tuple[int, int]] = []
        for number in sorted(numbers):
            uid = self.messages[number - 1].uid
            if ranges and ranges[-1][1] + 1 == uid:
                ranges[-1] = (ranges[-1][0], uid)
            else:
                ranges.append((uid, uid))
        return tuple(ranges)
