"""Writing objects: gathered into blocks, compressed in threads, sealed into packs, indexed.

```
put -> a block of 1 MiB -> compressed (threads) -> a pack of about 16 MiB -> sealed, written, synced (a thread; for a
                                                   bucket several)
                                                   every 16 packs, and at the end: an index file
```
Nothing counts before a snapshot names it; what a run that was cut off has written is found by the next one. Not safe
for several threads: one caller puts. A run that never fills a block does all of it where it is asked for: threads,
and what Python loads for them, would take it longer.
"""

from __future__ import annotations

from collections import deque
from hashlib import sha256
from typing import TYPE_CHECKING, Generic, TypeVar

from . import frames, index, names, objects, pack
from .blocks import pack_kind
from .crypto import file_name
from .errors import Corrupt
from .index import Spot
from .objects import Kind
from .repository import Repository
from .sealed import DRAWN_OCTETS

if TYPE_CHECKING:
    from concurrent.futures import Future
    from types import TracebackType
    from typing import Self

T = TypeVar("T")

PACK = 16 << 20
"""Octets of compressed blocks after which a pack ends."""
PACKS_INDEXED = 16
"""Packs after which what they hold is written into an index file, so that a run that is cut off loses little."""
LARGE = 64 << 10
"""Octets above which a message is kept in pieces, its header one of them: the same attachment sent to several people
then is there once."""
PIECE = 1 << 20


class _Done(Generic[T]):
    """Work that was done where it was asked for, as a `Future` of it."""

    __slots__ = ("_found",)

    def __init__(self, found: T) -> None:
        self._found = found

    def done(self) -> bool:
        return True

    def result(self) -> T:
        return self._found


class _Threads:
    """at_once: how many packs are written at the same time."""

    def __init__(self, at_once: int) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self.compressing = ThreadPoolExecutor(2, thread_name_prefix="backup-compress")
        self.writing = ThreadPoolExecutor(at_once, thread_name_prefix="backup-write")

    def end(self) -> None:
        self.compressing.shutdown(cancel_futures=True)
        self.writing.shutdown(cancel_futures=True)


