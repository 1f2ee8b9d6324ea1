"""Whether a folder has changed, by the times of its directories alone.

Any message added, removed, moved or flagged changes the time of cur/ or new/ (flags are names). A time proves nothing
while a further change could be dated the same: git's "racy" entries. So the file system's own clock is asked, which is
right for network disks and coarse times too: a folder is settled when its times are older than a time that the file
system gave to the marker before we looked. Mostly the marker's last touch is one; else it is touched now.
"""

from __future__ import annotations

import os
from pathlib import Path

from ...exchange import dovecot
from ...values import Value
from . import marker
from .marker import Marker

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Look(Value, frozen=True):
    """A folder at an instant. times: of cur and new in nanoseconds, None where one is not there.

    state: the same as long as nothing changes; settled: a later change will give another one.
    """

    marker: Marker | None
    times: tuple[int | None, int | None]
    state: str
    settled: bool


def open_folder(root: Path, path: str) -> int:
    """A descriptor: what is done by it stays in this folder, whatever is mounted or renamed meanwhile."""
    return os.open(f"{root}/{path}" if path else root, OPEN_FOLDER)


def look(folder: int, *, writable: bool, now: float) -> Look:
    """Look at a folder (a descriptor): five stat calls and the marker read. now: seconds, for folders without clock."""
    found, clock = marker.read(folder)
    times, state = _state(folder)
    latest = max((time for time in times if time is not None), default=0)
    settled = latest < clock
    if not settled:
        if writable and found is not None:
            clock = marker.touch(folder)
            times, state = _state(folder)
            settled = all(time is None or time < clock for time in times)
        else:
            settled = latest < int((now - 2) * 1e9)  # a machine's clock and a FAT's two seconds
    return Look(found, times, state, settled)


def state_of(folder: int) -> str:
    """The state alone: three stat calls."""
    return _state(folder)[1]


def _state(folder: int) -> tuple[tuple[int | None, int | None], str]:
    parts: list[str] = []
    times: list[int | None] = []
    for sub in ("cur", "new", dovecot.KEYWORDS):
        try:
            status = os.stat(sub, dir_fd=folder)
        except FileNotFoundError:
            parts.append("-")
            times.append(None)
        else:
            parts.append(f"{status.st_ino:x}.{status.st_mtime_ns:x}")
            times.append(status.st_mtime_ns)
    return (times[0], times[1]), "_".join(parts)
