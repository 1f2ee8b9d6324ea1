"""A disk that fails on request, and one that remembers what a power cut may lose: SQLite VFS shims of APSW's.

Both stand before the system's files and are made the default, so that every connection of this process that is
opened meanwhile goes through them; nothing in the engine knows. What SQLite maps (the wal-index) does not pass
here: it is memory, and a power cut loses it.

An error that the shim raises while SQLite writes the log back behind a commit reaches the caller, though SQLite
itself would have kept quiet: so a refused command may turn out done, never half done.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512


class Call(Enum):
    """What a fault can hit."""

    READ = "read"
    WRITE = "write"
    SYNC = "sync"


class FaultyDisk(apsw.VFS):
    """The nth call of one kind fails, or with `for_good` all from the nth on. hit: whether one has failed."""

    def __init__(self, name: str = "faulty") -> None:
        self._call: Call | None = None
        self._left = 0
        self._for_good = False
        self._error: type[apsw.Error] = apsw.IOError
        self.hit = False
        super().__init__(name, "unix", makedefault=True)

    def arm(self, call: Call, n: int, error: type[apsw.Error] = apsw.IOError, *, for_good: bool = False) -> None:
        """From now on the nth `call` (from 1) raises `error`."""
        self._call, self._left, self._error, self._for_good, self.hit = call, n, error, for_good, False

    def heal(self) -> None:
        self._call = None

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - the base class names it
        return _FaultyFile(self, name, flags)

    def tick(self, call: Call) -> None:
        if call is not self._call:
            return
        self._left -= 1
        if self._left == 0 or (self._left < 0 and self._for_good):
            self.hit = True
            raise self._error(f"told to fail at a {call.value}")


class _FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("unix", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - the base class names it
        self._disk.tick(Call.READ)
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - the base class names it
        self._disk.tick(Call.WRITE)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - the base class names it
        self._disk.tick(Call.SYNC)
        super().xSync(flags)


class BadSector(apsw.VFS):
    """A disk of which one octet, and what is read with it, cannot be read once `at` says where: (file, offset)."""

    def __init__(self) -> None:
        self.at: tuple[str, int] | None = None
        super().__init__("bad-sector", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - the base class names it
        return _BadFile(self, name, flags)


class _BadFile(apsw.VFSFile):
    def __init__(self, disk: BadSector, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else name
        super().__init__("unix", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - the base class names it
        file, place = self._disk.at or ("", 0)
        if file == self._name and offset <= place < offset + amount:
            raise apsw.exception_for(apsw.SQLITE_IOERR_READ)
        return super().xRead(amount, offset)


@contextmanager
def bad_sector() -> Iterator[BadSector]:
    """The shim as this process's default for the time of the block."""
    disk = BadSector()
    try:
        yield disk
    finally:
        disk.unregister()


@contextmanager
def faulty_disk() -> Iterator[FaultyDisk]:
    """The shim as this process's default for the time of the block."""
    disk = FaultyDisk()
    try:
        yield disk
    finally:
        disk.heal()
        disk.unregister()


class Shelf:
    """The files of one folder, put back as they were as often as needed: in place, since a store notices by the
    file's number that it is a copy."""

    def __init__(self, folder: Path, kept: Path) -> None:
        """kept: an empty folder on the same file system, for second names of the files."""
        self._folder = folder
        self._kept = kept
        kept.mkdir()
        self.octets: dict[str, bytes] = {}
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = str(path.relative_to(folder))
            self.octets[name] = path.read_bytes()
            os.link(path, kept / name.replace("/", "_"))

    def put_back(self, octets: dict[str, bytes] | None = None) -> None:
        """Make the folder hold these files and no other; those taken when None."""
        wanted = self.octets if octets is None else octets
        for path in [p for p in self._folder.rglob("*") if p.is_file() or p.is_socket()]:
            path.unlink()
        for name, data in wanted.items():
            path, kept = self._folder / name, self._kept / name.replace("/", "_")
            path.parent.mkdir(parents=True, exist_ok=True)
            if kept.exists():
                os.link(kept, path)
            path.write_bytes(data)


# Power cuts ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Written:
    path: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncated:
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    """All that was done to the file before is on disk, the file's name included."""

    path: str


