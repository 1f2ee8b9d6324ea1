"""Reading messages: what they are known by, their headers, their octets.

A file that has another name by now (a reader flagged or opened it between our look and our act) is looked for once more
by its unique name, all of a batch together. A file that cannot be read (another user's, a bad sector) holds up no
other: it is left out, and `Memory.unreadable` says why.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ..model import Message, Outline, Withheld
from ..outline import mark_and_ident
from ..side import MailboxUnavailable
from .change import ROUNDS, flags_of
from .index import CHUNK, Row
from .names import identity, received_of
from .octets import received_as, size_named, size_of, travelling
from .scan import path_of
from .tree import Folder, Tree

HEAD = 1 << 14
"""Octets read first for a header: most messages are smaller, and then their size is known too."""
LONGEST_HEADER = 1 << 20
GROUP_OCTETS = 4 << 20
GROUP = 500
GUESS = 1 << 15
"""Octets that a message of unknown size is counted for."""
_ITS_OWN = (errno.EACCES, errno.EPERM, errno.EIO, errno.EBADMSG)
"""What is wrong with a file, and with no other for certain."""


def outlines(tree: Tree, name: str, uids: Sequence[int]) -> list[Outline]:
    """See `Side.outlines`. Reads HEAD octets of each file, mostly."""
    with tree.folder(name) as folder:
        found: list[Outline] = []
        sizes: list[tuple[int, int]] = []
        for row, (octets, whole, received) in _readable(tree, folder, uids, _read_head):
            size = size_named(row.name) if row.size is None else row.size
            if size is None and whole:
                size = size_of(received_as(octets, row.name), row.name)
                sizes.append((row.uid, size))
            mark, ident = mark_and_ident(octets)
            found.append(Outline(row.uid, size, received, mark, identity(row.name), ident))
        if sizes:
            with tree.index.writing():
                tree.index.set_sizes(folder.key, sizes)
    return sorted(found, key=lambda one: one.uid)


def headers(tree: Tree, name: str, uids: Sequence[int]) -> list[tuple[int, bytes]]:
    """See `Headers.headers`."""
    with tree.folder(name) as folder:
        found = []
        for row, (octets, _, _) in _readable(tree, folder, uids, _read_head):
            header = travelling(received_as(octets, row.name), row.name)
            if not header.startswith(b"\r\n"):
                header = header.partition(b"\r\n\r\n")[0].removesuffix(b"\r\n") + b"\r\n\r\n"
            else:
                header = b"\r\n"
            found.append((row.uid, header))
    return sorted(found)


def groups(tree: Tree, name: str, uids: Sequence[int]) -> list[list[int]]:
    """These UIDs in groups whose messages have a bounded number of octets together (a larger one alone)."""
    found: list[list[int]] = []
    octets = 0
    with tree.folder(name) as folder:
        for start in range(0, len(uids), CHUNK):
            for row in tree.index.rows(folder.key, uids[start : start + CHUNK]):
                size = row.size or size_named(row.name) or GUESS
                if not found or len(found[-1]) == GROUP or octets + size > GROUP_OCTETS:
                    found.append([])
                    octets = 0
                found[-1].append(row.uid)
                octets += size
    return found


def messages(tree: Tree, name: str, uids: Sequence[int]) -> list[Message]:
    """These messages; those that are gone are left out."""
    with tree.folder(name) as folder:
        found: list[Message] = []
        sizes: list[tuple[int, int]] = []
        for row, (octets, received) in _readable(tree, folder, uids, _read_whole):
            data = travelling(received_as(octets, row.name), row.name)
            if row.size != len(data):
                sizes.append((row.uid, len(data)))
            found.append(Message(row.uid, data, flags_of(tree, folder, row), received))
        if sizes:
            with tree.index.writing():
                tree.index.set_sizes(folder.key, sizes)
    return found


T = TypeVar("T")


def each(tree: Tree, folder: Folder, uids: Sequence[int], read: Callable[[Folder, Row], T]) -> Iterator[tuple[Row, T]]:
    """Rows with what `read` makes of their files; files that were renamed are looked for once all others are read."""
    pending: Sequence[int] = uids
    for _ in range(ROUNDS):
        lost: list[int] = []
        for start in range(0, len(pending), CHUNK):
            for row in tree.index.rows(folder.key, pending[start : start + CHUNK]):
                try:
                    result = read(folder, row)
                except FileNotFoundError:
                    lost.append(row.uid)
                else:
                    yield row, result
        if not lost:
            return
        pending = lost
        tree.scan(folder.fd, folder.key)
    raise MailboxUnavailable(f"Another program renames the files of {folder.name} all the time.")


def _readable(
    tree: Tree, folder: Folder, uids: Sequence[int], read: Callable[[Folder, Row], T]
) -> Iterator[tuple[Row, T]]:
    """`each`, without those whose files cannot be read; these are noted."""
    unreadable = tree.memory.unreadable

    def read_or_note(folder: Folder, row: Row) -> T | None:
        try:
            result = read(folder, row)
        except OSError as error:
            if error.errno not in _ITS_OWN:
                raise
            path = os.fsdecode(path_of((row.name, int(row.new), row.info)))
            unreadable[folder.name, row.uid] = Withheld(f"its file {path} cannot be read ({error.strerror})")
            return None
        if unreadable:
            unreadable.pop((folder.name, row.uid), None)
        return result

    for row, result in each(tree, folder, uids, read_or_note):
        if result is not None:
            yield row, result


def open_file(folder: Folder, row: Row) -> int:
    """The message's file, open to be read. Raises FileNotFoundError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(path_of((row.name, int(row.new), row.info)), flags, dir_fd=folder.fd)


def _read_head(folder: Folder, row: Row) -> tuple[bytes, bool, int]:
    """Octets with the whole header at least, whether they are the whole file, INTERNALDATE."""
    handle = open_file(folder, row)
    try:
        status = os.fstat(handle)
        octets = os.read(handle, HEAD)
        while b"\n\n" not in octets and b"\n\r\n" not in octets and len(octets) < LONGEST_HEADER:
            more = os.read(handle, len(octets))
            if not more:
                break
            octets += more
    finally:
        os.close(handle)
    return octets, len(octets) == status.st_size, received_of(row.name, status.st_mtime)


def _read_whole(folder: Folder, row: Row) -> tuple[bytes, int]:
    with os.fdopen(open_file(folder, row), "rb", buffering=0) as stream:
        return stream.readall(), received_of(row.name, os.fstat(stream.fileno()).st_mtime)
