"""Who makes messages ready for a new account: a thread of this process while they are few, else processes beside it.

```
restore --Parcel--> preparer 1   (python -m restante.backup.preparer)     each reads the location by itself
   ^    --Parcel--> preparer 2
   +--Prepared, in the order of the parcels--> the one thread that files
```
Reading, unpacking, hashing and packing again are most of a restore's work, and the interpreter lets one thread at a
time do it. A preparer that dies (killed for memory, say) is not replaced: its parcel and all others are prepared here.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from .errors import Corrupt
from .parcels import Parcel, Prepared
from .preparing import Opened, Preparing, read_sized, write_sized

if TYPE_CHECKING:
    from ..mime.model import Limits
    from .repository import Repository

MOST = 4
"""Processes of one restore: filing what they make keeps one core busy."""
AHEAD = 2
"""Parcels that are being prepared or wait to be filed, beyond one for each who prepares."""

PIPE = 1 << 20
"""Octets that may wait in a pipe: what was prepared comes in few pieces."""

_log = logging.getLogger(__name__)


class Preparers:
    """processes: how many may be started, 0 or 1 for none. To be closed."""

    def __init__(self, repository: Repository, limits: Limits, processes: int) -> None:
        self._repository = repository
        self._here = Preparing(repository, limits)
        self._one = asyncio.Lock()
        self._all: list[_Preparer] = []
        self._idle: asyncio.Queue[_Preparer] = asyncio.Queue()
        self._lost = False
        if processes > 1 and repository.location.portable:
            opened = pickle.dumps(Opened(repository.location, repository.secrets, repository.id, limits))
            for _ in range(min(processes, MOST)):
                try:
                    self._all.append(_Preparer(opened))
                except OSError as cause:  # no memory, or no more processes for this user
                    _log.warning("A process that reads the backup cannot be started (%s); going on without.", cause)
                    break
                self._idle.put_nowait(self._all[-1])

    async def each(self, parcels: Iterator[Parcel]) -> AsyncGenerator[Prepared, None]:
        """What came of parcels, in their order. To be closed (`aclosing`) where it is left early. Raises what
        reading the location raises."""
        waiting: deque[asyncio.Task[Prepared]] = deque()
        try:
            while (parcel := await asyncio.to_thread(next, parcels, None)) is not None:
                waiting.append(asyncio.create_task(self._prepare(parcel)))
                if len(waiting) >= len(self._all) + AHEAD:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _prepare(self, parcel: Parcel) -> Prepared:
        if self._all and not self._lost:
            preparer = await self._idle.get()
            try:
                done = await asyncio.to_thread(preparer.ask, parcel)
            except (OSError, EOFError) as cause:
                if not self._lost:
                    _log.warning("A process that reads the backup has ended (%s); going on without.", cause)
                self._lost = True  # its fate may be another's: go on with what is certain
            else:
                self._repository.complaints += [
                    Corrupt(text, remedy, name=name) for text, remedy, name in done.complaints
                ]
                return done
            finally:
                self._idle.put_nowait(preparer)
        async with self._one:  # two at once would only share the interpreter
            return await asyncio.to_thread(self._here, parcel)

    def close(self) -> None:
        for preparer in self._all:
            preparer.close()


class _Preparer:
    """One process; asked by one thread at a time."""

    def __init__(self, opened: bytes) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "restante.backup.preparer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if self._process.stdout is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):  # a user's pipes may have come to their limit: then it takes more turns
                fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, PIPE)
        self._opened: bytes | None = opened
        self._lock = threading.Lock()

    def ask(self, parcel: Parcel) -> Prepared:
        """Blocks. Raises OSError, EOFError where the process has ended, and what it has raised itself."""
        with self._lock:
            to, back = self._process.stdin, self._process.stdout
            assert to is not None
            assert back is not None
            if self._opened is not None:
                opened, self._opened = self._opened, None
                write_sized(to, opened)
            write_sized(to, pickle.dumps(parcel, pickle.HIGHEST_PROTOCOL))
            to.flush()
            answer = pickle.loads(read_sized(back))  # from a process of our own that we have started
            ready = read_sized(back)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Prepared)
        answer.ready = ready
        return answer

    def close(self) -> None:
        """End the process at once: what it does is kept nowhere. One that is being asked fails."""
        self._process.kill()
        with self._lock:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        pass  # what was still in its buffer has no reader any more
            self._process.wait()
