"""A maildrop as one session sees it: numbers that never change, marks that take effect at QUIT alone.

Pure state over the list that the store gave at login. What other sessions do meanwhile is not seen here: new
mail waits for the next session, and what IMAP expunged stays readable by its content key. RFC 1939 4 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..store.model import DropList, DropMessage, UidRanges


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

    def list_octets(self) -> bytes:
        """LIST's lines, their CRLF included."""
        if self.utf8:
            return self._listing("LIST UTF8", lambda n, m: f"{n} {m.size_utf8}\r\n")
        return self._listing("LIST", lambda n, m: f"{n} {m.size}\r\n")

    def uidl_octets(self) -> bytes:
        """UIDL's lines, their CRLF included."""
        return self._listing("UIDL", lambda n, m: f"{n} {m.uidl}\r\n")

    def _listing(self, name: str, line: Callable[[int, DropMessage], str]) -> bytes:
        """One line a message that is not marked. Where none is, the octets are made once for all sessions."""
        if self.deleted:
            lines = [line(n, m) for n, m in enumerate(self.messages, 1) if n not in self.deleted]
            return "".join(lines).encode("ascii")
        ready = self.messages.listings.get(name)
        if ready is None:
            lines = [line(n, m) for n, m in enumerate(self.messages, 1)]
            ready = self.messages.listings[name] = "".join(lines).encode("ascii")
        return ready

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
