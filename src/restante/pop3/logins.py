"""When each account logged in last by POP3: what LOGIN-DELAY (RFC 2449 6.5) is measured against.

A table of fixed size, in a file that all processes of a server share, or in this process's memory: each account has
one slot by a hash of its id; an account of the same slot takes it over. So a login is now and then forgotten early, but
none is held against another account. Nobody locks: an entry is 8 octets, read and written at once, and two sessions of
one account meet at its maildrop. Time comes in as monotonic seconds, the same clock in all processes, so that a clock
put back locks nobody out.

The file is not mapped: where the disk is full or fails, a write to a mapped one kills the process with all its
sessions.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from struct import Struct

SLOTS = 1 << 16

_ENTRY = Struct("=Q")
_TIME_BITS = 40  # milliseconds: 34 years
_TIME = (1 << _TIME_BITS) - 1


class LoginTimes:
    """path: the shared file, made where it is missing; None: this process's memory. failed: told once when the file
    cannot be read or written any longer; from then on this process measures for itself. Raises OSError where the file
    cannot be opened. Not to be carried over a fork."""

    def __init__(self, path: Path | None = None, failed: Callable[[OSError], None] | None = None) -> None:
        self._failed = failed
        self._memory = bytearray(SLOTS * _ENTRY.size) if path is None else bytearray()
        self._file = -1
        if path is not None:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def too_soon(self, account: str, now: float, delay: float) -> bool:
        """Whether less than `delay` seconds have passed since the account's last login."""
        slot, mark = _place(account)
        entry = self._read(slot)
        passed = int(now * 1000) - (entry & _TIME)
        # A time to come is of another life of the machine, whose monotonic clock began anew.
        return entry >> _TIME_BITS == mark and 0 <= passed < delay * 1000

    def note(self, account: str, now: float) -> None:
        slot, mark = _place(account)
        entry = _ENTRY.pack(mark << _TIME_BITS | int(now * 1000) & _TIME)
        where = slot * _ENTRY.size
        if self._file >= 0:
            try:
                os.pwrite(self._file, entry, where)
                return
            except OSError as error:
                self._give_up(error)
        self._memory[where : where + _ENTRY.size] = entry

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read(self, slot: int) -> int:
        where = slot * _ENTRY.size
        if self._file >= 0:
            try:
                # What was never written is zero, also behind the file's end.
                return int.from_bytes(os.pread(self._file, _ENTRY.size, where), sys.byteorder)
            except OSError as error:
                self._give_up(error)
        return int.from_bytes(self._memory[where : where + _ENTRY.size], sys.byteorder)

    def _give_up(self, error: OSError) -> None:
        """The file fails (a full disk, for one): this process measures for itself from now on."""
        self.close()
        self._memory = bytearray(SLOTS * _ENTRY.size)
        if self._failed is not None:
            self._failed(error)


def _place(account: str) -> tuple[int, int]:
    """The account's slot, and a mark of 24 bits that tells it from others there, never 0."""
    digest = blake2b(account.encode("utf-8"), digest_size=5).digest()
    return int.from_bytes(digest[:2], "big"), int.from_bytes(digest[2:], "big") or 1
