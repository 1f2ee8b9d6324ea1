"""Who analyses messages that come back, and who prepares them for a restore: started when they are first needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..mime.analyse import analyse
from ..mime.model import Analysis, Limits

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from .preparers import Preparers
    from .repository import Repository

IN_PROCESSES = 2_000
"""Messages from which on other processes analyse them: starting those takes half a second."""
FEW = 64
"""Messages that are analysed in this process all the same."""


class Analyser:
    """Analyses messages: in this process, or in as many as there are cores; and has who prepares them for a restore."""

    def __init__(self, limits: Limits, processes: int) -> None:
        """processes: how many may be started, each when it is first needed."""
        self._limits = limits
        self._processes = processes
        self._executor: Executor | None = None
        self._preparers: dict[int, tuple[Repository, Preparers]] = {}

    async def __call__(self, messages: Sequence[bytes]) -> list[Analysis]:
        if self._processes < 2 or len(messages) < FEW:
            return await asyncio.to_thread(_analyse, list(messages), self._limits)
        if self._executor is None:
            from concurrent.futures import ProcessPoolExecutor
            from multiprocessing import get_context

            # Spawned: threads run here, and a fork would take their locks along.
            self._executor = ProcessPoolExecutor(self._processes, mp_context=get_context("spawn"))
        loop = asyncio.get_running_loop()
        share = -(-len(messages) // self._processes)
        parts = [
            loop.run_in_executor(self._executor, _analyse, list(messages[at : at + share]), self._limits)
            for at in range(0, len(messages), share)
        ]
        return [each for part in await asyncio.gather(*parts) for each in part]

    def preparers(self, repository: Repository) -> Preparers:
        """Who prepares messages of this repository for a new account."""
        from .preparers import Preparers  # single messages come back without

        if id(repository) not in self._preparers:
            self._preparers[id(repository)] = (repository, Preparers(repository, self._limits, self._processes))
        return self._preparers[id(repository)][1]

    def close(self) -> None:
        for _, preparers in self._preparers.values():
            preparers.close()
        if self._executor is not None:
            self._executor.shutdown()


@contextmanager
def analysing(messages: int, limits: Limits) -> Iterator[Analyser]:
    """What analyses so many messages, or prepares them."""
    analyser = Analyser(limits, (os.cpu_count() or 1) if messages >= IN_PROCESSES else 1)
    try:
        yield analyser
    finally:
        analyser.close()


def _analyse(messages: list[bytes], limits: Limits) -> list[Analysis]:
    return [analyse(each, limits) for each in messages]
