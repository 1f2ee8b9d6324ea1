"""What a copy remembers: the base of the three-way merge, as values. Knows no SQL, side or clock.

A *pair* is a mailbox on both sides, a *row* one message of a pair. Everything here exists for what changed only:
messages that are the same on both sides stay in the state's columns and never become objects.
"""

from __future__ import annotations

from ..values import Record, Value, field
from .model import NO_FLAGS, SYSTEM_FLAGS, Flags
from .settings import End

FRESH = {End.ONE: 1, End.TWO: 2}
"""Flags were written there by us and have not been listed since: a keyword that lacks then was not kept."""

GONE = {End.ONE: 4, End.TWO: 8}
"""It was removed there, and the removal has not been carried over: held, or not yet done."""

SENT = 16
"""The side where it lacks has said that it took it, but not under which UID."""

PLACEHOLDER = 32
"""On side two stands a placeholder for it."""

AGAIN = 128
"""It was sent a second time, after the side had said it took it and did not show it."""

CUT = 256
"""The connection ended while it, or others together with it, was being added: it goes by itself next time."""

MOVING = {End.ONE: 512, End.TWO: 1024}
"""We began to move it there; the state knows whereto. Cut off, it may be in the target and still where it was: not
every move is one act."""

WHOLE = 64
"""Carry it whole, whatever the limit says."""


class Known(Value, frozen=True):
    """One side of a pair as it was when both were last the same.

    validity: None before the mailbox was first looked at. cursor, state: as the side gave them, None: look at all.
    listing: digest of the last full listing, where nothing was done to the mailbox after it.
    """

    name: str
    id: str | None = None
    validity: str | None = None
    cursor: str | None = None
    state: str | None = None
    role: str | None = None
    subscribed: bool = False
    listing: bytes | None = None


class Pair(Value, frozen=True):
    """A mailbox on both sides. None: never made on that side."""

    key: int
    one: Known | None
    two: Known | None

    def at(self, end: End) -> Known | None:
        return self.one if end is End.ONE else self.two


class Half(Record):
    """A message on one side. uid: None where it is not, or is not known. flags: as last known there.

    seen: flags as listed now, None where it was not listed. gone: it was removed there. found: (pair, UID) where it is
    now, if that is not where the base says.
    """

    uid: int | None
    flags: Flags
    seen: Flags | None = None
    gone: bool = False
    found: tuple[int, int] | None = None

    @property
    def present(self) -> bool:
        return self.found is not None or (self.uid is not None and not self.gone)

    @property
    def now(self) -> Flags:
        return self.flags if self.seen is None else self.seen

    @property
    def added(self) -> Flags:
        return NO_FLAGS if self.seen is None else self.seen - self.flags

    @property
    def removed(self) -> Flags:
        return NO_FLAGS if self.seen is None else self.flags - self.seen


class Row(Record):
    """A message of the base that something happened to. key: 0 until the state has it. stands: the placeholder on side
    two, with `found` where it is, while the message is on its way there."""

    key: int
    pair: int
    one: Half
    two: Half
    odd: int = 0
    hold: int | None = None
    content: Content | None = None
    stands: Half | None = None

    def at(self, end: End) -> Half:
        return self.one if end is End.ONE else self.two

    @property
    def placeholder(self) -> bool:
        return bool(self.odd & PLACEHOLDER)

    def place(self, end: End) -> tuple[int, int] | None:
        """(pair, UID) where it is now; None where it is not."""
        half = self.one if end is End.ONE else self.two
        if half.found is not None:
            return half.found
        return (self.pair, half.uid) if half.uid is not None and not half.gone else None

    def shown(self, end: End) -> Half:
        """What has its flags there: the message, or what stands for it."""
        half = self.at(end)
        return self.stands if end is End.TWO and self.stands is not None and not half.present else half

    def where(self, end: End) -> tuple[int, int] | None:
        """(pair, UID) of what is `shown`."""
        half = self.shown(end)
        return self.place(end) if half is self.at(end) else half.found


class Content(Record):
    """What a message is known by. digest: None where it was never read here. emails: its EMAILID on either side.

    near_size, near_digest: of what stands on side two, where that is a placeholder.
    """

    size: int | None
    received: int
    mark: bytes
    digest: bytes | None = None
    emails: dict[End, str | None] = field(default_factory=dict)
    near_size: int | None = None
    near_digest: bytes | None = None


def is_keyword(flag: str) -> bool:
    return flag.lower() not in SYSTEM_FLAGS