class _Open:
    """A pack that is being filled: of mail, or of metadata."""

    def __init__(self, mail: bool) -> None:
        self.mail = mail
        self.pieces: list[bytes] = []
        self.raw = 0
        self.objects: list[tuple[bytes, int, bytes]] = []
        self.frames: deque[Future[pack.Framed] | _Done[pack.Framed]] = deque()

    def filled(self) -> int:
        """Octets of its blocks, as far as they are compressed; half of those that are not."""
        done = sum(len(each.result().frame) for each in self.frames if each.done())
        return done + sum(pack.BLOCK // 2 for each in self.frames if not each.done())


class Writer:
    """`with Writer(repository) as writer:` all is durable, and indexed, when the block ends without an error.

    whole: whether a message that is here in pieces is looked through for them, see `_is_whole`.
    """

    def __init__(self, repository: Repository, *, whole: bool = False) -> None:
        self.repository = repository
        self._whole = whole
        self.written = 0
        """Octets of files written."""
        self._pending: set[bytes] = set()
        self._packs = {True: _Open(True), False: _Open(False)}
        self._threads: _Threads | None = None
        """Made for the first block that is full, or where several packs are written at once."""
        self._outstanding: deque[Future[tuple[index.Pack, pack.Table]] | _Done[tuple[index.Pack, pack.Table]]] = deque()
        self._tables: list[tuple[index.Pack, pack.Table]] = []
        self._looked = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            if self._threads is not None:
                self._threads.end()

    # Putting ---------------------------------------------------------------------------------------

    def put(self, data: bytes, kind: Kind) -> bytes:
        """The id of an object with these octets, written unless it is here."""
        id = self.repository.secrets.id_of(kind.value, sha256(data).digest())
        if not self._has(id):
            self._add(id, data, kind)
        return id

    def put_data(self, data: objects.Struct) -> bytes:
        """The id of an object of metadata."""
        id = self.put(objects.encode(data), objects.KINDS[type(data)])
        if self.repository.notes is not None:
            self.repository.notes.saw(id, data)
        return id

    def has_message(self, digest: bytes) -> bool:
        """Whether a message of this SHA-256 is here or on its way."""
        return self._has_message(self.repository.message_id(digest))

    def put_message(self, digest: bytes, data: bytes) -> None:
        """Write a message, whose SHA-256 the caller vouches for, unless it is here."""
        id = self.repository.message_id(digest)
        if self._has_message(id):
            return
        if len(data) <= LARGE:
            self._add(id, data, Kind.MESSAGE)
            return
        pieces = [self.put(piece, Kind.PIECE) for piece in cut(data)]
        self._add(id, b"".join(pieces), Kind.RECIPE)
        if self.repository.notes is not None:
            self.repository.notes.saw_pieces(id, pieces)

    def copy(self, id: bytes, spot: Spot) -> None:
        """Write an object that is here once more, as it is, into a new pack. Raises Corrupt."""
        if id not in self._pending:
            self._add(id, self.repository.cut(spot), Kind(spot.kind))

    def _has(self, id: bytes) -> bool:
        if id in self._pending or self.repository.has(id):
            return True
        if self._looked:
            return False
        self._looked = True  # once, and only where something is to be written: what a run that was cut off left
        self.repository.index_packs()
        return self.repository.index.has(id)

    def _has_message(self, id: bytes) -> bool:
        return self._has(id) and (id in self._pending or self._is_whole(id))

    def _is_whole(self, id: bytes) -> bool:
        """Whether a message that is here in pieces has them all, where that is not sure. Packs are written beside each
        other: of a run that was cut off the one with a message's list of pieces may be here, and not the one before it,
        with the pieces. So it is where a damaged pack was taken away. What a run has named in an index is there with
        all that it names."""
        spot = self.repository.index.find(id)
        if (
            spot is None
            or spot.kind != Kind.RECIPE.value
            or not (self._whole or spot.pack.name in self.repository.unindexed)
        ):
            return True
        try:
            return all(map(self._has, self.repository.pieces(spot)))
        except Corrupt:
            return False

    def _add(self, id: bytes, data: bytes, kind: Kind) -> None:
        here = self._packs[kind in objects.OF_MAIL]
        if here.raw and here.raw + len(data) > pack.BLOCK:
            self._end_block(here, self._begun())
        self._pending.add(id)
        here.pieces.append(data)
        here.objects.append((id, len(data), kind.value))
        here.raw += len(data)
        if here.raw >= pack.BLOCK:
            self._end_block(here, self._begun())

    def _begun(self) -> _Threads:
        if self._threads is None:
            self._threads = _Threads(self.repository.location.at_once)
        return self._threads

    def _end_block(self, here: _Open, threads: _Threads | None) -> None:
        pieces, objects_, raw = here.pieces, tuple(here.objects), here.raw
        here.pieces, here.objects, here.raw = [], [], 0
        if threads is not None:
            here.frames.append(threads.compressing.submit(_frame, pieces, objects_, raw))
        else:
            here.frames.append(_Done(_frame(pieces, objects_, raw)))
        if len(here.frames) > 8:
            here.frames[-8].result()  # no more than these wait for a thread
        if here.filled() >= PACK:
            self._end_pack(here, threads)

    def _end_pack(self, here: _Open, threads: _Threads | None) -> None:
        frames_, here.frames = here.frames, deque()
        if threads is not None:
            self._outstanding.append(threads.writing.submit(self._write, here.mail, frames_))
        else:
            self._outstanding.append(_Done(self._write(here.mail, frames_)))
        while len(self._outstanding) > self.repository.location.at_once:
            self._collect()

    def _collect(self) -> None:
        self._tables.append(self._outstanding.popleft().result())
        if len(self._tables) >= PACKS_INDEXED:
            self._write_index()

    def _write(
        self, mail: bool, waiting: deque[Future[pack.Framed] | _Done[pack.Framed]]
    ) -> tuple[index.Pack, pack.Table]:
        repository = self.repository
        data, table = pack.build(
            repository.secrets, pack_kind(mail), repository.random(DRAWN_OCTETS), [each.result() for each in waiting]
        )
        sha = file_name(data)
        name = names.pack(sha, mail)
        if not mail:
            repository.location.put(names.twin(name), data)
            self.written += len(data)
        repository.location.put(name, data)
        self.written += len(data)
        repository.wrote(name, len(data) * (1 if mail else 2), table)
        return index.pack_of(sha, mail, len(data), table), table

    def _write_index(self) -> None:
        part = index.Part.of(self._tables)
        self.repository.put_file(names.INDEX, part.encode())
        self.repository.index.add(part)
        self._pending.difference_update(part.ids())
        self._tables = []

    def flush(self) -> None:
        """Write what waits: durable and indexed when it returns."""
        both = all(here.objects or here.frames for here in self._packs.values())
        several = self.repository.location.at_once > 1 and both
        threads = self._begun() if several else self._threads
        for here in self._packs.values():
            if here.objects:  # whose octets may be none: an empty file, a message of nothing
                self._end_block(here, threads)
            if here.frames:
                self._end_pack(here, threads)
        while self._outstanding:
            self._collect()
        if self._tables:
            self._write_index()


def _frame(pieces: list[bytes], objects_: tuple[tuple[bytes, int, bytes], ...], raw: int) -> pack.Framed:
    return pack.Framed(frames.pack(b"".join(pieces)), raw, objects_)


def cut(data: bytes) -> list[bytes]:
    """The pieces of a large message: its header, then its body in pieces of 1 MiB."""
    end = data.find(b"\r\n\r\n", 0, LARGE)
    start = end + 4 if end >= 0 else 0
    pieces = [data[:start]] if start else []
    return pieces + [data[at : at + PIECE] for at in range(start, len(data), PIECE)]
