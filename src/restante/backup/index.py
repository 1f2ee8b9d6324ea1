"""Which object lies where: tables of fixed-size records, sorted by id, looked up without being taken apart. Pure.

An index file holds what the tables of some packs say; all that it says could be read from the packs again. Records
stay octets: a hundred thousand objects are five megabytes and no Python object.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import count, groupby
from typing import NamedTuple

import msgspec

from . import frames
from .crypto import ID_OCTETS, VERIFY
from .errors import UNREADABLE, Corrupt
from .pack import Block, Table
from .sealed import HEAD_OCTETS

_RECORD = struct.Struct("<32sIIIIc")
RECORD_OCTETS = _RECORD.size
_LENGTH = ID_OCTETS + 12
_BLOCK = struct.Struct("<II")

SMALL = 4_096
"""Records up to which a table's ids go into one dictionary: a year of nights is 365 small tables."""

MANY = 16
"""Records for each id that is looked up, above which each is searched for."""


class Pack(msgspec.Struct, frozen=True, array_like=True):
    """A pack as an index knows it. name: of the file. mail: a pack of mail, else of metadata. size: of the file.
    blocks: (sealed size, raw size) of each, 4 octets a number."""

    name: str
    mail: bool
    size: int
    blocks: bytes

    def block(self, number: int) -> Block:
        return Block(*_BLOCK.unpack_from(self.blocks, number * _BLOCK.size))

    def offset(self, number: int, head: int = HEAD_OCTETS) -> int:
        """Where a block begins in the file. head: octets before the first one (`sealed.head_octets`)."""
        return head + sum([int(size) for size, _ in _BLOCK.iter_unpack(self.blocks[: number * _BLOCK.size])])

    @property
    def raw(self) -> int:
        """Octets of all its objects."""
        return sum([int(raw) for _, raw in _BLOCK.iter_unpack(self.blocks)])

    @property
    def count(self) -> int:
        """How many blocks it has."""
        return len(self.blocks) // _BLOCK.size


WHOLE = (0, 256)
"""First octets of the ids that a file tells of: from, and up to (not with it)."""


class _File(msgspec.Struct, frozen=True, array_like=True):
    packs: list[Pack]
    records: bytes
    low: int = WHOLE[0]
    high: int = WHOLE[1]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_File)


class Spot(NamedTuple):
    """Where an object lies."""

    pack: Pack
    block: int
    offset: int
    length: int
    kind: bytes


