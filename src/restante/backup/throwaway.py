"""A folder that is gone when its user is: mail that is restored to be looked at, or written to files, must not stay.

```
make: mkdir -> lock it (flock) -> is it still there? -> use -> remove
sweep: each folder of this kind that nobody has locked belonged to a process that died -> remove
```
The lock dies with its process, so what a crash left is known at once, whatever ids processes are given since.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..clock import Random
from .errors import NoRoom

PREFIX = ".restante-work-"


@contextmanager
def throwaway(above: Path, random: Random) -> Iterator[Path]:
    """A new folder below `above` (made where it is missing), removed with all that is in it when the block ends.

    Raises OSError where it cannot be made.
    """
    above.mkdir(mode=0o700, parents=True, exist_ok=True)
    sweep(above)
    while True:
        folder = above / f"{PREFIX}{random(4).hex()}"  # short: a Unix socket's path may have 107 octets
        folder.mkdir(mode=0o700)
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # another process swept it before it could be locked
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not _same(handle, folder):
                continue  # the same, a moment later
            try:
                yield folder
            finally:
                _remove(folder)
            return
        finally:
            os.close(handle)


def sweep(above: Path) -> int:
    """Remove what processes that died left below `above`; how many folders. What somebody else owns, or is no folder,
    is left alone."""
    swept = 0
    for folder in above.glob(f"{PREFIX}*"):
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # removed meanwhile, or none of ours
        try:
            if os.fstat(handle).st_uid != os.geteuid():
                continue
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _same(handle, folder):
                continue  # its user, or another sweep, removed it before it was locked here
            _remove(folder)
            swept += 1
        except BlockingIOError:
            continue  # it is in use
        finally:
            os.close(handle)
    return swept


def check_room(folder: Path, needed: int, reserve: int) -> None:
    """Raises NoRoom where so many octets would leave less than `reserve` of the disk."""
    free = shutil.disk_usage(folder).free
    if free - needed < reserve:
        raise NoRoom(
            f"A drill here needs {_megabytes(needed)} MB and {_megabytes(reserve)} MB stay free, of which"
            f" {_megabytes(free)} MB are there.",
            "Take a smaller sample, or name a folder on a larger disk with --work.",
        )


def _megabytes(octets: int) -> int:
    return -(-octets // 1_000_000)


def _same(handle: int, folder: Path) -> bool:
    try:
        there = folder.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), there)


def _remove(folder: Path) -> None:
    """All of it, or an OSError that says why: nothing is left behind in silence."""
    shutil.rmtree(folder)
