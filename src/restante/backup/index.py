"""Which object lies where: tables of fixed-size records, sorted by id, looked up without being taken apart. Pure.

An index file holds what the tables of some packs say; all that it says could be read from the packs again. Records
stay octets: a hundred thousand objects are five megabytes and no Python object.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from . import frames
from .crypto import ID_OCTETS, VERIFY
from .errors import UNREADABLE, Corrupt
from .pack import Block, Table
from .sealed import HEAD_OCTETS

_RECORD = struct.Struct("<32sIIIIc")
RECORD_OCTETS = _RECORD.size
_BLOCK = struct.Struct("<II")

SMALL = 4_096
"""Records up to which a table's ids go into one dictionary: a year of nights is 365 small tables."""


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


class _File(msgspec.Struct, frozen=True, array_like=True):
    packs: list[Pack]
    records: bytes


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

    __slots__ = ("packs", "records")

    def __init__(self, packs: Sequence[Pack], records: bytes) -> None:
        """records: sorted by id, each naming its pack by position in `packs`."""
        self.packs = packs
        self.records = records

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
        plain = _encoder.encode(_File(list(self.packs), self.records))
        return len(plain).to_bytes(8, "little") + frames.pack(plain)

    @classmethod
    def decode(cls, data: bytes) -> Part:
        """Raises Corrupt."""
        try:
            found = _decoder.decode(frames.unpack(data[8:], int.from_bytes(data[:8], "little")))
        except UNREADABLE as error:
            raise Corrupt("An index of the backup cannot be read.", VERIFY) from error
        if len(found.records) % RECORD_OCTETS:
            raise Corrupt("An index of the backup is cut short.", VERIFY)
        return cls(found.packs, found.records)

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
        return Part([self.packs[number] for number in wanted], b"".join(found))

    def cut(self, most: int) -> Iterator[Part]:
        """The same in parts of so many records, at least one."""
        for at in range(0, max(len(self), 1), most):
            yield Part(self.packs, self.records[at * RECORD_OCTETS : (at + most) * RECORD_OCTETS])

    def find(self, id: bytes) -> int:
        """The position of the id's (first) record, -1 where there is none. About 3 microseconds."""
        records, low, high = self.records, 0, len(self)
        while low < high:
            middle = (low + high) // 2
            start = middle * RECORD_OCTETS
            if records[start : start + ID_OCTETS] < id:
                low = middle + 1
            else:
                high = middle
        start = low * RECORD_OCTETS
        return low if records[start : start + ID_OCTETS] == id else -1

    def id(self, position: int) -> bytes:
        return self.records[position * RECORD_OCTETS : position * RECORD_OCTETS + ID_OCTETS]

    def spot(self, position: int) -> Spot:
        _, pack, block, offset, length, kind = _RECORD.unpack_from(self.records, position * RECORD_OCTETS)
        try:
            return Spot(self.packs[pack], block, offset, length, kind)
        except IndexError as error:
            raise Corrupt("An index of the backup names a pack that it does not know.", VERIFY) from error

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


class Index:
    """All index files together. What is in a pack named in `condemned` counts as not there."""

    __slots__ = ("_large", "_parts", "_small", "condemned", "packs")

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._large: list[Part] = []
        self._small: dict[bytes, tuple[Part, int]] = {}
        self.condemned: set[str] = set()
        """Names of packs, see `condemn`."""
        self.packs: dict[str, Pack] = {}
        """By name."""

    def add(self, part: Part) -> None:
        self._parts.append(part)
        for pack in part.packs:
            self.packs.setdefault(pack.name, pack)
        if len(part) <= SMALL:
            for position, id in enumerate(part.ids()):
                held = self._small.get(id)
                if held is None or held[0].spot(held[1]).pack.name in self.condemned:
                    self._small[id] = (part, position)
        else:
            self._large.append(part)

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
        found = None
        held = self._small.get(id)
        if held is not None:
            found = held[0].spot(held[1])
            if found.pack.name not in self.condemned:
                return found
        for part in self._large:
            position = part.find(id)
            if position >= 0:
                found = part.spot(position)
                if found.pack.name not in self.condemned:
                    return found
        if found is not None:  # one place of each table was looked at, before it was known which packs go
            return next((spot for spot in self.spots(id) if spot.pack.name not in self.condemned), found)
        return None

    def spots(self, id: bytes) -> Iterator[Spot]:
        """All places where the object is. Cost: a search in each index file."""
        for part in self._parts:
            position = part.find(id)
            while 0 <= position < len(part) and part.id(position) == id:
                yield part.spot(position)
                position += 1

    def merged(self, without: Collection[str], condemned: Collection[str]) -> Part:
        """All files as one, without some packs; of what lies in several, condemned packs come last."""
        packs = {name: number for number, name in enumerate(name for name in self.packs if name not in without)}
        records: list[bytes] = []  # id, whether it comes last, the rest: a million tuples would be half a gigabyte
        for part in self._parts:
            numbers = [packs.get(pack.name, -1) for pack in part.packs]
            last = [b"\x01" if pack.name in condemned else b"\x00" for pack in part.packs]
            for at in range(0, len(part.records), RECORD_OCTETS):
                record = part.records[at : at + RECORD_OCTETS]
                number = int.from_bytes(record[ID_OCTETS : ID_OCTETS + 4], "little")
                if numbers[number] >= 0:
                    where = numbers[number].to_bytes(4, "little")
                    records.append(record[:ID_OCTETS] + last[number] + where + record[ID_OCTETS + 4 :])
        records.sort()
        joined = b"".join([each[:ID_OCTETS] + each[ID_OCTETS + 1 :] for each, _ in groupby(records)])
        return Part([self.packs[name] for name in packs], joined)