class Part:
    """What one index file says."""

    __slots__ = ("packs", "records", "span")

    def __init__(self, packs: Sequence[Pack], records: bytes, span: tuple[int, int] = WHOLE) -> None:
        """records: sorted by id, each naming its pack by position in `packs`. span: it has all that these packs have
        whose ids begin so; what else they have, other files tell."""
        self.packs = packs
        self.records = records
        self.span = span

    def __len__(self) -> int:
        return len(self.records) // RECORD_OCTETS

    @classmethod
    def of(cls, packs: Sequence[tuple[Pack, Table]]) -> Part:
        """Of some packs and their tables."""
        records = [
            _RECORD.pack(entry.id, number, entry.block, entry.offset, entry.length, entry.kind)
            for number, (_, table) in enumerate(packs)
            for entry in table.entries
        ]
        return cls([pack for pack, _ in packs], b"".join(sorted(records)))

    def encode(self) -> bytes:
        """The content of an index file."""
        fields: list[object] = [list(self.packs), self.records]
        if self.span != WHOLE:
            fields += self.span
        plain = _encoder.encode(fields)
        return len(plain).to_bytes(8, "little") + frames.pack(plain)

    @classmethod
    def decode(cls, data: bytes | memoryview) -> Part:
        """Raises Corrupt."""
        try:
            found = _decoder.decode(frames.unpack(memoryview(data)[8:], int.from_bytes(data[:8], "little")))
        except UNREADABLE as error:
            raise Corrupt("An index of the backup cannot be read.", VERIFY) from error
        if len(found.records) % RECORD_OCTETS:
            raise Corrupt("An index of the backup is cut short.", VERIFY)
        if not WHOLE[0] <= found.low <= found.high <= WHOLE[1]:
            raise Corrupt("An index of the backup cannot be read.", VERIFY)
        return cls(found.packs, found.records, (found.low, found.high))

    def only(self, names: Collection[str]) -> Part:
        """What it says of these packs. Cost: a pass over the table."""
        wanted = [number for number, pack in enumerate(self.packs) if pack.name in names]
        numbers = {old: new.to_bytes(4, "little") for new, old in enumerate(wanted)}
        found = []
        for at in range(0, len(self.records), RECORD_OCTETS):
            record = self.records[at : at + RECORD_OCTETS]
            number = numbers.get(int.from_bytes(record[ID_OCTETS : ID_OCTETS + 4], "little"))
            if number is not None:
                found.append(record[:ID_OCTETS] + number + record[ID_OCTETS + 4 :])
        return Part([self.packs[number] for number in wanted], b"".join(found), self.span)

    def beginning_with(self, octet: int) -> range:
        """Where records are whose ids begin with this octet: offsets in `records`."""
        end = self._position(bytes([octet + 1])) if octet < 255 else len(self)
        return range(self._position(bytes([octet])) * RECORD_OCTETS, end * RECORD_OCTETS, RECORD_OCTETS)

    def find(self, id: bytes) -> int:
        """The position of the id's (first) record, -1 where there is none. About 3 microseconds; less where none of its
        ids is near: what `prune` has written are tables one behind the other."""
        records = self.records
        if not records[:ID_OCTETS] <= id <= records[-RECORD_OCTETS : ID_OCTETS - RECORD_OCTETS]:
            return -1
        low = self._position(id)
        start = low * RECORD_OCTETS
        return low if records[start : start + ID_OCTETS] == id else -1

    def _position(self, id: bytes) -> int:
        """Of the first record whose id is not below this one (or the beginning of one)."""
        records, low, high = self.records, 0, len(self)
        while low < high:
            middle = (low + high) // 2
            start = middle * RECORD_OCTETS
            if records[start : start + ID_OCTETS] < id:
                low = middle + 1
            else:
                high = middle
        return low

    def id(self, position: int) -> bytes:
        return self.records[position * RECORD_OCTETS : position * RECORD_OCTETS + ID_OCTETS]

    def spot(self, position: int) -> Spot:
        _, _, block, offset, length, kind = _RECORD.unpack_from(self.records, position * RECORD_OCTETS)
        return Spot(self.pack(position), block, offset, length, kind)

    def pack(self, position: int) -> Pack:
        """The pack that the record names. Raises Corrupt."""
        try:
            return self.packs[self.number(position)]
        except IndexError as error:
            raise Corrupt("An index of the backup names a pack that it does not know.", VERIFY) from error

    def number(self, position: int) -> int:
        """The pack's position in `packs`, as the record says."""
        at = position * RECORD_OCTETS + ID_OCTETS
        return int.from_bytes(self.records[at : at + 4], "little")

    def kind(self, position: int) -> bytes:
        """Of the record's object."""
        return self.records[(position + 1) * RECORD_OCTETS - 1 : (position + 1) * RECORD_OCTETS]

    def length(self, position: int) -> int:
        """Octets of the record's object."""
        at = position * RECORD_OCTETS + _LENGTH
        return int.from_bytes(self.records[at : at + 4], "little")

    def ids(self) -> Iterable[bytes]:
        records = self.records
        return (records[at : at + ID_OCTETS] for at in range(0, len(records), RECORD_OCTETS))

    def of_pack(self, name: str) -> Iterator[tuple[bytes, Spot]]:
        """(id, spot) of all that is in a pack. Cost: a pass over the table."""
        numbers = [number for number, pack in enumerate(self.packs) if pack.name == name]
        if numbers:
            for position, id in enumerate(self.ids()):
                spot = self.spot(position)
                if spot.pack.name == name:
                    yield id, spot


def pack_of(name: str, mail: bool, size: int, table: Table) -> Pack:
    """How an index knows a pack with this table."""
    return Pack(name, mail, size, b"".join([_BLOCK.pack(*each) for each in table.blocks]))


_ALL = (1 << WHOLE[1]) - 1

Place = tuple[Part, int]
"""A record: an index file, and its position there."""


