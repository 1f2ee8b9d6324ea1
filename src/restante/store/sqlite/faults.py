"""SQLite's errors as the store's refusals. No other exception of SQLite's leaves this room."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from ..errors import Busy, Damaged, DiskFull, StoreFailed, StoreRefusal


def refusal(error: apsw.Error | OSError) -> StoreRefusal:
    """The refusal that stands for an error from beneath; raise it `from` the error."""
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return Busy("The mail store is busy.", "Try again in a moment.")
    if is_full(error):
        return DiskFull("There is no room on the disk.", "Free some space and try again.")
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return Damaged("This account's mail store is damaged.", "Run 'restante doctor' on it.")
    return StoreFailed("The mail store could not be read or written.", "Try again; tell the server's operator.")


def is_full(error: apsw.Error | OSError) -> bool:
    """Whether there is no room on the disk, or in the user's quota of it. A reader needs some too: for a -shm file."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(error, apsw.FullError) or getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE


@contextmanager
def translated() -> Iterator[None]:
    """Turn SQLite's and the system's errors into refusals; the cause stays chained for the log."""
    try:
        yield
    except (apsw.Error, OSError) as error:
        raise refusal(error) from error
