"""What a source is: opens a path as a Source. The one place that decides between formats.

A file: .zip and .tar by their first octets (gz, xz and bz2 tars too), else an mbox or a single message. A
folder or an archive's contents: every maildir in it, and all other files as messages and mboxes.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from .archive import TarTree, ZipTree
from .courier import KEYWORDS_FOLDER
from .folder import FolderSource
from .incoming import DEFAULT_LARGEST, Item, NoSuchSource
from .maildir import CONTROL_FILES, MaildirSource, Pop3Uidl, maildirs
from .tree import DiskTree, Tree


class TreeSource:
    """Everything in a tree: its maildirs, then what else it holds."""

    def __init__(self, tree: Tree, largest: int, pop3_uidl: Pop3Uidl, *, single: bool) -> None:
        self._tree = tree
        found = maildirs(tree)
        self._maildirs = MaildirSource(tree, largest, pop3_uidl, found) if found else None
        others = [file for file in tree.files if not _belongs(file.path, file.name, found)]
        self._folder = FolderSource(tree, others, largest, single=single)
        self.total = self._folder.total + (self._maildirs.total if self._maildirs else 0)

    def items(self) -> Iterator[Item]:
        yield from self._tree.passed_over
        if self._maildirs:
            yield from self._maildirs.items()
        yield from self._folder.items()

    def subscriptions(self) -> list[str] | None:
        return self._maildirs.subscriptions() if self._maildirs else None

    def close(self) -> None:
        self._tree.close()


def _belongs(path: str, name: str, found: set[str]) -> bool:
    """Whether a file is a maildir's: its messages, what is being delivered to it, its control files."""
    parent, _, _ = path.rpartition("/")
    above, _, last = parent.rpartition("/")
    if last in ("cur", "new", "tmp", KEYWORDS_FOLDER) and above in found:
        return True
    return parent in found and CONTROL_FILES.fullmatch(name) is not None


def open_source(path: Path, largest: int = DEFAULT_LARGEST, pop3_uidl: Pop3Uidl = Pop3Uidl.DOVECOT) -> TreeSource:
    """The mail at `path`. largest: octets of a message. Raises ExchangeRefusal; the caller closes the source."""
    try:
        tree = _tree(path)
        return TreeSource(tree, largest, pop3_uidl, single=isinstance(tree, DiskTree) and path.is_file())
    except OSError as cause:
        why = cause.strerror or "cannot be read"
        raise NoSuchSource(f"{path}: {why}.", "Check the path and its rights.") from cause


def _tree(path: Path) -> Tree:
    if path.is_file():
        # One that is cut off has no directory at its end: its first octets still say what it was.
        if _starts(path, b"PK\x03\x04") or (_starts(path, b"PK") and zipfile.is_zipfile(path)):
            return ZipTree(path)
        if _starts(path, b"\x1f\x8b") or _starts(path, b"BZh") or _starts(path, b"\xfd7zXZ") or _is_tar(path):
            return TarTree(path)
    return DiskTree(path)


def _starts(path: Path, magic: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(magic)) == magic


def _is_tar(path: Path) -> bool:
    with path.open("rb") as stream:
        head = stream.read(512)
    try:
        return len(head) == 512 and bool(tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape").name)
    except tarfile.HeaderError:
        return False
