"""Progress of long work: a bar on a terminal, plain lines elsewhere, nothing for what is over at once."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from ..clock import Clock
from .common import human_size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ..sync.migrate.pace import Pace

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

    def expect(self, total: int) -> None:
        """So many octets it is, it turns out."""
        self._total = max(total, 1)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=self._total)

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


FEW = 2_000
"""Messages below which nothing is said where there is no terminal."""


class Stretches:
    """Stretches of work over messages, one after another, each with its rate and the time that is left.

    `begin`, `expect` and `advance` are what `restante.sync.migrate` tells an observer. Writes to stderr.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._title = ""
        self._told = 0
        self._pace: Pace | None = None
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[speed]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        return self

    def begin(self, title: str, messages: int) -> None:
        from ..sync.migrate.pace import Pace

        self._title, self._told = title, 0
        self._pace = Pace(self._clock, messages)
        if self._bar is not None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(title, total=max(messages, 1), speed="")

    def expect(self, messages: int) -> None:
        if self._pace is not None:
            self._pace.total += messages
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, total=max(self._pace.total, 1))

    def advance(self, messages: int, octets: int) -> None:
        if self._pace is None:
            return
        self._pace.advance(messages, octets)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=messages, speed=self._speed())
            return
        total = max(self._pace.total, 1)
        tenth = min(LINES, self._pace.done * LINES // total)
        if tenth > self._told and total > FEW:
            self._told = tenth
            shown = f"{self._pace.done} of {total} messages ({tenth * 100 // LINES} %)"
            click.echo(f"{self._title}: {shown} {self._speed()}".rstrip(), err=True)

    def _speed(self) -> str:
        assert self._pace is not None
        messages, octets = self._pace.rates
        if not messages:
            return ""
        text = f"{messages:.0f}/s" + (f", {human_size(int(octets))}/s" if octets else "")
        left = self._pace.remaining
        return f"{text}, {span(left)} left" if left else text

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def span(seconds: float) -> str:
    """Seconds for people, roughly: "40 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
