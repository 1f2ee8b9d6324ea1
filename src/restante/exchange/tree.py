"""A tree of files that may hold mail: a folder on disk, or an archive that is never unpacked by its names.

Readers work on `Tree` alone, so that a Maildir in a .tar is read as one on disk. Paths are relative, "/"
between parts, "" for the root; whatever an archive says, they name nothing on disk. Symbolic links below the
root and files that are no regular files are reported, never followed: an import run by root must not hand a
user what the user could not read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from .incoming import NoSuchSource, Skipped

MOST_FILES = 5_000_000


@dataclass(frozen=True, slots=True)
class File:
    """One regular file. size: octets. mtime: seconds UTC."""

    path: str
    size: int
    mtime: int

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Tree(Protocol):
    """Files and folders of a source."""

    name: str
    """What the source is called, for reports."""
    files: list[File]
    """Every regular file, sorted by path."""
    folders: set[str]
    """Every folder, empty ones too; "" is the root."""
    passed_over: list[Skipped]
    """What is neither."""

    def open(self, file: File) -> BinaryIO:
        """The file's octets; the result can seek."""
        ...

    def close(self) -> None: ...


def read_whole(stream: BinaryIO, file: File, most: int) -> bytes:
    """What is in an open file, at most so many octets, whatever its size was when it was listed.

    Room for `most` octets, made for each file, costs more than reading most of them.
    """
    data = stream.read(min(most, file.size + 1))
    return data if len(data) <= file.size else data + stream.read(most - len(data))


class DiskTree:
    """A folder on disk, or one file (then `files` holds it alone)."""

    def __init__(self, root: Path) -> None:
        self.name = root.name or str(root)
        self.files: list[File] = []
        self.folders: set[str] = {""}
        self.passed_over: list[Skipped] = []
        try:
            status = root.stat()
        except OSError as cause:
            raise NoSuchSource(f"{root}: {cause.strerror or 'cannot be read'}.", "Name an existing source.") from cause
        if stat.S_ISDIR(status.st_mode):
            self._root = root
            self._walk()
        else:
            self._root = root.parent
            self.files.append(File(root.name, status.st_size, int(status.st_mtime)))

    def _walk(self) -> None:
        pending = [""]
        while pending:
            folder = pending.pop()
            try:
                with os.scandir(self._root / folder) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError as cause:
                self.passed_over.append(Skipped(folder or self.name, cause.strerror or "cannot be read"))
                continue
            for entry in found:
                self._note(entry, f"{folder}/{entry.name}" if folder else entry.name, pending)
        self.files.sort(key=lambda file: file.path)

    def _note(self, entry: os.DirEntry[str], path: str, pending: list[str]) -> None:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as cause:
            self.passed_over.append(Skipped(path, cause.strerror or "cannot be read"))
            return
        if stat.S_ISDIR(status.st_mode):
            self.folders.add(path)
            pending.append(path)
        elif not stat.S_ISREG(status.st_mode):
            kind = "a symbolic link, not followed" if stat.S_ISLNK(status.st_mode) else "not a regular file"
            self.passed_over.append(Skipped(path, kind))
        elif len(self.files) >= MOST_FILES:
            raise NoSuchSource(f"{self.name} holds more than {MOST_FILES} files.", "Import its folders one by one.")
        else:
            self.files.append(File(path, status.st_size, int(status.st_mtime)))

    def open(self, file: File) -> BinaryIO:
        flags = os.O_RDONLY | os.O_NONBLOCK | (os.O_NOFOLLOW if len(self.folders) > 1 or "/" in file.path else 0)
        return os.fdopen(os.open(f"{self._root}/{file.path}", flags), "rb")

    def close(self) -> None:
        """Nothing is held open."""


def parents(paths: Iterable[str]) -> set[str]:
    """All folders above the paths, the root included."""
    found = {""}
    for path in paths:
        while path and path not in found:
            path = path.rpartition("/")[0]
            found.add(path)
    return found
