"""Files that people and programs put straight into a mailbox's folder, without Maildir's way by tmp.

Such a file may be there and not be whole yet. Whether somebody still writes it the kernel knows: it gives no lease for
reading while a file is open to be written (fcntl(2), F_SETLEASE; Linux). Where it cannot be asked (other systems,
other people's files) a file counts as whole, as Maildir has it. Some disks (NFS 4) never give a lease: so a file whose
time is PATIENCE seconds past counts as whole, too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Sequence

from .change import sync_directory
from .index import Row
from .names import free_rename, is_loose
from .octets import OURS
from .read import each, open_file
from .tree import Folder, Tree

PATIENCE = 60.0


def unfinished(tree: Tree, name: str, uids: Sequence[int]) -> set[int]:
    """Which of these messages' files somebody has open to write."""
    with tree.folder(name) as folder:
        now = tree.clock.now()
        looks = each(tree, folder, uids, lambda folder, row: _is_written(folder, row, now))
        return {row.uid for row, written in looks if written}


def gather(tree: Tree, name: str) -> int:
    """Make messages of the files called *.eml that lie in the folder itself, beside cur and new; how many."""
    with tree.folder(name) as folder:
        with os.scandir(folder.fd) as entries:
            found = [os.fsencode(entry.name) for entry in entries if is_loose(entry.name)]
        number = sum(_moved(tree, folder, file) for file in sorted(found))
        if number:
            sync_directory(folder.fd, "new")
            os.fsync(folder.fd)
        return number


def _moved(tree: Tree, folder: Folder, file: bytes) -> bool:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder.fd)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.EACCES):
            return False  # gone meanwhile, a link, or not for us
        raise
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or being_written(handle, tree.clock.now()):
            return False
    finally:
        os.close(handle)
    # Its sizes are not told by the name: line ends were not looked at.
    unique = b"%d.R%s%s" % (max(int(status.st_mtime), 0), tree.random(16).hex().encode(), OURS)
    try:
        return free_rename(folder.fd, file, folder.fd, b"new/" + unique)
    except FileNotFoundError:
        return False


def _is_written(folder: Folder, row: Row, now: float) -> bool:
    handle = open_file(folder, row)
    try:
        return being_written(handle, now)
    finally:
        os.close(handle)


def being_written(handle: int, now: float) -> bool:
    """Whether anybody has the file, which is open to be read, open to be written. False where nobody can tell.

    now: seconds UTC, by the clock that dates files.
    """
    set_lease = getattr(fcntl, "F_SETLEASE", None)
    if set_lease is None:
        return False
    # Who opens it in the moment of the lease makes the kernel send a signal: one that does nothing, not SIGIO.
    fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
    try:
        fcntl.fcntl(handle, set_lease, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN and now - os.fstat(handle).st_mtime < PATIENCE
    fcntl.fcntl(handle, set_lease, fcntl.F_UNLCK)
    return False