class Index:
    """All index files together. What is in a pack named in `condemned` counts as not there."""

    __slots__ = ("_large", "_parts", "_small", "_untold", "condemned", "packs")

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._large: list[Part] = []
        """Those that are not in `_small`, searched one after the other."""
        self._small: dict[bytes, tuple[Part, int]] = {}
        self.condemned: set[str] = set()
        """Names of packs, see `condemn`."""
        self.packs: dict[str, Pack] = {}
        """By name."""
        self._untold: dict[str, int] = {}
        """Of each pack, the first octets of ids that no file tells of: a bit for each."""

    def add(self, part: Part) -> None:
        self._parts.append(part)
        low, high = part.span
        others = _ALL ^ ((1 << high) - (1 << low))
        for pack in part.packs:
            self.packs.setdefault(pack.name, pack)
            self._untold[pack.name] = self._untold.get(pack.name, _ALL) & others
        if len(part) <= SMALL:
            for position, id in enumerate(part.ids()):
                held = self._small.get(id)
                if held is None or held[0].spot(held[1]).pack.name in self.condemned:
                    self._small[id] = (part, position)
        else:
            self._large.append(part)

    @property
    def torn(self) -> set[str]:
        """Packs of which some is not known: of the files that `prune` has cut an index into, one is lost or damaged, or
        has come since they were listed."""
        return {name for name, untold in self._untold.items() if untold}

    @property
    def records(self) -> int:
        """How many records all files have."""
        return sum(map(len, self._parts))

    def condemn(self, names: Iterable[str]) -> None:
        """From now on, what is in these packs is found only by who reads. To be said before `add`."""
        self.condemned.update(names)

    def of_pack(self, name: str) -> Iterator[tuple[bytes, Spot]]:
        """(id, spot) of all that index files say of a pack."""
        for part in self._parts:
            yield from part.of_pack(name)

    def has(self, id: bytes) -> bool:
        """Whether the object is in a pack that stays."""
        spot = self.find(id)
        return spot is not None and spot.pack.name not in self.condemned

    def find(self, id: bytes) -> Spot | None:
        """Where the object is, in a pack that stays if it is in one; None where it is nowhere. Costs more, a search in
        each index file, for what lies in a pack that goes."""
        place = self.place(id)
        return place[0].spot(place[1]) if place is not None else None

    def place(self, id: bytes) -> Place | None:
        """The record that `find` goes by."""
        found = self._small.get(id)
        if found is not None and self._stays(found):
            return found
        for part in self._large:
            position = part.find(id)
            if position >= 0:
                found = part, position
                if self._stays(found):
                    return found
        if found is not None:  # one place of each table was looked at, before it was known which packs go
            return next(filter(self._stays, self.places(id)), found)
        return None

    def _stays(self, place: Place) -> bool:
        part, position = place
        return part.pack(position).name not in self.condemned

    def find_all(self, ids: Sequence[bytes]) -> list[Spot | None]:
        """`find` of many, in the order asked. Where they are many beside what there is, by one pass over it: a tenth of
        a microsecond a record instead of some five an id."""
        return [place[0].spot(place[1]) if place is not None else None for place in self.place_all(ids)]

    def place_all(self, ids: Sequence[bytes]) -> list[Place | None]:
        """The records that `find_all` goes by."""
        if sum(map(len, self._large)) > MANY * len(ids):
            return [self.place(id) for id in ids]
        numbers = dict(zip(ids, count(), strict=False))  # where an id is asked for twice, the others are searched for
        places = [self._small.get(id) for id in ids]
        for part in self._large:
            for position, id in enumerate(part.ids()):
                if (number := numbers.get(id)) is not None and places[number] is None:
                    places[number] = (part, position)
        return [
            place if place is not None and self._stays(place) else self.place(id)
            for id, place in zip(ids, places, strict=True)
        ]

    def spots(self, id: bytes) -> Iterator[Spot]:
        """All places where the object is. Cost: a search in each index file."""
        for part, position in self.places(id):
            yield part.spot(position)

    def places(self, id: bytes) -> Iterator[Place]:
        """The records of `spots`."""
        for part in self._parts:
            position = part.find(id)
            while 0 <= position < len(part) and part.id(position) == id:
                yield part, position
                position += 1

    def merged(
        self, without: Collection[str], condemned: Collection[str], most: int, omit: Collection[bytes] = frozenset()
    ) -> Iterator[Part]:
        """All files joined, without some packs and some objects (`omit`, ids), and cut where one has come to `most`
        records; at least one. Of what lies in several packs, condemned ones come last. Held at once is one of them,
        beside what is read."""
        packs = {name: number for number, name in enumerate(name for name in self.packs if name not in without)}
        known = [self.packs[name] for name in packs]
        where = [[(packs.get(pack.name, -1), pack.name in condemned) for pack in part.packs] for part in self._parts]
        joined, low = bytearray(), WHOLE[0]
        for octet in range(*WHOLE):
            records: list[bytes] = []  # id, whether it comes last, the rest
            for part, numbers in zip(self._parts, where, strict=True):
                for at in part.beginning_with(octet):
                    record = part.records[at : at + RECORD_OCTETS]
                    number, last = numbers[int.from_bytes(record[ID_OCTETS : ID_OCTETS + 4], "little")]
                    if number >= 0 and not (omit and record[:ID_OCTETS] in omit):
                        middle = bytes([last]) + number.to_bytes(4, "little")
                        records.append(record[:ID_OCTETS] + middle + record[ID_OCTETS + 4 :])
            records.sort()
            joined += b"".join([each[:ID_OCTETS] + each[ID_OCTETS + 1 :] for each, _ in groupby(records)])
            if len(joined) >= most * RECORD_OCTETS:
                yield Part(known, bytes(joined), (low, octet + 1))
                joined, low = bytearray(), octet + 1
        if low < WHOLE[1]:
            yield Part(known, bytes(joined), (low, WHOLE[1]))
