"""What all clients of a stress test agree on: facts that no answer, in whichever session and process, may contradict.

A mailbox is known by its MAILBOXID, so that it stays itself when it is renamed. Every message has a token in its
subject. A token that begins with "keep" is never deleted on purpose, so at the end there must be as many of it as
were filed and copied: none lost, none doubled.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

Flags = frozenset[bytes]

STATES = 100_000
"""Flags remembered by (UID, MODSEQ), a mailbox: past it all are forgotten, which only leaves out comparisons."""


@dataclass(slots=True, eq=False)
class Place:
    """One mailbox. highest, uidnext: the largest values that any session has been told."""

    id: bytes
    uidvalidity: int
    highest: int = 0
    uidnext: int = 1
    tokens: dict[int, bytes] = field(default_factory=dict)
    given: set[int] = field(default_factory=set)
    """UIDs told by COPYUID and APPENDUID: each is given once."""
    states: dict[tuple[int, int], Flags] = field(default_factory=dict)

    def named(self, uid: int, token: bytes) -> None:
        """A message's UID and its token. A UID never means another message (RFC 9051 2.3.1.1)."""
        assert self.tokens.setdefault(uid, token) == token, f"UID {uid} was {self.tokens[uid]!r}, is {token!r}"

    def give(self, uid: int, token: bytes | None) -> None:
        """COPYUID or APPENDUID has told this UID of a new message."""
        assert uid not in self.given, f"UID {uid} was given twice"
        self.given.add(uid)
        if token is not None:
            self.named(uid, token)

    def state(self, uid: int, modseq: int, flags: Flags) -> None:
        """A message's flags at a mod-sequence: one truth for all sessions (RFC 7162 3.1)."""
        if len(self.states) > STATES:
            self.states.clear()
        known = self.states.setdefault((uid, modseq), flags)
        assert known == flags, f"UID {uid} at MODSEQ {modseq} has {flags} and had {known}"

    def reach(self, *, highest: int = 0, uidnext: int = 0) -> None:
        self.highest = max(self.highest, highest)
        self.uidnext = max(self.uidnext, uidnext)


@dataclass(slots=True, eq=False)
class World:
    """The facts, and how much has been done."""

    commands: int
    places: dict[bytes, Place] = field(default_factory=dict)
    by_validity: dict[int, Place] = field(default_factory=dict)
    kept: Counter[bytes] = field(default_factory=Counter)
    """How many messages with this token there must be, of those never deleted."""
    uidls: dict[bytes, bytes] = field(default_factory=dict)
    done: int = 0
    filed: int = 0
    counted: int = 0
    """Successful steps of the counter that sessions share by STORE UNCHANGEDSINCE."""
    tally: Counter[str] = field(default_factory=Counter)
    """Commands by name, and what interesting happened: a run in which something never happens proves nothing."""

    @property
    def over(self) -> bool:
        return self.done >= self.commands

    def did(self, name: str) -> None:
        self.done += 1
        self.tally[name] += 1

    def place(self, id: bytes, uidvalidity: int) -> Place:
        found = self.places.get(id)
        if found is None:
            found = self.places[id] = Place(id, uidvalidity)
            assert uidvalidity not in self.by_validity, "two mailboxes of one UIDVALIDITY: COPYUID would be ambiguous"
            self.by_validity[uidvalidity] = found
        assert found.uidvalidity == uidvalidity, "UIDVALIDITY changed"
        return found

    def token(self, *, keep: bool) -> bytes:
        """A new message's token."""
        self.filed += 1
        return b"%b%d" % (b"keep" if keep else b"free", self.filed)


def text(token: bytes) -> bytes:
    return b"Subject: %b\r\nFrom: a@stress.example\r\n\r\nbody of %b\r\n" % (token, token)


def uids(text: bytes) -> list[int]:
    """The numbers of a set without "*", in its order."""
    found: list[int] = []
    for item in text.split(b","):
        low, _, high = item.partition(b":")
        first, last = int(low), int(high or low)
        found += range(first, last + 1) if first <= last else range(last, first + 1)
    return found


def numbers(found: list[int]) -> bytes:
    return b",".join(b"%d" % one for one in found)
