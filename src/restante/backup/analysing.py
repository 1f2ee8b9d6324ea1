"""Who analyses messages that come back, and who prepares them for a restore: started when they are first needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..analysts.pool import Analysts
from ..analysts.work import Analysing
from ..machine import cores
from ..mime.model import Analysis, Limits

if TYPE_CHECKING:
    from .preparers import Preparers
    from .repository import Repository

IN_PROCESSES = 2_000
"""Messages from which on other processes work on them: starting those takes half a second."""


class Analyser:
    """Analyses messages, and has who prepares them for a restore."""

    def __init__(self, limits: Limits, processes: int) -> None:
        """processes: how many may be started, each when it is first needed."""
        self._limits = limits
        self._processes = processes
        self._analysts = Analysts(Analysing(limits), processes)
        self._preparers: dict[int, tuple[Repository, Preparers]] = {}

    async def __call__(self, messages: Sequence[bytes]) -> list[Analysis]:
        return await self._analysts.analyse(messages)

    def preparers(self, repository: Repository) -> Preparers:
        """Who prepares messages of this repository for a new account."""
        from .preparers import Preparers  # single messages come back without

        if id(repository) not in self._preparers:
            self._preparers[id(repository)] = (repository, Preparers(repository, self._limits, self._processes))
        return self._preparers[id(repository)][1]

    def close(self) -> None:
        for _, preparers in self._preparers.values():
            preparers.close()
        self._analysts.close()


@contextmanager
def analysing(messages: int, limits: Limits) -> Iterator[Analyser]:
    """What analyses so many messages, or prepares them."""
    analyser = Analyser(limits, cores() if messages >= IN_PROCESSES else 1)
    try:
        yield analyser
    finally:
        analyser.close()
