"""Whether a folder was changed by nobody but us, so that it need not be read again after our own changes.

A rename of ours moves the times of cur/ and new/ as anybody's does; to know that nothing else happened there meanwhile,
all names would have to be read again: of 100,000 messages for one flag. The kernel tells (inotify) what is done in a
directory, by whomever. Where it told of our own changes and of nothing else, the index is the picture of the folder as
it is now, for it was so before:

    watch set -> the folder's state is the one that the index is the picture of -> our changes, each told of and entered
    -> the folder's state, settled -> what was told until then is ours alone: the index is the picture of that state

The kernel tells of a change while it holds the lock of the directory that the change was made under, which reading the
directory takes too: so whatever the state shows has been told of by the time a read that follows it returns.

Of what others do on a network disk the kernel knows nothing, so this is for file systems whose changes all go through
it. Anything out of the ordinary (another system, no more watches, a queue that ran over) means: read the folder.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable

from .look import OPEN_FOLDER, state_of

MOVED_FROM, MOVED_TO, CREATED, DELETED = 0x40, 0x80, 0x100, 0x200
_LOST = 0x2000 | 0x4000 | 0x8000 | 0x400 | 0x800  # unmounted, queue ran over, ignored, the directory itself went
_MASK = MOVED_FROM | MOVED_TO | CREATED | DELETED | 0x400 | 0x800 | 0x0100_0000  # IN_ONLYDIR
_EVENT = struct.Struct("iIII")
_SUBS = ("cur", "new")
"""By a row's `new`."""

LOCAL = frozenset(
    {0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0x0102_1994, 0x2FC1_2FC1, 0xCA45_1A4E}
)  # ext2 to 4, XFS, Btrfs, F2FS, tmpfs, ZFS, bcachefs
"""File systems (`f_type` of statfs) that nobody changes but through this kernel."""

AT_ONCE = 2000
"""Changes after which what the kernel told is to be read: its queue holds 16,384."""

Event = tuple[int, int, bytes]
"""What happened: in new (1) or cur (0), which of the four, the file's name."""


class Alone:
    """What the kernel tells of the folders of one tree. One thread at a time; opened when it is first used."""

    def __init__(self) -> None:
        self._handle = -1
        self._add: Callable[[int, bytes, int], int] | None = None
        self._statfs: Callable[[int, object], int] | None = None
        self._unable = False
        self._folders: dict[int, str] = {}
        """State that the index is the picture of but for our own changes, by key of the folder."""
        self._directories: dict[int, tuple[int, int]] = {}
        """(key, whether it is new) by watch descriptor."""

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def begin(self, key: int, folder: int, scanned: str) -> bool:
        """Watch a folder (a descriptor) that is about to be changed by us. scanned: the state of which the index is
        the picture. False where it cannot be watched, or is not as the index says."""
        if key in self._folders:
            return True
        if self._unable or not scanned or not self._ready() or not self._is_local(folder):
            return False
        assert self._add is not None
        for new, sub in enumerate(_SUBS):
            watch = self._add(self._handle, os.fsencode(f"/proc/self/fd/{folder}/{sub}"), _MASK)
            if watch < 0:
                return False
            self._directories[watch] = key, new
        self._others()
        if state_of(folder) != scanned:
            return False
        self._folders[key] = scanned
        return True

    def did(self, key: int, expected: Iterable[Event]) -> None:
        """We made these changes in a folder. What was told beside them was done by others."""
        if key in self._folders:
            mine = set(expected)
            for where, event in self._told():
                if where != key or event not in mine:
                    self._folders.pop(where, None)
                else:
                    mine.discard(event)
            if mine:
                self._folders.pop(key, None)

    def still(self, key: int, folder: int, state: str) -> bool:
        """Whether nobody else changed the folder until it had this state (settled, and read before this was asked)."""
        before = self._folders.get(key)
        if before is None:
            return False
        try:
            for sub in _SUBS:  # whoever changed it has told so once the directory can be read
                _read_some(folder, sub)
        except FileNotFoundError:
            self._folders.pop(key)
            return False
        self._others()
        if key not in self._folders or _what(before) != _what(state):
            self._folders.pop(key, None)
            return False
        self._folders[key] = state
        return True

    def forget(self, key: int) -> None:
        """The folder is going to be read, or is another one now."""
        self._folders.pop(key, None)

    # The kernel --------------------------------------------------------------------------------------

    def _ready(self) -> bool:
        if self._handle >= 0:
            return True
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        init = getattr(library, "inotify_init1", None)
        self._add = getattr(library, "inotify_add_watch", None)
        self._statfs = getattr(library, "fstatfs", None)
        if init is not None and self._add is not None and self._statfs is not None:
            self._handle = init(os.O_NONBLOCK | os.O_CLOEXEC)
        self._unable = self._handle < 0
        return not self._unable

    def _is_local(self, folder: int) -> bool:
        import ctypes

        assert self._statfs is not None
        answer = (ctypes.c_long * 64)()  # struct statfs has less; f_type is its first member
        return self._statfs(folder, answer) == 0 and answer[0] & 0xFFFF_FFFF in LOCAL

    def _others(self) -> None:
        """Whatever was told now was done by others."""
        for where, _ in self._told():
            self._folders.pop(where, None)

    def _told(self) -> list[tuple[int, Event]]:
        """(key, event) of all that happened since. What cannot be told any more ends all."""
        found: list[tuple[int, Event]] = []
        while True:
            try:
                data = os.read(self._handle, 1 << 18)
            except BlockingIOError:
                return found
            at = 0
            while at < len(data):
                watch, mask, _, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size + length
                if mask & _LOST:
                    self._folders.clear()
                    continue
                key, new = self._directories.get(watch, (0, 0))
                found.append((key, (new, mask, data[at - length : at].rstrip(b"\0"))))


def _read_some(folder: int, sub: str) -> None:
    handle = os.open(sub, OPEN_FOLDER, dir_fd=folder)
    try:
        with os.scandir(handle) as entries:
            for _ in entries:
                break
    finally:
        os.close(handle)


def _what(state: str) -> list[str]:
    """A state without the times of cur and new: which directories they are, and the keywords."""
    cur, new, keywords = state.split("_")
    return [cur.partition(".")[0], new.partition(".")[0], keywords]
