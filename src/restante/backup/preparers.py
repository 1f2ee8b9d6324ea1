"""Who makes messages ready for a new account: a thread of this process while they are few, else processes beside it.

```
restore --Parcel--> preparer 1   (python -m restante.backup.preparer)     each reads the location by itself
   ^    --Parcel--> preparer 2
   +--Prepared, in the order of the parcels--> the one thread that files
```
Reading, unpacking, hashing and packing again are most of a restore's work, and the interpreter lets one thread at a
time do it (`analysts.asking`, which says what becomes of a process that dies).
"""

from __future__ import annotations

import asyncio
import pickle
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING

from ..analysts.asked import read_sized, write_sized
from ..analysts.asking import Process, Processes
from .errors import Corrupt
from .parcels import Parcel, Prepared
from .preparing import Opened, Preparing

if TYPE_CHECKING:
    from ..mime.model import Limits
    from .repository import Repository

MOST = 4
"""Processes of one restore: filing what they make keeps one core busy."""
AHEAD = 2
"""Parcels that are being prepared or wait to be filed, beyond one for each who prepares."""


class Preparers:
    """processes: how many may be started, 0 or 1 for none. To be closed."""

    def __init__(self, repository: Repository, limits: Limits, processes: int) -> None:
        self._repository = repository
        self._here = Preparing(repository, limits)
        self._processes = Processes("restante.backup.preparer", "reads the backup")
        if processes > 1 and repository.location.portable:
            opened = Opened(repository.location, repository.secrets, repository.id, limits)
            self._processes.start(min(processes, MOST), pickle.dumps(opened))

    async def each(self, parcels: Iterator[Parcel]) -> AsyncGenerator[Prepared, None]:
        """What came of parcels, in their order. To be closed (`aclosing`) where it is left early. Raises what
        reading the location raises."""
        waiting: deque[asyncio.Task[Prepared]] = deque()
        try:
            while (parcel := await asyncio.to_thread(next, parcels, None)) is not None:
                waiting.append(asyncio.create_task(self._prepare(parcel)))
                if len(waiting) >= len(self._processes) + AHEAD:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _prepare(self, parcel: Parcel) -> Prepared:
        done = await self._processes.ask(lambda one: _asked(one, parcel), lambda: self._here(parcel))
        self._repository.complaints += [Corrupt(text, remedy, name=name) for text, remedy, name in done.complaints]
        return done

    def close(self) -> None:
        self._processes.close()


def _asked(process: Process, parcel: Parcel) -> Prepared:
    """Blocks. Raises what `Process.ask` does, and what the process has raised itself."""
    question = pickle.dumps(parcel, pickle.HIGHEST_PROTOCOL)
    said, ready = process.ask(lambda to: write_sized(to, question), lambda back: (read_sized(back), read_sized(back)))
    answer = pickle.loads(said)  # from a process of our own that we have started
    if isinstance(answer, Exception):
        raise answer
    assert isinstance(answer, Prepared)
    answer.ready = ready
    return answer
