"""Making files durable, many at once.

fsync of each file costs a journal commit each: 1,000 to 3,000 files a second here. Threads that call it together share
commits (6,000 a second); one syncfs for a whole batch does it in one (13,000 a second). syncfs writes what other
programs have dirtied too, so it is used only where it was quick the last time, on file systems that are known to do it
right, and since Linux 5.8, which reports errors by it; whenever it fails, each file is asked by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ...clock import Clock

FEW = 8
"""Files that are synced one by one."""
THREADS = 8
_SLOW = 0.005
"""Seconds a file (and 100 times that for the call) from which on syncfs does others' work."""
_KNOWN = frozenset({0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0x01021994})
"""f_type of ext4, XFS, Btrfs, F2FS, tmpfs."""


class Durable:
    """How files of one tree are synced."""

    def __init__(self, clock: Clock, root: int) -> None:
        self._clock = clock
        self._pool: ThreadPoolExecutor | None = None
        self._syncfs = _find_syncfs(root)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def files(self, handles: Sequence[int]) -> list[OSError | None]:
        """Make these open files durable, octets and times; what went wrong, a file each."""
        if len(handles) > FEW and self._whole(handles):
            return [None] * len(handles)
        if len(handles) <= FEW:
            return [_fsync(handle) for handle in handles]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, "restante-fsync")
        return list(self._pool.map(_fsync, handles))

    def _whole(self, handles: Sequence[int]) -> bool:
        """By one syncfs; False where the files have to be asked."""
        if self._syncfs is None:
            return False
        started = self._clock.monotonic()
        if self._syncfs(handles[0]) != 0:
            return False
        if self._clock.monotonic() - started > _SLOW * (100 + len(handles)):
            self._syncfs = None
        return True


def _fsync(handle: int) -> OSError | None:
    try:
        os.fsync(handle)
    except OSError as error:
        return error
    return None


def _find_syncfs(root: int) -> Callable[[int], int] | None:
    """The function, where it may be trusted with this file system."""
    import ctypes

    if os.uname().sysname != "Linux" or _version(os.uname().release) < (5, 8):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    syncfs, fstatfs = getattr(library, "syncfs", None), getattr(library, "fstatfs", None)
    buffer = ctypes.create_string_buffer(512)
    if syncfs is None or fstatfs is None or fstatfs(root, buffer) != 0:
        return None
    if ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF not in _KNOWN:
        return None
    return lambda handle: int(syncfs(handle))


def _version(release: str) -> tuple[int, int]:
    major, _, rest = release.partition(".")
    minor = rest.partition(".")[0]
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else (0, 0)
