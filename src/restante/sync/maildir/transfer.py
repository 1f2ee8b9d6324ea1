"""One file from one folder to another, where nothing is in its place: by link or rename, else by copying octets."""

from __future__ import annotations

import errno
import os

from .marker import remove_if_there
from .names import free_rename

_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)


def link(source: int, old: bytes, target: int, new: bytes) -> bool:
    """False where `new` is there. Raises FileNotFoundError where `old` is not."""
    try:
        os.link(old, new, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _copy(source, old, target, new)
    return True


def rename(source: int, old: bytes, target: int, new: bytes) -> bool:
    """As `link`; `old` is not there afterwards."""
    try:
        return free_rename(source, old, target, new)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    if not _copy(source, old, target, new):
        return False
    os.unlink(old, dir_fd=source)
    return True


def _copy(source: int, old: bytes, target: int, new: bytes) -> bool:
    """Octets and time, by way of tmp; durable before it has its name."""
    import shutil

    draft = b"tmp/" + new.partition(b"/")[2]
    reading = os.open(old, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    with os.fdopen(reading, "rb") as stream:
        status = os.fstat(reading)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        writing = os.open(draft, flags, 0o600, dir_fd=target)
        try:
            with os.fdopen(writing, "wb") as copy:
                shutil.copyfileobj(stream, copy, 1 << 20)
                copy.flush()
                os.utime(writing, ns=(status.st_atime_ns, status.st_mtime_ns))
                os.fsync(writing)
            if free_rename(target, draft, target, new):
                return True
        except BaseException:
            remove_if_there(target, draft)
            raise
    remove_if_there(target, draft)
    return False
