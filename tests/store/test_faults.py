"""SQLite's and the system's errors, as people hear of them."""

from __future__ import annotations

import errno
import os

import apsw
import pytest

from restante.store.errors import DiskFull, StoreFailed
from restante.store.sqlite import directory_schema, faults


def error_of(code: int) -> apsw.Error:
    error = apsw.exception_for(code)
    assert isinstance(error, apsw.Error)
    return error


FULL: list[apsw.Error | OSError] = [
    error_of(apsw.SQLITE_FULL),
    error_of(apsw.SQLITE_IOERR_SHMSIZE),  # a reader's, too: the file beside the log cannot be made
]


@pytest.mark.parametrize("error", [*FULL, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))], ids=repr)
def test_a_full_disk_is_no_failing_one(error: apsw.Error | OSError) -> None:
    assert isinstance(faults.refusal(error), DiskFull)
    if isinstance(error, apsw.Error):
        with pytest.raises(DiskFull), directory_schema.translated():
            raise error


def test_a_failing_disk_is_no_full_one() -> None:
    error = error_of(apsw.SQLITE_IOERR_READ)
    assert isinstance(faults.refusal(error), StoreFailed)
    with pytest.raises(StoreFailed), directory_schema.translated():
        raise error
