"""Whose turn it is to write to an account, among processes.

SQLite gives its lock to whoever asks while it is free, and who waits asks each millisecond: a process with more in hand
takes it again before another one has looked, and everyone who waits for the other stands still meanwhile, for many
transactions in a row. Here who waits holds a place, and who comes behind waits for the place:

    take the place -> BEGIN IMMEDIATE (SQLite's lock, asked for each millisecond) -> leave the place

So processes take turns. Nothing rests on it: without it transactions exclude each other just so, and who has not got
the place in time asks SQLite nevertheless. It is held while SQLite is asked alone, never within a transaction, and goes
with its process.

The place is a byte of run/locks/turns, at an offset drawn from the account's name (POSIX record locks, which hold
between processes; within one an account runs on one thread at a time).
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from hashlib import blake2b
from pathlib import Path

PAUSE = 0.001
"""Seconds between two looks at the place: as often as SQLite looks at its lock."""

WAIT = 15.0
"""Seconds after which SQLite is asked without the place: it is held by a process that has been stopped. Once, and not
before each commit of the account for as long as that one is."""


class Turns:
    """The places of one process. Any thread may ask."""

    def __init__(self, path: Path) -> None:
        """path: the file whose bytes are locked, made when first needed."""
        self._path = path
        self._handle: int | None = None
        self._opening = threading.Lock()
        self._stuck: set[int] = set()
        """Places that did not come in time: until one does again, nobody waits for it a second time."""

    def take(self, account: str) -> int | None:
        """Wait for the account's place: to be given to `leave`. None where it did not come in time. Raises OSError."""
        handle = self._opened()
        offset = int.from_bytes(blake2b(account.encode(), digest_size=8).digest(), "big") >> 2
        until = time.monotonic() + (0.0 if offset in self._stuck else WAIT)
        while True:
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
            except (BlockingIOError, PermissionError):  # POSIX lets a system choose between the two
                if time.monotonic() >= until:
                    self._stuck.add(offset)
                    return None
                time.sleep(PAUSE)  # the system tells nobody but a thread that nothing ends but the lock itself
            else:
                self._stuck.discard(offset)
                return offset

    def leave(self, place: int | None) -> None:
        """Let the next one in."""
        if place is not None:
            fcntl.lockf(self._opened(), fcntl.LOCK_UN, 1, place)

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _opened(self) -> int:
        """The file, opened once: closing any handle of it would let go of all places of this process."""
        if self._handle is None:
            with self._opening:  # several threads may have their first account at once
                if self._handle is None:
                    self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._handle
