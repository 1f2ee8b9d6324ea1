"""A repository in a folder: an object is a file, written under another name, synced, and then linked into place."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..clock import Random
from ..files import sync_folder
from .errors import VERIFY, Corrupt, LocationFailed, Missing, NoRoom
from .location import Location, checked, is_name
from .names import DESCRIPTOR, KEYS

TEMPORARY = ".tmp"
"""Folder for files that are being written. Its name is none that an object can have."""

_OPENING = (DESCRIPTOR, KEYS)

UNREADABLE = frozenset({errno.EIO, errno.EBADMSG, errno.EISDIR, errno.ENXIO, getattr(errno, "EUCLEAN", errno.EIO)})
"""What a damaged file answers who reads it: a sector that cannot be read, checksums of a file system that do not agree;
or what is none: a folder, a socket. No more than that file is lost. (EUCLEAN is Linux's.)"""


class Folder(Location):
    """Implements `location.Location`. root: made when something is first written. Files are for this user alone."""

    portable = True
    file_mode = 0o600
    folder_mode = 0o700

    def __init__(self, root: Path, random: Random) -> None:
        self.root = root
        self._random = random
        self._marks = [os.fspath(root / each) for each in _OPENING]
        self._seen = False
        """Whether there was a repository here: who opens one reads a key of it."""

    def stand(self) -> None:
        """Raises LocationFailed where the repository that was here is here no more: its disk was unmounted, say, and
        what is written now would lie elsewhere. Cost: a look for a file."""
        if any(map(os.path.exists, self._marks)):
            self._seen = True
        elif self._seen:
            raise LocationFailed(f"There is no backup at {self.root} any more.", "Is its disk mounted?")

    def put(self, name: str, data: bytes) -> None:
        self.stand()
        path = self._path(name)
        with translated(name, writing=True):
            if path.exists():
                return
            making = self.root / TEMPORARY / self._random(16).hex()
            self.make(making.parent)
            self.make(path.parent)
            try:
                number = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, self.file_mode)
                with os.fdopen(number, "wb", buffering=0) as stream:
                    if self.file_mode != 0o600:
                        os.fchmod(stream.fileno(), self.file_mode)  # whatever the umask is
                    write_all(stream.fileno(), data)
                    os.fsync(stream.fileno())
                making.rename(path)  # the same octets, where another process was first: names are made of them
                sync_folder(path.parent)
            finally:
                making.unlink(missing_ok=True)

    def get(self, name: str, offset: int = 0, count: int | None = None) -> bytes:
        return self.read(name, self._path(name), offset, count)

    def read(self, name: str, path: Path, offset: int, count: int | None) -> bytes:
        """As `get`, from a file of this folder. Raises Corrupt where the disk does not give it back."""
        with translated(name):
            try:
                data = _read(path, offset, count)
                self._seen = self._seen or name.startswith(_OPENING)
                return data
            except OSError as error:
                if error.errno not in UNREADABLE or not self._answers():
                    raise
                text = f"{name} cannot be read from the disk ({error.strerror})."
                raise Corrupt(text, f"Look after that disk. {VERIFY}", name=name) from error

    def _answers(self) -> bool:
        """Whether the disk gives what is at its top: else it is not one file that is damaged."""
        try:
            with os.scandir(self.root):
                _read(self.root / DESCRIPTOR, 0, None)
        except FileNotFoundError:
            return self.root.exists()
        except OSError:
            return False
        return True

    def size(self, name: str) -> int:
        with translated(name):
            return self._path(name).stat().st_size

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        root = str(self.root)
        waiting = [folder]  # names, not paths: there are many files, and a Path costs as much as looking for one
        while waiting:
            here = waiting.pop()
            try:
                found = list(os.scandir(f"{root}/{here}" if here else root))
            except FileNotFoundError:
                continue
            except PermissionError as error:
                if here == folder or is_name(here.rpartition("/")[2]):
                    raise _refusal(folder, error) from error
                continue  # no object can be in it: "lost+found" of a disk that is mounted here, for example
            except OSError as error:
                raise _refusal(folder, error) from error
            for entry in found:
                if entry.name.startswith("."):
                    continue
                name = f"{here}/{entry.name}" if here else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                    continue
                try:
                    size = entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue  # removed meanwhile
                yield name, size

    def remove(self, name: str) -> None:
        path = self._path(name)
        with translated(name):
            try:
                path.unlink()
            except FileNotFoundError:
                return
            sync_folder(path.parent)

    def tidy(self, age: float) -> int:
        done = 0
        with translated(TEMPORARY):
            if not (self.root / TEMPORARY).is_dir():
                return 0
            # A file's time is compared with that of a new one: this process's clock may be another one.
            before = self._now(self.root / TEMPORARY) - age
            for entry in os.scandir(self.root / TEMPORARY):
                try:
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        Path(entry.path).unlink()
                        done += 1
                except FileNotFoundError:
                    continue  # written, and put in place, meanwhile
        return done

    def _now(self, folder: Path) -> float:
        """What time it is by the clock that files are stamped with."""
        probe = folder / f".now-{self._random(16).hex()}"
        probe.touch(mode=0o600)
        now = probe.stat().st_mtime
        probe.unlink()
        return now

    def _path(self, name: str) -> Path:
        return self.root / checked(name)

    def make(self, folder: Path) -> None:
        """Make a folder and those above it, each durable in the one above it."""
        if folder.is_dir():
            self.settle(folder)
            return
        if folder != self.root:
            self.make(folder.parent)
        folder.mkdir(mode=0o700, parents=folder == self.root, exist_ok=True)
        self.settle(folder)
        sync_folder(folder.parent)

    def settle(self, folder: Path) -> None:
        """See to the rights of a folder that is there."""


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # or who has put a named pipe there would be waited for, for ever


def _read(path: Path, offset: int, count: int | None) -> bytes:
    with open(path, "rb", buffering=0, opener=_opener) as stream:  # pathlib takes no opener
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EBADMSG, "It is no file", os.fspath(path))
        size = status.st_size
        left = max(0, size - offset) if count is None else min(count, max(0, size - offset))
        pieces = []
        while left > 0 and (piece := os.pread(stream.fileno(), min(left, 1 << 30), offset)):
            pieces.append(piece)
            offset, left = offset + len(piece), left - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


STEP = 1 << 20
"""Octets written before the disk is waited for: what is delivered meanwhile waits behind so much, not behind a pack
(worst fsync of a log beside it: 26 ms; in one piece 52 ms; nothing beside it 20 ms)."""


def write_all(number: int, data: bytes) -> None:
    """All of it, to an open file."""
    view = memoryview(data)
    while view:
        view = view[os.write(number, view[:STEP]) :]
        if view:
            os.fsync(number)


@contextmanager
def translated(name: str, *, writing: bool = False) -> Iterator[None]:
    """OSError as what the location raises. name: of the object. writing: what is not there then is the location."""
    try:
        yield
    except OSError as error:
        raise _refusal(name, error, writing=writing) from error


def _refusal(name: str, error: OSError, *, writing: bool = False) -> Missing | LocationFailed:
    if isinstance(error, FileNotFoundError) and not writing:
        return Missing(f"{name} is not at the backup's location.", "Run 'restante backup verify --all'.", name=name)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoRoom("There is no room at the backup's location.", "Free some space there and run it again.")
    where = error.filename if isinstance(error.filename, str) else name  # a path says which location
    where = where.partition(f"/{TEMPORARY}/")[0]
    return LocationFailed(
        f"The backup's location cannot be used: {where} ({error.strerror}).", "Check its rights and its disk."
    )
