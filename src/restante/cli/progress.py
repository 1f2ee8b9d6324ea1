"""Progress of long work: a bar on a terminal, plain lines elsewhere, nothing for what is over at once."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from .common import human_size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINES = 10
"""Plain lines of one piece of work, at most."""
SILENT = 8 << 20
"""Octets below which nothing is said where there is no terminal."""


class Meter:
    """`with Meter("Importing", octets) as meter: meter(n)` after each n octets. Writes to stderr."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = max(total, 1)
        self._done = 0
        self._told = 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=self._total)
        return self

    def __call__(self, octets: int) -> None:
        self._done += octets
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, octets)
            return
        tenth = min(LINES, self._done * LINES // self._total)
        if tenth > self._told and self._total > SILENT:
            self._told = tenth
            shown = f"{human_size(self._done)} of {human_size(self._total)}"
            click.echo(f"{self._title}: {shown} ({tenth * 100 // LINES} %)", err=True)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