@dataclass(frozen=True, slots=True)
class Deleted:
    path: str


@dataclass(frozen=True, slots=True)
class Linked:
    """A second name for a file; lasting from the `FolderSynced` on."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class FolderSynced:
    path: str


@dataclass(frozen=True, slots=True)
class Marked:
    """Said by the test: what stands before it has been acknowledged."""

    label: str


Event = Written | Truncated | Synced | Deleted | Linked | FolderSynced | Marked


class RecordingDisk(apsw.VFS):
    """Writes down, in order, whatever is done to files below `root`."""

    def __init__(self, root: Path, name: str = "recording") -> None:
        self.root = str(root)
        self.events: list[Event] = []
        super().__init__(name, "unix", makedefault=True)

    def relative(self, path: str) -> str:
        return os.path.relpath(path, self.root)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - the base class names it
        return _RecordedFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - the base class names it
        super().xDelete(filename, syncdir)
        self.events.append(Deleted(self.relative(filename)))


class _RecordedFile(apsw.VFSFile):
    def __init__(self, disk: RecordingDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        filename = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._path = disk.relative(filename) if filename else ""
        super().__init__("unix", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - the base class names it
        super().xWrite(data, offset)
        if self._path:
            self._disk.events.append(Written(self._path, offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802 - the base class names it
        super().xTruncate(size)
        if self._path:
            self._disk.events.append(Truncated(self._path, size))

    def xSync(self, flags: int) -> None:  # noqa: N802 - the base class names it
        super().xSync(flags)
        if self._path:
            self._disk.events.append(Synced(self._path))


@contextmanager
def recording_disk(root: Path) -> Iterator[RecordingDisk]:
    """The shim as this process's default for the time of the block."""
    disk = RecordingDisk(root)
    try:
        yield disk
    finally:
        disk.unregister()


class _File:
    """What is on disk for certain, and what was done since."""

    __slots__ = ("durable", "named", "pending")

    def __init__(self) -> None:
        self.durable = bytearray()
        self.pending: list[Written | Truncated] = []
        self.named = False


class Platter:
    """Files as a power cut may leave them. Feed events in order with `apply`, then ask for `after_cut`."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._linked: dict[str, str] = {}

    def apply(self, event: Event) -> None:
        match event:
            case Written() | Truncated():
                self._files.setdefault(event.path, _File()).pending.append(event)
            case Synced(path):
                file = self._files.setdefault(path, _File())
                for done in file.pending:
                    _do(file.durable, done)
                file.pending.clear()
                file.named = True
            case Deleted(path):
                self._files.pop(path, None)
            case Linked(source, target):
                self._linked[target] = source
            case FolderSynced():
                for target, source in self._linked.items():
                    self._files[target] = self._files[source]
                    self._files[target].named = True
                self._linked.clear()
            case Marked():
                pass

    def after_cut(self, chance: random.Random) -> dict[str, bytes]:
        """Octets by name. Each write since a file's last sync may have arrived, in part, or not at all; each name
        since the folder's sync too."""
        left: dict[str, bytes] = {}
        arrived = chance.choice((0.0, 0.5, 0.9, 1.0))
        for path, file in self._files.items():
            if not file.named and chance.random() < 0.5:
                continue
            data = bytearray(file.durable)
            for done in file.pending:
                if chance.random() < arrived:
                    _do(data, _torn(done, chance) if chance.random() < 0.3 else done)
            left[path] = bytes(data)
        for target, source in self._linked.items():
            if source in left and chance.random() < 0.5:
                left[target] = left[source]
        return left


def _do(data: bytearray, done: Written | Truncated) -> None:
    if isinstance(done, Truncated):
        del data[done.size :]
        return
    if len(data) < done.offset:
        data.extend(bytes(done.offset - len(data)))
    data[done.offset : done.offset + len(done.data)] = done.data


def _torn(done: Written | Truncated, chance: random.Random) -> Written | Truncated:
    """A write of which only some sectors arrived: from its start, or its end."""
    if isinstance(done, Truncated) or len(done.data) <= SECTOR:
        return done
    border = chance.randrange(SECTOR, len(done.data), SECTOR)
    if chance.random() < 0.5:
        return Written(done.path, done.offset, done.data[:border])
    return Written(done.path, done.offset + border, done.data[border:])
