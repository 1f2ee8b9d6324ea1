"""Which file this is, so that a copy put in its place is known for one (see `incarnation`). Imports next to nothing.

A copy tells by its inode and the inode's birth, which the file itself records. Where it was written into the very file
(`cp` over it), or got the lost one's inode on a file system that knows no birth, the change counter tells: beside the
accounts' files stands with which number each was last closed, and an older state has a lower one.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

import apsw

TYPE_CHECKING = False  # see `cli.entry`
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLOSED_DIGITS = 20
"""Of the number that a record begins with: written over in place, it is never half another one."""


def file_identity(path: Path | str) -> str:
    """Which file this is, as far as its file system can tell: inode and time of birth in nanoseconds.

    By name alone: opening and closing the file here would drop the locks that SQLite holds on it in this process.
    """
    return f"{os.stat(path).st_ino}.{_born(path)}"  # noqa: PTH116 (a glance has strings)


def _born(path: Path | str) -> int:
    """Nanoseconds since 1970 at which the inode was made; 0 where that is not known. statx(2)."""
    if _statx is None:
        return 0
    found = ctypes.create_string_buffer(256)
    if _statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, found) != 0:
        return 0
    (mask,) = struct.unpack_from("I", found, 0)
    seconds, nanoseconds = struct.unpack_from("qI", found, 80)
    return int(seconds) * 1_000_000_000 + int(nanoseconds) if mask & _STATX_BTIME else 0


def _find_statx() -> Callable[..., int] | None:
    """The C library's statx, which Python does not offer; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "statx", None)


_AT_FDCWD, _STATX_BTIME = -100, 0x800
_statx = _find_statx()


def is_copy(db: apsw.Connection, path: Path | str) -> bool:
    """Whether this file is not the one that was last in service under its name, or a state of it that was before. Or
    a broken one, which is no more to be used as it is."""
    row = db.execute("SELECT file, modseq FROM account").fetchone()
    if row is None:
        return True
    file, modseq = row
    return tells_a_copy(file, modseq, path)


def tells_a_copy(file: str, modseq: int, path: Path | str) -> bool:
    """As `is_copy`. file, modseq: what the account's file says of itself."""
    return file != file_identity(path) or modseq < last_closed(path)


def record_of(path: Path | str) -> str:
    """Where what is known of an account's file stands beside it (see `served`): data/accounts/ab/ID.db ->
    data/served/ab/ID."""
    *data, _, letters, name = os.fspath(path).rsplit("/", 3)  # of "accounts/ab/ID.db", data is here: nothing
    return "/".join((*data, "served", letters, name.removesuffix(".db")))


def last_closed(path: Path | str) -> int:
    """The change counter that the account's file had when it was last closed; 0 where that is not known.

    Cost: some microseconds. Never more than what was committed, and less where a process was killed.
    """
    try:
        number = os.open(record_of(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        digits = os.read(number, CLOSED_DIGITS)
    finally:
        os.close(number)
    return int(digits) if digits.isdigit() else 0  # a power failure may have left a file without its octets


def note_closed(path: Path | str, modseq: int) -> None:
    """Note with which change counter the account's file is closed, which has to be on disk. Costs no fsync."""
    record = record_of(path)
    if modseq <= last_closed(path):
        return
    os.makedirs(os.path.dirname(record), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120 (it is a string)
    number = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(number, b"%0*d\n" % (CLOSED_DIGITS, modseq), 0)
    finally:
        os.close(number)
