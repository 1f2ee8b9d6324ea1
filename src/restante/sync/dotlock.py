"""Locks as mail programs take them: a file FILE.lock, made where it is not, that says who holds it.

Dovecot guards dovecot-uidlist so, and dovecot-keywords by the same lock; `subscriptions` has its own; so is an mbox. A
lock is stale where the process that it names ("pid:host") is gone from this host, or where nobody has touched it for a
time; Dovecot overrides by the same rules. Waiting is by looking again: a file that vanishes tells nobody.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..values import Value


class Patience(Value, frozen=True):
    """stale: seconds after which a lock nobody touches is overridden. tries: looks at it, `pause` seconds apart."""

    stale: float
    tries: int
    pause: float


DOVECOT = Patience(120.0, 200, 0.05)
MBOX = Patience(600.0, 120, 0.25)
"""Programs hold an mbox for as long as it takes to write it."""


MODE = 0o644
"""Who else reads the mail is to see who holds it."""


class Locked(OSError):
    """Another program holds the lock, and has held it for long."""


@contextmanager
def dotlock(folder: int, file: str, now: Callable[[], float], patience: Patience = DOVECOT) -> Iterator[None]:
    """Hold `file`.lock in a folder (a descriptor). now: seconds UTC, by the clock that dates files there.

    Blocks for tries * pause seconds at most; then raises Locked. Another OSError: the lock cannot be made.
    """
    lock = f"{file}.lock"
    for _ in range(patience.tries):
        if _made(folder, lock):
            break
        try:
            gone = _override_stale(folder, lock, now, patience.stale)
        except OSError:
            gone = False  # not ours to read or to take: waited for like any other
        if not gone:
            time.sleep(patience.pause)  # nobody tells when a lock file goes
    else:
        raise Locked(f"{lock} is held by another program")
    try:
        yield
    finally:
        _remove(folder, lock)


def _made(folder: int, lock: str) -> bool:
    """Make the lock with its holder written in it already: one without would wait for its time to be stale."""
    holder = f"{os.getpid()}:{socket.gethostname()}".encode()
    try:
        handle = os.open(f"/proc/self/fd/{folder}", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, MODE)
    except (AttributeError, OSError):  # no files without a name on this system, or on this disk
        return _made_by_name(folder, lock, holder)
    with os.fdopen(handle, "wb") as stream:
        stream.write(holder)
        stream.flush()
        try:
            os.link(f"/proc/self/fd/{handle}", lock, dst_dir_fd=folder, follow_symlinks=True)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOENT):
                raise
            return _made_by_name(folder, lock, holder)
    return True


def _made_by_name(folder: int, lock: str, holder: bytes) -> bool:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(lock, flags, MODE, dir_fd=folder)
    except FileExistsError:
        return False
    with os.fdopen(handle, "wb") as stream:
        stream.write(holder)
    return True


def _override_stale(folder: int, lock: str, now: Callable[[], float], stale: float) -> bool:
    """Remove a lock whose holder is gone; whether it is not there now."""
    try:
        before = os.stat(lock, dir_fd=folder, follow_symlinks=False)
        handle = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return True
    try:
        holder = os.read(handle, 512).decode("utf-8", "replace").strip()
    finally:
        os.close(handle)
    if not (_is_dead(holder) or now() - max(before.st_mtime, before.st_ctime) > stale):
        return False
    try:
        again = os.stat(lock, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return True
    if (again.st_ino, again.st_mtime_ns) != (before.st_ino, before.st_mtime_ns):
        return False
    _remove(folder, lock)
    return True


def _is_dead(holder: str) -> bool:
    pid, colon, host = holder.partition(":")
    if not colon or host != socket.gethostname() or not (pid.isascii() and pid.isdecimal() and 0 < len(pid) < 10):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _remove(folder: int, lock: str) -> None:
    with suppress(FileNotFoundError):  # somebody took it for stale
        os.unlink(lock, dir_fd=folder)
