"""A repository in a folder: an object is a file, written under another name, synced, and then linked into place."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..clock import Random
from .errors import LocationFailed, Missing, NoRoom
from .location import checked

TEMPORARY = ".tmp"
"""Folder for files that are being written. Its name is none that an object can have."""


class Folder:
    """Implements `location.Location`. root: made when something is first written. Files are for this user alone."""

    def __init__(self, root: Path, random: Random) -> None:
        self.root = root
        self._random = random

    def put(self, name: str, data: bytes) -> None:
        path = self._path(name)
        with _translated(name):
            if path.exists():
                return
            making = self.root / TEMPORARY / self._random(16).hex()
            self._make(making.parent)
            self._make(path.parent)
            try:
                number = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(number, "wb", buffering=0) as stream:
                    _write_all(stream.fileno(), data)
                    os.fsync(stream.fileno())
                making.rename(path)  # the same octets, where another process was first: names are made of them
                _sync(path.parent)
            finally:
                making.unlink(missing_ok=True)

    def get(self, name: str, offset: int = 0, count: int | None = None) -> bytes:
        with _translated(name), self._path(name).open("rb", buffering=0) as stream:
            size = os.fstat(stream.fileno()).st_size
            left = max(0, size - offset) if count is None else min(count, max(0, size - offset))
            pieces = []
            while left > 0 and (piece := os.pread(stream.fileno(), min(left, 1 << 30), offset)):
                pieces.append(piece)
                offset, left = offset + len(piece), left - len(piece)
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def size(self, name: str) -> int:
        with _translated(name):
            return self._path(name).stat().st_size

    def names(self, folder: str) -> Iterator[tuple[str, int]]:
        waiting = [self.root / folder if folder else self.root]
        while waiting:
            here = waiting.pop()
            try:
                found = list(os.scandir(here))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _refusal(folder, error) from error
            for entry in found:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                    continue
                try:
                    size = entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue  # removed meanwhile
                yield Path(entry.path).relative_to(self.root).as_posix(), size

    def remove(self, name: str) -> None:
        path = self._path(name)
        with _translated(name):
            try:
                path.unlink()
            except FileNotFoundError:
                return
            _sync(path.parent)

    def tidy(self, age: float) -> int:
        done = 0
        with _translated(TEMPORARY):
            if not (self.root / TEMPORARY).is_dir():
                return 0
            # A file's time is compared with that of a new one: this process's clock may be another one.
            probe = self.root / TEMPORARY / self._random(16).hex()
            probe.touch(mode=0o600)
            before = probe.stat().st_mtime - age
            probe.unlink()
            for entry in os.scandir(self.root / TEMPORARY):
                try:
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        Path(entry.path).unlink()
                        done += 1
                except FileNotFoundError:
                    continue  # written, and put in place, meanwhile
        return done

    def _path(self, name: str) -> Path:
        return self.root / checked(name)

    def _make(self, folder: Path) -> None:
        """Make a folder and those above it, each durable in the one above it."""
        if folder.is_dir():
            return
        if folder != self.root:
            self._make(folder.parent)
        folder.mkdir(mode=0o700, parents=folder == self.root, exist_ok=True)
        _sync(folder.parent)


STEP = 1 << 20
"""Octets written before the disk is waited for: what is delivered meanwhile waits behind so much, not behind a pack
(worst fsync of a log beside it: 26 ms; in one piece 52 ms; nothing beside it 20 ms)."""


def _write_all(number: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(number, view[:STEP]) :]
        if view:
            os.fsync(number)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refusal(name, error) from error


def _refusal(name: str, error: OSError) -> Missing | LocationFailed:
    if isinstance(error, FileNotFoundError):
        return Missing(f"{name} is not at the backup's location.", "Run 'restante backup verify --all'.", name=name)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoRoom("There is no room at the backup's location.", "Free some space there and run it again.")
    return LocationFailed(
        f"The backup's location cannot be used: {name} ({error.strerror}).", "Check its rights and its disk."
    )
