"""Unique names for messages, and renaming that never puts one file in another's place."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from functools import cache

from ...clock import Random
from .octets import OURS, RAW

_TIME = re.compile(rb"(\d{1,10})\.")
_EXTRA = re.compile(rb",.*\Z", re.DOTALL)
_RENAME_NOREPLACE = 1
_UNABLE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def unique_name(random: Random, received: int, size: int, crlf_size: int, *, raw: bool) -> bytes:
    """A name for a new message: its date, 128 random bits, its sizes. Nothing of the machine or its user.

    The date is INTERNALDATE, so that it outlives a copy that does not keep files' times.
    """
    head = b"%d.R%s%s,S=%d,W=%d" % (max(received, 0), random(16).hex().encode(), OURS, size, crlf_size)
    return head + RAW if raw else head


def fresh_name(random: Random, name: bytes) -> bytes:
    """Another unique name with the same date, sizes and extras, for the same octets: it is one of ours only where that
    was (`octets.received_as`)."""
    time = _TIME.match(name)
    extra = _EXTRA.search(name)
    whose = OURS if OURS in name else b""
    head = b"%d.R%s%s" % (int(time[1]) if time else 0, random(16).hex().encode(), whose)
    return head + (extra[0] if extra else b"")


def free_rename(source: int, old: bytes, target: int, new: bytes) -> bool:
    """Rename where `new` is not there yet; False where it is. Paths are relative to the descriptors.

    Raises FileNotFoundError where `old` is not there.
    """
    error = _renameat2()(source, old, target, new)
    if error in (0, errno.EEXIST):
        return error == 0
    if error not in _UNABLE:
        raise OSError(error, os.strerror(error), os.fsdecode(old))
    try:
        os.link(old, new, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, *_UNABLE):
            raise
        # No hard links here (FAT): what is left is to look first.
        try:
            os.stat(new, dir_fd=target, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)
            return True
        return False
    os.unlink(old, dir_fd=source)
    return True


@cache
def _renameat2() -> Callable[[int, bytes, int, bytes], int]:
    """renameat2 with RENAME_NOREPLACE; answers errno. ctypes is imported here: a look at a tree needs it not."""
    import ctypes

    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return lambda source, old, target, new: errno.ENOSYS
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]

    def rename(source: int, old: bytes, target: int, new: bytes) -> int:
        return 0 if function(source, old, target, new, _RENAME_NOREPLACE) == 0 else ctypes.get_errno()

    return rename


def is_loose(name: str) -> bool:
    """Whether a file beside cur and new is a message that somebody put there as it was."""
    return name.lower().endswith(".eml")


def received_of(name: bytes, mtime: float) -> int:
    """INTERNALDATE: the file's time, or the one in its name where that is earlier (a copy that did not keep times)."""
    named = _TIME.match(name)
    return max(0, int(mtime) if named is None else min(int(mtime), int(named[1])))


def identity(name: bytes) -> str:
    """What a message is the same by in every folder of this tree: its unique name."""
    return "maildir:" + name.decode("utf-8", "backslashreplace")
