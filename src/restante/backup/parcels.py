"""Messages on their way into a new account: what of a mailbox is read at once, and what comes of it. Pure.

A parcel names messages that lie one behind the other in a pack, so that each block is read and unpacked once. Packs
come in the order of what is in them: a new account's trees are filled at their ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from ..store.backup import Readying
from .answers import Place
from .index import Spot
from .segments import Placed

MESSAGES = 1_000
OCTETS = 8 << 20
"""Of a parcel. It ends with a block as a rule, or else when it has come to twice as much: recipes of messages that are
kept in pieces lie many in a block."""
BLOCKS = 64
"""Of a parcel: a message in each of them may be all that is wanted, and each is held whole."""

EmailOf = tuple[int, str, str, int, int, bytes | None, str | None]
"""(order, EMAILID, THREADID, size, received, arrival hash, foreign UIDL)."""

email_of: Callable[[Placed], EmailOf] = itemgetter(1, 2, 3, 5, 6, 8, 9)
ORDER: Final = 0
SIZE: Final = 3


@dataclass(frozen=True, slots=True)
class Parcel:
    """Some messages of a mailbox. mailbox: (account id, key). places: (SHA-256, where it lies), in the order in which
    they lie. emails, answers: of each. readying: the new store's."""

    mailbox: tuple[str, int]
    places: list[tuple[bytes, Spot]]
    emails: list[list[EmailOf]]
    answers: list[Place | None]
    readying: Readying


@dataclass(slots=True)
class Prepared:
    """What came of a parcel. ready: for the new store. octets: of messages. lost: (order, why) of emails that cannot
    be read. complaints: (text, remedy, name) of what was damaged and could be read elsewhere."""

    ready: bytes = b""
    octets: int = 0
    lost: list[tuple[int, str]] = field(default_factory=list)
    complaints: list[tuple[str, str, str]] = field(default_factory=list)


def parcels(
    mailbox: tuple[str, int],
    places: Sequence[tuple[bytes, Spot]],
    emails: Mapping[bytes, list[EmailOf]],
    answers: Mapping[bytes, Place],
    readying: Readying,
) -> Iterator[Parcel]:
    """A mailbox's messages. places, in any order. emails: of each."""
    first: dict[str, int] = {}
    for digest, spot in places:
        order, name = emails[digest][0][ORDER], spot.pack.name
        if order < first.get(name, order + 1):
            first[name] = order

    def where(one: tuple[bytes, Spot]) -> tuple[int, str, int, int]:
        spot = one[1]
        return first[spot.pack.name], spot.pack.name, spot.block, spot.offset

    def parcel(some: list[tuple[bytes, Spot]]) -> Parcel:
        return Parcel(
            mailbox, some, [emails[digest] for digest, _ in some], [answers.get(digest) for digest, _ in some], readying
        )

    group: list[tuple[bytes, Spot]] = []
    octets = blocks = 0
    for one in sorted(places, key=where):
        spot, size = one[1], emails[one[0]][0][SIZE]
        another = not group or spot.block != group[-1][1].block
        if group:
            full = octets + size > OCTETS or len(group) >= MESSAGES or blocks >= BLOCKS
            over = octets + size > 2 * OCTETS or len(group) >= 2 * MESSAGES
            if spot.pack.name != group[-1][1].pack.name or (full and another) or over:
                yield parcel(group)
                group, octets, blocks, another = [], 0, 0, True
        group.append(one)
        octets += size
        blocks += another
    if group:
        yield parcel(group)
