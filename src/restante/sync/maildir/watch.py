"""Waiting for other programs' changes.

`Notes` is the kernel's inotify on the directories that tell: the root, each folder, its cur and new. It is set up
before the look that finds nothing changed, so that no change falls between. Where there is none (other systems), or
where it does not tell (network disks), looks are taken at intervals: a look costs stat calls.

The kernel is asked directly: watchfiles watches whole trees (every tmp, and 100,000 files are walked over at each
start), waits to gather events, and needs a thread; here are three calls.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from ..model import Place
from .scan import SUBS
from .tree import Tree

POLL = 1.0
"""Seconds between looks where nobody tells."""
CHECK = 30.0
"""Seconds between looks where the kernel tells: it knows nothing of what others do on a network disk."""

_CREATE, _DELETE, _MOVED_FROM, _MOVED_TO = 0x100, 0x200, 0x40, 0x80
_MASK = _CREATE | _DELETE | _MOVED_FROM | _MOVED_TO | 0x0100_0000  # IN_ONLYDIR
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC


class Notes:
    """What the kernel tells of directories. `open` gives None where it cannot."""

    def __init__(self, handle: int, paths: Iterable[Path]) -> None:
        self._handle = handle
        self._told = asyncio.Event()
        self.paths = frozenset(paths)
        asyncio.get_running_loop().add_reader(handle, self._read)

    @classmethod
    def open(cls, paths: Iterable[Path]) -> Notes | None:
        """Watch these directories; those that are not there are left out."""
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        init, add = getattr(library, "inotify_init1", None), getattr(library, "inotify_add_watch", None)
        if init is None or add is None:
            return None
        handle = init(_FLAGS)
        if handle < 0:
            return None
        wanted = list(paths)
        for path in wanted:
            if add(handle, os.fsencode(path), _MASK) < 0 and path.is_dir():
                os.close(handle)  # no more watches are to be had: looks then
                return None
        return cls(handle, wanted)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._handle)
        os.close(self._handle)

    async def wait(self) -> None:
        """Until something happened since the last `clear`."""
        await self._told.wait()

    def clear(self) -> None:
        self._told.clear()

    def _read(self) -> None:
        try:
            while os.read(self._handle, 1 << 16):
                self._told.set()
        except BlockingIOError:
            return


def directories(tree: Tree) -> list[Path]:
    """Those whose changes tell of messages and mailboxes."""
    found = [tree.root]
    for path in tree.paths:
        folder = tree.root / path
        found += [folder, *(folder / os.fsdecode(sub) for sub in SUBS)]
    return found


def changed(tree: Tree, names: Iterable[str]) -> set[str]:
    """Which of these mailboxes changed since the last `places`; "" for the list of mailboxes. A look at each.

    What was found is remembered until the next `places`, in case nobody waits for the answer any more.
    """
    told, before, subscribed = dict(tree.memory.told), tree.names(), tree.subscribed
    tree.places()
    now = tree.names()
    if now != before or tree.subscribed != subscribed:
        tree.memory.pending.add("")
    for name in {*before, *now}:
        key = now.get(name)
        if key != before.get(name) or (key is not None and tree.memory.told.get(key) != told.get(key)):
            tree.memory.pending.add(name)
    return tree.memory.pending & {"", *names}


def places(tree: Tree) -> list[Place]:
    """The list of mailboxes, from which on changes are told."""
    tree.memory.pending.clear()
    return tree.places()
