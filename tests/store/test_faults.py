"""SQLite's and the system's errors, as people hear of them."""

from __future__ import annotations

import errno
import os

import apsw
import pytest

from restante.accounts.login import LoginUnavailable
from restante.store.errors import Damaged, DiskFull, OverQuota, StoreFailed, cause_of
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


def test_what_failed_beneath_is_told_to_the_log_and_not_to_the_peer() -> None:
    failed = faults.refusal(error_of(apsw.SQLITE_IOERR_WRITE))
    assert cause_of(failed) == "SQLITE_IOERR_WRITE"
    missing = faults.refusal(OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/data/run/locks/turns"))
    assert cause_of(missing) == f"{os.strerror(errno.EMFILE)}: /data/run/locks/turns"
    for fault in (failed, missing):
        assert fault.cause not in str(fault)
    with pytest.raises(Damaged) as found, directory_schema.translated():
        raise error_of(apsw.SQLITE_CORRUPT)
    assert cause_of(found.value) == "SQLITE_CORRUPT"
    behind = LoginUnavailable("The directory cannot be read.")
    behind.__cause__ = failed
    assert cause_of(behind) == failed.cause
    assert cause_of(Damaged("The account's row is missing.")) == "The account's row is missing."
    assert cause_of(OverQuota("Full.")) is None
