"""SQLite's errors as the store's refusals. No other exception of SQLite's leaves this room."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from ..errors import Busy, Damaged, DiskFull, StoreFailed, StoreFault


def refusal(error: apsw.Error | OSError) -> StoreFault:
    """The refusal that stands for an error from beneath; raise it `from` the error."""
    return caused(_fault(error), error)


def caused(fault: StoreFault, error: apsw.Error | OSError) -> StoreFault:
    """The fault, with what a log says of its cause; raise it `from` the error."""
    fault.cause = _described(error)
    return fault


def _fault(error: apsw.Error | OSError) -> StoreFault:
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return Busy("The mail store is busy.", "Try again in a moment.")
    if is_full(error):
        return DiskFull("There is no room on the disk.", "Free some space and try again.")
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return Damaged("This account's mail store is damaged.", "Run 'restante doctor' on it.")
    return StoreFailed("The mail store could not be read or written.", "Try again; tell the server's operator.")


def _described(error: apsw.Error | OSError) -> str:
    """The error for an operator: SQLite's code with its words, or the system's words with the file."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename}" if error.filename else error.strerror or str(error)
    code = getattr(error, "extendedresult", 0)
    name = apsw.mapping_extended_result_codes.get(code) or apsw.mapping_result_codes.get(code) or type(error).__name__
    return f"{name}: {error}" if str(error) else str(name)


BROKEN = (apsw.CorruptError, apsw.IOError)
"""A page that is broken, or lies on a bad sector: what is elsewhere may be read. Of who only reads; see `is_unread`."""

_READING = frozenset({apsw.SQLITE_IOERR_READ, apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_CORRUPTFS})


def is_unread(error: apsw.Error) -> bool:
    """Whether a page could not be read, which is broken or lies on a bad sector; not one that could not be written."""
    return isinstance(error, apsw.CorruptError) or getattr(error, "extendedresult", 0) in _READING


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
