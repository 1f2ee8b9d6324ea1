"""One run at a time: a lock on a file, which ends with the process that holds it at the latest."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import Refusal


@contextmanager
def alone(path: Path, otherwise: Refusal) -> Iterator[None]:
    """Hold the lock on `path` (made, with its folder, where it is missing) for the time of the block; raises
    `otherwise` where another process holds it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise otherwise from error
        yield
    finally:
        os.close(number)
