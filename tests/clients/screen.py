"""A terminal of its own for a full-screen program: what a person would type goes in, what they would see comes out.

Held by a tmux server on a socket of its own, so that tests beside each other, and whatever tmux the machine's
user runs, know nothing of it. Nothing here waits for a time: `see` looks until the words are there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from .support import PATIENCE, environment, program, until

COLUMNS, LINES = 120, 40
ENDED = "-- ended with"


class Screen:
    """A program in a terminal of 120 by 40; a context manager that ends it, whatever state it is in."""

    def __init__(self, home: Path, argv: Sequence[str]) -> None:
        self.home = home
        self.argv = argv
        # A folder of its own with a short name: a socket's path has room for about a hundred characters.
        self.folder = tempfile.TemporaryDirectory(prefix="restante-tmux-")
        self.tmux = (program("tmux"), "-S", f"{self.folder.name}/socket", "-f", "/dev/null")

    def __enter__(self) -> Self:
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        # A shell stays when the program has ended, tells its status, and keeps its last words on the screen.
        watched = ("sh", "-c", f'"$@"; echo "{ENDED} $?"; exec cat', "sh", *self.argv)
        self._tmux("new-session", "-d", *size, *watched)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        group = int(self._tmux("list-panes", "-F", "#{pane_pid}"))  # the shell's, which the program is in
        self._tmux("kill-server")
        with suppress(ProcessLookupError):  # nearly always: a hangup has ended them
            os.killpg(group, signal.SIGKILL)
        self.folder.cleanup()

    def type(self, *keys: str) -> None:
        """Press keys by tmux's names ("Enter", "C-u"); a longer word that is no key's name is typed."""
        self._tmux("send-keys", "--", *keys)

    def see(self, *words: str) -> str:
        """Wait until all of these are on the screen at once; the screen."""
        until(lambda: all(word in self.text() for word in words), lambda: f"{words} on\n{self.text()}")
        return self.text()

    def gone(self) -> None:
        """Wait until the program has ended by itself, with status 0."""
        assert f"{ENDED} 0" in self.see(ENDED), self.text()

    def text(self) -> str:
        return self._tmux("capture-pane", "-p")

    def _tmux(self, *arguments: str) -> str:
        return subprocess.run(
            [*self.tmux, *arguments],
            cwd=self.home,
            env=environment(self.home),
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        ).stdout.decode("utf-8")
