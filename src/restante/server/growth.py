"""When a process is larger than it needs to be: it gives back what is free, and asks to be replaced.

    busy -> once a minute: grown by more than is worth it? -> free pages given back
    busy -> resting for QUIET seconds -> grown by more than allowed? -> Python's garbage, free pages given back
         -> still? -> ask (again at each look, until the supervisor sends somebody else)

A process that had a thousand accounts open at once has freed all that it took for them, but Python keeps its small
objects in areas of a megabyte, and one object that was made in the crowd and lives on holds a whole area: 12 MB a
process, measured. Objects cannot be moved, so a process that rests is replaced by a new one, which costs a fork and
what was remembered to answer faster. Ten thousand accounts then leave no more behind than a hundred.
Must not know: connections, accounts; the supervisor, who does the replacing.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

from .. import memory

LOOK = 5.0
"""Seconds between looks."""

QUIET = 5.0
"""Seconds without work before a process counts as resting: files of accounts are open for 20 s longer than that."""

EVERY = 60.0
"""Seconds between two looks at how large a process is that is busy."""

WORTH = 2 << 20
"""Octets by which a busy process has to have grown before free pages are given back."""


class Growth:
    """One process's look at itself, on its event loop.

    most: octets that it may be larger than at its start; 0: it never asks. resting: whether nothing is open or under
    way. ask: told by how many octets it has grown. size: this process's own memory, None where that is not known.
    """

    def __init__(
        self,
        most: int,
        resting: Callable[[], bool],
        ask: Callable[[int], None],
        size: Callable[[], int | None] = memory.own,
    ) -> None:
        self._most = most
        self._resting = resting
        self._ask = ask
        self._size = size
        self._first: int | None = None
        self._since: float | None = None
        self._lean: int | None = None
        self._looked = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Take the measure of the new process, and look at it from now on. Nothing where it may not ask."""
        if self._most > 0:
            self._first = self._lean = self._size()
        if self._first is not None:
            self._timer = asyncio.get_running_loop().call_later(LOOK, self._turn)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LOOK, self._turn)
        self.look(loop.time())

    def look(self, now: float) -> None:
        """Ask if it is time. now: monotonic. Cost: reading a line of /proc, while busy once in `EVERY`."""
        if not self._resting():
            self._since = None
            self._slim(now)
            return
        if self._since is None:
            self._since = now
        if now - self._since < QUIET or self._grown() <= self._most:
            return
        gc.collect()
        memory.give_back()
        if (grown := self._grown()) > self._most:
            self._ask(grown)

    def _slim(self, now: float) -> None:
        """Give free pages back while it is busy, which it may be for ever. Of what commands take for a moment the C
        library keeps the room, between what stays: 3 MB in an hour of many sessions, measured. On a thread."""
        if now - self._looked < EVERY:
            return
        self._looked = now
        size = self._size()
        if size is not None and self._lean is not None and size - self._lean > WORTH:
            asyncio.get_running_loop().run_in_executor(None, self._give_back)

    def _give_back(self) -> None:
        """What it is without free pages is told right behind: a minute later a good part of that room is taken again,
        and counted as needed it would grow by that much each time."""
        memory.give_back()
        self._lean = self._size()

    def _grown(self) -> int:
        size = self._size()
        return 0 if size is None or self._first is None else size - self._first
