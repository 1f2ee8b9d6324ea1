"""How far a run is: bars on a terminal, a line now and then elsewhere. Imported once there is something to carry."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

from .words import echo, human_size

if TYPE_CHECKING:
    from rich.progress import TaskID

    from ..sync.settings import Progress

LINES = 10
"""Plain lines of one mailbox, at most."""
WORTH = 500
"""Messages from which on a mailbox is worth a plain line."""


class Bar(Protocol):
    def show(self, name: str, progress: Progress) -> None: ...

    def close(self) -> None:
        """Take it off the screen: something else is to be said."""
        ...


def make_bar() -> Bar:
    return Bars() if sys.stderr.isatty() else Lines()


class Lines:
    """Elsewhere: each mailbox in tenths."""

    def __init__(self) -> None:
        self._tenths: dict[tuple[str, str, int], int] = {}

    def show(self, name: str, progress: Progress) -> None:
        key = (name, progress.mailbox, int(progress.end))
        tenth = min(LINES, progress.done * LINES // max(progress.total, 1))
        if tenth <= self._tenths.get(key, 0) or progress.total < WORTH:
            return
        self._tenths[key] = tenth
        echo(
            f"{name}: {progress.mailbox} {_way(progress)} {progress.done} of {progress.total} "
            f"({human_size(progress.octets)})",
            err=True,
        )

    def close(self) -> None:
        self._tenths.clear()


class Bars:
    """A terminal: a bar a mailbox under way, with rate and remaining time."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[octets]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._tasks: dict[tuple[str, str, int], tuple[TaskID, float]] = {}
        self._bars.start()

    def show(self, name: str, progress: Progress) -> None:
        from rich.markup import escape

        key = (name, progress.mailbox, int(progress.end))
        if key not in self._tasks:
            title = escape(f"{name}: {progress.mailbox} {_way(progress)}")
            self._tasks[key] = self._bars.add_task(title, total=progress.total, octets=""), time.monotonic()
        task, began = self._tasks[key]
        rate = progress.octets / max(time.monotonic() - began, 0.1)
        octets = f"{human_size(progress.octets)}, {human_size(int(rate))}/s"
        self._bars.update(task, completed=progress.done, total=progress.total, octets=octets)
        if progress.done >= progress.total:
            self._bars.remove_task(task)
            del self._tasks[key]

    def close(self) -> None:
        self._bars.stop()


def _way(progress: Progress) -> str:
    return "up" if int(progress.end) == 1 else "down"
