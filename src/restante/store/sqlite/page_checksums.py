"""Checksums of a file's pages: what a disk has changed unseen is an error where it is read, never a wrong answer.

SQLite's own shim does it (https://sqlite.org/cksumvfs.html): eight octets at the end of each page, written and compared
in C; apsw's builds bring it. It is for files that are made again when they are damaged: in an account's own a broken
page must not take along what else can still be read.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from threading import Lock

import apsw
import apsw.sqlite_extra

RESERVED = 8
"""Octets of a page that hold its checksum."""

_EXTENSION = "cksumvfs"
_VFS = "cksmvfs"

_loading = Lock()
"""Indexes are filled on threads: one that looked while another loads would take the shim for the default."""


@cache
def available() -> bool:
    """Whether this build of apsw brings the shim: one made from source need not. Loads it, for the whole process."""
    if apsw.sqlite_extra.has(_EXTENSION) is None:
        return False
    with _loading:
        default = apsw.vfs_names()[0]
        db = apsw.Connection(":memory:")
        try:
            apsw.sqlite_extra.load(db, _EXTENSION)
        finally:
            db.close()
        apsw.set_default_vfs(default)  # it makes itself the one that every file is opened with
    return True


def connect(path: Path) -> apsw.Connection:
    """Open a file that is there for reading and writing; a new one will have checksums. Raises apsw.Error."""
    vfs = _VFS if available() else None
    return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)


def reserve(db: apsw.Connection) -> None:
    """Have the pages of a file hold checksums, where that can be done; before anything is written to it."""
    if available():
        db.reserve_bytes("main", RESERVED)


def as_written(db: apsw.Connection) -> bool:
    """Whether the file has checksums just where this process can compare and write them."""
    return db.reserve_bytes("main") == (RESERVED if available() else 0)


def is_mismatch(error: apsw.Error) -> bool:
    """Whether a page was not as it had been written."""
    return getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA
