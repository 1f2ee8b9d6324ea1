"""A password from a command or a file, as `secrets` has it, without an event loop. What goes wrong is `Unusual`: the
whole run that follows says why."""

from __future__ import annotations

import os
import select
import stat

# signal's own are members of enumerations, which it makes when it is imported: that takes longer than all of this.
from _signal import SIGKILL, SIGPIPE, SIGXFSZ  # type: ignore[import-not-found]  # no stubs

from .line import Unusual

TYPE_CHECKING = False  # see `cli.entry`
if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT = 120
MOST = 64 << 10


def from_command(words: Sequence[str]) -> str:
    """The first line that it prints."""
    read, write = os.pipe()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, write, 1),
    ]
    try:
        process = os.posix_spawnp(words[0], list(words), os.environ, file_actions=actions, setsigdef=(SIGPIPE, SIGXFSZ))
    except OSError as error:
        os.close(read)
        raise Unusual from error
    finally:
        os.close(write)
    done = False
    try:
        printed = _all_of(read)
        done = True
    finally:
        os.close(read)
        if not done:
            os.kill(process, SIGKILL)
        _, status = os.waitpid(process, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise Unusual
    return _first_line(printed)


def _all_of(pipe: int) -> bytes:
    """What comes until the pipe ends."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    pieces = b""
    while True:
        if not poll.poll(TIMEOUT * 1000):
            raise Unusual
        piece = os.read(pipe, MOST)
        if not piece:
            return pieces
        if len(pieces) < MOST:
            pieces += piece


def from_file(path: str) -> str:
    """The first line of a file that nobody else may read."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o077:
            raise Unusual
        return _first_line(os.read(handle, MOST))
    finally:
        os.close(handle)


def _first_line(data: bytes) -> str:
    try:
        line = data[:MOST].decode("utf-8").partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError as error:
        raise Unusual from error
    if not line:
        raise Unusual
    return line
