"""A pack: many objects in blocks that are compressed and sealed whole, with a table of them at its end. Pure.

```
head     48 octets, or more, as in `sealed`
blocks   part 0, 1, ...: a frame (`frames`) of objects one behind the other
table    part 2^64: counts, sizes of the blocks, a record an object, zeros up to the file's step
footer   part 2^64 + 1, 32 octets: sizes of the table, sealed and within
```
Messages that come together are compressed together, which saves a tenth; a block is small enough that one message is
back at once. What an observer sees of a pack is its size, a multiple of 64 KiB.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from . import frames
from .crypto import TAG_OCTETS, VERIFY, Secrets
from .errors import Corrupt
from .sealed import STEPS, FileKind, begin, head_octets, opener

BLOCK = 1 << 20
"""Octets of objects after which a block ends. An object is never cut: a larger one is a block alone."""

FOOTER_OCTETS = 16 + TAG_OCTETS
_TABLE, _FOOTER = 1 << 64, (1 << 64) + 1

_COUNTS = struct.Struct("<II")
_BLOCK = struct.Struct("<II")
_ENTRY = struct.Struct("<32sIIIc")
_SIZES = struct.Struct("<QQ")


class Block(NamedTuple):
    """size: octets of the sealed block in the file. raw: of the objects in it."""

    size: int
    raw: int


class Entry(NamedTuple):
    """Where an object lies: octets offset..offset+length of block number `block`. kind: see `objects.Kind`."""

    id: bytes
    block: int
    offset: int
    length: int
    kind: bytes


class Table(NamedTuple):
    """What a pack says of itself."""

    blocks: tuple[Block, ...]
    entries: tuple[Entry, ...]


class Framed(NamedTuple):
    """A block before it is sealed: the frame of its objects' octets, how many those are, and (id, length, kind) of
    each in order."""

    frame: bytes
    raw: int
    objects: tuple[tuple[bytes, int, bytes], ...]


def build(secrets: Secrets, kind: FileKind, salt: bytes, blocks: Sequence[Framed]) -> tuple[bytes, Table]:
    """A whole pack. salt: random octets, as `sealed.begin` wants them."""
    head, sealer = begin(secrets, kind, salt)
    pieces, sizes, entries = [head], [], []
    for number, block in enumerate(blocks):
        sealed = sealer.seal(number, block.frame)
        pieces.append(sealed)
        sizes.append(Block(len(sealed), block.raw))
        offset = 0
        for id, length, object_kind in block.objects:
            entries.append(Entry(id, number, offset, length, object_kind))
            offset += length
    table = _COUNTS.pack(len(sizes), len(entries))
    table += b"".join([_BLOCK.pack(*each) for each in sizes]) + b"".join([_ENTRY.pack(*each) for each in entries])
    filled = sum(map(len, pieces)) + len(table) + TAG_OCTETS + FOOTER_OCTETS
    table += bytes(-filled % STEPS[kind])
    pieces.append(sealer.seal(_TABLE, table))
    pieces.append(sealer.seal(_FOOTER, _SIZES.pack(len(pieces[-1]), len(table))))
    return b"".join(pieces), Table(tuple(sizes), tuple(entries))


class Reader:
    """Opens the parts of one pack, whichever way they were read."""

    __slots__ = ("_sealer",)

    def __init__(self, secrets: Secrets, kind: FileKind, head: bytes) -> None:
        """head: the file's first `sealed.head_octets`. Raises NeedsPrivateKey, Corrupt, NewerFormat."""
        self._sealer = opener(secrets, kind, head)

    def table_size(self, footer: bytes) -> int:
        """Octets of the sealed table, which lie before the footer."""
        return int(_SIZES.unpack(self._sealer.open(_FOOTER, footer))[0])

    def table(self, sealed: bytes) -> Table:
        return decode_table(self._sealer.open(_TABLE, sealed))

    def block(self, number: int, sealed: bytes | memoryview, raw: int) -> bytes:
        """Objects of a block, joined. raw: their octets, as the table says. Raises Corrupt."""
        return frames.unpack(self._sealer.open(number, sealed), raw)


def decode_table(data: bytes) -> Table:
    """Raises Corrupt."""
    try:
        count, objects = _COUNTS.unpack_from(data)
        start = _COUNTS.size
        middle, end = start + count * _BLOCK.size, start + count * _BLOCK.size + objects * _ENTRY.size
        if end > len(data):
            raise Corrupt("A pack's table is cut short.", VERIFY)
        blocks = tuple(map(Block._make, _BLOCK.iter_unpack(data[start:middle])))
        entries = tuple(map(Entry._make, _ENTRY.iter_unpack(data[middle:end])))
    except struct.error as error:
        raise Corrupt("A pack's table cannot be read.", VERIFY) from error
    for entry in entries:
        if entry.block >= count or entry.offset + entry.length > blocks[entry.block].raw:
            raise Corrupt("A pack's table names octets that are not there.", VERIFY)
    return Table(blocks, entries)


def read_whole(secrets: Secrets, kind: FileKind, data: bytes) -> tuple[Reader, Table, Iterator[tuple[int, bytes]]]:
    """A pack read as one: its reader, its table, and its sealed blocks by number. Raises Corrupt."""
    start = head_octets(secrets, kind)
    reader = Reader(secrets, kind, data[:start])
    sealed = reader.table_size(data[-FOOTER_OCTETS:])
    table = reader.table(data[len(data) - FOOTER_OCTETS - sealed : len(data) - FOOTER_OCTETS])
    if start + sum(each.size for each in table.blocks) + sealed + FOOTER_OCTETS != len(data):
        raise Corrupt("A pack has another size than its table says.", VERIFY)
    return reader, table, _blocks(table, data, start)


def _blocks(table: Table, data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    for number, block in enumerate(table.blocks):
        yield number, data[offset : offset + block.size]
        offset += block.size
