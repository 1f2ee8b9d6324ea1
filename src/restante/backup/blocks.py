"""Opened blocks of packs: read one by one and remembered, or a run of them at once. Calls block.

Must not know: what an object is, or which index says where it lies.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from threading import RLock

from . import names, pack
from .crypto import VERIFY, Secrets, file_name
from .errors import Corrupt, NewerFormat
from .index import Pack, Spot
from .location import Location
from .sealed import FileKind, head_octets

CACHE = 16 << 20
"""Octets of opened blocks kept: restoring reads the objects of a block one after the other."""
RUN = 4
"""Blocks that are read at once, of a mebibyte as a rule."""
READERS = 1_000
"""Packs whose heads are kept, opened: about a kilobyte each."""


def pack_kind(mail: bool) -> FileKind:
    return FileKind.MAIL if mail else FileKind.META


def reader_of(location: Location, secrets: Secrets, name: str, mail: bool) -> pack.Reader:
    """What opens the parts of a pack that lies there.

    Raises Missing, NeedsPrivateKey, Corrupt; NewerFormat where its octets are those that its name is made of: else a
    bit has flipped in its head.
    """
    kind = pack_kind(mail)
    try:
        return pack.Reader(secrets, kind, location.get(name, 0, head_octets(secrets, kind)))
    except NewerFormat as error:
        if file_name(location.get(name)) == names.sha_of(name):
            raise
        raise Corrupt(f"{name} is not what was written.", VERIFY, name=name) from error


class Blocks:
    """Of one repository. complain: told what was damaged and could be read elsewhere. Safe for several threads."""

    def __init__(self, location: Location, secrets: Secrets, complain: Callable[[Corrupt], None]) -> None:
        self._location = location
        self._secrets = secrets
        self._complain = complain
        self._blocks: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._cached = 0
        self._readers: dict[str, pack.Reader] = {}
        self._lock = RLock()

    def block(self, where: Pack, number: int) -> bytes:
        """A block's objects, joined. Raises Missing, Corrupt."""
        key = (where.name, number)
        with self._lock:
            block = self._blocks.get(key)
            if block is not None:
                self._blocks.move_to_end(key)
                return block
        block = self._open(where, number)
        self._keep(key, block)
        return block

    def _keep(self, key: tuple[str, int], block: bytes) -> None:
        with self._lock:
            if key not in self._blocks:
                self._blocks[key] = block
                self._cached += len(block)
            while self._cached > CACHE and len(self._blocks) > 1:
                _, gone = self._blocks.popitem(last=False)
                self._cached -= len(gone)

    def _open(self, where: Pack, number: int) -> bytes:
        name = names.pack(where.name, where.mail)
        try:
            return self._read(name, where, number)
        except Corrupt as error:
            if where.mail:
                raise
            self._complain(error)
            return self._read(names.twin(name), where, number)

    def _read(self, name: str, where: Pack, number: int) -> bytes:
        if number >= where.count:
            raise Corrupt("An index of the backup names a block that is not there.", VERIFY)
        start = head_octets(self._secrets, pack_kind(where.mail))
        block = where.block(number)
        try:
            reader = self._reader(name, where)
            return reader.block(number, self._location.get(name, where.offset(number, start), block.size), block.raw)
        except Corrupt as error:
            with self._lock:
                self._readers.pop(name, None)  # what is put back in its place may have another head
            text = error.text if name in error.text else f"{name}: {error.text}"
            raise type(error)(text, error.remedy, name=name) from error

    def _reader(self, name: str, where: Pack) -> pack.Reader:
        """What opens a pack's blocks: its head is asked for once, not with each block. Raises Missing, Corrupt."""
        with self._lock:
            reader = self._readers.get(name)
        if reader is None:
            reader = reader_of(self._location, self._secrets, name, where.mail)
            with self._lock:
                while len(self._readers) >= READERS:
                    self._readers.pop(next(iter(self._readers)))
                self._readers[name] = reader
        return reader

    def run(self, where: Pack, first: int, last: int) -> dict[int, memoryview]:
        """Blocks first..last of a pack by number, without those that cannot be opened there. They are kept like others:
        pieces of a message lie beside its recipe. Raises LocationFailed."""
        found: dict[int, memoryview] = {}
        with self._lock:
            while first <= last and (held := self._blocks.get((where.name, first))) is not None:
                found[first] = memoryview(held)
                first += 1
        if first > last or last >= where.count:
            return found  # where an index names what is not there, that is told of each message
        name, start = names.pack(where.name, where.mail), head_octets(self._secrets, pack_kind(where.mail))
        at = where.offset(first, start)
        try:
            reader = self._reader(name, where)
            octets = memoryview(self._location.get(name, at, where.offset(last + 1, start) - at))
        except Corrupt:
            return found
        at = 0
        for number in range(first, last + 1):
            size, raw = where.block(number)
            try:
                block = reader.block(number, octets[at : at + size], raw)
                found[number] = memoryview(block)
                self._keep((where.name, number), block)
            except Corrupt:
                pass  # told of each message in it, unless another pack has that
            at += size
        return found


def runs(places: Iterable[tuple[bytes, Spot]]) -> Iterator[list[tuple[bytes, Spot]]]:
    """Places cut where the next one is not in the same block or the one behind it, or the run has enough blocks."""
    run: list[tuple[bytes, Spot]] = []
    for place in places:
        spot = place[1]
        if run:
            first, before = run[0][1], run[-1][1]
            near = 0 <= spot.block - before.block <= 1 and spot.block - first.block < RUN
            if spot.pack.name != before.pack.name or not near:
                yield run
                run = []
        run.append(place)
    if run:
        yield run
