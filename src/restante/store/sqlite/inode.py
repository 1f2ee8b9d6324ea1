"""Which file this is, so that a copy put in its place is known for one (see `incarnation`). Imports next to nothing."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import apsw

if TYPE_CHECKING:
    from pathlib import Path


def file_identity(path: Path | str) -> str:
    """Which file this is, as far as its file system can tell: inode and time of birth in nanoseconds.

    By name alone: opening and closing the file here would drop the locks that SQLite holds on it in this process.
    """
    return f"{os.stat(path).st_ino}.{_born(path)}"  # noqa: PTH116 (a glance has strings)


def _born(path: Path | str) -> int:
    """Nanoseconds since 1970 at which the inode was made; 0 where that is not known. statx(2)."""
    if _statx is None:
        return 0
    found = ctypes.create_string_buffer(256)
    if _statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, found) != 0:
        return 0
    (mask,) = struct.unpack_from("I", found, 0)
    seconds, nanoseconds = struct.unpack_from("qI", found, 80)
    return int(seconds) * 1_000_000_000 + int(nanoseconds) if mask & _STATX_BTIME else 0


def _find_statx() -> Callable[..., int] | None:
    """The C library's statx, which Python does not offer; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "statx", None)


_AT_FDCWD, _STATX_BTIME = -100, 0x800
_statx = _find_statx()


def is_copy(db: apsw.Connection, path: Path | str) -> bool:
    """Whether this file is not the one that was last in service under its name."""
    return str(db.execute("SELECT file FROM account").get) != file_identity(path)
